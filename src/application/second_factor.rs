//! The second factor: enrolled by a device's first code, given up, and asked for.
//!
//! Whoever holds a session may look at their second factor; whoever changes it has proved lately who they are. The secret is shown once
//! and kept sealed, recovery codes are shown once and kept hashed. What a typed code is worth is decided in one place, for signing in and
//! for proofs alike, in the user's turn: many codes may come at once, and no more of them count than the limits say.

use std::sync::Arc;

use chrono::Duration;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::domain::{
    audit::Act,
    event::Event,
    failure::Reason,
    id::{ChallengeId, RecoveryCodeId, SecondFactorId, UserId},
    mail::MailKind,
    second_factor::{FAILURES_AN_HOUR, Factor, RECOVERY_CODES, RecoveryCode, SecondFactor, SecondFactorReader, SecondFactorState},
    time::{Clock, Timestamp},
    user::{EmailAddress, InvalidEmail, PasswordRecord, User, UserReader},
};

use super::{
    QueryError,
    access::{Access, Denied, Requester, Resource},
    audit::Journal,
    mail::Writer,
    ports::{CodeBook, HandedOver, Place, Randomness, Sealer, Store, Work},
    step_up::{ReauthenticationRequired, StepUp},
};

/// Bytes of a secret shared with a device (RFC 4226, section 4: 160 bits).
const SECRET_BYTES: usize = 20;

/// How often at most a user is told that somebody tries codes, in hours.
const TELL_HOURS: i64 = 24;

/// Why a code is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefusal {
    /// There is a second factor, and no code came with the password.
    #[error("a code is needed as well: the one your device shows, or a recovery code")]
    Missing,
    /// Not a code of now, used before, or no code at all.
    #[error("the code is wrong, or was used before; wait for the next one")]
    Wrong,
    /// Too many were wrong lately, so none is looked at.
    #[error("too many codes were wrong within an hour; wait until the hour has passed")]
    TooMany,
}

impl Reason for CodeRefusal {
    fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "code_missing",
            Self::Wrong => "wrong_code",
            Self::TooMany => "too_many_codes",
        }
    }
}

/// Decides what typed codes are worth, and counts wrong ones.
#[derive(Clone)]
pub struct CodeGuesses {
    /// Opens secrets.
    pub sealer: Arc<dyn Sealer>,
    /// Reads codes.
    pub codes: Arc<dyn CodeBook>,
    /// Tells owners.
    pub writer: Writer,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What a code is worth.
pub(super) enum CodeVerdict {
    /// It is right, and spent in this unit of work, which goes on.
    Right(Box<dyn Work>, Factor),
    /// It is not. A wrong one is counted and committed.
    Refused(CodeRefusal),
}

impl CodeGuesses {
    /// Decides about a code, in the user's turn, and spends a right one: a device's step and a recovery code count once. A wrong one is
    /// committed with FAILED, against its challenge too if it answers one.
    pub(super) async fn decide(
        &self,
        mut work: Box<dyn Work>,
        factor: &SecondFactor,
        challenge: Option<ChallengeId>,
        typed: &SecretString,
    ) -> anyhow::Result<CodeVerdict> {
        if self.are_too_many(work.as_mut(), factor.user).await? {
            return Ok(CodeVerdict::Refused(CodeRefusal::TooMany));
        }
        match self.spend(work.as_mut(), factor, typed).await? {
            Some(by) => Ok(CodeVerdict::Right(work, by)),
            None => self.count(work, factor.user, challenge).await.map(CodeVerdict::Refused),
        }
    }

    /// Whether no code of a user is looked at now.
    async fn are_too_many(&self, work: &mut dyn Work, user: UserId) -> anyhow::Result<bool> {
        Ok(work.second_factors().failures_since(user, self.an_hour_ago()).await? >= FAILURES_AN_HOUR)
    }

    /// The step of thirty seconds whose code was typed.
    fn step(&self, factor: &SecondFactor, typed: &SecretString) -> anyhow::Result<Option<i64>> {
        let secret = self.sealer.open(Place::second_factor(factor.user, factor.id), &factor.sealed_secret)?;
        self.codes.step(&secret, typed, self.clock.now())
    }

    async fn spend(&self, work: &mut dyn Work, factor: &SecondFactor, typed: &SecretString) -> anyhow::Result<Option<Factor>> {
        if let Some(step) = self.step(factor, typed)? {
            return Ok(work.second_factors().accept_step(factor.id, step).await?.then_some(Factor::Device));
        }
        let (hashes, now) = (self.codes.recovery_hashes(factor.user, typed), self.clock.now());
        let is_spent = !hashes.is_empty() && work.second_factors().spend_recovery_code(factor.user, &hashes, now).await?;
        Ok(is_spent.then_some(Factor::RecoveryCode))
    }

