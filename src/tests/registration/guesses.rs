//! What a stranger learns by trying addresses: nothing.

use chrono::Duration;

use crate::harness::{app::TestApp, log::Log};

use super::{PASSWORD, latest_token};

#[tokio::test]
async fn known_waiting_and_unknown_addresses_answer_alike() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        let nobody = app.nobody();
        nobody.register("waiting@example.com", PASSWORD).await.succeeds();
        let unknown = nobody.register("unknown@example.com", PASSWORD).await;
        for email in ["ann@example.com", "ANN@EXAMPLE.COM", "waiting@example.com"] {
            assert_eq!(nobody.register(email, PASSWORD).await.comparable(), unknown.comparable(), "{email}");
        }
        let unknown = nobody.resend_verification("nobody@example.com").await;
        for email in ["ann@example.com", "waiting@example.com"] {
            assert_eq!(nobody.resend_verification(email).await.comparable(), unknown.comparable(), "{email}");
        }
        assert_eq!(app.outcomes("register_user").await.iter().filter(|(_, reason)| reason.as_deref() == Some("email_taken")).count(), 2);
        let of_ann: Vec<_> = app.mails().await.into_iter().filter(|mail| mail["to"] == "ann@example.com").collect();
        assert!(of_ann.len() == 2 && of_ann.iter().all(|mail| mail["subject"] == "You have a Dashtam account already"), "its owner is told: {of_ann:?}");
        app.signed_in("ann").await.ask("{ viewer { id } }").await.data();
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn three_mails_of_a_kind_an_hour_are_enough() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        let nobody = app.nobody();
        nobody.register("waiting@example.com", PASSWORD).await.succeeds();
        for _ in 0..5 {
            nobody.resend_verification("waiting@example.com").await.succeeds();
            nobody.register("ann@example.com", PASSWORD).await.succeeds();
        }
        app.holds(&[("outbox", 6)]).await;
        let token = latest_token(&app).await;
        assert_eq!(app.last_outcome("register_user").await.1.as_deref(), Some("too_many_mails"));
        // Whoever registers last owns the address, mail or not: what a stranger registered before must not work.
        nobody.register("waiting@example.com", "another password that waits").await.succeeds();
        app.holds(&[("outbox", 6)]).await;
        nobody.verify_email(&token).await.is_refused("TOKEN_INVALID");
        app.nobody().sign_in("waiting@example.com", PASSWORD).await.is_refused("INVALID_CREDENTIALS");
        app.pass(Duration::hours(1));
        nobody.resend_verification("waiting@example.com").await.succeeds();
        nobody.verify_email(&latest_token(&app).await).await.succeeds();
        app.nobody().sign_in("waiting@example.com", "another password that waits").await.succeeds();
        nobody.register("ann@example.com", PASSWORD).await.succeeds();
        app.holds(&[("outbox", 8)]).await;
    }
}

#[tokio::test]
async fn a_resend_to_a_confirmed_or_unknown_address_sends_nothing() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        for email in ["ann@example.com", "unknown@example.com"] {
            app.nobody().resend_verification(email).await.succeeds();
        }
        app.holds(&[("outbox", 0), ("mail_tokens", 0), ("users", 1)]).await;
        let reasons: Vec<_> = app.outcomes("resend_verification").await.into_iter().map(|(_, reason)| reason.unwrap()).collect();
        assert_eq!(reasons, ["already_verified", "not_found"]);
    }
}

#[tokio::test]
async fn no_token_and_no_password_is_in_any_table_or_log() {
    let log = Log::capture();
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        nobody.register("ann@example.com", PASSWORD).await.succeeds();
        let token = latest_token(&app).await;
        nobody.get(&format!("/verify-email?token={token}")).await.is_page(200);
        nobody.verify_email(&token).await.succeeds();
        let log = log.text();
        assert!(log.contains("a mail was written"), "the log says that there is one");
        for secret in [PASSWORD, token.as_str()] {
            assert!(!app.store.spells(secret).await, "{}: {secret} is stored", app.store.name);
            assert!(!log.contains(secret), "{}: {secret} is logged", app.store.name);
        }
        assert!(!log.contains("ann@example.com"), "an address is logged");
    }
}
