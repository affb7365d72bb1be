//! Tokens that nobody uses are renewed by themselves, and no two of anybody renew them at once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::sync::Arc;

use chrono::Duration;
use dashtam::application::ports::ProviderFault;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::{
    app::TestApp,
    bank::{Gate, posted},
    client::Client,
};

use super::synced;

/// The clock of what a link was given.
async fn clock(client: &Client<'_>, link: &str) -> Value {
    let document = "query($id: ID!) { node(id: $id) { ... on Link { credentials { expiresAt renewedAt } } } }";
    client.ask_with(document, json!({ "id": link })).await.data()["node"]["credentials"].clone()
}

fn refreshes(app: &TestApp) -> usize {
    app.bank.script(|script| script.refreshes)
}

/// The refresh token that is stored: unlinking tells it to the bank.
async fn stored(app: &TestApp, link: &str) -> String {
    app.signed_in("ann").await.unlink(link, true).await.succeeds();
    app.bank.script(|script| script.revoked.pop().unwrap())
}

/// A link at a bank that takes each refresh token once.
async fn strictly_linked(app: &TestApp) -> String {
    let (_, link) = synced(app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
    app.bank.script(|script| script.rotates = Some("first-refresh-canary".to_owned()));
    link
}

/// A renewal that waits for the bank's answer.
async fn at_the_bank(app: &TestApp) -> (Arc<Gate>, JoinHandle<usize>) {
    let gate = app.bank.hold_refresh();
    let timekeeper = app.app.timekeeper.clone();
    let renewing = tokio::spawn(async move { timekeeper.renewer.renew_due(&CancellationToken::new()).await.unwrap() });
    gate.reached().await;
    (gate, renewing)
}

#[tokio::test]
async fn tokens_that_no_sync_has_used_for_a_day_are_renewed_by_themselves() {
    for app in TestApp::on_every_store().await {
        let link = strictly_linked(&app).await;
        let ann = app.signed_in("ann").await;
        let first = clock(&ann, &link).await;
        assert_eq!((&first["renewedAt"], &first["expiresAt"]), (&json!("2026-11-23T12:00:00Z"), &json!("2026-11-23T12:30:00Z")));
        app.pass(Duration::days(1) - Duration::microseconds(1));
        assert_eq!(app.renew().await, 0);
        app.pass(Duration::microseconds(1));
        assert_eq!((app.renew().await, app.renew().await, refreshes(&app)), (1, 0, 1), "{}", app.store.name);
        let renewed = clock(&app.signed_in("ann").await, &link).await;
        assert_eq!((&renewed["renewedAt"], &renewed["expiresAt"]), (&json!("2026-11-24T12:00:00Z"), &json!("2026-11-24T12:30:00Z")));
        app.pass(Duration::hours(12));
        app.signed_in("ann").await.sync(&link, true).await.succeeds();
        assert_eq!((app.work().await, refreshes(&app)), (1, 2));
        app.pass(Duration::hours(12));
        assert_eq!(app.renew().await, 0, "a sync has renewed them twelve hours ago");
        assert_eq!(app.outcomes("renew_credentials").await, [("succeeded".to_owned(), None)]);
        assert_eq!(stored(&app, &link).await, "renewed-2-refresh-canary");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_does_not_end_is_not_renewed() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![]);
        let ann = app.signed_in("ann").await;
        let keyed = ann.link_with_key(json!({ "provider": "keyed", "key": "a-key", "secret": "a-secret" })).await.succeeds()["link"]["id"].clone();
        app.work().await;
        let told = clock(&ann, keyed.as_str().unwrap()).await;
        assert_eq!((&told["expiresAt"], &told["renewedAt"]), (&Value::Null, &json!("2026-11-23T12:00:00Z")));
        let gone = ann.link_scripted().await;
        app.work().await;
        ann.unlink(&gone, true).await.succeeds();
        assert_eq!(clock(&ann, &gone).await, Value::Null);
        app.pass(Duration::days(30));
        assert_eq!((app.renew().await, refreshes(&app)), (0, 0));
    }
}

