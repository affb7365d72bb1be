//! What accounts held, day by day, and what they come to altogether.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use chrono::Duration;
use dashtam::domain::{
    account::{Account, AccountType},
    balance::{BalanceSnapshot, Balances, net_worth},
    link::LinkStatus,
    money::{Amount, Currency, Money, Sum},
    time::Clock as _,
    user::Role,
};
use serde_json::{Value, json};

use crate::harness::{
    app::TestApp,
    bank::{posted, reported_account},
    client::Client,
    rows,
    stores::commit,
};

/// An account of the link's owner with that many units, not stored yet.
fn worth(app: &TestApp, link: &dashtam::domain::link::Link, currency: &str, units: Option<i64>) -> Account {
    let mut account = rows::account(link, currency, app.store.clock.now());
    account.balances = Balances { current: units.map(|units| Amount::from_units(units).unwrap()), ..Balances::default() };
    account
}

async fn keep(app: &TestApp, accounts: &[Account]) {
    let mut work = app.store.begin().await;
    for account in accounts {
        work.accounts().insert(account).await.unwrap();
    }
    commit(work).await;
}

async fn told(client: &Client<'_>) -> Value {
    client.ask("{ viewer { netWorth { amount currency } } }").await.data()["viewer"]["netWorth"].clone()
}

#[tokio::test]
async fn net_worth_counts_debts_as_debts_and_adds_no_two_currencies() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        assert_eq!(told(&ann).await, json!([]));
        let link = app.store.link(app.user_id("ann").await).await;
        let mut closed = worth(&app, &link, "USD", Some(770_000));
        closed.is_active = false;
        let mut card = worth(&app, &link, "USD", Some(-12_000_000));
        card.kind = AccountType::CreditCard;
        let accounts = [
            worth(&app, &link, "USD", Some(10_005_000)),
            card,
            closed,
            worth(&app, &link, "USD", None),
            worth(&app, &link, "EUR", Some(200_000)),
            worth(&app, &link, "JPY", Some(12_000_000)),
            worth(&app, &link, "GBP", None),
            worth(&app, &link, "points", Some(150_000_000)),
        ];
        keep(&app, &accounts).await;
        keep(&app, &[worth(&app, &app.store.link(app.user_id("bob").await).await, "USD", Some(50_000))]).await;
        let money = |amount: &str, currency: &str| json!({ "amount": amount, "currency": currency });
        assert_eq!(
            told(&ann).await,
            json!([money("20.00", "EUR"), money("1200", "JPY"), money("-199.50", "USD"), money("1.5", "points")]),
            "{}",
            app.store.name
        );
        assert_eq!(told(&bob).await, json!([money("5.00", "USD")]));

        app.promote("bob", Role::Admin).await;
        app.pass(Duration::seconds(1));
        let ids = ann.ask("{ viewer { id } }").await.data();
        let document = "query($id: ID!) { node(id: $id) { ... on User { email netWorth { amount } holdings(first: 5) { totalCount } } } }";
        let of_ann = bob.ask_with(document, json!({ "id": ids["viewer"]["id"] })).await.data();
        assert_eq!(of_ann["node"], json!({ "email": "ann@example.com", "netWorth": [], "holdings": { "totalCount": 0 } }));
    }
}

#[tokio::test]
async fn an_account_counts_as_long_as_its_link_was_not_taken_away() {
    for app in TestApp::on_every_store().await {
        app.bank.script(|script| script.accounts = vec![(reported_account("1234567890", 10_000), vec![])]);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        app.work().await;
        let hundred = json!([{ "amount": "100.00", "currency": "USD" }]);
        assert_eq!(told(&ann).await, hundred);
        for status in LinkStatus::ALL {
            app.store.execute(&format!("UPDATE links SET status = '{}'", status.as_str())).await.unwrap();
            let expected = if *status == LinkStatus::Unlinked { &json!([]) } else { &hundred };
            assert_eq!(&told(&ann).await, expected, "{status:?}: what a bank keeps is still there when it cannot be asked");
        }
        app.store.execute("UPDATE links SET status = 'active'").await.unwrap();
        ann.unlink(&link, true).await.succeeds();
        assert_eq!((told(&ann).await, ann.accounts().await.len()), (json!([]), 1));
    }
}

#[tokio::test]
async fn a_sum_that_no_amount_holds_is_as_exact_as_any() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let link = app.store.link(app.user_id("ann").await).await;
        // Beyond the range on the way, and within it in the end.
        keep(&app, &[i64::MAX, i64::MAX, -i64::MAX].map(|units| worth(&app, &link, "USD", Some(units)))).await;
        assert_eq!(told(&ann).await, json!([{ "amount": "922337203685477.5807", "currency": "USD" }]), "{}", app.store.name);
        keep(&app, &[worth(&app, &link, "USD", Some(1))]).await;
        assert_eq!(told(&ann).await, json!([{ "amount": "922337203685477.5808", "currency": "USD" }]), "{}", app.store.name);
    }
}

#[test]
fn sums_are_exact_at_both_ends_of_the_range() {
    let usd = Currency::parse("USD").unwrap();
    let money = |units: i64| Money { amount: Amount::from_units(units).unwrap(), currency: usd.clone() };
    let sum = |units: i128| vec![Sum { units, currency: usd.clone() }];
    assert_eq!(net_worth([]), vec![]);
    assert_eq!(net_worth([money(1), money(-1)]), sum(0), "nothing left is nothing, and still an entry");
    assert_eq!(net_worth([money(-i64::MAX)]), sum(-i128::from(i64::MAX)));
    for sign in [1, -1] {
        assert_eq!(net_worth([money(sign * i64::MAX), money(sign)]), sum(i128::from(sign) * (i128::from(i64::MAX) + 1)));
    }
    assert_eq!(net_worth(vec![money(-i64::MAX); 1_000])[0].to_text(), "-922337203685477580.70");
}

