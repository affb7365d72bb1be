//! The catalogue: what can be linked here.

use std::sync::Arc;

use crate::domain::{
    id::LinkId,
    link::{Freshness, Link, LinkStatus, NextAction},
    pause::{Pause, Pauses},
    provider::{CatalogueEntry, Circuit, LinkMethod, Manifest, ProviderCategory},
    rate_limit::RequestsLeft,
    sync::SyncProblem,
    time::{Clock, Timestamp},
};

use super::{
    QueryError,
    access::{Access, Requester, Resource},
    ports::{FinancialProvider, Lines, StatementReader},
};

/// Every provider this server knows, in the order they are shown.
pub struct Catalogue {
    linkable: Vec<Arc<dyn FinancialProvider>>,
    entries: Vec<CatalogueEntry>,
}

impl Catalogue {
    /// From the adapters that were composed, the providers this server knows and cannot reach, and the reader of files.
    pub fn new(linkable: Vec<Arc<dyn FinancialProvider>>, unavailable: Vec<CatalogueEntry>, files: &dyn StatementReader) -> Self {
        let available = |manifest: &Manifest| CatalogueEntry { manifest: manifest.clone(), unavailable: None };
        let entries = linkable.iter().map(|provider| available(provider.manifest())).chain(unavailable).chain([available(files.manifest())]).collect();
        Self { linkable, entries }
    }

    /// The adapter of that slug; `None` for files, and for what this server cannot reach.
    pub fn linkable(&self, slug: &str) -> Option<&Arc<dyn FinancialProvider>> {
        self.linkable.iter().find(|provider| provider.manifest().slug == slug)
    }

    /// The slugs of what can be asked for something new.
    pub fn syncable(&self) -> Vec<&'static str> {
        self.linkable.iter().map(|provider| provider.manifest().slug).collect()
    }

    /// The slugs of those that hand out tokens, which end.
    pub fn renewable(&self) -> Vec<&'static str> {
        self.linkable.iter().filter(|provider| provider.oauth().is_some()).map(|provider| provider.manifest().slug).collect()
    }

    /// The entry of that slug.
    pub fn entry(&self, slug: &str) -> Option<&CatalogueEntry> {
        self.entries.iter().find(|entry| entry.manifest.slug == slug)
    }
}

/// Looks at the catalogue.
pub struct ProviderQueries {
    /// What roles may do.
    pub access: Access,
    /// What there is.
    pub catalogue: Arc<Catalogue>,
    /// How much they can still be asked.
    pub lines: Arc<dyn Lines>,
    /// For how long nothing is asked of them.
    pub pauses: Arc<dyn Pauses>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether links are synced by themselves.
    pub syncs_by_itself: bool,
}

impl ProviderQueries {
    /// Everything that can be linked, of one category if given.
    pub fn list(&self, requester: &Requester, category: Option<ProviderCategory>) -> Result<Vec<CatalogueEntry>, QueryError> {
        self.access.reader(requester, Resource::Providers)?;
        let wanted = |entry: &&CatalogueEntry| category.is_none_or(|category| entry.manifest.category == category);
        Ok(self.catalogue.entries.iter().filter(wanted).cloned().collect())
    }

    /// The provider of that slug.
    pub fn find(&self, requester: &Requester, slug: &str) -> Result<Option<CatalogueEntry>, QueryError> {
        self.access.reader(requester, Resource::Providers)?;
        Ok(self.catalogue.entry(slug).cloned())
    }

    /// The provider of a link.
    pub fn of_link(&self, link: &Link) -> Option<CatalogueEntry> {
        self.catalogue.entry(&link.provider).cloned()
    }

    /// The pauses of these providers; none of one that is never asked.
    pub async fn pauses_at(&self, requester: &Requester, slugs: &[String]) -> Result<Vec<Pause>, QueryError> {
        self.access.reader(requester, Resource::Providers)?;
        Ok(self.pauses.at(slugs).await?)
    }

    /// The pauses of these of one's own links, without those of their providers.
    pub async fn pauses_of(&self, requester: &Requester, links: &[LinkId]) -> Result<Vec<Pause>, QueryError> {
        let owner = self.access.reader(requester, Resource::Links)?;
        Ok(self.pauses.of(owner, links).await?)
    }

    /// Whether a provider is asked for anything, by its pauses; `None` for one that never is.
    pub fn circuit(&self, slug: &str, pauses: &[Pause]) -> Option<Circuit> {
        self.catalogue.linkable(slug).map(|_| Pause::circuit(pauses, self.clock.now()))
    }

    /// The same for a link, by its own pauses; `None` when nothing will be asked for it any more.
    pub fn circuit_of(&self, link: &Link, pauses: &[Pause]) -> Option<Circuit> {
        if link.status == LinkStatus::Unlinked { None } else { self.circuit(&link.provider, pauses) }
    }

    /// Until when nothing is asked that has to wait for all of these pauses; `None` when it is asked.
    pub fn left_alone_until<'a>(&self, pauses: impl IntoIterator<Item = &'a Pause>) -> Option<Timestamp> {
        Pause::end(pauses, self.clock.now())
    }

    /// Until when nothing is asked for a link: by its own pauses and those of its provider, and by what was asked of it alone.
    pub fn link_left_alone_until(&self, link: &Link, pauses: [&[Pause]; 2], asked: [Option<Timestamp>; 2]) -> Option<Timestamp> {
        let asks = link.status != LinkStatus::Unlinked && self.catalogue.linkable(&link.provider).is_some();
        let asked = asked.into_iter().flatten().filter(|until| *until > self.clock.now()).max();
        if asks { self.left_alone_until(pauses.into_iter().flatten()).max(asked) } else { None }
    }

    /// How many requests are left to a link; `None` when they are not counted, or none will be made.
    pub async fn requests_left(&self, link: &Link) -> Option<RequestsLeft> {
        if link.status == LinkStatus::Unlinked { None } else { self.lines.requests_left(&link.provider, link.id).await }
    }

    /// When a link is synced next by itself; `None` when it is not.
    pub fn next_sync_at(&self, link: &Link) -> Option<Timestamp> {
        let is_synced = self.syncs_by_itself && link.status == LinkStatus::Active && self.catalogue.linkable(&link.provider).is_some();
        link.sync_plan.filter(|_| is_synced).map(|plan| plan.due_at)
    }

    /// What the user has to do about a link whose last sync had this problem; `None` when nothing.
    pub fn next_action(&self, link: &Link, last: Option<SyncProblem>) -> Option<NextAction> {
        let method = self.catalogue.entry(&link.provider).map_or(LinkMethod::Oauth, |entry| entry.manifest.method);
        link.next_action(method, last, self.clock.now())
    }

    /// How recent a link's data is, as far as its provider lets expect; nothing new comes from one this server no longer knows.
    pub fn freshness(&self, link: &Link) -> Freshness {
        let days = self.catalogue.entry(&link.provider).map_or(0, |entry| entry.manifest.fresh_days);
        link.freshness(days, self.clock.now())
    }
}
