//! Retention by class: routine events go out of the middle of the trail, their positions stay, and nothing else can go with them.

use chrono::{Duration, NaiveDate};
use dashtam::{
    app::audit::{Part, write},
    application::{
        access::Requester,
        chain::{
            retention::PruneError,
            verification::{Flaw, Tally},
        },
    },
    domain::{
        audit::{Act, Outcome, RetentionClass},
        time::Clock as _,
    },
    infrastructure::audit_file::verify_export,
};
use uuid::Uuid;

use super::{Ed25519Check, Short, Trail, TrustedKeys, Verifier, retention::by_class, short, signer};

/// In each of four months from November 2026 on, four events and six routine ones; the clock ends in March 2027. Answers the routine ones' ids.
async fn four_months(trail: &Trail) -> Vec<Uuid> {
    trail.keeper.introduce().await.unwrap();
    let mut routine = Vec::new();
    for _ in 0..4 {
        trail.record(2).await;
        routine.extend(trail.record_routine(6).await);
        trail.record(2).await;
        trail.keeper.close().await.unwrap();
        trail.store.clock.pass(Duration::days(31));
    }
    routine
}

async fn count(trail: &Trail, what: &str) -> usize {
    trail.store.query(&format!("SELECT 1 FROM {what}")).await.len()
}

/// What is found in an export of the trail as it is.
async fn found_in_export(trail: &Trail, from: Option<NaiveDate>) -> (Vec<Short>, Tally) {
    let mut file = Vec::new();
    let mut ledger = trail.store.database.readers().ledger().await.unwrap();
    let part = Part { from, to: None, with_persons: true };
    write(ledger.as_mut(), &mut file, part, trail.store.clock.now(), &|_| {}).await.unwrap();
    let mut findings = Vec::new();
    let mut report = |finding| findings.push(short(&finding));
    let verifier = Verifier::new(&Ed25519Check, TrustedKeys::given(signer().public_keys().to_vec()), Vec::new(), trail.store.clock.now(), &mut report);
    let tally = verify_export(&mut file.as_slice(), verifier, &|_| {}).unwrap();
    (findings, tally)
}

#[test]
fn what_failed_is_never_routine() {
    for act in Act::ALL {
        assert_eq!(RetentionClass::of(*act, Outcome::Failed), RetentionClass::Standard);
        let is_routine = matches!(act, Act::RefreshSession | Act::ScheduleSync | Act::SyncLink);
        for outcome in [Outcome::Attempted, Outcome::Succeeded] {
            assert_eq!(RetentionClass::of(*act, outcome) == RetentionClass::Routine, is_routine, "{act:?}");
        }
    }
}

