//! What the bank can be told to do, and what becomes of it: at the bank itself, behind the adapter, and in the graph.

use std::collections::BTreeSet;

use dashtam::{
    application::ports::{Tokens, TransactionPage},
    domain::{provider::ReportedTransaction, transaction::TransactionStatus},
    infrastructure::providers::sandbox::{control::BankEvent, faults::FaultKind},
};
use serde_json::{Value, json};

use super::*;
use crate::harness::app::TestApp;

const ALL: [&str; 7] = ["harbour-checking", "harbour-savings", "harbour-euro", "meridian-card", "meridian-loan", "northwind-brokerage", "northwind-roth"];

impl OpenBank {
    async fn tell(&self, path: &str, form: &[(&str, &str)]) -> reqwest::Response {
        self.browser.post(self.at(path)).form(form).send().await.unwrap()
    }

    /// Tells it something that it does; answers how things stand.
    async fn told(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let answer = self.tell(path, form).await;
        assert_eq!(answer.status(), 200, "{path} {form:?}");
        answer.json().await.unwrap()
    }

    async fn state(&self) -> Value {
        let mut state: Value = self.get(&self.at("state")).await.json().await.unwrap();
        state["now"].take();
        state
    }

    async fn tokens(&self) -> Tokens {
        let code = self.agreed(&ALL).await;
        self.provider().exchange(&code, &walk(), self.clock.now()).await.unwrap()
    }

    /// An account as it is reported, and its rows of the last thirty days, over all pages.
    async fn reported(&self, tokens: &Tokens, id: &str) -> (ReportedAccount, Vec<ReportedTransaction>) {
        let (mut visit, today) = (self.visit(tokens).await, self.clock.today());
        let accounts = visit.accounts().await.unwrap().accounts;
        let account = accounts.into_iter().find(|account| account.reference.expose() == id).unwrap();
        let (mut rows, mut cursor) = (Vec::new(), None);
        loop {
            let page: TransactionPage = visit.transactions(&account, today.plus_days(-30), today, cursor.as_deref()).await.unwrap();
            rows.extend(page.transactions);
            cursor = page.next;
            if cursor.is_none() {
                return (account, rows);
            }
        }
    }
}

fn references(rows: &[ReportedTransaction]) -> BTreeSet<String> {
    rows.iter().map(|row| row.reference.clone().unwrap()).collect()
}

#[tokio::test]
async fn its_clock_goes_on_and_takes_rows_and_tokens_along() {
    let bank = OpenBank::new().await;
    let tokens = bank.tokens().await;
    let (_, before) = bank.reported(&tokens, "harbour-checking").await;
    bank.told("clock", &[("forward", "29m")]).await;
    bank.accounts(&tokens).await.unwrap();
    let state = bank.told("clock", &[("forward", "1w")]).await;
    assert_eq!((&state["ahead_seconds"], &state["consents"]), (&json!(7 * 86_400 + 29 * 60), &json!(1)));
    assert_eq!(bank.accounts(&tokens).await.unwrap_err(), ProviderFault::Refused, "its access tokens are as old as it is");
    let bank = bank.reopened().await;
    let tokens = bank.provider().refresh(&tokens, bank.clock.now()).await.unwrap();
    let (account, after) = bank.reported(&tokens, "harbour-checking").await;
    let booked = |rows: &[ReportedTransaction]| references(rows).into_iter().filter(|name| !name.ends_with("-p")).collect::<BTreeSet<_>>();
    assert!(booked(&after).is_superset(&booked(&before)) && after.len() > before.len(), "what was booked stays, and more is there");
    assert!(after.iter().any(|row| row.facts.posted_on > bank.clock.today()));
    assert_eq!(account.balances.as_of.unwrap().day(), bank.clock.today().plus_days(7));
    bank.told("clock", &[("forward", "90d")]).await;
    assert_eq!(bank.provider().refresh(&tokens, bank.clock.now()).await.err(), Some(ProviderFault::Refused), "so is its consent");
    bank.told("reset", &[("part", "clock")]).await;
    assert_eq!(bank.state().await["ahead_seconds"], 0);
}

