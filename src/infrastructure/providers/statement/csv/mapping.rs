//! From cells to facts. Signs are the owner's view when a file is read as it is; one that writes what was spent as positive is told so.

use super::{
    accounts::{Accounts, is_full_number},
    balances, currencies,
    dates::day,
    detection::Layout,
    evidence::Evidence,
    identity::Identity,
    names::{is_outgoing, names_a_party, plain},
    numbers::{has_unknown_letters, is_marked_outgoing, number},
};
use crate::{
    domain::{
        card_number,
        csv::{ColumnRole, DateOrder, DecimalMark},
        money::{Amount, Currency},
        provider::ReportedTransaction,
        time::LocalDate,
        transaction::{TransactionFacts, TransactionStatus, TransactionSubtype},
    },
    infrastructure::providers::statement::{
        redaction::Redaction,
        values::{MAX_DESCRIPTION, MAX_NAME, MAX_REFERENCE, bytes, characters, tidy},
    },
};

/// How the rows of one file are read.
pub(super) struct Mapping<'a> {
    layout: &'a Layout,
    order: DateOrder,
    mark: DecimalMark,
    invert: bool,
    currency: Currency,
    /// Whether the headings of amounts name another one.
    is_headed_otherwise: bool,
    /// For debits and for credits that are written with both signs, whether they usually have a minus.
    mixed: [Option<bool>; 2],
    pub(super) accounts: Accounts,
    /// Columns that may hold the number of an account where others have a name.
    parties: Vec<usize>,
    identity: Identity,
    /// Whether charges come on top of amounts.
    pub(super) fees_on_top: bool,
}

/// A row with what the account held after it.
pub(super) struct Row {
    pub(super) transaction: ReportedTransaction,
    pub(super) balance: Option<Amount>,
    /// The place of its account among those of the file.
    pub(super) account: usize,
}

impl<'a> Mapping<'a> {
    pub(super) fn new(layout: &'a Layout, evidence: &Evidence, format: (DateOrder, DecimalMark, bool), currency: Currency, is_told: bool) -> Self {
        let (order, mark, invert) = format;
        let (accounts, identity) = (Accounts::of(layout, evidence.accounts()), Identity::of(layout, is_told));
        let is_headed_otherwise = layout.amount_headings().any(|heading| currencies::contradicts(currencies::in_heading(heading), &currency));
        let is_party = |name: &Option<String>| name.as_deref().is_some_and(names_a_party);
        let parties = layout.columns.iter().enumerate().filter(|(_, column)| is_party(&column.name)).map(|(at, _)| at).collect();
        Self { layout, order, mark, invert, currency, parties, is_headed_otherwise, mixed: evidence.mixed(), accounts, identity, fees_on_top: false }
    }

    /// The error says why the row cannot be taken.
    pub(super) fn row(&self, cells: &[String], line: u64) -> Result<Row, String> {
        let row_status = self.one(cells, ColumnRole::Status).map_or(TransactionStatus::Posted, status);
        // What is not booked has the day it was made.
        let made_on = || self.one(cells, ColumnRole::AuthorizedOn).filter(|_| row_status != TransactionStatus::Posted);
        let date = self.one(cells, ColumnRole::PostedOn).or_else(made_on).ok_or("the row has no date")?;
        let posted_on = self.day(date).ok_or("the row's date is not a day of the calendar in the order that the file's dates are in")?;
        if self.is_in_another_currency(cells) {
            return Err("the row is in another currency than the account".to_owned());
        }
        let amount = self.signed(cells).map_err(|reason| format!("the row's amount cannot be taken: {reason}"))?;
        let fees = self.fees(cells).map_err(|reason| format!("the row's charges cannot be taken: {reason}"))?;
        let on_top = fees.filter(|_| self.fees_on_top).unwrap_or(Amount::ZERO);
        let amount = amount.checked_add(on_top.negated()).ok_or("the row's amount with its charges is out of range")?;
        let account = self.accounts.place(cells)?;
        let numbers: Vec<Redaction> = self.numbers(cells).collect();
        let shown = |text: &str, most| self.shown(text, most, &numbers);
        let payer = self.one(cells, ColumnRole::Payer).filter(|_| !amount.is_negative());
        let merchant = payer.or_else(|| self.one(cells, ColumnRole::Merchant)).map(|text| shown(text, MAX_NAME)).filter(|name| !name.is_empty());
        let described = shown(&self.described(cells), MAX_DESCRIPTION);
        let facts = TransactionFacts {
            amount,
            subtype: TransactionSubtype::Unknown,
            status: row_status,
            posted_on,
            authorized_on: self.one(cells, ColumnRole::AuthorizedOn).and_then(|text| self.day(text)),
            occurred_at: None,
            description: if described.is_empty() { merchant.clone().unwrap_or_default() } else { described },
            merchant_name: merchant,
            category: self.one(cells, ColumnRole::Category).map(|text| shown(text, MAX_NAME)).filter(|name| !name.is_empty()),
            security: None,
            quantity: None,
            unit_price: None,
            fees,
        };
        let balance = self.one(cells, ColumnRole::Balance).and_then(|text| self.amount(text).ok());
        let id = self.one(cells, ColumnRole::Reference).and_then(|id| reference(&self.accounts.without_numbers(id)));
        let reference = Some(id.unwrap_or_else(|| self.identity.reference(cells, |word| status(word).as_str())));
        Ok(Row { transaction: ReportedTransaction { reference, replaces: Vec::new(), facts, line: Some(line) }, balance, account })
    }

