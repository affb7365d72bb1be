//! What every provider that is linked by signing in there does alike.

use oauth2::{PkceCodeVerifier, RequestTokenError, basic::BasicErrorResponse};
use secrecy::ExposeSecret as _;

use crate::application::ports::{ProviderFault, Walk};

/// The walk's verifier; the library panics over one of the wrong length (RFC 7636 §4.1).
pub(super) fn verifier(walk: &Walk) -> anyhow::Result<PkceCodeVerifier> {
    let verifier = walk.code_verifier.expose_secret();
    anyhow::ensure!((43..=128).contains(&verifier.len()), "a code verifier has 43 to 128 characters");
    Ok(PkceCodeVerifier::new(verifier.to_owned()))
}

/// The faults of an answer that `http` let pass are all of one kind: it is not what RFC 6749 promises.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn token_fault(error: RequestTokenError<ProviderFault, BasicErrorResponse>) -> ProviderFault {
    match error {
        RequestTokenError::Request(fault) => fault,
        RequestTokenError::ServerResponse(_) | RequestTokenError::Parse(..) | RequestTokenError::Other(_) => ProviderFault::Malformed,
    }
}
