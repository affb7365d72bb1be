//! What the use cases need from outside. A port is a role with duties; an adapter is a technology.

mod archive;
mod mail;
mod provider;

use std::io::BufRead;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::domain::{
    account::{AccountFingerprint, AccountType, Accounts},
    agreement::Agreements,
    balance::BalanceSnapshots,
    consent::Consents,
    coverage::Coverages,
    csv::{CsvCorrection, CsvFormat, CsvQuestion, NamedAccount},
    email_change::EmailChanges,
    erasure::Erasures,
    event::Event,
    export::Exports,
    failure::Reason,
    holding::Holdings,
    id::{LinkId, MailTokenId, SecondFactorId, SessionId, UserId},
    import::{Imports, StatementFile, UnreadableFile},
    keys::SealedSecrets,
    link::Links,
    mail::Mails,
    money::Currency,
    outbox::Outbox,
    payload::Payloads,
    provider::{AccountReference, Manifest},
    rate_limit::{Charge, RequestsLeft, Verdict},
    second_factor::SecondFactors,
    security::{Rotations, TokenVersions},
    session::Sessions,
    sign_in::SignIns,
    signal::Signal,
    sync::Syncs,
    time::{LocalDate, Timestamp},
    transaction::Transactions,
    user::{EmailAddress, Password, PasswordRecord, Role, Users},
};

pub use archive::{Archive, Archiver, Cell, ExportRows, ExportTable, Snapshot, Snapshots};
pub use mail::{KeptMail, Mailbox, Mailer, MailerFault};
pub use provider::{Credentials, FinancialProvider, OauthDoor, Pasted, ProviderFault, ReportedAccounts, Revocation, Tokens, TransactionPage, Visit, Walk};

use super::{
    access::{Action, Resource, Scope},
    audit::{Attempt, AuditEntry},
    chain::retention::ChainWork,
};

/// Where ids and secrets come from. One adapter asks the machine; tests may replay.
pub trait Randomness: Send + Sync {
    /// A new UUIDv7.
    fn id(&self) -> Uuid;
    /// 256 bits nobody can guess.
    fn secret(&self) -> [u8; 32];
}

/// The trail itself. Each call is a transaction of its own.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Appends one row and commits it.
    async fn record(&self, entry: &AuditEntry) -> anyhow::Result<()>;
    /// Appends FAILED(interrupted) for every attempt begun before `before`, and after `since` if given, that has no outcome; answers how many.
    async fn close_orphans(&self, since: Option<Timestamp>, before: Timestamp) -> anyhow::Result<u64>;
}

/// The one place where data changes.
#[async_trait]
pub trait Store: Send + Sync {
    /// Opens the one transaction of an attempt. Dropping it without settling rolls everything back.
    async fn begin(&self, attempt: &Attempt) -> anyhow::Result<Box<dyn Work>>;
}

/// A unit of work: everything an attempt changes, committed together with its outcome on the trail.
#[async_trait]
pub trait Work: Send {
    /// Users.
    fn users(&mut self) -> &mut dyn Users;
    /// Sessions and refresh tokens.
    fn sessions(&mut self) -> &mut dyn Sessions;
    /// Links, authorizations and credentials.
    fn links(&mut self) -> &mut dyn Links;
    /// Accounts.
    fn accounts(&mut self) -> &mut dyn Accounts;
    /// Transactions.
    fn transactions(&mut self) -> &mut dyn Transactions;
    /// Balance snapshots.
    fn snapshots(&mut self) -> &mut dyn BalanceSnapshots;
    /// Coverage.
    fn coverages(&mut self) -> &mut dyn Coverages;
    /// Holdings.
    fn holdings(&mut self) -> &mut dyn Holdings;
    /// What providers answered.
    fn payloads(&mut self) -> &mut dyn Payloads;
    /// Syncs.
    fn syncs(&mut self) -> &mut dyn Syncs;
    /// Rotations of tokens.
    fn rotations(&mut self) -> &mut dyn Rotations;
    /// Failures to sign in.
    fn sign_ins(&mut self) -> &mut dyn SignIns;
    /// Second factors, recovery codes and challenges.
    fn second_factors(&mut self) -> &mut dyn SecondFactors;
    /// Mails, and tokens that travel by them.
    fn mails(&mut self) -> &mut dyn Mails;
    /// The outbox as an operator sees it.
    fn outbox(&mut self) -> &mut dyn Outbox;
    /// Whatever is sealed.
    fn sealed_secrets(&mut self) -> &mut dyn SealedSecrets;
    /// Agreements.
    fn agreements(&mut self) -> &mut dyn Agreements;
    /// Consents.
    fn consents(&mut self) -> &mut dyn Consents;
    /// Changes of address.
    fn email_changes(&mut self) -> &mut dyn EmailChanges;
    /// Erasures.
    fn erasures(&mut self) -> &mut dyn Erasures;
    /// Exports.
    fn exports(&mut self) -> &mut dyn Exports;
    /// Imports.
    fn imports(&mut self) -> &mut dyn Imports;
    /// The chain over the audit trail.
    fn chain(&mut self) -> &mut dyn ChainWork;
    /// Commits what must stand before a bank is asked (a spent state, a rotated token). The attempt goes on, in another unit of work.
    async fn checkpoint(self: Box<Self>) -> anyhow::Result<()>;
    /// Commits the change with SUCCEEDED, and the mail that follows from the event (see [`handlers`](super::handlers)). Refuses when another one
    /// was queued, or one that should have been was not.
    async fn succeed(self: Box<Self>, event: Event) -> anyhow::Result<()>;
    /// Commits what a refusal must keep with FAILED. Refuses when a mail was queued that does not follow from such a refusal.
    async fn refuse(self: Box<Self>, refusal: &(dyn Reason + Sync)) -> anyhow::Result<()>;
}

