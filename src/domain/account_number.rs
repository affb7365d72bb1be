//! Numbers of accounts: found in any text however they are grouped, and cut to their end.

use super::account::MaskedNumber;

/// Numbers shorter than this are not told apart from ordinary words and numbers.
const SHORTEST_NUMBER: usize = 5;

/// A word of a number that is this long is a number by itself: some banks write `branch account`, and the account alone in rows.
const SHORTEST_PART: usize = 8;

/// Knows one account's number, and hides it wherever it is written.
pub struct AccountNumber {
    /// The number and its long parts, each with what stands in its place.
    spellings: Vec<(Vec<char>, String)>,
}

impl AccountNumber {
    /// Of an account. Punctuation and leading zeros do not count, since texts leave them out.
    pub fn new(number: &str) -> Self {
        let parts = number.split_whitespace().map(|part| (part, SHORTEST_PART));
        let spellings = std::iter::once((number, SHORTEST_NUMBER)).chain(parts).filter_map(|(number, shortest)| {
            let letters = number.chars().filter(char::is_ascii_alphanumeric).map(|char| char.to_ascii_uppercase());
            let letters: Vec<char> = letters.skip_while(|char| *char == '0').collect();
            let mask = MaskedNumber::cut(number)?.as_str().to_owned();
            (letters.len() >= shortest).then_some((letters, mask))
        });
        Self { spellings: spellings.collect() }
    }

    /// A text without it: cut to its end, single separators inside it allowed. What stands around it stays, so that references which contain the
    /// number still differ from one another.
    pub fn cut(&self, text: &str) -> String {
        self.spellings.iter().fold(text.to_owned(), |text, (number, mask)| replaced(&text, number, mask))
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
