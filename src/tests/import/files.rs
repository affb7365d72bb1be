//! What becomes of a file.

use std::io::Cursor;

use dashtam::{
    application::{
        access::Requester,
        import::{BringStatement, ImportError},
    },
    domain::{csv::CsvCorrection, user::Role},
};
use serde_json::json;

use crate::harness::app::TestApp;

use super::{CARD, CHECKING, SEVERAL, counts, everything, statement};

#[tokio::test]
async fn a_file_becomes_an_account_with_its_balance_and_rows() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let import = ann.import("checking.ofx", CHECKING, None).await.succeeds()["import"].clone();
        assert_eq!((counts(&import), &import["filename"], &import["problems"]), ((1, 4, 0), &json!("checking.ofx"), &json!([])));
        let account = &ann.accounts().await[0];
        assert_eq!((&account["name"], &account["maskedNumber"], &account["type"]), (&json!("Checking ••••0482"), &json!("••••0482"), &json!("CHECKING")));
        assert_eq!(account["balances"]["current"]["amount"], "1445.04");
        let rows = ann.transactions().await;
        let told: Vec<_> = rows.iter().map(|row| (row["postedOn"].as_str().unwrap(), row["amount"]["amount"].as_str().unwrap())).collect();
        assert_eq!(told, [("2024-01-31", "-7.95"), ("2024-01-10", "-12.50"), ("2024-01-04", "-1034.51"), ("2024-01-02", "2500.00")]);
        assert_eq!(ann.link(account["link"]["id"].as_str().unwrap()).await["status"], "ACTIVE");
        assert_eq!(app.last_outcome("import_statement").await, ("succeeded".to_owned(), None));
        app.holds(&[("imports", 1), ("links", 1), ("balance_snapshots", 1), ("credentials", 0), ("syncs", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn the_same_file_twice_changes_nothing() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for (name, file) in [("checking", CHECKING), ("card", CARD), ("several", SEVERAL)] {
            let first = ann.import(name, file, None).await.succeeds()["import"].clone();
            let before = everything(&app).await;
            app.pass(chrono::Duration::seconds(1));
            let again = ann.import("the same by another name", file, None).await.succeeds()["import"].clone();
            assert_eq!(counts(&again), (0, 0, counts(&first).1), "{name}");
            assert_eq!(again["problems"], first["problems"]);
            assert!(before == everything(&app).await, "{name} twice changed a table of {}", app.store.name);
        }
        app.holds(&[("imports", 6), ("links", 1)]).await;
    }
}

#[tokio::test]
async fn an_overlapping_export_adds_only_what_is_new() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let first = statement("12345678", "USD", &[(3, "-5.00", "1", "Coffee"), (3, "-5.00", "2", "Coffee"), (4, "-9.00", "", "Shoes")]);
        assert_eq!(counts(&ann.import("a", &first, None).await.succeeds()["import"]), (1, 3, 0));
        let ids = ann.transaction_ids().await;
        let second =
            statement("12345678", "USD", &[(3, "-5.00", "x1", "Coffee"), (3, "-5.00", "x2", "coffee"), (4, "-9.00", "7", "Shoes"), (5, "-9.00", "1", "Hats")]);
        assert_eq!(counts(&ann.import("b", &second, None).await.succeeds()["import"]), (0, 1, 3));
        assert_eq!(&ann.transaction_ids().await[1..], ids, "what was known keeps its id");
    }
}

#[tokio::test]
async fn what_is_doubtful_is_kept_and_told() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.import("a", &statement("12345678", "USD", &[(3, "-5.00", "1", "Coffee")]), None).await.succeeds();
        let import = ann.import("b", &statement("12345678", "USD", &[(9, "-5.00", "1", "Coffee")]), None).await.succeeds()["import"].clone();
        assert_eq!(counts(&import), (0, 1, 0));
        assert_eq!(import["problems"][0]["line"], 2);
        assert!(import["problems"][0]["message"].as_str().unwrap().contains("looks like one that is stored already"));
        assert_eq!(ann.transactions().await.len(), 2);
    }
}