/// Hashes and compares passwords away from the runtime's threads, a bounded number at a time. A full queue is
/// [`Unavailable`](crate::domain::failure::Unavailable) inside the error.
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// A record to store.
    async fn hash(&self, password: &Password) -> anyhow::Result<PasswordRecord>;
    /// Compares. Without a record it compares with a dummy one, at the same cost, and answers `false`.
    async fn verify(&self, password: &Password, record: Option<&PasswordRecord>) -> anyhow::Result<bool>;
    /// Whether a record is as [`hash`](Self::hash) would make it today: scheme, key and cost. Else it is made anew at the next sign-in.
    fn is_current(&self, record: &PasswordRecord) -> bool;
}

/// What an access token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessClaims {
    /// `sub`.
    pub user: UserId,
    /// `sid`.
    pub session: SessionId,
    /// `role`: information only.
    pub role: Role,
    /// `gv` and `uv`: what it was issued under.
    pub versions: TokenVersions,
    /// `iat`.
    pub issued_at: Timestamp,
    /// `exp`.
    pub expires_at: Timestamp,
}

/// Why an access token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenProblem {
    /// Not a token of ours: broken, foreign, of another algorithm, signed by a key we don't know.
    #[error("the access token is not valid")]
    Invalid,
    /// Ours, and past its time.
    #[error("the access token has expired")]
    Expired,
}

/// Issues and reads access tokens (JWT, RFC 7519).
pub trait TokenIssuer: Send + Sync {
    /// Signs a token.
    fn issue(&self, claims: &AccessClaims) -> anyhow::Result<SecretString>;
    /// Reads a token: signature, algorithm, issuer, audience and time all hold, or it is refused.
    fn verify(&self, token: &str, now: Timestamp) -> Result<AccessClaims, TokenProblem>;
}

/// The two halves of a refresh token, written `selector.verifier`.
#[derive(Clone)]
pub struct RefreshPair {
    /// What the row is found by.
    pub selector: String,
    /// What only its holder knows.
    pub verifier: SecretString,
}

/// Makes refresh tokens and derives their successors.
#[async_trait]
pub trait RefreshTokenMint: Send + Sync {
    /// Two random halves.
    fn fresh(&self) -> RefreshPair;
    /// The id of the key that successors of tokens issued now are derived under.
    fn key_id(&self) -> String;
    /// The one successor of a token: HMAC-SHA-256 of the presented verifier under the key of that id. `None` when the key is gone.
    fn successor(&self, key_id: &str, verifier: &SecretString) -> Option<RefreshPair>;
    /// bcrypt of a verifier, at the lowest cost.
    async fn hash(&self, verifier: &SecretString) -> anyhow::Result<String>;
    /// Whether a presented verifier is the hashed one.
    async fn matches(&self, verifier: &SecretString, hash: &str) -> anyhow::Result<bool>;
}

/// Derives tokens that travel by mail. What is stored does not hold them, so a copy of the database opens nothing.
pub trait MailTokenMint: Send + Sync {
    /// The id of the key that tokens made now are derived under.
    fn key_id(&self) -> String;
    /// The token of that id: 43 characters, base64url of HMAC-SHA-256. `None` when the key is gone.
    fn token(&self, key_id: &str, id: MailTokenId) -> Option<SecretString>;
}

