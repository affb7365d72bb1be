//! How the sandbox bank answers badly, when it is told to: the answers that real banks give on a bad day, at the doors they give them at.

use std::{io, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes},
    http::{HeaderValue, Method, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use super::{parameters::Parameters, script::NotDone};
use crate::domain::transaction::words;

/// How many faults can be waiting.
const MOST: usize = 100;

/// The longest a bank is slow, in seconds. A server gives up on any request after a while.
const SLOWEST: u32 = 300;

/// What a bank names when it asks to be left alone and was told no number, in seconds.
const REST: u32 = 30;

/// What a flood is made of.
static WAVE: [u8; 64 * 1024] = [b' '; 64 * 1024];

/// How many of those a flood has: 1 GiB.
const WAVES: usize = 16 * 1024;

words! {
    /// Where the bank is asked.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    Door {
        /// What becomes of an answer on the consent page.
        Authorize = "authorize",
        /// Codes and refresh tokens.
        Token = "token",
        /// The end of a consent.
        Revoke = "revoke",
        /// The accounts with what they hold.
        Accounts = "accounts",
        /// A page of an account's rows.
        Transactions = "transactions",
    }
}

words! {
    /// What is wrong with an answer.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    FaultKind {
        /// 429 with a `Retry-After`.
        RateLimited = "rate_limited",
        /// 503, with a `Retry-After` if one was given.
        Unavailable = "unavailable",
        /// 500.
        Error = "error",
        /// 401, as if the access token had ended.
        Unauthorized = "unauthorized",
        /// 403.
        Forbidden = "forbidden",
        /// The right answer, late.
        Slow = "slow",
        /// No answer.
        Hang = "hang",
        /// 200 with a page for people.
        Html = "html",
        /// 200 with half of a JSON text.
        Broken = "broken",
        /// 200 with nothing in it.
        Empty = "empty",
        /// A connection that breaks in the middle of the answer.
        Cut = "cut",
        /// An answer of a gigabyte.
        Flood = "flood",
        /// A code or a refresh token is refused, and the consent stays as it is.
        InvalidGrant = "invalid_grant",
        /// The client's own credentials are refused.
        InvalidClient = "invalid_client",
        /// An answer without `refresh_token`.
        NoRefreshToken = "no_refresh_token",
        /// An answer without `expires_in`.
        NoExpiry = "no_expiry",
        /// The browser returns with `error=server_error`.
        ServerError = "server_error",
        /// The browser returns without a code.
        NoCode = "no_code",
        /// The browser returns without a state.
        NoState = "no_state",
        /// The browser returns with somebody else's state.
        WrongState = "wrong_state",
    }
}

impl Door {
    /// The door a request knocks at; `None` for pages and for what tells the bank what to do.
    pub(super) fn of(method: &Method, path: &str) -> Option<Self> {
        match (method, path) {
            (&Method::POST, "/authorize") => Some(Self::Authorize),
            (&Method::POST, "/token") => Some(Self::Token),
            (&Method::POST, "/revoke") => Some(Self::Revoke),
            (&Method::GET, "/accounts") => Some(Self::Accounts),
            (&Method::GET, path) if path.starts_with("/accounts/") => Some(Self::Transactions),
            _ => None,
        }
    }
}

impl FaultKind {
    /// Where it can be.
    fn doors(self) -> &'static [Door] {
        match self {
            Self::Unauthorized | Self::Forbidden => &[Door::Accounts, Door::Transactions],
            Self::InvalidGrant | Self::InvalidClient | Self::NoRefreshToken | Self::NoExpiry => &[Door::Token],
            Self::ServerError | Self::NoCode | Self::NoState | Self::WrongState => &[Door::Authorize],
            _ => &[Door::Token, Door::Revoke, Door::Accounts, Door::Transactions],
        }
    }
}

/// Some bad answers to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fault {
    #[serde(rename = "fault")]
    kind: FaultKind,
    at: Door,
    /// Good answers before the first bad one.
    after: u32,
    /// How many bad ones; `None` for all until it is told otherwise.
    times: Option<u32>,
    seconds: Option<u32>,
}

/// One bad answer.
pub(super) struct Bad {
    kind: FaultKind,
    seconds: Option<u32>,
}

