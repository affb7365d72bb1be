//! What all rows together tell of how their values are written.

use super::{
    currencies,
    dates::DateEvidence,
    detection::Layout,
    numbers::{NumberEvidence, is_marked_outgoing, number},
    records::{Record, Records},
    text::Text,
};
use crate::domain::csv::{ColumnRole, DateOrder, DecimalMark};

/// Accounts of one file. A column that tells more of them apart is of something else.
const MAX_ACCOUNTS: usize = 100;

/// What all rows together tell.
#[derive(Default)]
pub(super) struct Evidence {
    dates: DateEvidence,
    numbers: NumberEvidence,
    /// The one currency that rows or headings name, and whether they name several.
    currency: Option<String>,
    has_several: bool,
    /// How often columns of debits and of credits hold numbers without a minus, and with one.
    signs: [[u64; 2]; 2],
    /// Whether amounts are marked as money that left, and as money that came in; and whether others are positive, and negative.
    marked: [bool; 2],
    unmarked: [bool; 2],
    /// The accounts that rows name, in the order they come.
    accounts: Vec<String>,
}

impl Evidence {
    /// Goes through the whole file.
    pub(super) fn of(text: &Text, layout: &Layout) -> std::io::Result<Self> {
        let mut evidence = Self::default();
        let days = layout.places(ColumnRole::PostedOn);
        let amounts = [ColumnRole::Amount, ColumnRole::Debit, ColumnRole::Credit, ColumnRole::Balance].map(|role| layout.places(role)).concat();
        let (signed, accounts) = (layout.places(ColumnRole::Amount), layout.places(ColumnRole::Account));
        let (currency, halves) = (layout.places(ColumnRole::Currency), [ColumnRole::Debit, ColumnRole::Credit].map(|role| layout.places(role)));
        let moved = [signed.clone(), halves.concat()].concat();
        for record in Records::of(text.lines()?, layout.delimiter) {
            let Record::Row { line, cells } = record? else { continue };
            if line < layout.first_line {
                continue;
            }
            let at =
                |places: &[usize]| places.iter().filter_map(|at| cells.get(*at)).map(|cell| cell.trim()).filter(|cell| !cell.is_empty()).collect::<Vec<_>>();
            for cell in at(&days) {
                evidence.dates.see(cell);
            }
            for cell in at(&amounts) {
                evidence.numbers.see(cell);
            }
            for (half, places) in halves.iter().enumerate() {
                for cell in at(places).into_iter().filter(|cell| cell.bytes().any(|byte| matches!(byte, b'1'..=b'9'))) {
                    evidence.signs[half][usize::from(is_negative(cell))] += 1;
                }
            }
            for cell in at(&signed) {
                match is_marked_outgoing(cell) {
                    Some(is_outgoing) => evidence.marked[usize::from(!is_outgoing)] = true,
                    None => evidence.unmarked[usize::from(is_negative(cell))] = true,
                }
            }
            if let Some(account) = at(&accounts).first().filter(|cell| cell.len() <= 64).map(|cell| account_key(cell)) {
                let is_new = evidence.accounts.len() <= MAX_ACCOUNTS && !evidence.accounts.contains(&account);
                evidence.accounts.extend(is_new.then_some(account));
            }
            for cell in at(&currency).into_iter().filter(|cell| cell.len() <= 64) {
                evidence.see_currency(cell);
            }
            if currency.is_empty() {
                at(&moved).into_iter().filter_map(currencies::named).for_each(|currency| evidence.see_currency(currency.code()));
            }
        }
        if evidence.currency.is_none() {
            let named = layout.amount_headings().filter_map(|heading| currencies::named(currencies::in_heading(heading)));
            named.for_each(|currency| evidence.see_currency(currency.code()));
        }
        Ok(evidence)
    }

    fn see_currency(&mut self, code: &str) {
        match &self.currency {
            Some(known) => self.has_several |= !known.eq_ignore_ascii_case(code),
            None => self.currency = Some(code.to_ascii_uppercase()),
        }
    }

    /// The order of dates, if there is one.
    pub(super) fn order(&self) -> Option<DateOrder> {
        self.dates.order()
    }

    /// The mark of numbers, if there is one.
    pub(super) fn mark(&self) -> Option<DecimalMark> {
        self.numbers.mark()
    }

    /// The currency of every row that names one, else of the headings of amounts, if it is one.
    pub(super) fn currency(&self) -> Option<&str> {
        self.currency.as_deref().filter(|_| !self.has_several)
    }

    /// Whether amounts without a mark are what was spent, since only what came in is marked.
    pub(super) fn are_charges(&self) -> bool {
        self.marked == [false, true] && self.unmarked == [true, false]
    }

    /// What the accounts of the rows go by; nothing where they are too many to be accounts.
    pub(super) fn accounts(&self) -> &[String] {
        if self.accounts.len() <= MAX_ACCOUNTS { &self.accounts } else { &[] }
    }

    /// For debits and for credits that are written with both signs, whether most of them have a minus; the others are reversals.
    pub(super) fn mixed(&self) -> [Option<bool>; 2] {
        self.signs.map(|[positive, negative]| (positive > 0 && negative > 0).then_some(negative > positive))
    }
}

fn is_negative(cell: &str) -> bool {
    DecimalMark::ALL.iter().any(|mark| number(cell, *mark).is_some_and(|number| number.starts_with('-')))
}

/// What an account goes by, however its number is grouped.
pub(super) fn account_key(cell: &str) -> String {
    cell.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}
