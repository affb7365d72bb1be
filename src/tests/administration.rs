//! Administrators: whom they see, what they change, and what they never touch.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use chrono::Duration;
use dashtam::domain::user::Role;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::{Answer, Client},
};

const STATEMENT: &str = include_str!("fixtures/ofx/checking-sgml.ofx");

async fn administrator<'a>(app: &'a TestApp, name: &str) -> Client<'a> {
    app.user(name).await;
    app.promote(name, Role::Admin).await;
    let admin = app.signed_in(name).await;
    admin.mutate("reauthenticate", "validUntil", json!({ "password": PASSWORD })).await.succeeds();
    admin
}

async fn id_of(client: &Client<'_>) -> String {
    client.ask("{ viewer { id } }").await.data()["viewer"]["id"].as_str().unwrap().to_owned()
}

async fn assign(client: &Client<'_>, user: &str, role: &str) -> Answer {
    client.mutate("assignRole", "user { role }", json!({ "userId": user, "role": role })).await
}

async fn upon(client: &Client<'_>, mutation: &str, user: &str) -> Answer {
    client.mutate(mutation, "user { isActive }", json!({ "userId": user })).await
}

async fn is_live(client: &Client<'_>) -> bool {
    client.ask("{ viewer { id } }").await.data()["viewer"]["id"].is_string()
}

#[tokio::test]
async fn an_administrator_sees_who_there_is_and_their_sessions_and_none_of_their_money() {
    for app in TestApp::on_every_store().await {
        let root = administrator(&app, "root").await;
        let ann = app.signed_in("ann").await;
        ann.import("statement.ofx", STATEMENT, None).await.succeeds();
        let everything = "totalCount nodes { id email role tier sessionLimit isActive sessions(first: 5) { totalCount nodes { id isCurrent ipAddress } }
            links(first: 5) { totalCount nodes { id } } accounts(first: 5) { totalCount nodes { id } } transactions(first: 5) { totalCount nodes { id } } }";
        for name in ["bob", "cid", "dot", "eve"] {
            app.signed_in(name).await;
        }
        let before = app.store.database.statements();
        let users = root.ask(&format!("{{ users(first: 10) {{ {everything} }} }}")).await.data()["users"].clone();
        let statements = app.store.database.statements() - before;
        // The administrator's own session, page and count of users, of all their sessions, and three times of the administrator's own money.
        assert!(statements <= 11, "{statements}");
        assert_eq!(users["totalCount"], 6);
        let shown = &users["nodes"][1];
        assert_eq!((&shown["email"], &shown["sessions"]["totalCount"]), (&json!("ann@example.com"), &json!(1)));
        for money in ["links", "accounts", "transactions"] {
            assert_eq!(shown[money], json!({ "totalCount": 0, "nodes": [] }), "{money}");
        }
        for (filter, count) in [
            (json!({ "email": "ANN@example.com" }), 1),
            (json!({ "email": "nobody@example.com" }), 0),
            (json!({ "role": "ADMIN" }), 1),
            (json!({ "role": "USER", "isActive": true }), 5),
            (json!({ "isActive": false }), 0),
        ] {
            let document = "query($filter: UserFilterInput) { users(first: 10, filter: $filter) { totalCount } }";
            assert_eq!(root.ask_with(document, json!({ "filter": filter })).await.data()["users"]["totalCount"], count, "{filter}");
        }
        root.ask("{ users(first: 1, filter: {email: \"x\"}) { totalCount } }").await.is_fault("BAD_USER_INPUT");
        ann.ask("{ users(first: 1) { totalCount } }").await.is_fault("FORBIDDEN");
        app.nobody().ask("{ users(first: 1) { totalCount } }").await.is_fault("UNAUTHENTICATED");
        let node = "query($id: ID!) { node(id: $id) { id ... on User { email accounts(first: 1) { totalCount } } ... on Session { isCurrent } } }";
        let hers = root.ask_with(node, json!({ "id": shown["id"] })).await.data();
        assert_eq!(hers["node"]["email"], "ann@example.com");
        let session = root.ask_with(node, json!({ "id": shown["sessions"]["nodes"][0]["id"] })).await.data();
        assert_eq!(session["node"]["isCurrent"], false);
        let root_id = id_of(&root).await;
        assert!(ann.ask_with(node, json!({ "id": root_id })).await.data()["node"].is_null());
    }
}