/// A history of one account: snapshots at those hours after noon of the 23rd of November, of that many cents.
async fn history(app: &TestApp, name: &str, snapshots: &[(i64, i64)]) -> Account {
    let link = app.store.link(app.user_id(name).await).await;
    let account = worth(app, &link, "USD", Some(0));
    keep(app, std::slice::from_ref(&account)).await;
    let mut work = app.store.begin().await;
    for (hours, cents) in snapshots {
        let balances = Balances { current: Some(Amount::from_units(cents * 100).unwrap()), ..Balances::default() };
        let taken_at = app.store.clock.now().plus(Duration::hours(*hours));
        work.snapshots().insert(&BalanceSnapshot { account: account.id, user: account.user, taken_at, balances }).await.unwrap();
    }
    commit(work).await;
    account
}

const HISTORY: &str = "query($id: ID!, $first: Int, $after: String, $last: Int, $before: String, $range: DayRangeInput) { account(id: $id) { \
                       balanceHistory(first: $first, after: $after, last: $last, before: $before, range: $range) { totalCount \
                       nodes { date takenAt balances { current { amount } available { amount } } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }";

async fn days(client: &Client<'_>, account: &Account, variables: Value) -> Value {
    let mut variables = variables;
    variables["id"] = json!(dashtam::presentation::graphql::global_id::GlobalId::from(account.id).to_string());
    client.ask_with(HISTORY, variables).await.data()["account"]["balanceHistory"].clone()
}

fn dates(page: &Value) -> Vec<(&str, &str)> {
    let nodes = page["nodes"].as_array().unwrap().iter();
    nodes.map(|node| (node["date"].as_str().unwrap(), node["balances"]["current"]["amount"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn the_history_of_an_account_has_what_each_day_ended_with() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        // The first at 12:00; 23:00 and 24:00 are two days; the 25th has none.
        let account = history(&app, "ann", &[(0, 1), (11, 2), (12, 3), (35, 4), (72, 5), (73, 6), (73, 7)]).await;
        let whole = days(&ann, &account, json!({ "first": 100 })).await;
        assert_eq!(dates(&whole), [("2026-11-23", "0.02"), ("2026-11-24", "0.04"), ("2026-11-26", "0.07")], "{}", app.store.name);
        assert_eq!((&whole["totalCount"], &whole["nodes"][0]["takenAt"]), (&json!(3), &json!("2026-11-23T23:00:00Z")));
        assert_eq!(whole["nodes"][0]["balances"]["available"], Value::Null);

        let latest = days(&ann, &account, json!({ "last": 2 })).await;
        assert_eq!((dates(&latest), &latest["pageInfo"]["hasPreviousPage"]), (dates(&whole)[1..].to_vec(), &json!(true)));
        let first = days(&ann, &account, json!({ "first": 1 })).await;
        let rest = days(&ann, &account, json!({ "first": 5, "after": first["pageInfo"]["endCursor"] })).await;
        assert_eq!((dates(&first), dates(&rest)), (dates(&whole)[..1].to_vec(), dates(&whole)[1..].to_vec()));
        for (range, expected) in [
            (json!({ "from": "2026-11-24" }), 1..3),
            (json!({ "to": "2026-11-24" }), 0..2),
            (json!({ "from": "2026-11-24", "to": "2026-11-25" }), 1..2),
            (json!({ "from": "2026-11-25", "to": "2026-11-25" }), 0..0),
            (json!({ "from": "2026-11-27", "to": "2026-11-23" }), 0..0),
            (json!({ "from": "0001-01-01", "to": "9999-12-31" }), 0..3),
        ] {
            let page = days(&ann, &account, json!({ "first": 100, "range": range })).await;
            assert_eq!((dates(&page), page["totalCount"].as_u64()), (dates(&whole)[expected.clone()].to_vec(), Some(expected.len() as u64)), "{range}");
        }
    }
}

#[tokio::test]
async fn every_sync_of_a_day_counts_for_one_entry_and_nobody_else_sees_it() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        app.work().await;
        app.bank.script(|script| script.accounts = vec![(reported_account("1234567890", 4_200), vec![])]);
        let ann = app.later(Duration::hours(1), "ann").await;
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        let ann = app.later(Duration::days(1), "ann").await;
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        assert!(app.count("balance_snapshots").await >= 3);
        let document = "{ viewer { accounts(first: 1) { nodes { id balanceHistory(first: 9) { nodes { date balances { current { amount } } } } } } } }";
        let data = ann.ask(document).await.data();
        let account = &data["viewer"]["accounts"]["nodes"][0];
        let told: Vec<_> = account["balanceHistory"]["nodes"].as_array().unwrap().iter().map(|node| node["date"].as_str().unwrap()).collect();
        assert_eq!(told, ["2026-11-23", "2026-11-24"]);
        assert_eq!(account["balanceHistory"]["nodes"][0]["balances"]["current"]["amount"], "42.00");
        let bob = app.signed_in("bob").await;
        let foreign = bob.ask_with("query($id: ID!) { account(id: $id) { balanceHistory(first: 9) { totalCount } } }", json!({ "id": account["id"] })).await;
        assert_eq!(foreign.data()["account"], Value::Null);
    }
}