#[tokio::test]
async fn what_it_cannot_be_told_changes_nothing() {
    let bank = OpenBank::new().await;
    bank.tokens().await;
    bank.told("settings", &[("page_rows", "7")]).await;
    let before = bank.state().await;
    let many: Vec<(&str, &str)> = std::iter::once(("fault", "error")).chain(std::iter::repeat_n(("at", "token"), 101)).collect();
    let refused: [(&str, &[(&str, &str)]); 36] = [
        ("clock", &[]),
        ("clock", &[("forward", "7")]),
        ("clock", &[("forward", "d")]),
        ("clock", &[("forward", "0d")]),
        ("clock", &[("forward", "-7d")]),
        ("clock", &[("forward", "7 d")]),
        ("clock", &[("forward", "7é")]),
        ("clock", &[("forward", "1827d")]),
        ("clock", &[("forward", "4294967295w")]),
        ("clock", &[("forward", "99999999999d")]),
        ("clock", &[("forward", "1d"), ("forward", "1d")]),
        ("clock", &[("forward", "1d"), ("backward", "1d")]),
        ("faults", &[]),
        ("faults", &[("fault", "earthquake")]),
        ("faults", &[("fault", "error"), ("fault", "html")]),
        ("faults", &[("fault", "error"), ("at", "authorize")]),
        ("faults", &[("fault", "error"), ("at", "token"), ("at", "moon")]),
        ("faults", &[("fault", "invalid_grant"), ("at", "accounts")]),
        ("faults", &[("fault", "error"), ("times", "0")]),
        ("faults", &[("fault", "error"), ("times", "often")]),
        ("faults", &[("fault", "error"), ("after", "-1")]),
        ("faults", &[("fault", "slow"), ("seconds", "301")]),
        ("faults", &[("fault", "slow"), ("seconds", "99999999999")]),
        ("faults", &[("fault", "slow"), ("time", "1")]),
        ("faults", &many),
        ("events", &[]),
        ("events", &[("event", "earthquake")]),
        ("events", &[("event", "close_account"), ("account", "nobody's")]),
        ("events", &[("event", "flip_signs"), ("account", ""), ("account", "a"), ("account", "b")]),
        ("settings", &[]),
        ("settings", &[("page_rows", "0")]),
        ("settings", &[("page_rows", "201")]),
        ("settings", &[("consent", "59s")]),
        ("settings", &[("consent", "91d")]),
        ("settings", &[("page_rows", "5"), ("zone", "+14:01")]),
        ("reset", &[("part", "bank")]),
    ];
    for (path, form) in refused {
        let answer = bank.tell(path, form).await;
        assert_eq!(answer.status(), 422, "{path} {form:?}");
        let body: Value = answer.json().await.unwrap();
        assert!(body["error"] == "invalid_request" && body["message"].as_str().unwrap().len() > 10, "{body}");
    }
    for zone in ["14:00:00", "+1:00", "+aa:bb", "-12:30", "+00:60", "é", "+é1:00"] {
        assert_eq!(bank.tell("settings", &[("zone", zone)]).await.status(), 422, "{zone}");
    }
    let not_a_form = bank.browser.post(bank.at("events")).body("event=end_consents").send().await.unwrap();
    let too_long = bank.tell("clock", &[("forward", &"1".repeat(70_000))]).await;
    assert_eq!((not_a_form.status().as_u16(), too_long.status().as_u16()), (415, 413));
    for origin in ["http://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:9"] {
        let form = [("event", "end_consents")];
        let answer = bank.browser.post(bank.at("events")).header("origin", origin).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{origin}");
    }
    assert_eq!(bank.state().await, before);
}

