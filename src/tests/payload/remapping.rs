//! Mapping once more.

use chrono::Duration;
use dashtam::application::remap::{RemapError, Remapped};
use serde_json::json;

use crate::harness::app::TestApp;

use super::{kept_link, remap, stages, try_to_remap};

/// What remapping could change, without when it was changed last.
const FACTS: &str = "SELECT id, account_id, amount, type, subtype, status, posted_on, description, merchant_name, category, removed_at FROM transactions";

async fn facts(app: &TestApp) -> Vec<String> {
    let rows = app.store.query("SELECT COUNT(*) AS n, CAST(SUM(amount) AS BIGINT) AS total FROM transactions").await;
    let total = (rows[0].try_get::<i64>("", "n").unwrap(), rows[0].try_get::<i64>("", "total").unwrap());
    let mut lines = vec![format!("{total:?}")];
    for row in app.store.query(FACTS).await {
        let text = |column: &str| row.try_get::<Option<String>>("", column).unwrap();
        let id: uuid::Uuid = row.try_get("", "id").unwrap();
        let amount: i64 = row.try_get("", "amount").unwrap();
        lines.push(format!("{id} {amount} {:?} {:?} {:?} {:?} {:?}", text("type"), text("subtype"), text("status"), text("description"), text("category")));
    }
    lines.sort();
    lines
}

#[tokio::test]
async fn what_an_older_rule_had_wrong_is_right_again_and_nothing_is_doubled() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let (before, accounts) = (facts(&app).await, app.store.contents("accounts").await);
        assert_eq!(remap(&app, false).await, Remapped { payloads: 2, ..Remapped::default() }, "{}: the same rules say the same", app.store.name);
        assert_eq!((facts(&app).await, app.store.contents("accounts").await), (before.clone(), accounts.clone()));

        app.store.execute("UPDATE transactions SET type = 'other', subtype = 'unknown', description = 'old rule' WHERE status = 'posted'").await.unwrap();
        app.store.execute("UPDATE accounts SET type = 'other'").await.unwrap();
        let wrong = (facts(&app).await, app.store.contents("accounts").await);
        let rehearsed = remap(&app, true).await;
        assert!(rehearsed.modified > 100 && rehearsed.accounts == 7 && rehearsed.added == 0, "{rehearsed:?}");
        assert_eq!((facts(&app).await, app.store.contents("accounts").await), wrong, "a rehearsal writes nothing");
        let cursor = ann.ask("{ viewer { changes(first: 100) { hasNextPage } } }").await.data();
        assert_eq!(cursor["viewer"]["changes"]["hasNextPage"], true);

        assert_eq!(remap(&app, false).await, rehearsed);
        assert_eq!((facts(&app).await, app.store.contents("accounts").await), (before, accounts));
        assert_eq!(app.outcomes("remap_link").await, vec![("succeeded".to_owned(), None); 3]);
        let told =
            app.store.query("SELECT CAST(context AS TEXT) AS told FROM audit_events WHERE act = 'remap_link' AND outcome = 'succeeded' ORDER BY id").await;
        let told: Vec<String> = told.iter().map(|row| row.try_get("", "told").unwrap()).collect();
        assert!(told[1].contains("false") && told[2].contains("true"), "{told:?}");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn rows_that_could_not_be_read_before_come_in() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let count = app.count("transactions").await;
        app.store.execute("DELETE FROM transactions WHERE status = 'posted' AND description LIKE '%a%'").await.unwrap();
        let gone = count - app.count("transactions").await;
        assert!(gone > 10);
        assert_eq!(i64::from(remap(&app, false).await.added), gone, "{}", app.store.name);
        assert_eq!(app.count("transactions").await, count);
    }
}

#[tokio::test]
async fn the_bank_has_moved_on_since_and_what_it_said_last_counts() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let link = ann.ask("{ viewer { links(first: 1) { nodes { id } } } }").await.data();
        let link = link["viewer"]["links"]["nodes"][0]["id"].as_str().unwrap().to_owned();
        // Pending rows are booked under other days and amounts meanwhile, or taken back.
        for _ in 0..4 {
            let ann = app.later(Duration::days(3), "ann").await;
            ann.sync(&link, true).await.succeeds();
            app.work().await;
        }
        assert_eq!(stages(&app).await.len(), 6, "{}", app.store.name);
        let before = facts(&app).await;
        let done = remap(&app, false).await;
        assert_eq!(done, Remapped { payloads: 6, ..Remapped::default() });
        assert_eq!(facts(&app).await, before);
    }
}

