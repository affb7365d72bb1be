//! Taking an import back.

use serde_json::{Value, json};

use crate::harness::{
    app::TestApp,
    bank::posted,
    client::{Answer, Client},
};

use super::{CHECKING, SEVERAL, counts, everything, only_account, statement};

async fn revert(client: &Client<'_>, import: &Value) -> Answer {
    client
        .mutate(
            "revertImport",
            "import { id status revertedAt } transactionsRemoved transactionsRestored transactionsKept accountsRemoved",
            json!({ "importId": import["id"] }),
        )
        .await
}

/// How much was taken back, and how much stays.
fn taken_back(payload: &Value) -> (u64, u64, u64) {
    let count = |name: &str| payload[name].as_u64().unwrap();
    (count("transactionsRemoved"), count("transactionsKept"), count("accountsRemoved"))
}

#[tokio::test]
async fn what_an_import_added_is_gone_and_followers_are_told() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.import("before.ofx", &statement("12345678", "USD", &[(3, "-5.00", "1", "Coffee")]), None).await.succeeds();
        let before = everything(&app).await;
        let cursor = ann.ask("{ viewer { changes(first: 100) { endCursor } } }").await.data()["viewer"]["changes"]["endCursor"].clone();
        app.pass(chrono::Duration::seconds(1));
        let import = ann.import("a.ofx", SEVERAL, None).await.succeeds()["import"].clone();
        let added = counts(&import);
        let payload = revert(&ann, &import).await.succeeds();
        assert_eq!((taken_back(&payload), &payload["import"]["status"]), ((added.1, 0, added.0), &json!("REVERTED")));
        let after = everything(&app).await;
        assert_eq!(before[1..], after[1..], "{}", app.store.name);
        let changes = ann
            .ask_with("query($after: String) { viewer { changes(first: 100, after: $after) { added { __typename } removed } } }", json!({ "after": cursor }))
            .await
            .data();
        assert_eq!(changes["viewer"]["changes"]["added"].as_array().map(Vec::len), Some(0));
        assert_eq!(app.last_outcome("revert_import").await, ("succeeded".to_owned(), None));
        let again = ann.import("a.ofx", SEVERAL, None).await.succeeds()["import"].clone();
        assert_eq!(counts(&again), added, "what was taken back can come in again");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn an_import_is_taken_back_once_and_only_by_its_owner() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let import = ann.import("a.ofx", CHECKING, None).await.succeeds()["import"].clone();
        let before = everything(&app).await;
        revert(&bob, &import).await.is_refused("NOT_FOUND");
        revert(&ann, &json!({ "id": "import_01h455vb4pex5vsknk084sn02q" })).await.is_refused("NOT_FOUND");
        let previewed = ann.mutate("previewImport", "import { id }", json!({ "filename": "a", "content": CHECKING })).await.succeeds()["import"].clone();
        revert(&ann, &previewed).await.is_refused("IMPORT_NOT_COMMITTED");
        assert_eq!(before, everything(&app).await);
        revert(&ann, &import).await.succeeds();
        revert(&ann, &import).await.is_refused("IMPORT_REVERTED");
        assert_eq!(app.last_outcome("revert_import").await, ("failed".to_owned(), Some("already_reverted".to_owned())));
        ann.mutate("commitImport", "import { id }", json!({ "importId": import["id"] })).await.is_refused("IMPORT_REVERTED");
        app.holds(&[("transactions", 0), ("accounts", 0), ("balance_snapshots", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_a_bank_has_told_since_stays() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        app.work().await;
        let account = only_account(&ann).await;
        let file = statement("1234567890", "USD", &[(20, "-9.00", "1", "SHOES"), (21, "-5.00", "2", "Coffee"), (22, "-7.00", "3", "Tea")]);
        let import = ann.import("a.ofx", &file, Some(&account)).await.succeeds()["import"].clone();
        assert_eq!(counts(&import), (0, 2, 1));
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes"), posted("y", "2026-11-21", -500, "Coffee")]);
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        let payload = revert(&ann, &import).await.succeeds();
        assert_eq!(taken_back(&payload), (1, 1, 0));
        let left: Vec<_> = ann.transactions().await.iter().map(|row| row["description"].clone()).collect();
        assert_eq!(left, [json!("Coffee"), json!("Shoes")]);
        let names = app.store.contents("transaction_references").await;
        assert!(names.iter().filter(|row| row.contains("Shoes") || row.contains('x')).all(|row| !row.contains("'1'")), "{names:?}");
    }
}

#[tokio::test]
async fn what_another_import_has_found_since_is_that_ones_then() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let one = ann.import("a.ofx", &statement("12345678", "USD", &[(3, "-5.00", "1", "Coffee"), (4, "-6.00", "2", "Tea")]), None).await.succeeds()["import"]
            .clone();
        app.pass(chrono::Duration::seconds(1));
        let other =
            ann.import("b.ofx", &statement("12345678", "USD", &[(4, "-6.00", "2", "Tea"), (5, "-7.00", "3", "Hats")]), None).await.succeeds()["import"].clone();
        assert_eq!(taken_back(&revert(&ann, &one).await.succeeds()), (1, 1, 0));
        let left: Vec<_> = ann.transactions().await.iter().map(|row| row["description"].clone()).collect();
        assert_eq!(left, [json!("Hats"), json!("Tea")]);
        assert_eq!(taken_back(&revert(&ann, &other).await.succeeds()), (2, 0, 1));
        app.holds(&[("transactions", 0), ("accounts", 0)]).await;
    }
}

