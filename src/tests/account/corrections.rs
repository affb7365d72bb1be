//! Name, kind and signs, as their owner knows them.

use dashtam::domain::{account::AccountType, money::Amount, provider::ReportedTransaction, transaction::TransactionSubtype, user::Role};
use serde_json::{Value, json};

use crate::harness::{
    app::TestApp,
    bank::{pending, posted, reported_account},
};

use super::{accounts, everything, synced, syncs_again, update};

/// Amounts of one's own transactions, latest day first.
async fn amounts(client: &crate::harness::client::Client<'_>) -> Vec<String> {
    client.transactions().await.iter().map(|row| row["amount"]["amount"].as_str().unwrap().to_owned()).collect()
}

/// Current balances of every snapshot, in units.
async fn snapshots(app: &TestApp) -> Vec<i64> {
    let rows = app.store.query("SELECT current_amount FROM balance_snapshots ORDER BY id").await;
    rows.iter().map(|row| row.try_get("", "current_amount").unwrap()).collect()
}

#[tokio::test]
async fn signs_are_turned_in_what_is_stored_and_in_what_comes() {
    for app in TestApp::on_every_store().await {
        let rows = vec![posted("x", "2026-11-20", 900, "Shoes"), posted("y", "2026-11-19", -2500, "Payment"), pending("p", "2026-11-21", 300, "Coffee")];
        let (ann, link) = synced(&app, rows.clone()).await;
        let before = accounts(&ann, &json!(null)).await[0].clone();
        let ids = ann.transaction_ids().await;
        assert_eq!(
            (amounts(&ann).await, before["balances"]["current"]["amount"].clone()),
            (vec!["3.00".into(), "9.00".into(), "-25.00".into()], json!("100.00"))
        );
        let told = update(&ann, &before["id"], json!({ "type": "CREDIT_CARD", "invertSign": true })).await.succeeds()["account"].clone();
        assert_eq!((&told["type"], &told["reportedType"], &told["isSignInverted"]), (&json!("CREDIT_CARD"), &json!("CHECKING"), &json!(true)));
        assert_eq!(told["balances"]["current"]["amount"], "-100.00");
        let turned = vec!["-3.00".to_owned(), "-9.00".to_owned(), "25.00".to_owned()];
        assert_eq!((amounts(&ann).await, ann.transaction_ids().await), (turned.clone(), ids.clone()), "the same rows, {}", app.store.name);
        assert!(snapshots(&app).await.iter().all(|units| *units == -1_000_000), "{:?}", snapshots(&app).await);

        syncs_again(&app, &ann, &link).await;
        assert_eq!((amounts(&ann).await, ann.transaction_ids().await), (turned, ids.clone()), "a sync neither turns them back nor doubles them");
        assert_eq!(accounts(&ann, &json!(null)).await[0], told);
        app.bank.script(|script| {
            script.accounts = vec![(
                reported_account("1234567890", 12_000),
                vec![posted("z", "2026-11-22", 1000, "Hats"), posted("q", "2026-11-22", 300, "Coffee"), rows[0].clone(), rows[1].clone()],
            )];
        });
        syncs_again(&app, &ann, &link).await;
        let now = amounts(&ann).await;
        assert_eq!(now.iter().filter(|amount| *amount == "-10.00").count(), 1, "{now:?}");
        assert_eq!(now.len(), 4, "the pending one was booked, as one: {now:?}");
        assert!(ann.transaction_ids().await.contains(&ids[0]), "the pending row's id");
        assert_eq!(accounts(&ann, &json!(null)).await[0]["balances"]["current"]["amount"], "-120.00");

        let back = update(&ann, &before["id"], json!({ "type": null, "invertSign": false })).await.succeeds()["account"].clone();
        assert_eq!((&back["type"], &back["balances"]["current"]["amount"]), (&json!("CHECKING"), &json!("120.00")));
        assert!(amounts(&ann).await.contains(&"10.00".to_owned()));
        syncs_again(&app, &ann, &link).await;
        assert_eq!(amounts(&ann).await.len(), 4);
        assert_eq!(app.outcomes("update_account").await, vec![("succeeded".to_owned(), None); 2]);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn saying_the_same_twice_turns_nothing_twice() {
    for app in TestApp::on_every_store().await {
        let (ann, _) = synced(&app, vec![posted("x", "2026-11-20", 900, "Shoes")]).await;
        let account = accounts(&ann, &json!(null)).await[0]["id"].clone();
        for _ in 0..2 {
            update(&ann, &account, json!({ "invertSign": true })).await.succeeds();
            assert_eq!(amounts(&ann).await, ["-9.00"]);
        }
        update(&ann, &account, json!({})).await.succeeds();
        assert_eq!(amounts(&ann).await, ["-9.00"], "what is left out stays");
        assert_eq!(accounts(&ann, &json!(null)).await[0]["isSignInverted"], true);
    }
}

#[tokio::test]
async fn rows_of_files_are_turned_too_and_found_again() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let file = include_str!("../fixtures/ofx/checking-sgml.ofx");
        ann.import("a.ofx", file, None).await.succeeds();
        let account = accounts(&ann, &json!(null)).await[0].clone();
        let (before, ids) = (amounts(&ann).await, ann.transaction_ids().await);
        update(&ann, &account["id"], json!({ "invertSign": true })).await.succeeds();
        let import = ann.import("a.ofx", file, None).await.succeeds()["import"].clone();
        assert_eq!((&import["transactionsCreated"], &import["problems"].as_array().unwrap().is_empty()), (&json!(0), &true), "{import}");
        let after = amounts(&ann).await;
        assert_eq!(ann.transaction_ids().await, ids);
        assert!(before.iter().zip(&after).all(|(was, is)| format!("-{was}").replace("--", "") == *is), "{before:?} {after:?}");
        // What a preview shows is what there will be.
        let rows = "import { rows(first: 100) { amount { amount } transaction { amount { amount } } } }";
        let preview = ann.mutate("previewImport", rows, json!({ "filename": "a.ofx", "content": file })).await.succeeds()["import"].clone();
        let rows = preview["rows"].as_array().unwrap();
        assert!(!rows.is_empty() && rows.iter().all(|row| row["amount"] == row["transaction"]["amount"]), "{rows:?}");
    }
}

