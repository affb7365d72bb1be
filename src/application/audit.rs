//! The journal: every command is an attempt that settles.
//!
//! `journal.attempt(…)` commits ATTEMPTED by itself, before anything else happens. Whatever follows ends in exactly one outcome:
//! [`Work::succeed`] commits SUCCEEDED together with the change, [`Work::refuse`] commits FAILED together with what a refusal must
//! keep, and every other failure rolls back and leaves FAILED in a transaction of its own. Nothing else writes an audit row.
//!
//! [`Work::succeed`]: super::ports::Work::succeed
//! [`Work::refuse`]: super::ports::Work::refuse

mod refusals;

use std::{
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::domain::{
    audit::{Act, ActorKind, AuditEvent, AuditFilter, AuditReader, Outcome, ResourceKind},
    event::Event,
    failure::Reason,
    id::{AttemptId, AuditEventId, UserId},
    page::{CreatedKey, Page, Slice},
    time::{Clock, Timestamp},
};

use super::{
    access::{Access, Actor, Denied, Origin, Requester, Resource},
    ports::{AuditLog, Randomness, Store},
};

/// How long an attempt may be open before its process counts as dead; nothing here takes nearly as long.
const ORPHAN_HOURS: i64 = 1;

/// How often it is looked whether a minute of counted refusals is over.
const TELLING: Duration = Duration::from_secs(15);

/// One row of the trail, with the people in it apart so that they can be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// The row.
    pub id: AuditEventId,
    /// The attempt it belongs to; the same in its ATTEMPTED and its outcome.
    pub attempt: AttemptId,
    /// When.
    pub recorded_at: Timestamp,
    /// What was attempted.
    pub act: Act,
    /// How far it has come.
    pub outcome: Outcome,
    /// `user`, `nobody`, `browser`, `command_line`, `worker` or `job`.
    pub actor_kind: &'static str,
    /// Who acted, and from where.
    pub actor: Person,
    /// Upon whom, once known.
    pub subject: Option<Person>,
    /// On what, once known.
    pub resource: Option<(ResourceKind, Option<Uuid>)>,
    /// Why it failed.
    pub reason: Option<&'static str>,
    /// What else an auditor wants to know; no secrets, no personal values.
    pub context: Vec<(&'static str, String)>,
    /// The trace of the request.
    pub trace_id: Option<String>,
}

/// What of a row is personal. The row itself holds only a salted hash of this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// The user, when known.
    pub user: Option<UserId>,
    /// The address typed, when no user is known by it.
    pub email: Option<String>,
    /// Where the request came from.
    pub ip: Option<String>,
    /// What the client called itself.
    pub user_agent: Option<String>,
}

/// Opens attempts.
#[derive(Clone)]
pub struct Journal {
    log: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    refusals: Arc<refusals::Refusals>,
}

impl Journal {
    /// Over the trail of one store.
    pub fn new(log: Arc<dyn AuditLog>, clock: Arc<dyn Clock>, randomness: Arc<dyn Randomness>) -> Self {
        Self { log, clock, randomness, refusals: Arc::default() }
    }

    /// Writes ATTEMPTED, committed by itself.
    pub async fn attempt(&self, requester: &Requester, act: Act) -> anyhow::Result<Attempt> {
        self.attempt_as(requester, act, None).await
    }

    /// The same for someone who is not signed in and has typed an address.
    pub async fn attempt_as(&self, requester: &Requester, act: Act, email: Option<String>) -> anyhow::Result<Attempt> {
        let attempt = Attempt {
            id: AttemptId(self.randomness.id()),
            act,
            requester: requester.clone(),
            email,
            settled: Arc::new(AtomicBool::new(false)),
            concerned: Arc::default(),
            resource: Arc::default(),
            journal: self.clone(),
        };
        self.log.record(&attempt.entry(Outcome::Attempted, None, None)).await?;
        Ok(attempt)
    }

    /// Puts an act on the trail that a guard turned away before it began. More of the same within a minute are counted, and told as one
    /// row once the minute is over, so that whoever knocks all day long does not fill the trail.
    pub async fn denied(&self, requester: &Requester, act: Act, denied: Denied) -> anyhow::Result<()> {
        let (is_first, over) = self.refusals.count(requester, act, denied, self.clock.now());
        if let Some(over) = over {
            self.refused(&over.requester, act, over.denied, Some(over.more)).await?;
        }
        if is_first { self.refused(requester, act, denied, None).await } else { Ok(()) }
    }

    /// Tells refusals that were counted and whose minute is over; with `all` also those whose minute is not. Answers how many rows.
    pub async fn tell_refusals(&self, all: bool) -> anyhow::Result<usize> {
        let over = self.refusals.take_over(self.clock.now(), all);
        let rows = over.len();
        for (act, refusal) in over {
            self.refused(&refusal.requester, act, refusal.denied, Some(refusal.more)).await?;
        }
        Ok(rows)
    }

    /// Tells them as their minutes pass, until `stop`.
    pub async fn tell_refusals_until(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(TELLING) => {
                    if let Err(failure) = self.tell_refusals(false).await {
                        tracing::error!(error = ?failure, "refusals that were counted could not be written");
                    }
                }
            }
        }
    }

    async fn refused(&self, requester: &Requester, act: Act, denied: Denied, times: Option<u64>) -> anyhow::Result<()> {
        let attempt = self.attempt(requester, act).await?;
        let mut entry = attempt.entry(Outcome::Failed, None, Some(denied.reason()));
        entry.context.extend(times.map(|times| ("times", times.to_string())));
        self.log.record(&entry).await
    }

    /// Closes attempts whose process died: FAILED, reason `interrupted`. Answers how many. Without `all` only the last week is looked at,
    /// which is enough for a process that looked at everything when it started.
    pub async fn close_orphans(&self, all: bool) -> anyhow::Result<u64> {
        let now = self.clock.now();
        let since = (!all).then(|| now.minus(chrono::Duration::days(7)));
        self.log.close_orphans(since, now.minus(chrono::Duration::hours(ORPHAN_HOURS))).await
    }
}

