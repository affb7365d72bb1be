//! Looking at a file before it is taken in.

use chrono::Duration;
use dashtam::domain::user::Role;
use serde_json::{Value, json};

use crate::harness::{
    app::TestApp,
    client::{Answer, Client, form_part},
};

use super::{CHECKING, SEVERAL, counts, everything, only_account, statement};

/// What is asked of an import.
const IMPORT: &str = "import { id status filename expiresAt committedAt accountsCreated transactionsCreated transactionsKnown transactionsUpdated transactionsDoubtful \
                      problems { line message } statements { isNew name maskedNumber currency balance { amount } account { id } } \
                      rows(first: 100) { number line outcome postedOn amount { amount currency } description transaction { id } } }";

async fn preview(client: &Client<'_>, content: &str, account: Option<&str>) -> Answer {
    client.mutate("previewImport", IMPORT, json!({ "filename": "a.ofx", "content": content, "accountId": account })).await
}

async fn commit(client: &Client<'_>, import: &Value, said: Value) -> Answer {
    let mut input = json!({ "importId": import["id"] });
    input.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
    client.mutate("commitImport", IMPORT, input).await
}

/// The outcome of each row.
fn outcomes(import: &Value) -> Vec<&str> {
    import["rows"].as_array().unwrap().iter().map(|row| row["outcome"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_preview_tells_everything_and_takes_nothing_in() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let import = preview(&ann, CHECKING, None).await.succeeds()["import"].clone();
        assert_eq!((&import["status"], counts(&import), &import["problems"]), (&json!("PREVIEWED"), (1, 4, 0), &json!([])));
        assert_eq!((&import["expiresAt"], &import["committedAt"]), (&json!("2026-11-23T13:00:00Z"), &Value::Null));
        let account = &import["statements"][0];
        assert_eq!((&account["isNew"], &account["maskedNumber"], &account["account"]), (&json!(true), &json!("••••0482"), &Value::Null));
        assert_eq!(account["balance"]["amount"], "1445.04");
        assert_eq!(outcomes(&import), ["NEW"; 4]);
        assert_eq!((&import["rows"][0]["number"], &import["rows"][0]["amount"]["currency"]), (&json!(1), &json!("USD")));
        app.holds(&[("links", 0), ("accounts", 0), ("transactions", 0), ("balance_snapshots", 0), ("imports", 1), ("import_rows", 4)]).await;
        assert_eq!(app.last_outcome("preview_import").await, ("succeeded".to_owned(), None));

        let done = commit(&ann, &import, json!({})).await.succeeds()["import"].clone();
        assert_eq!((&done["id"], &done["status"], counts(&done), &done["rows"]), (&import["id"], &json!("COMMITTED"), (1, 4, 0), &json!([])));
        assert_eq!((&done["expiresAt"], &done["statements"][0]["account"]["id"]), (&Value::Null, &ann.accounts().await[0]["id"]));
        app.holds(&[("links", 1), ("accounts", 1), ("transactions", 4), ("balance_snapshots", 1), ("imports", 1), ("import_rows", 0)]).await;
        let again = preview(&ann, CHECKING, None).await.succeeds()["import"].clone();
        assert_eq!((counts(&again), outcomes(&again)), ((0, 0, 4), vec!["KNOWN"; 4]));
        assert!(!app.store.spells("55500000087654321").await);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_preview_and_its_commit_are_what_an_import_is() {
    let mut ends = Vec::new();
    for is_previewed in [false, true] {
        for app in TestApp::on_every_store().await {
            let ann = app.signed_in("ann").await;
            if is_previewed {
                let import = preview(&ann, SEVERAL, None).await.succeeds()["import"].clone();
                commit(&ann, &import, json!({})).await.succeeds();
            } else {
                ann.import("a.ofx", SEVERAL, None).await.succeeds();
            }
            let rows = ann.ask("{ viewer { accounts(first: 10) { nodes { name balances { current { amount } } transactions(first: 10) { nodes { postedOn description amount { amount } } } } } } }").await;
            ends.push(rows.data());
        }
    }
    assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{ends:?}");
}

#[tokio::test]
async fn doubtful_rows_come_in_only_when_they_are_asked_for() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.import("a", &statement("12345678", "USD", &[(3, "-5.00", "1", "Coffee"), (4, "-6.00", "2", "Tea")]), None).await.succeeds();
        let reused = statement("12345678", "USD", &[(9, "-5.00", "1", "Coffee"), (9, "-6.00", "2", "Tea"), (9, "-7.00", "3", "Hats")]);
        let before = everything(&app).await;
        let import = preview(&ann, &reused, None).await.succeeds()["import"].clone();
        assert_eq!((outcomes(&import), &import["transactionsDoubtful"]), (vec!["DOUBTFUL", "DOUBTFUL", "NEW"], &json!(2)));
        assert!(import["rows"][0]["transaction"]["id"].is_string() && import["rows"][2]["transaction"].is_null());
        assert_eq!(before, everything(&app).await);
        let only = ann
            .ask_with(
                "query($id: ID!) { node(id: $id) { ... on Import { rows(first: 1, after: 1, outcome: DOUBTFUL) { number } } } }",
                json!({ "id": import["id"] }),
            )
            .await;
        assert_eq!(only.data()["node"]["rows"], json!([{ "number": 2 }]));

        let done = commit(&ann, &import, json!({ "takeRows": [2, 99] })).await.succeeds()["import"].clone();
        assert_eq!((counts(&done), &done["transactionsDoubtful"]), ((0, 2, 0), &json!(2)));
        let said: Vec<_> =
            done["problems"].as_array().unwrap().iter().map(|problem| problem["message"].as_str().unwrap().rsplit("; ").next().unwrap()).collect();
        assert_eq!(said, ["it was left out", "it was kept as a transaction of its own"]);
        let day: Vec<_> = ann.transactions().await.iter().filter(|row| row["postedOn"] == "2026-11-09").map(|row| row["description"].clone()).collect();
        assert_eq!((day.len(), day.contains(&json!("Coffee"))), (2, false));

        let all = preview(&ann, &reused, None).await.succeeds()["import"].clone();
        assert_eq!(counts(&commit(&ann, &all, json!({ "takeDoubtful": true })).await.succeeds()["import"]), (0, 1, 2));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn rows_that_came_in_meanwhile_are_known_at_the_commit() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let import = preview(&ann, CHECKING, None).await.succeeds()["import"].clone();
        ann.import("a.ofx", CHECKING, None).await.succeeds();
        let before = everything(&app).await;
        assert_eq!(counts(&commit(&ann, &import, json!({})).await.succeeds()["import"]), (0, 0, 4));
        assert_eq!(before, everything(&app).await);
    }
}

#[tokio::test]
async fn a_preview_commits_once_and_in_its_time() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let import = preview(&ann, CHECKING, None).await.succeeds()["import"].clone();
        commit(&ann, &import, json!({})).await.succeeds();
        let before = everything(&app).await;
        commit(&ann, &import, json!({})).await.is_refused("IMPORT_COMMITTED");
        assert_eq!(app.last_outcome("commit_import").await, ("failed".to_owned(), Some("already_committed".to_owned())));
        let late = preview(&ann, SEVERAL, None).await.succeeds()["import"].clone();
        app.pass(Duration::minutes(60));
        let mut ann = ann;
        ann.sign_in("ann@example.com", crate::harness::app::PASSWORD).await;
        commit(&ann, &late, json!({})).await.is_refused("PREVIEW_EXPIRED");
        assert_eq!(ann.ask_with("query($id: ID!) { node(id: $id) { id } }", json!({ "id": late["id"] })).await.data()["node"], Value::Null);
        app.app.eraser.tidy().await.unwrap();
        app.holds(&[("imports", 1), ("import_rows", 0)]).await;
        commit(&ann, &late, json!({})).await.is_refused("NOT_FOUND");
        commit(&ann, &json!({ "id": "import_" }), json!({})).await.is_refused("NOT_FOUND");
        assert_eq!(before, everything(&app).await);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_commits_at_once_one_takes_it_in() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let import = preview(&ann, CHECKING, None).await.succeeds()["import"].clone();
        let answers = futures_util::future::join_all((0..6).map(|_| commit(&ann, &import, json!({})))).await;
        let done = answers.iter().filter(|answer| answer.body["data"]["commitImport"]["import"].is_object()).count();
        assert_eq!(done, 1, "{}", app.store.name);
        answers.iter().filter(|answer| answer.body["data"]["commitImport"]["import"].is_null()).for_each(|answer| answer.is_refused("IMPORT_COMMITTED"));
        app.holds(&[("accounts", 1), ("transactions", 4), ("imports", 1)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn previews_are_few_small_and_ones_own() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let first = preview(&ann, CHECKING, None).await.succeeds()["import"].clone();
        for _ in 0..5 {
            app.pass(Duration::seconds(1));
            preview(&ann, CHECKING, None).await.succeeds();
        }
        app.holds(&[("imports", 5), ("import_rows", 20)]).await;
        commit(&ann, &first, json!({})).await.is_refused("NOT_FOUND");
        let list = ann.ask("{ viewer { imports(first: 10) { totalCount nodes { id status } } } }").await.data();
        let youngest = list["viewer"]["imports"]["nodes"][4].clone();
        assert_eq!((&list["viewer"]["imports"]["totalCount"], &youngest["status"]), (&json!(5), &json!("PREVIEWED")));
        commit(&bob, &youngest, json!({})).await.is_refused("NOT_FOUND");
        let rows: Vec<_> = (0..20_001).map(|_| (3, "-5.00", "", "Coffee")).collect();
        let long = form_part("name=\"file\"; filename=\"a.ofx\"", statement("12345678", "USD", &rows).as_bytes());
        let answer = ann.upload_parts(&[&long[..], &form_part("name=\"preview\"", b"true")].concat()).await;
        answer.is_problem(422, "TOO_LONG_FOR_PREVIEW");
        app.holds(&[("imports", 5), ("accounts", 0), ("transactions", 0)]).await;
        app.promote("ann", Role::Readonly).await;
        app.pass(Duration::seconds(1));
        preview(&ann, CHECKING, None).await.is_fault("FORBIDDEN");
        commit(&ann, &youngest, json!({})).await.is_fault("FORBIDDEN");
        assert_eq!(app.last_outcome("commit_import").await, ("failed".to_owned(), Some("forbidden".to_owned())));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_form_previews_too() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.import("a.ofx", &statement("12345678", "USD", &[]), None).await.succeeds();
        let account = only_account(&ann).await;
        let file = form_part("name=\"file\"; filename=\"a.ofx\"", statement("12345678", "USD", &[(3, "-5.00", "1", "Coffee")]).as_bytes());
        let into = form_part("name=\"accountId\"", account.as_bytes());
        let answer = ann.upload_parts(&[&file[..], &into, &form_part("name=\"preview\"", b"true")].concat()).await;
        assert_eq!((answer.status, counts(&answer.body["import"])), (200, (0, 1, 0)), "{}", answer.text);
        assert_eq!((&answer.body["import"]["status"], &answer.body["import"]["rows"][0]["outcome"]), (&json!("PREVIEWED"), &json!("NEW")));
        assert_eq!(answer.body["import"]["statements"][0]["account"]["id"], account);
        app.holds(&[("transactions", 0)]).await;
        let done = commit(&ann, &answer.body["import"], json!({})).await.succeeds()["import"].clone();
        assert_eq!(counts(&done), (0, 1, 0));
        ann.upload_parts(&[&file[..], &form_part("name=\"preview\"", b"perhaps")].concat()).await.is_problem(400, "BAD_USER_INPUT");
        let answer = ann.upload_parts(&[&file[..], &form_part("name=\"preview\"", b"false")].concat()).await;
        assert_eq!(answer.body["import"]["status"], "COMMITTED");
    }
}

#[tokio::test]
async fn positions_come_in_with_the_file_that_lists_them_and_go_with_its_account() {
    const BROKERAGE: &str = include_str!("../fixtures/ofx/brokerage-sgml.ofx");
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let import = preview(&ann, BROKERAGE, None).await.succeeds()["import"].clone();
        assert_eq!((counts(&import), import["statements"][0]["balance"]["amount"].clone()), ((1, 15, 0), json!("1348.46")));
        app.holds(&[("holdings", 0)]).await;
        commit(&ann, &import, json!({})).await.succeeds();
        let held = ann.ask("{ viewer { holdings(first: 10) { nodes { security { symbol } quantity } } } }").await.data();
        let held: Vec<_> =
            held["viewer"]["holdings"]["nodes"].as_array().unwrap().iter().map(|held| (held["security"]["symbol"].clone(), held["quantity"].clone())).collect();
        assert_eq!(held, [(json!("OAK"), json!("13")), (json!("ELM"), json!("-5")), (json!("WOODX"), json!("3.1234"))]);
        assert_eq!(counts(&ann.import("again.ofx", BROKERAGE, None).await.succeeds()["import"]), (0, 0, 15));
        app.holds(&[("holdings", 3), ("accounts", 1)]).await;
        let two = ann.ask("{ viewer { imports(first: 5) { nodes { id } } } }").await.data();
        for import in two["viewer"]["imports"]["nodes"].as_array().unwrap() {
            ann.mutate("revertImport", "import { id }", json!({ "importId": import["id"] })).await.succeeds();
        }
        app.holds(&[("holdings", 0), ("accounts", 0), ("transactions", 0)]).await;
    }
}
