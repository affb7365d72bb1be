//! `dashtam migrate`: the database's schema.

use clap::Subcommand;

use crate::{app::open_database, config::Config};

use super::say;

/// Moves the schema.
#[derive(Subcommand)]
#[command(after_help = "Examples:\n  \
    dashtam migrate status\n  \
    dashtam migrate up\n  \
    dashtam migrate down --steps 2\n\n\
    `serve` and `worker` bring the schema up by themselves; any number may start at once.")]
pub(super) enum Migrate {
    /// Apply everything that is pending
    Up,
    /// Take back the latest migrations; what they held is lost
    Down {
        /// How many
        #[arg(long, default_value_t = 1)]
        steps: u32,
    },
    /// List migrations and whether they are applied
    Status,
}

impl Migrate {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let database = open_database(config).await?;
        match self {
            Self::Up => {
                let pending = database.pending().await?;
                database.migrate_up().await?;
                say(&format!("{pending} applied; the schema is up to date"))?;
            }
            Self::Down { steps } => {
                database.migrate_down(steps).await?;
                say(&format!("taken back; {} pending now", database.pending().await?))?;
            }
            Self::Status => {
                for (name, applied) in database.status().await? {
                    say(&format!("{}  {name}", if applied { "applied" } else { "pending" }))?;
                }
            }
        }
        database.close().await
    }
}
