//! The chain over the audit trail: what gives every committed event a position, and makes a change of any of them show.
//!
//! A trigger puts the key of each new event into `audit_unsealed` within the event's own transaction, so that the event and its key are
//! committed together or not at all, and in whatever order. The sealer takes keys from there into `audit_chain`. `audit_checkpoints` holds
//! signatures over a position and its hash, `audit_keys` the public keys they can be checked with, and `audit_cuts` what was dropped when it
//! was past its retention.
//!
//! All but `audit_unsealed` are append-only, as `audit_events` is. A row of a cut is what lets older rows be deleted; nothing else does.

use std::fmt::Write as _;

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, &tables(manager.get_database_backend())).await?;
        let triggers = match manager.get_database_backend() {
            DbBackend::Postgres => postgres_triggers(),
            _ => sqlite_triggers(),
        };
        dialect::run(manager, &triggers).await?;
        dialect::run(manager, "INSERT INTO audit_unsealed (recorded_at, id) SELECT recorded_at, id FROM audit_events;").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, if manager.get_database_backend() == DbBackend::Postgres { POSTGRES_DOWN } else { SQLITE_DOWN }).await?;
        dialect::run(manager, "DROP INDEX ix_audit_person_recorded_at; DROP INDEX ix_audit_person_user_id_recorded_at; DROP TABLE audit_unsealed; DROP TABLE audit_chain; DROP TABLE audit_checkpoints; DROP TABLE audit_keys; DROP TABLE audit_cuts;")
            .await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            dialect::run(manager, "DROP FUNCTION audit_chain_refuse_change(); DROP FUNCTION audit_events_await_seal();").await?;
        }
        Ok(())
    }
}

