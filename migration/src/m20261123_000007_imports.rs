//! Statement files that were taken in. `problems` is a JSON array of `{"line", "message"}`.

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
CREATE TABLE imports (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    filename TEXT NOT NULL,
    digest {bytes} NOT NULL,
    created_at {instant} NOT NULL,
    accounts_created BIGINT NOT NULL,
    transactions_created BIGINT NOT NULL,
    transactions_known BIGINT NOT NULL,
    problems TEXT NOT NULL,
    CONSTRAINT pk_imports PRIMARY KEY (id),
    CONSTRAINT fk_imports_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_imports_user_id_created_at ON imports (user_id, created_at, id);
";

const DOWN: &str = "DROP TABLE imports;";
