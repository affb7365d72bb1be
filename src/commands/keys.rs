//! `dashtam keys`: what hangs on each key, new keys, and what older ones sealed moved to the current one.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::{
    app::{
        App,
        keys::{Family, Proposal, Standing, Standings, Use, places, status, waits},
    },
    application::{access::Requester, keys::RotateKeys},
    config::Config,
};

use super::{mention, say, terminal::Progress, user::beside_a_server};

/// Looks after keys.
#[derive(Subcommand)]
#[command(after_help = "Examples:\n  \
    dashtam keys status\n  \
    dashtam keys rotate\n  \
    dashtam keys reseal\n\n\
    Servers may run meanwhile: they take new keys up from their files by themselves.")]
pub(super) enum Keys {
    /// Show each key's id, where it comes from, and how much still hangs on it
    #[command(after_help = "Examples:\n  \
        dashtam keys status\n  \
        dashtam keys status --json | jq '.keys[] | select(.use == \"kept\" and .hanging == {})'\n\n\
        A kept key on which nothing hangs may go. No key is shown, nor any part of one.")]
    Status(Status),
    /// Make new keys and keep the old ones; where keys are no files of ours, print what to set or write instead
    #[command(after_help = "Examples:\n  \
        dashtam keys rotate\n  \
        dashtam keys rotate --tokens\n  \
        dashtam keys rotate --ring > ring.env     where the ring is set by a variable: what to set it to\n\n\
        Exit codes: 0 new keys are made, or shown where they cannot be written; 1 failed.")]
    Rotate(Rotate),
    /// Seal under the current key what older ones sealed, beside running servers
    #[command(after_help = "Examples:\n  \
        dashtam keys reseal\n\n\
        It waits until servers use a new key, and may be run again at any time.\n\
        Exit codes: 0 everything is sealed under the current key; 1 something does not open, and is named.")]
    Reseal,
}

#[derive(Args)]
pub(super) struct Status {
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Rotate {
    /// The ring, which seals secrets and peppers passwords
    #[arg(long)]
    ring: bool,
    /// The token secret, which signs access tokens; nobody is signed out
    #[arg(long)]
    tokens: bool,
}

impl Keys {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        match self {
            Self::Status(status) => status.run(config).await,
            Self::Rotate(rotate) => rotate.run(config).await,
            Self::Reseal => reseal(config).await,
        }
    }
}

impl Status {
    async fn run(self, config: &Config) -> anyhow::Result<()> {
        let standings = status(config, beside_a_server(config)).await?;
        if self.json {
            return say(&as_json(&standings).to_string());
        }
        for standing in &standings.keys {
            say(&line(standing))?;
        }
        if !standings.foreign.is_empty() {
            say(&format!("missing: {} under keys that are not here", listed(&standings.foreign)))?;
        }
        Ok(())
    }
}

fn family(family: Family) -> &'static str {
    match family {
        Family::Ring => "ring",
        Family::Tokens => "tokens",
    }
}

fn line(standing: &Standing) -> String {
    let used = match standing.used {
        Use::Current => "current".to_owned(),
        Use::Next { seconds } => format!("used in {seconds} s"),
        Use::Kept => "kept".to_owned(),
    };
    let hanging = match &standing.hanging {
        None => "there is no database to ask what hangs on it".to_owned(),
        Some(hanging) if !hanging.is_empty() => listed(hanging),
        Some(_) if standing.used == Use::Kept => "nothing hangs on it; it may go".to_owned(),
        Some(_) => "nothing hangs on it".to_owned(),
    };
    format!("{:<6}  {:<12}  {:<12}  {}: {hanging}", family(standing.family), standing.id, used, standing.place)
}

