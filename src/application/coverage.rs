//! Coverage and freshness: how much of an account's history is here, why no more, and how recent it is.

use std::{collections::HashMap, sync::Arc};

use crate::domain::{
    account::{Account, AccountReader},
    coverage::{Circumstances, Coverage, CoverageReader, Spans},
    id::{AccountId, LinkId, UserId},
    link::{Freshness, Link, LinkReader},
    sync::{Sync, SyncReader},
    time::{Clock, Timestamp},
};

use super::{
    QueryError,
    access::{Access, Requester, Resource},
    provider::Catalogue,
};

/// How much of an account is here, and how recent it is.
#[derive(Debug, Clone, Default)]
pub struct AccountCoverage {
    /// The days.
    pub coverage: Coverage,
    /// How recent.
    pub freshness: Freshness,
    /// When everything new was last here.
    pub synced_at: Option<Timestamp>,
}

/// Tells how much is here. Whatever the role, only of one's own.
pub struct CoverageQueries {
    /// What roles may do.
    pub access: Access,
    /// Accounts.
    pub accounts: Arc<dyn AccountReader>,
    /// Links.
    pub links: Arc<dyn LinkReader>,
    /// How their syncs went.
    pub syncs: Arc<dyn SyncReader>,
    /// The days.
    pub coverages: Arc<dyn CoverageReader>,
    /// What providers give.
    pub catalogue: Arc<Catalogue>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Links by id, and their youngest syncs.
type Links = (HashMap<LinkId, Link>, HashMap<LinkId, Sync>);

impl CoverageQueries {
    /// Of several of one's own accounts.
    pub async fn of_accounts(&self, requester: &Requester, ids: &[AccountId]) -> Result<HashMap<AccountId, AccountCoverage>, QueryError> {
        let owner = self.access.reader(requester, Resource::Accounts)?;
        let accounts = self.accounts.find_many(owner, ids).await?;
        let links: Vec<LinkId> = accounts.iter().map(|account| account.link).collect();
        let (links, syncs) = self.links_of(owner, &links).await?;
        let spans = self.coverages.spans_of(owner, ids).await?;
        let of = |account: Account| {
            let link = links.get(&account.link)?;
            let around = self.circumstances(link, &syncs);
            let coverage = around.of_account(&account, spans.get(&account.id).unwrap_or(&Spans::default()));
            let days = around.manifest.map_or(0, |manifest| manifest.fresh_days);
            let freshness = link.freshness_since(account.synced_at, days, self.clock.now());
            let freshness = if account.is_active || freshness == Freshness::Never { freshness } else { Freshness::Stale };
            Some((account.id, AccountCoverage { coverage, freshness, synced_at: account.synced_at }))
        };
        Ok(accounts.into_iter().filter_map(of).collect())
    }

    /// Of several of one's own links.
    pub async fn of_links(&self, requester: &Requester, ids: &[LinkId]) -> Result<HashMap<LinkId, Coverage>, QueryError> {
        let owner = self.access.reader(requester, Resource::Links)?;
        let (links, syncs) = self.links_of(owner, ids).await?;
        let accounts = self.coverages.synced_of(owner, ids).await?;
        let all: Vec<AccountId> = accounts.values().flatten().copied().collect();
        let spans = self.coverages.spans_of(owner, &all).await?;
        let nothing = Spans::default();
        let of = |link: &Link| {
            let accounts = accounts.get(&link.id).map_or(&[][..], Vec::as_slice);
            self.circumstances(link, &syncs).of_link(accounts.iter().map(|account| spans.get(account).unwrap_or(&nothing)))
        };
        Ok(links.values().map(|link| (link.id, of(link))).collect())
    }

    async fn links_of(&self, owner: UserId, ids: &[LinkId]) -> anyhow::Result<Links> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let links = self.links.find_many(owner, &ids).await?.into_iter().map(|link| (link.id, link)).collect();
        let syncs = self.syncs.latest_of(owner, &ids).await?.into_iter().map(|sync| (sync.link, sync)).collect();
        Ok((links, syncs))
    }

    fn circumstances<'a>(&'a self, link: &'a Link, syncs: &'a HashMap<LinkId, Sync>) -> Circumstances<'a> {
        let manifest = self.catalogue.entry(&link.provider).map(|entry| &entry.manifest);
        Circumstances { link, manifest, latest: syncs.get(&link.id), today: self.clock.today() }
    }
}
