//! The change log: where each link, account and transaction of a user came in, and where it last changed, in the order of commits.
//!
//! One row an object, so the log never outgrows what it is about. What is there already comes in as if it had been added in the order
//! of its making.

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
CREATE TABLE change_heads (
    user_id {id} NOT NULL,
    position BIGINT NOT NULL,
    CONSTRAINT pk_change_heads PRIMARY KEY (user_id),
    CONSTRAINT fk_change_heads_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE changes (
    user_id {id} NOT NULL,
    object_id {id} NOT NULL,
    kind TEXT NOT NULL,
    added_position BIGINT NOT NULL,
    position BIGINT NOT NULL,
    CONSTRAINT pk_changes PRIMARY KEY (user_id, object_id),
    CONSTRAINT fk_changes_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT ck_changes_position CHECK (position >= added_position)
);
CREATE UNIQUE INDEX uq_changes_user_id_added_position ON changes (user_id, added_position);
CREATE UNIQUE INDEX uq_changes_user_id_position ON changes (user_id, position) WHERE position > added_position;

INSERT INTO changes (user_id, object_id, kind, added_position, position)
SELECT user_id, id, kind, place, place FROM (
    SELECT user_id, id, kind, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY rank, created_at, id) AS place FROM (
        SELECT user_id, id, 'link' AS kind, 1 AS rank, created_at FROM links
        UNION ALL SELECT user_id, id, 'account', 2, created_at FROM accounts
        UNION ALL SELECT user_id, id, 'transaction', 3, created_at FROM transactions WHERE removed_at IS NULL
    ) AS everything
) AS numbered;
INSERT INTO change_heads (user_id, position) SELECT user_id, MAX(position) FROM changes GROUP BY user_id;
";

const DOWN: &str = "DROP TABLE changes; DROP TABLE change_heads;";
