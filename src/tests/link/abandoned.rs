//! Links that nobody came back for.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use chrono::Duration;
use dashtam::{application::ports::ProviderFault, domain::user::Role};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::harness::app::TestApp;

/// Looks once for links that nobody came back for; answers how many failed.
async fn look(app: &TestApp) -> usize {
    app.app.timekeeper.abandoned.fail_due(&CancellationToken::new()).await.unwrap()
}

#[tokio::test]
async fn a_link_nobody_came_back_for_says_so_once_its_walk_is_over() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let working = ann.link_scripted().await;
        app.pass(Duration::hours(1));
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk(None).await;
        walk.leave().await;
        app.pass(Duration::minutes(15));
        assert_eq!(look(&app).await, 0, "whoever came back in time may wait for the bank, {}", app.store.name);
        app.pass(Duration::microseconds(1));
        assert_eq!((look(&app).await, look(&app).await), (1, 0));
        let ann = app.signed_in("ann").await;
        let told = ann.link(&walk.link).await;
        assert_eq!((&told["status"], &told["reason"], &told["nextAction"]), (&json!("FAILED"), &json!("TIMED_OUT"), &json!("RELINK")));
        assert_eq!(app.last_outcome("complete_link").await, ("failed".to_owned(), Some("timed_out".to_owned())));
        assert_eq!(ann.link(&working).await["status"], "ACTIVE");
        walk.come_back(&[("code", "a-code")]).await.is_page(200);
        assert_eq!(ann.link(&walk.link).await["reason"], "TIMED_OUT");
        assert!(app.bank.script(|script| script.exchanges.len() == 1), "only the other link's code was exchanged");

        app.holds(&[("authorizations", 2)]).await;
        app.pass(Duration::hours(24));
        assert_eq!(look(&app).await, 0);
        app.holds(&[("authorizations", 0), ("links", 2)]).await;
        app.every_attempt_ended_once().await;
    }
}

/// Spends the state of the walks there are, as a process does that is stopped before it knows what the bank says.
async fn stop_in_the_middle(app: &TestApp) {
    app.store.execute("UPDATE authorizations SET spent_at = started_at").await.unwrap();
}

#[tokio::test]
async fn a_link_whose_server_stopped_in_the_middle_says_so_soon() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk(None).await;
        walk.leave().await;
        stop_in_the_middle(&app).await;
        app.pass(Duration::minutes(5));
        assert_eq!(look(&app).await, 0, "whoever came back may wait for the bank, {}", app.store.name);
        app.pass(Duration::microseconds(1));
        assert_eq!((look(&app).await, look(&app).await), (1, 0));
        let told = ann.link(&walk.link).await;
        assert_eq!((&told["status"], &told["reason"], &told["nextAction"]), (&json!("FAILED"), &json!("INTERRUPTED"), &json!("RELINK")));
        assert_eq!(app.last_outcome("complete_link").await, ("failed".to_owned(), Some("interrupted".to_owned())));
        walk.come_back(&[("code", "a-code")]).await.is_page(409);

        // One that was set out on anew is waited for, whatever became of the one before.
        let again = ann.walk(None).await;
        let mut walk = ann.walk_again(&again.link, None).await;
        walk.leave().await;
        stop_in_the_middle(&app).await;
        app.pass(Duration::minutes(9));
        assert_eq!(look(&app).await, 0);
        app.pass(Duration::minutes(6));
        app.pass(Duration::seconds(1));
        assert_eq!(look(&app).await, 1);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn one_that_is_gone_on_with_is_waited_for_and_a_link_that_expired_keeps_its_reason() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let begun = ann.walk(None).await.link;
        let expired = ann.link_scripted().await;
        app.bank.script(|script| (script.accounts_fault, script.refresh) = (Some(ProviderFault::Refused), Some(ProviderFault::Refused)));
        app.work().await;
        ann.walk_again(&expired, None).await;
        app.pass(Duration::minutes(12));
        let ann = app.signed_in("ann").await;
        ann.walk_again(&begun, None).await;
        app.pass(Duration::minutes(12));
        assert_eq!(look(&app).await, 0, "{}", app.store.name);
        app.pass(Duration::minutes(12));
        assert_eq!(look(&app).await, 1);
        let ann = app.signed_in("ann").await;
        assert_eq!((&ann.link(&begun).await["reason"], &ann.link(&expired).await["reason"]), (&json!("TIMED_OUT"), &json!("CREDENTIALS_REJECTED")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_workers_one_fails_it() {
    for app in TestApp::on_every_store().await {
        let link = app.signed_in("ann").await.walk(None).await.link;
        app.pass(Duration::hours(1));
        let other = app.beside().await;
        let stop = CancellationToken::new();
        let failed = futures_util::future::join_all([&app.app, &other, &app.app, &other].map(|app| app.timekeeper.abandoned.fail_due(&stop))).await;
        assert_eq!(failed.into_iter().map(Result::unwrap).sum::<usize>(), 1, "{}", app.store.name);
        assert_eq!(app.signed_in("ann").await.link(&link).await["status"], "FAILED");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn whoever_may_not_link_any_more_does_not_by_a_walk_that_was_begun_before() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let [mut gone, stays] = [ann.walk(None).await, ann.walk(None).await];
        gone.leave().await;
        app.promote("ann", Role::Readonly).await;
        gone.come_back(&[("code", "a-code")]).await.is_page(403);
        assert_eq!(app.last_outcome("complete_link").await, ("failed".to_owned(), Some("forbidden".to_owned())));
        assert!(app.bank.script(|script| script.exchanges.is_empty()), "no bank is asked");
        app.holds(&[("credentials", 0), ("accounts", 0), ("syncs", 0)]).await;
        let ann = app.signed_in("ann").await;
        assert_eq!((&ann.link(&gone.link).await["status"], &ann.link(&stays.link).await["status"]), (&json!("PENDING"), &json!("PENDING")));
        app.promote("ann", Role::User).await;
        gone.come_back(&[("code", "a-code")]).await.is_page(200);
        assert_eq!(app.signed_in("ann").await.link(&gone.link).await["status"], "ACTIVE", "nothing was spent");
        app.every_attempt_ended_once().await;
    }
}
