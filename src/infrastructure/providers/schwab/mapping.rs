//! From Schwab's words to Dashtam's.
//!
//! Signs are the owner's already. Day rule: exactly midnight UTC is a date in disguise, taken as written; any other instant counts for its day
//! in New York. A row that cannot be read is counted, never guessed and never dropped in silence.

use chrono::{DateTime, NaiveTime, Utc};
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
        transaction::{AssetType, Security, TransactionFacts, TransactionStatus, TransactionSubtype as Subtype},
    },
    infrastructure::providers::{
        computed::computed,
        day,
        nulls::{null_is_empty, positions},
    },
};

use super::{income, numbers::Digits};

/// What one option contract stands for.
const SHARES_OF_A_CONTRACT: i64 = 100;

/// The one unit Schwab keeps accounts in.
const DOLLAR: &str = "USD";

/// An item of `GET /accounts`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountItem {
    securities_account: AccountRecord,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountRecord {
    account_number: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    positions: Vec<Value>,
    current_balances: Option<BalancesRecord>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BalancesRecord {
    liquidation_value: Option<Digits>,
    available_funds: Option<Digits>,
    cash_available_for_trading: Option<Digits>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PositionRecord {
    long_quantity: Option<Digits>,
    short_quantity: Option<Digits>,
    average_price: Option<Digits>,
    market_value: Option<Digits>,
    instrument: InstrumentRecord,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InstrumentRecord {
    asset_type: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    symbol: Option<String>,
    cusip: Option<String>,
    description: Option<String>,
}

/// What the owner calls an account.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Nickname {
    account_number: String,
    nick_name: Option<String>,
}

/// An item of `GET /accounts/{hash}/transactions`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RowRecord {
    activity_id: Digits,
    time: Option<String>,
    trade_date: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    status: Option<String>,
    description: Option<String>,
    net_amount: Digits,
    #[serde(default, deserialize_with = "null_is_empty")]
    transfer_items: Vec<ItemRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemRecord {
    instrument: Option<InstrumentRecord>,
    amount: Option<Digits>,
    cost: Option<Digits>,
    price: Option<Digits>,
    fee_type: Option<String>,
    position_effect: Option<String>,
}

impl InstrumentRecord {
    fn is_money(&self) -> bool {
        self.asset_type.as_deref() == Some("CURRENCY")
    }

    fn asset_type(&self) -> AssetType {
        match self.asset_type.as_deref() {
            Some("EQUITY") => AssetType::Equity,
            Some("COLLECTIVE_INVESTMENT") if self.kind.as_deref().is_some_and(|kind| kind != "EXCHANGE_TRADED_FUND") => AssetType::MutualFund,
            Some("ETF" | "COLLECTIVE_INVESTMENT") => AssetType::Etf,
            Some("MUTUAL_FUND") => AssetType::MutualFund,
            Some("OPTION") => AssetType::Option,
            Some("FIXED_INCOME") => AssetType::FixedIncome,
            Some("CASH_EQUIVALENT" | "CURRENCY") => AssetType::CashEquivalent,
            Some("INDEX") => AssetType::Index,
            Some("FOREX") => AssetType::Forex,
            Some("FUTURE") => AssetType::Futures,
            _ => AssetType::Other,
        }
    }

    /// Whether it is a share, or one of a fund, which pay dividends.
    fn is_a_share(&self) -> bool {
        matches!(self.asset_type(), AssetType::Equity | AssetType::Etf | AssetType::MutualFund) || self.kind.as_deref() == Some("MONEY_MARKET_FUND")
    }

    fn security(&self) -> Option<Security> {
        let symbol = self.symbol.as_ref().or(self.cusip.as_ref()).filter(|symbol| !symbol.is_empty())?;
        Some(Security { symbol: symbol.clone(), name: self.description.clone().filter(|name| !name.is_empty()), asset_type: self.asset_type() })
    }
}

/// One account; `None` when it cannot be read. Its number is what tells it apart, so that it is the same account over every consent; only
/// its end is shown.
pub(super) fn account(item: &AccountItem, nicknames: &[Nickname], now: Timestamp) -> Option<ReportedAccount> {
    let record = &item.securities_account;
    let currency = Currency::parse(DOLLAR).ok()?;
    let nothing = BalancesRecord::default();
    let told = record.current_balances.as_ref().unwrap_or(&nothing);
    let available = told.available_funds.as_ref().or(told.cash_available_for_trading.as_ref());
    let balances = Balances {
        current: valuation(told.liquidation_value.as_ref(), &currency).ok()?,
        available: exact_amount(available, &currency).ok()?.filter(|amount| !amount.is_negative()),
        limit: None,
        as_of: Some(now),
    };
    let nickname = nicknames.iter().find(|known| known.account_number == record.account_number).and_then(|known| known.nick_name.clone());
    let masked_number = MaskedNumber::cut(&record.account_number);
    let end = masked_number.as_ref().map(MaskedNumber::as_str).unwrap_or_default();
    let (holdings, unread_holdings) =
        positions(&record.positions, |position: PositionRecord| holding(&position, &currency), &["/instrument/symbol", "/instrument/cusip"]);
    Some(ReportedAccount {
        reference: AccountReference::new(record.account_number.clone()),
        institution: None,
        name: nickname.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| format!("Schwab {end}")),
        kind: AccountType::Brokerage,
        masked_number,
        holdings: Some(holdings),
        unread_holdings,
        currency,
        balances,
        is_active: true,
    })
}

/// One position; `None` when it cannot be read. What is owed is negative.
fn holding(record: &PositionRecord, currency: &Currency) -> Option<ReportedHolding> {
    let units = |digits: Option<&Digits>| digits.map_or(Some(Decimal::ZERO), |digits| digits.quantity().map(Quantity::decimal));
    let quantity = units(record.long_quantity.as_ref())?.abs() - units(record.short_quantity.as_ref())?.abs();
    let security = record.instrument.security()?;
    let is_short = quantity.is_sign_negative();
    let multiplier = match security.asset_type {
        AssetType::Option => Some(Decimal::from(SHARES_OF_A_CONTRACT)),
        // Quoted in per cent, or by a contract that nobody tells here.
        AssetType::FixedIncome | AssetType::Futures | AssetType::Forex => None,
        _ => Some(Decimal::ONE),
    };
    // An average is a quotient by nature, such as 100 / 3, and has as many digits as a double: all of them count until the product is cut.
    let paid = record.average_price.as_ref().and_then(Digits::decimal).zip(multiplier).and_then(|(price, multiplier)| {
        let paid = price.checked_mul(quantity)?.checked_mul(multiplier)?;
        computed(paid, currency).ok()
    });
    let market_value = valuation(record.market_value.as_ref(), currency).ok()?;
    Some(ReportedHolding {
        reference: None,
        security,
        cusip: record.instrument.cusip.clone().filter(|cusip| cusip.len() == 9),
        isin: None,
        quantity: Quantity::new(quantity).ok()?,
        currency: currency.clone(),
        price: None,
        market_value: market_value.map(|value| if is_short { value.abs().negated() } else { value }),
        cost_basis: paid.map(|amount| Money { amount, currency: currency.clone() }),
        as_of: None,
    })
}

/// An amount that may be missing: nothing also for one that is too precise to be kept exactly.
fn exact_amount(digits: Option<&Digits>, currency: &Currency) -> Result<Option<Amount>, InvalidAmount> {
    unless_too_precise(digits.map(|digits| digits.amount(currency)))
}

/// What something is worth, if it is told.
fn valuation(digits: Option<&Digits>, currency: &Currency) -> Result<Option<Amount>, InvalidAmount> {
    unless_too_precise(digits.map(|digits| digits.valuation(currency)))
}

fn unless_too_precise(read: Option<Result<Amount, InvalidAmount>>) -> Result<Option<Amount>, InvalidAmount> {
    match read {
        None | Some(Err(InvalidAmount::TooPrecise)) => Ok(None),
        Some(read) => read.map(Some),
    }
}

/// When a row says that it was.
pub(super) fn moment(row: &Value) -> Option<DateTime<Utc>> {
    let text = |key| row.get(key).and_then(Value::as_str);
    instant(text("time").or_else(|| text("tradeDate"))?)
}

/// One row; `None` when it cannot be read. `numbers` are those of this login: they stand in descriptions, and only their ends stay there.
pub(super) fn transaction(row: Value, account: &ReportedAccount, numbers: &[&str]) -> Option<ReportedTransaction> {
    let record: RowRecord = serde_json::from_value(row).ok()?;
    let amount = record.net_amount.amount(&account.currency).ok()?;
    let moved = record.transfer_items.iter().find(|item| item.fee_type.is_none() && item.instrument.as_ref().is_some_and(|what| !what.is_money()));
    let security = moved.and_then(|item| item.instrument.as_ref()?.security());
    let units = moved.and_then(|item| item.amount.as_ref()).map(|digits| digits.quantity().ok_or(())).transpose().ok()?;
    let described = record.description.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let (subtype, units) = kind(&record, moved, described.unwrap_or_default(), amount, units);
    let units = units.filter(|units| !units.decimal().is_zero());
    let price = moved.filter(|_| units.is_some()).and_then(|item| item.price.as_ref());
    let instant = instant(record.time.as_deref().or(record.trade_date.as_deref())?)?;
    let made_up = || {
        let word = subtype.as_str().replace('_', " ");
        security.as_ref().map_or_else(|| word.clone(), |security| format!("{word} {}", security.symbol))
    };
    let facts = TransactionFacts {
        amount,
        subtype,
        status: status(record.status.as_deref())?,
        posted_on: day_of(instant)?,
        authorized_on: None,
        occurred_at: Some(Timestamp::new(instant)).filter(|_| !is_a_date(instant)),
        description: masked(&described.map_or_else(made_up, str::to_owned), numbers),
        merchant_name: None,
        category: None,
        // What a unit cost tells nothing that the amount needs: a price that cannot be kept exactly costs no row.
        unit_price: price.and_then(Digits::quantity),
        quantity: units,
        fees: fees(&record.transfer_items, &account.currency),
        security,
    };
    Some(ReportedTransaction { reference: Some(record.activity_id.text().to_owned()), replaces: Vec::new(), facts, line: None })
}

/// What a row is, and how many units came in or went out with it.
fn kind(record: &RowRecord, moved: Option<&ItemRecord>, described: &str, amount: Amount, units: Option<Quantity>) -> (Subtype, Option<Quantity>) {
    let leaves = amount.is_negative();
    let words = described.to_ascii_uppercase();
    let says = |word: &str| words.contains(word);
    match record.kind.as_str() {
        "TRADE" => trade(moved.and_then(|item| item.position_effect.as_deref()), amount, units),
        "RECEIVE_AND_DELIVER" => {
            let goes = units.map_or(leaves, |units| units.decimal().is_sign_negative());
            let events = [
                ("EXPIR", Subtype::Expiration),
                ("ASSIGN", Subtype::Assignment),
                ("EXERCISE", Subtype::Exercise),
                ("SPIN", Subtype::Spinoff),
                ("SPLIT", Subtype::Split),
                ("MERGER", Subtype::Merger),
                ("NAME CHANGE", Subtype::SymbolChange),
            ];
            let event = events.iter().find(|(word, _)| says(word)).map(|(_, event)| *event);
            (event.unwrap_or(if goes { Subtype::TransferOut } else { Subtype::TransferIn }), units)
        }
        "DIVIDEND_OR_INTEREST" => {
            (income::kind(described, leaves, moved.and_then(|item| item.instrument.as_ref()).is_some_and(InstrumentRecord::is_a_share)), None)
        }
        "ACH_RECEIPT" | "CASH_RECEIPT" => (Subtype::Deposit, None),
        "ACH_DISBURSEMENT" | "CASH_DISBURSEMENT" => (Subtype::Withdrawal, None),
        "ELECTRONIC_FUND" => (if leaves { Subtype::Withdrawal } else { Subtype::Deposit }, None),
        "WIRE_IN" => (Subtype::WireIn, None),
        "WIRE_OUT" => (Subtype::WireOut, None),
        // Between accounts of one login, and to the fund that idle money waits in: nothing was paid in.
        "JOURNAL" | "MONEY_MARKET" => (Subtype::Internal, units),
        "MEMORANDUM" => (Subtype::Journal, units),
        "MARGIN_CALL" | "SMA_ADJUSTMENT" => (Subtype::Adjustment, None),
        _ => (Subtype::Unknown, units),
    }
}

/// A sale is told by units that leave, or where they have no sign by money that comes in.
fn trade(effect: Option<&str>, amount: Amount, units: Option<Quantity>) -> (Subtype, Option<Quantity>) {
    let sold = units.is_some_and(|units| units.decimal().is_sign_negative()) || (amount != Amount::ZERO && !amount.is_negative());
    let units = units.and_then(|units| Quantity::new(if sold { -units.decimal().abs() } else { units.decimal().abs() }).ok());
    let subtype = match (sold, effect) {
        (false, Some("CLOSING")) => Subtype::BuyToCover,
        (false, _) => Subtype::Buy,
        (true, Some("OPENING")) => Subtype::ShortSell,
        (true, _) => Subtype::Sell,
    };
    (subtype, units)
}

/// What was charged, which is inside the net amount; nothing when nothing was told, or when some of it cannot be kept exactly, as the rest would
/// be a wrong number.
fn fees(items: &[ItemRecord], currency: &Currency) -> Option<Amount> {
    let charged = |item: &ItemRecord| match item.cost.as_ref().or(item.amount.as_ref()) {
        Some(digits) => digits.amount(currency).ok().map(Amount::abs),
        None => Some(Amount::ZERO),
    };
    let mut fees = items.iter().filter(|item| item.fee_type.is_some()).map(charged).peekable();
    fees.peek()?;
    fees.try_fold(Amount::ZERO, |sum, fee| sum.checked_add(fee?))
}

/// `None` for a word that does not say whether the row is inside the balance.
fn status(word: Option<&str>) -> Option<TransactionStatus> {
    match word {
        None | Some("VALID") => Some(TransactionStatus::Posted),
        Some("PENDING") => Some(TransactionStatus::Pending),
        Some("INVALID") => Some(TransactionStatus::Cancelled),
        Some(_) => None,
    }
}

/// `2024-06-05T15:23:16+0000`, which is not RFC 3339 for want of a colon.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    let odd = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z");
    odd.or_else(|_| DateTime::parse_from_rfc3339(text)).ok().map(|instant| instant.to_utc())
}

fn is_a_date(instant: DateTime<Utc>) -> bool {
    instant.time() == NaiveTime::MIN
}

pub(super) fn day_of(instant: DateTime<Utc>) -> Option<LocalDate> {
    if is_a_date(instant) { LocalDate::from_naive(instant.date_naive()) } else { day::in_new_york(instant) }
}

fn masked(text: &str, numbers: &[&str]) -> String {
    numbers.iter().fold(text.to_owned(), |text, number| MaskedNumber::cut(number).map_or_else(|| text.clone(), |masked| text.replace(number, masked.as_str())))
}
