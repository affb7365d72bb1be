//! Numbers of payment cards: recognised in any text, and cut to their last four before anything is stored.

/// Digits a payment card's number has (ISO/IEC 7812-1).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Cuts every run of 13 to 19 digits that passes Luhn to its last four. Single spaces and hyphens may group the digits; a run is
/// looked for between any two group edges, so that a date in front of a card number does not hide it.
pub fn cut(text: &str) -> String {
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
