//! Imports: a statement file becomes accounts and transactions.
//!
//! The file is read once, away from the runtime's threads and before a transaction is opened; what it holds is then matched like any
//! feed, some days at a time, so the same file twice changes nothing and a long file needs no more memory than a short one. A row that
//! cannot be taken is named by its line and the others are.
//!
//! A file may be looked at first: a preview keeps its rows for an hour, with what each of them is, and committing it matches them once more,
//! since other rows may have come in meanwhile. Either way the batch remembers what it added, so that it can be taken back.

mod batch;
mod naming;
mod recognition;
mod stock;
mod windows;

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead, BufReader, Read},
    sync::Arc,
};

use sha2::{Digest, Sha256};

use crate::domain::{
    account::AccountReader,
    audit::{Act, ResourceKind},
    csv::{CsvCorrection, CsvFormat, CsvQuestion, NamedAccount},
    event::Event,
    failure::Reason,
    id::{AccountId, ImportId, UserId},
    import::{
        Import, ImportReader, ImportRefusal, ImportRow, ImportStatement, ImportStatus, LineProblem, MAX_PREVIEWS, MAX_STATEMENT_BYTES, PREVIEW_MINUTES,
        Recognition, Reverted, RowOutcome, Statement, StatementFile, UnreadableFile,
    },
    name::{self, InvalidName},
    page::{CreatedKey, Page, Slice},
    provider::AccountReference,
    time::{Clock, Timestamp},
};

use super::{
    QueryError,
    access::{Access, Denied, Requester, Resource},
    audit::Journal,
    ingest::Doubts,
    ports::{Randomness, Sealer, StatementHints, StatementReader, StatementRefusal, Store},
};

use naming::Naming;
use recognition::UnclearAccount;
use windows::Windows;

pub(super) use batch::new_account;

/// The most problems an import keeps and answers with, besides the one that counts the others.
pub const MAX_PROBLEMS: usize = 1000;

/// By what the account of a file was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundBy {
    /// It was named as the one that the rows go into.
    Id,
    /// It is called what the account of a CSV file was said to be called.
    Name,
    /// The file says its number.
    Number,
}

