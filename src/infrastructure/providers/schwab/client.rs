//! The adapter: consent, and what is asked of Schwab.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use chrono::Duration;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, PkceCodeChallenge, RedirectUrl, RefreshToken, TokenResponse,
    TokenUrl,
    basic::{BasicClient, BasicTokenResponse},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use url::Url;

use crate::{
    application::ports::{Credentials, FinancialProvider, OauthDoor, ProviderFault, ReportedAccounts, Tokens, TransactionPage, Visit, Walk},
    domain::{
        provider::{LinkMethod, Manifest, ProviderCategory, ReportedAccount, Served},
        rate_limit::Budget,
        time::{LocalDate, Timestamp},
    },
    infrastructure::providers::{
        http::{self, Line, Policy, TokenEndpoint},
        nulls::{OrEmpty, id_in, null_is_empty},
        oauth::{lifetime, token_fault, usable, verifier},
    },
};

use super::{
    mapping::{self, AccountItem, Nickname},
    spans::Spans,
};

/// Where Schwab is.
const ADDRESS: &str = "https://api.schwabapi.com";

/// How many days a consent lasts from signing in, whatever is refreshed.
const CONSENT_DAYS: u32 = 7;

/// The longest an access token may say that it lasts, in days.
const LONGEST_DAYS: i64 = 7;

/// As many rows as Schwab answers at most; there may be more then.
const MOST_ROWS: usize = 3_000;

/// Every type there is: asking without any is an error.
const TYPES: &str = "TRADE,RECEIVE_AND_DELIVER,DIVIDEND_OR_INTEREST,ACH_RECEIPT,ACH_DISBURSEMENT,CASH_RECEIPT,CASH_DISBURSEMENT,ELECTRONIC_FUND,WIRE_OUT,\
                     WIRE_IN,JOURNAL,MEMORANDUM,MARGIN_CALL,MONEY_MARKET,SMA_ADJUSTMENT";

static MANIFEST: Manifest = Manifest {
    slug: "schwab",
    name: "Charles Schwab",
    description: "Brokerage accounts at Schwab, by signing in there. A consent lasts seven days.",
    category: ProviderCategory::Brokerage,
    method: LinkMethod::Oauth,
    serves: &[Served::Balances, Served::Transactions, Served::Holdings],
    documentation: Some("https://developer.schwab.com"),
    for_each_link: POLICY.for_each_link,
    for_everyone: POLICY.for_everyone,
    history_days: None,
    consent_days: Some(CONSENT_DAYS),
    fresh_days: 1,
};

/// What Schwab bears: 120 requests a minute of one app.
pub const POLICY: Policy = Policy { for_everyone: Some(Budget { at_once: 60, come_back: 60, within_minutes: 1 }), ..Policy::USUAL };

type OauthClient = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// Schwab as a provider.
pub struct SchwabProvider {
    base_url: Url,
    line: Line,
    tokens: TokenEndpoint,
    oauth: OauthClient,
}

impl SchwabProvider {
    /// What it is and does.
    pub fn manifest() -> &'static Manifest {
        &MANIFEST
    }

    /// At `base_url`, or else at Schwab's own address, as the app of that key and secret.
    pub fn new(base_url: Option<&Url>, client_id: &str, client_secret: &SecretString, line: Line) -> anyhow::Result<Self> {
        let base_url = base_url.cloned().map_or_else(|| Url::parse(ADDRESS), Ok)?;
        let endpoint = |name: &str| format!("{}/v1/oauth/{name}", base_url.as_str().trim_end_matches('/'));
        let oauth = BasicClient::new(ClientId::new(client_id.to_owned()))
            .set_client_secret(ClientSecret::new(client_secret.expose_secret().to_owned()))
            .set_auth_uri(AuthUrl::new(endpoint("authorize"))?)
            .set_token_uri(TokenUrl::new(endpoint("token"))?);
        Ok(Self { base_url, tokens: TokenEndpoint(line.clone()), line, oauth })
    }
}

#[async_trait]
impl FinancialProvider for SchwabProvider {
    fn manifest(&self) -> &Manifest {
        &MANIFEST
    }

    fn oauth(&self) -> Option<&dyn OauthDoor> {
        Some(self)
    }

    async fn visit(&self, credentials: &Credentials, now: Timestamp) -> Result<Box<dyn Visit>, ProviderFault> {
        let Credentials::Oauth(tokens) = credentials else { return Err(ProviderFault::Refused) };
        let (base_url, line, access_token) = (self.base_url.clone(), self.line.clone(), tokens.access_token.clone());
        Ok(Box::new(SchwabVisit { base_url, line, access_token, now, hashes: HashMap::new() }))
    }
}

#[async_trait]
impl OauthDoor for SchwabProvider {
    fn issuer(&self) -> Option<String> {
        None
    }

    /// Whether Schwab honours PKCE is not known: it is sent, and nothing here relies on it.
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
        // A frontend that took the code out of the address as it stood there did not decode its end.
        let code = code.strip_suffix("%40").map_or_else(|| code.to_owned(), |code| format!("{code}@"));
        let request = self.oauth.exchange_code(AuthorizationCode::new(code)).set_pkce_verifier(verifier).set_redirect_uri(std::borrow::Cow::Owned(redirect));
        let answer = request.request_async(&self.tokens).await.map_err(token_fault)?;
        tokens(&answer, None, Some(now.plus(Duration::days(CONSENT_DAYS.into()))), now)
    }

    async fn refresh(&self, old: &Tokens, now: Timestamp) -> Result<Tokens, ProviderFault> {
        let refresh_token = RefreshToken::new(old.refresh_token.expose_secret().to_owned());
        let answer = self.oauth.exchange_refresh_token(&refresh_token).request_async(&self.tokens).await.map_err(token_fault)?;
        tokens(&answer, Some(&old.refresh_token), old.consent_expires_at, now)
    }
}

