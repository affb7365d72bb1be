//! Rate limits as a server keeps them: in Redis, which processes share, and in this process while Redis does not answer or there is none.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    application::ports::RateLimiter,
    domain::{
        rate_limit::{Charge, Verdict},
        time::Clock,
    },
};

use super::{
    memory::rate_limit::MemoryBuckets,
    redis::{Redis, rate_limit::RedisBuckets},
};

/// Buckets, shared where they can be.
pub struct Limiter {
    shared: Option<RedisBuckets>,
    own: MemoryBuckets,
}

impl Limiter {
    /// Over Redis, if there is one.
    pub fn new(redis: Option<Arc<Redis>>, clock: Arc<dyn Clock>) -> Self {
        Self { shared: redis.map(RedisBuckets::new), own: MemoryBuckets::new(clock) }
    }
}

/// That Redis does not answer is logged where it is noticed, once.
#[async_trait]
impl RateLimiter for Limiter {
    async fn charge(&self, charges: &[Charge]) -> Verdict {
        if let Some(shared) = &self.shared
            && let Ok(verdict) = shared.charge(charges).await
        {
            return verdict;
        }
        self.own.charge(charges).await
    }

    async fn give_back(&self, charges: &[Charge]) {
        let is_shared = match &self.shared {
            Some(shared) => shared.give_back(charges).await.is_ok(),
            None => false,
        };
        if !is_shared {
            self.own.give_back(charges).await;
        }
    }
}
