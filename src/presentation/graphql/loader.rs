//! Loaders: what many fields of one document ask for is fetched in one statement. Made for each request, and holding its requester.

use std::{collections::HashMap, sync::Arc};

use async_graphql::dataloader::{DataLoader, HashMapCache, Loader};

use crate::{
    application::{Application, QueryError, access::Requester, coverage::AccountCoverage},
    domain::{
        account::Account,
        balance::{DayBalance, DayRange},
        coverage::Coverage,
        holding::Holding,
        id::{AccountId, HoldingId, ImportId, LinkId, SyncId, TransactionId, UserId},
        import::{Import, ImportStatement},
        link::{CredentialClock, Link},
        page::{CreatedKey, Page, PostedKey, Slice},
        pause::Pause,
        session::Session,
        sync::Sync,
        transaction::{Transaction, TransactionFilter},
    },
};

use super::error::Fault;

/// Why a batch failed, shared by everyone who waited for it.
type Failure = Arc<QueryError>;

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure.as_ref() {
            QueryError::Denied(denied) => (*denied).into(),
            QueryError::Unexpected(cause) => Self::internal(cause),
        }
    }
}

/// Fetches for one requester.
pub struct Batch {
    application: Arc<Application>,
    requester: Requester,
}

/// The loaders of one request; everything loaded is remembered until its end.
pub struct Loaders(DataLoader<Batch, HashMapCache>);

impl Loaders {
    /// For one requester.
    pub fn new(application: &Arc<Application>, requester: &Requester) -> Self {
        let batch = Batch { application: application.clone(), requester: requester.clone() };
        Self(DataLoader::with_cache(batch, tokio::spawn, HashMapCache::default()))
    }

    /// One's own account of that id.
    pub async fn account(&self, id: AccountId) -> Result<Option<Arc<Account>>, Fault> {
        Ok(self.0.load_one(id).await?)
    }

    /// One's own link of that id.
    pub async fn link(&self, id: LinkId) -> Result<Option<Arc<Link>>, Fault> {
        Ok(self.0.load_one(id).await?)
    }

    /// One's own transaction of that id.
    pub async fn transaction(&self, id: TransactionId) -> Result<Option<Arc<Transaction>>, Fault> {
        Ok(self.0.load_one(id).await?)
    }

    /// One's own holding of that id.
    pub async fn holding(&self, id: HoldingId) -> Result<Option<Arc<Holding>>, Fault> {
        Ok(self.0.load_one(id).await?)
    }

    /// One's own import of that id.
    pub async fn import(&self, id: ImportId) -> Result<Option<Arc<Import>>, Fault> {
        Ok(self.0.load_one(id).await?)
    }

    /// The accounts an import is of.
    pub async fn import_statements(&self, id: ImportId) -> Result<Vec<ImportStatement>, Fault> {
        Ok(self.0.load_one(StatementsOf(id)).await?.unwrap_or_default())
    }

    /// How much of one's own account is here; nothing of one that has just gone.
    pub async fn coverage(&self, id: AccountId) -> Result<Arc<AccountCoverage>, Fault> {
        Ok(self.0.load_one(CoverageOf(id)).await?.unwrap_or_default())
    }

    /// How much of one's own link is here; nothing of one that has just gone.
    pub async fn link_coverage(&self, id: LinkId) -> Result<Coverage, Fault> {
        Ok(self.0.load_one(CoverageOf(id)).await?.unwrap_or_default())
    }

    /// A page of a link's accounts.
    pub async fn accounts(&self, key: AccountsOf) -> Result<Slice<Account>, Fault> {
        Ok(self.0.load_one(key).await?.unwrap_or_else(Slice::empty))
    }

    /// The youngest sync of one's own link.
    pub async fn latest_sync(&self, link: LinkId) -> Result<Option<Arc<Sync>>, Fault> {
        Ok(self.0.load_one(LatestSyncOf(link)).await?)
    }

    /// The sync of that id, of one's own link.
    pub async fn sync(&self, id: SyncId) -> Result<Option<Arc<Sync>>, Fault> {
        Ok(self.0.load_one(id).await?)
    }

    /// The clock of what one's own link was given.
    pub async fn credential_clock(&self, link: LinkId) -> Result<Option<CredentialClock>, Fault> {
        Ok(self.0.load_one(ClockOf(link)).await?)
    }

    /// For how long nothing is asked of the provider of that slug.
    pub async fn pauses_at(&self, provider: &str) -> Result<Arc<[Pause]>, Fault> {
        Ok(self.0.load_one(PausesAt(provider.to_owned())).await?.unwrap_or_default())
    }

    /// For how long nothing is asked for one's own link, its provider aside.
    pub async fn pauses_of(&self, link: LinkId) -> Result<Arc<[Pause]>, Fault> {
        Ok(self.0.load_one(PausesOf(link)).await?.unwrap_or_default())
    }

