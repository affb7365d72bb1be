//! Changes: what of a user's money came, changed and went, in the order in which it was committed.
//!
//! Each user has a count of changes. Every change takes the next positions of it, as the last thing before its commit and so that nobody
//! else does meanwhile: positions are committed in their order, and who has read up to one has missed nothing before it. Of each object
//! two positions are kept, where it came in and where it last changed. That is all a reader needs, so a cursor never gets too old.

use std::collections::HashMap;

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    id::{LinkId, UserId},
    transaction::words,
};

words! {
    /// What is followed.
    ChangedKind {
        /// Links.
        Link = "link",
        /// Accounts with their balances.
        Account = "account",
        /// Transactions.
        Transaction = "transaction",
        /// Holdings.
        Holding = "holding",
    }
}

/// How far somebody has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChangeCursor {
    /// Whose changes.
    pub user: UserId,
    /// Up to where; 0 for who has read nothing.
    pub position: i64,
    /// Where the count stood when they began from nothing, until they are past it: what they have not read yet they will read as it is
    /// then, so no older change of it is news to them.
    pub since: i64,
}

impl ChangeCursor {
    /// Before everything.
    pub fn start(user: UserId) -> Self {
        Self { user, position: 0, since: 0 }
    }

    /// After everything up to a position.
    pub fn at(user: UserId, position: i64) -> Self {
        Self { user, position, since: 0 }
    }

    /// The same for a reading that begins now, with the count at `head`, if it begins from nothing.
    #[must_use]
    pub fn begun(self, head: i64) -> Self {
        if self == Self::start(self.user) { Self { since: head, ..self } } else { self }
    }

    /// After one more reading, of changes up to `last`. With nothing left everything is read that was there at its beginning.
    #[must_use]
    pub fn after(self, last: Option<i64>, has_more: bool) -> Self {
        let read = last.unwrap_or(self.position);
        let position = if has_more { read } else { read.max(self.since) };
        Self { position, since: if position < self.since { self.since } else { 0 }, ..self }
    }

    /// From where on a later change of what is known already counts.
    pub fn news_from(self) -> i64 {
        self.position.max(self.since)
    }
}

/// One thing that happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Where it stands in the user's count.
    pub position: i64,
    /// Of which kind the object is.
    pub kind: ChangedKind,
    /// The object.
    pub id: Uuid,
    /// Where the object came in.
    pub added_position: i64,
}

impl Change {
    /// Whether this is where the object came in.
    pub fn is_addition(&self) -> bool {
        self.position == self.added_position
    }
}

/// The log, for queries. What writes links, accounts, transactions and holdings writes it.
#[async_trait]
pub trait ChangeReader: Send + Sync {
    /// Where the count of `owner` stands.
    async fn head(&self, owner: UserId) -> anyhow::Result<i64>;
    /// Where the counts of several owners stand, in one statement; one without changes may be missing.
    async fn heads(&self, owners: &[UserId]) -> anyhow::Result<HashMap<UserId, i64>>;
    /// The first changes after a cursor of its user, in their order: every object that came in, and every one whose last change is news.
    async fn after(&self, cursor: ChangeCursor, limit: u32) -> anyhow::Result<Vec<Change>>;
    /// The links of `owner` that came in or changed after a position, with where each last did, in that order.
    async fn links_after(&self, owner: UserId, position: i64) -> anyhow::Result<Vec<(LinkId, i64)>>;
}
