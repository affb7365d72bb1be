//! `graphql-sse`, distinct connections mode.

use reqwest::Method;
use serde_json::json;

use crate::harness::app::TestApp;

use super::{CHANGES, ids, import};

#[tokio::test]
async fn answers_come_as_events_and_end_with_complete() {
    for app in TestApp::on_every_store().await {
        let _live = app.live();
        let ann = app.signed_in("ann").await;
        let mut query = ann.events("{ viewer { email } }", json!({})).await;
        assert_eq!(
            (query.status, &query.headers["content-type"], &query.headers["cache-control"]),
            (200, &"text/event-stream".parse().unwrap(), &"no-store".parse().unwrap())
        );
        assert_eq!(query.answer().await["data"], json!({ "viewer": { "email": "ann@example.com" } }));
        query.completes().await;

        let mut changes = ann.events(CHANGES, json!({})).await;
        let first = changes.answer().await;
        import(&ann, 1).await;
        let second = changes.answer().await;
        assert_eq!(ids(&second["data"]["changes"]["added"]).len(), 6);
        drop(changes);
        let mut again = ann.events(CHANGES, json!({ "after": first["data"]["changes"]["endCursor"] })).await;
        assert_eq!(again.answer().await["data"]["changes"]["added"], second["data"]["changes"]["added"]);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_document_is_an_event_and_what_is_wrong_with_a_request_is_not() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for (document, code) in
            [("{", "GRAPHQL_PARSE_FAILED"), ("{ x }", "GRAPHQL_VALIDATION_FAILED"), ("subscription { changes(after: \"x\") { endCursor } }", "BAD_USER_INPUT")]
        {
            let mut events = ann.events(document, json!({})).await;
            let told = events.answer().await;
            assert!(told.get("data").is_none() && told["errors"][0]["extensions"]["code"] == code, "{told}");
            assert_eq!(told["errors"][0]["extensions"]["traceId"].as_str().map(str::len), Some(32));
            events.completes().await;
        }
        let mut events = app.nobody().events(CHANGES, json!({})).await;
        assert_eq!(events.answer().await["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
        events.completes().await;

        let body = json!({ "query": "{ __typename }" }).to_string();
        let post = || ann.request(Method::POST, "/graphql/stream").header("content-type", "application/json").body(body.clone());
        ann.send(post().header("accept", "application/json")).await.is_problem(406, "NOT_ACCEPTABLE");
        for accepted in ["*/*", "text/*", "application/json;q=0.5, text/event-stream"] {
            assert_eq!(ann.send(post().header("accept", accepted)).await.status, 200, "{accepted}");
        }
        let plain = ann.request(Method::POST, "/graphql/stream").header("content-type", "text/plain").body(body.clone());
        ann.send(plain).await.is_problem(415, "UNSUPPORTED_MEDIA_TYPE");
        let broken = ann.request(Method::POST, "/graphql/stream").header("content-type", "application/json").body("{");
        ann.send(broken).await.is_problem(400, "BAD_USER_INPUT");
        ann.get("/graphql/stream").await.is_problem(405, "METHOD_NOT_ALLOWED");
    }
}
