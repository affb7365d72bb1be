//! Matching: which reported row is which stored transaction.
//!
//! A transaction keeps its id from pending to posted, over re-linking and over importing the same period from a file; two real rows
//! that look alike stay two; what is doubtful is never merged in silence. The rules, strongest first:
//!
//! 1. **By name.** A feed's id is believed, but where what goes by it is booked on another day and at another amount, and the feed was not asked about
//!    the day of the stored one; of several of one id each finds the one of its day and amount first. A file's id (OFX `FITID`) is believed only together with amount and day, since banks reuse
//!    them; rows without an id are named by their content and their place among equal ones, rows of tables by their cells as they stand, so that
//!    one that was read wrongly before is found again whatever its day and amount were taken for.
//! 2. **By succession.** A posted row replaces the pending one its provider names, or the one pending row of the same amount and
//!    description within a week before it.
//! 3. **By counting.** A source that covers a whole day lists every real row of it. So of the stored rows of that day and amount that no
//!    name has claimed, as many are the same as there are reported ones; only the surplus is new. Words have to be equal, but between a feed
//!    and a file, which always word differently.
//! 4. **By doubt.** Two files of one account may come from two exports that word and name everything differently, or be of different rows. A row
//!    that a file tells of a day and amount that another file has told in other words, and this one has not, is doubtful.
//!
//! Pure: plans, writes nothing.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::{
    id::TransactionId,
    money::Amount,
    provider::ReportedTransaction,
    time::LocalDate,
    transaction::{KnownTransaction, Source, TransactionFacts, TransactionStatus},
};

/// How many days a pending row may wait for its posted one.
const PENDING_DAYS: i64 = 7;

/// How many days apart two sources may put the same movement before it stops looking like the same.
const DOUBT_DAYS: i64 = 3;

/// The days a source vouches for: within them it reported every row there is.
pub type Period = (LocalDate, LocalDate);

/// Which pending rows a feed has told of, so that silence says that the others are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Those of the days it was asked for.
    OfItsDays,
    /// All there are.
    All,
}

/// What a reported row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// Not seen before.
    New,
    /// A stored one.
    Known(TransactionId),
    /// Not seen before as far as can be told, and much like a stored one. Kept as new; the person is told.
    Doubtful(TransactionId),
}

/// What to do with everything reported for one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// For each reported row, in order: the name it goes by at its source, and what it is.
    pub rows: Vec<(String, Match)>,
    /// Stored rows their feed stopped reporting; none when it vouches for no days.
    pub withdrawn: Vec<TransactionId>,
}

/// The names reported rows go by at `source`, in order.
pub fn references(reported: &[ReportedTransaction]) -> Vec<String> {
    let mut seen: HashMap<String, u32> = HashMap::new();
    reported
        .iter()
        .map(|row| {
            let content = match &row.reference {
                Some(reference) => match reference.strip_prefix(AS_TOLD).unwrap_or(reference) {
                    name if is_of_cells(name) => name.to_owned(),
                    _ => return reference.clone(),
                },
                None => content_name(row),
            };
            let ordinal = seen.entry(content.clone()).or_insert(0);
            *ordinal += 1;
            format!("{content}:{ordinal}")
        })
        .collect()
}

/// Begins the name of a row of a table that is made of its cells as they stand.
const OF_CELLS: &str = "cells:";

/// Stands before that name in the reference of a row that is read as a person says.
const AS_TOLD: &str = "told:";

/// The reference of a row of a table that has no id: cells as they stand, so that it is the same row however they are read. Its place among equal ones
/// is added when it is matched. Whether a person says how it is read is no part of its name, and remembered beside it.
pub fn reference_of_cells<'a>(cells: impl IntoIterator<Item = &'a str>, is_told: bool) -> String {
    let mut content = Sha256::new();
    for cell in cells {
        content.update(cell.as_bytes());
        content.update([0]);
    }
    let digest = content.finalize();
    format!("{}{OF_CELLS}{:032x}", if is_told { AS_TOLD } else { "" }, u128::from_be_bytes(std::array::from_fn(|at| digest[at])))
}

/// Whether a row has the day and amount of a stored one, or a person says what its cells mean. The same cells are read otherwise by themselves when
/// nothing is said any more, or the other rows of the file tell something else; that corrects nothing.
pub fn may_correct(row: &ReportedTransaction, stored: &TransactionFacts) -> bool {
    let is_guessed = row.reference.as_deref().is_some_and(is_of_cells);
    let has_charges_now = stored.fees.is_none() && amount_without_charges(&row.facts) == Some(stored.amount);
    let is_as_stored = row.facts.posted_on == stored.posted_on && (row.facts.amount == stored.amount || has_charges_now);
    !is_guessed || is_as_stored || row.facts.status != stored.status
}