#[tokio::test]
async fn a_renewal_that_fails_for_a_while_keeps_everything_and_is_tried_again() {
    for app in TestApp::on_every_store().await {
        let link = strictly_linked(&app).await;
        app.pass(Duration::days(2));
        for fault in [ProviderFault::ServerError, ProviderFault::Unreachable, ProviderFault::Malformed] {
            app.bank.script(|script| script.refresh = Some(fault));
            assert_eq!((app.renew().await, app.renew().await), (1, 0));
            assert_eq!(app.signed_in("ann").await.link(&link).await["status"], "ACTIVE", "{fault:?}");
            app.pass(Duration::minutes(60));
        }
        app.bank.script(|script| script.refresh = Some(ProviderFault::RateLimited { retry_after: Some(7_200) }));
        assert_eq!(app.renew().await, 1);
        app.pass(Duration::minutes(119));
        assert_eq!(app.renew().await, 0, "no sooner than the bank asked");
        app.pass(Duration::minutes(1));
        app.bank.script(|script| script.refresh = None);
        assert_eq!(app.renew().await, 1);
        let reasons: Vec<_> = app.outcomes("renew_credentials").await.into_iter().map(|(_, reason)| reason).collect();
        assert_eq!(
            reasons,
            ["provider_error", "provider_unreachable", "malformed_answer", "rate_limited"]
                .map(|why| Some(why.to_owned()))
                .into_iter()
                .chain([None])
                .collect::<Vec<_>>()
        );
        assert_eq!(stored(&app, &link).await, "renewed-5-refresh-canary");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn tokens_the_bank_no_longer_knows_end_the_link_and_its_user_is_told() {
    for app in TestApp::on_every_store().await {
        let link = strictly_linked(&app).await;
        let before = app.store.contents("credentials").await;
        app.bank.script(|script| script.rotates = Some("another".to_owned()));
        app.pass(Duration::days(1));
        assert_eq!(app.renew().await, 1);
        let ann = app.signed_in("ann").await;
        let told = ann.link(&link).await;
        assert_eq!((&told["status"], &told["reason"], &told["nextAction"]), (&json!("EXPIRED"), &json!("CREDENTIALS_REJECTED"), &json!("RELINK")));
        assert_eq!(app.last_outcome("renew_credentials").await, ("failed".to_owned(), Some("credentials_rejected".to_owned())));
        assert_eq!((app.store.contents("credentials").await.len(), before.len()), (1, 1), "what there was is not lost");
        let mails = app.mails().await;
        assert_eq!(mails[0]["subject"], "Your bank is not read any more", "{mails:?}");
        assert!(mails[0]["text"].as_str().unwrap().contains("Scripted <b>Bank</b> no longer accepts"), "{mails:?}");
        app.pass(Duration::days(1));
        assert_eq!(app.renew().await, 0);
        let ann = app.signed_in("ann").await;
        assert_eq!((ann.accounts().await.len(), ann.transactions().await.len()), (1, 1), "and what came stays");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_workers_at_once_the_bank_sees_one() {
    for app in TestApp::on_every_store().await {
        let link = strictly_linked(&app).await;
        app.pass(Duration::days(1));
        let other = app.beside().await;
        let stop = CancellationToken::new();
        let renewers = [&app.app, &other, &app.app, &other, &app.app, &other].map(|one| one.timekeeper.renewer.renew_due(&stop));
        let tried: usize = futures_util::future::join_all(renewers).await.into_iter().map(Result::unwrap).sum();
        assert_eq!((tried, refreshes(&app)), (1, 1), "{}", app.store.name);
        assert_eq!(stored(&app, &link).await, "renewed-1-refresh-canary");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_waits_for_the_renewal_of_another_and_uses_what_came_of_it() {
    for app in TestApp::on_every_store().await {
        let link = strictly_linked(&app).await;
        app.pass(Duration::days(1));
        let (gate, renewing) = at_the_bank(&app).await;
        app.signed_in("ann").await.sync(&link, true).await.succeeds();
        let other = app.beside().await.engine.clone();
        let syncing = tokio::spawn(async move { other.run_next().await.unwrap() });
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert!(!syncing.is_finished(), "two would spend one token");
        gate.open();
        assert_eq!((renewing.await.unwrap(), syncing.await.unwrap(), refreshes(&app)), (1, true, 1), "{}", app.store.name);
        assert_eq!(app.signed_in("ann").await.link(&link).await["lastSync"]["status"], "SUCCEEDED");
        assert_eq!(stored(&app, &link).await, "renewed-1-refresh-canary");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_died_with_a_worker_end_the_link_and_not_in_silence() {
    for app in TestApp::on_every_store().await {
        let link = strictly_linked(&app).await;
        app.pass(Duration::days(1));
        let (_gate, renewing) = at_the_bank(&app).await;
        renewing.abort();
        assert!(renewing.await.unwrap_err().is_cancelled());
        app.pass(Duration::minutes(4));
        let ann = app.signed_in("ann").await;
        ann.sync(&link, true).await.succeeds();
        assert_eq!(app.work().await, 1);
        let told = ann.link(&link).await;
        assert_eq!((&told["status"], &told["reason"]), (&json!("EXPIRED"), &json!("CREDENTIALS_REJECTED")), "{}", app.store.name);
        assert_eq!(refreshes(&app), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bank_hands_out_for_an_older_consent_does_not_replace_the_newer() {
    for app in TestApp::on_every_store().await {
        let link = strictly_linked(&app).await;
        app.pass(Duration::days(1));
        let (gate, renewing) = at_the_bank(&app).await;
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk_again(&link, None).await;
        walk.leave().await;
        assert_eq!(walk.come_back(&[("code", "another-code")]).await.status, 200);
        gate.open();
        renewing.await.unwrap();
        assert_eq!(app.last_outcome("renew_credentials").await, ("failed".to_owned(), Some("not_active".to_owned())));
        assert_eq!(ann.link(&link).await["status"], "ACTIVE");
        assert_eq!(stored(&app, &link).await, "first-refresh-canary", "{}", app.store.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bank_hands_out_for_a_link_that_was_taken_away_meanwhile_is_given_back() {
    for app in TestApp::on_every_store().await {
        let link = strictly_linked(&app).await;
        app.pass(Duration::days(1));
        let (gate, renewing) = at_the_bank(&app).await;
        assert_eq!(stored(&app, &link).await, "first-refresh-canary");
        gate.open();
        renewing.await.unwrap();
        assert_eq!(app.bank.script(|script| std::mem::take(&mut script.revoked)), ["renewed-1-refresh-canary"], "{}", app.store.name);
        app.holds(&[("credentials", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_when_the_bank_answers_is_waited_for() {
    for app in TestApp::on_every_store().await {
        let link = strictly_linked(&app).await;
        app.pass(Duration::days(1));
        let (gate, renewing) = at_the_bank(&app).await;
        let away = app.away("ann", || gate.open()).await;
        assert!(!renewing.is_finished());
        drop(away);
        renewing.await.unwrap();
        assert_eq!(app.last_outcome("renew_credentials").await, ("succeeded".to_owned(), None), "{}", app.store.name);
        assert_eq!(stored(&app, &link).await, "renewed-1-refresh-canary");
    }
}

#[tokio::test]
async fn one_link_whose_tokens_do_not_open_holds_up_no_other_and_a_stop_is_heeded() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![]);
        for name in ["ann", "bob", "eve"] {
            app.signed_in(name).await.link_scripted().await;
        }
        app.work().await;
        let nothing = if app.store.is_postgres() { "'\\x00'" } else { "x'00'" };
        let of_one = "link_id IN (SELECT link_id FROM credentials ORDER BY link_id LIMIT 1)";
        app.store.execute(&format!("UPDATE credentials SET sealed = {nothing} WHERE {of_one}")).await.unwrap();
        app.pass(Duration::days(1));
        let stop = CancellationToken::new();
        stop.cancel();
        assert_eq!((app.app.timekeeper.renewer.renew_due(&stop).await.unwrap(), refreshes(&app)), (0, 0), "{}", app.store.name);
        assert_eq!((app.renew().await, refreshes(&app)), (2, 2), "{}", app.store.name);
        assert_eq!(app.count("links WHERE status = 'active'").await, 3, "what does not open here says nothing of the bank");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_provider_that_cannot_be_asked_is_left_alone_and_its_links_do_not_lose_their_turns() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![]);
        for name in ["ann", "bob", "eve"] {
            app.signed_in(name).await.link_scripted().await;
        }
        app.work().await;
        app.pass(Duration::days(1));
        app.bank.script(|script| script.refresh = Some(ProviderFault::RateLimited { retry_after: Some(30) }));
        assert_eq!(app.renew().await, 1, "the others would fare no better, {}", app.store.name);
        app.bank.script(|script| script.refresh = None);
        assert_eq!(app.renew().await, 2, "their turn is not over");
        app.pass(Duration::seconds(30));
        assert_eq!((app.renew().await, refreshes(&app)), (1, 4));
        app.every_attempt_ended_once().await;
    }
}