#[tokio::test]
async fn all_accounts_of_a_file_come_in_and_what_is_broken_is_named() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let import = ann.import("several.ofx", SEVERAL, None).await.succeeds()["import"].clone();
        assert_eq!(counts(&import).0, 5);
        let lines: Vec<_> = import["problems"].as_array().unwrap().iter().map(|problem| problem["line"].as_u64().unwrap()).collect();
        assert_eq!(lines, [22, 25, 30, 33, 36, 43]);
        let currencies: Vec<_> = ann.accounts().await.iter().map(|account| account["currency"].as_str().unwrap().to_owned()).collect();
        assert_eq!(currencies, ["USD", "JPY", "USD", "USD", "USD"]);
    }
}

#[tokio::test]
async fn of_too_many_problems_the_first_are_named_and_the_others_counted() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let rows: Vec<_> = (0..1_500).map(|at| if at == 0 { (1, "-1", "good", "Good") } else { (31, "-1", "bad", "Bad") }).collect();
        let import = ann.import("broken.ofx", &statement("12345678", "USD", &rows), None).await.succeeds()["import"].clone();
        let problems = import["problems"].as_array().unwrap();
        assert_eq!((counts(&import), problems.len()), ((1, 1, 0), 1_001));
        assert_eq!(problems[1_000], json!({ "line": 1_003, "message": "and 499 more problems from here on" }));

        // A thousand doubts of ours on top of the reader's problems.
        let old: Vec<String> = (0..1_200).map(|at| format!("-{}.00", at + 1)).collect();
        let on_day = |day: u32| old.iter().map(|amount| (day, amount.as_str(), "", "Row")).collect::<Vec<_>>();
        let named = |day| on_day(day).iter().enumerate().map(|(at, (day, amount, _, name))| (*day, *amount, format!("id{at}"), *name)).collect::<Vec<_>>();
        let (first, second) = (named(3), named(9));
        let text = |rows: &[(u32, &str, String, &str)]| {
            statement("87654321", "USD", &rows.iter().map(|(day, amount, id, name)| (*day, *amount, id.as_str(), *name)).collect::<Vec<_>>())
        };
        ann.import("a", &text(&first), None).await.succeeds();
        let import = ann.import("b", &text(&second), None).await.succeeds()["import"].clone();
        let problems = import["problems"].as_array().unwrap();
        assert_eq!((counts(&import), problems.len()), ((0, 1_200, 0), 1_001));
        assert_eq!(problems[1_000]["message"], "and 200 more problems from here on");
    }
}

#[tokio::test]
async fn a_file_nothing_can_be_read_of_leaves_only_its_attempt() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for file in ["", " ", "hello", "<OFX>", "<OFX></OFX>", "place;people\nRome;-5", "\u{0}\u{0}\u{0}", "<!DOCTYPE x [<!ENTITY y \"z\">]><OFX>&y;"] {
            ann.import("x.ofx", file, None).await.is_refused("FILE_UNREADABLE");
            assert_eq!(app.last_outcome("import_statement").await, ("failed".to_owned(), Some("unreadable_file".to_owned())), "{file:?}");
        }
        app.holds(&TABLES_AND_IMPORTS.map(|table| (table, 0))).await;
        app.every_attempt_ended_once().await;
    }
}

const TABLES_AND_IMPORTS: [&str; 4] = ["links", "accounts", "transactions", "imports"];

#[tokio::test]
async fn no_card_number_and_no_account_number_is_stored() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let broken = include_str!("../fixtures/ofx/broken-rows.ofx");
        for (filename, file) in [
            ("4111111111111111.ofx", CARD),
            ("Card 5500-0000-0000-0004 November.qfx", SEVERAL),
            ("/home/ann/4929480011112222/3782 822463 10005.ofx", broken),
            ("FR76.ofx", include_str!("../fixtures/ofx/savings-xml.ofx")),
        ] {
            ann.import(filename, file, None).await.succeeds();
        }
        let numbers = [
            "4111111111111111",
            "5500000000000004",
            "5500-0000-0000-0004",
            "4929480011112222",
            "378282246310005",
            "3782 822463 10005",
            "FR7630004000031234567890143",
        ];
        for number in numbers {
            assert!(!app.store.spells(number).await, "{number} in {}", app.store.name);
        }
        let names: Vec<_> = app.store.contents("imports").await;
        assert!(names.iter().any(|row| row.contains("Card ••••0004 November.qfx")) && names.iter().any(|row| row.contains("••••0005.ofx")), "{names:?}");
        let masked: Vec<_> = ann.accounts().await.iter().map(|account| account["maskedNumber"].as_str().unwrap_or_default().to_owned()).collect();
        assert!(masked.contains(&"••••1111".to_owned()) && masked.contains(&"••••2222".to_owned()), "{masked:?}");
    }
}

