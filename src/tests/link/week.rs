//! A link's whole life: a consent of a week, hour by hour, with nobody asking for anything, and another one after it.

use chrono::Duration;
use dashtam::domain::{
    provider::ReportedTransaction,
    time::{Clock as _, LocalDate},
};
use serde_json::{Value, json};

use crate::harness::{app::TestApp, bank::posted};

/// What the bank has posted by the end of that day: one row a day.
fn statement(first: LocalDate, today: LocalDate) -> Vec<ReportedTransaction> {
    let days = (0..).map(|at| first.plus_days(at)).take_while(|day| *day <= today);
    days.map(|day| posted(&format!("of {day}"), &day.to_string(), -100, "Bread")).collect()
}

/// One hour of a server that nobody asks anything; answers how many syncs ran.
async fn an_hour_passes(app: &TestApp, first: LocalDate) -> usize {
    app.pass(Duration::hours(1));
    app.bank.reports(statement(first, app.store.clock.today()));
    app.strike().await;
    app.renew().await;
    app.look().await;
    let ran = app.work().await;
    app.deliver().await;
    ran
}

#[tokio::test]
async fn a_link_lives_a_week_by_itself_ends_and_lives_on_when_it_is_linked_again() {
    for app in TestApp::on_every_store().await {
        let first = app.store.clock.today();
        app.bank.reports(statement(first, first));
        app.bank.script(|script| script.consent = Some(Duration::days(7)));
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        app.bank.script(|script| script.rotates = Some("first-refresh-canary".to_owned()));
        assert_eq!(app.work().await, 1);
        let account = ann.accounts().await[0]["id"].clone();
        let mut known: Vec<Value> = Vec::new();

        let mut ran = 0;
        for hour in 1..=168 {
            ran += an_hour_passes(&app, first).await;
            if hour % 24 == 23 {
                let rows = app.signed_in("ann").await.transactions().await;
                let kept = rows.iter().filter(|row| known.contains(&row["id"])).count();
                assert_eq!(kept, known.len(), "none has another id, hour {hour}, {}", app.store.name);
                known = rows.iter().map(|row| row["id"].clone()).collect();
            }
        }
        // Every six hours or a little later, looked at once an hour.
        assert!((22..=27).contains(&ran), "{ran} syncs");
        assert_eq!(app.bank.script(|script| script.refreshes), ran, "each found its access token over, and nothing else renewed");
        let ann = app.signed_in("ann").await;
        let told = ann.link(&link).await;
        assert_eq!((&told["status"], &told["reason"], &told["nextAction"]), (&json!("EXPIRED"), &json!("CONSENT_ENDED"), &json!("RELINK")));
        let mails = async || -> Vec<String> { app.mails().await.iter().rev().map(|mail| mail["subject"].as_str().unwrap().to_owned()).collect() };
        let (soon, over) = ("Link your bank again soon", "Your bank is not read any more");
        assert_eq!(mails().await, [soon, soon, soon, over]);
        for _ in 0..24 {
            assert_eq!(an_hour_passes(&app, first).await, 0, "nobody asks a bank that no longer agrees");
        }

        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk_again(&link, None).await;
        walk.leave().await;
        assert_eq!(walk.come_back(&[("code", "another-code")]).await.status, 200);
        app.bank.script(|script| script.rotates = Some("first-refresh-canary".to_owned()));
        for _ in 0..24 {
            an_hour_passes(&app, first).await;
        }
        let ann = app.signed_in("ann").await;
        let (accounts, rows) = (ann.accounts().await, ann.transactions().await);
        assert_eq!((accounts.len(), &accounts[0]["id"], &accounts[0]["isActive"]), (1, &account, &json!(true)));
        assert!(known.iter().all(|id| rows.iter().any(|row| row["id"] == *id)), "{}", app.store.name);
        let days: Vec<_> = rows.iter().map(|row| row["postedOn"].clone()).collect();
        let expected: Vec<_> = statement(first, app.store.clock.today()).iter().rev().map(|row| json!(row.facts.posted_on.to_string())).collect();
        assert!(days == expected || days == expected[1..], "every day once: {days:?}");
        let told = ann.link(&link).await;
        assert_eq!((&told["status"], &told["nextAction"], &told["lastSync"]["status"]), (&json!("ACTIVE"), &Value::Null, &json!("SUCCEEDED")));
        assert_eq!(mails().await, [soon, soon, soon, over]);
        app.holds(&[("links", 1), ("accounts", 1), ("credentials", 1)]).await;
        app.every_attempt_ended_once().await;
    }
}
