//! Emergency rotation: every token issued before it is worthless, and nobody is locked out.

use chrono::Duration;
use dashtam::domain::user::Role;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::{Answer, Client},
};

async fn rotate(client: &Client<'_>, input: Value) -> Answer {
    client.mutate("rotateTokens", "rotation { version graceUntil rotatedAt reason }", input).await
}

/// An administrator who has proved who they are.
async fn administrator(app: &TestApp) -> Client<'_> {
    app.user("root").await;
    app.promote("root", Role::Admin).await;
    let root = app.signed_in("root").await;
    root.mutate("reauthenticate", "validUntil", json!({ "password": PASSWORD })).await.succeeds();
    root
}

async fn is_live(client: &Client<'_>) -> bool {
    client.ask("{ viewer { id } }").await.data()["viewer"]["id"].is_string()
}

/// What a stored session ended for.
async fn endings(app: &TestApp) -> Vec<Option<String>> {
    let rows = app.store.query("SELECT revoked_reason FROM sessions ORDER BY created_at, id").await;
    rows.iter().map(|row| row.try_get("", "revoked_reason").unwrap()).collect()
}

#[tokio::test]
async fn one_users_tokens_end_at_once_and_the_next_ones_work() {
    for app in TestApp::on_every_store().await {
        let root = administrator(&app).await;
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let id = ann.ask("{ viewer { id } }").await.data()["viewer"]["id"].clone();
        for version in [2, 3] {
            let rotation = rotate(&root, json!({ "scope": "USER", "userId": id, "reason": "a stolen phone" })).await.succeeds()["rotation"].clone();
            assert_eq!((&rotation["version"], &rotation["graceUntil"]), (&json!(version), &Value::Null));
            assert!(!is_live(&ann).await && is_live(&bob).await && is_live(&root).await);
        }
        ann.refresh().await.is_refused("SESSION_ENDED");
        assert_eq!(app.last_outcome("refresh_session").await.1.as_deref(), Some("tokens_rotated"));
        ann.refresh().await.is_refused("SESSION_ENDED");
        bob.refresh().await.succeeds();
        assert_eq!(endings(&app).await[1].as_deref(), Some("tokens_rotated"));
        let again = app.signed_in("ann").await;
        assert!(is_live(&again).await, "nobody is locked out by a rotation");
        let next = again.refresh().await.succeeds()["refreshToken"].as_str().unwrap().to_owned();
        app.nobody().refresh_with(&next).await.succeeds();
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn everyones_tokens_end_but_access_tokens_within_the_grace_and_a_later_rotation_ends_it() {
    for app in TestApp::on_every_store().await {
        let root = administrator(&app).await;
        let ann = app.signed_in("ann").await;
        let rotation = rotate(&root, json!({ "scope": "GLOBAL", "reason": "a leak" })).await.succeeds()["rotation"].clone();
        assert_eq!(rotation["version"], 2);
        assert!(rotation["graceUntil"].is_string(), "300 seconds by default");
        assert!(is_live(&ann).await && is_live(&root).await);
        app.pass(Duration::seconds(299));
        assert!(is_live(&ann).await);
        ann.refresh().await.is_refused("SESSION_ENDED");
        assert!(!is_live(&ann).await, "a refresh token below the minimum ends its session");
        let ann = app.signed_in("ann").await;
        app.pass(Duration::seconds(1));
        assert!(!is_live(&root).await, "the grace is over");
        assert!(is_live(&ann).await);

        let root = app.signed_in("root").await;
        root.mutate("reauthenticate", "validUntil", json!({ "password": PASSWORD })).await.succeeds();
        let bob = app.signed_in("bob").await;
        rotate(&root, json!({ "scope": "GLOBAL", "reason": "again", "graceSeconds": 900 })).await.succeeds();
        assert!(is_live(&bob).await);
        let last = rotate(&root, json!({ "scope": "GLOBAL", "reason": "at once", "graceSeconds": 0 })).await.succeeds()["rotation"].clone();
        assert_eq!((&last["version"], &last["graceUntil"]), (&json!(4), &Value::Null));
        assert!(!is_live(&bob).await && !is_live(&root).await, "a later rotation ends an earlier grace, also for who asked");
        assert!(is_live(&app.signed_in("bob").await).await);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn versions_of_everyone_and_of_one_user_are_compared_separately() {
    for app in TestApp::on_every_store().await {
        let root = administrator(&app).await;
        let ann = app.signed_in("ann").await;
        let id = ann.ask("{ viewer { id } }").await.data()["viewer"]["id"].clone();
        for _ in 0..3 {
            rotate(&root, json!({ "scope": "USER", "userId": id, "reason": "x" })).await.succeeds();
        }
        let ann = app.signed_in("ann").await;
        rotate(&root, json!({ "scope": "GLOBAL", "reason": "x", "graceSeconds": 0 })).await.succeeds();
        assert!(!is_live(&ann).await, "a high version of her own does not make up for a low one of everyone's");
        ann.refresh().await.is_refused("SESSION_ENDED");
    }
}

#[tokio::test]
async fn another_process_follows_within_a_second() {
    for app in TestApp::on_every_store().await {
        let root = administrator(&app).await;
        let ann = app.signed_in("ann").await;
        let there = app.nobody().at(&app.second_process().await).bearing(ann.access_token.as_deref().unwrap());
        assert!(is_live(&there).await);
        rotate(&root, json!({ "scope": "GLOBAL", "reason": "x", "graceSeconds": 0 })).await.succeeds();
        assert!(!is_live(&ann).await, "at once where it was done");
        app.pass(Duration::seconds(1));
        assert!(!is_live(&there).await);
    }
}

#[tokio::test]
async fn a_rotation_that_is_refused_changes_nothing() {
    for app in TestApp::on_every_store().await {
        let root = administrator(&app).await;
        let ann = app.signed_in("ann").await;
        let (hers, long) = (ann.ask("{ viewer { id } }").await.data()["viewer"]["id"].clone(), "x".repeat(201));
        for (input, code) in [
            (json!({ "scope": "USER", "reason": "x" }), "ROTATION_INVALID"),
            (json!({ "scope": "GLOBAL", "userId": hers, "reason": "x" }), "ROTATION_INVALID"),
            (json!({ "scope": "USER", "userId": "user_x", "reason": "x" }), "NOT_FOUND"),
            (json!({ "scope": "GLOBAL", "reason": " " }), "ROTATION_INVALID"),
            (json!({ "scope": "GLOBAL", "reason": long }), "ROTATION_INVALID"),
            (json!({ "scope": "GLOBAL", "reason": "a\nb" }), "ROTATION_INVALID"),
            (json!({ "scope": "GLOBAL", "reason": "x", "graceSeconds": -1 }), "ROTATION_INVALID"),
            (json!({ "scope": "GLOBAL", "reason": "x", "graceSeconds": 901 }), "ROTATION_INVALID"),
        ] {
            rotate(&root, input).await.is_refused(code);
        }
        let everyone = json!({ "scope": "GLOBAL", "reason": "x", "graceSeconds": 0 });
        rotate(&ann, everyone.clone()).await.is_fault("FORBIDDEN");
        rotate(&app.nobody(), everyone.clone()).await.is_fault("UNAUTHENTICATED");
        ann.ask("{ securityPolicy { tokenVersion } }").await.is_fault("FORBIDDEN");
        app.pass(Duration::minutes(5));
        rotate(&root, everyone).await.is_refused("REAUTHENTICATION_REQUIRED");
        let policy =
            root.ask("{ securityPolicy { tokenVersion lastRotation { version } accessTokenSeconds refreshTokenSeconds sessionSeconds } }").await.data();
        let expected =
            json!({ "tokenVersion": 1, "lastRotation": null, "accessTokenSeconds": 900, "refreshTokenSeconds": 604_800, "sessionSeconds": 2_592_000 });
        assert_eq!(policy["securityPolicy"], expected);
        assert!(is_live(&ann).await);
        app.holds(&[("user_token_versions", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn rotations_and_refreshes_at_once_leave_no_old_token_alive() {
    for app in TestApp::on_every_store().await {
        let root = administrator(&app).await;
        let mut clients = Vec::new();
        for name in ["ann", "bob", "cid", "dot"] {
            clients.push(app.signed_in(name).await);
        }
        let refreshes = join_all(clients.iter().map(Client::refresh));
        let everyone = json!({ "scope": "GLOBAL", "reason": "x", "graceSeconds": 0 });
        let rotations = join_all([rotate(&root, everyone.clone()), rotate(&root, everyone.clone()), rotate(&root, everyone)]);
        let (answers, rotations) = tokio::join!(refreshes, rotations);
        assert!(rotations.iter().any(|answer| answer.body["data"]["rotateTokens"]["rotation"].is_object()), "the first at least is let through");
        for answer in answers {
            if let Some(token) = answer.body["data"]["refreshSession"]["refreshToken"].as_str() {
                app.nobody().refresh_with(token).await.is_refused("SESSION_ENDED");
            }
        }
        for client in &clients {
            assert!(!is_live(client).await);
        }
        app.every_attempt_ended_once().await;
    }
}
