//! What the owner of an account says otherwise than its provider: its kind and its signs; and whether it is kept synced.

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
ALTER TABLE accounts ADD COLUMN own_type TEXT;
ALTER TABLE accounts ADD COLUMN is_inverted BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE accounts ADD COLUMN is_selected BOOLEAN NOT NULL DEFAULT TRUE;
";

const DOWN: &str = "
ALTER TABLE accounts DROP COLUMN is_selected;
ALTER TABLE accounts DROP COLUMN is_inverted;
ALTER TABLE accounts DROP COLUMN own_type;
";
