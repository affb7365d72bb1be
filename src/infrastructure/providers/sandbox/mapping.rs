//! From the sandbox bank's words to Dashtam's.
//!
//! Signs: the bank counts what is owed on debts, so amounts and `current` of those are turned. Day rule: the bank's `date` as written, and
//! `time` as the instant beside it. A row that cannot be read is counted, never guessed and never dropped in silence.

use chrono::DateTime;
use serde::Deserialize;

use crate::{
    application::ports::TransactionPage,
    domain::{
        account::{AccountType, MaskedNumber},
        balance::Balances,
        holding::ReportedHolding,
        money::{Amount, Currency, Money, Quantity},
        provider::{AccountReference, ReportedAccount, ReportedTransaction},
        time::{LocalDate, Timestamp},
        transaction::{AssetType, Security, TransactionFacts, TransactionStatus, TransactionSubtype},
    },
    infrastructure::providers::nulls::{id_in, positions},
};

/// `GET /accounts`.
#[derive(Deserialize)]
pub(super) struct AccountsAnswer {
    pub(super) accounts: Vec<AccountRecord>,
}

#[derive(Deserialize)]
pub(super) struct AccountRecord {
    id: String,
    institution: Option<String>,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    number: Option<String>,
    currency: String,
    status: String,
    balances: BalancesRecord,
    positions: Option<Vec<serde_json::Value>>,
}

#[derive(Deserialize)]
struct PositionRecord {
    security: SecurityRecord,
    quantity: String,
    price: Option<String>,
    value: Option<String>,
    cost: Option<String>,
    as_of: Option<String>,
}

#[derive(Deserialize)]
struct BalancesRecord {
    current: Option<String>,
    available: Option<String>,
    limit: Option<String>,
    as_of: Option<String>,
}

