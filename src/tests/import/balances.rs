//! What files say an account held, on the day they say it of.

use serde_json::{Value, json};

use crate::harness::{app::TestApp, client::Client};

use super::{counts, everything, only_account, statement};

/// A file of one row, and what the account held at an instant.
fn of(as_of: &str, amount: &str) -> String {
    let file = statement("12345678", "USD", &[(3, "-5.00", "r3", "Coffee")]);
    file.replace("</BANKTRANLIST>", &format!("</BANKTRANLIST><LEDGERBAL><BALAMT>{amount}<DTASOF>{as_of}</LEDGERBAL>"))
}

/// An investment account's file with this list of positions: symbol and units.
fn positions(as_of: &str, listed: Option<&[(&str, u32)]>) -> String {
    let position = |(id, units): &(&str, u32)| {
        let security = format!("<SECID><UNIQUEID>{id}<UNIQUEIDTYPE>OTHER</SECID>");
        format!("<POSSTOCK><INVPOS>{security}<HELDINACCT>CASH<POSTYPE>LONG<UNITS>{units}<UNITPRICE>10<MKTVAL>{}.00</INVPOS></POSSTOCK>", units * 10)
    };
    let list = listed.map_or_else(String::new, |listed| format!("<INVPOSLIST>{}</INVPOSLIST>", listed.iter().map(position).collect::<String>()));
    let account = "<INVACCTFROM><BROKERID>oak.example<ACCTID>55667788</INVACCTFROM>";
    let cash = "<INVBAL><AVAILCASH>1000.00<MARGINBALANCE>0<SHORTBALANCE>0</INVBAL>";
    format!("<OFX><INVSTMTMSGSRSV1><INVSTMTTRNRS><INVSTMTRS><DTASOF>{as_of}<CURDEF>USD{account}{list}{cash}</INVSTMTRS></INVSTMTTRNRS></INVSTMTMSGSRSV1></OFX>")
}

async fn brought(client: &Client<'_>, content: &str, account: Option<&str>) -> Value {
    client.import("a.ofx", content, account).await.succeeds()["import"].clone()
}

async fn revert(client: &Client<'_>, import: &Value) {
    client.mutate("revertImport", "import { status }", json!({ "importId": import["id"] })).await.succeeds();
}

/// What the only account holds, and what each day ended with.
async fn told(client: &Client<'_>) -> (Value, Vec<(String, Value)>) {
    let history = "balanceHistory(first: 9) { nodes { date balances { current { amount } } } }";
    let data = client.ask(&format!("{{ viewer {{ accounts(first: 1) {{ nodes {{ balances {{ current {{ amount }} }} {history} }} }} }} }}")).await.data();
    let account = &data["viewer"]["accounts"]["nodes"][0];
    let day = |day: &Value| (day["date"].as_str().unwrap().to_owned(), day["balances"]["current"]["amount"].clone());
    (account["balances"]["current"]["amount"].clone(), account["balanceHistory"]["nodes"].as_array().unwrap().iter().map(day).collect())
}

fn days(days: &[(&str, &str)]) -> Vec<(String, Value)> {
    days.iter().map(|(day, amount)| ((*day).to_owned(), json!(amount))).collect()
}

/// Symbols and units of what is held.
async fn held(client: &Client<'_>) -> Vec<String> {
    let data = client.ask("{ viewer { holdings(first: 10) { nodes { security { symbol } quantity } } } }").await.data();
    let shown = |held: &Value| format!("{} {}", held["security"]["symbol"].as_str().unwrap(), held["quantity"].as_str().unwrap());
    data["viewer"]["holdings"]["nodes"].as_array().unwrap().iter().map(shown).collect()
}