#[tokio::test]
async fn an_administrator_ends_anyones_session_and_a_user_only_their_own() {
    for app in TestApp::on_every_store().await {
        let root = administrator(&app, "root").await;
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let session = ann.session_id.clone().unwrap();
        bob.revoke(&session).await.is_refused("NOT_FOUND");
        assert!(is_live(&ann).await);
        assert_eq!(root.revoke(&session).await.succeeds()["session"]["revocationReason"], "ADMINISTRATOR");
        assert!(!is_live(&ann).await);
        ann.refresh().await.is_refused("SESSION_ENDED");
        let rename = root.mutate("renameSession", "session { id }", json!({ "sessionId": bob.session_id, "name": "mine" })).await;
        rename.is_refused("NOT_FOUND");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_role_is_in_force_at_once_here_and_within_a_second_elsewhere() {
    for app in TestApp::on_every_store().await {
        let root = administrator(&app, "root").await;
        let ann = app.signed_in("ann").await;
        let there = app.nobody().at(&app.second_process().await).bearing(ann.access_token.as_deref().unwrap());
        there.begin_link("sandbox", None).await.succeeds();
        assert_eq!(assign(&root, &id_of(&ann).await, "READONLY").await.succeeds()["user"]["role"], "READONLY");
        ann.begin_link("sandbox", None).await.is_fault("FORBIDDEN");
        app.pass(Duration::seconds(1));
        there.begin_link("sandbox", None).await.is_fault("FORBIDDEN");
        app.pass(Duration::minutes(5));
        assign(&root, &id_of(&ann).await, "USER").await.is_refused("REAUTHENTICATION_REQUIRED");
        assign(&ann, &id_of(&ann).await, "ADMIN").await.is_fault("FORBIDDEN");
        assert_eq!(app.stored_user("ann").await.role, Role::Readonly);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn somebody_always_administers_also_when_all_step_down_at_once() {
    for app in TestApp::on_every_store().await {
        let (root, kate) = (administrator(&app, "root").await, administrator(&app, "kate").await);
        let (root_id, kate_id) = (id_of(&root).await, id_of(&kate).await);
        let steps_down = join_all([assign(&root, &root_id, "USER"), assign(&kate, &kate_id, "READONLY")]);
        let (mut answers, kept_out) = tokio::join!(steps_down, upon(&root, "deactivateUser", &kate_id));
        answers.push(kept_out);
        let left = app.store.query("SELECT COUNT(*) AS n FROM users WHERE role = 'admin' AND is_active").await;
        assert_eq!(left[0].try_get::<i64>("", "n").unwrap(), 1, "{}: {:?}", app.store.name, answers.iter().map(|answer| &answer.text).collect::<Vec<_>>());
        let (last, id) = if app.stored_user("root").await.role == Role::Admin { (&root, &root_id) } else { (&kate, &kate_id) };
        assign(last, id, "USER").await.is_refused("LAST_ADMINISTRATOR");
        upon(last, "deactivateUser", id).await.is_refused("LAST_ADMINISTRATOR");
        assert!(is_live(last).await);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn nobody_administers_before_their_address_is_confirmed() {
    for app in TestApp::on_every_store().await {
        let root = administrator(&app, "root").await;
        app.nobody().register("chief@example.com", PASSWORD).await.succeeds();
        let chief = root.ask("{ users(first: 2, filter: {email: \"chief@example.com\"}) { nodes { id } } }").await.data();
        let chief = chief["users"]["nodes"][0]["id"].as_str().unwrap().to_owned();
        assign(&root, &chief, "ADMIN").await.is_refused("EMAIL_UNVERIFIED");
        assign(&root, &id_of(&root).await, "USER").await.is_refused("LAST_ADMINISTRATOR");
        assign(&root, &chief, "READONLY").await.succeeds();
        app.nobody().register("chief@example.com", "another battery of horses").await.succeeds();
        assert_eq!(app.stored_user("chief").await.role, Role::User, "what was given to one registration is not the next one's");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn whoever_is_kept_out_is_out_at_once_and_comes_back_with_everything() {
    for app in TestApp::on_every_store().await {
        let root = administrator(&app, "root").await;
        let ann = app.signed_in("ann").await;
        ann.import("statement.ofx", STATEMENT, None).await.succeeds();
        let id = id_of(&ann).await;
        assert_eq!(upon(&root, "deactivateUser", &id).await.succeeds()["user"]["isActive"], false);
        assert!(!is_live(&ann).await);
        ann.refresh().await.is_refused("SESSION_ENDED");
        app.nobody().sign_in("ann@example.com", PASSWORD).await.is_refused("INVALID_CREDENTIALS");
        app.nobody().mutate("requestPasswordReset", "accepted", json!({ "email": "ann@example.com" })).await.succeeds();
        assert_eq!(app.mails().await, Vec::<Value>::new(), "no mail helps around it");
        upon(&root, "deactivateUser", &id).await.succeeds();
        upon(&root, "reactivateUser", &id).await.succeeds();
        assert!(!is_live(&ann).await, "an ended session stays ended");
        assert_eq!(app.signed_in("ann").await.accounts().await.len(), 1);
        for mutation in ["deactivateUser", "reactivateUser", "unlockUser"] {
            upon(&ann, mutation, &id).await.is_fault("UNAUTHENTICATED");
            upon(&app.signed_in("bob").await, mutation, &id).await.is_fault("FORBIDDEN");
            upon(&root, mutation, "user_01h455vb4pex5vsknk084sn02q").await.is_refused("NOT_FOUND");
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn whoever_signs_in_while_being_kept_out_has_no_live_session() {
    for app in TestApp::on_every_store().await {
        let root = administrator(&app, "root").await;
        app.user("ann").await;
        let id = root.ask("{ users(first: 2, filter: {role: USER}) { nodes { id } } }").await.data()["users"]["nodes"][0]["id"].as_str().unwrap().to_owned();
        let mut clients: Vec<_> = (0..8).map(|_| app.nobody()).collect();
        let sign_ins = join_all(clients.iter_mut().map(|client| client.sign_in("ann@example.com", PASSWORD)));
        let (_, kept_out) = tokio::join!(sign_ins, upon(&root, "deactivateUser", &id));
        kept_out.succeeds();
        for client in &clients {
            assert!(!is_live(client).await, "{}", app.store.name);
        }
        let live = app.store.query("SELECT COUNT(*) AS n FROM sessions WHERE revoked_at IS NULL").await;
        assert_eq!(live[0].try_get::<i64>("", "n").unwrap(), 1, "the administrator's");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn an_administrator_ends_a_pause() {
    for app in TestApp::on_every_store().await {
        let root = administrator(&app, "root").await;
        let ann = app.signed_in("ann").await;
        for _ in 0..5 {
            app.nobody().sign_in("ann@example.com", "wrong horse battery").await.is_refused("INVALID_CREDENTIALS");
        }
        app.nobody().sign_in("ann@example.com", PASSWORD).await.is_refused("INVALID_CREDENTIALS");
        upon(&root, "unlockUser", &id_of(&ann).await).await.succeeds();
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
        app.holds(&[("sign_in_counters", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_limit_of_ones_own_wins_over_the_tier() {
    for app in TestApp::on_every_store().await {
        let root = administrator(&app, "root").await;
        let first = app.signed_in("ann").await;
        let id = id_of(&first).await;
        let tier = |limit: Value| json!({ "userId": id, "tier": "PREMIUM", "sessionLimit": limit });
        for wrong in [0, 1001] {
            root.mutate("assignTier", "user { tier }", tier(json!(wrong))).await.is_refused("LIMIT_INVALID");
        }
        let ann = root.mutate("assignTier", "user { tier sessionLimit }", tier(json!(1))).await.succeeds()["user"].clone();
        assert_eq!(ann, json!({ "tier": "PREMIUM", "sessionLimit": 1 }));
        assert!(is_live(&first).await, "nothing ends because of it");
        let second = app.signed_in("ann").await;
        assert!(is_live(&second).await && !is_live(&first).await);
        root.mutate("assignTier", "user { tier }", tier(Value::Null)).await.succeeds();
        let third = app.signed_in("ann").await;
        assert!(is_live(&second).await && is_live(&third).await);
        third.mutate("assignTier", "user { tier }", tier(Value::Null)).await.is_fault("FORBIDDEN");
    }
}
