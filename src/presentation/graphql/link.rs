//! Links in the graph: one user's relation to one provider.

pub mod hand;
pub mod upkeep;

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject, Subscription};
use futures_util::{Stream, stream};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    application::{
        access::Resource,
        link::{BeginLink, CompleteLink},
    },
    domain::{
        audit::Act,
        link::{self, Link},
        page::CreatedKey,
    },
};

use super::{
    ContextExt,
    account::{AccountConnection, AccountNode},
    coverage::{Coverage, Freshness},
    error::{Fault, UserError, outcome},
    global_id::{GlobalId, id_or_nothing},
    guard::Allow,
    loader::{AccountsOf, SyncsOf},
    page::{PageArguments, connection},
    provider::{ProviderCircuit, ProviderObject},
    scalar::{DateTime, WebUrl},
    stream::{Known, thread},
    sync::{SyncConnection, SyncObject},
};

/// Where a link stands.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "link::LinkStatus")]
pub enum LinkStatus {
    /// Begun, waiting for the user at the bank.
    Pending,
    /// Working.
    Active,
    /// The bank's consent or the tokens ran out.
    Expired,
    /// The bank or the user withdrew the consent.
    Revoked,
    /// Linking did not succeed.
    Failed,
    /// The user took it away. Nothing is fetched any more; what came through it stays, or is gone, as they asked.
    Unlinked,
}

/// Why a link is not working.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "link::LinkReason")]
pub enum LinkReason {
    /// The user, or the bank on their behalf, said no.
    AccessDenied,
    /// The bank reported an error of its own.
    ProviderError,
    /// The bank sent the browser back without a code.
    MissingCode,
    /// The answer came from another issuer than the one asked.
    WrongIssuer,
    /// The browser that came back was not the one that left.
    WrongBrowser,
    /// Someone else presented the answer.
    WrongUser,
    /// The user took longer than ten minutes.
    TimedOut,
    /// This server stopped while it was exchanging the code.
    Interrupted,
    /// The bank refused to exchange the code.
    ExchangeRefused,
    /// The bank does not accept this server's own credentials. Its operator has to mend that; then link again.
    AppRejected,
    /// The bank asked for fewer requests; link again later.
    RateLimited,
    /// The bank could not be reached, or took too long.
    ProviderUnreachable,
    /// The bank's answer could not be read.
    MalformedAnswer,
    /// The bank's answer lacked a refresh token.
    IncompleteAnswer,
    /// The bank no longer accepts the stored tokens, or the key.
    CredentialsRejected,
    /// The time is over that the bank's consent lasts.
    ConsentEnded,
    /// Its user withdrew the consent, by asking to be erased, and has thought better of that since.
    ConsentWithdrawn,
}

/// What the user has to do about a link.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "link::NextAction")]
pub enum LinkAction {
    /// Go to the bank and agree.
    Authorize,
    /// Link it once more, with `relink`.
    Relink,
    /// The same, before its consent ends at `consent.expiresAt`; until then it works.
    RelinkSoon,
    /// Hand over another key with `linkWithApiKey`, or another setup token with `linkWithSetupToken`, and the link's id in `linkId`.
    NewCredentials,
    /// Pay the provider, then ask for a sync with `syncLink`.
    PayProvider,
    /// Sign in at the provider's own pages, where a bank wants it anew, then ask for a sync with `syncLink`.
    SignInAtProvider,
}

/// The bank's permission to read.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Links))]
pub struct Consent {
    /// When it ends, renewed tokens or not; null when the bank does not say.
    expires_at: Option<DateTime>,
    /// When its user was last warned that it ends; null when they were not. A consent of a week or longer is warned of 72, 24 and 2 hours before, a
    /// shorter one in proportion.
    warned_at: Option<DateTime>,
}

/// What the provider handed out to be read with: tokens, a key or an address.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Links))]
pub struct LinkCredentials {
    /// When it stops opening the provider unless it is renewed, which happens by itself whenever the provider is asked, and once a day; null when it
    /// does not end by itself.
    expires_at: Option<DateTime>,
    /// When the provider handed it out, the first time or renewed.
    renewed_at: DateTime,
}

