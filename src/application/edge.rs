//! The edge where a provider's words come in: card numbers are cut out of everything an adapter reported, whichever adapter it was.

use crate::domain::{
    account::MaskedNumber,
    card_number,
    id::UserId,
    provider::{ReportedAccount, ReportedTransaction},
};

use super::{
    payload::redaction::{Names, is_card, shown},
    ports::Sealer,
};

/// What comes in for one user from one provider.
pub struct Edge<'a> {
    /// Names numbers that something goes by.
    pub sealer: &'a dyn Sealer,
    /// Whose.
    pub user: UserId,
    /// From where.
    pub provider: &'a str,
    /// Numbers of accounts that the provider told, longest first.
    pub numbers: &'a [String],
}

impl Edge<'_> {
    /// A text without numbers of cards, and of the accounts it may be about.
    fn cut(&self, text: &mut String) {
        let mut without = shown(text);
        for number in self.numbers {
            if let Some(masked) = MaskedNumber::cut(number).filter(|_| without.contains(number.as_str())) {
                without = without.replace(number.as_str(), masked.as_str());
            }
        }
        *text = card_number::cut(&without);
    }

    /// Cuts a row. One that goes by a card's number goes by a name of it instead; what was stored under the number, or under a name that an older
    /// key gave it, is still found by that.
    pub fn cut_row(&self, row: &mut ReportedTransaction) {
        let names = Names { sealer: self.sealer, user: self.user, provider: self.provider };
        let ever = |number: &String| if is_card(number) { names.ever_of(number) } else { Vec::new() };
        let mut before: Vec<String> = row.replaces.iter().flat_map(ever).collect();
        if let Some(number) = row.reference.as_mut().filter(|reference| is_card(reference)) {
            let mut ever = names.ever_of(number).into_iter();
            if let Some(name) = ever.next() {
                before.extend(ever);
                before.push(std::mem::replace(number, name));
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

    /// Cuts an account. What it is recognised by is never stored, and stays.
    pub fn cut_account(&self, mut account: ReportedAccount) -> ReportedAccount {
        let names = Names { sealer: self.sealer, user: self.user, provider: self.provider };
        self.cut(&mut account.name);
        account.institution.iter_mut().for_each(|text| self.cut(text));
        for held in account.holdings.iter_mut().flatten() {
            if let Some(reference) = &mut held.reference {
                *reference = names.id(reference);
            }
            self.cut(&mut held.security.symbol);
            held.security.name.iter_mut().for_each(|text| self.cut(text));
            held.cusip.iter_mut().for_each(|text| self.cut(text));
            held.isin.iter_mut().for_each(|text| self.cut(text));
        }
        account
    }
}