#[tokio::test]
async fn a_kind_stays_over_syncs_and_goes_back() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        let account = accounts(&ann, &json!(null)).await[0].clone();
        assert_eq!((&account["type"], &account["balanceWarning"]), (&json!("CHECKING"), &Value::Null));
        let told = update(&ann, &account["id"], json!({ "type": "MORTGAGE" })).await.succeeds()["account"].clone();
        assert_eq!((&told["type"], &told["reportedType"]), (&json!("MORTGAGE"), &json!("CHECKING")));
        assert_eq!(told["balanceWarning"], "LIABILITY_IS_POSITIVE", "a debt of which there is 100.00 to have");
        syncs_again(&app, &ann, &link).await;
        assert_eq!(accounts(&ann, &json!(null)).await, std::slice::from_ref(&told));
        assert_eq!(accounts(&ann, &json!({ "types": ["MORTGAGE"] })).await, std::slice::from_ref(&told));
        assert_eq!(accounts(&ann, &json!({ "types": ["CHECKING"] })).await, [Value::Null; 0], "filters go by what the owner says");
        let turned = update(&ann, &account["id"], json!({ "invertSign": true })).await.succeeds()["account"].clone();
        assert_eq!((&turned["type"], &turned["balanceWarning"]), (&json!("MORTGAGE"), &Value::Null));
        let back = update(&ann, &account["id"], json!({ "type": null, "invertSign": false })).await.succeeds()["account"].clone();
        assert_eq!(back, account);
    }
}

