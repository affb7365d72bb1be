//! Verification: walks the chain once, from where it begins to its end, and says of each place that does not hold what is wrong with it.
//!
//! What it remembers does not grow with the trail. It is fed: from a database by [`verify`], or line by line from an export.

mod flaw;
mod thinned;
mod walk;

use std::collections::{BTreeMap, HashMap};

use crate::domain::{
    chain::{Checkpoint, Cut, Endorsement, Entry, EventKey, Found, Head, StoredPerson, UNSEALED_MINUTES, UNSIGNED_MINUTES, key_id, link},
    time::Timestamp,
};

use super::SignatureCheck;

pub use flaw::Flaw;
use thinned::Thinned;
pub use walk::verify;

/// One place that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub flaw: Flaw,
    /// The position, where there is one.
    pub position: Option<u64>,
    /// The event, where there is one.
    pub event: Option<EventKey>,
    /// In a sentence.
    pub detail: String,
}

/// What was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// The last position that was dropped by a cut; 0 for none.
    pub begins_behind: u64,
    /// The last position.
    pub position: u64,
    /// Positions that were walked.
    pub entries: u64,
    /// Of them, those whose events are past their retention.
    pub dropped: u64,
    /// Checkpoints whose signature and hash hold.
    pub checkpoints: u64,
    /// Published checkpoints that hold.
    pub published: u64,
    /// Published checkpoints from before the trail's beginning.
    pub published_before: u64,
    /// Positions behind the last signature.
    pub unsigned: u64,
    /// Events without a position that may still wait for one.
    pub unsealed: u64,
    /// Persons that are what their events were recorded with.
    pub persons: u64,
    /// Findings.
    pub findings: u64,
}

/// Keys that are trusted: those given, and those they vouch for.
pub struct TrustedKeys {
    keys: HashMap<String, Vec<u8>>,
}

impl TrustedKeys {
    /// Begins with what the verifier was given by its own hands.
    pub fn given(keys: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { keys: keys.into_iter().map(|key| (key_id(&key), key)).collect() }
    }

    /// Takes in what trusted keys vouch for, however long the way. Answers those whose words are not what was signed.
    pub fn follow<'a>(&mut self, endorsements: &'a [Endorsement], check: &dyn SignatureCheck) -> Vec<&'a Endorsement> {
        let mut left: Vec<_> = endorsements.iter().collect();
        let mut forged = Vec::new();
        loop {
            let (known, unknown): (Vec<_>, Vec<_>) = left.into_iter().partition(|endorsement| self.keys.contains_key(&endorsement.endorsed_by));
            if known.is_empty() {
                return forged;
            }
            for endorsement in known {
                let holds = key_id(&endorsement.public_key) == endorsement.key_id
                    && self.holds(&endorsement.endorsed_by, &endorsement.message(), &endorsement.signature, check) == Some(true);
                if holds {
                    self.keys.insert(endorsement.key_id.clone(), endorsement.public_key.clone());
                } else {
                    forged.push(endorsement);
                }
            }
            left = unknown;
        }
    }

    /// Whether a signature holds; `None` when the key is not trusted.
    fn holds(&self, key_id: &str, message: &[u8], signature: &[u8], check: &dyn SignatureCheck) -> Option<bool> {
        Some(check.is_by(self.keys.get(key_id)?, message, signature))
    }
}

/// Where a walk begins.
#[derive(Debug, Clone, Copy)]
struct Beginning {
    /// The place before the first position.
    head: Head,
    /// The number of the last checkpoint before it; `None` when it is not known, as for a part of a trail.
    checkpoint: Option<u64>,
    /// Events recorded before this may be gone.
    events_before: Option<Timestamp>,
}

impl Beginning {
    /// Of a trail nothing of which was ever dropped.
    const START: Self = Self { head: Head::START, checkpoint: Some(0), events_before: None };
}

/// The place before, in two readings: as stored, and as it would be if only its own chain hash had been changed.
struct Doubt {
    finding: Finding,
    computed: Head,
}

impl Doubt {
    /// What comes after it tells that the position is where it was.
    fn is_only_in_its_hash(&mut self) {
        self.finding.flaw = Flaw::EntryChanged;
        "the chain's hash at this position is not the one that follows from its event".clone_into(&mut self.finding.detail);
    }
}

