//! What a process remembers of sessions.
//!
//! What was read is only as new as the moment its statement began. Dropping and taking are numbered, so that what was read before a
//! session ended is never taken after it, however the two overlap.

use std::collections::HashMap;

use chrono::Duration;

use crate::domain::{
    id::{SessionId, UserId},
    session::SessionState,
    signal::Signal,
    time::Timestamp,
};

/// How long a state is trusted after it was read.
const TRUST_MILLISECONDS: i64 = 1000;

/// How long a state is read again and again after it was last asked for.
const KEPT_SECONDS: i64 = 60;

/// How many sessions are remembered.
const CAPACITY: usize = 50_000;

/// How many of them are read again and again: those that were asked for last. The others are read when they are asked for.
const KEPT: usize = 4_096;

/// A moment in the order of what happened here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Turn(u64);

/// The states.
#[derive(Default)]
pub(super) struct Memory {
    states: HashMap<SessionId, Remembered>,
    /// The last thing that happened.
    turn: Turn,
    /// The last thing that was dropped.
    dropped: Turn,
}

struct Remembered {
    state: SessionState,
    read_at: Timestamp,
    asked_at: Timestamp,
    taken: Turn,
}

impl Remembered {
    /// A clock that was set back makes nothing last longer.
    fn is_fresh(&self, now: Timestamp) -> bool {
        (Duration::zero()..Duration::milliseconds(TRUST_MILLISECONDS)).contains(&now.since(self.read_at))
    }

    fn is_asked_for(&self, now: Timestamp) -> bool {
        now.since(self.asked_at) < Duration::seconds(KEPT_SECONDS)
    }
}

impl Memory {
    /// A state that may be trusted; else the moment at which a reading of it begins.
    pub(super) fn find(&mut self, session: SessionId, now: Timestamp) -> Result<SessionState, Turn> {
        let Some(found) = self.states.get_mut(&session) else { return Err(self.turn) };
        found.asked_at = now;
        if found.is_fresh(now) { Ok(found.state) } else { Err(self.turn) }
    }

    /// Takes what somebody who asked has read from `began` on; `false` when it is not remembered, since something was dropped meanwhile or
    /// there is no room.
    pub(super) fn take(&mut self, state: SessionState, now: Timestamp, began: Turn) -> bool {
        if self.dropped > began {
            return false;
        }
        if self.states.len() >= CAPACITY {
            self.states.retain(|_, remembered| remembered.is_fresh(now));
        }
        if self.states.len() >= CAPACITY {
            return false;
        }
        let taken = self.next();
        self.states.insert(state.session, Remembered { state, read_at: now, asked_at: now, taken });
        true
    }

    /// The sessions that are asked for, to be read again, and the moment at which that begins. The others are forgotten.
    pub(super) fn asked_for(&mut self, now: Timestamp) -> Vec<SessionId> {
        self.states.retain(|_, remembered| remembered.is_asked_for(now));
        let mut asked: Vec<_> = self.states.iter().map(|(session, remembered)| (remembered.asked_at, *session)).collect();
        if asked.len() > KEPT {
            asked.select_nth_unstable_by(KEPT, |one, other| other.cmp(one));
            asked.truncate(KEPT);
        }
        asked.into_iter().map(|(_, session)| session).collect()
    }

    /// The moment at which a reading begins.
    pub(super) fn begin(&self) -> Turn {
        self.turn
    }

    /// Takes what was read again of `asked`, from `began` and `now` on. What was dropped or read anew meanwhile stays as it is; what was not
    /// found is gone.
    pub(super) fn take_again(&mut self, asked: &[SessionId], states: Vec<SessionState>, now: Timestamp, began: Turn) {
        let mut read: HashMap<_, _> = states.into_iter().map(|state| (state.session, state)).collect();
        for session in asked {
            let Some(remembered) = self.states.get_mut(session).filter(|remembered| remembered.taken <= began) else { continue };
            match read.remove(session) {
                Some(state) => (remembered.state, remembered.read_at) = (state, now),
                None => drop(self.states.remove(session)),
            }
        }
    }

    /// Drops what a signal makes doubtful.
    pub(super) fn drop_what(&mut self, signal: Signal) {
        match signal {
            Signal::SessionEnded { session, .. } => drop(self.states.remove(&session)),
            Signal::UserChanged { user } => self.drop_of(user),
            Signal::EveryoneChanged => self.states.clear(),
            // Whether a session is live does not depend on these.
            Signal::ChangesLogged { .. } | Signal::LinkChanged { .. } | Signal::SyncProgressed { .. } => return,
        }
        self.dropped = self.next();
    }

    fn drop_of(&mut self, user: UserId) {
        self.states.retain(|_, remembered| remembered.state.user != user);
    }

    fn next(&mut self) -> Turn {
        self.turn = Turn(self.turn.0 + 1);
        self.turn
    }
}
