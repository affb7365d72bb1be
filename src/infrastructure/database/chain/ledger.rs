//! One look at the trail and its chain, as a verification and an export take it: a snapshot that is read some rows at a time.

mod ahead;

use std::{collections::HashSet, sync::Arc};

use anyhow::Context as _;
use async_trait::async_trait;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, IsolationLevel, QueryFilter, QueryOrder, QueryResult, QuerySelect,
    Statement, TransactionOptions, TransactionTrait, Value, prelude::Uuid,
};

use crate::{
    application::chain::Ledger,
    domain::{
        chain::{Checkpoint, Cut, Endorsement, Entry, EventKey, Found, Head, StoredPerson, Thinning},
        time::Timestamp,
    },
    infrastructure::database::{
        Readers,
        audit::{audit_events, audit_person},
        error::broken,
    },
};

use ahead::{Ahead, Part};

use super::{EVENT_COLUMNS, TIME, audit_chain, audit_checkpoints, audit_cuts, audit_keys, audit_thinnings, count, event_at, hash, key, position};

/// Rows read at once.
const READ_AT_ONCE: u32 = 2_000;

/// A snapshot of the trail and its chain.
struct Snapshot {
    view: View,
    /// Positions that are read ahead.
    entries: Option<Ahead<u64, (Entry, Found)>>,
    /// Persons that are read ahead.
    persons: Option<Ahead<PersonKey, PersonRead>>,
    /// Behind which event without a position the next are read, its time as it is written: SQLite compares texts, and one that is spelled
    /// otherwise than ours is not where its time would be.
    behind: Option<(String, Uuid)>,
}

/// The one transaction that everything is read in.
#[derive(Clone)]
struct View {
    transaction: Arc<DatabaseTransaction>,
    is_postgres: bool,
}

/// Behind which part of which event the next persons are read; `None` at the beginning.
type PersonKey = Option<(Uuid, String)>;

/// Who is kept, and the hash of them that their event holds, if there is such an event.
type PersonRead = (StoredPerson, Option<Vec<u8>>);

impl Readers {
    /// Looks at the trail as it is now, whatever is committed meanwhile.
    pub async fn ledger(&self) -> anyhow::Result<Box<dyn Ledger>> {
        let is_postgres = self.backend() == DbBackend::Postgres;
        let options = TransactionOptions { isolation_level: is_postgres.then_some(IsolationLevel::RepeatableRead), ..TransactionOptions::default() };
        let transaction = self.connection.begin_with_options(options).await.map_err(broken("opening a view of the audit trail"))?;
        let view = View { transaction: Arc::new(transaction), is_postgres };
        Ok(Box::new(Snapshot { view, entries: None, persons: None, behind: None }))
    }
}

impl View {
    async fn rows(&self, question: String, values: impl IntoIterator<Item = Value>, doing: &'static str) -> anyhow::Result<Vec<QueryResult>> {
        let statement = Statement::from_sql_and_values(self.transaction.get_database_backend(), question, values);
        self.transaction.query_all_raw(statement).await.map_err(broken(doing))
    }

    /// Which of these events there are, whatever their time.
    async fn events_of_any_time(&self, ids: Vec<Uuid>) -> anyhow::Result<HashSet<Uuid>> {
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let found = audit_events::Entity::find().select_only().column(audit_events::Column::Id).filter(audit_events::Column::Id.is_in(ids));
        let found: Vec<Uuid> = found.into_tuple().all(self.transaction.as_ref()).await.map_err(broken("looking for the events of persons"))?;
        Ok(found.into_iter().collect())
    }

