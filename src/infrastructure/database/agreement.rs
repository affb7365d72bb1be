//! Agreements: the rows of `agreements`.

use anyhow::Context;
use async_trait::async_trait;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::OnConflict};

use crate::domain::{
    agreement::{Agreement, AgreementReader, Agreements, LegalDocumentKind},
    id::{AgreementId, UserId},
    page::{CreatedKey, Page, Slice},
    time::Timestamp,
};

use super::{Readers, error::broken, page, work::DatabaseWork};

mod agreements {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "agreements")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub document: String,
        pub version: String,
        pub agreed_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<agreements::Model> for Agreement {
    type Error = anyhow::Error;

    fn try_from(row: agreements::Model) -> anyhow::Result<Self> {
        Ok(Self {
            id: AgreementId(row.id),
            user: UserId(row.user_id),
            kind: LegalDocumentKind::parse(&row.document).with_context(|| format!("agreement {} is to a document nobody knows", row.id))?,
            version: row.version,
            agreed_at: Timestamp::new(row.agreed_at),
        })
    }
}

#[async_trait]
impl Agreements for DatabaseWork {
    async fn insert(&mut self, agreement: &Agreement) -> anyhow::Result<()> {
        use agreements::Column::{Document, UserId as Owner, Version};
        let row = agreements::Model {
            id: agreement.id.0,
            user_id: agreement.user.0,
            document: agreement.kind.as_str().to_owned(),
            version: agreement.version.clone(),
            agreed_at: agreement.agreed_at.utc(),
        };
        let inserted = agreements::Entity::insert(agreements::ActiveModel::from(row))
            .on_conflict(OnConflict::columns([Owner, Document, Version]).do_nothing().to_owned())
            .exec_without_returning(&self.transaction)
            .await;
        inserted.map(|_| ()).map_err(broken("storing an agreement"))
    }

    async fn drop_all(&mut self, owner: UserId) -> anyhow::Result<()> {
        let gone = agreements::Entity::delete_many().filter(agreements::Column::UserId.eq(owner.0)).exec(&self.transaction).await;
        gone.map(|_| ()).map_err(broken("dropping agreements"))
    }
}

#[async_trait]
impl AgreementReader for Readers {
    async fn page(&self, owner: UserId, page: Page<CreatedKey>) -> anyhow::Result<Slice<Agreement>> {
        let rows = agreements::Entity::find().filter(agreements::Column::UserId.eq(owner.0));
        page::read(&self.connection, rows, (agreements::Column::AgreedAt, agreements::Column::Id), page, "reading agreements").await
    }
}
