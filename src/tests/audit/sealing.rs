//! Sealing: every committed event gets one position, in whatever order they were committed and however many seal.

use std::sync::Arc;

use chrono::Duration;
use dashtam::{
    application::{
        access::Requester,
        audit::Journal,
        chain::{CheckpointSigner as _, Signing},
    },
    domain::{audit::Act, event::Event, id::UserId, time::Clock as _, user::Role},
};

use super::{Trail, signer};
use crate::harness::{
    app::TestApp,
    clock::TestRandomness,
    stores::{TestStore, open},
};

async fn numbers(store: &TestStore, sql: &str) -> Vec<i64> {
    store.query(sql).await.iter().map(|row| row.try_get("", "n").unwrap()).collect()
}

#[tokio::test]
async fn every_event_gets_the_next_position_once() {
    for trail in Trail::on_every_store().await {
        let ids = trail.record(7).await;
        assert_eq!(trail.keeper.turn().await.unwrap(), 7, "{}", trail.store.name);
        assert_eq!(trail.keeper.turn().await.unwrap(), 0);
        let more = trail.record(1_300).await;
        assert_eq!(trail.keeper.turn().await.unwrap(), 1_300);
        assert_eq!(numbers(&trail.store, "SELECT position AS n FROM audit_chain ORDER BY position").await, (1..=1_307).collect::<Vec<_>>());
        let in_order = trail.store.query("SELECT event_id FROM audit_chain ORDER BY position").await;
        let in_order: Vec<uuid::Uuid> = in_order.iter().map(|row| row.try_get("", "event_id").unwrap()).collect();
        assert_eq!(in_order, [ids, more].concat());
        assert!(trail.store.query("SELECT 1 FROM audit_unsealed").await.is_empty());
        let (findings, tally) = trail.check().await;
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!((tally.entries, tally.position, tally.unsealed, tally.unsigned), (1_307, 1_307, 0, 0));
    }
}

