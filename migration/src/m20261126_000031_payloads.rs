//! What providers answered, kept sealed for a while so that it can be mapped once more.

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
CREATE TABLE payloads (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    link_id {id} NOT NULL,
    fetched_at {instant} NOT NULL,
    expires_at {instant} NOT NULL,
    size BIGINT NOT NULL,
    sealed {bytes} NOT NULL,
    CONSTRAINT pk_payloads PRIMARY KEY (id),
    CONSTRAINT fk_payloads_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_payloads_link_id FOREIGN KEY (link_id) REFERENCES links (id) ON DELETE CASCADE
);
CREATE INDEX ix_payloads_user_id_link_id ON payloads (user_id, link_id, fetched_at, id);
CREATE INDEX ix_payloads_link_id ON payloads (link_id);
CREATE INDEX ix_payloads_expires_at ON payloads (expires_at);
";

const DOWN: &str = "DROP TABLE payloads;";
