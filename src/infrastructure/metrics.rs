//! What is measured, in the text format of `OpenMetrics`, which Prometheus reads.
//!
//! A label has a value out of a list that this program knows: a route's template, one of nine methods, a word of ours. Nothing that a client
//! wrote becomes one, or a stranger could make as many series as they liked.

use std::time::Duration;

use anyhow::Context as _;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use crate::{
    application::ports::Meter,
    domain::{chain::Standing, outbox::Backlog, sync::SyncBacklog, time::Timestamp},
};

/// Upper bounds in seconds: from what the cache answers to what is cut off.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    method: &'static str,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    limit: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Topic {
    topic: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    provider: &'static str,
    call: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct At {
    provider: &'static str,
}

/// What is told of providers.
struct Providers {
    asked: Family<Asked, Counter>,
    took: Family<At, Histogram, fn() -> Histogram>,
    left_alone: Family<At, Gauge>,
}

impl Providers {
    fn register(registry: &mut Registry) -> Self {
        let took: Family<At, Histogram, fn() -> Histogram> = Family::new_with_constructor(|| Histogram::new(SECONDS));
        let (asked, left_alone) = (Family::default(), Family::default());
        registry.register("dashtam_provider_requests", "Requests to providers, each try by what became of it, and those that were held back", asked.clone());
        registry.register_with_unit("dashtam_provider_request_duration", "How long providers took to answer", Unit::Seconds, took.clone());
        registry.register("dashtam_provider_left_alone", "Whether a provider failed too often and is not asked for a while", left_alone.clone());
        Self { asked, took, left_alone }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

/// What the database is asked for when somebody looks.
pub struct Sample {
    /// What is not out yet.
    pub outbox: Vec<Backlog>,
    /// Syncs that are not done.
    pub syncs: SyncBacklog,
    /// How far the chain over the audit trail has come.
    pub audit: Standing,
}

/// Counts, and tells what was counted.
pub struct Metrics {
    registry: Registry,
    answered: Family<Answered, Counter>,
    took: Family<Route, Histogram, fn() -> Histogram>,
    operations: Family<Outcome, Counter>,
    tokens: Family<Why, Counter>,
    limited: Family<Of, Counter>,
    syncs_run: Family<Outcome, Counter>,
    providers: Providers,
    gauges: Gauges,
    process: Process,
}

#[derive(Default)]
struct Gauges {
    database_up: Gauge,
    outbox_waiting: Family<Topic, Gauge>,
    outbox_overdue: Family<Topic, Gauge>,
    outbox_parked: Family<Topic, Gauge>,
    syncs: Family<State, Gauge>,
    links_failing: Gauge,
    links_failing_longest: Gauge,
    unsealed: Gauge,
    oldest_unsealed: Gauge,
    checkpoint: Gauge,
    signals_lost: Counter,
}

#[derive(Default)]
struct Process {
    cpu: Counter<f64, std::sync::atomic::AtomicU64>,
    resident: Gauge,
    open_files: Gauge,
    started: Gauge,
}

impl Metrics {
    /// With nothing counted yet.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("dashtam_build", "What is running", build);
        let (answered, operations, tokens, syncs_run) = (Family::default(), Family::default(), Family::default(), Family::default());
        let took: Family<Route, Histogram, fn() -> Histogram> = Family::new_with_constructor(|| Histogram::new(SECONDS));
        registry.register("dashtam_http_requests", "Requests that were answered", answered.clone());
        registry.register_with_unit("dashtam_http_request_duration", "How long answers took", Unit::Seconds, took.clone());
        registry.register("dashtam_graphql_operations", "Operations of the graph: ok, with errors, or refused before they ran", operations.clone());
        registry.register("dashtam_access_tokens_refused", "Requests whose access token did not count", tokens.clone());
        let limited: Family<Of, Counter> = Family::default();
        registry.register("dashtam_rate_limited_requests", "Requests that were refused since there were too many lately", limited.clone());
        registry.register("dashtam_sync_runs", "Runs of syncs in this process, by how they ended", syncs_run.clone());
        let providers = Providers::register(&mut registry);
        let (gauges, process) = (Gauges::default(), Process::default());
        gauges.register(&mut registry);
        process.register(&mut registry);
        Self { registry, answered, took, operations, tokens, limited, syncs_run, providers, gauges, process }
    }

    /// Everything as it stands, as `OpenMetrics` text. Without a sample the database did not answer, and what it would have told is left out.
    pub fn text(&self, sample: Option<&Sample>, signals_lost: u64, now: Timestamp) -> anyhow::Result<String> {
        self.gauges.set(sample, now);
        self.gauges.signals_lost.inc_by(signals_lost.saturating_sub(self.gauges.signals_lost.get()));
        self.process.look()?;
        let mut text = String::new();
        encode(&mut text, &self.registry).context("writing metrics")?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Gauges {
    fn register(&self, registry: &mut Registry) {
        registry.register("dashtam_database_up", "Whether the database answers", self.database_up.clone());
        registry.register("dashtam_outbox_waiting_messages", "Messages that are not out yet", self.outbox_waiting.clone());
        registry.register("dashtam_outbox_overdue_messages", "Those of them that wait for more than 15 minutes", self.outbox_overdue.clone());
        registry.register("dashtam_outbox_parked_messages", "Messages that were given up and wait for an operator", self.outbox_parked.clone());
        registry.register(
            "dashtam_syncs",
            "Syncs that wait, that could be taken for long (overdue, counted as queued too), that run, or were left in the middle by a process that died",
            self.syncs.clone(),
        );
        registry.register("dashtam_links_failing", "Active links whose last sync was given up", self.links_failing.clone());
        registry.register_with_unit("dashtam_links_failing_longest", "Since when the first of them fails", Unit::Seconds, self.links_failing_longest.clone());
        registry.register("dashtam_audit_unsealed_events", "Audit events that are not sealed yet", self.unsealed.clone());
        registry.register_with_unit("dashtam_audit_oldest_unsealed", "How long the oldest of them waits", Unit::Seconds, self.oldest_unsealed.clone());
        registry.register_with_unit("dashtam_audit_last_checkpoint_timestamp", "When the audit trail was last signed", Unit::Seconds, self.checkpoint.clone());
        registry.register("dashtam_signals_lost", "Signals that did not get out to other processes", self.signals_lost.clone());
    }

    fn set(&self, sample: Option<&Sample>, now: Timestamp) {
        self.database_up.set(i64::from(sample.is_some()));
        for family in [&self.outbox_waiting, &self.outbox_overdue, &self.outbox_parked] {
            family.clear();
        }
        self.syncs.clear();
        let Some(Sample { outbox, syncs, audit }) = sample else { return };
        for topic in outbox {
            let label = Topic { topic: topic.topic.clone() };
            self.outbox_waiting.get_or_create(&label).set(whole(topic.waiting));
            self.outbox_overdue.get_or_create(&label).set(whole(topic.overdue));
            self.outbox_parked.get_or_create(&label).set(whole(topic.parked));
        }
        for (state, count) in [("queued", syncs.queued), ("running", syncs.running), ("dead", syncs.dead), ("overdue", syncs.overdue)] {
            self.syncs.get_or_create(&State { state }).set(whole(count));
        }
        self.links_failing.set(whole(syncs.failing));
        self.links_failing_longest.set(syncs.failing_since.map_or(0, |since| now.since(since).num_seconds()));
        self.unsealed.set(whole(audit.unsealed));
        self.oldest_unsealed.set(audit.oldest_unsealed.map_or(0, |oldest| now.since(oldest).num_seconds()));
        self.checkpoint.set(audit.signed.map_or(0, |(_, at)| at.unix()));
    }
}

impl Process {
    fn register(&self, registry: &mut Registry) {
        registry.register_with_unit("process_cpu", "Time on processors", Unit::Seconds, self.cpu.clone());
        registry.register_with_unit("process_resident_memory", "Memory in use", Unit::Bytes, self.resident.clone());
        registry.register("process_open_fds", "Open files and connections", self.open_files.clone());
        registry.register_with_unit("process_start_time", "When the process began", Unit::Seconds, self.started.clone());
    }

    #[cfg(target_os = "linux")]
    fn look(&self) -> anyhow::Result<()> {
        let process = procfs::process::Process::myself().context("reading about this process")?;
        let stat = process.stat().context("reading about this process")?;
        let ticks = procfs::ticks_per_second();
        #[expect(clippy::cast_precision_loss, reason = "ticks of a process's life are far below 2^52")]
        let spent = (stat.utime + stat.stime) as f64 / ticks as f64;
        self.cpu.inc_by((spent - self.cpu.get()).max(0.0));
        self.resident.set(whole(stat.rss.saturating_mul(procfs::page_size())));
        self.open_files.set(whole(process.fd_count().context("counting open files")? as u64));
        self.started.set(whole(procfs::boot_time_secs().context("reading when this machine began")? + stat.starttime / ticks));
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn look(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

impl Meter for Metrics {
    fn answered(&self, route: &str, method: &'static str, status: u16, took: Duration) {
        self.answered.get_or_create(&Answered { route: route.to_owned(), method, status: status.into() }).inc();
        self.took.get_or_create(&Route { route: route.to_owned(), method }).observe(took.as_secs_f64());
    }

    fn operation(&self, outcome: &'static str) {
        self.operations.get_or_create(&Outcome { outcome }).inc();
    }

    fn token_refused(&self, reason: &'static str) {
        self.tokens.get_or_create(&Why { reason }).inc();
    }

    fn limited(&self, limit: &'static str) {
        self.limited.get_or_create(&Of { limit }).inc();
    }

    fn synced(&self, outcome: &'static str) {
        self.syncs_run.get_or_create(&Outcome { outcome }).inc();
    }

    fn provider_asked(&self, provider: &'static str, call: &'static str, outcome: &'static str, took: Duration) {
        self.providers.asked.get_or_create(&Asked { provider, call, outcome }).inc();
        // What was held back took no time of the provider's.
        if !took.is_zero() {
            self.providers.took.get_or_create(&At { provider }).observe(took.as_secs_f64());
        }
    }

    fn provider_left_alone(&self, provider: &'static str, is_left_alone: bool) {
        self.providers.left_alone.get_or_create(&At { provider }).set(i64::from(is_left_alone));
    }
}
