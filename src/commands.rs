//! The command line: what the binary does.

mod demo;
mod health;
mod import;
mod migrate;
mod serve;
mod user;

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::config::{Config, Environment, without_effect};

/// Self-hosted financial data aggregation API: accounts, transactions and balances in one GraphQL graph.
#[derive(Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "Start with `dashtam demo`.\n\nExit codes: 0 done, 1 failed, 2 wrong usage.\nLogs go to standard error; DASHTAM_LOG sets their level (default info)."
)]
pub struct CommandLine {
    /// Where the embedded database and made-up keys are kept [default: dashtam-data]
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// A configuration file [default: dashtam.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Try everything out: embedded database, a sandbox bank, one user with their money linked and synced
    Demo(demo::Demo),
    /// Run the server
    Serve(serve::Serve),
    /// Ask a running server whether it is ready; exit code 0 when it is
    Health(health::Health),
    /// Bring the database's schema up or down, or look where it stands
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    /// Print the GraphQL schema
    Schema,
    /// Make users, and give them roles
    #[command(subcommand)]
    User(user::User),
    /// Take in a statement file (OFX, QFX) for a user
    Import(import::Import),
}

impl CommandLine {
    /// Runs the command and says how it went.
    pub async fn run(self) -> ExitCode {
        match self.execute().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                // Standard error may be closed; there is nowhere left to say so.
                let _unsaid = writeln!(std::io::stderr(), "error: {failure:#}");
                ExitCode::FAILURE
            }
        }
    }

    async fn execute(self) -> anyhow::Result<()> {
        if matches!(self.command, Command::Schema) {
            return say(crate::presentation::graphql::sdl().trim_end());
        }
        let environment = || std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let log_level = std::env::var("DASHTAM_LOG").ok();
        // DASHTAM_LOG is for the log alone, and DATABASE_URL may be another program's: a demo never writes there.
        let is_demo = matches!(self.command, Command::Demo(_));
        let settings = environment().filter(|(name, _)| name != "DASHTAM_LOG" && !(is_demo && name == "DATABASE_URL"));
        let mut config = Config::read(self.config.as_deref(), settings)?;
        if let Some(folder) = self.data_dir {
            config.data_dir = folder;
        }
        if is_demo {
            config.environment = Environment::Development;
        }
        log(log_level.as_deref(), &config, is_demo)?;
        for name in without_effect(environment()) {
            tracing::warn!(name, "this setting has no effect in this version");
        }
        match self.command {
            Command::Demo(demo) => demo.run(config).await,
            Command::Serve(serve) => serve.run(config).await,
            Command::Health(health) => health.run(&config).await,
            Command::Migrate(migrate) => migrate.run(&config).await,
            Command::Schema => Ok(()),
            Command::User(user) => user.run(&config).await,
            Command::Import(import) => import.run(&config).await,
        }
    }
}

/// Prints a line to standard output.
fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Logs go to standard error: for people in development, as JSON in production. A demo is quiet unless asked.
fn log(level: Option<&str>, config: &Config, is_demo: bool) -> anyhow::Result<()> {
    let default = if is_demo { "warn" } else { "info,sqlx=warn,sea_orm_migration=warn" };
    let filter =
        EnvFilter::try_new(level.unwrap_or(default)).map_err(|_| anyhow::anyhow!("DASHTAM_LOG is a level such as info, or a filter such as dashtam=debug"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match config.environment {
        Environment::Production => builder.json().flatten_event(true).try_init(),
        Environment::Development => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
    };
    set.map_err(|failure| anyhow::anyhow!("the log cannot be set up: {failure}"))
}

/// Cancelled by Ctrl-C or SIGTERM. A second one ends the process at once.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let signalled = stop.clone();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        for hard in [false, true] {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            if hard {
                std::process::exit(130);
            }
            signalled.cancel();
        }
    });
    Ok(stop)
}
