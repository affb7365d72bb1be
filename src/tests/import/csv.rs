//! CSV files through the whole product.

use serde_json::{Value, json};

use crate::harness::{
    app::TestApp,
    bank::posted,
    client::{Answer, Client, form_part},
};

use super::{counts, everything, only_account};

const FILE: &str = "Buchungstag;Verwendungszweck;Betrag;Saldo\n02.11.2026;Kaffee;-4,50;95,50\n03.11.2026;Tee;-2,00;93,50\n03.11.2026;Tee;-2,00;91,50\n";

/// Imports a CSV file's text with whatever else is said.
async fn import(client: &Client<'_>, content: &str, said: Value) -> Answer {
    let mut input = json!({ "filename": "giro.csv", "content": content });
    input.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
    let fields = "import { id filename accountsCreated transactionsCreated transactionsKnown problems { line message } } \
                  csv { encoding delimiter headerLine dateOrder decimalMark invertSign columns { number name role } }";
    client.mutate("importStatement", fields, input).await
}

fn giro() -> Value {
    json!({ "account": { "name": "Giro", "type": "CHECKING", "currency": "EUR" } })
}

#[tokio::test]
async fn a_csv_file_becomes_an_account_of_the_given_name() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let payload = import(&ann, FILE, giro()).await.succeeds();
        assert_eq!((counts(&payload["import"]), &payload["import"]["problems"]), ((1, 3, 0), &json!([])));
        assert_eq!(
            (&payload["csv"]["delimiter"], &payload["csv"]["dateOrder"], &payload["csv"]["decimalMark"]),
            (&json!("SEMICOLON"), &json!("DAY_MONTH_YEAR"), &json!("COMMA"))
        );
        assert_eq!(payload["csv"]["columns"][0], json!({ "number": 1, "name": "Buchungstag", "role": "POSTED_ON" }));
        let account = &ann.accounts().await[0];
        assert_eq!((&account["name"], &account["type"], &account["currency"]), (&json!("Giro"), &json!("CHECKING"), &json!("EUR")));
        assert_eq!((&account["maskedNumber"], &account["balances"]["current"]["amount"]), (&Value::Null, &json!("91.50")));
        let before = everything(&app).await;
        let mut again = giro();
        again["account"]["name"] = json!(" giro ");
        assert_eq!(counts(&import(&ann, FILE, again).await.succeeds()["import"]), (0, 0, 3));
        assert!(before == everything(&app).await, "the same file twice changed a table of {}", app.store.name);
        assert_eq!(app.last_outcome("import_statement").await, ("succeeded".to_owned(), None));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_csv_file_over_what_the_bank_has_told_adds_only_what_is_new() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("x", "2026-11-20", -450, "Coffee"), posted("y", "2026-11-20", -450, "Cake")]);
        let ann = app.signed_in("ann").await;
        ann.link_scripted().await;
        app.work().await;
        let (account, before) = (only_account(&ann).await, ann.transactions().await);
        let file = "Date,Memo,Amount\n11/20/2026,CARD CAKE,-4.50\n11/20/2026,CARD COFFEE,-4.50\n11/21/2026,CARD TEA,-2.00\n";
        let payload = import(&ann, file, json!({ "accountId": account })).await.succeeds();
        assert_eq!((counts(&payload["import"]), &payload["import"]["problems"]), ((0, 1, 2), &json!([])));
        assert_eq!(&ann.transactions().await[1..], before);
        assert_eq!(ann.accounts().await.len(), 1);
    }
}

