//! Dates as people write them, and which order a column of them is in.

use crate::domain::{csv::DateOrder, time::LocalDate};

/// Years a statement can be of. It keeps numbers that happen to have eight digits from passing for days.
const YEARS: std::ops::RangeInclusive<i32> = 1900..=2199;

/// Two digits below this are of this century.
const PIVOT: i32 = 70;

/// The first three letters of months where banks spell them, without accents, in English, German, French, Spanish, Italian, Portuguese,
/// Dutch and Scandinavian languages. Where three letters do not tell, a fourth does.
const MONTHS: [&[&str]; 12] = [
    &["jan", "ene", "gen"],
    &["feb", "fev"],
    &["mar", "maa", "mrz"],
    &["apr", "avr", "abr"],
    &["may", "mai", "mag", "mei", "maj"],
    &["jun", "juin", "giu"],
    &["jul", "juil", "lug"],
    &["aug", "aou", "ago"],
    &["sep", "set"],
    &["oct", "okt", "ott", "out"],
    &["nov"],
    &["dec", "dez", "dic", "des"],
];

/// The day a text names, read in `order`; `None` for what is no day. A year of four digits in front and a spelled month leave nothing to
/// the order. What follows as a time is not looked at: it does not move the day.
pub(super) fn day(text: &str, order: DateOrder) -> Option<LocalDate> {
    let text = text.trim();
    if text.len() > 64 || !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if let Some(day) = spelled(text) {
        return Some(day);
    }
    let close = text.replace(". ", ".");
    let date = close.split_whitespace().next()?;
    let date = date.split_once('T').map_or(date, |(date, _)| date);
    let date = date.trim_end_matches(['.', ',']);
    if date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) {
        return match order {
            DateOrder::YearMonthDay => of(&date[..4], &date[4..6], &date[6..]),
            DateOrder::DayMonthYear => of(&date[4..], &date[2..4], &date[..2]),
            DateOrder::MonthDayYear => of(&date[4..], &date[..2], &date[2..4]),
        };
    }
    let parts: Vec<&str> = date.split(['-', '/', '.']).collect();
    let [one, two, three] = parts.as_slice() else { return None };
    match order {
        _ if one.len() == 4 => of(one, two, three),
        DateOrder::YearMonthDay => of(one, two, three),
        DateOrder::DayMonthYear => of(three, two, one),
        DateOrder::MonthDayYear => of(three, one, two),
    }
}

/// Whether any order makes a day of it.
pub(super) fn is_day(text: &str) -> bool {
    DateOrder::ALL.iter().any(|order| day(text, *order).is_some())
}

fn of(year: &str, month: &str, day: &str) -> Option<LocalDate> {
    let number = |text: &str, longest: usize| -> Option<i32> {
        (matches!(text.len(), 1..=4) && text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
    };
    let year = match (year.len(), number(year, 4)?) {
        (2, year) if year < PIVOT => 2000 + year,
        (2, year) => 1900 + year,
        (4, year) => year,
        _ => return None,
    };
    let (month, day) = (u32::try_from(number(month, 2)?).ok()?, u32::try_from(number(day, 2)?).ok()?);
    if YEARS.contains(&year) { LocalDate::new(year, month, day) } else { None }
}

/// `31 Jan 2026`, `Jan 31, 2026`, `31-Jan-26`, `31. januar 2026`.
fn spelled(text: &str) -> Option<LocalDate> {
    let words: Vec<&str> = text.split([' ', '-', '/', '.', ',', '\u{a0}']).filter(|word| !word.is_empty()).collect();
    let at = words.iter().take(3).position(|word| word.chars().all(char::is_alphabetic))?;
    let month = month(words[at])?.to_string();
    match (at, words.as_slice()) {
        (1, [year, _, day, ..]) if year.len() == 4 => of(year, &month, day),
        (0, [_, day, year, ..]) | (1, [day, _, year, ..]) => of(year, &month, day),
        _ => None,
    }
}

/// Whether a word names a month.
pub(super) fn is_month(word: &str) -> bool {
    month(word).is_some()
}

fn month(word: &str) -> Option<usize> {
    let word = super::names::plain(word);
    // "juin" and "juil" begin like "jui", so the longest beginning decides.
    let found = MONTHS.iter().enumerate().flat_map(|(at, names)| names.iter().map(move |name| (at, name))).filter(|(_, name)| word.starts_with(**name));
    found.max_by_key(|(_, name)| name.len()).map(|(at, _)| at + 1)
}

/// What a column's dates tell of their order.
#[derive(Debug, Default)]
pub(super) struct DateEvidence {
    year_first: u64,
    day_first: u64,
    month_first: u64,
    /// Whether any date is one day in one order and another in the other.
    differ: bool,
}

impl DateEvidence {
    /// One more date. Nobody writes the month first between points.
    pub(super) fn see(&mut self, text: &str) {
        let [year_first, day_first, month_first] = [DateOrder::YearMonthDay, DateOrder::DayMonthYear, DateOrder::MonthDayYear].map(|order| day(text, order));
        let month_first = month_first.filter(|day| !text.contains('.') || day_first == Some(*day));
        self.year_first += u64::from(year_first.is_some());
        self.day_first += u64::from(day_first.is_some());
        self.month_first += u64::from(month_first.is_some());
        self.differ |= day_first.is_some() && month_first.is_some() && day_first != month_first;
    }

    /// The order that most dates fit; `None` when two fit as well and would tell other days. Years of two digits in front are believed only
    /// when nothing else fits: nearly nobody writes them so.
    pub(super) fn order(&self) -> Option<DateOrder> {
        let later = self.day_first.max(self.month_first);
        if self.year_first > later || (self.year_first == later && !self.differ && self.day_first == self.month_first) {
            return Some(DateOrder::YearMonthDay);
        }
        match self.day_first.cmp(&self.month_first) {
            std::cmp::Ordering::Less => Some(DateOrder::MonthDayYear),
            std::cmp::Ordering::Equal if self.differ => None,
            std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => Some(DateOrder::DayMonthYear),
        }
    }
}
