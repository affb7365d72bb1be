//! How adapters ask providers: over a [`Line`], of which each has one, with what its provider bears.
//!
//! A line keeps time-outs and limits, asks again where that is safe, leaves a provider alone that fails, counts what it bears, and names what
//! went wrong: every status and every way of not answering becomes one [`ProviderFault`], here and nowhere else. Bodies are read chunk by chunk
//! up to a limit and never decompressed, so that a provider cannot fill the memory; no text of a provider leaves this file but as the body of a
//! success, and no address, header or body is logged.
//!
//! - [`outside`]: which addresses may be asked that a person or a provider chose.
//! - [`circuit`]: when a provider is left alone.
//! - [`pause`]: what processes tell each other of that.
//! - [`switchboard`]: all lines of this process.

pub mod circuit;
pub mod outside;
pub mod pause;
pub mod switchboard;

use std::{pin::Pin, sync::Arc, time::Duration};

use anyhow::Context;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use reqwest::{IntoUrl, redirect};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::{
    application::{
        errand,
        ports::{Meter, ProviderFault, Randomness, RateLimiter},
        tape,
    },
    domain::{
        pause::Pauses,
        rate_limit::{Budget, Charge, Subject},
        time::Clock,
    },
};

use super::oauth::with_readable_lifetime;
use circuit::{Circuits, Permit};
use outside::Reach;
use pause::Heard;

pub use outside::{OutsideUrl, UnfitUrl};
pub use switchboard::Switchboard;

const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// The most headers an answer may have.
const MOST_HEADERS: usize = 100;

/// What is asked for; limits, repetition and the meaning of a 400 depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Tokens. A 400 is the OAuth way of saying that a grant is not accepted (RFC 6749 §5.2). Never asked twice: what was spent is spent.
    Tokens,
    /// Data. A 400 says that the request was wrong, which is nothing a new consent would heal.
    Data,
}

impl Asked {
    /// The most bytes an answer may have.
    pub fn limit(self) -> usize {
        match self {
            Self::Tokens => 1024 * 1024,
            Self::Data => 10 * 1024 * 1024,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Data => "data",
        }
    }
}

/// What a provider bears, and how much patience it meets.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How long a connection may take.
    pub connect: Duration,
    /// How long one try may take, with the last byte of its answer.
    pub time_out: Duration,
    /// How often something is asked for that can be asked for again without harm.
    pub tries: u32,
    /// How long all tries and the pauses between them may take.
    pub all_tries: Duration,
    /// The longest pause before the second try; it doubles for each further one. Each pause is a random part of it.
    pub pause: Duration,
    /// How long it is waited here if the provider asks for it; for more, the work is put off.
    pub patience: Duration,
    /// How many requests the provider bears of everyone together, if that is limited.
    pub for_everyone: Option<Budget>,
    /// How many it bears for each link, if that is limited.
    pub for_each_link: Option<Budget>,
    /// Which addresses may be asked.
    pub reach: Reach,
    /// What a status means at this provider beyond what it means at all of them.
    pub own_faults: fn(StatusCode, Asked) -> Option<ProviderFault>,
}

impl Policy {
    /// For an address that the operator configured.
    pub const USUAL: Self = Self {
        connect: Duration::from_secs(5),
        time_out: Duration::from_secs(10),
        tries: 3,
        all_tries: Duration::from_secs(30),
        pause: Duration::from_millis(500),
        patience: Duration::from_secs(5),
        for_everyone: None,
        for_each_link: None,
        reach: Reach::Configured,
        own_faults: |_, _| None,
    };
}

/// A bare client, for what is no provider: follows no redirect, and waits for a whole answer no longer than `time_out`.
pub fn client(time_out: Duration) -> anyhow::Result<reqwest::Client> {
    bare(time_out, time_out).build().context("no HTTP client can be made")
}

fn bare(connect: Duration, time_out: Duration) -> reqwest::ClientBuilder {
    let agent = concat!("Dashtam/", env!("CARGO_PKG_VERSION"));
    let builder = reqwest::Client::builder().redirect(redirect::Policy::none()).timeout(time_out).connect_timeout(connect).user_agent(agent);
    // Repeating is this file's business, which knows what is safe to repeat.
    builder.retry(reqwest::retry::never()).http1_max_headers(MOST_HEADERS)
}

/// A provider, as its adapter asks it. Clones share everything.
#[derive(Clone)]
pub struct Line(Arc<Inner>);

struct Inner {
    provider: &'static str,
    policy: Policy,
    http: reqwest::Client,
    circuits: Circuits,
    limiter: Arc<dyn RateLimiter>,
    meter: Arc<dyn Meter>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    /// What processes tell each other.
    pauses: Arc<dyn Pauses>,
    /// What was heard of that lately.
    heard: Heard,
}

