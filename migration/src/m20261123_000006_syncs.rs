//! Syncs: the queue and its history. A link has at most one sync that has yet to end.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, DOWN).await
    }
}

const UP: &str = "
CREATE TABLE syncs (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    link_id {id} NOT NULL,
    status TEXT NOT NULL,
    created_at {instant} NOT NULL,
    run_after {instant} NOT NULL,
    attempts BIGINT NOT NULL,
    started_at {instant},
    finished_at {instant},
    problem TEXT,
    accounts_seen BIGINT NOT NULL,
    transactions_added BIGINT NOT NULL,
    transactions_modified BIGINT NOT NULL,
    transactions_removed BIGINT NOT NULL,
    CONSTRAINT pk_syncs PRIMARY KEY (id),
    CONSTRAINT fk_syncs_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_syncs_link_id FOREIGN KEY (link_id) REFERENCES links (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX uq_syncs_open ON syncs (link_id) WHERE status IN ('queued', 'running');
CREATE INDEX ix_syncs_queue ON syncs (run_after, created_at, id) WHERE status IN ('queued', 'running');
CREATE INDEX ix_syncs_user_id_link_id ON syncs (user_id, link_id, created_at, id);
CREATE INDEX ix_syncs_link_id ON syncs (link_id);
";

const DOWN: &str = "DROP TABLE syncs;";
