//! CSV files in the graph: how one is written, and what a client corrects of that.

use async_graphql::{Enum, InputObject, SimpleObject};
use serde::Serialize;

use crate::{
    application::access::Resource,
    domain::{
        csv::{self, CsvCorrection, NamedAccount},
        money::Currency,
    },
};

use super::{account::AccountType, guard::Allow, scalar::CurrencyCode};

/// What stands between two cells.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[graphql(name = "CsvDelimiter", remote = "csv::Delimiter")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Delimiter {
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// A tab.
    Tab,
    /// `|`
    Pipe,
}

/// In which order a date is written.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[graphql(name = "CsvDateOrder", remote = "csv::DateOrder")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DateOrder {
    /// 2026-01-31
    YearMonthDay,
    /// 31/01/2026
    DayMonthYear,
    /// 01/31/2026
    MonthDayYear,
}

/// What stands before the decimals of a number.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[graphql(name = "CsvDecimalMark", remote = "csv::DecimalMark")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DecimalMark {
    /// 1,234.56
    Point,
    /// 1.234,56
    Comma,
}

/// What a column holds.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[graphql(name = "CsvColumnRole", remote = "csv::ColumnRole")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ColumnRole {
    /// The day a row was booked.
    PostedOn,
    /// The day it was made, beside the day it was booked.
    AuthorizedOn,
    /// The amount with its sign, or without when another column says which way it went.
    Amount,
    /// What left, in a column of its own.
    Debit,
    /// What came in, in a column of its own.
    Credit,
    /// Which way an amount without a sign went: D and C, debit and credit.
    Direction,
    /// What it was. Several columns are joined.
    Description,
    /// Who was paid, or paid.
    Merchant,
    /// Who paid, where whom was paid stands in a column of its own: it counts where money came in.
    Payer,
    /// What was charged for the row. Several columns are added up.
    Fee,
    /// What the account held after the row.
    Balance,
    /// The currency of the row.
    Currency,
    /// The bank's own id of the row.
    Reference,
    /// The bank's own category.
    Category,
    /// How far the row has come.
    Status,
    /// Which account the row is of, in a file of several.
    Account,
    /// Nothing that is taken.
    Ignored,
}

/// One column of a CSV file.
#[derive(SimpleObject, Serialize)]
#[graphql(name = "CsvColumn", serial, guard = Allow::read(Resource::Transactions))]
pub struct Column {
    /// Counted from 1.
    number: u32,
    /// Its heading; null when the file has none.
    name: Option<String>,
    /// What it is taken to hold.
    role: ColumnRole,
}

/// How a CSV file is read.
#[derive(SimpleObject, Serialize)]
#[graphql(name = "CsvFormat", serial, guard = Allow::read(Resource::Transactions))]
#[serde(rename_all = "camelCase")]
pub struct Format {
    /// The name of its encoding, such as `UTF-8` or `windows-1252`.
    encoding: String,
    /// What stands between two cells.
    delimiter: Delimiter,
    /// The line of the headings, counted from 1; null when there are none.
    header_line: Option<u64>,
    /// The order of dates; null when every date fits two orders, and it has to be said.
    date_order: Option<DateOrder>,
    /// What stands before decimals; null when every number fits both marks, and it has to be said.
    decimal_mark: Option<DecimalMark>,
    /// Whether every amount's sign is turned.
    invert_sign: bool,
    /// The columns, in order.
    columns: Vec<Column>,
}

impl From<csv::CsvFormat> for Format {
    fn from(format: csv::CsvFormat) -> Self {
        let column = |column: csv::CsvColumn| Column { number: column.number, name: column.name, role: column.role.into() };
        Self {
            encoding: format.encoding,
            delimiter: format.delimiter.into(),
            header_line: format.header_line,
            date_order: format.date_order.map(Into::into),
            decimal_mark: format.decimal_mark.map(Into::into),
            invert_sign: format.invert_sign,
            columns: format.columns.into_iter().map(column).collect(),
        }
    }
}

/// What a column holds, where the file does not tell or tells wrong.
#[derive(InputObject)]
#[graphql(name = "CsvColumnInput")]
pub struct ColumnInput {
    /// Which column, counted from 1.
    number: u32,
    /// What it holds. Whatever other column was taken to hold the same is not any more, but for descriptions.
    role: ColumnRole,
}

/// How a CSV file is written, where it does not tell or is read wrong. Every field that is left out is found out.
#[derive(InputObject, Default)]
#[graphql(name = "CsvFormatInput")]
pub struct FormatInput {
    /// A label of the WHATWG encoding standard, such as `windows-1250`.
    encoding: Option<String>,
    /// What stands between two cells.
    delimiter: Option<Delimiter>,
    /// The line of the headings, counted from 1; 0 when there are none.
    header_line: Option<u64>,
    /// The order of dates.
    date_order: Option<DateOrder>,
    /// What stands before decimals.
    decimal_mark: Option<DecimalMark>,
    /// True for files that write what was spent as positive, as some card issuers do.
    invert_sign: Option<bool>,
    /// What columns hold.
    columns: Option<Vec<ColumnInput>>,
}

impl From<FormatInput> for CsvCorrection {
    fn from(input: FormatInput) -> Self {
        Self {
            encoding: input.encoding,
            delimiter: input.delimiter.map(Into::into),
            header_line: input.header_line,
            date_order: input.date_order.map(Into::into),
            decimal_mark: input.decimal_mark.map(Into::into),
            invert_sign: input.invert_sign,
            columns: input.columns.unwrap_or_default().into_iter().map(|column| (column.number, column.role.into())).collect(),
        }
    }
}

/// What the account of a CSV file is called, which the file does not say. The same name finds the same account the next time.
#[derive(InputObject)]
pub struct NewAccountInput {
    /// Its name: 1 to 100 characters.
    name: String,
    /// What kind it is. Not looked at when an account of this name came in from files before.
    r#type: AccountType,
    /// What its amounts are counted in; may be left out when every row of the file says so.
    currency: Option<CurrencyCode>,
}

impl From<NewAccountInput> for NamedAccount {
    fn from(input: NewAccountInput) -> Self {
        Self { name: input.name, kind: input.r#type.into(), currency: input.currency.map(|CurrencyCode(currency)| in_capitals(currency)) }
    }
}

/// Three letters are a code of ISO 4217, which is written in capitals. Units that are not money may be written in any way.
fn in_capitals(currency: Currency) -> Currency {
    let code = currency.code();
    let is_iso = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_iso { Currency::parse(&code.to_ascii_uppercase()).unwrap_or(currency) } else { currency }
}
