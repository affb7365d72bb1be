//! Second factors, their recovery codes, the challenges of a sign-in that waits for a code, and wrong codes.

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
CREATE TABLE second_factors (
    user_id {id} NOT NULL,
    id {id} NOT NULL,
    sealed_secret {bytes} NOT NULL,
    begun_at {instant} NOT NULL,
    enabled_at {instant},
    last_step BIGINT,
    CONSTRAINT pk_second_factors PRIMARY KEY (user_id),
    CONSTRAINT uq_second_factors_id UNIQUE (id),
    CONSTRAINT fk_second_factors_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE recovery_codes (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    key_id TEXT NOT NULL,
    hash {bytes} NOT NULL,
    spent_at {instant},
    CONSTRAINT pk_recovery_codes PRIMARY KEY (id),
    CONSTRAINT uq_recovery_codes_user_id_hash UNIQUE (user_id, hash),
    CONSTRAINT fk_recovery_codes_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE sign_in_challenges (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    hash {bytes} NOT NULL,
    password_digest {bytes} NOT NULL,
    created_at {instant} NOT NULL,
    failures BIGINT NOT NULL,
    spent_at {instant},
    CONSTRAINT pk_sign_in_challenges PRIMARY KEY (id),
    CONSTRAINT uq_sign_in_challenges_hash UNIQUE (hash),
    CONSTRAINT fk_sign_in_challenges_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_sign_in_challenges_user_id ON sign_in_challenges (user_id, created_at);
CREATE TABLE second_factor_failures (
    id {id} NOT NULL,
    user_id {id} NOT NULL,
    failed_at {instant} NOT NULL,
    CONSTRAINT pk_second_factor_failures PRIMARY KEY (id),
    CONSTRAINT fk_second_factor_failures_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_second_factor_failures_user_id ON second_factor_failures (user_id, failed_at);
";

const DOWN: &str = "
DROP TABLE second_factor_failures;
DROP TABLE sign_in_challenges;
DROP TABLE recovery_codes;
DROP TABLE second_factors;
";
