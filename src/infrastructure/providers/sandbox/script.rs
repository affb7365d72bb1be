//! What whoever tries things out has told the sandbox bank to do: to be ahead of its time, and to treat its books as real banks do.
//!
//! Pure. Everything here is remembered over a restart, see [`register`](super::register); how it answers badly is [`faults`](super::faults).

use std::collections::BTreeSet;

use chrono::Duration;
use serde::{Deserialize, Serialize};

use super::{
    answers::PAGE_ROWS,
    bank::{Book, Ledger},
    register::CONSENT_DAYS,
};
use crate::domain::time::Timestamp;

/// The furthest its clock can be ahead, in days.
const FURTHEST_DAYS: i64 = 1_826;

/// The bank's zone when nobody has moved it: five hours behind UTC, in minutes.
const USUAL_ZONE: i32 = -300;

/// What the bank was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Script {
    /// How far its clock is ahead, in seconds.
    pub(super) ahead: i64,
    /// What has become of its books.
    pub(super) changes: Changes,
    /// The most rows of a page, when it is not the usual number.
    page_rows: Option<usize>,
    /// How long consents last that are given from now on, in minutes, when it is not the usual time.
    consent_minutes: Option<i64>,
    /// Where the bank's clocks hang, in minutes east of UTC, when it is not where they usually do.
    zone: Option<i32>,
    /// Takes a row away that it has told of, as soon as the next page is asked for.
    pub(super) changes_while_paging: bool,
}

/// What has become of the books.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Changes {
    /// How often every row was given another id.
    reissues: u32,
    /// Rows that are gone, by their first ids.
    removed: BTreeSet<String>,
    /// Accounts that are closed.
    closed: BTreeSet<String>,
    /// Accounts whose amounts come with the other sign.
    flipped: BTreeSet<String>,
}

/// Why the bank does not do as it is told, for whoever told it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotDone(pub(super) String);

impl NotDone {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl Script {
    /// Moves the clock on by a span such as `90m`, `36h`, `7d` or `2w`.
    pub(super) fn forward(&mut self, span: &str) -> Result<(), NotDone> {
        let span = parse_span(span)?;
        let ahead = self.ahead.checked_add(span).filter(|ahead| *ahead <= FURTHEST_DAYS * 86_400);
        self.ahead = ahead.ok_or_else(|| NotDone::new(format!("The bank's clock can be ahead by at most {FURTHEST_DAYS} days.")))?;
        Ok(())
    }

    /// The bank's time.
    pub(super) fn time(&self, real: Timestamp) -> Timestamp {
        real.plus(Duration::seconds(self.ahead))
    }

    /// The most rows of a page.
    pub(super) fn page_rows(&self) -> usize {
        self.page_rows.unwrap_or(PAGE_ROWS)
    }

    /// How long a consent lasts that is given now.
    pub(super) fn consent(&self) -> Duration {
        self.consent_minutes.map_or_else(|| Duration::days(CONSENT_DAYS.into()), Duration::minutes)
    }

    pub(super) fn set_page_rows(&mut self, rows: &str) -> Result<(), NotDone> {
        let rows = rows.parse().ok().filter(|rows| (1..=PAGE_ROWS).contains(rows));
        self.page_rows = Some(rows.ok_or_else(|| NotDone::new(format!("page_rows is a number from 1 to {PAGE_ROWS}.")))?);
        Ok(())
    }

    pub(super) fn set_consent(&mut self, span: &str) -> Result<(), NotDone> {
        let minutes = parse_span(span)? / 60;
        if !(1..=i64::from(CONSENT_DAYS) * 1_440).contains(&minutes) {
            return Err(NotDone::new(format!("consent is a span from 1m to {CONSENT_DAYS}d.")));
        }
        self.consent_minutes = Some(minutes);
        Ok(())
    }

    pub(super) fn set_zone(&mut self, zone: &str) -> Result<(), NotDone> {
        self.zone = Some(parse_zone(zone).ok_or_else(|| NotDone::new("zone is an offset from -12:00 to +14:00."))?);
        Ok(())
    }

    /// The offset of the bank's clocks from UTC, as in `-05:00`.
    pub(super) fn zone(&self) -> String {
        let minutes = self.zone.unwrap_or(USUAL_ZONE);
        format!("{}{:02}:{:02}", if minutes < 0 { '-' } else { '+' }, minutes.abs() / 60, minutes.abs() % 60)
    }

