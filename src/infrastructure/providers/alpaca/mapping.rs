//! From Alpaca's words to Dashtam's.
//!
//! Signs are the owner's already, but for fills, which carry a side and no amount. Day rule: `date` as written; `transaction_time` in New York,
//! for coins in UTC. A row that cannot be read is counted, never guessed and never dropped in silence.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    domain::{
        account::{AccountType, MaskedNumber},
        balance::Balances,
        holding::ReportedHolding,
        money::{Amount, Currency, InvalidAmount, Money, Quantity},
        provider::{AccountReference, ReportedAccount, ReportedTransaction},
        time::{LocalDate, Timestamp},
        transaction::{AssetType, Security, TransactionFacts, TransactionStatus, TransactionSubtype},
    },
    infrastructure::providers::{computed::computed, day, nulls::positions},
};

/// What one option contract stands for.
const SHARES_OF_A_CONTRACT: i64 = 100;

/// `GET /v2/account`.
#[derive(Deserialize)]
pub(super) struct AccountRecord {
    id: String,
    account_number: String,
    status: String,
    currency: String,
    cash: Option<String>,
    equity: Option<String>,
}

/// An item of `GET /v2/positions`.
#[derive(Deserialize)]
struct PositionRecord {
    asset_id: Option<String>,
    symbol: String,
    asset_class: Option<String>,
    qty: String,
    side: Option<String>,
    current_price: Option<String>,
    market_value: Option<String>,
    cost_basis: Option<String>,
}

/// An item of `GET /v2/account/activities`: a fill, or anything else.
#[derive(Deserialize)]
struct ActivityRecord {
    id: String,
    activity_type: String,
    transaction_time: Option<String>,
    date: Option<String>,
    side: Option<String>,
    price: Option<String>,
    qty: Option<String>,
    symbol: Option<String>,
    net_amount: Option<String>,
    description: Option<String>,
    status: Option<String>,
}

/// What symbols stand for, without the stroke that some coins have.
#[derive(Default)]
pub(super) struct Classes(HashMap<String, AssetType>);

impl Classes {
    fn of(&self, symbol: &str) -> AssetType {
        let known = self.0.get(&plain(symbol)).copied();
        known.unwrap_or_else(|| if symbol.contains('/') { AssetType::Cryptocurrency } else { by_form(symbol) })
    }
}

fn plain(symbol: &str) -> String {
    symbol.replace('/', "")
}

/// An option's symbol is a root, six digits of a day, C or P, and eight digits of a price (OCC, OSI 2010). Those of shares have five letters at most, so
/// that longer ones which end in what coins are quoted in are coins.
fn by_form(symbol: &str) -> AssetType {
    let contract = symbol.len().checked_sub(15).and_then(|at| symbol.split_at_checked(at));
    let is_contract = contract.is_some_and(|(root, contract)| {
        let bytes = contract.as_bytes();
        let are_digits = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
        (1..=6).contains(&root.len()) && are_digits(&bytes[..6]) && matches!(bytes[6], b'C' | b'P') && are_digits(&bytes[7..])
    });
    let is_long = symbol.len() > 5 && symbol.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_pair = is_long && ["USD", "USDT", "USDC", "BTC"].iter().any(|quote| symbol.ends_with(quote));
    match (is_contract, is_pair) {
        (true, _) => AssetType::Option,
        (_, true) => AssetType::Cryptocurrency,
        _ => AssetType::Equity,
    }
}

fn asset_type(class: Option<&str>, symbol: &str) -> AssetType {
    match class {
        Some("us_equity") => AssetType::Equity,
        Some("us_option") => AssetType::Option,
        Some("crypto") => AssetType::Cryptocurrency,
        Some(_) => AssetType::Other,
        None => by_form(symbol),
    }
}

