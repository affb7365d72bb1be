//! Imports: statement files a person brings, and what was found in them.

use std::collections::HashMap;

use async_trait::async_trait;

use super::{
    account::{Account, AccountFingerprint, AccountType, MaskedNumber},
    balance::Balances,
    csv::CsvFormat,
    holding::ReportedHolding,
    id::{AccountId, ImportId, TransactionId, UserId},
    money::Currency,
    page::{CreatedKey, Page, Slice},
    provider::{AccountReference, ReportedAccount, ReportedTransaction},
    time::{LocalDate, Timestamp},
    transaction::{TransactionFacts, words},
};

/// The largest statement file, in bytes.
pub const MAX_STATEMENT_BYTES: u64 = 50 * 1024 * 1024;

/// The most rows a preview keeps.
pub const MAX_PREVIEW_ROWS: usize = 20_000;

/// How many previews of one user are kept; one more takes the place of the oldest.
pub const MAX_PREVIEWS: usize = 5;

/// How long a preview is kept.
pub const PREVIEW_MINUTES: i64 = 60;

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
    /// What it is known by where no more than the end of its number is told. Another may be known by the same.
    pub alike: Option<AccountReference>,
    /// What it may be known by from files that told nothing but its name.
    pub formerly: Option<AccountReference>,
    /// What an account is known by that all accounts of this file may have come into, as one, from files that do not tell them apart.
    pub together: Option<AccountReference>,
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

words! {
    /// How far an import has come.
    ImportStatus {
        /// Looked at; nothing of it is in yet.
        Previewed = "previewed",
        /// Taken in.
        Committed = "committed",
        /// Taken in, and taken back.
        Reverted = "reverted",
    }
}

words! {
    /// What a row of a file is.
    RowOutcome {
        /// Not seen before.
        New = "new",
        /// Known, and nothing about it changes.
        Known = "known",
        /// Known from files alone, and this one says something else of it.
        Updated = "updated",
        /// Much like a stored one, and not surely the same.
        Doubtful = "doubtful",
    }
}

/// One statement file that was brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Never changes.
    pub id: ImportId,
    /// Whose it is.
    pub user: UserId,
    /// How far it has come.
    pub status: ImportStatus,
    /// The file's name as given, without folders, at most 255 characters.
    pub filename: String,
    /// SHA-256 of the file.
    pub digest: Vec<u8>,
    /// When it was brought.
    pub created_at: Timestamp,
    /// The account that was named for its rows.
    pub target: Option<AccountId>,
    /// Accounts that are new, or would be.
    pub accounts_created: u32,
    /// Transactions that are new, or would be.
    pub transactions_created: u32,
    /// Transactions that were known before.
    pub transactions_known: u32,
    /// Of these, transactions that changed, or would.
    pub transactions_updated: u32,
    /// Rows that look like a stored one without being surely the same.
    pub transactions_doubtful: u32,
    /// What was not taken.
    pub problems: Vec<LineProblem>,
    /// How it was read, when it was a CSV file.
    pub csv: Option<CsvFormat>,
    /// Until when a preview can be committed.
    pub expires_at: Option<Timestamp>,
    /// When it was taken in.
    pub committed_at: Option<Timestamp>,
    /// When it was taken back.
    pub reverted_at: Option<Timestamp>,
}

/// Why an import cannot be committed or taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImportRefusal {
    /// A preview is kept for an hour.
    #[error("the preview is too old; bring the file again")]
    Expired,
    /// It is in already.
    #[error("the import is committed already")]
    Committed,
    /// There is nothing to take back yet.
    #[error("the import is a preview; nothing of it is in yet")]
    Previewed,
    /// It was taken back already.
    #[error("the import was reverted already")]
    Reverted,
    /// What it added was not kept apart.
    #[error("the import is from before what each one added was kept, and cannot be reverted")]
    Untracked,
    /// What it added is gone already.
    #[error("what the import brought was removed when its accounts were taken away, so there is nothing to revert")]
    Cleared,
}