    /// Whatever has happened has not.
    pub(super) fn forget_events(&mut self) {
        (self.changes, self.changes_while_paging) = (Changes::default(), false);
    }

    /// Everything is as usual.
    pub(super) fn forget_settings(&mut self) {
        (self.page_rows, self.consent_minutes, self.zone) = (None, None, None);
    }
}

impl Changes {
    /// Gives every row another id; those that come later, too.
    pub(super) fn reissue(&mut self) {
        self.reissues += 1;
    }

    /// Takes the youngest booked row of an account away. `ledger` is how the books stand.
    pub(super) fn remove_youngest(&mut self, ledger: &Ledger, account: &str) -> Result<(), NotDone> {
        let book = ledger.book(account).ok_or_else(|| unknown(ledger))?;
        let youngest = book.rows.iter().filter(|row| !row.pending).max_by_key(|row| (row.date, &row.id));
        let row = youngest.ok_or_else(|| NotDone::new("That account has no row that is booked."))?;
        self.remove(&row.id);
        Ok(())
    }

    /// Takes a row away, by the id it has now.
    pub(super) fn remove(&mut self, id: &str) {
        self.removed.insert(id.split('~').next().unwrap_or(id).to_owned());
    }

    /// Brings all rows back that were taken away.
    pub(super) fn restore(&mut self) {
        self.removed.clear();
    }

    /// Closes an account, or opens it again.
    pub(super) fn close(&mut self, ledger: &Ledger, account: &str, is_closed: bool) -> Result<(), NotDone> {
        let book = ledger.book(account).ok_or_else(|| unknown(ledger))?;
        if is_closed {
            self.closed.insert(book.spec.id.to_owned());
        } else {
            self.closed.remove(book.spec.id);
        }
        Ok(())
    }

    /// Turns the signs of an account round.
    pub(super) fn flip(&mut self, ledger: &Ledger, account: &str) -> Result<(), NotDone> {
        let book = ledger.book(account).ok_or_else(|| unknown(ledger))?;
        if !self.flipped.remove(book.spec.id) {
            self.flipped.insert(book.spec.id.to_owned());
        }
        Ok(())
    }

    /// What the books look like after all that.
    pub(super) fn apply(&self, books: &mut [Book]) {
        for book in books {
            book.is_closed = self.closed.contains(book.spec.id);
            book.is_flipped = self.flipped.contains(book.spec.id);
            book.remove(|row| self.removed.contains(&row.id));
            if self.reissues > 0 {
                let mark = format!("~{}", self.reissues);
                let reissue = |id: &mut String| id.push_str(&mark);
                for row in &mut book.rows {
                    reissue(&mut row.id);
                    row.replaces.iter_mut().for_each(reissue);
                }
            }
        }
    }
}

fn unknown(ledger: &Ledger) -> NotDone {
    let ids: Vec<&str> = ledger.books.iter().map(|book| book.spec.id).collect();
    NotDone::new(format!("account is one of {}.", ids.join(", ")))
}

/// The seconds of a span: a number with `s`, `m`, `h`, `d` or `w` behind it.
fn parse_span(text: &str) -> Result<i64, NotDone> {
    let unit = |letter| match letter {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3_600),
        'd' => Some(86_400),
        'w' => Some(604_800),
        _ => None,
    };
    let last = text.char_indices().next_back();
    let seconds = last.and_then(|(at, letter)| text[..at].parse::<u32>().ok().zip(unit(letter))).and_then(|(count, unit)| i64::from(count).checked_mul(unit));
    seconds.filter(|seconds| *seconds > 0).ok_or_else(|| NotDone::new("A span is a number with s, m, h, d or w behind it, such as 90m, 36h, 7d or 2w."))
}

/// The minutes of an offset such as `+14:00`.
fn parse_zone(text: &str) -> Option<i32> {
    // A form that was not encoded brings a plus as a blank.
    let (sign, rest) = text.strip_prefix('-').map_or_else(|| (1, text.trim_start_matches(['+', ' '])), |rest| (-1, rest));
    let (hours, minutes) = rest.split_once(':')?;
    let two = |digits: &str| (digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse::<i32>().ok()).flatten();
    let minutes = sign * (two(hours)? * 60 + two(minutes).filter(|minutes| *minutes < 60)?);
    (-720..=840).contains(&minutes).then_some(minutes)
}
