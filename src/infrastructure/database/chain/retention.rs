//! Months of the trail: dropped behind a cut, and prepared before they begin.
//!
//! On PostgreSQL a month is a partition, and goes as one; what stands in the default partition is deleted row by row, as everything is on
//! SQLite. The triggers that refuse deletion let go what is older than a cut says, so the signed cut is what opens the way.

use std::collections::HashSet;

use anyhow::Context as _;
use async_trait::async_trait;
use chrono::{Datelike as _, Months, NaiveDate};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, Statement, Value, prelude::DateTimeUtc};

use crate::{
    application::chain::{
        CheckpointSigner,
        retention::{ChainWork, Dropped, PruneError, TrailMonths},
    },
    domain::{
        audit::RetentionClass,
        chain::{Cut, EventKey, Found, Head, ThinnedAway, Thinning, ThinningCount},
        time::Timestamp,
    },
    infrastructure::database::{DatabaseStore, error::broken, work::DatabaseWork},
};

use super::{
    CHAIN_LOCK, EVENT_COLUMNS, TIME, audit_chain, audit_checkpoints, audit_cuts, audit_thinnings, count, dropped_checkpoints, event_at, hash, head, key,
    position,
};

/// Events read at once.
const READ_AT_ONCE: usize = 2_000;

/// Dropping a partition waits for whoever reads the trail, and others wait for it: not for long.
const PATIENCE: &str = "SET LOCAL lock_timeout = '5s'";

async fn ask<T: sea_orm::TryGetable>(connection: &impl ConnectionTrait, question: &str, before: Timestamp) -> anyhow::Result<T> {
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), question, [Value::from(before.utc())]);
    let row = connection.query_one_raw(statement).await.map_err(broken("looking at what is past its retention"))?;
    row.context("the database answered nothing")?.try_get_by_index(0).ok().context("the database's answer cannot be read")
}

/// The last position before the first event that stays.
async fn last_position(connection: &impl ConnectionTrait, before: Timestamp) -> anyhow::Result<u64> {
    let first: Option<i64> = ask(connection, "SELECT MIN(position) FROM audit_chain WHERE event_recorded_at >= $1", before).await?;
    match first {
        Some(first) => Ok(count("audit_chain.position", first)?.saturating_sub(1)),
        None => Ok(head(connection).await?.position),
    }
}

#[async_trait]
impl ChainWork for DatabaseWork {
    async fn cut(&mut self, before: Timestamp, signer: &dyn CheckpointSigner, now: Timestamp) -> Result<Dropped, PruneError> {
        let transaction = &self.transaction;
        let backend = transaction.get_database_backend();
        if backend == DbBackend::Postgres {
            transaction.execute_unprepared(CHAIN_LOCK).await.map_err(broken("waiting for another process's turn at the audit chain"))?;
        }
        let unsealed = "SELECT COUNT(*) FROM audit_events AS e WHERE e.recorded_at < $1
                        AND NOT EXISTS (SELECT 1 FROM audit_chain AS c WHERE c.event_recorded_at = e.recorded_at AND c.event_id = e.id)";
        if ask::<i64>(transaction, unsealed, before).await? > 0 {
            return Err(PruneError::Unsealed);
        }
        let known = RetentionClass::ALL.iter().map(|class| format!("'{}'", class.as_str())).collect::<Vec<_>>().join(", ");
        let unknown = format!("SELECT COUNT(*) FROM audit_events WHERE recorded_at < $1 AND class NOT IN ({known})");
        if ask::<i64>(transaction, &unknown, before).await? > 0 {
            return Err(PruneError::UnknownClass);
        }
        let events = ask::<i64>(transaction, "SELECT COUNT(*) FROM audit_events WHERE recorded_at < $1", before).await?;
        let last = last_position(transaction, before).await?;
        let cut = self.sign_cut(last, before, signer, now).await?;
        let row = audit_cuts::Model {
            number: position(cut.number),
            position: position(cut.head.position),
            chain_hash: cut.head.hash.to_vec(),
            checkpoint: position(cut.checkpoint),
            events_before: before.utc(),
            signed_at: now.utc(),
            key_id: cut.key_id,
            signature: cut.signature,
        };
        let transaction = &self.transaction;
        audit_cuts::Entity::insert(row.into_active_model()).exec_without_returning(transaction).await.map_err(broken("storing a cut of the audit trail"))?;
        let delete = async |statement: &str, value: Value| {
            let statement = Statement::from_sql_and_values(backend, statement, [value]);
            transaction.execute_raw(statement).await.map(|_| ()).map_err(broken("dropping what is past its retention"))
        };
        delete("DELETE FROM audit_chain WHERE position <= $1", position(last).into()).await?;
        delete("DELETE FROM audit_checkpoints WHERE number <= $1", position(cut.checkpoint).into()).await?;
        delete("DELETE FROM audit_person WHERE recorded_at < $1", before.utc().into()).await?;
        if backend == DbBackend::Postgres {
            delete("DELETE FROM audit_events_default WHERE recorded_at < $1", before.utc().into()).await?;
            // Last of all, since whoever writes to the trail waits from here on.
            transaction.execute_unprepared(PATIENCE).await.map_err(broken("dropping months of the audit trail"))?;
            for (partition, _) in months(transaction).await?.into_iter().filter(|(_, month)| ends_by(*month, before)) {
                transaction.execute_unprepared(&format!("DROP TABLE {partition}")).await.map_err(broken("dropping a month of the audit trail"))?;
            }
        } else {
            delete("DELETE FROM audit_events WHERE recorded_at < $1", before.utc().into()).await?;
        }
        Ok(Dropped { events: events.unsigned_abs(), position: last, routine: 0 })
    }

