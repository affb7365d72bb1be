//! The gate: whether a request's access token still stands for a live session.
//!
//! A signature proves who was signed in, not who still is. So each process keeps the state of the sessions it sees, trusts it for at
//! most a second after reading it, and drops it at once when it ends a session itself. Other processes follow within that second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::Duration;

use crate::{
    application::{
        access::Actor,
        ports::{TokenIssuer, TokenProblem},
    },
    domain::{
        id::{SessionId, UserId},
        session::{SessionReader, SessionState},
        time::{Clock, Timestamp},
    },
};

/// How long a state is trusted after it was read.
const TRUST_MILLISECONDS: i64 = 1000;

/// How many sessions are remembered before the old ones are swept out.
const CAPACITY: usize = 50_000;

/// Why a request with an Authorization header is treated as anonymous.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationProblem {
    /// Not a token of ours.
    #[error("the access token is not valid")]
    TokenInvalid,
    /// Past its time; refresh it.
    #[error("the access token has expired")]
    TokenExpired,
    /// Its session is over; sign in again.
    #[error("the session has ended")]
    SessionEnded,
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

/// Remembers the state of sessions, for a second.
pub struct SessionGate {
    issuer: Arc<dyn TokenIssuer>,
    sessions: Arc<dyn SessionReader>,
    clock: Arc<dyn Clock>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    states: HashMap<SessionId, (SessionState, Timestamp)>,
    /// Counts what was dropped here, so that a state read before one is not remembered after it.
    endings: u64,
}

impl SessionGate {
    /// Over the sessions of one store.
    pub fn new(issuer: Arc<dyn TokenIssuer>, sessions: Arc<dyn SessionReader>, clock: Arc<dyn Clock>) -> Self {
        Self { issuer, sessions, clock, seen: Mutex::default() }
    }

    /// Whom an access token stands for.
    pub async fn admit(&self, token: &str) -> Result<Actor, AuthenticationProblem> {
        let now = self.clock.now();
        let claims = self.issuer.verify(token, now).map_err(|problem| match problem {
            TokenProblem::Invalid => AuthenticationProblem::TokenInvalid,
            TokenProblem::Expired => AuthenticationProblem::TokenExpired,
        })?;
        let state = self.state(claims.session, now).await?.ok_or(AuthenticationProblem::SessionEnded)?;
        let is_over = !state.is_live || now >= state.expires_at || !state.minimums.admit_access(claims.versions, now);
        if state.user != claims.user || is_over {
            return Err(AuthenticationProblem::SessionEnded);
        }
        Ok(Actor::User { id: state.user, session: state.session, role: state.role })
    }

    /// Drops what is remembered of a session that ended in this process.
    pub fn forget(&self, session: SessionId) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.endings += 1;
        seen.states.remove(&session);
    }

    /// Drops what is remembered of a user's sessions, when something of the user changed in this process.
    pub fn forget_user(&self, user: UserId) {
        self.drop_where(|state| state.user == user);
    }

    /// Drops everything that is remembered, when something changed in this process that concerns everyone.
    pub fn forget_everyone(&self) {
        self.drop_where(|_| true);
    }

    fn drop_where(&self, is_stale: impl Fn(&SessionState) -> bool) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.endings += 1;
        seen.states.retain(|_, (state, _)| !is_stale(state));
    }

    async fn state(&self, session: SessionId, now: Timestamp) -> anyhow::Result<Option<SessionState>> {
        let fresh = |read_at: Timestamp| (Duration::zero()..Duration::milliseconds(TRUST_MILLISECONDS)).contains(&now.since(read_at));
        let endings = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((state, read_at)) = seen.states.get(&session)
                && fresh(*read_at)
            {
                return Ok(Some(*state));
            }
            seen.endings
        };
        let state = self.sessions.state_of_any(session).await?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = state
            && seen.endings == endings
        {
            if seen.states.len() >= CAPACITY {
                seen.states.retain(|_, (_, read_at)| fresh(*read_at));
            }
            seen.states.insert(session, (state, now));
        }
        Ok(state)
    }
}
