//! Coverage: the rows of `account_coverage`, and when accounts were last brought up to date.

use std::collections::HashMap;

use async_trait::async_trait;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::ExprTrait as _};
use uuid::Uuid;

use crate::domain::{
    account::Account,
    change::ChangedKind,
    coverage::{CoverageReader, CoverageSource, Coverages, Spans},
    id::{AccountId, LinkId, UserId},
    matching::Period,
    time::Timestamp,
};

use super::{Readers, account::accounts, error::broken, value, work::DatabaseWork};

pub(super) mod account_coverage {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "account_coverage")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub source_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub covered_from: Date,
        pub covered_to: Date,
        pub user_id: Uuid,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use account_coverage::Column;

fn period(row: &account_coverage::Model) -> anyhow::Result<Period> {
    Ok((value::day("account_coverage.covered_from", row.covered_from)?, value::day("account_coverage.covered_to", row.covered_to)?))
}

impl CoverageSource {
    fn id(self) -> Uuid {
        match self {
            Self::Feed(link) => link.0,
            Self::File(import) => import.0,
        }
    }
}

#[async_trait]
impl Coverages for DatabaseWork {
    async fn cover(&mut self, account: &Account, source: CoverageSource, covered: Period) -> anyhow::Result<()> {
        let of_account = Column::UserId.eq(account.user.0).and(Column::AccountId.eq(account.id.0));
        let rows = account_coverage::Entity::find().filter(of_account.clone()).all(&self.transaction).await.map_err(broken("reading an account's coverage"))?;
        let all = Spans::of(rows.iter().map(period).collect::<anyhow::Result<Vec<_>>>()?);
        let before = Spans::of(rows.iter().filter(|row| row.source_id == source.id()).map(period).collect::<anyhow::Result<Vec<_>>>()?);
        let after = before.and(covered);
        if after == before {
            return Ok(());
        }
        let of_source = of_account.and(Column::SourceId.eq(source.id()));
        let replaced = account_coverage::Entity::delete_many().filter(of_source).exec(&self.transaction).await;
        replaced.map_err(broken("replacing an account's coverage"))?;
        let row = |(from, to): &Period| account_coverage::Model {
            account_id: account.id.0,
            source_id: source.id(),
            covered_from: from.naive(),
            covered_to: to.naive(),
            user_id: account.user.0,
        };
        let rows = account_coverage::Entity::insert_many(after.periods().iter().map(row).map(account_coverage::ActiveModel::from));
        rows.exec_without_returning(&self.transaction).await.map_err(broken("storing an account's coverage"))?;
        // Whoever else told of the same days has told it before.
        if all.and(covered) == all { Ok(()) } else { self.note(account.user, ChangedKind::Account, [account.id.0]).await }
    }

    async fn forget(&mut self, account: &Account, link: LinkId) -> anyhow::Result<()> {
        let forgotten = account_coverage::Entity::delete_many()
            .filter(Column::UserId.eq(account.user.0))
            .filter(Column::AccountId.eq(account.id.0))
            .filter(Column::SourceId.eq(link.0))
            .exec(&self.transaction)
            .await;
        forgotten.map_err(broken("forgetting what was fetched of an account"))?;
        Ok(())
    }

    async fn synced(&mut self, account: &Account, now: Timestamp) -> anyhow::Result<()> {
        let noted = accounts::Entity::update_many()
            .set(accounts::ActiveModel { synced_at: Set(Some(now.utc())), ..Default::default() })
            .filter(accounts::Column::Id.eq(account.id.0))
            .filter(accounts::Column::UserId.eq(account.user.0))
            .exec(&self.transaction)
            .await
            .map_err(broken("noting that an account is up to date"))?;
        anyhow::ensure!(noted.rows_affected == 1, "the account that is up to date is gone");
        Ok(())
    }
}

#[async_trait]
impl CoverageReader for Readers {
    async fn spans_of(&self, owner: UserId, accounts: &[AccountId]) -> anyhow::Result<HashMap<AccountId, Spans>> {
        let rows = account_coverage::Entity::find()
            .filter(Column::UserId.eq(owner.0))
            .filter(Column::AccountId.is_in(accounts.iter().map(|account| account.0)))
            .all(&self.connection)
            .await
            .map_err(broken("reading the coverage of accounts"))?;
        let mut periods: HashMap<AccountId, Vec<Period>> = HashMap::new();
        for row in &rows {
            periods.entry(AccountId(row.account_id)).or_default().push(period(row)?);
        }
        Ok(periods.into_iter().map(|(account, periods)| (account, Spans::of(periods))).collect())
    }

    async fn synced_of(&self, owner: UserId, links: &[LinkId]) -> anyhow::Result<HashMap<LinkId, Vec<AccountId>>> {
        let rows: Vec<(Uuid, Uuid)> = accounts::Entity::find()
            .select_only()
            .column(accounts::Column::LinkId)
            .column(accounts::Column::Id)
            .filter(accounts::Column::UserId.eq(owner.0))
            .filter(accounts::Column::LinkId.is_in(links.iter().map(|link| link.0)))
            .filter(accounts::Column::IsActive.eq(true))
            .filter(accounts::Column::IsSelected.eq(true))
            .into_tuple()
            .all(&self.connection)
            .await
            .map_err(broken("reading which accounts are kept synced"))?;
        let mut synced: HashMap<LinkId, Vec<AccountId>> = HashMap::new();
        for (link, account) in rows {
            synced.entry(LinkId(link)).or_default().push(AccountId(account));
        }
        Ok(synced)
    }
}
