//! Imports that are looked at first, and taken back afterwards: how far each has come, what a preview holds, and what each batch added.
//!
//! `import_rows` holds the rows of previews only, as JSON, until they are committed or too old. `import_transactions` says of each
//! transaction of a batch whether the batch added it or found it known, and which name it gave it.

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
ALTER TABLE imports ADD COLUMN status TEXT NOT NULL DEFAULT 'committed';
ALTER TABLE imports ADD COLUMN csv TEXT;
ALTER TABLE imports ADD COLUMN target_account_id {id};
ALTER TABLE imports ADD COLUMN transactions_updated BIGINT NOT NULL DEFAULT 0;
ALTER TABLE imports ADD COLUMN transactions_doubtful BIGINT NOT NULL DEFAULT 0;
ALTER TABLE imports ADD COLUMN expires_at {instant};
ALTER TABLE imports ADD COLUMN committed_at {instant};
ALTER TABLE imports ADD COLUMN reverted_at {instant};
UPDATE imports SET committed_at = created_at;

CREATE TABLE import_statements (
    import_id {id} NOT NULL,
    number BIGINT NOT NULL,
    user_id {id} NOT NULL,
    account_id {id},
    is_new BOOLEAN NOT NULL,
    fingerprints TEXT NOT NULL,
    institution TEXT,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    masked_number TEXT,
    currency TEXT NOT NULL,
    current_amount BIGINT,
    available_amount BIGINT,
    limit_amount BIGINT,
    balance_as_of {instant},
    period_from {day},
    period_to {day},
    holdings TEXT,
    CONSTRAINT pk_import_statements PRIMARY KEY (import_id, number),
    CONSTRAINT fk_import_statements_import_id FOREIGN KEY (import_id) REFERENCES imports (id) ON DELETE CASCADE,
    CONSTRAINT fk_import_statements_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_import_statements_user_id ON import_statements (user_id);
CREATE INDEX ix_import_statements_account_id ON import_statements (account_id);

CREATE TABLE import_rows (
    import_id {id} NOT NULL,
    position BIGINT NOT NULL,
    user_id {id} NOT NULL,
    statement BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    resembles_id {id},
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    CONSTRAINT pk_import_rows PRIMARY KEY (import_id, position),
    CONSTRAINT fk_import_rows_import_id FOREIGN KEY (import_id) REFERENCES imports (id) ON DELETE CASCADE,
    CONSTRAINT fk_import_rows_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_import_rows_user_id ON import_rows (user_id);

CREATE TABLE import_transactions (
    import_id {id} NOT NULL,
    transaction_id {id} NOT NULL,
    user_id {id} NOT NULL,
    is_added BOOLEAN NOT NULL,
    reference TEXT,
    CONSTRAINT pk_import_transactions PRIMARY KEY (import_id, transaction_id),
    CONSTRAINT fk_import_transactions_import_id FOREIGN KEY (import_id) REFERENCES imports (id) ON DELETE CASCADE,
    CONSTRAINT fk_import_transactions_transaction_id FOREIGN KEY (transaction_id) REFERENCES transactions (id) ON DELETE CASCADE,
    CONSTRAINT fk_import_transactions_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_import_transactions_transaction_id ON import_transactions (transaction_id);
CREATE INDEX ix_import_transactions_user_id ON import_transactions (user_id);
";

const DOWN: &str = "
DROP TABLE import_transactions;
DROP TABLE import_rows;
DROP TABLE import_statements;
DELETE FROM imports WHERE status = 'previewed';
ALTER TABLE imports DROP COLUMN reverted_at;
ALTER TABLE imports DROP COLUMN committed_at;
ALTER TABLE imports DROP COLUMN expires_at;
ALTER TABLE imports DROP COLUMN transactions_doubtful;
ALTER TABLE imports DROP COLUMN transactions_updated;
ALTER TABLE imports DROP COLUMN target_account_id;
ALTER TABLE imports DROP COLUMN csv;
ALTER TABLE imports DROP COLUMN status;
";
