//! Redaction: account and card numbers leave every text before anything else sees it.

use crate::domain::{account_number::AccountNumber, card_number};

/// Knows one account's number, and hides it wherever it is written.
pub(super) struct Redaction(AccountNumber);

impl Redaction {
    /// For an account of this number.
    pub(super) fn of(number: &str) -> Self {
        Self(AccountNumber::new(number))
    }

    /// Cuts the account's number, and whatever else looks like a card's number, to the last four.
    pub(super) fn text(&self, text: &str) -> String {
        card_number::cut(&self.own_number(text))
    }

    /// Cuts the account's number only.
    pub(super) fn own_number(&self, text: &str) -> String {
        self.0.cut(text)
    }
}
