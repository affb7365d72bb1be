//! Imports: a statement file becomes accounts and transactions.
//!
//! The file is read once, away from the runtime's threads and before a transaction is opened; what it holds is then matched like any
//! feed, some days at a time, so the same file twice changes nothing and a long file needs no more memory than a short one. A row that
//! cannot be taken is named by its line and the others are.

mod windows;

use std::{
    io::{BufRead, BufReader, Read},
    sync::Arc,
};

use sha2::{Digest, Sha256};

use crate::domain::{
    account::{Account, AccountReader, Corrections},
    audit::Act,
    balance::BalanceSnapshot,
    card_number,
    csv::{CsvCorrection, CsvFormat, CsvQuestion, NamedAccount},
    event::Event,
    failure::Reason,
    id::{AccountId, ImportId, LinkId, UserId},
    import::{Import, LineProblem, MAX_STATEMENT_BYTES, Statement, StatementFile, UnreadableFile},
    link::{Link, LinkStatus},
    time::{Clock, Timestamp},
    transaction::Source,
};

use super::{
    access::{Access, Denied, Requester},
    audit::Journal,
    ingest::{Ingested, Reported, Taken, ingest},
    ports::{Randomness, Sealer, StatementHints, StatementReader, StatementRefusal, Store, Work},
};

use windows::Windows;

/// The most problems an import keeps and answers with, besides the one that counts the others.
pub const MAX_PROBLEMS: usize = 1000;

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
    /// The account that was named, or is known by its number, is in another currency.
    #[error("the account is in another currency than the file")]
    OtherCurrency,
    /// The target account is absent or someone else's.
    #[error("no such account")]
    NotFound,
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
            Self::OtherCurrency => "other_currency",
            Self::NotFound => "not_found",
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