/// Walks.
pub struct Verifier<'a> {
    check: &'a dyn SignatureCheck,
    keys: TrustedKeys,
    now: Timestamp,
    report: &'a mut (dyn FnMut(Finding) + Send),
    beginning: Beginning,
    /// Thinned months by their first instant.
    thinned: BTreeMap<Timestamp, Thinned>,
    /// Whether only a part of a trail is walked, in which a month may be missing in part as well.
    is_part: bool,
    head: Head,
    doubt: Option<Doubt>,
    /// The last checkpoint's number, its position, and the last position it or an earlier one agreed with.
    checkpoint: Option<u64>,
    signed: u64,
    agreed: u64,
    /// The oldest event behind the last signature.
    oldest_unsigned: Option<Timestamp>,
    published: BTreeMap<u64, Vec<Checkpoint>>,
    /// Positions whose event was there, as it should be or not.
    found: u64,
    tally: Tally,
}

impl<'a> Verifier<'a> {
    /// From the beginning of a whole trail. `published` are checkpoints kept elsewhere.
    pub fn new(
        check: &'a dyn SignatureCheck,
        keys: TrustedKeys,
        published: Vec<Checkpoint>,
        now: Timestamp,
        report: &'a mut (dyn FnMut(Finding) + Send),
    ) -> Self {
        let mut by_position: BTreeMap<u64, Vec<Checkpoint>> = BTreeMap::new();
        for checkpoint in published {
            by_position.entry(checkpoint.head.position).or_default().push(checkpoint);
        }
        let mut verifier = Self {
            check,
            keys,
            now,
            report,
            beginning: Beginning::START,
            thinned: BTreeMap::new(),
            is_part: false,
            head: Head::START,
            doubt: None,
            checkpoint: None,
            signed: 0,
            agreed: 0,
            oldest_unsigned: None,
            published: by_position,
            found: 0,
            tally: Tally::default(),
        };
        verifier.begin(Beginning::START);
        verifier
    }

    /// How far the walk is.
    pub fn position(&self) -> u64 {
        self.head.position
    }

    fn find(&mut self, flaw: Flaw, position: Option<u64>, event: Option<EventKey>, detail: impl Into<String>) {
        self.tally.findings += 1;
        (self.report)(Finding { flaw, position, event, detail: detail.into() });
    }

    /// What stands in no place of the chain and is wrong all the same: a line of an export.
    pub fn unreadable(&mut self, detail: impl Into<String>) {
        self.find(Flaw::Unreadable, Some(self.head.position), None, detail);
    }

    /// Takes in what keys say of each other.
    pub fn keys(&mut self, endorsements: &[Endorsement]) {
        let forged: Vec<_> = self.keys.follow(endorsements, self.check).into_iter().map(|forged| forged.key_id.clone()).collect();
        for key in forged {
            self.find(Flaw::Forged, None, None, format!("the endorsement of key {key} is not what was signed"));
        }
    }

    /// Begins somewhere else than at the start.
    fn begin(&mut self, beginning: Beginning) {
        self.beginning = beginning;
        self.head = beginning.head;
        self.checkpoint = beginning.checkpoint;
        self.signed = beginning.head.position;
        self.agreed = beginning.head.position;
        self.tally.begins_behind = beginning.head.position;
        let before = std::mem::take(&mut self.published);
        let (before, after): (BTreeMap<_, _>, BTreeMap<_, _>) = before.into_iter().partition(|(position, _)| *position < beginning.head.position);
        self.tally.published_before += before.values().map(|same| same.len() as u64).sum::<u64>();
        self.published = after;
        self.compare_published();
    }

    /// Begins further on, for a part of a trail.
    pub fn begin_part(&mut self, head: Head, checkpoint: Option<u64>) {
        self.is_part = true;
        self.begin(Beginning { head, checkpoint, events_before: self.beginning.events_before });
    }

    /// Begins behind the last cut that holds. Each has to be what was signed, and none may be missing between others.
    pub fn cuts(&mut self, cuts: &[Cut]) {
        let mut number = 0;
        for cut in cuts {
            number += 1;
            if cut.number != number {
                self.find(Flaw::CheckpointRemoved, Some(cut.head.position), None, format!("cut {number} is gone; the next one is {}", cut.number));
                number = cut.number;
            }
            match self.keys.holds(&cut.key_id, &cut.message(), &cut.signature, self.check) {
                Some(true) => self.begin(Beginning { head: cut.head, checkpoint: Some(cut.checkpoint), events_before: Some(cut.events_before) }),
                Some(false) => self.find(Flaw::Forged, Some(cut.head.position), None, format!("cut {number} is not what was signed")),
                None => self.find(Flaw::UnknownKey, Some(cut.head.position), None, unknown(&format!("cut {number}"), &cut.key_id)),
            }
        }
    }

