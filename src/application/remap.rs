//! Mapping once more what providers answered before, by the rules of today.
//!
//! Every day of an account is told by the youngest payload that tells all of it, so that what a bank has taken back since does not come
//! back. What comes out is matched and written like any feed: nothing is doubled, nothing is withdrawn, and what its owner says of an
//! account stays. No provider is asked.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use secrecy::SecretString;

use crate::domain::{
    account::Account,
    audit::{Act, ResourceKind},
    card_number,
    coverage::Spans,
    event::Event,
    failure::Reason,
    id::{AccountId, LinkId, PayloadId, UserId},
    link::{Link, LinkReader},
    matching::Waiting,
    payload::PayloadReader,
    provider::{LinkMethod, ReportedAccount, ReportedTransaction},
    time::{Clock, LocalDate, Timestamp},
    transaction::{Source, TransactionStatus},
};

use super::{
    access::{Access, Denied, Requester},
    audit::Journal,
    edge,
    holding::take_stock,
    ingest::{Reported, ingest},
    payload::{self, Stage},
    ports::{Credentials, FinancialProvider, ProviderFault, Randomness, Sealer, Store, Tokens, Work},
    provider::Catalogue,
    sync::once_each,
    tape,
};

/// Pages after which an adapter that never ends is taken for broken.
const MAX_PAGES: usize = 10_000;

/// Why a link's payloads are not mapped once more.
#[derive(Debug, thiserror::Error)]
pub enum RemapError {
    /// Absent or someone else's.
    #[error("no such link")]
    NotFound,
    /// No adapter here knows what was kept.
    #[error("this server does not know the link's provider `{0}`")]
    UnknownProvider(String),
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for RemapError {
    fn reason(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::UnknownProvider(_) => "unknown_provider",
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Mapping a link's payloads once more.
pub struct RemapLink {
    /// Who asks, for its owner.
    pub requester: Requester,
    /// Which link.
    pub link: LinkId,
    /// Whether nothing is to be written.
    pub is_rehearsal: bool,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remapped {
    /// Payloads that were read.
    pub payloads: u32,
    /// Payloads that do not open, or that the adapter does not read any more.
    pub unread: u32,
    /// Accounts that changed.
    pub accounts: u32,
    /// Transactions that are new.
    pub added: u32,
    /// Transactions that changed.
    pub modified: u32,
    /// Rows that still cannot be read.
    pub refused: u32,
}

/// Maps payloads once more.
pub struct RemapCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// What roles may do.
    pub access: Access,
    /// Links.
    pub links: Arc<dyn LinkReader>,
    /// What was kept.
    pub payloads: Arc<dyn PayloadReader>,
    /// The adapters.
    pub catalogue: Arc<Catalogue>,
    /// Opens what was kept.
    pub sealer: Arc<dyn Sealer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub randomness: Arc<dyn Randomness>,
}

/// What all payloads of a link come to.
#[derive(Default)]
struct Told {
    accounts: HashMap<AccountId, ToldAccount>,
    done: Remapped,
}

#[derive(Default)]
struct ToldAccount {
    /// As the youngest payload has it; `None` when that is not known.
    facts: Option<ReportedAccount>,
    rows: Vec<ReportedTransaction>,
    /// What rows are called that were told already.
    names: HashSet<String>,
    /// Days that younger payloads told all of.
    days: Spans,
}

impl ToldAccount {
    /// Rows of an older payload, as far as no younger one told of them. Those that were pending are told by the next sync.
    fn add(&mut self, rows: Vec<ReportedTransaction>) {
        // Two of one payload may go by one name.
        let names: Vec<_> = rows.iter().filter_map(|row| row.reference.clone()).collect();
        for row in rows {
            let day = row.facts.posted_on;
            let is_told = self.days.periods().iter().any(|(from, to)| (*from..=*to).contains(&day));
            let is_news = row.reference.as_ref().is_none_or(|name| !self.names.contains(name));
            if row.facts.status != TransactionStatus::Pending && !is_told && is_news {
                self.rows.push(row);
            }
        }
        self.names.extend(names);
    }
}

impl RemapCommands {
    /// The links of which anything is kept, with their owners.
    pub async fn links(&self) -> anyhow::Result<Vec<(UserId, LinkId)>> {
        self.payloads.links_of_anyone(self.clock.now()).await
    }

    /// Maps once more what is kept of a link. A rehearsal tells what would change.
    pub async fn remap(&self, command: RemapLink) -> Result<Remapped, RemapError> {
        let attempt = self.journal.attempt(&command.requester, Act::RemapLink).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::RemapLink)?;
                let link = self.links.find_many(owner, &[command.link]).await?.pop().ok_or(RemapError::NotFound)?;
                attempt.upon(ResourceKind::Link, link.id.0);
                let provider = self.catalogue.linkable(&link.provider).ok_or_else(|| RemapError::UnknownProvider(link.provider.clone()))?.as_ref();
                let (mut told, mut work) = loop {
                    let now = self.clock.now();
                    let kept = self.payloads.of_link(owner, link.id, now).await?;
                    let told = self.read(provider, &link, &kept).await?;
                    let mut work = self.store.begin(&attempt).await?;
                    work.accounts().take_turn(owner).await?;
                    // A sync that came between has younger words, which would be lost on what is older.
                    if work.payloads().youngest(owner, link.id, now).await? == kept.first().copied() {
                        break (told, work);
                    }
                };
                self.write(work.as_mut(), &link, &mut told).await?;
                if command.is_rehearsal {
                    drop(work);
                    work = self.store.begin(&attempt).await?;
                }
                let Remapped { accounts, added, modified, .. } = told.done;
                let event = Event::LinkRemapped { link: link.id, user: owner, accounts, added, modified, is_rehearsal: command.is_rehearsal };
                work.succeed(event).await?;
                Ok(told.done)
            })
            .await
    }