#[tokio::test]
async fn a_known_account_in_another_currency_is_refused() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.import("a", &statement("12345678", "USD", &[(3, "-5.00", "1", "Coffee")]), None).await.succeeds();
        let before = everything(&app).await;
        ann.import("b", &statement("12345678", "JPY", &[(4, "-500", "2", "Sushi")]), None).await.is_refused("CURRENCY_MISMATCH");
        assert_eq!(app.last_outcome("import_statement").await, ("failed".to_owned(), Some("other_currency".to_owned())));
        assert_eq!(before, everything(&app).await);
    }
}

#[tokio::test]
async fn a_files_name_is_only_its_last_part() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let long = "x".repeat(10_000);
        for (given, kept) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\ann\\november.ofx", "november.ofx"),
            ("a\u{0}b\r\nc.ofx", "abc.ofx"),
            ("<script>.ofx", "<script>.ofx"),
            ("Kontoauszug März.ofx", "Kontoauszug März.ofx"),
            (long.as_str(), &long[..255]),
            ("folder/", ""),
            ("stmt_7751~00482_oct.ofx", "stmt_••••0482_oct.ofx"),
            ("775100482.ofx", "••••0482.ofx"),
            ("DE89370400440532013000_Girokonto.csv", "••••3000_Girokonto.csv"),
            ("card 4111-1111-1111-1111.ofx", "card ••••1111.ofx"),
        ] {
            let import = ann.import(given, CHECKING, None).await.succeeds()["import"].clone();
            assert_eq!(import["filename"], kept);
        }
    }
}

#[tokio::test]
async fn the_command_line_imports_in_a_users_name() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        app.promote("ann", Role::Readonly).await;
        let owner = app.user_id("ann").await;
        let import = |on_behalf_of, content: &'static str| {
            let requester = Requester::command_line(on_behalf_of);
            app.app.application.imports.import(BringStatement {
                requester,
                filename: "a.ofx".to_owned(),
                content: Box::new(Cursor::new(content)),
                account: None,
                new_account: None,
                csv: CsvCorrection::default(),
            })
        };
        let done = import(Some(owner), CHECKING).await.unwrap();
        assert_eq!((done.accounts_created, done.transactions_created, done.user), (1, 4, owner));
        assert_eq!(ann.transactions().await.len(), 4);
        assert!(matches!(import(Some(owner), "nothing").await, Err(ImportError::Unreadable(_))));
        assert!(matches!(import(None, CHECKING).await, Err(ImportError::Denied(_))), "the operator has no money of their own");
        assert_eq!(app.last_outcome("import_statement").await, ("failed".to_owned(), Some("unauthenticated".to_owned())));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_row_that_its_bank_corrects_is_the_same_row() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.import("a.ofx", &statement("12345678", "USD", &[(5, "-1.00", "g1", "Coffee"), (6, "-2.00", "g2", "Tea")]), None).await.succeeds();
        let ids = ann.transaction_ids().await;
        let corrected = [(5, "-1.50", "g3<CORRECTFITID>g1<CORRECTACTION>REPLACE", "Coffee"), (6, "-2.00", "g4<CORRECTFITID>g2<CORRECTACTION>DELETE", "Tea")];
        for round in 0..2 {
            let import = ann.import("b.ofx", &statement("12345678", "USD", &corrected), None).await.succeeds()["import"].clone();
            assert_eq!((counts(&import), import["problems"].as_array().unwrap().len()), ((0, 0, 1), 1), "{round}, {}", app.store.name);
            let told: Vec<_> = ann.transactions().await.iter().map(|row| row["amount"]["amount"].clone()).collect();
            assert_eq!((told, ann.transaction_ids().await), (vec!["-2.00".into(), "-1.50".into()], ids.clone()));
        }
    }
}
