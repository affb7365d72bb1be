//! The sandbox bank: its books, its authorization server, and the adapter that links it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use dashtam::{
    application::ports::{Credentials, FinancialProvider, OauthDoor, ProviderFault, Randomness, Tokens, Visit, Walk},
    domain::{
        provider::ReportedAccount,
        time::{Clock, LocalDate, Timestamp},
    },
    infrastructure::providers::{
        http::{self, Policy},
        sandbox::{SandboxBank, SandboxProvider, authorization::CLIENT_ID},
    },
};
use secrecy::ExposeSecret;
use url::Url;
use uuid::Uuid;

use crate::harness::lines::line;

mod adapter;
mod books;
mod consent;
mod control;
mod faults;
mod tokens;

const SEED: u64 = 7;
const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters";
const CALLBACK: &str = "http://127.0.0.1:9/oauth/sandbox/callback";

/// A clock that stands until it is moved.
struct StillClock(AtomicI64);

impl StillClock {
    fn at(year: i32, month: u32, day: u32) -> Arc<Self> {
        let noon = LocalDate::new(year, month, day).unwrap().naive().and_hms_opt(12, 0, 0).unwrap().and_utc();
        Arc::new(Self(AtomicI64::new(noon.timestamp_micros())))
    }

    fn advance(&self, span: chrono::Duration) {
        self.0.fetch_add(span.num_microseconds().unwrap(), Ordering::SeqCst);
    }
}

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// Secrets that never repeat within the test run.
struct Counted;

static COUNT: AtomicU64 = AtomicU64::new(1);

impl Randomness for Counted {
    fn id(&self) -> Uuid {
        Uuid::from_u128(COUNT.fetch_add(1, Ordering::SeqCst).into())
    }

    fn secret(&self) -> [u8; 32] {
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&COUNT.fetch_add(1, Ordering::SeqCst).to_be_bytes());
        secret
    }
}

/// A bank behind a listener of its own.
struct OpenBank {
    bank: Arc<SandboxBank>,
    base_url: Url,
    clock: Arc<StillClock>,
    state_file: PathBuf,
    folder: Arc<tempfile::TempDir>,
    browser: reqwest::Client,
}

impl OpenBank {
    async fn new() -> Self {
        Self::over(Arc::new(tempfile::tempdir().unwrap()), StillClock::at(2025, 6, 15)).await
    }

    /// The same bank after a restart.
    async fn reopened(&self) -> Self {
        Self::over(self.folder.clone(), self.clock.clone()).await
    }

    async fn over(folder: Arc<tempfile::TempDir>, clock: Arc<StillClock>) -> Self {
        let state_file = folder.path().join("sandbox.json");
        let bank = SandboxBank::open(state_file.clone(), SEED, clock.clone(), Arc::new(Counted)).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = Url::parse(&format!("http://{}/sandbox", listener.local_addr().unwrap())).unwrap();
        bank.register_redirect(&base_url, CALLBACK).unwrap();
        let router = axum::Router::new().nest("/sandbox", bank.clone().router());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { bank, base_url, clock, state_file, folder, browser: http::client(Duration::from_secs(10)).unwrap() }
    }

    fn provider(&self) -> SandboxProvider {
        SandboxProvider::new(self.base_url.clone(), CLIENT_ID, &self.bank.client_secret(), line(Policy::USUAL, self.clock.clone())).unwrap()
    }

    /// The bank as a sync reads it.
    async fn visit(&self, tokens: &Tokens) -> Box<dyn Visit> {
        self.provider().visit(&Credentials::Oauth(tokens.clone()), self.clock.now()).await.unwrap()
    }

    /// Its accounts, which are all there are.
    async fn accounts(&self, tokens: &Tokens) -> Result<Vec<ReportedAccount>, ProviderFault> {
        let reported = self.visit(tokens).await.accounts().await?;
        assert!(reported.complete);
        Ok(reported.accounts)
    }

    fn secret(&self) -> String {
        self.bank.client_secret().expose_secret().to_owned()
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.base_url)
    }

    async fn get(&self, address: &str) -> reqwest::Response {
        self.browser.get(address).send().await.unwrap()
    }

    /// The consent page's ticket for a request that is in order.
    async fn ticket(&self, walk: &Walk) -> String {
        let page = self.get(&self.provider().authorization_url(walk).unwrap()).await;
        assert_eq!(page.status(), 200);
        ticket_in(&page.text().await.unwrap())
    }

    async fn decide(&self, form: &[(&str, &str)]) -> reqwest::Response {
        self.browser.post(self.at("authorize")).form(form).send().await.unwrap()
    }

    /// The owner agrees to share these accounts; answers the code.
    async fn agreed(&self, accounts: &[&str]) -> String {
        let ticket = self.ticket(&walk()).await;
        let mut form = vec![("ticket", ticket.as_str()), ("decision", "agree")];
        form.extend(accounts.iter().map(|account| ("account", *account)));
        let answer = self.decide(&form).await;
        assert_eq!(answer.status(), 303);
        parameter(&location(&answer), "code").unwrap()
    }
}

fn walk() -> Walk {
    Walk { state: "a-state".into(), code_verifier: VERIFIER.into(), redirect_uri: CALLBACK.to_owned() }
}

fn ticket_in(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"ticket\" value=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

fn location(answer: &reqwest::Response) -> Url {
    Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap()
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}
