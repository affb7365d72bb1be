//! Signing in in two steps: which codes count, how often, and for whom; and when a challenge is void.

use chrono::Duration;
use dashtam::{
    application::ports::PasswordHasher as _,
    domain::user::{Password, SessionTier},
    infrastructure::security::passwords::BcryptHasher,
};
use futures_util::future::join_all;
use serde_json::json;

use crate::harness::app::{PASSWORD, TestApp, keys};

use super::{challenge, challenge_for, disable, enrolled, failed, prove, succeeded, verify};

const NEW: &str = "a river runs through town";

#[tokio::test]
async fn no_wrong_empty_huge_or_used_code_opens_anything() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        let used = ann.device.shows(&app, 0);
        let (nobody, token) = (app.nobody(), challenge(&app, "ann").await);
        verify(&nobody, &token, &used).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        let huge = "9".repeat(200_000);
        for wrong in ["", ann.device.wrong(&app).as_str(), PASSWORD, huge.as_str()] {
            let answer = verify(&nobody, &token, wrong).await;
            answer.is_refused("SECOND_FACTOR_CODE_INVALID");
            assert!(answer.payload()["session"].is_null() && answer.payload()["accessToken"].is_null());
            assert_eq!(answer.payload()["userErrors"][0]["field"], json!(["code"]));
        }
        app.holds(&[("sessions", 1), ("refresh_tokens", 1), ("second_factor_failures", 5)]).await;
        assert_eq!(failed(&app, "verify_second_factor", "wrong_code").await, 5);
        let token = challenge(&app, "ann").await;
        let next = ann.device.next(&app);
        verify(&nobody, &token, &next).await.succeeds();
        let token = challenge(&app, "ann").await;
        verify(&nobody, &token, &next).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_clock_may_be_a_step_off_and_steps_only_go_on() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        app.pass(Duration::minutes(2));
        let nobody = app.nobody();
        for (seconds, code) in [(-60, "SECOND_FACTOR_CODE_INVALID"), (60, "SECOND_FACTOR_CODE_INVALID")] {
            let token = challenge(&app, "ann").await;
            verify(&nobody, &token, &ann.device.shows(&app, seconds)).await.is_refused(code);
        }
        for seconds in [-30, 0, 30] {
            let token = challenge(&app, "ann").await;
            verify(&nobody, &token, &ann.device.shows(&app, seconds)).await.succeeds();
        }
        for seconds in [-30, 0, 30] {
            let token = challenge(&app, "ann").await;
            verify(&nobody, &token, &ann.device.shows(&app, seconds)).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        }
    }
}

