//! Imports for queries.

use std::collections::HashMap;

use async_trait::async_trait;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::{
    domain::{
        id::{ImportId, UserId},
        import::{Import, ImportReader, ImportRow, ImportStatement, ImportStatus, RowOutcome},
        page::{CreatedKey, Page, Slice},
        time::Timestamp,
    },
    infrastructure::database::{Readers, error::broken, page},
};

use super::{import_rows, import_statements, imports};

/// Those that are there: a preview that is too old is not.
fn is_there(owner: UserId, now: Timestamp) -> Condition {
    let is_live = Condition::any().add(imports::Column::Status.ne(ImportStatus::Previewed.as_str())).add(imports::Column::ExpiresAt.gt(now.utc()));
    Condition::all().add(imports::Column::UserId.eq(owner.0)).add(is_live)
}

#[async_trait]
impl ImportReader for Readers {
    async fn page(&self, owner: UserId, now: Timestamp, page: Page<CreatedKey>) -> anyhow::Result<Slice<Import>> {
        let rows = imports::Entity::find().filter(is_there(owner, now));
        page::read(&self.connection, rows, (imports::Column::CreatedAt, imports::Column::Id), page, "reading imports").await
    }

    async fn find_many(&self, owner: UserId, ids: &[ImportId], now: Timestamp) -> anyhow::Result<Vec<Import>> {
        let rows = imports::Entity::find().filter(is_there(owner, now)).filter(imports::Column::Id.is_in(ids.iter().map(|id| id.0)));
        rows.all(&self.connection).await.map_err(broken("reading imports"))?.into_iter().map(Import::try_from).collect()
    }

    async fn statements_of(&self, owner: UserId, ids: &[ImportId]) -> anyhow::Result<HashMap<ImportId, Vec<ImportStatement>>> {
        let rows = import_statements::Entity::find()
            .filter(import_statements::Column::UserId.eq(owner.0))
            .filter(import_statements::Column::ImportId.is_in(ids.iter().map(|id| id.0)))
            .order_by_asc(import_statements::Column::Number)
            .all(&self.connection)
            .await
            .map_err(broken("reading the accounts of imports"))?;
        let mut statements: HashMap<ImportId, Vec<ImportStatement>> = HashMap::new();
        for row in rows {
            statements.entry(ImportId(row.import_id)).or_default().push(row.try_into()?);
        }
        Ok(statements)
    }

    async fn rows_of(&self, owner: UserId, id: ImportId, outcome: Option<RowOutcome>, after: u32, limit: u32) -> anyhow::Result<Vec<ImportRow>> {
        let rows = import_rows::Entity::find()
            .filter(import_rows::Column::ImportId.eq(id.0))
            .filter(import_rows::Column::UserId.eq(owner.0))
            .filter(import_rows::Column::Position.gt(i64::from(after)))
            .filter(Condition::all().add_option(outcome.map(|outcome| import_rows::Column::Outcome.eq(outcome.as_str()))))
            .order_by_asc(import_rows::Column::Position)
            .limit(u64::from(limit))
            .all(&self.connection)
            .await
            .map_err(broken("reading the rows of a preview"))?;
        rows.into_iter().map(ImportRow::try_from).collect()
    }
}
