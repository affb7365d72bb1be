//! Transactions: the rows of `transactions` and of `transaction_references`, the names they go by at their sources.

use std::collections::{HashMap, HashSet};

use anyhow::Context as _;
use async_trait::async_trait;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{CaseStatement, Expr, ExprTrait as _, Func, OnConflict},
};
use uuid::Uuid;

use crate::domain::{
    account::Account,
    change::ChangedKind,
    id::{AccountId, TransactionId, UserId},
    money::{Amount, Currency, Quantity},
    time::{LocalDate, Timestamp},
    transaction::{AssetType, KnownTransaction, Security, Source, Transaction, TransactionFacts, TransactionStatus, TransactionSubtype, Transactions},
};

use super::{error::broken, quantity::StoredQuantity, value, work::DatabaseWork};

mod reader;

/// Rows in one INSERT: 24 values each stay under SQLite's 32,766 and PostgreSQL's 65,535 parameters.
const ROWS_AT_ONCE: usize = 1_000;

/// Values in one IN list.
const VALUES_AT_ONCE: usize = 10_000;

pub(super) mod transactions {
    use sea_orm::entity::prelude::*;

    use super::StoredQuantity;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "transactions")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub account_id: Uuid,
        pub amount: i64,
        pub amount_scale: i16,
        pub currency: String,
        #[sea_orm(column_name = "type")]
        pub family: String,
        pub subtype: String,
        pub status: String,
        pub posted_on: Date,
        pub authorized_on: Option<Date>,
        pub occurred_at: Option<DateTimeUtc>,
        pub description: String,
        pub merchant_name: Option<String>,
        pub category: Option<String>,
        pub security_symbol: Option<String>,
        pub security_name: Option<String>,
        pub security_asset_type: Option<String>,
        pub quantity: Option<StoredQuantity>,
        pub unit_price: Option<StoredQuantity>,
        pub fees: Option<i64>,
        pub removed_at: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod transaction_references {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "transaction_references")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub source: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub reference: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub transaction_id: Uuid,
        pub user_id: Uuid,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The columns that hold what a provider said.
fn facts_columns(facts: &TransactionFacts, now: Timestamp, backend: DbBackend) -> transactions::ActiveModel {
    let quantity = |quantity: Option<Quantity>| quantity.map(|quantity| StoredQuantity::new(quantity, backend));
    let security = facts.security.as_ref();
    transactions::ActiveModel {
        amount: Set(facts.amount.units()),
        family: Set(facts.subtype.family().as_str().to_owned()),
        subtype: Set(facts.subtype.as_str().to_owned()),
        status: Set(facts.status.as_str().to_owned()),
        posted_on: Set(facts.posted_on.naive()),
        authorized_on: Set(facts.authorized_on.map(LocalDate::naive)),
        occurred_at: Set(facts.occurred_at.map(Timestamp::utc)),
        description: Set(facts.description.clone()),
        merchant_name: Set(facts.merchant_name.clone()),
        category: Set(facts.category.clone()),
        security_symbol: Set(security.map(|security| security.symbol.clone())),
        security_name: Set(security.and_then(|security| security.name.clone())),
        security_asset_type: Set(security.map(|security| security.asset_type.as_str().to_owned())),
        quantity: Set(quantity(facts.quantity)),
        unit_price: Set(quantity(facts.unit_price)),
        fees: Set(facts.fees.map(Amount::units)),
        removed_at: Set(None),
        updated_at: Set(now.utc()),
        ..Default::default()
    }
}

fn insertion(transaction: &Transaction, backend: DbBackend) -> anyhow::Result<transactions::ActiveModel> {
    Ok(transactions::ActiveModel {
        id: Set(transaction.id.0),
        user_id: Set(transaction.user.0),
        account_id: Set(transaction.account.0),
        amount_scale: Set(i16::try_from(transaction.currency.scale()).context("a currency's scale is beyond a smallint")?),
        currency: Set(transaction.currency.code().to_owned()),
        created_at: Set(transaction.created_at.utc()),
        ..facts_columns(&transaction.facts, transaction.created_at, backend)
    })
}

