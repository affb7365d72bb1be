//! Balances: the rows of `balance_snapshots`, and what accounts hold altogether.

use std::collections::HashMap;

use anyhow::Context as _;
use async_trait::async_trait;
use chrono::{DateTime, NaiveTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, QueryFilter, QueryOrder as _, QuerySelect,
    sea_query::{Expr, ExprTrait as _, Query},
};

use crate::domain::{
    balance::{BalanceReader, BalanceSnapshot, BalanceSnapshots, Balances, DayBalance, DayRange},
    id::{AccountId, ImportId, UserId},
    link::LinkStatus,
    money::{Amount, Currency, Money},
    page::{CreatedKey, Page, Slice},
    time::{LocalDate, Timestamp},
};

use super::{Readers, account::accounts, error::broken, link::links, page, value, work::DatabaseWork};

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
        pub import_id: Option<Uuid>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl DatabaseWork {
    async fn insert_snapshot(&self, snapshot: &BalanceSnapshot, told_by: Option<ImportId>) -> anyhow::Result<()> {
        let row = balance_snapshots::Model {
            id: self.randomness.id(),
            user_id: snapshot.user.0,
            account_id: snapshot.account.0,
            taken_at: snapshot.taken_at.utc(),
            current_amount: snapshot.balances.current.map(Amount::units),
            available_amount: snapshot.balances.available.map(Amount::units),
            limit_amount: snapshot.balances.limit.map(Amount::units),
            balance_as_of: snapshot.balances.as_of.map(Timestamp::utc),
            import_id: told_by.map(|import| import.0),
        };
        let insert = balance_snapshots::Entity::insert(balance_snapshots::ActiveModel::from(row));
        insert.exec_without_returning(&self.transaction).await.map_err(broken("storing a balance snapshot"))?;
        Ok(())
    }
}

#[async_trait]
impl BalanceSnapshots for DatabaseWork {
    async fn insert(&mut self, snapshot: &BalanceSnapshot) -> anyhow::Result<()> {
        self.insert_snapshot(snapshot, None).await
    }

    async fn tell(&mut self, snapshot: &BalanceSnapshot, import: ImportId, has_news: bool) -> anyhow::Result<bool> {
        let told = balance_snapshots::Entity::find()
            .filter(balance_snapshots::Column::UserId.eq(snapshot.user.0))
            .filter(balance_snapshots::Column::AccountId.eq(snapshot.account.0))
            .filter(balance_snapshots::Column::TakenAt.eq(snapshot.taken_at.utc()))
            .order_by_desc(balance_snapshots::Column::Id)
            .all(&self.transaction)
            .await
            .map_err(broken("reading what a balance was"))?;
        for told in told.into_iter().take(if has_news { 1 } else { usize::MAX }) {
            if DayBalance::try_from(told)?.balances == snapshot.balances {
                return Ok(false);
            }
        }
        self.insert_snapshot(snapshot, Some(import)).await?;
        Ok(true)
    }

    async fn turn_signs(&mut self, owner: UserId, account: AccountId) -> anyhow::Result<()> {
        let turned = balance_snapshots::Entity::update_many()
            .col_expr(balance_snapshots::Column::CurrentAmount, Expr::col(balance_snapshots::Column::CurrentAmount).mul(-1))
            .filter(balance_snapshots::Column::UserId.eq(owner.0))
            .filter(balance_snapshots::Column::AccountId.eq(account.0))
            .exec(&self.transaction)
            .await;
        turned.map(|_| ()).map_err(broken("turning the signs of balances"))
    }
}

/// Of several snapshots of one account on one day (UTC) the last: there is no later one before the next midnight. SQLite writes instants as
/// text whose order is theirs, and a day sorts before every instant of it.
const POSTGRES_LAST_OF_ITS_DAY: &str = "NOT EXISTS (SELECT 1 FROM balance_snapshots AS later
WHERE later.user_id = balance_snapshots.user_id AND later.account_id = balance_snapshots.account_id
AND (later.taken_at, later.id) > (balance_snapshots.taken_at, balance_snapshots.id)
AND later.taken_at < (date_trunc('day', balance_snapshots.taken_at AT TIME ZONE 'UTC') + INTERVAL '1 day') AT TIME ZONE 'UTC')";

