//! When a sync brought in the days up to its own, and which links nobody came back for.

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
ALTER TABLE syncs ADD COLUMN recent_at {instant};
CREATE INDEX ix_links_pending ON links (created_at, id) WHERE status = 'pending';
CREATE INDEX ix_authorizations_expires_at ON authorizations (expires_at);
";

const DOWN: &str = "
DROP INDEX ix_authorizations_expires_at;
DROP INDEX ix_links_pending;
ALTER TABLE syncs DROP COLUMN recent_at;
";