    /// A page of a link's syncs.
    pub async fn syncs(&self, key: SyncsOf) -> Result<Slice<Sync>, Fault> {
        Ok(self.0.load_one(key).await?.unwrap_or_else(Slice::empty))
    }

    /// A page of a user's sessions.
    pub async fn sessions(&self, key: SessionsOf) -> Result<Slice<Session>, Fault> {
        Ok(self.0.load_one(key).await?.unwrap_or_else(Slice::empty))
    }

    /// A page of an account's holdings.
    pub async fn holdings(&self, key: HoldingsOf) -> Result<Slice<Holding>, Fault> {
        Ok(self.0.load_one(key).await?.unwrap_or_else(Slice::empty))
    }

    /// A page of the history of an account's balances.
    pub async fn days(&self, key: DaysOf) -> Result<Slice<DayBalance>, Fault> {
        Ok(self.0.load_one(key).await?.unwrap_or_else(Slice::empty))
    }

    /// A page of an account's transactions.
    pub async fn transactions(&self, key: TransactionsOf) -> Result<Slice<Transaction>, Fault> {
        Ok(self.0.load_one(key).await?.unwrap_or_else(Slice::empty))
    }
}

impl Loader<AccountId> for Batch {
    type Value = Arc<Account>;
    type Error = Failure;

    async fn load(&self, keys: &[AccountId]) -> Result<HashMap<AccountId, Self::Value>, Failure> {
        let accounts = self.application.accounts.find_many(&self.requester, keys).await?;
        Ok(accounts.into_iter().map(|account| (account.id, Arc::new(account))).collect())
    }
}

impl Loader<LinkId> for Batch {
    type Value = Arc<Link>;
    type Error = Failure;

    async fn load(&self, keys: &[LinkId]) -> Result<HashMap<LinkId, Self::Value>, Failure> {
        let links = self.application.link_queries.find_many(&self.requester, keys).await?;
        Ok(links.into_iter().map(|link| (link.id, Arc::new(link))).collect())
    }
}

impl Loader<TransactionId> for Batch {
    type Value = Arc<Transaction>;
    type Error = Failure;

    async fn load(&self, keys: &[TransactionId]) -> Result<HashMap<TransactionId, Self::Value>, Failure> {
        let transactions = self.application.transactions.find_many(&self.requester, keys).await?;
        Ok(transactions.into_iter().map(|transaction| (transaction.id, Arc::new(transaction))).collect())
    }
}

impl Loader<HoldingId> for Batch {
    type Value = Arc<Holding>;
    type Error = Failure;

    async fn load(&self, keys: &[HoldingId]) -> Result<HashMap<HoldingId, Self::Value>, Failure> {
        let holdings = self.application.holdings.find_many(&self.requester, keys).await?;
        Ok(holdings.into_iter().map(|holding| (holding.id, Arc::new(holding))).collect())
    }
}

/// Asks how much of an account, or of a link, is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CoverageOf<Id>(pub Id);

impl Loader<CoverageOf<AccountId>> for Batch {
    type Value = Arc<AccountCoverage>;
    type Error = Failure;

    async fn load(&self, keys: &[CoverageOf<AccountId>]) -> Result<HashMap<CoverageOf<AccountId>, Self::Value>, Failure> {
        let accounts: Vec<AccountId> = keys.iter().map(|key| key.0).collect();
        let told = self.application.coverage.of_accounts(&self.requester, &accounts).await?;
        Ok(told.into_iter().map(|(account, coverage)| (CoverageOf(account), Arc::new(coverage))).collect())
    }
}

impl Loader<CoverageOf<LinkId>> for Batch {
    type Value = Coverage;
    type Error = Failure;

    async fn load(&self, keys: &[CoverageOf<LinkId>]) -> Result<HashMap<CoverageOf<LinkId>, Self::Value>, Failure> {
        let links: Vec<LinkId> = keys.iter().map(|key| key.0).collect();
        let told = self.application.coverage.of_links(&self.requester, &links).await?;
        Ok(told.into_iter().map(|(link, coverage)| (CoverageOf(link), coverage)).collect())
    }
}

/// Asks for a page of an account's holdings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HoldingsOf {
    /// Of which account.
    pub account: AccountId,
    /// Which part of the list.
    pub page: Page<CreatedKey>,
}

impl Loader<HoldingsOf> for Batch {
    type Value = Slice<Holding>;
    type Error = Failure;

    async fn load(&self, keys: &[HoldingsOf]) -> Result<HashMap<HoldingsOf, Self::Value>, Failure> {
        let mut alike: HashMap<Page<CreatedKey>, Vec<AccountId>> = HashMap::new();
        for key in keys {
            alike.entry(key.page).or_default().push(key.account);
        }
        let mut loaded = HashMap::new();
        for (page, accounts) in alike {
            let pages = self.application.holdings.pages_by_account(&self.requester, &accounts, page).await?;
            loaded.extend(pages.into_iter().map(|(account, holdings)| (HoldingsOf { account, page }, holdings)));
        }
        Ok(loaded)
    }
}

