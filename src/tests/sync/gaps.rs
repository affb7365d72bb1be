//! A provider of many institutions, some of which do not answer: nothing is taken for closed or withdrawn because of it, and what is missing
//! is asked for again.

use chrono::Duration;
use serde_json::{Value, json};

use crate::harness::{
    app::TestApp,
    bank::{posted, reported_account},
};

use super::{asks_later, synced};

/// Two accounts of one link, each with a recent purchase and an old one.
fn two_accounts(app: &TestApp) {
    let rows = |of: &str| vec![posted(&format!("{of}-new"), "2026-11-20", -900, "Shoes"), posted(&format!("{of}-old"), "2026-01-20", -900, "Boots")];
    app.bank.script(|script| script.accounts = ["11", "22"].map(|number| (reported_account(number, 100), rows(number))).to_vec());
}

fn left_out(link: &Value) -> (&Value, &Value) {
    (&link["lastSync"]["status"], &link["lastSync"]["problem"])
}

#[tokio::test]
async fn an_account_missing_from_an_incomplete_answer_is_not_closed() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        let before = ann.link(&link).await;
        let accounts = ann.accounts().await;
        app.bank.script(|script| (script.hides_accounts, script.accounts) = (true, vec![]));
        app.pass(Duration::minutes(6));
        ann.sync(&link, false).await.succeeds();
        assert_eq!(app.work().await, 1);
        let told = ann.link(&link).await;
        assert_eq!(left_out(&told), (&json!("SUCCEEDED"), &json!("ACCOUNTS_UNANSWERED")));
        assert_eq!(ann.accounts().await, accounts);
        assert_eq!((&told["coverage"], &told["freshness"]), (&before["coverage"], &before["freshness"]), "not everything came");

        app.bank.script(|script| script.hides_accounts = false);
        ann.sync(&link, true).await.succeeds();
        assert_eq!(app.work().await, 1);
        assert_eq!(ann.accounts().await[0]["isActive"], false, "a complete answer without it closes it");
        assert_eq!(left_out(&ann.link(&link).await), (&json!("SUCCEEDED"), &json!(null)));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn the_rows_of_an_account_that_does_not_answer_are_not_withdrawn() {
    for app in TestApp::on_every_store().await {
        two_accounts(&app);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        app.work().await;
        assert_eq!(ann.transactions().await.len(), 4);
        app.bank.windows();

        app.bank.script(|script| {
            script.unanswering = vec!["11".to_owned()];
            script.accounts[1].1.retain(|row| row.reference.as_deref() != Some("22-new"));
        });
        asks_later(&app, &link, Duration::days(20)).await;
        assert_eq!(app.work().await, 1);
        let ann = app.signed_in("ann").await;
        assert_eq!(left_out(&ann.link(&link).await), (&json!("SUCCEEDED"), &json!("ACCOUNTS_UNANSWERED")));
        assert_eq!(ann.transactions().await.len(), 3, "what the account that did answer withdrew is gone");
        assert_eq!(ann.link(&link).await["coverage"]["to"], "2026-11-23", "what is missing is missing");
        app.bank.windows();

        app.bank.script(|script| {
            script.unanswering.clear();
            script.accounts[0].1.push(posted("11-meanwhile", "2026-11-25", -100, "Laces"));
        });
        asks_later(&app, &link, Duration::days(20)).await;
        assert_eq!(app.work().await, 1);
        assert_eq!(app.bank.windows(), vec![("2026-11-13".to_owned(), "2027-01-02".to_owned()); 2], "the days it did not answer for are asked for again");
        let ann = app.signed_in("ann").await;
        assert_eq!(left_out(&ann.link(&link).await), (&json!("SUCCEEDED"), &json!(null)));
        assert_eq!(ann.transactions().await.len(), 4);
        assert_eq!(ann.link(&link).await["coverage"]["to"], "2027-01-02");
    }
}

#[tokio::test]
async fn an_institution_that_never_answers_does_not_keep_the_others_from_their_history() {
    for app in TestApp::on_every_store().await {
        two_accounts(&app);
        app.bank.script(|script| script.unanswering = vec!["11".to_owned()]);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        assert_eq!(app.work().await, 1);
        let told = ann.link(&link).await;
        assert_eq!(left_out(&told), (&json!("SUCCEEDED"), &json!("ACCOUNTS_UNANSWERED")));
        assert_eq!((&told["coverage"], &told["freshness"]["state"]), (&json!({ "from": null, "to": null }), &json!("NEVER")));
        assert_eq!((ann.accounts().await.len(), ann.transactions().await.len()), (2, 2));
        assert_eq!(app.outcomes("sync_link").await, vec![("succeeded".to_owned(), None); 2], "two stages, and an end");

        app.bank.script(|script| script.unanswering.clear());
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        assert_eq!(ann.transactions().await.len(), 4);
        assert_eq!(left_out(&ann.link(&link).await), (&json!("SUCCEEDED"), &json!(null)));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn rows_that_could_not_be_read_spoil_only_their_own_account_and_are_told_whichever_stage_had_them() {
    for app in TestApp::on_every_store().await {
        two_accounts(&app);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        let gate = app.bank.hold_page(2);
        app.bank.script(|script| script.refused = 1);
        let worker = app.worker();
        gate.reached().await;
        app.bank.script(|script| script.refused = 0);
        gate.open();
        assert!(worker.await.unwrap());
        assert_eq!(left_out(&ann.link(&link).await), (&json!("SUCCEEDED"), &json!("ROWS_REFUSED")), "the first stage had some");
        assert_eq!(ann.transactions().await.len(), 4);
    }
}
