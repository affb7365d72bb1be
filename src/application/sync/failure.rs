//! What becomes of a sync that went wrong: tried again soon, given up and planned for later, or the end of its link.

use chrono::Duration;

use crate::{
    application::{
        audit::Attempt,
        ports::{ProviderFault, Work},
        renewal::{RenewalError, lose_access},
        storing::Storing,
    },
    domain::{
        failure::Reason,
        link::LinkStatus,
        schedule::SyncPlan,
        sync::{Sync, SyncProblem, SyncStatus},
        time::Timestamp,
    },
};

use super::SyncEngine;

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error(transparent)]
    Provider(#[from] ProviderFault),
    #[error("the link is not active any more")]
    NotActive,
    #[error("another worker took this run over, or it was ended")]
    TakenOver,
    #[error("the worker was told to stop")]
    CutOff,
    #[error("the worker stopped in the middle too often")]
    Interrupted,
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for RunError {
    fn reason(&self) -> &'static str {
        match self {
            Self::TakenOver => "taken_over",
            Self::CutOff => "cut_off",
            _ => self.problem().as_str(),
        }
    }
}

impl From<ProviderFault> for SyncProblem {
    fn from(fault: ProviderFault) -> Self {
        match fault {
            ProviderFault::Unreachable | ProviderFault::Unavailable { .. } => Self::ProviderUnreachable,
            ProviderFault::ServerError => Self::ProviderError,
            ProviderFault::RateLimited { .. } => Self::RateLimited,
            ProviderFault::Malformed | ProviderFault::Incomplete => Self::MalformedAnswer,
            ProviderFault::Refused => Self::CredentialsRejected,
            ProviderFault::AppRefused => Self::AppRejected,
            ProviderFault::Unpaid => Self::ProviderUnpaid,
        }
    }
}

impl From<RenewalError> for RunError {
    fn from(failure: RenewalError) -> Self {
        match failure {
            RenewalError::Provider(fault) => Self::Provider(fault),
            RenewalError::NotActive | RenewalError::RenewedElsewhere => Self::NotActive,
            RenewalError::Unexpected(cause) => Self::Unexpected(cause),
        }
    }
}

impl RunError {
    fn problem(&self) -> SyncProblem {
        match self {
            Self::Provider(fault) => (*fault).into(),
            Self::NotActive => SyncProblem::LinkEnded,
            Self::Interrupted | Self::TakenOver | Self::CutOff => SyncProblem::Interrupted,
            Self::Unexpected(_) => SyncProblem::Internal,
        }
    }
}

impl SyncEngine {
    /// Commits how a stage failed, once the database is there: else nobody would go on with the sync before its lease is over.
    pub(super) async fn keep_failure(&self, attempt: &Attempt, sync: &mut Sync, failure: &RunError) -> anyhow::Result<()> {
        let storing = Storing::begin(sync.link);
        loop {
            match self.note_failure(attempt, sync, failure).await {
                Err(away) if storing.goes_on_after(&away).await => {}
                noted => return noted,
            }
        }
    }

    /// Commits how a stage failed: tried again later, or given up, with the link expired when the bank no longer knows it.
    async fn note_failure(&self, attempt: &Attempt, sync: &mut Sync, failure: &RunError) -> anyhow::Result<()> {
        let now = self.clock.now();
        let problem = failure.problem();
        let mut work = self.store.begin(attempt).await?;
        work.accounts().take_turn(sync.user).await?;
        match failure {
            RunError::Provider(ProviderFault::Refused) => {
                sync.give_up(problem, now);
                if let Some(mut link) = work.links().find(sync.user, sync.link).await? {
                    lose_access(work.as_mut(), &mut link, self.randomness.as_ref(), now).await?;
                }
            }
            // Another try heals none of these; once the provider is paid, its owner asks again.
            RunError::NotActive | RunError::Interrupted | RunError::Provider(ProviderFault::Unpaid) => sync.give_up(problem, now),
            RunError::Provider(fault) => sync.retry_or_give_up(problem, self.pause(*fault, sync.attempts), now),
            RunError::Unexpected(_) | RunError::TakenOver | RunError::CutOff => {
                sync.retry_or_give_up(problem, self.pause(ProviderFault::ServerError, sync.attempts), now);
            }
        }
        if !work.syncs().save(sync).await? {
            return Ok(());
        }
        // That a provider is not available is no matter of these credentials, and somebody may know better.
        if let RunError::Provider(fault @ ProviderFault::RateLimited { .. }) = failure
            && let Some(wait) = fault.wait()
        {
            work.links().rest_credentials(sync.user, sync.link, now.plus(wait)).await?;
        }
        if sync.status == SyncStatus::Failed {
            self.plan_after(work.as_mut(), sync, failure, now).await?;
        }
        work.refuse(failure).await
    }

    /// The link is synced again by itself, though later.
    async fn plan_after(&self, work: &mut dyn Work, sync: &Sync, failure: &RunError, now: Timestamp) -> anyhow::Result<()> {
        let Some(link) = work.links().find(sync.user, sync.link).await?.filter(|link| link.status == LinkStatus::Active) else { return Ok(()) };
        let fresh_days = self.catalogue.entry(&link.provider).map_or(1, |entry| entry.manifest.fresh_days);
        let before = link.sync_plan.unwrap_or(SyncPlan::begun(now));
        let asked = if let RunError::Provider(fault) = failure { fault.wait().map(|wait| now.plus(wait)) } else { None };
        let plan = before.failed(now, self.pace.interval(fresh_days), self.share(), asked);
        work.links().plan(link.user, link.id, &plan).await
    }

    /// Exponential, from 10 seconds to 15 minutes, with full jitter; never sooner than the provider asked.
    fn pause(&self, fault: ProviderFault, attempts: u32) -> Duration {
        let ceiling = 10_i64.saturating_mul(1 << attempts.min(10)).min(900);
        let jitter = ceiling * i64::from(self.share()) / i64::from(u16::MAX);
        Duration::seconds(jitter.max(1)).max(fault.wait().unwrap_or(Duration::zero()))
    }
}
