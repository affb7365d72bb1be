//! What nobody may find: secrets, codes and challenges, in tables or in logs.

use crate::harness::{app::TestApp, log::Log};

use super::{begin, challenge, confirm, disable, prove, regenerate, texts, verify};

#[tokio::test]
async fn no_secret_no_code_and_no_challenge_is_in_any_table_or_log() {
    let log = Log::capture();
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        prove(&ann, None).await.succeeds();
        let enrolment = begin(&ann).await.succeeds()["enrolment"].clone();
        let secret = enrolment["secret"].as_str().unwrap().to_owned();
        let device = super::Device::told(&secret);
        let first = device.shows(&app, 0);
        let codes = texts(&confirm(&ann, &first).await.succeeds()["recoveryCodes"]);
        let token = challenge(&app, "ann").await;
        verify(&app.nobody(), &token, "wrong-code-canary").await.is_refused("SECOND_FACTOR_CODE_INVALID");
        verify(&app.nobody(), "challenge-canary", &codes[0]).await.is_refused("CHALLENGE_INVALID");
        verify(&app.nobody(), &token, &codes[1]).await.succeeds();
        prove(&ann, Some(&codes[2])).await.succeeds();
        let fresh = texts(&regenerate(&ann).await.succeeds()["recoveryCodes"]);
        app.mails().await;

        let hex: String = device.0.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let rows = app.store.contents("second_factors").await.join("\n").to_lowercase();
        assert!(rows.len() > 100 && !rows.contains(&hex), "{}: the secret is stored as it is", app.store.name);
        let mut hidden = vec![secret.clone(), token.clone(), "wrong-code-canary".to_owned(), "challenge-canary".to_owned()];
        for code in codes.iter().chain(&fresh) {
            hidden.extend([code.clone(), code.replace('-', "")]);
        }
        // The search itself is a statement that a log may show.
        let log = log.text();
        assert!(log.contains("answered"), "the search finds what is logged");
        assert!(!log.contains(&hex) && !log.contains("otpauth://"));
        assert!(app.store.spells("ann@example.com").await, "{}: the search finds what is stored", app.store.name);
        for secret in hidden {
            assert!(!app.store.spells(&secret).await, "{}: {secret} is stored", app.store.name);
            assert!(!log.contains(&secret), "{}: {secret} is logged", app.store.name);
        }
        let mails = app.mails().await.iter().map(ToString::to_string).collect::<String>();
        assert!(codes.iter().chain(&fresh).chain([&secret, &token]).all(|secret| !mails.contains(secret.as_str())), "none of it is mailed");
        disable(&ann).await.succeeds();
        app.every_attempt_ended_once().await;
    }
}
