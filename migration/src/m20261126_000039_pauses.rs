//! For how long nothing is asked of a provider, or of it for one link: what processes tell each other.

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

// Lengths are milliseconds.
const UP: &str = "
CREATE TABLE provider_pauses (
    provider TEXT NOT NULL,
    reason TEXT NOT NULL,
    ends_at {instant} NOT NULL,
    length BIGINT NOT NULL,
    CONSTRAINT pk_provider_pauses PRIMARY KEY (provider, reason),
    CONSTRAINT ck_provider_pauses_reason CHECK (reason IN ('failing', 'tokens', 'data'))
);

CREATE TABLE link_pauses (
    link_id {id} NOT NULL,
    user_id {id} NOT NULL,
    provider TEXT NOT NULL,
    ends_at {instant} NOT NULL,
    length BIGINT NOT NULL,
    CONSTRAINT pk_link_pauses PRIMARY KEY (link_id),
    CONSTRAINT fk_link_pauses_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_link_pauses_link_id FOREIGN KEY (link_id) REFERENCES links (id) ON DELETE CASCADE
);
CREATE INDEX ix_link_pauses_user_id ON link_pauses (user_id);
CREATE INDEX ix_link_pauses_provider ON link_pauses (provider);
";

const DOWN: &str = "
DROP TABLE link_pauses;
DROP TABLE provider_pauses;
";
