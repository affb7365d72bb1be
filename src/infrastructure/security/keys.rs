//! Keys: two secrets are configured, everything else is derived from them.
//!
//! The ring (`DASHTAM_ENCRYPTION__KEYS`) seals credentials, peppers passwords, fingerprints account numbers and recovery codes, and signs the audit trail;
//! the token secrets
//! (`DASHTAM_JWT__SECRET`, `DASHTAM_JWT__PREVIOUS`) sign access tokens and derive refresh tokens and those that travel by mail. Each use has a key of its own by
//! HKDF-SHA-256 (RFC 5869), and whatever is stored names the id of its key, so that keys can be rotated: while servers run, since nobody
//! keeps a key but [`KeysInForce`] and what it has [derived](Derived).

use std::sync::{Arc, Mutex, PoisonError, Weak};

use anyhow::{Context, bail};
use arc_swap::ArcSwap;
use base64::{Engine, prelude::BASE64_STANDARD};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A 256-bit key.
pub type Key = Zeroizing<[u8; 32]>;

/// A derived key, with the id of what it was derived from.
#[derive(Clone)]
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

/// The secrets, checked: of each kind the current one first.
#[derive(Clone)]
pub struct Keys {
    ring: Vec<NamedKey>,
    tokens: Vec<NamedSecret>,
}

/// A token secret with its key id.
#[derive(Clone)]
pub struct NamedSecret {
    /// First eight hex digits of the SHA-256 of the secret.
    pub id: String,
    /// The secret's bytes.
    pub secret: Zeroizing<Vec<u8>>,
}

impl Keys {
    /// `ring` is `id:base64[,id:base64…]`, the first seals; token secrets are 32 bytes of text or more, without commas, and `previous` is a list of them.
    pub fn read(ring: &SecretString, token: &SecretString, previous: Option<&SecretString>) -> anyhow::Result<Self> {
        let ring = ring.expose_secret().split(',').map(|entry| read_ring_key(entry.trim())).collect::<anyhow::Result<Vec<_>>>()?;
        for (at, key) in ring.iter().enumerate() {
            if ring[..at].iter().any(|other| other.id == key.id) {
                bail!("DASHTAM_ENCRYPTION__KEYS names the key id {:?} twice", key.id);
            }
        }
        if token.expose_secret().contains(',') {
            bail!("DASHTAM_JWT__SECRET holds a comma, which separates the secrets of DASHTAM_JWT__PREVIOUS; make one without: openssl rand -base64 48");
        }
        let mut tokens = vec![read_token_secret("DASHTAM_JWT__SECRET", token.expose_secret())?];
        for secret in previous_secrets(previous) {
            let named = read_token_secret("a secret of DASHTAM_JWT__PREVIOUS", secret)?;
            // Between the two writes of a rotation the current secret stands in both places.
            if tokens.iter().all(|known| known.id != named.id) {
                tokens.push(named);
            }
        }
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

    /// The ids of the ring, the current one first.
    pub fn ring_ids(&self) -> Vec<&str> {
        self.ring.iter().map(|key| key.id.as_str()).collect()
    }

    /// The ids of the token secrets, the current one first.
    pub fn token_ids(&self) -> Vec<&str> {
        self.tokens.iter().map(|secret| secret.id.as_str()).collect()
    }

    /// These keys with whatever was current before still in front, where it is kept and its successor is new: so that other processes have the
    /// time to learn of the successor before anything depends on it. `None` when nothing has to wait.
    pub fn waiting_behind(&self, before: &Self) -> Option<Self> {
        let ring = place_of_former(&self.ring_ids(), &before.ring_ids());
        let tokens = place_of_former(&self.token_ids(), &before.token_ids());
        if ring.is_none() && tokens.is_none() {
            return None;
        }
        let mut waiting = self.clone();
        if let Some(at) = ring {
            waiting.ring[..=at].rotate_right(1);
        }
        if let Some(at) = tokens {
            waiting.tokens[..=at].rotate_right(1);
        }
        Some(waiting)
    }
}

/// Where the id that was current stands now, if the one that is current now was not known.
fn place_of_former(now: &[&str], before: &[&str]) -> Option<usize> {
    let (first, former) = (now.first()?, before.first()?);
    if before.contains(first) { None } else { now.iter().position(|id| id == former) }
}

/// The secrets of a list, without what is empty.
pub fn previous_secrets(list: Option<&SecretString>) -> impl Iterator<Item = &str> {
    list.map_or("", |list| list.expose_secret()).split(',').map(str::trim).filter(|secret| !secret.is_empty())
}

/// The keys in force. They change while servers run: [`adopt`](Self::adopt) exchanges what every adapter has derived from them.
#[derive(Clone)]
pub struct KeysInForce(Arc<InForce>);

struct InForce {
    keys: ArcSwap<Keys>,
    followers: Mutex<Vec<Weak<dyn Follower>>>,
}

/// Whatever is derived anew when keys change: all of it first, and then each is exchanged.
trait Follower: Send + Sync {
    fn prepare<'a>(&'a self, keys: &Keys) -> anyhow::Result<Exchange<'a>>;
}

