//! What is yet to be asked for: days, and parts of a day that has more rows than one answer holds.

use chrono::{DateTime, Duration, NaiveTime, SubsecRound as _, Utc};

use crate::domain::time::LocalDate;

/// How many days are asked for at once: a year at most, with a day more at both ends.
const DAYS_AT_ONCE: i64 = 360;

/// The shortest part of a day that is asked for.
const SHORTEST: Duration = Duration::minutes(1);

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

    /// The older and the younger half; `None` when it is short enough that halves would not be.
    fn halves(self) -> Option<[Self; 2]> {
        if self.first < self.last {
            let middle = self.first.plus_days(self.last.days_since(self.first) / 2);
            return Some([Self::of_days(self.first, middle), Self::of_days(middle.plus_days(1), self.last)]);
        }
        let middle = (self.start + (self.end - self.start) / 2).trunc_subsecs(0);
        (self.end - self.start > SHORTEST).then(|| [Self { end: middle - Duration::milliseconds(1), ..self }, Self { start: middle, ..self }])
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

    /// Asks for the halves of a span instead of it; `false` when it has none.
    pub(super) fn halve(&mut self, span: Span) -> bool {
        let halves = span.halves();
        self.0.extend(halves.into_iter().flatten());
        halves.is_some()
    }

    pub(super) fn read(page: &str) -> Option<Self> {
        page.split(',').map(Span::read).collect::<Option<_>>().map(Self)
    }

    pub(super) fn written(&self) -> Option<String> {
        let spans: Vec<_> = self.0.iter().map(Span::written).collect();
        (!spans.is_empty()).then(|| spans.join(","))
    }
}
