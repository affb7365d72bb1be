//! Which accounts of a link are kept synced.

use dashtam::domain::user::Role;
use serde_json::{Value, json};

use crate::harness::{
    app::TestApp,
    bank::{posted, reported_account},
    client::Client,
};

use super::{accounts, everything, select, syncs_again};

/// Ann's link with two accounts of one row each; synced.
async fn two_accounts(app: &TestApp) -> (Client<'_>, String, Vec<Value>) {
    report(app, 20);
    let ann = app.signed_in("ann").await;
    let link = ann.link_scripted().await;
    assert_eq!(app.work().await, 1);
    let ids = accounts(&ann, &json!(null)).await.iter().map(|account| account["id"].clone()).collect();
    (ann, link, ids)
}

/// The bank has two accounts, each with a row of a day of November, and of every day up to it from the 20th.
fn report(app: &TestApp, day: u32) {
    let rows = |name: &str| (20..=day).map(|day| posted(&format!("{name}{day}"), &format!("2026-11-{day}"), -100, "Coffee")).collect();
    app.bank.script(|script| script.accounts = vec![(reported_account("11", 100), rows("a")), (reported_account("22", 200), rows("b"))]);
}

async fn rows_of(client: &Client<'_>, account: &Value) -> u64 {
    let document = "query($id: ID!) { account(id: $id) { transactions(first: 1) { totalCount } } }";
    client.ask_with(document, json!({ "id": account })).await.data()["account"]["transactions"]["totalCount"].as_u64().unwrap()
}

#[tokio::test]
async fn what_is_not_selected_is_not_asked_for_and_what_was_missed_comes_later() {
    for app in TestApp::on_every_store().await {
        let (ann, link, ids) = two_accounts(&app).await;
        let told = select(&ann, &link, &ids[..1]).await.succeeds()["link"]["accounts"]["nodes"].clone();
        let shown =
            |selected: bool| json!([{ "id": ids[0], "isSelected": true, "isActive": true }, { "id": ids[1], "isSelected": selected, "isActive": selected }]);
        assert_eq!(told, shown(false));
        app.pass(chrono::Duration::days(40));
        let ann = app.signed_in("ann").await;
        report(&app, 22);
        assert_eq!(syncs_again(&app, &ann, &link).await.len(), 1, "one account, one window");
        assert_eq!((rows_of(&ann, &ids[0]).await, rows_of(&ann, &ids[1]).await), (3, 1), "what is not selected keeps what it had");
        assert_eq!(accounts(&ann, &json!({ "isActive": true })).await.len(), 1);

        select(&ann, &link, &ids).await.succeeds();
        syncs_again(&app, &ann, &link).await;
        assert_eq!((rows_of(&ann, &ids[0]).await, rows_of(&ann, &ids[1]).await), (3, 3), "also what is older than a sync looks back, {}", app.store.name);
        assert_eq!(select(&ann, &link, &ids).await.succeeds()["link"]["accounts"]["nodes"], shown(true));
        assert_eq!(syncs_again(&app, &ann, &link).await.len(), 2);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_left_out_while_a_sync_is_under_way_stays_as_it_is() {
    for app in TestApp::on_every_store().await {
        let (ann, link, ids) = two_accounts(&app).await;
        report(&app, 22);
        ann.sync(&link, true).await.succeeds();
        let gate = app.bank.hold_page(0);
        let worker = app.worker();
        gate.reached().await;
        select(&ann, &link, &[]).await.succeeds();
        let before = [app.store.contents("transactions").await, app.store.contents("balance_snapshots").await, app.store.contents("accounts").await];
        gate.open();
        assert!(worker.await.unwrap());
        let after = [app.store.contents("transactions").await, app.store.contents("balance_snapshots").await, app.store.contents("accounts").await];
        assert_eq!(before, after, "{}", app.store.name);
        assert_eq!((rows_of(&ann, &ids[0]).await, accounts(&ann, &json!({ "isActive": true })).await.len()), (1, 0));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_is_not_of_the_link_refuses_the_whole() {
    for app in TestApp::on_every_store().await {
        let (ann, link, ids) = two_accounts(&app).await;
        ann.import("a.ofx", include_str!("../fixtures/ofx/checking-sgml.ofx"), None).await.succeeds();
        let file = ann.accounts().await[2].clone();
        let bob = app.signed_in("bob").await;
        let before = everything(&app).await;
        for stray in [file["id"].clone(), json!(link), json!(""), json!("acct_"), json!("1 OR 1=1")] {
            select(&ann, &link, &[ids[0].clone(), stray]).await.is_refused("NOT_FOUND");
            assert_eq!(app.last_outcome("select_accounts").await, ("failed".to_owned(), Some("not_found".to_owned())));
        }
        select(&bob, &link, &[]).await.is_refused("NOT_FOUND");
        select(&ann, "link_", &ids).await.is_refused("NOT_FOUND");
        select(&ann, file["link"]["id"].as_str().unwrap(), &[]).await.is_refused("LINK_NOT_SYNCABLE");
        app.nobody().mutate("selectAccounts", "link { id }", json!({ "linkId": link, "accountIds": [] })).await.is_fault("UNAUTHENTICATED");
        app.promote("ann", Role::Readonly).await;
        app.pass(chrono::Duration::seconds(1));
        select(&ann, &link, &ids).await.is_fault("FORBIDDEN");
        assert_eq!(before, everything(&app).await);
        let ids = [ids.clone(), ids].concat();
        app.promote("ann", Role::User).await;
        app.pass(chrono::Duration::seconds(1));
        select(&ann, &link, &ids).await.succeeds();
        app.every_attempt_ended_once().await;
    }
}
