//! Sessions: one sign-in on one device, and the refresh tokens it was given.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::Duration;

use super::{
    event::Event,
    id::{RefreshTokenId, SessionId, UserId},
    page::{CreatedKey, Page, Slice},
    security::{TokenMinimums, TokenVersions},
    sign_in::Network,
    time::Timestamp,
    user::Role,
};

/// How long a session lasts at most, from sign-in.
pub const SESSION_DAYS: i64 = 30;

/// How long after its first use a refresh token still answers with the same successor.
pub const REFRESH_LEEWAY_SECONDS: i64 = 10;

/// How long a session may do grave things after its user has proved once more who they are.
pub const STEP_UP_MINUTES: i64 = 5;

/// Why a session ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationReason {
    /// Its user, or someone they asked, ended it.
    Requested,
    /// A refresh token was used a second time: someone else may hold it.
    RefreshTokenReused,
    /// Its user signed in elsewhere, and may not have more sessions at once.
    Evicted,
    /// The password was changed or reset.
    PasswordChanged,
    /// An earlier address was taken back.
    EmailReverted,
    /// Its user asked to be erased.
    ErasureRequested,
    /// Its tokens were rotated in an emergency.
    TokensRotated,
    /// An administrator ended it.
    Administrator,
    /// Its user was deactivated.
    Deactivated,
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Requested,
        Self::RefreshTokenReused,
        Self::Evicted,
        Self::PasswordChanged,
        Self::EmailReverted,
        Self::ErasureRequested,
        Self::TokensRotated,
        Self::Administrator,
        Self::Deactivated,
    ];

    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::Evicted => "evicted",
            Self::PasswordChanged => "password_changed",
            Self::EmailReverted => "email_reverted",
            Self::ErasureRequested => "erasure_requested",
            Self::TokensRotated => "tokens_rotated",
            Self::Administrator => "administrator",
            Self::Deactivated => "deactivated",
        }
    }

    /// The reason of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

/// One sign-in on one device.
#[derive(Debug, Clone)]
pub struct Session {
    /// Never changes.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// When the user signed in.
    pub created_at: Timestamp,
    /// When its tokens were last renewed.
    pub last_seen_at: Timestamp,
    /// When it ends by itself, 30 days after sign-in.
    pub expires_at: Timestamp,
    /// The address the sign-in came from.
    pub ip: Option<String>,
    /// The network of that address, by which later sign-ins from it are known.
    pub network: Option<Network>,
    /// What its user calls it.
    pub name: Option<String>,
    /// What the client called itself.
    pub user_agent: Option<String>,
    /// When its user last proved once more who they are.
    pub reauthenticated_at: Option<Timestamp>,
    /// When and why it was ended early.
    pub revoked: Option<(Timestamp, RevocationReason)>,
}

/// Why a session does not do what was asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionRefusal {
    /// It was ended before, or ran out.
    Ended,
}

impl Session {
    /// A session that begins now.
    pub fn begin(id: SessionId, user: UserId, ip: Option<String>, user_agent: Option<String>, now: Timestamp) -> Self {
        let expires_at = now.plus(Duration::days(SESSION_DAYS));
        let network = ip.as_deref().and_then(Network::of_text);
        Self { id, user, created_at: now, last_seen_at: now, expires_at, ip, network, name: None, user_agent, reauthenticated_at: None, revoked: None }
    }

    /// Whether its tokens work at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && now < self.expires_at
    }

    /// Whether its user proved lately who they are, as grave acts ask for.
    pub fn is_reauthenticated(&self, now: Timestamp) -> bool {
        self.is_live(now) && self.reauthenticated_at.is_some_and(|at| now.since(at) < Duration::minutes(STEP_UP_MINUTES))
    }

    /// Ends it. A session that has ended stays ended for its first reason.
    pub fn revoke(&mut self, reason: RevocationReason, now: Timestamp) -> Result<Event, SessionRefusal> {
        if !self.is_live(now) {
            return Err(SessionRefusal::Ended);
        }
        self.revoked = Some((now, reason));
        Ok(Event::SessionRevoked { session: self.id, user: self.user, reason })
    }
}

