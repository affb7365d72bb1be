//! The audit trail: rows of `audit_events`, only ever appended, and of `audit_person`, which hold what of them is personal.
//!
//! An event keeps no person, only SHA-256 over a random salt and a canonical encoding of the person; the salt stands with the values
//! in `audit_person`. Once those are deleted, nothing in the event leads back to anyone, and the event itself has not changed.

use std::collections::HashMap;

use anyhow::Context as _;
use async_trait::async_trait;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, Query},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    application::{
        audit::{AuditEntry, Person},
        ports::{AuditLog, Randomness},
    },
    domain::{
        audit::{Act, ActorKind, AuditActor, AuditEvent, AuditFilter, AuditReader, Outcome, ResourceKind, RetentionClass},
        chain::{EventKey, StoredPerson},
        id::{AuditEventId, UserId},
        page::{CreatedKey, Page, Slice},
        time::Timestamp,
    },
};

use super::{DatabaseStore, Readers, error::broken, page, value};

/// Orphans closed in one transaction.
const ORPHANS_AT_ONCE: u64 = 200;

/// PostgreSQL's advisory lock that sweepers take turns by.
const SWEEPER_LOCK: &str = "SELECT pg_advisory_xact_lock(4918061123000001)";

pub(super) mod audit_events {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_events")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub recorded_at: DateTimeUtc,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub attempt_id: Uuid,
        pub act: String,
        pub outcome: String,
        pub actor_kind: String,
        pub actor_hash: Vec<u8>,
        pub subject_hash: Option<Vec<u8>>,
        pub resource_kind: Option<String>,
        pub resource_id: Option<Uuid>,
        pub reason: Option<String>,
        pub context: String,
        pub trace_id: Option<String>,
        pub class: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod audit_person {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_person")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub event_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub role: String,
        pub recorded_at: DateTimeUtc,
        pub user_id: Option<Uuid>,
        pub email: Option<String>,
        pub ip: Option<String>,
        pub user_agent: Option<String>,
        pub salt: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The part a person plays in an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Actor,
    Subject,
}

impl Part {
    fn as_str(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::Subject => "subject",
        }
    }
}

impl From<audit_person::Model> for StoredPerson {
    fn from(row: audit_person::Model) -> Self {
        Self {
            event: EventKey { recorded_at: Timestamp::new(row.recorded_at), id: row.event_id },
            part: row.role,
            user: row.user_id,
            email: row.email,
            ip: row.ip,
            user_agent: row.user_agent,
            salt: row.salt,
        }
    }
}

impl audit_person::Model {
    fn new(event: Uuid, recorded_at: Timestamp, part: Part, person: &Person, randomness: &dyn Randomness) -> Self {
        Self {
            event_id: event,
            role: part.as_str().to_owned(),
            recorded_at: recorded_at.utc(),
            user_id: person.user.map(|user| user.0),
            email: person.email.clone(),
            ip: person.ip.clone(),
            user_agent: person.user_agent.clone(),
            salt: randomness.secret().to_vec(),
        }
    }

    fn hash(&self) -> Vec<u8> {
        StoredPerson::from(self.clone()).hash().to_vec()
    }

    fn person(self) -> Person {
        Person { user: self.user_id.map(UserId), email: self.email, ip: self.ip, user_agent: self.user_agent }
    }
}

/// Appends one entry with its persons inside the caller's transaction.
pub(super) async fn append(transaction: &DatabaseTransaction, entry: &AuditEntry, randomness: &dyn Randomness) -> anyhow::Result<()> {
    let context: serde_json::Map<String, Value> = entry.context.iter().map(|(key, value)| ((*key).to_owned(), value.clone().into())).collect();
    let (resource_kind, resource_id) = entry.resource.unzip();
    let event = Event {
        actor: &entry.actor,
        subject: entry.subject.as_ref(),
        row: audit_events::Model {
            recorded_at: entry.recorded_at.utc(),
            id: entry.id.0,
            attempt_id: entry.attempt.0,
            act: entry.act.as_str().to_owned(),
            outcome: entry.outcome.as_str().to_owned(),
            actor_kind: entry.actor_kind.to_owned(),
            actor_hash: Vec::new(),
            subject_hash: None,
            resource_kind: resource_kind.map(|kind| kind.as_str().to_owned()),
            resource_id: resource_id.flatten(),
            reason: entry.reason.map(str::to_owned),
            context: serde_json::to_string(&context).context("writing an audit entry's context")?,
            trace_id: entry.trace_id.clone(),
            class: RetentionClass::of(entry.act, entry.outcome).as_str().to_owned(),
        },
    };
    event.append(transaction, randomness).await
}

/// A row still without its hashes, and the people they are of.
struct Event<'a> {
    row: audit_events::Model,
    actor: &'a Person,
    subject: Option<&'a Person>,
}