    /// One position, in order.
    pub fn entry(&mut self, entry: &Entry, found: &Found) {
        let position = entry.position;
        let next = self.head.position + 1;
        if position < next {
            return self.find(Flaw::EntryAdded, Some(position), Some(entry.event), "this position is there twice, or before the trail's beginning");
        }
        self.tally.entries += 1;
        self.found += u64::from(*found != Found::Nothing);
        self.tally.position = position;
        self.oldest_unsigned.get_or_insert(entry.event.recorded_at);
        let follows_a_gap = position > next;
        if follows_a_gap {
            self.settle_doubt(None);
            let gone = if position == next + 1 { format!("position {next} is gone") } else { format!("positions {next} to {} are gone", position - 1) };
            self.find(Flaw::EntryRemoved, Some(next), None, gone);
            self.head.position = position - 1;
        }
        let (Ok(event_hash), Ok(chain_hash)) = (entry.event_hash.as_slice().try_into(), entry.chain_hash.as_slice().try_into()) else {
            self.settle_doubt(None);
            self.find(Flaw::EntryChanged, Some(position), Some(entry.event), "a hash of this position is not 32 bytes long");
            // What follows is compared with what should stand here, as far as it is known.
            self.head = entry.event_hash.as_slice().try_into().map_or(Head { position, ..self.head }, |hash| self.head.then(&hash));
            return;
        };
        let actual = match found {
            Found::Event(event) => Some(event.hash()),
            Found::Unreadable | Found::Nothing => None,
        };
        let stored = Head { position, hash: chain_hash };
        let computed = self.head.then(&event_hash);
        let follows = follows_a_gap || computed == stored;
        let follows = follows || self.follows_if_the_last_one_was_changed(position, &event_hash, &chain_hash);
        let is_of_its_event = actual == Some(event_hash);
        if follows {
            self.settle_doubt(None);
        }
        self.judge(entry, found, follows, is_of_its_event, actual.is_some_and(|actual| self.head.then(&actual) == stored), computed);
        self.head = stored;
        self.compare_published();
    }

    fn judge(&mut self, entry: &Entry, found: &Found, follows: bool, is_of_its_event: bool, would_follow: bool, computed: Head) {
        let (position, event) = (Some(entry.position), Some(entry.event));
        if !follows && would_follow {
            return self.find(Flaw::EntryChanged, position, event, "the event is the one that was sealed; the hash of it that stands here is not");
        }
        match found {
            Found::Nothing if self.beginning.events_before.is_some_and(|before| entry.event.recorded_at < before) => self.tally.dropped += 1,
            Found::Nothing if self.was_thinned(entry) => self.tally.dropped += 1,
            Found::Nothing => self.find(Flaw::EventRemoved, position, event, "the event of this position is gone"),
            Found::Unreadable => self.find(Flaw::EventChanged, position, event, "a column of this event holds what was never written there"),
            Found::Event(_) if is_of_its_event => {}
            Found::Event(_) => self.find(Flaw::EventChanged, position, event, "this event is not the one that was sealed"),
        }
        if !follows {
            let detail = "this position does not follow from the one before it: it was moved, or something before it was rewritten";
            let finding = Finding { flaw: Flaw::OutOfOrder, position, event, detail: detail.to_owned() };
            self.settle_doubt(Some(Doubt { finding, computed }));
        }
    }

    /// Whether this position follows from the one before it as that one should have been; if so, only that one's own hash was changed.
    fn follows_if_the_last_one_was_changed(&mut self, position: u64, event_hash: &[u8; 32], chain_hash: &[u8; 32]) -> bool {
        let Some(doubt) = self.doubt.as_mut().filter(|doubt| doubt.computed.position + 1 == position) else { return false };
        if link(&doubt.computed.hash, position, event_hash) != *chain_hash {
            return false;
        }
        doubt.is_only_in_its_hash();
        true
    }

    /// What was in doubt is decided by now.
    fn settle_doubt(&mut self, next: Option<Doubt>) {
        if let Some(Doubt { finding, .. }) = std::mem::replace(&mut self.doubt, next) {
            self.tally.findings += 1;
            (self.report)(finding);
        }
    }

    /// One checkpoint of the trail, after the position it signs.
    pub fn checkpoint(&mut self, checkpoint: &Checkpoint) {
        let (number, position) = (checkpoint.number, checkpoint.head.position);
        let expected = self.checkpoint.map_or(number, |last| last + 1);
        if number != expected {
            self.find(Flaw::CheckpointRemoved, Some(position), None, format!("checkpoint {expected} should stand here, and there is {number}"));
        }
        self.checkpoint = Some(number);
        match self.keys.holds(&checkpoint.key_id, &checkpoint.message(), &checkpoint.signature, self.check) {
            None => return self.find(Flaw::UnknownKey, Some(position), None, unknown(&format!("checkpoint {number}"), &checkpoint.key_id)),
            Some(false) => return self.find(Flaw::Forged, Some(position), None, format!("checkpoint {number} is not what was signed")),
            Some(true) => {}
        }
        if self.agrees(checkpoint, "checkpoint") {
            self.tally.checkpoints += 1;
            self.signed = position;
            self.oldest_unsigned = None;
        }
    }

