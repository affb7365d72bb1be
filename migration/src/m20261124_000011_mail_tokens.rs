//! Tokens that travel by mail. Only their hash is kept.

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
CREATE TABLE mail_tokens (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    purpose TEXT NOT NULL,
    key_id TEXT NOT NULL,
    hash {bytes} NOT NULL,
    created_at {instant} NOT NULL,
    expires_at {instant} NOT NULL,
    spent_at {instant},
    CONSTRAINT pk_mail_tokens PRIMARY KEY (id),
    CONSTRAINT uq_mail_tokens_hash UNIQUE (hash),
    CONSTRAINT fk_mail_tokens_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_mail_tokens_user_id_purpose ON mail_tokens (user_id, purpose);
CREATE INDEX ix_outbox_delivered_at ON outbox (delivered_at) WHERE delivered_at IS NOT NULL;
";

const DOWN: &str = "DROP INDEX ix_outbox_delivered_at; DROP TABLE mail_tokens;";
