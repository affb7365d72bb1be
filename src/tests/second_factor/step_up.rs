//! Proofs of who has a device take the device.

use chrono::Duration;
use serde_json::json;

use crate::harness::app::{PASSWORD, TestApp};

use super::{challenge, disable, enrolled, failed, prove, state, verify};

const NEW: &str = "a river runs through town";

#[tokio::test]
async fn a_proof_takes_password_and_code() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        app.pass(Duration::minutes(5));
        let without = prove(&ann.client, None).await;
        without.is_refused("SECOND_FACTOR_CODE_REQUIRED");
        assert_eq!(without.payload()["userErrors"][0]["field"], json!(["code"]));
        assert_eq!(app.count("second_factor_failures").await, 0, "nothing was guessed");
        for wrong in ["", "x", ann.device.wrong(&app).as_str()] {
            prove(&ann.client, Some(wrong)).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        }
        let code = ann.device.shows(&app, 0);
        let input = json!({ "password": "wrong horse battery", "code": code });
        ann.client.mutate("reauthenticate", "validUntil", input).await.is_refused("INVALID_CREDENTIALS");
        disable(&ann.client).await.is_refused("REAUTHENTICATION_REQUIRED");
        assert_eq!(state(&ann.client).await["recoveryCodesLeft"], 10);
        assert_eq!((failed(&app, "reauthenticate", "wrong_code").await, failed(&app, "reauthenticate", "code_missing").await), (3, 1));

        prove(&ann.client, Some(&code)).await.succeeds();
        let token = challenge(&app, "ann").await;
        verify(&app.nobody(), &token, &code).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        prove(&ann.client, Some(&code)).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        prove(&ann.client, Some(&ann.recovery_codes[4])).await.succeeds();
        assert_eq!(state(&ann.client).await["recoveryCodesLeft"], 9);
        disable(&ann.client).await.succeeds();
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_code_is_not_looked_at_where_there_is_no_device() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        prove(&ann, Some("whatever")).await.succeeds();
        assert_eq!(app.count("second_factor_failures").await, 0);
    }
}

#[tokio::test]
async fn whoever_has_a_device_changes_the_password_with_a_proof_only() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        app.pass(Duration::minutes(5));
        let before = app.stored_user("ann").await.password;
        let change = |current: &'static str, new: &'static str| {
            let client = &ann.client;
            async move { client.mutate("changePassword", "changed", json!({ "currentPassword": current, "newPassword": new })).await }
        };
        change(PASSWORD, NEW).await.is_refused("REAUTHENTICATION_REQUIRED");
        let wrong = change("wrong horse battery", NEW).await;
        wrong.is_refused("REAUTHENTICATION_REQUIRED");
        assert_eq!(app.stored_user("ann").await.password, before);
        assert_eq!(app.last_outcome("change_password").await.1.as_deref(), Some("reauthentication_required"));
        assert_eq!(app.count("sign_in_counters").await, 0, "nothing was compared");
        prove(&ann.client, Some(&ann.device.shows(&app, 0))).await.succeeds();
        change("wrong horse battery", NEW).await.is_refused("INVALID_CREDENTIALS");
        change(PASSWORD, NEW).await.succeeds();
        assert_ne!(app.stored_user("ann").await.password, before);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_another_session_proved_without_a_code_counts_no_more_once_there_is_a_device() {
    for app in TestApp::on_every_store().await {
        let other = app.signed_in("ann").await;
        prove(&other, None).await.succeeds();
        let ann = enrolled(&app, "ann").await;
        let regenerate = "mutation { regenerateRecoveryCodes { recoveryCodes userErrors { code } } }";
        other.ask(regenerate).await.is_refused("REAUTHENTICATION_REQUIRED");
        disable(&other).await.is_refused("REAUTHENTICATION_REQUIRED");
        assert_eq!(state(&ann.client).await["recoveryCodesLeft"], 10);
        ann.client.ask(regenerate).await.succeeds();
    }
}
