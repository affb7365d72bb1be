//! Reads the states of sessions again while they are asked for, so that requests need not.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::SessionGate;

/// How often: twice within the second a state is trusted, and some time for a slow answer.
const EVERY: Duration = Duration::from_millis(400);

/// How many states one statement reads.
const AT_ONCE: usize = 512;

impl SessionGate {
    /// With nobody asking for anything, it reads nothing.
    pub(super) async fn keep(&self, stop: &CancellationToken) {
        let mut is_failing = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.bell.notified() => {}
            }
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(EVERY) => {}
                }
                match self.read_again().await {
                    Ok(0) => break,
                    Ok(_) => is_failing = false,
                    // Requests read for themselves meanwhile, and what they meet is told where they are answered.
                    Err(failure) if !is_failing => {
                        is_failing = true;
                        tracing::warn!(error = ?failure, "the states of sessions could not be read ahead");
                    }
                    Err(_) => {}
                }
            }
        }
    }

    /// Answers how many were asked for.
    async fn read_again(&self) -> anyhow::Result<usize> {
        let now = self.clock.now();
        let asked = self.memory(|memory| memory.asked_for(now));
        for sessions in asked.chunks(AT_ONCE) {
            let (began, now) = (self.memory(|memory| memory.begin()), self.clock.now());
            let states = self.sessions.states_of_any(sessions).await?;
            self.memory(|memory| memory.take_again(sessions, states, now, began));
        }
        Ok(asked.len())
    }
}
