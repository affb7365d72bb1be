//! Providers in the graph: the catalogue.

use async_graphql::{Context, Enum, Object};

use crate::{
    application::access::Resource,
    domain::{
        provider::{self, CatalogueEntry},
        rate_limit::Budget,
    },
};

use super::{
    ContextExt,
    error::Fault,
    guard::Allow,
    link::web_url,
    scalar::{DateTime, WebUrl},
};

/// What kind of institution a provider is.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "provider::ProviderCategory")]
pub enum ProviderCategory {
    /// Banks and credit unions.
    Bank,
    /// Brokers.
    Brokerage,
    /// A service that reaches many institutions.
    Aggregator,
    /// Files a person downloads from their bank.
    File,
    /// A bank made up for trying things out.
    Sandbox,
}

/// How a user links a provider.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "provider::LinkMethod")]
pub enum LinkMethod {
    /// By signing in at the bank: `beginLink`.
    Oauth,
    /// By a key that the user makes at the provider: `linkWithApiKey`.
    ApiKey,
    /// By a setup token that the user gets at the provider: `linkWithSetupToken`.
    SetupToken,
    /// By uploading statement files: `importStatement` or `POST /imports`.
    File,
}

/// Whether a provider is asked for anything.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "provider::Circuit", name = "ProviderCircuit")]
pub enum ProviderCircuit {
    /// It is.
    Closed,
    /// It failed too often in a row, and is left alone for some seconds to some minutes.
    Open,
    /// That while is over: the next request is to find out whether it answers again.
    HalfOpen,
}

/// What a provider tells of accounts.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "provider::Served")]
pub enum ServedData {
    /// What they hold.
    Balances,
    /// What came and went.
    Transactions,
    /// The positions in them.
    Holdings,
}

/// What requests are counted together.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetScope {
    /// Those of one link.
    EachLink,
    /// All that this server makes.
    Everyone,
}

/// How many requests a provider bears: some at once, and then as many as come back evenly.
pub struct ProviderBudget {
    scope: BudgetScope,
    budget: Budget,
}

/// How many requests a provider bears: some at once, and then as many as come back evenly.
#[Object(serial, guard = Allow::read(Resource::Providers))]
impl ProviderBudget {
    /// What requests are counted together.
    async fn scope(&self) -> BudgetScope {
        self.scope
    }

    /// How many at once.
    async fn at_once(&self) -> u32 {
        self.budget.at_once
    }

    /// How many come back.
    async fn come_back(&self) -> u32 {
        self.budget.come_back
    }

    /// Within how many minutes these do.
    async fn within_minutes(&self) -> u32 {
        self.budget.within_minutes
    }
}

/// One provider, as the graph shows it.
#[derive(Clone)]
pub struct ProviderObject(pub CatalogueEntry);

/// A bank, a broker, a service or a kind of file that can be linked.
#[Object(name = "Provider", serial, guard = Allow::read(Resource::Providers))]
impl ProviderObject {
    /// Its name in `beginLink` and in URLs.
    async fn slug(&self) -> &str {
        self.0.manifest.slug
    }

    /// Its name for people.
    async fn name(&self) -> &str {
        self.0.manifest.name
    }

    /// One sentence for someone choosing.
    async fn description(&self) -> &str {
        self.0.manifest.description
    }

    /// What kind of institution it is.
    async fn category(&self) -> ProviderCategory {
        self.0.manifest.category.into()
    }

    /// How one links it.
    async fn link_method(&self) -> LinkMethod {
        self.0.manifest.method.into()
    }

    /// Whether it can be linked on this server.
    async fn available(&self) -> bool {
        self.0.unavailable.is_none()
    }

    /// Why it cannot be linked on this server; null when it can.
    async fn unavailable_reason(&self) -> Option<&str> {
        self.0.unavailable.as_deref()
    }

    /// What it tells of accounts. Of statement files, what they may tell.
    async fn serves(&self) -> Vec<ServedData> {
        self.0.manifest.serves.iter().map(|served| (*served).into()).collect()
    }

    /// Where its interface is documented; null when that is nowhere.
    #[expect(clippy::unused_async, reason = "the library takes async resolvers only")]
    async fn documentation(&self) -> Result<Option<WebUrl>, Fault> {
        self.0.manifest.documentation.map(|address| web_url(&address.into())).transpose()
    }

    /// How many requests it bears; empty when it names no limit. What is asked beyond that waits. `Link.requests` says how many are left.
    async fn request_budgets(&self) -> Vec<ProviderBudget> {
        let (one, all) = (self.0.manifest.for_each_link, self.0.manifest.for_everyone);
        let told = |budget: Option<Budget>, scope| budget.map(|budget| ProviderBudget { scope, budget });
        [told(one, BudgetScope::EachLink), told(all, BudgetScope::Everyone)].into_iter().flatten().collect()
    }

    /// How many days of history it gives; null when it does not say.
    async fn history_days(&self) -> Option<u32> {
        self.0.manifest.history_days
    }

    /// How many days a consent lasts; null when it does not end by itself.
    async fn consent_days(&self) -> Option<u32> {
        self.0.manifest.consent_days
    }

    /// Whether it is asked for anything; null for one that never is, and for one that cannot be linked. Each link has a circuit of its own beside it:
    /// `Link.circuit`.
    async fn circuit(&self, ctx: &Context<'_>) -> Result<Option<ProviderCircuit>, Fault> {
        let (request, slug) = (ctx.of_request()?, self.0.manifest.slug);
        let pauses = request.loaders.pauses_at(slug).await?;
        Ok(request.application.providers.circuit(slug, &pauses).map(Into::into))
    }

    /// Until when it is asked for nothing, or for no data: its circuit is open, or it asked for a pause; null when it is asked.
    async fn left_alone_until(&self, ctx: &Context<'_>) -> Result<Option<DateTime>, Fault> {
        let request = ctx.of_request()?;
        let pauses = request.loaders.pauses_at(self.0.manifest.slug).await?;
        Ok(request.application.providers.left_alone_until(pauses.iter()).map(DateTime))
    }
}

/// Looks at the catalogue.
#[derive(Default)]
pub struct ProviderQuery;

#[Object(serial)]
impl ProviderQuery {
    /// Everything that can be linked.
    #[graphql(guard = Allow::read(Resource::Providers))]
    #[expect(clippy::unused_async, reason = "the library takes async resolvers only")]
    async fn providers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only providers of this kind.")] category: Option<ProviderCategory>,
    ) -> Result<Vec<ProviderObject>, Fault> {
        let request = ctx.of_request()?;
        let entries = request.application.providers.list(&request.requester, category.map(Into::into))?;
        Ok(entries.into_iter().map(ProviderObject).collect())
    }

    /// The provider of that name; null when there is none.
    #[graphql(guard = Allow::read(Resource::Providers))]
    #[expect(clippy::unused_async, reason = "the library takes async resolvers only")]
    async fn provider(&self, ctx: &Context<'_>, #[graphql(desc = "Its name, such as sandbox.")] slug: String) -> Result<Option<ProviderObject>, Fault> {
        let request = ctx.of_request()?;
        Ok(request.application.providers.find(&request.requester, &slug)?.map(ProviderObject))
    }
}
