//! The accounts that the rows of one file are of: one of the name it is given, or several that a column tells apart.

use unicode_normalization::UnicodeNormalization as _;

use super::{detection::Layout, evidence::account_key};
use crate::{
    domain::{
        account::{AccountType, MaskedNumber},
        balance::Balances,
        csv::{ColumnRole, NamedAccount},
        money::Currency,
        provider::{AccountReference, ReportedAccount},
    },
    infrastructure::providers::statement::{
        redaction::Redaction,
        values::{MAX_NAME, characters, tidy},
    },
};

/// Characters of what tells two accounts of a file apart.
const MAX_LABEL: usize = 64;

/// Digits that make a number of an account, rather than its name.
const SHORTEST_NUMBER: usize = 4;

/// Digits of a number that is whole, be it without its branch.
const SHORTEST_FULL_NUMBER: usize = 8;

/// Letters and digits of an IBAN (ISO 13616).
const SHORTEST_IBAN: usize = 15;

/// Which account each row is of.
pub(super) struct Accounts {
    column: Option<usize>,
    /// What the accounts go by in that column; none when nothing tells.
    keys: Vec<String>,
    redactions: Vec<Redaction>,
}

/// An account that a table has rows of.
pub(super) struct Named {
    pub(super) account: ReportedAccount,
    /// What it is known by without all but the end of its key, where that is the end of no other's.
    pub(super) alike: Option<AccountReference>,
    /// What it may be known by from files that told nothing but its name.
    pub(super) formerly: Option<AccountReference>,
    /// What an account is known by that all accounts of the file may have come into, as one.
    pub(super) together: Option<AccountReference>,
}

impl Accounts {
    pub(super) fn of(layout: &Layout, keys: &[String]) -> Self {
        let column = layout.places(ColumnRole::Account).first().copied().filter(|_| !keys.is_empty());
        let redactions = keys.iter().filter(|key| is_number(key)).map(|key| Redaction::of(key)).collect();
        Self { column, keys: if column.is_some() { keys.to_vec() } else { Vec::new() }, redactions }
    }

    /// The place of a row's account among those of the file.
    pub(super) fn place(&self, cells: &[String]) -> Result<usize, &'static str> {
        let Some(column) = self.column.filter(|_| self.keys.len() > 1) else { return Ok(0) };
        let key = cells.get(column).map(|cell| account_key(cell)).unwrap_or_default();
        self.keys.iter().position(|known| *known == key).ok_or("the row does not say which account it is of")
    }

    /// Text without the numbers of these accounts.
    pub(super) fn without_numbers(&self, text: &str) -> String {
        self.redactions.iter().fold(text.to_owned(), |text, redaction| redaction.own_number(&text))
    }

    /// The accounts. Each is known by the name it was given and by what the column of accounts says, whatever others are in the same file; by
    /// the name alone where no column says anything.
    pub(super) fn reported(&self, named: Option<&NamedAccount>, currency: &Currency) -> Vec<Named> {
        let name = named.map(|named| tidy(&named.name)).unwrap_or_default();
        let kind = named.map_or(AccountType::Other, |named| named.kind);
        let account = |name: &str, reference, masked_number| ReportedAccount {
            reference,
            institution: None,
            name: characters(name, MAX_NAME).to_owned(),
            kind,
            masked_number,
            currency: currency.clone(),
            balances: Balances::default(),
            is_active: true,
            holdings: None,
            unread_holdings: Vec::new(),
        };
        let by_name = by(&name);
        if self.keys.is_empty() {
            return vec![Named { account: account(&name, by_name, None), alike: None, formerly: None, together: None }];
        }
        let labels: Vec<_> = self.keys.iter().map(|key| label(key)).collect();
        let is_alone = |label: &str| labels.iter().filter(|(other, _)| other == label).count() == 1;
        let each = self.keys.iter().zip(&labels).map(|(key, (label, mask))| {
            // Whoever gives an account the name it is shown by means that account.
            let called = if name.to_lowercase().ends_with(&label.to_lowercase()) { name.clone() } else { tidy(&format!("{name} {label}")) };
            let is_sole = self.keys.len() == 1;
            Named {
                account: account(if is_sole { &name } else { &called }, by(&format!("{called}:{key}")), mask.clone()),
                alike: Some(by(&called)).filter(|_| is_alone(label)),
                formerly: Some(by_name.clone()).filter(|_| is_sole),
                together: Some(by_name.clone()).filter(|_| !is_sole),
            }
        });
        each.collect()
    }
}

/// Whether a cell is nothing but the whole number of a card or an account: digits in any groups, or an IBAN.
pub(super) fn is_full_number(cell: &str) -> bool {
    let key = account_key(cell);
    let is_grouped = cell.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, ' ' | '-' | '.' | '\u{a0}'));
    let is_iban = key.len() >= SHORTEST_IBAN && key.chars().zip([false, false, true, true]).all(|(char, is_digit)| char.is_ascii_digit() == is_digit);
    is_grouped && key.len() >= SHORTEST_FULL_NUMBER && (is_iban || key.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A name however its letters are composed.
fn by(name: &str) -> AccountReference {
    AccountReference::new(format!("csv:{}", name.nfc().collect::<String>().to_lowercase()))
}

/// What an account is called beside the name of all: the end of its number, or the bank's word for it.
fn label(key: &str) -> (String, Option<MaskedNumber>) {
    match MaskedNumber::cut(key).filter(|_| is_number(key)) {
        Some(mask) => (mask.as_str().to_owned(), Some(mask)),
        None => (characters(&capitalised(key), MAX_LABEL).to_owned(), None),
    }
}

fn is_number(key: &str) -> bool {
    key.chars().filter(char::is_ascii_digit).count() >= SHORTEST_NUMBER
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_string() + &letters.as_str().to_lowercase()).unwrap_or_default()
}