#[tokio::test]
async fn what_a_csv_file_does_not_tell_is_asked_and_nothing_is_written() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let unclear = "Date,Memo,Amount\n01/02/2026,Coffee,-4.50\n";
        let refused = import(&ann, unclear, giro()).await;
        refused.is_refused("FILE_UNDECIDED");
        let payload = &refused.body["data"]["importStatement"];
        assert_eq!((&payload["userErrors"][0]["field"], &payload["csv"]["dateOrder"]), (&json!(["csv", "dateOrder"]), &Value::Null));
        assert_eq!(payload["csv"]["columns"][2]["role"], "AMOUNT");
        import(&ann, FILE, json!({})).await.is_refused("FILE_UNDECIDED");
        import(&ann, FILE, json!({ "account": { "name": "Giro", "type": "CHECKING" } })).await.is_refused("FILE_UNDECIDED");
        import(&ann, FILE, json!({ "csv": { "encoding": "no such thing" } })).await.is_refused("FILE_UNDECIDED");
        assert_eq!(app.last_outcome("import_statement").await, ("failed".to_owned(), Some("undecided_file".to_owned())));
        app.holds(&[("links", 0), ("accounts", 0), ("transactions", 0), ("imports", 0)]).await;
        let mut said = giro();
        said["csv"] = json!({ "dateOrder": "MONTH_DAY_YEAR", "invertSign": true, "columns": [{ "number": 2, "role": "MERCHANT" }] });
        import(&ann, unclear, said).await.succeeds();
        let row = &ann.transactions().await[0];
        assert_eq!((&row["postedOn"], &row["amount"]["amount"], &row["description"]), (&json!("2026-01-02"), &json!("4.50"), &json!("Coffee")));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_form_says_the_same_in_parts_of_json() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let file = form_part("name=\"file\"; filename=\"giro.csv\"", b"Date,Memo,Amount\n01/02/2026,Coffee,-4.50\n");
        let account = form_part("name=\"account\"", br#"{"name":"Giro","type":"SAVINGS","currency":"EUR"}"#);
        let csv = form_part("name=\"csv\"", br#"{"dateOrder":"DAY_MONTH_YEAR"}"#);
        let refused = ann.upload_parts(&[&file[..], &account].concat()).await;
        refused.is_problem(422, "FILE_UNDECIDED");
        assert_eq!((&refused.body["csv"]["dateOrder"], &refused.body["csv"]["delimiter"]), (&Value::Null, &json!("COMMA")));
        for (name, text) in [
            ("csv", "{"),
            ("csv", r#"{"dateOrder":"SOMEHOW"}"#),
            ("csv", "[]"),
            ("csv", r#"{"dateOrder":"DAY_MONTH_YEAR","invertsign":true}"#),
            ("csv", r#"{"columns":[{"number":1,"role":"POSTED_ON","name":"Date"}]}"#),
            ("account", r#"{"name":"x","type":"CHECKING","currency":"EUR","number":"12345678"}"#),
            ("account", "{}"),
            ("account", r#"{"name":"x","type":"CHECKING","currency":"€"}"#),
        ] {
            let part = form_part(&format!("name=\"{name}\""), text.as_bytes());
            ann.upload_parts(&[&file[..], &part].concat()).await.is_problem(400, "BAD_USER_INPUT");
        }
        ann.upload_parts(&[&file[..], &csv, &csv].concat()).await.is_problem(400, "BAD_USER_INPUT");
        app.holds(&[("imports", 0), ("accounts", 0)]).await;
        let answer = ann.upload_parts(&[&account[..], &csv, &file].concat()).await;
        assert_eq!((answer.status, counts(&answer.body["import"])), (200, (1, 1, 0)), "{}", answer.text);
        assert_eq!(answer.body["csv"]["columns"][0], json!({ "number": 1, "name": "Date", "role": "POSTED_ON" }));
        assert_eq!((&ann.accounts().await[0]["type"], &ann.transactions().await[0]["postedOn"]), (&json!("SAVINGS"), &json!("2026-02-01")));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_file_that_was_read_wrongly_is_corrected_by_bringing_it_again() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let file = "Date,Text,Party,Amount,Notes\n2026-11-02,A1,Tesco,12.34,\n2026-11-03,A2,Bob,-500.00,\n2026-11-03,A2,Bob,-500.00,\n";
        assert_eq!(counts(&import(&ann, file, giro()).await.succeeds()["import"]), (1, 3, 0));
        let ids = ann.transaction_ids().await;
        let mut said = giro();
        said["csv"] = json!({ "invertSign": true, "columns": [{ "number": 3, "role": "MERCHANT" }, { "number": 4, "role": "AMOUNT" }] });
        assert_eq!(counts(&import(&ann, file, said.clone()).await.succeeds()["import"]), (0, 0, 3));
        let rows = ann.transactions().await;
        let told: Vec<_> = rows.iter().map(|row| row["amount"]["amount"].as_str().unwrap()).collect();
        assert_eq!((told, ann.transaction_ids().await), (vec!["500.00", "500.00", "-12.34"], ids.clone()));
        assert_eq!(counts(&import(&ann, file, giro()).await.succeeds()["import"]), (0, 0, 3));
        assert_eq!(ann.transactions().await, rows, "whoever says nothing corrects nothing");
        let noted = file.replace("12.34,", "12.34,my lunch");
        assert_eq!(counts(&import(&ann, &noted, said).await.succeeds()["import"]), (0, 0, 3));
        assert_eq!(ann.transaction_ids().await, ids);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_table_does_not_say_what_is_owed_on_a_card() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let card = json!({ "account": { "name": "Card", "type": "CREDIT_CARD", "currency": "EUR" } });
        import(&ann, "Date,Text,Amount\n2026-11-01,a,-30.00\n", card).await.succeeds();
        let account = ann.accounts().await[0]["id"].clone();
        let file = "Date,Text,Amount,Balance\n2026-11-02,b,-30.00,1240.00\n";
        assert_eq!(counts(&import(&ann, file, json!({ "accountId": account })).await.succeeds()["import"]), (0, 1, 0));
        assert_eq!(ann.accounts().await[0]["balances"]["current"], Value::Null, "{}", app.store.name);
    }
}

#[tokio::test]
async fn what_a_longer_file_of_the_same_day_has_told_stays_when_a_shorter_one_comes_again() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let morning = "Date;Text;Amount;Balance\n2026-11-02;a;-10,00;100,00\n";
        let evening = format!("{morning}2026-11-02;b;-20,00;80,00\n");
        let current = async || ann.accounts().await[0]["balances"]["current"]["amount"].clone();
        let first = import(&ann, morning, giro()).await.succeeds()["import"]["id"].clone();
        assert_eq!(current().await, "100.00");
        let second = import(&ann, &evening, giro()).await.succeeds()["import"]["id"].clone();
        assert_eq!(current().await, "80.00");
        let third = import(&ann, morning, giro()).await.succeeds()["import"]["id"].clone();
        assert_eq!((current().await, app.count("balance_snapshots").await), (json!("80.00"), 2), "{}", app.store.name);
        // A file with a row that is new tells what was so once more and is so again.
        let refunded = format!("{evening}2026-11-02;c;20,00;100,00\n");
        let fourth = import(&ann, &refunded, giro()).await.succeeds()["import"]["id"].clone();
        assert_eq!((current().await, app.count("balance_snapshots").await), (json!("100.00"), 3), "{}", app.store.name);
        let revert = async |id: serde_json::Value| ann.mutate("revertImport", "import { id }", json!({ "importId": id })).await.succeeds();
        revert(fourth).await;
        assert_eq!(current().await, "80.00");
        revert(third).await;
        assert_eq!(current().await, "80.00");
        revert(second).await;
        assert_eq!(current().await, "100.00");
        import(&ann, &evening, giro()).await.succeeds();
        revert(first).await;
        assert_eq!((current().await, ann.transactions().await.len()), (json!("80.00"), 2), "{}", app.store.name);
    }
}

#[tokio::test]
async fn files_that_overlap_double_no_row_whose_reference_comes_again() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let file = |rows: &str| format!("Date,Counter Party,Reference,Amount\n{rows}");
        let (january, february) = ("2026-01-02,Landlord,RENT,-500.00\n2026-01-13,Tesco,CARD 1,-12.34\n", "2026-02-02,Landlord,RENT,-500.00\n");
        assert_eq!(counts(&import(&ann, &file(january), giro()).await.succeeds()["import"]), (1, 2, 0));
        assert_eq!(counts(&import(&ann, &file(&format!("{january}{february}")), giro()).await.succeeds()["import"]), (0, 1, 2));
        assert_eq!(counts(&import(&ann, &file(february), giro()).await.succeeds()["import"]), (0, 0, 1));
    }
}

#[tokio::test]
async fn a_file_of_several_accounts_makes_each_of_them_and_keeps_no_number() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let file = "Account Number;Date;Text;Amount\n0123412345678;2026-11-02;from 0123412345678;-1,00\n0123487654321;2026-11-03;b;-2,00\n";
        assert_eq!(counts(&import(&ann, file, giro()).await.succeeds()["import"]), (2, 2, 0));
        let before = everything(&app).await;
        assert_eq!(counts(&import(&ann, file, giro()).await.succeeds()["import"]), (0, 0, 2));
        assert!(before == everything(&app).await, "the same file twice changed a table of {}", app.store.name);
        let mut named: Vec<_> = ann.accounts().await.into_iter().map(|account| (account["name"].clone(), account["maskedNumber"].clone())).collect();
        named.sort_by_key(|(name, _)| name.to_string());
        assert_eq!(named, [(json!("Giro ••••4321"), json!("••••4321")), (json!("Giro ••••5678"), json!("••••5678"))]);
        assert!(!format!("{:?} {:?}", ann.transactions().await, ann.accounts().await).contains("0123412345678"));
        // A later file of one of them goes into it by its name.
        let mut one = giro();
        one["account"]["name"] = json!("Giro ••••5678");
        let later = "Account Number;Date;Text;Amount\n0123412345678;2026-11-05;c;-3,00\n";
        assert_eq!(counts(&import(&ann, later, one).await.succeeds()["import"]), (0, 1, 0));
        let account = ann.accounts().await[0]["id"].clone();
        import(&ann, file, json!({ "accountId": account })).await.is_refused("FILE_HOLDS_SEVERAL_ACCOUNTS");
    }
}

