//! Sessions in the graph: signing in, renewing, signing out.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject, Subscription};
use futures_util::{Stream, stream};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    application::{
        access::Resource,
        session::{Challenged, CreateSession, Granted, RefreshSession, RenameSession, RevokeSession, RevokeSessions, SignedIn, VerifySecondFactor},
    },
    domain::{
        audit::Act,
        page::CreatedKey,
        session::{self, Session},
    },
    presentation::device,
};

use super::{
    ContextExt,
    error::{Fault, UserError, outcome},
    global_id::{GlobalId, id_or_nothing},
    guard::{Allow, Public},
    page::connection,
    scalar::DateTime,
    stream::{Known, thread},
};

/// Why a session ended before its time.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "session::RevocationReason")]
pub enum SessionRevocationReason {
    /// Its user ended it.
    Requested,
    /// A refresh token was used a second time, so someone else may hold it.
    RefreshTokenReused,
    /// The user signed in elsewhere, and may not have more sessions at once.
    Evicted,
    /// The password was changed or reset.
    PasswordChanged,
    /// An earlier e-mail address was taken back.
    EmailReverted,
    /// The user asked to be erased.
    ErasureRequested,
    /// Its tokens were made worthless in an emergency.
    TokensRotated,
    /// An administrator ended it.
    Administrator,
    /// An administrator keeps its user out.
    Deactivated,
}

/// One session, as the graph shows it.
#[derive(Clone)]
pub struct SessionNode(pub Arc<Session>);

impl SessionNode {
    pub(crate) fn key(&self) -> CreatedKey {
        CreatedKey { created_at: self.0.created_at, id: self.0.id.0 }
    }
}

/// One sign-in on one device.
#[Object(name = "Session", serial, guard = Public("every field that leads to a session is guarded, or has just proved the password"))]
impl SessionNode {
    /// The global id, `session_…`.
    pub async fn id(&self) -> ID {
        GlobalId::from(self.0.id).to_id()
    }

    /// When the user signed in.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When its tokens were last renewed.
    async fn last_seen_at(&self) -> DateTime {
        DateTime(self.0.last_seen_at)
    }

    /// When it ends by itself.
    async fn expires_at(&self) -> DateTime {
        DateTime(self.0.expires_at)
    }

    /// The address the sign-in came from; null when it is not known.
    async fn ip_address(&self) -> Option<&str> {
        self.0.ip.as_deref()
    }

    /// The device, told from what the client called itself, such as `Firefox on Linux`; null when nothing can be told.
    async fn device(&self) -> Option<String> {
        self.0.user_agent.as_deref().and_then(device::described)
    }

    /// What the client called itself; null when it did not say.
    async fn user_agent(&self) -> Option<&str> {
        self.0.user_agent.as_deref()
    }

    /// What its user calls it; null when they gave no name.
    async fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// When it was ended early; null while it was not.
    async fn revoked_at(&self) -> Option<DateTime> {
        self.0.revoked.map(|(at, _)| DateTime(at))
    }

    /// Why it was ended early; null while it was not.
    async fn revocation_reason(&self) -> Option<SessionRevocationReason> {
        self.0.revoked.map(|(_, reason)| reason.into())
    }

    /// Whether this request came through it.
    #[expect(clippy::unused_async, reason = "the library takes async resolvers only")]
    async fn is_current(&self, ctx: &Context<'_>) -> Result<bool, Fault> {
        Ok(ctx.of_request()?.requester.session() == Some(self.0.id))
    }
}

connection!(
    /// A page of sessions.
    SessionConnection,
    /// A session in a page.
    SessionEdge,
    SessionNode,
    CreatedKey,
    Sessions
);

/// Signing in with a password.
#[derive(InputObject)]
pub struct CreateSessionInput {
    /// The address the user signs in with.
    email: String,
    /// The password, as typed.
    password: String,
}

/// Renewing a session's tokens.
#[derive(InputObject)]
pub struct RefreshSessionInput {
    /// The refresh token last received. It works once; the answer brings its successor.
    refresh_token: String,
}

/// Ending a session.
#[derive(InputObject)]
pub struct RevokeSessionInput {
    /// One of one's own sessions; any for administrators.
    session_id: ID,
}

/// Giving a session a name.
#[derive(InputObject)]
pub struct RenameSessionInput {
    /// One of one's own sessions.
    session_id: ID,
    /// What to call it: 1 to 100 characters.
    name: String,
}

/// The session with its new name, or why it kept the old one.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Sessions))]
pub struct RenameSessionPayload {
    /// The session as it is now; null when it was not renamed.
    session: Option<SessionNode>,
    /// Why it was not; empty when it was.
    user_errors: Vec<UserError>,
}

/// How many sessions were ended.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Sessions))]
pub struct RevokeSessionsPayload {
    /// How many were live until now; null when none was ended because of an error.
    revoked: Option<usize>,
    /// Why none was ended; empty when it went well.
    user_errors: Vec<UserError>,
}

