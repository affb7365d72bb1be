//! Access tokens: JWT (RFC 7519) signed with HS256.
//!
//! The algorithm is pinned and the key is chosen by `kid`, so neither `none` nor another algorithm has a way in. Time is compared with
//! our own clock. What a token says of roles is information: the session's state decides.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    application::ports::{AccessClaims, Randomness, TokenIssuer, TokenProblem},
    domain::{
        id::{SessionId, UserId},
        security::TokenVersions,
        time::Timestamp,
        user::Role,
    },
};

use super::keys::{Derived, Keys, KeysInForce};

/// `aud` of every token.
const AUDIENCE: &str = "dashtam";

/// How far the clocks of two replicas may be apart before a fresh token is refused as not valid yet.
const CLOCK_SKEW_SECONDS: i64 = 30;

/// No token of ours is longer.
const MAX_TOKEN_BYTES: usize = 2048;

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    sid: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: Uuid,
    role: String,
    gv: i64,
    uv: i64,
}

/// A token secret as the library wants it.
struct TokenKey {
    id: String,
    signs: EncodingKey,
    verifies: DecodingKey,
}

fn token_keys(keys: &Keys) -> Vec<TokenKey> {
    let of = |secret: &[u8], id: &str| TokenKey { id: id.to_owned(), signs: EncodingKey::from_secret(secret), verifies: DecodingKey::from_secret(secret) };
    keys.tokens().iter().map(|named| of(&named.secret, &named.id)).collect()
}

/// Signs and reads tokens with the token secrets.
pub struct JwtIssuer {
    issuer: String,
    keys: Derived<Vec<TokenKey>>,
    validation: Validation,
    randomness: Arc<dyn Randomness>,
}

impl JwtIssuer {
    /// `issuer` is the public URL; the first secret signs, the others are still accepted.
    pub fn new(keys: &KeysInForce, issuer: &str, randomness: Arc<dyn Randomness>) -> anyhow::Result<Self> {
        let keys = keys.derived(|keys| Ok(token_keys(keys)))?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        // The library would ask the machine for the time; ours is compared below.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self { issuer: issuer.to_owned(), keys, validation, randomness })
    }
}

impl TokenIssuer for JwtIssuer {
    fn issue(&self, claims: &AccessClaims) -> anyhow::Result<SecretString> {
        let keys = self.keys.now();
        let key = keys.first().ok_or_else(|| anyhow::anyhow!("there is no token secret"))?;
        let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::HS256) };
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: claims.user.0,
            sid: claims.session.0,
            iat: claims.issued_at.unix(),
            nbf: claims.issued_at.unix(),
            exp: claims.expires_at.unix(),
            jti: self.randomness.id(),
            role: claims.role.as_str().to_owned(),
            gv: claims.versions.global,
            uv: claims.versions.user,
        };
        Ok(jsonwebtoken::encode(&header, &claims, &key.signs)?.into())
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<AccessClaims, TokenProblem> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenProblem::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenProblem::Invalid)?;
        let keys = self.keys.now();
        let key = keys.iter().find(|key| header.kid.as_ref() == Some(&key.id)).ok_or(TokenProblem::Invalid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.verifies, &self.validation).map_err(|_| TokenProblem::Invalid)?.claims;
        if claims.nbf > now.unix() + CLOCK_SKEW_SECONDS {
            return Err(TokenProblem::Invalid);
        }
        if claims.exp <= now.unix() {
            return Err(TokenProblem::Expired);
        }
        let instant = |seconds: i64| seconds.checked_mul(1_000_000).and_then(Timestamp::from_micros).ok_or(TokenProblem::Invalid);
        Ok(AccessClaims {
            user: UserId(claims.sub),
            session: SessionId(claims.sid),
            role: Role::parse(&claims.role).ok_or(TokenProblem::Invalid)?,
            versions: TokenVersions { global: claims.gv, user: claims.uv },
            issued_at: instant(claims.iat)?,
            expires_at: instant(claims.exp)?,
        })
    }
}