/// What an account is called is no number of it, however long its words are.
#[tokio::test]
async fn names_of_accounts_and_files_stay_readable_beside_numbers() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for (name, accounts) in [("Girokonto", &[ONE][..]), ("Joint account Household", &[ONE]), ("Sparkasse", &[ONE, OTHER])] {
            let rows: Vec<_> = accounts.iter().map(|account| (*account, 2, "-1,00")).collect();
            let mut said = giro();
            said["account"]["name"] = json!(name);
            let file = of_accounts(&rows);
            let document = json!({ "filename": format!("{name} 0123412345678.csv"), "content": file, "account": said["account"] });
            let imported = ann.mutate("importStatement", "import { id filename }", document).await.succeeds()["import"].clone();
            assert_eq!(imported["filename"], json!(format!("{name} 0••••5678.csv")), "{}", app.store.name);
        }
        let mut named: Vec<_> = ann.accounts().await.into_iter().map(|account| account["name"].as_str().unwrap().to_owned()).collect();
        named.sort();
        assert_eq!(named, ["Girokonto", "Joint account Household", "Sparkasse ••••4321", "Sparkasse ••••5678"]);
    }
}

/// A file of accounts, each with the days and amounts of its rows.
fn of_accounts(rows: &[(&str, u32, &str)]) -> String {
    let row = |(account, day, amount): &(&str, u32, &str)| format!("{account};2026-11-{day:02};row {day};{amount}\n");
    format!("Account Number;Date;Text;Amount\n{}", rows.iter().map(row).collect::<Vec<_>>().concat())
}

