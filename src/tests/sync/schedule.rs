//! Syncs that nobody asks for.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use chrono::Duration;
use dashtam::{
    application::ports::ProviderFault,
    domain::{
        schedule::{Pace, SyncPlan},
        sync::SyncStatus,
        time::{Clock as _, Timestamp},
        user::Role,
    },
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::{app::TestApp, bank::posted, client::Client};

use super::synced;

/// The end of a link's history, as its owner sees it.
async fn history(client: &Client<'_>, link: &str) -> Vec<Value> {
    let document = "query($id: ID!) { node(id: $id) { ... on Link { syncs(last: 3) { totalCount nodes { origin status problem attempts added } } } } }";
    client.ask_with(document, json!({ "id": link })).await.data()["node"]["syncs"]["nodes"].as_array().unwrap().clone()
}

/// When a link says that it is synced next, from now.
async fn next(app: &TestApp, client: &Client<'_>, link: &str) -> Option<Duration> {
    let told =
        client.ask_with("query($id: ID!) { node(id: $id) { ... on Link { nextSyncAt } } }", json!({ "id": link })).await.data()["node"]["nextSyncAt"].clone();
    let at = chrono::DateTime::parse_from_rfc3339(told.as_str()?).unwrap();
    Some(Timestamp::new(at.into()).since(app.store.clock.now()))
}

#[tokio::test]
async fn a_link_is_synced_by_itself_a_few_times_a_day_and_once_after_a_long_night() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        let due = next(&app, &ann, &link).await.unwrap();
        assert!((Duration::hours(6)..=Duration::minutes(396)).contains(&due), "{due}");
        assert_eq!(app.look().await, 0);
        app.pass(due - Duration::microseconds(1));
        assert_eq!(app.look().await, 0, "not yet, {}", app.store.name);
        app.pass(Duration::microseconds(1));
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes"), posted("y", "2026-11-22", -100, "Gum")]);
        assert_eq!((app.look().await, app.look().await), (1, 0), "once");
        assert_eq!(app.work().await, 1);
        let ann = app.signed_in("ann").await;
        assert_eq!((ann.link(&link).await["lastSync"]["status"].clone(), ann.transactions().await.len()), (json!("SUCCEEDED"), 2));
        let entry = |origin: &str, added: u32| json!({ "origin": origin, "status": "SUCCEEDED", "problem": null, "attempts": 1, "added": added });
        assert_eq!(history(&ann, &link).await, [entry("LINKED", 1), entry("SCHEDULED", 1)]);
        app.pass(Duration::days(30));
        assert_eq!((app.look().await, app.work().await, app.look().await), (1, 1, 0), "what was missed is not made up for");
        assert_eq!(app.count("syncs").await, 3);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_fails_waits_longer_every_time_and_what_works_again_does_not() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        ann.import("a.ofx", include_str!("../fixtures/ofx/checking-sgml.ofx"), None).await.succeeds();
        app.bank.script(|script| script.accounts_fault = Some(ProviderFault::ServerError));
        app.pass(Duration::hours(7));
        assert_eq!(app.look().await, 1, "files have nobody to ask");
        for hours in [12, 24, 48, 48] {
            for _ in 0..5 {
                assert_eq!((app.work().await, app.look().await), (1, 0), "one at a time, also while it waits, {}", app.store.name);
                app.pass(Duration::minutes(16));
            }
            let ann = app.signed_in("ann").await;
            assert_eq!(app.last_sync("ann", &link).await.status, SyncStatus::Failed);
            assert_eq!(app.work().await, 0, "given up");
            let due = next(&app, &ann, &link).await.unwrap() + Duration::minutes(16);
            assert!((Duration::hours(hours)..=Duration::hours(hours) + Duration::minutes(36)).contains(&due), "{due} of {hours}");
            app.pass(due);
            assert_eq!(app.look().await, 1);
        }
        app.bank.script(|script| script.accounts_fault = None);
        app.work().await;
        let ann = app.signed_in("ann").await;
        assert_eq!(ann.link(&link).await["lastSync"]["status"], "SUCCEEDED");
        assert!(next(&app, &ann, &link).await.unwrap() < Duration::hours(7));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_provider_that_asks_for_a_day_gets_it() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        app.bank.script(|script| script.accounts_fault = Some(ProviderFault::RateLimited { retry_after: Some(80_000) }));
        ann.sync(&link, true).await.succeeds();
        for _ in 0..4 {
            assert_eq!((app.work().await, app.work().await), (1, 0));
            app.pass(Duration::seconds(79_999));
            assert_eq!(app.work().await, 0, "not a second sooner");
            app.pass(Duration::seconds(1));
        }
        assert_eq!(app.work().await, 1);
        let ann = app.signed_in("ann").await;
        assert_eq!(ann.link(&link).await["lastSync"]["problem"], "RATE_LIMITED");
        assert!(next(&app, &ann, &link).await.unwrap() >= Duration::seconds(80_000));
    }
}