/// Why a file is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Nothing of it could be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableFile),
    /// Something about a CSV file has to be said that it does not tell; with what was found out.
    #[error("{question}")]
    Undecided { question: CsvQuestion, format: Option<Box<CsvFormat>> },
    /// Over 50 MiB.
    #[error("the file is larger than 50 MiB")]
    TooLarge,
    /// A target account was named, and the file holds several.
    #[error("the file holds several accounts, so it cannot go into a single one; leave the account out")]
    SeveralAccounts,
    /// It does not tell of which account of the name it was given it is.
    #[error(transparent)]
    UnclearAccount(#[from] UnclearAccount),
    /// The account that was named, or is known by its number, is in another currency.
    #[error("the account is in another currency than the file")]
    OtherCurrency(FoundBy),
    /// The account of a CSV file is called something that is no name.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// The target account is absent or someone else's.
    #[error("no such account")]
    NotFound,
    /// The import is absent or someone else's.
    #[error("no such import")]
    UnknownImport,
    /// More rows than a preview keeps.
    #[error("a preview holds at most 20,000 rows; import the file without one, or a shorter period at a time")]
    TooLongForPreview,
    /// It has not come that far, or too far.
    #[error(transparent)]
    Refused(#[from] ImportRefusal),
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for ImportError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable_file",
            Self::Undecided { .. } => "undecided_file",
            Self::TooLarge => "file_too_large",
            Self::SeveralAccounts => "several_accounts",
            Self::UnclearAccount(_) => "unclear_account",
            Self::OtherCurrency(_) => "other_currency",
            Self::InvalidName(_) => "invalid_name",
            Self::NotFound | Self::UnknownImport => "not_found",
            Self::TooLongForPreview => "too_long_for_preview",
            Self::Refused(ImportRefusal::Expired) => "preview_expired",
            Self::Refused(ImportRefusal::Committed) => "already_committed",
            Self::Refused(ImportRefusal::Previewed) => "not_committed",
            Self::Refused(ImportRefusal::Reverted) => "already_reverted",
            Self::Refused(ImportRefusal::Untracked | ImportRefusal::Cleared) => "not_revertible",
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

impl From<StatementRefusal> for ImportError {
    fn from(refusal: StatementRefusal) -> Self {
        match refusal {
            StatementRefusal::Unreadable(file) => Self::Unreadable(file),
            StatementRefusal::Undecided { question, format } => Self::Undecided { question, format },
        }
    }
}

/// A file to be taken in, or to be looked at first.
pub struct BringStatement {
    /// Who asks.
    pub requester: Requester,
    /// As the person calls it; only its last part is kept.
    pub filename: String,
    /// Its bytes.
    pub content: Box<dyn Read + Send>,
    /// Where its rows go; `None` finds or makes an account for each in the file.
    pub account: Option<AccountId>,
    /// What the account of a CSV file is called that is not there yet; not looked at when `account` names one.
    pub new_account: Option<NamedAccount>,
    /// How a CSV file is written, as far as it does not tell itself.
    pub csv: CsvCorrection,
}

/// Taking in what was looked at.
pub struct CommitImport {
    /// Who asks.
    pub requester: Requester,
    /// The preview.
    pub import: ImportId,
    /// Whether doubtful rows are taken.
    pub take_doubtful: bool,
    /// Rows that are taken although they are doubtful, by their numbers.
    pub take_rows: Vec<u32>,
}

/// Taking an import back.
pub struct RevertImport {
    /// Who asks.
    pub requester: Requester,
    /// Which.
    pub import: ImportId,
}

/// Takes statement files in.
pub struct ImportCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// What roles may do.
    pub access: Access,
    /// Whose accounts there are.
    pub accounts: Arc<dyn AccountReader>,
    /// Reads files.
    pub reader: Arc<dyn StatementReader>,
    /// Recognises accounts without keeping their numbers.
    pub sealer: Arc<dyn Sealer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub randomness: Arc<dyn Randomness>,
}

/// A file that was read.
struct Brought {
    import: Import,
    statements: Vec<ImportStatement>,
    rows: Windows,
}

impl ImportCommands {
    /// Takes in a file: all of what can be read, in one commit.
    pub async fn import(&self, command: BringStatement) -> Result<Import, ImportError> {
        let attempt = self.journal.attempt(&command.requester, Act::ImportStatement).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::ImportStatement)?;
                let Brought { mut import, mut statements, mut rows } = self.bring(owner, command).await?;
                let mut work = self.store.begin(&attempt).await?;
                work.accounts().take_turn(owner).await?;
                work.imports().insert(&import, &[]).await?;
                import.commit(self.clock.now())?;
                self.take_in(work.as_mut(), &mut import, &mut statements, &mut rows, &Doubts::Taken).await?;
                if !work.imports().settle(&import, &statements, ImportStatus::Previewed).await? {
                    return Err(anyhow::anyhow!("an import that nobody knows of yet has changed").into());
                }
                work.succeed(imported(&import)).await?;
                Ok(import)
            })
            .await
    }

    /// Looks at a file: what would come in, and what each row is. Nothing comes in.
    pub async fn preview(&self, command: BringStatement) -> Result<Import, ImportError> {
        let attempt = self.journal.attempt(&command.requester, Act::PreviewImport).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::PreviewImport)?;
                let Brought { mut import, mut statements, mut rows } = self.bring(owner, command).await?;
                let mut work = self.store.begin(&attempt).await?;
                work.accounts().take_turn(owner).await?;
                let kept = self.assess_all(work.as_mut(), &mut import, &mut statements, &mut rows).await?;
                work.imports().forget_previews(owner, MAX_PREVIEWS - 1, self.clock.now()).await?;
                work.imports().insert(&import, &statements).await?;
                work.imports().keep_rows(owner, &kept).await?;
                let rows = u32::try_from(kept.len()).unwrap_or(u32::MAX);
                work.succeed(Event::ImportPreviewed { import: import.id, user: owner, rows }).await?;
                Ok(import)
            })
            .await
    }

    /// Takes in what was looked at, once.
    pub async fn commit(&self, command: CommitImport) -> Result<Import, ImportError> {
        let attempt = self.journal.attempt(&command.requester, Act::CommitImport).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::CommitImport)?;
                let mut work = self.store.begin(&attempt).await?;
                work.accounts().take_turn(owner).await?;
                let mut import = work.imports().find(owner, command.import).await?.ok_or(ImportError::UnknownImport)?;
                attempt.upon(ResourceKind::Import, command.import.0);
                import.commit(self.clock.now())?;
                let mut statements = work.imports().statements(owner, import.id).await?;
                let rows = work.imports().rows(owner, import.id).await?;
                let doubts = if command.take_doubtful { Doubts::Taken } else { Doubts::LeftOutBut(chosen(&rows, &command.take_rows)) };
                self.take_in(work.as_mut(), &mut import, &mut statements, &mut in_order(rows), &doubts).await?;
                if !work.imports().settle(&import, &statements, ImportStatus::Previewed).await? {
                    return Err(ImportRefusal::Committed.into());
                }
                work.succeed(imported(&import)).await?;
                Ok(import)
            })
            .await
    }

    /// Takes back what an import added, and nothing that something else speaks for by now.
    pub async fn revert(&self, command: RevertImport) -> Result<(Import, Reverted), ImportError> {
        let attempt = self.journal.attempt(&command.requester, Act::RevertImport).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::RevertImport)?;
                let mut work = self.store.begin(&attempt).await?;
                work.accounts().take_turn(owner).await?;
                let mut import = work.imports().find(owner, command.import).await?.ok_or(ImportError::UnknownImport)?;
                attempt.upon(ResourceKind::Import, command.import.0);
                import.revert(self.clock.now())?;
                let statements = work.imports().statements(owner, import.id).await?;
                if statements.is_empty() {
                    let is_cleared = work.imports().is_cleared(owner, import.id).await?;
                    return Err(if is_cleared { ImportRefusal::Cleared } else { ImportRefusal::Untracked }.into());
                }
                let reverted = work.imports().take_back(&import).await?;
                recognition::put_back(work.as_mut(), &import, &statements).await?;
                self.put_stock_back(work.as_mut(), &import, &statements).await?;
                if !work.imports().settle(&import, &statements, ImportStatus::Committed).await? {
                    return Err(ImportRefusal::Reverted.into());
                }
                let Reverted { transactions: removed, restored, kept, .. } = reverted;
                work.succeed(Event::ImportReverted { import: import.id, user: owner, removed, restored, kept }).await?;
                Ok((import, reverted))
            })
            .await
    }

    /// Reads a file, and makes what is kept of its accounts: not their numbers, but what these are recognised by.
    async fn bring(&self, owner: UserId, command: BringStatement) -> Result<Brought, ImportError> {
        let target = command.account;
        let called = command.new_account.as_ref().filter(|_| target.is_none()).map(|account| name::read(&account.name));
        let hints = self.hints(owner, target, command.new_account, command.csv).await?;
        let (mut file, digest) = self.read(command.content, hints).await?;
        if file.csv.is_some() {
            called.transpose()?;
        }
        let now = self.clock.now();
        file.problems.extend(file.statements.iter_mut().filter_map(|statement| keep_from_ahead(statement, now)));
        let naming = Naming::of(&file.statements);
        let import = Import {
            id: ImportId(self.randomness.id()),
            user: owner,
            status: ImportStatus::Previewed,
            filename: naming.filename(&command.filename),
            digest,
            created_at: now,
            target,
            accounts_created: 0,
            transactions_created: 0,
            transactions_known: 0,
            transactions_updated: 0,
            transactions_doubtful: 0,
            problems: file.problems,
            csv: file.csv,
            expires_at: Some(now.plus(chrono::Duration::minutes(PREVIEW_MINUTES))),
            committed_at: None,
            reverted_at: None,
        };
        let slug = self.reader.manifest().slug;
        let known_by = |reference: &AccountReference| self.sealer.fingerprints(owner, slug, reference);
        let statement = |Statement { number, account, alike, formerly, together, period }: Statement| ImportStatement {
            number,
            account: None,
            is_new: false,
            recognition: Recognition {
                exactly: known_by(&account.reference),
                alike: alike.iter().flat_map(known_by).collect(),
                formerly: formerly.iter().flat_map(known_by).collect(),
                together: together.iter().flat_map(known_by).collect(),
            },
            institution: account.institution.as_deref().map(|name| naming.shown(name)),
            name: naming.shown(&account.name),
            kind: account.kind,
            masked_number: account.masked_number,
            currency: account.currency,
            balances: account.balances,
            period,
            holdings: account.holdings,
        };
        Ok(Brought { import, statements: file.statements.into_iter().map(statement).collect(), rows: Windows::over(file.rows) })
    }

    /// What is known of a file's rows before it is read.
    async fn hints(
        &self,
        owner: UserId,
        target: Option<AccountId>,
        new_account: Option<NamedAccount>,
        csv: CsvCorrection,
    ) -> Result<StatementHints, ImportError> {
        let today = Some(self.clock.now().day());
        let Some(target) = target else { return Ok(StatementHints { csv, account: new_account, currency: None, kind: None, today }) };
        let account = self.accounts.find_many(owner, &[target]).await?.pop().ok_or(ImportError::NotFound)?;
        Ok(StatementHints { csv, account: None, kind: Some(account.shown_kind()), currency: Some(account.currency), today })
    }

    /// Reads a file to its end, counting and hashing its bytes.
    async fn read(&self, content: Box<dyn Read + Send>, hints: StatementHints) -> Result<(StatementFile, Vec<u8>), ImportError> {
        let reader = self.reader.clone();
        tokio::task::spawn_blocking(move || {
            let mut input = BufReader::new(Hashing { inner: content.take(MAX_STATEMENT_BYTES + 1), digest: Sha256::new(), bytes: 0 });
            let parsed = reader.read(&mut input, &hints);
            while let Ok(rest @ 1..) = input.fill_buf().map(<[u8]>::len) {
                input.consume(rest);
            }
            let Hashing { digest, bytes, .. } = input.into_inner();
            if bytes > MAX_STATEMENT_BYTES {
                return Err(ImportError::TooLarge);
            }
            Ok((parsed?, digest.finalize().to_vec()))
        })
        .await
        .map_err(|stopped| ImportError::Unexpected(anyhow::Error::new(stopped).context("reading a statement file")))?
    }
}

