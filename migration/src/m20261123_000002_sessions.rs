//! Sessions and the refresh tokens they were given; one row per issued token, found by its public half.

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
CREATE TABLE sessions (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    created_at {instant} NOT NULL,
    last_seen_at {instant} NOT NULL,
    expires_at {instant} NOT NULL,
    ip TEXT,
    user_agent TEXT,
    revoked_at {instant},
    revoked_reason TEXT,
    CONSTRAINT pk_sessions PRIMARY KEY (id),
    CONSTRAINT fk_sessions_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT ck_sessions_revoked CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
);
CREATE INDEX ix_sessions_user_id_created_at ON sessions (user_id, created_at, id);

CREATE TABLE refresh_tokens (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    session_id {id} NOT NULL,
    selector TEXT NOT NULL,
    verifier_hash TEXT NOT NULL,
    key_id TEXT NOT NULL,
    issued_at {instant} NOT NULL,
    expires_at {instant} NOT NULL,
    used_at {instant},
    CONSTRAINT pk_refresh_tokens PRIMARY KEY (id),
    CONSTRAINT uq_refresh_tokens_selector UNIQUE (selector),
    CONSTRAINT fk_refresh_tokens_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_refresh_tokens_session_id FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
CREATE INDEX ix_refresh_tokens_user_id ON refresh_tokens (user_id, session_id);
CREATE INDEX ix_refresh_tokens_session_id ON refresh_tokens (session_id);
";

const DOWN: &str = "DROP TABLE refresh_tokens; DROP TABLE sessions;";
