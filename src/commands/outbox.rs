//! `dashtam outbox`: what is not out yet, and what becomes of what was given up.

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::{
    app::App,
    application::{
        access::Requester,
        outbox::{ChangeMessage, Outgoing},
    },
    config::Config,
    domain::{id::MessageId, outbox::Message},
};

use super::{say, user::beside_a_server};

/// The most messages that are listed, or let go at once.
const LISTED: u64 = 1000;

/// Looks after the outbox.
#[derive(Subcommand)]
#[command(after_help = "Examples:\n  \
    dashtam outbox list\n  \
    dashtam outbox list --parked\n  \
    dashtam outbox retry --parked\n  \
    dashtam outbox drop 0199c0de-0000-7000-8000-000000000001")]
pub(super) enum Outbox {
    /// List messages that are not out yet, oldest first: id, state, topic, when it was queued, how often it was tried, what was wrong last
    #[command(after_help = "Examples:\n  dashtam outbox list\n  dashtam outbox list --parked\n\n\
        At most a thousand are shown. Nobody's address is: `dashtam audit export --with-persons` tells whom an act was about.")]
    List {
        /// Only those that were given up
        #[arg(long)]
        parked: bool,
    },
    /// Let messages go again: at once, and as often as new ones
    #[command(after_help = "Examples:\n  dashtam outbox retry 0199c0de-0000-7000-8000-000000000001\n  dashtam outbox retry --parked\n\n\
        A mail whose token is past its time is not sent any more; who needs it asks for another one. Each is on the audit trail.")]
    Retry(Which),
    /// Forget messages; whoever they were for will not get them
    #[command(after_help = "Examples:\n  dashtam outbox drop 0199c0de-0000-7000-8000-000000000001\n  dashtam outbox drop --parked\n\n\
        Each is on the audit trail.")]
    Drop(Which),
}

/// Names messages.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// Their ids, as `dashtam outbox list` shows them
    #[arg(value_name = "ID")]
    ids: Vec<Uuid>,
    /// Every one that was given up
    #[arg(long)]
    parked: bool,
}

impl Outbox {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let app = App::open(config, config.bind, beside_a_server(config)).await?;
        let Outgoing { queries, commands } = &app.application.outbox;
        match self {
            Self::List { parked } => {
                for message in queries.undelivered_for_operator(parked, LISTED).await? {
                    say(&line(&message))?;
                }
            }
            Self::Retry(which) => {
                for message in which.ids(&app).await? {
                    let message = commands.retry(ChangeMessage { requester: Requester::command_line(None), message }).await;
                    let message = message.context("the others stay as they are")?;
                    say(&format!("{} {} goes again", message.id.0, message.topic))?;
                }
            }
            Self::Drop(which) => {
                for message in which.ids(&app).await? {
                    let message = commands.drop(ChangeMessage { requester: Requester::command_line(None), message }).await;
                    let message = message.context("the others stay as they are")?;
                    say(&format!("{} {} is dropped", message.id.0, message.topic))?;
                }
            }
        }
        Ok(())
    }
}

impl Which {
    async fn ids(self, app: &App) -> anyhow::Result<Vec<MessageId>> {
        if !self.parked {
            return Ok(self.ids.into_iter().map(MessageId).collect());
        }
        let parked = app.application.outbox.queries.undelivered_for_operator(true, LISTED).await?;
        ensure!(!parked.is_empty(), "nothing was given up");
        Ok(parked.into_iter().map(|message| message.id).collect())
    }
}

fn line(message: &Message) -> String {
    let state = if message.parked_at.is_some() { "parked" } else { "waits" };
    let problem = message.problem.as_deref().unwrap_or("-");
    format!("{} {state:<6} {:<28} {} {:>2} {problem}", message.id.0, message.topic, message.created_at, message.attempts)
}
