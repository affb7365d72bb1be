//! The schedule: when links are synced by themselves.

use async_trait::async_trait;
use chrono::Duration;

use super::{
    id::{LinkId, UserId},
    link::Link,
    time::Timestamp,
};

/// How many times in the time its provider's data counts as fresh a link is synced by itself.
const SYNCS_WHILE_FRESH: i32 = 4;

/// The longest pause after failures, in days, unless links of the provider rest longer anyway.
const LONGEST_PAUSE_DAYS: i64 = 2;

/// How long a worker may take to queue what it took; after that another tries.
pub const QUEUEING_MINUTES: i64 = 10;

/// How often links are synced, as the operator wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long a link rests between two syncs, in per cent of what suits its provider.
    pub percent: u32,
}

impl Pace {
    /// How long a link rests whose provider's data counts as fresh for so many days.
    pub fn interval(self, fresh_days: u32) -> Duration {
        let suits = Duration::days(fresh_days.max(1).into()) / SYNCS_WHILE_FRESH;
        suits.checked_mul(i32::try_from(self.percent).unwrap_or(i32::MAX)).map_or(suits, |stretched| stretched / 100)
    }
}

/// When a link is synced next by itself, and how its syncs went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncPlan {
    /// Not before this.
    pub due_at: Timestamp,
    /// How many syncs in a row were given up.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<Timestamp>,
}

impl SyncPlan {
    /// Of a link whose first sync is queued already: should that come to nothing, the next one is due.
    pub fn begun(now: Timestamp) -> Self {
        Self { due_at: now, failures: 0, failing_since: None }
    }

    /// After a sync that brought everything. `share` places the link within a tenth of the interval, so that links that began together part.
    pub fn succeeded(now: Timestamp, interval: Duration, share: u16) -> Self {
        Self { due_at: now.plus(interval + spread(interval, share)), failures: 0, failing_since: None }
    }

    /// After one that was given up: each failure in a row doubles the pause, up to two days, and it ends no sooner than the provider asked.
    #[must_use]
    pub fn failed(self, now: Timestamp, interval: Duration, share: u16, not_before: Option<Timestamp>) -> Self {
        let failures = self.failures.saturating_add(1);
        let doubled = Duration::milliseconds(interval.num_milliseconds().saturating_mul(1 << failures.min(16)));
        let pause = doubled.min(Duration::days(LONGEST_PAUSE_DAYS).max(interval));
        let due_at = now.plus(pause + spread(interval, share));
        Self { due_at: not_before.map_or(due_at, |asked| due_at.max(asked)), failures, failing_since: self.failing_since.or(Some(now)) }
    }
}

fn spread(interval: Duration, share: u16) -> Duration {
    Duration::milliseconds(interval.num_milliseconds() / 10 * i64::from(share) / i64::from(u16::MAX))
}

/// A link whose turn has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueLink {
    /// The link.
    pub link: LinkId,
    /// Whose it is.
    pub user: UserId,
}

/// What is to be done by itself. Each call is a statement of its own; no unit of work is open.
#[async_trait]
pub trait Schedule: Send + Sync {
    /// Takes the link of one of these providers that is due for longest, whoever owns it, and keeps it from other workers for ten minutes. Links
    /// that a sync is under way for are left alone, and those of users who are kept out or going to be erased.
    async fn take_any_to_sync_for_worker(&self, providers: &[&str], now: Timestamp) -> anyhow::Result<Option<DueLink>>;
    /// The same for links whose tokens nobody has renewed for long.
    async fn take_any_to_renew_for_worker(&self, providers: &[&str], now: Timestamp) -> anyhow::Result<Option<DueLink>>;
    /// Takes the active link whose consent wants something done for longest, whoever owns it, and keeps it from other workers for ten minutes.
    async fn take_any_consent_for_worker(&self, now: Timestamp) -> anyhow::Result<Option<DueLink>>;
    /// Notes when there is something to do about a link's consent next, if it is still the one that was looked at.
    async fn await_consent_for_worker(&self, link: &Link, due_at: Option<Timestamp>) -> anyhow::Result<()>;
    /// Pending links whose walks to the bank were all over before that instant, whoever owns them; a hundred at most.
    async fn any_abandoned_for_worker(&self, before: Timestamp) -> anyhow::Result<Vec<DueLink>>;
    /// Forgets walks to banks that were over before that instant, whoever made them.
    async fn forget_walks_for_worker(&self, before: Timestamp) -> anyhow::Result<()>;
    /// Whether a user is neither kept out nor going to be erased.
    async fn may_sign_in(&self, user: UserId) -> anyhow::Result<bool>;
}
