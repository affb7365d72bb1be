//! Keys: two secrets are configured, everything else is derived from them.
//!
//! The ring (`DASHTAM_ENCRYPTION__KEYS`) seals credentials, peppers passwords, fingerprints account numbers and recovery codes, and signs the audit trail;
//! the token secrets
//! (`DASHTAM_JWT__SECRET`, `DASHTAM_JWT__PREVIOUS`) sign access tokens and derive refresh tokens and those that travel by mail. Each use has a key of its own by
//! HKDF-SHA-256 (RFC 5869), and whatever is stored names the id of its key, so that keys can be rotated.

use anyhow::{Context, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A 256-bit key.
pub type Key = Zeroizing<[u8; 32]>;

/// A derived key, with the id of what it was derived from.
pub struct NamedKey {
    /// What stored values name it by.
    pub id: String,
    /// The key.
    pub key: Key,
}

impl NamedKey {
    /// HMAC-SHA-256 (RFC 2104) of `parts`, one after the other.
    pub fn hmac(&self, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        // A key shorter than the block is padded with zeros by definition; doing it here leaves no length to go wrong.
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(self.key.as_slice());
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        for part in parts {
            mac.update(part);
        }
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

/// What a derived key is for. Keys of different purposes have nothing in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Sealing secrets at rest.
    Sealing,
    /// Peppering passwords.
    Pepper,
    /// Recognising accounts without keeping their numbers.
    Fingerprint,
    /// Recognising recovery codes without keeping them.
    RecoveryCode,
    /// Deriving refresh tokens.
    Refresh,
    /// Deriving tokens that travel by mail.
    MailToken,
    /// Signing checkpoints of the audit trail.
    AuditSigning,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Sealing => b"dashtam/sealing/1",
            Self::Pepper => b"dashtam/pepper/1",
            Self::Fingerprint => b"dashtam/fingerprint/1",
            Self::RecoveryCode => b"dashtam/recovery-code/1",
            Self::Refresh => b"dashtam/refresh/1",
            Self::MailToken => b"dashtam/mail-token/1",
            Self::AuditSigning => b"dashtam/audit-signing/1",
        }
    }
}

/// The configured secrets, checked.
pub struct Keys {
    ring: Vec<NamedKey>,
    tokens: Vec<NamedSecret>,
}

/// A token secret with its key id.
pub struct NamedSecret {
    /// First eight hex digits of the SHA-256 of the secret.
    pub id: String,
    /// The secret's bytes.
    pub secret: Zeroizing<Vec<u8>>,
}

impl Keys {
    /// From configuration: `ring` is `id:base64[,id:base64…]`, the first seals; token secrets are 32 bytes of text or more.
    pub fn read(ring: &SecretString, token: &SecretString, previous: Option<&SecretString>) -> anyhow::Result<Self> {
        let ring = ring.expose_secret().split(',').map(|entry| read_ring_key(entry.trim())).collect::<anyhow::Result<Vec<_>>>()?;
        for (at, key) in ring.iter().enumerate() {
            if ring[..at].iter().any(|other| other.id == key.id) {
                bail!("DASHTAM_ENCRYPTION__KEYS names the key id {:?} twice", key.id);
            }
        }
        let tokens = std::iter::once(("DASHTAM_JWT__SECRET", token))
            .chain(previous.map(|secret| ("DASHTAM_JWT__PREVIOUS", secret)))
            .map(|(name, secret)| read_token_secret(name, secret))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self { ring, tokens })
    }

    /// A key for `purpose` from each key of the ring, the current one first.
    pub fn derive(&self, purpose: Purpose) -> anyhow::Result<Vec<NamedKey>> {
        self.ring.iter().map(|named| Ok(NamedKey { id: named.id.clone(), key: expand(named.key.as_slice(), purpose)? })).collect()
    }

    /// A key for `purpose` from each token secret, the current one first.
    pub fn derive_from_tokens(&self, purpose: Purpose) -> anyhow::Result<Vec<NamedKey>> {
        self.tokens.iter().map(|named| Ok(NamedKey { id: named.id.clone(), key: expand(&named.secret, purpose)? })).collect()
    }

    /// The token secrets themselves, the current one first.
    pub fn tokens(&self) -> &[NamedSecret] {
        &self.tokens
    }
}

fn expand(secret: &[u8], purpose: Purpose) -> anyhow::Result<Key> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, secret).expand(purpose.label(), key.as_mut_slice()).map_err(|_| anyhow::anyhow!("HKDF cannot make 32 bytes"))?;
    Ok(key)
}

fn read_ring_key(entry: &str) -> anyhow::Result<NamedKey> {
    let (id, encoded) = entry.split_once(':').context("DASHTAM_ENCRYPTION__KEYS is a list of id:base64 entries, separated by commas")?;
    let plain = !id.is_empty() && id.len() <= 32 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !plain {
        bail!("a key id in DASHTAM_ENCRYPTION__KEYS is 1 to 32 letters, digits, hyphens and underscores");
    }
    let bytes =
        BASE64_STANDARD.decode(encoded).ok().map(Zeroizing::new).with_context(|| format!("the key {id:?} in DASHTAM_ENCRYPTION__KEYS is not base64"))?;
    let key: [u8; 32] = bytes.as_slice().try_into().ok().with_context(|| format!("the key {id:?} in DASHTAM_ENCRYPTION__KEYS is not 32 bytes long"))?;
    Ok(NamedKey { id: id.to_owned(), key: Zeroizing::new(key) })
}

fn read_token_secret(name: &str, secret: &SecretString) -> anyhow::Result<NamedSecret> {
    let secret = Zeroizing::new(secret.expose_secret().as_bytes().to_vec());
    if secret.len() < 32 {
        bail!("{name} is shorter than 32 bytes");
    }
    let digest = Sha256::digest(&secret);
    let id = format!("{:08x}", u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]));
    Ok(NamedSecret { id, secret })
}
