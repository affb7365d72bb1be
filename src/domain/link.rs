//! Links: one user's relation to one provider, from the first click to the last sync.

use async_trait::async_trait;
use chrono::Duration;

use super::{
    consent::ConsentTerm,
    event::Event,
    id::{AuthorizationId, LinkId, UserId},
    page::{CreatedKey, Page, Slice},
    provider::LinkMethod,
    schedule::SyncPlan,
    sync::SyncProblem,
    time::{LocalDate, Timestamp},
    transaction::words,
};

words! {
    /// Where a link stands.
    LinkStatus {
        /// Begun, waiting for the user at the bank.
        Pending = "pending",
        /// Working.
        Active = "active",
        /// The bank's consent or the tokens ran out.
        Expired = "expired",
        /// The bank or the user withdrew the consent.
        Revoked = "revoked",
        /// Linking did not succeed.
        Failed = "failed",
        /// The user took it away. Nothing is fetched any more; what came through it stays, or is gone, as they asked.
        Unlinked = "unlinked",
    }
}

words! {
    /// Why a link is not working.
    LinkReason {
        /// The user, or the bank on their behalf, said no.
        AccessDenied = "access_denied",
        /// The bank reported an error of its own.
        ProviderError = "provider_error",
        /// The bank sent the browser back without a code.
        MissingCode = "missing_code",
        /// The answer came from another issuer than the one asked (RFC 9207).
        WrongIssuer = "wrong_issuer",
        /// The browser that came back was not the one that left.
        WrongBrowser = "wrong_browser",
        /// Someone else presented the answer.
        WrongUser = "wrong_user",
        /// The user took longer than ten minutes.
        TimedOut = "timed_out",
        /// This server stopped while it was exchanging the code.
        Interrupted = "interrupted",
        /// The bank refused to exchange the code.
        ExchangeRefused = "exchange_refused",
        /// The bank does not accept this server's own credentials, which its operator has to mend.
        AppRejected = "app_rejected",
        /// The bank asked for fewer requests.
        RateLimited = "rate_limited",
        /// The bank could not be reached, or took too long.
        ProviderUnreachable = "provider_unreachable",
        /// The bank's answer could not be read.
        MalformedAnswer = "malformed_answer",
        /// The bank's answer lacked a refresh token.
        IncompleteAnswer = "incomplete_answer",
        /// The bank no longer accepts the stored tokens, or the key.
        CredentialsRejected = "credentials_rejected",
        /// The time is over that the bank's consent lasts.
        ConsentEnded = "consent_ended",
        /// Its user withdrew the consent, by asking to be erased.
        ConsentWithdrawn = "consent_withdrawn",
    }
}

impl LinkReason {
    /// What it means for the person whose link it is.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::AccessDenied => "You, or your bank on your behalf, said no.",
            Self::ProviderError => "The bank reported an error of its own.",
            Self::MissingCode => "The bank's answer was incomplete.",
            Self::WrongIssuer => "The answer came from another bank than the one asked.",
            Self::WrongBrowser => "The browser that came back is not the one that left.",
            Self::WrongUser => "Someone else began this.",
            Self::TimedOut => "It took longer than ten minutes.",
            Self::Interrupted => "This server stopped in the middle of it.",
            Self::ExchangeRefused => "The bank did not accept its own answer any more.",
            Self::AppRejected => "The bank does not accept this server's own credentials. The server's operator has to mend that first.",
            Self::RateLimited => "The bank asks for a pause. It is there again later.",
            Self::ProviderUnreachable => "The bank could not be reached.",
            Self::MalformedAnswer | Self::IncompleteAnswer => "The bank's answer could not be read.",
            Self::CredentialsRejected | Self::ConsentEnded => "The bank no longer accepts this link.",
            Self::ConsentWithdrawn => "You have withdrawn your consent.",
        }
    }
}

/// One user's relation to one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The same over re-linking.
    pub id: LinkId,
    /// Whose it is.
    pub user: UserId,
    /// The provider's slug.
    pub provider: String,
    /// Where it stands.
    pub status: LinkStatus,
    /// Why it is not working; `None` while it is, or has not been tried.
    pub reason: Option<LinkReason>,
    /// What the user calls it.
    pub alias: Option<String>,
    /// When the bank's consent ends; `None` when it does not say.
    pub consent_expires_at: Option<Timestamp>,
    /// When it was given; `None` without an end.
    pub consent_began_at: Option<Timestamp>,
    /// When its user was last warned that it ends; `None` when they were not, of this one.
    pub consent_warned_at: Option<Timestamp>,
    /// The first day of which everything was fetched.
    pub covered_from: Option<LocalDate>,
    /// The last day of which everything was fetched.
    pub covered_to: Option<LocalDate>,
    /// When something new was last asked for and everything came; for files, when one last brought something.
    pub synced_at: Option<Timestamp>,
    /// When it is synced next by itself; `None` for one that never is, or was never linked.
    pub sync_plan: Option<SyncPlan>,
    /// When it was begun.
    pub created_at: Timestamp,
}

