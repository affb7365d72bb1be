//! Transactions and the names they go by at their sources. Banks reuse ids, so one name may belong to several transactions.

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
CREATE TABLE transactions (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    account_id {id} NOT NULL,
    amount BIGINT NOT NULL,
    amount_scale SMALLINT NOT NULL,
    currency TEXT NOT NULL,
    type TEXT NOT NULL,
    subtype TEXT NOT NULL,
    status TEXT NOT NULL,
    posted_on {day} NOT NULL,
    authorized_on {day},
    occurred_at {instant},
    description TEXT NOT NULL,
    merchant_name TEXT,
    category TEXT,
    security_symbol TEXT,
    security_name TEXT,
    security_asset_type TEXT,
    quantity {quantity},
    unit_price {quantity},
    fees BIGINT,
    removed_at {instant},
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    CONSTRAINT pk_transactions PRIMARY KEY (id),
    CONSTRAINT fk_transactions_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_transactions_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT ck_transactions_amount_scale CHECK (amount_scale IN (4, 8)),
    CONSTRAINT ck_transactions_security CHECK ((security_symbol IS NULL) = (security_asset_type IS NULL))
);
CREATE INDEX ix_transactions_user_id_posted_on ON transactions (user_id, posted_on DESC, id DESC) WHERE removed_at IS NULL;
CREATE INDEX ix_transactions_user_id_account_id_posted_on ON transactions (user_id, account_id, posted_on DESC, id DESC);
CREATE INDEX ix_transactions_account_id ON transactions (account_id);

CREATE TABLE transaction_references (
    account_id {id} NOT NULL,
    source TEXT NOT NULL,
    reference TEXT NOT NULL,
    transaction_id {id} NOT NULL,
    user_id {id} NOT NULL,
    CONSTRAINT pk_transaction_references PRIMARY KEY (account_id, source, reference, transaction_id),
    CONSTRAINT fk_transaction_references_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_transaction_references_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT fk_transaction_references_transaction_id FOREIGN KEY (transaction_id) REFERENCES transactions (id) ON DELETE CASCADE
);
CREATE INDEX ix_transaction_references_user_id_account_id ON transaction_references (user_id, account_id);
CREATE INDEX ix_transaction_references_transaction_id ON transaction_references (transaction_id);
";

const DOWN: &str = "DROP TABLE transaction_references; DROP TABLE transactions;";
