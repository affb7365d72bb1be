//! The day of an instant where a market is.

use chrono::{DateTime, Utc};

use crate::domain::time::LocalDate;

/// The calendar day in New York, where exchanges of the United States are: an order filled there in the evening belongs to that day, whatever
/// UTC says by then. `None` outside the years that a day has.
pub(super) fn in_new_york(instant: DateTime<Utc>) -> Option<LocalDate> {
    LocalDate::from_naive(instant.with_timezone(&chrono_tz::America::New_York).date_naive())
}
