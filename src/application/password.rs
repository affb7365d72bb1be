//! Passwords: changed by whoever knows the old one, or reset by whoever reads the mailbox.
//!
//! Both end sessions: a change every other one, a reset all of them. Neither is counted against the owner's live sessions. A reset
//! clears a pause, voids other tokens, leaves a second factor on and signs nobody in.

use std::sync::Arc;

use chrono::Duration;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep_until};

use crate::domain::{
    audit::Act,
    event::Event,
    failure::Reason,
    id::{SessionId, UserId},
    mail::{MailKind, MailTokenPurpose, MailTokenReader},
    second_factor::SecondFactorReader,
    session::RevocationReason,
    sign_in::Which,
    time::{Clock, Timestamp},
    user::{EmailAddress, InvalidEmail, Password, PasswordRecord, UserReader, WeakPassword},
};

use super::{
    access::{Access, Denied, Requester},
    audit::Journal,
    guesses::{Guesses, Verdict},
    mail::{Writer, token_hash},
    ports::{PasswordHasher, Store, Work},
    session::{SessionGate, end_each},
    step_up::{ReauthenticationRequired, StepUp},
};

/// How long the token that resets a password works, in minutes.
const RESET_MINUTES: i64 = 15;

/// Why a password stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The old one is wrong, or was wrong too often.
    #[error("the current password is wrong, or was wrong too often; wait a quarter of an hour or reset it")]
    WrongPassword,
    /// Not a password the policy accepts.
    #[error(transparent)]
    WeakPassword(#[from] WeakPassword),
    /// Not an address.
    #[error(transparent)]
    InvalidEmail(#[from] InvalidEmail),
    /// Unknown, used, replaced or past its time.
    #[error("the token is unknown, was used before, or is too old; ask for a new mail")]
    InvalidToken,
    /// The session has to prove first who is behind it: a user with a second factor shows both.
    #[error(transparent)]
    Unproven(#[from] ReauthenticationRequired),
    /// Not told to anyone but the trail.
    #[error("there is nothing to send")]
    NothingToSend(&'static str),
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for PasswordError {
    fn reason(&self) -> &'static str {
        match self {
            Self::WrongPassword => "wrong_password",
            Self::WeakPassword(_) => "weak_password",
            Self::InvalidEmail(_) => "invalid_email",
            Self::InvalidToken => "invalid_token",
            Self::Unproven(required) => required.reason(),
            Self::NothingToSend(reason) => reason,
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Another password for oneself.
pub struct ChangePassword {
    /// Who asks.
    pub requester: Requester,
    /// As typed.
    pub current: SecretString,
    /// As typed.
    pub new: SecretString,
}

/// Asking for the mail that resets a password.
pub struct RequestPasswordReset {
    /// Who asks; usually nobody.
    pub requester: Requester,
    /// As typed.
    pub email: String,
}

/// A new password by a token.
pub struct ResetPassword {
    /// Who asks; the token is what counts.
    pub requester: Requester,
    /// Out of the mail.
    pub token: SecretString,
    /// As typed.
    pub new: SecretString,
}

/// Changes passwords.
pub struct PasswordCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where users and sessions are kept.
    pub store: Arc<dyn Store>,
    /// Users, before a transaction is opened.
    pub users: Arc<dyn UserReader>,
    /// What roles may do.
    pub access: Access,
    /// Compares and hashes.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Tokens, before a transaction is opened.
    pub tokens: Arc<dyn MailTokenReader>,
    /// Counts wrong ones.
    pub guesses: Guesses,
    /// Whether a user has a second factor.
    pub factors: Arc<dyn SecondFactorReader>,
    /// Asks those for proofs.
    pub step_up: StepUp,
    /// Forgets sessions at once when they end here.
    pub gate: Arc<SessionGate>,
    /// Queues mails.
    pub writer: Writer,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long an answer takes at least, so that what was done for it does not show.
    pub unhurried: std::time::Duration,
}

impl PasswordCommands {
    /// Gives oneself another password. Every other session ends; this one goes on.
    pub async fn change(&self, command: ChangePassword) -> Result<(), PasswordError> {
        let attempt = self.journal.attempt(&command.requester, Act::ChangePassword).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::ChangePassword)?;
                // Where there is a second factor, the old password alone does not show who is asking.
                if self.factors.state(owner).await?.is_some() {
                    self.step_up.require(&command.requester).await??;
                }
                let user = self.users.find(owner).await?;
                let compared = self.guesses.compare(user, &command.current, &command.requester.origin).await?.ok_or(PasswordError::WrongPassword)?;
                // What is wrong with the new one is nobody's business who does not know the old one.
                let new =
                    if compared.proven { Some(self.hasher.hash(&Password::choose(command.new.expose_secret(), &compared.user.email)?).await?) } else { None };
                let now = self.clock.now();
                let work = self.store.begin(&attempt).await?;
                let Verdict::Right(mut work, user) = self.guesses.decide(work, &compared, &PasswordError::WrongPassword).await? else {
                    return Err(PasswordError::WrongPassword);
                };
                let new = new.ok_or(PasswordError::WrongPassword)?;
                let ended = self.replace(work.as_mut(), user.id, &new, command.requester.session(), now).await?;
                self.settle(work, user.id, Event::PasswordChanged { user: user.id, ended: ended.len() }, ended).await
            })
            .await
    }

    /// Mails the token that resets a password, or does as if: the answer and its time are the same for a known and an unknown address.
    pub async fn request_reset(&self, command: RequestPasswordReset) -> Result<(), PasswordError> {
        let began = Instant::now();
        let email = EmailAddress::parse(&command.email).ok();
        let attempt = self.journal.attempt_as(&command.requester, Act::RequestPasswordReset, email.as_ref().map(|email| email.written().to_owned())).await?;
        let sent = attempt
            .settle(async {
                let email = EmailAddress::parse(&command.email)?;
                let now = self.clock.now();
                let mut work = self.store.begin(&attempt).await?;
                let user = work.users().find_any_by_email(email.key()).await?.filter(|user| user.is_active);
                let user = user.ok_or(PasswordError::NothingToSend("not_found"))?;
                attempt.concerns(user.id);
                if user.email_verified_at.is_none() {
                    return Err(PasswordError::NothingToSend("unverified"));
                }
                if !self.writer.admits(work.as_mut(), user.id, MailKind::PasswordReset, now).await? {
                    return Err(PasswordError::NothingToSend("too_many_mails"));
                }
                let lifetime = Duration::minutes(RESET_MINUTES);
                self.writer.queue_token(work.as_mut(), user.id, MailKind::PasswordReset, MailTokenPurpose::PasswordReset, lifetime, now).await?;
                self.settle(work, user.id, Event::PasswordResetRequested { user: user.id }, Vec::new()).await
            })
            .await;
        sleep_until(began + self.unhurried).await;
        match sent {
            Err(PasswordError::NothingToSend(_)) => Ok(()),
            told => told,
        }
    }

    /// Gives the reader of a mail a new password. Every session ends, a pause is over; nobody is signed in.
    pub async fn reset(&self, command: ResetPassword) -> Result<(), PasswordError> {
        let attempt = self.journal.attempt(&command.requester, Act::ResetPassword).await?;
        attempt
            .settle(async {
                let hash = token_hash(&command.token).ok_or(PasswordError::InvalidToken)?;
                // Looked at before hashing, which costs time; used up only together with the new password.
                let now = self.clock.now();
                let token = self.tokens.find_any_live(&hash, MailTokenPurpose::PasswordReset, now).await?.ok_or(PasswordError::InvalidToken)?;
                let user = self.users.find(token.user).await?.filter(|user| user.is_active).ok_or(PasswordError::InvalidToken)?;
                let new = self.hasher.hash(&Password::choose(command.new.expose_secret(), &user.email)?).await?;
                let now = self.clock.now();
                let mut work = self.store.begin(&attempt).await?;
                work.sign_ins().take_turn(user.id).await?;
                work.mails().spend_token(&hash, MailTokenPurpose::PasswordReset, now).await?.ok_or(PasswordError::InvalidToken)?;
                work.sign_ins().clear(user.id, Which::All).await?;
                let ended = self.replace(work.as_mut(), user.id, &new, None, now).await?;
                self.settle(work, user.id, Event::PasswordReset { user: user.id, ended: ended.len() }, ended).await
            })
            .await
    }

    /// Stores a password, ends every session but `kept`, and voids reset tokens.
    async fn replace(
        &self,
        work: &mut dyn Work,
        user: UserId,
        new: &PasswordRecord,
        kept: Option<SessionId>,
        now: Timestamp,
    ) -> anyhow::Result<Vec<SessionId>> {
        work.users().save_password(user, new).await?;
        work.mails().void_tokens(user, MailTokenPurpose::PasswordReset, now).await?;
        let live = work.sessions().live(user, now).await?;
        end_each(work, live.into_iter().filter(|session| Some(session.id) != kept), RevocationReason::PasswordChanged, now).await
    }

    async fn settle(&self, work: Box<dyn Work>, user: UserId, event: Event, ended: Vec<SessionId>) -> Result<(), PasswordError> {
        work.succeed(event).await?;
        for session in ended {
            self.gate.forget(user, session);
        }
        Ok(())
    }
}
