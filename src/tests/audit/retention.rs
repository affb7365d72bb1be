//! Retention: whole months go behind a signed cut, nothing younger does, and what is left verifies from there.

use std::sync::Arc;

use chrono::{Duration, NaiveDate};
use dashtam::{
    application::{
        access::{Access, Requester},
        audit::Journal,
        chain::{
            retention::{PruneError, Retention},
            verification::Flaw,
        },
    },
    domain::time::Clock as _,
    infrastructure::security::policy::{POLICY, PolarPolicy},
};

use crate::harness::clock::TestRandomness;

use super::{Trail, ring_signer, signer};

fn retention(trail: &Trail, days: u32) -> Retention {
    by_class(trail, days, days)
}

pub(crate) fn by_class(trail: &Trail, days: u32, routine_days: u32) -> Retention {
    let database = &trail.store.database;
    Retention {
        journal: Journal::new(database.audit_log(), trail.store.clock.clone(), Arc::new(TestRandomness)),
        store: database.store(),
        months: database.trail_months(),
        signer: ring_signer(),
        access: Access::new(Arc::new(PolarPolicy::read(POLICY).unwrap())),
        clock: trail.store.clock.clone(),
        days,
        routine_days,
    }
}

/// Ten events in each of four months from November 2026 on, sealed and signed as they come; the clock ends in March 2027.
async fn four_months(trail: &Trail) {
    trail.keeper.introduce().await.unwrap();
    for _ in 0..4 {
        trail.record(5).await;
        trail.keeper.close().await.unwrap();
        trail.record(5).await;
        trail.keeper.close().await.unwrap();
        trail.store.clock.pass(Duration::days(31));
    }
}

fn day(year: i32, month: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, 1).unwrap()
}

async fn count(trail: &Trail, table: &str) -> usize {
    trail.store.query(&format!("SELECT 1 FROM {table}")).await.len()
}

