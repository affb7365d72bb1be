//! Holdings: the positions of accounts. Market value is at the scale of `currency`, cost basis at that of `cost_currency`.

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
CREATE TABLE holdings (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    account_id {id} NOT NULL,
    reference TEXT,
    symbol TEXT NOT NULL,
    name TEXT,
    asset_type TEXT NOT NULL,
    cusip TEXT,
    isin TEXT,
    quantity {quantity} NOT NULL,
    currency TEXT NOT NULL,
    price {quantity},
    market_value BIGINT,
    cost_basis BIGINT,
    cost_currency TEXT,
    as_of {instant},
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    CONSTRAINT pk_holdings PRIMARY KEY (id),
    CONSTRAINT fk_holdings_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_holdings_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT ck_holdings_cost_basis CHECK ((cost_basis IS NULL) = (cost_currency IS NULL))
);
CREATE INDEX ix_holdings_user_id_created_at ON holdings (user_id, created_at, id);
CREATE INDEX ix_holdings_user_id_account_id_created_at ON holdings (user_id, account_id, created_at, id);
CREATE INDEX ix_holdings_account_id ON holdings (account_id);
";

// What follows changes knew no holdings before.
const DOWN: &str = "DELETE FROM changes WHERE kind = 'holding'; DROP TABLE holdings;";
