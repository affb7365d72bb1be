//! Payloads: what a provider answered to one stage of a sync, kept sealed for a while so that it can be mapped once more.

use async_trait::async_trait;

use super::{
    id::{LinkId, PayloadId, UserId},
    time::Timestamp,
};

/// The most bytes that one payload may have, sealed.
pub const MOST_OF_ONE: usize = 4 * 1024 * 1024;

/// The most bytes that all payloads of a link may have together; the oldest go for the youngest.
pub const MOST_OF_A_LINK: u64 = 64 * 1024 * 1024;

/// One payload where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Never changes.
    pub id: PayloadId,
    /// Whose it is.
    pub user: UserId,
    /// The link it came through.
    pub link: LinkId,
    /// When the provider was asked.
    pub fetched_at: Timestamp,
    /// Until when it is kept.
    pub expires_at: Timestamp,
    /// The envelope.
    pub sealed: Vec<u8>,
}

/// Payloads, inside a unit of work.
#[async_trait]
pub trait Payloads: Send {
    /// Keeps one, and drops of its link the oldest that there is no more room for, and whatever is older than this one is to become.
    async fn keep(&mut self, payload: &Payload) -> anyhow::Result<()>;
    /// The youngest of a link that is still to be kept.
    async fn youngest(&mut self, owner: UserId, link: LinkId, now: Timestamp) -> anyhow::Result<Option<PayloadId>>;
    /// Drops all of a link.
    async fn forget(&mut self, owner: UserId, link: LinkId) -> anyhow::Result<()>;
}

/// Payloads, before a transaction is opened.
#[async_trait]
pub trait PayloadReader: Send + Sync {
    /// The links that have any, whoever owns them, for the operator.
    async fn links_of_anyone(&self, now: Timestamp) -> anyhow::Result<Vec<(UserId, LinkId)>>;
    /// Those of a link of `owner`, youngest first.
    async fn of_link(&self, owner: UserId, link: LinkId, now: Timestamp) -> anyhow::Result<Vec<PayloadId>>;
    /// One of `owner`.
    async fn find(&self, owner: UserId, id: PayloadId) -> anyhow::Result<Option<Payload>>;
}
