//! Links, through the whole product: every way a walk to a bank can end.

mod begin;
mod callback;
mod complete;
mod start;

use serde_json::json;

use crate::harness::{
    app::TestApp,
    client::{Answer, Client},
    walk::Walk,
};

/// What a link leaves that came about, and one that did not must not.
const LEFT: [&str; 5] = ["credentials", "accounts", "transactions", "syncs", "balance_snapshots"];

/// Nothing of a bank is stored.
async fn nothing_is_stored(app: &TestApp) {
    app.holds(&LEFT.map(|table| (table, 0))).await;
}

/// The link failed for this reason, which the graph and the trail tell alike.
async fn failed_for(app: &TestApp, owner: &Client<'_>, link: &str, reason: &str) {
    let told = owner.link(link).await;
    assert_eq!((&told["status"], &told["nextAction"]), (&json!("FAILED"), &json!("RELINK")), "{told}");
    assert_eq!(told["reason"], reason.to_uppercase(), "{told}");
    assert_eq!(app.last_outcome("complete_link").await, ("failed".to_owned(), Some(reason.to_owned())), "{}", app.store.name);
}

/// The state works no more, neither at the callback nor at `completeLink`, and asks the bank for nothing.
async fn is_spent(app: &TestApp, owner: &Client<'_>, walk: &Walk<'_>) {
    let exchanges = app.bank.script(|script| script.exchanges.len());
    let again = walk.come_back(&[("code", "again")]).await;
    assert!(again.status == 409 || again.redirects().1.get("reason").is_some_and(|reason| reason == "spent_state"), "{}", again.text);
    assert_eq!(app.last_outcome("complete_link").await, ("failed".to_owned(), Some("spent_state".to_owned())));
    owner.complete(&walk.state, "again").await.is_refused("STATE_USED");
    assert_eq!(app.last_outcome("complete_link").await, ("failed".to_owned(), Some("spent_state".to_owned())));
    assert_eq!(app.bank.script(|script| script.exchanges.len()), exchanges, "a spent state reached the bank");
}

/// The walk ended without a link, for this reason, and left nothing behind.
async fn came_to_nothing(app: &TestApp, owner: &Client<'_>, walk: &Walk<'_>, reason: &str) {
    failed_for(app, owner, &walk.link, reason).await;
    is_spent(app, owner, walk).await;
    assert_eq!(owner.link(&walk.link).await["reason"], reason.to_uppercase(), "a second try changed the reason");
    nothing_is_stored(app).await;
    app.every_attempt_ended_once().await;
}

/// The link works, and its first sync waits.
async fn is_active(app: &TestApp, owner: &Client<'_>, link: &str) {
    let told = owner.link(link).await;
    assert_eq!((&told["status"], &told["reason"], &told["nextAction"]), (&json!("ACTIVE"), &json!(null), &json!(null)), "{told}");
    assert_eq!(told["lastSync"]["status"], "QUEUED");
    app.holds(&[("credentials", 1), ("syncs", 1)]).await;
    assert_eq!(app.last_outcome("complete_link").await, ("succeeded".to_owned(), None));
    app.every_attempt_ended_once().await;
}

/// A mutation's refusal without what differs from request to request.
fn told(answer: &Answer) -> serde_json::Value {
    answer.body["data"].clone()
}