/// The bad answers to come, in the order they were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Whether any are left for a door.
    pub(super) fn are_at(&self, door: Door) -> bool {
        self.0.iter().any(|fault| fault.at == door)
    }

    /// Adds what a form asks for: `fault`, and where it is to be other than usual `at` (repeatable), `after`, `times`, `seconds`.
    pub(super) fn add(&mut self, form: &Parameters) -> Result<(), NotDone> {
        let kind = one(form, "fault")?.and_then(FaultKind::parse);
        let kind = kind.ok_or_else(|| NotDone::new(format!("fault is one of {}.", list(FaultKind::ALL.iter().map(|kind| kind.as_str())))))?;
        let doors = kind.doors();
        let mut at = Vec::new();
        for name in form.all("at") {
            let door = Door::parse(name).filter(|door| doors.contains(door));
            at.push(door.ok_or_else(|| NotDone::new(format!("{} can be at {}.", kind.as_str(), list(doors.iter().map(|door| door.as_str())))))?);
        }
        let at = if at.is_empty() { doors.to_vec() } else { at };
        let (after, times, seconds) = (number(form, "after")?, number(form, "times")?, number(form, "seconds")?);
        if times == Some(0) {
            return Err(NotDone::new("times is at least 1."));
        }
        if seconds.is_some_and(|seconds| seconds > SLOWEST) {
            return Err(NotDone::new(format!("seconds are at most {SLOWEST}.")));
        }
        if self.0.len() + at.len() > MOST {
            return Err(NotDone::new(format!("At most {MOST} faults can be waiting.")));
        }
        self.0.extend(at.into_iter().map(|at| Fault { kind, at, after: after.unwrap_or(0), times, seconds }));
        Ok(())
    }

    /// The next answer at a door; `None` for a good one.
    pub(super) fn take(&mut self, door: Door) -> Option<Bad> {
        let at = self.0.iter().position(|fault| fault.at == door)?;
        let fault = &mut self.0[at];
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        let bad = Bad { kind: fault.kind, seconds: fault.seconds };
        fault.times = fault.times.map(|times| times - 1);
        if fault.times == Some(0) {
            self.0.remove(at);
        }
        Some(bad)
    }
}

impl Bad {
    /// Answers instead of the bank, or spoils what it answers.
    pub(super) async fn answer<F>(self, good: F) -> Response
    where
        F: Future<Output = Response>,
    {
        let refusal = |status, error| (status, Json(json!({ "error": error }))).into_response();
        let json_text = |text: &'static str| ([(header::CONTENT_TYPE, "application/json")], text).into_response();
        match self.kind {
            FaultKind::RateLimited => wait(refusal(StatusCode::TOO_MANY_REQUESTS, "rate_limited"), Some(self.seconds.unwrap_or(REST))),
            FaultKind::Unavailable => wait(refusal(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"), self.seconds),
            FaultKind::Error => refusal(StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
            FaultKind::Unauthorized => refusal(StatusCode::UNAUTHORIZED, "invalid_token"),
            FaultKind::Forbidden => refusal(StatusCode::FORBIDDEN, "forbidden"),
            FaultKind::Slow => {
                tokio::time::sleep(Duration::from_secs(self.seconds.unwrap_or(REST).into())).await;
                good.await
            }
            FaultKind::Hang => std::future::pending().await,
            FaultKind::Html => Html("<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>").into_response(),
            FaultKind::Broken => json_text("{\"accounts\": [{\"id\": \"harb"),
            FaultKind::Empty => json_text(""),
            FaultKind::Cut => {
                let parts = [Ok(Bytes::from_static(b"{\"accounts\": [")), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
                Body::from_stream(stream::iter(parts)).into_response()
            }
            FaultKind::Flood => {
                let waves = stream::iter((0..WAVES).map(|_| Ok::<_, io::Error>(Bytes::from_static(&WAVE))));
                ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(waves)).into_response()
            }
            FaultKind::InvalidGrant => refusal(StatusCode::BAD_REQUEST, "invalid_grant"),
            FaultKind::InvalidClient => refusal(StatusCode::UNAUTHORIZED, "invalid_client"),
            FaultKind::NoRefreshToken => without(good.await, "refresh_token").await,
            FaultKind::NoExpiry => without(good.await, "expires_in").await,
            FaultKind::ServerError | FaultKind::NoCode | FaultKind::NoState | FaultKind::WrongState => self.mislead(good.await),
        }
    }

    /// Changes the address that the browser is sent back to.
    fn mislead(&self, mut answer: Response) -> Response {
        let address = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).and_then(|address| Url::parse(address).ok());
        let Some(mut address) = address else { return answer };
        let pairs: Vec<(String, String)> = address.query_pairs().into_owned().collect();
        let changed = pairs.into_iter().filter_map(|(name, value)| match (self.kind, name.as_str()) {
            (FaultKind::NoCode, "code") | (FaultKind::NoState, "state") => None,
            (FaultKind::ServerError, "code") => Some(("error".to_owned(), "server_error".to_owned())),
            (FaultKind::WrongState, "state") => Some((name, "somebody-elses-state".to_owned())),
            _ => Some((name, value)),
        });
        let changed: Vec<(String, String)> = changed.collect();
        address.query_pairs_mut().clear().extend_pairs(changed);
        if let Ok(value) = HeaderValue::from_str(address.as_str()) {
            answer.headers_mut().insert(header::LOCATION, value);
        }
        answer
    }
}

fn wait(mut answer: Response, seconds: Option<u32>) -> Response {
    if let Some(seconds) = seconds {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

/// The same JSON object with a member less.
async fn without(answer: Response, member: &str) -> Response {
    let (head, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let Ok(mut object) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body) else {
        return (head, body).into_response();
    };
    object.remove(member);
    (head.status, Json(object)).into_response()
}

fn list(words: impl Iterator<Item = &'static str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// A parameter that may come once.
pub(super) fn one<'a>(form: &'a Parameters, name: &str) -> Result<Option<&'a str>, NotDone> {
    form.one(name).map_err(|_| NotDone::new(format!("{name} comes more than once.")))
}

fn number(form: &Parameters, name: &str) -> Result<Option<u32>, NotDone> {
    let number = one(form, name)?.map(str::parse).transpose();
    number.map_err(|_| NotDone::new(format!("{name} is a whole number.")))
}
