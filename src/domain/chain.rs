//! The chain: what makes a change of the audit trail show.
//!
//! Each event gets a position and a hash over every one of its columns; each position's chain hash covers the one before it. So whoever
//! changes, removes, adds or moves an event has to rewrite every later position, and a signature over any of them tells. What is hashed is
//! written out here to the byte, so that anyone can check a trail with a program of their own.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::time::Timestamp;

/// SHA-256 (FIPS 180-4).
pub type Hash = [u8; 32];

/// What stands before everything that is hashed or signed, so that no bytes mean two things, with the version of what follows.
const EVENT: &[u8] = b"dashtam/audit-event/1\0";
const LINK: &[u8] = b"dashtam/audit-chain/1\0";
const CHECKPOINT: &[u8] = b"dashtam/audit-checkpoint/1\0";
const CUT: &[u8] = b"dashtam/audit-cut/1\0";
const THINNING: &[u8] = b"dashtam/audit-thinning/1\0";
const KEY: &[u8] = b"dashtam/audit-key/1\0";

/// The chain hash before the first position.
pub const GENESIS: Hash = [0; 32];

/// How long an event may be without a position, and no more: the sealer comes by every second.
pub const UNSEALED_MINUTES: i64 = 5;

/// How long a position may be without a signature after it: a checkpoint is made every ten minutes.
pub const UNSIGNED_MINUTES: i64 = 30;

/// An event as it is stored, every column of it. The persons are not in it, only their salted hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// When.
    pub recorded_at: Timestamp,
    /// Its id.
    pub id: Uuid,
    /// The attempt it belongs to.
    pub attempt: Uuid,
    /// The act's word.
    pub act: String,
    /// The outcome's word.
    pub outcome: String,
    /// What kind of actor it was.
    pub actor_kind: String,
    /// Salted hash of the actor.
    pub actor_hash: Vec<u8>,
    /// Salted hash of whom it was upon.
    pub subject_hash: Option<Vec<u8>>,
    /// The kind of thing it was upon.
    pub resource_kind: Option<String>,
    /// Which one.
    pub resource_id: Option<Uuid>,
    /// Why it failed.
    pub reason: Option<String>,
    /// The JSON text, byte for byte.
    pub context: String,
    /// The trace of the request.
    pub trace_id: Option<String>,
    /// The class of retention.
    pub class: String,
}

impl StoredEvent {
    /// SHA-256 over the columns in the order above: each one byte that says whether it is there, and if so its length in four bytes, most
    /// significant first, and its bytes. Instants are microseconds since 1970 in eight bytes, ids their sixteen bytes, texts UTF-8.
    pub fn hash(&self) -> Hash {
        let mut digest = Sha256::new_with_prefix(EVENT);
        let recorded_at = self.recorded_at.micros().to_be_bytes();
        let columns: [Option<&[u8]>; 14] = [
            Some(&recorded_at),
            Some(self.id.as_bytes()),
            Some(self.attempt.as_bytes()),
            Some(self.act.as_bytes()),
            Some(self.outcome.as_bytes()),
            Some(self.actor_kind.as_bytes()),
            Some(&self.actor_hash),
            self.subject_hash.as_deref(),
            self.resource_kind.as_deref().map(str::as_bytes),
            self.resource_id.as_ref().map(|id| id.as_bytes().as_slice()),
            self.reason.as_deref().map(str::as_bytes),
            Some(self.context.as_bytes()),
            self.trace_id.as_deref().map(str::as_bytes),
            Some(self.class.as_bytes()),
        ];
        for column in columns {
            append(&mut digest, column);
        }
        digest.finalize().into()
    }
}

/// A person in an event, as they are stored apart from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPerson {
    /// In which event.
    pub event: EventKey,
    /// `actor` or `subject`.
    pub part: String,
    /// Which user, when known.
    pub user: Option<Uuid>,
    /// The address typed, when no user was known by it.
    pub email: Option<String>,
    /// Where the request came from.
    pub ip: Option<String>,
    /// What the client called itself.
    pub user_agent: Option<String>,
    /// Random bytes, so that nobody finds the values by trying.
    pub salt: Vec<u8>,
}

impl StoredPerson {
    /// What the event holds of this person: SHA-256 of the salt and, in this order, part, user, e-mail, IP and user agent: each one byte that
    /// says whether it is there, and if so its length in four bytes, most significant first, and its bytes.
    pub fn hash(&self) -> Hash {
        let mut digest = Sha256::new_with_prefix(&self.salt);
        let columns = [
            Some(self.part.as_bytes()),
            self.user.as_ref().map(|user| user.as_bytes().as_slice()),
            self.email.as_deref().map(str::as_bytes),
            self.ip.as_deref().map(str::as_bytes),
            self.user_agent.as_deref().map(str::as_bytes),
        ];
        for column in columns {
            append(&mut digest, column);
        }
        digest.finalize().into()
    }
}

/// One byte that says whether it is there, and if so its length in four bytes, most significant first, and its bytes.
fn append(digest: &mut Sha256, column: Option<&[u8]>) {
    digest.update([u8::from(column.is_some())]);
    if let Some(bytes) = column {
        // No column comes near four gigabytes.
        digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        digest.update(bytes);
    }
}

/// The hash at `position`: SHA-256 over the one before it, the position in eight bytes, and the hash of its event.
pub fn link(before: &Hash, position: u64, event: &Hash) -> Hash {
    let mut digest = Sha256::new_with_prefix(LINK);
    digest.update(before);
    digest.update(position.to_be_bytes());
    digest.update(event);
    digest.finalize().into()
}

/// A place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many events have had a position so far.
    pub position: u64,
    /// The hash there.
    pub hash: Hash,
}