    /// The next positions behind one, and where they end.
    async fn entries(&self, behind: u64) -> anyhow::Result<Option<Part<u64, (Entry, Found)>>> {
        let join = if self.is_postgres {
            format!(
                "(SELECT * FROM audit_chain WHERE position > $1 ORDER BY position LIMIT {READ_AT_ONCE}) AS c LEFT JOIN LATERAL
                 (SELECT {EVENT_COLUMNS} FROM audit_events AS e WHERE e.recorded_at = c.event_recorded_at AND e.id = c.event_id OFFSET 0) AS e ON TRUE"
            )
        } else {
            "audit_chain AS c LEFT JOIN audit_events AS e ON e.recorded_at = c.event_recorded_at AND e.id = c.event_id".to_owned()
        };
        let question = format!(
            "SELECT c.position, c.event_recorded_at, c.event_id, c.event_hash, c.chain_hash, {EVENT_COLUMNS} FROM {join}
             WHERE c.position > $1 ORDER BY c.position LIMIT {READ_AT_ONCE}"
        );
        let rows = self.rows(question, [Value::from(position(behind))], "reading the audit chain").await?;
        let Some(last) = rows.last().map(position_of).transpose()? else { return Ok(None) };
        Ok(Some(Part { last, read: tokio::task::spawn_blocking(move || rows.iter().map(read_entry).collect()) }))
    }

    /// The next persons behind one, and where they end.
    async fn persons(&self, behind: PersonKey) -> anyhow::Result<Option<Part<PersonKey, PersonRead>>> {
        let (beyond, values) = match behind {
            Some((event, part)) => ("WHERE (p.event_id, p.role) > ($1, $2)", vec![Value::from(event), Value::from(part)]),
            None => ("", Vec::new()),
        };
        let hash = "CASE p.role WHEN 'actor' THEN e.actor_hash ELSE e.subject_hash END";
        let persons = format!("(SELECT * FROM audit_person AS p {beyond} ORDER BY p.event_id, p.role LIMIT {READ_AT_ONCE}) AS p");
        let events = if self.is_postgres {
            "LEFT JOIN LATERAL (SELECT e.actor_hash, e.subject_hash FROM audit_events AS e WHERE e.recorded_at = p.recorded_at AND e.id = p.event_id OFFSET 0) \
             AS e ON TRUE"
        } else {
            "LEFT JOIN audit_events AS e ON e.recorded_at = p.recorded_at AND e.id = p.event_id"
        };
        let question = format!(
            "SELECT p.event_id, p.role, p.recorded_at, p.user_id, p.email, p.ip, p.user_agent, p.salt, e.actor_hash IS NOT NULL, {hash}
             FROM {persons} {events} ORDER BY p.event_id, p.role"
        );
        let rows = self.rows(question, values, "reading the persons of the audit trail").await?;
        let Some(last) = rows.last().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).transpose().map_err(unreadable_person)? else {
            return Ok(None);
        };
        let astray = rows.iter().filter(|row| !row.try_get_by_index::<bool>(8).unwrap_or_default()).filter_map(|row| row.try_get_by_index::<Uuid>(0).ok());
        let elsewhere = self.events_of_any_time(astray.collect()).await?;
        let read = move |row: &QueryResult| {
            let person = read_person(row).map_err(unreadable_person)?;
            // One whose event is there under another time was made to miss it.
            let is_there = row.try_get_by_index(8).unwrap_or_default() || elsewhere.contains(&person.event.id);
            // An event that has no subject has an empty hash of one: no person has that.
            let hash = row.try_get_by_index::<Option<Vec<u8>>>(9).unwrap_or_default().unwrap_or_default();
            Ok((person, is_there.then_some(hash)))
        };
        Ok(Some(Part { last: Some(last), read: tokio::task::spawn_blocking(move || rows.iter().map(read).collect()) }))
    }
}

fn position_of(row: &QueryResult) -> anyhow::Result<u64> {
    count("audit_chain.position", row.try_get_by_index(0).ok().context("a position of the audit chain cannot be read")?)
}

fn read_entry(row: &QueryResult) -> anyhow::Result<(Entry, Found)> {
    let bytes = |column| row.try_get_by_index::<Vec<u8>>(column).unwrap_or_default();
    let entry = Entry { position: position_of(row)?, event: key(row, 1, 2)?, event_hash: bytes(3), chain_hash: bytes(4) };
    let found = event_at(row, 5, entry.event.recorded_at);
    Ok((entry, found))
}

