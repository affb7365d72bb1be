//! How much of an account is here, why no more, and how recent it is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod feeds;
mod files;

use dashtam::domain::{coverage::Spans, matching::Period, time::LocalDate};
use serde_json::{Value, json};

use crate::harness::{app::TestApp, client::Client};

const TOLD: &str = "coverage { from to reason gaps { from to } } freshness { state syncedAt }";

/// One's own accounts with their coverage, oldest first.
async fn accounts(client: &Client<'_>) -> Vec<Value> {
    let document = format!("{{ viewer {{ accounts(first: 100) {{ nodes {{ id name {TOLD} }} }} }} }}");
    client.ask(&document).await.data()["viewer"]["accounts"]["nodes"].as_array().unwrap().clone()
}

/// Coverage and freshness of one's own only link to a bank, or of all files.
async fn link(client: &Client<'_>, id: &str) -> Value {
    client.ask_with(&format!("query($id: ID!) {{ node(id: $id) {{ ... on Link {{ {TOLD} }} }} }}"), json!({ "id": id })).await.data()["node"].clone()
}

/// Coverage as the graph tells it.
fn days(from: &str, to: &str, reason: &str) -> Value {
    json!({ "from": from, "to": to, "reason": reason, "gaps": [] })
}

/// The same while there is nothing.
fn nothing(reason: &str) -> Value {
    json!({ "from": null, "to": null, "reason": reason, "gaps": [] })
}

/// One's own accounts that changed after a cursor; answers the next one too.
async fn changed(client: &Client<'_>, after: &Value) -> (Vec<Value>, Value) {
    let document = "query($after: String) { viewer { changes(first: 100, after: $after) { endCursor modified { __typename } } } }";
    let page = client.ask_with(document, json!({ "after": after })).await.data()["viewer"]["changes"].clone();
    let accounts = page["modified"].as_array().unwrap().iter().filter(|one| one["__typename"] == "Account").cloned().collect();
    (accounts, page["endCursor"].clone())
}

fn period(from: u32, to: u32) -> Period {
    let day = |number: u32| LocalDate::new(2026, 1, 1).unwrap().plus_days(number.into());
    (day(from), day(to))
}

#[test]
fn stretches_that_touch_are_one_and_the_days_between_others_are_missing() {
    let spans = |periods: &[(u32, u32)]| Spans::of(periods.iter().map(|(from, to)| period(*from, *to)));
    assert_eq!(spans(&[(5, 9), (1, 4), (20, 20), (7, 8), (3, 2)]), spans(&[(1, 9), (20, 20)]));
    assert_eq!(spans(&[(9, 5)]).bounds(), None, "a period that ends before it begins has no days");
    assert_eq!(spans(&[(1, 4), (8, 9)]).and(period(5, 7)), spans(&[(1, 9)]));
    assert_eq!(spans(&[(1, 10), (15, 20)]).common(&spans(&[(5, 16), (20, 30)])), spans(&[(5, 10), (15, 16), (20, 20)]));
    let missing = |all: (u32, u32), among: &[(u32, u32)]| Spans::missing(period(all.0, all.1), &spans(among));
    assert_eq!(missing((1, 9), &[]), [period(1, 9)]);
    assert_eq!(missing((5, 20), &[(1, 2), (4, 6), (9, 10), (20, 30)]), [period(7, 8), period(11, 19)]);
    assert_eq!(missing((5, 20), &[(1, 30)]), []);
    assert_eq!(missing((5, 20), &[(21, 30)]), [period(5, 20)]);
    let end = LocalDate::new(9999, 12, 31).unwrap();
    assert_eq!(Spans::missing((end.plus_days(-1), end), &Spans::of([(end, end)])), [(end.plus_days(-1), end.plus_days(-1))]);
    assert_eq!(Spans::missing((end, end), &Spans::of([(end, end)])), []);
}

#[tokio::test]
async fn what_is_told_costs_the_same_statements_however_many_accounts_there_are() {
    for app in TestApp::on_every_store().await {
        let mut counted = Vec::new();
        for (name, count) in [("one", 1), ("forty", 40)] {
            let client = app.signed_in(name).await;
            let user = app.stored_user(name).await;
            let link = app.store.link(user.id).await;
            for _ in 0..count {
                app.store.account(&link, "USD").await;
            }
            client.ask("{ __typename }").await.data();
            let before = app.app.statements();
            let document = format!("{{ viewer {{ accounts(first: 100) {{ nodes {{ id {TOLD} link {{ id {TOLD} }} }} }} }} }}");
            let data = client.ask(&document).await.data();
            assert_eq!(data["viewer"]["accounts"]["nodes"].as_array().unwrap().len(), count);
            counted.push(app.app.statements() - before);
        }
        assert_eq!(counted[0], counted[1], "{}", app.store.name);
    }
}
