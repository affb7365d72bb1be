//! What a file tells of the account's balance: in a column beside the rows, or in a row of its own above or below them.

use super::{
    mapping::Row,
    names::{plain, words_of_dates},
};
use crate::domain::{money::Amount, time::LocalDate, transaction::TransactionStatus};

/// What a balance before the first row is called, between bars.
const OPENING: &str = "opening balance|beginning balance|starting balance|start balance|previous balance|balance brought forward|brought forward|\
    balance forward|balance b f|anfangssaldo|anfangsbestand|saldovortrag|alter saldo|alter kontostand|eroffnungssaldo|startsaldo|solde initial|\
    solde anterieur|solde precedent|ancien solde|solde d ouverture|saldo anterior|saldo inicial|saldo de apertura|saldo iniziale|saldo precedente|\
    beginsaldo|vorig saldo|ingaende saldo|ingaende balans|inngaende saldo|primosaldo|alkusaldo|saldo poczatkowe|pocatecni zustatek|nyito egyenleg";

/// What a balance after the last row is called.
const CLOSING: &str = "closing balance|ending balance|end balance|final balance|balance carried forward|carried forward|balance c f|new balance|\
    current balance|endsaldo|endbestand|schlusssaldo|schlussaldo|abschlusssaldo|neuer saldo|neuer kontostand|aktueller kontostand|kontostand|\
    solde final|nouveau solde|solde de cloture|solde actuel|saldo final|saldo actual|saldo atual|saldo finale|eindsaldo|nieuw saldo|utgaende saldo|\
    utgaende balans|slutsaldo|ultimosaldo|loppusaldo|saldo koncowe|konecny zustatek|zaro egyenleg|saldo do dia|s a l d o";

/// Characters of such a cell.
const LONGEST: usize = 80;

/// Whether cells that describe a row say that it is a balance: `Some(true)` for the one after the rows. Every cell that says anything has to.
pub(super) fn is_closing<'a>(said: impl IntoIterator<Item = &'a str>) -> Option<bool> {
    let mut found = None;
    for cell in said.into_iter().map(str::trim).filter(|cell| !cell.is_empty()) {
        found = Some(named(cell)?);
    }
    found
}

fn named(cell: &str) -> Option<bool> {
    if cell.len() > LONGEST || !cell.starts_with(char::is_alphabetic) {
        return None;
    }
    let plain = plain(cell);
    // What may stand behind it is a day: `Ending balance as of 01/31/2026`.
    let is_called = |names: &str| {
        names.split('|').any(|name| plain.strip_prefix(name).is_some_and(|rest| rest.is_empty() || (rest.starts_with(' ') && words_of_dates(rest))))
    };
    if is_called(CLOSING) { Some(true) } else { is_called(OPENING).then_some(false) }
}

/// How often balances follow from one row to the next.
#[derive(Default)]
struct Follow {
    /// By the amount with its sign.
    signed: u64,
    /// By the amount with either sign.
    unsigned: u64,
}

impl Follow {
    fn see(&mut self, before: Amount, moved: Amount, after: Amount) {
        let follows = |by: Amount| before.checked_add(by) == Some(after);
        self.signed += u64::from(follows(moved));
        self.unsigned += u64::from(follows(moved) || follows(moved.negated()));
    }
}

/// What balances beside the rows say of the account. They are believed only as far as they follow from one row to the next.
#[derive(Default)]
pub(super) struct Running {
    first: Option<(Amount, LocalDate)>,
    last: Option<(Amount, Amount, LocalDate)>,
    /// For rows from old to new, and for rows that go back in time.
    onward: Follow,
    backward: Follow,
    pairs: u64,
    /// Pairs whose second row is of a later day, and of an earlier one.
    later: u64,
    earlier: u64,
    /// What a row of its own says that the account held in the end.
    closing: Option<(Amount, LocalDate)>,
}

impl Running {
    /// One more row of the file.
    pub(super) fn see(&mut self, row: &Row) {
        let facts = &row.transaction.facts;
        let Some(balance) = row.balance.filter(|_| facts.status == TransactionStatus::Posted) else { return };
        if let Some((before, moved, day)) = self.last {
            self.pairs += 1;
            self.onward.see(before, facts.amount, balance);
            self.backward.see(balance, moved, before);
            self.later += u64::from(facts.posted_on > day);
            self.earlier += u64::from(facts.posted_on < day);
        }
        self.first.get_or_insert((balance, facts.posted_on));
        self.last = Some((balance, facts.amount, facts.posted_on));
    }

    /// A row that says nothing but what the account held in the end.
    pub(super) fn close(&mut self, (balance, day): (Amount, LocalDate)) {
        if self.closing.is_none_or(|(_, known)| known <= day) {
            self.closing = Some((balance, day));
        }
    }

    /// The youngest balance that is told: by a row of its own, or beside the youngest row.
    pub(super) fn youngest(&self) -> Option<(Amount, LocalDate)> {
        let beside = self.beside();
        self.closing.filter(|(_, day)| beside.is_none_or(|(_, known)| known <= *day)).or(beside)
    }

    /// Whether balances follow by the amounts, but for their signs.
    pub(super) fn contradicts_signs(&self) -> bool {
        let (mut signed, mut unsigned) = (false, false);
        for follow in self.orders() {
            signed |= self.holds(follow.signed);
            unsigned |= self.holds(follow.unsigned);
        }
        self.pairs > 0 && unsigned && !signed
    }

    fn holds(&self, count: u64) -> bool {
        count * 10 >= self.pairs * 9
    }

    /// The orders that rows may be in by their days.
    fn orders(&self) -> impl Iterator<Item = &Follow> {
        [(&self.onward, self.later >= self.earlier), (&self.backward, self.earlier >= self.later)]
            .into_iter()
            .filter(|(_, may_be)| *may_be)
            .map(|(order, _)| order)
    }

    /// The balance beside the youngest row: the last one's where rows go from old to new, the first one's where they go back in time.
    fn beside(&self) -> Option<(Amount, LocalDate)> {
        let (last, first) = (self.last.map(|(balance, _, day)| (balance, day))?, self.first?);
        let holds = |follow: &Follow, may_be: bool| may_be && self.holds(follow.signed);
        match (holds(&self.onward, self.later >= self.earlier), holds(&self.backward, self.earlier >= self.later)) {
            _ if self.pairs == 0 => Some(last),
            (true, false) => Some(last),
            (false, true) => Some(first),
            _ => None,
        }
    }
}
