//! How many requests are left to links at providers that count by the day, so that a process that starts anew does not begin anew.
//!
//! `level` is what a bucket held at `at`, in units of the limit; both are whole numbers, `at` in milliseconds since 1970.

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
CREATE TABLE link_budgets (
    link_id {id} NOT NULL,
    user_id {id} NOT NULL,
    level BIGINT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT pk_link_budgets PRIMARY KEY (link_id),
    CONSTRAINT fk_link_budgets_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_link_budgets_link_id FOREIGN KEY (link_id) REFERENCES links (id) ON DELETE CASCADE
);
CREATE INDEX ix_link_budgets_user_id ON link_budgets (user_id);
";

const DOWN: &str = "DROP TABLE link_budgets;";
