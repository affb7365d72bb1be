//! Signals within one process.

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::{
    application::ports::{EventBus, Heard, Signals},
    domain::signal::Signal,
};

/// How many signals a listener may be behind before it has to look everything up.
const BEHIND: usize = 1024;

/// A bus that ends at the process. It is what others hang their wires on.
#[derive(Clone)]
pub struct MemoryBus {
    hub: broadcast::Sender<Heard>,
}

impl MemoryBus {
    /// With no listeners yet.
    pub fn new() -> Self {
        Self { hub: broadcast::Sender::new(BEHIND) }
    }

    /// Tells every listener of this process.
    pub(in crate::infrastructure) fn tell(&self, heard: Heard) {
        // An error says that nobody listens, which is nobody's loss.
        let _listeners = self.hub.send(heard);
    }
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl EventBus for MemoryBus {
    fn publish(&self, signal: Signal) {
        self.tell(Heard::Signal { signal, is_ours: true });
    }

    fn subscribe(&self) -> Signals {
        let listener = self.hub.subscribe();
        let next = |mut listener: broadcast::Receiver<Heard>| async {
            match listener.recv().await {
                Ok(heard) => Some((heard, listener)),
                Err(RecvError::Lagged(_)) => Some((Heard::Missed, listener)),
                Err(RecvError::Closed) => None,
            }
        };
        stream::unfold(listener, next).boxed()
    }

    async fn listen(&self, stop: CancellationToken) {
        self.tell(Heard::Missed);
        stop.cancelled().await;
    }

    async fn settle(&self) {}

    fn lost(&self) -> u64 {
        0
    }
}