/// Whether a price is in the account's currency: that of `BTC/USD` is in dollars, that of `ETH/BTC` in coins. A coin's symbol without a stroke
/// ends in what it is quoted in; any other symbol is no pair.
fn is_quoted_in(currency: &Currency, symbol: &str, asset_type: AssetType) -> bool {
    match symbol.split_once('/') {
        Some((_, quote)) => quote == currency.code(),
        None => asset_type != AssetType::Cryptocurrency || symbol.ends_with(currency.code()),
    }
}

/// What is held, by symbol.
pub(super) fn classes(positions: &[Value]) -> Classes {
    let word = |position: &Value, key: &str| position.get(key).and_then(Value::as_str).map(str::to_owned);
    let class = |position: &Value| {
        let symbol = word(position, "symbol")?;
        Some((plain(&symbol), asset_type(word(position, "asset_class").as_deref(), &symbol)))
    };
    Classes(positions.iter().filter_map(class).collect())
}

/// The account; `None` when it cannot be read. Its equity contains what it holds.
pub(super) fn account(record: &AccountRecord, held: &[Value], now: Timestamp) -> Option<ReportedAccount> {
    let currency = Currency::parse(&record.currency).ok()?;
    let is_paper = record.account_number.starts_with("PA");
    let available = exact_amount(record.cash.as_deref(), &currency).ok()?.filter(|cash| !cash.is_negative());
    let (holdings, unread_holdings) = positions(held, |position: PositionRecord| holding(&position, &currency), &["/symbol", "/asset_id"]);
    let balances = Balances { current: valuation(record.equity.as_deref(), &currency).ok()?, available, limit: None, as_of: Some(now) };
    Some(ReportedAccount {
        reference: AccountReference::new(record.id.clone()),
        institution: None,
        name: if is_paper { "Alpaca (paper)" } else { "Alpaca" }.to_owned(),
        kind: AccountType::Brokerage,
        masked_number: MaskedNumber::cut(&record.account_number),
        currency,
        balances,
        holdings: Some(holdings),
        unread_holdings,
        is_active: !matches!(record.status.as_str(), "ACCOUNT_CLOSED" | "REJECTED"),
    })
}

/// One position; `None` when it cannot be read. What is owed is negative, whether Alpaca writes the sign or only the side.
fn holding(record: &PositionRecord, currency: &Currency) -> Option<ReportedHolding> {
    let is_short = record.side.as_deref() == Some("short");
    let quantity = Quantity::parse(&record.qty).ok()?.decimal();
    let quantity = Quantity::new(if is_short { -quantity.abs() } else { quantity }).ok()?;
    let signed = |amount: Amount| if is_short { amount.abs().negated() } else { amount };
    let cost_basis = valuation(record.cost_basis.as_deref(), currency).ok()?.map(|amount| Money { amount: signed(amount), currency: currency.clone() });
    Some(ReportedHolding {
        reference: record.asset_id.clone(),
        security: Security { symbol: record.symbol.clone(), name: None, asset_type: asset_type(record.asset_class.as_deref(), &record.symbol) },
        cusip: None,
        isin: None,
        quantity,
        price: record.current_price.as_deref().and_then(|price| Quantity::parse(price).ok()),
        market_value: valuation(record.market_value.as_deref(), currency).ok()?.map(signed),
        cost_basis,
        as_of: None,
        currency: currency.clone(),
    })
}

/// An amount that may be missing: nothing also for one that is too precise to be kept exactly.
fn exact_amount(text: Option<&str>, currency: &Currency) -> Result<Option<Amount>, InvalidAmount> {
    match text.map(|text| Amount::parse(text, currency)) {
        None | Some(Err(InvalidAmount::TooPrecise)) => Ok(None),
        Some(read) => read.map(Some),
    }
}

