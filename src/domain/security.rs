//! Security: which issued tokens still count, for everyone and for one user.
//!
//! Every token carries two version numbers, that of all tokens and that of its user's, as they were when it was issued. Raising the lowest
//! one that counts makes all older tokens worthless at once, wherever they are. Pure.

use async_trait::async_trait;

use super::{id::UserId, time::Timestamp};

/// The version numbers a token was issued under, and carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenVersions {
    /// That of all tokens: the claim `gv`.
    pub global: i64,
    /// That of its user's tokens: the claim `uv`.
    pub user: i64,
}

/// The lowest version that counts, of all tokens or of one user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenMinimum {
    /// 1 until the first rotation.
    pub version: i64,
    /// Until when access tokens of the version right before it count all the same.
    pub grace_until: Option<Timestamp>,
}

impl TokenMinimum {
    /// Nothing was ever rotated.
    pub const FIRST: Self = Self { version: 1, grace_until: None };

    /// A grace spares the tokens that counted right before this rotation; a later rotation ends it.
    fn admits_access(self, version: i64, now: Timestamp) -> bool {
        version >= self.version || (version + 1 == self.version && self.grace_until.is_some_and(|until| now < until))
    }
}

/// The two minimums a token is held against. They are compared separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenMinimums {
    /// That of all tokens.
    pub global: TokenMinimum,
    /// That of its user's tokens.
    pub user: TokenMinimum,
}

impl TokenMinimums {
    /// The versions a token issued now carries.
    pub fn current(self) -> TokenVersions {
        TokenVersions { global: self.global.version, user: self.user.version }
    }

    /// Whether an access token of those versions counts at `now`.
    pub fn admit_access(self, versions: TokenVersions, now: Timestamp) -> bool {
        self.global.admits_access(versions.global, now) && self.user.admits_access(versions.user, now)
    }

    /// Whether a refresh token of those versions counts. No grace spares one.
    pub fn admit_refresh(self, versions: TokenVersions) -> bool {
        versions.global >= self.global.version && versions.user >= self.user.version
    }
}

/// Whose tokens are rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationScope {
    /// Everyone's.
    Everyone,
    /// One user's.
    User(UserId),
}

/// A rotation: everything issued before it is worthless, but for a grace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The minimum since then.
    pub minimum: TokenMinimum,
    /// When.
    pub rotated_at: Timestamp,
    /// Why, in the words of whoever did it.
    pub reason: String,
}

/// Rotations, inside a unit of work.
#[async_trait]
pub trait Rotations: Send {
    /// Raises the minimum by one; answers the rotation. `None` when there is no such user.
    async fn rotate(&mut self, scope: RotationScope, grace_until: Option<Timestamp>, reason: &str, now: Timestamp) -> anyhow::Result<Option<Rotation>>;
}

/// Rotations for queries, and the minimums for whoever issues or takes tokens.
#[async_trait]
pub trait RotationReader: Send + Sync {
    /// What tokens of `user` are held against now.
    async fn minimums(&self, user: UserId) -> anyhow::Result<TokenMinimums>;
    /// The last rotation of everyone's tokens.
    async fn last_of_everyone(&self) -> anyhow::Result<Option<Rotation>>;
}
