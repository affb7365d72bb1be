//! `dashtam audit`: whether the trail is what was written, and taking it elsewhere.

use std::{
    fs::OpenOptions,
    io::{BufWriter, Write},
    path::PathBuf,
};

use anyhow::{Context as _, ensure};
use chrono::NaiveDate;
use clap::{Args, Subcommand};

use crate::{
    app::{
        App,
        audit::{Evidence, Part, PublicKeys, check, export, public_keys},
    },
    application::{
        access::Requester,
        chain::{
            retention::Dropped,
            verification::{Finding, Tally},
        },
    },
    config::Config,
};

use super::{LOG, logging, mention, say, terminal::Progress, user::beside_a_server};

/// Looks after the trail.
#[derive(Subcommand)]
#[command(after_help = "Examples:\n  \
    dashtam audit verify\n  \
    dashtam audit verify --checkpoint /mnt/append-only/dashtam-checkpoints.jsonl\n  \
    dashtam audit export --output trail.jsonl\n  \
    dashtam audit verify --from trail.jsonl --key \"$(dashtam audit key | head -1 | cut -d' ' -f2)\"")]
pub(super) enum Audit {
    /// Look for anything in the trail that was changed, removed, added or moved, and say where
    Verify(Verify),
    /// Write the trail as JSON Lines, to be kept or checked elsewhere
    Export(Export),
    /// Drop what is past its retention, whole months at once, behind a signed cut
    Prune(Prune),
    /// Print the public keys that checkpoints are checked with, the one that signed last first
    #[command(after_help = "Examples:\n  dashtam audit key > audit-keys.txt")]
    Key,
}

/// Checks the trail.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    dashtam audit verify\n  \
    dashtam audit verify --checkpoint dashtam-checkpoints.jsonl\n  \
    dashtam audit verify --from trail.jsonl --key 'xY2…='\n\n\
    Each finding is a line: where, what, and in which event. The last second before now is not sealed yet; how many events\n\
    that are is told, and one that is older than five minutes is a finding.\n\
    Exit codes: 0 the trail is what was written; 1 it is not, or it could not be read.")]
pub(super) struct Verify {
    /// Published checkpoints, one or many: they also show a trail cut off at its end, or rewritten by somebody with the keys
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Check an export instead of the database
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// A public key to trust, as `dashtam audit key` prints it, instead of those of the configuration; more than one may be given
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Leave out who was kept for each event, which takes about as long as everything else
    #[arg(long, conflicts_with = "from")]
    without_persons: bool,
}

/// Drops what is past its retention.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    dashtam audit prune --dry-run\n  \
    dashtam audit prune\n  \
    dashtam audit prune --before 2020-01\n\n\
    A worker does so every day by itself. It also makes room for the months to come. Nothing younger than audit.retention_days goes\n\
    (routine events: audit.routine_retention_days), and nothing that is not sealed.\n\
    On PostgreSQL it takes the role that owns the tables.")]
pub(super) struct Prune {
    /// Keep this month and what is younger [default: as the configuration says]
    #[arg(long, value_name = "MONTH", value_parser = month)]
    before: Option<NaiveDate>,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
}

/// Writes the trail.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    dashtam audit export --output trail.jsonl\n  \
    dashtam audit export --from 2026-01-01 --to 2026-12-31 --output 2026.jsonl\n  \
    dashtam audit export --with-persons | gzip > trail.jsonl.gz\n\n\
    A part goes on to the checkpoint behind it, so that all of it is signed.")]
pub(super) struct Export {
    /// The file to write; standard output when it is not given
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The first day, in UTC
    #[arg(long, value_name = "DAY")]
    from: Option<NaiveDate>,
    /// The last day, in UTC
    #[arg(long, value_name = "DAY")]
    to: Option<NaiveDate>,
    /// With whom each event was about: addresses, networks, what clients called themselves
    #[arg(long)]
    with_persons: bool,
}

impl Audit {
    pub(super) async fn run(self, settings: anyhow::Result<Config>) -> anyhow::Result<()> {
        match self {
            // An export is checked anywhere, whatever the settings there.
            Self::Verify(verify) => verify.run(settings).await,
            Self::Export(export) => export.run(&logging(settings, LOG)?).await,
            Self::Prune(prune) => prune.run(&logging(settings, LOG)?).await,
            Self::Key => {
                let PublicKeys { keys, unknown } = public_keys(&settings?).await?;
                if let (Some(unknown), true) = (unknown, keys.len() > 1) {
                    mention(&format!("which of them signed last is not known, so they stand as in the ring: {unknown}"))?;
                }
                keys.iter().try_for_each(|(id, key)| say(&format!("{id} {key}")))
            }
        }
    }
}