impl Event<'_> {
    async fn append(self, transaction: &DatabaseTransaction, randomness: &dyn Randomness) -> anyhow::Result<()> {
        let Self { mut row, actor, subject } = self;
        let recorded_at = Timestamp::new(row.recorded_at);
        let actor = audit_person::Model::new(row.id, recorded_at, Part::Actor, actor, randomness);
        let subject = subject.map(|subject| audit_person::Model::new(row.id, recorded_at, Part::Subject, subject, randomness));
        row.actor_hash = actor.hash();
        row.subject_hash = subject.as_ref().map(audit_person::Model::hash);
        let event = audit_events::Entity::insert(audit_events::ActiveModel::from(row));
        event.exec_without_returning(transaction).await.map_err(broken("appending to the audit trail"))?;
        let persons = std::iter::once(actor).chain(subject).map(audit_person::ActiveModel::from);
        let persons = audit_person::Entity::insert_many(persons);
        persons.exec_without_returning(transaction).await.map_err(broken("storing the persons of an audit event"))?;
        Ok(())
    }
}

#[async_trait]
impl AuditLog for DatabaseStore {
    async fn record(&self, entry: &AuditEntry) -> anyhow::Result<()> {
        let transaction = self.transaction().await?;
        append(&transaction, entry, self.randomness.as_ref()).await?;
        transaction.commit().await.map_err(broken("committing to the audit trail"))
    }

    async fn close_orphans(&self, since: Option<Timestamp>, before: Timestamp) -> anyhow::Result<u64> {
        let mut closed = 0;
        loop {
            let now = self.close_some_orphans(since, before).await?;
            closed += now;
            if now < ORPHANS_AT_ONCE {
                return Ok(closed);
            }
        }
    }
}

impl DatabaseStore {
    /// One transaction's worth. Sweepers take turns: by a lock on PostgreSQL, by the one writer on SQLite; the second finds nothing left.
    async fn close_some_orphans(&self, since: Option<Timestamp>, before: Timestamp) -> anyhow::Result<u64> {
        let transaction = self.transaction().await?;
        if transaction.get_database_backend() == DbBackend::Postgres {
            transaction.execute_unprepared(SWEEPER_LOCK).await.map_err(broken("waiting for another sweeper"))?;
        }
        let orphans = orphans(&transaction, since, before).await?;
        let ids: Vec<Uuid> = orphans.iter().map(|orphan| orphan.id).collect();
        let mut persons = persons_of(&transaction, &ids).await?;
        let closed = orphans.len() as u64;
        for orphan in orphans {
            let mut person = |part: Part| persons.remove(&(orphan.id, part.as_str().to_owned()));
            let (actor, subject) = (person(Part::Actor).unwrap_or_default(), person(Part::Subject));
            let row = audit_events::Model {
                recorded_at: self.clock.now().utc(),
                id: self.randomness.id(),
                outcome: Outcome::Failed.as_str().to_owned(),
                reason: Some("interrupted".to_owned()),
                ..orphan
            };
            Event { row, actor: &actor, subject: subject.as_ref() }.append(&transaction, self.randomness.as_ref()).await?;
        }
        transaction.commit().await.map_err(broken("committing to the audit trail"))?;
        Ok(closed)
    }
}

/// What a filter lets through.
fn matching(filter: &AuditFilter) -> Select<audit_events::Entity> {
    use audit_events::Column;
    let words = |column: Column, words: Vec<&'static str>| column.is_in(words);
    audit_events::Entity::find().filter(
        Condition::all()
            .add_option(filter.acts.as_ref().map(|acts| words(Column::Act, acts.iter().map(|act| act.as_str()).collect())))
            .add_option(filter.outcomes.as_ref().map(|outcomes| words(Column::Outcome, outcomes.iter().map(|outcome| outcome.as_str()).collect())))
            .add_option(filter.actor_kinds.as_ref().map(|kinds| words(Column::ActorKind, kinds.iter().map(|kind| kind.as_str()).collect())))
            .add_option(filter.user.map(by_or_upon))
            .add_option(filter.resource.map(|(kind, id)| Column::ResourceKind.eq(kind.as_str()).and(Column::ResourceId.eq(id))))
            .add_option(filter.from.map(|from| Column::RecordedAt.gte(from.utc())))
            .add_option(filter.to.map(|to| Column::RecordedAt.lt(to.utc())))
            .add_option(filter.trace_id.as_ref().map(|trace| Column::TraceId.eq(trace.as_str()))),
    )
}

/// Whether a user is a person of an event, in whatever part. Persons stand apart, by user and time.
fn by_or_upon(user: UserId) -> Expr {
    use audit_person::Column;
    let theirs =
        Query::select().columns([Column::RecordedAt, Column::EventId]).from(audit_person::Entity).and_where(Expr::col(Column::UserId).eq(user.0)).take();
    let event = Expr::tuple([audit_events::Column::RecordedAt.into_expr(), audit_events::Column::Id.into_expr()]);
    event.in_subquery(theirs)
}

