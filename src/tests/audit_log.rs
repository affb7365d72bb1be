//! The trail: what is on it stays as it was, and every attempt ends in one outcome.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::sync::Arc;

use chrono::Duration;
use dashtam::{
    application::{
        audit::{AuditEntry, Person},
        ports::Randomness as _,
    },
    domain::{
        audit::{Act, Outcome, ResourceKind},
        event::Event,
        failure::Reason,
        id::{AttemptId, AuditEventId, UserId},
        time::{Clock as _, Timestamp},
        user::Role,
    },
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::harness::{
    clock::TestRandomness,
    rows,
    stores::{TestStore, every_store},
};

fn entry(attempt: Uuid, outcome: Outcome, recorded_at: Timestamp) -> AuditEntry {
    AuditEntry {
        id: AuditEventId(TestRandomness.id()),
        attempt: AttemptId(attempt),
        recorded_at,
        act: Act::CreateSession,
        outcome,
        actor_kind: "nobody",
        actor: Person { user: None, email: Some("ann@example.com".to_owned()), ip: Some("192.0.2.1".to_owned()), user_agent: None },
        subject: Some(Person { user: Some(UserId(Uuid::from_u128(9))), ..Person::default() }),
        resource: Some((ResourceKind::Session, Some(Uuid::from_u128(5)))),
        reason: None,
        context: vec![("role", "user".to_owned())],
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
    }
}

async fn record(store: &TestStore, entry: &AuditEntry) {
    store.database.audit_log().record(entry).await.unwrap();
}

/// Outcome and reason of every event of an attempt, oldest first.
async fn trail(store: &TestStore, attempt: Uuid) -> Vec<(String, Option<String>)> {
    let id = if store.is_postgres() { format!("'{attempt}'") } else { format!("x'{}'", attempt.simple()) };
    let rows = store.query(&format!("SELECT outcome, reason FROM audit_events WHERE attempt_id = {id} ORDER BY recorded_at, id")).await;
    rows.iter().map(|row| (row.try_get("", "outcome").unwrap(), row.try_get("", "reason").unwrap())).collect()
}

fn outcomes(trail: &[(String, Option<String>)]) -> Vec<&str> {
    trail.iter().map(|(outcome, _)| outcome.as_str()).collect()
}

#[tokio::test]
async fn an_event_holds_salted_hashes_and_its_persons_stand_apart() {
    for store in every_store().await {
        record(&store, &entry(Uuid::from_u128(1), Outcome::Attempted, store.clock.now())).await;
        let event = &store.query("SELECT * FROM audit_events").await[0];
        assert_eq!(event.try_get::<String>("", "context").unwrap(), r#"{"role":"user"}"#);
        assert_eq!(event.try_get::<String>("", "class").unwrap(), "standard");
        let persons = store.query("SELECT * FROM audit_person ORDER BY role").await;
        assert_eq!(persons.len(), 2);
        let field = |value: Option<&[u8]>| match value {
            None => vec![0],
            Some(bytes) => [&[1][..], &u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat(),
        };
        for (person, column) in persons.iter().zip(["actor_hash", "subject_hash"]) {
            let text = |column: &str| person.try_get::<Option<String>>("", column).unwrap();
            let user = person.try_get::<Option<Uuid>>("", "user_id").unwrap().map(Uuid::into_bytes);
            let (role, email, ip, agent) = (text("role"), text("email"), text("ip"), text("user_agent"));
            let mut hashed = person.try_get::<Vec<u8>>("", "salt").unwrap();
            hashed.extend(field(role.as_deref().map(str::as_bytes)));
            hashed.extend(field(user.as_ref().map(<[u8; 16]>::as_slice)));
            for value in [email, ip, agent] {
                hashed.extend(field(value.as_deref().map(str::as_bytes)));
            }
            assert_eq!(event.try_get::<Vec<u8>>("", column).unwrap(), Sha256::digest(hashed).to_vec(), "{} {column}", store.name);
        }
        assert_ne!(persons[0].try_get::<Vec<u8>>("", "salt").unwrap(), persons[1].try_get::<Vec<u8>>("", "salt").unwrap());
    }
}

#[tokio::test]
async fn what_is_on_the_trail_can_be_neither_changed_nor_removed_and_persons_can_be_forgotten() {
    for store in every_store().await {
        // One in a month of its own, one in a month that has none.
        record(&store, &entry(Uuid::from_u128(1), Outcome::Attempted, store.clock.now())).await;
        record(&store, &entry(Uuid::from_u128(2), Outcome::Attempted, store.clock.now().minus(Duration::days(3_650)))).await;
        let mut attacks =
            vec!["UPDATE audit_events SET outcome = 'succeeded'", "UPDATE audit_events SET recorded_at = recorded_at", "DELETE FROM audit_events"];
        if store.is_postgres() {
            attacks.extend([
                "TRUNCATE audit_events",
                "TRUNCATE audit_events_2026_11",
                "TRUNCATE audit_events_default",
                "UPDATE audit_events_2026_11 SET outcome = 'x'",
                "DELETE FROM audit_events_default",
                "INSERT INTO audit_events SELECT * FROM audit_events ON CONFLICT (recorded_at, id) DO UPDATE SET outcome = 'x'",
            ]);
        } else {
            attacks.extend([
                "REPLACE INTO audit_events SELECT * FROM audit_events",
                "INSERT OR REPLACE INTO audit_events SELECT * FROM audit_events",
                "UPDATE OR REPLACE audit_events SET act = 'x'",
                "INSERT INTO audit_events SELECT * FROM audit_events WHERE TRUE ON CONFLICT DO UPDATE SET outcome = 'x'",
                "REPLACE INTO audit_events (rowid, id) VALUES (1, x'00')",
            ]);
        }
        let everything = "SELECT * FROM audit_events ORDER BY recorded_at";
        let before = format!("{:?}", store.query(everything).await.iter().map(|row| row.try_get::<String>("", "outcome").unwrap()).collect::<Vec<_>>());
        for attack in attacks {
            assert!(store.execute(attack).await.is_err(), "{} let through: {attack}", store.name);
        }
        store.execute("DELETE FROM audit_person").await.unwrap();
        let after = format!("{:?}", store.query(everything).await.iter().map(|row| row.try_get::<String>("", "outcome").unwrap()).collect::<Vec<_>>());
        assert_eq!(before, after);
    }
}

#[tokio::test]
async fn every_partition_of_postgres_refuses_truncate() {
    for store in every_store().await.into_iter().filter(TestStore::is_postgres) {
        let partitions = store.query("SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'audit_events'::regclass").await;
        assert_eq!(partitions.len(), 25);
        for partition in partitions {
            let name: String = partition.try_get("", "name").unwrap();
            assert!(store.execute(&format!("TRUNCATE {name}")).await.is_err(), "{name}");
        }
    }
}

struct TooLate;

impl Reason for TooLate {
    fn reason(&self) -> &'static str {
        "too_late"
    }
}

#[tokio::test]
async fn a_work_that_succeeds_or_refuses_keeps_its_rows_and_a_dropped_one_keeps_nothing() {
    for store in every_store().await {
        let stored = async |email: &str| {
            let rows = store.query(&format!("SELECT 1 FROM users WHERE email = '{email}'")).await;
            rows.len()
        };
        for (email, kept) in [("kept@example.com", 1), ("refused@example.com", 1), ("dropped@example.com", 0)] {
            let user = rows::user(email, store.clock.now());
            let mut work = store.begin().await;
            assert!(work.users().insert(&user).await.unwrap());
            match email {
                "kept@example.com" => work.succeed(Event::UserCreated { user: user.id, role: Role::User }).await.unwrap(),
                "refused@example.com" => work.refuse(&TooLate).await.unwrap(),
                _ => drop(work),
            }
            assert_eq!(stored(email).await, kept, "{} {email}", store.name);
        }
        let rows = store.query("SELECT attempt_id, outcome, reason FROM audit_events").await;
        let count = |outcome: &str| rows.iter().filter(|row| row.try_get::<String>("", "outcome").unwrap() == outcome).count();
        assert_eq!((count("attempted"), count("succeeded"), count("failed")), (3, 1, 1));
        assert!(rows.iter().any(|row| row.try_get::<Option<String>>("", "reason").unwrap().as_deref() == Some("too_late")));
        // A checkpoint keeps rows and leaves the attempt open.
        let mut work = store.begin().await;
        assert!(work.users().insert(&rows::user("checked@example.com", store.clock.now())).await.unwrap());
        work.checkpoint().await.unwrap();
        assert_eq!((stored("checked@example.com").await, store.query("SELECT 1 FROM audit_events").await.len()), (1, rows.len() + 1));
        // The store works on after a rollback.
        store.user("next@example.com").await;
    }
}

#[tokio::test]
async fn an_attempt_whose_process_died_is_closed_once_and_no_other_is_touched() {
    for store in every_store().await {
        let now = store.clock.now();
        let attempts: Vec<_> = (0..6).map(|_| TestRandomness.id()).collect();
        let [old, done, refused, young, ancient, forgotten] = attempts[..] else { unreachable!() };
        for (attempt, age) in [
            (old, Duration::hours(2)),
            (done, Duration::hours(2)),
            (refused, Duration::hours(2)),
            (young, Duration::minutes(5)),
            (ancient, Duration::days(30)),
            (forgotten, Duration::days(6)),
        ] {
            record(&store, &entry(attempt, Outcome::Attempted, now.minus(age))).await;
        }
        record(&store, &entry(done, Outcome::Succeeded, now.minus(Duration::hours(1)))).await;
        record(&store, &entry(refused, Outcome::Failed, now.minus(Duration::hours(1)))).await;
        store.execute("DELETE FROM audit_person WHERE recorded_at < '2026-11-20'").await.unwrap();

        let before = now.minus(Duration::hours(1));
        let week = Some(now.minus(Duration::days(7)));
        assert_eq!(store.database.audit_log().close_orphans(week, before).await.unwrap(), 2, "{}", store.name);
        assert_eq!(store.database.audit_log().close_orphans(week, before).await.unwrap(), 0);
        for closed in [old, forgotten] {
            assert_eq!(trail(&store, closed).await[1], ("failed".to_owned(), Some("interrupted".to_owned())));
        }
        assert_eq!(outcomes(&trail(&store, done).await), ["attempted", "succeeded"]);
        assert_eq!(outcomes(&trail(&store, refused).await), ["attempted", "failed"]);
        assert_eq!(outcomes(&trail(&store, young).await), ["attempted"]);
        assert_eq!(outcomes(&trail(&store, ancient).await), ["attempted"], "older than a week is left alone");
        assert_eq!(store.database.audit_log().close_orphans(None, before).await.unwrap(), 1, "{}: unless everything is looked at", store.name);
        assert_eq!(outcomes(&trail(&store, ancient).await), ["attempted", "failed"]);

        // The persons go along, under salts of their own.
        let persons = store.query("SELECT p.email, p.user_id, p.role FROM audit_person p JOIN audit_events e ON e.id = p.event_id WHERE e.reason = 'interrupted' ORDER BY p.email, p.role").await;
        let named = persons.iter().filter(|row| row.try_get::<Option<String>>("", "email").unwrap().is_some()).count();
        assert_eq!((persons.len(), named), (4, 1), "{}", store.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sweepers_that_run_at_once_close_each_orphan_once() {
    for store in every_store().await {
        let before = store.clock.now().minus(Duration::hours(1));
        for number in 0..250 {
            record(&store, &entry(Uuid::from_u128(number), Outcome::Attempted, before.minus(Duration::minutes(1)))).await;
        }
        let log = store.database.audit_log();
        let mut sweepers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let log = Arc::clone(&log);
            sweepers.spawn(async move { log.close_orphans(None, before).await.unwrap() });
        }
        assert_eq!(sweepers.join_all().await.into_iter().sum::<u64>(), 250, "{}", store.name);
        assert_eq!(store.query("SELECT 1 FROM audit_events WHERE outcome = 'failed'").await.len(), 250);
    }
}
