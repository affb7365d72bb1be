//! `dashtam remap`: maps once more what providers answered before, by the rules of this version.

use std::io::Write as _;

use anyhow::ensure;
use clap::Args;

use crate::{
    app::App,
    application::{
        access::Requester,
        remap::{RemapError, RemapLink, Remapped},
    },
    config::Config,
    domain::id::LinkId,
    presentation::graphql::global_id::{GlobalId, id_or_nothing},
};

use super::{say, user::beside_a_server};

/// Maps once more what is kept of providers' answers.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    dashtam remap --all --dry-run\n  \
    dashtam remap --all\n  \
    dashtam remap --link link_01jdy3v9e8f3r8q2x6m0c5k7ta\n\n\
    After an update that reads a provider better. No provider is asked: what is mapped is what each answered within `payloads.keep_days`.\n\
    Nothing is doubled or withdrawn, and what owners say of their accounts stays. Servers may run meanwhile. Each link is on the audit trail.\n\
    Exit codes: 0 all was mapped; 1 something could not be, and is counted.")]
pub(super) struct Remap {
    #[command(flatten)]
    which: Which,
    /// Tell what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Names links.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Of which links, by their ids in the graph
    #[arg(long = "link", value_name = "LINK")]
    links: Vec<String>,
    /// Of every link
    #[arg(long)]
    all: bool,
}

impl Remap {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let app = App::open(config, config.bind, beside_a_server(config)).await?;
        let mut kept = app.application.remaps.links().await?;
        if !self.which.all {
            let wanted: Vec<LinkId> = self.which.links.iter().map(|id| id_or_nothing(id)).collect();
            for (written, link) in self.which.links.iter().zip(&wanted) {
                ensure!(kept.iter().any(|(_, one)| one == link), "nothing is kept of {written}");
            }
            kept.retain(|(_, link)| wanted.contains(link));
        }
        if kept.is_empty() {
            return say("nothing is kept of any link");
        }
        let mut failed = 0;
        for (owner, link) in kept {
            let named = GlobalId::from(link);
            let command = RemapLink { requester: Requester::command_line(Some(owner)), link, is_rehearsal: self.dry_run };
            match app.application.remaps.remap(command).await {
                Ok(done) => {
                    failed += usize::from(done.unread > 0);
                    say(&format!("{named}: {}", told(done, self.dry_run)))?;
                }
                // One link's fault holds up no other.
                Err(failure) => {
                    failed += 1;
                    let remedy = remedy(&failure, config).unwrap_or_default();
                    writeln!(std::io::stderr(), "{named}: {:#}{remedy}", anyhow::Error::new(failure))?;
                }
            }
        }
        ensure!(failed == 0, "of {failed} links not everything that is kept could be mapped");
        Ok(())
    }
}

/// What helps where a demo's folder is worked on without what the demo sets by itself.
fn remedy(failure: &RemapError, config: &Config) -> Option<&'static str> {
    let is_the_sandboxs = matches!(failure, RemapError::UnknownProvider(provider) if provider == "sandbox");
    (is_the_sandboxs && !config.has_sandbox(config.bind)).then_some(
        "; the sandbox bank is there in development and on this machine only: set DASHTAM_ENVIRONMENT=development, and leave DASHTAM_BIND at 127.0.0.1",
    )
}

fn told(done: Remapped, is_rehearsal: bool) -> String {
    let Remapped { payloads, unread, accounts, added, modified, refused } = done;
    let would = if is_rehearsal { "would change" } else { "changed" };
    let also = |count: u32, what: &str| if count > 0 { format!("; {count} {what}") } else { String::new() };
    format!(
        "{payloads} payloads read; {would} {accounts} accounts and {modified} transactions, {added} more are new{}{}",
        also(refused, "rows still cannot be read"),
        also(unread, "payloads do not open or are not read any more")
    )
}
