//! The audit trail as files: published checkpoints, and exports. One JSON object a line, each under a word that says what it is.
//!
//! Bytes are base64, instants RFC 3339 to the microsecond, texts as they are stored. An export begins with `header` and `key` lines, has an
//! `entry` for each position with its event, the `checkpoint`s where they belong, the events that had no position yet (`unsealed`), the
//! `person`s if they were asked for, and an `end`, so that half a file is not taken for a whole one.

mod lines;

use std::{
    fs::OpenOptions,
    io::{BufRead, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::{
    application::chain::{
        CheckpointPublisher,
        verification::{Tally, Verifier},
    },
    domain::{
        chain::{Checkpoint, Cut, Endorsement, Entry, EventKey, Found, Hash, Head, StoredEvent, StoredPerson, ThinnedAway, Thinning},
        time::Timestamp,
    },
};

use lines::{Bytes, CutLine, EndLine, EntryLine, EventLine, HeaderLine, Instant, KeyLine, Line, PartLine, Person, ThinningLine, UnsealedLine};

/// What an export of this form calls itself.
const FORMAT: &str = "dashtam-audit/1";

/// A checkpoint as one line, without the line's end.
pub fn checkpoint_line(checkpoint: &Checkpoint) -> anyhow::Result<String> {
    Ok(serde_json::to_string(&Line::Checkpoint(checkpoint.into()))?)
}

/// Publishes checkpoints: to the log, and to a file where one is named.
pub struct CheckpointFile {
    file: Option<PathBuf>,
}

impl CheckpointFile {
    /// Appends to `file`; without one only the log tells.
    pub fn new(file: Option<PathBuf>) -> Self {
        Self { file }
    }
}

impl CheckpointPublisher for CheckpointFile {
    fn publish(&self, checkpoint: &Checkpoint) -> anyhow::Result<()> {
        let line = checkpoint_line(checkpoint)?;
        tracing::info!(position = checkpoint.head.position, checkpoint = %line, "the audit trail was signed");
        let Some(file) = &self.file else { return Ok(()) };
        // One write: another process may append to the same file.
        let mut open = OpenOptions::new().append(true).create(true).open(file).with_context(|| format!("{} cannot be opened", file.display()))?;
        open.write_all(format!("{line}\n").as_bytes()).with_context(|| format!("{} cannot be written", file.display()))
    }
}

/// The checkpoints of a published file, or of one line of it.
pub fn read_checkpoints(file: &Path) -> anyhow::Result<Vec<Checkpoint>> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("{shown} cannot be read"))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = |(at, line): (usize, &str)| match serde_json::from_str(line) {
        Ok(Line::Checkpoint(line)) => Checkpoint::try_from(line),
        Ok(_) | Err(_) => bail!("line {} of {shown} is no checkpoint", at + 1),
    };
    let checkpoints = lines.map(read).collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(!checkpoints.is_empty(), "{shown} holds no checkpoint");
    Ok(checkpoints)
}

/// A public key as it is typed: base64 of 32 bytes.
pub fn read_key(text: &str) -> anyhow::Result<Vec<u8>> {
    let key = BASE64_STANDARD.decode(text.trim()).ok().filter(|key| key.len() == 32);
    key.context("a public key is what `dashtam audit key` prints: 44 characters of base64")
}

/// A public key as it is shown.
pub fn written_key(key: &[u8]) -> String {
    BASE64_STANDARD.encode(key)
}

/// Writes an export, line by line.
pub struct ExportFile<W: Write> {
    out: W,
    entries: u64,
    position: u64,
}

impl<W: Write> ExportFile<W> {
    /// Begins. `part`: the place before the first position, if it is not the trail's own beginning.
    pub fn begin(out: W, part: Option<Head>, to_the_end: bool, now: Timestamp) -> anyhow::Result<Self> {
        let mut file = Self { out, entries: 0, position: 0 };
        let part = part.map(|head| PartLine { behind: head.position, chain_hash: Bytes(head.hash.to_vec()) });
        file.write(&Line::Header(HeaderLine { format: FORMAT.to_owned(), exported_at: Instant(now), part, to_the_end }))?;
        Ok(file)
    }

