//! Syncs by when they ended, so that old ones are found and forgotten.

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

const UP: &str = "CREATE INDEX ix_syncs_finished_at ON syncs (finished_at);";

const DOWN: &str = "DROP INDEX ix_syncs_finished_at;";
