//! Signing in with a password: who gets in, and whose session makes room.

use crate::{
    application::{
        access::Origin,
        audit::Attempt,
        guesses::Verdict,
        ports::{RefreshPair, Work},
    },
    domain::{
        event::Event,
        id::{SessionId, UserId},
        second_factor::Factor,
        session::{RefreshToken, RevocationReason, Session},
        sign_in::{Network, Which},
        time::Timestamp,
        user::{EmailAddress, User},
    },
};

use super::{CreateSession, Granted, SessionCommands, SessionError, SignedIn};

impl SessionCommands {
    /// One comparison is made whatever is known of the address; what came of it counts only if nothing else has decided meanwhile.
    pub(super) async fn sign_in(&self, attempt: &Attempt, command: CreateSession, email: Option<&EmailAddress>) -> Result<SignedIn, SessionError> {
        let user = match email {
            Some(email) => self.users.find_any_by_email(email.key()).await?.filter(|user| user.is_active),
            None => None,
        };
        if let Some(user) = &user {
            attempt.concerns(user.id);
        }
        let origin = command.requester.origin;
        let compared = self.guesses.compare(user, &command.password, &origin).await?.ok_or(SessionError::InvalidCredentials)?;
        let is_stale = compared.proven && !self.hasher.is_current(&compared.user.password);
        let renewed = if is_stale { Some(self.hasher.hash(&compared.typed).await?) } else { None };
        let newcomer = if compared.proven { Some(self.newcomer(compared.user.id, &origin, self.clock.now()).await?) } else { None };

        let work = self.store.begin(attempt).await?;
        let (mut work, user) = match self.guesses.decide(work, &compared, &SessionError::InvalidCredentials).await? {
            Verdict::Right(work, user) => (work, user),
            Verdict::Wrong => return Err(SessionError::InvalidCredentials),
            Verdict::Paused => return Err(SessionError::Paused),
        };
        let newcomer = newcomer.ok_or(SessionError::InvalidCredentials)?;
        if user.email_verified_at.is_none() {
            return Err(SessionError::Unverified);
        }
        if let Some(renewed) = &renewed {
            work.users().save_password(user.id, renewed).await?;
        }
        if work.second_factors().find(user.id).await?.is_some_and(|factor| factor.enabled_at.is_some()) {
            // Failures go on counting: only all factors together end them.
            let record = renewed.as_ref().unwrap_or(&user.password);
            return self.challenge(work, &user, record, self.clock.now()).await.map(SignedIn::Challenged);
        }
        self.admit(work, &user, newcomer, compared.network(), None).await.map(SignedIn::Granted)
    }

    /// A session that may begin, with its first refresh token. Made before a transaction is opened, since hashing the token takes a while.
    pub(super) async fn newcomer(&self, user: UserId, origin: &Origin, now: Timestamp) -> anyhow::Result<Newcomer> {
        let session = Session::begin(SessionId(self.randomness.id()), user, origin.ip.clone(), origin.user_agent.clone(), now);
        let pair = self.mint.fresh();
        let versions = self.rotations.minimums(user).await?.current();
        let token = self.token_row(&session, &pair, versions, now).await?;
        Ok(Newcomer { session, pair, token })
    }

    /// Lets a user in who has shown everything there is to show, in their turn, and commits it.
    pub(super) async fn admit(
        &self,
        mut work: Box<dyn Work>,
        user: &User,
        newcomer: Newcomer,
        network: Option<&Network>,
        factor: Option<Factor>,
    ) -> Result<Granted, SessionError> {
        let Newcomer { session, pair, token } = newcomer;
        let now = session.created_at;
        work.sign_ins().clear(user.id, Which::One(network)).await?;
        let evicted = make_room(work.as_mut(), user, now).await?;
        let granted = self.grant(session, user, &pair, token.versions, now)?;
        work.sessions().insert(&granted.session).await?;
        work.sessions().insert_token(&token).await?;
        work.succeed(Event::SessionCreated { session: granted.session.id, user: user.id, evicted: evicted.len(), factor }).await?;
        for session in evicted {
            self.gate.forget(user.id, session);
        }
        Ok(granted)
    }
}

/// A session that is not stored yet.
pub(super) struct Newcomer {
    session: Session,
    pair: RefreshPair,
    token: RefreshToken,
}

/// Ends the oldest sessions of a user who would have more than their tier allows; answers which.
async fn make_room(work: &mut dyn Work, user: &User, now: Timestamp) -> anyhow::Result<Vec<SessionId>> {
    let Some(limit) = user.sessions() else { return Ok(Vec::new()) };
    let live = work.sessions().live(user.id, now).await?;
    let surplus = (live.len() + 1).saturating_sub(limit);
    end_each(work, live.into_iter().take(surplus), RevocationReason::Evicted, now).await
}

/// Ends sessions in a unit of work; answers which of them were live.
pub(in crate::application) async fn end_each(
    work: &mut dyn Work,
    sessions: impl Iterator<Item = Session> + Send,
    reason: RevocationReason,
    now: Timestamp,
) -> anyhow::Result<Vec<SessionId>> {
    let mut ended = Vec::new();
    for mut session in sessions {
        if session.revoke(reason, now).is_ok() && work.sessions().end(&session).await? {
            ended.push(session.id);
        }
    }
    Ok(ended)
}
