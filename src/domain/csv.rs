//! CSV statements: how a bank's table of rows is written, as far as the file itself tells, and what a person corrects of that.
//!
//! There is no standard for these files. What was found out is data, so that it can be shown before anything is taken in; what cannot be
//! found out is asked, never guessed.

use super::{account::AccountType, money::Currency, transaction::words};

words! {
    /// What stands between two cells.
    Delimiter {
        /// `,`
        Comma = "comma",
        /// `;`
        Semicolon = "semicolon",
        /// A tab.
        Tab = "tab",
        /// `|`
        Pipe = "pipe",
    }
}

words! {
    /// In which order a date is written.
    DateOrder {
        /// 2026-01-31.
        YearMonthDay = "ymd",
        /// 31/01/2026.
        DayMonthYear = "dmy",
        /// 01/31/2026.
        MonthDayYear = "mdy",
    }
}

words! {
    /// What stands before the decimals of a number.
    DecimalMark {
        /// 1,234.56
        Point = "point",
        /// 1.234,56
        Comma = "comma",
    }
}

words! {
    /// What a column holds.
    ColumnRole {
        /// The day a row was booked.
        PostedOn = "posted_on",
        /// The day it was made, beside the day it was booked.
        AuthorizedOn = "authorized_on",
        /// The amount with its sign, or without when another column says which way it went.
        Amount = "amount",
        /// What left, in a column of its own.
        Debit = "debit",
        /// What came in, in a column of its own.
        Credit = "credit",
        /// Which way an amount without a sign went: D and C, debit and credit, Soll and Haben, Af and Bij.
        Direction = "direction",
        /// What it was. Several columns are joined.
        Description = "description",
        /// Who was paid, or paid.
        Merchant = "merchant",
        /// Who paid, where whom was paid stands in a column of its own: it counts where money came in.
        Payer = "payer",
        /// What was charged for the row. Several columns are added up.
        Fee = "fee",
        /// What the account held after the row.
        Balance = "balance",
        /// The currency of the row.
        Currency = "currency",
        /// The bank's own id of the row.
        Reference = "reference",
        /// The bank's own category.
        Category = "category",
        /// How far the row has come.
        Status = "status",
        /// Which account the row is of, in a file of several.
        Account = "account",
        /// Nothing that is taken.
        Ignored = "ignored",
    }
}

impl ColumnRole {
    /// Whether several columns may hold it.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Description | Self::Fee | Self::Ignored)
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvColumn {
    /// Counted from 1.
    pub number: u32,
    /// Its heading, when the file has any.
    pub name: Option<String>,
    /// What it holds.
    pub role: ColumnRole,
}

/// How a file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvFormat {
    /// The name of its encoding, such as `UTF-8` or `windows-1252`.
    pub encoding: String,
    /// What stands between two cells.
    pub delimiter: Delimiter,
    /// The line of the headings; `None` when there are none.
    pub header_line: Option<u64>,
    /// The order of dates; `None` when every row fits two orders and they differ.
    pub date_order: Option<DateOrder>,
    /// What stands before decimals; `None` when every number fits both marks and they differ.
    pub decimal_mark: Option<DecimalMark>,
    /// Whether every amount's sign is turned, because the file writes what was spent as positive.
    pub invert_sign: bool,
    /// The columns, in order.
    pub columns: Vec<CsvColumn>,
}

/// What a person says about a file; it counts more than what is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CsvCorrection {
    /// A label of the WHATWG encoding standard.
    pub encoding: Option<String>,
    /// What stands between two cells.
    pub delimiter: Option<Delimiter>,
    /// The line of the headings, counted from 1; 0 when there are none.
    pub header_line: Option<u64>,
    /// The order of dates.
    pub date_order: Option<DateOrder>,
    /// What stands before decimals.
    pub decimal_mark: Option<DecimalMark>,
    /// Whether every amount's sign is turned.
    pub invert_sign: Option<bool>,
    /// Columns by their number, and what they hold.
    pub columns: Vec<(u32, ColumnRole)>,
}

/// The account a file's rows go into when it is not there yet; a CSV file does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedAccount {
    /// What it is called, and found by the next time.
    pub name: String,
    /// What kind it is.
    pub kind: AccountType,
    /// What its amounts are counted in; `None` when the file says so in every row.
    pub currency: Option<Currency>,
}

/// What must be known of a file and does not stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsvQuestion {
    /// No encoding has this name.
    #[error("no encoding of this name is known")]
    Encoding,
    /// Which columns hold day and amount.
    #[error("it cannot be told which columns hold the day and the amount; say what each column holds")]
    Columns,
    /// Days fit two orders.
    #[error("every date can be read as day/month and as month/day; say which it is")]
    DateOrder,
    /// Numbers fit two ways of writing.
    #[error("every number can be read with a decimal point and with a decimal comma; say which it is")]
    DecimalMark,
    /// Into which account.
    #[error("a CSV file does not say which account it is of; name one of yours, or what a new one is called")]
    Account,
    /// Which way amounts went.
    #[error(
        "the balances beside the rows go another way than the amounts, or words beside them tell the direction of some rows only; say which column tells the direction, or whether signs are turned (true) or right as they are (false)"
    )]
    Sign,
    /// In which currency.
    #[error("the file does not say in one way which currency its amounts are in; say it with the account")]
    Currency,
}