    /// Everything that is kept, youngest first.
    async fn read(&self, provider: &dyn FinancialProvider, link: &Link, ids: &[PayloadId]) -> anyhow::Result<Told> {
        let mut told = Told::default();
        for (number, id) in ids.iter().copied().enumerate() {
            // It may have been dropped since.
            let Some(kept) = self.payloads.find(link.user, id).await? else { continue };
            let stage = match payload::open(self.sealer.as_ref(), payload::place(link.user, link.id), &kept.sealed) {
                Ok(stage) => stage,
                Err(failure) => {
                    tracing::error!(payload = %id.0, error = %format!("{failure:#}"), "what was kept of a provider does not open");
                    told.done.unread += u32::try_from(ids.len() - number).unwrap_or(u32::MAX);
                    // Nobody knows which days it tells of, and nothing older may speak for them.
                    break;
                }
            };
            match self.play(provider, link, stage, kept.fetched_at, &mut told).await {
                Ok(()) => told.done.payloads += 1,
                Err(fault) => {
                    tracing::warn!(payload = %id.0, %fault, "what was kept of a provider is not read any more");
                    told.done.unread += 1;
                }
            }
        }
        Ok(told)
    }

    /// One payload, read by the adapter as it read the provider.
    async fn play(&self, provider: &dyn FinancialProvider, link: &Link, mut stage: Stage, at: Timestamp, told: &mut Told) -> Result<(), ProviderFault> {
        let played = if stage.is_whole {
            let answers = std::mem::take(&mut stage.answers);
            tape::played(answers, read_all(provider, &stage, at)).await
        } else {
            Ok(Vec::new())
        };
        // One that is not read any more still says which days are its own, so that nothing older speaks for them.
        let (read, fault) = match played {
            Ok(read) => (read, None),
            Err(fault) => (Vec::new(), Some(fault)),
        };
        let edge = edge::Edge::new(self.sealer.as_ref(), link.user, &link.provider, &[]);
        for (account, mut rows, refused) in read {
            let Some(kept) = stage.accounts.iter().find(|kept| kept.reference == account.reference.expose()) else { continue };
            for row in &mut rows {
                edge.cut_row(row);
            }
            let is_youngest = !told.accounts.contains_key(&kept.account());
            let entry = told.accounts.entry(kept.account()).or_default();
            if is_youngest {
                entry.facts = Some(edge.cut_account(account));
            }
            entry.add(rows);
            told.done.refused += refused;
        }
        for kept in &stage.accounts {
            let entry = told.accounts.entry(kept.account()).or_default();
            if let Some(days) = payload::told(&stage, kept, at) {
                entry.days = entry.days.and(days);
            }
        }
        fault.map_or(Ok(()), Err)
    }

