//! Holdings: the rows of `holdings`.

use std::collections::HashMap;

use anyhow::Context as _;
use async_trait::async_trait;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, Select, sea_query::Expr};

use crate::domain::{
    change::ChangedKind,
    holding::{Holding, HoldingFilter, HoldingReader, Holdings, ReportedHolding},
    id::{AccountId, HoldingId, UserId},
    money::{Amount, Currency, Money, Quantity},
    page::{CreatedKey, Page, Slice},
    time::Timestamp,
    transaction::{AssetType, Security},
};

use super::{Readers, error::broken, page, quantity::StoredQuantity, value, work::DatabaseWork};

pub(super) mod holdings {
    use sea_orm::entity::prelude::*;

    use super::StoredQuantity;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "holdings")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub account_id: Uuid,
        pub reference: Option<String>,
        pub symbol: String,
        pub name: Option<String>,
        pub asset_type: String,
        pub cusip: Option<String>,
        pub isin: Option<String>,
        pub quantity: StoredQuantity,
        pub currency: String,
        pub price: Option<StoredQuantity>,
        pub market_value: Option<i64>,
        pub cost_basis: Option<i64>,
        pub cost_currency: Option<String>,
        pub as_of: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use holdings::Column;

/// The columns that hold what a provider said.
fn facts_columns(facts: &ReportedHolding, now: Timestamp, backend: DbBackend) -> holdings::ActiveModel {
    let quantity = |quantity: Quantity| StoredQuantity::new(quantity, backend);
    holdings::ActiveModel {
        reference: Set(facts.reference.clone()),
        symbol: Set(facts.security.symbol.clone()),
        name: Set(facts.security.name.clone()),
        asset_type: Set(facts.security.asset_type.as_str().to_owned()),
        cusip: Set(facts.cusip.clone()),
        isin: Set(facts.isin.clone()),
        quantity: Set(quantity(facts.quantity)),
        currency: Set(facts.currency.code().to_owned()),
        price: Set(facts.price.map(quantity)),
        market_value: Set(facts.market_value.map(Amount::units)),
        cost_basis: Set(facts.cost_basis.as_ref().map(|cost| cost.amount.units())),
        cost_currency: Set(facts.cost_basis.as_ref().map(|cost| cost.currency.code().to_owned())),
        as_of: Set(facts.as_of.map(Timestamp::utc)),
        updated_at: Set(now.utc()),
        ..Default::default()
    }
}

impl TryFrom<holdings::Model> for Holding {
    type Error = anyhow::Error;

    fn try_from(row: holdings::Model) -> anyhow::Result<Self> {
        let quantity = |column: &'static str, stored: &StoredQuantity| stored.quantity().with_context(|| format!("{column} is not a quantity"));
        let currency = |column: &'static str, code: &str| Currency::parse(code).with_context(|| format!("{column} is not a unit of money"));
        let cost_currency = row.cost_currency.as_deref().map(|code| currency("holdings.cost_currency", code)).transpose()?;
        let cost_basis = value::optional_amount("holdings.cost_basis", row.cost_basis)?;
        Ok(Self {
            id: HoldingId(row.id),
            user: UserId(row.user_id),
            account: AccountId(row.account_id),
            created_at: Timestamp::new(row.created_at),
            facts: ReportedHolding {
                reference: row.reference,
                security: Security { symbol: row.symbol, name: row.name, asset_type: value::word("holdings.asset_type", &row.asset_type, AssetType::parse)? },
                cusip: row.cusip,
                isin: row.isin,
                quantity: quantity("holdings.quantity", &row.quantity)?,
                currency: currency("holdings.currency", &row.currency)?,
                price: row.price.as_ref().map(|price| quantity("holdings.price", price)).transpose()?,
                market_value: value::optional_amount("holdings.market_value", row.market_value)?,
                cost_basis: cost_basis.zip(cost_currency).map(|(amount, currency)| Money { amount, currency }),
                as_of: value::optional_instant(row.as_of),
            },
        })
    }
}

