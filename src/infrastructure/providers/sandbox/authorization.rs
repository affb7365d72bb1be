//! The sandbox bank's authorization server: its rules, without HTTP.
//!
//! Authorization code with PKCE S256 required (RFC 6749, RFC 7636), `iss` in every answer (RFC 9207), exact redirect URIs, codes and
//! consent tickets that serve once (RFC 9700). Tickets and codes live in memory and are gone after a restart; what a consent brought is
//! kept by the [`register`](super::register).

use std::collections::VecDeque;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::Duration;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::Url;

use super::{
    parameters::{Parameters, Repeated},
    register::{Issued, Register, TokenPair, digest},
};
use crate::domain::time::Timestamp;

/// The one client this bank knows.
pub const CLIENT_ID: &str = "dashtam";
/// How long a code can be exchanged.
pub const CODE_SECONDS: i64 = 60;
/// How long a consent page can be answered.
const TICKET_MINUTES: i64 = 10;
/// Pages and codes kept at a time; older ones make room.
const KEPT: usize = 256;

/// Where this bank and its client are reached; known once the server is bound.
#[derive(Clone)]
pub(super) struct Registration {
    pub(super) issuer: String,
    pub(super) redirect_uri: String,
    pub(super) redirect_to: Url,
}

/// What a client asked for, checked.
#[derive(Clone)]
pub(super) struct AuthorizationRequest {
    state: String,
    challenge: String,
}

/// Why a request for authorization goes no further.
pub(super) enum Rejection {
    /// It cannot be told who asks, so the browser must not be sent anywhere.
    Untrusted(&'static str),
    /// The client is told, through the browser.
    Told(String),
}

struct Ticket {
    hash: String,
    request: AuthorizationRequest,
    ends_at: Timestamp,
}

struct Code {
    hash: String,
    challenge: String,
    accounts: Vec<String>,
    ends_at: Timestamp,
}

/// Why a token request is refused (RFC 6749 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenRefusal {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnsupportedGrantType,
}

impl From<Repeated> for TokenRefusal {
    fn from(_: Repeated) -> Self {
        Self::InvalidRequest
    }
}

/// The authorization server's state.
pub(super) struct Desk {
    pub(super) registration: Option<Registration>,
    pub(super) register: Register,
    tickets: VecDeque<Ticket>,
    codes: VecDeque<Code>,
}

impl Desk {
    pub(super) fn new(register: Register) -> Self {
        Self { registration: None, register, tickets: VecDeque::new(), codes: VecDeque::new() }
    }

    /// Checks a request for authorization: first who asks and where the answer goes, then everything else.
    pub(super) fn check(&self, parameters: &Parameters) -> Result<AuthorizationRequest, Rejection> {
        let known = self.registration.as_ref().ok_or(Rejection::Untrusted("This bank is not open yet."))?;
        if !matches!(parameters.one("client_id"), Ok(Some(CLIENT_ID))) {
            return Err(Rejection::Untrusted("This bank does not know the application that sent you here."));
        }
        if !matches!(parameters.one("redirect_uri"), Ok(Some(uri)) if uri == known.redirect_uri) {
            return Err(Rejection::Untrusted("The application that sent you here asked for an address it has not registered."));
        }
        let state = parameters.one("state").ok().flatten();
        let refuse = |error| Rejection::Told(known.answer(&[("error", error)], state));
        let one = |name| parameters.one(name).map_err(|Repeated| refuse("invalid_request"));
        match one("response_type")? {
            Some("code") => {}
            Some(_) => return Err(refuse("unsupported_response_type")),
            None => return Err(refuse("invalid_request")),
        }
        let challenge = one("code_challenge")?.filter(|challenge| is_challenge(challenge));
        match (one("state")?, challenge, one("code_challenge_method")?) {
            (Some(state), Some(challenge), Some("S256")) => Ok(AuthorizationRequest { state: state.to_owned(), challenge: challenge.to_owned() }),
            _ => Err(refuse("invalid_request")),
        }
    }

    /// Keeps a request until its page is answered.
    pub(super) fn hold(&mut self, request: AuthorizationRequest, ticket: &str, now: Timestamp) {
        make_room(&mut self.tickets);
        self.tickets.push_back(Ticket { hash: digest(ticket), request, ends_at: now.plus(Duration::minutes(TICKET_MINUTES)) });
    }

    /// The request of a page, once.
    pub(super) fn claim(&mut self, ticket: &str, now: Timestamp) -> Option<AuthorizationRequest> {
        let hash = digest(ticket);
        let found = self.tickets.iter().position(|held| held.hash == hash)?;
        self.tickets.remove(found).filter(|held| held.ends_at > now).map(|held| held.request)
    }