impl Head {
    /// Before the first event.
    pub const START: Self = Self { position: 0, hash: GENESIS };

    /// The place after one more event.
    #[must_use]
    pub fn then(self, event: &Hash) -> Self {
        let position = self.position.saturating_add(1);
        Self { position, hash: link(&self.hash, position, event) }
    }
}

/// What names an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey {
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Its id.
    pub id: Uuid,
}

/// A position, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which.
    pub position: u64,
    /// Of which event.
    pub event: EventKey,
    /// The hash of that event when it was sealed.
    pub event_hash: Vec<u8>,
    /// The chain's hash here.
    pub chain_hash: Vec<u8>,
}

/// What stands where a position's event should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The event.
    Event(Box<StoredEvent>),
    /// A row that cannot be one: a column holds what was never written there.
    Unreadable,
    /// Nothing.
    Nothing,
}

/// A signature over a place in the chain, and so over everything before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Checkpoints are counted, so that one that is gone is missed.
    pub number: u64,
    /// Where.
    pub head: Head,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// By which key.
    pub key_id: String,
    /// Ed25519 (RFC 8032) over [`message`](Self::message).
    pub signature: Vec<u8>,
}

impl Checkpoint {
    /// What is signed: number, position, hash, time and the key's id.
    pub fn message(&self) -> Vec<u8> {
        let mut message = CHECKPOINT.to_vec();
        message.extend(self.number.to_be_bytes());
        message.extend(self.head.position.to_be_bytes());
        message.extend(self.head.hash);
        message.extend(self.signed_at.micros().to_be_bytes());
        message.extend(self.key_id.as_bytes());
        message
    }
}

/// Where the trail begins now, since what was before is past its retention and was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Cuts are counted.
    pub number: u64,
    /// The last position that was dropped.
    pub head: Head,
    /// The number of the last checkpoint that was dropped with it.
    pub checkpoint: u64,
    /// Events recorded before this are gone, also those that had a later position.
    pub events_before: Timestamp,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// By which key.
    pub key_id: String,
    /// Ed25519 over [`message`](Self::message).
    pub signature: Vec<u8>,
}

impl Cut {
    /// What is signed: everything but the signature.
    pub fn message(&self) -> Vec<u8> {
        let mut message = CUT.to_vec();
        message.extend(self.number.to_be_bytes());
        message.extend(self.head.position.to_be_bytes());
        message.extend(self.head.hash);
        message.extend(self.checkpoint.to_be_bytes());
        message.extend(self.events_before.micros().to_be_bytes());
        message.extend(self.signed_at.micros().to_be_bytes());
        message.extend(self.key_id.as_bytes());
        message
    }
}

/// A month of which the events of one class were dropped, since that class is kept for less long than the trail. Their positions stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thinning {
    /// The class.
    pub class: String,
    /// The month's first instant.
    pub from: Timestamp,
    /// The next month's first instant.
    pub before: Timestamp,
    /// What was dropped.
    pub dropped: ThinnedAway,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// By which key.
    pub key_id: String,
    /// Ed25519 over [`message`](Self::message).
    pub signature: Vec<u8>,
}

/// The events a thinning took: how many, and SHA-256 over each one's position in eight bytes and its hash, in the order of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThinnedAway {
    /// How many.
    pub events: u64,
    /// Which.
    pub digest: Hash,
}

/// Counts what a thinning takes.
#[derive(Default)]
pub struct ThinningCount {
    events: u64,
    digest: Sha256,
}

impl ThinningCount {
    /// One more event, of a later position than the one before.
    pub fn take(&mut self, position: u64, event: &Hash) {
        self.events += 1;
        self.digest.update(position.to_be_bytes());
        self.digest.update(event);
    }

    /// All of them.
    pub fn taken(self) -> ThinnedAway {
        ThinnedAway { events: self.events, digest: self.digest.finalize().into() }
    }
}

impl Thinning {
    /// What is signed: everything but the signature, the class behind its length in four bytes.
    pub fn message(&self) -> Vec<u8> {
        let mut message = THINNING.to_vec();
        message.extend(self.from.micros().to_be_bytes());
        message.extend(self.before.micros().to_be_bytes());
        message.extend(self.dropped.events.to_be_bytes());
        message.extend(self.dropped.digest);
        message.extend(self.signed_at.micros().to_be_bytes());
        message.extend(u32::try_from(self.class.len()).unwrap_or(u32::MAX).to_be_bytes());
        message.extend(self.class.as_bytes());
        message.extend(self.key_id.as_bytes());
        message
    }
}

/// A public key that another one vouches for: after a rotation the new key vouches for the old, whose checkpoints it cannot make anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endorsement {
    /// The id of the key: see [`key_id`].
    pub key_id: String,
    /// The key.
    pub public_key: Vec<u8>,
    /// The id of the key that vouches for it.
    pub endorsed_by: String,
    /// Ed25519 over [`message`](Self::message).
    pub signature: Vec<u8>,
}

impl Endorsement {
    /// What is signed.
    pub fn message(&self) -> Vec<u8> {
        [KEY, &self.public_key, self.endorsed_by.as_bytes()].concat()
    }
}

/// What a public key is called: the first 16 hexadecimal digits of its SHA-256.
pub fn key_id(public_key: &[u8]) -> String {
    let digest: Hash = Sha256::digest(public_key).into();
    digest[..8].iter().fold(String::new(), |id, byte| format!("{id}{byte:02x}"))
}

/// How far the chain has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The last position.
    pub position: u64,
    /// How many events wait for one.
    pub unsealed: u64,
    /// When the oldest of them was recorded.
    pub oldest_unsealed: Option<Timestamp>,
    /// Position and time of the last checkpoint.
    pub signed: Option<(u64, Timestamp)>,
}
