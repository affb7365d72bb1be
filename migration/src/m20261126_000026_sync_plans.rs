//! When each link is synced next by itself, how often in a row its syncs failed, and what each sync was asked for by.

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

// Links there are get their turn at once; until now each sync was asked for by somebody.
const UP: &str = "
ALTER TABLE links ADD COLUMN sync_due_at {instant};
ALTER TABLE links ADD COLUMN sync_failures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE links ADD COLUMN sync_failing_since {instant};
UPDATE links SET sync_due_at = created_at WHERE provider <> 'statement' AND status <> 'pending';
CREATE INDEX ix_links_sync_due_at ON links (sync_due_at, id) WHERE status = 'active';
CREATE INDEX ix_links_sync_failing_since ON links (sync_failing_since) WHERE status = 'active' AND sync_failing_since IS NOT NULL;
ALTER TABLE syncs ADD COLUMN origin TEXT NOT NULL DEFAULT 'requested';
";

const DOWN: &str = "
ALTER TABLE syncs DROP COLUMN origin;
DROP INDEX ix_links_sync_failing_since;
DROP INDEX ix_links_sync_due_at;
ALTER TABLE links DROP COLUMN sync_failing_since;
ALTER TABLE links DROP COLUMN sync_failures;
ALTER TABLE links DROP COLUMN sync_due_at;
";