    async fn thin(&mut self, class: RetentionClass, month: NaiveDate, signer: &dyn CheckpointSigner, now: Timestamp) -> Result<u64, PruneError> {
        let transaction = &self.transaction;
        let backend = transaction.get_database_backend();
        if backend == DbBackend::Postgres {
            transaction.execute_unprepared(CHAIN_LOCK).await.map_err(broken("waiting for another process's turn at the audit chain"))?;
        }
        let next = month.checked_add_months(Months::new(1)).context("a month has no next")?;
        let (from, before) = (first_instant(month), first_instant(next));
        let dropped = self.thinned_away(class, from, before).await?;
        let mut thinning = Thinning {
            class: class.as_str().to_owned(),
            from: Timestamp::new(from),
            before: Timestamp::new(before),
            dropped,
            signed_at: now,
            key_id: signer.key_id().to_owned(),
            signature: Vec::new(),
        };
        thinning.signature = signer.sign(&thinning.message())?;
        let row = audit_thinnings::Model::from(thinning).into_active_model();
        audit_thinnings::Entity::insert(row).exec_without_returning(transaction).await.map_err(broken("storing a thinning of the audit trail"))?;
        let days = format!("recorded_at >= $1 AND recorded_at < $2 AND {}", class_is("e", class));
        for statement in [
            format!(
                "DELETE FROM audit_person WHERE recorded_at >= $1 AND recorded_at < $2 AND EXISTS
                 (SELECT 1 FROM audit_events AS e WHERE e.recorded_at = audit_person.recorded_at AND e.id = audit_person.event_id AND {})",
                class_is("e", class)
            ),
            format!("DELETE FROM audit_events AS e WHERE {days}"),
        ] {
            let statement = Statement::from_sql_and_values(backend, statement, [from.into(), before.into()]);
            transaction.execute_raw(statement).await.map_err(broken("dropping routine events past their retention"))?;
        }
        Ok(dropped.events)
    }
}

/// In a query over audit events called `events`. Written out, since only then an index over one class is used.
fn class_is(events: &str, class: RetentionClass) -> String {
    format!("{events}.class = '{}'", class.as_str())
}

