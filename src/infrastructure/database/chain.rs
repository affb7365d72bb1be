//! The chain over the audit trail: the rows of `audit_chain` and what belongs to it, written by the sealer and read by a verification.
//!
//! Nobody waits for the sealer: on PostgreSQL it takes an advisory lock of its own, or leaves the turn to who has it; on SQLite it is one
//! more short turn of the one writer, and taken only when something waits.

mod ledger;
mod retention;

use anyhow::Context as _;
use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, FromQueryResult, IntoActiveModel, QueryOrder, QueryResult, Statement, Value,
    prelude::{DateTimeUtc, Uuid},
};

use crate::{
    application::chain::{ChainStore, CheckpointSigner, Signing},
    domain::{
        chain::{Checkpoint, Cut, Endorsement, EventKey, Found, Hash, Head, Standing, StoredEvent, ThinnedAway, Thinning},
        time::Timestamp,
    },
};

use super::{DatabaseStore, error::broken, value};

/// PostgreSQL's advisory lock that the chain is written under. `try`: who does not get it leaves the turn to who has it.
const TRY_CHAIN_LOCK: &str = "SELECT pg_try_advisory_xact_lock(4918061123000016) AS mine";
const CHAIN_LOCK: &str = "SELECT pg_advisory_xact_lock(4918061123000016)";

/// Events sealed in one transaction: on SQLite others wait for the writer meanwhile.
const SEALED_AT_ONCE: u32 = 500;

