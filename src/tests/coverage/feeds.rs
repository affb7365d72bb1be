//! What providers told.

use chrono::Duration;
use dashtam::application::ports::ProviderFault;
use serde_json::{Value, json};

use crate::harness::{
    app::TestApp,
    bank::{posted, reported_account},
    client::Client,
};

use super::{accounts, changed, days, link, nothing};

/// Accounts of these numbers, each with a recent purchase and an old one.
fn report(app: &TestApp, numbers: &[&str]) {
    let rows = |of: &str| vec![posted(&format!("{of}-new"), "2026-11-20", -900, "Shoes"), posted(&format!("{of}-old"), "2026-01-20", -900, "Boots")];
    app.bank.script(|script| script.accounts = numbers.iter().map(|number| (reported_account(number, 100), rows(number))).collect());
}

async fn syncs(app: &TestApp, ann: &Client<'_>, link: &str) {
    ann.sync(link, true).await.succeeds();
    assert_eq!(app.work().await, 1);
}

/// Whatever the graph tells of each account besides its id and name.
async fn told(ann: &Client<'_>) -> Vec<(Value, Value)> {
    accounts(ann).await.into_iter().map(|account| (account["coverage"].clone(), account["freshness"]["state"].clone())).collect()
}

#[tokio::test]
async fn the_recent_days_come_first_and_then_all_that_the_provider_gives() {
    for app in TestApp::on_every_store().await {
        report(&app, &["11"]);
        let ann = app.signed_in("ann").await;
        let id = ann.link_scripted().await;
        assert_eq!(link(&ann, &id).await["coverage"], nothing("STILL_FETCHING"));
        let gate = app.bank.hold_page(1);
        let worker = app.worker();
        gate.reached().await;
        let recent = days("2026-10-24", "2026-11-23", "STILL_FETCHING");
        assert_eq!(told(&ann).await, [(recent.clone(), json!("FRESH"))], "{}", app.store.name);
        assert_eq!(link(&ann, &id).await, json!({ "coverage": recent, "freshness": { "state": "NEVER", "syncedAt": null } }));
        gate.open();
        assert!(worker.await.unwrap());
        let whole = days("2024-11-23", "2026-11-23", "HISTORY_LIMIT");
        assert_eq!(accounts(&ann).await[0]["freshness"], json!({ "state": "FRESH", "syncedAt": "2026-11-23T12:00:00Z" }));
        assert_eq!((told(&ann).await, &link(&ann, &id).await["coverage"]), (vec![(whole.clone(), json!("FRESH"))], &whole));

        let ann = app.later(Duration::days(30), "ann").await;
        let stays = days("2024-11-23", "2026-11-23", "STILL_FETCHING");
        assert_eq!(told(&ann).await, [(stays, json!("STALE"))], "what is here stays, and the next sync fetches the latest days");
    }
}

#[tokio::test]
async fn a_history_that_cannot_be_had_says_so() {
    for app in TestApp::on_every_store().await {
        report(&app, &["11"]);
        let ann = app.signed_in("ann").await;
        let id = ann.link_scripted().await;
        app.bank.refuse_page(1, ProviderFault::Malformed);
        for _ in 0..5 {
            app.work().await;
            app.pass(Duration::minutes(15));
            app.bank.refuse_page(0, ProviderFault::Malformed);
        }
        let ann = app.signed_in("ann").await;
        let recent = days("2026-10-24", "2026-11-23", "SYNC_FAILED");
        assert_eq!((told(&ann).await, &link(&ann, &id).await["coverage"]), (vec![(recent.clone(), json!("FRESH"))], &recent), "{}", app.store.name);
        app.store.execute("UPDATE links SET status = 'expired'").await.unwrap();
        let ended = days("2026-10-24", "2026-11-23", "LINK_ENDED");
        assert_eq!((told(&ann).await, &link(&ann, &id).await["coverage"]), (vec![(ended.clone(), json!("STALE"))], &ended));
    }
}