const ONE: &str = "0123412345678";
const OTHER: &str = "0123487654321";
const THIRD: &str = "0123411112222";

#[tokio::test]
async fn an_account_is_the_same_alone_in_a_file_and_beside_others() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let bob = app.signed_in("bob").await;
        assert_eq!(counts(&import(&bob, &of_accounts(&[(ONE, 1, "-9,00")]), giro()).await.succeeds()["import"]), (1, 1, 0));
        let (alone, both) = (of_accounts(&[(ONE, 2, "-1,00"), (ONE, 3, "-2,00")]), of_accounts(&[(OTHER, 3, "-7,00"), (ONE, 3, "-2,00"), (ONE, 4, "-3,00")]));
        assert_eq!(counts(&import(&ann, &alone, giro()).await.succeeds()["import"]), (1, 2, 0), "{}", app.store.name);
        assert_eq!(counts(&import(&ann, &both, giro()).await.succeeds()["import"]), (1, 2, 1));
        assert_eq!(counts(&import(&ann, &alone, giro()).await.succeeds()["import"]), (0, 0, 2));
        assert_eq!(counts(&import(&ann, &of_accounts(&[(OTHER, 3, "-7,00"), (OTHER, 5, "-8,00")]), giro()).await.succeeds()["import"]), (0, 1, 1));
        assert_eq!(counts(&import(&ann, &of_accounts(&[(THIRD, 3, "-7,00")]), giro()).await.succeeds()["import"]), (1, 1, 0));
        let mut masks: Vec<_> = ann.accounts().await.iter().map(|account| account["maskedNumber"].as_str().unwrap().to_owned()).collect();
        masks.sort();
        assert_eq!((masks, bob.transactions().await.len()), (vec!["••••2222".to_owned(), "••••4321".to_owned(), "••••5678".to_owned()], 1));
        // A file that names none of them is of none in particular.
        let unnamed = import(&ann, FILE, giro()).await;
        unnamed.is_refused("ACCOUNT_UNCLEAR");
        assert_eq!(unnamed.payload()["userErrors"][0]["field"], json!(["account", "name"]));
        let parts =
            [&form_part("name=\"file\"; filename=\"a.csv\"", FILE.as_bytes())[..], &form_part("name=\"account\"", giro()["account"].to_string().as_bytes())];
        ann.upload_parts(&parts.concat()).await.is_problem(422, "ACCOUNT_UNCLEAR");
        assert_eq!(app.last_outcome("import_statement").await, ("failed".to_owned(), Some("unclear_account".to_owned())));
        app.holds(&[("accounts", 4), ("transactions", 7)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn files_that_tell_their_account_and_files_that_do_not_go_together_by_name() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let untold = "Date;Text;Amount\n2026-11-02;row 2;-1,00\n";
        assert_eq!(counts(&import(&ann, untold, giro()).await.succeeds()["import"]), (1, 1, 0));
        let before = everything(&app).await;
        let both = of_accounts(&[(ONE, 2, "-1,00"), (OTHER, 2, "-1,00")]);
        import(&ann, &both, giro()).await.is_refused("ACCOUNT_UNCLEAR");
        let mut preview = giro();
        preview["filename"] = json!("both.csv");
        preview["content"] = json!(both);
        ann.mutate("previewImport", "import { id }", preview).await.is_refused("ACCOUNT_UNCLEAR");
        assert!(before == everything(&app).await, "a refused file changed a table of {}", app.store.name);
        app.holds(&[("imports", 1)]).await;
        // One that tells makes clear which it is, also for those that do not.
        assert_eq!(counts(&import(&ann, &of_accounts(&[(ONE, 2, "-1,00"), (ONE, 3, "-2,00")]), giro()).await.succeeds()["import"]), (0, 1, 1));
        assert_eq!(counts(&import(&ann, untold, giro()).await.succeeds()["import"]), (0, 0, 1));
        assert_eq!(counts(&import(&ann, &both, giro()).await.succeeds()["import"]), (1, 1, 1));
        import(&ann, untold, giro()).await.is_refused("ACCOUNT_UNCLEAR");
        let account = ann.accounts().await.iter().find(|account| account["name"] == "Giro").unwrap()["id"].clone();
        assert_eq!(counts(&import(&ann, untold, json!({ "accountId": account })).await.succeeds()["import"]), (0, 0, 1));
        // A number that ends alike may be the same one, written otherwise.
        let iban = of_accounts(&[("DE12500105170123412345678", 2, "-1,00")]);
        import(&ann, &iban, giro()).await.is_refused("ACCOUNT_UNCLEAR");
        // By the name that one of several is shown by, before and after a file tells its number.
        let named = json!({ "account": { "name": "Joint ••••5678", "type": "CHECKING", "currency": "EUR" } });
        let joint = json!({ "account": { "name": "Joint", "type": "CHECKING", "currency": "EUR" } });
        assert_eq!(counts(&import(&ann, untold, named.clone()).await.succeeds()["import"]), (1, 1, 0));
        assert_eq!(counts(&import(&ann, &both, joint).await.succeeds()["import"]), (1, 1, 1));
        assert_eq!(counts(&import(&ann, untold, named).await.succeeds()["import"]), (0, 0, 1));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn an_import_that_is_taken_back_says_no_more_whose_account_it_is() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let untold = "Date;Text;Amount\n2026-11-02;row 2;-1,00\n";
        import(&ann, untold, giro()).await.succeeds();
        let before = everything(&app).await;
        let mistaken = import(&ann, &of_accounts(&[(OTHER, 9, "-5,00")]), giro()).await.succeeds()["import"].clone();
        assert_eq!(counts(&mistaken), (0, 1, 0));
        ann.mutate("revertImport", "import { id }", json!({ "importId": mistaken["id"] })).await.succeeds();
        assert!(before[1..] == everything(&app).await[1..], "on {}", app.store.name);
        import(&ann, &of_accounts(&[(ONE, 2, "-1,00"), (OTHER, 2, "-1,00")]), giro()).await.is_refused("ACCOUNT_UNCLEAR");
        assert_eq!(counts(&import(&ann, &of_accounts(&[(ONE, 2, "-1,00"), (ONE, 3, "-2,00")]), giro()).await.succeeds()["import"]), (0, 1, 1));
        // Of two that told it, the one that stays does so still.
        let again = import(&ann, &of_accounts(&[(ONE, 4, "-3,00")]), giro()).await.succeeds()["import"]["id"].clone();
        ann.mutate("revertImport", "import { id }", json!({ "importId": again })).await.succeeds();
        assert_eq!(counts(&import(&ann, &of_accounts(&[(ONE, 3, "-2,00"), (OTHER, 3, "-2,00")]), giro()).await.succeeds()["import"]), (1, 1, 1));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_file_without_a_row_that_can_be_taken_makes_nothing() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        import(&ann, "Date,Text,Amount\n2026-11-02,a,1.00 Q\n", json!({ "account": { "name": "G", "type": "CHECKING", "currency": "EUR" }, "csv": { "columns": [{ "number": 3, "role": "AMOUNT" }], "decimalMark": "POINT" } }))
            .await
            .is_refused("FILE_UNREADABLE");
        app.holds(&[("links", 0), ("accounts", 0), ("imports", 0)]).await;
    }
}