#[tokio::test]
async fn what_the_owner_says_of_an_account_stays() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let account = ann.accounts().await[0]["id"].clone();
        ann.mutate("updateAccount", "account { id }", json!({ "accountId": account, "type": "OTHER", "invertSign": true })).await.succeeds();
        let (before, told) = (facts(&app).await, ann.accounts().await);
        assert_eq!(remap(&app, false).await.modified, 0, "{}", app.store.name);
        assert_eq!((facts(&app).await, ann.accounts().await), (before, told));
    }
}

#[tokio::test]
async fn a_payload_that_was_moved_does_not_open_and_nobody_else_can_name_it() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let (owner, link) = kept_link(&app).await;
        app.user("bob").await;
        let bob = app.user_id("bob").await;
        assert!(matches!(try_to_remap(&app, bob, link, false).await, Err(RemapError::NotFound)));
        assert_eq!(app.last_outcome("remap_link").await, ("failed".to_owned(), Some("not_found".to_owned())));

        let other = app.store.link(owner).await;
        app.store.execute(&format!("UPDATE payloads SET link_id = {}", app.store.literal(other.id.0))).await.unwrap();
        let before = facts(&app).await;
        let refused = try_to_remap(&app, owner, other.id, false).await;
        assert!(matches!(refused, Err(RemapError::UnknownProvider(_))) || matches!(refused, Ok(Remapped { payloads: 0, unread: 2, .. })), "{refused:?}");
        assert_eq!(facts(&app).await, before);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn nothing_older_speaks_for_what_does_not_open() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let nothing = if app.store.is_postgres() { "'\\x00'" } else { "x'00'" };
        let youngest = "id IN (SELECT id FROM payloads ORDER BY fetched_at DESC, id DESC LIMIT 1)";
        app.store.execute(&format!("UPDATE payloads SET sealed = {nothing} WHERE {youngest}")).await.unwrap();
        app.store.execute("UPDATE transactions SET description = 'told since' WHERE status = 'posted'").await.unwrap();
        let before = facts(&app).await;
        assert_eq!(remap(&app, false).await, Remapped { unread: 2, ..Remapped::default() }, "{}", app.store.name);
        assert_eq!(facts(&app).await, before);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn nothing_comes_into_an_account_that_was_left_out() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        app.store.execute("UPDATE accounts SET is_selected = (1 = 0)").await.unwrap();
        app.store.execute("DELETE FROM transactions WHERE description LIKE '%a%'").await.unwrap();
        let before = (facts(&app).await, app.store.contents("accounts").await);
        assert_eq!(remap(&app, false).await, Remapped { payloads: 2, ..Remapped::default() }, "{}", app.store.name);
        assert_eq!((facts(&app).await, app.store.contents("accounts").await), before);
    }
}

#[tokio::test]
async fn a_bank_that_is_days_ahead_said_of_those_days_last_what_counts() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let link = ann.ask("{ viewer { links(first: 1) { nodes { id } } } }").await.data();
        let link = link["viewer"]["links"]["nodes"][0]["id"].as_str().unwrap().to_owned();
        for (path, form) in [
            ("clock", &[("forward", "7d")][..]),
            ("events", &[("event", "reissue_ids")]),
            ("events", &[("event", "remove_row"), ("account", "harbour-checking")]),
            ("events", &[("event", "reissue_ids")]),
        ] {
            let told = reqwest::Client::new().post(format!("{}/sandbox/{path}", app.url)).form(form).send().await.unwrap();
            assert_eq!(told.status(), 200, "{path} {form:?}");
            ann.sync(&link, true).await.succeeds();
            app.work().await;
        }
        assert_eq!(stages(&app).await.len(), 6, "{}", app.store.name);
        let removed = app.count("transactions WHERE removed_at IS NOT NULL").await;
        assert!(removed > 0);
        let before = facts(&app).await;
        assert_eq!(remap(&app, true).await, Remapped { payloads: 6, ..Remapped::default() }, "{}: nothing twice, and nothing taken back", app.store.name);
        assert_eq!(remap(&app, false).await, Remapped { payloads: 6, ..Remapped::default() });
        assert_eq!((facts(&app).await, app.count("transactions WHERE removed_at IS NOT NULL").await), (before, removed));
    }
}