    /// Whether the chain here is what was signed.
    fn agrees(&mut self, checkpoint: &Checkpoint, what: &str) -> bool {
        let (number, position) = (checkpoint.number, checkpoint.head.position);
        if position > self.head.position {
            let detail = format!("{what} {number} signed position {position}, and the trail ends at {}", self.head.position);
            self.find(Flaw::CutOff, Some(position), None, detail);
            return false;
        }
        if position < self.head.position {
            let detail = format!("{what} {number} signed position {position}, which is gone");
            self.find(Flaw::Rewritten, Some(position), None, detail);
            return false;
        }
        if let Some(doubt) = self.doubt.as_mut().filter(|doubt| doubt.computed == checkpoint.head) {
            doubt.is_only_in_its_hash();
        } else if checkpoint.head != self.head {
            let detail = format!("{what} {number} signed another chain than the one that stands here; a position after {} was rewritten", self.agreed);
            self.find(Flaw::Rewritten, Some(position), None, detail);
            return false;
        }
        self.agreed = position;
        true
    }

    /// Compares what was published of the place at hand.
    fn compare_published(&mut self) {
        while let Some(first) = self.published.first_entry().filter(|first| *first.key() <= self.head.position) {
            let same = first.remove();
            for checkpoint in same {
                self.published_checkpoint(&checkpoint);
            }
        }
    }

    fn published_checkpoint(&mut self, checkpoint: &Checkpoint) {
        let position = Some(checkpoint.head.position);
        match self.keys.holds(&checkpoint.key_id, &checkpoint.message(), &checkpoint.signature, self.check) {
            None => self.find(Flaw::UnknownKey, position, None, unknown(&format!("published checkpoint {}", checkpoint.number), &checkpoint.key_id)),
            Some(false) => self.find(Flaw::Forged, position, None, format!("published checkpoint {} is not what was signed", checkpoint.number)),
            Some(true) if self.agrees(checkpoint, "published checkpoint") => self.tally.published += 1,
            Some(true) => {}
        }
    }

    /// An event without a position.
    pub fn unsealed(&mut self, event: EventKey, found: &Found) {
        if *found == Found::Unreadable {
            return self.find(Flaw::EventAdded, None, Some(event), "this event has no position, and a column holds what was never written there");
        }
        let (waited, most) = (self.now.since(event.recorded_at), chrono::Duration::minutes(UNSEALED_MINUTES));
        if waited < -most {
            return self.find(Flaw::EventAdded, None, Some(event), "this event has no position, and its time has not come yet: it was added");
        }
        if waited <= most {
            self.tally.unsealed += 1;
            return;
        }
        let detail = format!(
            "this event has no position, and is older than the {UNSEALED_MINUTES} minutes it may wait for one: it was added, or its position was removed"
        );
        self.find(Flaw::EventAdded, None, Some(event), detail);
    }

    /// An event that waited for a position and is gone.
    pub fn vanished(&mut self, event: EventKey) {
        self.find(Flaw::EventRemoved, None, Some(event), "this event was removed before it had a position");
    }

    /// A person, with what the event holds of them. Those of events that are gone are passed over: that an event is gone is said elsewhere.
    pub fn person(&mut self, person: &StoredPerson, hash: Option<&[u8]>) {
        match hash {
            Some(hash) if *hash == person.hash() => self.tally.persons += 1,
            Some(_) => {
                let detail = format!("the {} kept for this event is not who it was recorded with", person.part);
                self.find(Flaw::PersonChanged, None, Some(person.event), detail);
            }
            None => {}
        }
    }

    /// The walk is over. `is_whole`: this is the trail's end, and not only that of a part.
    pub fn end(mut self, is_whole: bool) -> Tally {
        self.settle_doubt(None);
        if is_whole && !self.is_part {
            self.compare_thinned();
        }
        for checkpoint in std::mem::take(&mut self.published).into_values().flatten() {
            if is_whole {
                self.published_checkpoint(&checkpoint);
            }
        }
        self.tally.position = self.head.position;
        self.tally.unsigned = self.head.position - self.signed.min(self.head.position);
        let oldest = self.oldest_unsigned.filter(|oldest| self.now.since(*oldest) > chrono::Duration::minutes(UNSIGNED_MINUTES));
        if is_whole && let Some(oldest) = oldest {
            let detail = format!("positions {} to {} have no signature behind them, the oldest event is of {oldest}", self.signed + 1, self.head.position);
            self.find(Flaw::Unsigned, Some(self.head.position), None, detail);
        }
        self.tally
    }
}

fn unknown(what: &str, key: &str) -> String {
    format!("{what} is signed by key {key}, which is none of ours and which none of ours vouches for")
}
