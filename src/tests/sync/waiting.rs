//! What waits to be posted at a bank that tells only of the days it is asked for.

use chrono::Duration;
use dashtam::domain::provider::ReportedTransaction;
use serde_json::json;

use crate::harness::{
    app::TestApp,
    bank::{pending, posted},
    client::Client,
};

use super::{synced, syncs_again};

/// A hotel that was pending at the first sync and still is, sixteen days later; after a sync in between.
async fn waiting_for_long(app: &TestApp) -> (Client<'_>, String) {
    app.bank.script(|script| script.pending_by_day = true);
    let hotel = || vec![pending("p", "2026-11-22", -8_000, "Hotel")];
    let (_, link) = synced(app, hotel()).await;
    app.pass(Duration::days(12));
    let ann = app.signed_in("ann").await;
    syncs_again(app, &ann, &link, hotel()).await;
    app.pass(Duration::days(3));
    app.bank.windows();
    let ann = app.signed_in("ann").await;
    syncs_again(app, &ann, &link, hotel()).await;
    assert_eq!(app.bank.windows(), [("2026-11-22".to_owned(), "2026-12-08".to_owned())], "it is asked about");
    assert_eq!(ann.transactions().await.len(), 1, "it still waits, {}", app.store.name);
    (ann, link)
}

#[tokio::test]
async fn the_history_of_a_first_sync_withdraws_nothing_of_the_days_behind_it() {
    for app in TestApp::on_every_store().await {
        app.bank.script(|script| script.pending_by_day = true);
        let (ann, link) = synced(&app, vec![posted("x", "2026-09-01", -900, "Shoes"), pending("p", "2026-11-20", -500, "Bakery")]).await;
        let sync = ann.link(&link).await["lastSync"].clone();
        assert_eq!((&sync["added"], &sync["removed"]), (&json!(2), &json!(0)), "{}", app.store.name);
        assert_eq!(ann.transactions().await.len(), 2);
    }
}

#[tokio::test]
async fn what_waits_for_long_stays_and_is_the_same_row_once_it_is_posted() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = waiting_for_long(&app).await;
        let ids = ann.transaction_ids().await;
        // Posted under its own day, which an ordinary sync would not have asked for any more.
        syncs_again(&app, &ann, &link, vec![posted("p", "2026-11-22", -8_250, "Hotel")]).await;
        assert_eq!(ann.transaction_ids().await, ids, "{}", app.store.name);
        assert_eq!(ann.transactions().await[0]["status"], "POSTED");
        app.bank.windows();
        syncs_again(&app, &ann, &link, vec![posted("p", "2026-11-22", -8_250, "Hotel")]).await;
        assert_eq!(app.bank.windows(), [("2026-11-28".to_owned(), "2026-12-08".to_owned())], "nothing waits any more");
        assert_eq!(ann.transaction_ids().await, ids);
    }
}

#[tokio::test]
async fn what_waited_for_long_and_is_gone_is_withdrawn() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = waiting_for_long(&app).await;
        syncs_again(&app, &ann, &link, vec![]).await;
        assert_eq!(ann.link(&link).await["lastSync"]["removed"], 1, "{}", app.store.name);
        assert_eq!(ann.transactions().await, Vec::<serde_json::Value>::new());
    }
}

#[tokio::test]
async fn what_waited_for_too_long_is_asked_about_and_gone_also_beside_rows_that_cannot_be_read() {
    for app in TestApp::on_every_store().await {
        let day = |at: i64| ReportedTransaction { reference: None, ..posted("", &format!("2026-11-{at}"), -100, "Gum") };
        app.bank.script(|script| script.pending_by_day = true);
        let (ann, link) = synced(&app, vec![day(20), pending("p", "2026-11-01", -500, "Hotel")]).await;
        app.bank.script(|script| (script.refused, script.refused_ids) = (1, vec!["t9".to_owned()]));
        syncs_again(&app, &ann, &link, vec![day(20)]).await;
        assert_eq!(app.bank.windows().last().unwrap().0, "2026-11-01");
        assert_eq!(ann.link(&link).await["lastSync"]["removed"], 1, "it was asked about and has waited for too long, {}", app.store.name);
    }
}
