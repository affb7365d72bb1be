//! What every provider that is linked by signing in there does alike.

use chrono::Duration;
use oauth2::{AccessToken, PkceCodeVerifier, RequestTokenError, basic::BasicErrorResponse};
use secrecy::{ExposeSecret as _, SecretString};

use crate::application::ports::{ProviderFault, Walk};

/// The walk's verifier; the library panics over one of the wrong length (RFC 7636 §4.1).
pub(super) fn verifier(walk: &Walk) -> anyhow::Result<PkceCodeVerifier> {
    let verifier = walk.code_verifier.expose_secret();
    anyhow::ensure!((43..=128).contains(&verifier.len()), "a code verifier has 43 to 128 characters");
    Ok(PkceCodeVerifier::new(verifier.to_owned()))
}

/// How long an access token is taken to last that does not say so: shorter than any bank's, since one that is renewed early costs a request.
const ASSUMED_MINUTES: i64 = 5;

/// How long an access token lasts. Saying so is only recommended (RFC 6749 §5.1), and the refresh token that comes with it may be the only one left that
/// the bank takes: an answer that says nothing, or more than `longest` days, is kept and believed for some minutes.
pub(super) fn lifetime(told: Option<std::time::Duration>, longest: i64) -> Duration {
    let told = told.and_then(|told| Duration::from_std(told).ok()).filter(|told| *told <= Duration::days(longest));
    told.unwrap_or_else(|| Duration::minutes(ASSUMED_MINUTES))
}

/// An answer in which `expires_in` is a whole number or not there at all: banks write it as a text or with decimals as well, and what else they write
/// says nothing.
pub(super) fn with_readable_lifetime(answer: Vec<u8>) -> Vec<u8> {
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(&answer) else { return answer };
    let told = match fields.get("expires_in") {
        None => return answer,
        Some(told) if told.is_u64() => return answer,
        Some(told) => told.as_str().map_or_else(|| told.to_string(), str::to_owned),
    };
    let whole = told.trim().split_once('.').map_or(told.trim(), |(whole, _)| whole);
    match whole.parse::<u64>() {
        Ok(seconds) => fields.insert("expires_in".to_owned(), seconds.into()),
        Err(_) => fields.remove("expires_in"),
    };
    serde_json::to_vec(&fields).unwrap_or(answer)
}

/// A token that a header can carry (RFC 6750 §2.1).
pub(super) fn usable(token: &AccessToken) -> Result<SecretString, ProviderFault> {
    let token = token.secret();
    let is_sendable = token.bytes().all(|byte| byte.is_ascii_graphic());
    if token.is_empty() || !is_sendable { Err(ProviderFault::Malformed) } else { Ok(token.clone().into()) }
}

/// The faults of an answer that `http` let pass are all of one kind: it is not what RFC 6749 promises.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn token_fault(error: RequestTokenError<ProviderFault, BasicErrorResponse>) -> ProviderFault {
    match error {
        RequestTokenError::Request(fault) => fault,
        RequestTokenError::ServerResponse(_) | RequestTokenError::Parse(..) | RequestTokenError::Other(_) => ProviderFault::Malformed,
    }
}
