//! The worker: takes queued syncs one after the other, and tidies up.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{audit::Journal, sync::SyncEngine};

/// How long the queue is left alone when nobody wakes the worker: other processes queue too.
const POLL: Duration = Duration::from_secs(1);

/// How often attempts of dead processes are closed.
const SWEEP: Duration = Duration::from_mins(5);

/// Runs what is queued until it is told to stop.
pub struct Worker {
    /// Runs syncs.
    pub engine: Arc<SyncEngine>,
    /// Closes what was left open.
    pub journal: Journal,
    /// Rings when this process queued something.
    pub wake: Arc<Notify>,
}

impl Worker {
    /// Returns once `stop` is called and the sync at work is done.
    pub async fn run(self, stop: CancellationToken) {
        let mut sweep = tokio::time::interval(SWEEP);
        while !stop.is_cancelled() {
            match self.engine.run_next().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(failure) => tracing::error!(error = ?failure, "the sync queue could not be worked"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                _ = sweep.tick() => self.sweep().await,
            }
        }
    }

    async fn sweep(&self) {
        match self.journal.close_orphans().await {
            Ok(0) => {}
            Ok(closed) => tracing::warn!(closed, "attempts of a process that died were closed as interrupted"),
            Err(failure) => tracing::error!(error = ?failure, "interrupted attempts could not be closed"),
        }
    }
}
