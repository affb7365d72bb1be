//! Who sends a request: the Authorization header and where it came from.

use std::{convert::Infallible, net::SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};

use secrecy::SecretString;

use crate::{
    application::{
        access::{Actor, Origin, Requester},
        session::AuthenticationProblem,
    },
    presentation::graphql::stream::Pass,
};

use super::{Edge, problem::Problem, trace};

/// What is kept of a user agent, in bytes at most.
const USER_AGENT_BYTES: usize = 512;

/// Who sends a request. A header that does not work makes it anonymous and says why.
pub(super) struct Caller {
    /// Who, and from where.
    pub(super) requester: Requester,
    /// Why a header that was there did not count.
    pub(super) problem: Option<AuthenticationProblem>,
}

impl FromRequestParts<Edge> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
        let origin = origin(&parts.headers, peer);
        let admitted = match bearer(&parts.headers) {
            Ok(None) => Ok(Actor::Nobody),
            Ok(Some(token)) => edge.application.gate.admit(token).await,
            Err(problem) => Err(problem),
        };
        match admitted {
            Ok(actor) => Ok(Self { requester: Requester { actor, origin }, problem: None }),
            Err(AuthenticationProblem::Unexpected(cause)) => Err(super::graphql::fault(&cause)),
            Err(problem) => {
                edge.meter.token_refused(problem.code());
                Ok(Self { requester: Requester { actor: Actor::Nobody, origin }, problem: Some(problem) })
            }
        }
    }
}

/// By what whoever opens a socket introduces themselves already; whether it counts is asked when they say that they are done.
pub(super) struct Introduction(pub(super) Pass);

impl FromRequestParts<Edge> for Introduction {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Edge) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
        // What is no token is one that does not count.
        let token = bearer(&parts.headers).unwrap_or(Some("")).map(SecretString::from);
        Ok(Self(Pass { token, origin: origin(&parts.headers, peer) }))
    }
}

/// By what a caller is let in again while a stream goes on; one whose token does not count now is nobody.
pub(super) fn pass(headers: &HeaderMap, caller: Caller) -> Pass {
    let token = caller.problem.is_none().then(|| bearer(headers).ok().flatten()).flatten();
    Pass { token: token.map(SecretString::from), origin: caller.requester.origin }
}

/// Where a request came from.
pub(super) fn origin(headers: &HeaderMap, peer: Option<SocketAddr>) -> Origin {
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Origin {
        ip: peer.map(|peer| peer.ip().to_canonical().to_string()),
        user_agent: user_agent.map(|agent| agent.chars().take(USER_AGENT_BYTES).collect()),
        trace_id: Some(trace::current()),
    }
}

/// The bearer token (RFC 6750); `None` without a header.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, AuthenticationProblem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let token = value.to_str().ok().and_then(bearer_token).filter(|_| values.next().is_none());
    token.map(Some).ok_or(AuthenticationProblem::TokenInvalid)
}

/// The token in `Bearer …`.
pub(super) fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}
