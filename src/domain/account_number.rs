//! Numbers of accounts: found in any text however they are grouped, and cut to their end. One's own are known; an IBAN (ISO 13616) says itself
//! that it is one.

use super::account::MaskedNumber;

/// Numbers shorter than this are not told apart from ordinary words and numbers.
const SHORTEST_NUMBER: usize = 5;

/// A word of a number that is this long is a number by itself: some banks write `branch account`, and the account alone in rows.
const SHORTEST_PART: usize = 8;

/// How long IBANs are.
const IBAN_LENGTHS: std::ops::RangeInclusive<usize> = 15..=34;

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
            let letters: Vec<char> = letters.collect();
            let zeros = letters.iter().take_while(|char| **char == '0').count();
            // What is left of a short number without its zeros would be found in amounts.
            let letters = if letters.len() - zeros >= shortest { letters[zeros..].to_vec() } else { letters };
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
    let mut redacted = String::with_capacity(text.len());
    let mut copied = 0;
    for (at, _) in text.char_indices() {
        if at >= copied
            && let Some(length) = spelled(&text[at..], number)
        {
            redacted.push_str(&text[copied..at]);
            redacted.push_str(mask);
            copied = at + length;
        }
    }
    redacted.push_str(&text[copied..]);
    redacted
}

/// How many bytes `number` takes at the beginning of a text, with no more than one sign between two of its own; `None` when it is not there.
fn spelled(text: &str, number: &[char]) -> Option<usize> {
    let mut wanted = number.iter();
    let mut next = wanted.next()?;
    let mut was_sign = true;
    for (at, char) in text.char_indices() {
        if char.is_ascii_alphanumeric() {
            if char.to_ascii_uppercase() != *next {
                return None;
            }
            was_sign = false;
            match wanted.next() {
                Some(following) => next = following,
                None => return Some(at + char.len_utf8()),
            }
        } else if was_sign {
            return None;
        } else {
            was_sign = true;
        }
    }
    None
}

/// A text whose IBANs are cut to their last four characters: words that begin with a country and two check digits and pass mod 97, also with single
/// blanks or marks inside.
pub fn cut_ibans(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let (mut copied, mut was_word) = (0, false);
    for (at, char) in text.char_indices() {
        if at >= copied
            && !was_word
            && let Some((length, mask)) = iban(&text[at..])
        {
            redacted.push_str(&text[copied..at]);
            redacted.push_str(mask.as_str());
            copied = at + length;
        }
        was_word = char.is_alphanumeric();
    }
    redacted.push_str(&text[copied..]);
    redacted
}

/// How many bytes the IBAN at the beginning of a text takes, and what stands in its place; the longest, if what follows belongs to one as well.
fn iban(text: &str) -> Option<(usize, MaskedNumber)> {
    let (mut signs, mut found, mut was_joint) = (String::new(), None, false);
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        if char.is_ascii_alphanumeric() && signs.len() < *IBAN_LENGTHS.end() {
            let fits = if signs.len() < 2 { char.is_ascii_alphabetic() } else { signs.len() >= 4 || char.is_ascii_digit() };
            if !fits {
                return None;
            }
            signs.push(char.to_ascii_uppercase());
            was_joint = false;
            let is_end = chars.peek().is_none_or(|(_, next)| !next.is_alphanumeric());
            if is_end && IBAN_LENGTHS.contains(&signs.len()) && passes_mod_97(&signs) {
                found = Some((at + char.len_utf8(), MaskedNumber::cut(&signs)?));
            }
        } else if char.is_alphanumeric() || was_joint || !matches!(char, ' ' | '-' | '_' | '.' | '\u{a0}') {
            break;
        } else {
            was_joint = true;
        }
    }
    found
}

/// ISO 7064: the first four behind the others, letters as 10 to 35, leave 1 of 97.
fn passes_mod_97(iban: &str) -> bool {
    let (country, account) = iban.split_at(4);
    let rest = account.chars().chain(country.chars()).filter_map(|sign| sign.to_digit(36));
    rest.fold(0, |rest, value| (rest * if value < 10 { 10 } else { 100 } + value) % 97) == 1
}