    fn write(&mut self, line: &Line) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        Ok(self.out.write_all(b"\n")?)
    }

    /// A key and who vouches for it.
    pub fn key(&mut self, key: &Endorsement) -> anyhow::Result<()> {
        self.write(&Line::Key(KeyLine {
            key_id: key.key_id.clone(),
            public_key: Bytes(key.public_key.clone()),
            endorsed_by: key.endorsed_by.clone(),
            signature: Bytes(key.signature.clone()),
        }))
    }

    /// A cut.
    pub fn cut(&mut self, cut: &Cut) -> anyhow::Result<()> {
        self.write(&Line::Cut(CutLine {
            number: cut.number,
            position: cut.head.position,
            chain_hash: Bytes(cut.head.hash.to_vec()),
            checkpoint: cut.checkpoint,
            events_before: Instant(cut.events_before),
            signed_at: Instant(cut.signed_at),
            key_id: cut.key_id.clone(),
            signature: Bytes(cut.signature.clone()),
        }))
    }

    /// A thinning.
    pub fn thinning(&mut self, thinning: &Thinning) -> anyhow::Result<()> {
        self.write(&Line::Thinning(ThinningLine {
            class: thinning.class.clone(),
            events_from: Instant(thinning.from),
            events_before: Instant(thinning.before),
            events: thinning.dropped.events,
            digest: Bytes(thinning.dropped.digest.to_vec()),
            signed_at: Instant(thinning.signed_at),
            key_id: thinning.key_id.clone(),
            signature: Bytes(thinning.signature.clone()),
        }))
    }

    /// A position.
    pub fn entry(&mut self, entry: &Entry, found: &Found) -> anyhow::Result<()> {
        self.entries += 1;
        self.position = entry.position;
        self.write(&Line::Entry(EntryLine {
            position: entry.position,
            recorded_at: Instant(entry.event.recorded_at),
            event_id: entry.event.id,
            event_hash: Bytes(entry.event_hash.clone()),
            chain_hash: Bytes(entry.chain_hash.clone()),
            event: event_line(found)?,
        }))
    }

    /// A checkpoint, behind its position.
    pub fn checkpoint(&mut self, checkpoint: &Checkpoint) -> anyhow::Result<()> {
        self.write(&Line::Checkpoint(checkpoint.into()))
    }

    /// An event without a position.
    pub fn unsealed(&mut self, key: EventKey, found: &Found) -> anyhow::Result<()> {
        self.write(&Line::Unsealed(UnsealedLine { recorded_at: Instant(key.recorded_at), event_id: key.id, event: event_line(found)? }))
    }

    /// A person, behind the event they are in.
    pub fn person(&mut self, person: &StoredPerson) -> anyhow::Result<()> {
        self.write(&Line::Person(Person {
            event_id: person.event.id,
            role: person.part.clone(),
            user_id: person.user,
            email: person.email.clone(),
            ip: person.ip.clone(),
            user_agent: person.user_agent.clone(),
            salt: Bytes(person.salt.clone()),
        }))
    }

    /// Everything is written.
    pub fn end(mut self) -> anyhow::Result<u64> {
        self.write(&Line::End(EndLine { position: self.position, entries: self.entries }))?;
        self.out.flush()?;
        Ok(self.entries)
    }
}

fn event_line(found: &Found) -> anyhow::Result<Option<Box<EventLine>>> {
    match found {
        Found::Event(event) => Ok(Some(Box::new(event.as_ref().into()))),
        Found::Nothing => Ok(None),
        Found::Unreadable => bail!("an event of the trail cannot be read; `dashtam audit verify` says which"),
    }
}

fn found(event: Option<Box<EventLine>>) -> Found {
    event.map_or(Found::Nothing, |event| Found::Event(Box::new((*event).into())))
}

/// Walks an export. What cannot be read is a finding like any other.
pub fn verify_export(input: &mut dyn BufRead, verifier: Verifier<'_>, progress: &dyn Fn(u64)) -> anyhow::Result<Tally> {
    let mut line = String::new();
    anyhow::ensure!(input.read_line(&mut line).context("the export cannot be read")? > 0, "the export is empty");
    let Ok(Line::Header(header)) = serde_json::from_str(&line) else { bail!("this is no export of an audit trail in the form {FORMAT}") };
    ensure!(header.format == FORMAT, "this export is in the form {}; this version reads {FORMAT}", header.format);
    let mut walk = Walk { verifier, part: header.part, cuts: Some((Vec::new(), Vec::new())), entries: 0, number: 1, event: None, end: None };
    loop {
        line.clear();
        if input.read_line(&mut line).context("the export cannot be read")? == 0 {
            return Ok(walk.end(header.to_the_end));
        }
        walk.number += 1;
        match serde_json::from_str(&line) {
            Ok(line) => walk.take(line),
            Err(_) => walk.wrong("cannot be read"),
        }
        if walk.number.is_multiple_of(1_000) {
            progress(walk.verifier.position());
        }
    }
}

/// A walk through the lines of an export.
struct Walk<'a> {
    verifier: Verifier<'a>,
    part: Option<PartLine>,
    /// The cuts and thinnings, until the first line that is about something else.
    cuts: Option<(Vec<Cut>, Vec<Thinning>)>,
    entries: u64,
    number: u64,
    /// The event of the last position, for the persons in it.
    event: Option<StoredEvent>,
    end: Option<EndLine>,
}