impl TryFrom<audit_events::Model> for AuditEvent {
    type Error = anyhow::Error;

    /// Still without its persons.
    fn try_from(row: audit_events::Model) -> anyhow::Result<Self> {
        let context: serde_json::Map<String, Value> = serde_json::from_str(&row.context).context("audit_events.context is not a JSON object")?;
        let text = |value: Value| if let Value::String(text) = value { text } else { value.to_string() };
        let kind = value::optional_word("audit_events.resource_kind", row.resource_kind.as_deref(), ResourceKind::parse)?;
        Ok(Self {
            id: AuditEventId(row.id),
            recorded_at: Timestamp::new(row.recorded_at),
            act: value::word("audit_events.act", &row.act, Act::parse)?,
            outcome: value::word("audit_events.outcome", &row.outcome, Outcome::parse)?,
            reason: row.reason,
            actor: AuditActor {
                kind: value::word("audit_events.actor_kind", &row.actor_kind, ActorKind::parse)?,
                user: None,
                email: None,
                ip: None,
                user_agent: None,
            },
            subject: None,
            resource: kind.map(|kind| (kind, row.resource_id)),
            context: context.into_iter().map(|(name, value)| (name, text(value))).collect(),
            trace_id: row.trace_id,
        })
    }
}

impl Readers {
    async fn audit_page(&self, rows: Select<audit_events::Entity>, page: Page<CreatedKey>) -> anyhow::Result<Slice<AuditEvent>> {
        let columns = (audit_events::Column::RecordedAt, audit_events::Column::Id);
        let mut slice: Slice<AuditEvent> = page::read(&self.connection, rows, columns, page, "reading the audit trail").await?;
        let ids: Vec<Uuid> = slice.items.iter().map(|event| event.id.0).collect();
        let mut persons = persons_of(&self.connection, &ids).await?;
        for event in &mut slice.items {
            let mut person = |part: Part| persons.remove(&(event.id.0, part.as_str().to_owned()));
            let (actor, subject) = (person(Part::Actor).unwrap_or_default(), person(Part::Subject).unwrap_or_default());
            event.actor = AuditActor { kind: event.actor.kind, user: actor.user, email: actor.email, ip: actor.ip, user_agent: actor.user_agent };
            event.subject = subject.user;
        }
        Ok(slice)
    }
}

#[async_trait]
impl AuditReader for Readers {
    async fn page(&self, owner: UserId, filter: &AuditFilter, page: Page<CreatedKey>) -> anyhow::Result<Slice<AuditEvent>> {
        self.audit_page(matching(filter).filter(by_or_upon(owner)), page).await
    }

    async fn page_of_any(&self, filter: &AuditFilter, page: Page<CreatedKey>) -> anyhow::Result<Slice<AuditEvent>> {
        self.audit_page(matching(filter), page).await
    }
}

/// The oldest attempts begun before `before`, and after `since` if given, that have no outcome.
async fn orphans(transaction: &DatabaseTransaction, since: Option<Timestamp>, before: Timestamp) -> anyhow::Result<Vec<audit_events::Model>> {
    use audit_events::Column;
    // An outcome is younger than its attempt, so the same bound serves both.
    let recent = since.map(|since| Column::RecordedAt.gte(since.utc()));
    let column = |column: Column| Expr::col(("outcome", column));
    let outcome = Query::select()
        .expr(Expr::val(1))
        .from_as(audit_events::Entity, "outcome")
        .and_where(column(Column::AttemptId).equals((audit_events::Entity, Column::AttemptId)))
        .and_where_option(since.map(|since| column(Column::RecordedAt).gte(since.utc())))
        .and_where(column(Column::Outcome).ne(Outcome::Attempted.as_str()))
        .take();
    audit_events::Entity::find()
        .filter(Condition::all().add_option(recent))
        .filter(Column::RecordedAt.lt(before.utc()))
        .filter(Column::Outcome.eq(Outcome::Attempted.as_str()))
        .filter(Expr::exists(outcome).not())
        .order_by_asc(Column::RecordedAt)
        .order_by_asc(Column::Id)
        .limit(ORPHANS_AT_ONCE)
        .all(transaction)
        .await
        .map_err(broken("reading interrupted attempts"))
}

/// The people in `events`, by event and part; those forgotten meanwhile are missing.
async fn persons_of(connection: &impl ConnectionTrait, events: &[Uuid]) -> anyhow::Result<HashMap<(Uuid, String), Person>> {
    if events.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = audit_person::Entity::find()
        .filter(audit_person::Column::EventId.is_in(events.iter().copied()))
        .all(connection)
        .await
        .map_err(broken("reading the persons of audit events"))?;
    Ok(rows.into_iter().map(|row| ((row.event_id, row.role.clone()), row.person())).collect())
}
