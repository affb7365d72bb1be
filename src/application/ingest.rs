//! Ingesting: what a feed or a file reported of one account becomes stored transactions, inside a unit of work that somebody else
//! opened and will settle.

use std::collections::{HashMap, HashSet};

use crate::domain::{
    account::Account,
    id::TransactionId,
    import::Batched,
    matching::{self, Match, Period, Plan, Waiting},
    provider::ReportedTransaction,
    time::{LocalDate, Timestamp},
    transaction::{KnownTransaction, Source, Transaction, TransactionFacts, TransactionStatus},
};

use super::ports::{Randomness, Work};

/// How far beyond the reported days stored rows are looked at, since pending rows and other sources may be some days off.
const MARGIN_DAYS: i64 = 10;

/// What was reported of one account.
pub struct Reported<'a> {
    /// By whom.
    pub source: Source,
    /// The days for which every row was reported.
    pub period: Option<Period>,
    /// The rows.
    pub rows: &'a [ReportedTransaction],
    /// Every name of each of the others that were reported and could not be read.
    pub unread: &'a [Vec<String>],
}

/// What earlier parts of the same report were found to be, and their days: stored rows that are spoken for.
#[derive(Debug, Default)]
pub struct Taken(HashMap<TransactionId, LocalDate>);

impl Taken {
    /// Forgets what no row of `first` or later comes near.
    fn forget_before(&mut self, first: LocalDate) {
        self.0.retain(|_, day| *day >= first.plus_days(-MARGIN_DAYS));
    }
}

/// Which doubtful rows are taken, as transactions of their own.
#[derive(Debug, Default)]
pub enum Doubts {
    /// All of them.
    #[default]
    Taken,
    /// None but these, by line and name.
    LeftOutBut(HashSet<(Option<u64>, String)>),
}

impl Doubts {
    fn takes(&self, row: &ReportedTransaction, name: &str) -> bool {
        match self {
            Self::Taken => true,
            Self::LeftOutBut(chosen) => chosen.contains(&(row.line, name.to_owned())),
        }
    }
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Ingested {
    /// New transactions.
    pub added: u32,
    /// Known transactions that changed.
    pub modified: u32,
    /// Transactions the feed withdrew.
    pub removed: u32,
    /// Reported rows that were known before, changed or not.
    pub known: u32,
    /// Lines of rows that look much like a stored one, and whether each was taken nevertheless.
    pub doubtful: Vec<(u64, bool)>,
    /// Each transaction that was added or found.
    pub batch: Vec<Batched>,
}

/// What rows were found to be, before anything is written.
pub struct Assessment {
    /// For each row, in order: the name it goes by, and what it is.
    pub rows: Vec<(String, Match)>,
    /// The stored rows that they were compared with.
    pub known: HashMap<TransactionId, KnownTransaction>,
    /// Stored rows their feed stopped reporting.
    pub withdrawn: Vec<TransactionId>,
    /// The account, if it is there.
    account: Option<Account>,
}

impl Assessment {
    /// Whether what `source` says now of a known row is to be stored. A file adds rows and never changes what a feed said, nor makes what is booked
    /// pending again.
    pub fn updates(&self, id: TransactionId, row: &ReportedTransaction, source: Source) -> bool {
        let Some(stored) = self.known.get(&id) else { return false };
        let by_file_alone = stored.references.iter().all(|(at, _)| *at == Source::File);
        let unbooks = stored.facts.status == TransactionStatus::Posted && row.facts.status == TransactionStatus::Pending;
        let may_correct = matching::may_correct(row, &stored.facts);
        let has_news = stored.removed || self.shown(&stored.facts) != self.shown(&row.facts);
        (source == Source::Feed || by_file_alone && !unbooks && may_correct) && has_news
    }

