//! Pauses: for how long nothing is asked of a provider, or of it for one link. Every process tells the others of those it begins and ends.

use async_trait::async_trait;
use chrono::Duration;

use super::{
    id::{LinkId, UserId},
    provider::Circuit,
    time::Timestamp,
    transaction::words,
};

words! {
    /// Why nothing is asked.
    PauseReason {
        /// It failed too often in a row: its circuit is open. Once the pause is over, one request finds out whether it answers again.
        Failing = "failing",
        /// What hands out its tokens asked for a pause, which everything waits for.
        Tokens = "tokens",
        /// What answers with data asked for one, which no token waits for.
        Data = "data",
    }
}

/// For how long nothing is asked of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The provider's slug.
    pub provider: String,
    /// For which link; `None` when for nobody. A link's own pause is always [`PauseReason::Failing`].
    pub link: Option<LinkId>,
    /// Why.
    pub reason: PauseReason,
    /// Until when.
    pub until: Timestamp,
    /// How long it was when it began; the next one in a row is longer.
    pub length: Duration,
}

impl Pause {
    /// How the circuit stands that these pauses are all of.
    pub fn circuit(pauses: &[Self], now: Timestamp) -> Circuit {
        match pauses.iter().find(|pause| pause.reason == PauseReason::Failing) {
            None => Circuit::Closed,
            Some(pause) if now < pause.until => Circuit::Open,
            Some(_) => Circuit::HalfOpen,
        }
    }

    /// Until when the last of these ends; `None` when they are over.
    pub fn end<'a>(pauses: impl IntoIterator<Item = &'a Self>, now: Timestamp) -> Option<Timestamp> {
        pauses.into_iter().map(|pause| pause.until).filter(|until| now < *until).max()
    }
}

/// What processes tell each other of pauses.
#[async_trait]
pub trait Pauses: Send + Sync {
    /// Begins a pause, unless one of the same subject and reason lasts longer. One of a link that is gone is nothing.
    async fn begin(&self, pause: &Pause) -> anyhow::Result<()>;
    /// Ends the pause of what was failing and answers again: of the provider, or of the link at it.
    async fn end(&self, provider: &str, link: Option<LinkId>) -> anyhow::Result<()>;
    /// Everything known of one provider, with that of all its links.
    async fn all_at(&self, provider: &str) -> anyhow::Result<Vec<Pause>>;
    /// What is known of these providers, without that of links.
    async fn at(&self, providers: &[String]) -> anyhow::Result<Vec<Pause>>;
    /// What is known of these links of that user.
    async fn of(&self, owner: UserId, links: &[LinkId]) -> anyhow::Result<Vec<Pause>>;
}
