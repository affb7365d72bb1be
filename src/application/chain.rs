//! Keeping the chain: sealing what was committed, and signing how far it has come.
//!
//! Sealing happens behind the back of requests. They wait for nothing but their own rows; what was committed last is protected a second
//! later. Any number of processes keep one chain: each turn is taken by one of them.

pub mod retention;
pub mod verification;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::domain::{
    chain::{Checkpoint, Cut, Endorsement, Entry, EventKey, Found, Head, Standing, StoredPerson, Thinning},
    failure::is_unavailable,
    time::{Clock, Timestamp},
};

/// How often committed events are sealed.
const PACE: Duration = Duration::from_secs(1);

/// How often the whole trail is searched for events that wait for a position without anyone knowing.
const SEARCH: Duration = Duration::from_hours(24);

/// How many positions, or minutes, a checkpoint may be away from the next.
const CHECKPOINT_POSITIONS: u64 = 1_000;
const CHECKPOINT_MINUTES: i64 = 10;

/// When a checkpoint is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// If there are this many positions since the last one, or the last one is from before then; and whenever there is none.
    WhenDue { positions: u64, before: Timestamp },
    /// If there is any position since the last one.
    Now,
}

/// The chain, as whoever keeps it writes it. Each call is a transaction of its own, and no two processes are in one at a time.
#[async_trait]
pub trait ChainStore: Send + Sync {
    /// Gives the next positions to events that are committed and have none, some hundreds at a time. Answers how many; `None` when another
    /// process is at it.
    async fn seal(&self) -> anyhow::Result<Option<u64>>;
    /// Looks through the whole trail for events that have no position and do not wait for one, and lets them wait. Answers how many.
    async fn find_lost(&self) -> anyhow::Result<u64>;
    /// Signs the last position, when it is time to; answers the checkpoint that was made.
    async fn checkpoint(&self, signer: &dyn CheckpointSigner, signing: Signing, now: Timestamp) -> anyhow::Result<Option<Checkpoint>>;
    /// Stores which key vouches for which, unless it is known.
    async fn endorse(&self, endorsements: &[Endorsement], now: Timestamp) -> anyhow::Result<()>;
    /// How far it has come.
    async fn standing(&self) -> anyhow::Result<Standing>;
}

/// One look at the trail and its chain: whatever is read from it is as it was when it was opened.
#[async_trait]
pub trait Ledger: Send {
    /// Every stored endorsement.
    async fn endorsements(&mut self) -> anyhow::Result<Vec<Endorsement>>;
    /// Every cut, oldest first.
    async fn cuts(&mut self) -> anyhow::Result<Vec<Cut>>;
    /// Every thinning, oldest month first.
    async fn thinnings(&mut self) -> anyhow::Result<Vec<Thinning>>;
    /// The next checkpoints behind that number, oldest first; none at the end.
    async fn checkpoints(&mut self, behind: u64) -> anyhow::Result<Vec<Checkpoint>>;
    /// The next positions behind that one with the events they name, in order; none at the end.
    async fn entries(&mut self, behind: u64) -> anyhow::Result<Vec<(Entry, Found)>>;
    /// The next events without a position behind that one, oldest first; none at the end.
    async fn unsealed(&mut self, behind: Option<EventKey>) -> anyhow::Result<Vec<(EventKey, Found)>>;
    /// How many events there are, and how many different ones have a position.
    async fn counts(&mut self) -> anyhow::Result<(u64, u64)>;
    /// The next persons behind that event and part, in any lasting order, each with what its event holds of them; none at the end.
    async fn persons(&mut self, behind: Option<(Uuid, String)>) -> anyhow::Result<Vec<(StoredPerson, Option<Vec<u8>>)>>;
    /// The persons in these events.
    async fn persons_of(&mut self, events: &[Uuid]) -> anyhow::Result<Vec<StoredPerson>>;
    /// Positions of the first event recorded at or after that instant, and of the last one recorded before it; `None` when there is none.
    async fn around(&mut self, instant: Timestamp) -> anyhow::Result<(Option<u64>, Option<u64>)>;
    /// The chain at a position; `None` when there is no such position.
    async fn place(&mut self, position: u64) -> anyhow::Result<Option<Head>>;
    /// Events that waited for a position and are gone.
    async fn vanished(&mut self) -> anyhow::Result<Vec<EventKey>>;
}

