//! The data API's answers, in the sandbox bank's own way of writing.
//!
//! Amounts are decimal texts. On debts (`CCD`, `LON`) the bank counts what is owed, as many banks do: a purchase and the balance are
//! positive, a payment is negative. `date` is the bank's day; `time` is given where it knows the minute, by the bank's clocks.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;

use super::bank::{Book, Position, Row, Security};
use crate::domain::time::{LocalDate, Timestamp};

/// The most rows of one page.
pub const PAGE_ROWS: usize = 200;

#[derive(Serialize)]
pub(super) struct Accounts<'a> {
    pub(super) accounts: Vec<AccountAnswer<'a>>,
}

#[derive(Serialize)]
pub(super) struct AccountAnswer<'a> {
    id: &'a str,
    institution: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    number: &'a str,
    currency: &'a str,
    status: &'a str,
    balances: BalancesAnswer,
    #[serde(skip_serializing_if = "Option::is_none")]
    positions: Option<Vec<PositionAnswer<'a>>>,
}

#[derive(Serialize)]
struct PositionAnswer<'a> {
    security: SecurityAnswer<'a>,
    quantity: String,
    price: String,
    value: String,
    cost: String,
    as_of: String,
}

#[derive(Serialize)]
struct BalancesAnswer {
    current: String,
    available: Option<String>,
    limit: Option<String>,
    as_of: String,
}

#[derive(Serialize)]
pub(super) struct Page<'a> {
    transactions: Vec<RowAnswer<'a>>,
    next: Option<String>,
}

#[derive(Serialize)]
struct RowAnswer<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<&'a str>,
    status: &'a str,
    date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    made_on: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    code: &'a str,
    amount: String,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security: Option<SecurityAnswer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fees: Option<String>,
}

#[derive(Serialize)]
struct SecurityAnswer<'a> {
    symbol: &'a str,
    name: &'a str,
    class: &'a str,
}

impl From<&'static Security> for SecurityAnswer<'_> {
    fn from(security: &'static Security) -> Self {
        Self { symbol: security.symbol, name: security.name, class: security.class }
    }
}

/// A cursor that this bank did not write.
pub(super) struct UnknownCursor;

pub(super) fn account(book: &Book, now: Timestamp) -> AccountAnswer<'_> {
    let spec = book.spec;
    let holdings = book.holdings();
    let balances = BalancesAnswer {
        current: cents(turned(book, holdings.current)),
        available: holdings.available.map(cents),
        limit: holdings.limit.map(cents),
        as_of: now.to_string(),
    };
    AccountAnswer {
        id: spec.id,
        institution: spec.institution,
        name: spec.name,
        kind: spec.kind,
        number: &book.number,
        currency: spec.currency,
        status: if book.is_closed { "closed" } else { "open" },
        balances,
        positions: book.positions.as_ref().map(|positions| positions.iter().map(|position| held(position, now)).collect()),
    }
}

fn held(position: &Position, now: Timestamp) -> PositionAnswer<'_> {
    PositionAnswer {
        security: position.security.into(),
        quantity: decimal(position.thousandths, 3),
        price: cents(position.price),
        value: cents(position.value()),
        cost: cents(position.cost),
        as_of: now.to_string(),
    }
}

/// One page: booked rows of the days asked for, up to now when no last day is, and every pending one, by day and id. The cursor names the last row given, so that rows
/// which come or go between two pages neither shift nor repeat the others.
pub(super) fn page<'a>(
    book: &'a Book,
    (from, to): (LocalDate, Option<LocalDate>),
    cursor: Option<&str>,
    (limit, zone): (usize, &str),
) -> Result<Page<'a>, UnknownCursor> {
    let after = cursor.map(read_cursor).transpose()?;
    let mut rows: Vec<&Row> = book
        .rows
        .iter()
        .filter(|row| row.pending || (row.date >= from && to.is_none_or(|to| row.date <= to)))
        .filter(|row| after.as_ref().is_none_or(|(date, id)| (row.date, row.id.as_str()) > (*date, id.as_str())))
        .collect();
    rows.sort_by(|left, right| (left.date, &left.id).cmp(&(right.date, &right.id)));
    let next = if rows.len() > limit { rows[..limit].last().map(|row| write_cursor(row)) } else { None };
    rows.truncate(limit);
    Ok(Page { transactions: rows.into_iter().map(|row| answer(book, row, zone)).collect(), next })
}

fn answer<'a>(book: &Book, row: &'a Row, zone: &str) -> RowAnswer<'a> {
    let made_on = row.made_on.unwrap_or(row.date);
    RowAnswer {
        id: &row.id,
        replaces: row.replaces.as_deref(),
        status: if row.pending { "pending" } else { "booked" },
        date: row.date.to_string(),
        made_on: row.made_on.map(|day| day.to_string()),
        time: row.minute.map(|minute| format!("{made_on}T{:02}:{:02}:00{zone}", minute / 60, minute % 60)),
        code: row.code,
        amount: cents(turned(book, row.cents)),
        description: &row.description,
        merchant: row.merchant,
        category: row.category,
        security: row.security.map(Into::into),
        quantity: row.units.map(|units| decimal(units.thousandths, 3)),
        price: row.units.map(|units| cents(units.price)),
        fees: row.units.map(|units| cents(units.fees)),
    }
}

/// From the owner's view to the bank's.
fn turned(book: &Book, cents: i64) -> i64 {
    if matches!(book.spec.kind, "CCD" | "LON") == book.is_flipped { cents } else { -cents }
}

/// Hundredths as a decimal text.
pub(super) fn cents(hundredths: i64) -> String {
    decimal(hundredths, 2)
}

fn decimal(parts: i64, decimals: u32) -> String {
    let unit = 10_u64.pow(decimals);
    let (whole, rest) = (parts.unsigned_abs() / unit, parts.unsigned_abs() % unit);
    format!("{}{whole}.{rest:0width$}", if parts < 0 { "-" } else { "" }, width = decimals as usize)
}

fn write_cursor(row: &Row) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{}|{}", row.date, row.id))
}

/// The id of the last row that was given before that cursor; `None` for a cursor that this bank did not write.
pub(super) fn last_told(cursor: &str) -> Option<String> {
    read_cursor(cursor).ok().map(|(_, id)| id)
}

fn read_cursor(cursor: &str) -> Result<(LocalDate, String), UnknownCursor> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| UnknownCursor)?;
    let text = String::from_utf8(bytes).map_err(|_| UnknownCursor)?;
    let (date, id) = text.split_once('|').ok_or(UnknownCursor)?;
    Ok((LocalDate::parse(date).map_err(|_| UnknownCursor)?, id.to_owned()))
}