#[tokio::test]
async fn balances_stand_on_the_days_they_are_of_in_whatever_order_files_come() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        brought(&ann, &of("20261031", "31.00"), None).await;
        let older = brought(&ann, &of("20260930", "30.00"), None).await;
        assert_eq!(told(&ann).await, (json!("31.00"), days(&[("2026-09-30", "30.00"), ("2026-10-31", "31.00")])), "{}", app.store.name);
        let latest = brought(&ann, &of("20261120", "20.00"), None).await;
        let all = days(&[("2026-09-30", "30.00"), ("2026-10-31", "31.00"), ("2026-11-20", "20.00")]);
        assert_eq!(told(&ann).await, (json!("20.00"), all.clone()));

        app.pass(chrono::Duration::seconds(1));
        let before = everything(&app).await;
        for again in [of("20260930", "30.00"), of("20261120", "20.00"), statement("12345678", "USD", &[(3, "-5.00", "r3", "Coffee")])] {
            brought(&ann, &again, None).await;
        }
        assert_eq!(before, everything(&app).await, "the same again changes nothing, and a file without a balance says nothing of it");

        revert(&ann, &older).await;
        let again = days(&[("2026-09-30", "30.00"), ("2026-10-31", "31.00"), ("2026-11-20", "20.00")]);
        assert_eq!(told(&ann).await, (json!("20.00"), again), "another import has told it, too");
        revert(&ann, &latest).await;
        let corrected = brought(&ann, &of("20261120", "21.00"), None).await;
        assert_eq!(told(&ann).await.0, "21.00", "a file of the same instant that says otherwise corrects it");
        revert(&ann, &corrected).await;
        assert_eq!(told(&ann).await, (json!("20.00"), all));
    }
}

#[tokio::test]
async fn a_balance_that_is_taken_back_leaves_its_day() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        brought(&ann, &of("20261031", "31.00"), None).await;
        let (older, latest) = (brought(&ann, &of("20260930", "30.00"), None).await, brought(&ann, &of("20261120", "20.00"), None).await);
        revert(&ann, &older).await;
        assert_eq!(told(&ann).await, (json!("20.00"), days(&[("2026-10-31", "31.00"), ("2026-11-20", "20.00")])), "{}", app.store.name);
        revert(&ann, &latest).await;
        assert_eq!(told(&ann).await, (json!("31.00"), days(&[("2026-10-31", "31.00")])));
    }
}

#[tokio::test]
async fn a_file_without_a_balance_leaves_none() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        brought(&ann, &statement("12345678", "USD", &[(3, "-5.00", "r3", "Coffee")]), None).await;
        assert_eq!(told(&ann).await, (Value::Null, vec![]));
        app.holds(&[("balance_snapshots", 0), ("accounts", 1)]).await;
    }
}

#[tokio::test]
async fn a_file_without_a_balance_keeps_no_older_one_away() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let available = of("20261120", "20.00").replace("LEDGERBAL", "AVAILBAL");
        brought(&ann, &available, None).await;
        assert_eq!(told(&ann).await, (Value::Null, vec![]), "{}", app.store.name);
        brought(&ann, &of("20261031", "31.00"), None).await;
        assert_eq!(told(&ann).await, (json!("31.00"), days(&[("2026-10-31", "31.00")])));
        brought(&ann, &available, None).await;
        assert_eq!(told(&ann).await.0, json!("31.00"));
        brought(&ann, &of("20260930", "30.00"), None).await;
        assert_eq!(told(&ann).await.0, json!("31.00"));

        let bob = app.signed_in("bob").await;
        let trades = positions("20261120", None).replace("<INVBAL><AVAILCASH>1000.00<MARGINBALANCE>0<SHORTBALANCE>0</INVBAL>", "");
        brought(&bob, &trades, None).await;
        let full = brought(&bob, &positions("20261031", Some(&[("STK", 5)])), None).await;
        assert_eq!((held(&bob).await, told(&bob).await.0), (vec!["STK 5".to_owned()], json!("1050.00")));
        revert(&bob, &full).await;
        assert_eq!((held(&bob).await, told(&bob).await), (vec![], (Value::Null, vec![])));
    }
}