/// What a row's amount is without its charges; `None` for one without any.
fn amount_without_charges(facts: &TransactionFacts) -> Option<Amount> {
    facts.amount.checked_add(facts.fees?)
}

fn is_of_cells(name: &str) -> bool {
    name.strip_prefix(OF_CELLS).is_some_and(|digits| digits.len() >= 32)
}

/// Matches what `source` reported against what is stored of the account.
pub fn plan(known: &[KnownTransaction], reported: &[ReportedTransaction], source: Source, period: Option<Period>, waiting: Waiting) -> Plan {
    let names = references(reported);
    let mut matcher = Matcher { known, reported, names: &names, source, period, waiting, claimed: HashSet::new(), rows: vec![None; reported.len()] };
    matcher.by_name();
    matcher.by_succession();
    matcher.by_counting();
    matcher.by_cells();
    matcher.by_charges();
    matcher.look_for_doubt();
    let withdrawn = if source == Source::Feed && period.is_some() { matcher.withdrawn() } else { Vec::new() };
    let rows = names.iter().cloned().zip(matcher.rows.iter().map(|row| row.clone().unwrap_or(Match::New))).collect();
    Plan { rows, withdrawn }
}

/// Pending rows of a feed that none of the reported rows was found to be, and that have waited for longer than any posted row takes their place
/// after. They are gone even where one that cannot be read may be what has become of another.
pub fn overdue(known: &[KnownTransaction], found: &[(String, Match)], (first, last): Period, waiting: Waiting) -> Vec<TransactionId> {
    let claimed: HashSet<_> = found.iter().filter_map(|(_, found)| if let Match::Known(id) = found { Some(*id) } else { None }).collect();
    let is_overdue = |row: &&KnownTransaction| {
        row.facts.status == TransactionStatus::Pending
            && !row.removed
            && !claimed.contains(&row.id)
            && last.days_since(row.facts.posted_on) > PENDING_DAYS
            && (waiting == Waiting::All || row.facts.posted_on >= first)
            && row.references.iter().any(|(source, _)| *source == Source::Feed)
    };
    known.iter().filter(is_overdue).map(|row| row.id).collect()
}

struct Matcher<'a> {
    known: &'a [KnownTransaction],
    reported: &'a [ReportedTransaction],
    names: &'a [String],
    source: Source,
    period: Option<Period>,
    waiting: Waiting,
    claimed: HashSet<TransactionId>,
    rows: Vec<Option<Match>>,
}

impl<'a> Matcher<'a> {
    fn claim(&mut self, row: usize, id: TransactionId) {
        self.claimed.insert(id);
        self.rows[row] = Some(Match::Known(id));
    }

    fn covers(&self, day: LocalDate) -> bool {
        self.period.is_some_and(|(from, to)| (from..=to).contains(&day))
    }

    fn by_name(&mut self) {
        let mut named: HashMap<&str, Vec<&KnownTransaction>> = HashMap::new();
        for row in self.known {
            for (_, name) in row.references.iter().filter(|(source, _)| *source == self.source) {
                named.entry(name).or_default().push(row);
            }
        }
        // Of several that go by one name each is first the one that it equals.
        for at in 0..self.reported.len() {
            let facts = &self.reported[at].facts;
            let candidates = named.get(self.names[at].as_str()).map_or(&[][..], Vec::as_slice);
            // A file from before a row was booked still names it, with the day it had while pending.
            let booked = |row: &KnownTransaction| facts.status == TransactionStatus::Pending && row.facts.status == TransactionStatus::Posted;
            let exact = |row: &KnownTransaction| row.facts.amount == facts.amount && (row.facts.posted_on == facts.posted_on || booked(row));
            let free = |row: &&&KnownTransaction| !self.claimed.contains(&row.id);
            let found = candidates.iter().filter(free).find(|row| exact(row));
            if let Some(id) = found.map(|row| row.id) {
                self.claim(at, id);
            }
        }
        if self.source == Source::File {
            return;
        }
        for at in self.open() {
            let row = &self.reported[at];
            let candidates = named.get(self.names[at].as_str()).map_or(&[][..], Vec::as_slice);
            // Nothing says that a row is gone of whose day nothing was told, so another one of its name does not take its place.
            let is_passed_over = |known: &KnownTransaction| row.is_apart_from(&known.facts) && self.period.is_some() && !self.covers(known.facts.posted_on);
            let free = candidates.iter().filter(|known| !self.claimed.contains(&known.id) && !is_passed_over(known));
            let found = free.min_by_key(|known| row.is_apart_from(&known.facts)).map(|known| known.id);
            if let Some(id) = found {
                self.claim(at, id);
            }
        }
    }

