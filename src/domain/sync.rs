//! Syncs: the durable job that brings a link up to date, and its history.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::Duration;

use super::{
    id::{LinkId, SyncId, UserId},
    link::{Link, LinkStatus},
    page::{CreatedKey, Page, Slice},
    time::Timestamp,
    transaction::words,
};

/// How soon after the last success a sync is refused unless forced.
pub const SYNC_PAUSE_MINUTES: i64 = 5;

/// How often a sync is tried before it is given up.
pub const MAX_SYNC_ATTEMPTS: u32 = 5;

/// How many days a sync is kept that has ended, but for the last of each link.
pub const SYNC_HISTORY_DAYS: i64 = 90;

/// How long a worker may hold a job before another takes it for dead.
pub const SYNC_LEASE_MINUTES: i64 = 10;

words! {
    /// How far a sync has come.
    SyncStatus {
        /// Waiting for a worker.
        Queued = "queued",
        /// At work.
        Running = "running",
        /// Done.
        Succeeded = "succeeded",
        /// Given up.
        Failed = "failed",
    }
}

words! {
    /// Why a sync did not succeed.
    SyncProblem {
        /// The bank could not be reached, or took too long.
        ProviderUnreachable = "provider_unreachable",
        /// The bank reported an error of its own.
        ProviderError = "provider_error",
        /// The bank asked for fewer requests.
        RateLimited = "rate_limited",
        /// The bank's answer could not be read.
        MalformedAnswer = "malformed_answer",
        /// The bank no longer accepts the stored tokens; link again.
        CredentialsRejected = "credentials_rejected",
        /// The bank does not accept this server's own credentials, which its operator has to mend; the link is as good as it was.
        AppRejected = "app_rejected",
        /// The provider wants to be paid first; it is the user who pays it.
        ProviderUnpaid = "provider_unpaid",
        /// Some rows of the bank's answer could not be read; the others are in.
        RowsRefused = "rows_refused",
        /// Some accounts did not answer; the others are in, and these are as they were.
        AccountsUnanswered = "accounts_unanswered",
        /// The same, and they answer again once their owner has signed in at the provider.
        SignInNeeded = "sign_in_needed",
        /// An account is reported in another currency than before; it stays as it was, and the others are in.
        CurrencyChanged = "currency_changed",
        /// The worker stopped in the middle, too often.
        Interrupted = "interrupted",
        /// The link was unlinked, or does not work any more, before it was done.
        LinkEnded = "link_ended",
        /// The link was linked once more before it was done; another sync took its place.
        Superseded = "superseded",
        /// A fault of ours; the log knows more.
        Internal = "internal",
    }
}

impl SyncProblem {
    /// Whether a sync that succeeded brought nothing of some account.
    pub fn leaves_accounts_out(self) -> bool {
        matches!(self, Self::AccountsUnanswered | Self::SignInNeeded | Self::CurrencyChanged)
    }
}

words! {
    /// What a sync was asked for by.
    SyncOrigin {
        /// A link that had just been linked, for the first time or once more.
        Linked = "linked",
        /// Somebody who wanted it.
        Requested = "requested",
        /// The schedule.
        Scheduled = "scheduled",
    }
}

/// What a sync has changed so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SyncCounts {
    /// Accounts seen.
    pub accounts: u32,
    /// Transactions that are new.
    pub added: u32,
    /// Transactions that changed.
    pub modified: u32,
    /// Transactions the provider withdrew.
    pub removed: u32,
    /// Rows that could not be read.
    pub refused: u32,
}

/// One run, queued or done, that brings a link up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    /// Never changes.
    pub id: SyncId,
    /// The link.
    pub link: LinkId,
    /// Whose it is.
    pub user: UserId,
    /// What it was asked for by.
    pub origin: SyncOrigin,
    /// How far it has come.
    pub status: SyncStatus,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Not before this.
    pub run_after: Timestamp,
    /// How often it was begun.
    pub attempts: u32,
    /// When it was last begun.
    pub started_at: Option<Timestamp>,
    /// When it succeeded or was given up.
    pub finished_at: Option<Timestamp>,
    /// When the provider was asked for the recent days whose rows it has stored; `None` before.
    pub recent_at: Option<Timestamp>,
    /// Why it failed, or what was left out of a success.
    pub problem: Option<SyncProblem>,
    /// What it changed.
    pub counts: SyncCounts,
}

impl Sync {
    /// A sync to be run as soon as a worker is free.
    pub fn request(id: SyncId, link: LinkId, user: UserId, origin: SyncOrigin, now: Timestamp) -> Self {
        Self {
            id,
            link,
            user,
            origin,
            status: SyncStatus::Queued,
            created_at: now,
            run_after: now,
            attempts: 0,
            started_at: None,
            finished_at: None,
            recent_at: None,
            problem: None,
            counts: SyncCounts::default(),
        }
    }

    /// When it is tried again; `None` unless a try failed and another one follows.
    pub fn next_try_at(&self) -> Option<Timestamp> {
        Some(self.run_after).filter(|_| self.status == SyncStatus::Queued && self.problem.is_some())
    }

    /// Until when the provider wants to be left alone, where this was put off for that; `None` when it may be asked.
    pub fn rests_until(&self, now: Timestamp) -> Option<Timestamp> {
        let is_put_off = self.problem == Some(SyncProblem::RateLimited);
        self.next_try_at().filter(|until| is_put_off && *until > now)
    }

