//! The outbox: mail and events wait here from the commit of their change until they are delivered. `payload` is JSON.

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
CREATE TABLE outbox (
    id {id} NOT NULL,
    user_id {id},
    topic TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_at {instant} NOT NULL,
    available_at {instant} NOT NULL,
    attempts BIGINT NOT NULL,
    delivered_at {instant},
    parked_at {instant},
    last_error TEXT,
    CONSTRAINT pk_outbox PRIMARY KEY (id),
    CONSTRAINT fk_outbox_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_outbox_undelivered ON outbox (available_at, id) WHERE delivered_at IS NULL AND parked_at IS NULL;
CREATE INDEX ix_outbox_user_id_created_at ON outbox (user_id, created_at, id);
";

const DOWN: &str = "DROP TABLE outbox;";
