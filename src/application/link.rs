//! Links: the walk of a browser to a bank and back, and what it leaves.
//!
//! `beginLink` makes a link, and `relink` takes one there is; both make a ticket for our own start page. Leaving that page binds the browser
//! by a cookie and goes on to the bank; the bank's answer completes the link only in that browser, or through `completeLink` by the
//! signed-in user who began it, so that nobody can hand a victim a link that ends up in the wrong account (RFC 9700, section 4.7). Tickets,
//! states and cookies are 256 random bits, kept as SHA-256, used once, within ten minutes.

mod abandoned;
mod activation;
mod callback;
mod hand;
mod relink;
mod rename;
mod unlink;

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::Duration;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::domain::{
    audit::{Act, ResourceKind},
    event::Event,
    failure::Reason,
    id::{AuthorizationId, LinkId, UserId},
    link::{Authorization, CredentialClock, Link, LinkReader, LinkReason},
    name::InvalidName,
    page::{CreatedKey, Page, Slice},
    pause::{Pause, PauseReason, Pauses},
    provider::LinkMethod,
    time::{Clock, Timestamp},
    user::UserReader,
};

use super::{
    QueryError,
    access::{Access, Actor, Denied, Origin, Requester, Resource},
    audit::Journal,
    ports::{FinancialProvider, OauthDoor, Place, ProviderFault, Randomness, Sealer, Store, Walk},
    provider::Catalogue,
};

pub use abandoned::AbandonedLinks;
use callback::fault_reason;
pub use callback::{Answer, CompleteLink, Returned};
pub use hand::{Brought, LinkByHand};
pub use relink::Relink;
pub use rename::RenameLink;
pub use unlink::Unlink;
pub(super) use unlink::give_back;

/// How long a walk to the bank may take.
pub const WALK_MINUTES: i64 = 10;

