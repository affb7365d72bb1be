//! `dashtam serve`: the server, and its worker.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use clap::Args;
use tokio::net::TcpListener;

use crate::{
    app::{App, MadeUpKeys, check_keys, embedded},
    config::{Config, Environment},
};

use super::stop_on_signal;

/// Runs the server.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    dashtam serve                     for production, on this machine, behind a proxy that does TLS\n  \
    dashtam serve --bind 0.0.0.0:8080\n  \
    dashtam serve --no-worker         beside `dashtam worker`, both on PostgreSQL\n  \
    DASHTAM_ENVIRONMENT=development dashtam serve\n\n\
    Production does not start without keys and a mail server, and names what is missing; `dashtam doctor` looks at everything.\n\
    Ctrl-C or SIGTERM lets requests in flight finish, for up to 30 seconds; a second one ends it at once.")]
pub(super) struct Serve {
    /// The address to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<SocketAddr>,
    /// Leave syncs and mails to processes of `dashtam worker`; needs PostgreSQL
    #[arg(long)]
    no_worker: bool,
}

impl Serve {
    pub(super) async fn run(self, mut config: Config) -> anyhow::Result<()> {
        config.bind = self.bind.unwrap_or(config.bind);
        ensure!(
            !(self.no_worker && config.is_embedded()),
            "the embedded database is one file for one process, so nobody else can do the work; --no-worker needs PostgreSQL: set DASHTAM_DATABASE_URL"
        );
        let made_up = ready_to_start(&config)?;
        let stop = stop_on_signal()?;
        let _alone = embedded::take(&config)?;
        let listener = listen(config.bind).await?;
        let listening = listener.local_addr()?;
        warn_without_public_url(&config, listening, self.no_worker);
        let mut app = App::open(&config, listening, made_up).await?;
        app.look_at_keys_on_hangup()?;
        tracing::info!(%listening, public_url = config.public_url(listening), environment = ?config.environment, works = !self.no_worker, "ready");
        if self.no_worker { app.serve(listener, stop).await } else { app.run(listener, stop).await }
    }
}

/// Refuses a start for which settings are missing, naming all of them at once: nobody wants to learn of them one start at a time.
/// Answers whether keys may be made up.
pub(super) fn ready_to_start(config: &Config) -> anyhow::Result<MadeUpKeys> {
    if config.environment == Environment::Development {
        return Ok(MadeUpKeys::Make);
    }
    let missing: Vec<_> = [check_keys(config).err(), config.mail().err()].into_iter().flatten().map(|refusal| format!("{refusal:#}")).collect();
    if !missing.is_empty() {
        bail!("{}", missing.join("\n"));
    }
    Ok(MadeUpKeys::Refuse)
}

/// Says that nobody told under which address people reach this, where more depends on it than a try on one's own machine.
pub(super) fn warn_without_public_url(config: &Config, listening: SocketAddr, is_one_of_several: bool) {
    if config.public_url.is_none() && (is_one_of_several || config.environment == Environment::Production) {
        tracing::warn!(
            told_instead = config.public_url(listening),
            "DASHTAM_PUBLIC_URL is not set: links in mails, banks and tokens name the address this process listens on, which people may not reach; \
             set it to the address browsers use, the same for every server and worker, or they do not take each other's sign-ins"
        );
    }
}

/// Takes the address, or says what to do when somebody has it.
pub(super) async fn listen(bind: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(bind).await.with_context(|| format!("cannot listen on {bind}; --bind takes another address, and 127.0.0.1:0 any free port"))
}
