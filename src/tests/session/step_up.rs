//! Proving once more who one is, before something grave.

use chrono::Duration;
use serde_json::json;

use dashtam::{
    application::{
        access::{Actor, Origin, Requester},
        step_up::StepUp,
    },
    domain::{id::SessionId, user::Role},
};

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::{Answer, Client},
};

async fn prove(client: &Client<'_>, password: &str) -> Answer {
    client.mutate("reauthenticate", "validUntil", json!({ "password": password })).await
}

/// Whether the session behind `client` may do what asks for a proof.
async fn is_proven(app: &TestApp, name: &str, session: &str) -> bool {
    let step_up = StepUp { sessions: app.store.database.readers(), clock: app.store.clock.clone() };
    let session: SessionId = dashtam::presentation::graphql::global_id::id_or_nothing(session);
    let actor = Actor::User { id: app.user_id(name).await, session, role: Role::User };
    step_up.require(&Requester { actor, origin: Origin::default() }).await.unwrap().is_ok()
}

async fn session_of(client: &Client<'_>) -> String {
    let data = client.ask("{ viewer { sessions(first: 100) { nodes { id isCurrent } } } }").await.data();
    let sessions = data["viewer"]["sessions"]["nodes"].as_array().unwrap().clone();
    sessions.iter().find(|session| session["isCurrent"] == true).unwrap()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_proof_counts_for_five_minutes_and_for_its_own_session_alone() {
    for app in TestApp::on_every_store().await {
        let (ann, phone) = (app.signed_in("ann").await, app.signed_in("ann").await);
        let bob = app.signed_in("bob").await;
        let (here, there) = (session_of(&ann).await, session_of(&phone).await);
        assert!(!is_proven(&app, "ann", &here).await, "a sign-in is no such proof");
        prove(&ann, PASSWORD).await.succeeds();
        assert!(is_proven(&app, "ann", &here).await);
        assert!(!is_proven(&app, "ann", &there).await && !is_proven(&app, "bob", &here).await);
        prove(&bob, PASSWORD).await.succeeds();
        app.pass(Duration::minutes(5) - Duration::microseconds(1));
        assert!(is_proven(&app, "ann", &here).await);
        app.pass(Duration::microseconds(1));
        assert!(!is_proven(&app, "ann", &here).await);
        prove(&ann, PASSWORD).await.succeeds();
        phone.ask("mutation { revokeOtherSessions { revoked } }").await.data();
        assert!(!is_proven(&app, "ann", &here).await, "an ended session proves nothing");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_wrong_proof_counts_as_a_guess_and_proves_nothing() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let here = session_of(&ann).await;
        let huge = "x".repeat(10_000);
        for wrong in ["", "wrong horse battery", "correct horse batter", &huge, "correct horse battery\0"] {
            prove(&ann, wrong).await.is_refused("INVALID_CREDENTIALS");
        }
        prove(&ann, PASSWORD).await.is_refused("INVALID_CREDENTIALS");
        app.nobody().sign_in("ann@example.com", PASSWORD).await.is_refused("INVALID_CREDENTIALS");
        assert!(!is_proven(&app, "ann", &here).await);
        prove(&app.nobody(), PASSWORD).await.is_fault("UNAUTHENTICATED");
        assert_eq!(app.outcomes("reauthenticate").await.iter().filter(|(outcome, _)| outcome == "succeeded").count(), 0);
        app.every_attempt_ended_once().await;
    }
}