/// How often the provider can be asked for one link. What is asked beyond it waits.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Links))]
pub struct RequestBudget {
    /// How many requests there are at most.
    limit: u32,
    /// How many are left now.
    remaining: u32,
    /// When the most are there again, unless some are made; null when they are.
    reset_at: Option<DateTime>,
}

/// One link, as the graph shows it.
#[derive(Clone)]
pub struct LinkNode(pub Arc<Link>);

impl LinkNode {
    pub(crate) fn key(&self) -> CreatedKey {
        CreatedKey { created_at: self.0.created_at, id: self.0.id.0 }
    }
}

/// One user's relation to one provider. All statement files of a user come in through one link of their own.
#[Object(name = "Link", serial, guard = Allow::read(Resource::Links))]
impl LinkNode {
    /// The global id, `link_…`.
    pub async fn id(&self) -> ID {
        GlobalId::from(self.0.id).to_id()
    }

    /// The provider; null when this server no longer knows it.
    #[expect(clippy::unused_async, reason = "the library takes async resolvers only")]
    async fn provider(&self, ctx: &Context<'_>) -> Result<Option<ProviderObject>, Fault> {
        Ok(ctx.of_request()?.application.providers.of_link(&self.0).map(ProviderObject))
    }

    /// Where it stands.
    async fn status(&self) -> LinkStatus {
        self.0.status.into()
    }

    /// Why it is not working; null while it is, or has not been tried.
    async fn reason(&self) -> Option<LinkReason> {
        self.0.reason.map(Into::into)
    }

    /// The bank's permission to read.
    async fn consent(&self) -> Consent {
        Consent { expires_at: self.0.consent_expires_at.map(DateTime), warned_at: self.0.consent_warned_at.map(DateTime) }
    }

    /// The second clock beside that of the consent; null when nothing is kept: before the bank has agreed, after it was unlinked, and for files.
    async fn credentials(&self, ctx: &Context<'_>) -> Result<Option<LinkCredentials>, Fault> {
        let clock = ctx.of_request()?.loaders.credential_clock(self.0.id).await?;
        Ok(clock.map(|clock| LinkCredentials { expires_at: clock.expires_at.map(DateTime), renewed_at: DateTime(clock.renewed_at) }))
    }

    /// How recent its data is.
    #[expect(clippy::unused_async, reason = "the library takes async resolvers only")]
    async fn freshness(&self, ctx: &Context<'_>) -> Result<Freshness, Fault> {
        let state = ctx.of_request()?.application.providers.freshness(&self.0).into();
        Ok(Freshness { state, synced_at: self.0.synced_at.map(DateTime) })
    }

    /// How often the provider can still be asked for it, as far as the process that answers knows; null when that is not counted, or nothing will
    /// be asked any more.
    async fn requests(&self, ctx: &Context<'_>) -> Result<Option<RequestBudget>, Fault> {
        let providers = &ctx.of_request()?.application.providers;
        let left = providers.requests_left(&self.0).await;
        Ok(left.map(|left| RequestBudget {
            limit: left.limit,
            remaining: left.remaining,
            reset_at: (left.full_in > 0).then(|| DateTime(providers.clock.now().plus(chrono::Duration::seconds(left.full_in.into())))),
        }))
    }

    /// Whether the provider is asked for anything for it: a link in trouble has a circuit of its own, so that others at the same provider go on; null
    /// when nothing will be asked any more. `Provider.circuit` is beside it.
    async fn circuit(&self, ctx: &Context<'_>) -> Result<Option<ProviderCircuit>, Fault> {
        let request = ctx.of_request()?;
        let pauses = request.loaders.pauses_of(self.0.id).await?;
        Ok(request.application.providers.circuit_of(&self.0, &pauses).map(Into::into))
    }

