//! What was agreed to is on record, for its owner alone.

use serde_json::{Value, json};

use crate::harness::{app::TestApp, client::Client};

use super::prove;

async fn consents(client: &Client<'_>) -> Vec<Value> {
    let document = "{ viewer { consents(first: 10) { totalCount nodes { provider linkId link { id } givenAt expiresAt withdrawnAt } } } }";
    let data = client.ask(document).await.data();
    let nodes = data["viewer"]["consents"]["nodes"].as_array().unwrap().clone();
    assert_eq!(data["viewer"]["consents"]["totalCount"], nodes.len());
    nodes
}

#[tokio::test]
async fn a_consent_is_recorded_with_the_link_it_brought_about_and_with_no_other() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let mut declined = ann.walk(None).await;
        declined.leave().await;
        declined.come_back(&[("error", "access_denied")]).await;
        assert_eq!(consents(&ann).await, [json!(null); 0], "who says no agreed to nothing");
        let link = ann.link_scripted().await;
        let expected = json!({
            "provider": "scripted", "linkId": link, "link": { "id": link }, "givenAt": "2026-11-23T12:00:00Z", "expiresAt": "2027-02-21T12:00:00Z", "withdrawnAt": null,
        });
        assert_eq!(consents(&ann).await, [expected]);
        assert_eq!(consents(&bob).await, [json!(null); 0]);
        app.promote("bob", dashtam::domain::user::Role::Admin).await;
        app.pass(chrono::Duration::seconds(1));
        let id = ann.ask("{ viewer { id } }").await.data()["viewer"]["id"].clone();
        let seen = bob
            .ask_with("query($id: ID!) { node(id: $id) { ... on User { email consents(first: 10) { totalCount nodes { provider } } } } }", json!({ "id": id }));
        assert_eq!(seen.await.data()["node"], json!({ "email": "ann@example.com", "consents": { "totalCount": 0, "nodes": [] } }));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn asking_to_be_erased_withdraws_it() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_scripted().await;
        prove(&ann).await;
        ann.ask("mutation { eraseMyAccount { erasure { scheduledAt } userErrors { code } } }").await.succeeds();
        let mind = super::token(&app, "cancel-erasure", "ann@example.com").await;
        app.nobody().mutate("cancelErasure", "cancelled", json!({ "token": mind })).await.succeeds();
        let ann = app.signed_in("ann").await;
        assert_eq!(consents(&ann).await[0]["withdrawnAt"], "2026-11-23T12:00:00Z");
    }
}