    /// Whether a row is none but a balance, and then whether it is the one after the rows.
    pub(super) fn is_closing_balance(&self, cells: &[String]) -> Option<bool> {
        let of = |roles: &[ColumnRole]| roles.iter().flat_map(|role| self.layout.places(*role)).filter_map(|at| cells.get(at)).map(String::as_str).collect();
        let said: Vec<&str> = of(&[ColumnRole::Description, ColumnRole::Merchant]);
        if said.iter().any(|cell| !cell.trim().is_empty()) {
            return balances::is_closing(said);
        }
        let beside: Vec<&str> = of(&[ColumnRole::Ignored, ColumnRole::Category, ColumnRole::Status, ColumnRole::Direction, ColumnRole::Currency]);
        beside.into_iter().find_map(|cell| balances::is_closing([cell]))
    }

    /// What a row says that an account held on a day, and which of them.
    pub(super) fn balance(&self, cells: &[String]) -> Option<(usize, (Amount, LocalDate))> {
        let beside = self.one(cells, ColumnRole::Balance).and_then(|text| self.amount(text).ok());
        let balance = beside.or_else(|| self.signed(cells).ok())?;
        Some((self.accounts.place(cells).ok()?, (balance, self.day(self.one(cells, ColumnRole::PostedOn)?)?)))
    }

    /// Whether a row says that it is in another currency: in a column of its own, else in the heading of its amount; or beside a number.
    fn is_in_another_currency(&self, cells: &[String]) -> bool {
        let said = self.one(cells, ColumnRole::Currency);
        let differs = said.map_or(self.is_headed_otherwise, |code| !code.eq_ignore_ascii_case(self.currency.code()));
        let numbers = [ColumnRole::Amount, ColumnRole::Debit, ColumnRole::Credit, ColumnRole::Fee].into_iter().flat_map(|role| self.layout.places(role));
        differs || numbers.filter_map(|at| cells.get(at)).any(|cell| currencies::contradicts(cell, &self.currency))
    }

