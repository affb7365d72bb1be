//! `graphql-transport-ws`, as its PROTOCOL.md has it.

use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{app::TestApp, streams::Socket};

use super::CHANGES;

const SPOKEN: [(&str, &str); 1] = [("sec-websocket-protocol", "graphql-transport-ws")];

async fn app() -> TestApp {
    TestApp::on_every_store().await.pop().unwrap()
}

async fn opened(app: &TestApp) -> Socket {
    app.nobody().open(&SPOKEN).await.unwrap()
}

#[tokio::test]
async fn who_speaks_another_protocol_or_none_is_told_so() {
    let app = app().await;
    for headers in [vec![("sec-websocket-protocol", "graphql-ws, soap")], vec![]] {
        // The library refuses an answer without the protocol it asked for, so it asks for none and both see the close.
        let headers: Vec<_> = headers.into_iter().filter(|_| false).collect();
        let mut socket = app.nobody().open(&headers).await.unwrap();
        assert_eq!(socket.closed().await, (4406, "Subprotocol not acceptable".to_owned()));
    }
    let mut socket = app.nobody().open(&[("sec-websocket-protocol", "soap, graphql-transport-ws")]).await.unwrap();
    socket.say(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.hear().await["type"], "connection_ack");
}

#[tokio::test]
async fn who_is_silent_at_first_is_hung_up_on() {
    let app = app().await;
    let mut socket = opened(&app).await;
    assert!(socket.frame(Duration::from_millis(2_500)).await.is_none());
    assert_eq!(socket.closed().await, (4408, "Connection initialisation timeout".to_owned()));
}

#[tokio::test]
async fn a_ping_comes_back_as_it_was_and_whoever_closes_is_answered() {
    let app = app().await;
    let mut socket = opened(&app).await;
    let soon = Duration::from_secs(2);
    socket.send(Message::Ping("are you there".into())).await;
    assert_eq!(socket.frame(soon).await, Some(Message::Pong("are you there".into())));
    socket.send(Message::Close(None)).await;
    assert_eq!(socket.frame(soon).await, Some(Message::Close(None)));
}

#[tokio::test]
async fn two_introductions_are_one_too_many() {
    let app = app().await;
    let mut socket = app.nobody().socket().await;
    socket.say(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.closed().await, (4429, "Too many initialisation requests".to_owned()));
}

#[tokio::test]
async fn nothing_runs_before_the_acknowledgement() {
    let app = app().await;
    let mut socket = opened(&app).await;
    socket.subscribe("1", "{ __typename }", json!({})).await;
    assert_eq!(socket.closed().await, (4401, "Unauthorized".to_owned()));
}

#[tokio::test]
async fn an_id_in_use_is_refused_and_one_that_was_is_not() {
    let app = app().await;
    let ann = app.signed_in("ann").await;
    let mut socket = ann.socket().await;
    for _ in 0..2 {
        socket.subscribe("1", "{ __typename }", json!({})).await;
        assert_eq!(socket.answer("1").await["data"], json!({ "__typename": "Query" }));
        assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "1" }));
    }
    for _ in 0..2 {
        socket.subscribe("1", CHANGES, json!({})).await;
        socket.answer("1").await;
        socket.say(json!({ "type": "complete", "id": "1" })).await;
    }
    socket.subscribe("1", CHANGES, json!({})).await;
    socket.answer("1").await;
    socket.subscribe("1", "{ __typename }", json!({})).await;
    assert_eq!(socket.closed().await, (4409, "Subscriber for 1 already exists".to_owned()));
}

