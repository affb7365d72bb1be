//! One batch: what a file holds is matched with what is there, and written or only looked at.

use anyhow::Context as _;

use crate::{
    application::{
        ingest::{Doubts, Ingested, Reported, Taken, assess, ingest_but},
        ports::Work,
    },
    domain::{
        account::{Account, AccountFingerprint, Corrections},
        balance::{BalanceSnapshot, Balances},
        card_number,
        coverage::CoverageSource,
        id::{AccountId, LinkId, UserId},
        import::{Import, ImportRow, ImportStatement, LineProblem, MAX_PREVIEW_ROWS, RowOutcome},
        link::{Link, LinkStatus},
        matching::Match,
        provider::{AccountReference, ReportedAccount},
        time::Timestamp,
        transaction::Source,
    },
};

use super::{
    FoundBy, ImportCommands, ImportError,
    recognition::{self, Found},
    shorten,
    windows::Windows,
};

impl ImportCommands {
    /// Writes everything a file holds, but for doubtful rows that are left out.
    pub(super) async fn take_in(
        &self,
        work: &mut dyn Work,
        import: &mut Import,
        statements: &mut [ImportStatement],
        rows: &mut Windows,
        doubts: &Doubts,
    ) -> Result<(), ImportError> {
        let (owner, now) = (import.user, import.committed_at.context("a batch has no time")?);
        (import.accounts_created, import.transactions_created, import.transactions_known) = (0, 0, 0);
        (import.transactions_updated, import.transactions_doubtful) = (0, 0);
        if let Some(target) = import.target {
            let [statement] = statements else { return Err(ImportError::SeveralAccounts) };
            let mut account = work.accounts().find(owner, target).await?.ok_or(ImportError::NotFound)?;
            (statement.account, statement.is_new) = (Some(target), false);
            let has_rows = self.rows_into(work, &account, statement, rows, import, doubts).await?;
            // An account that a bank tells of holds what the bank says.
            let link = work.links().find(owner, account.link).await?.filter(|link| link.provider == self.reader.manifest().slug);
            if link.is_some() {
                let fingerprint = account.fingerprint.clone();
                self.renew(work, &mut account, fingerprint, statement, import, has_rows).await?;
            }
            self.cover(work, &account, statement, import, has_rows).await?;
            if let Some(link) = link {
                keep_link(work, link, import, now).await?;
            }
        } else {
            let link = self.statement_link(work, owner, now).await?;
            let mut accounts = work.accounts().of_link(owner, link.id).await?;
            for statement in statements {
                let (mut account, known_as) = self.account_of(work, link.id, &mut accounts, statement, import).await?;
                let has_rows = self.rows_into(work, &account, statement, rows, import, doubts).await?;
                if let Some(fingerprint) = known_as {
                    self.renew(work, &mut account, fingerprint, statement, import, has_rows).await?;
                }
                self.cover(work, &account, statement, import, has_rows).await?;
            }
            keep_link(work, link, import, now).await?;
        }
        shorten(&mut import.problems);
        Ok(())
    }