/// One attempt, on the trail and not yet settled.
#[derive(Clone)]
pub struct Attempt {
    id: AttemptId,
    act: Act,
    requester: Requester,
    email: Option<String>,
    settled: Arc<AtomicBool>,
    concerned: Arc<OnceLock<UserId>>,
    resource: Arc<OnceLock<(ResourceKind, Uuid)>>,
    journal: Journal,
}

impl Attempt {
    /// Runs the work of the attempt. When it fails without having settled itself, FAILED is written with the failure's reason.
    pub async fn settle<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E>
    where
        E: Reason + From<anyhow::Error>,
    {
        let result = work.await;
        match &result {
            Err(failure) if !self.settled.load(Ordering::Acquire) => {
                self.journal.log.record(&self.entry(Outcome::Failed, None, Some(failure.reason()))).await?;
            }
            Err(_) => {}
            Ok(_) => debug_assert!(self.settled.load(Ordering::Acquire), "{:?} succeeded without an outcome", self.act),
        }
        result
    }

    /// What is attempted.
    pub fn act(&self) -> Act {
        self.act
    }

    /// Notes whom an attempt concerns besides its requester, once that is known, such as the owner of a typed address: so they find it in
    /// their own part of the trail, even if it fails.
    pub fn concerns(&self, user: UserId) {
        self.concerned.get_or_init(|| user);
    }

    /// Notes on what it is attempted, so that the trail says so even if it fails. That there is such a thing is not said with it.
    pub fn upon(&self, kind: ResourceKind, id: Uuid) {
        self.resource.get_or_init(|| (kind, id));
    }

    /// For the store, right before the outcome's commit. If the answer to that commit is lost nobody here knows how it ended, so nothing
    /// more is written: the sweeper finds the outcome, or closes the attempt.
    pub fn mark_settled(&self) {
        self.settled.store(true, Ordering::Release);
    }

    /// The row of an outcome.
    pub fn entry(&self, outcome: Outcome, event: Option<&Event>, reason: Option<&'static str>) -> AuditEntry {
        let Origin { ip, user_agent, trace_id } = self.requester.origin.clone();
        let actor_kind = match self.requester.actor {
            Actor::Nobody => ActorKind::Nobody,
            Actor::User { .. } => ActorKind::User,
            Actor::Browser { .. } => ActorKind::Browser,
            Actor::CommandLine { .. } => ActorKind::CommandLine,
            Actor::Worker { .. } => ActorKind::Worker,
            Actor::Job => ActorKind::Job,
        };
        let acting_user = match self.requester.actor {
            Actor::User { id, .. } => Some(id),
            Actor::Nobody | Actor::Browser { .. } | Actor::CommandLine { .. } | Actor::Worker { .. } | Actor::Job => None,
        };
        // What has succeeded knows whom it concerns, and sometimes that it concerns nobody any more.
        let subject = event.map_or_else(|| self.concerned.get().copied().or_else(|| self.requester.user()), Event::subject);
        AuditEntry {
            id: AuditEventId(self.journal.randomness.id()),
            attempt: self.id,
            recorded_at: self.journal.clock.now(),
            act: self.act,
            outcome,
            actor_kind: actor_kind.as_str(),
            actor: Person { user: acting_user, email: self.email.clone(), ip, user_agent },
            subject: subject.map(|user| Person { user: Some(user), ..Person::default() }),
            resource: event.map(Event::resource).or_else(|| self.resource.get().map(|(kind, id)| (*kind, Some(*id)))),
            reason,
            context: event.map(Event::context).unwrap_or_default(),
            trace_id,
        }
    }
}

/// Looks at the trail.
pub struct AuditQueries {
    /// Where looking at others is written.
    pub journal: Journal,
    /// For the row that says so.
    pub store: Arc<dyn Store>,
    /// What roles may do.
    pub access: Access,
    /// Where the trail is kept.
    pub events: Arc<dyn AuditReader>,
}

/// Why the acts of others are not shown.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for AuditError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

impl AuditQueries {
    /// Acts by or upon a user. To themselves who else acted is not shown; to others they are shown as acts of anybody are.
    pub async fn of(&self, requester: &Requester, user: UserId, filter: AuditFilter, page: Page<CreatedKey>) -> Result<Slice<AuditEvent>, AuditError> {
        let reader = self.access.reader(requester, Resource::Audit)?;
        if reader != user {
            return self.of_any(requester, &AuditFilter { user: Some(user), ..filter }, page).await;
        }
        Ok(self.events.page(user, &filter, page).await?.map(|event| event.seen_by(user)))
    }

    /// Acts of everybody. That they were looked at is on the trail as well.
    pub async fn of_any(&self, requester: &Requester, filter: &AuditFilter, page: Page<CreatedKey>) -> Result<Slice<AuditEvent>, AuditError> {
        let attempt = self.journal.attempt(requester, Act::ReadAudit).await?;
        attempt
            .settle(async {
                self.access.permit(requester, Act::ReadAudit)?;
                let events = self.events.page_of_any(filter, page).await?;
                self.store.begin(&attempt).await?.succeed(Event::AuditRead { of: filter.user }).await?;
                Ok(events)
            })
            .await
    }
}
