//! What a provider answered, kept for a while: redacted, packed and sealed with the rows that came of it.
//!
//! What is sealed is a head (which account is which, and which days were asked for) and the answers, packed. Redacting and packing is done
//! before a transaction is opened, and away from the runtime's threads.

pub mod redaction;

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    sync::Arc,
};

use anyhow::Context as _;
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{
    id::{AccountId, LinkId, UserId},
    matching::Period,
    payload::MOST_OF_ONE,
    provider::AccountReference,
    time::{LocalDate, Timestamp},
};

use super::{
    ports::{Place, Sealer},
    tape::{Answer, MOST_RECORDED, Recording},
};

use redaction::{Names, Redaction};

/// The answers of one stage without numbers, packed.
pub struct Packed {
    answers: Vec<u8>,
    /// Numbers of accounts that stand in them, which are cut out of texts.
    pub numbers: Vec<String>,
    /// What each account is called in them.
    references: HashMap<AccountReference, String>,
}

/// An account whose rows were written: what its provider calls it, which it is, its first day, and whether it answered for all days from then on.
pub type KeptRows = (AccountReference, AccountId, LocalDate, bool);

/// Which account is which in a payload, and which of its days it tells of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAccount {
    /// What it is called in the answers.
    pub reference: String,
    account: uuid::Uuid,
    from: String,
    /// Whether it answered for all of the days.
    pub answered: bool,
}

impl KeptAccount {
    /// Which account it is.
    pub fn account(&self) -> AccountId {
        AccountId(self.account)
    }

    /// Its first day.
    pub fn from(&self) -> Option<LocalDate> {
        LocalDate::parse(&self.from).ok()
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    to: String,
    /// False when there was too much to be kept.
    is_whole: bool,
    accounts: Vec<KeptAccount>,
}

/// One stage as it was kept.
pub struct Stage {
    /// The last day that was asked for.
    pub to: LocalDate,
    /// Whether the answers are here.
    pub is_whole: bool,
    /// The accounts that rows were written of.
    pub accounts: Vec<KeptAccount>,
    /// The answers.
    pub answers: Vec<Answer>,
}

/// Takes the numbers out of what was recorded, and packs it.
pub async fn pack(sealer: &Arc<dyn Sealer>, user: UserId, provider: &str, recording: Recording, references: Vec<AccountReference>) -> anyhow::Result<Packed> {
    let (sealer, provider) = (sealer.clone(), provider.to_owned());
    let packing = tokio::task::spawn_blocking(move || {
        let names = Names { sealer: sealer.as_ref(), user, provider: &provider };
        // What an adapter passed over may be nested deeper than anything is read whole. Numbers are known from the others all the same.
        let read = |answer: &Answer| serde_json::from_slice::<Value>(&answer.body).ok();
        let bodies: Vec<Value> = recording.answers.iter().filter_map(read).collect();
        let is_readable = bodies.len() == recording.answers.len();
        if !is_readable {
            tracing::warn!(provider, "an answer could be read and cannot be kept");
        }
        let can_be_kept = is_readable && !recording.is_too_long;
        let mut found = recording.numbers;
        for body in &bodies {
            redaction::collect(body, &mut found);
        }
        let redaction = Redaction::of(&names, found);
        // A reference may be put together from ids, which go by their names one by one.
        let called = |reference: AccountReference| (redaction.asked(reference.expose()), reference);
        let references = references.into_iter().map(called).map(|(name, reference)| (reference, name)).collect();
        let answers = recording.answers.iter().zip(bodies).map(|(answer, body)| (redaction.asked(&answer.asked), redaction.answer("", body)));
        let text = serde_json::to_vec(&answers.collect::<Vec<_>>())?;
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&text)?;
        let answers = if can_be_kept { encoder.finish()? } else { Vec::new() };
        let numbers = redaction.numbers();
        anyhow::Ok(Packed { answers, numbers, references })
    });
    packing.await.context("packing what a provider answered")?
}

/// Seals what was packed, with the accounts whose rows were written: those that answered or not, from their first days on.
pub fn seal(sealer: &dyn Sealer, place: Place, packed: &Packed, to: LocalDate, accounts: &[KeptRows]) -> anyhow::Result<Vec<u8>> {
    let kept = |(reference, account, from, answered): &KeptRows| {
        let reference = packed.references.get(reference)?.clone();
        Some(KeptAccount { reference, account: account.0, from: from.to_string(), answered: *answered })
    };
    let accounts = accounts.iter().filter_map(kept).collect();
    let is_whole = !packed.answers.is_empty() && packed.answers.len() <= MOST_OF_ONE;
    let head = serde_json::to_vec(&Head { to: to.to_string(), is_whole, accounts })?;
    let mut bytes = u32::try_from(head.len())?.to_le_bytes().to_vec();
    bytes.extend(head);
    if is_whole {
        bytes.extend_from_slice(&packed.answers);
    }
    sealer.seal(place, &bytes)
}

/// Opens what was sealed.
pub fn open(sealer: &dyn Sealer, place: Place, envelope: &[u8]) -> anyhow::Result<Stage> {
    let bytes = sealer.open(place, envelope)?;
    let (length, rest) = bytes.split_first_chunk::<4>().context("a payload is cut off")?;
    let (head, packed) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length))?).context("a payload is cut off")?;
    let head: Head = serde_json::from_slice(head).context("a payload's head is not ours")?;
    let mut answers = Vec::new();
    if head.is_whole {
        let mut text = Vec::new();
        // Names are longer than what they stand for.
        DeflateDecoder::new(packed).take(4 * MOST_RECORDED as u64).read_to_end(&mut text).context("a payload does not unpack")?;
        let read: Vec<(String, Value)> = serde_json::from_slice(&text).context("a payload's answers are not ours")?;
        for (asked, body) in read {
            answers.push(Answer { asked, body: serde_json::to_vec(&body)? });
        }
    }
    let to = LocalDate::parse(&head.to).context("a payload has no last day")?;
    Ok(Stage { to, is_whole: head.is_whole, accounts: head.accounts, answers })
}

/// When a payload that is fetched now is dropped.
pub fn expiry(now: Timestamp, days: u32) -> Timestamp {
    now.plus(chrono::Duration::days(days.into()))
}

/// Where the payloads of a link belong.
pub fn place(user: UserId, link: LinkId) -> Place {
    Place::payload(user, link)
}

/// The days of an account that a stage tells all of which was answered `at` a moment. One that was asked for all days up to its own tells of whatever
/// comes after them, too: the bank may be days ahead, and nothing older knows those better.
pub fn told(stage: &Stage, account: &KeptAccount, at: Timestamp) -> Option<Period> {
    let end = if stage.to >= at.day() { stage.to.plus_days(i64::MAX) } else { stage.to };
    account.from().filter(|_| account.answered).map(|from| (from, end))
}
