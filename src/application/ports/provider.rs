//! The port to banks, brokers and services: what an adapter of one does.

use async_trait::async_trait;
use secrecy::SecretString;

use crate::domain::{
    provider::{Manifest, ReportedAccount, ReportedTransaction},
    time::{LocalDate, Timestamp},
};

/// What an adapter needs to send a browser to a bank, and to exchange the code it brings back.
#[derive(Clone)]
pub struct Walk {
    /// `state`: 256 random bits, base64url.
    pub state: SecretString,
    /// PKCE `code_verifier` (RFC 7636).
    pub code_verifier: SecretString,
    /// Exactly as registered.
    pub redirect_uri: String,
}

/// What opens a provider. Never stored but sealed, never shown.
#[derive(Clone)]
pub enum Credentials {
    /// A bank's tokens, which end and are renewed.
    Oauth(Tokens),
    /// A key that its owner made at the provider.
    ApiKey {
        /// Its name there; no secret by itself, and kept like one.
        key: SecretString,
        /// What proves it.
        secret: SecretString,
    },
    /// An address that opens by itself: user and password stand in it.
    AccessUrl(SecretString),
}

impl Credentials {
    /// When the consent ends, renewed or not; `None` when it does not, or nobody says.
    pub fn consent_expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Oauth(tokens) => tokens.consent_expires_at,
            Self::ApiKey { .. } | Self::AccessUrl(_) => None,
        }
    }
}

/// A bank's tokens.
#[derive(Clone)]
pub struct Tokens {
    /// For the data API.
    pub access_token: SecretString,
    /// For the next access token.
    pub refresh_token: SecretString,
    /// When the access token ends.
    pub access_expires_at: Timestamp,
    /// When the consent ends, refreshed or not; `None` when the bank does not say.
    pub consent_expires_at: Option<Timestamp>,
}

/// What a user brings from a provider by hand.
#[derive(Clone)]
pub enum Pasted {
    /// A key made at the provider.
    ApiKey {
        /// Its name there.
        key: SecretString,
        /// What proves it.
        secret: SecretString,
    },
    /// A token that can be exchanged once.
    SetupToken(SecretString),
}

/// How a provider failed. Texts of the provider never travel; they may hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProviderFault {
    /// No connection, or no answer in time.
    #[error("the provider could not be reached in time")]
    Unreachable,
    /// 5xx.
    #[error("the provider reported an error of its own")]
    ServerError,
    /// 429; seconds to wait, when it said so.
    #[error("the provider asked for fewer requests")]
    RateLimited { retry_after: Option<u32> },
    /// 503 with a time to come back, or so many failures in a row that it is left alone for a while; in how many seconds it can be asked again.
    #[error("the provider is not available just now")]
    Unavailable { retry_after: u32 },
    /// The code, the refresh token, the key or the setup token is not accepted (`invalid_grant`, 400, 401, 403).
    #[error("the provider no longer accepts the credentials")]
    Refused,
    /// The provider does not know this server by its own id and secret (`invalid_client`, 401 at a token endpoint): no consent is over, and
    /// the operator has to look.
    #[error("the provider does not accept this server's own credentials")]
    AppRefused,
    /// 402.
    #[error("the provider wants to be paid first")]
    Unpaid,
    /// Not what the provider's documentation promises: HTML, broken JSON, nothing, too much.
    #[error("the provider's answer could not be read")]
    Malformed,
    /// Readable, and something we cannot do without is missing: a refresh token, a lifetime.
    #[error("the provider's answer is incomplete")]
    Incomplete,
}

impl ProviderFault {
    /// Until then it is not to be asked: a started second counts, so that none is asked too early.
    pub fn rests_until(until: Timestamp, now: Timestamp) -> Self {
        let wait = until.since(now);
        let seconds = wait.num_seconds() + i64::from(wait.subsec_nanos() > 0);
        Self::RateLimited { retry_after: Some(u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)) }
    }

    /// How long it is not to be asked again, when that is known.
    pub fn wait(self) -> Option<chrono::Duration> {
        match self {
            Self::RateLimited { retry_after: Some(seconds) } | Self::Unavailable { retry_after: seconds } => Some(chrono::Duration::seconds(seconds.into())),
            _ => None,
        }
    }
}

/// All accounts the credentials open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedAccounts {
    /// Accounts, mapped.
    pub accounts: Vec<ReportedAccount>,
    /// Whether these are all. False when some did not answer: what is missing must not be taken for closed.
    pub complete: bool,
}

impl ReportedAccounts {
    /// All there are.
    pub fn all(accounts: Vec<ReportedAccount>) -> Self {
        Self { accounts, complete: true }
    }
}