#[tokio::test]
async fn whatever_is_no_message_closes_with_a_short_reason() {
    let app = app().await;
    let long = "x".repeat(300);
    let invalid = [
        Message::text("{"),
        Message::text("[]"),
        Message::text("\"ping\""),
        Message::text("{}"),
        Message::text(r#"{"type":1}"#),
        Message::text(json!({ "type": long }).to_string()),
        Message::text(r#"{"type":"start","id":"1"}"#),
        Message::text(r#"{"type":"ping","payload":1}"#),
        Message::text(r#"{"type":"connection_init","payload":"x"}"#),
        Message::text(r#"{"type":"complete"}"#),
        Message::text(json!({ "type": "complete", "id": long }).to_string()),
        Message::text(r#"{"type":"subscribe","payload":{"query":"{__typename}"}}"#),
        Message::text(r#"{"type":"subscribe","id":"","payload":{"query":"{__typename}"}}"#),
        Message::text(r#"{"type":"subscribe","id":1,"payload":{"query":"{__typename}"}}"#),
        Message::text(r#"{"type":"subscribe","id":"1"}"#),
        Message::text(r#"{"type":"subscribe","id":"1","payload":{}}"#),
        Message::text(r#"{"type":"subscribe","id":"1","payload":{"query":1}}"#),
        Message::text(r#"{"type":"subscribe","id":"1","payload":{"query":"{__typename}","variables":[]}}"#),
        Message::text(r#"{"type":"subscribe","id":"1","payload":{"query":"{__typename}","extensions":1}}"#),
        Message::text(format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000))),
        Message::binary(r#"{"type":"ping"}"#),
    ];
    for message in invalid {
        let mut socket = app.nobody().socket().await;
        let what = format!("{message:?}");
        socket.send(message).await;
        let (code, reason) = socket.closed().await;
        assert!(code == 4400 && !reason.is_empty() && reason.len() <= 123, "{code} {reason} for {}", &what[..what.len().min(200)]);
    }
    let mut socket = app.nobody().socket().await;
    socket.send(Message::text("x".repeat(1024 * 1024 + 1))).await;
    assert_eq!(socket.closed().await.0, 1009);
}

#[tokio::test]
async fn a_token_that_does_not_count_opens_nothing() {
    let app = app().await;
    let ann = app.signed_in("ann").await;
    let token = ann.access_token.clone().unwrap();
    let payloads = [json!({ "Authorization": "Bearer x" }), json!({ "authorization": token }), json!({ "Authorization": 1 }), json!({ "Authorization": "" })];
    for payload in payloads {
        let mut socket = opened(&app).await;
        socket.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.closed().await, (4403, "Forbidden".to_owned()));
    }
    for header in ["Bearer x", "Basic eDp4"] {
        let mut socket = app.nobody().open(&[SPOKEN[0], ("authorization", header)]).await.unwrap();
        socket.say(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.closed().await.0, 4403, "{header}");
    }
    // With the upgrade it counts as well, and what is said afterwards counts more.
    let header = format!("Bearer {token}");
    for (given, payload) in [(header.as_str(), json!(null)), ("Bearer x", json!({ "authorization": header }))] {
        let mut socket = app.nobody().open(&[SPOKEN[0], ("authorization", given)]).await.unwrap();
        socket.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.hear().await["type"], "connection_ack");
        socket.subscribe("1", "{ viewer { email } }", json!({})).await;
        assert_eq!(socket.answer("1").await["data"]["viewer"]["email"], "ann@example.com");
    }
}

#[tokio::test]
async fn pings_are_answered_and_what_belongs_to_nothing_is_passed_over() {
    let app = app().await;
    let mut socket = opened(&app).await;
    socket.say(json!({ "type": "ping", "payload": { "at": 1 } })).await;
    assert_eq!(socket.hear().await, json!({ "type": "pong", "payload": { "at": 1 } }));
    socket.say(json!({ "type": "pong" })).await;
    socket.say(json!({ "type": "complete", "id": "nothing" })).await;
    socket.say(json!({ "type": "ping" })).await;
    assert_eq!(socket.hear().await, json!({ "type": "pong" }));
    socket.send(Message::Ping(b"x".to_vec().into())).await;
    assert!(matches!(socket.frame(Duration::from_secs(2)).await, Some(Message::Pong(_))));
}

#[tokio::test]
async fn the_server_asks_whether_anybody_is_there() {
    let app = app().await;
    let mut socket = app.nobody().socket().await;
    assert!(matches!(socket.frame(Duration::from_secs(17)).await, Some(Message::Ping(_))));
}

#[tokio::test]
async fn queries_and_mutations_are_answered_once_and_refusals_end_an_operation_alone() {
    let app = app().await;
    let mut ann = app.signed_in("ann").await;
    let mut socket = ann.socket().await;
    socket
        .subscribe("m", "mutation($s: ID!) { renameSession(input: {sessionId: $s, name: \"desk\"}) { session { name } } }", json!({ "s": ann.session_id }))
        .await;
    assert_eq!(socket.answer("m").await["data"]["renameSession"]["session"]["name"], "desk");
    assert_eq!(socket.hear().await["type"], "complete");
    let refused = [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { a: sessionRevoked { id } b: sessionRevoked { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { __typename }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription($no: Boolean = false) { sessionRevoked @include(if: $no) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { changes(after: \"x\") { endCursor } }", "BAD_USER_INPUT"),
        ("subscription($id: ID!) { syncProgress(linkId: $id) { isOver } }", "BAD_USER_INPUT"),
    ];
    for (document, code) in refused {
        socket.subscribe("x", document, json!({})).await;
        assert_eq!(socket.refusal("x").await, code, "{document}");
    }
    let field = socket_field_error(&mut socket).await;
    assert_eq!(field["data"]["viewer"], json!(null));
    ann.access_token = None;
    let mut nobody = ann.socket().await;
    nobody.subscribe("1", CHANGES, json!({})).await;
    assert_eq!(nobody.refusal("1").await, "UNAUTHENTICATED");
    nobody.subscribe("2", "{ viewer { id } }", json!({})).await;
    assert_eq!(nobody.answer("2").await["data"]["viewer"], json!(null));
    app.every_attempt_ended_once().await;
}

/// A query whose field fails runs, and says so in its answer.
async fn socket_field_error(socket: &mut Socket) -> serde_json::Value {
    socket.subscribe("f", "{ viewer { changes(after: \"x\") { endCursor } } }", json!({})).await;
    let answer = socket.answer("f").await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
    assert_eq!(answer["errors"][0]["extensions"]["traceId"].as_str().map(str::len), Some(32));
    assert_eq!(socket.hear().await["type"], "complete");
    answer
}

#[tokio::test]
async fn a_root_in_fragments_is_a_root() {
    let app = app().await;
    let mut socket = app.signed_in("ann").await.socket().await;
    let document = "subscription { ...root } fragment root on Subscription { changes { ...page } ... on Subscription { changes { endCursor } } } fragment page on ChangePage { __typename added { id } }";
    socket.subscribe("1", document, json!({})).await;
    let page = socket.answer("1").await["data"]["changes"].clone();
    assert_eq!(page.as_object().unwrap().keys().collect::<Vec<_>>(), ["__typename", "added", "endCursor"]);
    let mutation = "mutation { ...root } fragment root on Mutation { ...inner } fragment inner on Mutation { __typename }";
    socket.subscribe("2", mutation, json!({})).await;
    assert_eq!(socket.answer("2").await["data"], json!({ "__typename": "Mutation" }));
    socket.hear().await;
    for unused in ["mutation { __typename } fragment root on Mutation { __typename }", "subscription { sessionRevoked { id } } fragment x on Session { id }"] {
        socket.subscribe("3", unused, json!({})).await;
        assert_eq!(socket.refusal("3").await, "GRAPHQL_VALIDATION_FAILED", "{unused}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_open_no_socket() {
    let app = app().await;
    let nobody = app.nobody();
    for foreign in ["https://evil.example", "null", "http://127.0.0.1.evil.example", "http://localhost.evil.example:80", "not an origin", "file://"] {
        let (status, body) = nobody.open(&[SPOKEN[0], ("origin", foreign)]).await.err().unwrap();
        assert!(status == 403 && body.contains("FORBIDDEN"), "{foreign}: {status} {body}");
    }
    let own = app.url.clone();
    for known in [own.as_str(), "http://localhost:5173", "http://127.0.0.1:1", "http://[::1]:3000", "http://app.localhost"] {
        assert!(nobody.open(&[SPOKEN[0], ("origin", known)]).await.is_ok(), "{known}");
    }
    nobody.get("/graphql/ws").await.is_problem(426, "UPGRADE_REQUIRED");
}

#[tokio::test]
async fn a_socket_runs_so_many_operations_and_a_user_has_so_many_streams() {
    let app = app().await;
    let _live = app.live();
    let ann = app.signed_in("ann").await;
    let mut sockets = Vec::new();
    let (mut open, mut refused) = (0, 0);
    for number in 0..5 {
        let mut socket = ann.socket().await;
        for operation in 0..20 {
            let id = format!("{number}-{operation}");
            socket.subscribe(&id, CHANGES, json!({})).await;
            let message = socket.hear().await;
            match message["type"].as_str().unwrap() {
                "next" => open += 1,
                "error" => {
                    assert_eq!(message["payload"][0]["extensions"]["code"], "RATE_LIMITED");
                    refused += 1;
                }
                other => panic!("{other}"),
            }
        }
        sockets.push(socket);
    }
    assert_eq!((open, refused, app.app.application.live.streams()), (50, 50, 50));
    sockets[0].subscribe("one more", "{ __typename }", json!({})).await;
    assert_eq!(sockets[0].refusal("one more").await, "RATE_LIMITED");
    // They cost what one costs, as long as nothing happens.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let before = app.app.statements();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let spent = app.app.statements() - before;
    assert!(spent <= 30, "{spent} statements in three seconds");
    drop(sockets);
    for _ in 0..50 {
        if app.app.application.live.streams() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("streams of sockets that are gone are still there");
}
