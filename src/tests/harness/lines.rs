//! Lines to stand-ins of providers: with the product's own time-outs and circuits, and a test's clock and patience.

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use dashtam::{
    domain::time::Clock,
    infrastructure::{
        memory::rate_limit::MemoryBuckets,
        metrics::Metrics,
        providers::http::{Line, Policy, Switchboard, outside::Names},
    },
};

use super::clock::TestRandomness;

/// Patient enough for a machine that is busy, and hardly any pause between tries.
pub(crate) const QUICK: Policy = Policy { connect: Duration::from_secs(2), time_out: Duration::from_secs(2), pause: Duration::from_millis(2), ..Policy::USUAL };

/// A switchboard with buckets and metrics of its own.
pub(crate) fn switchboard(clock: Arc<dyn Clock>) -> (Switchboard, Arc<Metrics>) {
    let meter = Arc::new(Metrics::new());
    (Switchboard::new(Arc::new(MemoryBuckets::new(clock.clone())), meter.clone(), clock, Arc::new(TestRandomness)), meter)
}

/// One line, of a switchboard that nobody looks at.
pub(crate) fn line(policy: Policy, clock: Arc<dyn Clock>) -> Line {
    switchboard(clock).0.line("stand-in", policy).unwrap()
}

/// Answers look-ups as a test wants, one after the other, the last one for ever; counts them.
pub(crate) struct ScriptedNames {
    answers: Vec<Vec<IpAddr>>,
    asked: std::sync::atomic::AtomicUsize,
}

impl ScriptedNames {
    pub(crate) fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect()).collect();
        Arc::new(Self { answers, asked: 0.into() })
    }

    /// How often a name was looked up.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[async_trait]
impl Names for ScriptedNames {
    async fn addresses(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        let at = self.asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok(self.answers[at.min(self.answers.len() - 1)].clone())
    }
}
