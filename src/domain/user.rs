//! Users: who can sign in, under which address, with which role.

use async_trait::async_trait;
use unicode_normalization::UnicodeNormalization;

use super::{
    common_password::is_common,
    id::UserId,
    name::is_invisible,
    page::{CreatedKey, Page, Slice},
    time::Timestamp,
};

/// An address as its owner wrote it. Shown and mailed as written; equality is by [`EmailKey`].
#[derive(Debug, Clone)]
pub struct EmailAddress {
    written: String,
    key: EmailKey,
}

/// What addresses are compared by: ASCII lower case and the domain as IDNA A-labels. The local part is not folded beyond ASCII,
/// since only the receiving host knows more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmailKey(String);

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address looks like name@example.com and has at most 254 bytes")]
pub struct InvalidEmail;

impl EmailAddress {
    /// RFC 5321 mailbox with a dot-atom local part (RFC 6531 letters allowed); control characters, spaces, quotes and anything
    /// over 254 bytes are refused.
    pub fn parse(input: &str) -> Result<Self, InvalidEmail> {
        let (local, domain) = input.rsplit_once('@').ok_or(InvalidEmail)?;
        // Invisible letters make one address look like another, in the domain as well, where they are taken out before it is compared.
        let forbidden = |letter: char| letter.is_control() || is_invisible(letter) || letter.is_whitespace() || "\"(),:;<>@[\\]".contains(letter);
        let atoms_ok = !local.is_empty() && local.len() <= 64 && local.split('.').all(|atom| !atom.is_empty()) && !local.contains(forbidden);
        if input.len() > 254 || !atoms_ok || domain.contains(is_invisible) {
            return Err(InvalidEmail);
        }
        let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| InvalidEmail)?;
        let labels_ok = !ascii.is_empty() && ascii.len() <= 253 && ascii.split('.').all(|label| !label.is_empty() && label.len() <= 63);
        if !labels_ok {
            return Err(InvalidEmail);
        }
        let key = EmailKey(format!("{}@{}", local.to_ascii_lowercase(), ascii.to_ascii_lowercase()));
        Ok(Self { written: input.to_owned(), key })
    }

    /// As its owner wrote it.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// What it is compared by.
    pub fn key(&self) -> &EmailKey {
        &self.key
    }

    /// As a mail server wants it that knows no international domains: the owner's local part, and the domain's A-labels (RFC 5890).
    pub fn deliverable(&self) -> String {
        let (local, domain) = self.written.rsplit_once('@').unwrap_or((&self.written, ""));
        let ascii = self.key.0.rsplit_once('@').map_or(domain, |(_, domain)| domain);
        if domain.is_ascii() { self.written.clone() } else { format!("{local}@{ascii}") }
    }

    /// Enough for its owner to recognise, too little for anyone else: `a…@example.com`.
    pub fn masked(&self) -> String {
        let (local, domain) = self.written.rsplit_once('@').unwrap_or((&self.written, ""));
        let first = local.chars().next().unwrap_or('…');
        format!("{first}…@{domain}")
    }
}

impl EmailKey {
    /// The text the unique index is over.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a user may do at all; whose data it is comes on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Administers users, sessions and security; has no way to anyone's money.
    Admin,
    /// Links banks and reads and edits what is theirs.
    User,
    /// Reads what is theirs and keeps the rights to their identity.
    Readonly,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Admin, Self::User, Self::Readonly];

    /// The word in policy, database and tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::User => "user",
            Self::Readonly => "readonly",
        }
    }

    /// The role of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// How many live sessions a user may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionTier {
    /// Two live sessions.
    Basic,
    /// Three live sessions.
    Essential,
    /// Five live sessions.
    Plus,
    /// Ten live sessions.
    Premium,
    /// As many as wanted.
    Pro,
}

impl SessionTier {
    /// Every tier.
    pub const ALL: [Self; 5] = [Self::Basic, Self::Essential, Self::Plus, Self::Premium, Self::Pro];

    /// How many live sessions; `None` for as many as wanted.
    pub fn sessions(self) -> Option<usize> {
        match self {
            Self::Basic => Some(2),
            Self::Essential => Some(3),
            Self::Plus => Some(5),
            Self::Premium => Some(10),
            Self::Pro => None,
        }
    }

    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Essential => "essential",
            Self::Plus => "plus",
            Self::Premium => "premium",
            Self::Pro => "pro",
        }
    }

    /// The tier of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == word)
    }
}

/// One person who can sign in.
#[derive(Debug, Clone)]
pub struct User {
    /// Never changes.
    pub id: UserId,
    /// Where mail goes; unique by its key.
    pub email: EmailAddress,
    /// The stored password record, opaque to everything but the hasher.
    pub password: PasswordRecord,
    /// What they may do.
    pub role: Role,
    /// How many sessions they may have.
    pub tier: SessionTier,
    /// How many they may have whatever the tier; the tier decides without one.
    pub session_limit: Option<u32>,
    /// When the address was confirmed; nobody signs in before.
    pub email_verified_at: Option<Timestamp>,
    /// False once deactivated, and while an erasure waits for its day: no sign-in, no live session.
    pub is_active: bool,
    /// What they call themselves; `None` when they did not say.
    pub display_name: Option<String>,
    /// When the user came to be.
    pub created_at: Timestamp,
}

impl User {
    /// How many live sessions this user may have; `None` is as many as wanted.
    pub fn sessions(&self) -> Option<usize> {
        self.session_limit.map_or(self.tier.sessions(), |limit| usize::try_from(limit).ok())
    }
}

