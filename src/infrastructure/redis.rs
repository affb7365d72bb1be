//! Ports met by Redis, which several processes share. Everything in it may be gone at any moment: what is kept here is a convenience,
//! and each adapter says what is done without.
//!
//! A Redis that does not answer is not asked again for a second, so that requests don't queue up in front of it. The URL may hold a
//! password, so no error repeats it.

pub mod bus;
pub mod rate_limit;

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, RedisResult, ScriptInvocation,
    aio::{MultiplexedConnection, PubSub},
};
use tokio::time::{Instant, error::Elapsed, timeout};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_millis(500);

/// How long an answer may take.
const ANSWER: Duration = Duration::from_millis(500);

/// How long a Redis that did not answer is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// What adapters ask Redis through: one connection that commands share, made when it is needed.
pub struct Redis {
    client: Client,
    /// What every key and channel of ours begins with.
    prefix: String,
    line: Mutex<Line>,
    /// Held by who makes the connection.
    dialling: tokio::sync::Mutex<()>,
    is_failing: AtomicBool,
}

/// How the connection stands.
#[derive(Clone)]
enum Line {
    /// It can be used.
    Up(MultiplexedConnection),
    /// It can be made from this moment on.
    Down(Instant),
}

impl Redis {
    /// At a URL (`redis://` or `rediss://`). Does not connect yet.
    pub fn new(url: &str, prefix: &str) -> anyhow::Result<Self> {
        let client = Client::open(url).map_err(|_| anyhow::anyhow!("the Redis URL cannot be read"))?;
        let line = Mutex::new(Line::Down(Instant::now()));
        Ok(Self { client, prefix: prefix.to_owned(), line, dialling: tokio::sync::Mutex::new(()), is_failing: AtomicBool::new(false) })
    }

    /// A key or a channel of ours.
    pub(in crate::infrastructure) fn name(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    /// Whether it answers now; asks even if it did not a moment ago.
    pub async fn ping(&self) -> anyhow::Result<()> {
        if matches!(self.line(), Line::Down(_)) {
            self.set(Line::Down(Instant::now()));
        }
        self.ask::<String>(&redis::cmd("PING")).await.map(drop)
    }

    /// The version of the server.
    pub async fn version(&self) -> anyhow::Result<String> {
        let told: String = self.ask(redis::cmd("INFO").arg("server")).await?;
        let version = told.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(version.unwrap_or("of an unknown version").trim().to_owned())
    }

    /// Sends a command; fails after half a second.
    pub(in crate::infrastructure) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> anyhow::Result<T> {
        let mut connection = self.connection().await?;
        self.answered(timeout(ANSWER, command.query_async(&mut connection)).await)
    }

    /// Runs a script, in one step on the server; fails after half a second.
    pub(in crate::infrastructure) async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> anyhow::Result<T> {
        let mut connection = self.connection().await?;
        self.answered(timeout(ANSWER, script.invoke_async(&mut connection)).await)
    }

    fn answered<T>(&self, answer: Result<RedisResult<T>, Elapsed>) -> anyhow::Result<T> {
        let broken = match answer {
            Ok(Ok(answer)) => {
                self.works();
                return Ok(answer);
            }
            // It answered, and does not want this: the line is good.
            Ok(Err(refusal)) if !(refusal.is_io_error() || refusal.is_unrecoverable_error()) => return Err(told(&refusal)),
            Ok(Err(failure)) => told(&failure),
            Err(_) => anyhow::anyhow!("no answer within {} ms", ANSWER.as_millis()),
        };
        Err(self.broke(broken))
    }

    /// A connection of its own, for listening.
    async fn listener(&self) -> anyhow::Result<PubSub> {
        let connecting = timeout(CONNECT, self.client.get_async_pubsub()).await;
        connecting.map_err(|_| anyhow::anyhow!("no connection within {} ms", CONNECT.as_millis()))?.map_err(|failure| told(&failure))
    }

    /// The connection. Who comes while it is made waits for it; but nobody waits, and one tries each second, once it is known to fail.
    async fn connection(&self) -> anyhow::Result<MultiplexedConnection> {
        let unanswered = || anyhow::anyhow!("it did not answer a moment ago");
        let usable = |line| match line {
            Line::Up(connection) => Some(Ok(connection)),
            Line::Down(until) => (Instant::now() < until).then(|| Err(unanswered())),
        };
        if let Some(known) = usable(self.line()) {
            return known;
        }
        let _turn = if self.is_failing.load(Ordering::Relaxed) { self.dialling.try_lock().map_err(|_| unanswered())? } else { self.dialling.lock().await };
        if let Some(known) = usable(self.line()) {
            return known;
        }
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(ANSWER));
        match self.client.get_multiplexed_async_connection_with_config(&config).await {
            Ok(connection) => {
                self.set(Line::Up(connection.clone()));
                Ok(connection)
            }
            Err(failure) => Err(self.broke(told(&failure))),
        }
    }

    fn line(&self) -> Line {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, line: Line) {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }

    fn broke(&self, failure: anyhow::Error) -> anyhow::Error {
        self.set(Line::Down(Instant::now() + LEFT_ALONE));
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(error = ?failure, "Redis does not answer; what it is for is done without until it does");
        }
        failure
    }

    fn works(&self) {
        if self.is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!("Redis answers again");
        }
    }
}

/// An error in words for the log. A server's own may quote what was sent, so only its code is told.
fn told(error: &RedisError) -> anyhow::Error {
    match error.code() {
        Some(code) => anyhow::anyhow!("Redis refused: {code}"),
        None if error.is_io_error() => anyhow::anyhow!("no connection to Redis: {error}"),
        None => anyhow::anyhow!("no connection to Redis: {}", error.category()),
    }
}
