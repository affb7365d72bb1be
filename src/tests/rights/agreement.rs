//! What the operator asks people to agree to: known before one registers, on record afterwards, for its owner alone.

use serde_json::{Value, json};

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::{Answer, Client},
};

use super::{token, viewer};

async fn with_documents() -> Vec<TestApp> {
    TestApp::configured(|config| {
        config.legal.terms_version = Some("2026-11".to_owned());
        config.legal.terms_url = Some("https://money.example.com/terms".parse().unwrap());
        config.legal.privacy_version = Some("3".to_owned());
        config.legal.privacy_url = Some("https://money.example.com/privacy".parse().unwrap());
    })
    .await
}

fn both() -> Value {
    json!([{ "kind": "TERMS", "version": "2026-11" }, { "kind": "PRIVACY", "version": "3" }])
}

async fn register(app: &TestApp, email: &str, password: &str, agreements: &Value) -> Answer {
    app.nobody().mutate("registerUser", "accepted", json!({ "email": email, "password": password, "agreements": agreements })).await
}

async fn agreements(client: &Client<'_>) -> Value {
    client.ask("{ viewer { agreements(first: 10) { totalCount nodes { kind version agreedAt } } } }").await.data()["viewer"]["agreements"].clone()
}

#[tokio::test]
async fn who_registers_agrees_to_all_that_is_in_force_and_it_stays_on_record() {
    for app in with_documents().await {
        let known = app.nobody().ask("{ legalDocuments { kind version url } }").await.data();
        let expected = json!([
            { "kind": "TERMS", "version": "2026-11", "url": "https://money.example.com/terms" },
            { "kind": "PRIVACY", "version": "3", "url": "https://money.example.com/privacy" },
        ]);
        assert_eq!(known["legalDocuments"], expected);
        let terms = json!({ "kind": "TERMS", "version": "2026-11" });
        for (missing, code) in [
            (json!(null), "AGREEMENT_MISSING"),
            (json!([]), "AGREEMENT_MISSING"),
            (json!([terms]), "AGREEMENT_MISSING"),
            (json!([terms, terms]), "AGREEMENT_MISSING"),
            (json!([terms, { "kind": "PRIVACY", "version": "2" }]), "AGREEMENT_NOT_IN_FORCE"),
            (json!([terms, { "kind": "PRIVACY", "version": "" }]), "AGREEMENT_NOT_IN_FORCE"),
            (json!([terms, { "kind": "PRIVACY", "version": "3".repeat(100_000) }]), "AGREEMENT_NOT_IN_FORCE"),
        ] {
            register(&app, "ann@example.com", PASSWORD, &missing).await.is_refused(code);
            app.holds(&[("users", 0), ("agreements", 0), ("outbox", 0)]).await;
        }
        assert_eq!(app.last_outcome("register_user").await, ("failed".to_owned(), Some("agreement_not_in_force".to_owned())));
        register(&app, "ann@example.com", PASSWORD, &both()).await.succeeds();
        app.nobody().verify_email(&token(&app, "verify-email", "ann@example.com").await).await.succeeds();
        let mut ann = app.nobody();
        ann.sign_in("ann@example.com", PASSWORD).await.succeeds();
        let expected = json!({ "totalCount": 2, "nodes": [
            { "kind": "TERMS", "version": "2026-11", "agreedAt": "2026-11-23T12:00:00Z" },
            { "kind": "PRIVACY", "version": "3", "agreedAt": "2026-11-23T12:00:00Z" },
        ]});
        assert_eq!(agreements(&ann).await, expected);

        let bob = app.signed_in("bob").await;
        assert_eq!(agreements(&bob).await["totalCount"], 0, "whom the operator made agreed to nothing yet");
        app.promote("bob", dashtam::domain::user::Role::Admin).await;
        app.pass(chrono::Duration::seconds(1));
        let asked = "query($id: ID!) { node(id: $id) { ... on User { email agreements(first: 10) { totalCount nodes { kind } } } } }";
        let seen = bob.ask_with(asked, json!({ "id": viewer(&ann).await["id"] })).await.data();
        assert_eq!(seen["node"], json!({ "email": "ann@example.com", "agreements": { "totalCount": 0, "nodes": [] } }));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_later_registration_of_an_unconfirmed_address_brings_its_own_agreements() {
    for app in with_documents().await {
        register(&app, "ann@example.com", "a stranger's own password", &both()).await.succeeds();
        app.pass(chrono::Duration::hours(1));
        register(&app, "Ann@example.com", PASSWORD, &both()).await.succeeds();
        app.holds(&[("users", 1), ("agreements", 2)]).await;
        app.nobody().verify_email(&token(&app, "verify-email", "Ann@example.com").await).await.succeeds();
        let mut ann = app.nobody();
        ann.sign_in("ann@example.com", PASSWORD).await.succeeds();
        assert_eq!(agreements(&ann).await["nodes"][0]["agreedAt"], "2026-11-23T13:00:00Z");
        register(&app, "ann@example.com", "a stranger's own password", &both()).await.succeeds();
        assert_eq!(agreements(&ann).await["nodes"][0]["agreedAt"], "2026-11-23T13:00:00Z", "a confirmed address keeps what its owner agreed to");
    }
}

#[tokio::test]
async fn a_later_version_is_agreed_to_once_however_often() {
    for app in with_documents().await {
        let ann = app.signed_in("ann").await;
        let agree = |agreements: Value| ann.mutate("agreeToDocuments", "agreed", json!({ "agreements": agreements }));
        agree(json!([])).await.is_refused("AGREEMENT_MISSING");
        agree(json!([{ "kind": "TERMS", "version": "2025-01" }])).await.is_refused("AGREEMENT_NOT_IN_FORCE");
        assert_eq!(app.count("agreements").await, 0);
        let terms = json!([{ "kind": "TERMS", "version": "2026-11" }]);
        let done = futures_util::future::join_all((0..8).map(|_| agree(terms.clone()))).await;
        for answer in done {
            answer.succeeds();
        }
        app.pass(chrono::Duration::minutes(10));
        agree(both()).await.succeeds();
        assert_eq!(
            agreements(&ann).await["nodes"],
            json!([
                { "kind": "TERMS", "version": "2026-11", "agreedAt": "2026-11-23T12:00:00Z" },
                { "kind": "PRIVACY", "version": "3", "agreedAt": "2026-11-23T12:10:00Z" },
            ])
        );
        let nobody = app.nobody().mutate("agreeToDocuments", "agreed", json!({ "agreements": both() })).await;
        nobody.is_fault("UNAUTHENTICATED");
        app.every_attempt_ended_once().await;
    }
}
