//! Links that nothing came of: their walks to the bank are over, since nobody came back or a process stopped in the middle, and they say so.

use std::sync::Arc;

use chrono::Duration;
use tokio_util::sync::CancellationToken;

use crate::{
    application::{
        access::Requester,
        audit::{Attempt, Journal},
        ports::Store,
        schedule::pass_over,
    },
    domain::{
        audit::{Act, ResourceKind},
        link::{LinkReason, LinkStatus},
        schedule::{DueLink, Schedule},
        time::{Clock, Timestamp},
    },
};

use super::LinkError;

/// How long after its end a walk may still be concluded: whoever came back may wait for the bank, and for the database.
const GRACE_MINUTES: i64 = 5;

/// How many hours walks are kept that are over, so that who comes back late is told that it was too late.
const KEPT_HOURS: i64 = 24;

/// Fails them.
pub struct AbandonedLinks {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Which there are.
    pub schedule: Arc<dyn Schedule>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl AbandonedLinks {
    /// Fails those there are, until `stop`, and forgets walks of long ago; answers how many it failed.
    pub async fn fail_due(&self, stop: &CancellationToken) -> anyhow::Result<usize> {
        let now = self.clock.now();
        self.schedule.forget_walks_for_worker(now.minus(Duration::hours(KEPT_HOURS))).await?;
        let mut failed = 0;
        let over = now.minus(Duration::minutes(GRACE_MINUTES));
        for due in self.schedule.any_abandoned_for_worker(over).await? {
            if stop.is_cancelled() {
                break;
            }
            let attempt = self.journal.attempt(&Requester::worker(due.user), Act::CompleteLink).await?;
            attempt.upon(ResourceKind::Link, due.link.0);
            match attempt.settle(self.fail(&attempt, due, over)).await {
                Err(LinkError::Failed(_)) => failed += 1,
                Err(LinkError::Unexpected(failure)) => pass_over(due, failure)?,
                // Somebody came back, or another worker was here first.
                Ok(()) | Err(_) => {}
            }
        }
        Ok(failed)
    }

    async fn fail(&self, attempt: &Attempt, DueLink { link, user }: DueLink, over: Timestamp) -> Result<(), LinkError> {
        let mut work = self.store.begin(attempt).await?;
        work.accounts().take_turn(user).await?;
        let found = work.links().find(user, link).await?.filter(|link| link.status == LinkStatus::Pending);
        let mut link = found.ok_or(LinkError::SpentState)?;
        let walks = work.links().walks(user, link.id).await?;
        // Its user may have set out again.
        if walks.iter().any(|walk| walk.over_at() >= over) {
            return Err(LinkError::SpentState);
        }
        let was_answered = walks.iter().max_by_key(|walk| walk.over_at()).is_some_and(|walk| walk.spent_at.is_some());
        let reason = if was_answered { LinkReason::Interrupted } else { LinkReason::TimedOut };
        link.fail(reason).map_err(|_| LinkError::SpentState)?;
        work.links().save(&link).await?;
        let refusal = LinkError::Failed(reason);
        work.refuse(&refusal).await?;
        Err(refusal)
    }
}
