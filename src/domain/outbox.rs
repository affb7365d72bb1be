//! The outbox: what has to leave the house, from the commit that gave reason for it to its delivery.
//!
//! A message leaves at least once. It is tried again with growing pauses, and parked when that was of no use: a parked message holds nobody up,
//! and waits for an operator, who lets it go again or drops it.

use async_trait::async_trait;
use chrono::Duration;

use super::{
    id::{MessageId, UserId},
    time::Timestamp,
};

/// How often a message is tried before it is parked: with the pauses between, for about half a day.
pub const MAX_ATTEMPTS: u32 = 12;

/// How long a courier may hold a message before another takes it for dead.
pub const LEASE_MINUTES: i64 = 5;

/// How long delivered messages are kept.
pub const DELIVERED_DAYS: i64 = 7;

/// How long a message may wait before an operator should know.
pub const OVERDUE_MINUTES: i64 = 15;

/// How long to wait after a try that failed; `None` when there were enough. It doubles from half a minute to four hours, and `chance` adds up to
/// half of that, so that what failed together does not come back together.
pub fn pause(attempts: u32, chance: u8) -> Option<Duration> {
    let whole = (15_000 << attempts.min(10)).min(4 * 3_600_000);
    (attempts < MAX_ATTEMPTS).then(|| Duration::milliseconds(whole + whole / 2 * i64::from(chance) / 255))
}

/// A message that is not out yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same for every try.
    pub id: MessageId,
    /// What it is about, such as `mail.verification`.
    pub topic: String,
    /// Whom it is for; `None` for nobody we know.
    pub user: Option<UserId>,
    /// When the reason for it arose.
    pub created_at: Timestamp,
    /// When it is tried next, unless it is parked.
    pub available_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up.
    pub parked_at: Option<Timestamp>,
    /// Why the last try failed, in a word.
    pub problem: Option<String>,
}

/// How much of one topic is not out yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// The topic.
    pub topic: String,
    /// Messages that will be tried.
    pub waiting: u64,
    /// Those of them that wait longer than [`OVERDUE_MINUTES`].
    pub overdue: u64,
    /// Messages that were given up.
    pub parked: u64,
}

/// The outbox for an operator, inside a unit of work.
#[async_trait]
pub trait Outbox: Send {
    /// A message that is not out yet, whoever it is for. No courier takes it before the unit of work ends.
    async fn find_any_for_operator(&mut self, id: MessageId) -> anyhow::Result<Option<Message>>;
    /// It is tried at once, as if for the first time.
    async fn retry(&mut self, id: MessageId, now: Timestamp) -> anyhow::Result<()>;
    /// It is forgotten.
    async fn drop(&mut self, id: MessageId) -> anyhow::Result<()>;
}

/// The outbox for an operator, from the pool.
#[async_trait]
pub trait OutboxReader: Send + Sync {
    /// Messages that are not out yet, whoever they are for, oldest first; only those that are parked when `parked` says so.
    async fn undelivered_for_operator(&self, parked: bool, limit: u64) -> anyhow::Result<Vec<Message>>;
    /// How much is not out yet, by topic.
    async fn backlog(&self, now: Timestamp) -> anyhow::Result<Vec<Backlog>>;
}
