//! What every provider that is linked by signing in there does alike.

use chrono::Duration;
use oauth2::{PkceCodeVerifier, RequestTokenError, basic::BasicErrorResponse};
use secrecy::ExposeSecret as _;

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

/// The faults of an answer that `http` let pass are all of one kind: it is not what RFC 6749 promises.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn token_fault(error: RequestTokenError<ProviderFault, BasicErrorResponse>) -> ProviderFault {
    match error {
        RequestTokenError::Request(fault) => fault,
        RequestTokenError::ServerResponse(_) | RequestTokenError::Parse(..) | RequestTokenError::Other(_) => ProviderFault::Malformed,
    }
}
