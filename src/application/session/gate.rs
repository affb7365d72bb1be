//! The gate: whether a request's access token still stands for a live session.
//!
//! A signature proves who was signed in, not who still is. So each process remembers the state of the sessions it sees and trusts it for at
//! most a second after it was read. While a session is asked for, its state is read again behind the back of requests ([`keeper`]), so that
//! they find a fresh one; where that fails, a request reads it itself. What ends a session drops its state at once in this process, and a
//! [signal](Signal) drops it in the others. Without signals they follow within that second: correctness never depends on them.

mod keeper;
mod memory;

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    application::{
        access::Actor,
        ports::{EventBus, Heard, TokenIssuer, TokenProblem},
    },
    domain::{
        id::{SessionId, UserId},
        session::{SessionReader, SessionState},
        signal::Signal,
        time::{Clock, Timestamp},
    },
};

use memory::Memory;

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

impl AuthenticationProblem {
    /// A word for clients and for whoever counts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TokenInvalid => "TOKEN_INVALID",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::SessionEnded => "SESSION_ENDED",
            Self::Unexpected(_) => "UNAVAILABLE",
        }
    }
}

/// Remembers the state of sessions, and trusts it for a second.
pub struct SessionGate {
    issuer: Arc<dyn TokenIssuer>,
    sessions: Arc<dyn SessionReader>,
    clock: Arc<dyn Clock>,
    bus: Arc<dyn EventBus>,
    memory: Mutex<Memory>,
    /// Rings when there is something to read again.
    bell: Notify,
}

impl SessionGate {
    /// Over the sessions of one store.
    pub fn new(issuer: Arc<dyn TokenIssuer>, sessions: Arc<dyn SessionReader>, clock: Arc<dyn Clock>, bus: Arc<dyn EventBus>) -> Self {
        Self { issuer, sessions, clock, bus, memory: Mutex::default(), bell: Notify::new() }
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

    /// Drops what is remembered of a session that ended in this process, and tells the others.
    pub fn forget(&self, user: UserId, session: SessionId) {
        self.drop_and_tell(Signal::SessionEnded { user, session });
    }

    /// Drops what is remembered of a user's sessions, when something of the user changed in this process, and tells the others.
    pub fn forget_user(&self, user: UserId) {
        self.drop_and_tell(Signal::UserChanged { user });
    }

    /// Drops everything that is remembered, when something changed in this process that concerns everyone, and tells the others.
    pub fn forget_everyone(&self) {
        self.drop_and_tell(Signal::EveryoneChanged);
    }

    /// Follows what other processes end, and reads again what is asked for, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::join!(self.follow(&stop), self.keep(&stop));
    }

    async fn follow(&self, stop: &CancellationToken) {
        let mut heard = self.bus.subscribe();
        loop {
            let heard = tokio::select! {
                () = stop.cancelled() => return,
                heard = heard.next() => heard,
            };
            match heard {
                // Dropped before it was given.
                Some(Heard::Signal { is_ours: true, .. }) => {}
                Some(Heard::Signal { signal, is_ours: false }) => self.memory(|memory| memory.drop_what(signal)),
                Some(Heard::Missed) => self.memory(|memory| memory.drop_what(Signal::EveryoneChanged)),
                // The bus is gone, and with it whatever it could tell.
                None => return,
            }
        }
    }

    fn drop_and_tell(&self, signal: Signal) {
        self.memory(|memory| memory.drop_what(signal));
        self.bus.publish(signal);
    }

    async fn state(&self, session: SessionId, now: Timestamp) -> anyhow::Result<Option<SessionState>> {
        let began = match self.memory(|memory| memory.find(session, now)) {
            Ok(state) => return Ok(Some(state)),
            Err(began) => began,
        };
        let state = self.sessions.state_of_any(session).await?;
        if let Some(state) = state
            && self.memory(|memory| memory.take(state, now, began))
        {
            self.bell.notify_one();
        }
        Ok(state)
    }

    fn memory<T>(&self, look: impl FnOnce(&mut Memory) -> T) -> T {
        look(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
