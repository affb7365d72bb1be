//! Step-up: who is about to do something grave proves once more who they are.
//!
//! The proof counts for the session it was given in, for five minutes, and is kept here: no token says it. A sign-in is no such proof,
//! however recent, since a stolen access token may be as recent (NIST SP 800-63B-4, section 5.2; OWASP ASVS 5.0, 7.5).

use std::sync::Arc;

use chrono::Duration;
use secrecy::SecretString;

use crate::domain::{
    audit::Act,
    event::Event,
    failure::Reason,
    session::{STEP_UP_MINUTES, SessionReader},
    time::{Clock, Timestamp},
    user::UserReader,
};

use super::{
    access::{Access, Actor, Denied, Requester},
    audit::Journal,
    guesses::{Guesses, Verdict},
    ports::Store,
    second_factor::{CodeGuesses, CodeRefusal, CodeVerdict},
};

/// The session has not proved lately who is behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("prove first who you are: call reauthenticate, which counts for five minutes")]
pub struct ReauthenticationRequired;

impl Reason for ReauthenticationRequired {
    fn reason(&self) -> &'static str {
        "reauthentication_required"
    }
}

/// Asks whether a session has proved lately who is behind it.
#[derive(Clone)]
pub struct StepUp {
    /// Where the proof is kept.
    pub sessions: Arc<dyn SessionReader>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl StepUp {
    /// Refuses whoever has not. The operator on the machine itself need not.
    pub async fn require(&self, requester: &Requester) -> anyhow::Result<Result<(), ReauthenticationRequired>> {
        let proven = match requester.actor {
            Actor::CommandLine { .. } => true,
            Actor::User { id, session, .. } => self.sessions.find(id, session).await?.is_some_and(|session| session.is_reauthenticated(self.clock.now())),
            Actor::Nobody | Actor::Browser { .. } | Actor::Worker { .. } | Actor::Job => false,
        };
        Ok(if proven { Ok(()) } else { Err(ReauthenticationRequired) })
    }
}

/// Why a proof is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ReauthenticationError {
    /// The password is wrong, or was wrong too often.
    #[error("the password is wrong, or was wrong too often; wait a quarter of an hour or reset it")]
    WrongPassword,
    /// The second factor was not shown.
    #[error(transparent)]
    Code(#[from] CodeRefusal),
    /// The session ended meanwhile.
    #[error("the session has ended; sign in again")]
    Ended,
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for ReauthenticationError {
    fn reason(&self) -> &'static str {
        match self {
            Self::WrongPassword => "wrong_password",
            Self::Code(refusal) => refusal.reason(),
            Self::Ended => "session_ended",
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Proving once more who one is.
pub struct Reauthenticate {
    /// Who asks.
    pub requester: Requester,
    /// As typed.
    pub password: SecretString,
    /// As typed; needed of a user with a second factor.
    pub code: Option<SecretString>,
}

/// Takes proofs.
pub struct StepUpCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where proofs are kept.
    pub store: Arc<dyn Store>,
    /// Users, before a transaction is opened.
    pub users: Arc<dyn UserReader>,
    /// What roles may do.
    pub access: Access,
    /// Compares passwords and counts wrong ones.
    pub guesses: Guesses,
    /// Decides about codes.
    pub codes: CodeGuesses,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl StepUpCommands {
    /// Takes a proof, by all factors there are, for the session of the requester; answers until when it counts.
    pub async fn reauthenticate(&self, command: Reauthenticate) -> Result<Timestamp, ReauthenticationError> {
        let attempt = self.journal.attempt(&command.requester, Act::Reauthenticate).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::Reauthenticate)?;
                let session = command.requester.session().ok_or(Denied::Unauthenticated)?;
                let user = self.users.find(owner).await?;
                let compared = self.guesses.compare(user, &command.password, &command.requester.origin).await?.ok_or(ReauthenticationError::WrongPassword)?;
                let work = self.store.begin(&attempt).await?;
                let Verdict::Right(mut work, user) = self.guesses.decide(work, &compared, &ReauthenticationError::WrongPassword).await? else {
                    return Err(ReauthenticationError::WrongPassword);
                };
                let mut by = None;
                if let Some(factor) = work.second_factors().find(user.id).await?.filter(|factor| factor.enabled_at.is_some()) {
                    let code = command.code.as_ref().ok_or(CodeRefusal::Missing)?;
                    work = match self.codes.decide(work, &factor, None, code).await? {
                        CodeVerdict::Right(work, factor) => {
                            by = Some(factor);
                            work
                        }
                        CodeVerdict::Refused(refusal) => return Err(refusal.into()),
                    };
                }
                let now = self.clock.now();
                if !work.sessions().reauthenticate(user.id, session, now).await? {
                    return Err(ReauthenticationError::Ended);
                }
                work.succeed(Event::Reauthenticated { session, user: user.id, factor: by }).await?;
                Ok(now.plus(Duration::minutes(STEP_UP_MINUTES)))
            })
            .await
    }
}
