//! The days of a sync: which a stage fetches, and how far a run has come.

use std::collections::HashMap;

use crate::{
    application::{payload::Packed, ports::FinancialProvider},
    domain::{
        coverage::Spans,
        link::Link,
        matching::Waiting,
        provider::{ReportedAccount, ReportedTransaction},
        sync::SyncProblem,
        time::{LocalDate, Timestamp},
        transaction::{TransactionFacts, TransactionStatus},
    },
};

/// How many days the first stage of a first sync brings.
const RECENT_DAYS: i64 = 30;

/// How many days before the last sync the next one starts, since banks book late.
const OVERLAP_DAYS: i64 = 10;

/// Everything one stage fetched, before anything is written.
pub(super) struct Fetched {
    pub(super) accounts: Vec<FetchedAccount>,
    /// Whether no account is missing.
    pub(super) complete: bool,
    pub(super) from: LocalDate,
    pub(super) to: LocalDate,
    /// The last day that rows can be of: the bank's own, or one it dates rows ahead to, where that is later.
    pub(super) told_until: LocalDate,
    /// When the provider was asked.
    pub(super) at: Timestamp,
    /// Until when it wants to be left alone, as it said beside its answers.
    pub(super) rests_until: Option<Timestamp>,
    /// Whether it wants its user to sign in there.
    pub(super) needs_user: bool,
    /// What it answered, to be kept.
    pub(super) packed: Option<Packed>,
}

/// What one stage fetched of one account, from its own first day.
pub(super) struct FetchedAccount {
    pub(super) account: ReportedAccount,
    pub(super) rows: Vec<ReportedTransaction>,
    pub(super) refused: u32,
    /// The ids of those that have one.
    pub(super) refused_ids: Vec<String>,
    /// Every name each of those is or was stored under.
    pub(super) unread: Vec<Vec<String>>,
    /// Whether it answered for all of the days.
    pub(super) answered: bool,
    /// Whether what was said of the account itself is news.
    pub(super) has_news: bool,
    /// Whether it told of everything that is pending, whatever its day.
    pub(super) all_pending: bool,
    pub(super) from: LocalDate,
}

/// How far one run has come. Days that some account did not answer for are behind the run and not behind the link, so that the next run
/// asks for them again, while what the others have is not held up.
#[derive(Clone, Copy, Default)]
pub(super) struct Progress {
    /// The days this run need not fetch any more; those of the link until its first stage is written.
    pub(super) reached: Option<(LocalDate, LocalDate)>,
    /// Whether there are accounts that did not answer for some of these days.
    pub(super) has_gaps: bool,
    /// What a success has to tell.
    pub(super) left_out: Option<SyncProblem>,
}

impl Progress {
    pub(super) fn reached(&self, link: &Link) -> Option<(LocalDate, LocalDate)> {
        self.reached.or(link.covered_from.zip(link.covered_to))
    }

    /// After one more stage. Both spans touch, or it is the first.
    pub(super) fn after(mut self, link: &Link, fetched: &Fetched, is_someone_missing: bool, is_in_other_currency: bool) -> Self {
        let (from, to) = self.reached(link).unwrap_or((fetched.from, fetched.to));
        self.reached = Some((from.min(fetched.from), to.max(fetched.to)));
        let is_someone_silent = is_someone_missing || fetched.accounts.iter().any(|account| !account.answered);
        self.has_gaps |= is_someone_silent || is_in_other_currency;
        let has_unread = fetched.accounts.iter().any(|account| account.refused > 0 || !account.account.unread_holdings.is_empty());
        let found = [
            (SyncProblem::SignInNeeded, fetched.needs_user && (is_someone_silent || !fetched.complete)),
            (SyncProblem::AccountsUnanswered, is_someone_silent || !fetched.complete),
            (SyncProblem::CurrencyChanged, is_in_other_currency),
            (SyncProblem::RowsRefused, has_unread),
        ];
        let before = self.left_out;
        self.left_out = found.into_iter().find(|(problem, is_found)| *is_found || before == Some(*problem)).map(|(problem, _)| problem);
        self
    }
}

