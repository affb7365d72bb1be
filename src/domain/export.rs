//! Exports: everything kept about a user, in one archive, for a few minutes.

use async_trait::async_trait;

use super::{
    id::{ExportId, UserId},
    time::Timestamp,
};

/// How long an export can be fetched, in minutes.
pub const EXPORT_MINUTES: i64 = 5;

/// The version of the archive's form: a number that rises when a reader of older ones would be misled.
pub const EXPORT_VERSION: u32 = 1;

/// A user's leave to fetch everything kept about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Export {
    /// Never changes.
    pub id: ExportId,
    /// Whose it is.
    pub user: UserId,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it cannot be fetched any more.
    pub expires_at: Timestamp,
}

/// Exports, inside a unit of work.
#[async_trait]
pub trait Exports: Send {
    /// A new one; those of the same user that are over by then are forgotten.
    async fn insert(&mut self, export: &Export) -> anyhow::Result<()>;
}

/// Exports, before anything is read.
#[async_trait]
pub trait ExportReader: Send + Sync {
    /// An export of `owner` that can be fetched at `now`.
    async fn find_live(&self, owner: UserId, id: ExportId, now: Timestamp) -> anyhow::Result<Option<Export>>;
}
