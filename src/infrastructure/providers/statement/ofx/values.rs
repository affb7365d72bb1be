//! What a leaf's text means: days, instants, amounts and words (OFX 2.2, section 3.2.8 to 3.2.10).

use chrono::{DateTime, Duration, NaiveDate, Utc};

use crate::domain::{
    money::{Amount, Currency, InvalidAmount},
    time::{LocalDate, Timestamp},
};

/// The first eight digits as written; time and offset don't move the day.
pub(super) fn day(text: &str) -> Option<LocalDate> {
    let date = text.get(..8)?;
    LocalDate::new(number(date.get(..4)?)?.try_into().ok()?, number(date.get(4..6)?)?, number(date.get(6..)?)?)
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, with `.XXX` and `[offset:name]` or without; GMT when it has no offset. `None` when any
/// part of it cannot be read.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let (local, zone) = text.split_once('[').unwrap_or((text, "0]"));
    let (digits, fraction) = local.trim().split_once('.').unwrap_or((local.trim(), "0"));
    let part = |range: std::ops::Range<usize>| if digits.len() >= range.end { number(&digits[range]) } else { Some(0) };
    if !digits.is_ascii() || !matches!(digits.len(), 8 | 12 | 14) {
        return None;
    }
    let day: NaiveDate = day(digits)?.naive();
    let micros = number(fraction.get(..fraction.len().min(6))?)? * 10_u32.pow(6_u32.saturating_sub(u32::try_from(fraction.len()).ok()?));
    let time = day.and_hms_micro_opt(part(8..10)?, part(10..12)?, part(12..14)?, micros)?;
    let utc = time.checked_sub_signed(offset(zone.strip_suffix(']')?)?)?;
    Some(Timestamp::new(DateTime::<Utc>::from_naive_utc_and_offset(utc, Utc)))
}

/// `-5:EST`, `+5.5:IST`, `-3.30:NST`: hours ahead of GMT. Banks write half an hour as `.5`, `.50` and `.30`; no zone is 50 minutes off.
fn offset(zone: &str) -> Option<Duration> {
    let hours = zone.split(':').next()?.trim();
    let (negative, hours) = match hours.strip_prefix('-') {
        Some(hours) => (true, hours),
        None => (false, hours.strip_prefix('+').unwrap_or(hours)),
    };
    let (hours, fraction) = hours.split_once('.').unwrap_or((hours, "0"));
    let minutes = match (fraction.len(), number(fraction)?) {
        (1, tenths) => tenths * 6,
        (2, quarters @ (25 | 50 | 75)) => quarters * 60 / 100,
        (2, minutes @ 0..60) => minutes,
        _ => return None,
    };
    let hours = number(hours).filter(|hours| *hours <= 14)?;
    let ahead = Duration::minutes(i64::from(hours * 60 + minutes));
    Some(if negative { -ahead } else { ahead })
}

fn number(digits: &str) -> Option<u32> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// An amount, never rounded. Beside `-1234.56` also `-12,50` (OFX allows the comma), and separators of thousands where nobody could
/// read the text otherwise: `1,234.56` and `1.234,56`, not `1,234`.
pub(super) fn amount(text: &str, currency: &Currency) -> Result<Amount, InvalidAmount> {
    let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
    let plain = with_point(digits).ok_or(InvalidAmount::Malformed)?;
    Amount::parse(&format!("{sign}{plain}"), currency)
}

/// The same digits with at most one separator, a point.
fn with_point(digits: &str) -> Option<String> {
    let separators: Vec<char> = digits.chars().filter(|char| matches!(char, ',' | '.')).collect();
    match separators.as_slice() {
        [] | ['.'] => Some(digits.to_owned()),
        [','] => {
            let (whole, fraction) = digits.split_once(',')?;
            let ambiguous = fraction.len() == 3 && matches!(whole.len(), 1..=3) && !whole.starts_with('0');
            (!ambiguous).then(|| format!("{whole}.{fraction}"))
        }
        [thousands, rest @ ..] if rest.iter().all(|separator| separator == thousands) => ungrouped(digits, *thousands),
        [thousands, between @ .., point] if between.iter().all(|separator| separator == thousands) => {
            let (whole, fraction) = digits.split_once(*point)?;
            Some(format!("{}.{fraction}", ungrouped(whole, *thousands)?))
        }
        _ => None,
    }
}

/// `1,234,567` without its separators, if they stand where they should.
fn ungrouped(digits: &str, thousands: char) -> Option<String> {
    let groups: Vec<&str> = digits.split(thousands).collect();
    let (first, others) = groups.split_first()?;
    (matches!(first.len(), 1..=3) && others.iter().all(|group| group.len() == 3)).then(|| groups.concat())
}
