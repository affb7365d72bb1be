//! All lines of this process: made here once each, and looked at by who wants to know how they stand.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use async_trait::async_trait;

use crate::{
    application::ports::{Lines, Meter, Randomness, RateLimiter},
    domain::{
        id::LinkId,
        pause::Pauses,
        rate_limit::{RequestsLeft, Subject},
        time::Clock,
    },
};

use super::{
    Inner, Line, Policy, bare,
    circuit::Circuits,
    outside::{Guarded, Names, Reach, SystemNames},
    pause::Heard,
};

/// Makes lines.
pub struct Switchboard {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Jitter, and ids of spans.
    pub randomness: Arc<dyn Randomness>,
    /// Who knows the addresses of names.
    pub names: Arc<dyn Names>,
    limiter: Arc<dyn RateLimiter>,
    pauses: Arc<dyn Pauses>,
    meter: Arc<dyn Meter>,
    lines: Mutex<HashMap<&'static str, Line>>,
}

impl Switchboard {
    /// Over the machine's own resolver.
    pub fn new(limiter: Arc<dyn RateLimiter>, pauses: Arc<dyn Pauses>, meter: Arc<dyn Meter>, clock: Arc<dyn Clock>, randomness: Arc<dyn Randomness>) -> Self {
        Self { clock, randomness, names: Arc::new(SystemNames), limiter, pauses, meter, lines: Mutex::default() }
    }

    /// The line to a provider, made now. What was made for it before goes on, and is no longer looked at.
    pub fn line(&self, provider: &'static str, policy: Policy) -> anyhow::Result<Line> {
        let builder = bare(policy.connect, policy.time_out);
        let builder = match policy.reach {
            Reach::Configured => builder,
            // A proxy would look the name up once more, out of our sight.
            reach => builder.no_proxy().dns_resolver(Guarded::new(self.names.clone(), reach)),
        };
        let line = Line(Arc::new(Inner {
            provider,
            policy,
            http: builder.build().context("no HTTP client can be made")?,
            circuits: Circuits::new(provider),
            limiter: self.limiter.clone(),
            meter: self.meter.clone(),
            clock: self.clock.clone(),
            randomness: self.randomness.clone(),
            pauses: self.pauses.clone(),
            heard: Heard::default(),
        }));
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).insert(provider, line.clone());
        Ok(line)
    }

    fn find(&self, provider: &str) -> Option<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).get(provider).cloned()
    }
}

#[async_trait]
impl Lines for Switchboard {
    async fn requests_left(&self, provider: &str, link: LinkId) -> Option<RequestsLeft> {
        let Inner { provider, policy, limiter, .. } = &*self.find(provider)?.0;
        let budgets =
            [policy.for_everyone.map(|budget| (budget, Subject::Provider(provider))), policy.for_each_link.map(|budget| (budget, Subject::Link(link)))];
        let budgets: Vec<_> = budgets.into_iter().flatten().collect();
        if budgets.is_empty() {
            return None;
        }
        // To take nothing is to look.
        let charges: Vec<_> = budgets.iter().map(|(budget, subject)| budget.charge(subject.clone(), 0)).collect();
        let standings = limiter.charge(&charges).await.standings;
        budgets.iter().zip(standings).map(|((budget, _), standing)| budget.left(standing)).min_by_key(|left| left.remaining)
    }
}