/// Looks at imports. Whatever the role, only at one's own.
pub struct ImportQueries {
    /// What roles may do.
    pub access: Access,
    /// Where imports are kept.
    pub imports: Arc<dyn ImportReader>,
    /// The accounts they are of.
    pub accounts: Arc<dyn AccountReader>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl ImportQueries {
    /// The imports of a user: one's own, and none of anyone else.
    pub async fn page(&self, requester: &Requester, of: UserId, page: Page<CreatedKey>) -> Result<Slice<Import>, QueryError> {
        let Some(owner) = self.access.reader_of(requester, Resource::Transactions, of)? else { return Ok(Slice::none(&page)) };
        Ok(self.imports.page(owner, self.clock.now(), page).await?)
    }

    /// Those of `ids` that are one's own.
    pub async fn find_many(&self, requester: &Requester, ids: &[ImportId]) -> Result<Vec<Import>, QueryError> {
        let owner = self.access.reader(requester, Resource::Transactions)?;
        Ok(self.imports.find_many(owner, ids, self.clock.now()).await?)
    }

    /// The accounts that imports are of.
    pub async fn statements_of(&self, requester: &Requester, ids: &[ImportId]) -> Result<HashMap<ImportId, Vec<ImportStatement>>, QueryError> {
        let owner = self.access.reader(requester, Resource::Transactions)?;
        Ok(self.imports.statements_of(owner, ids).await?)
    }

    /// Rows of a preview behind a number, with the signs that their owner has given their accounts.
    pub async fn rows_of(
        &self,
        requester: &Requester,
        id: ImportId,
        outcome: Option<RowOutcome>,
        after: u32,
        limit: u32,
    ) -> Result<Vec<ImportRow>, QueryError> {
        let owner = self.access.reader(requester, Resource::Transactions)?;
        let mut rows = self.imports.rows_of(owner, id, outcome, after, limit).await?;
        let statements = self.imports.statements_of(owner, &[id]).await?.remove(&id).unwrap_or_default();
        let known: Vec<AccountId> = statements.iter().filter_map(|statement| statement.account).collect();
        let accounts = self.accounts.find_many(owner, &known).await?;
        for row in &mut rows {
            let account = statements.iter().find(|statement| statement.number == row.statement).and_then(|statement| statement.account);
            if let Some(account) = accounts.iter().find(|known| Some(known.id) == account) {
                row.row.facts = account.facts(&row.row.facts);
            }
        }
        Ok(rows)
    }
}

fn imported(import: &Import) -> Event {
    Event::StatementImported { import: import.id, user: import.user, created: import.transactions_created, known: import.transactions_known }
}

/// Rows by what they are found by when they are matched again.
fn chosen(rows: &[ImportRow], numbers: &[u32]) -> HashSet<(Option<u64>, String)> {
    let numbers: HashSet<u32> = numbers.iter().copied().collect();
    rows.iter().filter(|row| numbers.contains(&row.number)).map(|row| (row.row.line, row.name.clone())).collect()
}

/// The rows of a preview in the order in which they are matched.
fn in_order(mut rows: Vec<ImportRow>) -> Windows {
    rows.sort_by_key(|row| (row.statement, row.row.facts.posted_on, row.row.facts.amount, row.row.line));
    Windows::over(Box::new(rows.into_iter().map(|row| Ok((row.statement, row.row)))))
}

/// A balance of a time to come counts as one of now, so that later ones still take its place. Where a bank is it may be tomorrow already; what
/// is further ahead than that is told.
fn keep_from_ahead(statement: &mut Statement, now: Timestamp) -> Option<LineProblem> {
    let as_of = statement.account.balances.as_of.filter(|as_of| *as_of > now)?;
    statement.account.balances.as_of = Some(now);
    let message = || format!("the balance of an account is of {}, which has not come yet; it is taken for today's", as_of.day());
    (as_of.day() > now.day().plus_days(1)).then(|| LineProblem { line: 1, message: message() })
}

/// By line; of too many the first ones, and one that counts the others.
fn shorten(problems: &mut Vec<LineProblem>) {
    problems.sort_by_key(|problem| problem.line);
    if problems.len() > MAX_PROBLEMS + 1 {
        let others = problems.split_off(MAX_PROBLEMS);
        problems.extend(others.first().map(|first| LineProblem { line: first.line, message: format!("and {} more problems from here on", others.len()) }));
    }
}

struct Hashing<R> {
    inner: R,
    digest: Sha256,
    bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digest.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
