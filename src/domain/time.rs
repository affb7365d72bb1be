//! Instants and days.
//!
//! An instant is UTC to the microsecond, since that is what PostgreSQL keeps; both databases then answer alike. A day is a
//! calendar day without a zone: what a bank printed on the statement.

use chrono::{DateTime, Datelike, Duration, NaiveDate, SecondsFormat, Utc};

/// An instant of the years 1 to 9999, UTC, cut to microseconds: what RFC 3339 can write and both databases keep and sort alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(DateTime<Utc>);

/// 0001-01-01T00:00:00Z.
const FIRST_MICROS: i64 = -62_135_596_800_000_000;

/// 9999-12-31T23:59:59.999999Z.
const LAST_MICROS: i64 = 253_402_300_799_999_999;

impl Timestamp {
    /// Cuts `instant` to whole microseconds, and to the years 1 to 9999. A leap second becomes the second after it.
    pub fn new(instant: DateTime<Utc>) -> Self {
        let micros = instant.timestamp_micros().clamp(FIRST_MICROS, LAST_MICROS);
        Self(DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::UNIX_EPOCH))
    }

    /// From microseconds since 1970-01-01T00:00:00Z; `None` outside the years 1 to 9999.
    pub fn from_micros(micros: i64) -> Option<Self> {
        (FIRST_MICROS..=LAST_MICROS).contains(&micros).then(|| DateTime::from_timestamp_micros(micros).map(Self))?
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, as tokens carry them.
    pub fn unix(self) -> i64 {
        self.0.timestamp()
    }

    /// The same instant for libraries that speak chrono.
    pub fn utc(self) -> DateTime<Utc> {
        self.0
    }

    /// The calendar day in UTC.
    pub fn day(self) -> LocalDate {
        LocalDate(self.0.date_naive())
    }

    /// `self + span`, stopping at the ends of the years 1 to 9999.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self::new(self.0.checked_add_signed(span).unwrap_or(if span < Duration::zero() { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC }))
    }

    /// `self - span`, stopping at the ends of the years 1 to 9999.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self::new(self.0.checked_sub_signed(span).unwrap_or(if span < Duration::zero() { DateTime::<Utc>::MAX_UTC } else { DateTime::<Utc>::MIN_UTC }))
    }

    /// How long after `earlier` this is; negative when it is before.
    pub fn since(self, earlier: Self) -> Duration {
        self.0 - earlier.0
    }
}

/// RFC 3339 with `Z` and as many fraction digits as are needed.
impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

/// A calendar day of the years 1 to 9999, without a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalDate(NaiveDate);

/// What a text must look like to be a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a day is written YYYY-MM-DD and must exist in the calendar")]
pub struct InvalidDate;

impl LocalDate {
    /// A day of the years 1 to 9999; `None` for one the calendar does not have.
    pub fn new(year: i32, month: u32, day: u32) -> Option<Self> {
        NaiveDate::from_ymd_opt(year, month, day).and_then(Self::from_naive)
    }

    /// `None` outside the years 1 to 9999.
    pub fn from_naive(day: NaiveDate) -> Option<Self> {
        (1..=9999).contains(&day.year()).then_some(Self(day))
    }

    /// `YYYY-MM-DD` exactly (RFC 3339 full-date).
    pub fn parse(input: &str) -> Result<Self, InvalidDate> {
        let bytes = input.as_bytes();
        let shaped = bytes.len() == 10 && bytes.iter().enumerate().all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() });
        if !shaped {
            return Err(InvalidDate);
        }
        NaiveDate::parse_from_str(input, "%Y-%m-%d").ok().and_then(Self::from_naive).ok_or(InvalidDate)
    }

    /// The same day for libraries that speak chrono.
    pub fn naive(self) -> NaiveDate {
        self.0
    }

    /// `days` later (earlier when negative), stopping at the ends of the years 1 to 9999.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        let edge = if days < 0 { NaiveDate::from_ymd_opt(1, 1, 1) } else { NaiveDate::from_ymd_opt(9999, 12, 31) };
        let moved = Duration::try_days(days).and_then(|span| self.0.checked_add_signed(span)).and_then(Self::from_naive);
        moved.unwrap_or_else(|| Self(edge.unwrap_or(self.0)))
    }

    /// Days from `earlier` to this day; negative when it is before.
    pub fn days_since(self, earlier: Self) -> i64 {
        (self.0 - earlier.0).num_days()
    }
}

impl std::fmt::Display for LocalDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d"))
    }
}

/// Where the time comes from. Tests own it; the product has one adapter that asks the machine.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;

    /// The present day in UTC.
    fn today(&self) -> LocalDate {
        self.now().day()
    }
}
