//! Lists of transactions: filters in SQL, pages of one user's or of several accounts' at once.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use chrono::NaiveDate;
use rust_decimal::Decimal;
use sea_orm::{ColumnTrait, Condition, DbBackend, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select, sea_query::Expr};
use uuid::Uuid;

use crate::{
    domain::{
        id::{AccountId, TransactionId, UserId},
        page::{Page, PostedKey, Slice},
        time::LocalDate,
        transaction::{Source, Transaction, TransactionFilter, TransactionReader, TransactionStatus},
    },
    infrastructure::database::{Readers, error::broken, page, value},
};

use super::{
    transaction_references,
    transactions::{self, Column},
};

/// The scales amounts are kept at: ISO 4217 units, and any other unit.
const SCALES: [u32; 2] = [4, 8];

/// All of the owner's that a filter lets through; withdrawn ones never.
fn visible(owner: UserId, filter: &TransactionFilter, backend: DbBackend) -> Select<transactions::Entity> {
    let words = |column: Column, words: Vec<&'static str>| column.is_in(words);
    transactions::Entity::find().filter(
        Condition::all()
            .add(Column::UserId.eq(owner.0))
            .add(Column::RemovedAt.is_null())
            .add_option(filter.accounts.as_ref().map(|accounts| Column::AccountId.is_in(accounts.iter().map(|account| account.0))))
            .add_option(filter.from.map(|day| Column::PostedOn.gte(day.naive())))
            .add_option(filter.to.map(|day| Column::PostedOn.lte(day.naive())))
            .add_option(filter.types.as_ref().map(|types| words(Column::Family, types.iter().map(|family| family.as_str()).collect())))
            .add_option(filter.statuses.as_ref().map(|statuses| words(Column::Status, statuses.iter().map(|status| status.as_str()).collect())))
            .add_option((filter.min_amount.is_some() || filter.max_amount.is_some()).then(|| amounts_between(filter.min_amount, filter.max_amount)))
            .add_option(filter.text.as_ref().filter(|text| !text.is_empty()).map(|text| holds_text(text, backend))),
    )
}

/// Amounts are whole numbers at one of two scales, so a bound is turned into a whole number at each.
///
/// A bound beyond an i64 lets everything or nothing through: `i64::MIN` is never stored, so the lower bound is an exclusive one.
fn amounts_between(min: Option<Decimal>, max: Option<Decimal>) -> Condition {
    SCALES.into_iter().fold(Condition::any(), |any, scale| {
        any.add(
            Condition::all()
                .add(Column::AmountScale.eq(scale))
                .add_option(min.map(|min| Column::Amount.gt(clamp(-whole_units(-min, scale) - 1))))
                .add_option(max.map(|max| Column::Amount.lte(clamp(whole_units(max, scale))))),
        )
    })
}

/// `value` in units of `scale`, rounded down. A Decimal has 96 bits and at most 28 decimals, so nothing here overflows 128.
fn whole_units(value: Decimal, scale: u32) -> i128 {
    (value.mantissa() * 10_i128.pow(scale)).div_euclid(10_i128.pow(value.scale()))
}

fn clamp(units: i128) -> i64 {
    i64::try_from(units).unwrap_or(if units < 0 { i64::MIN } else { i64::MAX })
}

