//! Rate limits: the arithmetic, the buckets in a process and in Redis, what each mutation and route is charged, and what documents cost.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod contract;
mod cost;
mod graph;
mod routes;

use dashtam::{
    application::ports::Randomness as _,
    domain::{
        id::UserId,
        rate_limit::{Allowance, Charge, Limit, Standing, Subject, UNITS, Verdict},
    },
};

use crate::harness::clock::TestRandomness;

/// So much of a bucket of somebody nobody else is.
fn charge(limit: Limit, allowance: &str, cost: u32) -> Charge {
    Charge { limit, subject: Subject::User(UserId(TestRandomness.id())), allowance: Allowance::parse(allowance).unwrap(), cost }
}

#[test]
fn an_allowance_is_two_numbers_from_one_to_a_million() {
    assert_eq!(Allowance::parse("5/1"), Some(Allowance { capacity: 5, per_minute: 1 }));
    assert_eq!(Allowance::parse(" 1000000 / 1000000 "), Some(Allowance { capacity: 1_000_000, per_minute: 1_000_000 }));
    for wrong in ["", "5", "5/", "/5", "0/5", "5/0", "-1/5", "5/5/5", "1.5/1", "1000001/1", "5 per minute", "4294967297/1"] {
        assert_eq!(Allowance::parse(wrong), None, "{wrong:?}");
    }
}

#[test]
fn a_bucket_refills_evenly_to_its_capacity_and_never_from_a_clock_that_was_set_back() {
    let charge = charge(Limit::SignIn, "5/5", 1);
    assert_eq!(charge.refilled(0, 60_000), 5 * UNITS);
    assert_eq!((charge.refilled(0, 11_999), charge.refilled(0, 12_000)), (UNITS - 5, UNITS));
    assert_eq!(charge.refilled(4 * UNITS, i64::MAX), 5 * UNITS);
    assert_eq!(charge.refilled(UNITS, -60_000), UNITS);
    let standing = charge.standing(UNITS - 5);
    assert_eq!((standing.remaining, standing.enough_in, standing.full_in, standing.capacity), (0, 1, 49, 5));
    let standing = charge.standing(5 * UNITS);
    assert_eq!((standing.remaining, standing.enough_in, standing.full_in), (5, 0, 0));
    // What a client is told to wait is enough.
    for level in (0..UNITS).step_by(777) {
        let wait = i64::from(charge.standing(level).enough_in) * 1000;
        assert!(charge.refilled(level, wait) >= charge.units() && charge.refilled(level, wait - 1000) < charge.units(), "{level}");
    }
}

#[test]
fn a_refusal_names_the_bucket_that_is_waited_for_longest() {
    let of = |limit, enough_in| Standing { limit, capacity: 10, remaining: 1, full_in: 60, enough_in };
    let verdict = Verdict { admitted: false, standings: vec![of(Limit::Query, 3), of(Limit::SignIn, 9), of(Limit::Write, 0)] };
    assert_eq!(verdict.refusal().map(|standing| standing.limit), Some(Limit::SignIn));
    assert_eq!(Verdict { admitted: true, ..verdict }.refusal(), None);
    let left = |limit, remaining, capacity| Standing { limit, capacity, remaining, full_in: 0, enough_in: 0 };
    let standings = [left(Limit::Query, 100, 5000), left(Limit::SignIn, 4, 5), left(Limit::Write, 49, 50)];
    assert_eq!(Standing::tightest(&standings).map(|standing| standing.limit), Some(Limit::Query));
}
