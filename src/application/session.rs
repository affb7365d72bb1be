//! Sessions: signing in, renewing, signing out.
//!
//! Refresh tokens are `selector.verifier`. The successor of a token is derived from the verifier its holder presents, so a client
//! that lost an answer and asks again within ten seconds gets the same successor, and nothing in clear is stored. A token used
//! again after that ends the session: two parties hold it (RFC 9700, section 4.14.2).

mod challenge;
mod gate;
mod sign_in;

use std::{collections::HashMap, sync::Arc};

use chrono::Duration;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep_until};

use crate::domain::{
    audit::{Act, ResourceKind},
    event::Event,
    failure::Reason,
    id::{RefreshTokenId, SessionId, UserId},
    mail::MailKind,
    name::{self, InvalidName},
    page::{CreatedKey, Page, Slice},
    second_factor::{ChallengeProblem, SecondFactorReader},
    security::{RotationReader, TokenVersions},
    session::{REFRESH_LEEWAY_SECONDS, RefreshToken, RevocationReason, Session, SessionReader, SessionRefusal},
    time::{Clock, Timestamp},
    user::{EmailAddress, User, UserReader},
};

use super::{
    QueryError,
    access::{Access, Action, Denied, Requester, Resource, Scope},
    audit::{Attempt, Journal},
    guesses::Guesses,
    ports::{AccessClaims, PasswordHasher, Randomness, RefreshPair, RefreshTokenMint, Store, TokenIssuer},
    second_factor::{CodeGuesses, CodeRefusal},
};

pub use challenge::{Challenged, VerifySecondFactor};
pub use gate::{AuthenticationProblem, SessionGate};
pub(super) use sign_in::end_each;

