//! A bank that fails: nothing half is written, the sync is tried again for a while, and the link says why it is not up to date.

use chrono::Duration;
use dashtam::{
    application::ports::ProviderFault,
    domain::{
        sync::{MAX_SYNC_ATTEMPTS, SyncProblem, SyncStatus},
        time::Clock as _,
    },
};
use serde_json::json;

use crate::harness::{app::TestApp, bank::posted};

use super::{synced, syncs_again};

/// How a bank fails for a while, with what is told of it.
const PASSING: [(ProviderFault, SyncProblem); 5] = [
    (ProviderFault::Unreachable, SyncProblem::ProviderUnreachable),
    (ProviderFault::ServerError, SyncProblem::ProviderError),
    (ProviderFault::RateLimited { retry_after: None }, SyncProblem::RateLimited),
    (ProviderFault::Malformed, SyncProblem::MalformedAnswer),
    (ProviderFault::Incomplete, SyncProblem::MalformedAnswer),
];

#[tokio::test]
async fn a_bank_that_fails_is_asked_again_with_growing_pauses_and_given_up_after_five_tries() {
    for app in TestApp::on_every_store().await {
        for (fault, problem) in PASSING {
            app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
            app.bank.script(|script| script.accounts_fault = Some(fault));
            let link = app.signed_in("ann").await.link_scripted().await;
            for attempt in 1..=MAX_SYNC_ATTEMPTS {
                assert_eq!(app.work().await, 1);
                let sync = app.last_sync("ann", &link).await;
                assert_eq!((sync.attempts, sync.problem), (attempt, Some(problem)), "{fault:?}");
                assert_eq!(app.last_outcome("sync_link").await, ("failed".to_owned(), Some(problem.as_str().to_owned())));
                app.holds(&[("accounts", 0), ("transactions", 0), ("balance_snapshots", 0)]).await;
                if attempt == MAX_SYNC_ATTEMPTS {
                    assert_eq!((sync.status, sync.finished_at), (SyncStatus::Failed, Some(app.store.clock.now())));
                    break;
                }
                let (pause, longest) = (sync.run_after.since(app.store.clock.now()), Duration::seconds(10 << attempt));
                assert_eq!((sync.status, sync.finished_at), (SyncStatus::Queued, None));
                assert!(pause >= Duration::seconds(1) && pause <= longest, "{pause} after try {attempt}");
                assert_eq!(app.work().await, 0, "not before its time");
                app.pass(longest);
            }
            app.pass(Duration::hours(1));
            assert_eq!(app.work().await, 0);
            let ann = app.signed_in("ann").await;
            let told = ann.link(&link).await;
            assert_eq!((&told["status"], &told["lastSync"]["status"]), (&json!("ACTIVE"), &json!("FAILED")));
            assert_eq!(told["lastSync"]["problem"], problem.as_str().to_uppercase());
            app.bank.script(|script| script.accounts_fault = None);
            ann.sync(&link, false).await.succeeds();
            assert_eq!(app.work().await, 1);
            assert_eq!(ann.link(&link).await["lastSync"]["status"], "SUCCEEDED", "what was given up can be asked for");
            app.store.execute("DELETE FROM links").await.unwrap();
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_failure_on_a_later_page_leaves_nothing_of_its_stage() {
    for app in TestApp::on_every_store().await {
        let recent = (0..5).map(|at| posted(&format!("n{at}"), "2026-11-20", -100 - at, "New"));
        let old = (0..5).map(|at| posted(&format!("o{at}"), "2025-06-01", -100 - at, "Old"));
        app.bank.script(|script| script.page_size = 2);
        app.bank.reports(recent.chain(old).collect());
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        app.bank.refuse_page(2, ProviderFault::Unreachable);
        assert_eq!(app.work().await, 1);
        app.holds(&[("accounts", 0), ("transactions", 0), ("balance_snapshots", 0)]).await;
        assert_eq!(ann.link(&link).await["coverage"], json!({ "from": null, "to": null }));

        app.pass(Duration::seconds(20));
        app.bank.refuse_page(5, ProviderFault::Unreachable);
        assert_eq!(app.work().await, 1);
        app.holds(&[("accounts", 1), ("transactions", 5), ("balance_snapshots", 1)]).await;
        assert_eq!(ann.link(&link).await["lastSync"]["problem"], "PROVIDER_UNREACHABLE");

        app.pass(Duration::seconds(40));
        assert_eq!(app.work().await, 1);
        app.holds(&[("accounts", 1), ("transactions", 10)]).await;
        let sync = ann.link(&link).await["lastSync"].clone();
        assert_eq!((&sync["status"], &sync["problem"], &sync["added"]), (&json!("SUCCEEDED"), &json!(null), &json!(10)));
    }
}

#[tokio::test]
async fn a_bank_that_asks_for_patience_gets_it() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        app.bank.script(|script| script.accounts_fault = Some(ProviderFault::RateLimited { retry_after: Some(3600) }));
        syncs_again(&app, &ann, &link, vec![]).await;
        app.bank.script(|script| script.accounts_fault = None);
        app.pass(Duration::seconds(3599));
        assert_eq!(app.work().await, 0);
        app.pass(Duration::seconds(1));
        assert_eq!(app.work().await, 1);
        assert_eq!(app.signed_in("ann").await.link(&link).await["lastSync"]["status"], "SUCCEEDED");
    }
}

#[tokio::test]
async fn an_access_token_that_ended_early_is_renewed_once_and_costs_nothing() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        app.bank.refuse_page(0, ProviderFault::Refused);
        let before = app.bank.script(|script| script.refreshes);
        syncs_again(&app, &ann, &link, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        let told = ann.link(&link).await;
        assert_eq!((&told["status"], &told["lastSync"]["status"]), (&json!("ACTIVE"), &json!("SUCCEEDED")));
        assert_eq!(app.bank.script(|script| script.refreshes), before + 1);
    }
}