/// Asks for a page of the history of an account's balances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DaysOf {
    /// Of which account.
    pub account: AccountId,
    /// Which days.
    pub range: DayRange,
    /// Which part of the list.
    pub page: Page<CreatedKey>,
}

impl Loader<DaysOf> for Batch {
    type Value = Slice<DayBalance>;
    type Error = Failure;

    async fn load(&self, keys: &[DaysOf]) -> Result<HashMap<DaysOf, Self::Value>, Failure> {
        let mut alike: HashMap<(DayRange, Page<CreatedKey>), Vec<AccountId>> = HashMap::new();
        for key in keys {
            alike.entry((key.range, key.page)).or_default().push(key.account);
        }
        let mut loaded = HashMap::new();
        for ((range, page), accounts) in alike {
            let pages = self.application.balances.days_by_account(&self.requester, &accounts, range, page).await?;
            loaded.extend(pages.into_iter().map(|(account, days)| (DaysOf { account, range, page }, days)));
        }
        Ok(loaded)
    }
}

impl Loader<ImportId> for Batch {
    type Value = Arc<Import>;
    type Error = Failure;

    async fn load(&self, keys: &[ImportId]) -> Result<HashMap<ImportId, Self::Value>, Failure> {
        let imports = self.application.import_queries.find_many(&self.requester, keys).await?;
        Ok(imports.into_iter().map(|import| (import.id, Arc::new(import))).collect())
    }
}

/// Asks for the accounts an import is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatementsOf(pub ImportId);

impl Loader<StatementsOf> for Batch {
    type Value = Vec<ImportStatement>;
    type Error = Failure;

    async fn load(&self, keys: &[StatementsOf]) -> Result<HashMap<StatementsOf, Self::Value>, Failure> {
        let imports: Vec<ImportId> = keys.iter().map(|key| key.0).collect();
        let statements = self.application.import_queries.statements_of(&self.requester, &imports).await?;
        Ok(statements.into_iter().map(|(import, statements)| (StatementsOf(import), statements)).collect())
    }
}

/// Asks for a page of a link's accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccountsOf {
    /// Of which link.
    pub link: LinkId,
    /// Which part of the list.
    pub page: Page<CreatedKey>,
}

impl Loader<AccountsOf> for Batch {
    type Value = Slice<Account>;
    type Error = Failure;

    async fn load(&self, keys: &[AccountsOf]) -> Result<HashMap<AccountsOf, Self::Value>, Failure> {
        let mut alike: HashMap<Page<CreatedKey>, Vec<LinkId>> = HashMap::new();
        for key in keys {
            alike.entry(key.page).or_default().push(key.link);
        }
        let mut loaded = HashMap::new();
        for (page, links) in alike {
            let pages = self.application.accounts.pages_by_link(&self.requester, &links, page).await?;
            loaded.extend(pages.into_iter().map(|(link, accounts)| (AccountsOf { link, page }, accounts)));
        }
        Ok(loaded)
    }
}

/// Asks for a page of a user's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionsOf {
    /// Of which user.
    pub user: UserId,
    /// Which part of the list.
    pub page: Page<CreatedKey>,
}

impl Loader<SessionsOf> for Batch {
    type Value = Slice<Session>;
    type Error = Failure;

    async fn load(&self, keys: &[SessionsOf]) -> Result<HashMap<SessionsOf, Self::Value>, Failure> {
        let mut alike: HashMap<Page<CreatedKey>, Vec<UserId>> = HashMap::new();
        for key in keys {
            alike.entry(key.page).or_default().push(key.user);
        }
        let mut loaded = HashMap::new();
        for (page, users) in alike {
            let pages = self.application.session_queries.pages_by_user(&self.requester, &users, page).await?;
            loaded.extend(pages.into_iter().map(|(user, sessions)| (SessionsOf { user, page }, sessions)));
        }
        Ok(loaded)
    }
}

/// Asks for the youngest sync of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LatestSyncOf(pub LinkId);

impl Loader<LatestSyncOf> for Batch {
    type Value = Arc<Sync>;
    type Error = Failure;

    async fn load(&self, keys: &[LatestSyncOf]) -> Result<HashMap<LatestSyncOf, Self::Value>, Failure> {
        let links: Vec<LinkId> = keys.iter().map(|key| key.0).collect();
        let syncs = self.application.sync_queries.latest_of(&self.requester, &links).await?;
        Ok(syncs.into_iter().map(|sync| (LatestSyncOf(sync.link), Arc::new(sync))).collect())
    }
}