/// Why a session is not begun, renewed or ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Unknown, wrong and locked alike: telling them apart would help a guesser.
    #[error("e-mail or password is wrong, or sign-in is paused")]
    InvalidCredentials,
    /// The same to everyone but the trail: nothing was compared, since wrong passwords were tried too often.
    #[error("e-mail or password is wrong, or sign-in is paused")]
    Paused,
    /// Not a name for a session.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// Only after the right password.
    #[error("the e-mail address is not verified yet")]
    Unverified,
    /// The second factor was not shown.
    #[error(transparent)]
    Code(#[from] CodeRefusal),
    /// Why is for the trail alone; a client signs in anew.
    #[error("the challenge is unknown, was answered before, or is void; sign in again")]
    Challenge(ChallengeProblem),
    /// Not a refresh token of ours.
    #[error("the refresh token is not valid")]
    InvalidRefreshToken,
    /// The token was used before: the session is over.
    #[error("the refresh token was used before, so the session was ended; sign in again")]
    RefreshTokenReused,
    /// The session is over.
    #[error("the session has ended; sign in again")]
    Ended,
    /// The token was issued before an emergency rotation.
    #[error("the session has ended; sign in again")]
    TokensRotated,
    /// Absent or someone else's.
    #[error("no such session")]
    NotFound,
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for SessionError {
    fn reason(&self) -> &'static str {
        match self {
            Self::InvalidCredentials => "invalid_credentials",
            Self::Paused => "sign_in_paused",
            Self::InvalidName(_) => "invalid_name",
            Self::Unverified => "unverified",
            Self::Code(refusal) => refusal.reason(),
            Self::Challenge(problem) => problem.as_str(),
            Self::InvalidRefreshToken => "invalid_refresh_token",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::Ended => "session_ended",
            Self::TokensRotated => "tokens_rotated",
            Self::NotFound => "not_found",
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

impl From<SessionRefusal> for SessionError {
    fn from(refusal: SessionRefusal) -> Self {
        match refusal {
            SessionRefusal::Ended => Self::Ended,
        }
    }
}

/// Signing in with a password.
pub struct CreateSession {
    /// Who asks; usually nobody yet.
    pub requester: Requester,
    /// As typed.
    pub email: String,
    /// As typed.
    pub password: SecretString,
}

/// Exchanging a refresh token.
pub struct RefreshSession {
    /// Who asks; the token is what counts.
    pub requester: Requester,
    /// `selector.verifier`.
    pub refresh_token: SecretString,
}

/// Ending a session.
pub struct RevokeSession {
    /// Who asks.
    pub requester: Requester,
    /// Which of theirs.
    pub session: SessionId,
}

/// Ending several sessions at once.
pub struct RevokeSessions {
    /// Who asks.
    pub requester: Requester,
    /// Whether the session of this request ends as well.
    pub this_too: bool,
}

/// Giving a session a name.
pub struct RenameSession {
    /// Who asks.
    pub requester: Requester,
    /// Which of theirs.
    pub session: SessionId,
    /// As typed.
    pub name: String,
}

/// A live session with tokens for it.
pub struct Granted {
    /// The session.
    pub session: Session,
    /// For the Authorization header.
    pub access_token: SecretString,
    /// For the next exchange; the one presented is spent.
    pub refresh_token: SecretString,
    /// Seconds the access token lives.
    pub expires_in: i64,
}

/// What a right password brings.
pub enum SignedIn {
    /// A session, to a user without a second factor.
    Granted(Granted),
    /// The question for a code, to a user with one.
    Challenged(Challenged),
}

/// How long tokens live.
#[derive(Debug, Clone, Copy)]
pub struct TokenLifetimes {
    /// The access token.
    pub access: Duration,
    /// An unused refresh token.
    pub refresh_idle: Duration,
}

/// Changes sessions.
pub struct SessionCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where sessions are kept.
    pub store: Arc<dyn Store>,
    /// Users, before a transaction is opened.
    pub users: Arc<dyn UserReader>,
    /// Sessions, before a transaction is opened.
    pub sessions: Arc<dyn SessionReader>,
    /// Which tokens count.
    pub rotations: Arc<dyn RotationReader>,
    /// What roles may do.
    pub access: Access,
    /// Compares passwords.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Counts wrong ones.
    pub guesses: Guesses,
    /// Challenges, before a transaction is opened.
    pub factors: Arc<dyn SecondFactorReader>,
    /// Decides about codes.
    pub codes: CodeGuesses,
    /// Access tokens.
    pub issuer: Arc<dyn TokenIssuer>,
    /// Refresh tokens.
    pub mint: Arc<dyn RefreshTokenMint>,
    /// Forgets a session at once when it ends here.
    pub gate: Arc<SessionGate>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub randomness: Arc<dyn Randomness>,
    /// How long tokens live.
    pub lifetimes: TokenLifetimes,
    /// How long an answer takes at least that must not tell why nobody was signed in.
    pub unhurried: std::time::Duration,
}

impl SessionCommands {
    /// Signs in, or asks a user with a second factor for a code. Unknown address, wrong password, deactivated user and paused sign-in answer
    /// alike and cost alike.
    pub async fn create(&self, command: CreateSession) -> Result<SignedIn, SessionError> {
        let began = Instant::now();
        let email = EmailAddress::parse(&command.email).ok();
        let attempt = self.journal.attempt_as(&command.requester, Act::CreateSession, email.as_ref().map(|email| email.written().to_owned())).await?;
        let created = attempt.settle(self.sign_in(&attempt, command, email.as_ref())).await;
        if matches!(created, Err(SessionError::InvalidCredentials | SessionError::Paused)) {
            sleep_until(began + self.unhurried).await;
        }
        created
    }

    /// Exchanges a refresh token for its one successor and a new access token.
    pub async fn refresh(&self, command: RefreshSession) -> Result<Granted, SessionError> {
        let attempt = self.journal.attempt(&command.requester, Act::RefreshSession).await?;
        attempt
            .settle(async {
                let (selector, verifier) = split_refresh_token(&command.refresh_token).ok_or(SessionError::InvalidRefreshToken)?;
                let mut token = self.sessions.find_any_token(selector).await?.ok_or(SessionError::InvalidRefreshToken)?;
                if !self.mint.matches(&verifier, &token.verifier_hash).await? {
                    return Err(SessionError::InvalidRefreshToken);
                }
                attempt.concerns(token.user);
                attempt.upon(ResourceKind::Session, token.session.0);
                let session = self.sessions.find(token.user, token.session).await?.ok_or(SessionError::InvalidRefreshToken)?;
                let user = self.users.find(token.user).await?.filter(|user| user.is_active).ok_or(SessionError::Ended)?;
                let now = self.clock.now();
                if !session.is_live(now) {
                    return Err(SessionError::Ended);
                }
                // Read once: the successor is of the versions this token was held against, never of a rotation that came between.
                let minimums = self.rotations.minimums(user.id).await?;
                if !minimums.admit_refresh(token.versions) {
                    return Err(self.end(&attempt, session, RevocationReason::TokensRotated, SessionError::TokensRotated).await?);
                }
                let successor = self.mint.successor(&token.key_id, &verifier).ok_or(SessionError::InvalidRefreshToken)?;
                if token.used_at.is_none() {
                    if now >= token.expires_at {
                        return Err(SessionError::Ended);
                    }
                    let next = self.token_row(&session, &successor, minimums.current(), now).await?;
                    let granted = self.grant(session.clone(), &user, &successor, next.versions, now)?;
                    let mut work = self.store.begin(&attempt).await?;
                    if work.sessions().spend(token.id, now).await? {
                        work.sessions().insert_token(&next).await?;
                        work.sessions().touch(session.id, now).await?;
                        work.succeed(Event::SessionRefreshed { session: session.id, user: user.id }).await?;
                        return Ok(granted);
                    }
                    // Someone was faster; what they did decides.
                    drop(work);
                    token = self.sessions.find_any_token(selector).await?.ok_or(SessionError::InvalidRefreshToken)?;
                }
                self.repeat_or_end(&attempt, &token, session, &user, &successor).await
            })
            .await
    }

    /// A used token: within the leeway its holder lost the answer and gets it again; after it, or when the successor was used too, someone
    /// else holds a copy and the session ends.
    async fn repeat_or_end(
        &self,
        attempt: &Attempt,
        token: &RefreshToken,
        session: Session,
        user: &User,
        successor: &RefreshPair,
    ) -> Result<Granted, SessionError> {
        let now = self.clock.now();
        let recent = token.used_at.is_some_and(|used| now.since(used) <= Duration::seconds(REFRESH_LEEWAY_SECONDS));
        let next = self.sessions.find_any_token(&successor.selector).await?;
        if recent && let Some(next) = next.filter(|next| next.used_at.is_none()) {
            let granted = self.grant(session, user, successor, next.versions, now)?;
            let work = self.store.begin(attempt).await?;
            work.succeed(Event::SessionRefreshed { session: granted.session.id, user: user.id }).await?;
            return Ok(granted);
        }
        Err(self.end(attempt, session, RevocationReason::RefreshTokenReused, SessionError::RefreshTokenReused).await?)
    }

    /// Ends a session whose refresh token must not have been presented, and commits that with FAILED; answers `refusal`.
    async fn end(&self, attempt: &Attempt, mut session: Session, reason: RevocationReason, refusal: SessionError) -> Result<SessionError, SessionError> {
        let now = self.clock.now();
        session.revoke(reason, now)?;
        let mut work = self.store.begin(attempt).await?;
        // The user comes first, as for everyone who queues a mail.
        work.sign_ins().take_turn(session.user).await?;
        let ended = work.sessions().end(&session).await?;
        if ended && reason == RevocationReason::RefreshTokenReused {
            self.guesses.writer.queue(work.as_mut(), session.user, MailKind::RefreshTokenReused, now).await?;
        }
        work.refuse(&refusal).await?;
        self.gate.forget(session.user, session.id);
        Ok(refusal)
    }

    /// Ends a session of oneself, or anyone's for administrators. Its access and refresh tokens stop at once.
    pub async fn revoke(&self, command: RevokeSession) -> Result<Session, SessionError> {
        let attempt = self.journal.attempt(&command.requester, Act::RevokeSession).await?;
        attempt.upon(ResourceKind::Session, command.session.0);
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::RevokeSession)?;
                let mut work = self.store.begin(&attempt).await?;
                let found = match work.sessions().find(owner, command.session).await? {
                    None if self.access.administers(&command.requester, Act::RevokeSession) => work.sessions().find_any_for_admin(command.session).await?,
                    found => found,
                };
                let mut session = found.ok_or(SessionError::NotFound)?;
                let reason = if session.user == owner { RevocationReason::Requested } else { RevocationReason::Administrator };
                let event = session.revoke(reason, self.clock.now())?;
                if !work.sessions().end(&session).await? {
                    return Err(SessionError::Ended);
                }
                work.succeed(event).await?;
                self.gate.forget(session.user, session.id);
                Ok(session)
            })
            .await
    }

    /// Ends every session of oneself, or every one but this. Answers how many were live.
    pub async fn revoke_many(&self, command: RevokeSessions) -> Result<usize, SessionError> {
        let attempt = self.journal.attempt(&command.requester, Act::RevokeSessions).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::RevokeSessions)?;
                let kept = command.requester.session().filter(|_| !command.this_too);
                let now = self.clock.now();
                let mut work = self.store.begin(&attempt).await?;
                let live = work.sessions().live(owner, now).await?;
                let others = live.into_iter().filter(|session| Some(session.id) != kept);
                let ended = end_each(work.as_mut(), others, RevocationReason::Requested, now).await?;
                work.succeed(Event::SessionsRevoked { user: owner, ended: ended.len() }).await?;
                for session in &ended {
                    self.gate.forget(owner, *session);
                }
                Ok(ended.len())
            })
            .await
    }

    /// Gives one of one's own sessions a name.
    pub async fn rename(&self, command: RenameSession) -> Result<Session, SessionError> {
        let attempt = self.journal.attempt(&command.requester, Act::RenameSession).await?;
        attempt.upon(ResourceKind::Session, command.session.0);
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::RenameSession)?;
                let name = name::read(&command.name)?;
                let mut work = self.store.begin(&attempt).await?;
                let mut session = work.sessions().find(owner, command.session).await?.ok_or(SessionError::NotFound)?;
                session.name = Some(name);
                work.sessions().rename(&session).await?;
                work.succeed(Event::SessionRenamed { session: session.id, user: owner }).await?;
                Ok(session)
            })
            .await
    }

    async fn token_row(&self, session: &Session, pair: &RefreshPair, versions: TokenVersions, now: Timestamp) -> anyhow::Result<RefreshToken> {
        Ok(RefreshToken {
            id: RefreshTokenId(self.randomness.id()),
            session: session.id,
            user: session.user,
            selector: pair.selector.clone(),
            verifier_hash: self.mint.hash(&pair.verifier).await?,
            key_id: self.mint.key_id(),
            versions,
            issued_at: now,
            expires_at: now.plus(self.lifetimes.refresh_idle).min(session.expires_at),
            used_at: None,
        })
    }

    fn grant(&self, session: Session, user: &User, pair: &RefreshPair, versions: TokenVersions, now: Timestamp) -> Result<Granted, SessionError> {
        let expires_at = now.plus(self.lifetimes.access).min(session.expires_at);
        let claims = AccessClaims { user: user.id, session: session.id, role: user.role, versions, issued_at: now, expires_at };
        let refresh_token = SecretString::from(format!("{}.{}", pair.selector, pair.verifier.expose_secret()));
        Ok(Granted { session, access_token: self.issuer.issue(&claims)?, refresh_token, expires_in: expires_at.since(now).num_seconds() })
    }
}

