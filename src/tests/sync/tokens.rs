//! The bank's tokens: renewed ahead of time, stored before they are used, and the end of the link when they are refused.

use chrono::Duration;
use dashtam::{
    application::ports::{Place, ProviderFault, Sealer as _},
    domain::id::{LinkId, UserId},
    infrastructure::security::sealer::AesSealer,
};
use serde_json::json;

use crate::harness::{app::TestApp, bank::posted, clock::TestRandomness};

use super::{asks_later, synced};

#[tokio::test]
async fn tokens_that_last_are_not_renewed() {
    for app in TestApp::on_every_store().await {
        let (_, link) = synced(&app, vec![]).await;
        asks_later(&app, &link, Duration::minutes(28) - Duration::microseconds(1)).await;
        assert_eq!(app.work().await, 1);
        assert_eq!(app.bank.script(|script| script.refreshes), 0);
    }
}

#[tokio::test]
async fn renewed_tokens_are_stored_before_they_are_used() {
    for app in TestApp::on_every_store().await {
        let (_, link) = synced(&app, vec![]).await;
        let first = app.store.contents("credentials").await;
        app.bank.script(|script| script.accounts_fault = Some(ProviderFault::Unreachable));
        asks_later(&app, &link, Duration::minutes(28)).await;
        assert_eq!(app.work().await, 1);
        assert_eq!(app.bank.script(|script| script.refreshes), 1);
        let renewed = app.store.contents("credentials").await;
        assert_ne!(first, renewed, "the bank has taken the old ones back, whatever failed afterwards");
        app.every_attempt_ended_once().await;

        app.bank.script(|script| script.accounts_fault = None);
        app.pass(Duration::seconds(20));
        assert_eq!(app.work().await, 1);
        assert_eq!(app.bank.script(|script| script.refreshes), 1, "the stored ones are used");
        assert_eq!(app.signed_in("ann").await.link(&link).await["lastSync"]["status"], "SUCCEEDED");
        for canary in ["renewed-access-canary", "renewed-refresh-canary", "first-access-canary", "first-refresh-canary"] {
            assert!(!app.store.spells(canary).await, "{canary} in {}", app.store.name);
        }
    }
}

#[tokio::test]
async fn a_bank_that_does_not_know_this_server_ends_no_consent() {
    for app in TestApp::on_every_store().await {
        let (_, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        app.bank.script(|script| script.refresh = Some(ProviderFault::AppRefused));
        asks_later(&app, &link, Duration::hours(1)).await;
        for _ in 0..5 {
            assert_eq!(app.work().await, 1);
            app.pass(Duration::minutes(16));
        }
        let ann = app.signed_in("ann").await;
        let told = ann.link(&link).await;
        assert_eq!((&told["status"], &told["reason"], &told["nextAction"]), (&json!("ACTIVE"), &json!(null), &json!(null)));
        assert_eq!((&told["lastSync"]["status"], &told["lastSync"]["problem"]), (&json!("FAILED"), &json!("APP_REJECTED")));
        assert_eq!(app.last_outcome("sync_link").await, ("failed".to_owned(), Some("app_rejected".to_owned())));

        app.bank.script(|script| script.refresh = None);
        asks_later(&app, &link, Duration::hours(1)).await;
        assert_eq!(app.work().await, 1);
        assert_eq!(app.signed_in("ann").await.link(&link).await["lastSync"]["status"], "SUCCEEDED", "the tokens were kept");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn tokens_that_are_refused_end_the_link_and_keep_what_is_stored() {
    for app in TestApp::on_every_store().await {
        let (_, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        app.bank.script(|script| script.refresh = Some(ProviderFault::Refused));
        asks_later(&app, &link, Duration::hours(1)).await;
        assert_eq!(app.work().await, 1);
        let ann = app.signed_in("ann").await;
        let told = ann.link(&link).await;
        assert_eq!((&told["status"], &told["reason"], &told["nextAction"]), (&json!("EXPIRED"), &json!("CREDENTIALS_REJECTED"), &json!("RELINK")));
        assert_eq!((&told["lastSync"]["status"], &told["lastSync"]["problem"]), (&json!("FAILED"), &json!("CREDENTIALS_REJECTED")));
        assert_eq!(app.last_outcome("sync_link").await, ("failed".to_owned(), Some("credentials_rejected".to_owned())));
        ann.sync(&link, true).await.is_refused("LINK_NOT_ACTIVE");
        assert_eq!((ann.accounts().await.len(), ann.transactions().await.len()), (1, 1));
    }
}

#[tokio::test]
async fn a_renewal_that_fails_for_a_while_keeps_the_tokens_and_the_link() {
    for app in TestApp::on_every_store().await {
        let (_, link) = synced(&app, vec![]).await;
        let before = app.store.contents("credentials").await;
        app.bank.script(|script| script.refresh = Some(ProviderFault::ServerError));
        asks_later(&app, &link, Duration::hours(1)).await;
        assert_eq!(app.work().await, 1);
        assert_eq!(app.store.contents("credentials").await, before);
        let told = app.signed_in("ann").await.link(&link).await;
        assert_eq!(
            (&told["status"], &told["lastSync"]["status"], &told["lastSync"]["problem"]),
            (&json!("ACTIVE"), &json!("QUEUED"), &json!("PROVIDER_ERROR"))
        );
    }
}

#[tokio::test]
async fn tokens_sealed_before_there_was_anything_but_tokens_still_open() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        let row = app.store.query("SELECT link_id, user_id FROM credentials").await.pop().unwrap();
        let id = |column: &str| row.try_get::<uuid::Uuid>("", column).unwrap();
        let place = Place::credentials(UserId(id("user_id")), LinkId(id("link_id")));
        let sealer = AesSealer::new(&app.keys, std::sync::Arc::new(TestRandomness)).unwrap();
        let before = br#"{"access_token":"a","refresh_token":"an-early-refresh-token","access_expires_at":1795428000000000,"consent_expires_at":null}"#;
        let envelope = sealer.seal(place, before).unwrap().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let written = if app.store.is_postgres() { format!("'\\x{envelope}'") } else { format!("X'{envelope}'") };
        app.store.execute(&format!("UPDATE credentials SET sealed = {written}")).await.unwrap();
        ann.unlink(&link, true).await.succeeds();
        assert_eq!(app.bank.script(|script| script.revoked.clone()), ["an-early-refresh-token"]);
    }
}
