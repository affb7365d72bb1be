//! From cells to facts. Signs are the owner's view when a file is read as it is; one that writes what was spent as positive is told so.

use super::{
    dates::day,
    detection::{Evidence, Layout},
    names::{is_outgoing, plain},
    numbers::number,
};
use crate::{
    domain::{
        card_number,
        csv::{ColumnRole, DateOrder, DecimalMark},
        money::{Amount, Currency, InvalidAmount},
        provider::ReportedTransaction,
        time::LocalDate,
        transaction::{TransactionFacts, TransactionStatus, TransactionSubtype},
    },
    infrastructure::providers::statement::values::{MAX_DESCRIPTION, MAX_NAME, MAX_REFERENCE, bytes, characters, tidy},
};

/// How the rows of one file are read.
pub(super) struct Mapping<'a> {
    layout: &'a Layout,
    order: DateOrder,
    mark: DecimalMark,
    invert: bool,
    currency: Currency,
    /// Whether debits, and whether credits, are written with both signs.
    mixed: [bool; 2],
}

/// A row with what the account held after it.
pub(super) struct Row {
    pub(super) transaction: ReportedTransaction,
    pub(super) balance: Option<Amount>,
}

impl<'a> Mapping<'a> {
    pub(super) fn new(layout: &'a Layout, evidence: &Evidence, (order, mark): (DateOrder, DecimalMark), invert: bool, currency: Currency) -> Self {
        Self { layout, order, mark, invert, currency, mixed: evidence.mixed() }
    }

    /// The error says why the row cannot be taken.
    pub(super) fn row(&self, cells: &[String], line: u64) -> Result<Row, String> {
        let date = self.one(cells, ColumnRole::PostedOn).ok_or("the row has no date")?;
        let posted_on = self.day(date).ok_or("the row's date is not a day of the calendar in the order that the file's dates are in")?;
        if self.one(cells, ColumnRole::Currency).is_some_and(|code| !code.eq_ignore_ascii_case(self.currency.code())) {
            return Err("the row is in another currency than the account".to_owned());
        }
        let amount = self.signed(cells).map_err(|reason| format!("the row's amount cannot be taken: {reason}"))?;
        let merchant = self.one(cells, ColumnRole::Merchant).map(|text| shown(text, MAX_NAME)).filter(|name| !name.is_empty());
        let described = self.described(cells);
        let facts = TransactionFacts {
            amount: if self.invert { amount.negated() } else { amount },
            subtype: TransactionSubtype::Unknown,
            status: self.one(cells, ColumnRole::Status).map_or(TransactionStatus::Posted, status),
            posted_on,
            authorized_on: self.one(cells, ColumnRole::AuthorizedOn).and_then(|text| self.day(text)),
            occurred_at: None,
            description: if described.is_empty() { merchant.clone().unwrap_or_default() } else { described },
            merchant_name: merchant,
            category: self.one(cells, ColumnRole::Category).map(|text| shown(text, MAX_NAME)).filter(|name| !name.is_empty()),
            security: None,
            quantity: None,
            unit_price: None,
            fees: None,
        };
        let balance = self.one(cells, ColumnRole::Balance).and_then(|text| self.amount(text).ok());
        let reference = self.one(cells, ColumnRole::Reference).and_then(reference);
        Ok(Row { transaction: ReportedTransaction { reference, replaces: Vec::new(), facts, line: Some(line) }, balance })
    }