#[tokio::test]
async fn an_account_is_called_what_can_be_read_and_counted_in_what_is_written_in_capitals() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let named = |name: &str, currency: &str| json!({ "account": { "name": name, "type": "CHECKING", "currency": currency } });
        for name in ["", "   ", "\u{200b}", "turned \u{202e}round", "line\nbreak", &"x".repeat(101)] {
            let refused = import(&ann, FILE, named(name, "EUR")).await;
            refused.is_refused("NAME_INVALID");
            assert_eq!(refused.payload()["userErrors"][0]["field"], json!(["account", "name"]));
            let parts = [
                &form_part("name=\"file\"; filename=\"a.csv\"", FILE.as_bytes())[..],
                &form_part("name=\"account\"", named(name, "EUR")["account"].to_string().as_bytes()),
            ];
            ann.upload_parts(&parts.concat()).await.is_problem(422, "NAME_INVALID");
        }
        app.holds(&[("imports", 0), ("accounts", 0), ("links", 0)]).await;
        import(&ann, FILE, named(" Giro DE89 3704 0044 0532 0130 00 ", "eur")).await.succeeds();
        let account = ann.accounts().await[0].clone();
        assert_eq!((&account["currency"], &account["name"]), (&json!("EUR"), &json!("Giro ••••3000")), "{}", app.store.name);
        let refused = import(&ann, FILE, named("Giro DE89 3704 0044 0532 0130 00", "USD")).await;
        refused.is_refused("CURRENCY_MISMATCH");
        assert_eq!(refused.payload()["userErrors"][0]["field"], json!(["account", "currency"]));
        app.every_attempt_ended_once().await;
    }
}