#[tokio::test]
async fn an_import_whose_data_was_removed_says_so() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let import = ann.import("a.ofx", CHECKING, None).await.succeeds()["import"].clone();
        let link = ann.accounts().await[0]["link"]["id"].as_str().unwrap().to_owned();
        ann.unlink(&link, false).await.succeeds();
        let refused = revert(&ann, &import).await;
        refused.is_refused("IMPORT_NOT_REVERTIBLE");
        let message = refused.payload()["userErrors"][0]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("was removed when its accounts were taken away"), "{message}, {}", app.store.name);
        app.store.query("UPDATE imports SET is_cleared = FALSE RETURNING id").await;
        let refused = revert(&ann, &import).await;
        let message = refused.payload()["userErrors"][0]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("from before what each one added was kept"), "{message}");
        app.every_attempt_ended_once().await;
    }
}

/// A file of one row, and what the account held on that day.
fn with_balance(day: u32, amount: &str) -> String {
    let file = statement("12345678", "USD", &[(day, "-5.00", &format!("r{day}"), "Coffee")]);
    file.replace("</BANKTRANLIST>", &format!("</BANKTRANLIST><LEDGERBAL><BALAMT>{amount}<DTASOF>202611{day:02}</LEDGERBAL>"))
}

#[tokio::test]
async fn a_balance_is_as_it_was_before() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.import("a.ofx", &with_balance(3, "100.00"), None).await.succeeds();
        app.pass(chrono::Duration::seconds(1));
        let before = everything(&app).await;
        let import = ann.import("b.ofx", &with_balance(10, "80.00"), None).await.succeeds()["import"].clone();
        assert_eq!(ann.accounts().await[0]["balances"]["current"]["amount"], "80.00");
        assert_eq!(taken_back(&revert(&ann, &import).await.succeeds()), (1, 0, 0));
        assert_eq!(ann.accounts().await[0]["balances"]["current"]["amount"], "100.00");
        assert_eq!(before[1..], everything(&app).await[1..]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_reverts_at_once_one_takes_it_back() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let import = ann.import("a.ofx", CHECKING, None).await.succeeds()["import"].clone();
        let answers = futures_util::future::join_all((0..5).map(|_| revert(&ann, &import))).await;
        let done = answers.iter().filter(|answer| answer.body["data"]["revertImport"]["import"].is_object()).count();
        assert_eq!(done, 1, "{}", app.store.name);
        app.holds(&[("transactions", 0), ("accounts", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}

/// The one row of the account as a file tells it.
fn told_as(name: &str) -> String {
    statement("12345678", "USD", &[(3, "-5.00", "1", name)])
}

async fn imported(app: &TestApp, ann: &Client<'_>, name: &str) -> Value {
    app.pass(chrono::Duration::seconds(1));
    ann.import(&format!("{name}.ofx"), &told_as(name), None).await.succeeds()["import"].clone()
}

/// What the one row says.
async fn says(ann: &Client<'_>) -> (String, String) {
    let rows = ann.transactions().await;
    assert_eq!(rows.len(), 1);
    (rows[0]["description"].as_str().unwrap().to_owned(), rows[0]["amount"]["amount"].as_str().unwrap().to_owned())
}

fn said(description: &str, amount: &str) -> (String, String) {
    (description.to_owned(), amount.to_owned())
}

#[tokio::test]
async fn what_an_import_changed_says_again_what_it_said_before() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        imported(&app, &ann, "Coffee").await;
        let second = imported(&app, &ann, "Coffee bar").await;
        let third = imported(&app, &ann, "Coffee bar & cakes").await;
        assert_eq!(says(&ann).await, said("Coffee bar & cakes", "-5.00"), "{}", app.store.name);
        let account = only_account(&ann).await;
        ann.mutate("updateAccount", "account { id }", json!({ "accountId": account, "invertSign": true })).await.succeeds();

        let counts = async |import: &Value| {
            let payload = revert(&ann, import).await.succeeds();
            ["transactionsRemoved", "transactionsRestored", "transactionsKept"].map(|name| payload[name].as_u64().unwrap())
        };
        assert_eq!(counts(&second).await, [0, 0, 1], "a later import has changed it once more");
        assert_eq!(says(&ann).await, said("Coffee bar & cakes", "5.00"));
        let cursor = ann.ask("{ viewer { changes(first: 100) { endCursor } } }").await.data()["viewer"]["changes"]["endCursor"].clone();
        assert_eq!(counts(&third).await, [0, 1, 0]);
        assert_eq!(says(&ann).await, said("Coffee", "5.00"), "as the first file has it, and with the signs its owner wants by now");
        let document = "query($after: String) { viewer { changes(first: 100, after: $after) { modified { __typename } } } }";
        let changes = ann.ask_with(document, json!({ "after": cursor })).await.data();
        let told = changes["viewer"]["changes"]["modified"].as_array().unwrap();
        assert!(told.iter().any(|change| change["__typename"] == "Transaction"), "{told:?}");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn an_import_that_changed_what_another_had_added_leaves_with_everything_once_both_are_taken_back() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let first = imported(&app, &ann, "Coffee").await;
        let second = imported(&app, &ann, "Coffee bar").await;
        assert_eq!(taken_back(&revert(&ann, &first).await.succeeds()), (0, 1, 0), "the second speaks for it");
        let payload = revert(&ann, &second).await.succeeds();
        assert_eq!((taken_back(&payload), &payload["transactionsRestored"]), ((1, 0, 1), &json!(0)), "{}", app.store.name);
        app.holds(&[("transactions", 0), ("accounts", 0), ("import_transactions", 0)]).await;
    }
}

#[tokio::test]
async fn a_balance_that_another_file_told_as_well_stays() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let first = ann.import("a.ofx", &with_balance(10, "80.00"), None).await.succeeds()["import"].clone();
        app.pass(chrono::Duration::days(1));
        let ann = app.signed_in("ann").await;
        let second = ann.import("b.ofx", &with_balance(10, "80.00"), None).await.succeeds()["import"].clone();
        let balance = async || ann.accounts().await[0]["balances"]["current"]["amount"].clone();
        revert(&ann, &first).await.succeeds();
        assert_eq!((balance().await, app.count("balance_snapshots").await), (json!("80.00"), 1), "{}", app.store.name);
        revert(&ann, &second).await.succeeds();
        app.holds(&[("accounts", 0), ("transactions", 0), ("balance_snapshots", 0)]).await;
    }
}

#[tokio::test]
async fn what_a_later_import_told_as_well_stays_as_that_has_it() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        imported(&app, &ann, "Coffee").await;
        let second = imported(&app, &ann, "Coffee bar").await;
        let third = imported(&app, &ann, "Coffee bar").await;
        let payload = revert(&ann, &second).await.succeeds();
        assert_eq!((&payload["transactionsRestored"], says(&ann).await), (&json!(0), said("Coffee bar", "-5.00")), "{}", app.store.name);
        let payload = revert(&ann, &third).await.succeeds();
        assert_eq!((&payload["transactionsRestored"], says(&ann).await), (&json!(1), said("Coffee", "-5.00")));
    }
}
