//! Visits: how often the bridge is asked, for what, and what becomes of its troubles.

use chrono::Duration as Span;

use super::*;

#[tokio::test]
async fn a_visit_of_recent_days_costs_one_request_for_all_accounts() {
    let rows = [row("1", "2026-11-20", "-5.00"), row("2", "2026-10-25", "7.00"), row("3", "2026-09-01", "1.00")];
    let bridge = Bridge::with(vec![account("A", "1", "Checking", &rows), account("A", "2", "Savings", &rows)]).await;
    let linked = Linked::to(&bridge).await;
    let mut visit = linked.visit().await;
    let accounts = visit.accounts().await.unwrap();
    assert_eq!((accounts.accounts.len(), accounts.complete), (2, true));
    let today = linked.clock.today();
    for account in &accounts.accounts {
        let page = visit.transactions(account, today.plus_days(-30), today, None).await.unwrap();
        let told: Vec<_> = page.transactions.iter().map(|row| (row.reference.clone().unwrap(), row.facts.posted_on)).collect();
        assert_eq!(told, [("2".to_owned(), day("2026-10-25")), ("1".to_owned(), day("2026-11-20"))]);
        assert_eq!((page.complete, page.refused, page.next), (true, 0, None));
    }
    let asked = bridge.books(|books| books.asked.clone());
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0]["version"].as_str(), asked[0]["pending"].as_str(), asked[0].get("end-date")), ("2", "1", None));
}

#[tokio::test]
async fn a_year_is_read_in_windows_of_ninety_days_that_overlap() {
    let days: Vec<_> = (0..365_i64).map(|ago| day("2026-11-23").plus_days(-ago).to_string()).collect();
    let rows: Vec<_> = days.iter().enumerate().map(|(ago, day)| row(&format!("r{ago}"), day, "-1.00")).collect();
    let bridge = Bridge::with(vec![account("A", "1", "Checking", &rows), account("B", "1", "Card", &rows)]).await;
    let linked = Linked::to(&bridge).await;
    let mut visit = linked.visit().await;
    let accounts = visit.accounts().await.unwrap().accounts;
    let today = linked.clock.today();
    for account in &accounts {
        let page = visit.transactions(account, today.plus_days(-364), today, None).await.unwrap();
        assert_eq!((page.transactions.len(), page.complete), (365, true));
        let older = visit.transactions(account, today.plus_days(-364), today.plus_days(-31), None).await.unwrap();
        assert_eq!(older.transactions.len(), 334);
    }
    let mut windows: Vec<(i64, i64)> = bridge.books(|books| {
        let date = |asked: &std::collections::HashMap<String, String>, name: &str| asked.get(name).map_or(i64::MAX, |text| text.parse().unwrap());
        books.asked.iter().map(|asked| (date(asked, "start-date"), date(asked, "end-date"))).collect()
    });
    assert_eq!(windows.len(), 5, "one for each window, whatever the number of accounts: {windows:?}");
    windows.sort_unstable();
    for pair in windows.windows(2) {
        assert_eq!((pair[0].1 - pair[1].0, pair[0].1 - pair[0].0), (5 * 86_400, 90 * 86_400));
    }
}

#[tokio::test]
async fn one_id_in_two_windows_is_one_row_only_where_day_and_amount_are_one() {
    let rows = [row("7", "2026-10-22", "-4.00"), row("7", "2026-10-22", "-5.00"), row("7", "2026-03-01", "-4.00")];
    let bridge = Bridge::with(vec![account("A", "1", "Checking", &rows)]).await;
    let linked = Linked::to(&bridge).await;
    let mut visit = linked.visit().await;
    let (account, today) = (visit.accounts().await.unwrap().accounts.remove(0), linked.clock.today());
    let page = visit.transactions(&account, today.plus_days(-364), today, None).await.unwrap();
    let told: Vec<_> = page.transactions.iter().map(|row| (row.facts.posted_on, row.facts.amount.to_text(&account.currency))).collect();
    let expected = [("2026-03-01", "-4.00"), ("2026-10-22", "-4.00"), ("2026-10-22", "-5.00")];
    assert_eq!(told, expected.map(|(on, amount)| (day(on), amount.to_owned())));
}