/// A file to be taken in.
pub struct ImportStatement {
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

impl ImportCommands {
    /// Takes in a file: all of what can be read, in one commit.
    pub async fn import(&self, command: ImportStatement) -> Result<Import, ImportError> {
        let attempt = self.journal.attempt(&command.requester, Act::ImportStatement).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::ImportStatement)?;
                let hints = self.hints(owner, command.account, command.new_account, command.csv).await?;
                let (file, digest) = self.read(command.content, hints).await?;
                let now = self.clock.now();
                let mut import = Import {
                    id: ImportId(self.randomness.id()),
                    user: owner,
                    filename: last_part(&command.filename),
                    digest,
                    created_at: now,
                    accounts_created: 0,
                    transactions_created: 0,
                    transactions_known: 0,
                    problems: file.problems,
                    csv: file.csv,
                };
                let mut rows = Windows::over(file.rows);
                let mut work = self.store.begin(&attempt).await?;
                work.accounts().take_turn(owner).await?;
                if let Some(target) = command.account {
                    let [statement] = file.statements.as_slice() else { return Err(ImportError::SeveralAccounts) };
                    let account = work.accounts().find(owner, target).await?.ok_or(ImportError::NotFound)?;
                    self.rows_into(work.as_mut(), &account, statement, &mut rows, &mut import).await?;
                } else {
                    let mut link = self.statement_link(work.as_mut(), owner, now).await?;
                    let was_unlinked = link.status == LinkStatus::Unlinked;
                    let mut accounts = work.accounts().of_link(owner, link.id).await?;
                    for statement in &file.statements {
                        let account = self.account_of(work.as_mut(), link.id, &mut accounts, statement, &mut import).await?;
                        self.rows_into(work.as_mut(), &account, statement, &mut rows, &mut import).await?;
                    }
                    let has_news = import.accounts_created + import.transactions_created > 0;
                    if has_news {
                        link.synced_at = Some(now);
                    }
                    if was_unlinked {
                        link.reopen();
                    }
                    if has_news || was_unlinked {
                        work.links().save(&link).await?;
                    }
                }
                shorten(&mut import.problems);
                work.imports().insert(&import).await?;
                work.succeed(Event::StatementImported {
                    import: import.id,
                    user: owner,
                    created: import.transactions_created,
                    known: import.transactions_known,
                })
                .await?;
                Ok(import)
            })
            .await
    }

    /// What is known of a file's rows before it is read.
    async fn hints(
        &self,
        owner: UserId,
        target: Option<AccountId>,
        new_account: Option<NamedAccount>,
        csv: CsvCorrection,
    ) -> Result<StatementHints, ImportError> {
        let Some(target) = target else { return Ok(StatementHints { csv, account: new_account, currency: None }) };
        let account = self.accounts.find_many(owner, &[target]).await?.pop().ok_or(ImportError::NotFound)?;
        Ok(StatementHints { csv, account: None, currency: Some(account.currency) })
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

    /// The one link all of a user's files come in through.
    async fn statement_link(&self, work: &mut dyn Work, owner: UserId, now: Timestamp) -> anyhow::Result<Link> {
        let slug = self.reader.manifest().slug;
        if let Some(link) = work.links().find_open(owner, slug).await? {
            return Ok(link);
        }
        let link = Link::open(LinkId(self.randomness.id()), owner, slug, now);
        work.links().insert(&link).await?;
        Ok(link)
    }

    /// The account a statement is of, recognised by the keyed hash of its number, or a new one.
    async fn account_of(
        &self,
        work: &mut dyn Work,
        link: LinkId,
        accounts: &mut Vec<Account>,
        statement: &Statement,
        import: &mut Import,
    ) -> anyhow::Result<Account> {
        let reported = &statement.account;
        let fingerprints = self.sealer.fingerprints(import.user, self.reader.manifest().slug, &reported.reference);
        if let Some(account) = accounts.iter_mut().find(|account| fingerprints.contains(&account.fingerprint)) {
            // A file without a ledger balance says nothing of what the account holds.
            let has_news = reported.balances.current.is_some() && reported.balances.as_of > account.balances.as_of;
            if has_news {
                account.balances = account.corrections.balances(reported.balances);
            }
            // Under the current key from now on, so that an older one is needed no more once everything was reported.
            let is_renewed = fingerprints.first().is_some_and(|current| *current != account.fingerprint);
            if let Some(current) = fingerprints.into_iter().next() {
                account.fingerprint = current;
            }
            // It was closed when its files were unlinked.
            let is_back = !account.is_active;
            account.is_active = true;
            if has_news || is_renewed || is_back {
                work.accounts().save(account).await?;
            }
            if has_news {
                self.snapshot(work, account, import.created_at).await?;
            }
            return Ok(account.clone());
        }
        let fingerprint = fingerprints.into_iter().next().ok_or_else(|| anyhow::anyhow!("the key ring is empty"))?;
        let account = new_account(AccountId(self.randomness.id()), import.user, link, fingerprint, reported, import.created_at);
        work.accounts().insert(&account).await?;
        self.snapshot(work, &account, import.created_at).await?;
        import.accounts_created += 1;
        accounts.push(account.clone());
        Ok(account)
    }

    async fn snapshot(&self, work: &mut dyn Work, account: &Account, now: Timestamp) -> anyhow::Result<()> {
        work.snapshots().insert(&BalanceSnapshot { account: account.id, user: account.user, taken_at: now, balances: account.balances }).await
    }

    async fn rows_into(
        &self,
        work: &mut dyn Work,
        account: &Account,
        statement: &Statement,
        rows: &mut Windows,
        import: &mut Import,
    ) -> Result<(), ImportError> {
        if account.currency != statement.account.currency {
            return Err(ImportError::OtherCurrency);
        }
        let mut taken = Taken::default();
        loop {
            let window = rows.next_of(statement.number).await?;
            if window.is_empty() {
                return Ok(());
            }
            let reported = Reported { source: Source::File, period: statement.period, rows: &window };
            let Ingested { added, known, doubtful, .. } = ingest(work, account, reported, &mut taken, import.created_at, self.randomness.as_ref()).await?;
            import.transactions_created += added;
            import.transactions_known += known;
            import.problems.extend(doubtful.into_iter().map(|line| LineProblem {
                line,
                message: "this row looks like one that is stored already, but not enough to be sure; it was kept as a transaction of its own".to_owned(),
            }));
            shorten(&mut import.problems);
        }
    }
}

/// An account as it is first stored.
pub(super) fn new_account(
    id: AccountId,
    user: UserId,
    link: LinkId,
    fingerprint: crate::domain::account::AccountFingerprint,
    reported: &crate::domain::provider::ReportedAccount,
    now: Timestamp,
) -> Account {
    Account {
        id,
        user,
        link,
        fingerprint,
        institution: reported.institution.as_deref().map(card_number::cut),
        name: card_number::cut(&reported.name),
        kind: reported.kind,
        masked_number: reported.masked_number.clone(),
        currency: reported.currency.clone(),
        balances: reported.balances,
        is_active: reported.is_active,
        is_selected: true,
        corrections: Corrections::default(),
        created_at: now,
    }
}

/// By line; of too many the first ones, and one that counts the others.
fn shorten(problems: &mut Vec<LineProblem>) {
    problems.sort_by_key(|problem| problem.line);
    if problems.len() > MAX_PROBLEMS + 1 {
        let others = problems.split_off(MAX_PROBLEMS);
        problems.extend(others.first().map(|first| LineProblem { line: first.line, message: format!("and {} more problems from here on", others.len()) }));
    }
}

/// The file's name without folders of either kind, control characters and card numbers, at most 255 characters.
fn last_part(filename: &str) -> String {
    let last = filename.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String = last.chars().filter(|letter| !letter.is_control()).take(255).collect();
    card_number::cut(&visible)
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
