//! What people may do with what is kept about them: a name, another address and the way back to the old one, consents, exports, erasure.
//!
//! `email_changes` keeps both addresses of a change, since a mail about it goes to one that is not, or not any more, the user's. A row of
//! `erased_users` stays for an hour after its user is gone, by which time whatever was still under way for them has ended.

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
ALTER TABLE users ADD COLUMN display_name TEXT;
ALTER TABLE users ADD COLUMN erasure_requested_at {instant};
ALTER TABLE users ADD COLUMN erasure_due_at {instant};
ALTER TABLE users ADD COLUMN erasure_began_at {instant};
CREATE INDEX ix_users_erasure_due_at ON users (erasure_due_at) WHERE erasure_due_at IS NOT NULL;

CREATE TABLE erased_users (
    user_id {id} NOT NULL,
    erased_at {instant} NOT NULL,
    CONSTRAINT pk_erased_users PRIMARY KEY (user_id)
);

CREATE TABLE email_changes (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    previous_email TEXT NOT NULL,
    new_email TEXT NOT NULL,
    requested_at {instant} NOT NULL,
    confirmation_token_id {id} NOT NULL,
    confirmed_at {instant},
    revert_token_id {id},
    reverted_at {instant},
    CONSTRAINT pk_email_changes PRIMARY KEY (id),
    CONSTRAINT uq_email_changes_confirmation_token_id UNIQUE (confirmation_token_id),
    CONSTRAINT uq_email_changes_revert_token_id UNIQUE (revert_token_id),
    CONSTRAINT ck_email_changes_confirmed CHECK ((confirmed_at IS NULL) = (revert_token_id IS NULL)),
    CONSTRAINT ck_email_changes_reverted CHECK (reverted_at IS NULL OR confirmed_at IS NOT NULL),
    CONSTRAINT fk_email_changes_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_email_changes_user_id ON email_changes (user_id, requested_at, id);

CREATE TABLE consents (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    link_id {id} NOT NULL,
    provider TEXT NOT NULL,
    given_at {instant} NOT NULL,
    expires_at {instant},
    withdrawn_at {instant},
    CONSTRAINT pk_consents PRIMARY KEY (id),
    CONSTRAINT fk_consents_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_consents_user_id_given_at ON consents (user_id, given_at, id);

CREATE TABLE exports (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    created_at {instant} NOT NULL,
    expires_at {instant} NOT NULL,
    CONSTRAINT pk_exports PRIMARY KEY (id),
    CONSTRAINT fk_exports_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_exports_user_id ON exports (user_id);
";

const DOWN: &str = "
DROP TABLE exports;
DROP TABLE consents;
DROP TABLE email_changes;
DROP TABLE erased_users;
DROP INDEX ix_users_erasure_due_at;
ALTER TABLE users DROP COLUMN erasure_began_at;
ALTER TABLE users DROP COLUMN erasure_due_at;
ALTER TABLE users DROP COLUMN erasure_requested_at;
ALTER TABLE users DROP COLUMN display_name;
";
