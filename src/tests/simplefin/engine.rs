//! SimpleFIN through the whole product: linked by a setup token, synced by the engine, re-linked to the same accounts.

use super::*;
use crate::harness::{app::TestApp, client::Client, log::Log};

pub(super) async fn apps() -> Vec<TestApp> {
    TestApp::configured(|config| config.providers.simplefin.hosts = vec!["127.0.0.1".to_owned()]).await
}

pub(super) fn input(bridge: &Bridge, token: &str) -> Value {
    json!({ "provider": "simplefin", "setupToken": bridge.token(token) })
}

pub(super) async fn link_id(ann: &Client<'_>, input: Value) -> String {
    ann.link_with_token(input).await.succeeds()["link"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_pasted_token_brings_accounts_and_a_new_one_the_same_accounts() {
    for app in apps().await {
        let rows = [row("1", "2026-11-20", "-5.00"), row("2", "2026-03-01", "7.00")];
        let bridge = Bridge::with(vec![account("A", "1", "Checking", &rows), account("B", "1", "Visa", &rows)]).await;
        let ann = app.signed_in("ann").await;
        let link = link_id(&ann, input(&bridge, "first")).await;
        assert_eq!(app.work().await, 1);
        let told = ann.link(&link).await;
        assert_eq!((&told["status"], &told["lastSync"]["status"], &told["lastSync"]["problem"]), (&json!("ACTIVE"), &json!("SUCCEEDED"), &json!(null)));
        let (accounts, transactions) = (ann.accounts().await, ann.transaction_ids().await);
        assert_eq!((accounts.len(), transactions.len()), (2, 4));
        // Thirty days with one request; the rest of a year with one for the accounts and four windows.
        assert_eq!(bridge.asked(), 6);
        let asked = ann.ask_with("query($id: ID!) { node(id: $id) { ... on Link { requests { limit remaining } } } }", json!({ "id": link })).await.data();
        assert_eq!(asked["node"]["requests"], json!({ "limit": 14, "remaining": 8 }));

        // A process that starts anew does not begin anew.
        let restarted = app.beside_as(|config| config.providers.simplefin.hosts = vec!["127.0.0.1".to_owned()]).await;
        let id: dashtam::domain::id::LinkId = link.parse::<dashtam::presentation::graphql::global_id::GlobalId>().unwrap().id.into();
        let kept = restarted.application.link_queries.links.find_many(app.user_id("ann").await, &[id]).await.unwrap();
        let left = restarted.application.providers.requests_left(&kept[0]).await.unwrap();
        assert_eq!((left.limit, left.remaining), (14, 8), "{}", app.store.name);
        app.holds(&[("link_budgets", 1)]).await;

        // The owner ends the access; the link asks for another token, and finds its accounts again.
        bridge.books(|books| books.revoked = ["first".to_owned()].into());
        ann.sync(&link, true).await.succeeds();
        assert_eq!(app.work().await, 1);
        let told = ann.link(&link).await;
        assert_eq!((&told["status"], &told["reason"], &told["nextAction"]), (&json!("EXPIRED"), &json!("CREDENTIALS_REJECTED"), &json!("NEW_CREDENTIALS")));
        let mut again = input(&bridge, "second");
        again["linkId"] = json!(link);
        assert_eq!(link_id(&ann, again).await, link);
        assert_eq!(app.work().await, 1);
        assert_eq!(ann.link(&link).await["lastSync"]["status"], "SUCCEEDED");
        let ids = |accounts: &[Value]| accounts.iter().map(|account| account["id"].clone()).collect::<Vec<_>>();
        assert_eq!((ids(&ann.accounts().await), ann.transaction_ids().await), (ids(&accounts), transactions));
        for secret in ["s/secret", "s%2Fsecret", "claim/first"] {
            assert!(!app.store.spells(secret).await, "{secret} in {}", app.store.name);
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_token_that_somebody_else_has_claimed_is_told_as_stolen_and_leaves_nothing() {
    for app in apps().await {
        let bridge = Bridge::with(Vec::new()).await;
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let (first, second) = tokio::join!(ann.link_with_token(input(&bridge, "raced")), bob.link_with_token(input(&bridge, "raced")));
        let refused = if first.payload()["link"].is_null() { first } else { second };
        refused.is_refused("SETUP_TOKEN_REFUSED");
        for reason in ["not copied as a whole", "names a server", "stolen"] {
            assert!(refused.text.contains(reason), "{}", refused.text);
        }
        app.holds(&[("links", 1), ("credentials", 1)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn an_account_that_does_not_answer_keeps_its_rows_and_stays_open() {
    for app in apps().await {
        let rows = [row("1", "2026-11-20", "-5.00")];
        let bridge = Bridge::with(vec![account("A", "1", "Checking", &rows), account("B", "1", "Visa", &rows)]).await;
        let ann = app.signed_in("ann").await;
        let link = link_id(&ann, input(&bridge, "first")).await;
        assert_eq!(app.work().await, 1);
        bridge.books(|books| {
            books.errlist = vec![json!({ "code": "con.timeout", "message": "No answer", "conn_id": "B" })];
            books.accounts.truncate(1);
        });
        ann.sync(&link, true).await.succeeds();
        assert_eq!(app.work().await, 1);
        let told = ann.link(&link).await;
        assert_eq!((&told["nextAction"], &told["lastSync"]["problem"]), (&json!(null), &json!("ACCOUNTS_UNANSWERED")));
        assert_eq!((ann.accounts().await.len(), ann.transactions().await.len()), (2, 2));
        // A bank that wants its user to sign in says so until they have.
        bridge.books(|books| books.errlist = vec![json!({ "code": "con.auth", "message": "Authentication required", "conn_id": "B" })]);
        ann.sync(&link, true).await.succeeds();
        assert_eq!(app.work().await, 1);
        let told = ann.link(&link).await;
        let problem = &told["lastSync"]["problem"];
        assert_eq!((&told["status"], &told["nextAction"], problem), (&json!("ACTIVE"), &json!("SIGN_IN_AT_PROVIDER"), &json!("SIGN_IN_NEEDED")));
        assert_eq!((ann.accounts().await.len(), ann.transactions().await.len()), (2, 2));
        bridge.books(|books| {
            books.errlist = Vec::new();
            books.accounts.push(account("B", "1", "Visa", &rows));
        });
        ann.sync(&link, true).await.succeeds();
        assert_eq!(app.work().await, 1);
        let told = ann.link(&link).await;
        assert_eq!((&told["nextAction"], &told["lastSync"]["problem"]), (&json!(null), &json!(null)), "{}", app.store.name);
        bridge.books(|books| books.status = Some(402));
        ann.sync(&link, true).await.succeeds();
        assert_eq!(app.work().await, 1);
        let told = ann.link(&link).await;
        assert_eq!((&told["status"], &told["nextAction"], &told["lastSync"]["problem"]), (&json!("ACTIVE"), &json!("PAY_PROVIDER"), &json!("PROVIDER_UNPAID")));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_bank_that_speaks_of_its_limit_loses_neither_account_nor_row() {
    for app in apps().await {
        let rows = [row("1", "2026-11-20", "-5.00")];
        let (first, second) = (account("A", "1", "Checking", &rows), account("B", "1", "Visa", &rows));
        let words = "Bank B answered: too many requests";
        let error = json!({ "code": "con.failed", "msg": words, "conn_id": "B" });
        let mut names = ["ann", "bob", "cem", "dan"].into_iter();
        for (errlist, errors) in [(vec![error], Vec::new()), (Vec::new(), vec![json!(words)])] {
            for left in [vec![first.clone()], vec![first.clone(), account("B", "1", "Visa", &[])]] {
                let bridge = Bridge::with(vec![first.clone(), second.clone()]).await;
                let ann = app.signed_in(names.next().unwrap()).await;
                let link = link_id(&ann, input(&bridge, "first")).await;
                app.work().await;
                let before = (ann.accounts().await, ann.transaction_ids().await);
                bridge.books(|books| (books.accounts, books.errlist, books.errors) = (left, errlist.clone(), errors.clone()));
                ann.sync(&link, true).await.succeeds();
                app.work().await;
                assert_eq!(ann.link(&link).await["lastSync"]["problem"], "ACCOUNTS_UNANSWERED");
                assert_eq!((ann.accounts().await, ann.transaction_ids().await), before, "{}", app.store.name);
            }
        }
    }
}

#[tokio::test]
async fn a_warning_is_heeded_until_the_day_is_over_by_every_process_and_ends_with_the_token() {
    for app in apps().await {
        let bridge = Bridge::with(vec![account("A", "1", "Checking", &[row("1", "2026-11-20", "-5.00")])]).await;
        bridge.books(|books| books.errlist = vec![json!({ "code": "gen.quota", "message": "x" })]);
        let ann = app.signed_in("ann").await;
        let link = link_id(&ann, input(&bridge, "first")).await;
        app.work().await;
        assert_eq!((bridge.asked(), ann.transactions().await.len()), (1, 1), "what came with it is in");
        let told = ann.link(&link).await;
        assert_eq!((&told["status"], &told["lastSync"]["problem"]), (&json!("ACTIVE"), &json!("RATE_LIMITED")));
        bridge.books(|books| books.errlist = Vec::new());

        let restarted = app.beside_as(|config| config.providers.simplefin.hosts = vec!["127.0.0.1".to_owned()]).await;
        app.store.execute("UPDATE syncs SET status = 'failed', finished_at = created_at").await.unwrap();
        ann.sync(&link, true).await.succeeds();
        assert!(restarted.engine.run_next().await.unwrap());
        assert_eq!((bridge.asked(), &ann.link(&link).await["lastSync"]["problem"]), (1, &json!("RATE_LIMITED")), "{}", app.store.name);

        // The warning was about another token.
        let mut again = input(&bridge, "second");
        again["linkId"] = json!(link);
        link_id(&ann, again).await;
        app.work().await;
        assert_eq!(ann.link(&link).await["lastSync"]["status"], "SUCCEEDED");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn the_next_day_it_goes_on_where_it_was() {
    for app in apps().await {
        let bridge = Bridge::with(vec![account("A", "1", "Checking", &[row("1", "2026-11-20", "-5.00"), row("2", "2026-03-01", "7.00")])]).await;
        bridge.books(|books| books.errlist = vec![json!({ "code": "gen.quota", "message": "x" })]);
        let link = link_id(&app.signed_in("ann").await, input(&bridge, "first")).await;
        app.work().await;
        bridge.books(|books| books.errlist = Vec::new());
        app.pass(chrono::Duration::hours(12) - chrono::Duration::seconds(1));
        assert_eq!((app.work().await, bridge.asked()), (0, 1), "{}", app.store.name);
        app.pass(chrono::Duration::seconds(1));
        assert_eq!(app.work().await, 1);
        let ann = app.signed_in("ann").await;
        assert_eq!((&ann.link(&link).await["lastSync"]["status"], ann.transactions().await.len()), (&json!("SUCCEEDED"), 2));
    }
}

#[tokio::test]
async fn a_day_is_over_when_its_last_second_is() {
    for app in apps().await {
        app.pass(chrono::Duration::milliseconds(300));
        let bridge = Bridge::with(vec![account("A", "1", "Checking", &[row("1", "2026-11-20", "-5.00")])]).await;
        bridge.books(|books| books.errlist = vec![json!({ "code": "gen.quota", "message": "x" })]);
        link_id(&app.signed_in("ann").await, input(&bridge, "first")).await;
        app.work().await;
        app.pass(chrono::Duration::hours(12) - chrono::Duration::milliseconds(400));
        assert_eq!((app.work().await, bridge.asked()), (0, 1), "{}", app.store.name);
        app.pass(chrono::Duration::seconds(1));
        app.work().await;
        assert!(bridge.asked() > 1);
    }
}

#[tokio::test]
async fn numbers_that_a_bank_plants_are_nowhere_after_a_sync() {
    let log = Log::capture();
    for app in apps().await {
        let card = "4539 5838 2750 6202";
        let mut planted = row(&format!("ROW-{card}"), "2026-11-20", "-5.00");
        (planted["description"], planted["payee"], planted["memo"]) = (json!(format!("Paid by {card}")), json!(card), json!(card.replace(' ', "\u{a0}")));
        let bridge = Bridge::with(vec![account("A", &format!("ACT-{card}"), &format!("Visa {card}"), &[planted])]).await;
        let ann = app.signed_in("ann").await;
        let link = link_id(&ann, input(&bridge, "first")).await;
        app.work().await;
        let ids = ann.transaction_ids().await;
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        assert_eq!((ids.len(), ann.transaction_ids().await), (1, ids), "{}", app.store.name);
        let told = format!("{:?} {:?} {}", ann.transactions().await, ann.accounts().await, log.text());
        assert!(told.contains("••••6202"), "{told}");
        for spelt in [card.to_owned(), card.replace(' ', ""), card.replace(' ', "\u{a0}"), card.replace(' ', "%20")] {
            assert!(!told.contains(&spelt) && !app.store.spells(&spelt).await, "{spelt} in {}", app.store.name);
        }
    }
}

#[tokio::test]
async fn a_row_that_is_dated_ahead_is_there_and_is_what_the_pending_one_was() {
    for app in apps().await {
        let waiting = |id: &str, amount: &str| json!({ "id": id, "posted": 0, "pending": true, "transacted_at": noon("2026-11-22"), "amount": amount, "description": "Shop" });
        let bridge = Bridge::with(vec![account("A", "1", "Checking", &[waiting("p", "-20.00"), waiting("q", "-30.00")])]).await;
        let ann = app.signed_in("ann").await;
        let link = link_id(&ann, input(&bridge, "first")).await;
        app.work().await;
        let before = ann.transactions().await;
        let id_of = |rows: &[Value], amount: &str| rows.iter().find(|row| row["amount"]["amount"] == amount).map(|row| row["id"].clone());
        // One is booked tomorrow, one in a year, and one is new.
        let booked = |id: &str, on: &str, amount: &str| json!({ "id": id, "posted": noon(on), "amount": amount, "description": "Shop" });
        let ahead = [booked("p", "2026-11-24", "-20.00"), booked("q", "2027-11-24", "-30.00"), booked("n", "2026-11-24", "-7.00")];
        bridge.books(|books| books.accounts = vec![account("A", "1", "Checking", &ahead)]);
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        let after = ann.transactions().await;
        let of = |amount: &str| after.iter().find(|row| row["amount"]["amount"] == amount).map(|row| (row["status"].clone(), row["postedOn"].clone()));
        assert_eq!(of("-20.00"), Some((json!("POSTED"), json!("2026-11-24"))), "{}", app.store.name);
        assert_eq!(of("-7.00"), Some((json!("POSTED"), json!("2026-11-24"))));
        assert_eq!(of("-30.00"), Some((json!("PENDING"), json!("2026-11-22"))), "what is too far ahead to be believed takes nothing away");
        for amount in ["-20.00", "-30.00"] {
            assert_eq!(id_of(&after, amount), id_of(&before, amount));
        }
        assert_eq!(ann.link(&link).await["lastSync"]["problem"], "ROWS_REFUSED");
        // Called anew it is the same, and taken back it is gone.
        bridge.books(|books| books.accounts = vec![account("A", "1", "Checking", &[booked("anew", "2026-11-24", "-20.00")])]);
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        let last = ann.transactions().await;
        assert_eq!((last.len(), id_of(&last, "-20.00")), (1, id_of(&before, "-20.00")), "{}", app.store.name);
    }
}

#[tokio::test]
async fn rows_of_one_id_in_one_answer_are_kept_and_what_is_booked_waits_no_more() {
    for app in apps().await {
        let waiting = json!({ "id": "w", "posted": 0, "pending": true, "transacted_at": noon("2026-11-21"), "amount": "-40.00", "description": "Gas" });
        let booked = [
            row("7", "2026-11-20", "-4.00"),
            row("7", "2026-11-20", "-5.00"),
            row("7", "2026-11-21", "-4.00"),
            row("7", "2026-03-01", "-6.00"),
            row("w", "2026-11-22", "-43.21"),
        ];
        for (name, rows) in [("ann", [booked.to_vec(), vec![waiting.clone()]].concat()), ("bob", [vec![waiting], booked.to_vec()].concat())] {
            let bridge = Bridge::with(vec![account("A", "1", "Checking", &rows)]).await;
            let client = app.signed_in(name).await;
            let link = link_id(&client, input(&bridge, "first")).await;
            app.work().await;
            let told = client.transactions().await;
            let mut said: Vec<_> =
                told.iter().map(|row| [&row["postedOn"], &row["amount"]["amount"], &row["status"]].map(|text| text.as_str().unwrap())).collect();
            said.sort_unstable();
            let rows = [("2026-03-01", "-6.00"), ("2026-11-20", "-4.00"), ("2026-11-20", "-5.00"), ("2026-11-21", "-4.00"), ("2026-11-22", "-43.21")];
            assert_eq!(said, rows.map(|(day, amount)| [day, amount, "POSTED"]), "{}", app.store.name);
            let ids = client.transaction_ids().await;
            client.sync(&link, true).await.succeeds();
            app.work().await;
            let sync = client.link(&link).await["lastSync"].clone();
            assert_eq!((&sync["added"], &sync["modified"], &sync["removed"]), (&json!(0), &json!(0), &json!(0)));
            assert_eq!(client.transaction_ids().await, ids);
        }
    }
}