/// `text` somewhere in description or merchant. Both databases fold ASCII only: SQLite has no other `lower`, PostgreSQL is told to by
/// the collation "C". So it is looked for in each way that people and banks write. A search for the text's place needs no escapes, unlike LIKE.
fn holds_text(text: &str, backend: DbBackend) -> Condition {
    // PostgreSQL stores no NUL and refuses it even in a question.
    if text.contains('\0') {
        return Condition::all().add(Expr::cust("FALSE"));
    }
    let place = if backend == DbBackend::Postgres { r#"strpos(lower($1 COLLATE "C"), $2) > 0"# } else { "instr(lower(?), ?) > 0" };
    let holds = |column: Column, spelling: &String| Expr::cust_with_exprs(place, [column.into_expr(), Expr::val(spelling.clone())]);
    spellings(text).iter().fold(Condition::any(), |any, spelling| any.add(holds(Column::Description, spelling)).add(holds(Column::MerchantName, spelling)))
}

/// A text in small letters, in capitals, with capitals where words begin, and as it is; ASCII in small letters in each.
fn spellings(text: &str) -> BTreeSet<String> {
    let (small, capital) = (text.to_lowercase(), text.to_uppercase());
    let mut begins = true;
    let title = small.chars().flat_map(|letter| {
        let is_first = std::mem::replace(&mut begins, !letter.is_alphanumeric());
        is_first.then(|| letter.to_uppercase()).into_iter().flatten().chain((!is_first).then_some(letter))
    });
    let title: String = title.collect();
    [text, &small, &capital, &title].into_iter().map(str::to_ascii_lowercase).collect()
}

const COLUMNS: (Column, Column) = (Column::PostedOn, Column::Id);

#[async_trait]
impl TransactionReader for Readers {
    async fn find_many(&self, owner: UserId, ids: &[TransactionId]) -> anyhow::Result<Vec<Transaction>> {
        let rows = visible(owner, &TransactionFilter::default(), self.backend()).filter(Column::Id.is_in(ids.iter().map(|id| id.0)));
        rows.all(&self.connection).await.map_err(broken("reading transactions by id"))?.into_iter().map(Transaction::try_from).collect()
    }

    async fn page(&self, owner: UserId, filter: &TransactionFilter, page: Page<PostedKey>) -> anyhow::Result<Slice<Transaction>> {
        page::read(&self.connection, visible(owner, filter, self.backend()), COLUMNS, page, "reading transactions").await
    }

    async fn first_pending_of_feed(&self, owner: UserId, accounts: &[AccountId]) -> anyhow::Result<HashMap<AccountId, LocalDate>> {
        let accounts: Vec<Uuid> = accounts.iter().map(|account| account.0).collect();
        let filter = TransactionFilter { statuses: Some(vec![TransactionStatus::Pending]), ..TransactionFilter::default() };
        let of_feed = transaction_references::Entity::find()
            .select_only()
            .column(transaction_references::Column::TransactionId)
            .filter(transaction_references::Column::AccountId.is_in(accounts.iter().copied()))
            .filter(transaction_references::Column::Source.eq(Source::Feed.as_str()));
        let rows: Vec<(Uuid, NaiveDate)> = visible(owner, &filter, self.backend())
            .filter(Column::AccountId.is_in(accounts))
            .filter(Column::Id.in_subquery(of_feed.into_query()))
            .select_only()
            .column(Column::AccountId)
            .column_as(Column::PostedOn.min(), "first")
            .group_by(Column::AccountId)
            .into_tuple()
            .all(&self.connection)
            .await
            .map_err(broken("reading since when something waits"))?;
        rows.into_iter().map(|(account, first)| Ok((AccountId(account), value::day("transactions.posted_on", first)?))).collect()
    }

    async fn pages_by_account(
        &self,
        owner: UserId,
        accounts: &[AccountId],
        filter: &TransactionFilter,
        page: Page<PostedKey>,
    ) -> anyhow::Result<HashMap<AccountId, Slice<Transaction>>> {
        let wanted = |account: &&AccountId| filter.accounts.as_ref().is_none_or(|accounts| accounts.contains(account));
        let accounts: BTreeSet<Uuid> = accounts.iter().filter(wanted).map(|account| account.0).collect();
        let visible = visible(owner, &TransactionFilter { accounts: None, ..filter.clone() }, self.backend());
        let children = page::Children {
            parent: Column::AccountId,
            parent_of: |row: &transactions::Model| row.account_id,
            columns: COLUMNS,
            ascending: |one: &Transaction, other| (one.facts.posted_on, one.id).cmp(&(other.facts.posted_on, other.id)),
        };
        let pages = page::read_each(&self.connection, visible, children, accounts, page, "reading transactions by account").await?;
        Ok(pages.into_iter().map(|(account, page)| (AccountId(account), page)).collect())
    }
}