#[async_trait]
impl Holdings for DatabaseWork {
    async fn of_account(&mut self, owner: UserId, account: AccountId) -> anyhow::Result<Vec<Holding>> {
        let rows = holdings::Entity::find()
            .filter(Column::UserId.eq(owner.0))
            .filter(Column::AccountId.eq(account.0))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Id)
            .all(&self.transaction)
            .await
            .map_err(broken("reading an account's holdings"))?;
        rows.into_iter().map(Holding::try_from).collect()
    }

    async fn insert(&mut self, holding: &Holding) -> anyhow::Result<()> {
        let row = holdings::ActiveModel {
            id: Set(holding.id.0),
            user_id: Set(holding.user.0),
            account_id: Set(holding.account.0),
            created_at: Set(holding.created_at.utc()),
            ..facts_columns(&holding.facts, holding.created_at, self.transaction.get_database_backend())
        };
        holdings::Entity::insert(row).exec_without_returning(&self.transaction).await.map_err(broken("storing a holding"))?;
        self.note(holding.user, ChangedKind::Holding, [holding.id.0]).await
    }

    async fn save(&mut self, holding: &Holding, now: Timestamp) -> anyhow::Result<()> {
        let saved = holdings::Entity::update_many()
            .set(facts_columns(&holding.facts, now, self.transaction.get_database_backend()))
            .filter(Column::Id.eq(holding.id.0))
            .filter(Column::UserId.eq(holding.user.0))
            .exec(&self.transaction)
            .await
            .map_err(broken("saving a holding"))?;
        anyhow::ensure!(saved.rows_affected == 1, "the holding to be saved is gone");
        self.note(holding.user, ChangedKind::Holding, [holding.id.0]).await
    }

    async fn remove(&mut self, owner: UserId, id: HoldingId) -> anyhow::Result<()> {
        let removed = holdings::Entity::delete_many().filter(Column::Id.eq(id.0)).filter(Column::UserId.eq(owner.0)).exec(&self.transaction).await;
        anyhow::ensure!(removed.map_err(broken("removing a holding"))?.rows_affected == 1, "the holding to be removed is gone");
        self.note(owner, ChangedKind::Holding, [id.0]).await
    }
}

/// All of the owner's that a filter lets through.
fn visible(owner: UserId, filter: &HoldingFilter) -> Select<holdings::Entity> {
    // PostgreSQL stores no NUL and refuses it even in a question.
    let symbol =
        |symbol: &String| if symbol.contains('\0') { Condition::all().add(Expr::cust("FALSE")) } else { Condition::all().add(Column::Symbol.eq(symbol)) };
    holdings::Entity::find().filter(
        Condition::all()
            .add(Column::UserId.eq(owner.0))
            .add_option(filter.accounts.as_ref().map(|accounts| Column::AccountId.is_in(accounts.iter().map(|account| account.0))))
            .add_option(filter.asset_types.as_ref().map(|types| Column::AssetType.is_in(types.iter().map(|kind| kind.as_str()))))
            .add_option(filter.symbol.as_ref().map(symbol)),
    )
}

const COLUMNS: (Column, Column) = (Column::CreatedAt, Column::Id);

#[async_trait]
impl HoldingReader for Readers {
    async fn find_many(&self, owner: UserId, ids: &[HoldingId]) -> anyhow::Result<Vec<Holding>> {
        let rows = visible(owner, &HoldingFilter::default()).filter(Column::Id.is_in(ids.iter().map(|id| id.0)));
        rows.all(&self.connection).await.map_err(broken("reading holdings by id"))?.into_iter().map(Holding::try_from).collect()
    }

    async fn page(&self, owner: UserId, filter: &HoldingFilter, page: Page<CreatedKey>) -> anyhow::Result<Slice<Holding>> {
        page::read(&self.connection, visible(owner, filter), COLUMNS, page, "reading holdings").await
    }

    async fn pages_by_account(&self, owner: UserId, accounts: &[AccountId], page: Page<CreatedKey>) -> anyhow::Result<HashMap<AccountId, Slice<Holding>>> {
        let children = page::Children {
            parent: Column::AccountId,
            parent_of: |row: &holdings::Model| row.account_id,
            columns: COLUMNS,
            ascending: |one: &Holding, other| (one.created_at, one.id).cmp(&(other.created_at, other.id)),
        };
        let accounts = accounts.iter().map(|account| account.0).collect();
        let pages =
            page::read_each(&self.connection, visible(owner, &HoldingFilter::default()), children, accounts, page, "reading holdings by account").await?;
        Ok(pages.into_iter().map(|(account, page)| (AccountId(account), page)).collect())
    }
}