/// Puts what was derived in the place of what was there.
type Exchange<'a> = Box<dyn FnOnce() + 'a>;

/// Makes of keys what an adapter needs.
type Derive<T> = Box<dyn Fn(&Keys) -> anyhow::Result<T> + Send + Sync>;

struct Follow<T> {
    derived: ArcSwap<T>,
    derive: Derive<T>,
}

impl<T: Send + Sync> Follower for Follow<T> {
    fn prepare<'a>(&'a self, keys: &Keys) -> anyhow::Result<Exchange<'a>> {
        let derived = Arc::new((self.derive)(keys)?);
        Ok(Box::new(move || self.derived.store(derived)))
    }
}

/// What an adapter needs of the keys in force. It is asked for each time, and never kept.
pub struct Derived<T>(Arc<Follow<T>>);

impl<T> Derived<T> {
    /// As of now; one answer belongs together, whatever happens meanwhile.
    pub fn now(&self) -> Arc<T> {
        self.0.derived.load_full()
    }
}

impl KeysInForce {
    /// These, until others are adopted.
    pub fn new(keys: Keys) -> Self {
        Self(Arc::new(InForce { keys: ArcSwap::from_pointee(keys), followers: Mutex::default() }))
    }

    /// The keys themselves.
    pub fn now(&self) -> Arc<Keys> {
        self.0.keys.load_full()
    }

    /// What `derive` makes of the keys, now and whenever they change.
    pub fn derived<T: Send + Sync + 'static>(&self, derive: impl Fn(&Keys) -> anyhow::Result<T> + Send + Sync + 'static) -> anyhow::Result<Derived<T>> {
        let mut followers = self.0.followers.lock().unwrap_or_else(PoisonError::into_inner);
        let follow = Arc::new(Follow { derived: ArcSwap::from_pointee(derive(&self.now())?), derive: Box::new(derive) });
        followers.retain(|follower| follower.strong_count() > 0);
        let follower: Arc<dyn Follower> = follow.clone();
        followers.push(Arc::downgrade(&follower));
        Ok(Derived(follow))
    }

    /// Puts other keys in force, everywhere or, if something cannot be derived from them, nowhere.
    pub fn adopt(&self, keys: Keys) -> anyhow::Result<()> {
        let followers = self.0.followers.lock().unwrap_or_else(PoisonError::into_inner);
        let followers: Vec<_> = followers.iter().filter_map(Weak::upgrade).collect();
        let prepared = followers.iter().map(|follower| follower.prepare(&keys)).collect::<anyhow::Result<Vec<_>>>()?;
        self.0.keys.store(Arc::new(keys));
        for exchange in prepared {
            exchange();
        }
        Ok(())
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

fn read_token_secret(name: &str, secret: &str) -> anyhow::Result<NamedSecret> {
    let secret = Zeroizing::new(secret.as_bytes().to_vec());
    if secret.len() < 32 {
        bail!("{name} is shorter than 32 bytes");
    }
    let digest = Sha256::digest(&secret);
    let id = format!("{:08x}", u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]));
    Ok(NamedSecret { id, secret })
}
