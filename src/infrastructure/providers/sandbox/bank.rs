//! The books of the sandbox bank: which accounts there are, what a row holds, and what the rows add up to.
//!
//! Pure. Amounts are whole cents from the owner's view; [`answers`](super::answers) turns them to the bank's own way of writing. Chance is
//! SHA-256 of seed, account, day and a counter, so the same three facts (seed, first day, today) always give the same books, and a later
//! today only adds to them.

use chrono::Datelike;
use sha2::{Digest, Sha256};

use super::script::Changes;
use crate::domain::time::LocalDate;

/// What is known of an account before anything happens in it.
#[derive(Debug, PartialEq, Eq)]
pub struct AccountSpec {
    /// The bank's id of it.
    pub id: &'static str,
    /// What the ids of its rows begin with.
    pub prefix: &'static str,
    /// The institution that keeps it.
    pub institution: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// The bank's own word for its kind.
    pub kind: &'static str,
    /// That word for people.
    pub kind_name: &'static str,
    /// ISO 4217.
    pub currency: &'static str,
    /// What its number begins with; seeded digits follow.
    pub number_prefix: &'static str,
    /// The length of its number.
    pub number_length: usize,
    /// The credit line, for a card.
    pub limit: Option<i64>,
    /// Whether the bank says what can be spent now.
    pub tells_available: bool,
}

const HARBOUR: &str = "Harbour Bank";
const MERIDIAN: &str = "Meridian Card & Credit";
const NORTHWIND: &str = "Northwind Brokerage";

/// The accounts, in the order the bank lists them. `Account` below counts the same way.
pub static ACCOUNTS: [AccountSpec; 7] = [
    AccountSpec {
        id: "harbour-checking",
        prefix: "hbc",
        institution: HARBOUR,
        name: "Everyday Checking",
        kind: "DDA",
        kind_name: "Checking account",
        currency: "USD",
        number_prefix: "40",
        number_length: 12,
        limit: None,
        tells_available: true,
    },
    AccountSpec {
        id: "harbour-savings",
        prefix: "hbs",
        institution: HARBOUR,
        name: "Rainy Day Savings",
        kind: "SAV",
        kind_name: "Savings account",
        currency: "USD",
        number_prefix: "41",
        number_length: 12,
        limit: None,
        tells_available: true,
    },
    AccountSpec {
        id: "harbour-euro",
        prefix: "hbe",
        institution: HARBOUR,
        name: "Euro Account",
        kind: "DDA",
        kind_name: "Checking account",
        currency: "EUR",
        number_prefix: "DE00",
        number_length: 22,
        limit: None,
        tells_available: true,
    },
    AccountSpec {
        id: "meridian-card",
        prefix: "mcc",
        institution: MERIDIAN,
        name: "Rewards Card",
        kind: "CCD",
        kind_name: "Credit card",
        currency: "USD",
        // No card scheme issues numbers that begin so.
        number_prefix: "9999",
        number_length: 16,
        limit: Some(900_000),
        tells_available: true,
    },
    AccountSpec {
        id: "meridian-loan",
        prefix: "mcl",
        institution: MERIDIAN,
        name: "Car Loan",
        kind: "LON",
        kind_name: "Personal loan",
        currency: "USD",
        number_prefix: "70",
        number_length: 10,
        limit: None,
        tells_available: false,
    },
    AccountSpec {
        id: "northwind-brokerage",
        prefix: "nwb",
        institution: NORTHWIND,
        name: "Individual Brokerage",
        kind: "BRK",
        kind_name: "Brokerage account",
        currency: "USD",
        number_prefix: "NW",
        number_length: 10,
        limit: None,
        tells_available: true,
    },
    AccountSpec {
        id: "northwind-roth",
        prefix: "nwr",
        institution: NORTHWIND,
        name: "Roth IRA",
        kind: "ROTH",
        kind_name: "Retirement account",
        currency: "USD",
        number_prefix: "NW",
        number_length: 10,
        limit: None,
        tells_available: true,
    },
];

/// An account's place in [`ACCOUNTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    Checking,
    Savings,
    Euro,
    Card,
    Loan,
    Brokerage,
    Roth,
}

/// A security the invented person trades in.
#[derive(Debug, PartialEq, Eq)]
pub struct Security {
    /// Ticker.
    pub symbol: &'static str,
    /// Name.
    pub name: &'static str,
    /// The bank's own word for its kind.
    pub class: &'static str,
    /// Price of one unit on the first day of 2020, in cents.
    pub(super) base_price: i64,
    /// How far the price drifts in a year, in ten-thousandths.
    pub(super) drift: i64,
    /// Paid out for one unit each quarter, in cents.
    pub(super) dividend: i64,
    /// Whether a tenth and a half of the dividend is withheld abroad.
    pub(super) withheld: bool,
    /// What the broker charges for a trade, in cents.
    pub(super) commission: i64,
}

/// What was traded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// Thousandths of a unit; in is positive.
    pub thousandths: i64,
    /// Price of one unit in cents.
    pub price: i64,
    /// Charges inside the amount, in cents.
    pub fees: i64,
}