/// What was answered, with the refresh token there was when none came (RFC 6749 §6).
fn tokens(answer: &BasicTokenResponse, known: Option<&SecretString>, consent_expires_at: Option<Timestamp>, now: Timestamp) -> Result<Tokens, ProviderFault> {
    let given = answer.refresh_token().map(RefreshToken::secret).filter(|token| !token.is_empty());
    let refresh_token = given.map(|token| SecretString::from(token.clone())).or_else(|| known.cloned()).ok_or(ProviderFault::Incomplete)?;
    Ok(Tokens {
        access_token: usable(answer.access_token())?,
        refresh_token,
        access_expires_at: now.plus(lifetime(answer.expires_in(), LONGEST_DAYS)),
        consent_expires_at,
    })
}

/// An item of `GET /accounts/accountNumbers`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NumberRecord {
    account_number: String,
    hash_value: String,
}

/// `GET /userPreference`, as far as it is of use.
#[derive(Deserialize)]
struct Preferences {
    #[serde(default, deserialize_with = "null_is_empty")]
    accounts: Vec<Nickname>,
}

/// One login while it is read.
struct SchwabVisit {
    base_url: Url,
    line: Line,
    access_token: SecretString,
    now: Timestamp,
    /// The hashes that paths take, by account number.
    hashes: HashMap<String, String>,
}

impl SchwabVisit {
    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T, ProviderFault> {
        let mut url = self.base_url.clone();
        url.path_segments_mut().map_err(|()| ProviderFault::Unreachable)?.pop_if_empty().extend(["trader", "v1"]).extend(path);
        let request = self.line.get(url).query(query).bearer_auth(self.access_token.expose_secret());
        http::json(&self.line, request.build().map_err(|_| ProviderFault::Refused)?).await
    }
}

#[async_trait]
impl Visit for SchwabVisit {
    async fn accounts(&mut self) -> Result<ReportedAccounts, ProviderFault> {
        let numbers: Vec<NumberRecord> = self.get(&["accounts", "accountNumbers"], &[]).await?;
        self.hashes = numbers.into_iter().map(|record| (record.account_number, record.hash_value)).collect();
        let items: Vec<AccountItem> = self.get(&["accounts"], &[("fields", "positions")]).await?;
        // Names are not worth a sync.
        let nicknames = match self.get::<Preferences>(&["userPreference"], &[]).await {
            Ok(preferences) => preferences.accounts,
            Err(fault) => {
                tracing::warn!(%fault, "Schwab did not tell what its accounts are called");
                Vec::new()
            }
        };
        // An account left out would look closed: one that cannot be read, or asked for, spoils the answer.
        let mapped = items.iter().map(|item| mapping::account(item, &nicknames, self.now).ok_or(ProviderFault::Malformed));
        let accounts = mapped.collect::<Result<Vec<_>, _>>()?;
        if accounts.iter().any(|account| !self.hashes.contains_key(account.reference.expose())) {
            return Err(ProviderFault::Incomplete);
        }
        // A login has an account for each number: one that is missing did not answer, which does not close it.
        let told: HashSet<&str> = accounts.iter().map(|account| account.reference.expose()).collect();
        let complete = self.hashes.keys().all(|number| told.contains(number.as_str()));
        Ok(ReportedAccounts { accounts, complete })
    }

    async fn transactions(&mut self, account: &ReportedAccount, from: LocalDate, to: LocalDate, page: Option<&str>) -> Result<TransactionPage, ProviderFault> {
        let hash = self.hashes.get(account.reference.expose()).ok_or(ProviderFault::Incomplete)?;
        let mut spans = match page {
            Some(page) => Spans::read(page).ok_or(ProviderFault::Malformed)?,
            None => Spans::of(from, to),
        };
        let Some(span) = spans.next() else { return Ok(TransactionPage::default()) };
        let [start, end] = span.ends();
        let query = [("startDate", start.as_str()), ("endDate", end.as_str()), ("types", TYPES)];
        let OrEmpty(rows): OrEmpty<Vec<Value>> = self.get(&["accounts", hash, "transactions"], &query).await?;
        let is_full = rows.len() >= MOST_ROWS;
        let moments: Vec<_> = rows.iter().filter_map(mapping::moment).collect();
        // That Schwab looks at times and not at days alone is not known for sure: rows from outside of what was asked for say that parts of a
        // day would be answered alike.
        if is_full && (span.first < span.last || moments.iter().all(|moment| span.holds(*moment))) && spans.part(span, moments) {
            return Ok(TransactionPage { next: spans.written(), ..TransactionPage::default() });
        }
        let mut answer = TransactionPage { next: spans.written(), complete: !is_full, ..TransactionPage::default() };
        let numbers: Vec<&str> = self.hashes.keys().map(String::as_str).collect();
        for row in rows {
            let id = id_in(&row, "activityId");
            match mapping::transaction(row, account, &numbers) {
                Some(transaction) => answer.transactions.push(transaction),
                None => answer.refuse(id),
            }
        }
        answer.transactions.retain(|row| (span.first..=span.last).contains(&row.facts.posted_on));
        Ok(answer)
    }
}
