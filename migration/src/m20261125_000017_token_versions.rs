//! The lowest token versions that count: one row for everyone, one for each user whose tokens were ever rotated. What refresh tokens were
//! issued under.

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
CREATE TABLE global_token_version (
    id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    grace_until {instant},
    rotated_at {instant},
    reason TEXT NOT NULL,
    CONSTRAINT pk_global_token_version PRIMARY KEY (id),
    CONSTRAINT ck_global_token_version_one CHECK (id = 1)
);
INSERT INTO global_token_version (id, version, reason) VALUES (1, 1, '');

CREATE TABLE user_token_versions (
    user_id {id} NOT NULL,
    version BIGINT NOT NULL,
    grace_until {instant},
    rotated_at {instant} NOT NULL,
    reason TEXT NOT NULL,
    CONSTRAINT pk_user_token_versions PRIMARY KEY (user_id),
    CONSTRAINT fk_user_token_versions_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

ALTER TABLE refresh_tokens ADD COLUMN global_version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE refresh_tokens ADD COLUMN user_version BIGINT NOT NULL DEFAULT 1;
";

const DOWN: &str = "
ALTER TABLE refresh_tokens DROP COLUMN user_version;
ALTER TABLE refresh_tokens DROP COLUMN global_version;
DROP TABLE user_token_versions;
DROP TABLE global_token_version;
";
