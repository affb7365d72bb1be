//! What opens a provider, as it is stored: sealed, and bound to its link.

use chrono::Duration;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::domain::{link::SealedCredentials, time::Timestamp};

use super::ports::{Credentials, Place, Sealer, Tokens};

/// After how many hours tokens that no sync has renewed are renewed by themselves: banks forget refresh tokens that are not used for long, and
/// few say after how long.
const RENEWAL_HOURS: i64 = 24;

/// What is sealed. `kind` came later than tokens did, so what has none holds tokens.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Named(Named),
    Tokens(StoredTokens),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Named {
    Oauth(StoredTokens),
    ApiKey { key: String, secret: String },
    AccessUrl { url: String },
}

#[derive(Serialize, Deserialize)]
struct StoredTokens {
    access_token: String,
    refresh_token: String,
    access_expires_at: i64,
    consent_expires_at: Option<i64>,
}

impl From<&Credentials> for Named {
    fn from(credentials: &Credentials) -> Self {
        let open = |secret: &SecretString| secret.expose_secret().to_owned();
        match credentials {
            Credentials::Oauth(tokens) => Self::Oauth(StoredTokens {
                access_token: open(&tokens.access_token),
                refresh_token: open(&tokens.refresh_token),
                access_expires_at: tokens.access_expires_at.micros(),
                consent_expires_at: tokens.consent_expires_at.map(Timestamp::micros),
            }),
            Credentials::ApiKey { key, secret } => Self::ApiKey { key: open(key), secret: open(secret) },
            Credentials::AccessUrl(url) => Self::AccessUrl { url: open(url) },
        }
    }
}

impl TryFrom<StoredTokens> for Tokens {
    type Error = anyhow::Error;

    fn try_from(stored: StoredTokens) -> anyhow::Result<Self> {
        let instant = |micros| Timestamp::from_micros(micros).ok_or_else(|| anyhow::anyhow!("sealed credentials hold an impossible instant"));
        Ok(Self {
            access_token: stored.access_token.into(),
            refresh_token: stored.refresh_token.into(),
            access_expires_at: instant(stored.access_expires_at)?,
            consent_expires_at: stored.consent_expires_at.map(instant).transpose()?,
        })
    }
}

/// Credentials as they are stored: sealed, bound to their link, with the clocks of tokens beside them.
pub(super) fn seal_credentials(sealer: &dyn Sealer, place: Place, credentials: &Credentials, now: Timestamp) -> anyhow::Result<SealedCredentials> {
    let envelope = sealer.seal(place, &Zeroizing::new(serde_json::to_vec(&Stored::Named(credentials.into()))?))?;
    let Credentials::Oauth(tokens) = credentials else { return Ok(SealedCredentials { envelope, expires_at: None, renew_at: None }) };
    let renew_at = now.plus(Duration::hours(RENEWAL_HOURS));
    // Nothing is gained by tokens that come with the end of the consent.
    let renew_at = Some(renew_at).filter(|at| tokens.consent_expires_at.is_none_or(|end| *at < end));
    Ok(SealedCredentials { envelope, expires_at: Some(tokens.access_expires_at), renew_at })
}

pub(super) fn open_credentials(sealer: &dyn Sealer, place: Place, envelope: &[u8]) -> anyhow::Result<Credentials> {
    let stored: Stored = serde_json::from_slice(&sealer.open(place, envelope)?).map_err(|_| anyhow::anyhow!("sealed credentials do not read"))?;
    Ok(match stored {
        Stored::Named(Named::Oauth(tokens)) | Stored::Tokens(tokens) => Credentials::Oauth(tokens.try_into()?),
        Stored::Named(Named::ApiKey { key, secret }) => Credentials::ApiKey { key: key.into(), secret: secret.into() },
        Stored::Named(Named::AccessUrl { url }) => Credentials::AccessUrl(url.into()),
    })
}
