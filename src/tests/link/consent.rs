//! The end of a bank's consent: seen coming, and seen when it is there, whether anybody asks or not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use chrono::Duration;
use dashtam::domain::{
    consent::ConsentTerm,
    time::{Clock as _, Timestamp},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::{app::TestApp, bank::posted, client::Client};

/// Ann's link to a bank whose consents last a week.
async fn linked_for(app: &TestApp, consent: Duration) -> String {
    app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
    app.bank.script(|script| script.consent = Some(consent));
    let link = app.signed_in("ann").await.link_scripted().await;
    assert_eq!(app.work().await, 1);
    link
}

async fn consent(client: &Client<'_>, link: &str) -> Value {
    let document = "query($id: ID!) { node(id: $id) { ... on Link { status reason nextAction consent { expiresAt warnedAt } } } }";
    client.ask_with(document, json!({ "id": link })).await.data()["node"].clone()
}

/// The subjects of all mails, oldest first.
async fn subjects(app: &TestApp) -> Vec<String> {
    app.mails().await.iter().rev().map(|mail| mail["subject"].as_str().unwrap().to_owned()).collect()
}

/// How often somebody who follows the links of Ann would have looked again.
async fn head(app: &TestApp) -> i64 {
    app.store.query("SELECT MAX(position) AS head FROM changes").await[0].try_get("", "head").unwrap()
}

const SOON: &str = "Link your bank again soon";
const OVER: &str = "Your bank is not read any more";

#[tokio::test]
async fn a_weeks_consent_is_warned_of_three_times_and_ends_by_itself() {
    for app in TestApp::on_every_store().await {
        let link = linked_for(&app, Duration::days(7)).await;
        assert_eq!(app.strike().await, 0);
        assert_eq!(consent(&app.signed_in("ann").await, &link).await["nextAction"], Value::Null);
        let mut hours_left = 168;
        for (nth, warning) in [72, 24, 2].into_iter().enumerate() {
            app.pass(Duration::hours(hours_left - warning) - Duration::microseconds(1));
            assert_eq!(app.strike().await, 0, "{warning}");
            app.pass(Duration::microseconds(1));
            hours_left = warning;
            let before = head(&app).await;
            assert_eq!((app.strike().await, app.strike().await), (1, 0), "once, {}", app.store.name);
            assert!(head(&app).await > before, "whoever follows the link sees it");
            let told = consent(&app.signed_in("ann").await, &link).await;
            assert_eq!((&told["status"], &told["nextAction"]), (&json!("ACTIVE"), &json!("RELINK_SOON")));
            assert_eq!(told["consent"]["warnedAt"], json!(app.store.clock.now().to_string()));
            assert_eq!(subjects(&app).await, vec![SOON; nth + 1]);
        }
        let mails = app.mails().await;
        assert!(mails[0]["text"].as_str().unwrap().contains("reads Scripted <b>Bank</b> for you ends on 30 November 2026 at 12:00 UTC"), "{mails:?}");
        app.pass(Duration::hours(2));
        let before = head(&app).await;
        assert_eq!((app.strike().await, app.strike().await), (1, 0));
        assert!(head(&app).await > before);
        let ann = app.signed_in("ann").await;
        let told = consent(&ann, &link).await;
        assert_eq!((&told["status"], &told["reason"], &told["nextAction"]), (&json!("EXPIRED"), &json!("CONSENT_ENDED"), &json!("RELINK")));
        assert_eq!(subjects(&app).await, [SOON, SOON, SOON, OVER]);
        assert_eq!((ann.accounts().await.len(), ann.transactions().await.len()), (1, 1));
        assert_eq!(app.outcomes("warn_of_consent").await, vec![("succeeded".to_owned(), None); 3]);
        assert_eq!(app.outcomes("end_consent").await, [("succeeded".to_owned(), None)]);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_server_that_was_down_sends_only_what_still_applies() {
    for app in TestApp::on_every_store().await {
        linked_for(&app, Duration::days(7)).await;
        app.pass(Duration::days(7) - Duration::minutes(30));
        assert_eq!((app.strike().await, app.strike().await), (1, 0), "{}", app.store.name);
        assert_eq!(subjects(&app).await, [SOON]);
        app.pass(Duration::days(5));
        assert_eq!((app.strike().await, app.strike().await), (1, 0));
        assert_eq!(subjects(&app).await, [SOON, OVER]);
        let other = linked_for(&app, Duration::days(7)).await;
        app.pass(Duration::days(20));
        assert_eq!((app.strike().await, app.strike().await), (1, 0), "past its end there is nothing to warn of");
        assert_eq!(subjects(&app).await, [SOON, OVER, OVER]);
        assert_eq!(consent(&app.signed_in("ann").await, &other).await["consent"]["warnedAt"], Value::Null);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn linking_again_in_time_begins_from_the_start_and_takes_back_what_was_not_said_yet() {
    for app in TestApp::on_every_store().await {
        let link = linked_for(&app, Duration::days(7)).await;
        app.pass(Duration::days(5));
        assert_eq!(app.strike().await, 1);
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk_again(&link, None).await;
        walk.leave().await;
        assert_eq!(walk.come_back(&[("code", "another-code")]).await.status, 200);
        let told = consent(&ann, &link).await;
        assert_eq!((&told["nextAction"], &told["consent"]["warnedAt"]), (&Value::Null, &Value::Null));
        assert_eq!(subjects(&app).await, [""; 0], "its reason is gone, {}", app.store.name);
        app.pass(Duration::days(2));
        assert_eq!(app.strike().await, 0, "the older consent would be over by now");
        app.pass(Duration::days(2));
        assert_eq!(app.strike().await, 1);
        assert_eq!(subjects(&app).await, [SOON]);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_at_once_warn_once_and_end_once() {
    for app in TestApp::on_every_store().await {
        for _ in 0..3 {
            linked_for(&app, Duration::days(7)).await;
        }
        let other = app.beside().await;
        for (wait, mails) in [(Duration::days(5), 3), (Duration::days(3), 6)] {
            app.pass(wait);
            let stop = CancellationToken::new();
            let clocks = [&app.app, &other, &app.app, &other, &app.app, &other].map(|one| one.timekeeper.consents.strike_due(&stop));
            let done: usize = futures_util::future::join_all(clocks).await.into_iter().map(Result::unwrap).sum();
            assert_eq!((done, app.count("outbox").await), (3, mails), "{}", app.store.name);
        }
        assert_eq!(app.count("links WHERE status = 'expired'").await, 3);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_consent_that_ends_under_a_sync_ends_it_too() {
    for app in TestApp::on_every_store().await {
        let link = linked_for(&app, Duration::hours(1)).await;
        app.signed_in("ann").await.sync(&link, true).await.succeeds();
        let gate = app.bank.hold_page(0);
        let worker = app.worker();
        gate.reached().await;
        app.pass(Duration::hours(1));
        assert_eq!(app.strike().await, 1);
        gate.open();
        assert!(worker.await.unwrap());
        let told = app.signed_in("ann").await.link(&link).await;
        assert_eq!((&told["status"], &told["reason"], &told["lastSync"]["problem"]), (&json!("EXPIRED"), &json!("CONSENT_ENDED"), &json!("LINK_ENDED")));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn nobody_who_is_kept_out_is_warned_and_their_links_end_all_the_same() {
    for app in TestApp::on_every_store().await {
        linked_for(&app, Duration::days(7)).await;
        app.store.execute("UPDATE users SET is_active = FALSE").await.unwrap();
        app.pass(Duration::days(6));
        assert_eq!(app.strike().await, 0);
        app.pass(Duration::days(1));
        assert_eq!((app.strike().await, app.count("links WHERE status = 'expired'").await), (1, 1), "{}", app.store.name);
    }
}

#[test]
fn shorter_consents_are_warned_of_in_proportion_and_longer_ones_as_a_weeks() {
    let start = Timestamp::from_micros(0).unwrap();
    let minutes = |days_in_minutes: i64| {
        let term = ConsentTerm { began_at: start, ends_at: start.plus(Duration::minutes(days_in_minutes)) };
        term.warnings().map(|at| term.ends_at.since(at).num_minutes())
    };
    assert_eq!(minutes(90 * 1440), [72 * 60, 24 * 60, 120]);
    assert_eq!(minutes(7 * 1440), [72 * 60, 24 * 60, 120]);
    assert_eq!(minutes(7 * 60), [3 * 60, 60, 5]);
    assert_eq!(minutes(0), [0, 0, 0]);
    let week = ConsentTerm { began_at: start, ends_at: start.plus(Duration::days(7)) };
    let at = |hours: i64| start.plus(Duration::hours(hours));
    assert_eq!([0, 95, 96, 144, 166, 167].map(|hours| week.next_after(at(hours))), [96, 96, 144, 166, 168, 168].map(at));
    assert!(!week.is_warning_due(None, at(95)) && week.is_warning_due(None, at(96)) && !week.is_warning_due(Some(at(96)), at(143)));
    assert!(week.is_warning_due(Some(at(100)), at(144)) && !week.is_warning_due(None, at(168)), "over is over");
}
