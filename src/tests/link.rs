//! Links, through the whole product: every way a walk to a bank can end.

mod abandoned;
mod begin;
mod callback;
mod complete;
mod consent;
mod hand;
mod relink;
mod rename;
mod start;
mod unlink;
mod week;

use dashtam::{application::ports::ProviderFault, domain::provider::ReportedTransaction};
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
    // What is wrong with this server's own credentials is its operator's to mend.
    let next = if reason == "app_rejected" { json!(null) } else { json!("RELINK") };
    assert_eq!((&told["status"], &told["nextAction"]), (&json!("FAILED"), &next), "{told}");
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

/// Ann's link to the scripted bank, which reports these transactions of one account; synced.
async fn synced(app: &TestApp, transactions: Vec<ReportedTransaction>) -> (Client<'_>, String) {
    app.bank.reports(transactions);
    let ann = app.signed_in("ann").await;
    let link = ann.link_scripted().await;
    assert_eq!(app.work().await, 1);
    (ann, link)
}

/// Its bank no longer accepts its tokens.
async fn expires(app: &TestApp, ann: &Client<'_>, link: &str) {
    expires_and_wants(app, ann, link, "RELINK").await;
}

/// Its provider no longer accepts what it was given, and its owner is to do that.
async fn expires_and_wants(app: &TestApp, ann: &Client<'_>, link: &str, action: &str) {
    app.bank.script(|script| script.accounts_fault = Some(ProviderFault::Refused));
    ann.sync(link, true).await.succeeds();
    assert_eq!(app.work().await, 1);
    app.bank.script(|script| script.accounts_fault = None);
    let told = ann.link(link).await;
    assert_eq!((&told["status"], &told["nextAction"]), (&json!("EXPIRED"), &json!(action)));
}

/// Everything that a change of a link could change.
async fn everything(app: &TestApp) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for table in ["links", "authorizations", "credentials", "consents", "syncs", "accounts", "transactions", "transaction_references", "balance_snapshots"] {
        all.push(app.store.contents(table).await);
    }
    all
}

/// Ids that are no link of Ann's: each with what it is.
fn no_links(link: &str, account: &str) -> [String; 7] {
    let absent = format!("{}0000", &link[..link.len() - 4]);
    [absent, account.to_owned(), String::new(), "link_".to_owned(), "link_%00".to_owned(), "1 OR 1=1".to_owned(), "x".repeat(10_000)]
}

/// A mutation's refusal without what differs from request to request.
fn told(answer: &Answer) -> serde_json::Value {
    answer.body["data"].clone()
}