    fn by_succession(&mut self) {
        // What a provider names is claimed before anything is guessed.
        let mut named: HashMap<&str, Vec<&KnownTransaction>> = HashMap::new();
        if self.reported.iter().any(|row| !row.replaces.is_empty()) {
            for row in self.known {
                for (_, name) in row.references.iter().filter(|(source, _)| *source == self.source) {
                    named.entry(name).or_default().push(row);
                }
            }
        }
        for at in self.open() {
            let row = &self.reported[at];
            // One that replaces its own name was stored with the other sign. The name alone may be one that the bank has used again.
            let fits = |old: &String, known: &KnownTransaction| {
                row.reference.as_ref() != Some(old) || (known.facts.posted_on == row.facts.posted_on && known.facts.amount == row.facts.amount.negated())
            };
            let free = |old: &String| {
                let found = named.get(old.as_str())?.iter().find(|known| !self.claimed.contains(&known.id) && fits(old, known));
                found.map(|known| known.id)
            };
            let found = row.replaces.iter().find_map(free);
            if let Some(id) = found {
                self.claim(at, id);
            }
        }
        let pending: Vec<_> = self.free().filter(|known| known.facts.status == TransactionStatus::Pending && !known.removed).collect();
        for at in self.open() {
            let facts = &self.reported[at].facts;
            if facts.status != TransactionStatus::Posted {
                continue;
            }
            let waiting = |known: &&&KnownTransaction| {
                !self.claimed.contains(&known.id)
                    && known.facts.amount == facts.amount
                    && (0..=PENDING_DAYS).contains(&facts.posted_on.days_since(known.facts.posted_on))
                    && same_words(&known.facts.description, &facts.description)
            };
            let found = pending.iter().find(waiting).map(|known| known.id);
            if let Some(id) = found {
                self.claim(at, id);
            }
        }
    }

    fn by_counting(&mut self) {
        // Another source words the same movement differently; the same source does not. What a feed has told a file is another source for,
        // however many files have named it before.
        self.count(|_, known, facts| same_words(&known.facts.description, &facts.description));
        self.count(|source, known, _| is_told_elsewhere(known, source));
    }

    /// The same cells are the same row, also when they were read as another day or amount before.
    fn by_cells(&mut self) {
        let mut named: HashMap<&str, Vec<TransactionId>> = HashMap::new();
        for row in self.free() {
            for (_, name) in row.references.iter().filter(|(source, name)| *source == self.source && is_of_cells(name)) {
                named.entry(name).or_default().push(row.id);
            }
        }
        for at in self.open() {
            let free = named.get(self.names[at].as_str()).and_then(|ids| ids.iter().find(|id| !self.claimed.contains(id)).copied());
            if let Some(id) = free {
                self.claim(at, id);
            }
        }
    }

    /// A row of a file whose charges were not read before is stored without them.
    fn by_charges(&mut self) {
        if self.source != Source::File || self.reported.iter().all(|row| row.facts.fees.is_none()) {
            return;
        }
        let mut without: HashMap<(LocalDate, Amount), Vec<&'a KnownTransaction>> = HashMap::new();
        let told_by_files = |row: &&KnownTransaction| !row.removed && row.references.iter().all(|(source, _)| *source == Source::File);
        for row in self.free().filter(told_by_files) {
            without.entry((row.facts.posted_on, row.facts.amount)).or_default().push(row);
        }
        for at in self.open() {
            let facts = &self.reported[at].facts;
            let Some(candidates) = amount_without_charges(facts).and_then(|amount| without.get(&(facts.posted_on, amount))) else { continue };
            let is_it = |known: &&&KnownTransaction| {
                !self.claimed.contains(&known.id) && known.facts.fees.is_none() && same_words(&known.facts.description, &facts.description)
            };
            if let Some(id) = candidates.iter().find(is_it).map(|known| known.id) {
                self.claim(at, id);
            }
        }
    }

