//! Buckets in this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

use crate::{
    application::ports::RateLimiter,
    domain::{
        rate_limit::{Charge, Limit, Subject, Verdict},
        time::Clock,
    },
};

/// How many buckets are kept. Those who come when there is no room share one.
const CAPACITY: usize = 100_000;

/// How often, in milliseconds, full buckets are looked for when there is no room.
const SWEEP_MILLISECONDS: i64 = 1000;

/// Buckets by limit and subject. One that is full is as good as none, and is not kept for long.
pub struct MemoryBuckets {
    clock: Arc<dyn Clock>,
    buckets: Mutex<Buckets>,
}

#[derive(Default)]
struct Buckets {
    kept: HashMap<(Limit, Subject), Bucket>,
    swept_at: i64,
}

#[derive(Clone, Copy)]
struct Bucket {
    level: i64,
    /// When it had that level.
    at: i64,
    /// When it will be full.
    full_at: i64,
}

impl MemoryBuckets {
    /// With all of them full.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, buckets: Mutex::default() }
    }

    /// Takes `sign` times what is charged: 1 takes, -1 gives back.
    fn change(&self, charges: &[Charge], sign: i64) -> Verdict {
        let now = self.clock.now().micros() / 1000;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<_> = charges.iter().map(|charge| buckets.find(charge, now)).collect();
        let admitted = charges.iter().zip(&found).all(|(charge, (_, level))| sign * charge.units() <= *level);
        let settle = |(charge, (key, level)): (&Charge, ((Limit, Subject), i64))| {
            let level = if admitted { (level - sign * charge.units()).min(charge.allowance.full()) } else { level };
            let full_at = now + (charge.allowance.full() - level) / i64::from(charge.allowance.per_minute) + 1;
            buckets.kept.insert(key, Bucket { level, at: now, full_at });
            charge.standing(level)
        };
        let standings = charges.iter().zip(found).map(settle).collect();
        Verdict { admitted, standings }
    }
}

impl Buckets {
    /// The bucket a charge is of, and what it holds now.
    fn find(&mut self, charge: &Charge, now: i64) -> ((Limit, Subject), i64) {
        let mut key = (charge.limit, charge.subject.clone());
        if !self.kept.contains_key(&key) && self.kept.len() >= CAPACITY {
            if (now - self.swept_at).abs() >= SWEEP_MILLISECONDS {
                self.swept_at = now;
                self.kept.retain(|_, bucket| bucket.full_at > now);
            }
            if self.kept.len() >= CAPACITY {
                key.1 = Subject::Everyone;
            }
        }
        let level = self.kept.get(&key).map_or(charge.allowance.full(), |bucket| charge.refilled(bucket.level, now - bucket.at));
        (key, level)
    }
}

#[async_trait]
impl RateLimiter for MemoryBuckets {
    async fn charge(&self, charges: &[Charge]) -> Verdict {
        self.change(charges, 1)
    }

    async fn give_back(&self, charges: &[Charge]) {
        self.change(charges, -1);
    }
}