#[tokio::test]
async fn links_that_do_not_work_and_people_who_are_kept_out_are_left_alone() {
    for app in TestApp::on_every_store().await {
        let (_, link) = synced(&app, vec![]).await;
        app.signed_in("bob").await.link_scripted().await;
        let eve = app.signed_in("eve").await;
        let unlinked = eve.link_scripted().await;
        app.work().await;
        eve.unlink(&unlinked, true).await.succeeds();
        assert_eq!(next(&app, &eve, &unlinked).await, None);
        app.pass(Duration::hours(7));
        app.bank.script(|script| (script.accounts_fault, script.refresh) = (Some(ProviderFault::Refused), Some(ProviderFault::Refused)));
        app.store.execute("UPDATE users SET is_active = FALSE WHERE email LIKE 'bob%'").await.unwrap();
        assert_eq!((app.look().await, app.work().await), (1, 1), "Ann's alone, {}", app.store.name);
        let ann = app.signed_in("ann").await;
        assert_eq!((ann.link(&link).await["status"].clone(), next(&app, &ann, &link).await), (json!("EXPIRED"), None));
        app.pass(Duration::days(20));
        assert_eq!(app.look().await, 0, "an expired link waits for its user");
        app.store.execute("UPDATE users SET is_active = TRUE, erasure_due_at = created_at WHERE email LIKE 'bob%'").await.unwrap();
        assert_eq!(app.look().await, 0, "nobody reads anything more of who is going to be erased");
        app.store.execute("UPDATE users SET erasure_due_at = NULL").await.unwrap();
        app.store.execute("UPDATE links SET provider = 'no-longer-there' WHERE status = 'active'").await.unwrap();
        assert_eq!(app.look().await, 0, "nor from a provider this server no longer knows");
        app.store.execute("UPDATE links SET provider = 'scripted' WHERE provider = 'no-longer-there'").await.unwrap();
        app.bank.script(|script| (script.accounts_fault, script.refresh) = (None, None));
        assert_eq!((app.look().await, app.work().await), (1, 1));
        assert_eq!(app.last_outcome("sync_link").await, ("succeeded".to_owned(), None));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_that_look_at_once_queue_each_sync_once() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![]);
        for name in ["ann", "bob", "eve"] {
            app.signed_in(name).await.link_scripted().await;
        }
        app.work().await;
        app.promote("eve", Role::Readonly).await;
        app.pass(Duration::hours(8));
        let (before, other) = (app.count("syncs").await, app.beside().await);
        let stop = CancellationToken::new();
        let looks = [&app.app, &other, &app.app, &other, &app.app, &other].map(|one| one.timekeeper.scheduler.queue_due(&stop));
        let looked = futures_util::future::join_all(looks).await;
        let queued: usize = looked.into_iter().map(Result::unwrap).sum();
        assert_eq!((queued, app.count("syncs").await - before), (3, 3), "{}", app.store.name);
        assert_eq!(app.outcomes("schedule_sync").await, vec![("succeeded".to_owned(), None); 3], "nobody tried in vain");
        assert_eq!(app.work().await, 3);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_somebody_waits_for_goes_first() {
    for app in TestApp::on_every_store().await {
        let (_, by_itself) = synced(&app, vec![]).await;
        let asked = app.signed_in("bob").await.link_scripted().await;
        app.work().await;
        app.pass(Duration::hours(8));
        assert_eq!(app.look().await, 2);
        app.store.execute("DELETE FROM syncs WHERE status = 'queued' AND user_id = (SELECT id FROM users WHERE email LIKE 'bob%')").await.unwrap();
        app.pass(Duration::seconds(1));
        app.signed_in("bob").await.sync(&asked, false).await.succeeds();
        assert!(app.app.engine.run_next().await.unwrap());
        assert_eq!(app.last_sync("bob", &asked).await.status, SyncStatus::Succeeded);
        assert_eq!(app.last_sync("ann", &by_itself).await.status, SyncStatus::Queued);
    }
}

#[tokio::test]
async fn a_worker_that_died_between_taking_and_queueing_costs_ten_minutes() {
    for app in TestApp::on_every_store().await {
        synced(&app, vec![]).await;
        app.pass(Duration::hours(7));
        let taken = app.store.database.schedule().take_any_to_sync_for_worker(&["scripted"], app.store.clock.now()).await.unwrap();
        assert!(taken.is_some());
        assert_eq!(app.look().await, 0);
        app.pass(Duration::minutes(10));
        assert_eq!(app.look().await, 1, "{}", app.store.name);
    }
}

#[test]
fn pauses_double_up_to_two_days_links_are_spread_over_a_tenth_and_the_operator_stretches_both() {
    let start = Timestamp::from_micros(0).unwrap();
    let pace = |percent| Pace { percent };
    let hours = pace(100).interval(1);
    assert_eq!((hours, pace(100).interval(0), pace(50).interval(1), pace(1000).interval(2)), (Duration::hours(6), hours, hours / 2, hours * 20));
    let after = |plan: SyncPlan| plan.due_at.since(start);
    assert_eq!(after(SyncPlan::succeeded(start, hours, 0)), Duration::hours(6));
    assert_eq!(after(SyncPlan::succeeded(start, hours, u16::MAX)), Duration::minutes(396));
    let mut plan = SyncPlan::begun(start);
    for expected in [12, 24, 48, 48, 48] {
        plan = plan.failed(start, hours, 0, None);
        assert_eq!((after(plan), plan.failing_since), (Duration::hours(expected), Some(start)));
    }
    let seldom = pace(100).interval(35);
    assert_eq!(after(plan.failed(start, seldom, 0, None)), seldom, "never sooner than without a failure");
    let asked = start.plus(Duration::days(9));
    assert_eq!(plan.failed(start, hours, 0, Some(asked)).due_at, asked);
    let always = SyncPlan { failures: u32::MAX, ..plan };
    assert_eq!(after(always.failed(start, hours, 0, None)), Duration::hours(48));
}
