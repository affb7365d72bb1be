//! Recovery codes: each counts once, wherever it is shown, until others take their place.

use futures_util::future::join_all;

use crate::harness::app::TestApp;

use super::{challenge, enrolled, prove, regenerate, state, subjects, succeeded, texts, verify};

#[tokio::test]
async fn each_recovery_code_counts_once_and_the_owner_is_told() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        for (at, code) in ann.recovery_codes.iter().enumerate() {
            let token = challenge(&app, "ann").await;
            // As people write them down.
            let typed = if at % 2 == 0 { code.clone() } else { format!(" {} ", code.to_uppercase().replace('-', " ")) };
            verify(&app.nobody(), &token, &typed).await.succeeds();
            assert_eq!(state(&ann.client).await["recoveryCodesLeft"], 9 - at);
        }
        for code in ann.recovery_codes.iter().take(3) {
            let token = challenge(&app, "ann").await;
            verify(&app.nobody(), &token, code).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        }
        assert_eq!(app.count("sessions").await, 11);
        assert_eq!(subjects(&app).await.iter().filter(|subject| *subject == "A recovery code was used").count(), 10);
        let token = challenge(&app, "ann").await;
        verify(&app.nobody(), &token, &ann.device.next(&app)).await.succeeds();
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_recovery_code_used_many_times_at_once_counts_once() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        let other = app.second_process().await;
        let tokens = join_all((0..8).map(|_| challenge(&app, "ann"))).await;
        let clients: Vec<_> = (0..8).map(|at| if at % 2 == 0 { app.nobody() } else { app.nobody().at(&other) }).collect();
        let code = &ann.recovery_codes[0];
        let proof = prove(&ann.client, Some(code));
        let (answers, proof) = tokio::join!(join_all(clients.iter().zip(&tokens).map(|(client, token)| verify(client, token, code))), proof);
        let opened = answers.iter().filter(|answer| answer.payload()["session"].is_object()).count();
        let proven = usize::from(proof.payload()["validUntil"].is_string());
        assert_eq!(opened + proven, 1, "{}", app.store.name);
        assert_eq!(state(&ann.client).await["recoveryCodesLeft"], 9);
        assert_eq!(succeeded(&app, "verify_second_factor").await, opened);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn new_recovery_codes_void_the_old_ones() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (enrolled(&app, "ann").await, enrolled(&app, "bob").await);
        let fresh = texts(&regenerate(&ann.client).await.succeeds()["recoveryCodes"]);
        assert!(fresh.len() == 10 && fresh.iter().all(|code| !ann.recovery_codes.contains(code)));
        assert_eq!(state(&ann.client).await["recoveryCodesLeft"], 10);
        let token = challenge(&app, "ann").await;
        for old in ann.recovery_codes.iter().take(2).chain(bob.recovery_codes.iter().take(1)) {
            verify(&app.nobody(), &token, old).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        }
        verify(&app.nobody(), &token, &fresh[9]).await.succeeds();
        let token = challenge(&app, "bob").await;
        verify(&app.nobody(), &token, &bob.recovery_codes[0]).await.succeeds();
        assert_eq!(subjects(&app).await.iter().filter(|subject| *subject == "Your recovery codes were replaced").count(), 1);
        app.holds(&[("recovery_codes", 20)]).await;
        app.every_attempt_ended_once().await;
    }
}