/// What something is worth or was bought for, if it is told. Alpaca computes it of prices and parts of units, so it is cut as what is
/// [`computed`] is: equity that holds a part of a coin has more decimals than its unit is kept with.
fn valuation(text: Option<&str>, currency: &Currency) -> Result<Option<Amount>, InvalidAmount> {
    match text.map(|text| (text, Amount::parse(text, currency))) {
        None => Ok(None),
        Some((text, Err(InvalidAmount::TooPrecise))) => computed(text.parse().map_err(|_| InvalidAmount::OutOfRange)?, currency).map(Some),
        Some((_, read)) => read.map(Some),
    }
}

/// One activity; `None` when it cannot be read.
pub(super) fn transaction(row: Value, account: &ReportedAccount, classes: &Classes) -> Option<ReportedTransaction> {
    let record: ActivityRecord = serde_json::from_value(row).ok()?;
    let facts = if record.activity_type == "FILL" { fill(&record, account, classes)? } else { other(&record, account, classes)? };
    Some(ReportedTransaction { reference: Some(record.id).filter(|id| !id.is_empty()), replaces: Vec::new(), facts, line: None })
}

fn security(symbol: &str, classes: &Classes) -> Security {
    Security { symbol: symbol.to_owned(), name: None, asset_type: classes.of(symbol) }
}

/// A part of an order that was carried out; `None` also for one that was paid in something else than the account's currency. Charges for it are
/// activities of their own.
fn fill(record: &ActivityRecord, account: &ReportedAccount, classes: &Classes) -> Option<TransactionFacts> {
    let symbol = record.symbol.as_deref()?;
    let security = security(symbol, classes);
    if !is_quoted_in(&account.currency, symbol, security.asset_type) {
        return None;
    }
    let (subtype, word, comes_in) = match record.side.as_deref()? {
        "buy" => (TransactionSubtype::Buy, "Buy", true),
        "sell" => (TransactionSubtype::Sell, "Sell", false),
        "sell_short" => (TransactionSubtype::ShortSell, "Sell short", false),
        "buy_to_cover" => (TransactionSubtype::BuyToCover, "Buy to cover", true),
        _ => return None,
    };
    let (units, price) = (Quantity::parse(record.qty.as_deref()?).ok()?, Quantity::parse(record.price.as_deref()?).ok()?);
    let multiplier = if security.asset_type == AssetType::Option { Decimal::from(SHARES_OF_A_CONTRACT) } else { Decimal::ONE };
    let gross = units.decimal().abs().checked_mul(price.decimal())?.checked_mul(multiplier)?;
    let occurred_at = instant(record.transaction_time.as_deref()?)?;
    let posted_on = if security.asset_type == AssetType::Cryptocurrency { Timestamp::new(occurred_at).day() } else { day::in_new_york(occurred_at)? };
    Some(TransactionFacts {
        // The product is our arithmetic and no number of Alpaca's.
        amount: computed(if comes_in { -gross } else { gross }, &account.currency).ok()?,
        subtype,
        status: TransactionStatus::Posted,
        posted_on,
        authorized_on: None,
        occurred_at: Some(Timestamp::new(occurred_at)),
        description: format!("{word} {} {symbol} at {price}", Quantity::new(units.decimal().abs()).ok()?),
        merchant_name: None,
        category: None,
        security: Some(security),
        quantity: Some(Quantity::new(if comes_in { units.decimal().abs() } else { -units.decimal().abs() }).ok()?),
        unit_price: Some(price),
        fees: None,
    })
}