    /// What each row of a file is, and what would come in. Writes nothing.
    pub(super) async fn assess_all(
        &self,
        work: &mut dyn Work,
        import: &mut Import,
        statements: &mut [ImportStatement],
        rows: &mut Windows,
    ) -> Result<Vec<ImportRow>, ImportError> {
        let owner = import.user;
        if import.target.is_some() && statements.len() != 1 {
            return Err(ImportError::SeveralAccounts);
        }
        let link = work.links().find_open(owner, self.reader.manifest().slug).await?;
        let accounts = match link {
            Some(link) => work.accounts().of_link(owner, link.id).await?,
            None => Vec::new(),
        };
        let mut kept = Vec::new();
        for statement in statements {
            let account = match import.target {
                Some(target) => Some(work.accounts().find(owner, target).await?.ok_or(ImportError::NotFound)?),
                None => match recognition::find(work, import, &statement.recognition, &accounts).await? {
                    Found::Itself(id) | Found::ByName(id) => accounts.iter().find(|account| account.id == id).cloned(),
                    Found::Nowhere => None,
                },
            };
            if account.as_ref().is_some_and(|account| account.currency != statement.currency) {
                return Err(other_currency(import));
            }
            (statement.account, statement.is_new) = (account.as_ref().map(|account| account.id), account.is_none());
            import.accounts_created += u32::from(statement.is_new);
            let mut taken = Taken::default();
            loop {
                let window = rows.next_of(statement.number).await?;
                if window.is_empty() {
                    break;
                }
                if kept.len() + window.len() > MAX_PREVIEW_ROWS {
                    return Err(ImportError::TooLongForPreview);
                }
                let reported = Reported { source: Source::File, period: statement.period, rows: &window, unread: &[] };
                let Some(assessed) = assess(work, account.as_ref(), &reported, &mut taken).await? else { break };
                for (row, (name, found)) in window.iter().zip(&assessed.rows) {
                    let (outcome, resembles) = match found {
                        Match::New => (RowOutcome::New, None),
                        Match::Known(id) if assessed.updates(*id, row, Source::File) => (RowOutcome::Updated, Some(*id)),
                        Match::Known(id) => (RowOutcome::Known, Some(*id)),
                        Match::Doubtful(id) => (RowOutcome::Doubtful, Some(*id)),
                    };
                    count(import, outcome);
                    let number = u32::try_from(kept.len() + 1).unwrap_or(u32::MAX);
                    let row = row.clone();
                    kept.push(ImportRow { import: import.id, number, statement: statement.number, row, name: name.clone(), outcome, resembles });
                }
            }
        }
        shorten(&mut import.problems);
        Ok(kept)
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

    /// The account a statement is of, with what it is recognised by from now on; or a new one.
    async fn account_of(
        &self,
        work: &mut dyn Work,
        link: LinkId,
        accounts: &mut Vec<Account>,
        statement: &mut ImportStatement,
        import: &mut Import,
    ) -> Result<(Account, Option<AccountFingerprint>), ImportError> {
        let now = import.committed_at.context("a batch has no time")?;
        let current = statement.recognition.exactly.first().cloned().context("the key ring is empty")?;
        let (found, is_told_exactly) = match recognition::find(work, import, &statement.recognition, accounts).await? {
            Found::Itself(id) => (Some(id), true),
            Found::ByName(id) => (Some(id), false),
            Found::Nowhere => (None, true),
        };
        if let Some(account) = accounts.iter().find(|account| Some(account.id) == found) {
            (statement.account, statement.is_new) = (Some(account.id), false);
            // Under the current key and all that is told of it, so that an older key is needed no more once everything was reported.
            let known_as = if is_told_exactly { current } else { account.fingerprint.clone() };
            return Ok((account.clone(), Some(known_as)));
        }
        let account = new_account(AccountId(self.randomness.id()), import.user, link, current, &reported(statement), now);
        work.accounts().insert(&account).await?;
        if account.balances.current.is_some() {
            tell(work, &account, account.balances, import, true).await?;
        }
        (statement.account, statement.is_new) = (Some(account.id), true);
        import.accounts_created += 1;
        accounts.push(account.clone());
        self.stock(work, &account, statement, import, None).await?;
        Ok((account, None))
    }

    /// What a file says of an account of files that is there: that it is, what it holds or held, and its positions.
    async fn renew(
        &self,
        work: &mut dyn Work,
        account: &mut Account,
        fingerprint: AccountFingerprint,
        statement: &ImportStatement,
        import: &Import,
        has_rows: bool,
    ) -> anyhow::Result<()> {
        let now = import.committed_at.context("a batch has no time")?;
        // A debt is written with either sign, and no table tells with which.
        let is_told = import.csv.is_none() || !account.shown_kind().is_liability();
        let (known, told) = (account.balances, if is_told { account.corrections.balances(statement.balances) } else { Balances::default() });
        // One of a day that has not come was taken for one of the time it was brought at, and is no news when it is brought again.
        let is_no_news = told.as_of == Some(import.created_at) && told.equals(&known);
        let is_dated = told.current.is_some() && told.as_of.is_some() && !is_no_news;
        let is_first_told = is_dated && tell(work, account, told, import, has_rows).await?;
        let has_news = !is_no_news && known.gives_way_to(&told, is_first_told, now);
        if has_news {
            account.balances = told;
        }
        let is_renewed = fingerprint != account.fingerprint;
        account.fingerprint = fingerprint;
        // It was closed when its files were unlinked.
        let is_back = !account.is_active;
        account.is_active = true;
        if has_news || is_renewed || is_back {
            work.accounts().save(account).await?;
        }
        self.stock(work, account, statement, import, known.known_at(now)).await
    }

    /// The days that the file says it tells all of, as far as they have come; and that the account has something new, if it has.
    async fn cover(&self, work: &mut dyn Work, account: &Account, statement: &ImportStatement, import: &Import, has_rows: bool) -> Result<(), ImportError> {
        let now = import.committed_at.context("a batch has no time")?;
        if let Some((from, to)) = statement.period {
            // It is tomorrow already where a bank may be.
            let to = to.min(now.day().plus_days(1));
            work.coverages().cover(account, CoverageSource::File(import.id), (from, to)).await?;
        }
        if (statement.is_new || has_rows) && is_of_files(work, account, self.reader.manifest().slug).await? {
            work.coverages().synced(account, now).await?;
        }
        Ok(())
    }

    /// Takes in the rows of a statement; whether any of them is new.
    async fn rows_into(
        &self,
        work: &mut dyn Work,
        account: &Account,
        statement: &ImportStatement,
        rows: &mut Windows,
        import: &mut Import,
        doubts: &Doubts,
    ) -> Result<bool, ImportError> {
        if account.currency != statement.currency {
            return Err(other_currency(import));
        }
        let now = import.committed_at.context("a batch has no time")?;
        let mut taken = Taken::default();
        let before = import.transactions_created;
        loop {
            let window = rows.next_of(statement.number).await?;
            if window.is_empty() {
                return Ok(import.transactions_created > before);
            }
            let reported = Reported { source: Source::File, period: statement.period, rows: &window, unread: &[] };
            let done = ingest_but(work, account, reported, &mut taken, doubts, (now, self.randomness.as_ref())).await?;
            let Ingested { added, modified, known, doubtful, batch, .. } = done;
            work.imports().note_batch(import.user, import.id, &batch).await?;
            import.transactions_created += added;
            import.transactions_known += known;
            import.transactions_updated += modified;
            import.transactions_doubtful += u32::try_from(doubtful.len()).unwrap_or(u32::MAX);
            let became = |is_taken| if is_taken { "it was kept as a transaction of its own" } else { "it was left out" };
            import.problems.extend(doubtful.into_iter().map(|(line, is_taken)| LineProblem {
                line,
                message: format!("this row looks like one that is stored already, but not enough to be sure; {}", became(is_taken)),
            }));
            shorten(&mut import.problems);
        }
    }
}

/// Whether an account is fed by files alone.
pub(super) async fn is_of_files(work: &mut dyn Work, account: &Account, slug: &str) -> anyhow::Result<bool> {
    Ok(work.links().find(account.user, account.link).await?.is_some_and(|link| link.provider == slug))
}

/// A file has come in through a link, which opens again with it.
async fn keep_link(work: &mut dyn Work, mut link: Link, import: &Import, now: Timestamp) -> anyhow::Result<()> {
    let (has_news, was_unlinked) = (import.accounts_created + import.transactions_created > 0, link.status == LinkStatus::Unlinked);
    if has_news {
        link.synced_at = Some(now);
    }
    if was_unlinked {
        link.reopen();
    }
    if has_news || was_unlinked { work.links().save(&link).await } else { Ok(()) }
}

/// What an account held at the instant a statement is of; where it does not say, when it was brought. `false` when that was told before, which
/// it is not by a file with rows that are new.
async fn tell(work: &mut dyn Work, account: &Account, balances: Balances, import: &Import, has_rows: bool) -> anyhow::Result<bool> {
    let taken_at = balances.as_of.or(import.committed_at).context("a batch has no time")?;
    let snapshot = BalanceSnapshot { account: account.id, user: account.user, taken_at, balances };
    work.snapshots().tell(&snapshot, import.id, has_rows).await
}

/// A file and its account do not go together.
fn other_currency(import: &Import) -> ImportError {
    ImportError::OtherCurrency(match (import.target, &import.csv) {
        (Some(_), _) => FoundBy::Id,
        (None, Some(_)) => FoundBy::Name,
        (None, None) => FoundBy::Number,
    })
}

fn count(import: &mut Import, outcome: RowOutcome) {
    match outcome {
        RowOutcome::New => import.transactions_created += 1,
        RowOutcome::Known => import.transactions_known += 1,
        RowOutcome::Updated => {
            import.transactions_known += 1;
            import.transactions_updated += 1;
        }
        RowOutcome::Doubtful => import.transactions_doubtful += 1,
    }
}

/// A statement as the file reported it, without the number that was not kept.
fn reported(statement: &ImportStatement) -> ReportedAccount {
    ReportedAccount {
        reference: AccountReference::new(""),
        institution: statement.institution.clone(),
        name: statement.name.clone(),
        kind: statement.kind,
        masked_number: statement.masked_number.clone(),
        currency: statement.currency.clone(),
        balances: statement.balances,
        is_active: true,
        holdings: None,
        unread_holdings: Vec::new(),
    }
}

/// An account as it is first stored.
pub(in crate::application) fn new_account(
    id: AccountId,
    user: UserId,
    link: LinkId,
    fingerprint: AccountFingerprint,
    reported: &ReportedAccount,
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
        synced_at: None,
        corrections: Corrections::default(),
        created_at: now,
    }
}
