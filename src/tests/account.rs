//! What an owner says of their accounts, through the whole product.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod corrections;
mod selection;

use dashtam::domain::provider::ReportedTransaction;
use serde_json::{Value, json};

use crate::harness::{
    app::TestApp,
    client::{Answer, Client},
};

/// Ann's link to the scripted bank, which reports these transactions of one account; synced.
async fn synced(app: &TestApp, transactions: Vec<ReportedTransaction>) -> (Client<'_>, String) {
    app.bank.reports(transactions);
    let ann = app.signed_in("ann").await;
    let link = ann.link_scripted().await;
    assert_eq!(app.work().await, 1);
    (ann, link)
}

/// Syncs once more; answers the windows that were asked for.
async fn syncs_again(app: &TestApp, ann: &Client<'_>, link: &str) -> Vec<(String, String)> {
    app.bank.windows();
    ann.sync(link, true).await.succeeds();
    assert_eq!(app.work().await, 1);
    assert_eq!(ann.link(link).await["lastSync"]["status"], "SUCCEEDED");
    app.bank.windows()
}

const ACCOUNT: &str = "id name type reportedType isSignInverted isSelected isActive balanceWarning balances { current { amount } available { amount } }";

/// One's own accounts with what their owner says, oldest first.
async fn accounts(client: &Client<'_>, filter: &Value) -> Vec<Value> {
    let document = format!("query($filter: AccountFilterInput) {{ viewer {{ accounts(first: 100, filter: $filter) {{ nodes {{ {ACCOUNT} }} }} }} }}");
    client.ask_with(&document, json!({ "filter": filter })).await.data()["viewer"]["accounts"]["nodes"].as_array().unwrap().clone()
}

/// Corrects an account.
async fn update(client: &Client<'_>, account: &Value, what: Value) -> Answer {
    let mut input = what;
    input["accountId"] = account.clone();
    client.mutate("updateAccount", &format!("account {{ {ACCOUNT} }}"), input).await
}

/// Keeps these accounts synced of a link.
async fn select(client: &Client<'_>, link: &str, accounts: &[Value]) -> Answer {
    client
        .mutate("selectAccounts", "link { id accounts(first: 10) { nodes { id isSelected isActive } } }", json!({ "linkId": link, "accountIds": accounts }))
        .await
}

/// Everything that a word of an owner could change.
async fn everything(app: &TestApp) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for table in ["accounts", "transactions", "balance_snapshots", "changes", "links"] {
        all.push(app.store.contents(table).await);
    }
    all
}