/// One issued refresh token. The token itself is `selector.verifier`; only the verifier's hash is kept.
#[derive(Debug, Clone)]
pub struct RefreshToken {
    /// Never changes.
    pub id: RefreshTokenId,
    /// The session it renews.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The public half it is found by; unique.
    pub selector: String,
    /// bcrypt of the secret half, which holds 256 bits, so the lowest cost is enough.
    pub verifier_hash: String,
    /// The key its successor is derived under.
    pub key_id: String,
    /// What it was issued under.
    pub versions: TokenVersions,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it stops working unused.
    pub expires_at: Timestamp,
    /// When it was exchanged for its successor.
    pub used_at: Option<Timestamp>,
}

/// What a request must know of its session, read together in one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionState {
    /// The session.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The user's role now; the token's own claim is only information.
    pub role: Role,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// False once revoked, or once its user is deactivated.
    pub is_live: bool,
    /// What its tokens are held against.
    pub minimums: TokenMinimums,
}

/// Sessions, inside a unit of work. Every find names the owner, so that a wrong id and a foreign id look the same.
#[async_trait]
pub trait Sessions: Send {
    /// A session of `owner`.
    async fn find(&mut self, owner: UserId, id: SessionId) -> anyhow::Result<Option<Session>>;
    /// A session, whoever it belongs to.
    async fn find_any_for_admin(&mut self, id: SessionId) -> anyhow::Result<Option<Session>>;
    /// A new session.
    async fn insert(&mut self, session: &Session) -> anyhow::Result<()>;
    /// The live sessions of `owner`, oldest first.
    async fn live(&mut self, owner: UserId, now: Timestamp) -> anyhow::Result<Vec<Session>>;
    /// Stores what a session is called.
    async fn rename(&mut self, session: &Session) -> anyhow::Result<()>;
    /// Stores that a session ended; `false` when it had ended before.
    async fn end(&mut self, session: &Session) -> anyhow::Result<bool>;
    /// Notes that the user of a live session proved who they are; `false` when it has ended.
    async fn reauthenticate(&mut self, owner: UserId, session: SessionId, now: Timestamp) -> anyhow::Result<bool>;
    /// Forgets what the other sessions of a user proved, since a proof takes more from now on.
    async fn forget_proofs(&mut self, owner: UserId, kept: Option<SessionId>) -> anyhow::Result<()>;
    /// Notes that a session was renewed.
    async fn touch(&mut self, session: SessionId, now: Timestamp) -> anyhow::Result<()>;
    /// The refresh token of that selector, whoever presents it: the token is what proves the owner.
    async fn find_any_token(&mut self, selector: &str) -> anyhow::Result<Option<RefreshToken>>;
    /// A newly issued refresh token.
    async fn insert_token(&mut self, token: &RefreshToken) -> anyhow::Result<()>;
    /// Marks a refresh token as used if it was not; `false` means that someone was faster.
    async fn spend(&mut self, token: RefreshTokenId, now: Timestamp) -> anyhow::Result<bool>;
}

/// Sessions for queries and loaders, from the pool.
#[async_trait]
pub trait SessionReader: Send + Sync {
    /// A session of `owner`.
    async fn find(&self, owner: UserId, id: SessionId) -> anyhow::Result<Option<Session>>;
    /// A session, whoever it belongs to.
    async fn find_any_for_admin(&self, id: SessionId) -> anyhow::Result<Option<Session>>;
    /// The same page of the sessions of each of several owners, ended ones included, oldest first.
    async fn pages_by_owner(&self, owners: &[UserId], page: Page<CreatedKey>) -> anyhow::Result<HashMap<UserId, Slice<Session>>>;
    /// The state a request's token must agree with, whoever presents it.
    async fn state_of_any(&self, id: SessionId) -> anyhow::Result<Option<SessionState>>;
    /// The same of many sessions in one statement, in no order; those that are gone are left out.
    async fn states_of_any(&self, ids: &[SessionId]) -> anyhow::Result<Vec<SessionState>>;
    /// The refresh token of that selector, whoever presents it.
    async fn find_any_token(&self, selector: &str) -> anyhow::Result<Option<RefreshToken>>;
}