#[tokio::test]
async fn a_balance_without_a_date_is_of_the_end_of_its_statement() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let until =
            |day: &str, amount: &str| of("", amount).replace("<DTASOF>", "").replace("<BANKTRANLIST>", &format!("<BANKTRANLIST><DTSTART>20260901<DTEND>{day}"));
        brought(&ann, &until("20261031", "31.00"), None).await;
        brought(&ann, &until("20261120", "20.00"), None).await;
        brought(&ann, &until("20260930", "30.00"), None).await;
        let all = days(&[("2026-09-30", "30.00"), ("2026-10-31", "31.00"), ("2026-11-20", "20.00")]);
        assert_eq!(told(&ann).await, (json!("20.00"), all), "{}", app.store.name);
    }
}

#[tokio::test]
async fn a_balance_of_a_time_to_come_is_one_of_now_and_named() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let import = brought(&ann, &of("20991231", "1.00"), None).await;
        let problems = import["problems"].as_array().unwrap();
        assert!(problems.len() == 1 && problems[0]["message"].as_str().unwrap().contains("2099-12-31, which has not come yet"), "{problems:?}");
        assert_eq!(told(&ann).await, (json!("1.00"), days(&[("2026-11-23", "1.00")])), "{}", app.store.name);
        app.pass(chrono::Duration::seconds(1));
        let before = everything(&app).await;
        brought(&ann, &of("20991231", "1.00"), None).await;
        assert_eq!(before, everything(&app).await, "the same again is no news");
        let ann = app.later(chrono::Duration::days(1), "ann").await;
        assert_eq!(brought(&ann, &of("20261124", "2.00"), None).await["problems"], json!([]));
        assert_eq!(told(&ann).await, (json!("2.00"), days(&[("2026-11-23", "1.00"), ("2026-11-24", "2.00")])));
    }
}

#[tokio::test]
async fn positions_are_those_of_the_youngest_statement_that_was_not_taken_back() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let first = brought(&ann, &positions("20261031", Some(&[("STK", 5)])), None).await;
        let second = brought(&ann, &positions("20261120", Some(&[("STK", 8), ("ELM", 1)])), None).await;
        brought(&ann, &positions("20260930", Some(&[("STK", 2)])), None).await;
        assert_eq!((held(&ann).await, told(&ann).await.0), (vec!["STK 8".to_owned(), "ELM 1".to_owned()], json!("1090.00")), "{}", app.store.name);
        brought(&ann, &positions("20261121", None), None).await;
        assert_eq!((held(&ann).await.len(), told(&ann).await.0), (2, json!("1090.00")), "cash alone is not what is held");
        revert(&ann, &second).await;
        assert_eq!((held(&ann).await, told(&ann).await.0), (vec!["STK 5".to_owned()], json!("1050.00")));
        revert(&ann, &first).await;
        assert_eq!((held(&ann).await, told(&ann).await.0), (vec!["STK 2".to_owned()], json!("1020.00")));
    }
}

#[tokio::test]
async fn an_account_of_files_takes_from_a_file_that_names_it_what_it_takes_from_any() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        brought(&ann, &of("20261031", "31.00"), None).await;
        let (account, link) = (only_account(&ann).await, ann.accounts().await[0]["link"]["id"].as_str().unwrap().to_owned());
        ann.unlink(&link, true).await.succeeds();
        assert_eq!((&ann.link(&link).await["status"], &ann.accounts().await[0]["isActive"]), (&json!("UNLINKED"), &json!(false)));
        let other = of("20261120", "20.00").replace("12345678", "87654321").replace("r3", "r4").replace("20261103", "20261104");
        assert_eq!(counts(&brought(&ann, &other, Some(&account)).await), (0, 1, 0));
        assert_eq!((&ann.link(&link).await["status"], &ann.accounts().await[0]["isActive"]), (&json!("ACTIVE"), &json!(true)), "{}", app.store.name);
        assert_eq!(told(&ann).await, (json!("20.00"), days(&[("2026-10-31", "31.00"), ("2026-11-20", "20.00")])));
    }
}
