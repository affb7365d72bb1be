//! The adapter: the sandbox bank as any other bank, over the wire.

use async_trait::async_trait;
use chrono::Duration;
use oauth2::{
    AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, ExtraTokenFields, PkceCodeChallenge, RedirectUrl,
    RefreshToken, StandardRevocableToken, StandardTokenResponse, TokenResponse, TokenUrl,
    basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    mapping::{self, AccountsAnswer, PageAnswer},
    register::CONSENT_DAYS,
};
use crate::{
    application::ports::{Credentials, FinancialProvider, OauthDoor, ProviderFault, ReportedAccounts, Revocation, Tokens, TransactionPage, Visit, Walk},
    domain::{
        provider::{LinkMethod, Manifest, ProviderCategory, ReportedAccount, Served},
        time::{LocalDate, Timestamp},
    },
    infrastructure::providers::{
        http::{self, Asked, Line, TokenEndpoint},
        oauth::{lifetime, token_fault, usable, verifier},
    },
};

/// A lifetime beyond this many days is no lifetime.
const LONGEST_DAYS: i64 = 3_650;

/// How the catalogue shows it.
pub static MANIFEST: Manifest = Manifest {
    slug: "sandbox",
    name: "Sandbox Bank",
    description: "A made-up bank inside Dashtam, with seven accounts at three institutions, for trying things out.",
    category: ProviderCategory::Sandbox,
    method: LinkMethod::Oauth,
    serves: &[Served::Balances, Served::Transactions, Served::Holdings],
    documentation: None,
    for_each_link: None,
    for_everyone: None,
    history_days: Some(3_650),
    consent_days: Some(CONSENT_DAYS),
    fresh_days: 1,
};

/// What the bank's token answers hold beyond RFC 6749.
#[derive(Debug, Serialize, Deserialize)]
struct ConsentFields {
    consent_expires_in: Option<u64>,
}

impl ExtraTokenFields for ConsentFields {}

type TokenAnswer = StandardTokenResponse<ConsentFields, BasicTokenType>;

type OauthClient = Client<
    BasicErrorResponse,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// The sandbox bank as a provider.
pub struct SandboxProvider {
    base_url: Url,
    http: Line,
    tokens: TokenEndpoint,
    oauth: OauthClient,
    client_id: String,
    client_secret: SecretString,
}

/// The issuer identifier of a bank at that address: the address without a slash at its end.
pub(super) fn issuer(base_url: &Url) -> String {
    base_url.as_str().trim_end_matches('/').to_owned()
}

impl SandboxProvider {
    /// A provider at `base_url`, where the bank's routes are nested. `http` is a line of its own.
    pub fn new(base_url: Url, client_id: &str, client_secret: &SecretString, http: Line) -> anyhow::Result<Self> {
        anyhow::ensure!(!base_url.cannot_be_a_base(), "the sandbox bank's address has no path to extend");
        let endpoint = |name: &str| format!("{}/{name}", issuer(&base_url));
        let oauth = Client::new(ClientId::new(client_id.to_owned()))
            .set_client_secret(ClientSecret::new(client_secret.expose_secret().to_owned()))
            .set_auth_uri(AuthUrl::new(endpoint("authorize"))?)
            .set_token_uri(TokenUrl::new(endpoint("token"))?);
        let (client_id, client_secret) = (client_id.to_owned(), client_secret.clone());
        Ok(Self { base_url, tokens: TokenEndpoint(http.clone()), http, oauth, client_id, client_secret })
    }
}

/// The bank's data API, opened by one consent.
struct SandboxVisit {
    base_url: Url,
    http: Line,
    access_token: SecretString,
    now: Timestamp,
    /// The bank's day, once it has told of its accounts.
    today: Option<LocalDate>,
}

impl SandboxVisit {
    /// A GET of the data API.
    fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<reqwest::Request, ProviderFault> {
        let mut url = self.base_url.clone();
        // `SandboxProvider::new` has refused an address without a path to extend.
        url.path_segments_mut().map_err(|()| ProviderFault::Unreachable)?.pop_if_empty().extend(path);
        let request = self.http.get(url).query(query).bearer_auth(self.access_token.expose_secret());
        request.build().map_err(|_| ProviderFault::Refused)
    }
}

#[async_trait]
impl FinancialProvider for SandboxProvider {
    fn manifest(&self) -> &Manifest {
        &MANIFEST
    }

    fn oauth(&self) -> Option<&dyn OauthDoor> {
        Some(self)
    }

    async fn revoke(&self, credentials: &Credentials) -> Result<Revocation, ProviderFault> {
        let Credentials::Oauth(tokens) = credentials else { return Err(ProviderFault::Refused) };
        let form = [("token", tokens.refresh_token.expose_secret()), ("token_type_hint", "refresh_token")];
        let request = self.http.post(format!("{}/revoke", issuer(&self.base_url))).basic_auth(&self.client_id, Some(self.client_secret.expose_secret()));
        let request = request.form(&form).build().map_err(|_| ProviderFault::Refused)?;
        http::ask(&self.http, request, Asked::Tokens).await.map(|_| Revocation::Told)
    }

