//! How long a long trail takes. Not a part of every run: `docs/guides/audit.md` says how it is run, and what came of it.

use std::{fmt::Write as _, time::Instant};

use chrono::Duration;
use dashtam::{
    application::ports::Randomness as _,
    domain::{
        chain::{EventKey, StoredPerson},
        time::Clock as _,
    },
};

use crate::harness::clock::TestRandomness;

use super::{Ed25519Check, Trail, TrustedKeys, Verifier, signer, verify};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes, and is meant for a release build"]
#[expect(clippy::print_stdout, reason = "its result is a figure")]
async fn a_million_entries_are_sealed_and_verified_in_seconds() {
    let entries: usize = std::env::var("ENTRIES").map_or(1_000_000, |entries| entries.parse().unwrap());
    for trail in Trail::on_every_store().await {
        let now = trail.store.clock.now();
        for chunk in 0..entries.div_ceil(500) {
            let (mut events, mut persons) = (Vec::new(), Vec::new());
            for number in chunk * 500..(chunk * 500 + 500).min(entries) {
                let recorded_at = now.plus(Duration::milliseconds(i64::try_from(number).unwrap()));
                let key = EventKey { recorded_at, id: TestRandomness.id() };
                let salt = TestRandomness.secret().to_vec();
                let user = TestRandomness.id();
                let person = StoredPerson {
                    event: key,
                    part: "actor".to_owned(),
                    user: Some(user),
                    email: None,
                    ip: Some("192.0.2.1".to_owned()),
                    user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".to_owned()),
                    salt,
                };
                let (id, at) = (trail.id(key.id), recorded_at.utc().to_rfc3339());
                events.push(format!(
                    "({id}, '{at}', {id}, 'refresh_session', 'succeeded', 'user', {}, NULL, 'session', {id}, NULL, '{{}}', '4bf92f3577b34da6a3ce929d0e0e4736', 'standard')",
                    trail.bytes(&person.hash())
                ));
                persons.push(format!(
                    "({id}, 'actor', '{at}', {}, NULL, '192.0.2.1', '{}', {})",
                    trail.id(user),
                    person.user_agent.unwrap(),
                    trail.bytes(&person.salt)
                ));
            }
            let mut sql = String::from("BEGIN;");
            for (table, rows) in [("audit_events", events), ("audit_person", persons)] {
                let columns = if table == "audit_events" {
                    "id, recorded_at, attempt_id, act, outcome, actor_kind, actor_hash, subject_hash, resource_kind, resource_id, reason, context, trace_id, class"
                } else {
                    "event_id, role, recorded_at, user_id, email, ip, user_agent, salt"
                };
                write!(sql, "INSERT INTO {table} ({columns}) VALUES {};", rows.join(",")).unwrap();
            }
            trail.execute(&(sql + "COMMIT;")).await;
        }
        if trail.store.is_postgres() {
            trail.execute("ANALYZE audit_events, audit_person, audit_unsealed").await;
        }
        trail.keeper.introduce().await.unwrap();
        let began = Instant::now();
        trail.keeper.close().await.unwrap();
        let sealed = began.elapsed();
        trail.store.clock.pass(Duration::hours(1));
        if trail.store.is_postgres() {
            trail.execute("ANALYZE audit_chain").await;
        }
        let mut took = Vec::new();
        for persons in [false, true] {
            let began = Instant::now();
            let mut report = |finding| panic!("{finding:?}");
            let verifier = Verifier::new(&Ed25519Check, TrustedKeys::given(signer().public_keys().to_vec()), Vec::new(), trail.store.clock.now(), &mut report);
            let tally = verify(trail.store.database.readers().ledger().await.unwrap(), verifier, persons, &|_| {}).await.unwrap();
            took.push(began.elapsed());
            assert_eq!((tally.entries, tally.persons), (entries as u64, if persons { entries as u64 } else { 0 }));
        }
        println!("{}: {entries} entries sealed in {sealed:.1?}, verified in {:.1?}, with their persons in {:.1?}", trail.store.name, took[0], took[1]);
    }
}
