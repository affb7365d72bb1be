//! Failures to sign in, and the network each session came from.

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
CREATE TABLE sign_in_counters (
    user_id {id} NOT NULL,
    network TEXT NOT NULL,
    failures BIGINT NOT NULL,
    window_began_at {instant} NOT NULL,
    paused_until {instant},
    CONSTRAINT pk_sign_in_counters PRIMARY KEY (user_id, network),
    CONSTRAINT fk_sign_in_counters_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
ALTER TABLE sessions ADD COLUMN network TEXT;
ALTER TABLE sessions ADD COLUMN name TEXT;
CREATE INDEX ix_sessions_user_id_network ON sessions (user_id, network, created_at);
";

const DOWN: &str = "
DROP INDEX ix_sessions_user_id_network;
ALTER TABLE sessions DROP COLUMN name;
ALTER TABLE sessions DROP COLUMN network;
DROP TABLE sign_in_counters;
";
