//! When a provider is left alone: after so many failures in a row, for a while that grows with each time it is tried in vain.
//!
//! There is one circuit for a provider and one for each link that has trouble, so that a bank which cannot answer for one person is still
//! asked for the others. Failures are no answer, and 5xx; a provider that refuses or asks for patience is well. Each process counts failures for
//! itself, and heeds what others tell of circuits that are open.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::Duration;

use crate::{
    application::ports::Meter,
    domain::{
        id::LinkId,
        pause::{Pause, PauseReason},
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

/// Whose circuit it is: the provider's, or that of one link at it.
type Subject = Option<LinkId>;

/// One circuit of something that failed.
#[derive(Debug, Clone, Copy, Default)]
struct Circuit {
    /// Failures in a row.
    failures: u32,
    /// Until when nothing is asked, and how long that is, once there were too many.
    left_alone: Option<(Timestamp, Duration)>,
    /// Whether the one request is out that finds out.
    is_probing: bool,
}

impl Circuit {
    /// How long it is until a request may be made; `None` when one may be made now. The one that finds out may take a moment.
    fn closed_for(self, now: Timestamp) -> Option<Duration> {
        match self.left_alone {
            Some((until, _)) if now < until => Some(until.since(now)),
            Some(_) if self.is_probing => Some(Duration::seconds(1)),
            _ => None,
        }
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
}

/// What other processes are to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// A circuit has opened, or stays open for longer.
    Opened(Pause),
    /// It has closed.
    Closed(Subject),
}

/// The circuits of one provider.
pub(super) struct Circuits {
    provider: &'static str,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Only of what failed.
    circuits: HashMap<Subject, Circuit>,
    /// What was opened or closed here since others were listened to: they may not have heard of it when they were asked.
    changed: HashSet<Subject>,
}

impl Kept {
    fn is_left_alone(&self) -> bool {
        self.circuits.get(&None).is_some_and(|circuit| circuit.left_alone.is_some())
    }
}

impl Circuits {
    /// With nothing known against it.
    pub(super) fn new(provider: &'static str) -> Self {
        Self { provider, kept: Mutex::default() }
    }

    /// Leave to make one request; else how long the provider, or the link at it, is left alone.
    pub(super) fn admit<'a>(&'a self, link: Option<LinkId>, clock: &'a dyn Clock, meter: &'a dyn Meter) -> Result<Permit<'a>, Duration> {
        let now = clock.now();
        let subjects: Vec<Subject> = link.map(Some).into_iter().chain([None]).collect();
        let mut kept = self.kept();
        if let Some(wait) = subjects.iter().find_map(|subject| kept.circuits.get(subject)?.closed_for(now)) {
            return Err(wait);
        }
        let mut probes = subjects.clone();
        probes.retain(|subject| {
            kept.circuits.get_mut(subject).is_some_and(|circuit| {
                circuit.is_probing = circuit.left_alone.is_some();
                circuit.is_probing
            })
        });
        Ok(Permit { circuits: self, subjects, clock, meter, probes })
    }

    /// Heeds what others tell of all circuits of this provider.
    pub(super) fn hear(&self, pauses: &[Pause], meter: &dyn Meter) {
        let told: HashMap<Subject, (Timestamp, Duration)> =
            pauses.iter().filter(|pause| pause.reason == PauseReason::Failing).map(|pause| (pause.link, (pause.until, pause.length))).collect();
        let mut kept = self.kept();
        let before = kept.is_left_alone();
        let Kept { circuits, changed } = &mut *kept;
        circuits.retain(|subject, circuit| circuit.left_alone.is_none() || told.contains_key(subject) || changed.contains(subject));
        for (subject, left_alone) in told {
            if !changed.contains(&subject) {
                circuits.entry(subject).or_default().left_alone = Some(left_alone);
            }
        }
        changed.clear();
        let after = kept.is_left_alone();
        drop(kept);
        self.tell(before, after, meter);
    }

    /// Tells who runs this.
    fn tell(&self, before: bool, after: bool, meter: &dyn Meter) {
        if before == after {
            return;
        }
        let provider = self.provider;
        meter.provider_left_alone(provider, after);
        if after {
            tracing::warn!(provider, "a provider failed too often in a row and is left alone for a while");
        } else {
            tracing::info!(provider, "a provider that was left alone answers again");
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to make one request. Dropped without having settled, the request was given up, and another may find out.
pub(super) struct Permit<'a> {
    circuits: &'a Circuits,
    /// The provider, and the link it is asked for.
    subjects: Vec<Subject>,
    clock: &'a dyn Clock,
    meter: &'a dyn Meter,
    /// For whom of these it finds out.
    probes: Vec<Subject>,
}

impl Permit<'_> {
    /// The request was made; `is_well` when the provider answered in its right mind. Answers what others are to know of that.
    pub(super) fn settle(mut self, is_well: bool) -> Vec<News> {
        let now = self.clock.now();
        self.probes.clear();
        let mut news = Vec::new();
        let mut kept = self.circuits.kept();
        let before = kept.is_left_alone();
        for subject in &self.subjects {
            let Kept { circuits, changed } = &mut *kept;
            let known = circuits.get(subject).copied();
            let was = known.and_then(|circuit| circuit.left_alone);
            let is = if is_well {
                circuits.remove(subject);
                None
            } else if subject.is_none() || known.is_some() || circuits.len() < MOST_LINKS {
                let circuit = circuits.entry(*subject).or_default();
                circuit.fail(if subject.is_some() { OF_LINK } else { OF_PROVIDER }, now);
                circuit.left_alone
            } else {
                continue;
            };
            if was != is {
                changed.insert(*subject);
                news.push(is.map_or(News::Closed(*subject), |(until, length)| {
                    News::Opened(Pause { provider: self.circuits.provider.to_owned(), link: *subject, reason: PauseReason::Failing, until, length })
                }));
            }
        }
        let after = kept.is_left_alone();
        drop(kept);
        self.circuits.tell(before, after, self.meter);
        news
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.probes.is_empty() {
            return;
        }
        let mut kept = self.circuits.kept();
        for subject in &self.probes {
            if let Some(circuit) = kept.circuits.get_mut(subject) {
                circuit.is_probing = false;
            }
        }
    }
}