/// Why a link is not begun, completed or changed.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No provider of that name can be linked here.
    #[error("no provider of this name can be linked here")]
    UnknownProvider,
    /// It is in the catalogue, and this server lacks what it takes.
    #[error("this provider cannot be linked on this server; `Provider.unavailableReason` says why")]
    UnavailableProvider,
    /// Another provider's way to link.
    #[error("this provider is linked in another way; `Provider.linkMethod` says in which")]
    OtherMethod,
    /// A link is linked once more with the provider it has.
    #[error("this link is to another provider")]
    OtherProvider,
    /// Not a key, a secret or a setup token of any provider.
    #[error("a key, its secret and a setup token have 1 to 4096 characters of ASCII, none of them a space")]
    Unreadable(Brought),
    /// Wrong, revoked, or of another environment of the provider.
    #[error("the provider does not accept this key with this secret")]
    KeyRefused,
    /// Whoever claimed it first has the access it stood for.
    #[error(
        "the provider does not accept this setup token: it is not copied as a whole, it names a server that is not asked from here, or it was used already. If it was used and not by you, it was stolen; revoke it at the provider, and get another one"
    )]
    TokenRefused,
    /// It was asked, and neither accepted nor refused.
    #[error(transparent)]
    Unanswered(ProviderFault),
    /// The frontend's address is not on the allow-list.
    #[error("the return URL is not on this server's allow-list")]
    ReturnUrlNotAllowed,
    /// No such ticket, or it was used, or it ran out.
    #[error("this link was used before or has run out; start again from your app")]
    UnknownTicket,
    /// No such state, or it was made for another provider, or for another user.
    #[error("this answer of the bank belongs to no request of ours")]
    UnknownState,
    /// The state was used before.
    #[error("this answer of the bank was used before")]
    SpentState,
    /// The same, and nothing has come of it: it is still on the way, or whatever took it there is gone.
    #[error("this answer of the bank was used before, and nothing has come of it yet; if the link does not work in a minute, begin once more")]
    Undecided,
    /// The browser that came back is not the one that left; whoever began may complete it.
    #[error("the browser that came back is not the one that left")]
    OtherBrowser,
    /// The link did not come about.
    #[error("nothing was linked: {}", .0.explanation())]
    Failed(LinkReason),
    /// There is no bank to go to once more: its files are imported, or this server no longer knows its provider.
    #[error("there is no bank to go to for this link")]
    NotRelinkable,
    /// It is linked once more by another key, or another setup token.
    #[error("this link takes a new key or setup token: hand it over with `linkWithApiKey` or `linkWithSetupToken`, and this link's id in `linkId`")]
    LinkedByHand,
    /// What hands out its tokens wants to be left alone: whoever came back from there would be turned away.
    #[error("the provider asked to be left alone until {0}; begin after that")]
    ProviderRests(Timestamp),
    /// It was unlinked, before or meanwhile.
    #[error("the link was unlinked")]
    Unlinked,
    /// Not a name.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// Absent or someone else's.
    #[error("no such link")]
    NotFound,
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for LinkError {
    fn reason(&self) -> &'static str {
        match self {
            Self::UnknownProvider => "unknown_provider",
            Self::UnavailableProvider => "unavailable_provider",
            Self::OtherMethod => "other_method",
            Self::OtherProvider => "other_provider",
            Self::Unreadable(_) => "unreadable",
            Self::KeyRefused => "key_refused",
            Self::TokenRefused => "token_refused",
            Self::Unanswered(fault) => fault_reason(*fault).as_str(),
            Self::ReturnUrlNotAllowed => "return_url_not_allowed",
            Self::UnknownTicket => "unknown_ticket",
            Self::UnknownState => "unknown_state",
            Self::SpentState | Self::Undecided => "spent_state",
            Self::OtherBrowser => "other_browser",
            Self::Failed(reason) => reason.as_str(),
            Self::NotRelinkable => "not_relinkable",
            Self::LinkedByHand => "linked_by_hand",
            Self::ProviderRests(_) => "rate_limited",
            Self::Unlinked => "unlinked",
            Self::InvalidName(_) => "invalid_name",
            Self::NotFound => "not_found",
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Starting to link a provider.
pub struct BeginLink {
    /// Who asks.
    pub requester: Requester,
    /// The provider's slug.
    pub provider: String,
    /// Where the browser goes afterwards.
    pub return_url: Option<String>,
}

/// A link whose user can go to the bank.
pub struct BegunLink {
    /// The link: pending, or as it was before it is linked once more.
    pub link: Link,
    /// Our start page; send the browser there.
    pub authorization_url: SecretString,
    /// The bank's own page, for frontends that catch the redirect themselves; only with a return URL.
    pub provider_authorization_url: Option<SecretString>,
    /// When both stop working.
    pub expires_at: Timestamp,
}

/// What our start page says.
pub struct StartPage {
    /// The provider's name for people.
    pub provider: String,
    /// The Dashtam account the bank will be linked to, masked.
    pub account: String,
}

/// Leaving the start page.
pub struct Departure {
    /// The bank's page.
    pub bank_url: SecretString,
    /// The value of the cookie that binds this browser.
    pub cookie: SecretString,
    /// What tells this walk from others of the same browser.
    pub walk: String,
}

/// What deployment decides about links.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// How browsers reach this server, without a slash at the end.
    pub public_url: String,
    /// What a return URL must begin with: an origin, or an origin with a path.
    pub return_urls: Vec<String>,
}

/// Changes links.
pub struct LinkCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where links are kept.
    pub store: Arc<dyn Store>,
    /// Links, before a transaction is opened.
    pub links: Arc<dyn LinkReader>,
    /// Users, for the start page.
    pub users: Arc<dyn UserReader>,
    /// What roles may do.
    pub access: Access,
    /// What can be linked.
    pub catalogue: Arc<Catalogue>,
    /// For how long nothing is asked of it.
    pub pauses: Arc<dyn Pauses>,
    /// Seals secrets.
    pub sealer: Arc<dyn Sealer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids and secrets.
    pub randomness: Arc<dyn Randomness>,
    /// What deployment decides.
    pub settings: LinkSettings,
    /// Wakes the worker of this process.
    pub wake: Arc<Notify>,
}