impl Import {
    /// Whether a preview can be committed now.
    pub fn commit(&mut self, now: Timestamp) -> Result<(), ImportRefusal> {
        match self.status {
            ImportStatus::Previewed if self.expires_at.is_some_and(|end| end <= now) => Err(ImportRefusal::Expired),
            ImportStatus::Previewed => {
                self.status = ImportStatus::Committed;
                self.expires_at = None;
                self.committed_at = Some(now);
                Ok(())
            }
            ImportStatus::Committed => Err(ImportRefusal::Committed),
            ImportStatus::Reverted => Err(ImportRefusal::Reverted),
        }
    }

    /// Takes a batch back.
    pub fn revert(&mut self, now: Timestamp) -> Result<(), ImportRefusal> {
        match self.status {
            ImportStatus::Previewed => Err(ImportRefusal::Previewed),
            ImportStatus::Committed => {
                self.status = ImportStatus::Reverted;
                self.reverted_at = Some(now);
                Ok(())
            }
            ImportStatus::Reverted => Err(ImportRefusal::Reverted),
        }
    }

    /// Where it stands in the list.
    pub fn key(&self) -> CreatedKey {
        CreatedKey { created_at: self.created_at, id: self.id.0 }
    }
}

/// What the account of a statement is recognised by: each time under every key of the ring, the current one first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recognition {
    /// Itself, by all that the file tells of it.
    pub exactly: Vec<AccountFingerprint>,
    /// By its name and the end of its number.
    pub alike: Vec<AccountFingerprint>,
    /// By its name alone.
    pub formerly: Vec<AccountFingerprint>,
    /// As one with the other accounts of the file.
    pub together: Vec<AccountFingerprint>,
}

impl Recognition {
    /// The account, if it is among these; an exact one before others.
    pub fn find<'a>(&self, accounts: &'a [Account]) -> Option<&'a Account> {
        let known_by = |fingerprint: &AccountFingerprint| accounts.iter().find(|account| account.fingerprint == *fingerprint);
        self.exactly.iter().chain(&self.alike).chain(&self.formerly).find_map(known_by)
    }

    /// Whether all that is told of it is one of the ways to tell another.
    pub fn is_told_by(&self, other: &Self) -> bool {
        [&other.exactly, &other.alike, &other.formerly, &other.together].into_iter().flatten().any(|fingerprint| self.exactly.contains(fingerprint))
    }

    /// Whether another is called the same, and its number ends alike.
    pub fn is_like(&self, other: &Self) -> bool {
        self.alike.iter().any(|fingerprint| other.alike.contains(fingerprint))
    }
}

/// One account's part of an import, as it is kept: what the account is recognised by instead of its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportStatement {
    /// What its rows are found by; unique in the import.
    pub number: u32,
    /// The account: the one that is there, or that the batch made. `None` while it is to be made.
    pub account: Option<AccountId>,
    /// Whether the batch made it, or would.
    pub is_new: bool,
    /// What it is recognised by.
    pub recognition: Recognition,
    /// The institution that keeps it, when the file says so.
    pub institution: Option<String>,
    /// What it is called.
    pub name: String,
    /// What kind it is.
    pub kind: AccountType,
    /// The end of its number.
    pub masked_number: Option<MaskedNumber>,
    /// What its amounts are counted in.
    pub currency: Currency,
    /// What the file says it holds.
    pub balances: Balances,
    /// First and last day that the file covers.
    pub period: Option<(LocalDate, LocalDate)>,
    /// Every position the file says is in it; `None` when it does not say.
    pub holdings: Option<Vec<ReportedHolding>>,
}

/// A row of a preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRow {
    /// Of which import.
    pub import: ImportId,
    /// Where it stands in the preview, counted from 1: by account, day, amount and line.
    pub number: u32,
    /// Which statement it is of.
    pub statement: u32,
    /// What it says.
    pub row: ReportedTransaction,
    /// The name it goes by.
    pub name: String,
    /// What it is.
    pub outcome: RowOutcome,
    /// The stored transaction it is, or looks like.
    pub resembles: Option<TransactionId>,
}

/// The positions that a statement lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    /// When they were held.
    pub as_of: Option<Timestamp>,
    /// All of them.
    pub holdings: Vec<ReportedHolding>,
}

