//! What is yet to be asked for: days, and parts of a day that has more rows than one answer holds.

use chrono::{DateTime, Duration, NaiveTime, SubsecRound as _, Utc};

use super::mapping;
use crate::domain::time::LocalDate;

/// How many days are asked for at once: a year at most, with a day more at both ends.
const DAYS_AT_ONCE: i64 = 360;

/// Days, and the instants that are asked for to get their rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: LocalDate,
    pub(super) last: LocalDate,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl Span {
    /// Days are New York's and instants are UTC, so a day more at both ends holds all of them.
    fn of_days(first: LocalDate, last: LocalDate) -> Self {
        let midnight = |day: LocalDate| day.naive().and_time(NaiveTime::MIN).and_utc();
        Self { first, last, start: midnight(first.plus_days(-1)), end: midnight(last.plus_days(2)) - Duration::milliseconds(1) }
    }

    /// As Schwab wants its ends written.
    pub(super) fn ends(&self) -> [String; 2] {
        [self.start, self.end].map(|instant| instant.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
    }

    /// Whether an instant is in it.
    pub(super) fn holds(&self, instant: DateTime<Utc>) -> bool {
        (self.start..=self.end).contains(&instant)
    }

    /// What is before a moment and what is from it on, in days while it has several and else in seconds; `None` for one second.
    fn parts(self, moment: DateTime<Utc>) -> Option<[Self; 2]> {
        if self.first < self.last {
            let day = mapping::day_of(moment)?.clamp(self.first.plus_days(1), self.last);
            return Some([Self::of_days(self.first, day.plus_days(-1)), Self::of_days(day, self.last)]);
        }
        let second = moment.trunc_subsecs(0).max(self.start + Duration::seconds(1));
        (second <= self.end).then(|| [Self { end: second - Duration::milliseconds(1), ..self }, Self { start: second, ..self }])
    }

    /// `first/last`, and for a part of a day its instants in milliseconds.
    fn written(&self) -> String {
        let days = format!("{}/{}", self.first, self.last);
        if *self == Self::of_days(self.first, self.last) { days } else { format!("{days}/{}/{}", self.start.timestamp_millis(), self.end.timestamp_millis()) }
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let mut day = || LocalDate::parse(parts.next()?).ok();
        let whole = Self::of_days(day()?, day()?);
        let mut instant = || DateTime::from_timestamp_millis(parts.next()?.parse().ok()?);
        match (instant(), instant()) {
            (Some(start), Some(end)) => Some(Self { start, end, ..whole }),
            (None, _) => Some(whole),
            (Some(_), None) => None,
        }
    }
}

/// Spans yet to be asked for, the next one last.
pub(super) struct Spans(Vec<Span>);

impl Spans {
    /// The newest first, none of them too long to be asked for.
    pub(super) fn of(from: LocalDate, to: LocalDate) -> Self {
        let (mut spans, mut first) = (Vec::new(), from);
        while first <= to {
            let last = first.plus_days(DAYS_AT_ONCE - 1).min(to);
            spans.push(Span::of_days(first, last));
            first = last.plus_days(1);
        }
        Self(spans)
    }

    pub(super) fn next(&mut self) -> Option<Span> {
        self.0.pop()
    }

    /// Asks for two parts of a span instead of it, as many of the rows in each that were at these moments; `false` when it has no parts.
    pub(super) fn part(&mut self, span: Span, mut moments: Vec<DateTime<Utc>>) -> bool {
        moments.sort_unstable();
        let parts = moments.get(moments.len() / 2).and_then(|middle| span.parts(*middle));
        self.0.extend(parts.into_iter().flatten());
        parts.is_some()
    }

    pub(super) fn read(page: &str) -> Option<Self> {
        page.split(',').map(Span::read).collect::<Option<_>>().map(Self)
    }

    pub(super) fn written(&self) -> Option<String> {
        let spans: Vec<_> = self.0.iter().map(Span::written).collect();
        (!spans.is_empty()).then(|| spans.join(","))
    }
}
