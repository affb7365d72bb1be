//! Erasure: forgetting a person, all of them, a day after they asked for it.
//!
//! Between asking and the day nobody signs in and nothing is fetched, and whoever reads the mailbox can call it off. What is left after it
//! is the audit trail, in which nothing leads to them.

use async_trait::async_trait;

use super::{id::UserId, link::Wiped, time::Timestamp};

/// How long after it was asked for an erasure begins at the earliest, in hours.
pub const ERASURE_HOURS: i64 = 24;

/// How long after an erasure its user's id is remembered, in hours, so that what was still under way is forgotten too.
pub const STRAGGLER_HOURS: i64 = 1;

/// How long a worker may be at an erasure before another takes it for dead, in minutes.
pub const ERASURE_LEASE_MINUTES: i64 = 15;

/// Erasures, inside a unit of work.
#[async_trait]
pub trait Erasures: Send {
    /// Whether nobody but this user administers; keeps other administrators from stepping down until the unit of work ends.
    async fn is_last_administrator(&mut self, user: UserId) -> anyhow::Result<bool>;
    /// Notes when a user is to be erased; from now on they are not active.
    async fn schedule(&mut self, user: UserId, now: Timestamp, due: Timestamp) -> anyhow::Result<()>;
    /// Calls it off; `false` when there is nothing to call off, or it has begun.
    async fn cancel(&mut self, user: UserId) -> anyhow::Result<bool>;
    /// Wipes what banks have handed out for a user, and ends the links it was for. Answers what it was.
    async fn wipe_credentials(&mut self, user: UserId) -> anyhow::Result<Vec<Wiped>>;
    /// Notes that an erasure has begun, so that it can only be finished; `false` when it is not due, was called off, or another worker is at it.
    async fn begin(&mut self, user: UserId, now: Timestamp) -> anyhow::Result<bool>;
    /// Removes up to `limit` rows of what a user has most of; answers how many it found.
    async fn remove_some(&mut self, user: UserId, limit: u32) -> anyhow::Result<u64>;
    /// Removes what of the audit trail is this person: by their id, by their addresses, by the devices they signed in from.
    async fn forget_person(&mut self, user: UserId) -> anyhow::Result<u64>;
    /// Removes the user with everything that is left; answers how many rows of the trail were theirs, `None` when another worker has done it.
    async fn finish(&mut self, user: UserId, now: Timestamp) -> anyhow::Result<Option<u64>>;
}

/// Erasures as workers see them. Each call is a transaction of its own.
#[async_trait]
pub trait ErasureQueue: Send + Sync {
    /// The user whose erasure has been due for longest and is in no worker's hands.
    async fn next_due_for_worker(&self, now: Timestamp) -> anyhow::Result<Option<UserId>>;
    /// Forgets what was written about users after they were erased, and at last their ids; those erased before `before`. Answers how many.
    async fn forget_stragglers(&self, before: Timestamp) -> anyhow::Result<u64>;
    /// Forgets changes of address that were asked for before an instant and never confirmed; answers how many. Those that were stay as long as
    /// their user: what was typed in the trail under an address they had is theirs too.
    async fn forget_email_changes(&self, before: Timestamp) -> anyhow::Result<u64>;
    /// Forgets previews of imports that ended before an instant; answers how many.
    async fn forget_previews(&self, before: Timestamp) -> anyhow::Result<u64>;
    /// Drops what providers answered that is not kept any longer; answers how much.
    async fn forget_payloads(&self, now: Timestamp) -> anyhow::Result<u64>;
    /// Sees to it that what was removed is not in the database's files any more, as far as that is ours to do.
    async fn scrub(&self) -> anyhow::Result<()>;
}
