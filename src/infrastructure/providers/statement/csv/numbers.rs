//! Numbers as people write them, and which mark stands before their decimals. Nothing is rounded and nothing is computed: a formula is text.

use super::{
    currencies::{is_of_money, is_sign},
    names::is_outgoing_mark,
};
use crate::domain::csv::DecimalMark;

/// A number's sign and digits, with its separators as they stand: `.`, `,`, and `_` for spaces and apostrophes.
struct Written {
    negative: bool,
    digits: String,
    /// Whether letters beside it say that it left (`true`) or came in.
    is_outgoing: Option<bool>,
}

/// The number as digits with a sign and at most one point; `None` for what is none under this mark. Currency signs and codes around it,
/// brackets, a minus behind it, and letters before or behind it that say which way it went (`DR`, `S`) are understood; others make it none.
pub(super) fn number(text: &str, mark: DecimalMark) -> Option<String> {
    let Written { negative, digits, .. } = written(text)?;
    let plain = with_point(&digits, mark)?;
    Some(if negative { format!("-{plain}") } else { plain })
}

/// Whether any mark makes a number of it.
pub(super) fn is_number(text: &str) -> bool {
    DecimalMark::ALL.iter().any(|mark| number(text, *mark).is_some())
}

/// Whether it is a number to whoever knows nothing of its column: with no letters beside it but a currency's code.
pub(super) fn is_bare_number(text: &str) -> bool {
    let letters: Vec<char> = text.chars().filter(|char| char.is_alphabetic()).collect();
    is_number(text) && (letters.is_empty() || (letters.len() == 3 && letters.iter().all(char::is_ascii_uppercase)) || is_marked_outgoing(text).is_some())
}

/// Whether letters beside the number say that it left (`true`) or came in; `None` for a number without such letters, and for what is none.
pub(super) fn is_marked_outgoing(text: &str) -> Option<bool> {
    written(text)?.is_outgoing
}

/// Whether it would be a number without its letters.
pub(super) fn has_unknown_letters(text: &str) -> bool {
    let bare: String = text.chars().filter(|char| !char.is_alphabetic()).collect();
    bare.len() < text.len() && !is_number(text) && is_number(&bare)
}

fn written(text: &str) -> Option<Written> {
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    let (first, last) = (beginning(text)?, text.rfind(|char: char| char.is_ascii_digit())?);
    let (before, core, after) = (text.get(..first)?, text.get(first..=last)?, &text[last + 1..]);
    let around = || before.chars().chain(after.chars());
    if !around().all(|char| char.is_alphabetic() || char.is_whitespace() || is_sign(char) || is_minus(char) || matches!(char, '.' | '+' | '(' | ')')) {
        return None;
    }
    let bracketed = before.contains('(') && after.contains(')');
    let minuses = around().filter(|char| is_minus(*char)).count();
    let is_halved = before.contains('(') != after.contains(')') || before.contains(')') || after.contains('(');
    if is_halved || minuses > 1 || (bracketed && minuses > 0) {
        return None;
    }
    let is_outgoing = said_beside(before, after).ok()?;
    let digits: Option<String> = core.chars().map(digit_or_separator).collect();
    Some(Written { negative: bracketed || minuses == 1 || is_outgoing == Some(true), digits: digits?, is_outgoing })
}

/// A number begins with a digit, or with the mark before its decimals. A point behind letters ends a word: `Fr. 5`.
fn beginning(text: &str) -> Option<usize> {
    let digit = text.find(|char: char| char.is_ascii_digit())?;
    let Some(before) = text[..digit].strip_suffix(['.', ',']) else { return Some(digit) };
    Some(if before.ends_with(char::is_alphabetic) { digit } else { before.len() })
}

/// Letters beside a number that say nothing that is known, or two things at once.
struct UnknownLetters;

/// Which way the letters beside a number say that it went, if they say that.
fn said_beside(before: &str, after: &str) -> Result<Option<bool>, UnknownLetters> {
    let mut said = None;
    for side in [before, after] {
        for word in side.split(|char: char| !char.is_alphabetic()).filter(|word| !word.is_empty()) {
            // `C$` is a currency and no credit.
            if side.contains(&format!("{word}$")) || is_of_money(word) {
                continue;
            }
            let is_outgoing = is_outgoing_mark(word).ok_or(UnknownLetters)?;
            if said.is_some_and(|said| said != is_outgoing) {
                return Err(UnknownLetters);
            }
            said = Some(is_outgoing);
        }
    }
    Ok(said)
}

fn digit_or_separator(char: char) -> Option<char> {
    match char {
        '0'..='9' | '.' | ',' => Some(char),
        ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}' | '\'' | '\u{2019}' => Some('_'),
        _ => None,
    }
}

fn is_minus(char: char) -> bool {
    matches!(char, '-' | '\u{2212}' | '\u{2013}')
}

/// The digits with a point, or without when there are no decimals. Separators of thousands stand where they should: three digits behind
/// each, or two before the last three as in India.
fn with_point(digits: &str, mark: DecimalMark) -> Option<String> {
    let (point, group) = match mark {
        DecimalMark::Point => ('.', ','),
        DecimalMark::Comma => (',', '.'),
    };
    let (whole, fraction) = digits.split_once(point).map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    if fraction.is_some_and(|fraction| fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let separator = whole.chars().find(|char| !char.is_ascii_digit());
    if separator.is_some_and(|separator| separator != group && separator != '_') {
        return None;
    }
    let groups: Vec<&str> = separator.map_or_else(|| vec![whole], |separator| whole.split(separator).collect());
    let are_digits = groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_digit()));
    let stand_right = match groups.as_slice() {
        [only] => !only.is_empty() || fraction.is_some(),
        [first, middle @ .., last] => {
            matches!(first.len(), 1..=3)
                && last.len() == 3
                && (middle.iter().all(|group| group.len() == 3) || (first.len() <= 2 && middle.iter().all(|group| group.len() == 2)))
        }
        [] => false,
    };
    if !are_digits || !stand_right {
        return None;
    }
    let whole = groups.concat();
    Some(fraction.map_or(whole.clone(), |fraction| format!("{whole}.{fraction}")))
}

/// What columns of numbers tell of their mark.
#[derive(Debug, Default)]
pub(super) struct NumberEvidence {
    point: u64,
    comma: u64,
    /// Whether any number is another under the other mark.
    differ: bool,
}

impl NumberEvidence {
    /// One more number.
    pub(super) fn see(&mut self, text: &str) {
        let [point, comma] = [DecimalMark::Point, DecimalMark::Comma].map(|mark| number(text, mark));
        self.point += u64::from(point.is_some());
        self.comma += u64::from(comma.is_some());
        self.differ |= point.is_some() && comma.is_some() && point != comma;
    }

    /// The mark that most numbers fit; `None` when both fit as well and would tell other numbers.
    pub(super) fn mark(&self) -> Option<DecimalMark> {
        match self.point.cmp(&self.comma) {
            std::cmp::Ordering::Less => Some(DecimalMark::Comma),
            std::cmp::Ordering::Equal if self.differ => None,
            std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => Some(DecimalMark::Point),
        }
    }
}
