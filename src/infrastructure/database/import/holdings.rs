//! Positions of a statement as JSON: what is kept of them, for the commit of a preview and for when a younger statement is taken back.

use anyhow::Context as _;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _};
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        holding::ReportedHolding,
        id::{AccountId, ImportId, UserId},
        import::{ImportStatus, Stock},
        money::{Amount, Currency, Money, Quantity},
        time::Timestamp,
        transaction::{AssetType, Security},
    },
    infrastructure::database::{error::broken, value, work::DatabaseWork},
};

use super::{import_statements, imports};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    reference: Option<String>,
    symbol: String,
    name: Option<String>,
    asset_type: String,
    cusip: Option<String>,
    isin: Option<String>,
    quantity: String,
    currency: String,
    price: Option<String>,
    market_value: Option<i64>,
    cost_basis: Option<(i64, String)>,
    as_of: Option<i64>,
}

/// As it is stored.
pub(super) fn text(holdings: &[ReportedHolding]) -> String {
    let stored = |held: &ReportedHolding| Stored {
        reference: held.reference.clone(),
        symbol: held.security.symbol.clone(),
        name: held.security.name.clone(),
        asset_type: held.security.asset_type.as_str().to_owned(),
        cusip: held.cusip.clone(),
        isin: held.isin.clone(),
        quantity: held.quantity.to_string(),
        currency: held.currency.code().to_owned(),
        price: held.price.as_ref().map(Quantity::to_string),
        market_value: held.market_value.map(Amount::units),
        cost_basis: held.cost_basis.as_ref().map(|money| (money.amount.units(), money.currency.code().to_owned())),
        as_of: held.as_of.map(Timestamp::micros),
    };
    serde_json::json!(holdings.iter().map(stored).collect::<Vec<_>>()).to_string()
}

/// What was stored.
pub(super) fn read(text: &str) -> anyhow::Result<Vec<ReportedHolding>> {
    let stored: Vec<Stored> = serde_json::from_str(text).context("import_statements.holdings is not JSON of ours")?;
    let holding = |stored: Stored| -> Option<ReportedHolding> {
        let cost_basis = match stored.cost_basis {
            Some((units, currency)) => Some(Money { amount: Amount::from_units(units).ok()?, currency: Currency::parse(&currency).ok()? }),
            None => None,
        };
        Some(ReportedHolding {
            reference: stored.reference,
            security: Security { symbol: stored.symbol, name: stored.name, asset_type: AssetType::parse(&stored.asset_type)? },
            cusip: stored.cusip,
            isin: stored.isin,
            quantity: Quantity::parse(&stored.quantity).ok()?,
            currency: Currency::parse(&stored.currency).ok()?,
            price: stored.price.as_deref().map(Quantity::parse).transpose().ok()?,
            market_value: stored.market_value.map(Amount::from_units).transpose().ok()?,
            cost_basis,
            as_of: stored.as_of.and_then(Timestamp::from_micros),
        })
    };
    stored.into_iter().map(holding).collect::<Option<_>>().context("import_statements.holdings holds something else")
}

/// The youngest positions that any committed import but one has told of an account; of equally young ones those that came in last.
pub(super) async fn last(work: &DatabaseWork, owner: UserId, account: AccountId, but: ImportId) -> anyhow::Result<Option<Stock>> {
    let committed = imports::Entity::find()
        .select_only()
        .column(imports::Column::Id)
        .filter(imports::Column::UserId.eq(owner.0))
        .filter(imports::Column::Status.eq(ImportStatus::Committed.as_str()))
        .into_query();
    let last = import_statements::Entity::find()
        .filter(import_statements::Column::UserId.eq(owner.0))
        .filter(import_statements::Column::AccountId.eq(account.0))
        .filter(import_statements::Column::ImportId.ne(but.0))
        .filter(import_statements::Column::ImportId.in_subquery(committed))
        .filter(import_statements::Column::Holdings.is_not_null())
        .order_by_asc(import_statements::Column::BalanceAsOf.is_null())
        .order_by_desc(import_statements::Column::BalanceAsOf)
        .order_by_desc(import_statements::Column::ImportId)
        .limit(1)
        .one(&work.transaction)
        .await
        .map_err(broken("reading the last positions of an account"))?;
    let Some((told, as_of)) = last.and_then(|last| Some((last.holdings?, last.balance_as_of))) else { return Ok(None) };
    Ok(Some(Stock { as_of: value::optional_instant(as_of), holdings: read(&told)? }))
}