/// A secret of a second factor, as its user gets it. It is shown once.
pub struct HandedOver {
    /// Base32 without padding, to be typed into an authenticator app.
    pub secret: SecretString,
    /// `otpauth://totp/…`, which apps on the same device open.
    pub url: SecretString,
    /// The URL as a QR code: a `data:` URI of an SVG image.
    pub qr_code: SecretString,
}

/// A recovery code as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedCode {
    /// The key it is hashed under.
    pub key_id: String,
    /// HMAC-SHA-256 of its owner and text.
    pub hash: Vec<u8>,
}

/// Codes of second factors: those of devices (TOTP, RFC 6238: SHA-1, six digits, thirty seconds) and recovery codes. Spaces and hyphens in
/// what is typed do not count.
pub trait CodeBook: Send + Sync {
    /// A secret of 160 bits as the device of its owner takes it.
    fn hand_over(&self, secret: &[u8], account: &EmailAddress) -> anyhow::Result<HandedOver>;
    /// The step of thirty seconds whose code was typed: the present one, the one before or the one after. `None` when it is none of them.
    fn step(&self, secret: &[u8], typed: &SecretString, now: Timestamp) -> anyhow::Result<Option<i64>>;
    /// A recovery code made of random bits, and what is kept of it.
    fn recovery_code(&self, user: UserId, random: &[u8; 32]) -> anyhow::Result<(SecretString, HashedCode)>;
    /// What a typed recovery code would be kept as, under each key of the ring; nothing for what cannot be one.
    fn recovery_hashes(&self, user: UserId, typed: &SecretString) -> Vec<Vec<u8>>;
}

/// Where a sealed value belongs: to whom, to what, and for what. It opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    user: UserId,
    of: Uuid,
    purpose: &'static str,
}

impl Place {
    /// A bank's tokens, of a link.
    pub fn credentials(user: UserId, link: LinkId) -> Self {
        Self { user, of: link.0, purpose: "credentials" }
    }

    /// What a provider answered, of a link.
    pub fn payload(user: UserId, link: LinkId) -> Self {
        Self { user, of: link.0, purpose: "payload" }
    }

    /// The secrets of a walk to a bank, of a link.
    pub fn authorization(user: UserId, link: LinkId) -> Self {
        Self { user, of: link.0, purpose: "authorization" }
    }

    /// What is shared with a device, of a second factor.
    pub fn second_factor(user: UserId, factor: SecondFactorId) -> Self {
        Self { user, of: factor.0, purpose: "second_factor" }
    }

    /// Owner, thing and purpose in one text that no other place has: two ids of one length, then the purpose, which says what kind of thing
    /// the second id is of.
    pub fn to_bytes(self) -> Vec<u8> {
        [self.user.0.as_bytes(), self.of.as_bytes(), self.purpose.as_bytes()].concat()
    }
}

/// Seals secrets for storage (AES-256-GCM) and recognises account numbers without keeping them.
pub trait Sealer: Send + Sync {
    /// An envelope with the key's id, a fresh nonce and the sealed bytes, bound to its place.
    fn seal(&self, place: Place, secret: &[u8]) -> anyhow::Result<Vec<u8>>;
    /// Opens an envelope in its place; anything else is an error.
    fn open(&self, place: Place, envelope: &[u8]) -> anyhow::Result<zeroize::Zeroizing<Vec<u8>>>;
    /// What every envelope begins with that is sealed under the current key, and no other.
    fn begins_with(&self) -> anyhow::Result<Vec<u8>>;
    /// What an account is recognised by, under each key of the ring, the current one first.
    fn fingerprints(&self, user: UserId, provider: &str, reference: &AccountReference) -> Vec<AccountFingerprint>;
}

/// The ids of keys that were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewedKeys {
    /// The ring's.
    pub ring: Option<String>,
    /// The token secret's.
    pub tokens: Option<String>,
}

/// Where keys are kept.
pub trait KeyShelf: Send + Sync {
    /// Makes new keys and puts them in front of the old ones, which stay. Two at once take turns. Blocking: call it off the runtime's threads.
    fn renew(&self, ring: bool, tokens: bool) -> anyhow::Result<RenewedKeys>;
}

