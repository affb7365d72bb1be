//! Imports: the rows of `imports`.

use anyhow::Context as _;
use async_trait::async_trait;
use sea_orm::EntityTrait;
use serde_json::json;

use crate::domain::import::{Import, Imports};

use super::{error::broken, work::DatabaseWork};

pub(super) mod imports {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "imports")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub filename: String,
        pub digest: Vec<u8>,
        pub created_at: DateTimeUtc,
        pub accounts_created: i64,
        pub transactions_created: i64,
        pub transactions_known: i64,
        pub problems: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[async_trait]
impl Imports for DatabaseWork {
    async fn insert(&mut self, import: &Import) -> anyhow::Result<()> {
        let problems: Vec<_> = import.problems.iter().map(|problem| json!({ "line": problem.line, "message": problem.message })).collect();
        let row = imports::Model {
            id: import.id.0,
            user_id: import.user.0,
            filename: import.filename.clone(),
            digest: import.digest.clone(),
            created_at: import.created_at.utc(),
            accounts_created: i64::from(import.accounts_created),
            transactions_created: i64::from(import.transactions_created),
            transactions_known: i64::from(import.transactions_known),
            problems: serde_json::to_string(&problems).context("writing an import's problems")?,
        };
        imports::Entity::insert(imports::ActiveModel::from(row)).exec_without_returning(&self.transaction).await.map_err(broken("storing an import"))?;
        Ok(())
    }
}
