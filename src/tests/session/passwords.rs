//! Changing and resetting passwords.

use chrono::Duration;
use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::{Answer, Client},
    log::Log,
};

const NEW: &str = "a river runs through town";

async fn change(client: &Client<'_>, current: &str, new: &str) -> Answer {
    client.mutate("changePassword", "changed", json!({ "currentPassword": current, "newPassword": new })).await
}

async fn forgot(client: &Client<'_>, email: &str) -> Answer {
    client.mutate("requestPasswordReset", "accepted", json!({ "email": email })).await
}

async fn reset(client: &Client<'_>, token: &str, new: &str) -> Answer {
    client.mutate("resetPassword", "reset", json!({ "token": token, "newPassword": new })).await
}

/// The token in the latest mail that carries one.
async fn latest_token(app: &TestApp) -> String {
    let mails = app.mails().await;
    let text = mails.iter().map(|mail| mail["text"].as_str().unwrap()).find(|text| text.contains("reset-password?token=")).unwrap();
    text.split("token=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_change_ends_every_other_session_and_tells_the_owner() {
    for app in TestApp::on_every_store().await {
        let (ann, phone) = (app.signed_in("ann").await, app.signed_in("ann").await);
        assert_eq!(change(&ann, PASSWORD, NEW).await.succeeds()["changed"], true);
        assert!(ann.ask("{ viewer { id } }").await.data()["viewer"]["id"].is_string());
        assert!(phone.ask("{ viewer { id } }").await.data()["viewer"].is_null());
        phone.refresh().await.is_refused("SESSION_ENDED");
        app.nobody().sign_in("ann@example.com", PASSWORD).await.is_refused("INVALID_CREDENTIALS");
        app.nobody().sign_in("ann@example.com", NEW).await.succeeds();
        assert_eq!(app.mails().await[0]["subject"], "Your password was changed");
        assert_eq!(app.last_outcome("change_password").await, ("succeeded".to_owned(), None));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_wrong_current_password_changes_nothing_and_counts_as_a_guess() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let before = app.stored_user("ann").await.password;
        for _ in 0..5 {
            change(&ann, "wrong horse battery", NEW).await.is_refused("INVALID_CREDENTIALS");
        }
        change(&ann, PASSWORD, NEW).await.is_refused("INVALID_CREDENTIALS");
        app.nobody().sign_in("ann@example.com", PASSWORD).await.is_refused("INVALID_CREDENTIALS");
        assert_eq!(app.stored_user("ann").await.password, before);
        ann.ask("{ viewer { id } }").await.data();
        app.pass(Duration::minutes(15));
        let ann = app.signed_in("ann").await;
        change(&ann, PASSWORD, NEW).await.succeeds();
        change(&app.nobody(), PASSWORD, NEW).await.is_fault("UNAUTHENTICATED");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn the_policy_holds_for_every_new_password_and_tells_only_who_knows_the_old_one() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let long = "x y".repeat(100);
        for weak in
            ["short", "passwordpassword", "qwertyuiop123", "P@ssw0rd2024!", "aaaaaaaaaaaa", "abcabcabcabc", "123456789012", "correcthorsebatterystaple", &long]
        {
            change(&ann, PASSWORD, weak).await.is_refused("PASSWORD_UNACCEPTABLE");
        }
        change(&ann, "wrong horse battery", "short").await.is_refused("INVALID_CREDENTIALS");
        for good in ["correct horse battery", "plenty of open water", "mypasswordisaboutwhales", "qwerty is a kind of keyboard", "Ünïcödé früh am Morgen"]
        {
            assert!(dashtam::domain::user::Password::choose(good, &dashtam::domain::user::EmailAddress::parse("ann@example.com").unwrap()).is_ok(), "{good}");
        }
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
    }
}

#[tokio::test]
async fn a_reset_by_mail_ends_every_session_and_a_pause_and_signs_nobody_in() {
    let log = Log::capture();
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for _ in 0..5 {
            app.nobody().sign_in("ann@example.com", "wrong horse battery").await.is_refused("INVALID_CREDENTIALS");
        }
        forgot(&app.nobody(), "ANN@example.com").await.succeeds();
        let token = latest_token(&app).await;
        reset(&app.nobody(), &token, "short").await.is_refused("PASSWORD_UNACCEPTABLE");
        assert_eq!(reset(&app.nobody(), &token, NEW).await.succeeds()["reset"], true);
        assert!(ann.ask("{ viewer { id } }").await.data()["viewer"].is_null());
        ann.refresh().await.is_refused("SESSION_ENDED");
        app.holds(&[("sessions", 1)]).await;
        app.nobody().sign_in("ann@example.com", PASSWORD).await.is_refused("INVALID_CREDENTIALS");
        app.nobody().sign_in("ann@example.com", NEW).await.succeeds();
        reset(&app.nobody(), &token, PASSWORD).await.is_refused("TOKEN_INVALID");
        let log = log.text();
        for secret in [token.as_str(), NEW] {
            assert!(!app.store.spells(secret).await && !log.contains(secret), "{secret} is stored or logged on {}", app.store.name);
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn reset_tokens_work_once_for_a_quarter_of_an_hour_and_only_for_this() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        app.user("ann").await;
        forgot(&nobody, "ann@example.com").await.succeeds();
        let first = latest_token(&app).await;
        app.pass(Duration::seconds(1));
        forgot(&nobody, "ann@example.com").await.succeeds();
        let second = latest_token(&app).await;
        nobody.verify_email(&second).await.is_refused("TOKEN_INVALID");
        for wrong in [first.as_str(), "", "x", &second[..42], &"A".repeat(50_000)] {
            reset(&nobody, wrong, NEW).await.is_refused("TOKEN_INVALID");
        }
        app.pass(Duration::minutes(15));
        reset(&nobody, &second, NEW).await.is_refused("TOKEN_INVALID");
        forgot(&nobody, "ann@example.com").await.succeeds();
        let third = latest_token(&app).await;
        let answers = join_all((0..10).map(|_| reset(&nobody, &third, NEW))).await;
        assert_eq!(answers.iter().filter(|answer| answer.payload()["reset"] == true).count(), 1, "{}", app.store.name);
        app.nobody().sign_in("ann@example.com", NEW).await.succeeds();
        // A change voids a reset that is still on its way.
        app.pass(Duration::hours(1));
        forgot(&nobody, "ann@example.com").await.succeeds();
        let late = latest_token(&app).await;
        let mut ann = app.nobody();
        ann.sign_in("ann@example.com", NEW).await.succeeds();
        change(&ann, NEW, PASSWORD).await.succeeds();
        reset(&nobody, &late, NEW).await.is_refused("TOKEN_INVALID");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn asking_for_a_reset_tells_nothing_and_mails_three_an_hour() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        app.user("ann").await;
        nobody.register("waiting@example.com", NEW).await.succeeds();
        let unknown = forgot(&nobody, "unknown@example.com").await;
        for email in ["ann@example.com", "waiting@example.com", "ann@example.com", "ann@example.com", "ann@example.com"] {
            assert_eq!(forgot(&nobody, email).await.comparable(), unknown.comparable(), "{email}");
        }
        let resets = "SELECT COUNT(*) AS n FROM outbox WHERE topic = 'mail.password_reset'";
        assert_eq!(app.store.query(resets).await[0].try_get::<i64>("", "n").unwrap(), 3);
        forgot(&nobody, "not an address").await.is_refused("EMAIL_INVALID");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn the_page_in_the_mail_takes_a_new_password() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        app.user("ann").await;
        forgot(&nobody, "ann@example.com").await.succeeds();
        let token = latest_token(&app).await;
        let page = nobody.get(&format!("/reset-password?token={token}")).await;
        page.is_page(200);
        let submit = |password: &'static str| {
            nobody.send(nobody.request(reqwest::Method::POST, "/reset-password").form(&[("token", token.as_str()), ("password", password)]))
        };
        let weak = submit("short").await;
        weak.is_page(422);
        assert!(weak.text.contains("too short") && weak.text.contains(&token));
        submit(NEW).await.is_page(200);
        submit(NEW).await.is_page(410);
        nobody.get("/reset-password").await.is_page(410);
        app.nobody().sign_in("ann@example.com", NEW).await.succeeds();
    }
}

#[tokio::test]
async fn a_sign_in_that_races_a_reset_does_not_survive_it() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        app.user("ann").await;
        forgot(&nobody, "ann@example.com").await.succeeds();
        let token = latest_token(&app).await;
        let sign_ins = join_all((0..10).map(|_| async { app.nobody().sign_in("ann@example.com", PASSWORD).await }));
        let (_, done) = tokio::join!(sign_ins, reset(&nobody, &token, NEW));
        done.succeeds();
        let live = "SELECT COUNT(*) AS n FROM sessions WHERE revoked_at IS NULL";
        assert_eq!(app.store.query(live).await[0].try_get::<i64>("", "n").unwrap(), 0, "{}: a session of the old password lives", app.store.name);
    }
}
