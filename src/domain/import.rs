//! Imports: statement files a person brings, and what was found in them.

use async_trait::async_trait;

use super::{
    csv::CsvFormat,
    id::{ImportId, UserId},
    provider::{ReportedAccount, ReportedTransaction},
    time::{LocalDate, Timestamp},
};

/// The largest statement file, in bytes.
pub const MAX_STATEMENT_BYTES: u64 = 50 * 1024 * 1024;

/// What of a file could not be taken, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineProblem {
    /// Counted from 1.
    pub line: u64,
    /// What is wrong, for people. Never holds an account number.
    pub message: String,
}

/// One account's part of a statement file, without its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What its rows are found by; unique in the file, and rising.
    pub number: u32,
    /// The account, its number cut, with the balances the file gives.
    pub account: ReportedAccount,
    /// First and last day the file says it covers.
    pub period: Option<(LocalDate, LocalDate)>,
}

/// Rows with the number of the statement each belongs to, by statement, day, amount and line. They are not held in memory, so reading
/// them may fail, and blocks. Those of a statement that could not be taken have a number nobody has.
pub type StatementRows = Box<dyn Iterator<Item = anyhow::Result<(u32, ReportedTransaction)>> + Send>;

/// Everything read from one statement file.
pub struct StatementFile {
    /// One for each account.
    pub statements: Vec<Statement>,
    /// The rows of all of them.
    pub rows: StatementRows,
    /// Rows and values that could not be taken; the rest was.
    pub problems: Vec<LineProblem>,
    /// How a CSV file is written; `None` for other formats.
    pub csv: Option<CsvFormat>,
}

/// A file in which nothing could be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}: {}", problem.line, problem.message)]
pub struct UnreadableFile {
    /// Where reading stopped, and why.
    pub problem: LineProblem,
}

/// One statement file that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Never changes.
    pub id: ImportId,
    /// Whose it is.
    pub user: UserId,
    /// The file's name as given, without folders, at most 255 characters.
    pub filename: String,
    /// SHA-256 of the file.
    pub digest: Vec<u8>,
    /// When it was taken in.
    pub created_at: Timestamp,
    /// Accounts that are new.
    pub accounts_created: u32,
    /// Transactions that are new.
    pub transactions_created: u32,
    /// Transactions that were known before.
    pub transactions_known: u32,
    /// What was not taken.
    pub problems: Vec<LineProblem>,
    /// How it was read, when it was a CSV file.
    pub csv: Option<CsvFormat>,
}

/// Imports, inside a unit of work.
#[async_trait]
pub trait Imports: Send {
    /// An import that is done.
    async fn insert(&mut self, import: &Import) -> anyhow::Result<()>;
}
