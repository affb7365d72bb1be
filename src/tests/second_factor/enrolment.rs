//! Enrolling a device, and giving it up.

use chrono::Duration;
use futures_util::future::join_all;
use serde_json::json;

use crate::harness::app::{PASSWORD, TestApp};

use super::{begin, begun, challenge, confirm, disable, enrolled, failed, prove, regenerate, state, subjects, succeeded, texts, verify};

#[tokio::test]
async fn a_user_enrols_a_device_and_signs_in_in_two_steps() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        prove(&ann, None).await.succeeds();
        let enrolment = begin(&ann).await.succeeds()["enrolment"].clone();
        assert_eq!(enrolment["secret"].as_str().unwrap().len(), 32, "160 bits in base 32");
        assert!(enrolment["otpauthUrl"].as_str().unwrap().starts_with("otpauth://totp/Dashtam:ann%40example"));
        assert!(enrolment["qrCode"].as_str().unwrap().starts_with("data:image/svg+xml;base64,"));
        assert_eq!(enrolment["expiresAt"], "2026-11-23T12:10:00Z");
        assert!(state(&ann).await.is_null(), "it waits for its first code");

        let device = super::Device::told(enrolment["secret"].as_str().unwrap());
        let codes = texts(&confirm(&ann, &device.shows(&app, 0)).await.succeeds()["recoveryCodes"]);
        let distinct: std::collections::BTreeSet<_> = codes.iter().collect();
        assert!(distinct.len() == 10 && codes.iter().all(|code| code.len() == 19), "{codes:?}");
        assert_eq!(state(&ann).await, json!({ "enabledAt": "2026-11-23T12:00:00Z", "recoveryCodesLeft": 10 }));
        assert_eq!(subjects(&app).await, ["Signing in takes a code from now on"]);

        let token = challenge(&app, "ann").await;
        app.holds(&[("sessions", 1), ("refresh_tokens", 1), ("sign_in_challenges", 1)]).await;
        let nobody = app.nobody();
        let payload = verify(&nobody, &token, &device.next(&app)).await.succeeds();
        assert_eq!(payload["expiresIn"], 900);
        let phone = app.nobody().bearing(payload["accessToken"].as_str().unwrap());
        let seen = phone.ask("{ viewer { email sessions(last: 1) { nodes { id isCurrent } } } }").await.data();
        assert_eq!(seen["viewer"]["email"], "ann@example.com");
        assert_eq!(seen["viewer"]["sessions"]["nodes"][0], json!({ "id": payload["session"]["id"], "isCurrent": true }));
        nobody.refresh_with(payload["refreshToken"].as_str().unwrap()).await.succeeds();
        app.holds(&[("sessions", 2), ("second_factors", 1), ("recovery_codes", 10), ("second_factor_failures", 0)]).await;
        for (act, times) in [("begin_second_factor", 1), ("confirm_second_factor", 1), ("create_session", 2), ("verify_second_factor", 1)] {
            assert_eq!(succeeded(&app, act).await, times, "{act}");
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_pending_enrolment_guards_nothing_and_does_not_wait_for_ever() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        prove(&ann, None).await.succeeds();
        let replaced = begun(&ann).await;
        let device = begun(&ann).await;
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
        assert!(app.signed_in("ann").await.access_token.is_some(), "no code is asked for");
        prove(&ann, None).await.succeeds();
        confirm(&ann, &replaced.shows(&app, 0)).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        disable(&ann).await.is_refused("SECOND_FACTOR_NOT_ENABLED");
        app.pass(Duration::minutes(10));
        let ann = app.signed_in("ann").await;
        prove(&ann, None).await.succeeds();
        confirm(&ann, &device.shows(&app, 0)).await.is_refused("SECOND_FACTOR_NOT_BEGUN");
        let device = begun(&ann).await;
        app.pass(Duration::minutes(5) - Duration::microseconds(1));
        confirm(&ann, &device.shows(&app, 0)).await.succeeds();
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn whatever_changes_a_second_factor_needs_a_proof_that_is_five_minutes_old_at_most() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        begin(&ann).await.is_refused("REAUTHENTICATION_REQUIRED");
        confirm(&ann, "123456").await.is_refused("REAUTHENTICATION_REQUIRED");
        app.holds(&[("second_factors", 0), ("second_factor_failures", 0), ("outbox", 0)]).await;
        let bob = enrolled(&app, "bob").await;
        app.pass(Duration::minutes(5));
        let before = (app.store.contents("second_factors").await, app.store.contents("recovery_codes").await);
        disable(&bob.client).await.is_refused("REAUTHENTICATION_REQUIRED");
        regenerate(&bob.client).await.is_refused("REAUTHENTICATION_REQUIRED");
        begin(&bob.client).await.is_refused("REAUTHENTICATION_REQUIRED");
        assert_eq!((app.store.contents("second_factors").await, app.store.contents("recovery_codes").await), before);
        assert_eq!(app.count("outbox").await, 1, "only that it was enabled");
        for act in ["begin_second_factor", "disable_second_factor", "regenerate_recovery_codes"] {
            assert_eq!(app.last_outcome(act).await, ("failed".to_owned(), Some("reauthentication_required".to_owned())));
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn only_the_devices_own_code_confirms_it_and_guessing_ends_after_ten() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        prove(&ann, None).await.succeeds();
        confirm(&ann, "123456").await.is_refused("SECOND_FACTOR_NOT_BEGUN");
        let device = begun(&ann).await;
        let huge = "1".repeat(100_000);
        let too_late = device.shows(&app, -60);
        for wrong in ["", "12345", device.wrong(&app).as_str(), too_late.as_str(), "0000-0000-0000-0000", huge.as_str()] {
            confirm(&ann, wrong).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        }
        for _ in 0..4 {
            confirm(&ann, &device.wrong(&app)).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        }
        confirm(&ann, &device.shows(&app, 0)).await.is_refused("SECOND_FACTOR_PAUSED");
        assert_eq!((failed(&app, "confirm_second_factor", "wrong_code").await, failed(&app, "confirm_second_factor", "too_many_codes").await), (10, 1));
        assert!(state(&ann).await.is_null());
        app.holds(&[("recovery_codes", 0), ("second_factor_failures", 10)]).await;
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
        app.pass(Duration::hours(1));
        let ann = app.signed_in("ann").await;
        prove(&ann, None).await.succeeds();
        let device = begun(&ann).await;
        confirm(&ann, &device.shows(&app, 0)).await.succeeds();
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn an_enabled_second_factor_is_not_replaced() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        let before = app.store.contents("second_factors").await;
        begin(&ann.client).await.is_refused("SECOND_FACTOR_ENABLED");
        confirm(&ann.client, &ann.device.next(&app)).await.is_refused("SECOND_FACTOR_ENABLED");
        assert_eq!(app.store.contents("second_factors").await, before);
        let token = challenge(&app, "ann").await;
        verify(&app.nobody(), &token, &ann.device.shows(&app, 0)).await.succeeds();
    }
}

