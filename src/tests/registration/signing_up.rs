//! From an address to a session, and what stands in the way.

use chrono::Duration;
use serde_json::json;

use crate::harness::app::TestApp;

use super::{PASSWORD, latest_token};

#[tokio::test]
async fn a_newcomer_registers_confirms_and_signs_in() {
    for app in TestApp::on_every_store().await {
        let mut ann = app.nobody();
        assert_eq!(ann.register("Ann@Example.com", PASSWORD).await.succeeds(), json!({ "accepted": true, "userErrors": [] }));
        ann.sign_in("ann@example.com", PASSWORD).await.is_refused("EMAIL_UNVERIFIED");
        let mail = &app.mails().await[0];
        assert_eq!((mail["to"].as_str(), mail["subject"].as_str()), (Some("Ann@Example.com"), Some("Confirm your e-mail address")));
        let token = latest_token(&app).await;
        assert!(token.len() == 43 && mail["html"].as_str().unwrap().contains(&token), "{mail}");
        assert_eq!(ann.verify_email(&token).await.succeeds(), json!({ "verified": true, "userErrors": [] }));
        app.holds(&[("sessions", 0), ("users", 1)]).await;
        ann.sign_in("ann@example.com", PASSWORD).await.succeeds();
        let viewer = ann.ask("{ viewer { email role tier emailVerifiedAt } }").await.data()["viewer"].clone();
        assert_eq!((&viewer["email"], &viewer["role"], &viewer["tier"]), (&json!("Ann@Example.com"), &json!("USER"), &json!("BASIC")));
        assert!(viewer["emailVerifiedAt"].is_string());
        for act in ["register_user", "verify_email"] {
            assert_eq!(app.last_outcome(act).await, ("succeeded".to_owned(), None));
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn the_page_in_the_mail_confirms_by_a_click_and_not_by_being_looked_at() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        nobody.register("ann@example.com", PASSWORD).await.succeeds();
        let token = latest_token(&app).await;
        for _ in 0..2 {
            let page = nobody.get(&format!("/verify-email?token={token}")).await;
            page.is_page(200);
            assert!(page.text.contains(&format!("name=\"token\" value=\"{token}\"")));
        }
        let submit = |token: &str| nobody.send(nobody.request(reqwest::Method::POST, "/verify-email").form(&[("token", token)]));
        let done = submit(&token).await;
        done.is_page(200);
        assert!(done.text.contains("Your address is confirmed"));
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
        let again = submit(&token).await;
        again.is_page(410);
        assert!(again.text.contains("does not work any more"));
        submit("").await.is_page(410);
        nobody.get("/verify-email").await.is_page(410);
        let hostile = nobody.get("/verify-email?token=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").await;
        hostile.is_page(200);
        assert_eq!(app.outcomes("verify_email").await.len(), 3, "looking is no attempt");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_what_was_typed_is_said_and_writes_nothing() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        let long = format!("{}@example.com", "a".repeat(65));
        let huge = format!("{}@example.com", "a".repeat(100_000 / 2));
        for email in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "a b@example.com",
            "ann@example.com\r\nBcc: eve@example.com",
            "ann@example.com\0",
            "a\u{200b}nn@example.com",
            "a\u{202e}nn@example.com",
            "ann@example.com\u{200b}",
            "ann@exa\u{ad}mple.com",
            &long,
            &huge,
        ] {
            let answer = nobody.register(email, PASSWORD).await;
            answer.is_refused("EMAIL_INVALID");
            assert_eq!(answer.payload()["accepted"], false);
            assert_eq!(answer.payload()["userErrors"][0]["field"], json!(["email"]));
            nobody.resend_verification(email).await.is_refused("EMAIL_INVALID");
        }
        let (long, huge) = ("x".repeat(129), "x".repeat(10_000));
        for password in ["", "short", "elevenchars", &long, &huge, "nothing\0 to see here", "longjohnsilver-and-more"] {
            let answer = nobody.register("longjohnsilver@example.com", password).await;
            answer.is_refused("PASSWORD_UNACCEPTABLE");
            assert_eq!(answer.payload()["userErrors"][0]["field"], json!(["password"]));
        }
        app.holds(&[("users", 0), ("outbox", 0), ("mail_tokens", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_closed_server_registers_nobody() {
    for app in TestApp::configured(|config| config.registration.enabled = false).await {
        app.nobody().register("ann@example.com", PASSWORD).await.is_refused("REGISTRATION_CLOSED");
        app.holds(&[("users", 0), ("outbox", 0)]).await;
        assert_eq!(app.last_outcome("register_user").await, ("failed".to_owned(), Some("registration_closed".to_owned())));
    }
}

#[tokio::test]
async fn an_unconfirmed_address_belongs_to_whoever_registered_it_last() {
    for app in TestApp::on_every_store().await {
        let (mallory, mut ann) = (app.nobody(), app.nobody());
        mallory.register("ann@example.com", "mallory waits for her").await.succeeds();
        let first = latest_token(&app).await;
        ann.register("ann@example.com", PASSWORD).await.succeeds();
        let second = latest_token(&app).await;
        assert_ne!(first, second);
        ann.verify_email(&first).await.is_refused("TOKEN_INVALID");
        ann.sign_in("ann@example.com", "mallory waits for her").await.is_refused("INVALID_CREDENTIALS");
        ann.verify_email(&second).await.succeeds();
        ann.sign_in("ann@example.com", "mallory waits for her").await.is_refused("INVALID_CREDENTIALS");
        ann.sign_in("ann@example.com", PASSWORD).await.succeeds();
        mallory.register("ann@example.com", "mallory waits for her").await.succeeds();
        ann.sign_in("ann@example.com", "mallory waits for her").await.is_refused("INVALID_CREDENTIALS");
        app.holds(&[("users", 1)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_token_works_once_for_a_day_and_only_as_it_was_sent() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        nobody.register("ann@example.com", PASSWORD).await.succeeds();
        let token = latest_token(&app).await;
        let (cut, longer, huge) = (&token[..42], format!("{token}A"), "A".repeat(50_000));
        for wrong in ["", "x", cut, &longer, &token.to_lowercase(), &huge, "' OR 1=1 --"] {
            nobody.verify_email(wrong).await.is_refused("TOKEN_INVALID");
        }
        app.pass(Duration::hours(24));
        nobody.verify_email(&token).await.is_refused("TOKEN_INVALID");
        nobody.resend_verification("ann@example.com").await.succeeds();
        let token = latest_token(&app).await;
        app.pass(Duration::hours(24) - Duration::seconds(1));
        nobody.verify_email(&token).await.succeeds();
        nobody.verify_email(&token).await.is_refused("TOKEN_INVALID");
        assert_eq!(app.last_outcome("verify_email").await, ("failed".to_owned(), Some("invalid_token".to_owned())));
    }
}

#[tokio::test]
async fn of_many_at_once_one_registers_and_one_confirms() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        let registered = futures_util::future::join_all((0..20).map(|_| nobody.register("ann@example.com", PASSWORD))).await;
        for answer in registered {
            answer.succeeds();
        }
        app.holds(&[("users", 1), ("outbox", 3)]).await;
        app.pass(Duration::hours(1));
        futures_util::future::join_all((0..5).map(|_| nobody.resend_verification("ann@example.com"))).await;
        let live = "SELECT COUNT(*) AS n FROM mail_tokens WHERE spent_at IS NULL";
        assert_eq!(app.store.query(live).await[0].try_get::<i64>("", "n").unwrap(), 1, "{}", app.store.name);
        let token = latest_token(&app).await;
        let confirmed = futures_util::future::join_all((0..20).map(|_| nobody.verify_email(&token))).await;
        assert_eq!(confirmed.iter().filter(|answer| answer.payload()["verified"] == true).count(), 1);
        app.every_attempt_ended_once().await;
    }
}