/// What a batch did with one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batched {
    /// Which.
    pub transaction: TransactionId,
    /// Whether the batch added it; else it was known before.
    pub is_added: bool,
    /// The name that the batch gave to a known one.
    pub reference: Option<String>,
    /// What a known one said before the batch changed it, with the signs of its source; `None` when it did not.
    pub before: Option<TransactionFacts>,
}

/// What became of a batch that was taken back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reverted {
    /// Transactions that are gone.
    pub transactions: u32,
    /// Transactions it had changed that say again what they said before.
    pub restored: u32,
    /// Transactions it had added or changed that stay as they are, since something else speaks for them by now.
    pub kept: u32,
    /// Accounts that are gone.
    pub accounts: u32,
}

/// Imports, inside a unit of work.
#[async_trait]
pub trait Imports: Send {
    /// An import, previewed or done, with the accounts it is of.
    async fn insert(&mut self, import: &Import, statements: &[ImportStatement]) -> anyhow::Result<()>;
    /// An import of `owner`.
    async fn find(&mut self, owner: UserId, id: ImportId) -> anyhow::Result<Option<Import>>;
    /// The accounts an import is of, in order.
    async fn statements(&mut self, owner: UserId, id: ImportId) -> anyhow::Result<Vec<ImportStatement>>;
    /// What accounts of `owner` were recognised by in each import but one that is in and was not aimed at an account, the youngest first.
    async fn recognitions(&mut self, owner: UserId, but: ImportId) -> anyhow::Result<Vec<(AccountId, Recognition)>>;
    /// Keeps rows of a preview.
    async fn keep_rows(&mut self, owner: UserId, rows: &[ImportRow]) -> anyhow::Result<()>;
    /// All rows of a preview, in order.
    async fn rows(&mut self, owner: UserId, id: ImportId) -> anyhow::Result<Vec<ImportRow>>;
    /// Stores how an import that was `previously` of a status has gone on, with its accounts; `false` when it is not of that status any more. The
    /// rows of its preview go.
    async fn settle(&mut self, import: &Import, statements: &[ImportStatement], previously: ImportStatus) -> anyhow::Result<bool>;
    /// Notes what a batch did.
    async fn note_batch(&mut self, owner: UserId, id: ImportId, batch: &[Batched]) -> anyhow::Result<()>;
    /// Takes away what a batch added and restores what it changed, but for what another import or a feed has confirmed since.
    async fn take_back(&mut self, import: &Import) -> anyhow::Result<Reverted>;
    /// Whether the accounts an import was of were removed since, with everything in them.
    async fn is_cleared(&mut self, owner: UserId, id: ImportId) -> anyhow::Result<bool>;
    /// The youngest positions that any committed import but one has told of an account.
    async fn last_stock(&mut self, owner: UserId, account: AccountId, but: ImportId) -> anyhow::Result<Option<Stock>>;
    /// Forgets previews of `owner` that are too old, and of the others all but the `most` youngest.
    async fn forget_previews(&mut self, owner: UserId, most: usize, now: Timestamp) -> anyhow::Result<()>;
}

/// Imports for queries and loaders.
#[async_trait]
pub trait ImportReader: Send + Sync {
    /// The imports of `owner`, oldest first, without previews that are too old.
    async fn page(&self, owner: UserId, now: Timestamp, page: Page<CreatedKey>) -> anyhow::Result<Slice<Import>>;
    /// Those of `ids` that belong to `owner`, in no particular order, without previews that are too old.
    async fn find_many(&self, owner: UserId, ids: &[ImportId], now: Timestamp) -> anyhow::Result<Vec<Import>>;
    /// The accounts that imports are of.
    async fn statements_of(&self, owner: UserId, ids: &[ImportId]) -> anyhow::Result<HashMap<ImportId, Vec<ImportStatement>>>;
    /// Rows of a preview behind a number, at most so many; only those of an outcome, if one is given.
    async fn rows_of(&self, owner: UserId, id: ImportId, outcome: Option<RowOutcome>, after: u32, limit: u32) -> anyhow::Result<Vec<ImportRow>>;
}