/// Showing a second factor.
#[derive(InputObject)]
pub struct VerifySecondFactorInput {
    /// The token of the challenge that `createSession` answered.
    challenge: String,
    /// The six digits the user's device shows, or one of their recovery codes. Spaces and hyphens do not count.
    code: String,
}

/// The question for a second factor: the password was right, and a code is needed as well.
#[derive(SimpleObject)]
#[graphql(serial, guard = Public("signing in is how one stops being nobody"))]
pub struct SignInChallenge {
    /// Goes into `verifySecondFactor` with a code. It works for one sign-in and for five wrong codes.
    token: String,
    /// When it is void: five minutes from now, or as soon as the password is changed.
    expires_at: DateTime,
}

impl From<Challenged> for SignInChallenge {
    fn from(Challenged { token, expires_at }: Challenged) -> Self {
        Self { token: token.expose_secret().to_owned(), expires_at: DateTime(expires_at) }
    }
}

/// A new session with its tokens, the question for a second factor, or why there is neither.
#[derive(SimpleObject)]
#[graphql(serial, guard = Public("signing in is how one stops being nobody"))]
pub struct CreateSessionPayload {
    /// The session; null when signing in failed, or takes a code as well.
    session: Option<SessionNode>,
    /// Goes into the Authorization header as `Bearer …`; null when signing in failed, or takes a code as well.
    access_token: Option<String>,
    /// Goes into `refreshSession` before the access token ends; null when signing in failed, or takes a code as well.
    refresh_token: Option<String>,
    /// Seconds until the access token ends; null when signing in failed, or takes a code as well.
    expires_in: Option<i64>,
    /// Goes into `verifySecondFactor` with a code of the user's second factor; null when there is none, or when signing in failed.
    challenge: Option<SignInChallenge>,
    /// Why there is neither a session nor a challenge; empty when there is one.
    user_errors: Vec<UserError>,
}

/// A new session with its tokens, or why there is none.
#[derive(SimpleObject)]
#[graphql(serial, guard = Public("signing in is how one stops being nobody"))]
pub struct VerifySecondFactorPayload {
    /// The session; null when signing in failed.
    session: Option<SessionNode>,
    /// Goes into the Authorization header as `Bearer …`; null when signing in failed.
    access_token: Option<String>,
    /// Goes into `refreshSession` before the access token ends; null when signing in failed.
    refresh_token: Option<String>,
    /// Seconds until the access token ends; null when signing in failed.
    expires_in: Option<i64>,
    /// Why there is no session; empty when there is one.
    user_errors: Vec<UserError>,
}

/// New tokens for a session, or why there are none.
#[derive(SimpleObject)]
#[graphql(serial, guard = Public("the refresh token is the proof"))]
pub struct RefreshSessionPayload {
    /// The new access token; null when there is none.
    access_token: Option<String>,
    /// The successor of the refresh token that was sent; null when there is none.
    refresh_token: Option<String>,
    /// Seconds until the access token ends; null when there is none.
    expires_in: Option<i64>,
    /// Why there are no tokens; empty when there are.
    user_errors: Vec<UserError>,
}

/// The session that was ended, or why it was not.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Sessions))]
pub struct RevokeSessionPayload {
    /// The session as it is now; null when nothing was ended.
    session: Option<SessionNode>,
    /// Why nothing was ended; empty when the session was.
    user_errors: Vec<UserError>,
}

/// Changes sessions.
#[derive(Default)]
pub struct SessionMutation;

#[Object(serial)]
impl SessionMutation {
    /// Signs in. An unknown address, a wrong password and a paused sign-in answer alike. A user with a second factor gets a challenge
    /// instead of a session, for `verifySecondFactor`.
    #[graphql(guard = Public("signing in is how one stops being nobody"))]
    async fn create_session(&self, ctx: &Context<'_>, #[graphql(desc = "Who signs in.")] input: CreateSessionInput) -> Result<CreateSessionPayload, Fault> {
        let request = ctx.of_request()?;
        let command = CreateSession { requester: request.requester.clone(), email: input.email, password: input.password.into() };
        let (signed_in, user_errors) = outcome(request.application.sessions.create(command).await)?;
        let (granted, challenge) = match signed_in {
            Some(SignedIn::Granted(granted)) => (Some(granted), None),
            Some(SignedIn::Challenged(challenged)) => (None, Some(challenged.into())),
            None => (None, None),
        };
        let session = granted.as_ref().map(|granted| SessionNode(Arc::new(granted.session.clone())));
        let (access_token, refresh_token, expires_in) = tokens(granted);
        Ok(CreateSessionPayload { session, access_token, refresh_token, expires_in, challenge, user_errors })
    }