#[tokio::test]
async fn it_answers_as_badly_as_it_is_told_and_well_again_afterwards() {
    let limited = |retry_after| ProviderFault::RateLimited { retry_after };
    let refused_at_data: &[&str] = &["unauthorized", "forbidden"];
    for kind in FaultKind::ALL.iter().map(|kind| kind.as_str()).filter(|kind| !["slow", "hang", "flood"].contains(kind)) {
        let bank = OpenBank::new().await;
        let tokens = bank.tokens().await;
        let form = [("fault", kind), ("times", "9"), ("seconds", "17")];
        let state = bank.told("faults", &form).await;
        let at: Vec<&str> = state["faults"].as_array().unwrap().iter().map(|fault| fault["at"].as_str().unwrap()).collect();
        let data = bank.accounts(&tokens).await.err();
        let token = bank.provider().refresh(&tokens, bank.clock.now()).await.err();
        assert_eq!((data.is_some(), token.is_some()), (at.contains(&"accounts"), at.contains(&"token") && kind != "no_expiry"), "{kind}");
        match kind {
            "rate_limited" => assert_eq!((data, token), (Some(limited(Some(17))), Some(limited(Some(17))))),
            "unavailable" => assert_eq!(data, Some(ProviderFault::Unavailable { retry_after: 17 })),
            "html" | "broken" | "empty" => assert_eq!(data, Some(ProviderFault::Malformed), "{kind}"),
            "invalid_client" => assert_eq!(token, Some(ProviderFault::AppRefused)),
            "invalid_grant" => assert_eq!(token, Some(ProviderFault::Refused)),
            "no_refresh_token" => assert_eq!(token, Some(ProviderFault::Incomplete), "{kind}"),
            kind if refused_at_data.contains(&kind) => assert_eq!(data, Some(ProviderFault::Refused), "{kind}"),
            _ => {}
        }
        bank.told("reset", &[("part", "faults")]).await;
        bank.accounts(&tokens).await.unwrap();
    }
    let bank = OpenBank::new().await;
    let tokens = bank.tokens().await;
    bank.told("faults", &[("fault", "forbidden"), ("at", "accounts"), ("after", "1"), ("times", "2")]).await;
    bank.told("faults", &[("fault", "slow"), ("at", "accounts"), ("seconds", "0"), ("times", "1")]).await;
    let mut went_well = Vec::new();
    for _ in 0..5 {
        went_well.push(bank.accounts(&tokens).await.is_ok());
    }
    assert_eq!((went_well, &bank.state().await["faults"]), (vec![true, false, false, true, true], &json!([])));
}

#[tokio::test]
async fn a_browser_can_be_sent_back_with_less_than_it_should_have() {
    for (kind, names) in [
        ("server_error", ["error", "state", "iss"].as_slice()),
        ("no_code", &["state", "iss"]),
        ("no_state", &["code", "iss"]),
        ("wrong_state", &["code", "state", "iss"]),
    ] {
        let bank = OpenBank::new().await;
        bank.told("faults", &[("fault", kind)]).await;
        let ticket = bank.ticket(&walk()).await;
        let address = location(&bank.decide(&[("ticket", &ticket), ("decision", "agree"), ("account", ALL[0])]).await);
        let given: Vec<String> = address.query_pairs().map(|(name, _)| name.into_owned()).collect();
        assert_eq!((given, address.as_str().starts_with(CALLBACK)), (names.iter().map(|name| (*name).to_owned()).collect(), true), "{kind}");
        assert_eq!(parameter(&address, "state").is_some_and(|state| state != "a-state"), kind == "wrong_state");
    }
}

