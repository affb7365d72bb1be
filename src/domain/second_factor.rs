//! The second factor: a secret that a device of the user shares with us, and what is left when the device is lost.
//!
//! The device shows a code of six digits for every thirty seconds (TOTP, RFC 6238). A recovery code does once what a device does.
//! Whoever has shown a right password of a user with a second factor holds a challenge, and answers it with a code. Pure.

use async_trait::async_trait;
use chrono::Duration;

use super::{
    id::{ChallengeId, RecoveryCodeId, SecondFactorId, UserId},
    time::Timestamp,
    transaction::words,
};

/// How long an enrolment waits for its first code, in minutes.
pub const ENROLMENT_MINUTES: i64 = 10;

/// How long a challenge waits for its code, in minutes.
pub const CHALLENGE_MINUTES: i64 = 5;

/// How many wrong codes use a challenge up.
pub const CHALLENGE_FAILURES: u32 = 5;

/// How many wrong codes a user has within any hour, over all challenges and confirmations.
pub const FAILURES_AN_HOUR: u64 = 10;

/// How many recovery codes a user gets.
pub const RECOVERY_CODES: usize = 10;

words! {
    /// By what a second factor was shown.
    Factor {
        /// A code a device showed.
        Device = "device",
        /// A recovery code.
        RecoveryCode = "recovery_code",
    }
}

/// A secret shared with a device. It guards nothing before a first code has confirmed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// Never changes; another enrolment has another.
    pub id: SecondFactorId,
    /// Whose it is; a user has one at most.
    pub user: UserId,
    /// The secret, sealed in its place.
    pub sealed_secret: Vec<u8>,
    /// When the enrolment began.
    pub begun_at: Timestamp,
    /// Since when it guards signing in; `None` while it waits for its first code.
    pub enabled_at: Option<Timestamp>,
    /// The latest step of thirty seconds whose code was accepted. Neither it nor an earlier one is accepted again.
    pub last_step: Option<i64>,
}

impl SecondFactor {
    /// An enrolment that begins now.
    pub fn begin(id: SecondFactorId, user: UserId, sealed_secret: Vec<u8>, now: Timestamp) -> Self {
        Self { id, user, sealed_secret, begun_at: now, enabled_at: None, last_step: None }
    }

    /// When the enrolment is void, unless it is confirmed before.
    pub fn expires_at(&self) -> Timestamp {
        self.begun_at.plus(Duration::minutes(ENROLMENT_MINUTES))
    }

    /// Whether it waits for its first code.
    pub fn is_pending(&self, now: Timestamp) -> bool {
        self.enabled_at.is_none() && now < self.expires_at()
    }
}

/// What a user sees of their second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecondFactorState {
    /// Since when it guards signing in.
    pub enabled_at: Timestamp,
    /// How many recovery codes are unused.
    pub recovery_codes_left: u32,
}

/// A code that works once, in place of a device. Only its keyed hash is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryCode {
    /// Never changes.
    pub id: RecoveryCodeId,
    /// Whose it is.
    pub user: UserId,
    /// The key it is hashed under.
    pub key_id: String,
    /// HMAC-SHA-256 of its owner and text.
    pub hash: Vec<u8>,
}

/// What somebody holds who has shown the right password and not yet a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Never changes.
    pub id: ChallengeId,
    /// Whose password was shown.
    pub user: UserId,
    /// SHA-256 of its token.
    pub hash: Vec<u8>,
    /// SHA-256 of the password record that was shown to be right. Another password makes the challenge void.
    pub password_digest: Vec<u8>,
    /// When the password was shown.
    pub created_at: Timestamp,
    /// How many wrong codes were tried.
    pub failures: u32,
    /// When it was answered.
    pub spent_at: Option<Timestamp>,
}

/// Why a challenge cannot be answered any more. All of them look alike to a client: sign in anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeProblem {
    /// Not a challenge of ours.
    Unknown,
    /// Past its time.
    Expired,
    /// Answered before.
    Spent,
    /// Too many wrong codes.
    Exhausted,
    /// The password is another one by now, the second factor is gone, or the user is.
    Void,
}

