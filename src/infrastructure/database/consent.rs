//! Consents: the rows of `consents`.

use async_trait::async_trait;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use crate::domain::{
    consent::{Consent, ConsentReader, Consents},
    id::{ConsentId, LinkId, UserId},
    page::{CreatedKey, Page, Slice},
    time::Timestamp,
};

use super::{Readers, error::broken, page, value, work::DatabaseWork};

mod consents {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "consents")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub link_id: Uuid,
        pub provider: String,
        pub given_at: DateTimeUtc,
        pub expires_at: Option<DateTimeUtc>,
        pub withdrawn_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<consents::Model> for Consent {
    type Error = anyhow::Error;

    fn try_from(row: consents::Model) -> anyhow::Result<Self> {
        Ok(Self {
            id: ConsentId(row.id),
            user: UserId(row.user_id),
            link: LinkId(row.link_id),
            provider: row.provider,
            given_at: Timestamp::new(row.given_at),
            expires_at: value::optional_instant(row.expires_at),
            withdrawn_at: value::optional_instant(row.withdrawn_at),
        })
    }
}

#[async_trait]
impl Consents for DatabaseWork {
    async fn insert(&mut self, consent: &Consent) -> anyhow::Result<()> {
        let row = consents::Model {
            id: consent.id.0,
            user_id: consent.user.0,
            link_id: consent.link.0,
            provider: consent.provider.clone(),
            given_at: consent.given_at.utc(),
            expires_at: consent.expires_at.map(Timestamp::utc),
            withdrawn_at: consent.withdrawn_at.map(Timestamp::utc),
        };
        let inserted = consents::Entity::insert(consents::ActiveModel::from(row)).exec_without_returning(&self.transaction).await;
        inserted.map(|_| ()).map_err(broken("storing a consent"))
    }

    async fn withdraw(&mut self, owner: UserId, link: LinkId, now: Timestamp) -> anyhow::Result<()> {
        let withdrawn = consents::Entity::update_many()
            .set(consents::ActiveModel { withdrawn_at: Set(Some(now.utc())), ..Default::default() })
            .filter(consents::Column::UserId.eq(owner.0))
            .filter(consents::Column::LinkId.eq(link.0))
            .filter(consents::Column::WithdrawnAt.is_null())
            .exec(&self.transaction)
            .await;
        withdrawn.map(|_| ()).map_err(broken("withdrawing a link's consents"))
    }

    async fn withdraw_all(&mut self, owner: UserId, now: Timestamp) -> anyhow::Result<()> {
        let withdrawn = consents::Entity::update_many()
            .set(consents::ActiveModel { withdrawn_at: Set(Some(now.utc())), ..Default::default() })
            .filter(consents::Column::UserId.eq(owner.0))
            .filter(consents::Column::WithdrawnAt.is_null())
            .exec(&self.transaction)
            .await;
        withdrawn.map(|_| ()).map_err(broken("withdrawing consents"))
    }
}

#[async_trait]
impl ConsentReader for Readers {
    async fn page(&self, owner: UserId, page: Page<CreatedKey>) -> anyhow::Result<Slice<Consent>> {
        let rows = consents::Entity::find().filter(consents::Column::UserId.eq(owner.0));
        page::read(&self.connection, rows, (consents::Column::GivenAt, consents::Column::Id), page, "reading consents").await
    }
}