/// One row of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Made of account, day and place in the day; never another row's.
    pub id: String,
    /// The id its pending row had.
    pub replaces: Option<String>,
    /// The bank's day.
    pub date: LocalDate,
    /// The day it was made, where that is another.
    pub made_on: Option<LocalDate>,
    /// The minute of that day it was made in, by the bank's clocks, where the bank knows.
    pub minute: Option<u32>,
    /// Announced, not booked.
    pub pending: bool,
    /// The bank's own word for what happened.
    pub code: &'static str,
    /// Cents from the owner's view.
    pub cents: i64,
    /// The line on the statement.
    pub description: String,
    /// Who was paid or paid.
    pub merchant: Option<&'static str>,
    /// The bank's category.
    pub category: Option<&'static str>,
    /// The security it is about.
    pub security: Option<&'static Security>,
    /// What was traded.
    pub units: Option<Units>,
}

/// A security an account holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Which security.
    pub security: &'static Security,
    /// Thousandths of a unit.
    pub thousandths: i64,
    /// Price of one unit in cents.
    pub price: i64,
    /// What was paid for all of it, charges included, in cents.
    pub cost: i64,
}

impl Position {
    /// What it is worth, to the nearest cent.
    pub fn value(&self) -> i64 {
        (self.thousandths * self.price + 500) / 1_000
    }
}

/// What an account holds, in cents from the owner's view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// The sum of the booked rows, and what its positions are worth.
    pub current: i64,
    /// What can be spent now.
    pub available: Option<i64>,
    /// The credit line.
    pub limit: Option<i64>,
}

/// One account with its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// Which account.
    pub spec: &'static AccountSpec,
    /// Its whole number.
    pub number: String,
    /// Booked ones by day, then the pending ones.
    pub rows: Vec<Row>,
    /// What a broker's account holds besides money; `None` for an account that holds money only.
    pub positions: Option<Vec<Position>>,
    /// Whether the bank has closed it.
    pub is_closed: bool,
    /// Whether the bank writes its amounts with the other sign.
    pub is_flipped: bool,
    /// The sum of the booked rows, in cents.
    pub(super) booked: i64,
    /// Rows that wait to be booked, with the cents they will be booked with.
    pub(super) waiting: Vec<(Row, i64)>,
    pub(super) last_place: (Option<LocalDate>, u32),
}

impl Book {
    pub(super) fn new(seed: u64, spec: &'static AccountSpec) -> Self {
        let mut dice = Dice::new(seed, spec.id, None);
        let missing = spec.number_length - spec.number_prefix.len();
        let digits: String = (0..missing).map(|_| dice.roll(10).to_string()).collect();
        let number = format!("{}{digits}", spec.number_prefix);
        Self { spec, number, rows: Vec::new(), positions: None, is_closed: false, is_flipped: false, booked: 0, waiting: Vec::new(), last_place: (None, 0) }
    }

    /// Takes rows away, and out of what the account holds.
    pub(super) fn remove(&mut self, is_gone: impl Fn(&Row) -> bool) {
        self.booked -= self.rows.iter().filter(|row| !row.pending && is_gone(row)).map(|row| row.cents).sum::<i64>();
        self.rows.retain(|row| !is_gone(row));
    }

    /// What the account holds.
    pub fn holdings(&self) -> Holdings {
        let pending: i64 = self.rows.iter().filter(|row| row.pending).map(|row| row.cents).sum();
        let available = self.spec.tells_available.then_some((self.booked + pending + self.spec.limit.unwrap_or(0)).max(0));
        let invested: i64 = self.positions.iter().flatten().map(Position::value).sum();
        Holdings { current: self.booked + invested, available, limit: self.spec.limit }
    }
}

/// All accounts with all their rows, as they stand on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// In the order of [`ACCOUNTS`].
    pub books: Vec<Book>,
}

impl Ledger {
    /// The books of a bank of that seed, first opened on `opened_on`, as they stand on `today`.
    pub fn as_of(seed: u64, opened_on: LocalDate, today: LocalDate) -> Self {
        Self::changed(seed, opened_on, today, &Changes::default())
    }

    /// The same after what the bank was told to do to them.
    pub(super) fn changed(seed: u64, opened_on: LocalDate, today: LocalDate, changes: &Changes) -> Self {
        let mut books = super::life::live(seed, opened_on, today);
        changes.apply(&mut books);
        Self { books }
    }

    /// The book of that account.
    pub fn book(&self, account_id: &str) -> Option<&Book> {
        self.books.iter().find(|book| book.spec.id == account_id)
    }
}

/// Chance that comes out the same every time.
pub(super) struct Dice {
    subject: Sha256,
    /// One hash serves eight rolls.
    hash: [u8; 32],
    rolled: usize,
}

impl Dice {
    pub(super) fn new(seed: u64, subject: &str, day: Option<LocalDate>) -> Self {
        let day = day.map_or(0, |day| day.naive().num_days_from_ce());
        let subject = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(day.to_be_bytes()).chain_update(subject);
        Self { subject, hash: [0; 32], rolled: 0 }
    }

    /// A number from 0 to `sides` - 1.
    pub(super) fn roll(&mut self, sides: u32) -> u32 {
        let at = self.rolled % 8 * 4;
        if at == 0 {
            self.hash = self.subject.clone().chain_update(b"|").chain_update((self.rolled as u64).to_be_bytes()).finalize().into();
        }
        self.rolled += 1;
        u32::from_be_bytes([self.hash[at], self.hash[at + 1], self.hash[at + 2], self.hash[at + 3]]) % sides.max(1)
    }

    /// Cents between two amounts, the upper one excluded.
    pub(super) fn cents(&mut self, from: i64, to: i64) -> i64 {
        from + i64::from(self.roll(u32::try_from(to - from).unwrap_or(1)))
    }

    /// True once in `sides` rolls.
    pub(super) fn once_in(&mut self, sides: u32) -> bool {
        self.roll(sides) == 0
    }
}
