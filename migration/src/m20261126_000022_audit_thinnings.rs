//! Retention by class: of a month that is past the retention of a shorter-lived class, the events of that class go and their positions stay.
//!
//! A row of `audit_thinnings` is what lets those events be deleted, as a row of `audit_cuts` lets everything before it go. It is append-only
//! as the others are.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        dialect::run(manager, &TABLE.replace("{end}", if is_postgres { "" } else { " WITHOUT ROWID" })).await?;
        if is_postgres {
            dialect::run(manager, POSTGRES_TRIGGERS).await?;
            dialect::run(manager, &postgres_events(THINNED)).await
        } else {
            dialect::run(manager, SQLITE_TRIGGERS).await?;
            dialect::run(manager, &sqlite_events(THINNED)).await
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let events = if is_postgres { postgres_events } else { sqlite_events };
        dialect::run(manager, &events("")).await?;
        dialect::run(manager, "DROP INDEX ix_audit_events_routine; DROP TABLE audit_thinnings;").await
    }
}

const TABLE: &str = "
CREATE TABLE audit_thinnings (
    class TEXT NOT NULL,
    events_from {instant} NOT NULL,
    events_before {instant} NOT NULL,
    events BIGINT NOT NULL,
    digest {bytes} NOT NULL,
    signed_at {instant} NOT NULL,
    key_id TEXT NOT NULL,
    signature {bytes} NOT NULL,
    CONSTRAINT pk_audit_thinnings PRIMARY KEY (class, events_from)
){end};
CREATE INDEX ix_audit_events_routine ON audit_events (recorded_at) WHERE class = 'routine';
";

const THINNED: &str = " OR EXISTS (SELECT 1 FROM audit_thinnings AS thinning WHERE thinning.class = OLD.class
    AND thinning.events_from <= OLD.recorded_at AND thinning.events_before > OLD.recorded_at)";

const SQLITE_TRIGGERS: &str = "
CREATE TRIGGER tr_audit_thinnings_no_update BEFORE UPDATE ON audit_thinnings BEGIN SELECT RAISE(ABORT, 'audit_thinnings is append-only'); END;
CREATE TRIGGER tr_audit_thinnings_no_delete BEFORE DELETE ON audit_thinnings BEGIN SELECT RAISE(ABORT, 'audit_thinnings is append-only'); END;
CREATE TRIGGER tr_audit_thinnings_no_replace BEFORE INSERT ON audit_thinnings
WHEN EXISTS (SELECT 1 FROM audit_thinnings WHERE class = NEW.class AND events_from = NEW.events_from)
BEGIN SELECT RAISE(ABORT, 'audit_thinnings is append-only'); END;
";

const POSTGRES_TRIGGERS: &str = "
CREATE TRIGGER tr_audit_thinnings_append_only BEFORE UPDATE OR DELETE ON audit_thinnings FOR EACH ROW EXECUTE FUNCTION audit_chain_refuse_change();
CREATE TRIGGER tr_audit_thinnings_no_truncate BEFORE TRUNCATE ON audit_thinnings FOR EACH STATEMENT EXECUTE FUNCTION audit_chain_refuse_change();
";

/// Events go with a cut, or otherwise as `also` says.
fn sqlite_events(also: &str) -> String {
    format!(
        "DROP TRIGGER tr_audit_events_no_delete;
CREATE TRIGGER tr_audit_events_no_delete BEFORE DELETE ON audit_events
WHEN NOT (EXISTS (SELECT 1 FROM audit_cuts AS cut WHERE cut.events_before > OLD.recorded_at){also})
BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END;"
    )
}

fn postgres_events(also: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION audit_events_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF EXISTS (SELECT 1 FROM audit_cuts AS cut WHERE cut.events_before > OLD.recorded_at){also} THEN RETURN OLD; END IF;
    END IF;
    RAISE EXCEPTION 'audit_events is append-only';
END $$;"
    )
}