/// Anything that is no fill.
fn other(record: &ActivityRecord, account: &ReportedAccount, classes: &Classes) -> Option<TransactionFacts> {
    let units = record.qty.as_deref().map(Quantity::parse).transpose().ok()?;
    // Securities that move alone move no money.
    let amount = match record.net_amount.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => Amount::parse(text, &account.currency).ok()?,
        None => units.map(|_| Amount::ZERO)?,
    };
    let (subtype, word, moves_units) = kind(&record.activity_type, amount, units);
    let description = record.description.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let is_priced = moves_units && record.symbol.as_deref().is_none_or(|symbol| is_quoted_in(&account.currency, symbol, classes.of(symbol)));
    let described = || record.symbol.as_deref().map_or_else(|| word.to_owned(), |symbol| format!("{word} {symbol}"));
    Some(TransactionFacts {
        amount,
        subtype,
        status: match record.status.as_deref() {
            Some("canceled") => TransactionStatus::Cancelled,
            _ => TransactionStatus::Posted,
        },
        posted_on: match (record.date.as_deref(), record.transaction_time.as_deref()) {
            (Some(date), _) => LocalDate::parse(date).ok()?,
            (None, Some(time)) => day::in_new_york(instant(time)?)?,
            (None, None) => return None,
        },
        authorized_on: None,
        occurred_at: match record.transaction_time.as_deref() {
            Some(time) => Some(Timestamp::new(instant(time)?)),
            None => None,
        },
        description: description.map_or_else(described, str::to_owned),
        merchant_name: None,
        category: None,
        security: record.symbol.as_deref().filter(|symbol| !symbol.is_empty()).map(|symbol| security(symbol, classes)),
        quantity: units.filter(|units| moves_units && !units.decimal().is_zero()),
        unit_price: match record.price.as_deref().filter(|_| is_priced) {
            Some(price) => Some(Quantity::parse(price).ok()?),
            None => None,
        },
        fees: None,
    })
}

/// What an activity is, in a word, and whether its number of units moved; for a dividend it is what the dividend was paid on.
fn kind(activity: &str, amount: Amount, units: Option<Quantity>) -> (TransactionSubtype, &'static str, bool) {
    use TransactionSubtype as Subtype;
    let leaves = amount.is_negative() || (amount == Amount::ZERO && units.is_some_and(|units| units.decimal().is_sign_negative()));
    match activity {
        // A deposit that the bank took back is a `CSD` with money leaving.
        "CSD" | "CSW" if leaves => (Subtype::Withdrawal, "Withdrawal", false),
        "CSD" | "CSW" => (Subtype::Deposit, "Deposit", false),
        "JNL" | "JNLC" | "JNLS" | "ACATC" | "ACATS" if leaves => (Subtype::TransferOut, "Transfer out", true),
        "JNL" | "JNLC" | "JNLS" | "ACATC" | "ACATS" => (Subtype::TransferIn, "Transfer in", true),
        "DIV" | "DIVTXEX" => (Subtype::Dividend, "Dividend", false),
        "DIVCGL" | "DIVCGS" => (Subtype::CapitalGain, "Capital gain", false),
        "DIVROC" => (Subtype::ReturnOfCapital, "Return of capital", false),
        "DIVNRA" | "DIVFT" | "DIVTW" | "INTNRA" | "INTTW" => (Subtype::TaxWithheld, "Tax withheld", false),
        "INT" if leaves => (Subtype::MarginInterest, "Margin interest", false),
        "INT" => (Subtype::Interest, "Interest", false),
        // Paid in the coin itself, as a rule.
        "CFEE" => (Subtype::Commission, "Fee", true),
        "FEE" | "DIVFEE" => (Subtype::OtherFee, "Fee", false),
        "PTC" => (Subtype::OtherFee, "Pass-through charge", false),
        "PTR" => (Subtype::OtherFee, "Pass-through rebate", false),
        "OPASN" => (Subtype::Assignment, "Assignment", true),
        "OPEXP" => (Subtype::Expiration, "Expiration", true),
        "OPXRC" => (Subtype::Exercise, "Exercise", true),
        "SPLIT" | "SSP" => (Subtype::Split, "Split", true),
        "SPIN" | "SSO" => (Subtype::Spinoff, "Spin-off", true),
        "MA" | "REORG" => (Subtype::Merger, "Merger", true),
        "SC" | "NC" => (Subtype::SymbolChange, "Symbol change", true),
        _ => (Subtype::Unknown, "Activity", true),
    }
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.to_utc())
}
