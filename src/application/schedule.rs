//! The scheduler: asks for what nobody asks for.
//!
//! Every active link is synced by itself, a few times while its provider's data counts as fresh. What is queued here goes into the same queue
//! as what people ask for, behind it, and a link has one open sync at most, so any number of processes may look. A link whose turn was missed
//! is synced once, however often it was missed.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::domain::{
    audit::{Act, ResourceKind},
    event::Event,
    failure::{Reason, is_unavailable},
    id::SyncId,
    link::LinkStatus,
    schedule::{DueLink, Schedule, SyncPlan},
    sync::{Sync, SyncOrigin},
    time::Clock,
};

use super::{
    access::Requester,
    audit::Journal,
    consent::ConsentClock,
    link::AbandonedLinks,
    ports::{Randomness, Store},
    provider::Catalogue,
    renewal::Renewer,
};

/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_mins(1);

/// Asks for syncs that are due.
pub struct Scheduler {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// What is due.
    pub schedule: Arc<dyn Schedule>,
    /// What can be synced.
    pub catalogue: Arc<Catalogue>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub randomness: Arc<dyn Randomness>,
}

/// Why a sync that was due is not queued.
#[derive(Debug, thiserror::Error)]
enum ScheduleError {
    #[error("the link is not active any more")]
    NotActive,
    #[error("a sync of this link is under way")]
    UnderWay,
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for ScheduleError {
    fn reason(&self) -> &'static str {
        match self {
            Self::NotActive => "not_active",
            Self::UnderWay => "under_way",
            Self::Unexpected(_) => "internal",
        }
    }
}

impl Scheduler {
    /// Queues a sync for every link whose turn has come, until `stop`; answers how many it queued.
    pub async fn queue_due(&self, stop: &CancellationToken) -> anyhow::Result<usize> {
        let providers = self.catalogue.syncable();
        let mut queued = 0;
        while !stop.is_cancelled()
            && let Some(due) = self.schedule.take_any_to_sync_for_worker(&providers, self.clock.now()).await?
        {
            match self.queue(due).await {
                Ok(is_queued) => queued += usize::from(is_queued),
                Err(failure) => pass_over(due, failure)?,
            }
        }
        Ok(queued)
    }

    /// `false` when somebody was faster, or the link ended meanwhile.
    async fn queue(&self, DueLink { link, user }: DueLink) -> anyhow::Result<bool> {
        let attempt = self.journal.attempt(&Requester::worker(user), Act::ScheduleSync).await?;
        attempt.upon(ResourceKind::Link, link.0);
        let queued = attempt
            .settle(async {
                let mut work = self.store.begin(&attempt).await?;
                let now = self.clock.now();
                let stored = work.links().find(user, link).await?.filter(|link| link.status == LinkStatus::Active).ok_or(ScheduleError::NotActive)?;
                let sync = Sync::request(SyncId(self.randomness.id()), link, user, SyncOrigin::Scheduled, now);
                if !work.syncs().insert(&sync).await? {
                    return Err(ScheduleError::UnderWay);
                }
                // Its turn is now; that it was kept from other workers meanwhile is nobody's concern.
                work.links().plan(user, link, &SyncPlan { due_at: now, ..stored.sync_plan.unwrap_or(SyncPlan::begun(now)) }).await?;
                Ok(work.succeed(Event::SyncRequested { sync: sync.id, user }).await?)
            })
            .await;
        match queued {
            Ok(()) => Ok(true),
            Err(ScheduleError::NotActive | ScheduleError::UnderWay) => Ok(false),
            Err(ScheduleError::Unexpected(cause)) => Err(cause),
        }
    }
}

/// Looks every minute whether something is due, until it is told to stop.
pub struct Timekeeper {
    /// Warns of the end of consents, and ends links.
    pub consents: ConsentClock,
    /// Fails links that nobody came back for.
    pub abandoned: AbandonedLinks,
    /// Renews tokens.
    pub renewer: Renewer,
    /// Queues syncs.
    pub scheduler: Scheduler,
    /// Whether links are synced by themselves.
    pub syncs_by_itself: bool,
    /// Wakes the worker of this process.
    pub wake: Arc<Notify>,
}

impl Timekeeper {
    /// Returns once `stop` is called and the look at hand is over.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => {}
            }
            // In a task of its own, so that a panic over one bank's answer costs a look and not the worker.
            let (keeper, stopped) = (self.clone(), stop.clone());
            if let Err(stopped) = tokio::spawn(async move { keeper.look(&stopped).await }).await {
                tracing::error!(panicked = stopped.is_panic(), "a look at what is due stopped in the middle");
            }
        }
    }

    async fn look(&self, stop: &CancellationToken) {
        note("consents", self.consents.strike_due(stop).await);
        note("abandoned links", self.abandoned.fail_due(stop).await);
        // Before syncs are queued, since links that one is under way for are left to it.
        note("renewals", self.renewer.renew_due(stop).await);
        if self.syncs_by_itself && note("syncs", self.scheduler.queue_due(stop).await) > 0 {
            self.wake.notify_one();
        }
    }
}

/// One link's fault holds up no other: it is told, and its turn comes again.
pub(super) fn pass_over(DueLink { link, .. }: DueLink, failure: anyhow::Error) -> anyhow::Result<()> {
    if is_unavailable(&failure) {
        return Err(failure);
    }
    tracing::error!(link = %link.0, error = ?failure, "what is due of a link could not be done");
    Ok(())
}

fn note(what: &'static str, done: anyhow::Result<usize>) -> usize {
    match done {
        Ok(0) => {}
        Ok(done) => {
            tracing::info!(what, done, "what was due was done");
            return done;
        }
        Err(failure) if is_unavailable(&failure) => tracing::warn!(what, reason = %failure, "looking for what is due has to wait"),
        Err(failure) => tracing::error!(what, error = ?failure, "what is due could not be done"),
    }
    0
}
