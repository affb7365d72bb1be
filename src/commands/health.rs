//! `dashtam health`: asks a running server whether it is ready, for images that hold no other program to ask with.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, ensure};
use clap::Args;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::config::Config;

use super::say;

/// How long a server may take that is well.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than any status line and headers of ours.
const MAX_ANSWER_BYTES: u64 = 16 * 1024;

/// Asks a server.
#[derive(Args)]
pub(super) struct Health {
    /// The address it listens on [default: as configured, 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<SocketAddr>,
}

impl Health {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let address = reachable(self.bind.unwrap_or(config.bind));
        let status = tokio::time::timeout(PATIENCE, status(address)).await.with_context(|| format!("no answer from {address} in five seconds"))??;
        ensure!(status == "200", "the server at {address} is not ready (status {status}); {address}/ready says why");
        say("ready")
    }
}

/// A server that listens on every address is reached on this machine's own.
fn reachable(mut bind: SocketAddr) -> SocketAddr {
    if bind.ip().is_unspecified() {
        bind.set_ip(if bind.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    bind
}

/// The status of `GET /ready`.
async fn status(address: SocketAddr) -> anyhow::Result<String> {
    let mut server = TcpStream::connect(address).await.with_context(|| format!("nothing listens on {address}"))?;
    server.write_all(format!("GET /ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    server.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    answer.split_ascii_whitespace().nth(1).map(str::to_owned).with_context(|| format!("what listens on {address} does not speak HTTP"))
}
