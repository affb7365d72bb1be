//! Changes of address: from asking for one to the end of the days in which the old address can be taken back.
//!
//! Each change keeps its own way back. Taking back an earlier one undoes those that came after it too, since whoever made them may have
//! made the earlier one as well.

use async_trait::async_trait;

use super::{
    id::{EmailChangeId, MailTokenId, UserId},
    time::Timestamp,
    user::EmailAddress,
};

/// How long the token that confirms a new address works, in hours.
pub const CONFIRMATION_HOURS: i64 = 24;

/// How long the old address can be taken back, in days.
pub const REVERT_DAYS: i64 = 7;

/// How long a change that nobody confirmed stays known, in days.
pub const CHANGE_KEPT_DAYS: i64 = 30;

/// One user's step from one address to another.
#[derive(Debug, Clone)]
pub struct EmailChange {
    /// Never changes.
    pub id: EmailChangeId,
    /// Whose it is.
    pub user: UserId,
    /// The address when it was asked for, and from its confirmation on the one it took the place of.
    pub previous: EmailAddress,
    /// The address that is wanted.
    pub new: EmailAddress,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// The token that went to the new address.
    pub confirmation: MailTokenId,
    /// When the new address was confirmed, and the token that went to the previous one then.
    pub confirmed: Option<(Timestamp, MailTokenId)>,
    /// When the previous address was taken back.
    pub reverted_at: Option<Timestamp>,
}

/// Changes of address, inside a unit of work.
#[async_trait]
pub trait EmailChanges: Send {
    /// A change that is asked for.
    async fn insert(&mut self, change: &EmailChange) -> anyhow::Result<()>;
    /// The change of `owner` that this token confirms or takes back.
    async fn find_by_token(&mut self, owner: UserId, token: MailTokenId) -> anyhow::Result<Option<EmailChange>>;
    /// Stores what has become of a known change.
    async fn save(&mut self, change: &EmailChange) -> anyhow::Result<()>;
    /// Those of `owner` that were confirmed at or after an instant and are not taken back.
    async fn standing_since(&mut self, owner: UserId, since: Timestamp) -> anyhow::Result<Vec<EmailChange>>;
}