impl DatabaseWork {
    /// The events of a class in these days, each of which has to be the one that was sealed.
    async fn thinned_away(&self, class: RetentionClass, from: DateTimeUtc, before: DateTimeUtc) -> Result<ThinnedAway, PruneError> {
        let backend = self.transaction.get_database_backend();
        let mut places = Vec::new();
        let mut behind: Option<EventKey> = None;
        loop {
            let beyond = if behind.is_some() { "(e.recorded_at, e.id) > ($1, $3)" } else { "e.recorded_at >= $1" };
            let question = format!(
                "SELECT {EVENT_COLUMNS}, e.recorded_at, c.position, c.event_hash FROM audit_events AS e
                 LEFT JOIN audit_chain AS c ON c.event_recorded_at = e.recorded_at AND c.event_id = e.id
                 WHERE {beyond} AND e.recorded_at < $2 AND {} ORDER BY e.recorded_at, e.id LIMIT {READ_AT_ONCE}",
                class_is("e", class)
            );
            let values = match behind {
                Some(key) => vec![key.recorded_at.utc().into(), before.into(), key.id.into()],
                None => vec![Value::from(from), before.into()],
            };
            let rows = self.transaction.query_all_raw(Statement::from_sql_and_values(backend, question, values)).await;
            let rows = rows.map_err(broken("reading routine events past their retention"))?;
            for row in &rows {
                let key = key(row, TIME, 0)?;
                behind = Some(key);
                let sealed = row.try_get_by_index::<Option<i64>>(TIME + 1).ok().flatten().ok_or(PruneError::Unsealed)?;
                let Found::Event(event) = event_at(row, 0, key.recorded_at) else { return Err(PruneError::Tampered) };
                let hash = event.hash();
                if row.try_get_by_index::<Vec<u8>>(TIME + 2).ok().as_deref() != Some(hash.as_slice()) {
                    return Err(PruneError::Tampered);
                }
                places.push((count("audit_chain.position", sealed)?, hash));
            }
            if rows.len() < READ_AT_ONCE {
                break;
            }
        }
        places.sort_unstable();
        let mut counting = ThinningCount::default();
        for (position, hash) in &places {
            counting.take(*position, hash);
        }
        Ok(counting.taken())
    }

    /// A cut behind `last`. What it signs has to be what was signed before.
    async fn sign_cut(&self, last: u64, before: Timestamp, signer: &dyn CheckpointSigner, now: Timestamp) -> Result<Cut, PruneError> {
        let transaction = &self.transaction;
        let doing = "reading the chain before a cut";
        let earlier = audit_cuts::Entity::find().order_by_desc(audit_cuts::Column::Number).one(transaction).await.map_err(broken(doing))?;
        let (number, earlier) = match earlier {
            Some(row) => (count("audit_cuts.number", row.number)?, Cut::try_from(row)?.head),
            None => (0, Head::START),
        };
        let at = audit_chain::Entity::find_by_id(position(last)).one(transaction).await.map_err(broken(doing))?;
        let head = match at {
            Some(row) => Head { position: last, hash: hash("audit_chain.chain_hash", row.chain_hash)? },
            // Everything up to there went with an earlier cut.
            None if last == earlier.position => earlier,
            None => return Err(PruneError::Tampered),
        };
        let checkpoint = audit_checkpoints::Entity::find()
            .filter(audit_checkpoints::Column::Position.lte(position(last)))
            .order_by_desc(audit_checkpoints::Column::Number)
            .one(transaction)
            .await
            .map_err(broken(doing))?;
        let dropped = match checkpoint {
            Some(last_signed) => {
                let there = audit_chain::Entity::find_by_id(last_signed.position).one(transaction).await.map_err(broken(doing))?;
                if there.is_none_or(|row| row.chain_hash != last_signed.chain_hash) {
                    return Err(PruneError::Tampered);
                }
                count("audit_checkpoints.number", last_signed.number)?
            }
            None => dropped_checkpoints(transaction).await?,
        };
        let key_id = signer.key_id().to_owned();
        let mut cut = Cut { number: number + 1, head, checkpoint: dropped, events_before: before, signed_at: now, key_id, signature: Vec::new() };
        cut.signature = signer.sign(&cut.message())?;
        Ok(cut)
    }
}

/// The partitions that hold a month, with its first day.
async fn months(connection: &impl ConnectionTrait) -> anyhow::Result<Vec<(String, NaiveDate)>> {
    let question = "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'audit_events'::regclass ORDER BY relname";
    let rows = connection.query_all_raw(Statement::from_string(DbBackend::Postgres, question)).await;
    let rows = rows.map_err(broken("reading the months of the audit trail"))?;
    let month = |name: &str| NaiveDate::parse_from_str(&format!("{}_01", name.strip_prefix("audit_events_")?), "%Y_%m_%d").ok();
    let names = rows.iter().filter_map(|row| row.try_get::<String>("", "relname").ok());
    Ok(names.filter_map(|name| month(&name).map(|month| (name, month))).collect())
}

fn first_instant(day: NaiveDate) -> DateTimeUtc {
    day.and_time(chrono::NaiveTime::MIN).and_utc()
}

fn ends_by(month: NaiveDate, before: Timestamp) -> bool {
    month.checked_add_months(Months::new(1)).is_some_and(|next| first_instant(next) <= before.utc())
}