pub(super) mod audit_chain {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_chain")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub position: i64,
        pub event_recorded_at: DateTimeUtc,
        pub event_id: Uuid,
        pub event_hash: Vec<u8>,
        pub chain_hash: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod audit_checkpoints {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_checkpoints")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i64,
        pub position: i64,
        pub chain_hash: Vec<u8>,
        pub signed_at: DateTimeUtc,
        pub key_id: String,
        pub signature: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod audit_cuts {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_cuts")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i64,
        pub position: i64,
        pub chain_hash: Vec<u8>,
        pub checkpoint: i64,
        pub events_before: DateTimeUtc,
        pub signed_at: DateTimeUtc,
        pub key_id: String,
        pub signature: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod audit_thinnings {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_thinnings")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub class: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub events_from: DateTimeUtc,
        pub events_before: DateTimeUtc,
        pub events: i64,
        pub digest: Vec<u8>,
        pub signed_at: DateTimeUtc,
        pub key_id: String,
        pub signature: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod audit_keys {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_keys")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub key_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub endorsed_by: String,
        pub public_key: Vec<u8>,
        pub signature: Vec<u8>,
        pub recorded_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The columns of an event but its time, in the order [`event_at`] reads them.
const EVENT_COLUMNS: &str = "e.id, e.attempt_id, e.act, e.outcome, e.actor_kind, e.actor_hash, e.subject_hash, e.resource_kind, e.resource_id, e.reason, \
                             e.context, e.trace_id, e.class";

/// Where the time of an event stands when it is asked for too, right behind its columns.
const TIME: usize = 13;

/// The event of that time in the columns from `at` on; nothing when its id is null.
fn event_at(row: &QueryResult, at: usize, recorded_at: Timestamp) -> Found {
    match row.try_get_by_index::<Option<Uuid>>(at) {
        Ok(None) => Found::Nothing,
        Ok(Some(id)) => read_event(row, at, id, recorded_at).map_or(Found::Unreadable, |event| Found::Event(Box::new(event))),
        Err(_) => Found::Unreadable,
    }
}

fn read_event(row: &QueryResult, at: usize, id: Uuid, recorded_at: Timestamp) -> Result<StoredEvent, sea_orm::TryGetError> {
    Ok(StoredEvent {
        recorded_at,
        id,
        attempt: row.try_get_by_index(at + 1)?,
        act: row.try_get_by_index(at + 2)?,
        outcome: row.try_get_by_index(at + 3)?,
        actor_kind: row.try_get_by_index(at + 4)?,
        actor_hash: row.try_get_by_index(at + 5)?,
        subject_hash: row.try_get_by_index(at + 6)?,
        resource_kind: row.try_get_by_index(at + 7)?,
        resource_id: row.try_get_by_index(at + 8)?,
        reason: row.try_get_by_index(at + 9)?,
        context: row.try_get_by_index(at + 10)?,
        trace_id: row.try_get_by_index(at + 11)?,
        class: row.try_get_by_index(at + 12)?,
    })
}

fn key(row: &QueryResult, instant: usize, id: usize) -> anyhow::Result<EventKey> {
    let recorded_at: DateTimeUtc = row.try_get_by_index(instant).ok().context("an instant of the audit trail cannot be read")?;
    Ok(EventKey { recorded_at: Timestamp::new(recorded_at), id: row.try_get_by_index(id).ok().context("an id of the audit trail cannot be read")? })
}

fn count(column: &'static str, stored: i64) -> anyhow::Result<u64> {
    u64::try_from(stored).with_context(|| format!("{column} is negative"))
}

fn position(position: u64) -> i64 {
    // The database counts to i64::MAX, some hundred thousand years at a million events a second.
    i64::try_from(position).unwrap_or(i64::MAX)
}

fn hash(column: &'static str, stored: Vec<u8>) -> anyhow::Result<Hash> {
    stored.try_into().ok().with_context(|| format!("{column} is not 32 bytes long"))
}

impl TryFrom<audit_checkpoints::Model> for Checkpoint {
    type Error = anyhow::Error;

    fn try_from(row: audit_checkpoints::Model) -> anyhow::Result<Self> {
        Ok(Self {
            number: count("audit_checkpoints.number", row.number)?,
            head: Head {
                position: count("audit_checkpoints.position", row.position)?,
                // A hash of another length was signed by nobody, and a hash of zeros neither.
                hash: row.chain_hash.try_into().unwrap_or_default(),
            },
            signed_at: Timestamp::new(row.signed_at),
            key_id: row.key_id,
            signature: row.signature,
        })
    }
}

impl From<&Checkpoint> for audit_checkpoints::Model {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            number: position(checkpoint.number),
            position: position(checkpoint.head.position),
            chain_hash: checkpoint.head.hash.to_vec(),
            signed_at: checkpoint.signed_at.utc(),
            key_id: checkpoint.key_id.clone(),
            signature: checkpoint.signature.clone(),
        }
    }
}

impl TryFrom<audit_cuts::Model> for Cut {
    type Error = anyhow::Error;

    fn try_from(row: audit_cuts::Model) -> anyhow::Result<Self> {
        Ok(Self {
            number: count("audit_cuts.number", row.number)?,
            head: Head { position: count("audit_cuts.position", row.position)?, hash: row.chain_hash.try_into().unwrap_or_default() },
            checkpoint: count("audit_cuts.checkpoint", row.checkpoint)?,
            events_before: Timestamp::new(row.events_before),
            signed_at: Timestamp::new(row.signed_at),
            key_id: row.key_id,
            signature: row.signature,
        })
    }
}

impl TryFrom<audit_thinnings::Model> for Thinning {
    type Error = anyhow::Error;

    fn try_from(row: audit_thinnings::Model) -> anyhow::Result<Self> {
        let dropped = ThinnedAway { events: count("audit_thinnings.events", row.events)?, digest: row.digest.try_into().unwrap_or_default() };
        Ok(Self {
            class: row.class,
            from: Timestamp::new(row.events_from),
            before: Timestamp::new(row.events_before),
            dropped,
            signed_at: Timestamp::new(row.signed_at),
            key_id: row.key_id,
            signature: row.signature,
        })
    }
}

impl From<Thinning> for audit_thinnings::Model {
    fn from(thinning: Thinning) -> Self {
        Self {
            class: thinning.class,
            events_from: thinning.from.utc(),
            events_before: thinning.before.utc(),
            events: position(thinning.dropped.events),
            digest: thinning.dropped.digest.to_vec(),
            signed_at: thinning.signed_at.utc(),
            key_id: thinning.key_id,
            signature: thinning.signature,
        }
    }
}

impl From<audit_keys::Model> for Endorsement {
    fn from(row: audit_keys::Model) -> Self {
        Self { key_id: row.key_id, public_key: row.public_key, endorsed_by: row.endorsed_by, signature: row.signature }
    }
}

/// The last place of the chain: that of the last position, else that of the last cut, else the start.
pub(super) async fn head(connection: &impl ConnectionTrait) -> anyhow::Result<Head> {
    let last = audit_chain::Entity::find().order_by_desc(audit_chain::Column::Position).one(connection).await;
    if let Some(last) = last.map_err(broken("reading the end of the audit chain"))? {
        return Ok(Head { position: count("audit_chain.position", last.position)?, hash: hash("audit_chain.chain_hash", last.chain_hash)? });
    }
    let cut = audit_cuts::Entity::find().order_by_desc(audit_cuts::Column::Number).one(connection).await;
    Ok(cut.map_err(broken("reading the last cut of the audit trail"))?.map(Cut::try_from).transpose()?.map_or(Head::START, |cut| cut.head))
}

async fn last_checkpoint(connection: &impl ConnectionTrait) -> anyhow::Result<Option<Checkpoint>> {
    let last = audit_checkpoints::Entity::find().order_by_desc(audit_checkpoints::Column::Number).one(connection).await;
    last.map_err(broken("reading the last checkpoint of the audit trail"))?.map(Checkpoint::try_from).transpose()
}

/// The id of the key that signed last.
pub(super) async fn last_signer(connection: &impl ConnectionTrait) -> anyhow::Result<Option<String>> {
    Ok(last_checkpoint(connection).await?.map(|last| last.key_id))
}

/// How far the chain has come.
pub(super) async fn standing(connection: &impl ConnectionTrait) -> anyhow::Result<Standing> {
    #[derive(FromQueryResult)]
    struct Waiting {
        unsealed: i64,
        oldest: Option<DateTimeUtc>,
    }
    let waiting = Statement::from_string(
        connection.get_database_backend(),
        "SELECT COUNT(*) AS unsealed, (SELECT recorded_at FROM audit_unsealed ORDER BY recorded_at, id LIMIT 1) AS oldest FROM audit_unsealed",
    );
    let waiting = Waiting::find_by_statement(waiting).one(connection).await.map_err(broken("counting unsealed events"))?;
    let waiting = waiting.context("the database counted nothing")?;
    let signed = last_checkpoint(connection).await?.map(|last| (last.head.position, last.signed_at));
    Ok(Standing {
        position: head(connection).await?.position,
        unsealed: count("the number of unsealed events", waiting.unsealed)?,
        oldest_unsealed: value::optional_instant(waiting.oldest),
        signed,
    })
}

impl DatabaseStore {
    /// A transaction in which nobody else writes the chain.
    pub(super) async fn chain_transaction(&self) -> anyhow::Result<DatabaseTransaction> {
        let transaction = self.transaction().await?;
        if transaction.get_database_backend() == DbBackend::Postgres {
            transaction.execute_unprepared(CHAIN_LOCK).await.map_err(broken("waiting for another process's turn at the audit chain"))?;
        }
        Ok(transaction)
    }

    async fn anything_waits(&self) -> anyhow::Result<bool> {
        let question = Statement::from_string(self.reading.get_database_backend(), "SELECT 1 FROM audit_unsealed LIMIT 1");
        Ok(self.reading.query_one_raw(question).await.map_err(broken("looking for unsealed events"))?.is_some())
    }
}

/// An event that waits, and whether it has a position all the same: then it was put on the list by mistake.
struct Waiting {
    event: StoredEvent,
    is_sealed: bool,
}

/// The oldest events that wait. Those that are gone are left on the list, where a verification finds them.
async fn waiting(transaction: &DatabaseTransaction) -> anyhow::Result<Vec<Waiting>> {
    let backend = transaction.get_database_backend();
    // Looked up one by one: whatever the statistics say of a table that is empty most of the time, the trail is never read as a whole.
    let join = match backend {
        DbBackend::Postgres => {
            format!("JOIN LATERAL (SELECT {EVENT_COLUMNS} FROM audit_events AS e WHERE e.recorded_at = q.recorded_at AND e.id = q.id OFFSET 0) AS e ON TRUE")
        }
        _ => "CROSS JOIN audit_events AS e ON e.recorded_at = q.recorded_at AND e.id = q.id".to_owned(),
    };
    let question = format!(
        "SELECT {EVENT_COLUMNS}, q.recorded_at,
         (SELECT 1 FROM audit_chain AS c WHERE c.event_recorded_at = q.recorded_at AND c.event_id = q.id LIMIT 1) IS NOT NULL
         FROM audit_unsealed AS q {join} ORDER BY q.recorded_at, q.id LIMIT {SEALED_AT_ONCE}"
    );
    let rows = transaction.query_all_raw(Statement::from_string(backend, question)).await.map_err(broken("reading unsealed events"))?;
    let read = |row: &QueryResult| match event_at(row, 0, key(row, TIME, 0)?.recorded_at) {
        Found::Event(event) => Ok(Waiting { event: *event, is_sealed: row.try_get_by_index(TIME + 1).unwrap_or_default() }),
        Found::Unreadable | Found::Nothing => anyhow::bail!("an event of the audit trail that waits to be sealed cannot be read"),
    };
    rows.iter().map(read).collect()
}

/// Takes these off the list, and no others: more may have been committed meanwhile.
async fn take_off_the_list(transaction: &DatabaseTransaction, waited: &[Waiting]) -> anyhow::Result<()> {
    if waited.is_empty() {
        return Ok(());
    }
    let pairs = (0..waited.len()).map(|at| format!("(${}, ${})", 2 * at + 1, 2 * at + 2)).collect::<Vec<_>>().join(", ");
    let keys = waited.iter().flat_map(|Waiting { event, .. }| [Value::from(event.recorded_at.utc()), Value::from(event.id)]);
    let sql = format!("DELETE FROM audit_unsealed WHERE (recorded_at, id) IN (VALUES {pairs})");
    let off = transaction.execute_raw(Statement::from_sql_and_values(transaction.get_database_backend(), sql, keys)).await;
    off.map(|_| ()).map_err(broken("taking sealed events off the list"))
}

#[async_trait]
impl ChainStore for DatabaseStore {
    async fn seal(&self) -> anyhow::Result<Option<u64>> {
        if !self.anything_waits().await? {
            return Ok(Some(0));
        }
        let transaction = self.transaction().await?;
        let backend = transaction.get_database_backend();
        if backend == DbBackend::Postgres {
            let mine = transaction.query_one_raw(Statement::from_string(backend, TRY_CHAIN_LOCK)).await;
            let mine = mine.map_err(broken("taking a turn at the audit chain"))?.context("the database answered nothing")?;
            if !mine.try_get::<bool>("", "mine").map_err(broken("taking a turn at the audit chain"))? {
                return Ok(None);
            }
        }
        let mut head = head(&transaction).await?;
        let waited = waiting(&transaction).await?;
        let entries = waited.iter().filter(|waited| !waited.is_sealed).map(|Waiting { event, .. }| {
            let event_hash = event.hash();
            head = head.then(&event_hash);
            let row = audit_chain::Model {
                position: position(head.position),
                event_recorded_at: event.recorded_at.utc(),
                event_id: event.id,
                event_hash: event_hash.to_vec(),
                chain_hash: head.hash.to_vec(),
            };
            row.into_active_model()
        });
        let entries: Vec<_> = entries.collect();
        let sealed = entries.len() as u64;
        if !entries.is_empty() {
            audit_chain::Entity::insert_many(entries).exec_without_returning(&transaction).await.map_err(broken("appending to the audit chain"))?;
        }
        take_off_the_list(&transaction, &waited).await?;
        transaction.commit().await.map_err(broken("committing to the audit chain"))?;
        Ok(Some(sealed))
    }

    async fn find_lost(&self) -> anyhow::Result<u64> {
        let lost = "SELECT e.recorded_at, e.id FROM audit_events AS e
                    WHERE NOT EXISTS (SELECT 1 FROM audit_chain AS c WHERE c.event_recorded_at = e.recorded_at AND c.event_id = e.id)
                    AND NOT EXISTS (SELECT 1 FROM audit_unsealed AS q WHERE q.recorded_at = e.recorded_at AND q.id = e.id)";
        // Without the writer at first: there is nearly always nothing.
        let look = Statement::from_string(self.reading.get_database_backend(), format!("{lost} LIMIT 1"));
        if self.reading.query_one_raw(look).await.map_err(broken("searching the audit trail"))?.is_none() {
            return Ok(0);
        }
        let transaction = self.chain_transaction().await?;
        let found = transaction.execute_unprepared(&format!("INSERT INTO audit_unsealed (recorded_at, id) {lost}")).await;
        let found = found.map_err(broken("letting lost events wait"))?.rows_affected();
        // Those that wait and have a position were put there by mistake.
        let doubled = "DELETE FROM audit_unsealed WHERE EXISTS (SELECT 1 FROM audit_chain AS c
                       WHERE c.event_recorded_at = audit_unsealed.recorded_at AND c.event_id = audit_unsealed.id)";
        transaction.execute_unprepared(doubled).await.map_err(broken("taking sealed events off the list"))?;
        transaction.commit().await.map_err(broken("committing lost events"))?;
        Ok(found)
    }

    async fn checkpoint(&self, signer: &dyn CheckpointSigner, signing: Signing, now: Timestamp) -> anyhow::Result<Option<Checkpoint>> {
        let is_due = |head: Head, last: Option<&Checkpoint>| {
            let new = head.position - last.map_or(0, |last| last.head.position).min(head.position);
            new > 0
                && match (signing, last) {
                    (Signing::Now, _) | (_, None) => true,
                    (Signing::WhenDue { positions, before }, Some(last)) => new >= positions || last.signed_at <= before,
                }
        };
        let (last, end) = (last_checkpoint(&self.reading).await?, head(&self.reading).await?);
        if !is_due(end, last.as_ref()) {
            return Ok(None);
        }
        let transaction = self.chain_transaction().await?;
        let (last, head) = (last_checkpoint(&transaction).await?, head(&transaction).await?);
        if !is_due(head, last.as_ref()) {
            return Ok(None);
        }
        let number = match last {
            Some(last) => last.number + 1,
            None => dropped_checkpoints(&transaction).await? + 1,
        };
        let mut checkpoint = Checkpoint { number, head, signed_at: now, key_id: signer.key_id().to_owned(), signature: Vec::new() };
        checkpoint.signature = signer.sign(&checkpoint.message())?;
        let row = audit_checkpoints::Model::from(&checkpoint).into_active_model();
        audit_checkpoints::Entity::insert(row).exec_without_returning(&transaction).await.map_err(broken("storing a checkpoint of the audit trail"))?;
        transaction.commit().await.map_err(broken("committing a checkpoint of the audit trail"))?;
        Ok(Some(checkpoint))
    }

    async fn endorse(&self, endorsements: &[Endorsement], now: Timestamp) -> anyhow::Result<()> {
        let known = audit_keys::Entity::find().all(&self.reading).await.map_err(broken("reading the keys of checkpoints"))?;
        let is_new = |endorsement: &&Endorsement| !known.iter().any(|row| row.key_id == endorsement.key_id && row.endorsed_by == endorsement.endorsed_by);
        let rows = endorsements.iter().filter(is_new).map(|endorsement| {
            let row = audit_keys::Model {
                key_id: endorsement.key_id.clone(),
                endorsed_by: endorsement.endorsed_by.clone(),
                public_key: endorsement.public_key.clone(),
                signature: endorsement.signature.clone(),
                recorded_at: now.utc(),
            };
            row.into_active_model()
        });
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            return Ok(());
        }
        let transaction = self.chain_transaction().await?;
        // Another process may have been faster. On SQLite a trigger would refuse the second row before a conflict could be passed over.
        for row in rows {
            let (key, by) = (row.key_id.clone().take().unwrap_or_default(), row.endorsed_by.clone().take().unwrap_or_default());
            let there = audit_keys::Entity::find_by_id((key, by)).one(&transaction).await.map_err(broken("reading the keys of checkpoints"))?;
            if there.is_none() {
                audit_keys::Entity::insert(row).exec_without_returning(&transaction).await.map_err(broken("storing a key of checkpoints"))?;
            }
        }
        transaction.commit().await.map_err(broken("committing the keys of checkpoints"))
    }

    async fn standing(&self) -> anyhow::Result<Standing> {
        standing(&self.reading).await
    }
}

async fn dropped_checkpoints(connection: &impl ConnectionTrait) -> anyhow::Result<u64> {
    let cut = audit_cuts::Entity::find().order_by_desc(audit_cuts::Column::Number).one(connection).await;
    cut.map_err(broken("reading the last cut of the audit trail"))?.map_or(Ok(0), |cut| count("audit_cuts.checkpoint", cut.checkpoint))
}
