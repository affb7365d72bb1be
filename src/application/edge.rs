//! The edge where a provider's words come in: numbers are cut out of everything an adapter reported, whichever adapter it was, and then what is
//! too long. The other way round half a number would be left. NUL goes as well: no text has it, and PostgreSQL stores none that does.

use crate::domain::{
    card_number,
    id::UserId,
    provider::{ReportedAccount, ReportedTransaction},
};

use super::{
    payload::redaction::{Names, Numbers, shown},
    ports::Sealer,
};

/// The most characters that are kept of a text.
const LONGEST_TEXT: usize = 1_000;

/// The most that are looked at: however many numbers stand in them, more than are kept are left.
const LOOKED_AT: usize = 8 * LONGEST_TEXT;

const NUL: char = '\0';

/// What comes in for one user from one provider.
pub struct Edge<'a> {
    names: Names<'a>,
    /// Numbers of accounts that the provider told.
    numbers: Numbers,
}

impl<'a> Edge<'a> {
    /// Of that user and provider. `sealer` names numbers that something goes by; `numbers` are those of accounts that the provider told, longest first.
    pub fn new(sealer: &'a dyn Sealer, user: UserId, provider: &'a str, numbers: &[String]) -> Self {
        Self { names: Names { sealer, user, provider }, numbers: Numbers::of(numbers.to_vec()) }
    }

    /// A text without numbers of cards, and of the accounts it may be about.
    fn cut(&self, text: &mut String) {
        let looked_at: String = text.chars().filter(|char| *char != NUL).take(LOOKED_AT).collect();
        *text = card_number::cut(&self.numbers.cut(&shown(&looked_at))).chars().take(LONGEST_TEXT).collect();
    }

    /// Cuts a row. One whose id holds a number goes by a name of it instead; what was stored under the id, or under a name that an older key gave it,
    /// is still found by that.
    pub fn cut_row(&self, row: &mut ReportedTransaction) {
        row.reference.iter_mut().chain(&mut row.replaces).for_each(|id| id.retain(|char| char != NUL));
        let ever = |id: &String| self.names.ever_of_id(id, &self.numbers);
        let mut before: Vec<String> = row.replaces.iter().flat_map(ever).collect();
        if let Some(id) = row.reference.as_mut() {
            let mut ever = ever(id).into_iter();
            if let Some(name) = ever.next() {
                before.extend(ever);
                before.push(std::mem::replace(id, name));
            }
        }
        row.replaces.extend(before);
        let facts = &mut row.facts;
        self.cut(&mut facts.description);
        facts.merchant_name.iter_mut().for_each(|text| self.cut(text));
        facts.category.iter_mut().for_each(|text| self.cut(text));
        if let Some(security) = &mut facts.security {
            self.cut(&mut security.symbol);
            security.name.iter_mut().for_each(|text| self.cut(text));
        }
    }

    /// Every name that something with this id is or was stored under.
    pub fn ever_called(&self, id: &str) -> Vec<String> {
        let mut names = self.names.ever_of_id(id, &self.numbers);
        names.push(id.to_owned());
        names
    }

    /// Cuts an account. What it is recognised by is never stored, and stays.
    pub fn cut_account(&self, mut account: ReportedAccount) -> ReportedAccount {
        self.cut(&mut account.name);
        account.institution.iter_mut().for_each(|text| self.cut(text));
        for held in account.holdings.iter_mut().flatten() {
            if let Some(reference) = &mut held.reference {
                reference.retain(|char| char != NUL);
                *reference = self.names.id(reference, &self.numbers);
            }
            self.cut(&mut held.security.symbol);
            held.security.name.iter_mut().for_each(|text| self.cut(text));
            held.cusip.iter_mut().for_each(|text| self.cut(text));
            held.isin.iter_mut().for_each(|text| self.cut(text));
        }
        account.unread_holdings.iter_mut().for_each(|name| self.cut(name));
        account
    }
}
