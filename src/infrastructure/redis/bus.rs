//! Signals between processes by Redis' publish and subscribe.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use tokio::time::{interval, timeout};

use crate::infrastructure::bus::{Ear, Wire};

use super::{ANSWER, Redis, told};

/// How often a listener makes sure that the other end is still there: a line that was cut says nothing by itself.
const ARE_YOU_THERE: Duration = Duration::from_secs(10);

/// A channel of Redis.
pub struct RedisWire {
    redis: Arc<Redis>,
    channel: String,
}

impl RedisWire {
    /// The one that all processes of a prefix share.
    pub fn new(redis: Arc<Redis>) -> Self {
        let channel = redis.name("signals");
        Self { redis, channel }
    }
}

#[async_trait]
impl Wire for RedisWire {
    fn name(&self) -> &'static str {
        "redis"
    }

    async fn send(&self, message: &str) -> anyhow::Result<()> {
        let _listeners: u64 = self.redis.ask(redis::cmd("PUBLISH").arg(&self.channel).arg(message)).await?;
        Ok(())
    }

    async fn hear(&self, ear: &Ear) -> anyhow::Result<Infallible> {
        let (mut sink, mut messages) = self.redis.listener().await?.split();
        timeout(ANSWER, sink.subscribe(&self.channel)).await.context("no answer to a subscription")?.map_err(|failure| told(&failure))?;
        ear.connected();
        let mut pulse = interval(ARE_YOU_THERE);
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    // What is no text is no signal either, and is told so.
                    Some(message) => ear.heard(&message.get_payload::<String>().unwrap_or_default()),
                    None => bail!("the connection broke"),
                },
                _ = pulse.tick() => {
                    let _pong: redis::Value = timeout(ANSWER, sink.ping()).await.context("no sign of life")?.map_err(|failure| told(&failure))?;
                }
            }
        }
    }
}
