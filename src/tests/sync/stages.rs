//! Which days are fetched: the recent ones first, then the history, then what may have changed.

use chrono::Duration;
use dashtam::{application::ports::ProviderFault, domain::time::Clock};
use serde_json::json;

use crate::harness::{app::TestApp, bank::posted};

use super::{asks_later, synced};

fn window(from: &str, to: &str) -> (String, String) {
    (from.to_owned(), to.to_owned())
}

#[tokio::test]
async fn a_first_sync_brings_thirty_days_and_then_everything_before_them() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![
            posted("new", "2026-10-24", -100, "New"),
            posted("old", "2026-10-23", -100, "Old"),
            posted("oldest", "2024-11-23", -100, "Oldest"),
        ]);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        assert_eq!(ann.link(&link).await["coverage"], json!({ "from": null, "to": null }));
        assert_eq!(app.work().await, 1);
        assert_eq!(app.bank.windows(), [window("2026-10-24", "2026-11-23"), window("2024-11-23", "2026-10-23")]);
        let told = ann.link(&link).await;
        assert_eq!(told["coverage"], json!({ "from": "2024-11-23", "to": "2026-11-23" }));
        let sync = &told["lastSync"];
        assert_eq!((&sync["status"], &sync["problem"], &sync["accounts"], &sync["added"]), (&json!("SUCCEEDED"), &json!(null), &json!(1), &json!(3)));
        assert_eq!(app.outcomes("sync_link").await, vec![("succeeded".to_owned(), None); 2], "each stage is an act of its own");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn data_is_fresh_for_a_day_after_everything_came() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("new", "2026-11-20", -100, "New")]);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        assert_eq!(ann.link(&link).await["freshness"], json!({ "state": "NEVER", "syncedAt": null }));
        let synced_at = app.store.clock.now().to_string();
        app.work().await;
        assert_eq!(ann.link(&link).await["freshness"], json!({ "state": "FRESH", "syncedAt": synced_at }));
        let ann = app.later(Duration::days(1), "ann").await;
        assert_eq!(ann.link(&link).await["freshness"]["state"], "FRESH");
        let ann = app.later(Duration::seconds(1), "ann").await;
        assert_eq!(ann.link(&link).await["freshness"], json!({ "state": "STALE", "syncedAt": synced_at }));
        app.bank.script(|script| script.accounts_fault = Some(ProviderFault::ServerError));
        ann.sync(&link, false).await.succeeds();
        app.work().await;
        assert_eq!(ann.link(&link).await["freshness"]["syncedAt"], synced_at, "a sync that fails refreshes nothing");
    }
}

#[tokio::test]
async fn a_crash_between_the_stages_loses_nothing() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("new", "2026-11-20", -100, "New"), posted("old", "2025-06-01", -100, "Old")]);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        let gate = app.bank.hold_page(1);
        let worker = app.worker();
        gate.reached().await;
        worker.abort();
        assert!(worker.await.unwrap_err().is_cancelled());
        let kept = ann.transaction_ids().await;
        assert_eq!(kept.len(), 1, "the first stage stands");
        assert_eq!(ann.link(&link).await["lastSync"]["status"], "RUNNING");
        assert_eq!(app.work().await, 0, "its worker may be alive");
        app.bank.windows();

        let ann = app.later(Duration::minutes(10) + Duration::seconds(1), "ann").await;
        assert_eq!(app.work().await, 1);
        assert_eq!(app.bank.windows(), [window("2024-11-23", "2026-10-23")], "only the second stage is fetched again");
        assert_eq!(ann.link(&link).await["lastSync"]["added"], 2);
        let ids = ann.transaction_ids().await;
        assert_eq!((ids.len(), &ids[0]), (2, &kept[0]));
        app.holds(&[("accounts", 1), ("transactions", 2)]).await;
    }
}