    /// A row from its owner's view, since what it is called there need not be what it is called at its source.
    fn shown(&self, facts: &TransactionFacts) -> TransactionFacts {
        self.account.as_ref().map_or_else(|| facts.clone(), |account| account.facts(facts))
    }
}

/// Matches, and writes nothing. `account` is `None` for one that is not there yet. What is reported in several parts, ordered by day, comes with
/// what the parts before were `taken` for.
pub async fn assess(work: &mut dyn Work, account: Option<&Account>, reported: &Reported<'_>, taken: &mut Taken) -> anyhow::Result<Option<Assessment>> {
    compare(work, account, reported, Waiting::OfItsDays, taken).await
}

async fn compare(
    work: &mut dyn Work,
    account: Option<&Account>,
    reported: &Reported<'_>,
    waiting: Waiting,
    taken: &mut Taken,
) -> anyhow::Result<Option<Assessment>> {
    let Reported { source, period, rows, unread } = *reported;
    // A feed says by silence, too, so everything of its days is looked at; a file only says what it says.
    let vouched = period.filter(|_| source == Source::Feed);
    let days = || rows.iter().map(|row| row.facts.posted_on).chain(vouched.iter().flat_map(|(from, to)| [*from, *to]));
    let (Some(first), Some(last)) = (days().min(), days().max()) else { return Ok(None) };
    taken.forget_before(first);
    let mut names = matching::references(rows);
    names.extend(rows.iter().flat_map(|row| row.replaces.iter().cloned()));
    names.extend(unread.iter().flatten().cloned());
    let (from, to) = (first.plus_days(-MARGIN_DAYS), last.plus_days(MARGIN_DAYS));
    let mut known = match account {
        Some(account) => work.transactions().known(account.user, account.id, from, to, source, &names).await?,
        None => Vec::new(),
    };
    known.retain(|row| !taken.0.contains_key(&row.id));
    // Compared as the source has it, since rows without a name go by what they say; stored from the owner's view.
    if let Some(account) = account.filter(|account| account.corrections.is_inverted) {
        for row in &mut known {
            row.facts = account.facts(&row.facts);
        }
    }
    let is_whole = set_aside(&mut known, unread, source);
    let Plan { rows: found, mut withdrawn } = matching::plan(&known, rows, source, period.filter(|_| is_whole), waiting);
    if let Some(days) = vouched.filter(|_| !is_whole) {
        withdrawn = matching::overdue(&known, &found, days, waiting);
    }
    let known: HashMap<TransactionId, KnownTransaction> = known.into_iter().map(|row| (row.id, row)).collect();
    for (row, (_, found)) in rows.iter().zip(&found) {
        if let Match::Known(id) = found {
            let stored = known.get(id).map_or(row.facts.posted_on, |known| known.facts.posted_on);
            taken.0.insert(*id, stored.max(row.facts.posted_on));
        }
    }
    Ok(Some(Assessment { rows: found, known, withdrawn, account: account.cloned() }))
}

/// Takes the stored rows away that were reported and could not be read: they are there, and are nothing else that was reported. Answers whether
/// that is all of them. One that is not stored may be what has become of any that is missing.
fn set_aside(known: &mut Vec<KnownTransaction>, unread: &[Vec<String>], source: Source) -> bool {
    let mut all_are_stored = true;
    for names in unread {
        let before = known.len();
        known.retain(|row| !row.references.iter().any(|(at, name)| *at == source && names.contains(name)));
        all_are_stored &= known.len() < before;
    }
    all_are_stored
}

/// Matches and writes what a feed reported, which told of these of the rows that wait.
pub async fn ingest(
    work: &mut dyn Work,
    account: &Account,
    reported: Reported<'_>,
    waiting: Waiting,
    now: Timestamp,
    randomness: &dyn Randomness,
) -> anyhow::Result<Ingested> {
    let mut taken = Taken::default();
    let assessed = compare(work, Some(account), &reported, waiting, &mut taken).await?;
    write(work, account, reported, assessed, &mut taken, &Doubts::Taken, (now, randomness)).await
}

/// Matches and writes, but for doubtful rows that are to be left out.
pub async fn ingest_but(
    work: &mut dyn Work,
    account: &Account,
    reported: Reported<'_>,
    taken: &mut Taken,
    doubts: &Doubts,
    (now, randomness): (Timestamp, &dyn Randomness),
) -> anyhow::Result<Ingested> {
    let assessed = assess(work, Some(account), &reported, taken).await?;
    write(work, account, reported, assessed, taken, doubts, (now, randomness)).await
}

async fn write(
    work: &mut dyn Work,
    account: &Account,
    reported: Reported<'_>,
    assessed: Option<Assessment>,
    taken: &mut Taken,
    doubts: &Doubts,
    (now, randomness): (Timestamp, &dyn Randomness),
) -> anyhow::Result<Ingested> {
    let Some(mut assessed) = assessed else { return Ok(Ingested::default()) };
    let Reported { source, rows, .. } = reported;
    let (mut done, mut new) = (Ingested::default(), Vec::new());
    for (row, (name, found)) in rows.iter().zip(std::mem::take(&mut assessed.rows)) {
        if let Match::Known(id) = found {
            let Some(stored) = assessed.known.get(&id) else { continue };
            done.known += 1;
            let is_named = stored.references.iter().any(|(at, stored_name)| *at == source && *stored_name == name);
            if !is_named {
                work.transactions().add_reference(account.user, account.id, id, source, &name).await?;
            }
            let before = assessed.updates(id, row, source).then(|| stored.facts.clone());
            if before.is_some() {
                work.transactions().update(account.user, id, &account.facts(&row.facts), now).await?;
                done.modified += 1;
            }
            done.batch.push(Batched { transaction: id, is_added: false, reference: (!is_named).then_some(name), before });
            continue;
        }
        if matches!(found, Match::Doubtful(_)) {
            let is_taken = doubts.takes(row, &name);
            done.doubtful.push((row.line.unwrap_or_default(), is_taken));
            if !is_taken {
                continue;
            }
        }
        let transaction = Transaction {
            id: TransactionId(randomness.id()),
            user: account.user,
            account: account.id,
            currency: account.currency.clone(),
            facts: account.facts(&row.facts),
            created_at: now,
        };
        taken.0.insert(transaction.id, row.facts.posted_on);
        done.batch.push(Batched { transaction: transaction.id, is_added: true, reference: None, before: None });
        new.push((transaction, source, name));
    }
    done.added = count(new.len());
    work.transactions().insert(&new).await?;
    for id in &assessed.withdrawn {
        work.transactions().withdraw(account.user, *id, now).await?;
    }
    done.removed = count(assessed.withdrawn.len());
    Ok(done)
}

fn count(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}
