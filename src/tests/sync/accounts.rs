//! What happens to accounts and their balances.

use dashtam::application::ports::ProviderFault;
use serde_json::json;

use crate::harness::{
    app::TestApp,
    bank::{posted, reported_account},
};

use super::{synced, syncs_again};

#[tokio::test]
async fn an_account_that_is_no_longer_reported_is_closed_and_keeps_its_rows() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        let account = ann.accounts().await[0].clone();
        assert_eq!((&account["isActive"], &account["maskedNumber"], &account["link"]["id"]), (&json!(true), &json!("••••7890"), &json!(link)));
        app.bank.script(|script| script.accounts.clear());
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        let closed = ann.accounts().await;
        assert_eq!((closed.len(), &closed[0]["id"], &closed[0]["isActive"]), (1, &account["id"], &json!(false)));
        assert_eq!(ann.transactions().await.len(), 1);
        syncs_again(&app, &ann, &link, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        let back = ann.accounts().await;
        assert_eq!((back.len(), &back[0]), (1, &account));
    }
}

#[tokio::test]
async fn every_sync_leaves_the_balance_and_a_snapshot_of_it() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        let before = app.count("balance_snapshots").await;
        app.bank.script(|script| script.accounts = vec![(reported_account("1234567890", -12_345), vec![]), (reported_account("99", 1), vec![])]);
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        assert_eq!(app.count("balance_snapshots").await, before + 2, "one of each account");
        let accounts = ann.accounts().await;
        assert_eq!((&accounts[0]["balances"]["current"]["amount"], &accounts[1]["balances"]["current"]["amount"]), (&json!("-123.45"), &json!("0.01")));
        assert_eq!(ann.link(&link).await["lastSync"]["accounts"], 2);
    }
}

#[tokio::test]
async fn an_account_listed_twice_is_one_account() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        app.bank.script(|script| script.accounts = [script.accounts.clone(), script.accounts.clone()].concat());
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        assert_eq!(ann.link(&link).await["lastSync"]["status"], "SUCCEEDED");
        app.holds(&[("accounts", 1), ("transactions", 1)]).await;
    }
}

#[tokio::test]
async fn an_account_that_changes_its_currency_is_not_counted_in_the_old_one() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        let before = ann.accounts().await;
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        app.bank.script(|script| script.accounts[0].0.currency = dashtam::domain::money::Currency::parse("JPY").unwrap());
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        assert_eq!(ann.link(&link).await["lastSync"]["problem"], "CURRENCY_CHANGED");
        assert_eq!(ann.accounts().await, before);
        app.holds(&[("transactions", 0)]).await;
    }
}

#[tokio::test]
async fn an_account_number_is_not_stored() {
    for app in TestApp::on_every_store().await {
        app.bank.script(|script| {
            let mut account = reported_account("4111111111111111", 100);
            account.name = "Card".to_owned();
            script.accounts = vec![(account, vec![])];
        });
        let ann = app.signed_in("ann").await;
        ann.link_scripted().await;
        app.work().await;
        assert_eq!(ann.accounts().await[0]["maskedNumber"], "••••1111");
        assert!(!app.store.spells("4111111111111111").await, "{}", app.store.name);
    }
}

#[tokio::test]
async fn more_accounts_than_fit_on_a_page_are_known_all_the_same() {
    for app in TestApp::on_every_store().await {
        let accounts: Vec<_> = (0..130).map(|number| (reported_account(&format!("{number:010}"), 1), vec![])).collect();
        app.bank.script(|script| script.accounts = accounts);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        app.work().await;
        app.holds(&[("accounts", 130)]).await;
        app.store.execute("UPDATE accounts SET is_selected = FALSE WHERE name = 'Account 0000000129'").await.unwrap();
        app.bank.windows();
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        assert_eq!(app.bank.windows().len(), 129, "nothing is asked of what was left out, {}", app.store.name);
    }
}

#[tokio::test]
async fn one_account_that_is_refused_or_unreadable_holds_up_no_other_and_ends_no_link() {
    for app in TestApp::on_every_store().await {
        for fault in [ProviderFault::Refused, ProviderFault::Malformed, ProviderFault::Incomplete] {
            let one = |reference: &str| (reported_account(reference, 100), vec![posted(reference, "2026-11-20", -900, "Shoes")]);
            app.bank.script(|script| (script.accounts, script.faulty) = (vec![one("1000000001"), one("1000000002")], vec![("1000000001".to_owned(), fault)]));
            let ann = app.signed_in("ann").await;
            let link = ann.link_scripted().await;
            app.work().await;
            let told = ann.link(&link).await;
            assert_eq!(
                (&told["status"], &told["lastSync"]["status"], &told["lastSync"]["problem"], &told["lastSync"]["added"]),
                (&json!("ACTIVE"), &json!("SUCCEEDED"), &json!("ACCOUNTS_UNANSWERED"), &json!(1)),
                "{fault:?}, {}",
                app.store.name
            );
            assert_eq!(told["freshness"]["state"], "NEVER", "not everything came");
            app.bank.script(|script| script.faulty.clear());
            ann.sync(&link, true).await.succeeds();
            app.work().await;
            let told = ann.link(&link).await;
            assert_eq!((&told["lastSync"]["problem"], &told["lastSync"]["added"], &told["freshness"]["state"]), (&json!(null), &json!(1), &json!("FRESH")));
            ann.unlink(&link, false).await.succeeds();
        }
    }
}

#[tokio::test]
async fn accounts_that_are_all_refused_end_the_link_and_what_may_heal_is_tried_again_first() {
    for app in TestApp::on_every_store().await {
        let one = |reference: &str| (reported_account(reference, 100), vec![posted(reference, "2026-11-20", -900, "Shoes")]);
        app.bank.script(|script| {
            script.accounts = vec![one("1000000001"), one("1000000002")];
            script.faulty = vec![("1000000002".to_owned(), ProviderFault::ServerError)];
        });
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        for attempt in 1..5 {
            app.work().await;
            assert_eq!((app.count("accounts").await, app.last_sync("ann", &link).await.attempts), (0, attempt), "{}", app.store.name);
            app.pass(chrono::Duration::minutes(16));
        }
        app.work().await;
        let ann = app.signed_in("ann").await;
        let told = ann.link(&link).await;
        assert_eq!((&told["lastSync"]["status"], &told["lastSync"]["problem"]), (&json!("SUCCEEDED"), &json!("ACCOUNTS_UNANSWERED")));
        assert_eq!(ann.transactions().await.len(), 1, "at the last try it is done without");

        let refused = |reference: &str| (reference.to_owned(), ProviderFault::Refused);
        app.bank.script(|script| script.faulty = vec![refused("1000000001"), refused("1000000002")]);
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        let told = ann.link(&link).await;
        assert_eq!((&told["status"], &told["reason"]), (&json!("EXPIRED"), &json!("CREDENTIALS_REJECTED")));
        app.every_attempt_ended_once().await;
    }
}
