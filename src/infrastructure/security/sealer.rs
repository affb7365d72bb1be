//! Sealing: provider credentials and other secrets at rest.
//!
//! AES-256-GCM (NIST SP 800-38D) with a fresh 96-bit nonce for every seal, and the value's place (owner, the row it belongs to, purpose, version) as
//! associated data, so that a sealed value copied to another row does not open. The envelope names its key. This module knows nothing
//! of databases.
//!
//! Envelope: version (1 byte), length of the key id (1), key id, nonce (12), ciphertext with its 16-byte tag.

use std::sync::Arc;

use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use anyhow::{Context, bail};
use zeroize::Zeroizing;

use crate::{
    application::ports::{Place, Randomness, Sealer},
    domain::{account::AccountFingerprint, id::UserId, provider::AccountReference},
};

use super::keys::{Derived, KeysInForce, NamedKey, Purpose};

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;

/// Seals with the first key of the ring, opens with the one the envelope names.
pub struct AesSealer {
    sealing: Derived<Vec<NamedKey>>,
    fingerprint: Derived<Vec<NamedKey>>,
    randomness: Arc<dyn Randomness>,
}

impl AesSealer {
    /// Over the ring in force.
    pub fn new(keys: &KeysInForce, randomness: Arc<dyn Randomness>) -> anyhow::Result<Self> {
        let sealing = keys.derived(|keys| keys.derive(Purpose::Sealing))?;
        let fingerprint = keys.derived(|keys| keys.derive(Purpose::Fingerprint))?;
        Ok(Self { sealing, fingerprint, randomness })
    }
}

fn associated_data(place: Place) -> Vec<u8> {
    let mut data = vec![VERSION];
    data.extend(place.to_bytes());
    data
}

/// What an envelope begins with that was sealed under the key of that id.
pub fn envelope_begins_with(key_id: &str) -> anyhow::Result<Vec<u8>> {
    let mut envelope = vec![VERSION, u8::try_from(key_id.len())?];
    envelope.extend_from_slice(key_id.as_bytes());
    Ok(envelope)
}

impl Sealer for AesSealer {
    fn seal(&self, place: Place, secret: &[u8]) -> anyhow::Result<Vec<u8>> {
        let keys = self.sealing.now();
        let key = keys.first().context("the key ring is empty")?;
        let random = self.randomness.secret();
        let nonce: [u8; NONCE_BYTES] = std::array::from_fn(|at| random[at]);
        let cipher = Aes256Gcm::new((&*key.key).into());
        let sealed =
            cipher.encrypt(&Nonce::from(nonce), Payload { msg: secret, aad: &associated_data(place) }).map_err(|_| anyhow::anyhow!("sealing failed"))?;
        let mut envelope = envelope_begins_with(&key.id)?;
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(&sealed);
        Ok(envelope)
    }

    fn open(&self, place: Place, envelope: &[u8]) -> anyhow::Result<Zeroizing<Vec<u8>>> {
        let [VERSION, id_length, rest @ ..] = envelope else { bail!("the envelope is of no known version") };
        let (id, rest) = rest.split_at_checked(usize::from(*id_length)).context("the envelope is cut off")?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().context("the envelope is cut off")?;
        let keys = self.sealing.now();
        let key = keys.iter().find(|key| key.id.as_bytes() == id).context("the key this envelope names is not in the ring")?;
        let cipher = Aes256Gcm::new((&*key.key).into());
        let opened = cipher.decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: &associated_data(place) });
        opened.map(Zeroizing::new).map_err(|_| anyhow::anyhow!("the envelope was changed, or belongs to another place"))
    }

    fn begins_with(&self) -> anyhow::Result<Vec<u8>> {
        envelope_begins_with(&self.sealing.now().first().context("the key ring is empty")?.id)
    }

    fn fingerprints(&self, user: UserId, provider: &str, reference: &AccountReference) -> Vec<AccountFingerprint> {
        let hash = |key: &NamedKey| key.hmac(&[user.0.as_bytes(), provider.as_bytes(), &[0], reference.expose().as_bytes()]).to_vec();
        self.fingerprint.now().iter().map(|key| AccountFingerprint { key_id: key.id.clone(), hash: hash(key) }).collect()
    }
}