#[tokio::test]
async fn an_account_that_does_not_answer_has_no_days_and_the_others_have_theirs() {
    for app in TestApp::on_every_store().await {
        report(&app, &["11", "22"]);
        app.bank.script(|script| script.unanswering = vec!["11".to_owned()]);
        let ann = app.signed_in("ann").await;
        let id = ann.link_scripted().await;
        app.work().await;
        let whole = days("2024-11-23", "2026-11-23", "HISTORY_LIMIT");
        assert_eq!(told(&ann).await, [(nothing("ACCOUNT_UNANSWERED"), json!("NEVER")), (whole.clone(), json!("FRESH"))], "{}", app.store.name);
        assert_eq!(link(&ann, &id).await["coverage"], nothing("ACCOUNT_UNANSWERED"));

        app.bank.script(|script| script.unanswering.clear());
        syncs(&app, &ann, &id).await;
        assert_eq!(told(&ann).await, [(whole.clone(), json!("FRESH")), (whole.clone(), json!("FRESH"))]);
        assert_eq!(link(&ann, &id).await["coverage"], whole);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn an_account_that_joins_late_is_a_gap_of_its_link_until_it_answers() {
    for app in TestApp::on_every_store().await {
        report(&app, &["11"]);
        let ann = app.signed_in("ann").await;
        let id = ann.link_scripted().await;
        app.work().await;
        report(&app, &["11", "22"]);
        app.bank.script(|script| script.unanswering = vec!["22".to_owned()]);
        syncs(&app, &ann, &id).await;
        let whole = days("2024-11-23", "2026-11-23", "HISTORY_LIMIT");
        assert_eq!(told(&ann).await, [(whole.clone(), json!("FRESH")), (nothing("ACCOUNT_UNANSWERED"), json!("NEVER"))], "{}", app.store.name);
        let gap = json!([{ "from": "2024-11-23", "to": "2026-11-23" }]);
        assert_eq!(link(&ann, &id).await["coverage"], json!({ "from": "2024-11-23", "to": "2026-11-23", "reason": "ACCOUNT_UNANSWERED", "gaps": gap }));

        app.bank.script(|script| script.unanswering.clear());
        syncs(&app, &ann, &id).await;
        assert_eq!(told(&ann).await[1].0, whole, "it gets the days that the others have");
        assert_eq!(link(&ann, &id).await["coverage"], whole);
    }
}

#[tokio::test]
async fn an_account_that_is_not_kept_synced_says_so_as_long_as_days_are_missing() {
    for app in TestApp::on_every_store().await {
        report(&app, &["11", "22"]);
        app.bank.script(|script| script.unanswering = vec!["11".to_owned()]);
        let ann = app.signed_in("ann").await;
        let id = ann.link_scripted().await;
        app.work().await;
        let ids: Vec<_> = accounts(&ann).await.iter().map(|account| account["id"].clone()).collect();
        ann.mutate("selectAccounts", "link { id }", json!({ "linkId": id, "accountIds": [ids[1]] })).await.succeeds();
        assert_eq!(told(&ann).await[0], (nothing("NOT_SELECTED"), json!("NEVER")), "{}", app.store.name);
        syncs(&app, &ann, &id).await;
        assert_eq!(link(&ann, &id).await["coverage"], days("2024-11-23", "2026-11-23", "HISTORY_LIMIT"), "nobody waits for it");
        ann.mutate("selectAccounts", "link { id }", json!({ "linkId": id, "accountIds": ids })).await.succeeds();
        assert_eq!(told(&ann).await[0].0, nothing("NOT_REPORTED"), "not since it is selected again");
    }
}

#[tokio::test]
async fn days_that_come_along_change_an_account_and_a_sync_that_brings_none_does_not() {
    for app in TestApp::on_every_store().await {
        report(&app, &["11"]);
        let ann = app.signed_in("ann").await;
        let id = ann.link_scripted().await;
        app.work().await;
        let (_, cursor) = changed(&ann, &Value::Null).await;
        app.pass(Duration::minutes(10));
        syncs(&app, &ann, &id).await;
        let (accounts_changed, cursor) = changed(&ann, &cursor).await;
        assert_eq!(accounts_changed.len(), 0, "{}: the same days", app.store.name);
        assert_eq!(accounts(&ann).await[0]["freshness"]["syncedAt"], "2026-11-23T12:10:00Z");
        let ann = app.later(Duration::days(1), "ann").await;
        syncs(&app, &ann, &id).await;
        assert_eq!(changed(&ann, &cursor).await.0.len(), 1, "one more day");
        app.holds(&[("account_coverage", 1)]).await;
    }
}

#[tokio::test]
async fn days_stay_over_relinking_and_go_with_the_data() {
    for app in TestApp::on_every_store().await {
        report(&app, &["11"]);
        let ann = app.signed_in("ann").await;
        let id = ann.link_scripted().await;
        app.work().await;
        let whole = days("2024-11-23", "2026-11-23", "HISTORY_LIMIT");
        ann.unlink(&id, true).await.succeeds();
        assert_eq!(told(&ann).await, [(whole.clone(), json!("STALE"))]);
        let mut walk = ann.walk_again(&id, None).await;
        walk.leave().await;
        assert_eq!(walk.come_back(&[("code", "again")]).await.status, 200);
        app.work().await;
        assert_eq!(told(&ann).await, [(whole, json!("FRESH"))]);
        ann.unlink(&id, false).await.succeeds();
        app.holds(&[("accounts", 0), ("account_coverage", 0)]).await;
        assert_eq!(link(&ann, &id).await["coverage"], nothing("LINK_ENDED"));
    }
}

#[tokio::test]
async fn a_stage_that_fails_to_be_written_covers_nothing() {
    for app in TestApp::on_every_store().await {
        report(&app, &["11"]);
        let ann = app.signed_in("ann").await;
        ann.link_scripted().await;
        app.store.refuse_successes().await;
        app.work().await;
        app.holds(&[("accounts", 0), ("account_coverage", 0)]).await;
    }
}

#[tokio::test]
async fn what_links_and_imports_knew_of_their_days_their_accounts_know_after_an_upgrade() {
    for app in TestApp::on_every_store().await {
        report(&app, &["11"]);
        let ann = app.signed_in("ann").await;
        ann.link_scripted().await;
        app.work().await;
        ann.import("a.ofx", include_str!("../fixtures/ofx/checking-sgml.ofx"), None).await.succeeds();
        let before = accounts(&ann).await;
        assert!(before.iter().all(|account| !account["coverage"]["from"].is_null()));
        let later = app.store.database.status().await.unwrap().iter().rev().take_while(|(name, _)| !name.contains("_coverage")).count();
        app.store.database.migrate_down(u32::try_from(later).unwrap() + 1).await.unwrap();
        app.store.database.migrate_up().await.unwrap();
        assert_eq!(accounts(&ann).await, before, "{}", app.store.name);
    }
}

#[tokio::test]
async fn what_keeps_the_latest_days_away_is_told_where_all_earlier_ones_are_here() {
    for app in TestApp::on_every_store().await {
        report(&app, &["11", "22"]);
        let ann = app.signed_in("ann").await;
        let id = ann.link_scripted().await;
        app.work().await;
        let whole = days("2024-11-23", "2026-11-23", "HISTORY_LIMIT");
        assert_eq!(told(&ann).await, [(whole.clone(), json!("FRESH")), (whole.clone(), json!("FRESH"))]);
        let reasons = async |ann: &Client<'_>| {
            let accounts = accounts(ann).await.into_iter().map(|account| account["coverage"]["reason"].clone());
            accounts.chain([link(ann, &id).await["coverage"]["reason"].clone()]).collect::<Vec<_>>()
        };
        let ann = app.later(Duration::days(1), "ann").await;
        assert_eq!(reasons(&ann).await, ["HISTORY_LIMIT", "HISTORY_LIMIT", "HISTORY_LIMIT"], "within a day nothing is late");

        let ann = app.later(Duration::days(3), "ann").await;
        app.bank.script(|script| script.unanswering = vec!["11".to_owned()]);
        syncs(&app, &ann, &id).await;
        assert_eq!(reasons(&ann).await, ["ACCOUNT_UNANSWERED", "HISTORY_LIMIT", "ACCOUNT_UNANSWERED"], "{}", app.store.name);

        app.bank.script(|script| script.unanswering.clear());
        report(&app, &["22"]);
        syncs(&app, &ann, &id).await;
        assert_eq!(reasons(&ann).await, ["NOT_REPORTED", "HISTORY_LIMIT", "HISTORY_LIMIT"], "{}", app.store.name);

        report(&app, &["11", "22"]);
        syncs(&app, &ann, &id).await;
        let ids: Vec<_> = accounts(&ann).await.iter().map(|account| account["id"].clone()).collect();
        ann.mutate("selectAccounts", "link { id }", json!({ "linkId": id, "accountIds": [ids[1]] })).await.succeeds();
        assert_eq!(reasons(&ann).await, ["HISTORY_LIMIT"; 3], "all is here so far");
        let ann = app.later(Duration::days(3), "ann").await;
        syncs(&app, &ann, &id).await;
        assert_eq!(reasons(&ann).await, ["NOT_SELECTED", "HISTORY_LIMIT", "HISTORY_LIMIT"], "{}", app.store.name);

        let ann = app.later(Duration::days(3), "ann").await;
        app.bank.script(|script| script.accounts_fault = Some(ProviderFault::Malformed));
        ann.sync(&id, true).await.succeeds();
        for _ in 0..5 {
            app.work().await;
            app.pass(Duration::minutes(15));
        }
        let ann = app.signed_in("ann").await;
        assert_eq!(reasons(&ann).await, ["NOT_SELECTED", "SYNC_FAILED", "SYNC_FAILED"], "{}", app.store.name);
        ann.unlink(&id, true).await.succeeds();
        assert_eq!(reasons(&ann).await, ["NOT_SELECTED", "LINK_ENDED", "LINK_ENDED"], "{}", app.store.name);
    }
}
