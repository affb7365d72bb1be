//! Consents: what somebody agreed to here, when, and until when.

use async_trait::async_trait;

use super::{
    id::{ConsentId, LinkId, UserId},
    page::{CreatedKey, Page, Slice},
    time::Timestamp,
};

/// A user's consent that a provider is read for them, as they gave it at the provider. It stays on record after its link is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Never changes.
    pub id: ConsentId,
    /// Whose it is.
    pub user: UserId,
    /// The link it was given for.
    pub link: LinkId,
    /// The provider's slug.
    pub provider: String,
    /// When it was given.
    pub given_at: Timestamp,
    /// When it ends by itself; `None` when the provider does not say.
    pub expires_at: Option<Timestamp>,
    /// When it was withdrawn here.
    pub withdrawn_at: Option<Timestamp>,
}

/// Consents, inside a unit of work.
#[async_trait]
pub trait Consents: Send {
    /// A consent that was given.
    async fn insert(&mut self, consent: &Consent) -> anyhow::Result<()>;
    /// Withdraws what of the consents given for a link stands.
    async fn withdraw(&mut self, owner: UserId, link: LinkId, now: Timestamp) -> anyhow::Result<()>;
    /// Withdraws every consent of `owner` that stands.
    async fn withdraw_all(&mut self, owner: UserId, now: Timestamp) -> anyhow::Result<()>;
}

/// Consents for queries.
#[async_trait]
pub trait ConsentReader: Send + Sync {
    /// The consents of `owner`, oldest first.
    async fn page(&self, owner: UserId, page: Page<CreatedKey>) -> anyhow::Result<Slice<Consent>>;
}
