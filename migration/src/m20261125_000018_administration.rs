//! How many sessions a user may have whatever their tier, and the order administrators see users in.

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
ALTER TABLE users ADD COLUMN session_limit BIGINT;
CREATE INDEX ix_users_created_at ON users (created_at, id);
";

const DOWN: &str = "
DROP INDEX ix_users_created_at;
ALTER TABLE users DROP COLUMN session_limit;
";
