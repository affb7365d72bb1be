//! The clock of consents: warns of their end, and ends links when it has come, whether anybody asks or not.

use std::sync::Arc;

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
        event::Event,
        failure::Reason,
        link::{Link, LinkReader, LinkReason, LinkStatus},
        schedule::{DueLink, Schedule},
        sync::SyncProblem,
        time::Clock,
    },
};

/// Strikes when there is something to do about a consent.
pub struct ConsentClock {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Links, before a transaction is opened.
    pub links: Arc<dyn LinkReader>,
    /// What is due.
    pub schedule: Arc<dyn Schedule>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Why nothing is done about a consent.
#[derive(Debug, thiserror::Error)]
enum StrikeError {
    #[error("somebody else has done it, or it was linked once more")]
    NotDue,
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for StrikeError {
    fn reason(&self) -> &'static str {
        match self {
            Self::NotDue => "not_due",
            Self::Unexpected(_) => "internal",
        }
    }
}

impl ConsentClock {
    /// Does what is due, until `stop`; answers how many links it ended and users it warned.
    pub async fn strike_due(&self, stop: &CancellationToken) -> anyhow::Result<usize> {
        let mut done = 0;
        while !stop.is_cancelled()
            && let Some(due) = self.schedule.take_any_consent_for_worker(self.clock.now()).await?
        {
            match self.strike(due).await {
                Ok(struck) => done += usize::from(struck),
                Err(failure) => pass_over(due, failure)?,
            }
        }
        Ok(done)
    }

    async fn strike(&self, DueLink { link, user }: DueLink) -> anyhow::Result<bool> {
        let Some(link) = self.links.find_many(user, &[link]).await?.pop() else { return Ok(false) };
        let (now, requester) = (self.clock.now(), Requester::worker(user));
        let Some(term) = link.consent_term() else {
            self.schedule.await_consent_for_worker(&link, None).await?;
            return Ok(false);
        };
        let struck = if term.is_over(now) {
            let attempt = self.journal.attempt(&requester, Act::EndConsent).await?;
            attempt.upon(ResourceKind::Link, link.id.0);
            attempt.settle(self.end(&attempt, &link)).await
        } else if term.is_warning_due(link.consent_warned_at, now) && self.schedule.may_sign_in(user).await? {
            let attempt = self.journal.attempt(&requester, Act::WarnOfConsent).await?;
            attempt.upon(ResourceKind::Link, link.id.0);
            attempt.settle(self.warn(&attempt, &link)).await
        } else {
            self.schedule.await_consent_for_worker(&link, Some(term.next_after(now))).await?;
            return Ok(false);
        };
        match struck {
            Ok(()) => Ok(true),
            Err(StrikeError::NotDue) => Ok(false),
            Err(StrikeError::Unexpected(cause)) => Err(cause),
        }
    }

    async fn end(&self, attempt: &Attempt, link: &Link) -> Result<(), StrikeError> {
        let now = self.clock.now();
        let mut work = self.store.begin(attempt).await?;
        work.accounts().take_turn(link.user).await?;
        let found = work.links().find(link.user, link.id).await?.filter(|link| link.consent_term().is_some_and(|term| term.is_over(now)));
        let mut link = found.ok_or(StrikeError::NotDue)?;
        link.expire(LinkReason::ConsentEnded).map_err(|_| StrikeError::NotDue)?;
        work.links().save(&link).await?;
        work.links().await_consent(link.user, link.id, None).await?;
        work.syncs().end_open(link.user, link.id, SyncProblem::LinkEnded, now).await?;
        work.succeed(Event::ConsentEnded { link: link.id, user: link.user }).await?;
        Ok(())
    }

    async fn warn(&self, attempt: &Attempt, link: &Link) -> Result<(), StrikeError> {
        let now = self.clock.now();
        let mut work = self.store.begin(attempt).await?;
        work.accounts().take_turn(link.user).await?;
        let mut link = work.links().find(link.user, link.id).await?.filter(|link| link.status == LinkStatus::Active).ok_or(StrikeError::NotDue)?;
        let term = link.consent_term().filter(|term| term.is_warning_due(link.consent_warned_at, now)).ok_or(StrikeError::NotDue)?;
        link.consent_warned_at = Some(now);
        work.links().save(&link).await?;
        work.links().await_consent(link.user, link.id, Some(term.next_after(now))).await?;
        work.succeed(Event::ConsentEnding { link: link.id, user: link.user, minutes: term.ends_at.since(now).num_minutes() }).await?;
        Ok(())
    }
}
