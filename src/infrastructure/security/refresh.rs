//! Refresh tokens: `selector.verifier`, and successors derived from the verifier presented.

use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

use crate::application::ports::{Randomness, RefreshPair, RefreshTokenMint};

use super::keys::{Derived, KeysInForce, NamedKey, Purpose};

/// bcrypt's lowest cost: a verifier holds 256 bits, so there is nothing to slow down.
const COST: u32 = 4;

/// Bytes of a selector.
const SELECTOR_BYTES: usize = 16;

/// Makes refresh tokens under keys derived from the token secrets.
pub struct HmacMint {
    keys: Derived<Vec<NamedKey>>,
    randomness: Arc<dyn Randomness>,
}

impl HmacMint {
    /// The first secret's key derives from now on; the others still serve tokens that name them.
    pub fn new(keys: &KeysInForce, randomness: Arc<dyn Randomness>) -> anyhow::Result<Self> {
        Ok(Self { keys: keys.derived(|keys| keys.derive_from_tokens(Purpose::Refresh))?, randomness })
    }
}

fn pair(selector: &[u8; 32], verifier: &[u8; 32]) -> RefreshPair {
    RefreshPair { selector: BASE64_URL_SAFE_NO_PAD.encode(&selector[..SELECTOR_BYTES]), verifier: BASE64_URL_SAFE_NO_PAD.encode(verifier).into() }
}

#[async_trait]
impl RefreshTokenMint for HmacMint {
    fn fresh(&self) -> RefreshPair {
        pair(&self.randomness.secret(), &self.randomness.secret())
    }

    fn key_id(&self) -> String {
        self.keys.now().first().map(|key| key.id.clone()).unwrap_or_default()
    }

    fn successor(&self, key_id: &str, verifier: &SecretString) -> Option<RefreshPair> {
        let keys = self.keys.now();
        let key = keys.iter().find(|key| key.id == key_id)?;
        let derive = |label: &[u8]| key.hmac(&[label, verifier.expose_secret().as_bytes()]);
        Some(pair(&derive(b"selector/"), &derive(b"verifier/")))
    }

    async fn hash(&self, verifier: &SecretString) -> anyhow::Result<String> {
        let verifier = verifier.clone();
        let hashed = tokio::task::spawn_blocking(move || bcrypt::non_truncating_hash(verifier.expose_secret(), COST)).await;
        Ok(hashed.context("hashing a refresh token")??)
    }

    async fn matches(&self, verifier: &SecretString, hash: &str) -> anyhow::Result<bool> {
        let (verifier, hash) = (verifier.clone(), hash.to_owned());
        let compared = tokio::task::spawn_blocking(move || bcrypt::verify(verifier.expose_secret(), &hash)).await;
        Ok(compared.context("comparing a refresh token")??)
    }
}
