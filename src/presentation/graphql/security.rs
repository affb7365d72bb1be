//! Security in the graph: emergency rotation, and what is in force.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};

use crate::{
    application::{
        access::Resource,
        security::{self, RotateTokens},
    },
    domain::{audit::Act, security::Rotation, session::SESSION_DAYS},
};

use super::{
    ContextExt,
    error::{Fault, UserError, outcome},
    global_id::id_or_nothing,
    guard::Allow,
    scalar::DateTime,
};

/// Whose tokens are rotated.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenScope {
    /// Everyone's, those of the administrator who asks too.
    Global,
    /// One user's.
    User,
}

/// A rotation: every token issued before it is worthless, but for a grace.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read_any(Resource::Security))]
pub struct TokenRotation {
    /// The lowest version that counts since then: the claim `gv` for everyone's tokens, `uv` for one user's.
    version: i64,
    /// When it was.
    rotated_at: DateTime,
    /// Until when access tokens issued before work on; null when none does.
    grace_until: Option<DateTime>,
    /// Why, in the words of the administrator.
    reason: String,
}

impl From<Rotation> for TokenRotation {
    fn from(rotation: Rotation) -> Self {
        Self {
            version: rotation.minimum.version,
            rotated_at: DateTime(rotation.rotated_at),
            grace_until: rotation.minimum.grace_until.map(DateTime),
            reason: rotation.reason,
        }
    }
}

/// What holds for everyone's tokens and sessions.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read_any(Resource::Security))]
pub struct SecurityPolicy {
    /// The lowest version of tokens that counts: the claim `gv`. 1 until the first rotation.
    token_version: i64,
    /// The last rotation of everyone's tokens; null when there was none.
    last_rotation: Option<TokenRotation>,
    /// How long an access token works, in seconds.
    access_token_seconds: i64,
    /// How long an unused refresh token works, in seconds.
    refresh_token_seconds: i64,
    /// How long a session lasts at most after sign-in, in seconds.
    session_seconds: i64,
}

impl From<security::SecurityPolicy> for SecurityPolicy {
    fn from(policy: security::SecurityPolicy) -> Self {
        Self {
            token_version: policy.last_rotation.as_ref().map_or(1, |rotation| rotation.minimum.version),
            last_rotation: policy.last_rotation.map(Into::into),
            access_token_seconds: policy.lifetimes.access.num_seconds(),
            refresh_token_seconds: policy.lifetimes.refresh_idle.num_seconds(),
            session_seconds: chrono::Duration::days(SESSION_DAYS).num_seconds(),
        }
    }
}

/// Making issued tokens worthless.
#[derive(InputObject)]
pub struct RotateTokensInput {
    /// Whose.
    scope: TokenScope,
    /// The user, for the scope `USER`; left out for `GLOBAL`.
    user_id: Option<ID>,
    /// Why: 1 to 200 characters. It is kept; name no one in it.
    reason: String,
    /// For how many seconds access tokens issued before work on, 0 to 900: 300 for everyone's if left out, none for one user's.
    grace_seconds: Option<i64>,
}

/// The rotation, or why there was none.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read_any(Resource::Security))]
pub struct RotateTokensPayload {
    /// What holds now; null when nothing was rotated.
    rotation: Option<TokenRotation>,
    /// Why nothing was rotated; empty when it was.
    user_errors: Vec<UserError>,
}

/// What is in force.
#[derive(Default)]
pub struct SecurityQuery;

#[Object(serial)]
impl SecurityQuery {
    /// What holds for everyone's tokens and sessions; for administrators.
    #[graphql(guard = Allow::attempt(Act::ReadSecurity))]
    async fn security_policy(&self, ctx: &Context<'_>) -> Result<SecurityPolicy, Fault> {
        let request = ctx.of_request()?;
        Ok(request.application.security_queries.policy(&request.requester).await?.into())
    }
}

/// Rotates tokens.
#[derive(Default)]
pub struct SecurityMutation;

#[Object(serial)]
impl SecurityMutation {
    /// Makes every token issued before worthless, everyone's or one user's: refresh tokens at once, access tokens after the grace. Tokens
    /// issued afterwards work, so signing in again is all there is to do. Needs a proof: `reauthenticate`.
    #[graphql(guard = Allow::attempt(Act::RotateTokens))]
    async fn rotate_tokens(&self, ctx: &Context<'_>, #[graphql(desc = "Whose, and why.")] input: RotateTokensInput) -> Result<RotateTokensPayload, Fault> {
        let request = ctx.of_request()?;
        let command = RotateTokens {
            requester: request.requester.clone(),
            everyone: input.scope == TokenScope::Global,
            user: input.user_id.map(|id| id_or_nothing(&id)),
            reason: input.reason,
            grace_seconds: input.grace_seconds,
        };
        let (rotation, user_errors) = outcome(request.application.security.rotate_tokens(command).await)?;
        Ok(RotateTokensPayload { rotation: rotation.map(Into::into), user_errors })
    }
}
