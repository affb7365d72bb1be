//! Syncs: asking for one, and the engine that runs them.
//!
//! The engine fetches everything first and writes it in one unit of work: rows, balances, snapshots, coverage, the trail. A first sync
//! brings the last 30 days and commits them, then goes back to what the provider allows; a crash in between costs only the second part.

mod accounts;
mod days;
mod failure;
mod request;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chrono::Duration;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::domain::{
    account::AccountReader,
    audit::{Act, ResourceKind},
    coverage::{CoverageReader, CoverageSource, Spans},
    event::Event,
    id::{AccountId, PayloadId},
    link::{Link, LinkReader, LinkStatus},
    payload::Payload,
    provider::ReportedAccount,
    schedule::{Pace, SyncPlan},
    sync::{MAX_SYNC_ATTEMPTS, SYNC_LEASE_MINUTES, Sync, SyncCounts, SyncProblem, SyncQueue},
    time::{Clock, LocalDate},
    transaction::{Source, TransactionReader},
};

use super::{
    access::Requester,
    audit::{Attempt, Journal},
    edge::Edge,
    errand,
    ingest::{Reported, ingest},
    payload::{self, KeptRows},
    ports::{Credentials, FinancialProvider, Meter, ProviderFault, Randomness, Sealer, Store, Visit, Work},
    provider::Catalogue,
    renewal::{Opened, Renewals},
    tape,
};

use days::{Fetched, FetchedAccount, Pages, Progress, catching_up, window};

pub(super) use days::once_each;
use failure::RunError;
pub use request::{RequestSync, SyncCommands, SyncError, SyncQueries};

/// How long a stage may fetch. Access tokens live about that long.
const FETCH_LIMIT: std::time::Duration = std::time::Duration::from_mins(25);

/// How long one question may take, with all of its tries.
const QUESTION_LIMIT: std::time::Duration = std::time::Duration::from_mins(5);

/// After how long the lease is begun anew between two questions: with the longest of them it is not over.
const HOLD_AGAIN_MINUTES: i64 = SYNC_LEASE_MINUTES - 6;

/// Pages after which a provider that never ends is taken for broken.
const MAX_PAGES: usize = 10_000;

/// Runs what is queued.
pub struct SyncEngine {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The queue.
    pub queue: Arc<dyn SyncQueue>,
    /// Links, before a transaction is opened.
    pub links: Arc<dyn LinkReader>,
    /// Accounts, before a transaction is opened.
    pub accounts: Arc<dyn AccountReader>,
    /// Which days accounts have, before a transaction is opened.
    pub coverages: Arc<dyn CoverageReader>,
    /// What still waits, before a transaction is opened.
    pub transactions: Arc<dyn TransactionReader>,
    /// The adapters.
    pub catalogue: Arc<Catalogue>,
    /// Opens what banks handed out, and has it renewed.
    pub renewals: Arc<Renewals>,
    /// Recognises accounts.
    pub sealer: Arc<dyn Sealer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub randomness: Arc<dyn Randomness>,
    /// How many days what providers answered is kept.
    pub keep_days: u32,
    /// How often links are synced by themselves.
    pub pace: Pace,
    /// Counts runs.
    pub meter: Arc<dyn Meter>,
}

impl SyncEngine {
    /// Takes one queued sync and runs it; `false` when none was waiting.
    pub async fn run_next(&self) -> anyhow::Result<bool> {
        let Some(sync) = self.take_next(&[]).await? else { return Ok(false) };
        self.run(sync, &CancellationToken::new()).await?;
        Ok(true)
    }

    /// Takes one queued sync, to be run; none of a provider that is busy.
    pub async fn take_next(&self, busy: &[String]) -> anyhow::Result<Option<Sync>> {
        self.queue.take_any_for_worker(busy, self.clock.now()).await
    }

    /// The provider of a sync's link; `None` when that is gone.
    pub async fn provider_of(&self, sync: &Sync) -> anyhow::Result<Option<String>> {
        Ok(self.links.find_many(sync.user, &[sync.link]).await?.pop().map(|link| link.provider))
    }

