//! The worker: takes queued syncs, some at once, and tidies up.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::domain::failure::is_unavailable;

use super::{audit::Journal, sync::SyncEngine};

/// How long the queue is left alone when nobody wakes the worker: other processes queue too.
const POLL: Duration = Duration::from_secs(1);

/// How long a sync may go on asking after a stop; less than a server waits for everything that is in flight.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often attempts of dead processes are closed.
const SWEEP: Duration = Duration::from_mins(5);

/// Which providers a worker is asking, once for each sync at work.
#[derive(Default)]
pub struct AtWork {
    providers: Mutex<Vec<String>>,
    /// Whoever takes a sync is the only one until it is known whom it asks.
    taking: tokio::sync::Mutex<()>,
}

impl AtWork {
    /// The providers that take up all but one of so many places, so that none of them takes up all.
    fn busy(&self, places: u32) -> Vec<String> {
        let at_work = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
        let places = usize::try_from(places).unwrap_or(usize::MAX);
        let takes_all_but_one = |provider: &&String| places > 1 && at_work.iter().filter(|other| other == provider).count() + 1 >= places;
        at_work.iter().filter(takes_all_but_one).cloned().collect()
    }

    fn begin(&self, provider: Option<String>) -> Busy<'_> {
        let provider = provider.unwrap_or_default();
        self.providers.lock().unwrap_or_else(PoisonError::into_inner).push(provider.clone());
        Busy { at_work: self, provider }
    }
}

/// One sync at work.
struct Busy<'a> {
    at_work: &'a AtWork,
    provider: String,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut at_work = self.at_work.providers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = at_work.iter().position(|provider| *provider == self.provider) {
            at_work.swap_remove(place);
        }
    }
}

/// Runs what is queued until it is told to stop.
pub struct Worker {
    /// Runs syncs.
    pub engine: Arc<SyncEngine>,
    /// Closes what was left open.
    pub journal: Journal,
    /// Rings when this process queued something.
    pub wake: Arc<Notify>,
    /// How many syncs it runs at once, so that a bank that takes its time holds up nobody else's.
    pub at_once: u32,
    /// Whom it is asking.
    pub at_work: AtWork,
    /// Whether no other process works on this store, so that what is still marked as running was left by one that died.
    pub is_alone: bool,
}

impl Worker {
    /// Returns once `stop` is called and the syncs at work are done.
    pub async fn run(self, stop: CancellationToken) {
        if self.is_alone {
            self.take_up().await;
        }
        let runners = (0..self.at_once.max(1)).map(|_| self.run_queued(&stop));
        tokio::join!(futures_util::future::join_all(runners), self.tidy_up(&stop));
    }

    async fn tidy_up(&self, stop: &CancellationToken) {
        self.sweep(true).await;
        let mut sweep = tokio::time::interval_at(tokio::time::Instant::now() + SWEEP, SWEEP);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = sweep.tick() => self.sweep(false).await,
            }
        }
    }

    async fn run_queued(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match self.run_one(stop).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(failure) if is_unavailable(&failure) => tracing::warn!(reason = %failure, "the sync queue has to wait"),
                Err(failure) => tracing::error!(error = ?failure, "the sync queue could not be worked"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Runs what waits longest; `false` when nothing does. After a stop a sync may finish that is about to; one that takes longer is given back, so
    /// that nobody has to wait for its lease to end.
    async fn run_one(&self, stop: &CancellationToken) -> anyhow::Result<bool> {
        let turn = self.at_work.taking.lock().await;
        let Some(sync) = self.engine.take_next(&self.at_work.busy(self.at_once)).await? else { return Ok(false) };
        let provider = match self.engine.provider_of(&sync).await {
            Ok(provider) => provider,
            Err(failure) => {
                self.engine.queue.give_back_for_worker(&sync, self.engine.clock.now()).await?;
                return Err(failure);
            }
        };
        let _at_work = self.at_work.begin(provider);
        drop(turn);
        // In a task of its own, so that a panic over one bank's data costs that sync its turn and nobody else theirs.
        let (engine, cut_off) = (self.engine.clone(), CancellationToken::new());
        let cuts = cut_off.clone();
        let mut running = tokio::spawn(async move { engine.run(sync, &cuts).await });
        let patience = async {
            stop.cancelled().await;
            tokio::time::sleep(PATIENCE).await;
        };
        let ended = tokio::select! {
            ended = &mut running => ended,
            () = patience => {
                // Only its asking is cut off: what a bank has handed out, and what is being written, is not.
                cut_off.cancel();
                running.await
            }
        };
        match ended {
            Ok(ran) => ran?,
            Err(stopped) => tracing::error!(panicked = stopped.is_panic(), "a sync stopped in the middle; it is tried again when its lease ends"),
        }
        Ok(true)
    }

    async fn take_up(&self) {
        match self.engine.queue.give_back_all_for_worker(self.engine.clock.now()).await {
            Ok(0) => {}
            Ok(syncs) => tracing::warn!(syncs, "syncs that a process left in the middle are taken up again"),
            Err(failure) => tracing::error!(error = ?failure, "syncs left in the middle could not be taken up"),
        }
    }

    /// `all`: however old; else only what can have been left since the last sweep.
    async fn sweep(&self, all: bool) {
        match self.journal.close_orphans(all).await {
            Ok(0) => {}
            Ok(closed) => tracing::warn!(closed, "attempts of a process that died were closed as interrupted"),
            Err(failure) => tracing::error!(error = ?failure, "interrupted attempts could not be closed"),
        }
        match self.engine.queue.forget_old_for_worker(self.engine.clock.now()).await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(forgotten, "syncs that ended long ago were forgotten"),
            Err(failure) => tracing::error!(error = ?failure, "syncs that ended long ago could not be forgotten"),
        }
    }
}
