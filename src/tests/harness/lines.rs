//! Lines to stand-ins of providers: with the product's own time-outs and circuits, and a test's clock and patience.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use dashtam::{
    domain::{
        id::{LinkId, UserId},
        pause::{Pause, PauseReason, Pauses},
        time::Clock,
    },
    infrastructure::{
        memory::rate_limit::MemoryBuckets,
        metrics::Metrics,
        providers::http::{Line, Policy, Switchboard, outside::Names},
    },
};

use super::clock::TestRandomness;

/// Patient enough for a machine that is busy, and hardly any pause between tries.
pub(crate) const QUICK: Policy = Policy { connect: Duration::from_secs(2), time_out: Duration::from_secs(2), pause: Duration::from_millis(2), ..Policy::USUAL };

/// A switchboard with buckets and metrics of its own, that hears of nobody else.
pub(crate) fn switchboard(clock: Arc<dyn Clock>) -> (Switchboard, Arc<Metrics>) {
    switchboard_beside(Arc::default(), clock)
}

/// One that shares pauses with others.
pub(crate) fn switchboard_beside(pauses: Arc<KeptPauses>, clock: Arc<dyn Clock>) -> (Switchboard, Arc<Metrics>) {
    let meter = Arc::new(Metrics::new());
    (Switchboard::new(Arc::new(MemoryBuckets::new(clock.clone())), pauses, meter.clone(), clock, Arc::new(TestRandomness)), meter)
}

/// Pauses of one provider, as processes tell each other.
#[derive(Default)]
pub(crate) struct KeptPauses {
    pauses: Mutex<Vec<Pause>>,
    /// Whether nobody can say or hear anything.
    pub(crate) are_gone: AtomicBool,
}

impl KeptPauses {
    /// Those of the provider, or of a link at it.
    pub(crate) fn of(&self, link: Option<LinkId>) -> Vec<Pause> {
        let pauses = self.pauses.lock().unwrap();
        pauses.iter().filter(|pause| pause.link == link).cloned().collect()
    }

    fn there(&self) -> anyhow::Result<MutexGuard<'_, Vec<Pause>>> {
        anyhow::ensure!(!self.are_gone.load(Ordering::SeqCst), "gone");
        Ok(self.pauses.lock().unwrap())
    }
}

#[async_trait]
impl Pauses for KeptPauses {
    async fn begin(&self, pause: &Pause) -> anyhow::Result<()> {
        let mut pauses = self.there()?;
        let longer = pauses.iter().any(|kept| (kept.link, kept.reason) == (pause.link, pause.reason) && kept.until >= pause.until);
        if !longer {
            pauses.retain(|kept| (kept.link, kept.reason) != (pause.link, pause.reason));
            pauses.push(pause.clone());
        }
        Ok(())
    }

    async fn end(&self, _: &str, link: Option<LinkId>) -> anyhow::Result<()> {
        self.there()?.retain(|kept| (kept.link, kept.reason) != (link, PauseReason::Failing));
        Ok(())
    }

    async fn all_at(&self, _: &str) -> anyhow::Result<Vec<Pause>> {
        Ok(self.there()?.clone())
    }

    async fn at(&self, _: &[String]) -> anyhow::Result<Vec<Pause>> {
        Ok(self.of(None))
    }

    async fn of(&self, _: UserId, links: &[LinkId]) -> anyhow::Result<Vec<Pause>> {
        Ok(links.iter().flat_map(|link| self.of(Some(*link))).collect())
    }
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