fn read_person(row: &QueryResult) -> Result<StoredPerson, sea_orm::TryGetError> {
    let event = EventKey { id: row.try_get_by_index(0)?, recorded_at: Timestamp::new(row.try_get_by_index(2)?) };
    Ok(StoredPerson {
        event,
        part: row.try_get_by_index(1)?,
        user: row.try_get_by_index(3)?,
        email: row.try_get_by_index(4)?,
        ip: row.try_get_by_index(5)?,
        user_agent: row.try_get_by_index(6)?,
        salt: row.try_get_by_index(7)?,
    })
}

fn unreadable_person(_: sea_orm::TryGetError) -> anyhow::Error {
    anyhow::anyhow!("a person of the audit trail cannot be read")
}

#[async_trait]
impl Ledger for Snapshot {
    async fn endorsements(&mut self) -> anyhow::Result<Vec<Endorsement>> {
        let rows = audit_keys::Entity::find().order_by_asc(audit_keys::Column::RecordedAt).order_by_asc(audit_keys::Column::KeyId);
        let rows = rows.all(self.view.transaction.as_ref()).await.map_err(broken("reading the keys of checkpoints"))?;
        Ok(rows.into_iter().map(Endorsement::from).collect())
    }

    async fn cuts(&mut self) -> anyhow::Result<Vec<Cut>> {
        let rows = audit_cuts::Entity::find().order_by_asc(audit_cuts::Column::Number).all(self.view.transaction.as_ref()).await;
        rows.map_err(broken("reading the cuts of the audit trail"))?.into_iter().map(Cut::try_from).collect()
    }

    async fn thinnings(&mut self) -> anyhow::Result<Vec<Thinning>> {
        let rows = audit_thinnings::Entity::find().order_by_asc(audit_thinnings::Column::EventsFrom).order_by_asc(audit_thinnings::Column::Class);
        let rows = rows.all(self.view.transaction.as_ref()).await.map_err(broken("reading the thinnings of the audit trail"))?;
        rows.into_iter().map(Thinning::try_from).collect()
    }

    async fn checkpoints(&mut self, behind: u64) -> anyhow::Result<Vec<Checkpoint>> {
        let rows = audit_checkpoints::Entity::find()
            .filter(Condition::all().add(audit_checkpoints::Column::Number.gt(position(behind))))
            .order_by_asc(audit_checkpoints::Column::Number)
            .limit(u64::from(READ_AT_ONCE))
            .all(self.view.transaction.as_ref())
            .await;
        rows.map_err(broken("reading checkpoints of the audit trail"))?.into_iter().map(Checkpoint::try_from).collect()
    }

    async fn entries(&mut self, behind: u64) -> anyhow::Result<Vec<(Entry, Found)>> {
        let view = self.view.clone();
        Ahead::next(&mut self.entries, behind, move |behind| {
            let view = view.clone();
            async move { view.entries(behind).await }
        })
        .await
    }

    async fn counts(&mut self) -> anyhow::Result<(u64, u64)> {
        let question = "SELECT (SELECT COUNT(*) FROM audit_events), \
                        (SELECT COUNT(*) FROM (SELECT DISTINCT event_recorded_at, event_id FROM audit_chain WHERE position > 0) AS named)";
        let rows = self.view.rows(question.to_owned(), [], "counting the audit trail").await?;
        let row = rows.first().context("the database answered nothing")?;
        let number = |at| row.try_get_by_index::<i64>(at).ok().and_then(|number| u64::try_from(number).ok()).context("a count cannot be read");
        Ok((number(0)?, number(1)?))
    }

