//! Registration: signing up, and proving that an address is one's own.
//!
//! Nobody learns from an answer, or from the time it takes, whether an address is known. An address that is not confirmed belongs to
//! whoever registered it last: their password counts, and earlier tokens do not. Confirming signs nobody in.

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep_until};

use crate::domain::{
    agreement::{Assent, AssentRefusal, LegalDocument, LegalDocuments},
    audit::Act,
    event::Event,
    failure::Reason,
    id::UserId,
    mail::{MailKind, MailTokenPurpose},
    time::{Clock, Timestamp},
    user::{EmailAddress, InvalidEmail, Password, Role, SessionTier, User, WeakPassword},
};

use super::{
    access::Requester,
    agreement::record,
    audit::{Attempt, Journal},
    mail::{Writer, token_hash},
    ports::{PasswordHasher, Randomness, Store, Work},
};

/// How long the token that confirms an address works, in hours.
const VERIFICATION_HOURS: i64 = 24;

/// Why somebody is not registered or confirmed.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// Not an address.
    #[error(transparent)]
    InvalidEmail(#[from] InvalidEmail),
    /// Not a password the policy accepts.
    #[error(transparent)]
    WeakPassword(#[from] WeakPassword),
    /// A document of the operator was not agreed to.
    #[error(transparent)]
    Disagreed(#[from] AssentRefusal),
    /// The operator makes users here.
    #[error("nobody can register here; ask whoever runs this server for an account")]
    Closed,
    /// Unknown, used, replaced or past its time.
    #[error("the token is unknown, was used before, or is too old; ask for a new mail")]
    InvalidToken,
    /// Not told to anyone but the trail: the address is confirmed, or nobody has it, or its owner got enough mail for now.
    #[error("there is nothing to send")]
    NothingToSend(&'static str),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for RegistrationError {
    fn reason(&self) -> &'static str {
        match self {
            Self::InvalidEmail(_) => "invalid_email",
            Self::WeakPassword(_) => "weak_password",
            Self::Disagreed(refusal) => refusal.reason(),
            Self::Closed => "registration_closed",
            Self::InvalidToken => "invalid_token",
            Self::NothingToSend(reason) => reason,
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Signing up.
pub struct RegisterUser {
    /// Who asks; usually nobody yet.
    pub requester: Requester,
    /// As typed.
    pub email: String,
    /// As typed.
    pub password: SecretString,
    /// Which of the operator's documents they agree to.
    pub assents: Vec<Assent>,
}

/// Asking for the mail once more.
pub struct ResendVerification {
    /// Who asks; usually nobody yet.
    pub requester: Requester,
    /// As typed.
    pub email: String,
}

/// Confirming an address.
pub struct VerifyEmail {
    /// Who asks; the token is what counts.
    pub requester: Requester,
    /// Out of the mail.
    pub token: SecretString,
}

/// Registers people.
pub struct RegistrationCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where users are kept.
    pub store: Arc<dyn Store>,
    /// Hashes the first password.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Queues mails.
    pub writer: Writer,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub randomness: Arc<dyn Randomness>,
    /// What a newcomer agrees to.
    pub documents: LegalDocuments,
    /// Whether anyone may register.
    pub is_open: bool,
    /// How long an answer takes at least, so that what was done for it does not show.
    pub unhurried: Duration,
}

impl RegistrationCommands {
    /// Registers an address, or does as if: the answer and its time are the same for a new and a known one. What is wrong with what was
    /// typed is said, since it is wrong whoever has the address.
    pub async fn register(&self, command: RegisterUser) -> Result<(), RegistrationError> {
        let began = Instant::now();
        let email = EmailAddress::parse(&command.email).ok();
        let attempt = self.journal.attempt_as(&command.requester, Act::RegisterUser, email.as_ref().map(|email| email.written().to_owned())).await?;
        let registered = attempt
            .settle(async {
                if !self.is_open {
                    return Err(RegistrationError::Closed);
                }
                let email = EmailAddress::parse(&command.email)?;
                let password = Password::choose(command.password.expose_secret(), &email)?;
                let documents = self.documents.accept_all(&command.assents)?;
                let password = self.hasher.hash(&password).await?;
                let now = self.clock.now();
                let user = User {
                    id: UserId(self.randomness.id()),
                    email,
                    password,
                    role: Role::User,
                    tier: SessionTier::Basic,
                    email_verified_at: None,
                    session_limit: None,
                    is_active: true,
                    display_name: None,
                    created_at: now,
                };
                self.take_in(&attempt, user, &documents, now).await
            })
            .await;
        self.answer(began, registered).await
    }

    /// A new user, or what a known address allows.
    async fn take_in(&self, attempt: &Attempt, user: User, documents: &[&LegalDocument], now: Timestamp) -> Result<(), RegistrationError> {
        let mut work = self.store.begin(attempt).await?;
        if work.users().insert(&user).await? {
            record(work.as_mut(), self.randomness.as_ref(), user.id, documents, now).await?;
            self.queue_verification(work.as_mut(), user.id, now).await?;
            work.succeed(Event::UserRegistered { user: user.id, mailed: true }).await?;
            return Ok(());
        }
        let known = work.users().find_any_by_email(user.email.key()).await?.ok_or_else(|| anyhow::anyhow!("a user went away while registering again"))?;
        attempt.concerns(known.id);
        let kind = if known.email_verified_at.is_some() { MailKind::AlreadyRegistered } else { MailKind::Verification };
        let admitted = self.writer.admits(work.as_mut(), known.id, kind, now).await?;
        // Confirmed meanwhile, it belongs to somebody, whose password stays.
        if kind == MailKind::Verification && work.users().replace_unverified(known.id, &user.email, &user.password).await? {
            // Nothing of an earlier registration may stay, or who registered first could sign in once the owner confirms.
            work.mails().void_tokens(known.id, MailTokenPurpose::Verification, now).await?;
            work.agreements().drop_all(known.id).await?;
            record(work.as_mut(), self.randomness.as_ref(), known.id, documents, now).await?;
            if admitted {
                self.queue_verification(work.as_mut(), known.id, now).await?;
            }
            work.succeed(Event::UserRegistered { user: known.id, mailed: admitted }).await?;
            return Ok(());
        }
        if !admitted {
            return Err(RegistrationError::NothingToSend("too_many_mails"));
        }
        self.writer.queue(work.as_mut(), known.id, MailKind::AlreadyRegistered, now).await?;
        work.refuse(&RegistrationError::NothingToSend("email_taken")).await?;
        Ok(())
    }

    /// Sends the mail that confirms an address once more, or does as if.
    pub async fn resend(&self, command: ResendVerification) -> Result<(), RegistrationError> {
        let began = Instant::now();
        let email = EmailAddress::parse(&command.email).ok();
        let attempt = self.journal.attempt_as(&command.requester, Act::ResendVerification, email.as_ref().map(|email| email.written().to_owned())).await?;
        let sent = attempt
            .settle(async {
                let email = EmailAddress::parse(&command.email)?;
                let now = self.clock.now();
                let mut work = self.store.begin(&attempt).await?;
                let user = work.users().find_any_by_email(email.key()).await?.ok_or(RegistrationError::NothingToSend("not_found"))?;
                if user.email_verified_at.is_some() {
                    return Err(RegistrationError::NothingToSend("already_verified"));
                }
                if !self.writer.admits(work.as_mut(), user.id, MailKind::Verification, now).await? {
                    return Err(RegistrationError::NothingToSend("too_many_mails"));
                }
                self.queue_verification(work.as_mut(), user.id, now).await?;
                work.succeed(Event::VerificationRequested { user: user.id }).await?;
                Ok(())
            })
            .await;
        self.answer(began, sent).await
    }

    /// Confirms the address a token was sent to. Signs nobody in: whoever reads a mailbox need not know the password.
    pub async fn verify(&self, command: VerifyEmail) -> Result<(), RegistrationError> {
        let attempt = self.journal.attempt(&command.requester, Act::VerifyEmail).await?;
        attempt
            .settle(async {
                let hash = token_hash(&command.token).ok_or(RegistrationError::InvalidToken)?;
                let now = self.clock.now();
                let mut work = self.store.begin(&attempt).await?;
                let user = work.mails().spend_token(&hash, MailTokenPurpose::Verification, now).await?.ok_or(RegistrationError::InvalidToken)?;
                work.users().verify_email(user, now).await?;
                work.succeed(Event::EmailVerified { user }).await?;
                Ok(())
            })
            .await
    }

    async fn queue_verification(&self, work: &mut dyn Work, user: UserId, now: Timestamp) -> anyhow::Result<()> {
        let lifetime = chrono::Duration::hours(VERIFICATION_HOURS);
        self.writer.queue_token(work, user, MailKind::Verification, MailTokenPurpose::Verification, lifetime, now).await.map(drop)
    }

    /// The answer that tells nothing, not before its time.
    async fn answer(&self, began: Instant, done: Result<(), RegistrationError>) -> Result<(), RegistrationError> {
        sleep_until(began + self.unhurried).await;
        match done {
            Err(RegistrationError::NothingToSend(_)) => Ok(()),
            told => told,
        }
    }
}
