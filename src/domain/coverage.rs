//! Coverage: the days of which everything is here that an account's provider has, or that a statement file said it tells all of.

use std::collections::HashMap;

use async_trait::async_trait;

use super::{
    account::Account,
    id::{AccountId, ImportId, LinkId, UserId},
    link::{Link, LinkStatus},
    matching::Period,
    provider::{LinkMethod, Manifest},
    sync::{Sync, SyncStatus},
    time::{LocalDate, Timestamp},
    transaction::words,
};

/// Days, as stretches that neither overlap nor touch, earliest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(Vec<Period>);

impl Spans {
    /// All days of all of these. A period that ends before it begins has none.
    pub fn of(periods: impl IntoIterator<Item = Period>) -> Self {
        let mut sorted: Vec<Period> = periods.into_iter().filter(|(from, to)| from <= to).collect();
        sorted.sort_unstable();
        let mut spans: Vec<Period> = Vec::with_capacity(sorted.len());
        for (from, to) in sorted {
            match spans.last_mut() {
                Some((_, end)) if from <= end.plus_days(1) => *end = to.max(*end),
                _ => spans.push((from, to)),
            }
        }
        Self(spans)
    }

    /// These days, and those of a period.
    #[must_use]
    pub fn and(&self, period: Period) -> Self {
        Self::of(self.0.iter().copied().chain([period]))
    }

    /// The stretches.
    pub fn periods(&self) -> &[Period] {
        &self.0
    }

    /// The first and the last day.
    pub fn bounds(&self) -> Option<Period> {
        Some((self.0.first()?.0, self.0.last()?.1))
    }

    /// The days that both have.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        let each = |(from, to): &Period| other.0.iter().map(|(begin, end)| (*from.max(begin), *to.min(end))).collect::<Vec<_>>();
        Self::of(self.0.iter().flat_map(each))
    }

    /// The days of a period that are not among these.
    pub fn missing((from, to): Period, among: &Self) -> Vec<Period> {
        let (mut missing, mut next) = (Vec::new(), from);
        for (begin, end) in among.0.iter().filter(|(_, end)| *end >= from).take_while(|(begin, _)| *begin <= to) {
            if *begin > next {
                missing.push((next, begin.plus_days(-1)));
            }
            if *end >= to {
                return missing;
            }
            next = end.plus_days(1);
        }
        if next <= to {
            missing.push((next, to));
        }
        missing
    }
}

words! {
    /// Why days are missing, or why there are none before the first and after the last.
    CoverageReason {
        /// The provider gives no more than this, and the latest days are here.
        HistoryLimit = "history_limit",
        /// It is being fetched, or the next sync fetches it.
        StillFetching = "still_fetching",
        /// The account did not answer for some of the days.
        AccountUnanswered = "account_unanswered",
        /// The last sync was given up before it had everything.
        SyncFailed = "sync_failed",
        /// It comes from files, and they say no more.
        FilesOnly = "files_only",
        /// Its owner does not keep it synced.
        NotSelected = "not_selected",
        /// Its provider did not report it last.
        NotReported = "not_reported",
        /// Its link does not work any more.
        LinkEnded = "link_ended",
    }
}

/// What is covered, and why no more is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The first and the last day.
    pub days: Option<Period>,
    /// Days in between that are not, earliest first.
    pub gaps: Vec<Period>,
    /// Why no more is; `None` when nothing was to be fetched yet.
    pub reason: Option<CoverageReason>,
}

/// What is known of a link when it is asked why days are missing.
#[derive(Clone, Copy)]
pub struct Circumstances<'a> {
    /// The link.
    pub link: &'a Link,
    /// Its provider; `None` for one that this server no longer knows.
    pub manifest: Option<&'a Manifest>,
    /// Its youngest sync.
    pub latest: Option<&'a Sync>,
    /// The present day.
    pub today: LocalDate,
}

