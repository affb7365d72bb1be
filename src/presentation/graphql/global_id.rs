//! Global ids: what a client sees of an id, such as `acct_01h455vb4pex5vsknk084sn02q`.
//!
//! A TypeID (specification 0.3): the kind, an underscore, and the UUID as 26 characters of Crockford's base32 in lower case. There is
//! one text for each id: upper case, look-alike letters and anything longer are refused, so ids can be compared as text.

use async_graphql::ID;
use uuid::Uuid;

use crate::domain::id::{AccountId, AuditEventId, ExportId, HoldingId, ImportId, LinkId, SessionId, SyncId, TransactionId, UserId};

/// What an id can be the id of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `user_…`
    User,
    /// `session_…`
    Session,
    /// `link_…`
    Link,
    /// `acct_…`
    Account,
    /// `txn_…`
    Transaction,
    /// `hold_…`
    Holding,
    /// `sync_…`
    Sync,
    /// `import_…`
    Import,
    /// `audit_…`
    AuditEvent,
    /// `export_…`
    Export,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] =
        [Self::User, Self::Session, Self::Link, Self::Account, Self::Transaction, Self::Holding, Self::Sync, Self::Import, Self::AuditEvent, Self::Export];

    /// The text before the underscore.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Session => "session",
            Self::Link => "link",
            Self::Account => "acct",
            Self::Transaction => "txn",
            Self::Holding => "hold",
            Self::Sync => "sync",
            Self::Import => "import",
            Self::AuditEvent => "audit",
            Self::Export => "export",
        }
    }
}

/// A domain id that clients see.
pub trait Global: From<Uuid> + Into<Uuid> {
    /// What it is the id of.
    const KIND: Kind;
}

macro_rules! globals {
    ($($id:ty => $kind:ident),+ $(,)?) => {$(
        impl Global for $id {
            const KIND: Kind = Kind::$kind;
        }
    )+};
}

globals! {
    UserId => User,
    SessionId => Session,
    LinkId => Link,
    AccountId => Account,
    TransactionId => Transaction,
    HoldingId => Holding,
    SyncId => Sync,
    ImportId => Import,
    AuditEventId => AuditEvent,
    ExportId => Export,
}

/// A kind and an id of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GlobalId {
    /// What it is the id of.
    pub kind: Kind,
    /// The id as the store knows it.
    pub id: Uuid,
}

/// A text that is no id of ours; to a client the same as an id of nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct InvalidId;

impl GlobalId {
    /// The domain id, if it is of the kind that `T` is for.
    pub fn of<T: Global>(self) -> Result<T, InvalidId> {
        if self.kind == T::KIND { Ok(T::from(self.id)) } else { Err(InvalidId) }
    }

    /// The text as an id for clients of the graph.
    pub fn to_id(self) -> ID {
        ID(self.to_string())
    }
}

/// The domain id a client names. What is no id, or of another kind, becomes the id of nothing, so that it takes the same way, and gets
/// the same answer, as the id of something absent or of someone else's.
pub fn id_or_nothing<T: Global>(text: &str) -> T {
    text.parse::<GlobalId>().and_then(GlobalId::of).unwrap_or_else(|_| T::from(Uuid::nil()))
}

impl<T: Global> From<T> for GlobalId {
    fn from(id: T) -> Self {
        Self { kind: T::KIND, id: id.into() }
    }
}

impl std::str::FromStr for GlobalId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (prefix, suffix) = text.rsplit_once('_').ok_or(InvalidId)?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.prefix() == prefix).ok_or(InvalidId)?;
        Ok(Self { kind, id: decode(suffix).ok_or(InvalidId)? })
    }
}

impl std::fmt::Display for GlobalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}", self.kind.prefix(), encode(self.id))
    }
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Characters of a suffix: 26 × 5 bits hold 128 with two to spare, which are zero, so the first character is at most `7`.
const LENGTH: u32 = 26;

fn encode(id: Uuid) -> String {
    let bits = id.as_u128();
    (0..LENGTH).rev().map(|place| char::from(ALPHABET[(bits >> (5 * place)) as usize & 31])).collect()
}

fn decode(suffix: &str) -> Option<Uuid> {
    if suffix.len() != LENGTH as usize || suffix.as_bytes()[0] > b'7' {
        return None;
    }
    let digit = |character: u8| ALPHABET.iter().position(|known| *known == character);
    let bits = suffix.bytes().try_fold(0_u128, |bits, character| Some(bits << 5 | digit(character)? as u128))?;
    Some(Uuid::from_u128(bits))
}