fn facts(row: transactions::Model) -> anyhow::Result<TransactionFacts> {
    let quantity = |column: &'static str, stored: Option<StoredQuantity>| {
        stored.map(|stored| stored.quantity().with_context(|| format!("{column} is not a quantity"))).transpose()
    };
    let asset_type = value::optional_word("transactions.security_asset_type", row.security_asset_type.as_deref(), AssetType::parse)?;
    let security = row.security_symbol.zip(asset_type);
    Ok(TransactionFacts {
        amount: value::amount("transactions.amount", row.amount)?,
        subtype: value::word("transactions.subtype", &row.subtype, TransactionSubtype::parse)?,
        status: value::word("transactions.status", &row.status, TransactionStatus::parse)?,
        posted_on: value::day("transactions.posted_on", row.posted_on)?,
        authorized_on: row.authorized_on.map(|day| value::day("transactions.authorized_on", day)).transpose()?,
        occurred_at: value::optional_instant(row.occurred_at),
        description: row.description,
        merchant_name: row.merchant_name,
        category: row.category,
        security: security.map(|(symbol, asset_type)| Security { symbol, name: row.security_name, asset_type }),
        quantity: quantity("transactions.quantity", row.quantity)?,
        unit_price: quantity("transactions.unit_price", row.unit_price)?,
        fees: value::optional_amount("transactions.fees", row.fees)?,
    })
}

impl TryFrom<transactions::Model> for Transaction {
    type Error = anyhow::Error;

    fn try_from(row: transactions::Model) -> anyhow::Result<Self> {
        Ok(Self {
            id: TransactionId(row.id),
            user: UserId(row.user_id),
            account: AccountId(row.account_id),
            currency: Currency::parse(&row.currency).context("transactions.currency is not a unit of money")?,
            created_at: Timestamp::new(row.created_at),
            facts: facts(row)?,
        })
    }
}

impl DatabaseWork {
    /// The transactions that go by one of `references`. Asked apart from the transactions themselves: joined, a planner without
    /// statistics may compare every name with every row.
    async fn named(&self, account: AccountId, source: Source, references: &[String]) -> anyhow::Result<HashSet<Uuid>> {
        let mut named = HashSet::new();
        for references in references.chunks(VALUES_AT_ONCE) {
            let ids: Vec<Uuid> = transaction_references::Entity::find()
                .select_only()
                .column(transaction_references::Column::TransactionId)
                .filter(transaction_references::Column::AccountId.eq(account.0))
                .filter(transaction_references::Column::Source.eq(source.as_str()))
                .filter(transaction_references::Column::Reference.is_in(references))
                // Names that many rows share name nothing; without an end, a file of one name would read everything for every part of it.
                .limit(4 * references.len() as u64 + 1_000)
                .into_tuple()
                .all(&self.transaction)
                .await
                .map_err(broken("reading the names of transactions"))?;
            named.extend(ids);
        }
        Ok(named)
    }

    /// The names of transactions, by transaction.
    async fn references_of(&self, owner: UserId, ids: &[Uuid]) -> anyhow::Result<HashMap<Uuid, Vec<(Source, String)>>> {
        let mut references: HashMap<Uuid, Vec<(Source, String)>> = HashMap::new();
        for ids in ids.chunks(VALUES_AT_ONCE) {
            let rows = transaction_references::Entity::find()
                .filter(transaction_references::Column::UserId.eq(owner.0))
                .filter(transaction_references::Column::TransactionId.is_in(ids.iter().copied()))
                .order_by_asc(transaction_references::Column::Source)
                .order_by_asc(transaction_references::Column::Reference)
                .all(&self.transaction)
                .await
                .map_err(broken("reading the names of transactions"))?;
            for row in rows {
                let source = value::word("transaction_references.source", &row.source, Source::parse)?;
                references.entry(row.transaction_id).or_default().push((source, row.reference));
            }
        }
        Ok(references)
    }