impl Loader<SyncId> for Batch {
    type Value = Arc<Sync>;
    type Error = Failure;

    async fn load(&self, keys: &[SyncId]) -> Result<HashMap<SyncId, Self::Value>, Failure> {
        let syncs = self.application.sync_queries.find_many(&self.requester, keys).await?;
        Ok(syncs.into_iter().map(|sync| (sync.id, Arc::new(sync))).collect())
    }
}

/// Asks for the clock of what a link was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClockOf(pub LinkId);

impl Loader<ClockOf> for Batch {
    type Value = CredentialClock;
    type Error = Failure;

    async fn load(&self, keys: &[ClockOf]) -> Result<HashMap<ClockOf, Self::Value>, Failure> {
        let links: Vec<LinkId> = keys.iter().map(|key| key.0).collect();
        let clocks = self.application.link_queries.credential_clocks(&self.requester, &links).await?;
        Ok(clocks.into_iter().map(|(link, clock)| (ClockOf(link), clock)).collect())
    }
}

/// Asks for the pauses of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PausesAt(pub String);

impl Loader<PausesAt> for Batch {
    type Value = Arc<[Pause]>;
    type Error = Failure;

    async fn load(&self, keys: &[PausesAt]) -> Result<HashMap<PausesAt, Self::Value>, Failure> {
        let slugs: Vec<String> = keys.iter().map(|key| key.0.clone()).collect();
        let pauses = self.application.providers.pauses_at(&self.requester, &slugs).await?;
        Ok(gathered(pauses, |pause| Some(PausesAt(pause.provider.clone()))))
    }
}

/// Asks for a link's own pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PausesOf(pub LinkId);

impl Loader<PausesOf> for Batch {
    type Value = Arc<[Pause]>;
    type Error = Failure;

    async fn load(&self, keys: &[PausesOf]) -> Result<HashMap<PausesOf, Self::Value>, Failure> {
        let links: Vec<LinkId> = keys.iter().map(|key| key.0).collect();
        let pauses = self.application.providers.pauses_of(&self.requester, &links).await?;
        Ok(gathered(pauses, |pause| pause.link.map(PausesOf)))
    }
}

/// Pauses by whose they are.
fn gathered<K: std::hash::Hash + Eq>(pauses: Vec<Pause>, key: impl Fn(&Pause) -> Option<K>) -> HashMap<K, Arc<[Pause]>> {
    let mut gathered: HashMap<K, Vec<Pause>> = HashMap::new();
    for pause in pauses {
        if let Some(key) = key(&pause) {
            gathered.entry(key).or_default().push(pause);
        }
    }
    gathered.into_iter().map(|(key, pauses)| (key, pauses.into())).collect()
}

/// Asks for a page of a link's syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SyncsOf {
    /// Of which link.
    pub link: LinkId,
    /// Which part of the list.
    pub page: Page<CreatedKey>,
}

impl Loader<SyncsOf> for Batch {
    type Value = Slice<Sync>;
    type Error = Failure;

    async fn load(&self, keys: &[SyncsOf]) -> Result<HashMap<SyncsOf, Self::Value>, Failure> {
        let mut alike: HashMap<Page<CreatedKey>, Vec<LinkId>> = HashMap::new();
        for key in keys {
            alike.entry(key.page).or_default().push(key.link);
        }
        let mut loaded = HashMap::new();
        for (page, links) in alike {
            let pages = self.application.sync_queries.pages_by_link(&self.requester, &links, page).await?;
            loaded.extend(pages.into_iter().map(|(link, syncs)| (SyncsOf { link, page }, syncs)));
        }
        Ok(loaded)
    }
}

/// Asks for a page of an account's transactions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TransactionsOf {
    /// Of which account.
    pub account: AccountId,
    /// Which of them.
    pub filter: Arc<TransactionFilter>,
    /// Which part of the list.
    pub page: Page<PostedKey>,
}

impl Loader<TransactionsOf> for Batch {
    type Value = Slice<Transaction>;
    type Error = Failure;

    async fn load(&self, keys: &[TransactionsOf]) -> Result<HashMap<TransactionsOf, Self::Value>, Failure> {
        let mut alike: HashMap<(&TransactionFilter, Page<PostedKey>), Vec<&TransactionsOf>> = HashMap::new();
        for key in keys {
            alike.entry((&key.filter, key.page)).or_default().push(key);
        }
        let mut loaded = HashMap::new();
        for ((filter, page), keys) in alike {
            let accounts: Vec<AccountId> = keys.iter().map(|key| key.account).collect();
            let mut pages = self.application.transactions.pages_by_account(&self.requester, &accounts, filter, page).await?;
            loaded.extend(keys.into_iter().filter_map(|key| Some((key.clone(), pages.remove(&key.account)?))));
        }
        Ok(loaded)
    }
}
