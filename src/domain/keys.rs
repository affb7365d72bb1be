//! Keys, as far as stored things depend on them: what is sealed, and how much hangs on each key.

use async_trait::async_trait;
use uuid::Uuid;

use super::{id::UserId, time::Timestamp, transaction::words};

words! {
    /// What is sealed, by the table it stands in. What has run out is sealed for nobody, and does not count.
    SealedKind {
        /// A bank's tokens, of a link.
        Credentials = "credentials",
        /// The secrets of a walk to a bank that goes on.
        Authorization = "authorizations",
        /// What a provider answered, of a link.
        Payload = "payloads",
        /// What is shared with a device.
        SecondFactor = "second_factors",
    }
}

/// A sealed value where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// What it is.
    pub kind: SealedKind,
    /// The row.
    pub id: Uuid,
    /// Whose it is.
    pub user: UserId,
    /// What it belongs to: the link of credentials, of an authorization and of a payload, or the second factor.
    pub of: Uuid,
    /// The envelope.
    pub envelope: Vec<u8>,
}

words! {
    /// What hangs on a key, other than what is sealed: it cannot be moved to another key without what only its owner or a bank has.
    Bound {
        /// Passwords, peppered under a key of the ring; signing in moves one.
        Passwords = "passwords",
        /// Unused recovery codes; making new ones moves them.
        RecoveryCodes = "recovery codes",
        /// Accounts recognised by number; the next sync or import moves one.
        Accounts = "accounts",
        /// Refresh tokens that can still be exchanged; the exchange moves one.
        RefreshTokens = "refresh tokens",
        /// Sessions whose access token may still live.
        AccessTokens = "access tokens",
        /// Tokens in mails that were not used yet.
        MailTokens = "mail tokens",
    }
}

/// Everything sealed, before a transaction is opened.
#[async_trait]
pub trait SealedSecretReader: Send + Sync {
    /// At most `limit` values of a kind that do not begin with `current`, after a row, in the order of their ids.
    async fn sealed_otherwise(&self, kind: SealedKind, current: &[u8], after: Option<Uuid>, limit: u64, now: Timestamp) -> anyhow::Result<Vec<SealedSecret>>;
}

/// Everything sealed, inside a unit of work.
#[async_trait]
pub trait SealedSecrets: Send {
    /// Puts another envelope in the place of one that is still there; `false` means that somebody has written another meanwhile.
    async fn replace(&mut self, sealed: &SealedSecret, envelope: &[u8]) -> anyhow::Result<bool>;
}
