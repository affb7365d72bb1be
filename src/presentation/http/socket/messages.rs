//! The messages of `graphql-transport-ws`, and the ways to close.

use std::borrow::Cow;

use async_graphql::{Response, ServerError};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::presentation::{
    graphql::{Question, survey},
    http::{graphql::read_body, requester::bearer_token},
};

/// The longest reason a close frame carries, in bytes (RFC 6455, section 5.5).
const MAX_REASON: usize = 123;

/// The longest id of an operation, in bytes.
const MAX_ID: usize = 256;

/// A message of a client.
pub(super) enum Incoming {
    /// `connection_init`, with the token it brings; `Err` for what is no token.
    Init(Result<Option<SecretString>, ()>),
    /// `ping`, with its payload.
    Ping(Option<Map<String, Value>>),
    /// `pong`.
    Pong,
    /// `subscribe`, with its id and what it asks, or what is wrong with that.
    Subscribe(String, Result<Box<Question>, &'static str>),
    /// `complete`, with its id.
    Complete(String),
}

/// A message of ours.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Outgoing<'a> {
    /// The connection is acknowledged.
    #[serde(rename = "connection_ack")]
    Ack,
    /// The answer to a ping, with its payload.
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Map<String, Value>>,
    },
    /// An answer to an operation.
    Next { id: &'a str, payload: &'a Response },
    /// An operation did not run, or cannot go on.
    Error { id: &'a str, payload: &'a [ServerError] },
    /// An operation is over.
    Complete { id: &'a str },
}

/// Why a socket is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: u16,
    pub(super) reason: Cow<'static, str>,
}

impl Close {
    pub(super) const GOING_AWAY: Self = Self::new(1001, "The server is going away");
    pub(super) const TOO_LARGE: Self = Self::new(1009, "The message is too long");
    pub(super) const INTERNAL: Self = Self::new(1011, "Something went wrong on our side");
    pub(super) const NO_PONG: Self = Self::new(1011, "Pings were not answered");
    pub(super) const TRY_AGAIN: Self = Self::new(1013, "Try again later");
    pub(super) const UNAUTHORIZED: Self = Self::new(4401, "Unauthorized");
    pub(super) const TOKEN_EXPIRED: Self = Self::new(4401, "Token expired");
    pub(super) const SESSION_ENDED: Self = Self::new(4401, "Session ended");
    pub(super) const FORBIDDEN: Self = Self::new(4403, "Forbidden");
    pub(super) const NO_PROTOCOL: Self = Self::new(4406, "Subprotocol not acceptable");
    pub(super) const INIT_TIMEOUT: Self = Self::new(4408, "Connection initialisation timeout");
    pub(super) const SECOND_INIT: Self = Self::new(4429, "Too many initialisation requests");

    const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason) }
    }

    /// What came is no message of the protocol.
    pub(super) fn invalid(reason: &str) -> Self {
        Self { code: 4400, reason: Cow::Owned(shortened(reason)) }
    }

    /// The id is in use.
    pub(super) fn duplicate(id: &str) -> Self {
        let beginning: String = id.chars().take(20).collect();
        Self { code: 4409, reason: Cow::Owned(shortened(&format!("Subscriber for {beginning} already exists"))) }
    }
}

/// What of a reason a close frame can carry.
fn shortened(reason: &str) -> String {
    let end = (0..=MAX_REASON.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or_default();
    reason[..end].to_owned()
}

/// Whether reading failed because a message was too long.
pub(super) fn is_too_large(broken: &axum::Error) -> bool {
    // The library's own error type is not at hand; these are its words for `Error::Capacity`.
    let text = broken.to_string();
    text.contains("too long") || text.contains("Space limit exceeded")
}

/// Reads a message, or says how to close.
pub(super) fn read(text: &str) -> Result<Incoming, Option<Close>> {
    let invalid = |reason: &str| Some(Close::invalid(reason));
    if survey::is_json_too_large(text.as_bytes()) {
        return Err(invalid("The message has more than 20,000 values"));
    }
    let Ok(Value::Object(mut message)) = serde_json::from_str(text) else { return Err(invalid("A message is a JSON object")) };
    let payload = message.remove("payload").filter(|payload| !payload.is_null());
    let id = message.remove("id");
    let Some(Value::String(kind)) = message.remove("type") else { return Err(invalid("A message has a type")) };
    let object = |payload: Option<Value>| match payload {
        None => Ok(None),
        Some(Value::Object(fields)) => Ok(Some(fields)),
        Some(_) => Err(invalid("The payload is a JSON object")),
    };
    let id = || match id {
        Some(Value::String(id)) if !id.is_empty() && id.len() <= MAX_ID => Ok(id),
        _ => Err(invalid("The id is a text of 1 to 256 bytes")),
    };
    Ok(match kind.as_str() {
        "connection_init" => Incoming::Init(token(object(payload)?)),
        "ping" => Incoming::Ping(object(payload)?),
        "pong" => object(payload).map(|_| Incoming::Pong)?,
        "complete" => Incoming::Complete(id()?),
        "subscribe" => {
            let Some(payload) = object(payload)? else { return Err(invalid("The payload is a JSON object")) };
            let body = serde_json::to_vec(&payload).map_err(|_| invalid("The payload cannot be read"))?;
            Incoming::Subscribe(id()?, read_body(&body).map(Box::new))
        }
        _ => return Err(invalid("No such type of message")),
    })
}

/// The token a client introduces itself with: `Authorization` or `authorization`, written as in the header.
fn token(payload: Option<Map<String, Value>>) -> Result<Option<SecretString>, ()> {
    let Some(given) = payload.and_then(|mut payload| payload.remove("Authorization").or_else(|| payload.remove("authorization"))) else { return Ok(None) };
    match given {
        Value::Null => Ok(None),
        Value::String(given) => bearer_token(&given).map(|token| Some(SecretString::from(token))).ok_or(()),
        _ => Err(()),
    }
}
