//! A bus over a wire that reaches other processes: what the wires have in common, whatever they are made of.
//!
//! Listeners of this process hear a signal at once, with or without the wire. On the wire it carries the name of who gave it, so that
//! nobody hears their own twice. A wire that breaks is taken up again, with pauses that grow.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    application::ports::{EventBus, Heard, Signals},
    domain::signal::Signal,
    infrastructure::memory::bus::MemoryBus,
};

/// How many signals may be on their way out; more are lost.
const ON_THE_WAY: usize = 512;

/// How long a signal may take to get out.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pauses before a broken wire is taken up again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What carries messages of one line between processes.
#[async_trait]
pub trait Wire: Send + Sync + 'static {
    /// What it is called in the log.
    fn name(&self) -> &'static str;
    /// Hands a message to whoever listens.
    async fn send(&self, message: &str) -> anyhow::Result<()>;
    /// Listens until the wire breaks.
    async fn hear(&self, ear: &Ear) -> anyhow::Result<Infallible>;
}

/// Where a wire puts what it hears.
pub struct Ear {
    hub: MemoryBus,
    name: &'static str,
    /// This process, as it calls itself on the wire.
    origin: String,
    /// Whether the wire was up since this was last asked.
    was_up: AtomicBool,
    /// Whether it is known to be down.
    is_down: AtomicBool,
    /// Whether something was heard that cannot be read.
    is_puzzled: AtomicBool,
}

impl Ear {
    /// The wire is up from now on; what went before was not heard.
    pub fn connected(&self) {
        self.was_up.store(true, Ordering::Relaxed);
        if self.is_down.swap(false, Ordering::Relaxed) {
            tracing::info!(wire = self.name, "signals of other processes are heard again");
        }
        self.hub.tell(Heard::Missed);
    }

    /// A message came in.
    pub fn heard(&self, message: &str) {
        let (origin, text) = message.split_once(' ').unwrap_or_default();
        if origin == self.origin {
            return;
        }
        if let Some(signal) = Signal::parse(text) {
            self.hub.tell(Heard::Signal { signal, is_ours: false });
        } else if !self.is_puzzled.swap(true, Ordering::Relaxed) {
            tracing::warn!(wire = self.name, "another process gives signals that this version does not know; they are left alone");
        }
    }

    fn broke(&self, failure: &anyhow::Error) {
        if !self.is_down.swap(true, Ordering::Relaxed) {
            tracing::warn!(wire = self.name, error = ?failure, "signals of other processes are not heard; what they end is followed within a second all the same");
        }
    }
}

/// A bus over a wire.
pub struct SharedBus<W> {
    wire: Arc<W>,
    ear: Ear,
    on_the_way: TaskTracker,
    outgoing: Arc<Outgoing>,
}

/// How it stands with what goes out.
#[derive(Default)]
struct Outgoing {
    lost: AtomicU64,
    is_failing: AtomicBool,
}

impl Outgoing {
    fn failed(&self, wire: &'static str, failure: &anyhow::Error) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(wire, error = ?failure, "signals do not get out to other processes");
        }
    }

    fn succeeded(&self, wire: &'static str) {
        if self.is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!(wire, lost = self.lost.load(Ordering::Relaxed), "signals get out to other processes again");
        }
    }
}

impl<W: Wire> SharedBus<W> {
    /// Over a wire. `origin` is what this process is called on it, and nobody else is.
    pub fn new(wire: W, origin: Uuid) -> Self {
        let ear = Ear {
            hub: MemoryBus::new(),
            name: wire.name(),
            origin: origin.simple().to_string(),
            was_up: AtomicBool::new(false),
            is_down: AtomicBool::new(false),
            is_puzzled: AtomicBool::new(false),
        };
        Self { wire: Arc::new(wire), ear, on_the_way: TaskTracker::new(), outgoing: Arc::default() }
    }
}

#[async_trait]
impl<W: Wire> EventBus for SharedBus<W> {
    fn publish(&self, signal: Signal) {
        self.ear.hub.publish(signal);
        let (name, outgoing) = (self.ear.name, self.outgoing.clone());
        if self.on_the_way.len() >= ON_THE_WAY {
            outgoing.failed(name, &anyhow::anyhow!("too many are on their way already"));
            return;
        }
        let (wire, message) = (self.wire.clone(), format!("{} {signal}", self.ear.origin));
        self.on_the_way.spawn(async move {
            match timeout(PATIENCE, wire.send(&message)).await {
                Ok(Ok(())) => outgoing.succeeded(name),
                Ok(Err(failure)) => outgoing.failed(name, &failure),
                Err(_) => outgoing.failed(name, &anyhow::anyhow!("no answer within a second")),
            }
        });
    }

    fn subscribe(&self) -> Signals {
        self.ear.hub.subscribe()
    }

    async fn listen(&self, stop: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Err(failure) = self.wire.hear(&self.ear) => self.ear.broke(&failure),
            }
            if self.ear.was_up.swap(false, Ordering::Relaxed) {
                pause = FIRST_PAUSE;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn settle(&self) {
        self.on_the_way.close();
        // What takes longer is lost, and says so itself.
        let _late = timeout(PATIENCE, self.on_the_way.wait()).await;
    }

    fn lost(&self) -> u64 {
        self.outgoing.lost.load(Ordering::Relaxed)
    }
}