    /// Until when no data is asked for it: its circuit or that of its provider is open, or the provider asked for a pause; null when it is asked.
    async fn left_alone_until(&self, ctx: &Context<'_>) -> Result<Option<DateTime>, Fault> {
        let request = ctx.of_request()?;
        let loaders = &request.loaders;
        let (own, of_provider) = (loaders.pauses_of(self.0.id).await?, loaders.pauses_at(&self.0.provider).await?);
        let by_credentials = loaders.credential_clock(self.0.id).await?.and_then(|clock| clock.rests_until);
        let providers = &request.application.providers;
        let by_sync = loaders.latest_sync(self.0.id).await?.and_then(|sync| sync.rests_until(providers.clock.now()));
        Ok(providers.link_left_alone_until(&self.0, [&own, &of_provider], [by_credentials, by_sync]).map(DateTime))
    }

    /// The days of which everything was fetched, of all of its accounts that are kept synced.
    async fn coverage(&self, ctx: &Context<'_>) -> Result<Coverage, Fault> {
        Ok(ctx.of_request()?.loaders.link_coverage(self.0.id).await?.into())
    }

    /// What the user calls it, by `renameLink`; null when they gave no name.
    async fn alias(&self) -> Option<&str> {
        self.0.alias.as_deref()
    }

    /// What the user has to do; null when nothing.
    async fn next_action(&self, ctx: &Context<'_>) -> Result<Option<LinkAction>, Fault> {
        let request = ctx.of_request()?;
        let problem = request.loaders.latest_sync(self.0.id).await?.and_then(|sync| sync.problem);
        Ok(request.application.providers.next_action(&self.0, problem).map(Into::into))
    }

    /// The accounts that came through it, oldest first.
    #[graphql(guard = Allow::read(Resource::Accounts))]
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the back, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
    ) -> Result<AccountConnection, Fault> {
        let page = PageArguments { first, after, last, before }.read(ctx)?;
        let slice = ctx.of_request()?.loaders.accounts(AccountsOf { link: self.0.id, page }).await?;
        Ok(AccountConnection { slice: slice.map(|account| AccountNode(Arc::new(account))), page })
    }

    /// The sync asked for last, waiting, running or done; null before the first.
    async fn last_sync(&self, ctx: &Context<'_>) -> Result<Option<SyncObject>, Fault> {
        let latest = ctx.of_request()?.loaders.latest_sync(self.0.id).await?;
        Ok(latest.map(|sync| SyncObject(Arc::new(Arc::unwrap_or_clone(sync).beside(&self.0)))))
    }

    /// Its syncs, oldest first: what each changed, what it was asked for by, and how it ended. Those that ended more than 90 days ago are forgotten,
    /// but for the last.
    async fn syncs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the back, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
    ) -> Result<SyncConnection, Fault> {
        let page = PageArguments { first, after, last, before }.read(ctx)?;
        let slice = ctx.of_request()?.loaders.syncs(SyncsOf { link: self.0.id, page }).await?;
        Ok(SyncConnection { slice: slice.map(|sync| SyncObject(Arc::new(sync))), page })
    }

    /// When it is synced next by itself, or soon after; past while a sync is under way. Null when it is not active, and where links are not synced
    /// by themselves.
    #[expect(clippy::unused_async, reason = "the library takes async resolvers only")]
    async fn next_sync_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime>, Fault> {
        Ok(ctx.of_request()?.application.providers.next_sync_at(&self.0).map(DateTime))
    }

    /// When it was begun.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }
}

connection!(
    /// A page of links.
    LinkConnection,
    /// A link in a page.
    LinkEdge,
    LinkNode,
    CreatedKey,
    Links
);

/// Starting to link a provider.
#[derive(InputObject)]
pub struct BeginLinkInput {
    /// The provider's slug, such as `sandbox`.
    provider: String,
    /// Where the browser goes afterwards, told `status` and `link` in its query; must be on the server's allow-list. Without it a page of this
    /// server tells how it ended.
    return_url: Option<String>,
}

/// Completing a link whose redirect the frontend caught itself.
#[derive(InputObject)]
pub struct CompleteLinkInput {
    /// `state`, as the bank sent it.
    state: String,
    /// `code`, as the bank sent it.
    code: String,
}