/// Which users an administrator looks for; every field narrows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Those of this address: one, or none.
    pub email: Option<EmailKey>,
    /// Those of this role.
    pub role: Option<Role>,
    /// Those who are, or are not, kept out.
    pub is_active: Option<bool>,
}

/// A hashed password with its scheme and pepper id, such as `bcrypt-hmac-sha256:k1:$2b$12$…`. Not secret enough to redact by type,
/// and still kept out of every log: `Debug` shows only that there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordRecord(pub String);

impl std::fmt::Debug for PasswordRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordRecord(…)")
    }
}

/// A password as it was typed, normalised (NFKC), never shown. The default is empty, which no stored password is.
#[derive(Clone, Default)]
pub struct Password(String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// The most bytes of a password that are looked at; a longer text is refused before any work is spent on it.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// Why a new password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Fewer code points than the policy asks.
    #[error("the password is too short: at least 12 characters")]
    TooShort,
    /// More than 128 code points, or more than 1 KiB.
    #[error("the password is too long: at most 128 characters")]
    TooLong,
    /// Holds a NUL.
    #[error("the password holds a character that cannot be typed")]
    Unprintable,
    /// One of those that are guessed first.
    #[error("the password is one of those that are guessed first; take several words that have nothing to do with each other")]
    Common,
    /// Holds the name part of the user's own address.
    #[error("the password must not contain the name part of the e-mail address")]
    ContainsEmail,
}

impl Password {
    /// A password typed to sign in: whatever it is, up to 1 KiB; `None` beyond, which no stored password can match.
    pub fn typed(input: &str) -> Option<Self> {
        (input.len() <= MAX_PASSWORD_BYTES).then(|| Self(input.nfkc().collect()))
    }

    /// A new password, held to the policy: 12 to 128 code points after NFKC, no NUL, not the address's own name, none of the common ones.
    pub fn choose(input: &str, email: &EmailAddress) -> Result<Self, WeakPassword> {
        let password = Self::typed(input).ok_or(WeakPassword::TooLong)?;
        let length = password.0.chars().count();
        let local = email.key().as_str().rsplit_once('@').map_or("", |(local, _)| local);
        if password.0.contains('\0') {
            Err(WeakPassword::Unprintable)
        } else if length < 12 {
            Err(WeakPassword::TooShort)
        } else if length > 128 {
            Err(WeakPassword::TooLong)
        } else if local.chars().count() >= 4 && password.0.to_lowercase().contains(local) {
            Err(WeakPassword::ContainsEmail)
        } else if is_common(&password.0) {
            Err(WeakPassword::Common)
        } else {
            Ok(password)
        }
    }

    /// The normalised text, for the hasher alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Users, inside a unit of work.
#[async_trait]
pub trait Users: Send {
    /// The user of that address, whoever asks: sign-in and the command line have no owner to name yet.
    async fn find_any_by_email(&mut self, key: &EmailKey) -> anyhow::Result<Option<User>>;
    /// A user, whoever asks.
    async fn find_any_for_admin(&mut self, id: UserId) -> anyhow::Result<Option<User>>;
    /// A new user; `false` when the address is taken.
    async fn insert(&mut self, user: &User) -> anyhow::Result<bool>;
    /// Stores another password.
    async fn save_password(&mut self, id: UserId, password: &PasswordRecord) -> anyhow::Result<()>;
    /// Gives an address that nobody has confirmed to whoever registers it now; `false` when it was confirmed meanwhile.
    async fn replace_unverified(&mut self, id: UserId, email: &EmailAddress, password: &PasswordRecord) -> anyhow::Result<bool>;
    /// Notes when a user confirmed their address, the first time.
    async fn verify_email(&mut self, id: UserId, now: Timestamp) -> anyhow::Result<()>;
    /// Gives a user another name, or none.
    async fn rename(&mut self, id: UserId, display_name: Option<&str>) -> anyhow::Result<()>;
    /// Gives a user an address that its reader has confirmed; `false` when it belongs to someone else, after which the unit of work cannot go on.
    async fn change_email(&mut self, id: UserId, email: &EmailAddress, now: Timestamp) -> anyhow::Result<bool>;
    /// Removes whoever registered this address without ever confirming it and has nothing here; `false` when there is nobody like that.
    async fn remove_unverified(&mut self, key: &EmailKey) -> anyhow::Result<bool>;
    /// Gives a user another role; `false` when no active administrator would be left.
    async fn assign_role(&mut self, id: UserId, role: Role) -> anyhow::Result<bool>;
    /// Gives a user another tier and a limit of their own, or none.
    async fn assign_tier(&mut self, id: UserId, tier: SessionTier, session_limit: Option<u32>) -> anyhow::Result<()>;
    /// Keeps a user out, or lets them in again; `false` when no active administrator would be left.
    async fn set_active(&mut self, id: UserId, is_active: bool) -> anyhow::Result<bool>;
}

/// Users for queries and loaders.
#[async_trait]
pub trait UserReader: Send + Sync {
    /// Oneself.
    async fn find(&self, id: UserId) -> anyhow::Result<Option<User>>;
    /// All users, oldest first.
    async fn page_for_admin(&self, filter: &UserFilter, page: Page<CreatedKey>) -> anyhow::Result<Slice<User>>;
    /// The user of that address, whoever asks.
    async fn find_any_by_email(&self, key: &EmailKey) -> anyhow::Result<Option<User>>;
}