/// What the user has to do about a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextAction {
    /// Go to the bank and agree.
    Authorize,
    /// Link the provider once more.
    Relink,
    /// The same, before the consent ends; until then it works.
    RelinkSoon,
    /// Hand over another key or setup token for the link.
    NewCredentials,
    /// Pay the provider, and ask for a sync.
    PayProvider,
    /// Sign in at the provider, and ask for a sync.
    SignInAtProvider,
}

/// How recent a link's data is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Freshness {
    /// Nothing was brought in yet.
    #[default]
    Never,
    /// It is as recent as its provider lets expect.
    Fresh,
    /// Nothing came for longer than that, or the link does not work any more.
    Stale,
}

/// Why a link does not change as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkRefusal {
    /// A walk that comes to nothing takes nothing from a link that works, and brings none back that was unlinked.
    NotWaiting,
    /// Only an active link expires.
    NotActive,
    /// It was unlinked before.
    Unlinked,
}

impl Link {
    /// A link whose user is on the way to the bank.
    pub fn begin(id: LinkId, user: UserId, provider: &str, now: Timestamp) -> Self {
        Self {
            id,
            user,
            provider: provider.to_owned(),
            status: LinkStatus::Pending,
            reason: None,
            alias: None,
            consent_expires_at: None,
            consent_began_at: None,
            consent_warned_at: None,
            covered_from: None,
            covered_to: None,
            synced_at: None,
            sync_plan: None,
            created_at: now,
        }
    }

    /// A link that needs no one's consent, such as the one statement files come in through.
    pub fn open(id: LinkId, user: UserId, provider: &str, now: Timestamp) -> Self {
        Self { status: LinkStatus::Active, ..Self::begin(id, user, provider, now) }
    }

    /// The bank agreed and tokens are at hand, for the first time or once more. That a walk to the bank still counts is its own matter.
    pub fn activate(&mut self, consent_expires_at: Option<Timestamp>, now: Timestamp) -> Event {
        (self.status, self.reason, self.consent_expires_at) = (LinkStatus::Active, None, consent_expires_at);
        (self.consent_began_at, self.consent_warned_at) = (consent_expires_at.map(|_| now), None);
        Event::LinkActivated { link: self.id, user: self.user }
    }

    /// From when to when its consent lasts; `None` when that does not end, or nobody says.
    pub fn consent_term(&self) -> Option<ConsentTerm> {
        let ends_at = self.consent_expires_at?;
        Some(ConsentTerm { began_at: self.consent_began_at.unwrap_or(self.created_at), ends_at })
    }

    /// A walk to the bank came to nothing.
    pub fn fail(&mut self, reason: LinkReason) -> Result<(), LinkRefusal> {
        if matches!(self.status, LinkStatus::Active | LinkStatus::Unlinked) {
            return Err(LinkRefusal::NotWaiting);
        }
        (self.status, self.reason) = (LinkStatus::Failed, Some(reason));
        Ok(())
    }

    /// The user takes it away, wherever it stands.
    pub fn unlink(&mut self) -> Result<(), LinkRefusal> {
        if self.status == LinkStatus::Unlinked {
            return Err(LinkRefusal::Unlinked);
        }
        (self.status, self.reason, self.consent_expires_at) = (LinkStatus::Unlinked, None, None);
        Ok(())
    }

    /// Nothing that came through it is there any more, so linked once more it begins from nothing.
    pub fn forget(&mut self) {
        (self.covered_from, self.covered_to, self.synced_at) = (None, None, None);
    }

    /// A link that needs no one's consent works again, when something comes in through it.
    pub fn reopen(&mut self) {
        (self.status, self.reason) = (LinkStatus::Active, None);
    }

    /// The bank no longer honours the stored tokens. Accounts stay.
    pub fn expire(&mut self, reason: LinkReason) -> Result<(), LinkRefusal> {
        if self.status != LinkStatus::Active {
            return Err(LinkRefusal::NotActive);
        }
        (self.status, self.reason) = (LinkStatus::Expired, Some(reason));
        Ok(())
    }

    /// Everything from `from` to `to` was fetched, besides what was before. Both touch, or it is the first.
    pub fn covered(&mut self, from: LocalDate, to: LocalDate) {
        self.covered_from = Some(self.covered_from.map_or(from, |covered| covered.min(from)));
        self.covered_to = Some(self.covered_to.map_or(to, |covered| covered.max(to)));
    }

    /// How recent its data is, where something new is to be expected every `days`.
    pub fn freshness(&self, days: u32, now: Timestamp) -> Freshness {
        self.freshness_since(self.synced_at, days, now)
    }

