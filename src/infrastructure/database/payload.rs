//! Payloads: the rows of `payloads`.

use async_trait::async_trait;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, sea_query::ExprTrait as _};
use uuid::Uuid;

use crate::domain::{
    id::{LinkId, PayloadId, UserId},
    payload::{MOST_OF_A_LINK, Payload, PayloadReader, Payloads},
    time::Timestamp,
};

use super::{Readers, error::broken, work::DatabaseWork};

pub(super) mod payloads {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "payloads")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub link_id: Uuid,
        pub fetched_at: DateTimeUtc,
        pub expires_at: DateTimeUtc,
        pub size: i64,
        pub sealed: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use payloads::Column;

/// The ids of those of a link that are still to be kept, youngest first.
fn of_link(owner: UserId, link: LinkId, now: Timestamp) -> Select<payloads::Entity> {
    payloads::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::UserId.eq(owner.0).and(Column::LinkId.eq(link.0)))
        .filter(Column::ExpiresAt.gt(now.utc()))
        .order_by_desc(Column::FetchedAt)
        .order_by_desc(Column::Id)
}

#[async_trait]
impl Payloads for DatabaseWork {
    async fn keep(&mut self, payload: &Payload) -> anyhow::Result<()> {
        let row = payloads::Model {
            id: payload.id.0,
            user_id: payload.user.0,
            link_id: payload.link.0,
            fetched_at: payload.fetched_at.utc(),
            expires_at: payload.expires_at.utc(),
            size: i64::try_from(payload.sealed.len())?,
            sealed: payload.sealed.clone(),
        };
        let kept = payloads::Entity::insert(payloads::ActiveModel::from(row)).exec_without_returning(&self.transaction).await;
        kept.map_err(broken("keeping what a provider answered"))?;
        let sizes: Vec<(Uuid, i64)> = payloads::Entity::find()
            .select_only()
            .column(Column::Id)
            .column(Column::Size)
            .filter(Column::UserId.eq(payload.user.0).and(Column::LinkId.eq(payload.link.0)))
            .order_by_desc(Column::FetchedAt)
            .order_by_desc(Column::Id)
            .into_tuple()
            .all(&self.transaction)
            .await
            .map_err(broken("reading how much is kept of a link"))?;
        // After a shorter time was set, what is older than that goes as well: it would outlive what is younger.
        let lasts = payload.expires_at.since(payload.fetched_at);
        let outdated = payloads::Entity::delete_many()
            .filter(Column::UserId.eq(payload.user.0).and(Column::LinkId.eq(payload.link.0)))
            .filter(Column::FetchedAt.lt(payload.fetched_at.minus(lasts).utc()))
            .exec(&self.transaction)
            .await;
        outdated.map_err(broken("dropping what was to be kept for longer"))?;
        let mut all = 0_u64;
        let too_much = sizes.into_iter().filter(|(_, size)| {
            all = all.saturating_add(size.unsigned_abs());
            all > MOST_OF_A_LINK
        });
        let too_much: Vec<Uuid> = too_much.map(|(id, _)| id).collect();
        if !too_much.is_empty() {
            let dropped = payloads::Entity::delete_many().filter(Column::Id.is_in(too_much)).exec(&self.transaction).await;
            dropped.map_err(broken("dropping what there is no more room for"))?;
        }
        Ok(())
    }

    async fn youngest(&mut self, owner: UserId, link: LinkId, now: Timestamp) -> anyhow::Result<Option<PayloadId>> {
        let id: Option<Uuid> =
            of_link(owner, link, now).limit(1).into_tuple().one(&self.transaction).await.map_err(broken("reading what was kept last of a link"))?;
        Ok(id.map(PayloadId))
    }

    async fn forget(&mut self, owner: UserId, link: LinkId) -> anyhow::Result<()> {
        let of_link = Column::UserId.eq(owner.0).and(Column::LinkId.eq(link.0));
        let gone = payloads::Entity::delete_many().filter(of_link).exec(&self.transaction).await;
        gone.map(|_| ()).map_err(broken("dropping what a provider answered"))
    }
}

#[async_trait]
impl PayloadReader for Readers {
    async fn links_of_anyone(&self, now: Timestamp) -> anyhow::Result<Vec<(UserId, LinkId)>> {
        let rows: Vec<(Uuid, Uuid)> = payloads::Entity::find()
            .select_only()
            .column(Column::UserId)
            .column(Column::LinkId)
            .distinct()
            .filter(Column::ExpiresAt.gt(now.utc()))
            .order_by_asc(Column::UserId)
            .order_by_asc(Column::LinkId)
            .into_tuple()
            .all(&self.connection)
            .await
            .map_err(broken("reading of which links something is kept"))?;
        Ok(rows.into_iter().map(|(user, link)| (UserId(user), LinkId(link))).collect())
    }

    async fn of_link(&self, owner: UserId, link: LinkId, now: Timestamp) -> anyhow::Result<Vec<PayloadId>> {
        let rows: Vec<Uuid> = of_link(owner, link, now).into_tuple().all(&self.connection).await.map_err(broken("reading what is kept of a link"))?;
        Ok(rows.into_iter().map(PayloadId).collect())
    }

    async fn find(&self, owner: UserId, id: PayloadId) -> anyhow::Result<Option<Payload>> {
        let row = payloads::Entity::find_by_id(id.0).filter(Column::UserId.eq(owner.0)).one(&self.connection).await;
        Ok(row.map_err(broken("reading what a provider answered"))?.map(|row| Payload {
            id: PayloadId(row.id),
            user: UserId(row.user_id),
            link: LinkId(row.link_id),
            fetched_at: Timestamp::new(row.fetched_at),
            expires_at: Timestamp::new(row.expires_at),
            sealed: row.sealed,
        }))
    }
}