#[tokio::test]
async fn what_happens_to_its_books_can_be_taken_back() {
    let bank = OpenBank::new().await;
    let tokens = bank.tokens().await;
    let (account, before) = bank.reported(&tokens, "harbour-checking").await;
    let last =
        before.iter().filter(|row| row.facts.status == TransactionStatus::Posted).max_by_key(|row| (row.facts.posted_on, row.reference.clone())).unwrap();
    bank.told("events", &[("event", "remove_row")]).await;
    bank.told("events", &[("event", "reissue_ids")]).await;
    bank.told("settings", &[("page_rows", "3"), ("zone", "+14:00")]).await;
    let (poorer, after) = bank.reported(&tokens, "harbour-checking").await;
    assert_eq!(after.len(), before.len() - 1);
    assert!(references(&after).is_disjoint(&references(&before)));
    let current = |account: &ReportedAccount| account.balances.current.unwrap().units();
    assert_eq!(current(&poorer), current(&account) - last.facts.amount.units(), "the balance goes with the row");
    let hours = |rows: &[ReportedTransaction]| rows.iter().find_map(|row| row.facts.occurred_at).unwrap();
    assert_eq!(hours(&before).since(hours(&after)), chrono::Duration::hours(19), "one day boundary for another");
    // The second page is asked for, and a row of the first one is gone.
    bank.told("events", &[("event", "change_while_paging")]).await;
    let (_, walked) = bank.reported(&tokens, "harbour-checking").await;
    let (_, walked_again) = bank.reported(&tokens, "harbour-checking").await;
    assert_eq!((walked.len(), walked_again.len()), (after.len(), after.len() - 1));
    bank.told("events", &[("event", "flip_signs"), ("account", "meridian-card")]).await;
    bank.told("events", &[("event", "close_account"), ("account", "meridian-card")]).await;
    let (card, _) = bank.reported(&tokens, "meridian-card").await;
    assert!(!card.is_active && current(&card) > 0, "a debt that looks like wealth");
    bank.told("events", &[("event", "reopen_account"), ("account", "meridian-card")]).await;
    assert!(bank.reported(&tokens, "meridian-card").await.0.is_active);
    bank.told("events", &[("event", "restore_rows")]).await;
    let (_, restored) = bank.reported(&tokens, "harbour-checking").await;
    assert_eq!(restored.len(), before.len());
    bank.told("reset", &[]).await;
    let (reset, rows) = bank.reported(&tokens, "harbour-checking").await;
    assert_eq!((references(&rows), current(&reset)), (references(&before), current(&account)));
    bank.told("events", &[("event", "end_access_tokens")]).await;
    assert!(bank.accounts(&tokens).await.is_err());
    let tokens = bank.provider().refresh(&tokens, bank.clock.now()).await.unwrap();
    bank.told("events", &[("event", "end_consents")]).await;
    assert!(bank.provider().refresh(&tokens, bank.clock.now()).await.is_err());
    bank.told("settings", &[("consent", "10m")]).await;
    let ends = bank.tokens().await.consent_expires_at.unwrap();
    assert_eq!(ends.since(bank.clock.now()), chrono::Duration::minutes(10));
    assert!(bank.get(&bank.provider().authorization_url(&walk()).unwrap()).await.text().await.unwrap().contains("for 10 minutes."));
}

#[tokio::test]
async fn a_browser_gets_a_page_with_everything_on_it() {
    let bank = OpenBank::new().await;
    let page = bank.get(bank.base_url.as_str()).await;
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("form-action 'self'"));
    let html = page.text().await.unwrap();
    for word in BankEvent::ALL.iter().map(|event| event.as_str()).chain(FaultKind::ALL.iter().map(|kind| kind.as_str())).chain(ALL) {
        assert!(html.contains(word), "{word}");
    }
    assert!(!html.contains("<script"));
    let ask = |forward: &'static str| bank.browser.post(bank.at("clock")).header("accept", "text/html,*/*").form(&[("forward", forward)]).send();
    let moved = ask("1d").await.unwrap();
    assert_eq!((moved.status().as_u16(), moved.headers()["location"].to_str().unwrap()), (303, "/sandbox"));
    let refused = ask("<b>").await.unwrap();
    assert_eq!(refused.status(), 422);
    let html = refused.text().await.unwrap();
    assert!(html.contains("role=\"alert\"") && !html.contains("<b>"));
}