    /// Runs a sync that was taken. Once it is cut off it asks its provider nothing more, and is given back.
    pub async fn run(&self, sync: Sync, cut_off: &CancellationToken) -> anyhow::Result<()> {
        // A trace of its own: whoever asked for it has long been answered.
        let trace = format!("{:032x}", self.randomness.id().as_u128());
        let span = tracing::info_span!("sync", trace_id = %trace, sync = %sync.id.0);
        errand::traced(trace, self.run_stages(sync, cut_off)).instrument(span).await
    }

    async fn run_stages(&self, mut sync: Sync, cut_off: &CancellationToken) -> anyhow::Result<()> {
        let mut progress = Progress::default();
        loop {
            let attempt = self.journal.attempt(&Requester::worker(sync.user), Act::SyncLink).await?;
            attempt.upon(ResourceKind::Sync, sync.id.0);
            let stage = errand::on_behalf_of(sync.link, self.stage(&attempt, &mut sync, &mut progress, cut_off));
            match attempt.settle(stage).await {
                Ok(false) => {}
                Ok(true) => {
                    self.meter.synced("succeeded");
                    return Ok(());
                }
                Err(RunError::TakenOver) => return Ok(()),
                Err(RunError::CutOff) => {
                    tracing::info!("a sync is given back for a stop; the next worker begins it anew");
                    return self.queue.give_back_for_worker(&sync, self.clock.now()).await;
                }
                Err(failure) => {
                    self.meter.synced("failed");
                    if let RunError::Unexpected(cause) = &failure {
                        tracing::error!(sync = %sync.id.0, error = ?cause, "a sync stopped on a fault of ours");
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Runs one stage and commits it, or commits how it failed. Answers whether the sync is done.
    async fn stage(&self, attempt: &Attempt, sync: &mut Sync, progress: &mut Progress, cut_off: &CancellationToken) -> Result<bool, RunError> {
        match self.try_stage(attempt, sync, progress, cut_off).await {
            Ok(done) => Ok(done),
            Err(failure @ (RunError::TakenOver | RunError::CutOff)) => Err(failure),
            Err(failure) => {
                self.keep_failure(attempt, sync, &failure).await?;
                Err(failure)
            }
        }
    }

    async fn try_stage(&self, attempt: &Attempt, sync: &mut Sync, progress: &mut Progress, cut_off: &CancellationToken) -> Result<bool, RunError> {
        if sync.attempts > MAX_SYNC_ATTEMPTS {
            return Err(RunError::Interrupted);
        }
        let link = self.links.find_many(sync.user, &[sync.link]).await?.pop().filter(|link| link.status == LinkStatus::Active).ok_or(RunError::NotActive)?;
        let provider = self.catalogue.linkable(&link.provider).ok_or(RunError::NotActive)?.as_ref();
        self.hold(attempt, sync).await?;
        let opened = self.renewals.open(&link).await?;
        // However often somebody asks, and whichever process does.
        let now = self.clock.now();
        if let Some(until) = opened.rests_until.filter(|until| *until > now) {
            return Err(ProviderFault::rests_until(until, now).into());
        }
        let opened = self.working_credentials(attempt, provider, &link, opened).await?;
        let mut stage =
            Stage { attempt, provider, link: &link, progress: *progress, cut_off, tokens_may_be_over: matches!(opened.credentials, Credentials::Oauth(_)) };
        let fetched = match self.fetch(&stage, sync, &opened.credentials).await {
            // Access tokens end early too. Only a bank that refuses the refresh token as well has ended the consent.
            Err(RunError::Provider(ProviderFault::Refused)) if stage.tokens_may_be_over => {
                let renewed = self.renewals.renew(attempt, provider, &link, &opened, None).await?.opened();
                self.hold(attempt, sync).await?;
                stage.tokens_may_be_over = false;
                self.fetch(&stage, sync, &renewed.credentials).await?
            }
            fetched => fetched?,
        };
        self.write(attempt, sync, progress, link, provider, fetched).await
    }

    /// Begins the lease anew, unless another worker has taken the run over: two must not spend one refresh token.
    async fn hold(&self, attempt: &Attempt, sync: &mut Sync) -> Result<(), RunError> {
        sync.started_at = Some(self.clock.now());
        let mut work = self.store.begin(attempt).await?;
        if !work.syncs().save(sync).await? {
            return Err(RunError::TakenOver);
        }
        Ok(work.checkpoint().await?)
    }

    /// What opens the link's provider; tokens renewed when they are about to end.
    async fn working_credentials(&self, attempt: &Attempt, provider: &dyn FinancialProvider, link: &Link, opened: Opened) -> Result<Opened, RunError> {
        match &opened.credentials {
            Credentials::Oauth(tokens) if tokens.access_expires_at <= self.clock.now().plus(Duration::minutes(2)) => {
                Ok(self.renewals.renew(attempt, provider, link, &opened, None).await?.opened())
            }
            _ => Ok(opened),
        }
    }

    /// Everything of the next stage.
    async fn fetch(&self, stage: &Stage<'_>, sync: &mut Sync, credentials: &Credentials) -> Result<Fetched, RunError> {
        let link = stage.link;
        let all = self.fetch_all(stage, sync, credentials);
        let (fetched, recording) = tokio::select! {
            recorded = tape::recorded(tokio::time::timeout(FETCH_LIMIT, all)) => recorded,
            () = stage.cut_off.cancelled() => return Err(RunError::CutOff),
        };
        let mut fetched = fetched.unwrap_or(Err(ProviderFault::Unreachable.into()))?;
        let references = fetched.accounts.iter().map(|account| account.account.reference.clone()).collect();
        let has_answers = recording.has_something();
        let packed = payload::pack(&self.sealer, link.user, &link.provider, recording, references).await?;
        let edge = Edge::new(self.sealer.as_ref(), link.user, &link.provider, &packed.numbers);
        for account in &mut fetched.accounts {
            account.account = edge.cut_account(account.account.clone());
            for row in &mut account.rows {
                edge.cut_row(row);
            }
            account.unread = account.refused_ids.iter().map(|id| edge.ever_called(id)).collect();
        }
        fetched.packed = Some(packed).filter(|_| has_answers && self.keep_days > 0);
        Ok(fetched)
    }

    async fn fetch_all(&self, stage: &Stage<'_>, sync: &mut Sync, credentials: &Credentials) -> Result<Fetched, RunError> {
        let (link, at) = (stage.link, self.clock.now());
        let has_recent = sync.recent_at.is_some_and(|recent| at.since(recent) <= Duration::hours(1));
        let (from, to) = window(stage.progress.reached(link), has_recent, stage.provider, self.clock.today());
        let mut visit = stage.provider.visit(credentials, at).await?;
        let reported = in_time(visit.accounts()).await?;
        let mut fetched =
            Fetched { accounts: Vec::new(), complete: reported.complete, from, to, told_until: to, at, rests_until: None, needs_user: false, packed: None };
        let known = self.accounts.of_link(link.user, link.id).await?;
        let ids: Vec<AccountId> = known.iter().map(|account| account.id).collect();
        let (spans, nothing) = (self.coverages.spans_of(link.user, &ids).await?, Spans::default());
        let waits_since = if to >= at.day() { self.transactions.first_pending_of_feed(link.user, &ids).await? } else { HashMap::new() };
        let start = stage.provider.manifest().history_start(at.day());
        let (mut seen, mut first_fault, mut has_any) = (HashSet::new(), None, false);
        // An account that is listed twice is one account.
        for account in reported.accounts.into_iter().filter(|account| seen.insert(account.reference.clone())) {
            let fingerprints = self.sealer.fingerprints(link.user, &link.provider, &account.reference);
            let stored = known.iter().find(|known| fingerprints.contains(&known.fingerprint));
            if stored.is_some_and(|stored| !stored.is_selected) {
                continue;
            }
            let has = stored.and_then(|stored| spans.get(&stored.id)).unwrap_or(&nothing);
            let from = catching_up(link, has).map_or(from, |first| first.min(from));
            // A provider that tells of the days it is asked for tells only so what has become of what waits.
            let from = stored.and_then(|stored| waits_since.get(&stored.id)).map_or(from, |first| from.min(start.max(*first)));
            let read = match self.read(stage, sync, visit.as_mut(), account.clone(), (from, to)).await {
                // What one account does not tell holds up no other.
                Err(RunError::Provider(fault)) if stage.can_do_without(fault, sync) => {
                    first_fault.get_or_insert(fault);
                    FetchedAccount::silent(account, from)
                }
                read => {
                    has_any = true;
                    read?
                }
            };
            let has_news = visit.has_news_of(&read.account);
            fetched.accounts.push(FetchedAccount { has_news, ..read });
        }
        if let Some(fault) = first_fault.filter(|_| !has_any) {
            return Err(fault.into());
        }
        fetched.rests_until = visit.rests_until();
        fetched.needs_user = visit.needs_user();
        fetched.told_until = visit.last_day().filter(|_| to >= at.day()).map_or(to, |theirs| theirs.max(to));
        Ok(fetched)
    }

    /// All rows of one account.
    async fn read(
        &self,
        stage: &Stage<'_>,
        sync: &mut Sync,
        visit: &mut dyn Visit,
        account: ReportedAccount,
        (from, to): (LocalDate, LocalDate),
    ) -> Result<FetchedAccount, RunError> {
        let (mut pages, mut told) = (Pages::default(), FetchedAccount { answered: true, all_pending: true, ..FetchedAccount::silent(account, from) });
        let mut page: Option<String> = None;
        for _ in 0..MAX_PAGES {
            if sync.started_at.is_none_or(|held| self.clock.now().since(held) >= Duration::minutes(HOLD_AGAIN_MINUTES)) {
                self.hold(stage.attempt, sync).await?;
            }
            let answer = in_time(visit.transactions(&told.account, from, to, page.as_deref())).await?;
            pages.add(answer.transactions);
            told.refused += answer.refused;
            told.refused_ids.extend(answer.refused_ids);
            told.answered &= answer.complete;
            told.all_pending &= answer.all_pending;
            page = answer.next;
            if page.is_none() {
                return Ok(FetchedAccount { rows: pages.rows(), ..told });
            }
        }
        Err(ProviderFault::Malformed.into())
    }

    async fn write(
        &self,
        attempt: &Attempt,
        sync: &mut Sync,
        progress: &mut Progress,
        link: Link,
        provider: &dyn FinancialProvider,
        fetched: Fetched,
    ) -> Result<bool, RunError> {
        let now = self.clock.now();
        let mut work = self.store.begin(attempt).await?;
        work.accounts().take_turn(link.user).await?;
        let mut link = still_active(work.as_mut(), &link).await?;
        let mut accounts = work.accounts().of_link(link.user, link.id).await?;
        let (mut kept, mut is_in_other_currency) = (Vec::new(), false);
        let mut counts = SyncCounts { accounts: u32::try_from(fetched.accounts.len()).unwrap_or(u32::MAX), ..sync.counts };
        for told in &fetched.accounts {
            let FetchedAccount { account: reported_account, rows, refused, refused_ids, unread, answered, from, .. } = told;
            if self.is_left_out(&link, &accounts, reported_account) {
                continue;
            }
            let Some(account) = self.account_of(work.as_mut(), &link, &mut accounts, told, now).await? else {
                is_in_other_currency = true;
                continue;
            };
            // Rows that could not be read are there all the same. One that is not even called anything may be any that is missing.
            let all_are_called = usize::try_from(*refused).is_ok_and(|refused| refused <= refused_ids.len());
            let period = (*answered && all_are_called).then_some((*from, fetched.told_until));
            let reported = Reported { source: Source::Feed, period, rows, unread };
            let done = ingest(work.as_mut(), &account, reported, told.waiting(fetched.to, now.day()), now, self.randomness.as_ref()).await?;
            // What is no news is no news later either, when it is mapped once more.
            if told.has_news {
                kept.push((reported_account.reference.clone(), account.id, *from, *answered));
            }
            if *answered {
                work.coverages().cover(&account, CoverageSource::Feed(link.id), (*from, fetched.to)).await?;
            }
            if *answered && fetched.to >= now.day() {
                work.coverages().synced(&account, now).await?;
            }
            counts.added += done.added;
            counts.modified += done.modified;
            counts.removed += done.removed;
            // Each stage tells of all positions; those of the youngest days count.
            let positions = if fetched.to >= now.day() { u32::try_from(reported_account.unread_holdings.len()).unwrap_or(u32::MAX) } else { 0 };
            counts.refused = counts.refused.saturating_add(*refused).saturating_add(positions);
            if *refused > 0 || positions > 0 {
                tracing::warn!(account = %account.id.0, rows = refused, positions, "what a provider reported could not all be read, and that was left out");
            }
        }
        self.keep(work.as_mut(), &link, &fetched, &kept).await?;
        let left_over: Vec<_> = accounts.into_iter().filter(|account| account.is_active).collect();
        let after = progress.after(&link, &fetched, !fetched.complete && !left_over.is_empty(), is_in_other_currency);
        // What is left over of a complete answer is no longer reported: closed at the bank, or outside the consent.
        for mut account in left_over.into_iter().filter(|_| fetched.complete) {
            account.is_active = false;
            work.accounts().save(&account).await?;
        }
        if !after.has_gaps {
            link.covered(fetched.from, fetched.to);
        }
        let today = self.clock.today();
        let recent_at = if fetched.to >= today { Some(fetched.at) } else { sync.recent_at };
        // A history that was left over from an earlier run, or that midnight fell into, leaves days behind it to fetch.
        let done = after.reached(&link).is_some_and(|(from, to)| from <= provider.manifest().history_start(today) && to >= today);
        if done && !after.left_out.is_some_and(SyncProblem::leaves_accounts_out) {
            link.synced_at = recent_at;
        }
        work.links().save(&link).await?;
        if let Some(until) = fetched.rests_until {
            work.links().rest_credentials(link.user, link.id, until).await?;
        }
        let mut written = Sync { recent_at, counts, ..sync.clone() };
        if done {
            written.succeed(after.left_out, now);
            let interval = self.pace.interval(provider.manifest().fresh_days);
            work.links().plan(link.user, link.id, &SyncPlan::succeeded(now, interval, self.share())).await?;
        }
        if !work.syncs().save(&written).await? {
            return Err(RunError::TakenOver);
        }
        work.succeed(Event::LinkSynced { sync: sync.id, user: sync.user, counts }).await?;
        (*sync, *progress) = (written, after);
        Ok(done)
    }

    /// Keeps what was answered, with the rows that came of it.
    async fn keep(&self, work: &mut dyn Work, link: &Link, fetched: &Fetched, accounts: &[KeptRows]) -> anyhow::Result<()> {
        let Some(packed) = &fetched.packed else { return if self.keep_days == 0 { work.payloads().forget(link.user, link.id).await } else { Ok(()) } };
        let sealed = payload::seal(self.sealer.as_ref(), payload::place(link.user, link.id), packed, fetched.to, accounts)?;
        let expires_at = payload::expiry(fetched.at, self.keep_days);
        let id = PayloadId(self.randomness.id());
        work.payloads().keep(&Payload { id, user: link.user, link: link.id, fetched_at: fetched.at, expires_at, sealed }).await
    }

    /// A place of its own within a span.
    fn share(&self) -> u16 {
        let [high, low, ..] = self.randomness.secret();
        u16::from_be_bytes([high, low])
    }
}

/// What one stage of one sync is about.
struct Stage<'a> {
    attempt: &'a Attempt,
    provider: &'a dyn FinancialProvider,
    link: &'a Link,
    progress: Progress,
    cut_off: &'a CancellationToken,
    /// Whether a refusal may say no more than that the access token is over.
    tokens_may_be_over: bool,
}

impl Stage<'_> {
    /// Whether a stage goes on without the rows of an account that failed so, while others answer. What may heal by itself is tried again first.
    fn can_do_without(&self, fault: ProviderFault, sync: &Sync) -> bool {
        match fault {
            ProviderFault::Refused => !self.tokens_may_be_over,
            ProviderFault::Malformed | ProviderFault::Incomplete => true,
            ProviderFault::Unreachable | ProviderFault::ServerError | ProviderFault::Unavailable { .. } => sync.attempts >= MAX_SYNC_ATTEMPTS,
            ProviderFault::RateLimited { .. } | ProviderFault::AppRefused | ProviderFault::Unpaid => false,
        }
    }
}

/// An answer that does not come in time does not come.
async fn in_time<T>(answer: impl Future<Output = Result<T, ProviderFault>>) -> Result<T, ProviderFault> {
    tokio::time::timeout(QUESTION_LIMIT, answer).await.unwrap_or(Err(ProviderFault::Unreachable))
}

/// The link as it is by now, when nobody has ended it while its bank was asked.
async fn still_active(work: &mut dyn Work, link: &Link) -> Result<Link, RunError> {
    work.links().find(link.user, link.id).await?.filter(|link| link.status == LinkStatus::Active).ok_or(RunError::NotActive)
}
