//! The audit trail from outside: checked, taken elsewhere. What the commands need of adapters.

use std::{
    fs::File,
    io::{BufReader, Write},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, bail, ensure};
use chrono::NaiveDate;
use secrecy::ExposeSecret as _;

use crate::{
    application::{
        access::Requester,
        audit::{AuditError, Journal},
        chain::{
            Ledger,
            verification::{Finding, Tally, TrustedKeys, Verifier, verify},
        },
    },
    config::Config,
    domain::{
        audit::Act,
        chain::key_id,
        event::Event,
        failure::causes,
        time::{Clock as _, Timestamp},
    },
    infrastructure::{
        audit_file::{ExportFile, read_checkpoints, read_key, verify_export, written_key},
        database::{
            Database,
            inspection::{Inspection, sqlite_file},
        },
        machine::Machine,
        security::checkpoint::{Ed25519Check, Ed25519Signer},
    },
};

use super::{MadeUpKeys, keys::places, open_database};

/// Public keys.
pub struct PublicKeys {
    /// Pairs of id and base64: the one that signed last first, then as they stand in the ring.
    pub keys: Vec<(String, String)>,
    /// Why it is not known which one signed last.
    pub unknown: Option<String>,
}

/// The public keys of the ring. A server signs with a new one some time after it was made, so the database is asked which one it is.
pub async fn public_keys(config: &Config) -> anyhow::Result<PublicKeys> {
    let signer = Ed25519Signer::new(&places(config, MadeUpKeys::Use).await?.read()?)?;
    let mut keys: Vec<_> = signer.public_keys().iter().map(|key| (key_id(key), written_key(key))).collect();
    let (last, unknown) = match last_signer(config).await {
        Ok(last) => (last, None),
        Err(failure) => (None, Some(causes(&failure))),
    };
    if let Some(at) = keys.iter().position(|(id, _)| Some(id) == last.as_ref()) {
        keys[..=at].rotate_right(1);
    }
    Ok(PublicKeys { keys, unknown })
}

async fn last_signer(config: &Config) -> anyhow::Result<Option<String>> {
    let Some(inspection) = Inspection::open(config.database().expose_secret()).await? else { return Ok(None) };
    let last = inspection.last_signer().await;
    inspection.close().await?;
    last
}

/// What a trail is held against.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// Public keys given by hand, base64. With any, those of the configuration are not asked for.
    pub keys: &'a [String],
    /// A file of published checkpoints.
    pub checkpoints: Option<&'a Path>,
    /// Whether the persons kept for events are held against them. In an export they are, if they are in it.
    pub persons: bool,
}

/// Looks through the database's trail, or through an export of one. Each finding is told as it is found.
pub async fn check(
    config: anyhow::Result<Config>,
    export: Option<&Path>,
    evidence: Evidence<'_>,
    report: &mut (dyn FnMut(Finding) + Send),
    progress: &(dyn Fn(u64) + Sync),
) -> anyhow::Result<Tally> {
    let given = evidence.keys.iter().map(|key| read_key(key)).collect::<anyhow::Result<Vec<_>>>()?;
    let trusted = match (&config, given.is_empty()) {
        (_, false) => given,
        (Ok(config), true) => {
            let keys = places(config, MadeUpKeys::Use).await.and_then(|places| places.read());
            let keys = keys.context("there is no key to check signatures with; give one with --key")?;
            Ed25519Signer::new(&keys)?.public_keys().to_vec()
        }
        (Err(refusal), true) => bail!("{refusal:#}"),
    };
    let published = evidence.checkpoints.map(read_checkpoints).transpose()?.unwrap_or_default();
    let verifier = Verifier::new(&Ed25519Check, TrustedKeys::given(trusted), published, Machine.now(), report);
    if let Some(export) = export {
        let file = File::open(export).with_context(|| format!("{} cannot be opened", export.display()))?;
        return verify_export(&mut BufReader::with_capacity(1 << 20, file), verifier, progress);
    }
    let database = open_trail(&config?).await?;
    let tally = verify(database.readers().ledger().await?, verifier, evidence.persons, progress).await?;
    database.close().await?;
    Ok(tally)
}

/// A database that has a trail.
async fn open_trail(config: &Config) -> anyhow::Result<Database> {
    if let Some(file) = sqlite_file(config.database().expose_secret()) {
        ensure!(file.is_file(), "there is no database {}; --data-dir and DASHTAM_DATABASE_URL say where it is", file.display());
    }
    let database = open_database(config).await?;
    ensure!(database.pending().await? == 0, "the database's schema is not up to date; `dashtam migrate up` brings it there");
    Ok(database)
}

/// What of a trail is exported.
#[derive(Clone, Copy)]
pub struct Part {
    /// From this day on; from the trail's beginning when it is not given.
    pub from: Option<NaiveDate>,
    /// Up to this day, the day itself included; to the trail's end when it is not given.
    pub to: Option<NaiveDate>,
    /// Whether the persons come along.
    pub with_persons: bool,
}