#[tokio::test]
async fn accounts_and_connections_that_did_not_answer_are_incomplete_and_not_empty() {
    let bridge = Bridge::with(vec![account("A", "1", "Checking", &[]), account("A", "2", "Savings", &[]), account("B", "1", "Card", &[])]).await;
    let linked = Linked::to(&bridge).await;
    let told = async |errlist: Value| {
        bridge.books(|books| books.errlist = errlist.as_array().unwrap().clone());
        let mut visit = linked.visit().await;
        let accounts = visit.accounts().await.unwrap();
        let (mut complete, today) = (vec![accounts.complete], linked.clock.today());
        for account in &accounts.accounts {
            complete.push(visit.transactions(account, today.plus_days(-10), today, None).await.unwrap().complete);
        }
        complete
    };
    assert_eq!(told(json!([])).await, [true, true, true, true]);
    assert_eq!(told(json!([{ "code": "act.failed", "message": "x", "conn_id": "A", "account_id": "1" }])).await, [true, false, true, true]);
    assert_eq!(told(json!([{ "code": "act.failed", "msg": "x", "account_id": "1" }])).await, [false, false, true, false], "there may be a third of that id");
    assert_eq!(told(json!([{ "code": "act.missing", "message": "x", "conn_id": "A", "account_id": "3" }])).await, [false, true, true, true]);
    assert_eq!(told(json!([{ "code": "con.auth", "message": "x", "conn_id": "A" }])).await, [false, false, false, true]);
    assert_eq!(told(json!([{ "code": "gen.api", "message": "x" }])).await, [false; 4]);
    assert_eq!(told(json!(["what is this"])).await, [false; 4]);
    // Ids are unique within a connection only, and may hold a stroke.
    bridge.books(|books| books.accounts.push(account("A", "x/9", "Card", &[])));
    for id in ["9", "x/9"] {
        let failed = |connection: &str| json!([{ "code": "act.failed", "message": "x", "conn_id": connection, "account_id": id }]);
        assert_eq!(told(failed("A")).await, [id == "x/9", true, true, true, id != "x/9"], "{id}");
        assert!(!told(failed("B")).await[0], "{id}");
    }
    assert!(!told(json!([{ "code": "act.failed", "message": "x", "conn_id": "B", "account_id": "2" }])).await[0]);
    bridge.books(|books| books.accounts.truncate(3));
    // A bank has limits of its own, and one that speaks of them has not answered.
    let of = |code: &str, names: &[(&str, &str)]| {
        let mut error = json!({ "code": code, "msg": "Bank B answered: too many requests" });
        for (name, id) in names {
            error[*name] = json!(id);
        }
        json!([error])
    };
    assert_eq!(told(of("con.failed", &[("conn_id", "B")])).await, [false, true, true, false]);
    assert_eq!(told(of("act.failed", &[("conn_id", "A"), ("account_id", "2")])).await, [true, true, false, true]);
    assert_eq!(told(of("con.failed", &[])).await, [false; 4]);
    assert_eq!(told(of("gen.quota", &[])).await, [true; 4]);
    for code in ["con.failed", "gen.quota"] {
        bridge.books(|books| books.errlist = of(code, &[("conn_id", "B")]).as_array().unwrap().clone());
        let mut visit = linked.visit().await;
        visit.accounts().await.unwrap();
        assert!(visit.rests_until().is_some(), "nor is anything asked today that may be one too many");
    }
    for words in ["You must reauthenticate.", "Bank B: rate limit exceeded, try again later"] {
        bridge.books(|books| books.errors = vec![json!(words)]);
        assert_eq!(told(json!([])).await, [false; 4], "{words}");
    }
    bridge.books(|books| (books.errors, books.accounts[1]["currency"]) = (Vec::new(), json!("a lot of it")));
    let accounts = linked.accounts().await.unwrap();
    assert_eq!((accounts.accounts.len(), accounts.complete), (2, false), "an account that cannot be read is not closed");
}

#[tokio::test]
async fn a_warning_ends_the_asking_until_the_day_is_over_and_keeps_what_came_with_it() {
    for warning in [json!({ "code": "gen.quota", "message": "x" }), json!({ "code": "gen.", "message": "You have exceeded your daily Quota of requests" })] {
        let bridge = Bridge::with(vec![account("A", "1", "Checking", &[row("1", "2026-11-20", "-5.00")])]).await;
        bridge.books(|books| books.errlist = vec![warning]);
        let linked = Linked::to(&bridge).await;
        let mut visit = linked.visit().await;
        let accounts = visit.accounts().await.unwrap();
        let today = linked.clock.today();
        let page = visit.transactions(&accounts.accounts[0], today.plus_days(-30), today, None).await.unwrap();
        assert_eq!((accounts.complete, page.complete, page.transactions.len()), (true, true, 1));
        let wait = ProviderFault::RateLimited { retry_after: Some(12 * 3600) };
        assert_eq!(visit.transactions(&accounts.accounts[0], today.plus_days(-100), today, None).await.unwrap_err(), wait);
        let tomorrow = linked.clock.now().plus(Span::hours(12));
        assert_eq!((visit.rests_until(), bridge.asked()), (Some(tomorrow), 1));
        bridge.books(|books| books.errlist = Vec::new());
        assert!(linked.accounts().await.is_ok(), "what was said is kept by whoever asked");
    }
}

#[tokio::test]
async fn what_a_status_means() {
    let bridge = Bridge::with(Vec::new()).await;
    let linked = Linked::to(&bridge).await;
    for (status, fault, tries) in [
        (402, ProviderFault::Unpaid, 1),
        (403, ProviderFault::Refused, 1),
        (401, ProviderFault::Refused, 1),
        (429, ProviderFault::RateLimited { retry_after: None }, 1),
        (500, ProviderFault::ServerError, 2),
        (503, ProviderFault::ServerError, 2),
        (404, ProviderFault::Malformed, 1),
    ] {
        let before = bridge.asked();
        bridge.books(|books| books.status = Some(status));
        assert_eq!((linked.accounts().await.unwrap_err(), bridge.asked() - before), (fault, tries), "{status}");
    }
    bridge.books(|books| (books.status, books.revoked) = (None, ["first".to_owned()].into()));
    assert_eq!(linked.accounts().await.unwrap_err(), ProviderFault::Refused);
}

#[tokio::test]
async fn no_more_is_asked_in_a_day_than_the_bridge_bears() {
    use dashtam::{application::errand, domain::id::LinkId};
    let bridge = Bridge::with(Vec::new()).await;
    let linked = Linked::to(&bridge).await;
    let link = LinkId(uuid::Uuid::from_u128(7));
    // Every ten minutes for a day, and another.
    for most in [24, 34] {
        for _ in 0..144 {
            let asked = errand::on_behalf_of(link, linked.accounts()).await;
            assert!(matches!(asked, Ok(_) | Err(ProviderFault::RateLimited { retry_after: Some(1..=8640) })), "{asked:?}");
            linked.clock.pass(Span::minutes(10));
        }
        assert!(bridge.asked() <= most && bridge.asked() >= most - 1, "{}", bridge.asked());
    }
}
