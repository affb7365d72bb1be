//! What is measured, composed: counters of this process, and what the database is asked for when somebody looks.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{net::TcpListener, sync::Mutex};
use tokio_util::sync::CancellationToken;

use crate::{
    application::{chain::ChainStore, ports::EventBus},
    domain::{outbox::OutboxReader, sync::SyncQueue, time::Clock},
    infrastructure::metrics::{Metrics, Sample},
    presentation::http::{
        metrics::{Exposition, router},
        server::{self, Patience},
    },
};

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells what is measured.
pub(super) struct Told {
    pub(super) metrics: Arc<Metrics>,
    pub(super) outbox: Arc<dyn OutboxReader>,
    pub(super) syncs: Arc<dyn SyncQueue>,
    pub(super) chain: Arc<dyn ChainStore>,
    pub(super) bus: Arc<dyn EventBus>,
    pub(super) clock: Arc<dyn Clock>,
    /// One looks at a time, since what is told is set before it is written.
    pub(super) turn: Mutex<()>,
}

impl Told {
    async fn sample(&self) -> anyhow::Result<Sample> {
        let now = self.clock.now();
        Ok(Sample { outbox: self.outbox.backlog(now).await?, syncs: self.syncs.backlog(now).await?, audit: self.chain.standing().await? })
    }
}

#[async_trait::async_trait]
impl Exposition for Told {
    async fn text(&self) -> anyhow::Result<String> {
        let _turn = self.turn.lock().await;
        let sample = match tokio::time::timeout(PATIENCE, self.sample()).await {
            Ok(Ok(sample)) => Some(sample),
            Ok(Err(failure)) => {
                tracing::warn!(error = ?failure, "metrics are told without those of the database");
                None
            }
            Err(_) => {
                tracing::warn!("metrics are told without those of the database, which takes too long");
                None
            }
        };
        self.metrics.text(sample.as_ref(), self.bus.lost(), self.clock.now())
    }
}

/// Answers at `bind`, if it is set, until `stop`.
pub(super) async fn tell(bind: Option<SocketAddr>, told: Arc<Told>, patience: Patience, stop: CancellationToken) -> anyhow::Result<()> {
    let Some(bind) = bind else {
        stop.cancelled().await;
        return Ok(());
    };
    let listener =
        TcpListener::bind(bind).await.with_context(|| format!("cannot listen on {bind} for metrics; set DASHTAM_METRICS__BIND to another address"))?;
    tracing::info!(listening = %listener.local_addr()?, "metrics are told at /metrics");
    server::serve(listener, router(told), patience, stop).await.context("the listener for metrics stopped")
}