/// The half of a refresh token that its row is found by; `None` when it cannot be one of ours.
pub(super) fn selector_of(token: &str) -> Option<&str> {
    let (selector, verifier) = token.split_once('.')?;
    let plausible = |part: &str| (16..=64).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    (plausible(selector) && plausible(verifier)).then_some(selector)
}

/// The halves of a presented refresh token; `None` when it cannot be one of ours.
fn split_refresh_token(token: &SecretString) -> Option<(&str, SecretString)> {
    let selector = selector_of(token.expose_secret())?;
    let verifier = token.expose_secret().get(selector.len() + 1..)?;
    Some((selector, SecretString::from(verifier)))
}

/// How many ended sessions a follower looks at.
const MAX_ENDED: u32 = 500;

/// Looks at sessions.
pub struct SessionQueries {
    /// What roles may do.
    pub access: Access,
    /// Where sessions are kept.
    pub sessions: Arc<dyn SessionReader>,
}

impl SessionQueries {
    /// One of one's own sessions; any for administrators.
    pub async fn find(&self, requester: &Requester, id: SessionId) -> Result<Option<Session>, QueryError> {
        let (reader, scope) = self.access.allow(requester, Action::Read, Resource::Sessions)?;
        Ok(if scope == Scope::Any { self.sessions.find_any_for_admin(id).await? } else { self.sessions.find(reader, id).await? })
    }

    /// One's own sessions that were ended, the latest of them, latest last.
    pub async fn ended(&self, requester: &Requester) -> Result<Vec<Session>, QueryError> {
        let (reader, _) = self.access.allow(requester, Action::Read, Resource::Sessions)?;
        Ok(self.sessions.ended(reader, MAX_ENDED).await?)
    }

    /// The same page of the sessions of each of several users, ended ones included: one's own, or anyone's for administrators.
    pub async fn pages_by_user(&self, requester: &Requester, of: &[UserId], page: Page<CreatedKey>) -> Result<HashMap<UserId, Slice<Session>>, QueryError> {
        let (reader, scope) = self.access.allow(requester, Action::Read, Resource::Sessions)?;
        let shown: Vec<UserId> = of.iter().copied().filter(|user| *user == reader || scope == Scope::Any).collect();
        let mut pages = self.sessions.pages_by_owner(&shown, page).await?;
        Ok(of.iter().map(|user| (*user, pages.remove(user).unwrap_or_else(|| Slice::none(&page)))).collect())
    }
}
