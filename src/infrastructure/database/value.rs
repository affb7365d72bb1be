//! From stored values to the domain's: what the domain would not have written is an error that names its column, never a panic.

use anyhow::Context as _;
use chrono::NaiveDate;

use crate::domain::{
    money::Amount,
    time::{LocalDate, Timestamp},
};

/// A word of one of the domain's enums. `column` reads `table.column`.
pub(super) fn word<T>(column: &'static str, stored: &str, parse: impl FnOnce(&str) -> Option<T>) -> anyhow::Result<T> {
    parse(stored).with_context(|| format!("{column} holds an unknown word"))
}

/// The same for a word that may be missing.
pub(super) fn optional_word<T>(column: &'static str, stored: Option<&str>, parse: impl FnOnce(&str) -> Option<T>) -> anyhow::Result<Option<T>> {
    stored.map(|stored| word(column, stored, parse)).transpose()
}

/// A whole number of money at its currency's scale.
pub(super) fn amount(column: &'static str, stored: i64) -> anyhow::Result<Amount> {
    Amount::from_units(stored).with_context(|| format!("{column} is not an amount"))
}

/// The same for an amount that may be missing.
pub(super) fn optional_amount(column: &'static str, stored: Option<i64>) -> anyhow::Result<Option<Amount>> {
    stored.map(|stored| amount(column, stored)).transpose()
}

/// A calendar day.
pub(super) fn day(column: &'static str, stored: NaiveDate) -> anyhow::Result<LocalDate> {
    LocalDate::from_naive(stored).with_context(|| format!("{column} is not a day of the years 1 to 9999"))
}

/// A count.
pub(super) fn count(column: &'static str, stored: i64) -> anyhow::Result<u32> {
    u32::try_from(stored).with_context(|| format!("{column} is not a count"))
}

/// An instant that may be missing.
pub(super) fn optional_instant(stored: Option<chrono::DateTime<chrono::Utc>>) -> Option<Timestamp> {
    stored.map(Timestamp::new)
}
