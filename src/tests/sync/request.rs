//! Asking for a sync, and why one is not begun.

use chrono::Duration;
use dashtam::{
    application::ports::ProviderFault,
    domain::{
        sync::{SyncOrigin, SyncStatus},
        user::Role,
    },
};

use crate::harness::app::TestApp;

use super::{synced, syncs_again};

#[tokio::test]
async fn a_sync_is_refused_within_five_minutes_of_the_last_unless_forced() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        app.pass(Duration::minutes(5) - Duration::microseconds(1));
        ann.sync(&link, false).await.is_refused("SYNC_TOO_SOON");
        assert_eq!(app.last_outcome("request_sync").await, ("failed".to_owned(), Some("too_soon".to_owned())));
        app.holds(&[("syncs", 1)]).await;
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        app.pass(Duration::minutes(5));
        ann.sync(&link, false).await.succeeds();
        assert_eq!(app.last_outcome("request_sync").await, ("succeeded".to_owned(), None));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_sync_under_way_is_not_doubled_even_by_force() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        for force in [false, true] {
            ann.sync(&link, force).await.is_refused("SYNC_UNDER_WAY");
        }
        let gate = app.bank.hold_page(0);
        app.bank.reports(vec![]);
        let worker = app.worker();
        gate.reached().await;
        ann.sync(&link, true).await.is_refused("SYNC_UNDER_WAY");
        gate.open();
        assert!(worker.await.unwrap());
        assert_eq!(app.last_outcome("request_sync").await, ("failed".to_owned(), Some("under_way".to_owned())));
        app.holds(&[("syncs", 1)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_requests_that_come_at_once_one_is_queued() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        let answers = futures_util::future::join_all((0..6).map(|_| ann.sync(&link, true))).await;
        let queued = answers.iter().filter(|answer| answer.body["data"]["syncLink"]["sync"]["status"] == "QUEUED").count();
        assert_eq!(queued, 1, "{}", app.store.name);
        app.holds(&[("syncs", 2)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_link_that_is_absent_anothers_or_no_link_is_not_found() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        let bob = app.signed_in("bob").await;
        let account = ann.accounts().await[0]["id"].as_str().unwrap().to_owned();
        let absent = format!("{}{}", &link[..link.len() - 4], "0000");
        for (client, id) in [(&bob, link.as_str()), (&ann, &absent), (&ann, &account), (&ann, ""), (&ann, "link_"), (&ann, "'; DROP TABLE links; --")] {
            client.sync(id, true).await.is_refused("NOT_FOUND");
            assert_eq!(app.last_outcome("request_sync").await, ("failed".to_owned(), Some("not_found".to_owned())), "{id}");
        }
        app.holds(&[("syncs", 1)]).await;
    }
}

#[tokio::test]
async fn a_link_that_is_not_active_is_not_synced() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk(None).await;
        ann.sync(&walk.link, true).await.is_refused("LINK_NOT_ACTIVE");
        walk.leave().await;
        walk.come_back(&[("error", "access_denied")]).await.is_page(200);
        ann.sync(&walk.link, true).await.is_refused("LINK_NOT_ACTIVE");
        assert_eq!(app.last_outcome("request_sync").await, ("failed".to_owned(), Some("not_active".to_owned())));

        let (ann, link) = synced(&app, vec![]).await;
        app.bank.script(|script| script.accounts_fault = Some(ProviderFault::Refused));
        syncs_again(&app, &ann, &link, vec![]).await;
        ann.sync(&link, true).await.is_refused("LINK_NOT_ACTIVE");
    }
}

#[tokio::test]
async fn statement_files_have_nobody_to_ask() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.import("checking.ofx", include_str!("../fixtures/ofx/checking-sgml.ofx"), None).await.succeeds();
        let link = ann.accounts().await[0]["link"]["id"].as_str().unwrap().to_owned();
        ann.sync(&link, true).await.is_refused("LINK_NOT_SYNCABLE");
        assert_eq!(app.last_outcome("request_sync").await, ("failed".to_owned(), Some("not_syncable".to_owned())));
    }
}

#[tokio::test]
async fn a_reader_asks_for_no_sync_and_nobody_does() {
    for app in TestApp::on_every_store().await {
        let (_, link) = synced(&app, vec![]).await;
        app.promote("ann", Role::Readonly).await;
        let ann = app.later(Duration::seconds(2), "ann").await;
        ann.sync(&link, true).await.is_fault("FORBIDDEN");
        assert_eq!(app.last_outcome("request_sync").await, ("failed".to_owned(), Some("forbidden".to_owned())));
        app.nobody().sync(&link, true).await.is_fault("UNAUTHENTICATED");
        app.holds(&[("syncs", 1)]).await;
    }
}

#[tokio::test]
async fn a_sync_that_waits_is_hurried_unless_the_provider_asked_to_wait() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        app.bank.script(|script| script.accounts_fault = Some(ProviderFault::ServerError));
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        let waiting = app.last_sync("ann", &link).await;
        app.bank.script(|script| script.accounts_fault = None);
        assert_eq!(app.work().await, 0, "it waits to be tried again");
        let told = ann.sync(&link, false).await.succeeds();
        assert_eq!(told["sync"]["status"], "QUEUED");
        assert_eq!(app.work().await, 1, "{}", app.store.name);
        let ended = app.last_sync("ann", &link).await;
        assert_eq!((ended.id, ended.status, ended.attempts), (waiting.id, SyncStatus::Succeeded, 1), "the same sync, and no try is used up by asking");

        app.bank.script(|script| script.accounts_fault = Some(ProviderFault::RateLimited { retry_after: Some(600) }));
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        let refused = ann.sync(&link, true).await;
        refused.is_refused("PROVIDER_RATE_LIMITED");
        let until = app.last_sync("ann", &link).await.run_after.to_string();
        assert!(refused.payload()["userErrors"][0]["message"].as_str().unwrap().contains(&until), "it says until when");
        let told = ann.ask(&format!("{{ node(id: \"{link}\") {{ ... on Link {{ lastSync {{ nextTryAt }} }} }} }}")).await.data()["node"].clone();
        assert_eq!(told["lastSync"]["nextTryAt"], until);
        app.pass(Duration::seconds(600));
        app.bank.script(|script| script.accounts_fault = None);
        assert_eq!(app.work().await, 1);
        app.pass(Duration::hours(7));
        assert_eq!(app.look().await, 1);
        let ann = app.signed_in("ann").await;
        ann.sync(&link, false).await.succeeds();
        assert_eq!(app.last_sync("ann", &link).await.origin, SyncOrigin::Requested, "nobody who asks waits behind the schedule");
        ann.sync(&link, false).await.is_refused("SYNC_UNDER_WAY");
        app.every_attempt_ended_once().await;
    }
}
