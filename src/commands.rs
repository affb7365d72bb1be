//! The command line: what the binary does.

mod audit;
mod demo;
mod doctor;
mod health;
mod import;
mod keys;
mod migrate;
mod outbox;
mod reference;
mod remap;
mod serve;
mod terminal;
mod user;
mod worker;

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{
    config::{Config, Environment},
    domain::failure::causes,
};

/// Where the help of a command has what every command takes.
const EVERYWHERE: &str = "Options of every command";

/// Self-hosted financial data aggregation API: accounts, transactions and balances in one GraphQL graph.
#[derive(Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "Start with `dashtam demo`. For real: `dashtam doctor`, then `dashtam serve`.\n\n\
        Exit codes: 0 done, 1 failed, 2 wrong usage.\n\
        Logs go to standard error; DASHTAM_LOG sets their level (default info). NO_COLOR is respected."
)]
pub struct CommandLine {
    /// Where the embedded database and made-up keys are kept [default: dashtam-data]
    #[arg(long, global = true, value_name = "FOLDER", help_heading = EVERYWHERE)]
    data_dir: Option<PathBuf>,
    /// A configuration file [default: dashtam.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", help_heading = EVERYWHERE)]
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
    /// Run the worker alone, beside servers that have none
    Worker(worker::Worker),
    /// Look whether a server would start and work here, and say what to do where it would not
    Doctor(doctor::Doctor),
    /// Ask a running server whether it is ready; exit code 0 when it is
    Health(health::Health),
    /// Bring the database's schema up or down, or look where it stands
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    /// Print the GraphQL schema
    #[command(after_help = "Examples:\n  dashtam schema > schema.graphql")]
    Schema,
    /// Make users, give them roles, help them in
    #[command(subcommand)]
    User(user::User),
    /// Look after keys: what hangs on each, new ones, and what older ones sealed
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Look at mails that are not out yet, and let them go again or drop them
    #[command(subcommand)]
    Outbox(outbox::Outbox),
    /// Check the audit trail, take it elsewhere, or drop what is past its retention
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Take in a statement file (OFX, QFX, CSV) for a user
    Import(import::Import),
    /// Map once more what providers answered before, after an update that reads them better
    Remap(remap::Remap),
    /// Print a page of the manual
    #[command(after_help = "Examples:\n  dashtam reference example > dashtam.toml\n  dashtam reference configuration | less")]
    Reference {
        /// Which
        page: reference::Reference,
    },
    /// Print what a shell needs to complete commands and options
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

const COMPLETIONS: &str = "Examples:\n  \
    dashtam completions bash > ~/.local/share/bash-completion/completions/dashtam\n  \
    dashtam completions zsh > \"${fpath[1]}/_dashtam\"\n  \
    dashtam completions fish > ~/.config/fish/completions/dashtam.fish";

impl CommandLine {
    /// Runs the command and says how it went.
    pub async fn run(self) -> ExitCode {
        match self.execute().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                // Standard error may be closed; there is nowhere left to say so.
                let _unsaid = writeln!(std::io::stderr(), "error: {}", causes(&failure));
                ExitCode::FAILURE
            }
        }
    }

    async fn execute(self) -> anyhow::Result<()> {
        let settings = self.settings();
        match self.command {
            Command::Demo(demo) => demo.run(logging(settings, "warn")?).await,
            Command::Serve(serve) => serve.run(logging(settings, LOG)?).await,
            Command::Worker(worker) => worker.run(logging(settings, LOG)?).await,
            Command::Doctor(doctor) => doctor.run(settings).await,
            Command::Health(health) => health.run(&settings?).await,
            Command::Migrate(migrate) => migrate.run(&logging(settings, LOG)?).await,
            Command::User(user) => user.run(&logging(settings, LOG)?).await,
            Command::Keys(keys) => keys.run(&logging(settings, "warn")?).await,
            Command::Outbox(outbox) => outbox.run(&logging(settings, LOG)?).await,
            Command::Audit(audit) => audit.run(settings).await,
            Command::Import(import) => import.run(&logging(settings, LOG)?).await,
            Command::Remap(remap) => remap.run(&logging(settings, LOG)?).await,
            // These need no settings, so wrong ones are none of their business.
            Command::Schema => say(crate::presentation::graphql::sdl().trim_end()),
            Command::Reference { page } => page.run(),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "dashtam", &mut script);
                say(String::from_utf8(script)?.trim_end())
            }
        }
    }

    /// The configuration, with what the command line says on top.
    fn settings(&self) -> anyhow::Result<Config> {
        let is_demo = matches!(self.command, Command::Demo(_));
        let environment = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        // DATABASE_URL may be another program's: a demo never writes there.
        let mut config = Config::read(self.config.as_deref(), environment.filter(|(name, _)| !(is_demo && name == "DATABASE_URL")))?;
        if let Some(folder) = &self.data_dir {
            config.data_dir.clone_from(folder);
        }
        if is_demo {
            config.environment = Environment::Development;
        }
        Ok(config)
    }
}

/// Prints a line to standard output.
fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Says something on standard error.
fn mention(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stderr(), "{line}")?)
}

/// What is logged when nobody says; a demo talks to a person, so it logs less.
const LOG: &str = "info,sqlx=warn,sea_orm_migration=warn";

/// Begins to log, to standard error: for people in development, as JSON in production.
fn logging(settings: anyhow::Result<Config>, default: &str) -> anyhow::Result<Config> {
    let config = settings?;
    let filter = EnvFilter::try_new(config.log.as_deref().unwrap_or(default));
    let filter = filter.map_err(|_| anyhow::anyhow!("DASHTAM_LOG is a level such as info, or a filter such as dashtam=debug"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match config.environment {
        Environment::Production => builder.json().flatten_event(true).try_init(),
        Environment::Development => builder.with_ansi(terminal::is_coloured(&std::io::stderr())).try_init(),
    };
    set.map_err(|failure| anyhow::anyhow!("the log cannot be set up: {failure}"))?;
    // The text of a panic may hold anything, so only its place is logged.
    std::panic::set_hook(Box::new(|panic| tracing::error!(place = panic.location().map(ToString::to_string), "a task panicked")));
    Ok(config)
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