    /// Goes on with a sign-in that takes a code: answers the challenge of `createSession`. A code works once; after five wrong ones for a
    /// challenge, or ten within an hour, none is looked at.
    #[graphql(guard = Public("signing in is how one stops being nobody"))]
    async fn verify_second_factor(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The challenge and the code.")] input: VerifySecondFactorInput,
    ) -> Result<VerifySecondFactorPayload, Fault> {
        let request = ctx.of_request()?;
        let command = VerifySecondFactor { requester: request.requester.clone(), challenge: input.challenge.into(), code: input.code.into() };
        let (granted, user_errors) = outcome(request.application.sessions.verify(command).await)?;
        let session = granted.as_ref().map(|granted| SessionNode(Arc::new(granted.session.clone())));
        let (access_token, refresh_token, expires_in) = tokens(granted);
        Ok(VerifySecondFactorPayload { session, access_token, refresh_token, expires_in, user_errors })
    }

    /// Exchanges a refresh token for its successor and a new access token. Asked again within ten seconds it answers alike, for clients that
    /// lost the first answer; a token used after that ends the session, since someone else may hold it.
    #[graphql(guard = Public("the refresh token is the proof"))]
    async fn refresh_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token to exchange.")] input: RefreshSessionInput,
    ) -> Result<RefreshSessionPayload, Fault> {
        let request = ctx.of_request()?;
        let command = RefreshSession { requester: request.requester.clone(), refresh_token: SecretString::from(input.refresh_token) };
        let (granted, user_errors) = outcome(request.application.sessions.refresh(command).await)?;
        let (access_token, refresh_token, expires_in) = tokens(granted);
        Ok(RefreshSessionPayload { access_token, refresh_token, expires_in, user_errors })
    }

    /// Ends one of one's own sessions, or anyone's for administrators; its tokens stop working at once.
    #[graphql(guard = Allow::attempt(Act::RevokeSession))]
    async fn revoke_session(&self, ctx: &Context<'_>, #[graphql(desc = "Which session.")] input: RevokeSessionInput) -> Result<RevokeSessionPayload, Fault> {
        let request = ctx.of_request()?;
        let command = RevokeSession { requester: request.requester.clone(), session: id_or_nothing(&input.session_id) };
        let (session, user_errors) = outcome(request.application.sessions.revoke(command).await)?;
        Ok(RevokeSessionPayload { session: session.map(|session| SessionNode(Arc::new(session))), user_errors })
    }

    /// Ends every session of oneself but the one this request came through.
    #[graphql(guard = Allow::attempt(Act::RevokeSessions))]
    async fn revoke_other_sessions(&self, ctx: &Context<'_>) -> Result<RevokeSessionsPayload, Fault> {
        revoke_many(ctx, false).await
    }

    /// Ends every session of oneself, this one too.
    #[graphql(guard = Allow::attempt(Act::RevokeSessions))]
    async fn revoke_all_sessions(&self, ctx: &Context<'_>) -> Result<RevokeSessionsPayload, Fault> {
        revoke_many(ctx, true).await
    }

    /// Gives one of one's own sessions a name, by which its user knows it again.
    #[graphql(guard = Allow::attempt(Act::RenameSession))]
    async fn rename_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which session, and its name.")] input: RenameSessionInput,
    ) -> Result<RenameSessionPayload, Fault> {
        let request = ctx.of_request()?;
        let command = RenameSession { requester: request.requester.clone(), session: id_or_nothing(&input.session_id), name: input.name };
        let (session, user_errors) = outcome(request.application.sessions.rename(command).await)?;
        Ok(RenameSessionPayload { session: session.map(|session| SessionNode(Arc::new(session))), user_errors })
    }
}

async fn revoke_many(ctx: &Context<'_>, this_too: bool) -> Result<RevokeSessionsPayload, Fault> {
    let request = ctx.of_request()?;
    let command = RevokeSessions { requester: request.requester.clone(), this_too };
    let (revoked, user_errors) = outcome(request.application.sessions.revoke_many(command).await)?;
    Ok(RevokeSessionsPayload { revoked, user_errors })
}

fn tokens(granted: Option<Granted>) -> (Option<String>, Option<String>, Option<i64>) {
    granted.map_or((None, None, None), |granted| {
        (Some(granted.access_token.expose_secret().to_owned()), Some(granted.refresh_token.expose_secret().to_owned()), Some(granted.expires_in))
    })
}

/// Follows sessions.
#[derive(Default)]
pub struct SessionSubscription;

#[Subscription]
impl SessionSubscription {
    /// One's own sessions as they are ended from now on, whoever ends them. The session that listens does not hear of its own end: the stream
    /// ends with it.
    #[graphql(guard = Allow::read(Resource::Sessions))]
    async fn session_revoked(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = SessionNode>, Fault> {
        let (request, thread) = (ctx.of_request()?, thread(ctx)?);
        let ended = request.application.session_queries.ended(&request.requester).await?;
        let told = if let Known::Sessions(told) = thread.known() { Some(told) } else { None };
        // What was ended before the first look is no news.
        let news: Vec<_> = told.iter().flat_map(|told| ended.iter().filter(|session| !told.contains(&session.id))).cloned().collect();
        let ids = ended.iter().map(|session| session.id).chain(told.into_iter().flatten()).collect();
        thread.remember(Known::Sessions(ids), false);
        Ok(stream::iter(news.into_iter().map(|session| SessionNode(Arc::new(session)))))
    }
}
