//! Which of the operator's documents somebody agreed to, and when. What was agreed to once stays on record when a later version is.

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
CREATE TABLE agreements (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    document TEXT NOT NULL,
    version TEXT NOT NULL,
    agreed_at {instant} NOT NULL,
    CONSTRAINT pk_agreements PRIMARY KEY (id),
    CONSTRAINT uq_agreements_user_id_document_version UNIQUE (user_id, document, version),
    CONSTRAINT fk_agreements_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_agreements_user_id_agreed_at ON agreements (user_id, agreed_at, id);
";

const DOWN: &str = "
DROP TABLE agreements;
";