    /// All pages are in.
    pub fn succeed(&mut self, problem: Option<SyncProblem>, now: Timestamp) {
        (self.status, self.problem, self.finished_at) = (SyncStatus::Succeeded, problem, Some(now));
    }

    /// It will not be tried again.
    pub fn give_up(&mut self, problem: SyncProblem, now: Timestamp) {
        (self.status, self.problem, self.finished_at) = (SyncStatus::Failed, Some(problem), Some(now));
    }

    /// Tries again after `pause`, or gives up when it was tried often enough.
    pub fn retry_or_give_up(&mut self, problem: SyncProblem, pause: Duration, now: Timestamp) {
        if self.attempts >= MAX_SYNC_ATTEMPTS {
            self.give_up(problem, now);
        } else {
            (self.status, self.problem, self.run_after) = (SyncStatus::Queued, Some(problem), now.plus(pause));
        }
    }

    /// As it goes with what is known of its link. A sync that ended after the link was read is told as it was then, so that nobody takes what the
    /// link says for what came of it.
    #[must_use]
    pub fn beside(self, link: &Link) -> Self {
        let brought_all = self.status == SyncStatus::Succeeded && !self.problem.is_some_and(SyncProblem::leaves_accounts_out);
        if brought_all && link.status == LinkStatus::Active && self.recent_at.is_some_and(|recent| link.synced_at.is_none_or(|known| known < recent)) {
            Self { status: SyncStatus::Running, finished_at: None, problem: None, ..self }
        } else {
            self
        }
    }

    /// Whether it has yet to end.
    pub fn is_open(&self) -> bool {
        matches!(self.status, SyncStatus::Queued | SyncStatus::Running)
    }
}

/// Syncs, inside a unit of work.
#[async_trait]
pub trait Syncs: Send {
    /// The youngest sync of one of the owner's links.
    async fn latest(&mut self, owner: UserId, link: LinkId) -> anyhow::Result<Option<Sync>>;
    /// A requested sync; `false` when the link has an open one already.
    async fn insert(&mut self, sync: &Sync) -> anyhow::Result<bool>;
    /// Has the sync of a link that waits for its turn, or to be tried again, run at once, as somebody wants it by now. `None` when none waits, one
    /// runs or is about to, and where the provider itself asked to wait.
    async fn hurry(&mut self, owner: UserId, link: LinkId, now: Timestamp) -> anyhow::Result<Option<Sync>>;
    /// Stores the end, or the retry, of a run this worker still holds; `false` when another worker took it over, or it was ended.
    async fn save(&mut self, sync: &Sync) -> anyhow::Result<bool>;
    /// Ends what of a link's syncs has yet to end, also one that a worker is at: it writes nothing any more.
    async fn end_open(&mut self, owner: UserId, link: LinkId, problem: SyncProblem, now: Timestamp) -> anyhow::Result<()>;
}

/// The queue a worker takes from. Each call is a statement of its own; no unit of work is open.
#[async_trait]
pub trait SyncQueue: Send + std::marker::Sync {
    /// Puts every running job back, whoever owns it: for a process that is the only worker, and has just started. A worker that is still at
    /// one after all finds it taken over. Answers how many.
    async fn give_back_all_for_worker(&self, now: Timestamp) -> anyhow::Result<u64>;
    /// Puts one job back that this worker cannot finish, as if it had not been begun, unless another has taken it over.
    async fn give_back_for_worker(&self, held: &Sync, now: Timestamp) -> anyhow::Result<()>;
    /// Takes the job that has waited longest, whoever owns it, and marks it as running; a job held longer than its lease counts as waiting. What
    /// the schedule asked for waits behind what somebody waits for. Links of providers that are `busy` wait.
    async fn take_any_for_worker(&self, busy: &[String], now: Timestamp) -> anyhow::Result<Option<Sync>>;
    /// Forgets those that ended so long ago that nobody asks for them, whoever owns them, but for the last of each link. Answers how many.
    async fn forget_old_for_worker(&self, now: Timestamp) -> anyhow::Result<u64>;
    /// How many are not done, whoever owns them.
    async fn backlog(&self, now: Timestamp) -> anyhow::Result<SyncBacklog>;
}

/// How many syncs are not done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SyncBacklog {
    /// They wait for a worker.
    pub queued: u64,
    /// They are at work.
    pub running: u64,
    /// A process that died left them in the middle, and no other has taken them up.
    pub dead: u64,
    /// Those of the waiting that no worker took, though they could for more than a quarter of an hour.
    pub overdue: u64,
    /// Active links whose last sync was given up.
    pub failing: u64,
    /// Since when the first of those fails.
    pub failing_since: Option<Timestamp>,
}

/// After how many minutes a sync that could be taken is overdue.
pub const OVERDUE_MINUTES: i64 = 15;

/// Syncs for queries and loaders.
#[async_trait]
pub trait SyncReader: Send + std::marker::Sync {
    /// Those of `ids` that belong to `owner`, in no particular order.
    async fn find_many(&self, owner: UserId, ids: &[SyncId]) -> anyhow::Result<Vec<Sync>>;
    /// The youngest sync of each of several of the owner's links.
    async fn latest_of(&self, owner: UserId, links: &[LinkId]) -> anyhow::Result<Vec<Sync>>;
    /// The same page of the syncs of each of several of the owner's links, oldest first.
    async fn pages_by_link(&self, owner: UserId, links: &[LinkId], page: Page<CreatedKey>) -> anyhow::Result<HashMap<LinkId, Slice<Sync>>>;
}