    /// Claims for each open row of a covered day one free stored row of that day, amount and status which is `alike`.
    fn count(&mut self, alike: impl Fn(Source, &KnownTransaction, &TransactionFacts) -> bool) {
        let mut unclaimed: HashMap<(LocalDate, Amount, TransactionStatus), Vec<&'a KnownTransaction>> = HashMap::new();
        for row in self.free().filter(|row| !row.removed) {
            unclaimed.entry((row.facts.posted_on, row.facts.amount, row.facts.status)).or_default().push(row);
        }
        for at in self.open() {
            let facts = &self.reported[at].facts;
            let is_covered = match facts.status {
                TransactionStatus::Posted => self.covers(facts.posted_on),
                // Some feeds name what waits anew each time.
                TransactionStatus::Pending => self.source == Source::Feed && self.period.is_some(),
                TransactionStatus::Failed | TransactionStatus::Cancelled => false,
            };
            if !is_covered {
                continue;
            }
            let Some(candidates) = unclaimed.get_mut(&(facts.posted_on, facts.amount, facts.status)) else { continue };
            if let Some(found) = candidates.iter().position(|known| alike(self.source, known, facts)) {
                let id = candidates.remove(found).id;
                self.claim(at, id);
            }
        }
    }

    /// Where the reported rows stand that nothing is known of yet.
    fn open(&self) -> Vec<usize> {
        (0..self.reported.len()).filter(|at| self.rows[*at].is_none()).collect()
    }

    fn look_for_doubt(&mut self) {
        let mut alike: HashMap<Amount, Vec<&'a KnownTransaction>> = HashMap::new();
        for known in self.free().filter(|known| !known.removed) {
            alike.entry(known.facts.amount).or_default().push(known);
        }
        for at in self.open() {
            let (row, name) = (&self.reported[at], &self.names[at]);
            let Some(candidates) = alike.get_mut(&row.facts.amount) else { continue };
            let doubtful = candidates.iter().position(|known| {
                let reused = row.reference.is_some() && known.references.iter().any(|(source, known_name)| *source == self.source && known_name == name);
                let apart = row.facts.posted_on.days_since(known.facts.posted_on).abs();
                let is_alike = || same_words(&known.facts.description, &row.facts.description);
                let is_left = apart == 0
                    && match self.source {
                        Source::Feed => !self.covers(row.facts.posted_on) && (is_told_elsewhere(known, self.source) || is_alike()),
                        // All files are one source, and two of them may tell of one movement in two ways.
                        Source::File => true,
                    };
                let foreign = !known.references.iter().any(|(source, _)| *source == self.source);
                let shifted = foreign && (1..=DOUBT_DAYS).contains(&apart) && is_alike();
                reused || is_left || shifted
            });
            if let Some(place) = doubtful {
                // One stored row casts doubt on one reported row only.
                let id = candidates.swap_remove(place).id;
                self.claimed.insert(id);
                self.rows[at] = Some(Match::Doubtful(id));
            }
        }
    }

    fn withdrawn(&self) -> Vec<TransactionId> {
        self.free()
            .filter(|row| !row.removed && row.references.iter().any(|(source, _)| *source == Source::Feed))
            .filter(|row| self.covers(row.facts.posted_on) || row.facts.status == TransactionStatus::Pending && self.waiting == Waiting::All)
            .map(|row| row.id)
            .collect()
    }

    fn free(&self) -> impl Iterator<Item = &'a KnownTransaction> {
        self.known.iter().filter(|row| !self.claimed.contains(&row.id))
    }
}

/// Whether something else than `source` has told of a row: the feed, for a file; files alone, for a feed.
fn is_told_elsewhere(known: &KnownTransaction, source: Source) -> bool {
    let by_feed = known.references.iter().any(|(named_by, _)| *named_by == Source::Feed);
    match source {
        Source::Feed => !by_feed,
        Source::File => by_feed,
    }
}

fn same_words(left: &str, right: &str) -> bool {
    let words = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
    words(left) == words(right)
}

/// A name made of what the row says. Sixteen bytes of SHA-256 are plenty to tell the rows of one account apart.
fn content_name(row: &ReportedTransaction) -> String {
    let facts = &row.facts;
    let content = format!("{}|{}|{}|{}", facts.posted_on, facts.amount.units(), facts.status.as_str(), facts.description);
    let digest = Sha256::digest(content.as_bytes());
    let name = u128::from_be_bytes(std::array::from_fn(|at| digest[at]));
    format!("content:{name:032x}")
}