/// Signs (Ed25519). The key is derived from what is configured; whoever has the database alone has no way to it.
pub trait CheckpointSigner: Send + Sync {
    /// The id of the key that signs now.
    fn key_id(&self) -> &str;
    /// Signs a message.
    fn sign(&self, message: &[u8]) -> anyhow::Result<Vec<u8>>;
    /// What the key that signs now says of itself and of the others that are configured.
    fn endorsements(&self) -> anyhow::Result<Vec<Endorsement>>;
}

/// Whichever key signs at the moment: keys are rotated while servers run.
pub trait CurrentSigner: Send + Sync {
    /// Signs one thing; the next may be another key's to sign.
    fn now(&self) -> Arc<dyn CheckpointSigner>;
}

/// Tells signatures.
pub trait SignatureCheck: Send + Sync {
    /// Whether `signature` over `message` is by the holder of this key.
    fn is_by(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool;
}

/// Makes checkpoints known where the database's owner cannot take them back.
pub trait CheckpointPublisher: Send + Sync {
    /// Publishes one.
    fn publish(&self, checkpoint: &Checkpoint) -> anyhow::Result<()>;
}

/// Keeps the chain until it is told to stop.
pub struct ChainKeeper {
    /// The chain.
    pub store: Arc<dyn ChainStore>,
    /// Signs checkpoints.
    pub signer: Arc<dyn CurrentSigner>,
    /// Where they are published.
    pub publisher: Arc<dyn CheckpointPublisher>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl ChainKeeper {
    /// Returns once `stop` is called, everything that was committed by then is sealed, and its end is signed.
    pub async fn run(&self, stop: CancellationToken) {
        let mut search = tokio::time::interval(SEARCH);
        let mut introduced = None;
        while !stop.is_cancelled() {
            let key = self.signer.now().key_id().to_owned();
            if introduced.as_ref() != Some(&key) {
                introduced = Self::told(self.introduce().await, "the keys of checkpoints could not be stored").map(|()| key);
            }
            Self::told(self.turn().await, "the audit trail could not be sealed");
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PACE) => {}
                _ = search.tick() => self.search().await,
            }
        }
        Self::told(self.close().await, "the audit trail could not be sealed to its end");
    }

    /// Makes the keys known that are configured.
    pub async fn introduce(&self) -> anyhow::Result<()> {
        self.store.endorse(&self.signer.now().endorsements()?, self.clock.now()).await
    }

    /// Seals what waits and signs when it is time to; answers how many were sealed.
    pub async fn turn(&self) -> anyhow::Result<u64> {
        let sealed = self.seal_all().await?;
        let now = self.clock.now();
        let before = now.minus(chrono::Duration::minutes(CHECKPOINT_MINUTES));
        self.sign(Signing::WhenDue { positions: CHECKPOINT_POSITIONS, before }, now).await?;
        Ok(sealed)
    }

    /// Seals what waits and signs the last position.
    pub async fn close(&self) -> anyhow::Result<()> {
        self.seal_all().await?;
        self.sign(Signing::Now, self.clock.now()).await
    }

    async fn seal_all(&self) -> anyhow::Result<u64> {
        let mut sealed = 0;
        // `None`: somebody else is at it, and seals what waits as well.
        while let Some(now) = self.store.seal().await?.filter(|now| *now > 0) {
            sealed += now;
        }
        Ok(sealed)
    }

    async fn sign(&self, signing: Signing, now: Timestamp) -> anyhow::Result<()> {
        let Some(checkpoint) = self.store.checkpoint(self.signer.now().as_ref(), signing, now).await? else { return Ok(()) };
        // It stands in the database in any case, and the next one covers what this one did.
        Self::told(self.publisher.publish(&checkpoint), "a checkpoint of the audit trail could not be published");
        Ok(())
    }

    async fn search(&self) {
        if let Some(found @ 1..) = Self::told(self.store.find_lost().await, "the audit trail could not be searched") {
            tracing::warn!(found, "events of the audit trail had no position and did not wait for one; they are sealed now");
        }
    }

    fn told<T>(result: anyhow::Result<T>, what: &'static str) -> Option<T> {
        match result {
            Ok(done) => return Some(done),
            Err(failure) if is_unavailable(&failure) => tracing::warn!(reason = %failure, "{what}: it has to wait"),
            Err(failure) => tracing::error!(error = ?failure, "{what}"),
        }
        None
    }
}