impl Verify {
    async fn run(self, settings: anyhow::Result<Config>) -> anyhow::Result<()> {
        let progress = Progress::new();
        let mut unsaid = None;
        let mut report = |finding: Finding| {
            if let Err(failure) = say(&line(&finding)) {
                unsaid = Some(failure);
            }
        };
        let evidence = Evidence { keys: &self.key, checkpoints: self.checkpoint.as_deref(), persons: !self.without_persons };
        let walked = |position| progress.passing(&format!("position {}", grouped(position)));
        let tally = check(settings, self.from.as_deref(), evidence, &mut report, &walked).await;
        drop(progress);
        let tally = tally?;
        unsaid.map_or(Ok(()), Err)?;
        say(&summary(&tally))?;
        ensure!(tally.findings == 0, "the audit trail is not what was written: {} findings", grouped(tally.findings));
        Ok(())
    }
}

impl Export {
    async fn run(self, config: &Config) -> anyhow::Result<()> {
        let progress = Progress::new();
        let out: Box<dyn Write + Send> = match &self.output {
            Some(file) => {
                let mut options = OpenOptions::new();
                options.write(true).create(true).truncate(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                Box::new(options.open(file).with_context(|| format!("{} cannot be written", file.display()))?)
            }
            None => Box::new(std::io::stdout()),
        };
        let part = Part { from: self.from, to: self.to, with_persons: self.with_persons };
        let written =
            export(config, BufWriter::with_capacity(1 << 20, out), part, &|position| progress.passing(&format!("position {}", grouped(position)))).await;
        drop(progress);
        let written = written?;
        if let Some(file) = self.output {
            say(&format!("{} entries in {}", grouped(written), file.display()))?;
        }
        Ok(())
    }
}

/// `2026-01` as its first day.
fn month(text: &str) -> Result<NaiveDate, String> {
    NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").map_err(|_| "a month is written YYYY-MM".to_owned())
}

impl Prune {
    async fn run(self, config: &Config) -> anyhow::Result<()> {
        let app = App::open(config, config.bind, beside_a_server(config)).await?;
        let Dropped { events, position, routine } =
            if self.dry_run { app.retention.plan(self.before).await? } else { app.retention.prune(Requester::command_line(None), self.before).await? };
        let mut parts = Vec::new();
        if events > 0 {
            let (gone, begins) = if self.dry_run { ("would go", "would begin") } else { ("are gone", "begins now") };
            parts.push(format!("{} events {gone}; the trail {begins} behind position {}", grouped(events), grouped(position)));
        }
        if routine > 0 {
            let gone = if self.dry_run { "would go" } else { "are gone" };
            parts.push(format!("{} routine events of later months {gone}; their positions stay", grouped(routine)));
        }
        say(&if parts.is_empty() { "nothing is past its retention".to_owned() } else { parts.join("\n") })
    }
}

/// `position 17 · event changed · 2026-11-25T10:00:00Z 0193…: this event is not the one that was sealed`
fn line(finding: &Finding) -> String {
    let position = finding.position.map_or("no position".to_owned(), |position| format!("position {position}"));
    let event = finding.event.map(|event| format!(" · {} {}", event.recorded_at, event.id)).unwrap_or_default();
    format!("{position} · {}{event}: {}", finding.flaw.as_str(), finding.detail)
}

fn summary(tally: &Tally) -> String {
    let mut parts = vec![format!("{} entries up to position {}", grouped(tally.entries), grouped(tally.position))];
    if tally.begins_behind > 0 {
        parts.push(format!("the trail begins behind position {}", grouped(tally.begins_behind)));
    }
    if tally.dropped > 0 {
        parts.push(format!("{} of them past their retention", grouped(tally.dropped)));
    }
    parts.push(format!("{} checkpoints hold", grouped(tally.checkpoints)));
    if tally.published + tally.published_before > 0 {
        parts.push(format!(
            "{} published checkpoints hold, {} are from before the trail's beginning",
            grouped(tally.published),
            grouped(tally.published_before)
        ));
    }
    parts.push(format!("{} persons are who they were", grouped(tally.persons)));
    parts.push(format!("{} entries not signed yet", grouped(tally.unsigned)));
    parts.push(format!("{} events not sealed yet", grouped(tally.unsealed)));
    parts.join("; ")
}

/// `1,234,567`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
