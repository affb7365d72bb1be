//! Keys: made anew, and what older ones sealed moved to the current one.
//!
//! Sealing anew goes page by page beside running servers. A row is replaced only while it is what was read, so that a sync which stores a
//! bank's new tokens at the same moment wins.

use std::sync::Arc;

use anyhow::Context as _;
use uuid::Uuid;

use crate::domain::{
    audit::Act,
    event::Event,
    failure::Reason,
    id::{LinkId, SecondFactorId},
    keys::{SealedKind, SealedSecret, SealedSecretReader},
    time::Clock,
};

use super::{
    access::{Access, Denied, Requester},
    audit::{Attempt, Journal},
    ports::{KeyShelf, Place, RenewedKeys, Sealer, Store},
};

/// Rows of a page: few enough that nobody waits for them to be written.
const PAGE: u64 = 100;

/// How often everything is looked through: rows that somebody writes meanwhile, under an older key, are found the next time.
const ROUNDS: usize = 10;

/// Why keys are left as they are.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for KeyError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Making new keys.
pub struct RotateKeys {
    /// Who asks.
    pub requester: Requester,
    /// A key of the ring.
    pub ring: bool,
    /// A token secret.
    pub tokens: bool,
}

/// What became of everything that older keys had sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Sealed under the current key by now.
    pub resealed: u64,
    /// Left as they were, since nothing opens them.
    pub unopened: Vec<(SealedKind, Uuid)>,
}

/// Rotates keys and seals anew.
pub struct KeyCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where sealed values are kept.
    pub store: Arc<dyn Store>,
    /// Sealed values, before a transaction is opened.
    pub sealed: Arc<dyn SealedSecretReader>,
    /// What roles may do.
    pub access: Access,
    /// Opens and seals.
    pub sealer: Arc<dyn Sealer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl KeyCommands {
    /// Makes new keys where they are kept. Running servers take them up by themselves.
    pub async fn rotate(&self, command: RotateKeys, kept: Arc<dyn KeyShelf>) -> Result<RenewedKeys, KeyError> {
        let attempt = self.journal.attempt(&command.requester, Act::RotateKeys).await?;
        attempt
            .settle(async {
                self.access.permit(&command.requester, Act::RotateKeys)?;
                let renewing = tokio::task::spawn_blocking(move || kept.renew(command.ring, command.tokens));
                let renewed = renewing.await.context("making new keys")??;
                let work = self.store.begin(&attempt).await?;
                work.succeed(Event::KeysRotated { ring: renewed.ring.clone(), tokens: renewed.tokens.clone() }).await?;
                Ok(renewed)
            })
            .await
    }

    /// Seals under the current key what older ones sealed, and tells how far it is. Doing it again changes nothing.
    pub async fn reseal(&self, requester: &Requester, told: &(dyn Fn(&Resealed) + Sync)) -> Result<Resealed, KeyError> {
        let attempt = self.journal.attempt(requester, Act::ResealSecrets).await?;
        attempt
            .settle(async {
                self.access.permit(requester, Act::ResealSecrets)?;
                let mut done = Resealed::default();
                for _ in 0..ROUNDS {
                    done.unopened.clear();
                    let mut missed = false;
                    for kind in SealedKind::ALL {
                        missed |= self.reseal_kind(&attempt, *kind, &mut done, told).await?;
                    }
                    if !missed {
                        break;
                    }
                }
                let work = self.store.begin(&attempt).await?;
                work.succeed(Event::SecretsResealed { resealed: done.resealed, unopened: done.unopened.len() as u64 }).await?;
                Ok(done)
            })
            .await
    }

    /// Answers whether somebody else was faster with any row.
    async fn reseal_kind(&self, attempt: &Attempt, kind: SealedKind, done: &mut Resealed, told: &(dyn Fn(&Resealed) + Sync)) -> anyhow::Result<bool> {
        let current = self.sealer.begins_with()?;
        let (mut after, mut missed) = (None, false);
        loop {
            let page = self.sealed.sealed_otherwise(kind, &current, after, PAGE, self.clock.now()).await?;
            let Some(last) = page.last() else { return Ok(missed) };
            after = Some(last.id);
            let mut anew = Vec::new();
            for sealed in &page {
                match self.seal_anew(sealed) {
                    Ok(envelope) => anew.push((sealed, envelope)),
                    Err(failure) => {
                        tracing::error!(table = kind.as_str(), id = %sealed.id, error = %format!("{failure:#}"), "a sealed value does not open");
                        done.unopened.push((kind, sealed.id));
                    }
                }
            }
            let mut work = self.store.begin(attempt).await?;
            let mut replaced = 0;
            for (sealed, envelope) in anew {
                if work.sealed_secrets().replace(sealed, &envelope).await? {
                    replaced += 1;
                } else {
                    missed = true;
                }
            }
            work.checkpoint().await?;
            done.resealed += replaced;
            told(done);
        }
    }

    fn seal_anew(&self, sealed: &SealedSecret) -> anyhow::Result<Vec<u8>> {
        let place = match sealed.kind {
            SealedKind::Credentials => Place::credentials(sealed.user, LinkId(sealed.of)),
            SealedKind::Authorization => Place::authorization(sealed.user, LinkId(sealed.of)),
            SealedKind::Payload => Place::payload(sealed.user, LinkId(sealed.of)),
            SealedKind::SecondFactor => Place::second_factor(sealed.user, SecondFactorId(sealed.of)),
        };
        self.sealer.seal(place, &self.sealer.open(place, &sealed.envelope)?)
    }
}
