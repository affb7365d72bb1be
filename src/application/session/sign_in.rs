//! Signing in with a password: who gets in, and whose session makes room.

use crate::{
    application::{audit::Attempt, guesses::Verdict, ports::Work},
    domain::{
        event::Event,
        id::SessionId,
        session::{RevocationReason, Session},
        sign_in::Which,
        time::Timestamp,
        user::{EmailAddress, User},
    },
};

use super::{CreateSession, Granted, SessionCommands, SessionError};

impl SessionCommands {
    /// One comparison is made whatever is known of the address; what came of it counts only if nothing else has decided meanwhile.
    pub(super) async fn sign_in(&self, attempt: &Attempt, command: CreateSession, email: Option<&EmailAddress>) -> Result<Granted, SessionError> {
        let user = match email {
            Some(email) => self.users.find_any_by_email(email.key()).await?.filter(|user| user.is_active),
            None => None,
        };
        let origin = command.requester.origin;
        let compared = self.guesses.compare(user, &command.password, &origin).await?.ok_or(SessionError::InvalidCredentials)?;
        let is_stale = compared.proven && !self.hasher.is_current(&compared.user.password);
        let renewed = if is_stale { Some(self.hasher.hash(&compared.typed).await?) } else { None };
        let now = self.clock.now();
        let session = Session::begin(SessionId(self.randomness.id()), compared.user.id, origin.ip, origin.user_agent, now);
        let pair = self.mint.fresh();
        let token = if compared.proven { Some(self.token_row(&session, &pair, now).await?) } else { None };

        let work = self.store.begin(attempt).await?;
        let (mut work, user) = match self.guesses.decide(work, &compared, &SessionError::InvalidCredentials).await? {
            Verdict::Right(work, user) => (work, user),
            Verdict::Wrong => return Err(SessionError::InvalidCredentials),
            Verdict::Paused => return Err(SessionError::Paused),
        };
        let token = token.ok_or(SessionError::InvalidCredentials)?;
        if user.email_verified_at.is_none() {
            return Err(SessionError::Unverified);
        }
        work.sign_ins().clear(user.id, Which::One(compared.network())).await?;
        if let Some(renewed) = renewed {
            work.users().save_password(user.id, &renewed).await?;
        }
        let evicted = make_room(work.as_mut(), &user, now).await?;
        let granted = self.grant(session, &user, &pair, token.versions, now)?;
        work.sessions().insert(&granted.session).await?;
        work.sessions().insert_token(&token).await?;
        work.succeed(Event::SessionCreated { session: granted.session.id, user: user.id, evicted: evicted.len() }).await?;
        for session in evicted {
            self.gate.forget(session);
        }
        Ok(granted)
    }
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
