//! The one place that asks the machine for time, ids and random bits.

#![expect(clippy::disallowed_methods, reason = "everything else takes these as ports")]

use rand::Rng;
use uuid::Uuid;

use crate::{
    application::ports::Randomness,
    domain::time::{Clock, Timestamp},
};

/// The machine's clock and its generator of random numbers.
pub struct Machine;

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        Timestamp::new(chrono::Utc::now())
    }
}

impl Randomness for Machine {
    fn id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn secret(&self) -> [u8; 32] {
        let mut bits = [0; 32];
        rand::rng().fill_bytes(&mut bits);
        bits
    }
}