const SQLITE_LAST_OF_ITS_DAY: &str = "NOT EXISTS (SELECT 1 FROM balance_snapshots AS later
WHERE later.user_id = balance_snapshots.user_id AND later.account_id = balance_snapshots.account_id
AND (later.taken_at, later.id) > (balance_snapshots.taken_at, balance_snapshots.id)
AND later.taken_at < date(substr(balance_snapshots.taken_at, 1, 10), '+1 day'))";

impl TryFrom<balance_snapshots::Model> for DayBalance {
    type Error = anyhow::Error;

    fn try_from(row: balance_snapshots::Model) -> anyhow::Result<Self> {
        Ok(Self {
            id: row.id,
            account: AccountId(row.account_id),
            taken_at: Timestamp::new(row.taken_at),
            balances: Balances {
                current: value::optional_amount("balance_snapshots.current_amount", row.current_amount)?,
                available: value::optional_amount("balance_snapshots.available_amount", row.available_amount)?,
                limit: value::optional_amount("balance_snapshots.limit_amount", row.limit_amount)?,
                as_of: value::optional_instant(row.balance_as_of),
            },
        })
    }
}

/// Midnight (UTC) at the beginning of a day.
fn beginning(day: LocalDate) -> DateTime<Utc> {
    day.naive().and_time(NaiveTime::MIN).and_utc()
}

#[async_trait]
impl BalanceReader for Readers {
    async fn days_by_account(
        &self,
        owner: UserId,
        accounts: &[AccountId],
        range: DayRange,
        page: Page<CreatedKey>,
    ) -> anyhow::Result<HashMap<AccountId, Slice<DayBalance>>> {
        use balance_snapshots::Column;
        let is_last = if self.backend() == DbBackend::Postgres { POSTGRES_LAST_OF_ITS_DAY } else { SQLITE_LAST_OF_ITS_DAY };
        // Nothing is taken after the last day there is.
        let before = range.to.map(|to| to.plus_days(1)).filter(|next| Some(*next) != range.to);
        let rows = balance_snapshots::Entity::find().filter(
            Condition::all()
                .add(Column::UserId.eq(owner.0))
                .add_option(range.from.map(|from| Column::TakenAt.gte(beginning(from))))
                .add_option(before.map(|before| Column::TakenAt.lt(beginning(before))))
                .add(Expr::cust(is_last)),
        );
        let children = page::Children {
            parent: Column::AccountId,
            parent_of: |row: &balance_snapshots::Model| row.account_id,
            columns: (Column::TakenAt, Column::Id),
            ascending: |one: &DayBalance, other| (one.taken_at, one.id).cmp(&(other.taken_at, other.id)),
        };
        let accounts = accounts.iter().map(|account| account.0).collect();
        let pages = page::read_each(&self.connection, rows, children, accounts, page, "reading the history of balances").await?;
        Ok(pages.into_iter().map(|(account, page)| (AccountId(account), page)).collect())
    }

    async fn counted(&self, owner: UserId) -> anyhow::Result<Vec<Money>> {
        let taken_away = Query::select()
            .column(links::Column::Id)
            .from(links::Entity)
            .and_where(links::Column::UserId.eq(owner.0))
            .and_where(links::Column::Status.eq(LinkStatus::Unlinked.as_str()))
            .take();
        let rows: Vec<(String, i64)> = accounts::Entity::find()
            .select_only()
            .column(accounts::Column::Currency)
            .column(accounts::Column::CurrentAmount)
            .filter(accounts::Column::UserId.eq(owner.0))
            .filter(accounts::Column::IsActive.eq(true))
            .filter(accounts::Column::CurrentAmount.is_not_null())
            .filter(accounts::Column::LinkId.not_in_subquery(taken_away))
            .into_tuple()
            .all(&self.connection)
            .await
            .map_err(broken("reading what accounts hold"))?;
        let money = |(code, units): (String, i64)| {
            let currency = Currency::parse(&code).context("accounts.currency is not a unit of money")?;
            Ok(Money { amount: value::amount("accounts.current_amount", units)?, currency })
        };
        rows.into_iter().map(money).collect()
    }
}
