//! Which days one request is for: the recent ones, from 34 days ago on; and before them windows of 90 days, which is the most that may be asked
//! for at once. Each reaches five days into the next, since servers cut by their own clocks.

use crate::domain::time::LocalDate;

/// How far back the recent window goes: the days that a first sync brings first, and some more.
const RECENT_DAYS: i64 = 34;

/// The most days of one request.
const LONGEST: i64 = 90;

/// How many days ahead banks date rows.
const AHEAD_DAYS: i64 = 14;

/// How many days two windows have in common.
const OVERLAP: i64 = 5;

/// Some days: from the first on, and before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: LocalDate,
    /// `None` for the recent one, which has no end: banks date rows ahead.
    pub(super) until: Option<LocalDate>,
}

impl Window {
    /// The recent days, as of `today`.
    pub(super) fn recent(today: LocalDate) -> Self {
        Self { from: today.plus_days(-RECENT_DAYS), until: None }
    }

    /// The last day that a row of the recent days can be of.
    pub(super) fn last_day(today: LocalDate) -> LocalDate {
        today.plus_days(AHEAD_DAYS)
    }

    /// The windows that hold the days from `from` to `to`, the recent one first if it is among them. A day more at either end, since a bank's
    /// day is not the server's.
    pub(super) fn over(from: LocalDate, to: LocalDate, today: LocalDate) -> Vec<Self> {
        let (from, to) = (from.plus_days(-1), to.plus_days(1));
        let mut windows = Vec::new();
        let mut window = Self::recent(today);
        loop {
            if window.from <= to {
                windows.push(window);
            }
            if window.from <= from {
                return windows;
            }
            let until = window.from.plus_days(OVERLAP);
            let earlier = Self { from: until.plus_days(-LONGEST), until: Some(until) };
            if earlier.from == window.from {
                // The calendar has no earlier days.
                return windows;
            }
            window = earlier;
        }
    }
}
