//! Live: by what one sees from afar that something of a user moved.

use std::collections::HashMap;

use async_trait::async_trait;

use super::id::{SyncId, UserId};

/// Where everything of a user stands that somebody may follow. Another mark means: look again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark {
    /// Where the count of changes stands.
    pub changes: i64,
    /// The syncs that are not over: which, how often begun, and whether one is at work.
    pub syncs: Vec<(SyncId, u32, bool)>,
    /// How many sessions were ended.
    pub ended_sessions: i64,
}

/// Looks at many users at once.
#[async_trait]
pub trait MarkReader: Send + Sync {
    /// The marks of these users, in as many statements as there are parts to a mark, however many users there are.
    async fn marks(&self, users: &[UserId]) -> anyhow::Result<HashMap<UserId, Mark>>;
}
