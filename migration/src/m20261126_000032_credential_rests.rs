//! Until when a provider wants to be left alone by what a link was given, so that a process that starts anew heeds it too.

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

const UP: &str = "ALTER TABLE credentials ADD COLUMN rests_until {instant};";

const DOWN: &str = "ALTER TABLE credentials DROP COLUMN rests_until;";
