//! Accounts with what they hold now, and the snapshot every sync leaves. Amounts are at the scale of `currency`.

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
CREATE TABLE accounts (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    link_id {id} NOT NULL,
    fingerprint_key_id TEXT NOT NULL,
    fingerprint_hash {bytes} NOT NULL,
    institution TEXT,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    masked_number TEXT,
    currency TEXT NOT NULL,
    current_amount BIGINT,
    available_amount BIGINT,
    limit_amount BIGINT,
    balance_as_of {instant},
    is_active BOOLEAN NOT NULL,
    created_at {instant} NOT NULL,
    CONSTRAINT pk_accounts PRIMARY KEY (id),
    CONSTRAINT uq_accounts_fingerprint UNIQUE (user_id, link_id, fingerprint_key_id, fingerprint_hash),
    CONSTRAINT fk_accounts_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_accounts_link_id FOREIGN KEY (link_id) REFERENCES links (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_user_id_created_at ON accounts (user_id, created_at, id);
CREATE INDEX ix_accounts_link_id ON accounts (link_id);

CREATE TABLE balance_snapshots (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    account_id {id} NOT NULL,
    taken_at {instant} NOT NULL,
    current_amount BIGINT,
    available_amount BIGINT,
    limit_amount BIGINT,
    balance_as_of {instant},
    CONSTRAINT pk_balance_snapshots PRIMARY KEY (id),
    CONSTRAINT fk_balance_snapshots_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_balance_snapshots_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX ix_balance_snapshots_user_id_account_id ON balance_snapshots (user_id, account_id, taken_at);
CREATE INDEX ix_balance_snapshots_account_id ON balance_snapshots (account_id);
";

const DOWN: &str = "DROP TABLE balance_snapshots; DROP TABLE accounts;";
