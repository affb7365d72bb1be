//! When everything a link's provider had was last brought in.

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
ALTER TABLE links ADD COLUMN synced_at {instant};
UPDATE links SET synced_at = (SELECT MAX(finished_at) FROM syncs WHERE syncs.user_id = links.user_id AND syncs.link_id = links.id AND syncs.status = 'succeeded');
";

const DOWN: &str = "ALTER TABLE links DROP COLUMN synced_at;";