#[tokio::test]
async fn what_is_not_ones_own_changes_nothing() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", 900, "Shoes")]).await;
        let bob = app.signed_in("bob").await;
        let account = accounts(&ann, &json!(null)).await[0]["id"].clone();
        let before = everything(&app).await;
        update(&bob, &account, json!({ "invertSign": true })).await.is_refused("NOT_FOUND");
        for id in [json!(link), json!(""), json!("acct_"), json!("1 OR 1=1"), json!("x".repeat(10_000))] {
            update(&ann, &id, json!({ "invertSign": true })).await.is_refused("NOT_FOUND");
            assert_eq!(app.last_outcome("update_account").await, ("failed".to_owned(), Some("not_found".to_owned())));
        }
        update(&app.nobody(), &account, json!({ "invertSign": true })).await.is_fault("UNAUTHENTICATED");
        app.promote("bob", Role::Admin).await;
        app.promote("ann", Role::Readonly).await;
        app.pass(chrono::Duration::seconds(1));
        update(&bob, &account, json!({ "invertSign": true })).await.is_refused("NOT_FOUND");
        update(&ann, &account, json!({ "invertSign": true })).await.is_fault("FORBIDDEN");
        assert_eq!(before, everything(&app).await);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_turned_while_a_sync_is_under_way_hold_for_what_it_brings() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", 900, "Shoes")]).await;
        let account = accounts(&ann, &json!(null)).await[0]["id"].clone();
        app.bank.reports(vec![posted("x", "2026-11-20", 900, "Shoes"), posted("y", "2026-11-21", 500, "Socks")]);
        ann.sync(&link, true).await.succeeds();
        let gate = app.bank.hold_page(0);
        let worker = app.worker();
        gate.reached().await;
        update(&ann, &account, json!({ "invertSign": true })).await.succeeds();
        gate.open();
        assert!(worker.await.unwrap());
        assert_eq!(amounts(&ann).await, ["-5.00", "-9.00"], "{}", app.store.name);
        let turns = futures_util::future::join_all((0..9).map(|at| update(&ann, &account, json!({ "invertSign": at % 2 == 0 })))).await;
        for turn in &turns {
            turn.succeeds();
        }
        let inverted = accounts(&ann, &json!(null)).await[0]["isSignInverted"] == true;
        assert_eq!(amounts(&ann).await, if inverted { ["-5.00", "-9.00"] } else { ["5.00", "9.00"] }, "{}", app.store.name);
        app.every_attempt_ended_once().await;
    }
}

/// Kinds and amounts of what a card's file tells, latest day first.
async fn kinds(client: &crate::harness::client::Client<'_>) -> Vec<(String, String, String)> {
    let word = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    client.transactions().await.iter().map(|row| (word(&row["amount"], "amount"), word(row, "type"), word(row, "subtype"))).collect()
}

#[tokio::test]
async fn what_goes_by_another_name_in_the_other_direction_is_called_so_once_signs_are_turned() {
    let card = |rows: &[(u32, &str, &str)]| {
        let row = |(day, kind, amount): &(u32, &str, &str)| {
            format!("<STMTTRN><TRNTYPE>{kind}<DTPOSTED>202611{day:02}<TRNAMT>{amount}<FITID>c{day}<NAME>x{day}</STMTTRN>\n")
        };
        let rows: String = rows.iter().map(row).collect();
        let list = format!("<BANKTRANLIST><DTSTART>20261101<DTEND>20261130\n{rows}</BANKTRANLIST>");
        format!(
            "<OFX><CREDITCARDMSGSRSV1><CCSTMTTRNRS><CCSTMTRS><CURDEF>USD<CCACCTFROM><ACCTID>4111111111111111</CCACCTFROM>{list}</CCSTMTRS></CCSTMTTRNRS></CREDITCARDMSGSRSV1></OFX>"
        )
    };
    let told = |rows: &[(&str, &str, &str)]| {
        rows.iter().map(|(amount, kind, subtype)| ((*amount).to_owned(), (*kind).to_owned(), (*subtype).to_owned())).collect::<Vec<_>>()
    };
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let rows = [(2, "DEBIT", "12.34"), (3, "PAYMENT", "-500.00"), (4, "FEE", "3.00"), (5, "INT", "1.00")];
        ann.import("a.ofx", &card(&rows), None).await.succeeds();
        let account = accounts(&ann, &json!(null)).await[0]["id"].clone();
        let as_told =
            told(&[("1.00", "INCOME", "INTEREST"), ("3.00", "FEE", "OTHER_FEE"), ("-500.00", "PAYMENT", "BILL_PAYMENT"), ("12.34", "PAYMENT", "REFUND")]);
        assert_eq!(kinds(&ann).await, as_told);
        update(&ann, &account, json!({ "invertSign": true })).await.succeeds();
        let turned = told(&[
            ("-1.00", "FEE", "INTEREST_CHARGE"),
            ("-3.00", "FEE", "OTHER_FEE"),
            ("500.00", "TRANSFER", "TRANSFER_IN"),
            ("-12.34", "PAYMENT", "PURCHASE"),
        ]);
        assert_eq!(kinds(&ann).await, turned, "{}", app.store.name);
        let fields = "import { accountsCreated transactionsCreated transactionsKnown transactionsUpdated }";
        let import = async |rows: &[(u32, &str, &str)]| {
            ann.mutate("importStatement", fields, json!({ "filename": "b.ofx", "content": card(rows) })).await.succeeds()["import"].clone()
        };
        let again = import(&rows).await;
        assert_eq!((&again["transactionsKnown"], &again["transactionsUpdated"]), (&json!(4), &json!(0)), "the same again changes nothing");
        assert_eq!(import(&[(6, "CREDIT", "7.00"), (7, "CREDIT", "-8.00")]).await["transactionsCreated"], 2);
        assert_eq!(kinds(&ann).await[..2], told(&[("8.00", "PAYMENT", "REFUND"), ("-7.00", "PAYMENT", "PURCHASE")])[..]);
        update(&ann, &account, json!({ "invertSign": false })).await.succeeds();
        assert_eq!(kinds(&ann).await[2..], as_told[..]);
    }
}