fn midnight(day: NaiveDate) -> Timestamp {
    Timestamp::new(day.and_time(chrono::NaiveTime::MIN).and_utc())
}

/// Writes the trail, or a part of it, as JSON Lines. Answers how many positions. That it was taken is on the trail as well.
pub async fn export(config: &Config, out: impl Write + Send, part: Part, progress: &(dyn Fn(u64) + Sync)) -> anyhow::Result<u64> {
    if let (Some(from), Some(to)) = (part.from, part.to) {
        ensure!(from <= to, "--from {from} is after --to {to}");
    }
    let database = open_trail(config).await?;
    let journal = Journal::new(database.audit_log(), Arc::new(Machine), Arc::new(Machine));
    let attempt = journal.attempt(&Requester::command_line(None), Act::ExportAudit).await?;
    let with_persons = part.with_persons;
    let entries: Result<u64, AuditError> = attempt
        .settle(async {
            let mut ledger = database.readers().ledger().await?;
            let entries = write(ledger.as_mut(), out, part, Machine.now(), progress).await?;
            drop(ledger);
            database.store().begin(&attempt).await?.succeed(Event::AuditExported { with_persons }).await?;
            Ok(entries)
        })
        .await;
    database.close().await?;
    Ok(entries?)
}

/// Writes what a look at the trail shows of it. Answers how many positions.
pub async fn write(ledger: &mut dyn Ledger, out: impl Write + Send, part: Part, now: Timestamp, progress: &(dyn Fn(u64) + Sync)) -> anyhow::Result<u64> {
    let from = match part.from {
        // Nothing that young: an export without positions.
        Some(day) => Some(ledger.around(midnight(day)).await?.0.unwrap_or(u64::MAX)),
        None => None,
    };
    let to = match part.to.map(|day| day.succ_opt().unwrap_or(day)) {
        Some(next_day) => ledger.around(midnight(next_day)).await?.1.unwrap_or(0),
        None => u64::MAX,
    };
    let mut behind = from.map_or(0, |first| first - 1);
    let beginning = match from {
        Some(_) => ledger.place(behind).await?,
        None => None,
    };
    // The first position has nothing before it that would have to be told.
    if beginning.is_none() {
        behind = if from == Some(u64::MAX) { u64::MAX } else { 0 };
    }
    let is_to_the_end = to == u64::MAX;
    let mut file = ExportFile::begin(out, beginning, is_to_the_end, now)?;
    for key in ledger.endorsements().await? {
        file.key(&key)?;
    }
    for cut in ledger.cuts().await? {
        file.cut(&cut)?;
    }
    for thinning in ledger.thinnings().await? {
        file.thinning(&thinning)?;
    }
    let mut checkpoints = Vec::new();
    let mut number = 0;
    // A part goes on to the first checkpoint behind it, so that all of it is signed.
    let mut end = to;
    let mut is_done = to == 0 || behind == u64::MAX;
    while !is_done {
        let entries = ledger.entries(behind).await?;
        let Some((last, _)) = entries.last() else { break };
        let last = last.position;
        while checkpoints.last().is_none_or(|known: &crate::domain::chain::Checkpoint| known.head.position < last) {
            let more = ledger.checkpoints(number).await?;
            let Some(newest) = more.last() else { break };
            number = newest.number;
            checkpoints.extend(more.into_iter().filter(|checkpoint| checkpoint.head.position > behind));
        }
        if to != u64::MAX
            && let Some(sealing) = checkpoints.iter().find(|checkpoint| checkpoint.head.position >= to)
        {
            end = sealing.head.position;
        }
        for chunk in entries.chunks(500) {
            let ids: Vec<_> = chunk.iter().map(|(entry, _)| entry.event.id).collect();
            let mut persons = if part.with_persons { ledger.persons_of(&ids).await? } else { Vec::new() };
            for (entry, found) in chunk.iter().filter(|(entry, _)| entry.position <= end) {
                file.entry(entry, found)?;
                for person in persons.extract_if(.., |person| person.event.id == entry.event.id) {
                    file.person(&person)?;
                }
                let here = checkpoints.iter().take_while(|checkpoint| checkpoint.head.position <= entry.position).count();
                for checkpoint in checkpoints.drain(..here) {
                    file.checkpoint(&checkpoint)?;
                }
            }
        }
        behind = last;
        is_done = last >= end;
        progress(last);
    }
    if is_to_the_end {
        // Whatever is signed beyond the end is told as well: that is what a cut-off trail looks like.
        checkpoints.extend(ledger.checkpoints(number).await?);
        for checkpoint in &checkpoints {
            file.checkpoint(checkpoint)?;
        }
        let mut behind = None;
        loop {
            let events = ledger.unsealed(behind).await?;
            let Some((last, _)) = events.last() else { break };
            behind = Some(*last);
            for (event, found) in &events {
                file.unsealed(*event, found)?;
            }
        }
    }
    file.end()
}