/// The first day to ask an account for that lacks some which the others of its link have: one that joined later, is back, or did not answer
/// then. `None` when it lacks none.
pub(super) fn catching_up(link: &Link, has: &Spans) -> Option<LocalDate> {
    let covered = link.covered_from.zip(link.covered_to)?;
    let (first, _) = Spans::missing(covered, has).first().copied()?;
    Some(first.plus_days(-OVERLAP_DAYS).max(covered.0))
}

impl FetchedAccount {
    /// One that told nothing of its days.
    pub(super) fn silent(account: ReportedAccount, from: LocalDate) -> Self {
        let (rows, refused_ids, unread) = (Vec::new(), Vec::new(), Vec::new());
        Self { account, rows, refused: 0, refused_ids, unread, answered: false, has_news: true, all_pending: false, from }
    }

    /// Which pending rows are gone that it did not tell of. Days that end before the present one do not tell what has become of a row that waited.
    pub(super) fn waiting(&self, to: LocalDate, today: LocalDate) -> Waiting {
        if self.all_pending && to >= today { Waiting::All } else { Waiting::OfItsDays }
    }
}

/// Rows of one account, page by page, each once. A bank whose pages shift while they are read repeats rows, and the last word counts; two of one id that
/// stand on one page, or differ in day and amount, are two. What is booked does not wait beside itself.
#[derive(Default)]
pub(super) struct Pages {
    /// Each with the number of the page that told it last.
    rows: Vec<(usize, ReportedTransaction)>,
    places: HashMap<String, Vec<usize>>,
    read: usize,
}

impl Pages {
    /// One more page.
    pub(super) fn add(&mut self, page: Vec<ReportedTransaction>) {
        self.read += 1;
        for row in page {
            self.add_row(row);
        }
    }

    fn add_row(&mut self, row: ReportedTransaction) {
        let Some(reference) = row.reference.clone() else { return self.rows.push((self.read, row)) };
        let (rows, read) = (&mut self.rows, self.read);
        let named = self.places.entry(reference).or_default();
        let find = |is_it: &dyn Fn(usize, &TransactionFacts) -> bool| named.iter().copied().find(|place| is_it(rows[*place].0, &rows[*place].1.facts));
        let waits = |facts: &TransactionFacts| facts.status == TransactionStatus::Pending;
        let beside_itself = find(&|page, known| page == read && waits(known) != waits(&row.facts));
        if beside_itself.is_some() && waits(&row.facts) {
            return;
        }
        let repeated = || find(&|_, known| (known.posted_on, known.amount) == (row.facts.posted_on, row.facts.amount));
        let corrected = || find(&|page, known| page < read && !row.is_apart_from(known));
        if let Some(place) = beside_itself.or_else(repeated).or_else(corrected) {
            rows[place] = (read, row);
            return;
        }
        if !named.is_empty() {
            tracing::warn!("a provider calls several transactions by one id; each is kept");
        }
        named.push(rows.len());
        rows.push((read, row));
    }

    /// All of them.
    pub(super) fn rows(self) -> Vec<ReportedTransaction> {
        self.rows.into_iter().map(|(_, row)| row).collect()
    }
}

/// Rows whose pages are not known, each once.
pub(in crate::application) fn once_each(rows: Vec<ReportedTransaction>) -> Vec<ReportedTransaction> {
    let mut pages = Pages::default();
    for row in rows {
        pages.add(vec![row]);
    }
    pages.rows()
}

/// The days the next stage fetches: the recent ones first, unless this sync has them, so that history which cannot be had does not hold up what
/// is new; then everything before them.
pub(super) fn window(reached: Option<(LocalDate, LocalDate)>, has_recent: bool, provider: &dyn FinancialProvider, today: LocalDate) -> (LocalDate, LocalDate) {
    let start = provider.manifest().history_start(today);
    match reached {
        Some((from, to)) if from <= start || to < today || !has_recent => (to.plus_days(-OVERLAP_DAYS).max(start), today),
        Some((from, _)) => (start, from.plus_days(-1)),
        None => (today.plus_days(-RECENT_DAYS).max(start), today),
    }
}