    async fn visit(&self, credentials: &Credentials, now: Timestamp) -> Result<Box<dyn Visit>, ProviderFault> {
        let Credentials::Oauth(tokens) = credentials else { return Err(ProviderFault::Refused) };
        let (base_url, http, access_token) = (self.base_url.clone(), self.http.clone(), tokens.access_token.clone());
        Ok(Box::new(SandboxVisit { base_url, http, access_token, now, today: None }))
    }
}

#[async_trait]
impl OauthDoor for SandboxProvider {
    fn issuer(&self) -> Option<String> {
        Some(issuer(&self.base_url))
    }

    fn authorization_url(&self, walk: &Walk) -> anyhow::Result<String> {
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier(walk)?);
        let redirect = RedirectUrl::new(walk.redirect_uri.clone())?;
        let state = CsrfToken::new(walk.state.expose_secret().to_owned());
        let request = self.oauth.authorize_url(|| state).set_pkce_challenge(challenge).set_redirect_uri(std::borrow::Cow::Owned(redirect));
        Ok(request.url().0.into())
    }

    async fn exchange(&self, code: &str, walk: &Walk, now: Timestamp) -> Result<Tokens, ProviderFault> {
        let redirect = RedirectUrl::new(walk.redirect_uri.clone()).map_err(|_| ProviderFault::Refused)?;
        let verifier = verifier(walk).map_err(|_| ProviderFault::Refused)?;
        let request = self.oauth.exchange_code(AuthorizationCode::new(code.to_owned()));
        let request = request.set_pkce_verifier(verifier).set_redirect_uri(std::borrow::Cow::Owned(redirect));
        let answer = request.request_async(&self.tokens).await.map_err(token_fault)?;
        tokens(&answer, None, now)
    }

    async fn refresh(&self, old: &Tokens, now: Timestamp) -> Result<Tokens, ProviderFault> {
        let refresh_token = RefreshToken::new(old.refresh_token.expose_secret().to_owned());
        let answer = self.oauth.exchange_refresh_token(&refresh_token).request_async(&self.tokens).await.map_err(token_fault)?;
        tokens(&answer, old.consent_expires_at, now)
    }
}

#[async_trait]
impl Visit for SandboxVisit {
    async fn accounts(&mut self) -> Result<ReportedAccounts, ProviderFault> {
        let answer: AccountsAnswer = http::json(&self.http, self.get(&["accounts"], &[])?).await?;
        // An account left out would look closed: one that cannot be read spoils the answer.
        let mapped = answer.accounts.iter().map(|account| mapping::account(account, self.now).ok_or(ProviderFault::Malformed));
        let accounts: Vec<ReportedAccount> = mapped.collect::<Result<_, _>>()?;
        self.today = accounts.iter().filter_map(|account| account.balances.as_of).max().map(Timestamp::day);
        Ok(ReportedAccounts::all(accounts))
    }

    async fn transactions(&mut self, account: &ReportedAccount, from: LocalDate, to: LocalDate, page: Option<&str>) -> Result<TransactionPage, ProviderFault> {
        let (from, last) = (from.to_string(), to.to_string());
        let mut query = vec![("from", from.as_str())];
        // Up to now is up to the bank's now, whose clock can be ahead.
        query.extend((to < self.now.day()).then_some(("to", last.as_str())));
        query.extend(page.map(|cursor| ("cursor", cursor)));
        let request = self.get(&["accounts", account.reference.expose(), "transactions"], &query)?;
        let answer: PageAnswer = http::json(&self.http, request).await?;
        Ok(mapping::page(answer, account))
    }

    fn today(&self) -> Option<LocalDate> {
        self.today
    }
}

fn tokens(tokens: &TokenAnswer, known_consent_end: Option<Timestamp>, now: Timestamp) -> Result<Tokens, ProviderFault> {
    let refresh_token = tokens.refresh_token().map(RefreshToken::secret).filter(|token| !token.is_empty()).ok_or(ProviderFault::Incomplete)?;
    let consent_expires_at = match tokens.extra_fields().consent_expires_in {
        Some(seconds) => Some(after(now, seconds)?),
        None => known_consent_end,
    };
    Ok(Tokens {
        access_token: usable(tokens.access_token())?,
        refresh_token: refresh_token.clone().into(),
        access_expires_at: now.plus(lifetime(tokens.expires_in(), LONGEST_DAYS)),
        consent_expires_at,
    })
}

fn after(now: Timestamp, seconds: u64) -> Result<Timestamp, ProviderFault> {
    let span = i64::try_from(seconds).ok().and_then(Duration::try_seconds).filter(|span| *span <= Duration::days(LONGEST_DAYS));
    span.map(|span| now.plus(span)).ok_or(ProviderFault::Malformed)
}
