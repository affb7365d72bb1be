//! From SimpleFIN's words to Dashtam's (protocol version 2, <https://www.simplefin.org/protocol.html>; answers of version 1 read as well).
//!
//! Signs: as the protocol has them, money that comes in is positive; a bank that has them otherwise is corrected by the owner. Day rule: the UTC
//! day of `posted`; while pending that of `transacted_at`, else the day of the visit. Amounts are texts and exact. Ids are unique within a
//! connection only, so an account is known by both. What cannot be read is counted or makes an answer incomplete, and is never guessed.

use std::collections::HashSet;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    domain::{
        account::{AccountType, MaskedNumber},
        balance::Balances,
        card_number,
        holding::ReportedHolding,
        money::{Amount, Currency, Money, Quantity},
        provider::{AccountReference, ReportedAccount, ReportedTransaction},
        time::{LocalDate, Timestamp},
        transaction::{AssetType, Security, TransactionFacts, TransactionStatus, TransactionSubtype},
    },
    infrastructure::providers::nulls::{id_in, null_is_empty, positions},
};

use super::guess;

/// `GET /accounts`. Accounts and rows are read one by one, so that a broken one spoils none of the others.
#[derive(Deserialize)]
pub(super) struct AccountSet {
    #[serde(default, deserialize_with = "null_is_empty")]
    errlist: Vec<Value>,
    #[serde(default, deserialize_with = "null_is_empty")]
    errors: Vec<Value>,
    #[serde(default, deserialize_with = "null_is_empty")]
    connections: Vec<Value>,
    /// Of these nothing is assumed: an account that is not among them counts as closed.
    accounts: Vec<Value>,
}

/// What one answer holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The accounts that could be read.
    pub accounts: Vec<AnsweredAccount>,
    /// Whether these are all: no error speaks of others, and all could be read.
    pub complete: bool,
    /// Whether it warns that no more may be asked today.
    pub is_last_of_the_day: bool,
    /// Whether a bank wants its user to sign in anew, at the SimpleFIN server.
    pub needs_user: bool,
}

/// One account with the rows of a window.
#[derive(Debug, PartialEq, Eq)]
pub struct AnsweredAccount {
    /// The account.
    pub account: ReportedAccount,
    /// Its rows.
    pub rows: Vec<ReportedTransaction>,
    /// Rows that could not be read.
    pub refused: u32,
    /// The ids of those that have one.
    pub refused_ids: Vec<String>,
    /// Whether its institution answered for it, and for its rows.
    pub complete: bool,
    /// Whether what is said of it is news: it is not named as one that did not answer.
    pub has_news: bool,
}

#[derive(Deserialize)]
struct ErrorRecord {
    code: Option<String>,
    #[serde(alias = "msg")]
    message: Option<String>,
    conn_id: Option<String>,
    account_id: Option<String>,
}

#[derive(Deserialize)]
struct ConnectionRecord {
    conn_id: String,
    name: Option<String>,
    org_name: Option<String>,
}

/// What may be unreadable without the account being so is kept as it came.
#[derive(Deserialize)]
struct AccountRecord {
    id: String,
    conn_id: Option<String>,
    org: Option<OrganizationRecord>,
    name: String,
    currency: String,
    #[serde(default)]
    balance: Value,
    #[serde(default, rename = "available-balance")]
    available: Value,
    #[serde(default, rename = "balance-date")]
    balance_date: Value,
    #[serde(default, deserialize_with = "null_is_empty")]
    transactions: Vec<Value>,
    /// `None` where nothing is said.
    holdings: Option<Vec<Value>>,
}

impl AccountRecord {
    fn connection(&self) -> Option<&str> {
        self.conn_id.as_deref().filter(|id| !id.is_empty())
    }
}

#[derive(Deserialize)]
struct OrganizationRecord {
    name: Option<String>,
    domain: Option<String>,
    #[serde(rename = "sfin-url")]
    sfin_url: Option<String>,
}

#[derive(Deserialize)]
struct RowRecord {
    id: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    posted: i64,
    transacted_at: Option<i64>,
    amount: String,
    description: Option<String>,
    payee: Option<String>,
    memo: Option<String>,
    pending: Option<bool>,
    extra: Option<Value>,
}

/// Kept as it came: what cannot be read of a position costs only that.
#[derive(Default, Deserialize)]
#[serde(default)]
struct HoldingRecord {
    id: Value,
    symbol: Value,
    description: Value,
    currency: Value,
    shares: Value,
    market_value: Value,
    cost_basis: Value,
    created: Value,
}

/// What the error list says of whom.
#[derive(Default)]
struct Troubles {
    connections: HashSet<String>,
    accounts: HashSet<(Option<String>, String)>,
    of_all: bool,
    is_quota: bool,
    needs_user: bool,
}

impl Troubles {
    fn read(set: &AccountSet) -> Self {
        let mut troubles = Self::default();
        for error in &set.errlist {
            match serde_json::from_value::<ErrorRecord>(error.clone()) {
                Ok(error) => troubles.note(error),
                Err(_) => troubles.of_all = true,
            }
        }
        // Version 1 says it in words for people, and servers may send both: what the list has said is not said again.
        troubles.of_all |= set.errlist.is_empty() && !set.errors.is_empty();
        // Whoever speaks of a limit may be a bank.
        troubles.is_quota |= set.errors.iter().filter_map(Value::as_str).any(is_quota);
        troubles
    }