#[tokio::test]
async fn a_code_used_many_times_at_once_counts_once() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        let other = app.second_process().await;
        let tokens = join_all((0..10).map(|_| challenge(&app, "ann"))).await;
        let code = ann.device.next(&app);
        let clients: Vec<_> = (0..10).map(|at| if at % 2 == 0 { app.nobody() } else { app.nobody().at(&other) }).collect();
        let answers = join_all(clients.iter().zip(&tokens).map(|(client, token)| verify(client, token, &code))).await;
        let opened = answers.iter().filter(|answer| answer.payload()["session"].is_object()).count();
        assert_eq!(opened, 1, "{}", app.store.name);
        assert_eq!((app.count("sessions").await, succeeded(&app, "verify_second_factor").await), (2, 1));
        assert_eq!(failed(&app, "verify_second_factor", "wrong_code").await, 9);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_challenge_opens_one_session_however_many_right_codes_come() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        let other = app.second_process().await;
        let token = challenge(&app, "ann").await;
        app.pass(Duration::minutes(1));
        let mut codes: Vec<_> = [-30, 0, 30].iter().map(|seconds| ann.device.shows(&app, *seconds)).collect();
        codes.extend(ann.recovery_codes.iter().take(5).cloned());
        let clients: Vec<_> = (0..codes.len()).map(|at| if at % 2 == 0 { app.nobody() } else { app.nobody().at(&other) }).collect();
        let answers = join_all(clients.iter().zip(&codes).map(|(client, code)| verify(client, &token, code))).await;
        let opened = answers.iter().filter(|answer| answer.payload()["session"].is_object()).count();
        assert_eq!((opened, app.count("sessions").await), (1, 2), "{}", app.store.name);
        assert_eq!(failed(&app, "verify_second_factor", "challenge_spent").await, 7);
        verify(&app.nobody(), &token, &ann.recovery_codes[9]).await.is_refused("CHALLENGE_INVALID");
        let unspent = app.store.query("SELECT COUNT(*) AS n FROM recovery_codes WHERE spent_at IS NULL").await[0].try_get::<i64>("", "n").unwrap();
        assert!(unspent >= 9, "a challenge that is over spends no code: {unspent}");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn unknown_old_and_foreign_challenges_open_nothing() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (enrolled(&app, "ann").await, enrolled(&app, "bob").await);
        let nobody = app.nobody();
        let code = ann.device.next(&app);
        let huge = "x".repeat(100_000);
        let nobodys = "A".repeat(43);
        for unknown in ["", "x", nobodys.as_str(), huge.as_str(), ann.client.refresh_token.as_deref().unwrap()] {
            let answer = verify(&nobody, unknown, &code).await;
            answer.is_refused("CHALLENGE_INVALID");
            assert_eq!(answer.payload()["userErrors"][0]["field"], json!(["challenge"]));
        }
        assert_eq!(failed(&app, "verify_second_factor", "challenge_unknown").await, 5);
        let of_ann = challenge(&app, "ann").await;
        verify(&nobody, &of_ann, &bob.device.shows(&app, 0)).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        verify(&nobody, &of_ann, &bob.recovery_codes[0]).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        // Who is signed in changes nothing about whose challenge it is.
        verify(&bob.client, &of_ann, &bob.recovery_codes[0]).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        app.pass(Duration::minutes(5) - Duration::microseconds(1));
        let answered = verify(&nobody, &of_ann, &ann.device.shows(&app, 0)).await.succeeds();
        let phone = app.nobody().bearing(answered["accessToken"].as_str().unwrap());
        assert_eq!(phone.ask("{ viewer { email } }").await.data()["viewer"]["email"], "ann@example.com");
        let late = challenge(&app, "ann").await;
        app.pass(Duration::minutes(5));
        verify(&nobody, &late, &ann.device.shows(&app, 0)).await.is_refused("CHALLENGE_INVALID");
        assert_eq!(app.last_outcome("verify_second_factor").await.1.as_deref(), Some("challenge_expired"));
        assert_eq!(app.count("sessions").await, 3);
        challenge(&app, "ann").await;
        assert_eq!(app.count("sign_in_challenges").await, 1, "old ones go");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn another_password_voids_the_challenges_of_the_old_one_and_keeps_the_device() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        let nobody = app.nobody();
        let before = challenge(&app, "ann").await;
        prove(&ann.client, Some(&ann.device.next(&app))).await.succeeds();
        ann.client.mutate("changePassword", "changed", json!({ "currentPassword": PASSWORD, "newPassword": NEW })).await.succeeds();
        verify(&nobody, &before, &ann.device.next(&app)).await.is_refused("CHALLENGE_INVALID");
        assert_eq!(app.last_outcome("verify_second_factor").await.1.as_deref(), Some("challenge_void"));

        let before = challenge_for(&app, "ann", NEW).await;
        nobody.mutate("requestPasswordReset", "accepted", json!({ "email": "ann@example.com" })).await.succeeds();
        let mails = app.mails().await;
        let text = mails.iter().map(|mail| mail["text"].as_str().unwrap()).find(|text| text.contains("reset-password?token=")).unwrap();
        let token = text.split("token=").nth(1).unwrap().split_whitespace().next().unwrap();
        nobody.mutate("resetPassword", "reset", json!({ "token": token, "newPassword": PASSWORD })).await.succeeds();
        verify(&nobody, &before, &ann.device.next(&app)).await.is_refused("CHALLENGE_INVALID");
        let live = "SELECT COUNT(*) AS n FROM sessions WHERE revoked_at IS NULL";
        assert_eq!(app.store.query(live).await[0].try_get::<i64>("", "n").unwrap(), 0, "{}", app.store.name);
        let token = challenge(&app, "ann").await;
        verify(&nobody, &token, &ann.device.next(&app)).await.succeeds();
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn an_answer_that_races_a_change_of_password_does_not_survive_it() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        prove(&ann.client, Some(&ann.device.next(&app))).await.succeeds();
        let tokens = join_all((0..6).map(|_| challenge(&app, "ann"))).await;
        let clients: Vec<_> = tokens.iter().map(|_| app.nobody()).collect();
        let answers = join_all(clients.iter().zip(&tokens).zip(&ann.recovery_codes).map(|((client, token), code)| verify(client, token, code)));
        let input = json!({ "currentPassword": PASSWORD, "newPassword": NEW });
        let (answers, changed) = tokio::join!(answers, ann.client.mutate("changePassword", "changed", input));
        changed.succeeds();
        let live = "SELECT COUNT(*) AS n FROM sessions WHERE revoked_at IS NULL";
        assert_eq!(app.store.query(live).await[0].try_get::<i64>("", "n").unwrap(), 1, "{}: only the one that changed it: {answers:?}", app.store.name);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn an_answer_that_races_disabling_leaves_a_whole_story() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        let token = challenge(&app, "ann").await;
        let (nobody, code) = (app.nobody(), ann.device.next(&app));
        let (answered, disabled) = tokio::join!(verify(&nobody, &token, &code), disable(&ann.client));
        disabled.succeeds();
        let opened = answered.payload()["session"].is_object();
        assert_eq!(app.count("sessions").await, if opened { 2 } else { 1 });
        assert!(opened || answered.payload()["userErrors"][0]["code"] == "CHALLENGE_INVALID", "{}", answered.text);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_challenge_evicts_nobody_and_does_not_forgive_wrong_passwords() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        let basic = SessionTier::Basic.as_str();
        app.store.execute(&format!("UPDATE users SET tier = '{basic}'")).await.unwrap();
        let nobody = app.nobody();
        let token = challenge(&app, "ann").await;
        verify(&nobody, &token, &ann.device.next(&app)).await.succeeds();
        for _ in 0..4 {
            app.nobody().sign_in("ann@example.com", "wrong horse battery").await.is_refused("INVALID_CREDENTIALS");
        }
        let token = challenge(&app, "ann").await;
        let live = "SELECT COUNT(*) AS n FROM sessions WHERE revoked_at IS NULL";
        assert_eq!(app.store.query(live).await[0].try_get::<i64>("", "n").unwrap(), 2);
        ann.client.ask("{ viewer { id } }").await.data()["viewer"]["id"].as_str().unwrap();
        app.holds(&[("sign_in_counters", 1)]).await;
        verify(&nobody, &token, &ann.device.next(&app)).await.succeeds();
        app.holds(&[("sign_in_counters", 0), ("sessions", 3)]).await;
        assert_eq!(app.store.query(live).await[0].try_get::<i64>("", "n").unwrap(), 2, "the oldest made room");
        assert!(ann.client.ask("{ viewer { id } }").await.data()["viewer"].is_null());

        for _ in 0..4 {
            app.nobody().sign_in("ann@example.com", "wrong horse battery").await.is_refused("INVALID_CREDENTIALS");
        }
        challenge(&app, "ann").await;
        let last = app.nobody().sign_in("ann@example.com", "wrong horse battery").await;
        let paused = app.nobody().sign_in("ann@example.com", PASSWORD).await;
        let unknown = app.nobody().sign_in("nobody@example.com", PASSWORD).await;
        paused.is_refused("INVALID_CREDENTIALS");
        assert_eq!((last.comparable(), paused.comparable()), (unknown.comparable(), unknown.comparable()), "all that fails answers alike");
        assert_eq!(app.last_outcome("create_session").await.1.as_deref(), Some("invalid_credentials"));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_record_that_is_renewed_on_the_way_keeps_its_challenge() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        let dearer = BcryptHasher::new(&keys(), 5, 1).unwrap().hash(&Password::typed(PASSWORD).unwrap()).await.unwrap();
        app.store.execute(&format!("UPDATE users SET password = '{}'", dearer.0)).await.unwrap();
        let token = challenge(&app, "ann").await;
        assert_ne!(app.stored_user("ann").await.password, dearer, "renewed as soon as it was shown");
        verify(&app.nobody(), &token, &ann.device.next(&app)).await.succeeds();
    }
}