    async fn unsealed(&mut self, behind: Option<EventKey>) -> anyhow::Result<Vec<(EventKey, Found)>> {
        let (beyond, values) = match behind {
            Some(EventKey { id, recorded_at }) => {
                let written = self.behind.take().filter(|(_, last)| *last == id && !self.view.is_postgres);
                let instant = written.map_or_else(|| Value::from(recorded_at.utc()), |(text, _)| Value::from(text));
                ("AND (e.recorded_at, e.id) > ($1, $2)", vec![instant, Value::from(id)])
            }
            None => ("", Vec::new()),
        };
        // A position that is none has no event: nothing could be hidden behind it.
        let question = format!(
            "SELECT {EVENT_COLUMNS}, e.recorded_at, CAST(e.recorded_at AS TEXT) FROM audit_events AS e
             WHERE NOT EXISTS (SELECT 1 FROM audit_chain AS c WHERE c.event_recorded_at = e.recorded_at AND c.event_id = e.id AND c.position > 0) {beyond}
             ORDER BY e.recorded_at, e.id LIMIT {READ_AT_ONCE}"
        );
        let rows = self.view.rows(question, values, "looking for events without a position").await?;
        self.behind = rows.last().and_then(|row| Some((row.try_get_by_index(TIME + 1).ok()?, row.try_get_by_index(0).ok()?)));
        let read = |row: &QueryResult| {
            let key = key(row, TIME, 0)?;
            Ok((key, event_at(row, 0, key.recorded_at)))
        };
        rows.iter().map(read).collect()
    }

    async fn vanished(&mut self) -> anyhow::Result<Vec<EventKey>> {
        let question = format!(
            "SELECT q.recorded_at, q.id FROM audit_unsealed AS q
             WHERE NOT EXISTS (SELECT 1 FROM audit_events AS e WHERE e.recorded_at = q.recorded_at AND e.id = q.id)
             ORDER BY q.recorded_at, q.id LIMIT {READ_AT_ONCE}"
        );
        let rows = self.view.rows(question, [], "looking for events that are gone").await?;
        rows.iter().map(|row| key(row, 0, 1)).collect()
    }
    async fn persons(&mut self, behind: PersonKey) -> anyhow::Result<Vec<PersonRead>> {
        let view = self.view.clone();
        Ahead::next(&mut self.persons, behind, move |behind| {
            let view = view.clone();
            async move { view.persons(behind).await }
        })
        .await
    }

    async fn persons_of(&mut self, events: &[Uuid]) -> anyhow::Result<Vec<StoredPerson>> {
        let rows = audit_person::Entity::find()
            .filter(audit_person::Column::EventId.is_in(events.iter().copied()))
            .order_by_asc(audit_person::Column::EventId)
            .order_by_asc(audit_person::Column::Role)
            .all(self.view.transaction.as_ref())
            .await;
        Ok(rows.map_err(broken("reading the persons of audit events"))?.into_iter().map(StoredPerson::from).collect())
    }

    async fn around(&mut self, instant: Timestamp) -> anyhow::Result<(Option<u64>, Option<u64>)> {
        let question = "SELECT (SELECT MIN(position) FROM audit_chain WHERE event_recorded_at >= $1), \
                        (SELECT MAX(position) FROM audit_chain WHERE event_recorded_at < $1)";
        let rows = self.view.rows(question.to_owned(), [Value::from(instant.utc())], "looking for a day in the audit chain").await?;
        let row = rows.first().context("the database answered nothing")?;
        let position = |at| row.try_get_by_index::<Option<i64>>(at).ok().flatten().and_then(|position| u64::try_from(position).ok());
        Ok((position(0), position(1)))
    }

    async fn place(&mut self, position: u64) -> anyhow::Result<Option<Head>> {
        let row = audit_chain::Entity::find_by_id(self::position(position))
            .one(self.view.transaction.as_ref())
            .await
            .map_err(broken("reading a position of the audit chain"))?;
        row.map(|row| Ok(Head { position, hash: hash("audit_chain.chain_hash", row.chain_hash)? })).transpose()
    }
}