/// A table whose rows stay: its key, and which of its rows a cut lets go.
struct Kept {
    name: &'static str,
    keys: &'static [&'static [&'static str]],
    goes_with: Option<&'static str>,
}

const KEPT: [Kept; 4] = [
    Kept { name: "audit_chain", keys: &[&["position"], &["event_recorded_at", "event_id"]], goes_with: Some("cut.position >= OLD.position") },
    Kept { name: "audit_checkpoints", keys: &[&["number"]], goes_with: Some("cut.checkpoint >= OLD.number") },
    Kept { name: "audit_cuts", keys: &[&["number"]], goes_with: None },
    Kept { name: "audit_keys", keys: &[&["key_id", "endorsed_by"]], goes_with: None },
];

fn tables(backend: DbBackend) -> String {
    // As with audit_events: without a rowid, REPLACE finds no way around the triggers.
    let end = if backend == DbBackend::Postgres { "" } else { " WITHOUT ROWID" };
    TABLES.replace("{end}", end)
}

const TABLES: &str = "
CREATE TABLE audit_unsealed (
    recorded_at {instant} NOT NULL,
    id {id} NOT NULL,
    CONSTRAINT pk_audit_unsealed PRIMARY KEY (recorded_at, id)
){end};
CREATE TABLE audit_chain (
    position BIGINT NOT NULL,
    event_recorded_at {instant} NOT NULL,
    event_id {id} NOT NULL,
    event_hash {bytes} NOT NULL,
    chain_hash {bytes} NOT NULL,
    CONSTRAINT pk_audit_chain PRIMARY KEY (position),
    CONSTRAINT uq_audit_chain_event UNIQUE (event_recorded_at, event_id)
){end};
CREATE TABLE audit_checkpoints (
    number BIGINT NOT NULL,
    position BIGINT NOT NULL,
    chain_hash {bytes} NOT NULL,
    signed_at {instant} NOT NULL,
    key_id TEXT NOT NULL,
    signature {bytes} NOT NULL,
    CONSTRAINT pk_audit_checkpoints PRIMARY KEY (number)
){end};
CREATE TABLE audit_cuts (
    number BIGINT NOT NULL,
    position BIGINT NOT NULL,
    chain_hash {bytes} NOT NULL,
    checkpoint BIGINT NOT NULL,
    events_before {instant} NOT NULL,
    signed_at {instant} NOT NULL,
    key_id TEXT NOT NULL,
    signature {bytes} NOT NULL,
    CONSTRAINT pk_audit_cuts PRIMARY KEY (number)
){end};
CREATE TABLE audit_keys (
    key_id TEXT NOT NULL,
    endorsed_by TEXT NOT NULL,
    public_key {bytes} NOT NULL,
    signature {bytes} NOT NULL,
    recorded_at {instant} NOT NULL,
    CONSTRAINT pk_audit_keys PRIMARY KEY (key_id, endorsed_by)
){end};
CREATE INDEX ix_audit_person_user_id_recorded_at ON audit_person (user_id, recorded_at, event_id);
CREATE INDEX ix_audit_person_recorded_at ON audit_person (recorded_at);
";

fn sqlite_triggers() -> String {
    let mut sql = String::from(SQLITE_EVENTS);
    for Kept { name, keys, goes_with } in KEPT {
        let refuse = format!("BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END;");
        let unless_cut = goes_with.map(|goes| format!("WHEN NOT EXISTS (SELECT 1 FROM audit_cuts AS cut WHERE {goes})")).unwrap_or_default();
        let same = |key: &&[&str]| key.iter().map(|column| format!("{column} = NEW.{column}")).collect::<Vec<_>>().join(" AND ");
        let exists = keys.iter().map(|key| format!("EXISTS (SELECT 1 FROM {name} WHERE {})", same(key))).collect::<Vec<_>>().join(" OR ");
        // Writing to a String cannot fail.
        let _ = writeln!(sql, "CREATE TRIGGER tr_{name}_no_update BEFORE UPDATE ON {name} {refuse}");
        let _ = writeln!(sql, "CREATE TRIGGER tr_{name}_no_delete BEFORE DELETE ON {name} {unless_cut} {refuse}");
        let _ = writeln!(sql, "CREATE TRIGGER tr_{name}_no_replace BEFORE INSERT ON {name} WHEN {exists} {refuse}");
    }
    sql
}

const SQLITE_EVENTS: &str = "
CREATE TRIGGER tr_audit_events_await_seal AFTER INSERT ON audit_events
BEGIN INSERT INTO audit_unsealed (recorded_at, id) VALUES (NEW.recorded_at, NEW.id); END;
DROP TRIGGER tr_audit_events_no_delete;
CREATE TRIGGER tr_audit_events_no_delete BEFORE DELETE ON audit_events
WHEN NOT EXISTS (SELECT 1 FROM audit_cuts AS cut WHERE cut.events_before > OLD.recorded_at)
BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END;
";

const SQLITE_DOWN: &str = "
DROP TRIGGER tr_audit_events_await_seal;
DROP TRIGGER tr_audit_events_no_delete;
CREATE TRIGGER tr_audit_events_no_delete BEFORE DELETE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END;
";

fn postgres_triggers() -> String {
    let mut sql = String::from(POSTGRES_EVENTS);
    // Writing to a String cannot fail.
    let mut goes = String::new();
    for (name, gone) in KEPT.iter().filter_map(|kept| Some((kept.name, kept.goes_with?))) {
        let _ = writeln!(
            goes,
            "    IF TG_OP = 'DELETE' AND TG_TABLE_NAME = '{name}' THEN
        IF EXISTS (SELECT 1 FROM audit_cuts AS cut WHERE {gone}) THEN RETURN OLD; END IF;
    END IF;"
        );
    }
    let _ = writeln!(
        sql,
        "CREATE FUNCTION audit_chain_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
{goes}    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;"
    );
    for Kept { name, .. } in KEPT {
        let _ = writeln!(
            sql,
            "CREATE TRIGGER tr_{name}_append_only BEFORE UPDATE OR DELETE ON {name} FOR EACH ROW EXECUTE FUNCTION audit_chain_refuse_change();
CREATE TRIGGER tr_{name}_no_truncate BEFORE TRUNCATE ON {name} FOR EACH STATEMENT EXECUTE FUNCTION audit_chain_refuse_change();"
        );
    }
    sql
}

const POSTGRES_EVENTS: &str = "
CREATE FUNCTION audit_events_await_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unsealed (recorded_at, id) VALUES (NEW.recorded_at, NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER tr_audit_events_await_seal AFTER INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION audit_events_await_seal();
CREATE OR REPLACE FUNCTION audit_events_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF EXISTS (SELECT 1 FROM audit_cuts AS cut WHERE cut.events_before > OLD.recorded_at) THEN RETURN OLD; END IF;
    END IF;
    RAISE EXCEPTION 'audit_events is append-only';
END $$;
";

const POSTGRES_DOWN: &str = "
DROP TRIGGER tr_audit_events_await_seal ON audit_events;
CREATE OR REPLACE FUNCTION audit_events_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'audit_events is append-only'; END $$;
";