    fn note(&mut self, error: ErrorRecord) {
        let named = |text: Option<String>| text.filter(|text| !text.is_empty());
        let is_quota = [&error.code, &error.message].into_iter().flatten().any(|text| is_quota(text));
        let is_of_some = error.code.as_deref().is_some_and(|code| code.starts_with("con.") || code.starts_with("act."));
        self.is_quota |= is_quota;
        self.needs_user |= error.code.as_deref().is_some_and(|code| matches!(code, "con.auth" | "act.auth"));
        match (named(error.conn_id), named(error.account_id)) {
            (connection, Some(account)) => {
                self.accounts.insert((connection, account));
            }
            (Some(connection), None) => {
                self.connections.insert(connection);
            }
            // A server that speaks of its own limit alone has told everything.
            (None, None) => self.of_all |= is_of_some || !is_quota,
        }
    }

    /// Whether an account is named, by itself or by its connection.
    fn name(&self, connection: Option<&str>, account: &str) -> bool {
        connection.is_some_and(|connection| self.connections.contains(connection))
            || self.accounts.iter().any(|(of, id)| id == account && (of.is_none() || of.as_deref() == connection))
    }
}

/// Whether a text speaks of how often may be asked.
fn is_quota(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["quota", "rate limit", "rate-limit", "ratelimit", "too many requests", "request limit"].iter().any(|sign| text.contains(sign))
}

/// Reads an answer, as it was given at `now`.
pub(super) fn answer(set: AccountSet, now: Timestamp) -> Answer {
    let troubles = Troubles::read(&set);
    let connections: Vec<ConnectionRecord> = set.connections.into_iter().filter_map(|record| serde_json::from_value(record).ok()).collect();
    let said = set.accounts.len();
    let (mut accounts, mut there) = (Vec::with_capacity(said), HashSet::with_capacity(said));
    for record in set.accounts {
        let Ok(record) = serde_json::from_value::<AccountRecord>(record) else { continue };
        let name = (record.connection().map(str::to_owned), record.id.clone());
        if let Some(account) = account(record, &connections, &troubles, now) {
            accounts.push(account);
            there.insert(name);
        }
    }
    // Of an account that is named and not there, nothing is known; nor of those of a connection that did not answer. One whose connection is not
    // named may be another of the same id.
    let complete = accounts.len() == said && !troubles.of_all && troubles.connections.is_empty() && troubles.accounts.is_subset(&there);
    Answer { accounts, complete, is_last_of_the_day: troubles.is_quota, needs_user: troubles.needs_user }
}

fn account(record: AccountRecord, connections: &[ConnectionRecord], troubles: &Troubles, now: Timestamp) -> Option<AnsweredAccount> {
    let connection = record.connection();
    let organization = record.org.as_ref();
    let within = connection.or_else(|| organization.and_then(|org| org.sfin_url.as_deref().or(org.domain.as_deref()))).unwrap_or_default();
    if record.id.is_empty() {
        return None;
    }
    let known = connections.iter().find(|known| connection == Some(&known.conn_id));
    let institution = known
        .and_then(|known| known.org_name.clone().or_else(|| known.name.clone()))
        .or_else(|| organization.and_then(|org| org.name.clone().or_else(|| org.domain.clone())));
    let currency = currency(&record.currency)?;
    let amount = |value: &Value| Amount::parse(said(value)?, &currency).ok();
    let kind = guess::kind(&record.name, record.holdings.as_ref().is_some_and(|holdings| !holdings.is_empty()));
    let name = card_number::cut(&record.name);
    let (holdings, unread_holdings) = holdings(record.holdings.as_deref(), kind, &currency);
    // Where somebody did not answer and is not named, no position is no news.
    let holdings = holdings.filter(|holdings| !(troubles.of_all && holdings.is_empty() && unread_holdings.is_empty()));
    let account = ReportedAccount {
        reference: AccountReference::new(format!("{within}/{}", record.id)),
        institution,
        masked_number: masked_number(&name),
        name,
        kind,
        balances: Balances {
            current: amount(&record.balance),
            // A negative rest of a credit line says nothing that could be spent.
            available: amount(&record.available).filter(|available| !(kind.is_liability() && available.is_negative())),
            limit: None,
            as_of: Some(record.balance_date.as_i64().and_then(instant).unwrap_or(now)),
        },
        holdings,
        unread_holdings,
        currency,
        is_active: true,
    };
    let has_news = !troubles.name(connection, &record.id);
    let (mut rows, mut refused, mut refused_ids) = (Vec::new(), 0, Vec::new());
    for row in record.transactions {
        let id = id_in(&row, "id");
        if let Some(row) = serde_json::from_value(row).ok().and_then(|row| transaction(row, &account.currency, now)) {
            rows.push(row);
        } else {
            refused += 1;
            refused_ids.extend(id);
        }
    }
    Some(AnsweredAccount { account, rows, refused, refused_ids, complete: has_news && !troubles.of_all, has_news })
}