/// One page of an account's transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionPage {
    /// Rows, mapped.
    pub transactions: Vec<ReportedTransaction>,
    /// What to ask the next page with; `None` on the last.
    pub next: Option<String>,
    /// Rows that could not be mapped and were left out.
    pub refused: u32,
    /// The ids of those that have one: they are there, whatever they say.
    pub refused_ids: Vec<String>,
    /// Whether the account answered for all of the days that were asked for. False when it did not: what is missing must not be taken for
    /// withdrawn.
    pub complete: bool,
    /// Whether the pages of this answer hold everything that is pending, whatever its day; each page says the same. Else they hold what is pending of the
    /// days that were asked for, and say nothing of any other.
    pub all_pending: bool,
}

impl TransactionPage {
    /// Leaves a row out that could not be mapped.
    pub fn refuse(&mut self, id: Option<String>) {
        self.refused += 1;
        self.refused_ids.extend(id);
    }
}

impl Default for TransactionPage {
    /// The last page, with nothing on it, of a provider that tells of the days it is asked for and of no others.
    fn default() -> Self {
        Self { transactions: Vec::new(), next: None, refused: 0, refused_ids: Vec::new(), complete: true, all_pending: false }
    }
}

/// One bank, broker or service behind its own API.
#[async_trait]
pub trait FinancialProvider: Send + Sync {
    /// What it is and does.
    fn manifest(&self) -> &Manifest;
    /// Where browsers go to agree; `None` for a provider that is linked in another way.
    fn oauth(&self) -> Option<&dyn OauthDoor> {
        None
    }
    /// Makes of what a user brought what opens the provider from now on, having asked the provider for it. A setup token is spent by that,
    /// so nothing else is asked for here that could fail afterwards.
    async fn connect(&self, _pasted: &Pasted, _now: Timestamp) -> Result<Credentials, ProviderFault> {
        Err(ProviderFault::Refused)
    }
    /// Tells the provider that a consent is over, so that no copy of its credentials opens anything any more (RFC 7009). Most cannot be told:
    /// their owners end it there.
    async fn revoke(&self, _credentials: &Credentials) -> Result<Revocation, ProviderFault> {
        Ok(Revocation::NotOffered)
    }
    /// Opens the provider for one stage of one sync of one link.
    async fn visit(&self, credentials: &Credentials, now: Timestamp) -> Result<Box<dyn Visit>, ProviderFault>;
}

/// What became of telling a provider that a consent is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It knows, and takes what it handed out no more.
    Told,
    /// It has no way to be told.
    NotOffered,
}

/// The way of a provider that is linked by signing in there (OAuth 2.0 authorization code with PKCE).
#[async_trait]
pub trait OauthDoor: Send + Sync {
    /// Its issuer identifier, when it sends `iss` with its answers (RFC 9207).
    fn issuer(&self) -> Option<String>;
    /// Where the browser goes to agree.
    fn authorization_url(&self, walk: &Walk) -> anyhow::Result<String>;
    /// Exchanges the code, once.
    async fn exchange(&self, code: &str, walk: &Walk, now: Timestamp) -> Result<Tokens, ProviderFault>;
    /// Fresh tokens for old ones. Keeps the consent's end.
    async fn refresh(&self, tokens: &Tokens, now: Timestamp) -> Result<Tokens, ProviderFault>;
}

/// A provider while one stage of one sync reads it; it may remember what it has fetched. Accounts are asked for first.
#[async_trait]
pub trait Visit: Send {
    /// All accounts the credentials open.
    async fn accounts(&mut self) -> Result<ReportedAccounts, ProviderFault>;
    /// One page of an account's transactions of the days from `from` to `to` inclusive. Pending ones may come whatever their day.
    async fn transactions(&mut self, account: &ReportedAccount, from: LocalDate, to: LocalDate, page: Option<&str>) -> Result<TransactionPage, ProviderFault>;
    /// Whether what was said of an account itself, its balances and its positions, is news: not when whoever keeps it did not answer. What is stored
    /// of it stays then.
    fn has_news_of(&self, _account: &ReportedAccount) -> bool {
        true
    }
    /// Until when the provider wants to be left alone by these credentials, said beside an answer; `None` when it did not say so. Nothing is asked
    /// with them before.
    fn rests_until(&self) -> Option<Timestamp> {
        None
    }
    /// Whether an answer said that some of its accounts answer again once their owner has signed in there: at the bank itself, or at whoever collects
    /// from banks.
    fn needs_user(&self) -> bool {
        false
    }
    /// The bank's own day, where it says so.
    fn today(&self) -> Option<LocalDate> {
        None
    }
    /// The last day that rows up to now can be of, and all that are told go up to: the bank's own, which further east may be tomorrow, or the last one
    /// it dates rows ahead to.
    fn last_day(&self) -> Option<LocalDate> {
        self.today()
    }
}
