//! The order of the outbox: messages of one lane leave one after the other, by position. What has no lane waits for nothing.

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
ALTER TABLE outbox ADD COLUMN lane {id};
ALTER TABLE outbox ADD COLUMN position BIGINT NOT NULL DEFAULT 0;
UPDATE outbox SET lane = user_id WHERE topic <> 'mail.email_change';
UPDATE outbox SET position = 1 + (
    SELECT COUNT(*) FROM outbox AS earlier
    WHERE earlier.lane = outbox.lane AND (earlier.created_at < outbox.created_at OR (earlier.created_at = outbox.created_at AND earlier.id < outbox.id))
) WHERE lane IS NOT NULL;
CREATE UNIQUE INDEX uq_outbox_lane_position ON outbox (lane, position);
CREATE INDEX ix_outbox_topic_created_at ON outbox (topic, created_at) WHERE delivered_at IS NULL;
";

const DOWN: &str = "
DROP INDEX ix_outbox_topic_created_at;
DROP INDEX uq_outbox_lane_position;
ALTER TABLE outbox DROP COLUMN position;
ALTER TABLE outbox DROP COLUMN lane;
";
