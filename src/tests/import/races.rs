//! Imports and syncs that come at once.

use crate::harness::{app::TestApp, bank::posted};

use super::{CHECKING, counts, only_account, statement};

#[tokio::test(flavor = "multi_thread")]
async fn of_imports_of_one_file_at_once_each_row_comes_in_once() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let (graph, forms) = tokio::join!(
            futures_util::future::join_all((0..3).map(|_| ann.import("a.ofx", CHECKING, None))),
            futures_util::future::join_all((0..3).map(|_| ann.upload("a.ofx", CHECKING.as_bytes(), None))),
        );
        let imports = graph.iter().map(|answer| answer.succeeds()["import"].clone()).chain(forms.iter().map(|answer| answer.body["import"].clone()));
        let (accounts, created, known) = imports.map(|import| counts(&import)).fold((0, 0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1, sum.2 + next.2));
        assert_eq!((accounts, created, known), (1, 4, 20), "{}", app.store.name);
        app.holds(&[("links", 1), ("accounts", 1), ("transactions", 4), ("imports", 6), ("balance_snapshots", 1)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_named_and_the_same_recognised_by_its_number_take_turns() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.import("a", &statement("12345678", "USD", &[]), None).await.succeeds();
        let account = only_account(&ann).await;
        let file = statement("12345678", "USD", &[(3, "-5.00", "1", "Coffee"), (3, "-5.00", "", "Coffee")]);
        let answers = futures_util::future::join_all((0..6).map(|at| ann.import("b", &file, if at % 2 == 0 { Some(account.as_str()) } else { None }))).await;
        let created: u64 = answers.iter().map(|answer| counts(&answer.succeeds()["import"]).1).sum();
        assert_eq!(created, 2, "{}", app.store.name);
        app.holds(&[("accounts", 1), ("transactions", 2)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_and_imports_of_the_same_days_take_turns() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![]);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        app.work().await;
        let account = only_account(&ann).await;
        app.bank.reports((1..=20).map(|day| posted(&format!("r{day}"), &format!("2026-11-{day:02}"), -500, "Coffee")).collect());
        ann.sync(&link, true).await.succeeds();
        let rows: Vec<_> = (14..=20).map(|day| (day, "-5.00", "", "COFFEE")).collect();
        let file = statement("1234567890", "USD", &rows);
        let (worker, answers) = tokio::join!(app.worker(), futures_util::future::join_all((0..4).map(|_| ann.import("a", &file, Some(&account)))));
        assert!(worker.unwrap());
        for answer in &answers {
            let (accounts, created, known) = counts(&answer.succeeds()["import"]);
            assert_eq!((accounts, created + known), (0, 7));
        }
        assert_eq!(ann.link(&link).await["lastSync"]["status"], "SUCCEEDED");
        let posted: Vec<_> = ann.transactions().await.iter().map(|row| row["postedOn"].as_str().unwrap().to_owned()).collect();
        assert_eq!(posted.len(), 8, "{posted:?} in {}", app.store.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_of_two_people_do_not_mix() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let (one, other) = tokio::join!(ann.import("a", CHECKING, None), bob.import("b", CHECKING, None));
        assert_eq!((counts(&one.succeeds()["import"]), counts(&other.succeeds()["import"])), ((1, 4, 0), (1, 4, 0)));
        assert_eq!((ann.transactions().await.len(), bob.transactions().await.len()), (4, 4));
        app.holds(&[("links", 2), ("accounts", 2), ("transactions", 8)]).await;
    }
}
