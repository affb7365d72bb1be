//! The second step of a sign-in: a challenge for whoever has shown the right password, answered with a code.
//!
//! The challenge is 256 random bits of which only the hash is kept. It is good for one answer, five wrong ones and five minutes, and for
//! the password it was given for. It tells nobody's name and opens nothing by itself.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::SecretString;

use crate::{
    application::{
        access::Requester,
        audit::Attempt,
        mail::token_hash,
        ports::Work,
        second_factor::{CodeVerdict, password_digest},
    },
    domain::{
        audit::Act,
        event::Event,
        id::ChallengeId,
        second_factor::{Challenge, ChallengeProblem},
        time::Timestamp,
        user::{PasswordRecord, User},
    },
};

use super::{Granted, SessionCommands, SessionError};

/// What a right password brings to a user with a second factor.
pub struct Challenged {
    /// To be sent back with a code.
    pub token: SecretString,
    /// When it is void.
    pub expires_at: Timestamp,
}

/// Answering a challenge.
pub struct VerifySecondFactor {
    /// Who asks; usually nobody yet.
    pub requester: Requester,
    /// The challenge's token.
    pub challenge: SecretString,
    /// As typed: the code of a device, or a recovery code.
    pub code: SecretString,
}

impl SessionCommands {
    /// Signs in whoever answers a challenge with a right code.
    pub async fn verify(&self, command: VerifySecondFactor) -> Result<Granted, SessionError> {
        // Looked up first, so that the trail says whose codes were guessed. Nothing is decided by it.
        let challenge = match token_hash(&command.challenge) {
            Some(hash) => self.factors.find_any_challenge(&hash).await?,
            None => None,
        };
        let user = match &challenge {
            Some(challenge) => self.users.find(challenge.user).await?,
            None => None,
        };
        let email = user.as_ref().map(|user| user.email.written().to_owned());
        let attempt = self.journal.attempt_as(&command.requester, Act::VerifySecondFactor, email).await?;
        attempt
            .settle(async {
                let (challenge, user) = challenge.zip(user).ok_or(SessionError::Challenge(ChallengeProblem::Unknown))?;
                attempt.concerns(user.id);
                self.answer(&attempt, &challenge, &user, &command).await
            })
            .await
    }

    async fn answer(&self, attempt: &Attempt, known: &Challenge, user: &User, command: &VerifySecondFactor) -> Result<Granted, SessionError> {
        let now = self.clock.now();
        // What is past is past; everything else is looked at once more in the user's turn.
        known.check(&password_digest(&user.password), now).map_err(SessionError::Challenge)?;
        let network = self.guesses.known_network(Some(user), &command.requester.origin, now).await?;
        let newcomer = self.newcomer(user.id, &command.requester.origin, now).await?;
        let mut work = self.store.begin(attempt).await?;
        let void = SessionError::Challenge(ChallengeProblem::Void);
        let user = work.sign_ins().take_turn(user.id).await?.filter(|user| user.is_active).ok_or(void)?;
        let challenge = work.second_factors().find_any_challenge(&known.hash).await?.ok_or(SessionError::Challenge(ChallengeProblem::Void))?;
        let now = self.clock.now();
        challenge.check(&password_digest(&user.password), now).map_err(SessionError::Challenge)?;
        let factor = work.second_factors().find(user.id).await?.filter(|factor| factor.enabled_at.is_some());
        let factor = factor.ok_or(SessionError::Challenge(ChallengeProblem::Void))?;
        let (mut work, by) = match self.codes.decide(work, &factor, Some(challenge.id), &command.code).await? {
            CodeVerdict::Right(work, by) => (work, by),
            CodeVerdict::Refused(refusal) => return Err(refusal.into()),
        };
        if !work.second_factors().spend_challenge(challenge.id, now).await? {
            return Err(SessionError::Challenge(ChallengeProblem::Spent));
        }
        self.admit(work, &user, newcomer, network.as_ref(), Some(by)).await
    }

    /// Hands out a challenge instead of a session, and commits it.
    pub(super) async fn challenge(&self, mut work: Box<dyn Work>, user: &User, record: &PasswordRecord, now: Timestamp) -> Result<Challenged, SessionError> {
        let token = SecretString::from(BASE64_URL_SAFE_NO_PAD.encode(self.randomness.secret()));
        let challenge = Challenge {
            id: ChallengeId(self.randomness.id()),
            user: user.id,
            hash: token_hash(&token).ok_or_else(|| anyhow::anyhow!("the token of a challenge is too long"))?,
            password_digest: password_digest(record),
            created_at: now,
            failures: 0,
            spent_at: None,
        };
        work.second_factors().insert_challenge(&challenge).await?;
        work.succeed(Event::SignInChallenged { user: user.id }).await?;
        Ok(Challenged { token, expires_at: challenge.expires_at() })
    }
}