/// An ISO 4217 code, or the URL of a unit of its own, of which nothing is known: it is not looked up, and has no digits.
fn currency(text: &str) -> Option<Currency> {
    let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    Currency::parse(&if is_code { text.to_ascii_uppercase() } else { text.to_owned() }).ok()
}

/// The end of a number, where a name ends in it: `Checking (1234)`, `Visa ...1234`.
fn masked_number(name: &str) -> Option<MaskedNumber> {
    let end = name.trim_end_matches(|sign: char| !sign.is_alphanumeric());
    let digits: String = end.chars().rev().take_while(char::is_ascii_digit).collect();
    let digits: String = digits.chars().rev().collect();
    let is_marked = end.len() < name.len() || end.trim_end_matches(|sign: char| sign.is_ascii_digit()).ends_with(['.', '*', 'x', 'X', '•', '#']);
    (digits.len() == 4 && is_marked).then(|| MaskedNumber::stored(format!("{}{digits}", MaskedNumber::MASK)))
}

fn transaction(record: RowRecord, currency: &Currency, now: Timestamp) -> Option<ReportedTransaction> {
    if record.id.is_empty() {
        return None;
    }
    let made_at = record.transacted_at.filter(|at| *at > 0).map(|at| instant(at).ok_or(())).transpose().ok()?;
    let is_pending = record.pending.unwrap_or(record.posted == 0);
    let posted_on: LocalDate = match record.posted {
        0 if is_pending => made_at.unwrap_or(now).day(),
        ..=0 => return None,
        // While it is pending, the day it was made tells more than a day that is not certain yet.
        at => instant(at).map(|at| if is_pending { made_at.unwrap_or(at).day() } else { at.day() })?,
    };
    let amount = Amount::parse(&record.amount, currency).ok()?;
    let said = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let (payee, memo) = (said(record.payee), said(record.memo));
    let description = said(record.description).or_else(|| payee.clone()).or(memo).unwrap_or_default();
    let category = record.extra.as_ref().and_then(|extra| extra.get("category")).and_then(Value::as_str);
    let facts = TransactionFacts {
        amount,
        subtype: TransactionSubtype::Unknown,
        status: if is_pending { TransactionStatus::Pending } else { TransactionStatus::Posted },
        posted_on,
        authorized_on: made_at.map(Timestamp::day),
        occurred_at: made_at,
        description,
        merchant_name: payee,
        category: category.map(str::to_owned),
        security: None,
        quantity: None,
        unit_price: None,
        fees: None,
    };
    Some(ReportedTransaction { reference: Some(record.id), replaces: Vec::new(), facts, line: None })
}

/// Every position, and what those are called of which it cannot be read how much or of what they are. `None` where nothing is said and there need not
/// be any; an empty list says that nothing is held.
fn holdings(records: Option<&[Value]>, kind: AccountType, currency: &Currency) -> (Option<Vec<ReportedHolding>>, Vec<String>) {
    let may_hold =
        matches!(kind, AccountType::Brokerage | AccountType::Ira | AccountType::RothIra | AccountType::Plan401k | AccountType::Plan403b | AccountType::Hsa);
    let Some(records) = records.or(may_hold.then_some(&[])) else { return (None, Vec::new()) };
    let (holdings, unread) = positions(records, |record: HoldingRecord| holding(&record, currency), &["/id", "/symbol", "/description"]);
    (Some(holdings), unread)
}

fn holding(record: &HoldingRecord, of_account: &Currency) -> Option<ReportedHolding> {
    let [symbol, name, id] = [&record.symbol, &record.description, &record.id].map(|value| said(value).map(str::to_owned));
    // An amount of nobody knows what is none.
    let currency = match said(&record.currency) {
        Some(text) => self::currency(text),
        None => matches!(record.currency, Value::Null | Value::String(_)).then(|| of_account.clone()),
    };
    let amount = |value: &Value| Amount::parse(said(value)?, currency.as_ref()?).ok();
    // Nothing is what servers write that do not know.
    let cost = amount(&record.cost_basis).filter(|cost| *cost != Amount::ZERO);
    Some(ReportedHolding {
        security: Security { asset_type: AssetType::Other, symbol: symbol.or_else(|| name.clone()).or_else(|| id.clone())?, name },
        reference: id,
        cusip: None,
        isin: None,
        quantity: Quantity::parse(said(&record.shares)?).ok()?,
        price: None,
        market_value: amount(&record.market_value),
        cost_basis: cost.zip(currency.clone()).map(|(amount, currency)| Money { amount, currency }),
        currency: currency.unwrap_or_else(|| of_account.clone()),
        as_of: record.created.as_i64().filter(|at| *at > 0).and_then(instant),
    })
}

/// A text that says something.
fn said(value: &Value) -> Option<&str> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty())
}

fn instant(seconds: i64) -> Option<Timestamp> {
    DateTime::from_timestamp(seconds, 0).map(Timestamp::new)
}
