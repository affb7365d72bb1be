//! Into an account that is there already.

use serde_json::json;

use crate::harness::{
    app::TestApp,
    bank::{posted, reported_account},
};

use super::{CHECKING, SEVERAL, counts, everything, only_account, statement};

#[tokio::test]
async fn a_file_over_what_the_bank_has_told_adds_nothing_to_its_account() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes"), posted("y", "2026-11-20", -900, "Hats"), posted("z", "2026-11-21", -500, "Coffee")]);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        app.work().await;
        let (account, before) = (only_account(&ann).await, ann.transactions().await);
        let rows = [(20, "-9.00", "1", "POS 0042 HATTER"), (20, "-9.00", "2", "shoes"), (21, "-5.00", "", "CARD COFFEE"), (22, "-7.00", "4", "Tea")];
        let import = ann.import("a.ofx", &statement("1234567890", "USD", &rows), Some(&account)).await.succeeds()["import"].clone();
        assert_eq!((counts(&import), &import["problems"]), ((0, 1, 3), &json!([])));
        let after = ann.transactions().await;
        assert_eq!(&after[1..], before, "a file does not change what a bank said");
        assert_eq!(ann.accounts().await.len(), 1);

        ann.sync(&link, true).await.succeeds();
        app.work().await;
        assert_eq!(ann.transactions().await, after, "a row that only a file told is not the bank's to take back");
        app.bank.reports(vec![posted("t", "2026-11-22", -700, "Tea House")]);
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        let rows = ann.transactions().await;
        assert_eq!((rows.len(), &rows[0]["id"], &rows[0]["description"]), (1, &after[0]["id"], &json!("Tea House")), "the bank's word comes over the file's");
    }
}

#[tokio::test]
async fn files_of_two_formats_and_exports_double_nothing_that_the_bank_has_told() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes"), posted("y", "2026-11-20", -900, "Hats"), posted("z", "2026-11-21", -500, "Coffee")]);
        let ann = app.signed_in("ann").await;
        ann.link_scripted().await;
        app.work().await;
        let (account, before) = (only_account(&ann).await, ann.transactions().await);
        let csv = "Date,Description,Amount\n2026-11-20,csv shoes,-9.00\n2026-11-20,csv hats,-9.00\n2026-11-21,csv coffee,-5.00\n";
        let ofx = |ids: [&str; 3], name: &str| {
            let row = |day, amount, id| (day, amount, id, name);
            statement("1234567890", "USD", &[row(20, "-9.00", ids[0]), row(20, "-9.00", ids[1]), row(21, "-5.00", ids[2])])
        };
        for (filename, file) in
            [("a.csv", csv.to_owned()), ("a.ofx", ofx(["1", "2", "3"], "POS 0042")), ("b.ofx", ofx(["7", "8", "9"], "POS")), ("a.csv", csv.to_owned())]
        {
            let import = ann.import(filename, &file, Some(&account)).await.succeeds()["import"].clone();
            assert_eq!((counts(&import), &import["problems"]), ((0, 0, 3), &json!([])), "{filename}, {}", app.store.name);
        }
        assert_eq!(ann.transactions().await, before);
    }
}

#[tokio::test]
async fn files_that_word_the_same_days_differently_are_doubted_and_not_doubled_in_silence() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let csv = "Date,Description,Amount\n2026-11-03,Card purchase Tesco,-12.34\n2026-11-04,Salary,500.00\n";
        let rows = [(3, "-12.34", "a1", "TESCO STORES 3012"), (4, "500.00", "a2", "PAYROLL ACME")];
        ann.import("a.ofx", &statement("12345678", "USD", &rows), None).await.succeeds();
        let account = only_account(&ann).await;
        let cut = [(3, "-12.34", "zz9", "TESCO STORES"), (4, "500.00", "zz8", "payroll acme")];
        for (filename, file, known) in [("a.csv", csv.to_owned(), 0), ("b.ofx", statement("12345678", "USD", &cut), 1)] {
            let input = json!({ "filename": filename, "content": file, "accountId": account });
            let fields = "import { id accountsCreated transactionsCreated transactionsKnown transactionsDoubtful }";
            let preview = ann.mutate("previewImport", fields, input).await.succeeds()["import"].clone();
            assert_eq!((counts(&preview), &preview["transactionsDoubtful"]), ((0, 0, known), &json!(2 - known)), "{filename}, {}", app.store.name);
            ann.mutate("commitImport", "import { id }", json!({ "importId": preview["id"] })).await.succeeds();
            app.holds(&[("transactions", 2)]).await;
        }
        let told = ann.import("a.csv", csv, Some(&account)).await.succeeds()["import"].clone();
        assert_eq!((counts(&told), told["problems"].as_array().unwrap().len()), ((0, 2, 0), 2), "taken at once, it is said");
    }
}

#[tokio::test]
async fn an_account_that_is_absent_anothers_or_no_account_is_not_found() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        ann.import("a.ofx", CHECKING, None).await.succeeds();
        let (own, link) = (only_account(&ann).await, ann.accounts().await[0]["link"]["id"].as_str().unwrap().to_owned());
        let before = everything(&app).await;
        let absent = format!("{}0000", &own[..own.len() - 4]);
        for (client, id) in [(&bob, own.as_str()), (&ann, &absent), (&ann, &link), (&ann, ""), (&ann, "acct_"), (&ann, "acct_%00"), (&ann, "1 OR 1=1")] {
            client.import("a.ofx", CHECKING, Some(id)).await.is_refused("NOT_FOUND");
            assert_eq!(app.last_outcome("import_statement").await, ("failed".to_owned(), Some("not_found".to_owned())), "{id}");
            client.upload("a.ofx", CHECKING.as_bytes(), Some(id)).await.is_problem(404, "NOT_FOUND");
        }
        assert_eq!(before, everything(&app).await);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_file_that_does_not_fit_the_account_is_refused_whole() {
    for app in TestApp::on_every_store().await {
        app.bank.script(|script| {
            let mut yen = reported_account("1234567890", 1);
            yen.currency = dashtam::domain::money::Currency::parse("JPY").unwrap();
            script.accounts = vec![(yen, vec![])];
        });
        let ann = app.signed_in("ann").await;
        ann.link_scripted().await;
        app.work().await;
        let account = only_account(&ann).await;
        let before = everything(&app).await;
        let refused = ann.import("a.ofx", CHECKING, Some(&account)).await;
        refused.is_refused("CURRENCY_MISMATCH");
        assert_eq!(refused.payload()["userErrors"][0]["field"], json!(["accountId"]));
        ann.upload("a.ofx", CHECKING.as_bytes(), Some(&account)).await.is_problem(422, "OTHER_CURRENCY");
        assert_eq!(app.last_outcome("import_statement").await, ("failed".to_owned(), Some("other_currency".to_owned())));
        ann.import("a.ofx", SEVERAL, Some(&account)).await.is_refused("FILE_HOLDS_SEVERAL_ACCOUNTS");
        ann.upload("a.ofx", SEVERAL.as_bytes(), Some(&account)).await.is_problem(422, "SEVERAL_ACCOUNTS");
        assert_eq!(app.last_outcome("import_statement").await, ("failed".to_owned(), Some("several_accounts".to_owned())));
        assert_eq!(before, everything(&app).await);
        app.holds(&[("imports", 0)]).await;
    }
}