#[tokio::test]
async fn routine_events_go_earlier_and_the_whole_trail_still_verifies() {
    for trail in Trail::on_every_store().await {
        four_months(&trail).await;
        let name = trail.store.name;
        let persons = count(&trail, "audit_person").await;
        // 27 March 2027, what is routine kept for 60 days: that of November and December goes.
        let keeping = by_class(&trail, 2_557, 60);
        let plan = keeping.plan(None).await.unwrap();
        assert_eq!((plan.events, plan.routine), (0, 12), "{name}");
        assert_eq!(count(&trail, "audit_events").await, 40, "a plan changes nothing");
        let dropped = keeping.prune(Requester::job(), None).await.unwrap();
        assert_eq!(dropped, plan);
        // The attempt and its outcome came.
        for (table, left) in
            [("audit_events", 30), ("audit_events WHERE class = 'routine'", 12), ("audit_chain", 40), ("audit_cuts", 0), ("audit_thinnings", 2)]
        {
            assert_eq!(count(&trail, table).await, left, "{name} {table}");
        }
        assert_eq!(persons - count(&trail, "audit_person").await, 24 - 2, "two of each, but one of the two that came, {name}");
        let told = trail.store.query("SELECT context FROM audit_events WHERE act = 'prune_audit' AND outcome = 'succeeded'").await;
        assert!(told[0].try_get::<String>("", "context").unwrap().contains(r#""events":"0","routine":"12""#), "{name}");
        trail.keeper.close().await.unwrap();
        let (findings, tally) = trail.check_against(signer().public_keys().to_vec(), trail.published()).await;
        assert!(findings.is_empty(), "{name}: {findings:?}");
        assert_eq!((tally.entries, tally.dropped, tally.begins_behind), (42, 12, 0), "{name}");
        // An export too, and a part of one.
        let (found, tally) = found_in_export(&trail, None).await;
        assert_eq!((found, tally.dropped), (Vec::new(), 12), "{name}");
        let (found, tally) = found_in_export(&trail, NaiveDate::from_ymd_opt(2026, 12, 15)).await;
        assert_eq!((found, tally.dropped), (Vec::new(), 6), "{name}");
        // Once is enough. A month later the next goes, and when the whole months go, nothing is left of their thinning but its signature.
        assert_eq!(keeping.prune(Requester::job(), None).await.unwrap().routine, 0, "{name}");
        trail.store.clock.pass(Duration::days(31));
        let both = by_class(&trail, 91, 60).prune(Requester::command_line(None), None).await.unwrap();
        assert_eq!((both.events, both.routine), (8, 6), "{name}");
        trail.keeper.close().await.unwrap();
        let (findings, tally) = trail.check().await;
        assert!(findings.is_empty(), "{name}: {findings:?}");
        assert_eq!((tally.begins_behind, tally.dropped), (20, 6), "{name}");
        assert!(found_in_export(&trail, None).await.0.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn what_was_thinned_hides_nothing_else() {
    for trail in Trail::on_every_store().await {
        let routine = four_months(&trail).await;
        let name = trail.store.name;
        let late = trail.store.query("SELECT id FROM audit_events WHERE class = 'standard' ORDER BY recorded_at").await;
        let standard: Uuid = late[1].try_get("", "id").unwrap();
        trail.execute("CREATE TABLE before_it AS SELECT * FROM audit_events").await;
        by_class(&trail, 2_557, 60).prune(Requester::job(), None).await.unwrap();
        // With the triggers in place only routine events of thinned months may go, and they are gone.
        for attack in ["DELETE FROM audit_events WHERE class = 'standard'", "DELETE FROM audit_events WHERE class = 'routine'", "DELETE FROM audit_thinnings"] {
            assert!(trail.store.execute(attack).await.is_err(), "{name}: {attack}");
        }
        trail.keeper.close().await.unwrap();
        assert!(trail.found().await.is_empty());
        trail.break_in().await;
        let gone = (Flaw::EventRemoved, None, None);
        // One of another class goes along.
        trail.execute(&format!("DELETE FROM audit_events WHERE id = {}", trail.id(standard))).await;
        assert_eq!(trail.found().await, [gone], "{name}");
        assert_eq!(found_in_export(&trail, None).await.0.last(), Some(&gone), "{name}");
        trail.restore().await;
        // One that was dropped comes back, as it was or otherwise.
        let columns =
            "id, recorded_at, attempt_id, act, outcome, actor_kind, actor_hash, subject_hash, resource_kind, resource_id, reason, context, trace_id, class";
        trail.execute(&format!("INSERT INTO audit_events ({columns}) SELECT {columns} FROM before_it WHERE id = {}", trail.id(routine[0]))).await;
        assert_eq!(trail.found().await, [gone], "{name}");
        trail.restore().await;
        // A routine one of a month that was not thinned.
        trail.execute(&format!("DELETE FROM audit_events WHERE id = {}", trail.id(routine[20]))).await;
        assert_eq!(trail.found().await, [(Flaw::EventRemoved, Some(35), Some(routine[20]))], "{name}");
        trail.restore().await;
        // A position of one that went says that it was of another month.
        let (earlier, later) = if trail.store.is_postgres() {
            ("'2026-11-02T00:00:00Z'", "'2027-02-02T00:00:00Z'")
        } else {
            ("'2026-11-02T00:00:00+00:00'", "'2027-02-02T00:00:00+00:00'")
        };
        trail.execute(&format!("UPDATE audit_chain SET event_recorded_at = {earlier} WHERE event_id = {}", trail.id(routine[7]))).await;
        assert_eq!(trail.found().await, [gone, gone], "{name}");
        trail.restore().await;
        trail.execute(&format!("UPDATE audit_chain SET event_recorded_at = {later} WHERE event_id = {}", trail.id(routine[7]))).await;
        assert_eq!(trail.found().await, [(Flaw::EventRemoved, Some(14), Some(routine[7])), gone], "{name}");
        trail.restore().await;
        // The thinning itself: each of its columns is signed, and without it the events are missed.
        let instant = if trail.store.is_postgres() { "'2027-03-01T00:00:00Z'" } else { "'2027-03-01T00:00:00+00:00'" };
        for change in [
            "class = 'standard'".to_owned(),
            format!("events_before = {instant}"),
            "events = events + 1".to_owned(),
            format!("digest = {}", trail.bytes(&[7; 32])),
            format!("signed_at = {instant}"),
            format!("signature = {}", trail.bytes(&[7; 64])),
        ] {
            trail.execute(&format!("UPDATE audit_thinnings SET {change} WHERE events_from < '2026-12-01'")).await;
            let found = trail.found().await;
            assert_eq!(found[0], (Flaw::Forged, None, None), "{name}: {change}");
            assert_eq!(found.len(), 7, "{name}: {change}: {found:?}");
            trail.restore().await;
        }
        trail.execute("UPDATE audit_thinnings SET key_id = 'nobody' WHERE events_from < '2026-12-01'").await;
        assert_eq!(trail.found().await[0], (Flaw::UnknownKey, None, None), "{name}");
        trail.restore().await;
        trail.execute("DELETE FROM audit_thinnings").await;
        let found = trail.found().await;
        assert_eq!(found.len(), 12, "{name}: {found:?}");
        assert!(found.iter().all(|found| found.0 == Flaw::EventRemoved && routine.contains(&found.2.unwrap())), "{name}");
        trail.restore().await;
        assert!(trail.found().await.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn what_is_not_sealed_or_was_changed_is_not_dropped() {
    for trail in Trail::on_every_store().await {
        let routine = four_months(&trail).await;
        let name = trail.store.name;
        let keeping = by_class(&trail, 2_557, 60);
        trail.break_in().await;
        for change in ["context = '{}'", "class = 'routine'"] {
            let whose = if change.contains("class") { "act = 'create_session'".to_owned() } else { format!("id = {}", trail.id(routine[3])) };
            trail.execute(&format!("UPDATE audit_events SET {change} WHERE {whose}")).await;
            let refused = keeping.prune(Requester::job(), None).await;
            assert!(matches!(refused, Err(PruneError::Tampered)), "{name}: {change}: {refused:?}");
            trail.restore().await;
        }
        trail.execute("DELETE FROM audit_chain WHERE position > 12").await;
        let refused = keeping.prune(Requester::job(), None).await;
        assert!(matches!(refused, Err(PruneError::Unsealed)), "{name}: {refused:?}");
        trail.restore().await;
        assert_eq!((count(&trail, "audit_thinnings").await, count(&trail, "audit_events WHERE class = 'routine'").await), (0, 24), "{name}");
        // What turns up in a month that was thinned stays and is no reason to stop.
        assert_eq!(keeping.prune(Requester::job(), None).await.unwrap().routine, 12, "{name}");
    }
}
