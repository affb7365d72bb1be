//! Redis for a test: the server of `TEST_REDIS_URL`, under a prefix of the test's own and behind a line that the test can cut.

use std::{io::Write as _, sync::Once};

use dashtam::{application::ports::Randomness as _, infrastructure::redis::Redis};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use url::Url;

use super::clock::TestRandomness;

/// A Redis that can be taken away.
pub(crate) struct TestRedis {
    /// Where it is reached.
    pub(crate) url: String,
    /// What the test's keys begin with.
    pub(crate) prefix: String,
    server: String,
    line: std::sync::Mutex<JoinHandle<()>>,
    address: std::net::SocketAddr,
}

/// One of a test's own, if there is a server.
pub(crate) async fn redis() -> Option<TestRedis> {
    let Ok(server) = std::env::var("TEST_REDIS_URL") else {
        say_once_that_redis_is_skipped();
        return None;
    };
    let mut url = Url::parse(&server).unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(6379));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(address.port())).unwrap();
    let line = tokio::spawn(lead(listener, server.clone()));
    Some(TestRedis { url: url.into(), prefix: format!("test-{}", TestRandomness.id().simple()), server, line: line.into(), address })
}

#[expect(clippy::explicit_write, reason = "the test harness keeps to itself what passing tests print by a macro")]
fn say_once_that_redis_is_skipped() {
    static SAID: Once = Once::new();
    SAID.call_once(|| writeln!(std::io::stderr(), "SKIPPED Redis: set TEST_REDIS_URL or run make test").unwrap());
}

/// Leads every connection to the server, until it is dropped.
async fn lead(listener: TcpListener, server: String) {
    let mut connections = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        let server = server.clone();
        connections.spawn(async move {
            if let Ok(mut far) = TcpStream::connect(server).await {
                // It ends when either side does, which is no failure.
                let _ended = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        });
    }
}

/// Takes every connection and says nothing, until it is dropped.
async fn say_nothing(listener: TcpListener) {
    let mut silent = Vec::new();
    while let Ok((near, _)) = listener.accept().await {
        silent.push(near);
    }
}

impl TestRedis {
    /// As a process reaches it.
    pub(crate) fn reach(&self) -> Redis {
        Redis::new(&self.url, &self.prefix).unwrap()
    }

    /// It is gone: connections break, and new ones are refused.
    pub(crate) async fn cut(&self) {
        self.line.lock().unwrap().abort();
        // The port is closed once the task is gone.
        while TcpStream::connect(self.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    /// Connections break, and new ones are taken by somebody who never answers.
    pub(crate) async fn silence(&self) {
        self.cut().await;
        let listener = TcpListener::bind(self.address).await.unwrap();
        *self.line.lock().unwrap() = tokio::spawn(say_nothing(listener));
    }

    /// It is back.
    pub(crate) async fn restore(&self) {
        self.cut().await;
        let listener = TcpListener::bind(self.address).await.unwrap();
        *self.line.lock().unwrap() = tokio::spawn(lead(listener, self.server.clone()));
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        self.line.lock().unwrap().abort();
    }
}
