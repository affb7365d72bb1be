//! Security: making issued tokens worthless in an emergency, and what is in force.
//!
//! Rotation raises a minimum (see [`crate::domain::security`]); no token is looked for, so it takes effect at once however many there
//! are. Tokens issued afterwards work, and signing in again is all a user has to do.

use std::sync::Arc;

use chrono::Duration;

use crate::domain::{
    audit::Act,
    event::Event,
    failure::Reason,
    id::UserId,
    security::{Rotation, RotationReader, RotationScope},
    time::Clock,
};

use super::{
    QueryError,
    access::{Access, Action, Denied, Requester, Resource, Scope},
    audit::Journal,
    ports::Store,
    session::{SessionGate, TokenLifetimes},
    step_up::{ReauthenticationRequired, StepUp},
};

/// How long access tokens work on when everyone's are rotated and nothing else is asked for, in seconds, so that whoever is in the
/// middle of something can finish it.
pub const GRACE_SECONDS: i64 = 300;

/// The longest grace, in seconds: no access token lives longer.
pub const MAX_GRACE_SECONDS: i64 = 900;

/// Characters of a reason.
const MAX_REASON: usize = 200;

/// Why tokens are not rotated.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// Everyone's and a user's at once, or neither.
    #[error("the scope USER goes with a userId, GLOBAL goes without")]
    InvalidScope,
    /// Nobody has that id.
    #[error("no such user")]
    NotFound,
    /// Not a reason.
    #[error("a reason has 1 to 200 characters, none of them for control")]
    InvalidReason,
    /// Too long, or negative.
    #[error("a grace is 0 to 900 seconds")]
    InvalidGrace,
    /// Not proved lately who asks.
    #[error(transparent)]
    ReauthenticationRequired(#[from] ReauthenticationRequired),
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for SecurityError {
    fn reason(&self) -> &'static str {
        match self {
            Self::InvalidScope => "invalid_scope",
            Self::NotFound => "not_found",
            Self::InvalidReason => "invalid_reason",
            Self::InvalidGrace => "invalid_grace",
            Self::ReauthenticationRequired(required) => required.reason(),
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Making issued tokens worthless.
pub struct RotateTokens {
    /// Who asks.
    pub requester: Requester,
    /// Everyone's.
    pub everyone: bool,
    /// This user's. Either, and not both.
    pub user: Option<UserId>,
    /// Why, for whoever looks at it later.
    pub reason: String,
    /// For how many seconds access tokens issued before work on; by default [`GRACE_SECONDS`] for everyone's, none for one user's.
    pub grace_seconds: Option<i64>,
}

/// Rotates tokens.
pub struct SecurityCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where minimums are kept.
    pub store: Arc<dyn Store>,
    /// What roles may do.
    pub access: Access,
    /// Asks for a proof of who it is.
    pub step_up: StepUp,
    /// Forgets what it knows of sessions.
    pub gate: Arc<SessionGate>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl SecurityCommands {
    /// Makes every token issued before worthless: refresh tokens at once, access tokens after the grace.
    pub async fn rotate_tokens(&self, command: RotateTokens) -> Result<Rotation, SecurityError> {
        let attempt = self.journal.attempt(&command.requester, Act::RotateTokens).await?;
        attempt
            .settle(async {
                self.access.permit(&command.requester, Act::RotateTokens)?;
                self.step_up.require(&command.requester).await??;
                let reason = command.reason.trim();
                if reason.is_empty() || reason.chars().count() > MAX_REASON || reason.contains(char::is_control) {
                    return Err(SecurityError::InvalidReason);
                }
                let scope = match command.user {
                    None if command.everyone => RotationScope::Everyone,
                    Some(user) if !command.everyone => RotationScope::User(user),
                    _ => return Err(SecurityError::InvalidScope),
                };
                let grace = command.grace_seconds.unwrap_or(if command.everyone { GRACE_SECONDS } else { 0 });
                if !(0..=MAX_GRACE_SECONDS).contains(&grace) {
                    return Err(SecurityError::InvalidGrace);
                }
                let now = self.clock.now();
                let grace_until = (grace > 0).then(|| now.plus(Duration::seconds(grace)));
                let mut work = self.store.begin(&attempt).await?;
                let rotation = work.rotations().rotate(scope, grace_until, reason, now).await?.ok_or(SecurityError::NotFound)?;
                work.succeed(Event::TokensRotated { user: command.user, version: rotation.minimum.version }).await?;
                match command.user {
                    Some(user) => self.gate.forget_user(user),
                    None => self.gate.forget_everyone(),
                }
                Ok(rotation)
            })
            .await
    }
}

/// What is in force for everyone.
pub struct SecurityPolicy {
    /// The last rotation of everyone's tokens.
    pub last_rotation: Option<Rotation>,
    /// How long tokens live.
    pub lifetimes: TokenLifetimes,
}

/// Looks at what is in force.
pub struct SecurityQueries {
    /// What roles may do.
    pub access: Access,
    /// Where minimums are kept.
    pub rotations: Arc<dyn RotationReader>,
    /// How long tokens live.
    pub lifetimes: TokenLifetimes,
}

impl SecurityQueries {
    /// What is in force, for administrators.
    pub async fn policy(&self, requester: &Requester) -> Result<SecurityPolicy, QueryError> {
        let (_, scope) = self.access.allow(requester, Action::Read, Resource::Security)?;
        if scope < Scope::Any {
            return Err(Denied::Forbidden.into());
        }
        Ok(SecurityPolicy { last_rotation: self.rotations.last_of_everyone().await?, lifetimes: self.lifetimes })
    }
}
