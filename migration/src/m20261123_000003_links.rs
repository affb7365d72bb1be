//! Links, the walks to a bank that complete them, and the sealed tokens they work with.

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
CREATE TABLE links (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    provider TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    alias TEXT,
    consent_expires_at {instant},
    covered_from {day},
    covered_to {day},
    created_at {instant} NOT NULL,
    CONSTRAINT pk_links PRIMARY KEY (id),
    CONSTRAINT fk_links_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_links_user_id_created_at ON links (user_id, created_at, id);
CREATE INDEX ix_links_user_id_provider ON links (user_id, provider, status);

CREATE TABLE authorizations (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    link_id {id} NOT NULL,
    provider TEXT NOT NULL,
    ticket_hash {bytes} NOT NULL,
    state_hash {bytes} NOT NULL,
    cookie_hash {bytes},
    sealed_secrets {bytes} NOT NULL,
    redirect_uri TEXT NOT NULL,
    return_url TEXT,
    expires_at {instant} NOT NULL,
    started_at {instant},
    spent_at {instant},
    CONSTRAINT pk_authorizations PRIMARY KEY (id),
    CONSTRAINT uq_authorizations_ticket_hash UNIQUE (ticket_hash),
    CONSTRAINT uq_authorizations_state_hash UNIQUE (state_hash),
    CONSTRAINT fk_authorizations_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_authorizations_link_id FOREIGN KEY (link_id) REFERENCES links (id) ON DELETE CASCADE
);
CREATE INDEX ix_authorizations_user_id_link_id ON authorizations (user_id, link_id);
CREATE INDEX ix_authorizations_link_id ON authorizations (link_id);

CREATE TABLE credentials (
    link_id {id} NOT NULL,
    user_id {id} NOT NULL,
    sealed {bytes} NOT NULL,
    updated_at {instant} NOT NULL,
    CONSTRAINT pk_credentials PRIMARY KEY (link_id),
    CONSTRAINT fk_credentials_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_credentials_link_id FOREIGN KEY (link_id) REFERENCES links (id) ON DELETE CASCADE
);
CREATE INDEX ix_credentials_user_id ON credentials (user_id);
";

const DOWN: &str = "DROP TABLE credentials; DROP TABLE authorizations; DROP TABLE links;";