impl Walk<'_> {
    fn wrong(&mut self, what: &str) {
        self.verifier.unreadable(format!("line {} {what}", self.number));
    }

    /// Keys and cuts come first, since everything else is told by them.
    fn begin(&mut self) {
        let Some((cuts, thinnings)) = self.cuts.take() else { return };
        self.verifier.cuts(&cuts);
        self.verifier.thinnings(&thinnings);
        if let Some(part) = self.part.take() {
            match part.chain_hash.0.try_into() {
                Ok(hash) => self.verifier.begin_part(Head { position: part.behind, hash }, None),
                Err(_) => self.wrong("comes behind a header whose hash is not 32 bytes long"),
            }
        }
    }

    fn take(&mut self, line: Line) {
        if self.end.is_some() {
            return self.wrong("stands behind the end");
        }
        match line {
            Line::Header(_) => self.wrong("is another beginning"),
            Line::Key(key) => {
                let endorsement = Endorsement { key_id: key.key_id, public_key: key.public_key.0, endorsed_by: key.endorsed_by, signature: key.signature.0 };
                self.verifier.keys(&[endorsement]);
            }
            Line::Cut(line) => match (&mut self.cuts, Hash::try_from(line.chain_hash.0)) {
                (Some((cuts, _)), Ok(hash)) => cuts.push(Cut {
                    number: line.number,
                    head: Head { position: line.position, hash },
                    checkpoint: line.checkpoint,
                    events_before: line.events_before.0,
                    signed_at: line.signed_at.0,
                    key_id: line.key_id,
                    signature: line.signature.0,
                }),
                _ => self.wrong("is no cut, or stands where it cannot"),
            },
            Line::Thinning(line) => match (&mut self.cuts, Hash::try_from(line.digest.0)) {
                (Some((_, thinnings)), Ok(digest)) => thinnings.push(Thinning {
                    class: line.class,
                    from: line.events_from.0,
                    before: line.events_before.0,
                    dropped: ThinnedAway { events: line.events, digest },
                    signed_at: line.signed_at.0,
                    key_id: line.key_id,
                    signature: line.signature.0,
                }),
                _ => self.wrong("is no thinning, or stands where it cannot"),
            },
            Line::Entry(entry) => {
                self.begin();
                self.entries += 1;
                let event = EventKey { recorded_at: entry.recorded_at.0, id: entry.event_id };
                let read = Entry { position: entry.position, event, event_hash: entry.event_hash.0, chain_hash: entry.chain_hash.0 };
                let found = found(entry.event);
                // What stands behind a position has to be its event.
                let is_its_own = matches!(&found, Found::Event(found) if (found.recorded_at, found.id) == (event.recorded_at, event.id));
                self.verifier.entry(&read, if is_its_own || found == Found::Nothing { &found } else { &Found::Unreadable });
                self.event = if let Found::Event(event) = found { Some(*event) } else { None };
            }
            Line::Checkpoint(checkpoint) => {
                self.begin();
                match Checkpoint::try_from(checkpoint) {
                    Ok(checkpoint) => self.verifier.checkpoint(&checkpoint),
                    Err(_) => self.wrong("is no checkpoint"),
                }
            }
            Line::Unsealed(line) => {
                self.begin();
                let found = found(line.event);
                self.verifier.unsealed(EventKey { recorded_at: line.recorded_at.0, id: line.event_id }, &found);
                self.event = if let Found::Event(event) = found { Some(*event) } else { None };
            }
            Line::Person(person) => self.person(person),
            Line::End(end) => {
                self.begin();
                self.end = Some(end);
            }
        }
    }

    fn person(&mut self, person: Person) {
        let Some(event) = self.event.as_ref().filter(|event| event.id == person.event_id) else { return self.wrong("is of a person in another event") };
        let hash = if person.role == "actor" { event.actor_hash.clone() } else { event.subject_hash.clone().unwrap_or_default() };
        let person = StoredPerson {
            event: EventKey { recorded_at: event.recorded_at, id: event.id },
            part: person.role,
            user: person.user_id,
            email: person.email,
            ip: person.ip,
            user_agent: person.user_agent,
            salt: person.salt.0,
        };
        self.verifier.person(&person, Some(&hash));
    }

    fn end(mut self, is_whole: bool) -> Tally {
        match self.end.take() {
            None => self.verifier.unreadable("the file stops before its end"),
            Some(end) if end.entries != self.entries || (end.entries > 0 && end.position != self.verifier.position()) => {
                self.verifier.unreadable(format!("the file says that it has {} entries up to position {}, and it has not", end.entries, end.position));
            }
            Some(_) => {}
        }
        self.verifier.end(is_whole)
    }
}
