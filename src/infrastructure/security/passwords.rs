//! Passwords: bcrypt over base64(HMAC-SHA-256(pepper, password)).
//!
//! The HMAC makes every input 44 bytes, so bcrypt neither truncates nor stops at a NUL, and a stolen table alone is not enough to guess.
//! Hashing takes a fifth of a second on purpose; it runs on threads of its own, a bounded number at a time, behind a bounded queue.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::Context;
use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{
    application::ports::PasswordHasher,
    domain::{
        failure::Unavailable,
        user::{Password, PasswordRecord},
    },
};

use super::keys::{Derived, KeysInForce, NamedKey, Purpose};

const SCHEME: &str = "bcrypt-hmac-sha256";

/// What a record begins with that is peppered under the key of that id.
pub fn record_begins_with(key_id: &str) -> String {
    format!("{SCHEME}:{key_id}:")
}

/// How many comparisons may wait for each one at work before newcomers are turned away.
const QUEUE_PER_WORKER: usize = 32;

/// Hashes with the current pepper, compares with the one the record names.
pub struct BcryptHasher {
    peppers: Derived<Vec<NamedKey>>,
    cost: u32,
    dummy: String,
    workers: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    most_waiting: usize,
}

impl BcryptHasher {
    /// `cost` is bcrypt's, 12 unless a test lowers it; `workers` comparisons run at a time.
    pub fn new(keys: &KeysInForce, cost: u32, workers: usize) -> anyhow::Result<Self> {
        Ok(Self {
            peppers: keys.derived(|keys| keys.derive(Purpose::Pepper))?,
            cost,
            dummy: bcrypt::hash("nobody's password", cost)?,
            workers: Arc::new(Semaphore::new(workers)),
            waiting: Arc::default(),
            most_waiting: workers * QUEUE_PER_WORKER,
        })
    }

    async fn on_a_thread<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T, bcrypt::BcryptError> + Send + 'static) -> anyhow::Result<T> {
        let place = Waiting::take(&self.waiting, self.most_waiting)?;
        let permit = self.workers.clone().acquire_owned().await.context("the password threads are closed")?;
        drop(place);
        let result = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        })
        .await;
        Ok(result.context("hashing a password")??)
    }
}

#[async_trait]
impl PasswordHasher for BcryptHasher {
    async fn hash(&self, password: &Password) -> anyhow::Result<PasswordRecord> {
        let peppers = self.peppers.now();
        let pepper = peppers.first().context("the key ring is empty")?;
        let (input, cost) = (peppered(password, pepper), self.cost);
        let hash = self.on_a_thread(move || bcrypt::non_truncating_hash(input.as_bytes(), cost)).await?;
        Ok(PasswordRecord(format!("{}{hash}", record_begins_with(&pepper.id))))
    }

    async fn verify(&self, password: &Password, record: Option<&PasswordRecord>) -> anyhow::Result<bool> {
        let peppers = self.peppers.now();
        let stored = record.and_then(|record| {
            let (pepper_id, hash) = record.0.strip_prefix(SCHEME)?.strip_prefix(':')?.split_once(':')?;
            Some((peppers.iter().find(|pepper| pepper.id == pepper_id)?, hash.to_owned()))
        });
        if record.is_some() && stored.is_none() {
            tracing::error!("a password record names a scheme or a key this server does not have; its user cannot sign in");
        }
        let known = stored.is_some();
        let pepper = stored.as_ref().map(|(pepper, _)| *pepper).or(peppers.first()).context("the key ring is empty")?;
        let input = peppered(password, pepper);
        let hash = stored.map_or_else(|| self.dummy.clone(), |(_, hash)| hash);
        let same = self.on_a_thread(move || bcrypt::verify(input.as_bytes(), &hash)).await?;
        Ok(known && same)
    }

    fn is_current(&self, record: &PasswordRecord) -> bool {
        let parts = record.0.strip_prefix(SCHEME).and_then(|rest| rest.strip_prefix(':')).and_then(|rest| rest.split_once(':'));
        let Some((pepper_id, hash)) = parts else { return false };
        let cost = hash.split('$').nth(2).and_then(|cost| cost.parse::<u32>().ok());
        self.peppers.now().first().is_some_and(|pepper| pepper.id == pepper_id) && cost == Some(self.cost)
    }
}

fn peppered(password: &Password, pepper: &NamedKey) -> Zeroizing<String> {
    Zeroizing::new(BASE64_STANDARD.encode(pepper.hmac(&[password.expose().as_bytes()]).as_slice()))
}

/// A place in the queue, given back when dropped.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn take(waiting: &Arc<AtomicUsize>, most: usize) -> Result<Self, Unavailable> {
        let place = Self(waiting.clone());
        if waiting.fetch_add(1, Ordering::AcqRel) >= most {
            return Err(Unavailable { part: "password hashing", retry_after: 5 });
        }
        Ok(place)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
