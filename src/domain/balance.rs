//! Balances: what an account holds, and the snapshot every sync leaves.

use async_trait::async_trait;

use super::{
    id::{AccountId, UserId},
    money::Amount,
    time::Timestamp,
};

/// What an account holds, in its own currency, from the owner's view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balances {
    /// What the owner has: a debt is negative. Pending rows are never inside it. `None` when the provider did not say.
    pub current: Option<Amount>,
    /// What can be spent now, only when the provider says so.
    pub available: Option<Amount>,
    /// The credit line, only when the provider says so; never negative.
    pub limit: Option<Amount>,
    /// The instant the provider gives for these numbers, else the instant they were fetched.
    pub as_of: Option<Timestamp>,
}

/// The balances as one sync found them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceSnapshot {
    /// The account.
    pub account: AccountId,
    /// Whose it is.
    pub user: UserId,
    /// When the sync ran.
    pub taken_at: Timestamp,
    /// What it found.
    pub balances: Balances,
}

/// Snapshots, inside a unit of work.
#[async_trait]
pub trait BalanceSnapshots: Send {
    /// One more snapshot.
    async fn insert(&mut self, snapshot: &BalanceSnapshot) -> anyhow::Result<()>;
}