fn listed(hanging: &[(&'static str, u64)]) -> String {
    hanging.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

fn as_json(standings: &Standings) -> serde_json::Value {
    let counted = |hanging: &[(&'static str, u64)]| hanging.iter().map(|(what, count)| ((*what).to_owned(), json!(count))).collect::<serde_json::Map<_, _>>();
    let keys = standings.keys.iter().map(|standing| {
        let (used, seconds) = match standing.used {
            Use::Current => ("current", None),
            Use::Next { seconds } => ("next", Some(seconds)),
            Use::Kept => ("kept", None),
        };
        let hanging = standing.hanging.as_deref().map(counted);
        json!({ "family": family(standing.family), "id": standing.id, "use": used, "usedInSeconds": seconds, "place": standing.place, "hanging": hanging })
    });
    json!({ "keys": keys.collect::<Vec<_>>(), "missing": counted(&standings.foreign) })
}

impl Rotate {
    async fn run(self, config: &Config) -> anyhow::Result<()> {
        let both = self.ring == self.tokens;
        let wanted = [(Family::Ring, both || self.ring), (Family::Tokens, both || self.tokens)];
        let wanted: Vec<_> = wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(family, _)| family).collect();
        let kept_at = places(config, beside_a_server(config)).await?;
        let (mut renewable, mut shown) = (Vec::new(), Vec::new());
        for one in wanted {
            match kept_at.can_renew(one) {
                Ok(()) => renewable.push(one),
                Err(why) => shown.push((one, why)),
            }
        }
        if !renewable.is_empty() {
            let app = App::open(config, config.bind, beside_a_server(config)).await?;
            let command =
                RotateKeys { requester: Requester::command_line(None), ring: renewable.contains(&Family::Ring), tokens: renewable.contains(&Family::Tokens) };
            let renewed = app.application.keys.rotate(command, kept_at.clone()).await?;
            for (one, id) in [(Family::Ring, renewed.ring), (Family::Tokens, renewed.tokens)] {
                if let Some(id) = id {
                    let place = kept_at.described(one).0;
                    say(&format!("{}: {id} is made, in {place}; running servers use it in {} seconds", family(one), config.keys.wait_seconds))?;
                }
            }
        }
        for (one, why) in shown {
            let proposals = kept_at.propose(one)?;
            let is_filed = proposals.iter().any(|proposal| proposal.file.is_some());
            let what_to_do = if is_filed { "put what follows where it belongs, in this order" } else { "set what follows" };
            mention(&format!("{}: nothing was changed, since {why}. For new keys, {what_to_do}, for every server:", family(one)))?;
            for Proposal { setting, file, value } in proposals {
                match file {
                    Some(file) => say(&format!("# {}, which {setting}_FILE names:\n{}", file.display(), value.expose_secret()))?,
                    None => say(&format!("{setting}={}", value.expose_secret()))?,
                }
            }
        }
        Ok(())
    }
}

async fn reseal(config: &Config) -> anyhow::Result<()> {
    let kept_at = places(config, beside_a_server(config)).await?;
    let progress = Arc::new(Progress::new());
    // What is sealed under a key that some server has not seen yet would not open there; and one that does not use it yet would seal under
    // the old one after this has ended.
    while let Some(left) = waits(config, &kept_at, Family::Ring).filter(|_| kept_at.read().is_ok_and(|keys| keys.ring_ids().len() > 1)) {
        progress.passing(&format!("waiting for servers to use the new key, {} s", left.as_secs() + 1));
        tokio::time::sleep(left.min(Duration::from_secs(1))).await;
    }
    let app = App::open(config, config.bind, beside_a_server(config)).await?;
    let watched = progress.clone();
    let told = move |done: &crate::application::keys::Resealed| watched.passing(&format!("{} sealed anew", done.resealed));
    let done = app.application.keys.reseal(&Requester::command_line(None), &told).await?;
    drop((told, progress));
    let current = kept_at.read()?.ring_ids().first().map(|id| (*id).to_owned()).unwrap_or_default();
    say(&format!("{} sealed anew under {current}", done.resealed))?;
    for (kind, id) in &done.unopened {
        mention(&format!("{} {id} does not open", kind.as_str()))?;
    }
    ensure!(
        done.unopened.is_empty(),
        "{} sealed values do not open with these keys, and were left as they are; put the key that sealed them back into DASHTAM_ENCRYPTION__KEYS",
        done.unopened.len()
    );
    Ok(())
}
