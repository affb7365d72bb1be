//! How many rows each sync could not read.

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

const UP: &str = "ALTER TABLE syncs ADD COLUMN rows_refused BIGINT NOT NULL DEFAULT 0;";

const DOWN: &str = "ALTER TABLE syncs DROP COLUMN rows_refused;";