    /// Commits a wrong code with what it leads to, and FAILED.
    async fn count(&self, mut work: Box<dyn Work>, user: UserId, challenge: Option<ChallengeId>) -> anyhow::Result<CodeRefusal> {
        let now = self.clock.now();
        work.second_factors().fail(user, now, self.an_hour_ago()).await?;
        if let Some(challenge) = challenge {
            work.second_factors().fail_challenge(challenge).await?;
        }
        let since = now.minus(Duration::hours(TELL_HOURS));
        if self.are_too_many(work.as_mut(), user).await? && work.mails().queued_since(user, MailKind::CodesGuessed, since).await? == 0 {
            self.writer.queue(work.as_mut(), user, MailKind::CodesGuessed, now).await?;
        }
        work.refuse(&CodeRefusal::Wrong).await?;
        Ok(CodeRefusal::Wrong)
    }

    fn an_hour_ago(&self) -> Timestamp {
        self.clock.now().minus(Duration::hours(1))
    }
}

/// What a challenge holds on to of the password that was shown: once another one is stored, the challenge is void.
pub(super) fn password_digest(record: &PasswordRecord) -> Vec<u8> {
    Sha256::digest(record.0.as_bytes()).to_vec()
}

/// Why a second factor stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum SecondFactorError {
    /// The code is not accepted.
    #[error(transparent)]
    Code(#[from] CodeRefusal),
    /// There is one already.
    #[error("a second factor is enabled already; disable it first")]
    AlreadyEnabled,
    /// There is none.
    #[error("no second factor is enabled")]
    NotEnabled,
    /// Nothing waits for its first code, or waited too long.
    #[error("no second factor waits to be confirmed; begin again")]
    NothingPending,
    /// The session has to prove first who is behind it.
    #[error(transparent)]
    Unproven(#[from] ReauthenticationRequired),
    /// Not an address.
    #[error(transparent)]
    InvalidEmail(#[from] InvalidEmail),
    /// Nobody has that address.
    #[error("no user has this e-mail address")]
    NotFound,
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for SecondFactorError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Code(refusal) => refusal.reason(),
            Self::AlreadyEnabled => "second_factor_enabled",
            Self::NotEnabled => "second_factor_not_enabled",
            Self::NothingPending => "nothing_pending",
            Self::Unproven(required) => required.reason(),
            Self::InvalidEmail(_) => "invalid_email",
            Self::NotFound => "not_found",
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Confirming an enrolment.
pub struct ConfirmSecondFactor {
    /// Who asks.
    pub requester: Requester,
    /// As typed.
    pub code: SecretString,
}

/// An enrolment that waits for its first code.
pub struct Enrolment {
    /// The secret, shown this once.
    pub handed_over: HandedOver,
    /// When it is void.
    pub expires_at: Timestamp,
}

/// Changes second factors.
pub struct SecondFactorCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where second factors are kept.
    pub store: Arc<dyn Store>,
    /// Users, before a transaction is opened.
    pub users: Arc<dyn UserReader>,
    /// What roles may do.
    pub access: Access,
    /// Asks for proofs.
    pub step_up: StepUp,
    /// Decides about codes.
    pub guesses: CodeGuesses,
    /// Ids and secrets.
    pub randomness: Arc<dyn Randomness>,
}

impl SecondFactorCommands {
    /// Makes a secret for a device. It guards nothing before [`confirm`](Self::confirm), and takes the place of an earlier one that waits.
    pub async fn begin(&self, requester: Requester) -> Result<Enrolment, SecondFactorError> {
        let attempt = self.journal.attempt(&requester, Act::BeginSecondFactor).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&requester, Act::BeginSecondFactor)?;
                self.step_up.require(&requester).await??;
                let user = self.users.find(owner).await?.ok_or(Denied::Unauthenticated)?;
                let id = SecondFactorId(self.randomness.id());
                let random = Zeroizing::new(self.randomness.secret());
                let secret = &random[..SECRET_BYTES];
                let handed_over = self.guesses.codes.hand_over(secret, &user.email)?;
                let sealed = self.guesses.sealer.seal(Place::second_factor(owner, id), secret)?;
                let factor = SecondFactor::begin(id, owner, sealed, self.guesses.clock.now());
                let mut work = self.store.begin(&attempt).await?;
                work.sign_ins().take_turn(owner).await?;
                if !work.second_factors().replace_pending(&factor).await? {
                    return Err(SecondFactorError::AlreadyEnabled);
                }
                work.succeed(Event::SecondFactorBegun { user: owner }).await?;
                Ok(Enrolment { handed_over, expires_at: factor.expires_at() })
            })
            .await
    }

