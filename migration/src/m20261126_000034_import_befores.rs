//! What transactions said before a batch changed them, so that it can be taken back.

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

const UP: &str = "ALTER TABLE import_transactions ADD COLUMN before TEXT;";

const DOWN: &str = "ALTER TABLE import_transactions DROP COLUMN before;";