/// How long something that a sync asks for waits for its turn, while others ask the provider for as much as it bears.
const LONGEST_TURN: Duration = Duration::from_mins(2);

/// Why one try came to nothing.
enum Failed {
    /// It was made, and took so long.
    Try(ProviderFault, Duration),
    /// It was not even made.
    HeldBack(ProviderFault),
}

impl Line {
    /// A GET, to be built and asked.
    pub fn get(&self, url: impl IntoUrl) -> reqwest::RequestBuilder {
        self.0.http.get(url)
    }

    /// A POST, to be built and asked.
    pub fn post(&self, url: impl IntoUrl) -> reqwest::RequestBuilder {
        self.0.http.post(url)
    }

    /// Which addresses may be asked over it.
    pub fn reach(&self) -> Reach {
        self.0.policy.reach
    }

    async fn ask(&self, mut request: reqwest::Request, asked: Asked) -> Result<http::Response<Vec<u8>>, ProviderFault> {
        let mut spent = Duration::ZERO;
        let is_repeatable = *request.method() == Method::GET && asked == Asked::Data;
        for tries in 1.. {
            let again = if is_repeatable && tries < self.0.policy.tries { request.try_clone() } else { None };
            let (fault, took) = match self.try_once(request, asked).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::HeldBack(fault)) => return Err(fault),
                Err(Failed::Try(fault, took)) => (fault, took),
            };
            let (Some(next), Some(pause)) = (again, self.pause(fault, tries)) else { return Err(fault) };
            // Waiting for its turn is no part of a try.
            spent += took + pause;
            if spent >= self.0.policy.all_tries {
                return Err(fault);
            }
            tokio::time::sleep(pause).await;
            request = next;
        }
        Err(ProviderFault::Unreachable)
    }

    /// How long to wait before what failed so is asked again; `None` when it is not.
    fn pause(&self, fault: ProviderFault, tries: u32) -> Option<Duration> {
        let asked_for = match fault {
            ProviderFault::Unreachable | ProviderFault::ServerError => Duration::ZERO,
            fault => fault.wait()?.to_std().unwrap_or(Duration::ZERO),
        };
        let ceiling = self.0.policy.pause.saturating_mul(1 << (tries - 1).min(10));
        let [high, low, ..] = self.0.randomness.secret();
        let jitter = ceiling.mul_f64(f64::from(u16::from_be_bytes([high, low])) / f64::from(u16::MAX));
        (asked_for <= self.0.policy.patience).then(|| asked_for + jitter)
    }

    async fn try_once(&self, mut request: reqwest::Request, asked: Asked) -> Result<http::Response<Vec<u8>>, Failed> {
        let Inner { provider, policy, meter, .. } = &*self.0;
        if !policy.reach.admits(request.url()) {
            meter.provider_asked(provider, asked.as_str(), "forbidden_address", Duration::ZERO);
            tracing::warn!(provider, call = asked.as_str(), "a provider was not asked: its address must not be");
            return Err(Failed::HeldBack(ProviderFault::Unreachable));
        }
        let permit = self.admitted(asked).await.map_err(Failed::HeldBack)?;
        if let Some(parent) = self.trace_parent() {
            request.headers_mut().insert(TRACE_PARENT, parent);
        }
        let (began, mut class) = (Instant::now(), "none");
        let answer = self.answer(request, asked, &mut class).await;
        let took = began.elapsed();
        let outcome = answer.as_ref().map_or_else(|fault| word(*fault), |_| "answered");
        let is_well = !matches!(answer, Err(ProviderFault::Unreachable | ProviderFault::ServerError | ProviderFault::Unavailable { .. }));
        // What becomes of an address that somebody brought along tells nothing of the provider.
        if is_well || policy.reach == Reach::Configured || errand::link().is_some() {
            self.tell(permit.settle(is_well)).await;
        }
        if let Err(fault @ ProviderFault::RateLimited { .. }) = answer {
            self.rest(asked, fault).await;
        }
        meter.provider_asked(provider, asked.as_str(), outcome, took.max(Duration::from_nanos(1)));
        if answer.is_err() {
            let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(provider, call = asked.as_str(), status = class, fault = outcome, milliseconds, "a provider did not answer as asked");
        }
        if matches!(answer, Err(ProviderFault::AppRefused)) {
            tracing::error!(provider, "a provider does not accept this server's own id and secret: look at the provider's settings");
        }
        answer.map_err(|fault| Failed::Try(fault, took))
    }

    /// Leave to ask. What others ask the provider for just now is waited for: within a sync for long, else no longer than a person waits.
    async fn admitted(&self, asked: Asked) -> Result<Permit<'_>, ProviderFault> {
        let patience = if errand::link().is_some() && asked == Asked::Data { LONGEST_TURN } else { self.0.policy.patience };
        let began = Instant::now();
        loop {
            let refused = match self.admit_now(asked).await {
                Err(fault @ ProviderFault::RateLimited { .. }) => fault,
                settled => return settled,
            };
            let wait = refused.wait().and_then(|wait| wait.to_std().ok()).filter(|wait| began.elapsed() + *wait <= patience).ok_or(refused)?;
            tokio::time::sleep(wait).await;
        }
    }

    /// Leave to ask at once: of the circuit first, so that what is not asked costs nothing.
    async fn admit_now(&self, asked: Asked) -> Result<Permit<'_>, ProviderFault> {
        let Inner { provider, policy, meter, circuits, clock, heard, .. } = &*self.0;
        let link = errand::link();
        self.listen().await;
        let seconds = |wait: chrono::Duration| u32::try_from((wait + chrono::Duration::milliseconds(999)).num_seconds().max(1)).unwrap_or(u32::MAX);
        let permit = circuits.admit(link, clock.as_ref(), meter.as_ref()).map_err(|wait| {
            meter.provider_asked(provider, asked.as_str(), "left_alone", Duration::ZERO);
            tracing::debug!(provider, call = asked.as_str(), "a provider was not asked: it failed too often just now");
            ProviderFault::Unavailable { retry_after: seconds(wait) }
        })?;
        if let Some(wait) = heard.rests_until(asked).map(|until| until.since(clock.now())).filter(|wait| *wait > chrono::Duration::zero()) {
            meter.provider_asked(provider, asked.as_str(), "rests", Duration::ZERO);
            tracing::debug!(provider, call = asked.as_str(), "a provider was not asked: it wants to be left alone");
            return Err(ProviderFault::RateLimited { retry_after: Some(seconds(wait)) });
        }
        let charges: Vec<Charge> = [
            policy.for_everyone.map(|budget| budget.charge(Subject::Provider(provider), 1)),
            policy.for_each_link.zip(link).map(|(budget, link)| budget.charge(Subject::Link(link), 1)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if charges.is_empty() {
            return Ok(permit);
        }
        match self.0.limiter.charge(&charges).await.refusal() {
            None => Ok(permit),
            // A code lives for seconds and tokens are what everything else waits for: they count, and nobody is turned away for what others ask.
            Some(_) if asked == Asked::Tokens => Ok(permit),
            Some(standing) => {
                meter.provider_asked(provider, asked.as_str(), "out_of_budget", Duration::ZERO);
                tracing::debug!(provider, call = asked.as_str(), wait = standing.enough_in, "a provider was not asked: it was asked often enough lately");
                Err(ProviderFault::RateLimited { retry_after: Some(standing.enough_in.max(1)) })
            }
        }
    }

    /// The trace this belongs to, with a span of its own (W3C Trace Context).
    fn trace_parent(&self) -> Option<HeaderValue> {
        let trace = errand::trace()?;
        let span = self.0.randomness.secret()[..8].iter().fold(0_u64, |span, byte| span << 8 | u64::from(*byte)).max(1);
        HeaderValue::from_str(&format!("00-{trace}-{span:016x}-01")).ok()
    }

    async fn answer(&self, request: reqwest::Request, asked: Asked, class: &mut &'static str) -> Result<http::Response<Vec<u8>>, ProviderFault> {
        let mut response = self.0.http.execute(request).await.map_err(unanswered)?;
        *class = class_of(response.status());
        let status = response.status();
        if let Some(fault) = (self.0.policy.own_faults)(status, asked) {
            return Err(fault);
        }
        let fault = fault(status, response.headers(), asked);
        // Whom a token endpoint turns away stands in its body.
        if let Some(fault) = fault.filter(|fault| *fault != ProviderFault::Refused || asked == Asked::Data) {
            return Err(fault);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
            if body.len() + chunk.len() > asked.limit() {
                return Err(ProviderFault::Malformed);
            }
            body.extend_from_slice(&chunk);
        }
        if fault.is_some() {
            return Err(refusal(status, &body));
        }
        let mut answer = http::Response::new(body);
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

/// Asks, and answers a success with its body read.
pub async fn ask(line: &Line, request: reqwest::Request, asked: Asked) -> Result<http::Response<Vec<u8>>, ProviderFault> {
    line.ask(request, asked).await
}

/// Asks a token endpoint on behalf of the `oauth2` library.
pub struct TokenEndpoint(pub Line);

impl<'c> oauth2::AsyncHttpClient<'c> for TokenEndpoint {
    type Error = ProviderFault;
    type Future = Pin<Box<dyn Future<Output = Result<oauth2::HttpResponse, ProviderFault>> + Send + 'c>>;

    fn call(&'c self, request: oauth2::HttpRequest) -> Self::Future {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request).map_err(|_| ProviderFault::Unreachable)?;
            Ok(ask(&self.0, request, Asked::Tokens).await?.map(with_readable_lifetime))
        })
    }
}