    async fn insert_references(&self, rows: Vec<transaction_references::Model>) -> anyhow::Result<()> {
        let insert = transaction_references::Entity::insert_many(rows.into_iter().map(transaction_references::ActiveModel::from));
        let insert = insert.on_conflict(OnConflict::new().do_nothing().to_owned());
        insert.exec_without_returning(&self.transaction).await.map_err(broken("storing the names of transactions"))?;
        Ok(())
    }
}

impl DatabaseWork {
    /// Has rows whose signs were turned called what they are in the other direction.
    async fn rename_turned(&self, of_account: &Condition, is_liability: bool) -> anyhow::Result<()> {
        use transactions::Column;

        let one = Amount::from_units(1)?;
        for (amount, has_sign) in [(one, Column::Amount.gt(0)), (one.negated(), Column::Amount.lt(0))] {
            // All at once, since what one is called now another was called before.
            let (mut subtypes, mut families, mut were) = (CaseStatement::new(), CaseStatement::new(), Vec::new());
            for subtype in TransactionSubtype::ALL {
                let turned = subtype.of_turned(amount, is_liability);
                if turned != *subtype {
                    subtypes = subtypes.case(Column::Subtype.eq(subtype.as_str()), turned.as_str());
                    families = families.case(Column::Subtype.eq(subtype.as_str()), turned.family().as_str());
                    were.push(subtype.as_str());
                }
            }
            let renamed = transactions::Entity::update_many()
                .col_expr(Column::Family, families.into())
                .col_expr(Column::Subtype, subtypes.into())
                .filter(of_account.clone())
                .filter(has_sign)
                .filter(Column::Subtype.is_in(were))
                .exec(&self.transaction)
                .await;
            renamed.map_err(broken("turning the kinds of transactions"))?;
        }
        Ok(())
    }
}

#[async_trait]
impl Transactions for DatabaseWork {
    async fn known(
        &mut self,
        owner: UserId,
        account: AccountId,
        from: LocalDate,
        to: LocalDate,
        source: Source,
        references: &[String],
    ) -> anyhow::Result<Vec<KnownTransaction>> {
        use transactions::Column;
        let doing = "reading known transactions";
        let of_account = transactions::Entity::find().filter(Column::UserId.eq(owner.0)).filter(Column::AccountId.eq(account.0));
        let is_pending = Condition::all().add(Column::Status.eq(TransactionStatus::Pending.as_str())).add(Column::RemovedAt.is_null());
        let in_period = Condition::any().add(Column::PostedOn.between(from.naive(), to.naive())).add(is_pending);
        let in_period = of_account.clone().filter(in_period);
        let mut rows = in_period.all(&self.transaction).await.map_err(broken(doing))?;
        let mut named = self.named(account, source, references).await?;
        for row in &rows {
            named.remove(&row.id);
        }
        let named: Vec<_> = named.into_iter().collect();
        for ids in named.chunks(VALUES_AT_ONCE) {
            let of_other_days = of_account.clone().filter(Column::Id.is_in(ids.iter().copied()));
            rows.extend(of_other_days.all(&self.transaction).await.map_err(broken(doing))?);
        }
        rows.sort_by_key(|row| (row.posted_on, row.id));
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let mut references = self.references_of(owner, &ids).await?;
        let known = |row: transactions::Model| {
            Ok(KnownTransaction {
                id: TransactionId(row.id),
                references: references.remove(&row.id).unwrap_or_default(),
                removed: row.removed_at.is_some(),
                facts: facts(row)?,
            })
        };
        rows.into_iter().map(known).collect()
    }