#[tokio::test]
async fn months_past_their_retention_go_and_the_rest_verifies_from_the_cut() {
    for trail in Trail::on_every_store().await {
        four_months(&trail).await;
        let published = trail.published();
        let name = trail.store.name;
        // 27 March 2027, kept for 60 days: from 26 January on, so January stays whole.
        let keeping = retention(&trail, 60);
        let plan = keeping.plan(None).await.unwrap();
        assert_eq!((plan.events, plan.position), (20, 20), "{name}");
        assert_eq!(count(&trail, "audit_events").await, 40, "a plan changes nothing");
        let dropped = keeping.prune(Requester::job(), None).await.unwrap();
        assert_eq!(dropped, plan);
        // 20 are left, and the attempt with its outcome.
        for (table, left) in [("audit_events", 22), ("audit_chain", 20), ("audit_checkpoints", 4), ("audit_cuts", 1)] {
            assert_eq!(count(&trail, table).await, left, "{name} {table}");
        }
        assert!(trail.store.query("SELECT 1 FROM audit_person WHERE recorded_at < '2027-01-01'").await.is_empty());
        if trail.store.is_postgres() {
            let partitions = trail.store.query("SELECT 1 FROM pg_class WHERE relname IN ('audit_events_2026_11', 'audit_events_2026_12')").await;
            assert!(partitions.is_empty());
        }
        trail.keeper.close().await.unwrap();
        let (findings, tally) = trail.check_against(signer().public_keys().to_vec(), published).await;
        assert!(findings.is_empty(), "{name}: {findings:?}");
        assert_eq!((tally.begins_behind, tally.position, tally.entries, tally.checkpoints), (20, 42, 22, 5));
        assert_eq!((tally.published, tally.published_before), (5, 3));
        // Nothing more to drop leaves nothing on the trail; later the next month goes.
        assert_eq!(keeping.prune(Requester::job(), None).await.unwrap().events, 0);
        assert_eq!(count(&trail, "audit_events").await, 22);
        trail.store.clock.pass(Duration::days(31));
        assert_eq!(keeping.prune(Requester::command_line(None), None).await.unwrap().events, 10);
        trail.keeper.close().await.unwrap();
        let (findings, tally) = trail.check().await;
        assert!(findings.is_empty(), "{name}: {findings:?}");
        assert_eq!((tally.begins_behind, tally.position), (30, 44));
        let acts = trail.store.query("SELECT outcome, context FROM audit_events WHERE act = 'prune_audit' ORDER BY recorded_at, id").await;
        let told: Vec<String> = acts.iter().map(|row| row.try_get("", "outcome").unwrap()).collect();
        assert_eq!(told, ["attempted", "succeeded", "attempted", "succeeded"]);
        assert_eq!(acts[1].try_get::<String>("", "context").unwrap(), r#"{"before":"2027-01-01T00:00:00Z","events":"20","routine":"0"}"#);
        // Everything, and the trail still goes on.
        trail.store.clock.pass(Duration::days(100));
        keeping.prune(Requester::job(), None).await.unwrap();
        trail.record(3).await;
        trail.keeper.close().await.unwrap();
        assert!(trail.found().await.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn nothing_younger_goes_nor_what_is_not_sealed_nor_what_was_tampered_with() {
    for trail in Trail::on_every_store().await {
        four_months(&trail).await;
        let keeping = retention(&trail, 60);
        let events = count(&trail, "audit_events").await;
        for month in [day(2027, 2), day(2027, 3), day(2099, 1)] {
            let refused = keeping.prune(Requester::command_line(None), Some(month)).await;
            assert!(matches!(refused, Err(PruneError::TooYoung { days: 60, .. })), "{refused:?}");
        }
        assert_eq!(retention(&trail, 2_557).prune(Requester::job(), None).await.unwrap().events, 0);
        assert_eq!(count(&trail, "audit_events").await, events + 6, "three attempts and what became of them");
        let refused = trail.store.query("SELECT reason FROM audit_events WHERE act = 'prune_audit' AND outcome = 'failed' ORDER BY recorded_at, id").await;
        assert!(refused.iter().all(|row| row.try_get::<String>("", "reason").unwrap() == "too_young"));
        // An old event that came late and is not sealed.
        let late = super::entry(trail.store.clock.now().minus(Duration::days(100)));
        trail.store.database.audit_log().record(&late).await.unwrap();
        let refused = keeping.prune(Requester::job(), None).await;
        assert!(matches!(refused, Err(PruneError::Unsealed)), "{refused:?}");
        trail.close_after_a_refusal().await;
        // Another class is not known, so it stays.
        trail.break_in().await;
        trail.execute(&format!("UPDATE audit_events SET class = 'tax' WHERE id = {}", trail.id(late.id.0))).await;
        let refused = keeping.prune(Requester::job(), None).await;
        assert!(matches!(refused, Err(PruneError::UnknownClass)), "{}: {refused:?}", trail.store.name);
        trail.restore().await;
        // A chain that is not the one that was signed.
        trail.execute(&format!("UPDATE audit_chain SET chain_hash = {} WHERE position = 20", trail.bytes(&[4; 32]))).await;
        let refused = keeping.prune(Requester::job(), None).await;
        assert!(matches!(refused, Err(PruneError::Tampered)), "{}: {refused:?}", trail.store.name);
        trail.restore().await;
        assert_eq!((count(&trail, "audit_cuts").await, count(&trail, "audit_chain").await), (0, 49), "{}", trail.store.name);
        // The late one has a late position, and goes with its month all the same.
        assert_eq!(keeping.prune(Requester::job(), Some(day(2027, 1))).await.unwrap().events, 21);
        trail.keeper.close().await.unwrap();
        let (findings, tally) = trail.check().await;
        assert!(findings.is_empty(), "{}: {findings:?}", trail.store.name);
        assert_eq!(tally.dropped, 1);
    }
}

#[tokio::test]
async fn a_cut_opens_the_way_for_what_is_older_and_no_further() {
    for trail in Trail::on_every_store().await {
        four_months(&trail).await;
        assert!(trail.store.execute("DELETE FROM audit_events").await.is_err());
        retention(&trail, 60).prune(Requester::job(), None).await.unwrap();
        for (attack, table) in [
            ("DELETE FROM audit_events", "audit_events"),
            ("DELETE FROM audit_chain", "audit_chain"),
            ("DELETE FROM audit_checkpoints", "audit_checkpoints"),
            ("DELETE FROM audit_cuts", "audit_cuts"),
        ] {
            let before = count(&trail, table).await;
            assert!(trail.store.execute(attack).await.is_err(), "{}: {attack}", trail.store.name);
            assert_eq!(count(&trail, table).await, before);
        }
        // One that is forged, changed or taken away does not hold.
        trail.keeper.close().await.unwrap();
        trail.break_in().await;
        let instant = if trail.store.is_postgres() { "'2027-03-01T00:00:00Z'" } else { "'2027-03-01T00:00:00+00:00'" };
        for change in
            [format!("events_before = {instant}"), "checkpoint = 5".to_owned(), "position = 25".to_owned(), format!("signature = {}", trail.bytes(&[1; 64]))]
        {
            trail.execute(&format!("UPDATE audit_cuts SET {change}")).await;
            let found = trail.found().await;
            assert_eq!(found.first().map(|found| found.0), Some(Flaw::Forged), "{}: {change}", trail.store.name);
            assert!(found.contains(&(Flaw::EntryRemoved, Some(1), None)), "{found:?}");
            trail.restore().await;
        }
        trail.execute("DELETE FROM audit_cuts").await;
        assert_eq!(trail.found().await.first(), Some(&(Flaw::EntryRemoved, Some(1), None)));
        trail.restore().await;
        // What stands before the cut was put there.
        trail
            .execute(&format!(
                "INSERT INTO audit_chain SELECT 7, event_recorded_at, {}, event_hash, chain_hash FROM audit_chain WHERE position = 21",
                trail.id(uuid::Uuid::nil())
            ))
            .await;
        assert_eq!(trail.found().await.first().map(|found| (found.0, found.1)), Some((Flaw::EntryAdded, Some(7))));
    }
}

#[tokio::test]
async fn months_are_prepared_before_they_begin() {
    for trail in Trail::on_every_store().await {
        let keeping = retention(&trail, 2_557);
        assert_eq!(keeping.prepare().await.unwrap(), 0, "the migration made two years of them");
        trail.store.clock.pass(Duration::days(365 * 2));
        let made = keeping.prepare().await.unwrap();
        if !trail.store.is_postgres() {
            assert_eq!(made, 0);
            continue;
        }
        // November 2028 to November 2029.
        assert_eq!((made, keeping.prepare().await.unwrap()), (13, 0));
        trail.record(1).await;
        assert_eq!(count(&trail, "audit_events_2028_11").await, 1);
        for attack in ["TRUNCATE audit_events_2029_11", "DELETE FROM audit_events_2028_11", "UPDATE audit_events_2028_11 SET act = 'x'"] {
            assert!(trail.store.execute(attack).await.is_err(), "{attack}");
        }
        // A month that has rows in the default partition does without.
        trail.store.clock.pass(Duration::days(365 * 2));
        trail.record(1).await;
        assert_eq!(count(&trail, "audit_events_default").await, 1);
        assert_eq!(keeping.prepare().await.unwrap(), 12);
        trail.keeper.close().await.unwrap();
        assert!(trail.found().await.is_empty());
    }
}