/// A begun link, or why there is none.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Links))]
pub struct BeginLinkPayload {
    /// The link, pending; null when it could not be begun.
    link: Option<LinkNode>,
    /// Where to send the browser: a page of this server that names the account and leads on to the bank. Works once, for ten minutes.
    authorization_url: Option<WebUrl>,
    /// The bank's own page, for frontends that complete the link themselves; null without a `returnUrl`.
    provider_authorization_url: Option<WebUrl>,
    /// When both stop working; null when there is no link.
    expires_at: Option<DateTime>,
    /// Why there is no link; empty when there is one.
    user_errors: Vec<UserError>,
}

/// A completed link, or why it is not.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Links))]
pub struct CompleteLinkPayload {
    /// The link, active; null when it was not completed.
    link: Option<LinkNode>,
    /// Why it was not completed; empty when it was.
    user_errors: Vec<UserError>,
}

/// Changes links.
#[derive(Default)]
pub struct LinkMutation;

#[Object(serial)]
impl LinkMutation {
    /// Starts linking a provider. Send the browser to `authorizationUrl`; the link becomes active when the user has agreed at the bank, and
    /// its first sync follows by itself.
    #[graphql(guard = Allow::attempt(Act::BeginLink))]
    async fn begin_link(&self, ctx: &Context<'_>, #[graphql(desc = "What to link.")] input: BeginLinkInput) -> Result<BeginLinkPayload, Fault> {
        let request = ctx.of_request()?;
        let command = BeginLink { requester: request.requester.clone(), provider: input.provider, return_url: input.return_url };
        let (begun, user_errors) = outcome(request.application.links.begin(command).await)?;
        let Some(begun) = begun else {
            return Ok(BeginLinkPayload { link: None, authorization_url: None, provider_authorization_url: None, expires_at: None, user_errors });
        };
        Ok(BeginLinkPayload {
            link: Some(LinkNode(Arc::new(begun.link))),
            authorization_url: Some(web_url(&begun.authorization_url)?),
            provider_authorization_url: begun.provider_authorization_url.as_ref().map(web_url).transpose()?,
            expires_at: Some(DateTime(begun.expires_at)),
            user_errors,
        })
    }

    /// Completes a link with the answer of the bank that the frontend caught. Only the user who began it may.
    #[graphql(guard = Allow::attempt(Act::CompleteLink))]
    async fn complete_link(&self, ctx: &Context<'_>, #[graphql(desc = "The bank's answer.")] input: CompleteLinkInput) -> Result<CompleteLinkPayload, Fault> {
        let request = ctx.of_request()?;
        let command = CompleteLink { requester: request.requester.clone(), state: input.state.into(), code: input.code.into() };
        let (link, user_errors) = outcome(request.application.links.complete(command).await)?;
        Ok(CompleteLinkPayload { link: link.map(|link| LinkNode(Arc::new(link))), user_errors })
    }
}

pub(super) fn web_url(url: &SecretString) -> Result<WebUrl, Fault> {
    url::Url::parse(url.expose_secret())
        .map_err(anyhow::Error::from)
        .and_then(|url| Ok(WebUrl::try_from(url)?))
        .map_err(|cause| Fault::internal(&cause.context("a URL of ours is not one")))
}

/// Follows links.
#[derive(Default)]
pub struct LinkSubscription;

#[Subscription]
impl LinkSubscription {
    /// One's own links as they change from now on: their state, what the user has to do, how the last sync went. Of several changes at once the
    /// last is told. An id that is not of one's own link is followed in vain.
    #[graphql(guard = Allow::read(Resource::Links))]
    async fn link_updated(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this link; all of one's own when it is not given.")] link_id: Option<ID>,
    ) -> Result<impl Stream<Item = LinkNode>, Fault> {
        let (request, thread) = (ctx.of_request()?, thread(ctx)?);
        let known = if let Known::Links(position) = thread.known() { Some(position) } else { None };
        let (links, position) = request.application.changes.links(&request.requester, known, link_id.map(|id| id_or_nothing(&id))).await?;
        thread.remember(Known::Links(position), false);
        Ok(stream::iter(links.into_iter().map(|link| LinkNode(Arc::new(link)))))
    }
}
