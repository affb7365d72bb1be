//! `dashtam serve`: the server, and its worker.

use std::net::SocketAddr;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;

use crate::{
    app::{App, MadeUpKeys},
    config::{Config, Environment},
};

use super::stop_on_signal;

/// Runs the server.
#[derive(Args)]
pub(super) struct Serve {
    /// The address to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<SocketAddr>,
}

impl Serve {
    pub(super) async fn run(self, mut config: Config) -> anyhow::Result<()> {
        config.bind = self.bind.unwrap_or(config.bind);
        let made_up = match config.environment {
            Environment::Production => MadeUpKeys::Refuse,
            Environment::Development => MadeUpKeys::Make,
        };
        let stop = stop_on_signal()?;
        let listener = listen(config.bind).await?;
        let listening = listener.local_addr()?;
        let app = App::open(&config, listening, made_up).await?;
        tracing::info!(%listening, public_url = config.public_url(listening), environment = ?config.environment, "ready");
        app.run(listener, stop).await
    }
}

/// Takes the address, or says what to do when somebody has it.
pub(super) async fn listen(bind: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(bind).await.with_context(|| format!("cannot listen on {bind}; --bind takes another address, and 127.0.0.1:0 any free port"))
}
