//! How an adapter asks a provider and names what went wrong.
//!
//! Every status and every way of not answering becomes one [`ProviderFault`], here and nowhere else. Bodies are read chunk by chunk up to a
//! limit, so that a provider cannot fill the memory; no text of a provider leaves this file but as the body of a success.

use std::{pin::Pin, time::Duration};

use anyhow::Context;
use chrono::DateTime;
use http::{HeaderMap, StatusCode, header};
use reqwest::redirect::Policy;
use serde::de::DeserializeOwned;

use crate::application::ports::ProviderFault;

/// How long a provider may take to answer.
pub const TIME_OUT: Duration = Duration::from_secs(10);

/// What is asked for; limits and the meaning of a 400 depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Tokens. A 400 is the OAuth way of saying that a grant is not accepted (RFC 6749 §5.2).
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
}

/// A client for providers: follows no redirect, so that no token goes where it was not meant to, and waits for a whole answer no longer than
/// `time_out`.
pub fn client(time_out: Duration) -> anyhow::Result<reqwest::Client> {
    let agent = concat!("Dashtam/", env!("CARGO_PKG_VERSION"));
    let builder = reqwest::Client::builder().redirect(Policy::none()).timeout(time_out).connect_timeout(time_out).user_agent(agent);
    builder.build().context("no HTTP client can be made")
}

/// Asks, and answers a success with its body read.
pub async fn ask(http: &reqwest::Client, request: reqwest::Request, asked: Asked) -> Result<http::Response<Vec<u8>>, ProviderFault> {
    let mut response = http.execute(request).await.map_err(unanswered)?;
    if let Some(fault) = fault(response.status(), response.headers(), asked) {
        return Err(fault);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
        if body.len() + chunk.len() > asked.limit() {
            return Err(ProviderFault::Malformed);
        }
        body.extend_from_slice(&chunk);
    }
    let mut answer = http::Response::new(body);
    *answer.status_mut() = response.status();
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    Ok(answer)
}

/// Asks a token endpoint on behalf of the `oauth2` library.
pub struct TokenEndpoint(pub reqwest::Client);

impl<'c> oauth2::AsyncHttpClient<'c> for TokenEndpoint {
    type Error = ProviderFault;
    type Future = Pin<Box<dyn Future<Output = Result<oauth2::HttpResponse, ProviderFault>> + Send + 'c>>;

    fn call(&'c self, request: oauth2::HttpRequest) -> Self::Future {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request).map_err(|_| ProviderFault::Unreachable)?;
            ask(&self.0, request, Asked::Tokens).await
        })
    }
}

/// Asks for data and reads it as JSON.
pub async fn json<T: DeserializeOwned>(http: &reqwest::Client, request: reqwest::Request) -> Result<T, ProviderFault> {
    let answer = ask(http, request, Asked::Data).await?;
    serde_json::from_slice(answer.body()).map_err(|_| ProviderFault::Malformed)
}

/// Not reached, not in time, or cut off: reqwest's errors name the URL and so are dropped here.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn unanswered(error: reqwest::Error) -> ProviderFault {
    if error.is_decode() { ProviderFault::Malformed } else { ProviderFault::Unreachable }
}

/// What a status means; `None` for a success.
fn fault(status: StatusCode, headers: &HeaderMap, asked: Asked) -> Option<ProviderFault> {
    match status {
        StatusCode::OK => None,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(ProviderFault::Refused),
        StatusCode::BAD_REQUEST if asked == Asked::Tokens => Some(ProviderFault::Refused),
        StatusCode::TOO_MANY_REQUESTS => Some(ProviderFault::RateLimited { retry_after: retry_after(headers) }),
        StatusCode::REQUEST_TIMEOUT => Some(ProviderFault::Unreachable),
        other if other.is_server_error() => Some(ProviderFault::ServerError),
        _ => Some(ProviderFault::Malformed),
    }
}

/// Seconds to wait (RFC 9110 §10.2.3). A date is measured against the answer's own `Date`, which is the clock it was written by.
fn retry_after(headers: &HeaderMap) -> Option<u32> {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok()).map(str::trim);
    let wanted = text(header::RETRY_AFTER)?;
    if let Ok(seconds) = wanted.parse() {
        return Some(seconds);
    }
    let (until, written) = (DateTime::parse_from_rfc2822(wanted).ok()?, DateTime::parse_from_rfc2822(text(header::DATE)?).ok()?);
    u32::try_from((until - written).num_seconds().max(0)).ok()
}