impl Circumstances<'_> {
    /// Coverage of one of its accounts.
    pub fn of_account(&self, account: &Account, spans: &Spans) -> Coverage {
        let Some(days) = spans.bounds() else { return Coverage { reason: self.reason(Some(account), None), ..Coverage::default() } };
        // Older days that only a file told of leave a gap which no provider closes.
        let latest = spans.periods().last().copied();
        Coverage { days: Some(days), gaps: Spans::missing(days, spans), reason: self.reason(Some(account), latest) }
    }

    /// Coverage of the link: the days of which everything was fetched, and the days that some account kept synced has not.
    pub fn of_link<'s>(&self, accounts: impl IntoIterator<Item = &'s Spans>) -> Coverage {
        let Some(days) = self.link.covered_from.zip(self.link.covered_to) else { return Coverage { reason: self.reason(None, None), ..Coverage::default() } };
        let everyone = accounts.into_iter().fold(Spans::of([days]), |all, one| all.common(one));
        let gaps = Spans::missing(days, &everyone);
        let reason = self.reason(None, Some(days).filter(|_| gaps.is_empty()));
        Coverage { days: Some(days), gaps, reason }
    }

    /// Why there is no more than these days without a gap.
    fn reason(&self, account: Option<&Account>, has: Option<Period>) -> Option<CoverageReason> {
        let Some(manifest) = self.manifest else { return Some(CoverageReason::LinkEnded) };
        if manifest.method == LinkMethod::File {
            return Some(CoverageReason::FilesOnly);
        }
        let recent = self.today.plus_days(-i64::from(manifest.fresh_days));
        if has.is_some_and(|(from, to)| from <= manifest.history_start(self.today) && to >= recent) {
            return Some(CoverageReason::HistoryLimit);
        }
        if account.is_some_and(|account| !account.is_selected) {
            return Some(CoverageReason::NotSelected);
        }
        match self.link.status {
            LinkStatus::Pending => return None,
            LinkStatus::Active => {}
            _ => return Some(CoverageReason::LinkEnded),
        }
        let latest = self.latest.map(|sync| (sync.status, sync.problem));
        Some(match latest {
            _ if account.is_some_and(|account| !account.is_active) => CoverageReason::NotReported,
            Some((SyncStatus::Failed, _)) => CoverageReason::SyncFailed,
            Some((SyncStatus::Succeeded, Some(problem))) if problem.leaves_accounts_out() => CoverageReason::AccountUnanswered,
            _ => CoverageReason::StillFetching,
        })
    }
}

/// Who says that days are covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoverageSource {
    /// The provider of a link.
    Feed(LinkId),
    /// The file of an import.
    File(ImportId),
}

/// Coverage, inside a unit of work.
#[async_trait]
pub trait Coverages: Send {
    /// Everything of these days is here, besides what was before. An account of which that is news has changed.
    async fn cover(&mut self, account: &Account, source: CoverageSource, period: Period) -> anyhow::Result<()>;
    /// What was fetched of an account has to be fetched once more: its next sync asks for all of the days that its link has.
    async fn forget(&mut self, account: &Account, link: LinkId) -> anyhow::Result<()>;
    /// Everything new of an account is here as of now. That alone is no change that anyone is told of: its link tells.
    async fn synced(&mut self, account: &Account, now: Timestamp) -> anyhow::Result<()>;
}

/// Coverage for queries and loaders.
#[async_trait]
pub trait CoverageReader: Send + std::marker::Sync {
    /// The days that each of several accounts of `owner` has, whoever told of them; an account without any may be missing.
    async fn spans_of(&self, owner: UserId, accounts: &[AccountId]) -> anyhow::Result<HashMap<AccountId, Spans>>;
    /// The accounts that are kept synced of each of several links of `owner`.
    async fn synced_of(&self, owner: UserId, links: &[LinkId]) -> anyhow::Result<HashMap<LinkId, Vec<AccountId>>>;
}