    /// The same of data that was brought in at another time.
    pub fn freshness_since(&self, synced_at: Option<Timestamp>, days: u32, now: Timestamp) -> Freshness {
        match synced_at {
            None => Freshness::Never,
            Some(at) if self.status == LinkStatus::Active && now.since(at) <= Duration::days(days.into()) => Freshness::Fresh,
            Some(_) => Freshness::Stale,
        }
    }

    /// What the user has to do, if anything, about a link that is linked in this way and whose last sync had this problem.
    pub fn next_action(&self, method: LinkMethod, last: Option<SyncProblem>, now: Timestamp) -> Option<NextAction> {
        match self.status {
            LinkStatus::Active if last == Some(SyncProblem::ProviderUnpaid) => Some(NextAction::PayProvider),
            LinkStatus::Active if last == Some(SyncProblem::SignInNeeded) => Some(NextAction::SignInAtProvider),
            LinkStatus::Active => self.consent_term().filter(|term| term.is_ending(now)).map(|_| NextAction::RelinkSoon),
            LinkStatus::Unlinked => None,
            // It would end the same way: this is the operator's to mend.
            LinkStatus::Failed if self.reason == Some(LinkReason::AppRejected) => None,
            LinkStatus::Pending => Some(NextAction::Authorize),
            LinkStatus::Expired | LinkStatus::Revoked | LinkStatus::Failed => Some(match method {
                LinkMethod::ApiKey | LinkMethod::SetupToken => NextAction::NewCredentials,
                LinkMethod::Oauth | LinkMethod::File => NextAction::Relink,
            }),
        }
    }
}

/// One walk of a browser to a bank and back. Tickets, states and cookies are kept as SHA-256 of 256 random bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Never changes.
    pub id: AuthorizationId,
    /// The link it is to complete.
    pub link: LinkId,
    /// Who began it.
    pub user: UserId,
    /// The provider's slug; a callback for another provider does not match.
    pub provider: String,
    /// Hash of the ticket our own start page takes, once.
    pub ticket_hash: Vec<u8>,
    /// Hash of the `state` the bank gives back, once.
    pub state_hash: Vec<u8>,
    /// Hash of the cookie that binds the browser; set when the start page is left.
    pub cookie_hash: Option<Vec<u8>>,
    /// The PKCE verifier and state, sealed.
    pub sealed_secrets: Vec<u8>,
    /// The redirect URI as sent to the bank; the exchange must repeat it exactly.
    pub redirect_uri: String,
    /// Where the browser goes afterwards; on the allow-list when it was given.
    pub return_url: Option<String>,
    /// Ten minutes after it began.
    pub expires_at: Timestamp,
    /// When the ticket was used.
    pub started_at: Option<Timestamp>,
    /// When the state was used.
    pub spent_at: Option<Timestamp>,
}

impl Authorization {
    /// When it was over: used, or past its time.
    pub fn over_at(&self) -> Timestamp {
        self.spent_at.unwrap_or(self.expires_at)
    }
}

/// What a bank had handed out and is wiped here: all it takes to tell the bank.
pub struct Wiped {
    /// The link it was for.
    pub link: LinkId,
    /// Whose bank.
    pub provider: String,
    /// As it was kept.
    pub sealed: Vec<u8>,
}

/// What opens a provider, sealed, with what may be known of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedCredentials {
    /// The envelope.
    pub envelope: Vec<u8>,
    /// When it stops opening anything unless it is renewed; `None` when it does not by itself.
    pub expires_at: Option<Timestamp>,
    /// When a worker renews it unless somebody did before; `None` when nothing is to be renewed.
    pub renew_at: Option<Timestamp>,
}

/// What a link was given, as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredCredentials {
    /// The envelope.
    pub envelope: Vec<u8>,
    /// Counts up whenever something else takes its place, from another number each time a link that had nothing is given something.
    pub version: i64,
    /// Until when its provider wants to be left alone by it; `None` when it may be asked.
    pub rests_until: Option<Timestamp>,
}

/// When what a link was given ends, and when it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialClock {
    /// When it stops opening anything unless it is renewed; `None` when it does not by itself.
    pub expires_at: Option<Timestamp>,
    /// When the provider handed it out, the first time or renewed.
    pub renewed_at: Timestamp,
    /// Until when its provider wants to be left alone by it; `None` when it may be asked.
    pub rests_until: Option<Timestamp>,
}

/// Whether credentials are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// They are.
    Held,
    /// Somebody else holds them.
    Busy,
    /// There are others by now.
    Replaced,
    /// There are none any more.
    Gone,
}

