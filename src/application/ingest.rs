//! Ingesting: what a feed or a file reported of one account becomes stored transactions, inside a unit of work that somebody else
//! opened and will settle.

use std::collections::HashMap;

use crate::domain::{
    account::Account,
    id::TransactionId,
    matching::{self, Match, Period},
    provider::ReportedTransaction,
    time::{LocalDate, Timestamp},
    transaction::{Source, Transaction, TransactionStatus},
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
    /// Lines of rows that were kept as new and look much like a stored one.
    pub doubtful: Vec<u64>,
}

/// Matches and writes. A file adds rows and never changes what a feed said. What is reported in several parts, ordered by day, comes with
/// what the parts before were `taken` for.
pub async fn ingest(
    work: &mut dyn Work,
    account: &Account,
    reported: Reported<'_>,
    taken: &mut Taken,
    now: Timestamp,
    randomness: &dyn Randomness,
) -> anyhow::Result<Ingested> {
    let Reported { source, period, rows } = reported;
    // A feed says by silence, too, so everything of its days is looked at; a file only says what it says.
    let vouched = period.filter(|_| source == Source::Feed);
    let days = || rows.iter().map(|row| row.facts.posted_on).chain(vouched.iter().flat_map(|(from, to)| [*from, *to]));
    let (Some(first), Some(last)) = (days().min(), days().max()) else { return Ok(Ingested::default()) };
    taken.forget_before(first);
    let mut names = matching::references(rows);
    names.extend(rows.iter().filter_map(|row| row.replaces.clone()));
    let (from, to) = (first.plus_days(-MARGIN_DAYS), last.plus_days(MARGIN_DAYS));
    let mut known = work.transactions().known(account.user, account.id, from, to, source, &names).await?;
    known.retain(|row| !taken.0.contains_key(&row.id));
    // Compared as the source has it, since rows without a name go by what they say; stored from the owner's view.
    for row in &mut known {
        row.facts.amount = account.corrections.amount(row.facts.amount);
    }
    let plan = matching::plan(&known, rows, source, period);
    let by_id: HashMap<TransactionId, _> = known.iter().map(|row| (row.id, row)).collect();
    let mut done = Ingested::default();
    let mut new = Vec::new();
    for (row, (name, found)) in rows.iter().zip(plan.rows) {
        if let Match::Known(id) = found {
            let Some(stored) = by_id.get(&id) else { continue };
            done.known += 1;
            taken.0.insert(id, stored.facts.posted_on.max(row.facts.posted_on));
            if !stored.references.iter().any(|(at, stored_name)| *at == source && *stored_name == name) {
                work.transactions().add_reference(account.user, account.id, id, source, &name).await?;
            }
            let by_file_alone = stored.references.iter().all(|(at, _)| *at == Source::File);
            let unbooks = stored.facts.status == TransactionStatus::Posted && row.facts.status == TransactionStatus::Pending;
            if (source == Source::Feed || by_file_alone && !unbooks) && (stored.facts != row.facts || stored.removed) {
                work.transactions().update(account.user, id, &account.corrections.facts(&row.facts), now).await?;
                done.modified += 1;
            }
            continue;
        }
        if matches!(found, Match::Doubtful(_)) {
            done.doubtful.push(row.line.unwrap_or_default());
        }
        let transaction = Transaction {
            id: TransactionId(randomness.id()),
            user: account.user,
            account: account.id,
            currency: account.currency.clone(),
            facts: account.corrections.facts(&row.facts),
            created_at: now,
        };
        taken.0.insert(transaction.id, row.facts.posted_on);
        new.push((transaction, source, name));
    }
    done.added = count(new.len());
    work.transactions().insert(&new).await?;
    for id in &plan.withdrawn {
        work.transactions().withdraw(account.user, *id, now).await?;
    }
    done.removed = count(plan.withdrawn.len());
    Ok(done)
}

fn count(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}