#[tokio::test]
async fn a_bank_that_no_longer_knows_the_link_ends_it_and_keeps_its_accounts() {
    for app in TestApp::on_every_store().await {
        for during_page in [false, true] {
            let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
            if during_page {
                app.bank.refuse_page(0, ProviderFault::Refused);
                app.bank.script(|script| script.refresh = Some(ProviderFault::Refused));
            } else {
                app.bank.script(|script| script.accounts_fault = Some(ProviderFault::Refused));
            }
            syncs_again(&app, &ann, &link, vec![]).await;
            app.bank.script(|script| (script.accounts_fault, script.page_fault, script.refresh) = (None, None, None));
            let told = ann.link(&link).await;
            assert_eq!((&told["status"], &told["reason"], &told["nextAction"]), (&json!("EXPIRED"), &json!("CREDENTIALS_REJECTED"), &json!("RELINK")));
            assert_eq!((&told["lastSync"]["status"], &told["lastSync"]["problem"]), (&json!("FAILED"), &json!("CREDENTIALS_REJECTED")));
            assert_eq!(app.last_sync("ann", &link).await.attempts, 1, "it is not tried again");
            app.pass(Duration::minutes(10));
            assert_eq!(app.work().await, 0);
        }
        app.holds(&[("accounts", 2), ("transactions", 2)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_commit_that_fails_leaves_nothing_and_counts_nothing() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        app.store.refuse_successes().await;
        assert_eq!(app.work().await, 1);
        app.holds(&[("accounts", 0), ("transactions", 0), ("balance_snapshots", 0)]).await;
        let sync = app.last_sync("ann", &link).await;
        assert_eq!((sync.status, sync.problem, sync.counts.added, sync.finished_at), (SyncStatus::Queued, Some(SyncProblem::Internal), 0, None));
        app.store.accept_successes().await;
        app.pass(Duration::seconds(20));
        assert_eq!(app.work().await, 1);
        let sync = ann.link(&link).await["lastSync"].clone();
        assert_eq!((&sync["status"], &sync["added"]), (&json!("SUCCEEDED"), &json!(1)));
    }
}