/// Links with their authorizations and credentials, inside a unit of work.
#[async_trait]
pub trait Links: Send {
    /// A link of `owner`.
    async fn find(&mut self, owner: UserId, id: LinkId) -> anyhow::Result<Option<Link>>;
    /// The owner's link to a provider that needs no consent, such as statement files: the first that is open, or that was and is unlinked.
    async fn find_open(&mut self, owner: UserId, provider: &str) -> anyhow::Result<Option<Link>>;
    /// A new link.
    async fn insert(&mut self, link: &Link) -> anyhow::Result<()>;
    /// Stores status, reason, consent, coverage and freshness of a known link; its alias is the user's, and stays, and so does its plan.
    async fn save(&mut self, link: &Link) -> anyhow::Result<()>;
    /// Stores the alias of a known link and nothing else, so that neither a sync at the same time nor this undoes the other.
    async fn rename(&mut self, link: &Link) -> anyhow::Result<()>;
    /// Stores when a link is synced next by itself, and nothing else.
    async fn plan(&mut self, owner: UserId, link: LinkId, plan: &SyncPlan) -> anyhow::Result<()>;
    /// A begun walk to the bank.
    async fn insert_authorization(&mut self, authorization: &Authorization) -> anyhow::Result<()>;
    /// Uses a ticket and binds the browser by `cookie_hash`; `false` when it was used before or has run out.
    async fn start_authorization(&mut self, id: AuthorizationId, cookie_hash: &[u8], now: Timestamp) -> anyhow::Result<bool>;
    /// Uses a state; `false` when it was used before.
    async fn spend_authorization(&mut self, id: AuthorizationId, now: Timestamp) -> anyhow::Result<bool>;
    /// A link's walks to the bank, those that are over too for as long as they are kept.
    async fn walks(&mut self, owner: UserId, link: LinkId) -> anyhow::Result<Vec<Authorization>>;
    /// Whether a walk still counts. Those of a link that is unlinked, or of a user who asked to be erased, are gone.
    async fn authorization_stands(&mut self, owner: UserId, id: AuthorizationId) -> anyhow::Result<bool>;
    /// Stores what a link was given in place of whatever there is.
    async fn save_credentials(&mut self, owner: UserId, link: LinkId, sealed: &SealedCredentials, now: Timestamp) -> anyhow::Result<()>;
    /// Holds a link's credentials of that version until an instant, so that nobody else has them renewed meanwhile.
    async fn hold_credentials(&mut self, owner: UserId, link: LinkId, version: i64, now: Timestamp, until: Timestamp) -> anyhow::Result<Hold>;
    /// Stores renewed ones in place of those of that version, and lets them go; `false` when there are others by now, or none.
    async fn replace_credentials(&mut self, owner: UserId, link: LinkId, version: i64, sealed: &SealedCredentials, now: Timestamp) -> anyhow::Result<bool>;
    /// Lets held ones of that version go as they are. A worker is to renew them at `renew_at`; without it, when it was to before.
    async fn let_credentials_go(&mut self, owner: UserId, link: LinkId, version: i64, renew_at: Option<Timestamp>) -> anyhow::Result<()>;
    /// Notes until when a provider wants to be left alone by what a link was given.
    async fn rest_credentials(&mut self, owner: UserId, link: LinkId, until: Timestamp) -> anyhow::Result<()>;
    /// Stores when there is something to do about a link's consent next.
    async fn await_consent(&mut self, owner: UserId, link: LinkId, due_at: Option<Timestamp>) -> anyhow::Result<()>;
    /// Wipes a link's sealed tokens and ends its walks to the bank. Answers what the bank had handed out, if anything.
    async fn wipe_credentials(&mut self, link: &Link) -> anyhow::Result<Option<Wiped>>;
}

/// Links for queries and loaders.
#[async_trait]
pub trait LinkReader: Send + Sync {
    /// Those of `ids` that belong to `owner`, in no particular order.
    async fn find_many(&self, owner: UserId, ids: &[LinkId]) -> anyhow::Result<Vec<Link>>;
    /// The links of `owner`, oldest first.
    async fn page(&self, owner: UserId, page: Page<CreatedKey>) -> anyhow::Result<Slice<Link>>;
    /// The walk a ticket belongs to, whoever brings it.
    async fn find_any_by_ticket(&self, ticket_hash: &[u8]) -> anyhow::Result<Option<Authorization>>;
    /// The walk a state belongs to, whoever brings it.
    async fn find_any_by_state(&self, state_hash: &[u8]) -> anyhow::Result<Option<Authorization>>;
    /// What a link was given, as it is stored.
    async fn credentials(&self, owner: UserId, link: LinkId) -> anyhow::Result<Option<StoredCredentials>>;
    /// The clocks of what several of the owner's links were given; one that was given nothing is missing.
    async fn credential_clocks(&self, owner: UserId, links: &[LinkId]) -> anyhow::Result<Vec<(LinkId, CredentialClock)>>;
}