#[test]
fn what_is_turned_twice_is_what_it_was_whatever_it_is_called() {
    let cents = |cents: i64| Amount::from_units(cents * 100).unwrap();
    for is_liability in [false, true] {
        for amount in [cents(-1), cents(0), cents(1)] {
            for subtype in TransactionSubtype::ALL.iter().copied() {
                let turned = subtype.of_turned(amount.negated(), is_liability);
                assert_eq!(turned.of_turned(amount, is_liability), subtype, "{subtype:?} of {amount:?} was {turned:?}, {is_liability}");
            }
            let mut names: Vec<_> = TransactionSubtype::ALL.iter().map(|subtype| subtype.of_turned(amount, is_liability).as_str()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), TransactionSubtype::ALL.len(), "no two become one, {is_liability}");
        }
    }
}

#[tokio::test]
async fn signs_that_are_turned_back_leave_every_row_as_it_was_syncs_in_between_included() {
    let rows: Vec<ReportedTransaction> = TransactionSubtype::ALL
        .iter()
        .enumerate()
        .flat_map(|(at, subtype)| {
            let name = subtype.as_str();
            let day = format!("2026-11-{:02}", 1 + at % 20);
            let both = [(1, "in"), (-1, "out")].map(|(sign, way)| (format!("{name}-{way}"), sign * (1000 + i64::try_from(at).unwrap())));
            both.map(|(name, cents)| {
                let mut row = posted(&name, &day, cents, &name);
                row.facts.subtype = *subtype;
                row
            })
        })
        .collect();
    for (app, kind) in TestApp::on_every_store().await.iter().flat_map(|app| [(app, AccountType::CreditCard), (app, AccountType::Checking)]) {
        let name = if kind == AccountType::Checking { "ann" } else { "bob" };
        app.bank.script(|script| script.accounts = vec![(dashtam::domain::provider::ReportedAccount { kind, ..reported_account(name, 10_000) }, rows.clone())]);
        let client = app.signed_in(name).await;
        let link = client.link_scripted().await;
        assert_eq!(app.work().await, 1);
        let account = accounts(&client, &json!(null)).await[0]["id"].clone();
        let before = client.transactions().await;
        assert_eq!(before.len(), rows.len());
        update(&client, &account, json!({ "invertSign": true })).await.succeeds();
        let turned = client.transactions().await;
        syncs_again(app, &client, &link).await;
        assert_eq!(client.transactions().await, turned, "a sync finds what is turned, {}", app.store.name);
        update(&client, &account, json!({ "invertSign": false })).await.succeeds();
        assert_eq!(client.transactions().await, before, "{kind:?}, {}", app.store.name);
        syncs_again(app, &client, &link).await;
        assert_eq!(client.transactions().await, before, "{kind:?}, {}", app.store.name);
    }
}
