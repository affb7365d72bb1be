//! What statement files said.

use chrono::Duration;
use serde_json::{Value, json};

use crate::harness::{
    app::TestApp,
    bank::{posted, reported_account},
    client::Client,
};

use super::{accounts, changed, days};

/// A statement of one account for some days of 2026, written `MMDD`, with one row on the first of them.
fn statement(number: &str, from: &str, to: &str) -> String {
    let row = format!("<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>2026{from}<TRNAMT>-1.00<FITID>{number}{from}<NAME>Coffee</STMTTRN>");
    let account = format!("<CURDEF>USD<BANKACCTFROM><BANKID>1<ACCTID>{number}<ACCTTYPE>CHECKING</BANKACCTFROM>");
    format!(
        "<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS>{account}<BANKTRANLIST><DTSTART>2026{from}<DTEND>2026{to}\n{row}</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"
    )
}

async fn import(client: &Client<'_>, content: &str, account: Option<&str>) -> Value {
    client.import("a.ofx", content, account).await.succeeds()["import"]["id"].clone()
}

async fn revert(client: &Client<'_>, import: &Value) {
    client.mutate("revertImport", "import { id }", json!({ "importId": import })).await.succeeds();
}

fn gap(from: &str, to: &str, days: Value) -> Value {
    let mut days = days;
    days["gaps"] = json!([{ "from": from, "to": to }]);
    days
}

#[tokio::test]
async fn files_that_do_not_touch_leave_a_gap_until_one_fills_it_or_one_is_taken_back() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        import(&ann, &statement("1234", "0101", "0131"), None).await;
        app.pass(Duration::seconds(1));
        let march = import(&ann, &statement("1234", "0301", "0331"), None).await;
        let account = accounts(&ann).await.remove(0);
        let both = gap("2026-02-01", "2026-02-28", days("2026-01-01", "2026-03-31", "FILES_ONLY"));
        assert_eq!((&account["coverage"], &account["freshness"]), (&both, &json!({ "state": "FRESH", "syncedAt": "2026-11-23T12:00:01Z" })));

        app.pass(Duration::seconds(1));
        let february = import(&ann, &statement("1234", "0201", "0228"), None).await;
        assert_eq!(accounts(&ann).await[0]["coverage"], days("2026-01-01", "2026-03-31", "FILES_ONLY"), "{}", app.store.name);
        let (_, cursor) = changed(&ann, &Value::Null).await;
        revert(&ann, &february).await;
        assert_eq!(accounts(&ann).await[0]["coverage"], both);
        assert_eq!(accounts(&ann).await[0]["freshness"]["syncedAt"], "2026-11-23T12:00:01Z", "as recent as what is left");
        assert_eq!(changed(&ann, &cursor).await.0.len(), 1);
        revert(&ann, &march).await;
        assert_eq!(accounts(&ann).await[0]["coverage"], days("2026-01-01", "2026-01-31", "FILES_ONLY"));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn days_that_another_file_covers_too_stay_and_a_file_says_nothing_of_days_to_come() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let first = import(&ann, &statement("1234", "0101", "0131"), None).await;
        app.pass(Duration::seconds(1));
        import(&ann, &statement("1234", "0115", "0215"), None).await;
        revert(&ann, &first).await;
        assert_eq!(accounts(&ann).await[0]["coverage"], days("2026-01-15", "2026-02-15", "FILES_ONLY"), "{}", app.store.name);
        import(&ann, &statement("77", "1101", "1231"), None).await;
        assert_eq!(accounts(&ann).await[1]["coverage"], days("2026-11-01", "2026-11-24", "FILES_ONLY"));
    }
}

#[tokio::test]
async fn a_preview_covers_nothing_and_its_commit_does() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        import(&ann, &statement("1234", "0101", "0131"), None).await;
        let input = json!({ "filename": "a.ofx", "content": statement("1234", "0201", "0228") });
        let preview = ann.mutate("previewImport", "import { id }", input).await.succeeds()["import"]["id"].clone();
        assert_eq!(accounts(&ann).await[0]["coverage"], days("2026-01-01", "2026-01-31", "FILES_ONLY"), "{}", app.store.name);
        ann.mutate("commitImport", "import { id }", json!({ "importId": preview })).await.succeeds();
        assert_eq!(accounts(&ann).await[0]["coverage"], days("2026-01-01", "2026-02-28", "FILES_ONLY"));
    }
}

#[tokio::test]
async fn a_csv_file_counts_from_its_first_row_to_its_last() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let csv = "Date,Amount,Description\n2026-01-05,-1.00,Coffee\n2026-02-25,-2.00,Tea\n";
        let input = json!({ "filename": "a.csv", "content": csv, "account": { "name": "Cash", "type": "CHECKING", "currency": "USD" } });
        ann.mutate("importStatement", "import { id }", input).await.succeeds();
        assert_eq!(accounts(&ann).await[0]["coverage"], days("2026-01-05", "2026-02-25", "FILES_ONLY"), "{}", app.store.name);
    }
}

#[tokio::test]
async fn a_file_adds_days_to_an_account_of_a_bank_and_does_not_make_it_fresh() {
    for app in TestApp::on_every_store().await {
        app.bank.script(|script| script.accounts = vec![(reported_account("11", 100), vec![posted("x", "2026-11-20", -900, "Shoes")])]);
        let ann = app.signed_in("ann").await;
        ann.link_scripted().await;
        app.work().await;
        let before = accounts(&ann).await.remove(0);
        let old = statement("5", "0101", "0131").replace("2026", "2023");
        app.pass(Duration::seconds(1));
        let file = import(&ann, &old, before["id"].as_str()).await;
        let after = accounts(&ann).await.remove(0);
        assert_eq!(after["coverage"], gap("2023-02-01", "2024-11-22", days("2023-01-01", "2026-11-23", "HISTORY_LIMIT")), "{}", app.store.name);
        assert_eq!(after["freshness"], before["freshness"]);
        revert(&ann, &file).await;
        assert_eq!(accounts(&ann).await, [before]);
    }
}