    async fn write(&self, work: &mut dyn Work, link: &Link, told: &mut Told) -> anyhow::Result<()> {
        let now = self.clock.now();
        for account in work.accounts().of_link(link.user, link.id).await? {
            let Some(ToldAccount { facts, rows, .. }) = told.accounts.remove(&account.id) else { continue };
            // As in a sync: nothing comes into what its owner has left out, and amounts mean nothing in another unit.
            if !account.is_selected || facts.as_ref().is_some_and(|facts| facts.currency != account.currency) {
                continue;
            }
            let account = match facts {
                Some(facts) => self.renew(work, account, &facts, now, &mut told.done).await?,
                None => account,
            };
            let reported = Reported { source: Source::Feed, period: None, rows: &rows, unread: &[] };
            let done = ingest(work, &account, reported, Waiting::OfItsDays, now, self.randomness.as_ref()).await?;
            told.done.added += done.added;
            told.done.modified += done.modified;
        }
        Ok(())
    }

    /// What the youngest payload says of an account itself.
    async fn renew(&self, work: &mut dyn Work, account: Account, facts: &ReportedAccount, now: Timestamp, done: &mut Remapped) -> anyhow::Result<Account> {
        let renewed = Account {
            name: card_number::cut(&facts.name),
            kind: facts.kind,
            masked_number: facts.masked_number.clone(),
            balances: account.corrections.balances(facts.balances),
            ..account.clone()
        };
        if renewed != account {
            work.accounts().save(&renewed).await?;
            done.accounts += 1;
        }
        if let Some(holdings) = &facts.holdings {
            take_stock(work, &renewed, (holdings, &facts.unread_holdings), now, self.randomness.as_ref()).await?;
        }
        Ok(renewed)
    }
}

/// Accounts with their rows, and how many of these cannot be read.
type Read = Vec<(ReportedAccount, Vec<ReportedTransaction>, u32)>;

async fn read_all(provider: &dyn FinancialProvider, stage: &Stage, at: Timestamp) -> Result<Read, ProviderFault> {
    let mut visit = provider.visit(&nothing_that_opens(provider.manifest().method, at), at).await?;
    let (mut read, mut seen) = (Vec::new(), HashSet::new());
    // An account that is listed twice is one account.
    for account in visit.accounts().await?.accounts.into_iter().filter(|account| seen.insert(account.reference.clone())) {
        let Some(from) = stage.accounts.iter().find(|kept| kept.reference == account.reference.expose()).and_then(payload::KeptAccount::from) else { continue };
        let (rows, refused) = rows_of(visit.as_mut(), &account, from, stage.to).await?;
        read.push((account, once_each(rows), refused));
    }
    Ok(read)
}

async fn rows_of(
    visit: &mut dyn super::ports::Visit,
    account: &ReportedAccount,
    from: LocalDate,
    to: LocalDate,
) -> Result<(Vec<ReportedTransaction>, u32), ProviderFault> {
    let (mut rows, mut refused, mut page) = (Vec::new(), 0, None::<String>);
    for _ in 0..MAX_PAGES {
        let answer = visit.transactions(account, from, to, page.as_deref()).await?;
        rows.extend(answer.transactions);
        refused += answer.refused;
        page = answer.next;
        if page.is_none() {
            return Ok((rows, refused));
        }
    }
    Err(ProviderFault::Malformed)
}

/// Credentials of the right kind, since an adapter takes no others: nobody is asked, so they open nothing.
fn nothing_that_opens(method: LinkMethod, at: Timestamp) -> Credentials {
    let nothing = || SecretString::from("nothing");
    match method {
        LinkMethod::ApiKey => Credentials::ApiKey { key: nothing(), secret: nothing() },
        LinkMethod::SetupToken => Credentials::AccessUrl("https://nothing:nothing@kept.dashtam.dev/".into()),
        LinkMethod::Oauth | LinkMethod::File => {
            Credentials::Oauth(Tokens { access_token: nothing(), refresh_token: nothing(), access_expires_at: at, consent_expires_at: None })
        }
    }
}