/// Counts what an operator wants to know. No call waits, and nothing that a client wrote may be given to one.
pub trait Meter: Send + Sync {
    /// A request was answered; `route` is a template of ours.
    fn answered(&self, route: &str, method: &'static str, status: u16, took: std::time::Duration);
    /// An operation of the graph ended: `ok`, `errors`, or `refused` before it ran.
    fn operation(&self, outcome: &'static str);
    /// An access token did not count.
    fn token_refused(&self, reason: &'static str);
    /// A request was refused since there were too many lately; `limit` is one of ours.
    fn limited(&self, limit: &'static str);
    /// A run of a sync ended: `succeeded` or `failed`.
    fn synced(&self, outcome: &'static str);
    /// A provider was asked, or was not since it is left alone or was asked too often lately.
    fn provider_asked(&self, provider: &'static str, call: &'static str, outcome: &'static str, took: std::time::Duration);
    /// A provider is left alone from now on, or asked again.
    fn provider_left_alone(&self, provider: &'static str, is_left_alone: bool);
}

/// Answers what a role may do.
pub trait Authorizer: Send + Sync {
    /// How far `role` may do `action` to `resource`.
    fn scope(&self, role: Role, action: Action, resource: Resource) -> Scope;
}

/// What a person says about a file beside its bytes. Formats that say it themselves don't look here.
#[derive(Debug, Clone, Default)]
pub struct StatementHints {
    /// How a CSV file is written.
    pub csv: CsvCorrection,
    /// The account the rows of a CSV file go into when it is not there yet.
    pub account: Option<NamedAccount>,
    /// The currency of the account they go into when it is there.
    pub currency: Option<Currency>,
    /// What kind that account is.
    pub kind: Option<AccountType>,
    /// The day it is: what a file tells of later days has not come yet.
    pub today: Option<LocalDate>,
}

/// Why a file is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementRefusal {
    /// Nothing of it can be.
    #[error(transparent)]
    Unreadable(#[from] UnreadableFile),
    /// It can be, in more than one way; with what was found out.
    #[error("{question}")]
    Undecided { question: CsvQuestion, format: Option<Box<CsvFormat>> },
}

/// Reads statement files.
pub trait StatementReader: Send + Sync {
    /// What providers of files are called in the catalogue.
    fn manifest(&self) -> &Manifest;
    /// Takes a file once, front to back, holding neither its rows nor its text in memory. Blocking: call it off the runtime's threads.
    fn read(&self, input: &mut dyn BufRead, hints: &StatementHints) -> Result<StatementFile, StatementRefusal>;
}

/// What a listener hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A signal.
    Signal {
        /// Which one.
        signal: Signal,
        /// Whether this process gave it.
        is_ours: bool,
    },
    /// Signals may have been lost: the listener was too slow, or was not connected to others for a while. Everything has to be looked up again.
    Missed,
}

/// Signals as they come in. It goes on as long as the bus does.
pub type Signals = BoxStream<'static, Heard>;

/// Carries [signals](Signal) between the parts of a process, and to other processes where there is a way. They are hints: nothing may be
/// wrong for longer because one did not arrive.
#[async_trait]
pub trait EventBus: Send + Sync {
    /// Gives a signal, after the commit it tells of. Never waits and never fails: one that does not get out to others is counted in
    /// [`lost`](Self::lost), and the first of them is logged. Call it within a runtime.
    fn publish(&self, signal: Signal);
    /// Listens from now on to what this process gives, and to what others give as long as [`listen`](Self::listen) runs. What a slow listener
    /// has not taken is bounded; beyond that it hears [`Heard::Missed`].
    fn subscribe(&self) -> Signals;
    /// Listens to other processes until `stop`. Whenever that begins, and after every interruption, all listeners hear [`Heard::Missed`].
    async fn listen(&self, stop: CancellationToken);
    /// Waits until what was given is out, for a second at most: for processes that are about to end.
    async fn settle(&self);
    /// How many signals did not get out to others.
    fn lost(&self) -> u64;
}

/// Tells how much providers can still be asked, as far as this process knows.
#[async_trait]
pub trait Lines: Send + Sync {
    /// How many requests are left to a link at that provider; `None` when they are not counted.
    async fn requests_left(&self, provider: &str, link: LinkId) -> Option<RequestsLeft>;
}

/// Keeps the buckets of rate limits. Where they cannot be shared, they are kept in this process: limits are never off for lack of a part.
#[async_trait]
pub trait RateLimiter: Send + Sync {
    /// Takes all of what is charged, or nothing. No two charges are of one bucket.
    async fn charge(&self, charges: &[Charge]) -> Verdict;
    /// Puts tokens back that were taken and not needed.
    async fn give_back(&self, charges: &[Charge]);
}