    /// Lets the secret guard signing in from now on, since the device has shown that it knows it. Answers the recovery codes, this once.
    pub async fn confirm(&self, command: ConfirmSecondFactor) -> Result<Vec<SecretString>, SecondFactorError> {
        let attempt = self.journal.attempt(&command.requester, Act::ConfirmSecondFactor).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::ConfirmSecondFactor)?;
                self.step_up.require(&command.requester).await??;
                let mut work = self.store.begin(&attempt).await?;
                work.sign_ins().take_turn(owner).await?;
                let now = self.guesses.clock.now();
                let factor = match work.second_factors().find(owner).await? {
                    Some(factor) if factor.enabled_at.is_some() => return Err(SecondFactorError::AlreadyEnabled),
                    Some(factor) if factor.is_pending(now) => factor,
                    _ => return Err(SecondFactorError::NothingPending),
                };
                if self.guesses.are_too_many(work.as_mut(), owner).await? {
                    return Err(CodeRefusal::TooMany.into());
                }
                let Some(step) = self.guesses.step(&factor, &command.code)? else {
                    return Err(self.guesses.count(work, owner, None).await?.into());
                };
                if !work.second_factors().enable(&factor, step, now).await? {
                    return Err(SecondFactorError::NothingPending);
                }
                work.sessions().forget_proofs(owner, command.requester.session()).await?;
                let codes = self.replace_codes(work.as_mut(), owner).await?;
                work.succeed(Event::SecondFactorEnabled { user: owner }).await?;
                Ok(codes)
            })
            .await
    }

    /// Takes one's second factor away, with its recovery codes.
    pub async fn disable(&self, requester: Requester) -> Result<(), SecondFactorError> {
        let attempt = self.journal.attempt(&requester, Act::DisableSecondFactor).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&requester, Act::DisableSecondFactor)?;
                self.step_up.require(&requester).await??;
                let mut work = self.store.begin(&attempt).await?;
                self.enabled(work.as_mut(), owner).await?;
                work.second_factors().remove(owner).await?;
                work.succeed(Event::SecondFactorDisabled { user: owner }).await?;
                Ok(())
            })
            .await
    }

    /// Other recovery codes in place of all earlier ones. Answers them, this once.
    pub async fn regenerate(&self, requester: Requester) -> Result<Vec<SecretString>, SecondFactorError> {
        let attempt = self.journal.attempt(&requester, Act::RegenerateRecoveryCodes).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&requester, Act::RegenerateRecoveryCodes)?;
                self.step_up.require(&requester).await??;
                let mut work = self.store.begin(&attempt).await?;
                self.enabled(work.as_mut(), owner).await?;
                let codes = self.replace_codes(work.as_mut(), owner).await?;
                work.succeed(Event::RecoveryCodesReplaced { user: owner }).await?;
                Ok(codes)
            })
            .await
    }

    /// Takes somebody's second factor away who has lost device and codes; for the operator only. Sessions go on.
    pub async fn reset_for_operator(&self, requester: Requester, email: &str) -> Result<User, SecondFactorError> {
        let attempt = self.journal.attempt(&requester, Act::ResetSecondFactor).await?;
        attempt
            .settle(async {
                self.access.permit(&requester, Act::ResetSecondFactor)?;
                let email = EmailAddress::parse(email)?;
                let mut work = self.store.begin(&attempt).await?;
                let user = work.users().find_any_by_email(email.key()).await?.ok_or(SecondFactorError::NotFound)?;
                self.enabled(work.as_mut(), user.id).await?;
                work.second_factors().remove(user.id).await?;
                work.succeed(Event::SecondFactorDisabled { user: user.id }).await?;
                Ok(user)
            })
            .await
    }

    /// Takes the user's turn and answers what they have enabled.
    async fn enabled(&self, work: &mut dyn Work, user: UserId) -> Result<SecondFactor, SecondFactorError> {
        work.sign_ins().take_turn(user).await?;
        work.second_factors().find(user).await?.filter(|factor| factor.enabled_at.is_some()).ok_or(SecondFactorError::NotEnabled)
    }

    async fn replace_codes(&self, work: &mut dyn Work, user: UserId) -> anyhow::Result<Vec<SecretString>> {
        let (mut shown, mut kept) = (Vec::new(), Vec::new());
        for _ in 0..RECOVERY_CODES {
            let (text, hashed) = self.guesses.codes.recovery_code(user, &Zeroizing::new(self.randomness.secret()))?;
            shown.push(text);
            kept.push(RecoveryCode { id: RecoveryCodeId(self.randomness.id()), user, key_id: hashed.key_id, hash: hashed.hash });
        }
        work.second_factors().replace_recovery_codes(user, &kept).await?;
        Ok(shown)
    }
}

/// Looks at second factors.
pub struct SecondFactorQueries {
    /// What roles may do.
    pub access: Access,
    /// Where second factors are kept.
    pub factors: Arc<dyn SecondFactorReader>,
}

impl SecondFactorQueries {
    /// What one has enabled oneself; `None` for none, and for everyone else's.
    pub async fn of(&self, requester: &Requester, user: UserId) -> Result<Option<SecondFactorState>, QueryError> {
        let owner = self.access.reader(requester, Resource::Security)?;
        if owner != user {
            return Ok(None);
        }
        Ok(self.factors.state(owner).await?)
    }
}