#[tokio::test]
async fn what_happens_at_the_bank_is_seen_in_the_graph() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let link = ann.ask("{ viewer { links(first: 1) { nodes { id } } } }").await.data()["viewer"]["links"]["nodes"][0]["id"].as_str().unwrap().to_owned();
        let tell = async |path: &str, form: &[(&str, &str)]| {
            let answer = reqwest::Client::new().post(format!("{}/sandbox/{path}", app.url)).form(form).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path} {form:?}");
        };
        let again = async || {
            ann.sync(&link, true).await.succeeds();
            assert_eq!(app.work().await, 1);
            let told = ann.link(&link).await;
            [&told["status"], &told["lastSync"]["status"], &told["lastSync"]["added"], &told["lastSync"]["removed"]]
                .map(|value| value.to_string().replace('"', ""))
        };
        let [.., added, removed] = {
            tell("clock", &[("forward", "7d")]).await;
            again().await
        };
        assert!(added.parse::<u32>().unwrap() > 5, "a week of rows: {added}, {removed} removed");
        let rows = app.count("transactions WHERE removed_at IS NULL").await;
        tell("events", &[("event", "reissue_ids")]).await;
        assert_eq!(again().await, ["ACTIVE", "SUCCEEDED", "0", "0"], "new ids are no new rows, pending ones included");
        tell("events", &[("event", "remove_row")]).await;
        assert_eq!(again().await, ["ACTIVE", "SUCCEEDED", "0", "1"]);
        assert_eq!(app.count("transactions WHERE removed_at IS NULL").await, rows - 1);
        tell("events", &[("event", "end_access_tokens")]).await;
        assert_eq!(again().await[..2], ["ACTIVE", "SUCCEEDED"], "an access token that ended is renewed");
        tell("faults", &[("fault", "error"), ("at", "accounts"), ("times", "3")]).await;
        assert_eq!(again().await[..2], ["ACTIVE", "QUEUED"], "tried once more later");
        tell("events", &[("event", "end_consents")]).await;
        assert_eq!(again().await[..2], ["EXPIRED", "FAILED"]);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_bank_that_turns_its_signs_is_put_right_back_to_the_first_day() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let link = ann.ask("{ viewer { links(first: 1) { nodes { id } } } }").await.data()["viewer"]["links"]["nodes"][0]["id"].as_str().unwrap().to_owned();
        let card = ann.ask("{ viewer { accounts(first: 1, filter: { types: [CREDIT_CARD] }) { nodes { id } } } }").await.data();
        let card = card["viewer"]["accounts"]["nodes"][0]["id"].clone();
        let flip = async || {
            let form = [("event", "flip_signs"), ("account", "meridian-card")];
            assert_eq!(reqwest::Client::new().post(format!("{}/sandbox/events", app.url)).form(&form).send().await.unwrap().status(), 200);
        };
        let sync = async || {
            ann.sync(&link, true).await.succeeds();
            assert_eq!(app.work().await, 1);
        };
        let invert = async |invert: bool| ann.mutate("updateAccount", "account { id }", json!({ "accountId": card, "invertSign": invert })).await.succeeds();
        let facts = async || {
            let rows = app.store.query("SELECT id, amount, type, subtype, status, CASE WHEN removed_at IS NULL THEN 'here' ELSE 'gone' END AS is_here FROM transactions ORDER BY id").await;
            let row = |row: &sea_orm::QueryResult| {
                let word = |column: &str| row.try_get::<Option<String>>("", column).unwrap();
                let id: uuid::Uuid = row.try_get("", "id").unwrap();
                (id, row.try_get::<i64>("", "amount").unwrap(), word("type"), word("subtype"), word("status"), word("is_here"))
            };
            rows.iter().map(row).collect::<Vec<_>>()
        };
        let coverage = async || {
            ann.ask_with("query($id: ID!) { account(id: $id) { coverage { from to reason } balances { current { amount } } } }", json!({ "id": card }))
                .await
                .data()
        };
        let (before, covered) = (facts().await, coverage().await);
        for (syncs_first, inverted) in [(true, true), (false, false)] {
            flip().await;
            if syncs_first {
                sync().await;
                assert_ne!(facts().await, before, "{}: the recent ones came otherwise", app.store.name);
            }
            invert(inverted).await;
            assert_eq!(coverage().await["account"]["coverage"]["reason"], "STILL_FETCHING");
            sync().await;
            assert_eq!(facts().await, before, "{}, {syncs_first}", app.store.name);
            assert_eq!(coverage().await, covered, "{}, {syncs_first}", app.store.name);
        }
        app.every_attempt_ended_once().await;
    }
}