    /// The first cell of a role that is not empty.
    fn one<'c>(&self, cells: &'c [String], role: ColumnRole) -> Option<&'c str> {
        self.layout.places(role).into_iter().find_map(|at| cells.get(at)).map(|cell| cell.trim()).filter(|cell| !cell.is_empty())
    }

    fn day(&self, text: &str) -> Option<LocalDate> {
        day(text, self.order)
    }

    fn amount(&self, text: &str) -> Result<Amount, String> {
        let read = number(text, self.mark).ok_or_else(|| {
            let letters = "letters stand beside it that are neither a currency nor tell a debit from a credit";
            if has_unknown_letters(text) { letters } else { "it is no number" }.to_owned()
        });
        Amount::parse(&read?, &self.currency).map_err(|reason| reason.to_string())
    }

    /// What was charged, as a positive amount whatever its sign, all columns of charges together.
    fn fees(&self, cells: &[String]) -> Result<Option<Amount>, String> {
        let mut sum = Amount::ZERO;
        for text in self.layout.places(ColumnRole::Fee).into_iter().filter_map(|at| cells.get(at)).map(|cell| cell.trim()) {
            if text.bytes().any(|byte| byte.is_ascii_digit()) {
                sum = sum.checked_add(self.amount(text)?.abs()).ok_or("they are out of range")?;
            }
        }
        Ok(Some(sum).filter(|sum| *sum != Amount::ZERO))
    }

    /// Numbers of accounts that stand where parties are named.
    fn numbers(&self, cells: &[String]) -> impl Iterator<Item = Redaction> {
        self.parties.iter().filter_map(|at| cells.get(*at)).map(|cell| cell.trim()).filter(|cell| is_full_number(cell)).map(Redaction::of)
    }

    /// Text on one line without the numbers of cards, of the file's accounts, and of those that a row is between.
    fn shown(&self, text: &str, most: usize, numbers: &[Redaction]) -> String {
        let text = numbers.iter().fold(self.accounts.without_numbers(&tidy(text)), |text, number| number.own_number(&text));
        characters(&card_number::cut(&text), most).to_owned()
    }

    /// One column with a sign, or without and another that says which way; or one column for each way.
    fn signed(&self, cells: &[String]) -> Result<Amount, String> {
        let read = |text: &str| self.amount(text);
        let turned = |amount: Amount| if self.invert { amount.negated() } else { amount };
        if !self.layout.places(ColumnRole::Amount).is_empty() {
            let text = self.one(cells, ColumnRole::Amount).ok_or("it is missing")?;
            let amount = read(text)?;
            if self.layout.places(ColumnRole::Direction).is_empty() {
                // A mark says which way it went, whatever the others' sign means.
                return Ok(if is_marked_outgoing(text).is_some() { amount } else { turned(amount) });
            }
            let outgoing = self.one(cells, ColumnRole::Direction).and_then(is_outgoing).ok_or("it is not said which way it went")?;
            return Ok(turned(if outgoing { amount.abs().negated() } else { amount.abs() }));
        }
        // Zeros stand where nothing moved.
        let half = |role| self.one(cells, role).map(read).transpose();
        let (debit, credit) = (half(ColumnRole::Debit)?, half(ColumnRole::Credit)?);
        let moved = |amount: &Amount| *amount != Amount::ZERO;
        let amount = match (debit.filter(moved), credit.filter(moved)) {
            (Some(_), Some(_)) => Err("it is both a debit and a credit".to_owned()),
            (Some(debit), None) => Ok(unsigned(debit, self.mixed[0]).negated()),
            (None, Some(credit)) => Ok(unsigned(credit, self.mixed[1])),
            (None, None) => debit.or(credit).ok_or_else(|| "it is missing".to_owned()),
        };
        amount.map(turned)
    }

    /// Every column that describes the row, each as far as it adds something.
    fn described(&self, cells: &[String]) -> String {
        let mut said: Vec<String> = Vec::new();
        for text in self.layout.places(ColumnRole::Description).into_iter().filter_map(|at| cells.get(at)).map(|cell| tidy(cell)) {
            if !text.is_empty() && !said.contains(&text) {
                said.push(text);
            }
        }
        said.join(" · ")
    }
}

/// What a column of debits or of credits holds, positive for what it is a column of: a number has either sign, or one where both come.
fn unsigned(amount: Amount, has_minus: Option<bool>) -> Amount {
    match has_minus {
        Some(true) => amount.negated(),
        Some(false) => amount,
        None => amount.abs(),
    }
}

/// The bank's id, unless it says nothing or is the number of a card.
fn reference(text: &str) -> Option<String> {
    let written = tidy(text);
    let says_nothing = written.bytes().all(|byte| matches!(byte, b'0' | b'-'));
    (!says_nothing && card_number::cut(&written) == written).then(|| bytes(&written, MAX_REFERENCE).to_owned())
}

/// How words begin that say a row is not booked yet.
const PENDING: &str = "pend|vorlaufig|ausstehend|offen|in bearbeitung|en attente|en cours|in attesa|in sospeso|non contabilizzat|reserver|\
    gereserveerd|venter|odottaa|oczekuj|hold|on hold|held|processing|in process|in progress|scheduled|not booked|not posted|unposted|uncleared";

/// How words begin that say a row was refused.
const FAILED: &str = "fail|declin|reject|denied|abgelehnt|refus|rechaz";

/// How words begin that say a row was taken back.
const CANCELLED: &str = "cancel|revert|revers|returned|void|storniert|zuruckgebucht|ruckgangig|annul";

/// What banks call rows that are not booked. Any other word is of a booked one.
fn status(word: &str) -> TransactionStatus {
    let word = plain(word);
    let begins = |words: &str| words.split('|').any(|beginning| word.starts_with(beginning));
    let says = |words: &[&str]| words.iter().any(|part| word.contains(part));
    if says(&["pending", "vorgemerkt", "nicht gebucht", "authoris", "authoriz"]) || begins(PENDING) {
        TransactionStatus::Pending
    } else if begins(FAILED) {
        TransactionStatus::Failed
    } else if begins(CANCELLED) {
        TransactionStatus::Cancelled
    } else {
        TransactionStatus::Posted
    }
}
