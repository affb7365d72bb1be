//! The days of which everything is here that an account's provider has, or that a file said it tells all of; and when an account was last
//! brought up to date.
//!
//! `source_id` is the link for what its provider told, and the import for what a file said.

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

// What links and imports knew of their days is known of their accounts from the start.
const UP: &str = "
CREATE TABLE account_coverage (
    account_id {id} NOT NULL,
    source_id {id} NOT NULL,
    covered_from {day} NOT NULL,
    covered_to {day} NOT NULL,
    user_id {id} NOT NULL,
    CONSTRAINT pk_account_coverage PRIMARY KEY (account_id, source_id, covered_from),
    CONSTRAINT fk_account_coverage_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_account_coverage_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT ck_account_coverage_days CHECK (covered_from <= covered_to)
);
CREATE INDEX ix_account_coverage_user_id_account_id ON account_coverage (user_id, account_id);
CREATE INDEX ix_account_coverage_source_id ON account_coverage (source_id);

ALTER TABLE accounts ADD COLUMN synced_at {instant};

INSERT INTO account_coverage (account_id, source_id, covered_from, covered_to, user_id)
SELECT a.id, a.link_id, l.covered_from, l.covered_to, a.user_id FROM accounts AS a JOIN links AS l ON l.id = a.link_id
WHERE a.is_active AND a.is_selected AND l.covered_from <= l.covered_to;

INSERT INTO account_coverage (account_id, source_id, covered_from, covered_to, user_id)
SELECT a.id, s.import_id, s.period_from, MAX(s.period_to), a.user_id
FROM import_statements AS s JOIN imports AS i ON i.id = s.import_id JOIN accounts AS a ON a.id = s.account_id AND a.user_id = s.user_id
WHERE i.status = 'committed' AND s.period_from <= s.period_to
GROUP BY a.id, s.import_id, s.period_from, a.user_id;

UPDATE accounts SET synced_at = (SELECT l.synced_at FROM links AS l WHERE l.id = accounts.link_id) WHERE is_active;
";

const DOWN: &str = "
ALTER TABLE accounts DROP COLUMN synced_at;
DROP TABLE account_coverage;
";
