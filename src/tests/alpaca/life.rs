//! The life of a link to Alpaca, through the whole product.

use chrono::Duration;
use dashtam::domain::time::{Clock as _, LocalDate};
use serde_json::{Value, json};

use crate::harness::{app::TestApp, client::Client};

use super::stand_in::{Failure, StandIn, activity, fill};

fn key(secret: &str) -> Value {
    json!({ "provider": "alpaca", "key": "AKTEST", "secret": secret })
}

async fn apps(stand_in: &StandIn) -> Vec<TestApp> {
    TestApp::configured(|config| config.providers.alpaca.base_url = Some(stand_in.url.clone())).await
}

/// So many days of one fill each, newest first, from the day before `today`.
fn days_of_fills(today: LocalDate, days: i64) -> Vec<Value> {
    (1..=days).map(|back| fill("x", &format!("{}T15:30:00.5Z", today.plus_days(-back)), "buy", "1", "T", "20")).collect()
}

async fn linked(app: &TestApp, ann: &Client<'_>) -> String {
    let link = ann.link_with_key(key("a-secret-canary")).await.succeeds()["link"]["id"].as_str().unwrap().to_owned();
    assert_eq!(app.work().await, 1);
    link
}

#[tokio::test]
async fn all_pages_come_in_once_and_a_later_sync_reads_no_further_than_it_must() {
    let stand_in = StandIn::open().await;
    for app in apps(&stand_in).await {
        let today = app.store.clock.today();
        stand_in.script(|script| script.activities = days_of_fills(today, 250));
        stand_in.script(|script| script.activities.push(activity("CSD", "2020-01-02", "1000", json!({}))));
        let short = json!({ "asset_id": "a-1", "symbol": "GME", "asset_class": "us_equity", "qty": "-2", "side": "short", "market_value": "-241",
            "cost_basis": "-200", "current_price": "120.5", "avg_entry_price": "100" });
        stand_in.script(|script| script.positions = vec![short]);
        // While the first page is read, an order is filled.
        stand_in.script(|script| script.meanwhile = Some(fill("new", &format!("{today}T14:00:00Z"), "sell", "1", "T", "21")));
        let ann = app.signed_in("ann").await;
        let link = linked(&app, &ann).await;
        let told = ann.link(&link).await;
        assert_eq!((&told["status"], &told["lastSync"]["status"], &told["lastSync"]["problem"]), (&json!("ACTIVE"), &json!("SUCCEEDED"), &json!(null)));
        app.holds(&[("accounts", 1), ("transactions", 251)]).await;
        let account = ann.accounts().await[0].clone();
        assert_eq!((&account["maskedNumber"], &account["balances"]["current"]["amount"]), (&json!("••••ABCD"), &json!("103820.56")));
        let asked = "{ viewer { holdings(first: 10) { nodes { quantity marketValue { amount currency } costBasis { amount } security { symbol } } } } }";
        let held = ann.ask(asked).await.data()["viewer"]["holdings"]["nodes"].clone();
        let short = json!({ "quantity": "-2", "marketValue": { "amount": "-241.00", "currency": "USD" }, "costBasis": { "amount": "-200.00" }, "security": { "symbol": "GME" } });
        assert_eq!(held, json!([short]));
        let pages = |asked: &[String]| asked.iter().filter(|address| address.contains("/activities")).count();
        assert!(stand_in.script(|script| script.asked.iter().any(|address| address.contains("page_size=100") && address.contains("page_token="))));

        stand_in.script(|script| script.asked.clear());
        ann.sync(&link, true).await.succeeds();
        assert_eq!(app.work().await, 1);
        assert_eq!(ann.link(&link).await["lastSync"]["added"], 1, "what was filled while the first page was read");
        app.holds(&[("transactions", 252)]).await;
        assert_eq!(stand_in.script(|script| pages(&script.asked)), 2, "the second page is older than what may still change");
        for canary in ["AKTEST", "a-secret-canary", "010203ABCD", "904837e3"] {
            assert!(!app.store.spells(canary).await, "{canary} in {}", app.store.name);
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_key_that_alpaca_refuses_links_nothing() {
    let stand_in = StandIn::open().await;
    for app in apps(&stand_in).await {
        let ann = app.signed_in("ann").await;
        ann.link_with_key(key("wrong")).await.is_refused("KEY_REFUSED");
        stand_in.script(|script| script.failure = Some(("/v2/account", Failure::Html)));
        ann.link_with_key(key("a-secret-canary")).await.is_refused("PROVIDER_UNREADABLE");
        stand_in.script(|script| script.failure = Some(("/v2/account", Failure::Wait(60))));
        ann.link_with_key(key("a-secret-canary")).await.is_refused("PROVIDER_RATE_LIMITED");
        stand_in.script(|script| script.failure = None);
        ann.begin_link("alpaca", None).await.is_refused("LINK_METHOD_MISMATCH");
        app.holds(&[("links", 0), ("credentials", 0), ("syncs", 0), ("consents", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_page_that_fails_leaves_nothing_of_its_sync_which_is_tried_again() {
    let stand_in = StandIn::open().await;
    for app in apps(&stand_in).await {
        let today = app.store.clock.today();
        stand_in.script(|script| script.activities = days_of_fills(today, 250));
        for (failure, problem) in [
            (Failure::Wait(120), "RATE_LIMITED"),
            (Failure::Status(500), "PROVIDER_ERROR"),
            (Failure::Html, "MALFORMED_ANSWER"),
            (Failure::HalfJson, "MALFORMED_ANSWER"),
            (Failure::CutOff, "PROVIDER_UNREACHABLE"),
        ] {
            // Longer than a provider that fails is left alone.
            app.pass(Duration::hours(1));
            let ann = app.signed_in("ann").await;
            stand_in.script(|script| script.failure = Some(("page_token=", failure)));
            let link = linked(&app, &ann).await;
            let told = ann.link(&link).await;
            assert_eq!((&told["lastSync"]["status"], &told["lastSync"]["problem"]), (&json!("QUEUED"), &json!(problem)), "{failure:?}");
            app.holds(&[("accounts", 0), ("transactions", 0)]).await;
            stand_in.script(|script| script.failure = None);
            app.pass(Duration::hours(1));
            assert_eq!(app.work().await, 1);
            let ann = app.signed_in("ann").await;
            assert_eq!(ann.link(&link).await["lastSync"]["status"], "SUCCEEDED");
            app.holds(&[("accounts", 1), ("transactions", 250)]).await;
            app.store.execute("DELETE FROM links").await.unwrap();
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_key_that_was_revoked_ends_the_link_and_another_brings_it_back() {
    let stand_in = StandIn::open().await;
    for app in apps(&stand_in).await {
        stand_in.script(|script| script.activities = days_of_fills(app.store.clock.today(), 5));
        let ann = app.signed_in("ann").await;
        let link = linked(&app, &ann).await;
        let (accounts, rows) = (ann.accounts().await, ann.transaction_ids().await);
        stand_in.script(|script| script.key.1 = "another-secret".to_owned());
        ann.sync(&link, true).await.succeeds();
        assert_eq!(app.work().await, 1);
        let told = ann.link(&link).await;
        assert_eq!((&told["status"], &told["reason"], &told["nextAction"]), (&json!("EXPIRED"), &json!("CREDENTIALS_REJECTED"), &json!("NEW_CREDENTIALS")));
        let mut again = key("another-secret");
        again["linkId"] = json!(link);
        assert_eq!(ann.link_with_key(again).await.succeeds()["link"]["status"], "ACTIVE");
        assert_eq!(app.work().await, 1);
        assert_eq!(ann.link(&link).await["lastSync"]["status"], "SUCCEEDED");
        assert_eq!((ann.accounts().await.len(), &ann.accounts().await[0]["id"]), (1, &accounts[0]["id"]));
        assert_eq!(ann.transaction_ids().await, rows);
        stand_in.script(|script| script.key.1 = "a-secret-canary".to_owned());
        // The key goes on working until its owner ends it there, and the trail does not say otherwise.
        ann.unlink(&link, true).await.succeeds();
        assert_eq!(app.last_outcome("revoke_consent").await, ("failed".to_owned(), Some("not_offered".to_owned())));
        app.every_attempt_ended_once().await;
    }
}
