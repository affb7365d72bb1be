//! Refusals that are counted instead of written one by one. In memory, so each process counts its own.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::Duration;

use crate::{
    application::access::{Denied, Requester},
    domain::{audit::Act, id::UserId, sign_in::Network, time::Timestamp},
};

/// How long refusals are counted before they are told.
const MINUTE: i64 = 60;

/// How many are told apart. Whoever comes from more networks than this is counted as one.
const MOST: usize = 10_000;

/// Who was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    User(UserId),
    Network(Option<Network>),
    Crowd,
}

/// Refusals of one act to one actor or network within a minute.
pub(super) struct Refusal {
    since: Timestamp,
    /// Besides the first, which was written when it came.
    pub(super) more: u64,
    /// The last of them.
    pub(super) requester: Requester,
    /// How the last of them was turned away.
    pub(super) denied: Denied,
}

/// What was refused within the last minute.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<(Who, Act), Refusal>>);

impl Refusals {
    /// Counts one. Answers whether it is the first of its minute, and what was counted in a minute that is over by now.
    pub(super) fn count(&self, requester: &Requester, act: Act, denied: Denied, now: Timestamp) -> (bool, Option<Refusal>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let who = requester.user().map_or_else(|| Who::Network(requester.origin.ip.as_deref().and_then(Network::of_text)), Who::User);
        let key = (who, act);
        let key = if seen.len() < MOST || seen.contains_key(&key) { key } else { (Who::Crowd, act) };
        match seen.get_mut(&key) {
            Some(refusal) if !is_over(refusal, now) => {
                refusal.more += 1;
                refusal.requester.clone_from(requester);
                refusal.denied = denied;
                (false, None)
            }
            _ => {
                let over = seen.insert(key, Refusal { since: now, more: 0, requester: requester.clone(), denied });
                (true, over.filter(|over| over.more > 0))
            }
        }
    }

    /// Takes out what was counted in minutes that are over, or in any.
    pub(super) fn take_over(&self, now: Timestamp, all: bool) -> Vec<(Act, Refusal)> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = seen.extract_if(|_, refusal| all || is_over(refusal, now));
        over.filter(|(_, refusal)| refusal.more > 0).map(|((_, act), refusal)| (act, refusal)).collect()
    }
}

fn is_over(refusal: &Refusal, now: Timestamp) -> bool {
    now.since(refusal.since) >= Duration::seconds(MINUTE)
}