#[tokio::test]
async fn what_commits_late_gets_a_later_position_and_is_not_missed() {
    for store in crate::harness::stores::every_store().await.into_iter().filter(TestStore::is_postgres) {
        let trail = Trail::over(store);
        let succeed = |user: u128| Event::UserCreated { user: UserId(uuid::Uuid::from_u128(user)), role: Role::User };
        // Two transactions that are open at once, the older row committed last, and after the younger one was sealed.
        let (early, late) = (trail.store.begin().await, trail.store.begin().await);
        trail.keeper.turn().await.unwrap();
        trail.store.clock.pass(Duration::seconds(1));
        let raw = sea_orm::Database::connect(&trail.store.url).await.unwrap();
        let open = sea_orm::TransactionTrait::begin(&raw).await.unwrap();
        let copy = "INSERT INTO audit_events (id, recorded_at, attempt_id, act, outcome, actor_kind, actor_hash, context) \
                    SELECT gen_random_uuid(), recorded_at - interval '3 days', gen_random_uuid(), act, outcome, actor_kind, actor_hash, context FROM audit_events LIMIT 1";
        sea_orm::ConnectionTrait::execute_unprepared(&open, copy).await.unwrap();
        late.succeed(succeed(2)).await.unwrap();
        trail.keeper.turn().await.unwrap();
        early.succeed(succeed(1)).await.unwrap();
        trail.keeper.turn().await.unwrap();
        open.commit().await.unwrap();
        assert_eq!(trail.keeper.turn().await.unwrap(), 1);
        let order = "SELECT c.position AS n FROM audit_chain c ORDER BY c.event_recorded_at, c.event_id";
        assert_eq!(numbers(&trail.store, order).await.first(), Some(&5), "the oldest event was committed last");
        let (findings, tally) = trail.check().await;
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!((tally.entries, tally.unsealed), (5, 0));
        assert_eq!(trail.store.database.chain_store().find_lost().await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sealers_that_run_at_once_while_others_write_give_each_event_one_position() {
    for store in crate::harness::stores::every_store().await {
        let (url, clock) = (store.url.clone(), store.clock.clone());
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let database = open(&url, &clock).await.unwrap();
            let clock = clock.clone();
            tasks.spawn(async move {
                let journal = Journal::new(database.audit_log(), clock, Arc::new(TestRandomness));
                for _ in 0..60 {
                    journal.attempt(&Requester::command_line(None), Act::CreateUser).await.unwrap();
                }
            });
        }
        for _ in 0..4 {
            let database = open(&url, &clock).await.unwrap();
            let clock = clock.clone();
            tasks.spawn(async move {
                let chain = database.chain_store();
                for turn in 0..60_u64 {
                    chain.seal().await.unwrap();
                    let signing = Signing::WhenDue { positions: 10, before: clock.now().minus(Duration::hours(1)) };
                    if turn % 5 == 0 {
                        chain.checkpoint(signer().as_ref(), signing, clock.now()).await.unwrap();
                    }
                }
            });
        }
        tasks.join_all().await;
        let trail = Trail::over(store);
        trail.keeper.close().await.unwrap();
        let (findings, tally) = trail.check().await;
        assert!(findings.is_empty(), "{}: {findings:?}", trail.store.name);
        assert_eq!((tally.entries, tally.unsigned), (180, 0));
        assert!(tally.checkpoints >= 2);
    }
}

#[tokio::test]
async fn the_chain_can_be_neither_changed_nor_removed() {
    for trail in Trail::on_every_store().await {
        trail.sealed(4).await;
        let mut attacks = Vec::new();
        for (table, column) in [
            ("audit_chain", "chain_hash"),
            ("audit_checkpoints", "signature"),
            ("audit_keys", "public_key"),
            ("audit_cuts", "signature"),
            ("audit_thinnings", "signature"),
        ] {
            if table == "audit_cuts" {
                trail.execute(&format!("INSERT INTO audit_cuts VALUES (1, 0, {0}, 0, '2020-01-01', '2020-01-01', 'nobody', {0})", trail.bytes(&[0; 32]))).await;
            }
            if table == "audit_thinnings" {
                let zeros = trail.bytes(&[0; 32]);
                trail
                    .execute(&format!("INSERT INTO audit_thinnings VALUES ('none', '2020-01-01', '2020-02-01', 0, {zeros}, '2020-03-01', 'nobody', {zeros})"))
                    .await;
            }
            attacks.extend([format!("UPDATE {table} SET {column} = {column}"), format!("DELETE FROM {table}")]);
            if trail.store.is_postgres() {
                attacks.push(format!("TRUNCATE {table}"));
            } else {
                attacks.push(format!("REPLACE INTO {table} SELECT * FROM {table}"));
            }
        }
        if !trail.store.is_postgres() {
            // Another position for the event of the first one.
            attacks
                .push("REPLACE INTO audit_chain SELECT 99, event_recorded_at, event_id, event_hash, chain_hash FROM audit_chain WHERE position = 1".to_owned());
        }
        for attack in attacks {
            assert!(trail.store.execute(&attack).await.is_err(), "{} let through: {attack}", trail.store.name);
        }
    }
}

#[tokio::test]
async fn events_that_were_taken_off_the_list_are_found_again() {
    for trail in Trail::on_every_store().await {
        trail.sealed(4).await;
        trail.record(3).await;
        trail.execute("DELETE FROM audit_unsealed").await;
        assert_eq!(trail.keeper.turn().await.unwrap(), 0);
        assert_eq!(trail.check().await.1.unsealed, 3, "{}: a verification looks at everything", trail.store.name);
        assert_eq!(trail.store.database.chain_store().find_lost().await.unwrap(), 3);
        assert_eq!(trail.store.database.chain_store().find_lost().await.unwrap(), 0);
        // An event on the list by mistake is passed over, and goes from it.
        trail.execute("INSERT INTO audit_unsealed SELECT event_recorded_at, event_id FROM audit_chain WHERE position = 2").await;
        assert_eq!(trail.keeper.turn().await.unwrap(), 3);
        let (findings, tally) = trail.check().await;
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!(tally.entries, 7);
    }
}

#[tokio::test]
async fn checkpoints_come_after_ten_minutes_or_a_thousand_positions_and_at_the_end() {
    for trail in Trail::on_every_store().await {
        let signed = || trail.published().iter().map(|checkpoint| checkpoint.head.position).collect::<Vec<_>>();
        trail.keeper.turn().await.unwrap();
        assert!(signed().is_empty(), "there is nothing to sign");
        trail.record(2).await;
        trail.keeper.turn().await.unwrap();
        assert_eq!(signed(), [2], "the first is signed at once");
        trail.record(2).await;
        trail.keeper.turn().await.unwrap();
        assert_eq!(signed(), [2]);
        assert_eq!(trail.check().await.1.unsigned, 2);
        trail.store.clock.pass(Duration::minutes(10));
        trail.keeper.turn().await.unwrap();
        assert_eq!(signed(), [2, 4]);
        trail.record(1_000).await;
        trail.keeper.turn().await.unwrap();
        assert_eq!(signed(), [2, 4, 1_004]);
        trail.record(1).await;
        trail.keeper.close().await.unwrap();
        trail.keeper.close().await.unwrap();
        assert_eq!(signed(), [2, 4, 1_004, 1_005], "{}", trail.store.name);
        assert!(trail.published().iter().all(|checkpoint| checkpoint.key_id == signer().key_id()));
        assert!(trail.found_with_published().await.is_empty());
    }
}

#[tokio::test]
async fn what_a_server_does_is_sealed_as_it_was_done_and_persons_may_be_forgotten() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        app.signed_in("bob").await;
        app.app.keeper.introduce().await.unwrap();
        app.app.keeper.close().await.unwrap();
        let events = app.count("audit_events").await;
        let persons = app.count("audit_person").await;
        let store = app.store;
        let trail = Trail::over(store);
        let (findings, tally) = trail.check().await;
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!((tally.entries, tally.persons, tally.checkpoints), (events.unsigned_abs(), persons.unsigned_abs(), 1));
        trail.execute("DELETE FROM audit_person").await;
        let (findings, tally) = trail.check().await;
        assert!(findings.is_empty(), "{}: {findings:?}", trail.store.name);
        assert_eq!((tally.entries, tally.persons), (events.unsigned_abs(), 0));
    }
}

#[tokio::test]
async fn an_unsealed_event_may_wait_for_five_minutes() {
    for trail in Trail::on_every_store().await {
        trail.sealed(4).await;
        let young = trail.record(2).await;
        let (findings, tally) = trail.check().await;
        assert!(findings.is_empty());
        assert_eq!(tally.unsealed, 2);
        trail.store.clock.pass(Duration::seconds(301));
        let found = trail.found().await;
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().zip(young).all(|(found, id)| *found == (super::Flaw::EventAdded, None, Some(id))));
        // Nor may a position wait for its signature longer than half an hour.
        trail.store.database.chain_store().seal().await.unwrap();
        assert!(trail.found().await.is_empty());
        trail.store.clock.pass(Duration::minutes(31));
        assert_eq!(trail.found().await, [(super::Flaw::Unsigned, Some(6), None)]);
        trail.keeper.turn().await.unwrap();
        assert!(trail.found().await.is_empty());
    }
}