impl ChallengeProblem {
    /// The word on the trail.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "challenge_unknown",
            Self::Expired => "challenge_expired",
            Self::Spent => "challenge_spent",
            Self::Exhausted => "challenge_exhausted",
            Self::Void => "challenge_void",
        }
    }
}

impl Challenge {
    /// When it is void, unless it is answered before.
    pub fn expires_at(&self) -> Timestamp {
        self.created_at.plus(Duration::minutes(CHALLENGE_MINUTES))
    }

    /// Whether it can be answered now by the user whose password record has this digest.
    pub fn check(&self, password_digest: &[u8], now: Timestamp) -> Result<(), ChallengeProblem> {
        if self.spent_at.is_some() {
            Err(ChallengeProblem::Spent)
        } else if now >= self.expires_at() {
            Err(ChallengeProblem::Expired)
        } else if self.failures >= CHALLENGE_FAILURES {
            Err(ChallengeProblem::Exhausted)
        } else if self.password_digest != password_digest {
            Err(ChallengeProblem::Void)
        } else {
            Ok(())
        }
    }
}

/// Second factors, inside a unit of work that has taken the user's turn.
#[async_trait]
pub trait SecondFactors: Send {
    /// A user's second factor, pending or enabled.
    async fn find(&mut self, user: UserId) -> anyhow::Result<Option<SecondFactor>>;
    /// A new enrolment, in place of an earlier pending one; `false` when the user has an enabled one.
    async fn replace_pending(&mut self, factor: &SecondFactor) -> anyhow::Result<bool>;
    /// Lets a pending one guard from now on, with the step of its first code; `false` when it is not pending any more.
    async fn enable(&mut self, factor: &SecondFactor, step: i64, now: Timestamp) -> anyhow::Result<bool>;
    /// Notes the step of an accepted code; `false` when this step or a later one was accepted before.
    async fn accept_step(&mut self, factor: SecondFactorId, step: i64) -> anyhow::Result<bool>;
    /// Takes a user's second factor away, with recovery codes and challenges; `false` when there was none.
    async fn remove(&mut self, user: UserId) -> anyhow::Result<bool>;
    /// New recovery codes in place of all earlier ones.
    async fn replace_recovery_codes(&mut self, user: UserId, codes: &[RecoveryCode]) -> anyhow::Result<()>;
    /// Uses up the recovery code that has one of these hashes; `false` when there is none, or it was used before.
    async fn spend_recovery_code(&mut self, user: UserId, hashes: &[Vec<u8>], now: Timestamp) -> anyhow::Result<bool>;
    /// A new challenge. Those of the user that are past their time go.
    async fn insert_challenge(&mut self, challenge: &Challenge) -> anyhow::Result<()>;
    /// The challenge of that hash, whoever presents it: its token is the proof.
    async fn find_any_challenge(&mut self, hash: &[u8]) -> anyhow::Result<Option<Challenge>>;
    /// Marks a challenge as answered if it was not; `false` means that someone was faster.
    async fn spend_challenge(&mut self, challenge: ChallengeId, now: Timestamp) -> anyhow::Result<bool>;
    /// Counts a wrong code against a challenge.
    async fn fail_challenge(&mut self, challenge: ChallengeId) -> anyhow::Result<()>;
    /// Counts a wrong code against a user. Those that count no longer, being from before `since`, go.
    async fn fail(&mut self, user: UserId, now: Timestamp, since: Timestamp) -> anyhow::Result<()>;
    /// Forgets a user's wrong codes.
    async fn forget_failures(&mut self, user: UserId) -> anyhow::Result<()>;
    /// How many wrong codes a user had since an instant.
    async fn failures_since(&mut self, user: UserId, since: Timestamp) -> anyhow::Result<u64>;
}

/// Second factors, before a transaction is opened.
#[async_trait]
pub trait SecondFactorReader: Send + Sync {
    /// What a user has enabled; `None` for none.
    async fn state(&self, user: UserId) -> anyhow::Result<Option<SecondFactorState>>;
    /// The challenge of that hash, whoever presents it.
    async fn find_any_challenge(&self, hash: &[u8]) -> anyhow::Result<Option<Challenge>>;
}
