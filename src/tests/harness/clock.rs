//! Time and randomness as tests want them: time stands still until it is moved, ids and secrets are real.

use std::sync::Mutex;

use chrono::Duration;
use dashtam::{
    application::ports::Randomness,
    domain::time::{Clock, Timestamp},
};
use uuid::Uuid;

/// A clock that a test moves; it begins at 2026-11-23T12:00:00Z.
pub(crate) struct TestClock(Mutex<Timestamp>);

impl TestClock {
    /// At its beginning.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Timestamp::from_micros(1_795_435_200_000_000).unwrap()))
    }

    /// Lets `span` pass.
    pub(crate) fn pass(&self, span: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.plus(span);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Ids and secrets nobody can guess, as in production.
pub(crate) struct TestRandomness;

impl Randomness for TestRandomness {
    #[expect(clippy::disallowed_methods, reason = "this is the test's adapter of the port")]
    fn id(&self) -> Uuid {
        Uuid::now_v7()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the test's adapter of the port")]
    fn secret(&self) -> [u8; 32] {
        rand::random()
    }
}