/// Asks for data and reads it as JSON; while a tape is played, reads what is on it and asks nobody.
pub async fn json<T: DeserializeOwned>(line: &Line, request: reqwest::Request) -> Result<T, ProviderFault> {
    let url = request.url();
    let asked = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let body = if let Some(kept) = tape::answer(&asked) {
        kept.ok_or(ProviderFault::Unreachable)?
    } else {
        let answer = ask(line, request, Asked::Data).await?.into_body();
        tape::take_down(&asked, &answer);
        answer
    };
    serde_json::from_slice(&body).map_err(|_| {
        tracing::warn!(provider = line.0.provider, call = Asked::Data.as_str(), "a provider's answer is not the JSON it should be");
        ProviderFault::Malformed
    })
}

/// Not reached, not in time, cut off, or no HTTP: reqwest's errors name the URL and so are dropped here.
fn unanswered(_: reqwest::Error) -> ProviderFault {
    ProviderFault::Unreachable
}

/// What a status means; `None` for a success.
fn fault(status: StatusCode, headers: &HeaderMap, asked: Asked) -> Option<ProviderFault> {
    match status {
        StatusCode::OK => None,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(ProviderFault::Refused),
        StatusCode::BAD_REQUEST if asked == Asked::Tokens => Some(ProviderFault::Refused),
        StatusCode::TOO_MANY_REQUESTS => Some(ProviderFault::RateLimited { retry_after: retry_after(headers) }),
        StatusCode::REQUEST_TIMEOUT => Some(ProviderFault::Unreachable),
        other if other.is_server_error() => {
            Some(retry_after(headers).map_or(ProviderFault::ServerError, |retry_after| ProviderFault::Unavailable { retry_after }))
        }
        _ => Some(ProviderFault::Malformed),
    }
}