    /// The first cell of a role that is not empty.
    fn one<'c>(&self, cells: &'c [String], role: ColumnRole) -> Option<&'c str> {
        self.layout.places(role).into_iter().find_map(|at| cells.get(at)).map(|cell| cell.trim()).filter(|cell| !cell.is_empty())
    }

    fn day(&self, text: &str) -> Option<LocalDate> {
        day(text, self.order)
    }

    fn amount(&self, text: &str) -> Result<Amount, InvalidAmount> {
        Amount::parse(&number(text, self.mark).ok_or(InvalidAmount::Malformed)?, &self.currency)
    }

    /// One column with a sign, or without and another that says which way; or one column for each way.
    fn signed(&self, cells: &[String]) -> Result<Amount, String> {
        let read = |text: &str| self.amount(text).map_err(|reason| reason.to_string());
        if !self.layout.places(ColumnRole::Amount).is_empty() {
            let amount = read(self.one(cells, ColumnRole::Amount).ok_or("it is missing")?)?;
            if self.layout.places(ColumnRole::Direction).is_empty() {
                return Ok(amount);
            }
            let outgoing = self.one(cells, ColumnRole::Direction).and_then(is_outgoing).ok_or("it is not said which way it went")?;
            return Ok(if outgoing { amount.abs().negated() } else { amount.abs() });
        }
        // Zeros stand where nothing moved.
        let half = |role| self.one(cells, role).map(read).transpose();
        let (debit, credit) = (half(ColumnRole::Debit)?, half(ColumnRole::Credit)?);
        let moved = |amount: &Amount| *amount != Amount::ZERO;
        match (debit.filter(moved), credit.filter(moved)) {
            (Some(_), Some(_)) => Err("it is both a debit and a credit".to_owned()),
            (Some(debit), None) if self.mixed[0] => Ok(debit.negated()),
            (Some(debit), None) => Ok(debit.abs().negated()),
            (None, Some(credit)) if self.mixed[1] => Ok(credit),
            (None, Some(credit)) => Ok(credit.abs()),
            (None, None) => debit.or(credit).ok_or_else(|| "it is missing".to_owned()),
        }
    }

    /// Every column that describes the row, each as far as it adds something.
    fn described(&self, cells: &[String]) -> String {
        let mut said: Vec<String> = Vec::new();
        for text in self.layout.places(ColumnRole::Description).into_iter().filter_map(|at| cells.get(at)).map(|cell| tidy(cell)) {
            if !text.is_empty() && !said.contains(&text) {
                said.push(text);
            }
        }
        shown(&said.join(" · "), MAX_DESCRIPTION)
    }
}

/// Text on one line without the numbers of cards.
fn shown(text: &str, most: usize) -> String {
    characters(&card_number::cut(&tidy(text)), most).to_owned()
}

/// The bank's id, unless it says nothing or is the number of a card.
fn reference(text: &str) -> Option<String> {
    let written = tidy(text);
    let says_nothing = written.bytes().all(|byte| matches!(byte, b'0' | b'-'));
    (!says_nothing && card_number::cut(&written) == written).then(|| bytes(&written, MAX_REFERENCE).to_owned())
}

/// What banks call rows that are not booked. Any other word is of a booked one.
fn status(word: &str) -> TransactionStatus {
    let word = plain(word);
    let begins = |words: &[&str]| words.iter().any(|beginning| word.starts_with(beginning));
    if begins(&["pend", "authori", "vorgemerkt", "vorlaufig", "en attente", "en cours", "in attesa", "reserver", "gereserveerd", "unposted", "uncleared"]) {
        TransactionStatus::Pending
    } else if begins(&["fail", "declin", "reject", "denied", "abgelehnt", "refus", "rechaz"]) {
        TransactionStatus::Failed
    } else if begins(&["cancel", "revert", "void", "storniert", "annul"]) {
        TransactionStatus::Cancelled
    } else {
        TransactionStatus::Posted
    }
}

/// What balances beside the rows say of the account. They are believed only as far as they follow from one row to the next.
#[derive(Default)]
pub(super) struct Running {
    first: Option<(Amount, LocalDate)>,
    last: Option<(Amount, Amount, LocalDate)>,
    rising: u64,
    falling: u64,
    pairs: u64,
}

impl Running {
    /// One more row of the file.
    pub(super) fn see(&mut self, row: &Row) {
        let facts = &row.transaction.facts;
        let Some(balance) = row.balance.filter(|_| facts.status == TransactionStatus::Posted) else { return };
        if let Some((before, moved, _)) = self.last {
            self.pairs += 1;
            self.rising += u64::from(before.checked_add(facts.amount) == Some(balance));
            self.falling += u64::from(balance.checked_add(moved) == Some(before));
        }
        self.first.get_or_insert((balance, facts.posted_on));
        self.last = Some((balance, facts.amount, facts.posted_on));
    }

    /// The balance after the youngest row: the last one's where rows go from old to new, the first one's where they go back in time.
    pub(super) fn youngest(&self) -> Option<(Amount, LocalDate)> {
        let (last, first) = (self.last.map(|(balance, _, day)| (balance, day))?, self.first?);
        let holds = |count: u64| count * 10 >= self.pairs * 9;
        match (holds(self.rising), holds(self.falling)) {
            _ if self.pairs == 0 => Some(last),
            (true, false) => Some(last),
            (false, true) => Some(first),
            _ => None,
        }
    }
}