#[tokio::test]
async fn a_user_who_was_deactivated_meanwhile_does_not_get_in() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        let token = challenge(&app, "ann").await;
        app.store.execute("UPDATE users SET is_active = FALSE").await.unwrap();
        verify(&app.nobody(), &token, &ann.device.next(&app)).await.is_refused("CHALLENGE_INVALID");
        assert_eq!(app.count("sessions").await, 1);
        app.nobody().sign_in("ann@example.com", PASSWORD).await.is_refused("INVALID_CREDENTIALS");
    }
}

#[tokio::test]
async fn the_trail_tells_a_password_from_a_whole_sign_in() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        let token = challenge(&app, "ann").await;
        verify(&app.nobody(), &token, &ann.device.next(&app)).await.succeeds();
        let token = challenge(&app, "ann").await;
        verify(&app.nobody(), &token, &ann.recovery_codes[3]).await.succeeds();
        let rows = app.store.query("SELECT act, context FROM audit_events WHERE outcome = 'succeeded' ORDER BY id").await;
        let told: Vec<_> =
            rows.iter().map(|row| format!("{} {}", row.try_get::<String>("", "act").unwrap(), row.try_get::<String>("", "context").unwrap())).collect();
        let found = |act: &str, word: &str| told.iter().filter(|line| line.starts_with(act) && line.contains(word)).count();
        assert_eq!(
            (found("create_session", "awaits"), found("verify_second_factor", "device"), found("verify_second_factor", "recovery_code")),
            (2, 1, 1),
            "{told:?}"
        );
        app.every_attempt_ended_once().await;
    }
}
