//! Tokens that travel by mail: derived, so that nobody finds them where they wait.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::SecretString;

use crate::{application::ports::MailTokenMint, domain::id::MailTokenId};

use super::keys::{Derived, KeysInForce, NamedKey, Purpose};

/// HMAC-SHA-256 of a token's id, under keys derived from the token secrets.
pub struct HmacMailTokens {
    keys: Derived<Vec<NamedKey>>,
}

impl HmacMailTokens {
    /// The first secret's key derives from now on; the others still serve tokens that name them.
    pub fn new(keys: &KeysInForce) -> anyhow::Result<Self> {
        Ok(Self { keys: keys.derived(|keys| keys.derive_from_tokens(Purpose::MailToken))? })
    }
}

impl MailTokenMint for HmacMailTokens {
    fn key_id(&self) -> String {
        self.keys.now().first().map(|key| key.id.clone()).unwrap_or_default()
    }

    fn token(&self, key_id: &str, id: MailTokenId) -> Option<SecretString> {
        let keys = self.keys.now();
        let key = keys.iter().find(|key| key.id == key_id)?;
        Some(BASE64_URL_SAFE_NO_PAD.encode(key.hmac(&[id.0.as_bytes()]).as_slice()).into())
    }
}
