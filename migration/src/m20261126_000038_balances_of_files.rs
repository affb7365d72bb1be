//! Balances of statement files stand on the day they are of, and know which import told them; imports know whether what they brought was removed.

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
ALTER TABLE balance_snapshots ADD COLUMN import_id {id};

UPDATE balance_snapshots SET import_id = (
    SELECT s.import_id FROM import_statements AS s JOIN imports AS i ON i.id = s.import_id
    WHERE s.account_id = balance_snapshots.account_id AND i.status = 'committed' AND i.committed_at = balance_snapshots.taken_at
    ORDER BY s.import_id LIMIT 1);

-- A statement without a balance says nothing of what the account held.
DELETE FROM balance_snapshots WHERE import_id IS NOT NULL AND current_amount IS NULL;

UPDATE balance_snapshots SET taken_at = balance_as_of WHERE import_id IS NOT NULL AND balance_as_of < taken_at;

ALTER TABLE imports ADD COLUMN is_cleared BOOLEAN NOT NULL DEFAULT FALSE;

UPDATE imports SET is_cleared = TRUE
WHERE status = 'committed' AND committed_at <> created_at
    AND NOT EXISTS (SELECT 1 FROM import_statements AS s WHERE s.import_id = imports.id);
";

const DOWN: &str = "
ALTER TABLE imports DROP COLUMN is_cleared;

UPDATE balance_snapshots SET taken_at = (SELECT i.committed_at FROM imports AS i WHERE i.id = balance_snapshots.import_id)
WHERE import_id IN (SELECT i.id FROM imports AS i WHERE i.committed_at IS NOT NULL);

ALTER TABLE balance_snapshots DROP COLUMN import_id;
";
