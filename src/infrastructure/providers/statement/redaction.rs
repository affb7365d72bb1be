//! Redaction: account and card numbers leave every text before anything else sees it.

use crate::domain::account::MaskedNumber;

/// Numbers shorter than this are not told apart from ordinary words and numbers.
const SHORTEST_NUMBER: usize = 5;

/// A word of a number that is this long is a number by itself: some banks write `branch account`, and the account alone in rows.
const SHORTEST_PART: usize = 8;

/// Digits a payment card's number has (ISO/IEC 7812-1).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

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
        cut_card_numbers(&self.own_number(text))
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

/// Cuts every run of 13 to 19 digits that passes Luhn to its last four. Single spaces and hyphens may group the digits; a run is
/// looked for between any two group edges, so that a date in front of a card number does not hide it.
fn cut_card_numbers(text: &str) -> String {
    let groups = digit_groups(text);
    let mut hidden = vec![false; groups.len()];
    for start in 0..groups.len() {
        let mut end = start;
        let mut digits = groups[start].len();
        while digits <= *CARD_DIGITS.end() {
            if CARD_DIGITS.contains(&digits) && passes_luhn(&text[groups[start].start..groups[end].end]) {
                hidden[start..=end].fill(true);
            }
            if !groups.get(end + 1).is_some_and(|next| joined(text, groups[end].end, next.start)) {
                break;
            }
            end += 1;
            digits += groups[end].len();
        }
    }

    let mut redacted = String::with_capacity(text.len());
    let mut copied = 0;
    for at in (0..groups.len()).filter(|at| hidden[*at]) {
        let continues = hidden.get(at + 1) == Some(&true) && joined(text, groups[at].end, groups[at + 1].start);
        let begins = at == 0 || !hidden[at - 1] || !joined(text, groups[at - 1].end, groups[at].start);
        if begins {
            redacted.push_str(&text[copied..groups[at].start]);
            copied = groups[at].start;
        }
        if !continues {
            let digits: Vec<char> = text[copied..groups[at].end].chars().filter(char::is_ascii_digit).collect();
            redacted.push_str("••••");
            redacted.extend(&digits[digits.len() - 4..]);
            copied = groups[at].end;
        }
    }
    redacted.push_str(&text[copied..]);
    redacted
}

/// Where the unbroken runs of digits are.
fn digit_groups(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, _) in text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        match groups.last_mut() {
            Some(group) if group.end == at => group.end += 1,
            _ => groups.push(at..at + 1),
        }
    }
    groups
}

/// Whether two groups stand one space or hyphen apart.
fn joined(text: &str, end: usize, start: usize) -> bool {
    matches!(&text.as_bytes()[end..start], [b' ' | b'-'])
}

/// The check digit of ISO/IEC 7812-1, annex B; separators are passed over.
fn passes_luhn(number: &str) -> bool {
    let digits = number.bytes().rev().filter(u8::is_ascii_digit).map(|byte| u32::from(byte - b'0'));
    let sum: u32 = digits.enumerate().map(|(nth, digit)| if nth % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }).sum();
    sum.is_multiple_of(10)
}
