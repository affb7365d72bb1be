//! The audit trail in its final form: rows are only ever appended.
//!
//! `audit_events` holds nothing personal but salted hashes; the values and their salts stand in `audit_person`, which may be
//! deleted without touching the trail. No foreign key leads to or from either.
//!
//! PostgreSQL: partitioned by month of `recorded_at` (UTC), so that a month past its retention is dropped as a whole. This file
//! makes [`MONTHS`] months from [`FIRST`]; rows of other months go to `audit_events_default`, and a later migration adds months
//! before they begin. Triggers refuse UPDATE and DELETE of rows on every partition, and TRUNCATE of the parent and of each
//! partition. The primary key leads with `recorded_at`, as a partitioned table demands.
//!
//! SQLite: one table without a rowid, since REPLACE on a rowid would remove a row without firing a delete trigger; for the same
//! reason a trigger refuses to insert a key that exists.

use std::fmt::Write as _;

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::dialect;

/// Year and month of the first partition.
const FIRST: (i32, i32) = (2026, 11);

/// How many months have a partition of their own.
const MONTHS: i32 = 24;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let events = match manager.get_database_backend() {
            DbBackend::Postgres => format!("CREATE TABLE audit_events ({EVENTS}) PARTITION BY RANGE (recorded_at);{}", partitions()),
            _ => format!("CREATE TABLE audit_events ({EVENTS}) WITHOUT ROWID;{SQLITE_TRIGGERS}"),
        };
        dialect::run(manager, &events).await?;
        dialect::run(manager, INDEXES).await?;
        dialect::run(manager, PERSONS).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, "DROP TABLE audit_person; DROP TABLE audit_events;").await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            dialect::run(manager, "DROP FUNCTION audit_events_refuse_change();").await?;
        }
        Ok(())
    }
}

const EVENTS: &str = "
    id {id} NOT NULL,
    recorded_at {instant} NOT NULL,
    attempt_id {id} NOT NULL,
    act TEXT NOT NULL,
    outcome TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_hash {bytes} NOT NULL,
    subject_hash {bytes},
    resource_kind TEXT,
    resource_id {id},
    reason TEXT,
    context TEXT NOT NULL,
    trace_id TEXT,
    class TEXT NOT NULL DEFAULT 'standard',
    CONSTRAINT pk_audit_events PRIMARY KEY (recorded_at, id)
";

const INDEXES: &str = "
CREATE INDEX ix_audit_events_attempt_id ON audit_events (attempt_id);
CREATE INDEX ix_audit_events_act_recorded_at ON audit_events (act, recorded_at);
CREATE INDEX ix_audit_events_resource_id ON audit_events (resource_id);
";

const PERSONS: &str = "
CREATE TABLE audit_person (
    event_id {id} NOT NULL,
    role TEXT NOT NULL,
    recorded_at {instant} NOT NULL,
    user_id {id},
    email TEXT,
    ip TEXT,
    user_agent TEXT,
    salt {bytes} NOT NULL,
    CONSTRAINT pk_audit_person PRIMARY KEY (event_id, role),
    CONSTRAINT ck_audit_person_role CHECK (role IN ('actor', 'subject'))
);
CREATE INDEX ix_audit_person_user_id ON audit_person (user_id, event_id);
";

const SQLITE_TRIGGERS: &str = "
CREATE TRIGGER tr_audit_events_no_update BEFORE UPDATE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END;
CREATE TRIGGER tr_audit_events_no_delete BEFORE DELETE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END;
CREATE TRIGGER tr_audit_events_no_replace BEFORE INSERT ON audit_events
WHEN EXISTS (SELECT 1 FROM audit_events WHERE recorded_at = NEW.recorded_at AND id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END;
";

const POSTGRES_TRIGGERS: &str = "
CREATE FUNCTION audit_events_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'audit_events is append-only'; END $$;
CREATE TRIGGER tr_audit_events_append_only BEFORE UPDATE OR DELETE ON audit_events
FOR EACH ROW EXECUTE FUNCTION audit_events_refuse_change();
";

/// The partitions of PostgreSQL with their triggers. Row triggers spread from the parent by themselves, TRUNCATE triggers do not.
fn partitions() -> String {
    let first_day = |month: i32| format!("{:04}-{:02}-01 00:00:00+00", month / 12, month % 12 + 1);
    let start = FIRST.0 * 12 + FIRST.1 - 1;
    let mut sql = String::from(POSTGRES_TRIGGERS);
    let mut tables = vec!["audit_events".to_owned(), "audit_events_default".to_owned()];
    sql.push_str("CREATE TABLE audit_events_default PARTITION OF audit_events DEFAULT;\n");
    for month in start..start + MONTHS {
        let table = format!("audit_events_{:04}_{:02}", month / 12, month % 12 + 1);
        let (from, to) = (first_day(month), first_day(month + 1));
        // Writing to a String cannot fail.
        let _ = writeln!(sql, "CREATE TABLE {table} PARTITION OF audit_events FOR VALUES FROM ('{from}') TO ('{to}');");
        tables.push(table);
    }
    for table in tables {
        let _ =
            writeln!(sql, "CREATE TRIGGER tr_{table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit_events_refuse_change();");
    }
    sql
}
