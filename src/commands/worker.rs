//! `dashtam worker`: the worker alone, beside servers that have none.

use anyhow::ensure;
use clap::Args;

use crate::{app::App, config::Config};

use super::{
    serve::{ready_to_start, warn_without_public_url},
    stop_on_signal,
};

/// Runs what servers queue.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    dashtam worker                    as many as are needed, beside any number of `dashtam serve --no-worker`\n\n\
    Ctrl-C or SIGTERM lets the sync at work finish; a second one ends it at once, and another worker takes it up when its lease is over.")]
pub(super) struct Worker {}

impl Worker {
    pub(super) async fn run(self, config: Config) -> anyhow::Result<()> {
        ensure!(
            !config.is_embedded(),
            "the embedded database is one file for one process, and `dashtam serve` works on it already; a worker of its own needs PostgreSQL: set DASHTAM_DATABASE_URL"
        );
        let made_up = ready_to_start(&config)?;
        let stop = stop_on_signal()?;
        warn_without_public_url(&config, config.bind, true);
        let mut app = App::open(&config, config.bind, made_up).await?;
        app.look_at_keys_on_hangup()?;
        tracing::info!(environment = ?config.environment, "working");
        app.work(stop).await
    }
}
