//! Numbers of payment cards: recognised in any text, and cut to their last four before anything is stored.

/// Digits a payment card's number has (ISO/IEC 7812-1).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// How many characters may stand between two groups of one number.
const LONGEST_JOINT: usize = 3;

/// Cuts every run of 13 to 19 digits that passes Luhn to its last four. Single spaces and hyphens may group the digits in any way; other blanks and
/// marks only as they are grouped on cards, since dates and references are written with them. A run is looked for between any two group edges, so
/// that a date in front of a card number does not hide it. Digits count in every script that banks write.
pub fn cut(text: &str) -> String {
    let groups = digit_groups(text);
    let mut hidden = vec![false; groups.len()];
    for start in 0..groups.len() {
        let (mut digits, mut is_plain) = (0, true);
        for end in start..groups.len() {
            if end > start {
                match Joint::between(&groups[end - 1], &groups[end], text) {
                    Joint::None => break,
                    Joint::Plain => {}
                    Joint::Odd => is_plain = false,
                }
            }
            digits += groups[end].digits.len();
            if digits > *CARD_DIGITS.end() {
                break;
            }
            let run = &groups[start..=end];
            if CARD_DIGITS.contains(&digits) && (is_plain || is_grouped_as_on_cards(run)) && passes_luhn(run) {
                hidden[start..=end].fill(true);
            }
        }
    }

    let mut redacted = String::with_capacity(text.len());
    let (mut copied, mut at) = (0, 0);
    while at < groups.len() {
        let begin = at;
        if hidden[at] {
            while at + 1 < groups.len() && hidden[at + 1] && Joint::between(&groups[at], &groups[at + 1], text) != Joint::None {
                at += 1;
            }
            redacted.push_str(&text[copied..groups[begin].at.start]);
            let digits: Vec<u8> = groups[begin..=at].iter().flat_map(|group| group.digits.iter().copied()).collect();
            redacted.push_str("••••");
            redacted.extend(digits[digits.len() - 4..].iter().map(|digit| char::from(b'0' + digit)));
            copied = groups[at].at.end;
        }
        at += 1;
    }
    redacted.push_str(&text[copied..]);
    redacted
}

/// An unbroken run of digits.
struct Group {
    /// Where it stands, in bytes.
    at: std::ops::Range<usize>,
    digits: Vec<u8>,
}

fn digit_groups(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (at, char) in text.char_indices() {
        let Some(digit) = digit(char) else { continue };
        let end = at + char.len_utf8();
        match groups.last_mut() {
            Some(group) if group.at.end == at => {
                group.at.end = end;
                group.digits.push(digit);
            }
            _ => groups.push(Group { at: at..end, digits: vec![digit] }),
        }
    }
    groups
}

/// The value of a digit: ours, full-width ones, and those of Arabic, Persian and Hindi.
fn digit(char: char) -> Option<u8> {
    let zero = match char {
        '0'..='9' => '0',
        '\u{ff10}'..='\u{ff19}' => '\u{ff10}',
        '\u{660}'..='\u{669}' => '\u{660}',
        '\u{6f0}'..='\u{6f9}' => '\u{6f0}',
        '\u{966}'..='\u{96f}' => '\u{966}',
        _ => return None,
    };
    u8::try_from(u32::from(char) - u32::from(zero)).ok()
}

/// What stands between two groups.
#[derive(PartialEq, Eq)]
enum Joint {
    /// One space or hyphen.
    Plain,
    /// Another blank or mark, or some.
    Odd,
    /// Something that no number goes on behind.
    None,
}

impl Joint {
    fn between(left: &Group, right: &Group, text: &str) -> Self {
        let between = &text[left.at.end..right.at.start];
        let joins = |char: char| char.is_whitespace() || matches!(char, '-' | '.' | '/' | '_' | '\u{ad}' | '\u{b7}' | '\u{200b}' | '\u{2010}'..='\u{2015}');
        if matches!(between, " " | "-") {
            Self::Plain
        } else if between.chars().count() <= LONGEST_JOINT && between.chars().all(joins) {
            Self::Odd
        } else {
            Self::None
        }
    }
}

/// Fours with what is left at the end, or as American Express and Diners Club print theirs.
fn is_grouped_as_on_cards(run: &[Group]) -> bool {
    let lengths: Vec<usize> = run.iter().map(|group| group.digits.len()).collect();
    let [fours @ .., last] = lengths.as_slice() else { return false };
    fours.len() >= 3 && fours.iter().all(|length| *length == 4) && *last <= 4 || matches!(lengths.as_slice(), [4, 6, 4 | 5])
}

/// The check digit of ISO/IEC 7812-1, annex B.
fn passes_luhn(run: &[Group]) -> bool {
    let digits = run.iter().rev().flat_map(|group| group.digits.iter().rev().map(|digit| u32::from(*digit)));
    let sum: u32 = digits.enumerate().map(|(nth, digit)| if nth % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }).sum();
    sum.is_multiple_of(10)
}