/// Whom a token endpoint turns away (RFC 6749 §5.2): the grant, or this server.
fn refusal(status: StatusCode, body: &[u8]) -> ProviderFault {
    #[derive(serde::Deserialize)]
    struct Told {
        error: String,
    }
    let told = serde_json::from_slice(body).map(|Told { error }| error).unwrap_or_default();
    match (told.as_str(), status) {
        ("invalid_client" | "unauthorized_client" | "unsupported_grant_type" | "invalid_scope", _) => ProviderFault::AppRefused,
        ("invalid_grant" | "invalid_token" | "access_denied", _) | (_, StatusCode::BAD_REQUEST) => ProviderFault::Refused,
        _ => ProviderFault::AppRefused,
    }
}

/// A status without what it says in detail.
fn class_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500..600 => "5xx",
        _ => "other",
    }
}

/// A fault in a word, for the log and for metrics.
fn word(fault: ProviderFault) -> &'static str {
    match fault {
        ProviderFault::Unreachable => "unreachable",
        ProviderFault::ServerError => "server_error",
        ProviderFault::Unavailable { .. } => "unavailable",
        ProviderFault::RateLimited { .. } => "rate_limited",
        ProviderFault::Refused => "refused",
        ProviderFault::AppRefused => "app_refused",
        ProviderFault::Malformed => "malformed",
        ProviderFault::Incomplete => "incomplete",
        ProviderFault::Unpaid => "unpaid",
    }
}

/// The longest a provider may ask for: a week. One that asks for more has made a mistake that would silence its links for good.
const LONGEST_WAIT: u32 = 7 * 86_400;

/// Seconds to wait (RFC 9110 §10.2.3), a week at most. A date, in any of the forms of §5.6.7, is measured against the answer's own `Date`, which is
/// the clock it was written by.
fn retry_after(headers: &HeaderMap) -> Option<u32> {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok()).map(str::trim);
    let wanted = text(header::RETRY_AFTER)?;
    if wanted.bytes().all(|byte| byte.is_ascii_digit()) {
        return (!wanted.is_empty()).then(|| wanted.parse().map_or(LONGEST_WAIT, |seconds: u32| seconds.min(LONGEST_WAIT)));
    }
    let (until, written) = (httpdate::parse_http_date(wanted).ok()?, httpdate::parse_http_date(text(header::DATE)?).ok()?);
    let wait = until.duration_since(written).unwrap_or_default().as_secs();
    Some(u32::try_from(wait).map_or(LONGEST_WAIT, |seconds| seconds.min(LONGEST_WAIT)))
}