#[async_trait]
impl TrailMonths for DatabaseStore {
    async fn before(&self, instant: Timestamp) -> anyhow::Result<Dropped> {
        let events = ask::<i64>(&self.reading, "SELECT COUNT(*) FROM audit_events WHERE recorded_at < $1", instant).await?;
        Ok(Dropped { events: events.unsigned_abs(), position: if events == 0 { 0 } else { last_position(&self.reading, instant).await? }, routine: 0 })
    }

    async fn of_class(&self, class: RetentionClass, from: Timestamp, before: Timestamp) -> anyhow::Result<Vec<(NaiveDate, u64)>> {
        let doing = "looking for routine events past their retention";
        let backend = self.reading.get_database_backend();
        let ask = async |what: &str, from: DateTimeUtc, before: DateTimeUtc| {
            let question = format!("SELECT {what} FROM audit_events AS e WHERE e.recorded_at >= $1 AND e.recorded_at < $2 AND {}", class_is("e", class));
            let row = self.reading.query_one_raw(Statement::from_sql_and_values(backend, question, [from.into(), before.into()])).await;
            row.map_err(broken(doing))?.context("the database answered nothing")
        };
        let thinned = audit_thinnings::Entity::find().filter(audit_thinnings::Column::Class.eq(class.as_str())).all(&self.reading).await;
        let thinned: HashSet<DateTimeUtc> = thinned.map_err(broken(doing))?.into_iter().map(|row| row.events_from).collect();
        let (mut months, mut from) = (Vec::new(), from.utc());
        while let Some(first) = ask("MIN(e.recorded_at)", from, before.utc()).await?.try_get_by_index::<Option<DateTimeUtc>>(0).map_err(broken(doing))? {
            let month = first.date_naive().with_day(1).context("a month has no first day")?;
            let (begins, next) = (first_instant(month), first_instant(month.checked_add_months(Months::new(1)).context("a month has no next")?));
            let events: i64 = ask("COUNT(*)", begins, next).await?.try_get_by_index(0).map_err(broken(doing))?;
            // What turns up in a month that was thinned before stays: nothing that was signed says that it went.
            if !thinned.contains(&begins) {
                months.push((month, events.unsigned_abs()));
            }
            from = next;
        }
        Ok(months)
    }

    async fn prepare(&self, wanted: &[NaiveDate]) -> anyhow::Result<u64> {
        if self.reading.get_database_backend() != DbBackend::Postgres {
            return Ok(0);
        }
        let there: HashSet<NaiveDate> = months(&self.reading).await?.into_iter().map(|(_, month)| month).collect();
        let mut made = 0;
        for month in wanted.iter().filter(|month| !there.contains(month)) {
            made += u64::from(self.prepare_month(*month).await?);
        }
        Ok(made)
    }
}

impl DatabaseStore {
    /// A partition for a month. Rows that are in the default partition already stay there, and their month does without.
    async fn prepare_month(&self, month: NaiveDate) -> anyhow::Result<bool> {
        let Some(next) = month.checked_add_months(Months::new(1)) else { return Ok(false) };
        let transaction = self.chain_transaction().await?;
        let doing = "preparing a month of the audit trail";
        if months(&transaction).await?.iter().any(|(_, there)| *there == month) {
            return Ok(false);
        }
        transaction.execute_unprepared(PATIENCE).await.map_err(broken(doing))?;
        let (from, to) = (first_instant(month), first_instant(next));
        let strays = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT 1 FROM audit_events_default WHERE recorded_at >= $1 AND recorded_at < $2 LIMIT 1",
            [from.into(), to.into()],
        );
        if transaction.query_one_raw(strays).await.map_err(broken(doing))?.is_some() {
            tracing::warn!(%month, "this month of the audit trail stays in the default partition, where it has rows");
            return Ok(false);
        }
        let table = format!("audit_events_{}", month.format("%Y_%m"));
        let sql = format!(
            "CREATE TABLE {table} PARTITION OF audit_events FOR VALUES FROM ('{}') TO ('{}');
             CREATE TRIGGER tr_{table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit_events_refuse_change();",
            from.to_rfc3339(),
            to.to_rfc3339()
        );
        transaction.execute_unprepared(&sql).await.map_err(broken(doing))?;
        transaction.commit().await.map_err(broken(doing))?;
        Ok(true)
    }
}
