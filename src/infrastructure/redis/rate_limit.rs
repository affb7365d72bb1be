//! Buckets that processes share in Redis: one script reads, refills and takes from several at once, by the server's own clock.

use std::sync::Arc;

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use redis::Script;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::domain::rate_limit::{Charge, Subject, Verdict};

use super::Redis;

/// How many charges are asked for at once; others wait for their turn, so that an answer is never late for having stood in a queue.
const AT_ONCE: usize = 128;

/// Buckets in Redis. A key does not show whose it is, and goes when its bucket is full.
pub struct RedisBuckets {
    redis: Arc<Redis>,
    script: Script,
    turns: Semaphore,
}

impl RedisBuckets {
    /// Those of a deployment.
    pub fn new(redis: Arc<Redis>) -> Self {
        Self { redis, script: Script::new(include_str!("rate_limit.lua")), turns: Semaphore::new(AT_ONCE) }
    }

    /// Takes all of what is charged, or nothing.
    pub async fn charge(&self, charges: &[Charge]) -> anyhow::Result<Verdict> {
        self.change(charges, 1).await
    }

    /// Puts tokens back.
    pub async fn give_back(&self, charges: &[Charge]) -> anyhow::Result<()> {
        self.change(charges, -1).await.map(drop)
    }

    async fn change(&self, charges: &[Charge], sign: i64) -> anyhow::Result<Verdict> {
        let mut call = self.script.prepare_invoke();
        for charge in charges {
            call.key(self.key(charge)).arg(charge.allowance.full()).arg(charge.allowance.per_minute).arg(sign * charge.units());
        }
        let _turn = self.turns.acquire().await.context("no more turns are given")?;
        let answer: Vec<i64> = self.redis.run(&call).await?;
        let (admitted, levels) = answer.split_first().filter(|(_, levels)| levels.len() == charges.len()).context("Redis answers for other buckets")?;
        let standings = charges.iter().zip(levels).map(|(charge, level)| charge.standing(*level)).collect();
        Ok(Verdict { admitted: *admitted == 1, standings })
    }

    fn key(&self, charge: &Charge) -> String {
        let mut hash = Sha256::new();
        match &charge.subject {
            Subject::Network(address) => hash.update(format!("network {address}")),
            Subject::User(user) => hash.update(format!("user {}", user.0)),
            Subject::Session(session) => hash.update(format!("session {}", session.0)),
            Subject::UserAt(user, provider) => hash.update(format!("user {} at {provider}", user.0)),
            Subject::Provider(provider) => hash.update(format!("provider {provider}")),
            Subject::Link(link) => hash.update(format!("link {}", link.0)),
            Subject::Everyone => hash.update("everyone"),
        }
        let hash = hash.finalize();
        self.redis.name(&format!("limits:{}:{}", charge.limit.as_str(), BASE64_URL_SAFE_NO_PAD.encode(&hash[..16])))
    }
}
