//! The part of the composition that knows what processes share: signals, and whether the parts they stand on are there.

use std::sync::Arc;

use secrecy::ExposeSecret as _;

use crate::{
    application::{
        ports::{EventBus, Meter, Randomness, RateLimiter},
        rate_limit::RateLimits,
    },
    config::Config,
    domain::time::Clock,
    infrastructure::{
        bus::SharedBus,
        database::{Database, Readers},
        memory::bus::MemoryBus,
        providers::http::Switchboard,
        rate_limit::Limiter,
        redis::{Redis, bus::RedisWire},
    },
    presentation::http::{Part, Readiness, Standing},
};

/// The configured Redis, if there is one. Nothing is asked of it yet, so that one that is away stops no start.
pub(super) fn redis(config: &Config) -> anyhow::Result<Option<Arc<Redis>>> {
    config.redis_url.as_ref().map(|url| Ok(Arc::new(Redis::new(url.expose_secret(), &config.redis_prefix)?))).transpose()
}

/// What carries signals: Redis if it is configured, else PostgreSQL if it is the database, else this process alone.
pub(super) fn bus(redis: Option<&Arc<Redis>>, database: &Database, randomness: &dyn Randomness) -> Arc<dyn EventBus> {
    match (redis, database.wire()) {
        (Some(redis), _) => Arc::new(SharedBus::new(RedisWire::new(redis.clone()), randomness.id())),
        (None, Some(wire)) => Arc::new(SharedBus::new(wire, randomness.id())),
        (None, None) => Arc::new(MemoryBus::new()),
    }
}

/// The buckets of all limits: in Redis for all processes, and in this one while there is none.
pub(super) fn limiter(redis: Option<Arc<Redis>>, clock: &Arc<dyn Clock>) -> Arc<dyn RateLimiter> {
    Arc::new(Limiter::new(redis, clock.clone()))
}

/// How providers are asked. Their budgets: where Redis keeps all buckets in it, else those in the database that are of days, since a process that
/// starts anew would ask anew. Their pauses: in the database, which every process has.
pub(super) fn switchboard(
    redis: Option<&Arc<Redis>>,
    database: &Database,
    limiter: &Arc<dyn RateLimiter>,
    meter: Arc<dyn Meter>,
    (clock, randomness): (Arc<dyn Clock>, Arc<dyn Randomness>),
) -> Arc<Switchboard> {
    let budgets = if redis.is_some() { limiter.clone() } else { database.link_budgets(limiter.clone()) };
    Arc::new(Switchboard::new(budgets, database.pauses(), meter, clock, randomness))
}

/// How often what may be done.
pub(super) fn rates(
    config: &Config,
    limiter: Arc<dyn RateLimiter>,
    readers: &Arc<Readers>,
    clock: &Arc<dyn Clock>,
    meter: Arc<dyn Meter>,
) -> anyhow::Result<RateLimits> {
    Ok(RateLimits {
        limiter,
        allowances: config.rate_limits.allowances()?,
        enabled: config.rate_limits.enabled,
        sessions: readers.clone(),
        links: readers.clone(),
        clock: clock.clone(),
        meter,
    })
}

/// What a server stands on.
pub(super) struct Parts {
    pub(super) database: Arc<Database>,
    pub(super) redis: Option<Arc<Redis>>,
}

#[async_trait::async_trait]
impl Readiness for Parts {
    async fn check(&self) -> Vec<Part> {
        let database = self.database.ping().await.map_or_else(
            |failure| {
                tracing::warn!(error = ?failure, "the database does not answer");
                Standing::Gone("does not answer".to_owned())
            },
            |()| Standing::Well,
        );
        let mut parts = vec![("database", database)];
        if let Some(redis) = &self.redis {
            // That it is away is logged where it is noticed, once.
            let degraded = || Standing::Degraded("does not answer; limits are counted by each process for itself".to_owned());
            parts.push(("redis", redis.ping().await.map_or_else(|_| degraded(), |()| Standing::Well)));
        }
        parts
    }
}
