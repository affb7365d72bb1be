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

/// A bank's tokens. Never stored but sealed, never shown.
#[derive(Clone)]
pub struct Credentials {
    /// For the data API.
    pub access_token: SecretString,
    /// For the next access token.
    pub refresh_token: SecretString,
    /// When the access token ends.
    pub access_expires_at: Timestamp,
    /// When the consent ends, refreshed or not; `None` when the bank does not say.
    pub consent_expires_at: Option<Timestamp>,
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
    /// The code, or the refresh token, is not accepted (`invalid_grant`, 400, 401, 403).
    #[error("the provider no longer accepts the credentials")]
    Refused,
    /// Not what the provider's documentation promises: HTML, broken JSON, nothing, too much.
    #[error("the provider's answer could not be read")]
    Malformed,
    /// Readable, and something we cannot do without is missing: a refresh token, a lifetime.
    #[error("the provider's answer is incomplete")]
    Incomplete,
}

/// One page of an account's transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransactionPage {
    /// Rows, mapped.
    pub transactions: Vec<ReportedTransaction>,
    /// What to ask the next page with; `None` on the last.
    pub next: Option<String>,
    /// Rows that could not be mapped and were left out.
    pub refused: u32,
}

/// One bank, broker or service behind its own API.
#[async_trait]
pub trait FinancialProvider: Send + Sync {
    /// What it is and does.
    fn manifest(&self) -> &Manifest;
    /// Its issuer identifier, when it sends `iss` with its answers (RFC 9207).
    fn issuer(&self) -> Option<String>;
    /// Where the browser goes to agree.
    fn authorization_url(&self, walk: &Walk) -> anyhow::Result<String>;
    /// Exchanges the code, once.
    async fn exchange(&self, code: &str, walk: &Walk, now: Timestamp) -> Result<Credentials, ProviderFault>;
    /// Fresh tokens for old ones. Keeps the consent's end.
    async fn refresh(&self, credentials: &Credentials, now: Timestamp) -> Result<Credentials, ProviderFault>;
    /// Tells the provider that a consent is over, so that no copy of its tokens opens anything any more (RFC 7009). A provider that cannot be
    /// told has nothing to do here.
    async fn revoke(&self, credentials: &Credentials) -> Result<(), ProviderFault>;
    /// All accounts the consent covers.
    async fn accounts(&self, credentials: &Credentials, now: Timestamp) -> Result<Vec<ReportedAccount>, ProviderFault>;
    /// One page of an account's transactions posted from `from` to `to` inclusive; pending ones come whatever their day.
    async fn transactions(
        &self,
        credentials: &Credentials,
        account: &ReportedAccount,
        from: LocalDate,
        to: LocalDate,
        page: Option<&str>,
    ) -> Result<TransactionPage, ProviderFault>;
}
