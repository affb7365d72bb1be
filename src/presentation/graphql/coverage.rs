//! Coverage and freshness in the graph: how much of an account or a link is here, why no more, and how recent it is.

use async_graphql::{Enum, SimpleObject};

use crate::{
    application::{access::Resource, coverage::AccountCoverage},
    domain::{coverage, link, matching::Period},
};

use super::{
    guard::Allow,
    scalar::{DateTime, LocalDate},
};

/// The most gaps that are told.
const MOST_GAPS: usize = 20;

/// How recent data is.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "link::Freshness")]
pub enum FreshnessState {
    /// Nothing was brought in yet.
    Never,
    /// As recent as the provider lets expect: within a day for banks, within 35 days for statement files.
    Fresh,
    /// Older than that, or the link does not work any more.
    Stale,
}

/// How recent data is, and since when.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Links))]
pub struct Freshness {
    /// Whether there is data, and whether it is recent.
    pub(super) state: FreshnessState,
    /// When everything the provider had was last brought in, or a statement file last brought something; null before the first time. Of an
    /// account it moves on with every sync without counting as a change of the account; its link's counts as one.
    pub(super) synced_at: Option<DateTime>,
}

/// Some days in a row.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Links))]
pub struct DaySpan {
    /// The first of them.
    from: LocalDate,
    /// The last of them.
    to: LocalDate,
}

impl From<Period> for DaySpan {
    fn from((from, to): Period) -> Self {
        Self { from: LocalDate(from), to: LocalDate(to) }
    }
}

/// Why days are missing, or why there are none before the first and after the last.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "coverage::CoverageReason")]
pub enum CoverageReason {
    /// Nothing is missing that can be had: the latest days are here, and the provider gives no earlier ones. One that names no limit is asked for
    /// ten years.
    HistoryLimit,
    /// It is being fetched, or the next sync fetches it.
    StillFetching,
    /// The account, or one of the link's, did not answer for some of the days. The next sync asks for them again.
    AccountUnanswered,
    /// The last sync was given up before it had everything; `Link.lastSync` says why.
    SyncFailed,
    /// It comes from statement files. Those in OFX and QFX say which days they tell all of; a CSV file counts from its first row to its last.
    FilesOnly,
    /// Its owner does not keep it synced; `selectAccounts` changes that.
    NotSelected,
    /// Its provider did not report it last: it is closed, outside the consent, or selected again since the last sync.
    NotReported,
    /// Its link does not work any more; `Link.nextAction` says what to do.
    LinkEnded,
}

/// The days of which everything was fetched. Rows that could not be read are told by `Link.lastSync` and `Import.problems`, and leave no gap.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Links))]
pub struct Coverage {
    /// The first of them; null while there are none, and for the link of statement files, whose accounts have days of their own.
    from: Option<LocalDate>,
    /// The last of them; null when `from` is.
    to: Option<LocalDate>,
    /// Days in between of which not everything is here, earliest first; of more than 20 gaps the latest 20.
    gaps: Vec<DaySpan>,
    /// Why no more is here: no earlier days, not those of the gaps, or not the latest; null when nothing was to be fetched yet.
    reason: Option<CoverageReason>,
}

impl From<coverage::Coverage> for Coverage {
    fn from(coverage: coverage::Coverage) -> Self {
        let (from, to) = coverage.days.unzip();
        let told = coverage.gaps.len().saturating_sub(MOST_GAPS);
        let gaps = coverage.gaps.into_iter().skip(told).map(Into::into).collect();
        Self { from: from.map(LocalDate), to: to.map(LocalDate), gaps, reason: coverage.reason.map(Into::into) }
    }
}

impl From<&AccountCoverage> for Freshness {
    fn from(account: &AccountCoverage) -> Self {
        Self { state: account.freshness.into(), synced_at: account.synced_at.map(DateTime) }
    }
}