impl LinkCommands {
    /// Makes a pending link, and the URL that leads its user to the bank.
    pub async fn begin(&self, command: BeginLink) -> Result<BegunLink, LinkError> {
        let attempt = self.journal.attempt(&command.requester, Act::BeginLink).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::BeginLink)?;
                let provider = self.adapter(&command.provider, LinkMethod::Oauth)?;
                self.is_asked(provider.manifest().slug).await?;
                let link = Link::begin(LinkId(self.randomness.id()), owner, provider.manifest().slug, self.clock.now());
                let (begun, authorization) = self.way_to_bank(provider.as_ref(), link, command.return_url)?;
                let mut work = self.store.begin(&attempt).await?;
                work.links().insert(&begun.link).await?;
                work.links().insert_authorization(&authorization).await?;
                work.succeed(Event::LinkBegun { link: begun.link.id, user: owner }).await?;
                Ok(begun)
            })
            .await
    }

    /// The adapter of a provider that is to be linked in this way.
    fn adapter(&self, slug: &str, method: LinkMethod) -> Result<&Arc<dyn FinancialProvider>, LinkError> {
        let entry = self.catalogue.entry(slug).filter(|entry| entry.manifest.method != LinkMethod::File).ok_or(LinkError::UnknownProvider)?;
        if entry.manifest.method != method {
            return Err(LinkError::OtherMethod);
        }
        self.catalogue.linkable(slug).ok_or(LinkError::UnavailableProvider)
    }

    /// Nobody is sent to a bank whose answer could not be taken.
    async fn is_asked(&self, slug: &str) -> Result<(), LinkError> {
        let pauses = self.pauses.at(&[slug.to_owned()]).await?;
        let rests_until = Pause::end(pauses.iter().filter(|pause| pause.reason == PauseReason::Tokens), self.clock.now());
        rests_until.map_or(Ok(()), |until| Err(LinkError::ProviderRests(until)))
    }

    /// A walk to the bank that a link can be completed by, not stored yet.
    fn way_to_bank(&self, provider: &dyn FinancialProvider, link: Link, return_url: Option<String>) -> Result<(BegunLink, Authorization), LinkError> {
        let return_url = return_url.map(|url| self.allowed_return_url(&url)).transpose()?;
        let slug = provider.manifest().slug;
        let ticket = self.secret();
        let walk = Walk { state: self.secret(), code_verifier: self.secret(), redirect_uri: format!("{}/oauth/{slug}/callback", self.settings.public_url) };
        let bank_url = door(provider)?.authorization_url(&walk)?;
        let secrets = format!("{}.{}", walk.state.expose_secret(), walk.code_verifier.expose_secret());
        let authorization = Authorization {
            id: AuthorizationId(self.randomness.id()),
            link: link.id,
            user: link.user,
            provider: slug.to_owned(),
            ticket_hash: digest(&ticket),
            state_hash: digest(&walk.state),
            cookie_hash: None,
            sealed_secrets: self.sealer.seal(Place::authorization(link.user, link.id), secrets.as_bytes())?,
            redirect_uri: walk.redirect_uri,
            return_url,
            expires_at: self.clock.now().plus(Duration::minutes(WALK_MINUTES)),
            started_at: None,
            spent_at: None,
        };
        let begun = BegunLink {
            authorization_url: format!("{}/oauth/{slug}/start?ticket={}", self.settings.public_url, ticket.expose_secret()).into(),
            provider_authorization_url: authorization.return_url.is_some().then(|| bank_url.into()),
            expires_at: authorization.expires_at,
            link,
        };
        Ok((begun, authorization))
    }

    /// What our start page says to whoever holds a ticket. Looking uses nothing up.
    pub async fn start_page(&self, provider: &str, ticket: &SecretString) -> Result<StartPage, LinkError> {
        let authorization = self.walk_of_ticket(provider, ticket).await?;
        let user = self.users.find(authorization.user).await?.ok_or(LinkError::UnknownTicket)?;
        let entry = self.catalogue.entry(provider).ok_or(LinkError::UnknownTicket)?;
        Ok(StartPage { provider: entry.manifest.name.to_owned(), account: user.email.masked() })
    }

    /// Uses the ticket up, binds the browser and sends it on.
    pub async fn start(&self, provider: &str, ticket: &SecretString, origin: Origin) -> Result<Departure, LinkError> {
        let authorization = self.walk_of_ticket(provider, ticket).await?;
        let requester = Requester { actor: Actor::Browser { of: authorization.user }, origin };
        let attempt = self.journal.attempt(&requester, Act::StartAuthorization).await?;
        attempt.upon(ResourceKind::Link, authorization.link.0);
        attempt
            .settle(async {
                self.permit_owner(&authorization, Act::StartAuthorization).await?;
                let adapter = self.catalogue.linkable(provider).ok_or(LinkError::UnknownTicket)?;
                let walk = self.walk(&authorization)?;
                let bank_url = door(adapter.as_ref())?.authorization_url(&walk)?;
                let cookie = self.secret();
                let mut work = self.store.begin(&attempt).await?;
                if !work.links().start_authorization(authorization.id, &digest(&cookie), self.clock.now()).await? {
                    return Err(LinkError::UnknownTicket);
                }
                work.succeed(Event::AuthorizationStarted { link: authorization.link, user: authorization.user }).await?;
                Ok(Departure { bank_url: bank_url.into(), cookie, walk: walk_name(&walk.state) })
            })
            .await
    }

    async fn walk_of_ticket(&self, provider: &str, ticket: &SecretString) -> Result<Authorization, LinkError> {
        let now = self.clock.now();
        let authorization = self.links.find_any_by_ticket(&digest(ticket)).await?;
        authorization
            .filter(|walk| walk.provider == provider && walk.started_at.is_none() && walk.spent_at.is_none() && now < walk.expires_at)
            .ok_or(LinkError::UnknownTicket)
    }

    /// The secrets of a walk, as the adapter needs them.
    fn walk(&self, authorization: &Authorization) -> anyhow::Result<Walk> {
        let place = Place::authorization(authorization.user, authorization.link);
        let secrets = self.sealer.open(place, &authorization.sealed_secrets)?;
        let (state, code_verifier) = std::str::from_utf8(&secrets)?.split_once('.').ok_or_else(|| anyhow::anyhow!("a sealed walk has two halves"))?;
        Ok(Walk { state: state.into(), code_verifier: code_verifier.into(), redirect_uri: authorization.redirect_uri.clone() })
    }

    /// An entry of the allow-list must be the URL itself or end where a path segment of it ends, so that `https://app.example` does not
    /// allow `https://app.example.evil`.
    fn allowed_return_url(&self, given: &str) -> Result<String, LinkError> {
        let url = url::Url::parse(given).map_err(|_| LinkError::ReturnUrlNotAllowed)?;
        let plain = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let allowed = self.settings.return_urls.iter().filter_map(|entry| url::Url::parse(entry).ok()).any(|entry| {
            let base = entry.path().trim_end_matches('/');
            let below = url.path().strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            entry.origin() == url.origin() && below
        });
        if plain && allowed && given.len() <= 2048 { Ok(url.into()) } else { Err(LinkError::ReturnUrlNotAllowed) }
    }

    fn secret(&self) -> SecretString {
        BASE64_URL_SAFE_NO_PAD.encode(self.randomness.secret()).into()
    }
}

