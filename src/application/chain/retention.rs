//! Retention: what is past its time is dropped, whole months at once, behind a signed cut from which the trail goes on.
//!
//! Routine events may be kept for less long. Of a month past that time they are dropped out of the middle, and what was dropped is signed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{Datelike as _, Days, NaiveDate, NaiveTime};
use tokio_util::sync::CancellationToken;

use crate::{
    application::{
        access::{Access, Denied, Requester},
        audit::Journal,
        ports::Store,
    },
    domain::{
        audit::{Act, RetentionClass},
        event::Event,
        failure::{Reason, is_unavailable},
        time::{Clock, Timestamp},
    },
};

use super::{CheckpointSigner, CurrentSigner};

/// How often it is looked.
const PACE: Duration = Duration::from_hours(24);

/// How many months ahead PostgreSQL has a partition for.
const MONTHS_AHEAD: u32 = 12;

/// What would be dropped, or was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many events.
    pub events: u64,
    /// The last position that goes with them.
    pub position: u64,
    /// How many routine events of later months, whose positions stay.
    pub routine: u64,
}

/// Why nothing is dropped.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// Younger than it may be.
    #[error("the audit trail is kept for {days} days, so nothing from {allowed} on may go; audit.retention_days says how long")]
    TooYoung {
        /// How many days.
        days: u32,
        /// The first day that stays.
        allowed: NaiveDate,
    },
    /// Some of it has no position.
    #[error("some of these events are not sealed; `dashtam audit verify` says which")]
    Unsealed,
    /// The chain is not what was signed, and a cut would hide that.
    #[error("the chain is not the one that was signed, and dropping a part of it would hide that; `dashtam audit verify` says where")]
    Tampered,
    /// Some of it is of a class this version keeps for ever, since it does not know for how long.
    #[error("some of these events are of a class this version does not know, so they are kept")]
    UnknownClass,
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for PruneError {
    fn reason(&self) -> &'static str {
        match self {
            Self::TooYoung { .. } => "too_young",
            Self::Unsealed => "unsealed",
            Self::Tampered => "tampered",
            Self::UnknownClass => "unknown_class",
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

/// The chain, inside a unit of work.
#[async_trait]
pub trait ChainWork: Send {
    /// Signs and drops the events of `class` that were recorded from `month`, its first day, up to the next. Answers how many.
    async fn thin(&mut self, class: RetentionClass, month: NaiveDate, signer: &dyn CheckpointSigner, now: Timestamp) -> Result<u64, PruneError>;
    /// Signs a cut and drops what was recorded before `before`, the beginning of a month.
    async fn cut(&mut self, before: Timestamp, signer: &dyn CheckpointSigner, now: Timestamp) -> Result<Dropped, PruneError>;
}

/// Looks after the months of the trail, outside of any unit of work.
#[async_trait]
pub trait TrailMonths: Send + Sync {
    /// What was recorded before then.
    async fn before(&self, instant: Timestamp) -> anyhow::Result<Dropped>;
    /// The months that have events of `class` recorded from `from` and before `before`, oldest first, with how many each has.
    async fn of_class(&self, class: RetentionClass, from: Timestamp, before: Timestamp) -> anyhow::Result<Vec<(NaiveDate, u64)>>;
    /// Makes room for this month and those after it, where months have a place of their own. Answers how many were new.
    async fn prepare(&self, months: &[NaiveDate]) -> anyhow::Result<u64>;
}

/// Drops what is past its retention.
pub struct Retention {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where units of work begin.
    pub store: Arc<dyn Store>,
    /// The months.
    pub months: Arc<dyn TrailMonths>,
    /// Signs cuts.
    pub signer: Arc<dyn CurrentSigner>,
    /// Who may.
    pub access: Access,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How many days everything is kept at least, but what is routine.
    pub days: u32,
    /// How many days what is routine is kept at least; no more than `days`.
    pub routine_days: u32,
}

impl Retention {
    /// Looks after the trail's months, now and every day, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let mut day = tokio::time::interval(PACE);
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                _ = day.tick() => self.look_after().await,
            }
        }
    }

    async fn look_after(&self) {
        match self.prepare().await {
            Ok(0) => {}
            Ok(months) => tracing::info!(months, "months of the audit trail were prepared"),
            Err(failure) if is_unavailable(&failure) => tracing::warn!(reason = %failure, "the audit trail's months have to wait"),
            Err(failure) => tracing::error!(error = ?failure, "months of the audit trail could not be prepared"),
        }
        match self.prune(Requester::job(), None).await {
            Ok(Dropped { events: 0, routine: 0, .. }) => {}
            Ok(Dropped { events, position, routine }) => {
                tracing::info!(events, position, routine, "what was past its retention was dropped from the audit trail");
            }
            Err(PruneError::Unexpected(failure)) => tracing::error!(error = ?failure, "nothing could be dropped from the audit trail"),
            Err(refusal) => tracing::warn!(reason = %refusal, "nothing is dropped from the audit trail"),
        }
    }

    /// Makes room for the months to come.
    pub async fn prepare(&self) -> anyhow::Result<u64> {
        let today = self.clock.today().naive();
        let first = first_of_month(today);
        let months: Vec<_> = (0..=MONTHS_AHEAD).filter_map(|ahead| first.checked_add_months(chrono::Months::new(ahead))).collect();
        self.months.prepare(&months).await
    }

    /// The day from which on everything stays that is kept for `days`: the first of the month in which retention ends today.
    fn kept_from(&self, days: u32) -> NaiveDate {
        let today = self.clock.today().naive();
        first_of_month(today.checked_sub_days(Days::new(u64::from(days))).unwrap_or(NaiveDate::MIN))
    }

    /// The first day that stays, if it may be `month` or when that is not given.
    fn boundary(&self, month: Option<NaiveDate>) -> Result<NaiveDate, PruneError> {
        let allowed = self.kept_from(self.days);
        let first = month.unwrap_or(allowed);
        if first > allowed {
            return Err(PruneError::TooYoung { days: self.days, allowed });
        }
        Ok(first)
    }

    /// The months from `first` on whose routine events are past their retention, with how many these are.
    async fn thinnable(&self, first: NaiveDate) -> anyhow::Result<Vec<(NaiveDate, u64)>> {
        let before = self.kept_from(self.routine_days);
        self.months.of_class(RetentionClass::Routine, first_instant(first), first_instant(before)).await
    }

    /// What would be dropped: everything before `month`, its first day, or all that is past its retention; and what is routine and past its own.
    pub async fn plan(&self, month: Option<NaiveDate>) -> Result<Dropped, PruneError> {
        let first = self.boundary(month)?;
        let whole = self.months.before(first_instant(first)).await?;
        Ok(Dropped { routine: self.thinnable(first).await?.iter().map(|(_, events)| events).sum(), ..whole })
    }

    /// Drops it. An attempt is on the trail when there is something to drop, or it must not be.
    pub async fn prune(&self, requester: Requester, month: Option<NaiveDate>) -> Result<Dropped, PruneError> {
        let planned = self.plan(month).await;
        if planned.as_ref().is_ok_and(|planned| planned.events + planned.routine == 0) {
            return Ok(Dropped::default());
        }
        let attempt = self.journal.attempt(&requester, Act::PruneAudit).await?;
        attempt
            .settle(async {
                self.access.permit(&requester, Act::PruneAudit)?;
                let planned = planned?;
                let first = self.boundary(month)?;
                let (before, now) = (first_instant(first), self.clock.now());
                let months = self.thinnable(first).await?;
                let mut work = self.store.begin(&attempt).await?;
                let signer = self.signer.now();
                let signer = signer.as_ref();
                let mut dropped = if planned.events > 0 { work.chain().cut(before, signer, now).await? } else { Dropped::default() };
                for (month, _) in months {
                    dropped.routine += work.chain().thin(RetentionClass::Routine, month, signer, now).await?;
                }
                work.succeed(Event::AuditPruned { before, events: dropped.events, routine: dropped.routine }).await?;
                Ok(dropped)
            })
            .await
    }
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

fn first_instant(day: NaiveDate) -> Timestamp {
    Timestamp::new(day.and_time(NaiveTime::MIN).and_utc())
}
