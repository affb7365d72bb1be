//! When a provider is left alone: after so many failures in a row, for a while that grows with each time it is tried in vain.
//!
//! There is one circuit for a provider and one for each link that has trouble, so that a bank which cannot answer for one person is still
//! asked for the others. Failures are no answer, and 5xx; a provider that refuses or asks for patience is well. Each process finds out for
//! itself, which costs a provider that is down a handful of requests more.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::Duration;

use crate::{
    application::ports::Meter,
    domain::{
        id::LinkId,
        provider,
        time::{Clock, Timestamp},
    },
};

/// Failures in a row, whoever they were for, after which a provider is left alone.
const OF_PROVIDER: u32 = 10;

/// The same for one link.
const OF_LINK: u32 = 5;

/// The first pause; each trial in vain doubles it.
const FIRST_PAUSE_SECONDS: i64 = 30;

/// The longest pause.
const LONGEST_PAUSE_SECONDS: i64 = 900;

/// How many links with trouble are kept apart.
const MOST_LINKS: usize = 10_000;

/// One circuit.
#[derive(Debug, Clone, Copy)]
struct Circuit {
    /// Failures in a row.
    failures: u32,
    /// Until when nothing is asked, once there were too many.
    left_alone: Option<(Timestamp, Duration)>,
    /// Whether the one request is out that finds out.
    is_probing: bool,
}

impl Circuit {
    const fn closed() -> Self {
        Self { failures: 0, left_alone: None, is_probing: false }
    }

    /// How long it is until a request may be made; `None` when one may be made now. The one that finds out may take a moment.
    fn closed_for(self, now: Timestamp) -> Option<Duration> {
        match self.left_alone {
            Some((until, _)) if now < until => Some(until.since(now)),
            Some(_) if self.is_probing => Some(Duration::seconds(1)),
            _ => None,
        }
    }

    /// A request is made that was admitted.
    fn begin(&mut self) {
        self.is_probing = self.left_alone.is_some();
    }

    fn fail(&mut self, most: u32, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        let pause = match self.left_alone {
            None if self.failures < most => return,
            None => Duration::seconds(FIRST_PAUSE_SECONDS),
            // An answer that comes in late tells nothing new.
            Some(_) if !self.is_probing => return,
            Some((_, pause)) => (pause * 2).min(Duration::seconds(LONGEST_PAUSE_SECONDS)),
        };
        (self.left_alone, self.is_probing) = (Some((now.plus(pause), pause)), false);
    }

    fn state(self, now: Timestamp) -> provider::Circuit {
        match self.left_alone {
            None => provider::Circuit::Closed,
            Some((until, _)) if now < until => provider::Circuit::Open,
            Some(_) => provider::Circuit::HalfOpen,
        }
    }
}

/// The circuits of one provider.
pub(super) struct Circuits {
    provider: &'static str,
    kept: Mutex<Kept>,
}

struct Kept {
    whole: Circuit,
    /// Only of links that failed.
    of_links: HashMap<LinkId, Circuit>,
}

impl Circuits {
    /// With nothing known against it.
    pub(super) fn new(provider: &'static str) -> Self {
        Self { provider, kept: Mutex::new(Kept { whole: Circuit::closed(), of_links: HashMap::new() }) }
    }

    /// How the provider's own stands.
    pub(super) fn state(&self, now: Timestamp) -> provider::Circuit {
        self.kept().whole.state(now)
    }

    /// Leave to make one request; else how long the provider, or the link at it, is left alone.
    pub(super) fn admit<'a>(&'a self, link: Option<LinkId>, clock: &'a dyn Clock, meter: &'a dyn Meter) -> Result<Permit<'a>, Duration> {
        let now = clock.now();
        let mut kept = self.kept();
        let of_link = link.and_then(|link| kept.of_links.get_mut(&link));
        if let Some(wait) = of_link.as_ref().and_then(|circuit| circuit.closed_for(now)) {
            return Err(wait);
        }
        let of_link = of_link.map(|circuit| {
            circuit.begin();
            circuit.is_probing
        });
        if let Some(wait) = kept.whole.closed_for(now) {
            // What was begun for the link is not made after all.
            if let (Some(true), Some(circuit)) = (of_link, link.and_then(|link| kept.of_links.get_mut(&link))) {
                circuit.is_probing = false;
            }
            return Err(wait);
        }
        kept.whole.begin();
        let is_probe = (kept.whole.is_probing, of_link.unwrap_or(false));
        Ok(Permit { circuits: self, link, clock, meter, is_probe })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to make one request. Dropped without having settled, the request was given up, and another may find out.
pub(super) struct Permit<'a> {
    circuits: &'a Circuits,
    link: Option<LinkId>,
    clock: &'a dyn Clock,
    meter: &'a dyn Meter,
    /// Whether it finds out for the provider, and for the link.
    is_probe: (bool, bool),
}

impl Permit<'_> {
    /// The request was made; `is_well` when the provider answered in its right mind.
    pub(super) fn settle(mut self, is_well: bool) {
        let now = self.clock.now();
        let mut kept = self.circuits.kept();
        let before = kept.whole.left_alone.is_some();
        if is_well {
            kept.whole = Circuit::closed();
            if let Some(link) = self.link {
                kept.of_links.remove(&link);
            }
        } else {
            kept.whole.fail(OF_PROVIDER, now);
            if let Some(link) = self.link
                && (kept.of_links.contains_key(&link) || kept.of_links.len() < MOST_LINKS)
            {
                kept.of_links.entry(link).or_insert(Circuit::closed()).fail(OF_LINK, now);
            }
        }
        self.is_probe = (false, false);
        let after = kept.whole.left_alone.is_some();
        drop(kept);
        if before != after {
            let provider = self.circuits.provider;
            self.meter.provider_left_alone(provider, after);
            if after {
                tracing::warn!(provider, "a provider failed too often in a row and is left alone for a while");
            } else {
                tracing::info!(provider, "a provider that was left alone answers again");
            }
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let (of_provider, of_link) = self.is_probe;
        if of_provider || of_link {
            let mut kept = self.circuits.kept();
            if of_provider {
                kept.whole.is_probing = false;
            }
            if let (true, Some(circuit)) = (of_link, self.link.and_then(|link| kept.of_links.get_mut(&link))) {
                circuit.is_probing = false;
            }
        }
    }
}