/// The way of a provider that is linked by signing in there.
fn door(provider: &dyn FinancialProvider) -> anyhow::Result<&dyn OauthDoor> {
    provider.oauth().ok_or_else(|| anyhow::anyhow!("{} is linked by signing in, and has no door", provider.manifest().slug))
}

/// A name for the walk of a state, for the browser's cookie; tells nothing of the state.
pub fn walk_name(state: &SecretString) -> String {
    digest(state).iter().take(8).fold(String::new(), |name, byte| format!("{name}{byte:02x}"))
}

/// What of a random secret is kept.
fn digest(secret: &SecretString) -> Vec<u8> {
    Sha256::digest(secret.expose_secret()).to_vec()
}

/// Looks at links.
pub struct LinkQueries {
    /// What roles may do.
    pub access: Access,
    /// Where links are kept.
    pub links: Arc<dyn LinkReader>,
}

impl LinkQueries {
    /// The clocks of what one's own links were given.
    pub async fn credential_clocks(&self, requester: &Requester, links: &[LinkId]) -> Result<Vec<(LinkId, CredentialClock)>, QueryError> {
        let owner = self.access.reader(requester, Resource::Links)?;
        Ok(self.links.credential_clocks(owner, links).await?)
    }

    /// Those of `ids` that are one's own.
    pub async fn find_many(&self, requester: &Requester, ids: &[LinkId]) -> Result<Vec<Link>, QueryError> {
        let owner = self.access.reader(requester, Resource::Links)?;
        Ok(self.links.find_many(owner, ids).await?)
    }

    /// The links of a user: one's own, and none of anyone else.
    pub async fn page(&self, requester: &Requester, of: UserId, page: Page<CreatedKey>) -> Result<Slice<Link>, QueryError> {
        let Some(owner) = self.access.reader_of(requester, Resource::Links, of)? else { return Ok(Slice::none(&page)) };
        Ok(self.links.page(owner, page).await?)
    }
}
