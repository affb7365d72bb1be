//! Consents: what somebody agreed to here, when, and until when.

use async_trait::async_trait;
use chrono::Duration;

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

/// How many hours before its end a consent of a week or longer is warned of, once each. A shorter one is warned of in proportion.
const WARNING_HOURS: [i32; 3] = [72, 24, 2];

/// How many hours a week has.
const WEEK_HOURS: i32 = 168;

/// From when to when a link's consent lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsentTerm {
    /// When it was given.
    pub began_at: Timestamp,
    /// When it ends, whatever is renewed.
    pub ends_at: Timestamp,
}

impl ConsentTerm {
    /// When its user is warned, in that order.
    pub fn warnings(self) -> [Timestamp; 3] {
        let lasts = self.ends_at.since(self.began_at).clamp(Duration::zero(), Duration::hours(WEEK_HOURS.into()));
        WARNING_HOURS.map(|hours| self.ends_at.minus(lasts * hours / WEEK_HOURS))
    }

    /// Whether it is over.
    pub fn is_over(self, now: Timestamp) -> bool {
        self.ends_at <= now
    }

    /// Whether it ends soon enough to be warned of, or is over.
    pub fn is_ending(self, now: Timestamp) -> bool {
        self.warnings()[0] <= now
    }

    /// Whether a warning is due that was not given yet. Of several that were missed only the latest counts.
    pub fn is_warning_due(self, warned_at: Option<Timestamp>, now: Timestamp) -> bool {
        let latest = self.warnings().into_iter().rfind(|warning| *warning <= now);
        !self.is_over(now) && latest.is_some_and(|latest| warned_at.is_none_or(|warned| warned < latest))
    }

    /// When there is something to do about it next.
    pub fn next_after(self, now: Timestamp) -> Timestamp {
        self.warnings().into_iter().find(|warning| *warning > now).unwrap_or(self.ends_at)
    }
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
