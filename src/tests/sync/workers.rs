//! Several workers, and workers that die.

use std::sync::Arc;

use chrono::Duration;
use dashtam::{
    application::worker::{AtWork, Worker},
    domain::{sync::SyncStatus, time::Clock as _},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::harness::{app::TestApp, bank::posted};

use super::synced;

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_two_processes_run_a_job_once() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        let ann = app.signed_in("ann").await;
        let links = [ann.link_scripted().await, ann.link_scripted().await, ann.link_scripted().await];
        let other = app.beside().await;
        let mut workers = tokio::task::JoinSet::new();
        for engine in [&app.app.engine, &other.engine, &app.app.engine, &other.engine] {
            let engine = engine.clone();
            workers.spawn(async move {
                let mut ran = 0;
                for _ in 0..4 {
                    ran += usize::from(engine.run_next().await.unwrap());
                }
                ran
            });
        }
        assert_eq!(workers.join_all().await.into_iter().sum::<usize>(), links.len(), "{}", app.store.name);
        for link in &links {
            let sync = app.last_sync("ann", link).await;
            assert_eq!((sync.status, sync.attempts, sync.counts.added), (SyncStatus::Succeeded, 1, 1));
        }
        app.holds(&[("accounts", 3), ("transactions", 3)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_workers_job_is_taken_over_and_its_late_commit_is_refused() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        let link = app.signed_in("ann").await.link_scripted().await;
        let gate = app.bank.hold_page(0);
        let slow = app.worker();
        gate.reached().await;
        let other = app.beside().await;
        app.pass(Duration::minutes(10));
        assert!(!other.engine.run_next().await.unwrap(), "its lease is not over");
        app.pass(Duration::microseconds(1));
        assert!(other.engine.run_next().await.unwrap());
        gate.open();
        assert!(slow.await.unwrap());
        assert_eq!(app.last_outcome("sync_link").await, ("failed".to_owned(), Some("taken_over".to_owned())));
        let sync = app.last_sync("ann", &link).await;
        assert_eq!((sync.status, sync.attempts, sync.counts.added), (SyncStatus::Succeeded, 2, 1));
        app.holds(&[("accounts", 1), ("transactions", 1)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_workers_is_given_up() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![]);
        let link = app.signed_in("ann").await.link_scripted().await;
        for _ in 0..5 {
            let gate = app.bank.hold_page(0);
            let worker = app.worker();
            gate.reached().await;
            worker.abort();
            assert!(worker.await.is_err());
            app.pass(Duration::minutes(11));
        }
        assert_eq!(app.work().await, 1);
        let told = app.signed_in("ann").await.link(&link).await["lastSync"].clone();
        assert_eq!((told["status"].as_str(), told["problem"].as_str()), (Some("FAILED"), Some("INTERRUPTED")));
        app.pass(Duration::hours(1));
        assert_eq!(app.app.application.journal.close_orphans(false).await.unwrap(), 5, "what they began is closed by the sweeper");
        app.every_attempt_ended_once().await;
    }
}

fn worker(app: &TestApp, at_once: u32) -> Worker {
    let (engine, journal) = (app.app.engine.clone(), app.app.application.journal.clone());
    Worker { engine, journal, wake: Arc::default(), at_once, at_work: AtWork::default(), is_alone: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_place_is_left_for_other_providers() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![]);
        let mut links = Vec::new();
        for name in ["ann", "bob"] {
            links.push((name, app.signed_in(name).await.link_scripted().await));
        }
        let gate = app.bank.hold_page(0);
        let stop = CancellationToken::new();
        let working = tokio::spawn(worker(&app, 2).run(stop.clone()));
        gate.reached().await;
        let eve = app.signed_in("eve").await;
        let keyed = eve.link_with_key(json!({ "provider": "keyed", "key": "k", "secret": "s" })).await.succeeds()["link"]["id"].as_str().unwrap().to_owned();
        for _ in 0..500 {
            if app.last_sync("eve", &keyed).await.status == SyncStatus::Succeeded {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let told = app.last_sync("eve", &keyed).await;
        assert_eq!(told.status, SyncStatus::Succeeded, "{told:?}, {}", app.store.name);
        let mut waiting = 0;
        for (name, link) in &links {
            waiting += usize::from(app.last_sync(name, link).await.status == SyncStatus::Queued);
        }
        gate.open();
        stop.cancel();
        working.await.unwrap();
        assert_eq!(waiting, 1, "the second of one provider waits while the first takes its time, {}", app.store.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_takes_its_time_holds_up_no_other_link_and_a_stop_waits_for_it() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        let [anns, bobs] = [app.signed_in("ann").await.link_scripted().await, app.signed_in("bob").await.link_scripted().await];
        let gate = app.bank.hold_page(0);
        let worker = worker(&app, 3);
        let stop = CancellationToken::new();
        let working = tokio::spawn(worker.run(stop.clone()));
        gate.reached().await;
        let done = async || {
            let syncs = [app.last_sync("ann", &anns).await, app.last_sync("bob", &bobs).await];
            syncs.iter().filter(|sync| sync.status == SyncStatus::Succeeded).count()
        };
        while done().await < 1 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        stop.cancel();
        assert_eq!(done().await, 1, "{}", app.store.name);
        gate.open();
        working.await.unwrap();
        assert_eq!(done().await, 2);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn syncs_that_ended_long_ago_are_forgotten_but_for_the_last_of_each_link() {
    for app in TestApp::on_every_store().await {
        let (_, link) = synced(&app, vec![]).await;
        app.later(Duration::days(1), "ann").await.sync(&link, true).await.succeeds();
        app.work().await;
        app.later(Duration::days(90), "ann").await;
        let queue = app.app.engine.queue.clone();
        let forget = async || queue.forget_old_for_worker(app.store.clock.now()).await.unwrap();
        assert_eq!((forget().await, forget().await), (1, 0), "{}", app.store.name);
        assert_eq!(app.last_sync("ann", &link).await.status, SyncStatus::Succeeded);
        app.later(Duration::days(90), "ann").await;
        assert_eq!(forget().await, 0, "the last is kept, however old");
        app.signed_in("ann").await.sync(&link, true).await.succeeds();
        assert_eq!(forget().await, 1, "which it is no longer");
        app.holds(&[("syncs", 1)]).await;
    }
}
