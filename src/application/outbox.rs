//! The outbox in an operator's hands: what waits, what was given up, and what becomes of it.

use std::sync::Arc;

use crate::domain::{
    audit::{Act, ResourceKind},
    event::Event,
    failure::Reason,
    id::MessageId,
    outbox::{Message, OutboxReader},
    time::Clock,
};

use super::{
    access::{Access, Denied, Requester},
    audit::Journal,
    ports::Store,
};

/// Why a message stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Nothing of that id waits.
    #[error("no such message waits; it may be out by now")]
    NotFound,
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for OutboxError {
    fn reason(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Everything an operator does with the outbox.
pub struct Outgoing {
    /// Looks at what waits.
    pub queries: OutboxQueries,
    /// Decides about it.
    pub commands: OutboxCommands,
}

/// What becomes of a message.
pub struct ChangeMessage {
    /// Who asks.
    pub requester: Requester,
    /// Which.
    pub message: MessageId,
}

/// Decides about messages that wait; for the operator only.
pub struct OutboxCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where messages are kept.
    pub store: Arc<dyn Store>,
    /// What roles may do.
    pub access: Access,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl OutboxCommands {
    /// Lets a message go again, parked or not: a courier tries it at once, and as often as a new one.
    pub async fn retry(&self, command: ChangeMessage) -> Result<Message, OutboxError> {
        let attempt = self.journal.attempt(&command.requester, Act::RetryMessage).await?;
        attempt.upon(ResourceKind::Message, command.message.0);
        attempt
            .settle(async {
                self.access.permit(&command.requester, Act::RetryMessage)?;
                let mut work = self.store.begin(&attempt).await?;
                let message = work.outbox().find_any_for_operator(command.message).await?.ok_or(OutboxError::NotFound)?;
                work.outbox().retry(message.id, self.clock.now()).await?;
                work.succeed(Event::MessageRetried { message: message.id, user: message.user, topic: message.topic.clone() }).await?;
                Ok(message)
            })
            .await
    }

    /// Forgets a message; whoever it was for will not get it.
    pub async fn drop(&self, command: ChangeMessage) -> Result<Message, OutboxError> {
        let attempt = self.journal.attempt(&command.requester, Act::DropMessage).await?;
        attempt.upon(ResourceKind::Message, command.message.0);
        attempt
            .settle(async {
                self.access.permit(&command.requester, Act::DropMessage)?;
                let mut work = self.store.begin(&attempt).await?;
                let message = work.outbox().find_any_for_operator(command.message).await?.ok_or(OutboxError::NotFound)?;
                work.outbox().drop(message.id).await?;
                work.succeed(Event::MessageDropped { message: message.id, user: message.user, topic: message.topic.clone() }).await?;
                Ok(message)
            })
            .await
    }
}

/// Looks at what waits; for the operator only.
pub struct OutboxQueries {
    /// Where messages are kept.
    pub messages: Arc<dyn OutboxReader>,
}

impl OutboxQueries {
    /// Messages that are not out yet, oldest first; only parked ones when `parked` says so.
    pub async fn undelivered_for_operator(&self, parked: bool, limit: u64) -> anyhow::Result<Vec<Message>> {
        self.messages.undelivered_for_operator(parked, limit).await
    }
}
