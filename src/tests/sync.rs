//! Syncs, through the whole product: what is fetched, what it changes, and every way it can go wrong.

mod accounts;
mod faults;
mod gaps;
mod renewal;
mod request;
mod rows;
mod schedule;
mod stages;
mod tokens;
mod waiting;
mod workers;

use chrono::Duration;
use dashtam::domain::provider::ReportedTransaction;

use crate::harness::{app::TestApp, client::Client};

/// Ann's link to the scripted bank, which reports these transactions of one account; synced.
async fn synced(app: &TestApp, transactions: Vec<ReportedTransaction>) -> (Client<'_>, String) {
    app.bank.reports(transactions);
    let ann = app.signed_in("ann").await;
    let link = ann.link_scripted().await;
    assert_eq!(app.work().await, 1, "the callback leaves one sync to run");
    assert_eq!(ann.link(&link).await["lastSync"]["status"], "SUCCEEDED");
    app.bank.windows();
    (ann, link)
}

/// The bank reports these transactions now, and Ann's link is synced once more.
async fn syncs_again(app: &TestApp, ann: &Client<'_>, link: &str, transactions: Vec<ReportedTransaction>) {
    app.bank.reports(transactions);
    ann.sync(link, true).await.succeeds();
    assert_eq!(app.work().await, 1);
}

/// A sync is asked for, after a while in which tokens run out.
async fn asks_later(app: &TestApp, link: &str, span: Duration) {
    app.later(span, "ann").await.sync(link, false).await.succeeds();
}
