//! What an account is and holds, from one sync to the next.

use dashtam::application::{access::Requester, remap::RemapLink};

use super::{
    engine::{apps, input, link_id},
    *,
};
use crate::harness::{app::TestApp, client::Client};

/// A securities account, by its name or by what it holds.
fn with_positions(name: &str) -> Value {
    let mut account = account("A", "1", name, &[row("1", "2026-11-20", "-5.00")]);
    account["holdings"] = json!([{ "id": "H1", "symbol": "VTI", "shares": "10.5", "market_value": "2500.10", "cost_basis": "2000.00", "currency": "USD" }]);
    account
}

async fn synced(app: &TestApp, ann: &Client<'_>, link: &str) -> Value {
    ann.sync(link, true).await.succeeds();
    assert_eq!(app.work().await, 1);
    ann.link(link).await["lastSync"]["problem"].clone()
}

/// Each account's kind and balance, and what is held.
async fn told(ann: &Client<'_>) -> Value {
    let document = "{ viewer { accounts(first: 9) { nodes { id type isActive balances { current { amount } } } } \
        holdings(first: 9) { nodes { id security { symbol } quantity } } } }";
    ann.ask(document).await.data()["viewer"].clone()
}

/// Maps once more what is kept of every link.
async fn remap(app: &TestApp) {
    let remaps = &app.app.application.remaps;
    for (owner, link) in remaps.links().await.unwrap() {
        remaps.remap(RemapLink { requester: Requester::command_line(Some(owner)), link, is_rehearsal: false }).await.unwrap();
    }
}

#[tokio::test]
async fn an_account_that_did_not_answer_is_as_it_was_whatever_is_said_of_it() {
    for app in apps().await {
        let bridge = Bridge::with(vec![with_positions("Brokerage"), account("B", "1", "Checking", &[])]).await;
        let ann = app.signed_in("ann").await;
        let link = link_id(&ann, input(&bridge, "first")).await;
        app.work().await;
        let before = told(&ann).await;
        let snapshots = app.store.contents("balance_snapshots").await.len();
        for (error, holdings, balance) in [
            (json!({ "code": "con.auth", "msg": "sign in", "conn_id": "A" }), json!([]), "0.00"),
            (json!({ "code": "act.failed", "msg": "x", "conn_id": "A", "account_id": "1" }), json!(null), "1.00"),
            (json!({ "code": "act.failed", "msg": "x", "account_id": "1" }), json!([{ "id": "H1", "symbol": "VTI", "shares": "1" }]), "100.23"),
        ] {
            bridge.books(|books| {
                books.errlist = vec![error];
                (books.accounts[0]["holdings"], books.accounts[0]["balance"], books.accounts[0]["name"]) = (holdings, json!(balance), json!("?"));
            });
            assert!(!synced(&app, &ann, &link).await.is_null());
            assert_eq!(told(&ann).await, before, "{}", app.store.name);
            remap(&app).await;
            assert_eq!(told(&ann).await, before, "nor later, when it is mapped once more");
        }
        // Of the other one a snapshot was left twice; the last error may have been about it, too.
        assert_eq!(app.store.contents("balance_snapshots").await.len(), snapshots + 2);
        bridge.books(|books| (books.errlist, books.accounts[0]["holdings"]) = (Vec::new(), json!([])));
        assert!(synced(&app, &ann, &link).await.is_null());
        assert_eq!(told(&ann).await["holdings"]["nodes"], json!([]), "what answers counts");
    }
}

#[tokio::test]
async fn where_nobody_knows_who_did_not_answer_balances_are_news_and_no_positions_are_none() {
    for app in apps().await {
        let bridge = Bridge::with(vec![with_positions("Brokerage")]).await;
        let ann = app.signed_in("ann").await;
        let link = link_id(&ann, input(&bridge, "first")).await;
        app.work().await;
        let before = told(&ann).await;
        bridge.books(|books| {
            books.errors = vec![json!("Your bank may need attention.")];
            (books.accounts[0]["holdings"], books.accounts[0]["balance"]) = (json!([]), json!("7.00"));
        });
        assert_eq!(synced(&app, &ann, &link).await, "ACCOUNTS_UNANSWERED");
        let after = told(&ann).await;
        assert_eq!(after["accounts"]["nodes"][0]["balances"]["current"]["amount"], "7.00");
        assert_eq!(after["holdings"], before["holdings"], "{}", app.store.name);
    }
}

#[tokio::test]
async fn an_account_that_is_new_and_did_not_answer_is_there_as_it_is_told() {
    for app in apps().await {
        let bridge = Bridge::with(vec![with_positions("Brokerage")]).await;
        bridge.books(|books| books.errlist = vec![json!({ "code": "con.auth", "msg": "sign in", "conn_id": "A" })]);
        let ann = app.signed_in("ann").await;
        link_id(&ann, input(&bridge, "first")).await;
        app.work().await;
        let told = told(&ann).await;
        assert_eq!((told["accounts"]["nodes"].as_array().unwrap().len(), told["holdings"]["nodes"].as_array().unwrap().len()), (1, 1), "{}", app.store.name);
    }
}

#[tokio::test]
async fn who_has_sold_everything_holds_nothing_and_the_account_is_what_it_was() {
    for app in apps().await {
        let bridge = Bridge::with(vec![with_positions("Main")]).await;
        let ann = app.signed_in("ann").await;
        let link = link_id(&ann, input(&bridge, "first")).await;
        app.work().await;
        let before = told(&ann).await;
        assert_eq!((&before["accounts"]["nodes"][0]["type"], before["holdings"]["nodes"].as_array().unwrap().len()), (&json!("BROKERAGE"), 1));
        bridge.books(|books| books.accounts[0]["holdings"] = json!([]));
        synced(&app, &ann, &link).await;
        let after = told(&ann).await;
        assert_eq!((&after["accounts"], &after["holdings"]["nodes"]), (&before["accounts"], &json!([])), "{}", app.store.name);
        // A name that tells something is heard.
        bridge.books(|books| books.accounts[0]["name"] = json!("Main Savings"));
        synced(&app, &ann, &link).await;
        assert_eq!(told(&ann).await["accounts"]["nodes"][0]["type"], "SAVINGS");
    }
}
