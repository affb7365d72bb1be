//! Users. `email_key` is what addresses are compared by; `password` is a record only the hasher reads.

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
CREATE TABLE users (
    id {id} NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    password TEXT NOT NULL,
    role TEXT NOT NULL,
    tier TEXT NOT NULL,
    is_active BOOLEAN NOT NULL,
    email_verified_at {instant},
    created_at {instant} NOT NULL,
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT uq_users_email_key UNIQUE (email_key)
);
";

const DOWN: &str = "DROP TABLE users;";
