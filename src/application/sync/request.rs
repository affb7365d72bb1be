//! Asking for a sync, and looking at how the last one went.

use std::{collections::HashMap, sync::Arc};

use chrono::Duration;
use tokio::sync::Notify;

use crate::{
    application::{
        QueryError,
        access::{Access, Denied, Requester, Resource},
        audit::Journal,
        ports::{Randomness, Store},
        provider::Catalogue,
    },
    domain::{
        audit::{Act, ResourceKind},
        event::Event,
        failure::Reason,
        id::{LinkId, SyncId},
        link::LinkStatus,
        page::{CreatedKey, Page, Slice},
        sync::{SYNC_PAUSE_MINUTES, Sync, SyncOrigin, SyncReader, SyncStatus},
        time::{Clock, Timestamp},
    },
};

/// Why a sync is not asked for.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// Absent or someone else's.
    #[error("no such link")]
    NotFound,
    /// The link is not working; link again.
    #[error("the link is not active")]
    NotActive,
    /// Nothing to ask: files are imported.
    #[error("this link has no provider to ask")]
    NotSyncable,
    /// One is under way.
    #[error("a sync of this link is under way")]
    UnderWay,
    /// One waits, since the provider asked to be left alone until then.
    #[error("the provider asked to be left alone until {0}; the sync that waits goes on then by itself")]
    ProviderRests(Timestamp),
    /// The last one is less than five minutes old.
    #[error("the link was synced less than five minutes ago; pass force to sync all the same")]
    TooSoon,
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for SyncError {
    fn reason(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::NotActive => "not_active",
            Self::NotSyncable => "not_syncable",
            Self::UnderWay => "under_way",
            Self::ProviderRests(_) => "rate_limited",
            Self::TooSoon => "too_soon",
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Asking for a sync.
pub struct RequestSync {
    /// Who asks.
    pub requester: Requester,
    /// Of which link.
    pub link: LinkId,
    /// Even if the last one is recent.
    pub force: bool,
}

/// Asks for syncs.
pub struct SyncCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// What roles may do.
    pub access: Access,
    /// What can be synced.
    pub catalogue: Arc<Catalogue>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub randomness: Arc<dyn Randomness>,
    /// Wakes the worker of this process.
    pub wake: Arc<Notify>,
}

impl SyncCommands {
    /// Queues a sync; a worker takes it.
    pub async fn request(&self, command: RequestSync) -> Result<Sync, SyncError> {
        let attempt = self.journal.attempt(&command.requester, Act::RequestSync).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::RequestSync)?;
                let mut work = self.store.begin(&attempt).await?;
                let link = work.links().find(owner, command.link).await?.ok_or(SyncError::NotFound)?;
                attempt.upon(ResourceKind::Link, command.link.0);
                self.catalogue.linkable(&link.provider).ok_or(SyncError::NotSyncable)?;
                if link.status != LinkStatus::Active {
                    return Err(SyncError::NotActive);
                }
                let now = self.clock.now();
                let recent = |last: &Sync| {
                    last.status == SyncStatus::Succeeded && last.finished_at.is_some_and(|at| now.since(at) < Duration::minutes(SYNC_PAUSE_MINUTES))
                };
                let last = work.syncs().latest(owner, link.id).await?;
                if !command.force && last.as_ref().is_some_and(recent) {
                    return Err(SyncError::TooSoon);
                }
                let waiting = work.syncs().hurry(owner, link.id, now).await?;
                let is_new = waiting.is_none();
                let sync = waiting.unwrap_or_else(|| Sync::request(SyncId(self.randomness.id()), link.id, owner, SyncOrigin::Requested, now));
                if is_new && !work.syncs().insert(&sync).await? {
                    return Err(last.and_then(|last| last.rests_until(now)).map_or(SyncError::UnderWay, SyncError::ProviderRests));
                }
                work.succeed(Event::SyncRequested { sync: sync.id, user: owner }).await?;
                self.wake.notify_one();
                Ok(sync)
            })
            .await
    }
}

/// Looks at syncs.
pub struct SyncQueries {
    /// What roles may do.
    pub access: Access,
    /// Where syncs are kept.
    pub syncs: Arc<dyn SyncReader>,
}

impl SyncQueries {
    /// Those of `ids` that are of one's own links, in no particular order.
    pub async fn find_many(&self, requester: &Requester, ids: &[SyncId]) -> Result<Vec<Sync>, QueryError> {
        let owner = self.access.reader(requester, Resource::Links)?;
        Ok(self.syncs.find_many(owner, ids).await?)
    }

    /// The youngest sync of each of one's own links.
    pub async fn latest_of(&self, requester: &Requester, links: &[LinkId]) -> Result<Vec<Sync>, QueryError> {
        let owner = self.access.reader(requester, Resource::Links)?;
        Ok(self.syncs.latest_of(owner, links).await?)
    }

    /// The same page of the syncs of each of one's own links.
    pub async fn pages_by_link(&self, requester: &Requester, links: &[LinkId], page: Page<CreatedKey>) -> Result<HashMap<LinkId, Slice<Sync>>, QueryError> {
        let owner = self.access.reader(requester, Resource::Links)?;
        Ok(self.syncs.pages_by_link(owner, links, page).await?)
    }
}
