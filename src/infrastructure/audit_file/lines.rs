//! The lines of a file: what each kind holds, and how it is told from and to the domain.

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::DateTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::domain::{
    chain::{Checkpoint, Head, StoredEvent},
    time::Timestamp,
};

/// Bytes as base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// An instant as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instant(pub(super) Timestamp);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let instant = DateTime::parse_from_rfc3339(&text).map_err(serde::de::Error::custom)?;
        let read = Timestamp::new(instant.to_utc());
        // One spelling for each instant: a changed one is not the same line.
        if read.to_string() == text {
            Ok(Self(read))
        } else {
            Err(serde::de::Error::custom("an instant is UTC, to the microsecond, and without zeros at its end"))
        }
    }
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum Line {
    Header(HeaderLine),
    Key(KeyLine),
    Cut(CutLine),
    Thinning(ThinningLine),
    Entry(EntryLine),
    Checkpoint(CheckpointLine),
    Unsealed(UnsealedLine),
    Person(Person),
    End(EndLine),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct HeaderLine {
    pub(super) format: String,
    pub(super) exported_at: Instant,
    /// The place before the first position, for a part of a trail.
    pub(super) part: Option<PartLine>,
    /// Whether the trail's own end is in the file.
    pub(super) to_the_end: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PartLine {
    pub(super) behind: u64,
    pub(super) chain_hash: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CutLine {
    pub(super) number: u64,
    pub(super) position: u64,
    pub(super) chain_hash: Bytes,
    pub(super) checkpoint: u64,
    pub(super) events_before: Instant,
    pub(super) signed_at: Instant,
    pub(super) key_id: String,
    pub(super) signature: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ThinningLine {
    pub(super) class: String,
    pub(super) events_from: Instant,
    pub(super) events_before: Instant,
    pub(super) events: u64,
    pub(super) digest: Bytes,
    pub(super) signed_at: Instant,
    pub(super) key_id: String,
    pub(super) signature: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct KeyLine {
    pub(super) key_id: String,
    pub(super) public_key: Bytes,
    pub(super) endorsed_by: String,
    pub(super) signature: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EntryLine {
    pub(super) position: u64,
    pub(super) recorded_at: Instant,
    pub(super) event_id: Uuid,
    pub(super) event_hash: Bytes,
    pub(super) chain_hash: Bytes,
    pub(super) event: Option<Box<EventLine>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EventLine {
    pub(super) recorded_at: Instant,
    pub(super) id: Uuid,
    pub(super) attempt: Uuid,
    pub(super) act: String,
    pub(super) outcome: String,
    pub(super) actor_kind: String,
    pub(super) actor_hash: Bytes,
    pub(super) subject_hash: Option<Bytes>,
    pub(super) resource_kind: Option<String>,
    pub(super) resource_id: Option<Uuid>,
    pub(super) reason: Option<String>,
    pub(super) context: String,
    pub(super) trace_id: Option<String>,
    pub(super) class: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CheckpointLine {
    pub(super) number: u64,
    pub(super) position: u64,
    pub(super) chain_hash: Bytes,
    pub(super) signed_at: Instant,
    pub(super) key_id: String,
    pub(super) signature: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UnsealedLine {
    pub(super) recorded_at: Instant,
    pub(super) event_id: Uuid,
    pub(super) event: Option<Box<EventLine>>,
}

/// A person in an event, as `audit_person` has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Person {
    pub(super) event_id: Uuid,
    pub(super) role: String,
    pub(super) user_id: Option<Uuid>,
    pub(super) email: Option<String>,
    pub(super) ip: Option<String>,
    pub(super) user_agent: Option<String>,
    pub(super) salt: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EndLine {
    pub(super) position: u64,
    pub(super) entries: u64,
}

impl From<&StoredEvent> for EventLine {
    fn from(event: &StoredEvent) -> Self {
        let StoredEvent { act, outcome, actor_kind, resource_kind, reason, context, trace_id, class, .. } = event.clone();
        Self {
            recorded_at: Instant(event.recorded_at),
            id: event.id,
            attempt: event.attempt,
            act,
            outcome,
            actor_kind,
            actor_hash: Bytes(event.actor_hash.clone()),
            subject_hash: event.subject_hash.clone().map(Bytes),
            resource_kind,
            resource_id: event.resource_id,
            reason,
            context,
            trace_id,
            class,
        }
    }
}

impl From<EventLine> for StoredEvent {
    fn from(line: EventLine) -> Self {
        Self {
            recorded_at: line.recorded_at.0,
            id: line.id,
            attempt: line.attempt,
            act: line.act,
            outcome: line.outcome,
            actor_kind: line.actor_kind,
            actor_hash: line.actor_hash.0,
            subject_hash: line.subject_hash.map(|hash| hash.0),
            resource_kind: line.resource_kind,
            resource_id: line.resource_id,
            reason: line.reason,
            context: line.context,
            trace_id: line.trace_id,
            class: line.class,
        }
    }
}

impl From<&Checkpoint> for CheckpointLine {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            number: checkpoint.number,
            position: checkpoint.head.position,
            chain_hash: Bytes(checkpoint.head.hash.to_vec()),
            signed_at: Instant(checkpoint.signed_at),
            key_id: checkpoint.key_id.clone(),
            signature: Bytes(checkpoint.signature.clone()),
        }
    }
}

impl TryFrom<CheckpointLine> for Checkpoint {
    type Error = anyhow::Error;

    fn try_from(line: CheckpointLine) -> anyhow::Result<Self> {
        let hash = line.chain_hash.0.try_into().ok().context("a chain hash is 32 bytes long")?;
        let head = Head { position: line.position, hash };
        Ok(Self { number: line.number, head, signed_at: line.signed_at.0, key_id: line.key_id, signature: line.signature.0 })
    }
}