#[tokio::test]
async fn of_confirmations_at_once_one_enables_and_its_codes_are_the_ones_that_work() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        prove(&ann, None).await.succeeds();
        let device = begun(&ann).await;
        let code = device.shows(&app, 0);
        let answers = join_all((0..8).map(|_| confirm(&ann, &code))).await;
        let shown: Vec<_> = answers.iter().map(super::Answer::payload).filter(|payload| payload["recoveryCodes"].is_array()).collect();
        assert_eq!(shown.len(), 1, "{}", app.store.name);
        app.holds(&[("recovery_codes", 10), ("second_factors", 1), ("outbox", 1)]).await;
        let token = challenge(&app, "ann").await;
        verify(&app.nobody(), &token, &texts(&shown[0]["recoveryCodes"])[0]).await.succeeds();
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_disabled_second_factor_leaves_nothing_and_tells_the_owner() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        let token = challenge(&app, "ann").await;
        assert_eq!(disable(&ann.client).await.succeeds()["disabled"], true);
        app.holds(&[("second_factors", 0), ("recovery_codes", 0), ("sign_in_challenges", 0)]).await;
        assert!(state(&ann.client).await.is_null());
        verify(&app.nobody(), &token, &ann.device.next(&app)).await.is_refused("CHALLENGE_INVALID");
        verify(&app.nobody(), &token, &ann.recovery_codes[0]).await.is_refused("CHALLENGE_INVALID");
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
        assert_eq!(app.count("sessions").await, 2);
        disable(&ann.client).await.is_refused("SECOND_FACTOR_NOT_ENABLED");
        regenerate(&ann.client).await.is_refused("SECOND_FACTOR_NOT_ENABLED");
        assert_eq!(subjects(&app).await, ["Signing in takes no code any more", "Signing in takes a code from now on"]);
        let device = begun(&ann.client).await;
        confirm(&ann.client, &device.shows(&app, 0)).await.succeeds();
        let token = challenge(&app, "ann").await;
        verify(&app.nobody(), &token, &ann.recovery_codes[0]).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        verify(&app.nobody(), &token, &ann.device.next(&app)).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        app.every_attempt_ended_once().await;
    }
}
