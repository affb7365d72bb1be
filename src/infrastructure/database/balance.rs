//! Balance snapshots: the rows of `balance_snapshots`.

use async_trait::async_trait;
use sea_orm::EntityTrait;

use crate::domain::{
    balance::{BalanceSnapshot, BalanceSnapshots},
    money::Amount,
    time::Timestamp,
};

use super::{error::broken, work::DatabaseWork};

pub(super) mod balance_snapshots {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "balance_snapshots")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub account_id: Uuid,
        pub taken_at: DateTimeUtc,
        pub current_amount: Option<i64>,
        pub available_amount: Option<i64>,
        pub limit_amount: Option<i64>,
        pub balance_as_of: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[async_trait]
impl BalanceSnapshots for DatabaseWork {
    async fn insert(&mut self, snapshot: &BalanceSnapshot) -> anyhow::Result<()> {
        let row = balance_snapshots::Model {
            id: self.randomness.id(),
            user_id: snapshot.user.0,
            account_id: snapshot.account.0,
            taken_at: snapshot.taken_at.utc(),
            current_amount: snapshot.balances.current.map(Amount::units),
            available_amount: snapshot.balances.available.map(Amount::units),
            limit_amount: snapshot.balances.limit.map(Amount::units),
            balance_as_of: snapshot.balances.as_of.map(Timestamp::utc),
        };
        let insert = balance_snapshots::Entity::insert(balance_snapshots::ActiveModel::from(row));
        insert.exec_without_returning(&self.transaction).await.map_err(broken("storing a balance snapshot"))?;
        Ok(())
    }
}