#[tokio::test]
async fn a_history_left_over_from_an_earlier_sync_does_not_hide_newer_days() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("new", "2026-11-20", -100, "New"), posted("old", "2025-06-01", -100, "Old")]);
        let link = app.signed_in("ann").await.link_scripted().await;
        app.bank.refuse_page(1, ProviderFault::Malformed);
        for _ in 0..5 {
            app.work().await;
            app.pass(Duration::minutes(15));
            app.bank.refuse_page(0, ProviderFault::Malformed);
        }
        app.bank.script(|script| script.page_fault = None);
        app.bank.windows();

        app.pass(Duration::days(40));
        app.bank.reports(vec![
            posted("newest", "2026-12-30", -100, "Newest"),
            posted("new", "2026-11-20", -100, "New"),
            posted("old", "2025-06-01", -100, "Old"),
        ]);
        let ann = app.signed_in("ann").await;
        assert_eq!(ann.link(&link).await["lastSync"]["status"], "FAILED");
        ann.sync(&link, false).await.succeeds();
        assert_eq!(app.work().await, 1);
        assert_eq!(app.bank.windows(), [window("2026-11-13", "2027-01-02"), window("2025-01-02", "2026-10-23")]);
        let told = ann.link(&link).await;
        assert_eq!((&told["lastSync"]["status"], &told["coverage"]["to"]), (&json!("SUCCEEDED"), &json!("2027-01-02")));
        assert_eq!(ann.transactions().await.len(), 3);
    }
}

#[tokio::test]
async fn a_later_sync_brings_what_may_have_changed_and_all_days_since() {
    for app in TestApp::on_every_store().await {
        let (_, link) = synced(&app, vec![]).await;
        asks_later(&app, &link, Duration::days(3)).await;
        assert_eq!(app.work().await, 1);
        assert_eq!(app.bank.windows(), [window("2026-11-13", "2026-11-26")]);
        asks_later(&app, &link, Duration::days(60)).await;
        assert_eq!(app.work().await, 1);
        assert_eq!(app.bank.windows(), [window("2026-11-16", "2027-01-25")], "nothing in between is left out");
        assert_eq!(app.signed_in("ann").await.link(&link).await["coverage"], json!({ "from": "2024-11-23", "to": "2027-01-25" }));
    }
}

#[tokio::test]
async fn all_pages_of_all_accounts_are_read() {
    for app in TestApp::on_every_store().await {
        let rows: Vec<_> = (0..7).map(|at| posted(&format!("r{at}"), "2026-11-20", -100 - at, "Row")).collect();
        app.bank.script(|script| script.page_size = 3);
        let (ann, _) = synced(&app, rows).await;
        assert_eq!(ann.transactions().await.len(), 7);
        assert_eq!(app.bank.script(|script| script.pages), 4, "three recent pages and one of the history");
    }
}

#[tokio::test]
async fn a_sync_that_still_owes_history_brings_what_came_since_first() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("new", "2026-11-20", -100, "New")]);
        let link = app.signed_in("ann").await.link_scripted().await;
        app.bank.refuse_page(1, ProviderFault::Malformed);
        app.work().await;
        for _ in 0..4 {
            app.pass(Duration::minutes(15));
            app.bank.refuse_page(0, ProviderFault::Malformed);
            app.work().await;
        }
        let ann = app.signed_in("ann").await;
        let told = ann.link(&link).await;
        assert_eq!((&told["lastSync"]["status"], &told["freshness"]["state"]), (&json!("FAILED"), &json!("NEVER")));
        app.bank.script(|script| script.page_fault = None);
        app.bank.windows();
        app.bank.reports(vec![posted("newer", "2026-11-23", -50_000, "Newer"), posted("new", "2026-11-20", -100, "New")]);
        ann.sync(&link, true).await.succeeds();
        assert_eq!(app.work().await, 1);
        assert_eq!(app.bank.windows(), [window("2026-11-13", "2026-11-23"), window("2024-11-23", "2026-10-23")]);
        assert_eq!(ann.transactions().await.len(), 2, "{}", app.store.name);
        assert_eq!(ann.link(&link).await["freshness"], json!({ "state": "FRESH", "syncedAt": app.store.clock.now().to_string() }));
    }
}
