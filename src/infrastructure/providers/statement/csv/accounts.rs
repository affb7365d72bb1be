//! The accounts that the rows of one file are of: one of the name it is given, or several that a column tells apart.

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

/// Which account each row is of.
pub(super) struct Accounts {
    column: Option<usize>,
    /// What the accounts go by in that column; none when there is one account.
    keys: Vec<String>,
    redactions: Vec<Redaction>,
}

impl Accounts {
    pub(super) fn of(layout: &Layout, keys: &[String]) -> Self {
        let column = layout.places(ColumnRole::Account).first().copied().filter(|_| !keys.is_empty());
        let redactions = keys.iter().filter(|key| is_number(key)).map(|key| Redaction::of(key)).collect();
        Self { column, keys: if column.is_some() { keys.to_vec() } else { Vec::new() }, redactions }
    }

    /// The place of a row's account among those of the file.
    pub(super) fn place(&self, cells: &[String]) -> Result<usize, &'static str> {
        let Some(column) = self.column else { return Ok(0) };
        let key = cells.get(column).map(|cell| account_key(cell)).unwrap_or_default();
        self.keys.iter().position(|known| *known == key).ok_or("the row does not say which account it is of")
    }

    /// Text without the numbers of these accounts.
    pub(super) fn without_numbers(&self, text: &str) -> String {
        self.redactions.iter().fold(text.to_owned(), |text, redaction| redaction.own_number(&text))
    }

    /// The accounts. One is known by the name it was given, since the file gives it no number; each of several by that name and the end of its
    /// number, as if they had been named so.
    pub(super) fn reported(&self, named: Option<&NamedAccount>, currency: &Currency) -> Vec<ReportedAccount> {
        let name = named.map(|named| tidy(&named.name)).unwrap_or_default();
        let kind = named.map_or(AccountType::Other, |named| named.kind);
        let account = |name: String, reference: String, masked_number| ReportedAccount {
            reference: AccountReference::new(format!("csv:{reference}")),
            institution: None,
            name: characters(&name, MAX_NAME).to_owned(),
            kind,
            masked_number,
            currency: currency.clone(),
            balances: Balances::default(),
            is_active: true,
            holdings: None,
            unread_holdings: Vec::new(),
        };
        if self.keys.is_empty() {
            let reference = name.to_lowercase();
            return vec![account(name, reference, None)];
        }
        let labels: Vec<_> = self.keys.iter().map(|key| label(key)).collect();
        let several = |label: &str| labels.iter().filter(|(other, _)| other == label).count() > 1;
        let each = self.keys.iter().zip(&labels).map(|(key, (label, mask))| {
            let name = tidy(&format!("{name} {label}"));
            let reference = if several(label) { format!("{}:{key}", name.to_lowercase()) } else { name.to_lowercase() };
            account(name, reference, mask.clone())
        });
        each.collect()
    }
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
