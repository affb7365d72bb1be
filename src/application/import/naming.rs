//! What a file and its accounts are called, without the numbers in it.

use crate::domain::{
    account::MaskedNumber,
    account_number::{self, AccountNumber},
    card_number,
    import::Statement,
    provider::ReportedAccount,
};

/// Knows the numbers of a file's own accounts.
pub(super) struct Naming(Vec<AccountNumber>);

impl Naming {
    pub(super) fn of(statements: &[Statement]) -> Self {
        Self(statements.iter().flat_map(|statement| numbers(&statement.account)).map(AccountNumber::new).collect())
    }

    /// A text without the numbers of these accounts, of any bank account that says itself that it is one (an IBAN), and of cards.
    pub(super) fn shown(&self, text: &str) -> String {
        let without_own = self.0.iter().fold(text.to_owned(), |text, number| number.cut(&text));
        card_number::cut(&account_number::cut_ibans(&without_own))
    }

    /// The file's name without folders of either kind, control characters and numbers, at most 255 characters.
    pub(super) fn filename(&self, filename: &str) -> String {
        let last = filename.rsplit(['/', '\\']).next().unwrap_or_default();
        let visible: String = last.chars().filter(|letter| !letter.is_control()).collect();
        self.shown(&visible).chars().take(255).collect()
    }
}

/// The parts of what an account is recognised by that its masked number is the end of. What holds a masked number is a name.
fn numbers(account: &ReportedAccount) -> impl Iterator<Item = &str> {
    let is_number = |part: &&str| account.masked_number.is_some() && MaskedNumber::cut(part) == account.masked_number && !part.contains(MaskedNumber::MASK);
    account.reference.expose().split(':').filter(is_number)
}
