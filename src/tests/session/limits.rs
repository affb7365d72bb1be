//! How many sessions a user may have, their names, and ending several at once.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::app::{PASSWORD, TestApp};

const LIVE: &str = "SELECT COUNT(*) AS n FROM sessions WHERE revoked_at IS NULL";

async fn live(app: &TestApp) -> i64 {
    app.store.query(LIVE).await[0].try_get("", "n").unwrap()
}

#[tokio::test]
async fn one_more_sign_in_ends_the_oldest_session() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        for (tier, limit) in [("basic", 2), ("essential", 3), ("plus", 5), ("premium", 10)] {
            app.store.execute("UPDATE sessions SET revoked_at = created_at, revoked_reason = 'requested' WHERE revoked_at IS NULL").await.unwrap();
            app.store.execute(&format!("UPDATE users SET tier = '{tier}'")).await.unwrap();
            let mut devices = Vec::new();
            for _ in 0..=limit {
                app.pass(chrono::Duration::seconds(1));
                devices.push(app.signed_in("ann").await);
            }
            assert_eq!(live(&app).await, limit, "{tier} on {}", app.store.name);
            let oldest = devices.remove(0);
            assert_eq!(oldest.ask("{ viewer { id } }").await.body["extensions"]["authentication"], "SESSION_ENDED");
            oldest.refresh().await.is_refused("SESSION_ENDED");
            for device in &devices {
                assert!(device.ask("{ viewer { id } }").await.data()["viewer"]["id"].is_string(), "{tier}");
            }
        }
        let ann = app.signed_in("ann").await;
        let told = ann.ask("{ viewer { sessions(last: 100) { nodes { revocationReason } } } }").await.text;
        assert!(told.contains("EVICTED"));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn sign_ins_at_once_never_leave_more_than_the_tier_allows() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        app.store.execute("UPDATE users SET tier = 'essential'").await.unwrap();
        let sign_in = || async { app.nobody().sign_in("ann@example.com", PASSWORD).await };
        for answer in join_all((0..20).map(|_| sign_in())).await {
            answer.succeeds();
        }
        assert_eq!(live(&app).await, 3, "{}", app.store.name);
        app.holds(&[("sessions", 20)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn all_others_or_all_sessions_end_at_once_and_nobody_elses() {
    for app in TestApp::on_every_store().await {
        let (ann, phone, tablet) = (app.signed_in("ann").await, app.signed_in("ann").await, app.signed_in("ann").await);
        let bob = app.signed_in("bob").await;
        let ended = ann.ask("mutation { revokeOtherSessions { revoked userErrors { code } } }").await.succeeds();
        assert_eq!(ended["revoked"], 2);
        for other in [&phone, &tablet] {
            assert!(other.ask("{ viewer { id } }").await.data()["viewer"].is_null());
            other.refresh().await.is_refused("SESSION_ENDED");
        }
        assert_eq!(ann.ask("mutation { revokeOtherSessions { revoked userErrors { code } } }").await.succeeds()["revoked"], 0);
        assert_eq!(ann.ask("mutation { revokeAllSessions { revoked userErrors { code } } }").await.succeeds()["revoked"], 1);
        assert!(ann.ask("{ viewer { id } }").await.data()["viewer"].is_null());
        bob.ask("{ viewer { id } }").await.data();
        assert_eq!(app.last_outcome("revoke_sessions").await, ("succeeded".to_owned(), None));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_session_has_the_name_its_user_gave_it() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let id = ann.session_id.clone().unwrap();
        let rename = |name: &str| json!({ "sessionId": id, "name": name });
        let renamed = ann.mutate("renameSession", "session { name isCurrent }", rename("  kitchen tablet ")).await.succeeds();
        assert_eq!(renamed["session"], json!({ "name": "kitchen tablet", "isCurrent": true }));
        for wrong in ["", "   ", "a\nb", &"x".repeat(101)] {
            ann.mutate("renameSession", "session { name }", rename(wrong)).await.is_refused("NAME_INVALID");
        }
        bob.mutate("renameSession", "session { name }", rename("mine now")).await.is_refused("NOT_FOUND");
        let told = ann.ask("{ viewer { sessions(first: 5) { nodes { name } } } }").await.data();
        assert_eq!(told["viewer"]["sessions"]["nodes"], json!([{ "name": "kitchen tablet" }]));
        app.every_attempt_ended_once().await;
    }
}