/// `GET /accounts/{id}/transactions`. Rows are read one by one, so that a broken one spoils none of the others.
#[derive(Deserialize)]
pub(super) struct PageAnswer {
    transactions: Vec<serde_json::Value>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct RowRecord {
    id: Option<String>,
    replaces: Option<String>,
    status: String,
    date: String,
    made_on: Option<String>,
    time: Option<String>,
    code: String,
    amount: String,
    description: String,
    merchant: Option<String>,
    category: Option<String>,
    security: Option<SecurityRecord>,
    quantity: Option<String>,
    price: Option<String>,
    fees: Option<String>,
}

#[derive(Deserialize)]
struct SecurityRecord {
    symbol: String,
    name: Option<String>,
    class: String,
}

/// One account; `None` when it cannot be read.
pub(super) fn account(record: &AccountRecord, now: Timestamp) -> Option<ReportedAccount> {
    let currency = Currency::parse(&record.currency).ok()?;
    let kind = account_type(&record.kind);
    let amount = |text: &Option<String>| text.as_deref().map(|text| Amount::parse(text, &currency)).transpose().ok();
    let balances = Balances {
        current: amount(&record.balances.current)?.map(|amount| owners_view(kind, amount)),
        available: amount(&record.balances.available)?,
        limit: amount(&record.balances.limit)?,
        as_of: Some(match &record.balances.as_of {
            Some(text) => instant(text)?,
            None => now,
        }),
    };
    let read = record.positions.as_ref().map(|records| positions(records, |position: PositionRecord| holding(&position, &currency), &["/security/symbol"]));
    let (holdings, unread_holdings) = read.map_or((None, Vec::new()), |(holdings, unread)| (Some(holdings), unread));
    Some(ReportedAccount {
        reference: AccountReference::new(record.id.clone()),
        institution: record.institution.clone(),
        name: record.name.clone(),
        kind,
        masked_number: record.number.as_deref().and_then(MaskedNumber::cut),
        currency,
        balances,
        is_active: record.status != "closed",
        holdings,
        unread_holdings,
    })
}

fn holding(record: &PositionRecord, currency: &Currency) -> Option<ReportedHolding> {
    let amount = |text: &Option<String>| text.as_deref().map(|text| Amount::parse(text, currency)).transpose().ok();
    Some(ReportedHolding {
        reference: None,
        security: (&record.security).into(),
        cusip: None,
        isin: None,
        quantity: Quantity::parse(&record.quantity).ok()?,
        currency: currency.clone(),
        price: record.price.as_deref().map(Quantity::parse).transpose().ok()?,
        market_value: amount(&record.value)?,
        cost_basis: amount(&record.cost)?.map(|amount| Money { amount, currency: currency.clone() }),
        as_of: match &record.as_of {
            Some(text) => Some(instant(text)?),
            None => None,
        },
    })
}

/// One page of rows of that account.
pub(super) fn page(answer: PageAnswer, account: &ReportedAccount) -> TransactionPage {
    let mut page = TransactionPage { next: answer.next.filter(|cursor| !cursor.is_empty()), all_pending: true, ..TransactionPage::default() };
    for value in answer.transactions {
        let id = id_in(&value, "id");
        match serde_json::from_value(value).ok().and_then(|record| transaction(record, account)) {
            Some(transaction) => page.transactions.push(transaction),
            None => page.refuse(id),
        }
    }
    page
}

fn transaction(record: RowRecord, account: &ReportedAccount) -> Option<ReportedTransaction> {
    let quantity = |text: Option<String>| text.map(|text| Quantity::parse(&text)).transpose().ok();
    let fees = record.fees.map(|text| Amount::parse(&text, &account.currency)).transpose().ok()?;
    if fees.is_some_and(Amount::is_negative) {
        return None;
    }
    let amount = owners_view(account.kind, Amount::parse(&record.amount, &account.currency).ok()?);
    let facts = TransactionFacts {
        amount,
        subtype: subtype(&record.code, amount, account.kind),
        status: status(&record.status)?,
        posted_on: LocalDate::parse(&record.date).ok()?,
        authorized_on: record.made_on.map(|day| LocalDate::parse(&day)).transpose().ok()?,
        occurred_at: match record.time {
            Some(time) => Some(instant(&time)?),
            None => None,
        },
        description: record.description,
        merchant_name: record.merchant,
        category: record.category,
        security: record.security.as_ref().map(Into::into),
        quantity: quantity(record.quantity)?,
        unit_price: quantity(record.price)?,
        fees,
    };
    Some(ReportedTransaction { reference: record.id.filter(|id| !id.is_empty()), replaces: record.replaces.into_iter().collect(), facts, line: None })
}

impl From<&SecurityRecord> for Security {
    fn from(record: &SecurityRecord) -> Self {
        Self { symbol: record.symbol.clone(), name: record.name.clone(), asset_type: asset_type(&record.class) }
    }
}

fn owners_view(kind: AccountType, amount: Amount) -> Amount {
    if kind.is_liability() { amount.negated() } else { amount }
}

fn instant(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(text).ok().map(|instant| Timestamp::new(instant.to_utc()))
}

fn account_type(word: &str) -> AccountType {
    match word {
        "DDA" => AccountType::Checking,
        "SAV" => AccountType::Savings,
        "CCD" => AccountType::CreditCard,
        "LON" => AccountType::Loan,
        "BRK" => AccountType::Brokerage,
        "ROTH" => AccountType::RothIra,
        _ => AccountType::Other,
    }
}

/// `None` for a word that does not say whether the row is inside the balance.
fn status(word: &str) -> Option<TransactionStatus> {
    match word {
        "booked" => Some(TransactionStatus::Posted),
        "pending" => Some(TransactionStatus::Pending),
        _ => None,
    }
}

fn asset_type(word: &str) -> AssetType {
    match word {
        "CS" | "ADR" => AssetType::Equity,
        "ETF" => AssetType::Etf,
        "MF" => AssetType::MutualFund,
        _ => AssetType::Other,
    }
}

/// Whatever has two names goes by its sign, since signs that come the other way round are turned together with the name.
fn subtype(code: &str, amount: Amount, kind: AccountType) -> TransactionSubtype {
    let by_sign = |incoming, outgoing| if amount.is_negative() { outgoing } else { incoming };
    match code {
        "DEP" | "DRW" => by_sign(TransactionSubtype::Deposit, TransactionSubtype::Withdrawal),
        "WIR" => by_sign(TransactionSubtype::WireIn, TransactionSubtype::WireOut),
        "XTI" | "XTO" => by_sign(TransactionSubtype::TransferIn, TransactionSubtype::TransferOut),
        "XFI" => TransactionSubtype::Internal,
        "SAL" => TransactionSubtype::Salary,
        "INT" | "FIN" => by_sign(TransactionSubtype::Interest, TransactionSubtype::InterestCharge),
        "DIV" => TransactionSubtype::Dividend,
        "TWH" => TransactionSubtype::TaxWithheld,
        "POS" | "RET" => by_sign(TransactionSubtype::Refund, TransactionSubtype::Purchase),
        "CPY" if kind.is_liability() => by_sign(TransactionSubtype::BillPayment, TransactionSubtype::TransferOut),
        "BIL" | "CPY" => TransactionSubtype::BillPayment,
        "LPY" => TransactionSubtype::LoanPayment,
        "CHK" => TransactionSubtype::Check,
        "ATM" => TransactionSubtype::Atm,
        "AFE" | "ADV" => TransactionSubtype::AccountFee,
        "LFE" => TransactionSubtype::OtherFee,
        "BUY" => TransactionSubtype::Buy,
        "SLL" => TransactionSubtype::Sell,
        "DRP" => TransactionSubtype::Reinvestment,
        "BAL" => TransactionSubtype::Adjustment,
        _ => TransactionSubtype::Unknown,
    }
}