    /// The owner agreed: where the browser goes.
    pub(super) fn agree(&mut self, request: &AuthorizationRequest, accounts: Vec<String>, code: &str, now: Timestamp) -> Option<String> {
        let answer = self.registration.as_ref()?.answer(&[("code", code)], Some(&request.state));
        make_room(&mut self.codes);
        let ends_at = now.plus(Duration::seconds(CODE_SECONDS));
        self.codes.push_back(Code { hash: digest(code), challenge: request.challenge.clone(), accounts, ends_at });
        Some(answer)
    }

    /// The owner declined: where the browser goes.
    pub(super) fn decline(&self, request: &AuthorizationRequest) -> Option<String> {
        Some(self.registration.as_ref()?.answer(&[("error", "access_denied")], Some(&request.state)))
    }

    /// Answers a token request. `credentials` are the client's from the Authorization header, when it sent one.
    pub(super) fn token(
        &mut self,
        credentials: Option<&(String, String)>,
        form: &Parameters,
        fresh: TokenPair,
        now: Timestamp,
    ) -> Result<Issued, TokenRefusal> {
        self.authenticate(credentials, form)?;
        match form.one("grant_type")? {
            Some("authorization_code") => self.exchange(form, fresh, now),
            Some("refresh_token") => {
                let token = form.one("refresh_token")?.ok_or(TokenRefusal::InvalidRequest)?;
                self.register.refresh(token, fresh, now).ok_or(TokenRefusal::InvalidGrant)
            }
            Some(_) => Err(TokenRefusal::UnsupportedGrantType),
            None => Err(TokenRefusal::InvalidRequest),
        }
    }

    /// Answers a revocation request (RFC 7009).
    pub(super) fn revoke(&mut self, credentials: Option<&(String, String)>, form: &Parameters) -> Result<(), TokenRefusal> {
        self.authenticate(credentials, form)?;
        self.register.revoke(form.one("token")?.ok_or(TokenRefusal::InvalidRequest)?);
        Ok(())
    }

    fn authenticate(&self, credentials: Option<&(String, String)>, form: &Parameters) -> Result<(), TokenRefusal> {
        let (id, secret) = (form.one("client_id")?, form.one("client_secret")?);
        let (id, secret) = match (credentials, id, secret) {
            // Two ways at once are one too many (RFC 6749 §2.3); repeating the id in the body is none.
            (Some(_), _, Some(_)) => return Err(TokenRefusal::InvalidRequest),
            (Some((named, _)), Some(repeated), None) if named != repeated => return Err(TokenRefusal::InvalidRequest),
            (Some((id, secret)), _, None) => (id.as_str(), secret.as_str()),
            (None, Some(id), Some(secret)) => (id, secret),
            (None, _, _) => return Err(TokenRefusal::InvalidClient),
        };
        let secret_matches = bool::from(digest(secret).as_bytes().ct_eq(digest(&self.register.client_secret).as_bytes()));
        if id == CLIENT_ID && secret_matches { Ok(()) } else { Err(TokenRefusal::InvalidClient) }
    }

    /// A code is spent by whatever attempt names it; one that was spent before takes along what it brought.
    fn exchange(&mut self, form: &Parameters, fresh: TokenPair, now: Timestamp) -> Result<Issued, TokenRefusal> {
        let required = |name| form.one(name)?.ok_or(TokenRefusal::InvalidRequest);
        let (code, verifier, redirect_uri) = (required("code")?, required("code_verifier")?, required("redirect_uri")?);
        let hash = digest(code);
        let Some(held) = self.codes.iter().position(|held| held.hash == hash).and_then(|found| self.codes.remove(found)) else {
            self.register.end_by_code(code);
            return Err(TokenRefusal::InvalidGrant);
        };
        let is_registered = self.registration.as_ref().is_some_and(|known| known.redirect_uri == redirect_uri);
        if held.ends_at > now && is_registered && proves(verifier, &held.challenge) {
            Ok(self.register.begin(code, held.accounts, fresh, now))
        } else {
            Err(TokenRefusal::InvalidGrant)
        }
    }
}

impl Registration {
    /// The client's address with an answer, the state it came with, and who answers.
    fn answer(&self, pairs: &[(&str, &str)], state: Option<&str>) -> String {
        let mut url = self.redirect_to.clone();
        url.query_pairs_mut().extend_pairs(pairs).extend_pairs(state.map(|state| ("state", state))).append_pair("iss", &self.issuer);
        url.into()
    }
}

fn make_room<T>(queue: &mut VecDeque<T>) {
    while queue.len() >= KEPT {
        queue.pop_front();
    }
}

/// 32 bytes in base64url.
fn is_challenge(text: &str) -> bool {
    BASE64_URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

/// RFC 7636 §4.6.
fn proves(verifier: &str, challenge: &str) -> bool {
    let is_well_formed = (43..=128).contains(&verifier.len()) && verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    let computed = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    is_well_formed && bool::from(computed.as_bytes().ct_eq(challenge.as_bytes()))
}
