//! Redaction: account and card numbers leave every text before anything else sees it.

use crate::domain::{account::MaskedNumber, card_number};

/// Numbers shorter than this are not told apart from ordinary words and numbers.
const SHORTEST_NUMBER: usize = 5;

/// A word of a number that is this long is a number by itself: some banks write `branch account`, and the account alone in rows.
const SHORTEST_PART: usize = 8;

/// Knows one account's number, and hides it wherever it is written.
pub(super) struct Redaction {
    /// The number and its long parts, each with what stands in its place.
    numbers: Vec<(Vec<char>, String)>,
}

impl Redaction {
    /// For an account of this number. Punctuation and leading zeros do not count, since texts leave them out.
    pub(super) fn of(number: &str) -> Self {
        let parts = number.split_whitespace().map(|part| (part, SHORTEST_PART));
        let numbers = std::iter::once((number, SHORTEST_NUMBER)).chain(parts).filter_map(|(number, shortest)| {
            let letters = number.chars().filter(char::is_ascii_alphanumeric).map(|char| char.to_ascii_uppercase());
            let letters: Vec<char> = letters.skip_while(|char| *char == '0').collect();
            let mask = MaskedNumber::cut(number)?.as_str().to_owned();
            (letters.len() >= shortest).then_some((letters, mask))
        });
        Self { numbers: numbers.collect() }
    }

    /// Cuts the account's number, and whatever else looks like a card's number, to the last four.
    pub(super) fn text(&self, text: &str) -> String {
        card_number::cut(&self.own_number(text))
    }

    /// Cuts the account's number only, single separators inside it allowed. What stands around it stays, so that references which
    /// contain the number still differ from one another.
    pub(super) fn own_number(&self, text: &str) -> String {
        self.numbers.iter().fold(text.to_owned(), |text, (number, mask)| replaced(&text, number, mask))
    }
}

/// `text` with `mask` wherever `number` is spelled.
fn replaced(text: &str, number: &[char], mask: &str) -> String {
    let places: Vec<(usize, usize, char)> = text
        .char_indices()
        .enumerate()
        .filter(|(_, (_, char))| char.is_ascii_alphanumeric())
        .map(|(nth, (at, char))| (nth, at, char.to_ascii_uppercase()))
        .collect();
    let mut redacted = String::with_capacity(text.len());
    let mut copied = 0;
    for window in places.windows(number.len()) {
        let (first, last) = (window[0].1, window[window.len() - 1].1);
        let spelled = || window.iter().zip(number).all(|(place, char)| place.2 == *char);
        let together = || window.windows(2).all(|pair| pair[1].0 - pair[0].0 <= 2);
        if first >= copied && spelled() && together() {
            redacted.push_str(&text[copied..first]);
            redacted.push_str(mask);
            copied = last + 1;
        }
    }
    redacted.push_str(&text[copied..]);
    redacted
}