    async fn insert(&mut self, rows: &[(Transaction, Source, String)]) -> anyhow::Result<()> {
        let backend = self.transaction.get_database_backend();
        for rows in rows.chunks(ROWS_AT_ONCE) {
            let insertions = rows.iter().map(|(row, ..)| insertion(row, backend)).collect::<anyhow::Result<Vec<_>>>()?;
            let insert = transactions::Entity::insert_many(insertions);
            insert.exec_without_returning(&self.transaction).await.map_err(broken("storing transactions"))?;
            let reference = |(row, source, reference): &(Transaction, Source, String)| transaction_references::Model {
                account_id: row.account.0,
                source: source.as_str().to_owned(),
                reference: reference.clone(),
                transaction_id: row.id.0,
                user_id: row.user.0,
            };
            self.insert_references(rows.iter().map(reference).collect()).await?;
            for (row, ..) in rows {
                self.note(row.user, ChangedKind::Transaction, [row.id.0]).await?;
            }
        }
        Ok(())
    }

    async fn update(&mut self, owner: UserId, id: TransactionId, facts: &TransactionFacts, now: Timestamp) -> anyhow::Result<()> {
        let updated = transactions::Entity::update_many()
            .set(facts_columns(facts, now, self.transaction.get_database_backend()))
            .filter(transactions::Column::Id.eq(id.0))
            .filter(transactions::Column::UserId.eq(owner.0))
            .exec(&self.transaction)
            .await
            .map_err(broken("updating a transaction"))?;
        anyhow::ensure!(updated.rows_affected == 1, "the transaction to be updated is gone");
        self.note(owner, ChangedKind::Transaction, [id.0]).await
    }

    async fn add_reference(&mut self, owner: UserId, account: AccountId, id: TransactionId, source: Source, reference: &str) -> anyhow::Result<()> {
        let row = transaction_references::Model {
            account_id: account.0,
            source: source.as_str().to_owned(),
            reference: reference.to_owned(),
            transaction_id: id.0,
            user_id: owner.0,
        };
        self.insert_references(vec![row]).await
    }

    async fn turn_signs(&mut self, account: &Account, now: Timestamp) -> anyhow::Result<()> {
        let owner = account.user;
        let of_account = Condition::all().add(transactions::Column::UserId.eq(owner.0)).add(transactions::Column::AccountId.eq(account.id.0));
        let turned = transactions::Entity::update_many()
            .col_expr(transactions::Column::Amount, Expr::col(transactions::Column::Amount).mul(-1))
            .col_expr(transactions::Column::UpdatedAt, Expr::val(now.utc()))
            .filter(of_account.clone())
            .exec(&self.transaction)
            .await;
        turned.map_err(broken("turning the signs of transactions"))?;
        self.rename_turned(&of_account, account.kind.is_liability()).await?;
        let shown = transactions::Entity::find()
            .select_only()
            .column(transactions::Column::Id)
            .filter(of_account)
            .filter(transactions::Column::RemovedAt.is_null())
            .into_tuple::<Uuid>()
            .all(&self.transaction)
            .await
            .map_err(broken("reading whose signs were turned"))?;
        self.note(owner, ChangedKind::Transaction, shown).await
    }

    async fn withdraw(&mut self, owner: UserId, id: TransactionId, now: Timestamp) -> anyhow::Result<()> {
        let first = Func::coalesce([Expr::col(transactions::Column::RemovedAt), Expr::val(now.utc())]);
        let withdrawn = transactions::Entity::update_many()
            .col_expr(transactions::Column::RemovedAt, first.into())
            .col_expr(transactions::Column::UpdatedAt, Expr::val(now.utc()))
            .filter(transactions::Column::Id.eq(id.0))
            .filter(transactions::Column::UserId.eq(owner.0))
            .exec(&self.transaction)
            .await
            .map_err(broken("withdrawing a transaction"))?;
        anyhow::ensure!(withdrawn.rows_affected == 1, "the transaction to be withdrawn is gone");
        self.note(owner, ChangedKind::Transaction, [id.0]).await
    }
}
