//! Which bodies are read and in which format is answered (GraphQL over HTTP; RFC 9110, section 12.5.1).

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use reqwest::Method;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::Answer,
};

const GRAPHQL: &str = "application/graphql-response+json; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";
const ASK: &str = r#"{"query":"{ __typename }"}"#;

async fn post(app: &TestApp, content_type: Option<&str>, body: impl Into<reqwest::Body>) -> Answer {
    let nobody = app.nobody();
    let request = nobody.request(Method::POST, "/graphql").body(body);
    let request = content_type.into_iter().fold(request, |request, value| request.header("content-type", value));
    nobody.send(request).await
}

#[tokio::test]
async fn json_in_utf8_is_the_one_content_type() {
    for app in TestApp::on_every_store().await {
        for good in [
            "application/json",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            "Application/JSON",
            r#"application/json; charset="utf-8""#,
            "application/json; x=y",
        ] {
            assert_eq!(post(&app, Some(good), ASK).await.data(), json!({ "__typename": "Query" }), "{good}");
        }
        let bad = [
            "text/plain",
            "application/graphql",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=latin1",
            "application/jsonx",
            "json",
            "",
        ];
        for content_type in bad.into_iter().map(Some).chain([None]) {
            post(&app, content_type, ASK).await.is_problem(415, "UNSUPPORTED_MEDIA_TYPE");
        }
    }
}

#[tokio::test]
async fn the_format_is_the_one_the_client_prefers() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        for (accept, format) in [
            ("*/*", JSON),
            ("application/*", JSON),
            ("application/json", JSON),
            ("APPLICATION/JSON", JSON),
            ("application/graphql-response+json", GRAPHQL),
            ("application/graphql-response+json, application/json", GRAPHQL),
            ("application/json, application/graphql-response+json", GRAPHQL),
            ("application/graphql-response+json;q=0.5, application/json;q=0.9", JSON),
            ("application/json;q=0.5, application/graphql-response+json;q=0.9", GRAPHQL),
            ("application/json;Q=0.5, application/graphql-response+json;Q=0.9", GRAPHQL),
            ("application/graphql-response+json;q=0, */*", JSON),
            ("application/json;q=0, */*", GRAPHQL),
            ("text/html, application/json;q=0.1", JSON),
            ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
            ("application/graphql-response+json;charset=utf-8", GRAPHQL),
            ("", JSON),
        ] {
            let request = nobody.request(Method::POST, "/graphql").header("accept", accept).json(&json!({ "query": "{ __typename }" }));
            let answer = nobody.send(request).await;
            assert_eq!((answer.status, answer.header("content-type"), answer.header("vary")), (200, format, "Accept"), "{accept:?}");
        }
        for accept in [
            "text/html",
            "application/xml",
            "application/json;q=0",
            "*/*;q=0",
            "image/*, text/*",
            "application/json;q=0, application/graphql-response+json;q=0.0",
        ] {
            for request in [
                nobody.request(Method::POST, "/graphql").json(&json!({ "query": "{ __typename }" })),
                nobody.request(Method::GET, "/graphql?query={__typename}"),
            ] {
                nobody.send(request.header("accept", accept)).await.is_problem(406, "NOT_ACCEPTABLE");
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_accepts_nothing_in_particular_gets_json() {
    for app in TestApp::on_every_store().await {
        let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json").body(Body::from(ASK)).unwrap();
        let response = app.app.router().oneshot(request).await.unwrap();
        assert_eq!((response.status(), response.headers()[header::CONTENT_TYPE].to_str().unwrap()), (StatusCode::OK, JSON));
    }
}

#[tokio::test]
async fn a_body_that_is_no_request_is_refused_before_anything_runs() {
    for app in TestApp::on_every_store().await {
        let broken: [&[u8]; 20] = [
            b"",
            b"{",
            b"null",
            b"1",
            b"\"{ __typename }\"",
            b"[]",
            br#"[{"query":"{ __typename }"}]"#,
            br#"["{ __typename }"]"#,
            br#"["{ __typename }",null,null,null]"#,
            br#" ["{ __typename }",null,{},{}]"#,
            b"{}",
            br#"{"query":null}"#,
            br#"{"query":""}"#,
            br#"{"query":"  "}"#,
            br#"{"query":7}"#,
            br#"{"query":"{ __typename }","query":"{ __typename }"}"#,
            br#"{"query":"{ __typename }","variables":[]}"#,
            br#"{"query":"{ __typename }","operationName":{}}"#,
            br#"{"query":"{ __typename }","extensions":7}"#,
            b"{\"query\":\"{ __typename } #\xff\"}",
        ];
        for body in broken {
            post(&app, Some("application/json"), body).await.never_ran("BAD_USER_INPUT");
        }
        for body in [r#"{"query":"{ __typename }","variables":null,"operationName":null,"extensions":null}"#, r#"{"query":"{ __typename }","unknown":1}"#] {
            post(&app, Some("application/json"), body).await.data();
        }
    }
}

#[tokio::test]
async fn a_document_that_cannot_run_is_answered_without_data() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        for document in ["{", "nonsense", "query", "{ __typename ", "\u{0}", "{ a(b: \"", "fragment x on User { id }"] {
            nobody.ask(document).await.never_ran("GRAPHQL_PARSE_FAILED");
        }
        let secret = nobody.ask("mutation { createSession(input: {email: \"a\" password: \"a-password-canary\"}) { ] }").await;
        secret.never_ran("GRAPHQL_PARSE_FAILED");
        assert!(!secret.text.contains("canary") && secret.body["errors"][0]["locations"][0]["column"].is_u64(), "{}", secret.text);
        for document in [
            "{ nothing }",
            "{ viewer }",
            "{ node { id } }",
            "{ providers(category: NOTHING) { slug } }",
            "query a { __typename } query b { __typename }",
            "query($x: Nothing) { __typename }",
            "{ ...missing }",
            "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
        ] {
            nobody.ask(document).await.never_ran("GRAPHQL_VALIDATION_FAILED");
        }
        let elsewhere = nobody.request(Method::POST, "/graphql").json(&json!({ "query": "subscription { __typename }" }));
        nobody.send(elsewhere).await.never_ran("BAD_USER_INPUT");
        let unknown = nobody.request(Method::POST, "/graphql").json(&json!({ "query": "query a { __typename }", "operationName": "b" }));
        nobody.send(unknown).await.never_ran("GRAPHQL_VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn a_client_that_names_plain_json_gets_200_for_a_document_that_never_ran() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        let ask = |accept: &str, body: Value| nobody.send(nobody.request(Method::POST, "/graphql").header("accept", accept).json(&body));
        let unfit = [
            (json!({ "query": "{" }), "GRAPHQL_PARSE_FAILED"),
            (json!({ "query": "{ nothing }" }), "GRAPHQL_VALIDATION_FAILED"),
            (json!({ "query": "query($id: ID!) { __typename }", "variables": { "id": null } }), "BAD_USER_INPUT"),
            (json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": "x" } } }), "PERSISTED_QUERY_NOT_FOUND"),
        ];
        for (body, code) in unfit {
            for (accept, status) in [
                ("application/json", 200),
                ("application/json, text/plain, */*", 200),
                ("application/json, application/graphql-response+json;q=0.5", 200),
                ("*/*", 400),
                ("application/*", 400),
                ("application/graphql-response+json", 400),
                ("application/graphql-response+json, application/json;q=0.9", 400),
            ] {
                let answer = ask(accept, body.clone()).await;
                assert_eq!((answer.status, &answer.body["errors"][0]["extensions"]["code"]), (status, &json!(code)), "{accept}: {}", answer.text);
                assert!(answer.body.get("data").is_none(), "{accept}: {}", answer.text);
            }
        }
        for no_request in [json!({}), json!({ "query": 7 }), json!({ "query": "{ __typename }", "variables": [] })] {
            ask("application/json", no_request).await.never_ran("BAD_USER_INPUT");
        }
    }
}

#[tokio::test]
async fn variables_that_do_not_fit_are_refused_before_anything_runs() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let before = app.trail().await.len();
        let node = "query($id: ID!) { node(id: $id) { id } }";
        let list = "query($first: Int) { viewer { links(first: $first) { totalCount } } }";
        let filter = "query($filter: TransactionFilterInput) { viewer { transactions(first: 1, filter: $filter) { totalCount } } }";
        let revoke = "mutation($input: RevokeSessionInput!) { revokeSession(input: $input) { userErrors { code } } }";
        for (document, variables) in [
            (node, json!({})),
            (node, json!({ "id": null })),
            (node, json!({ "ID": "x" })),
            (node, json!({ "id": {} })),
            (node, json!({ "id": ["x", "y"] })),
            (node, json!({ "id": true })),
            (list, json!({ "first": "1" })),
            (list, json!({ "first": 1.5 })),
            (filter, json!({ "filter": { "unknown": 1 } })),
            (filter, json!({ "filter": { "minAmount": 12.5 } })),
            (filter, json!({ "filter": { "minAmount": "1e3" } })),
            (filter, json!({ "filter": { "from": "2026-02-30" } })),
            (filter, json!({ "filter": { "types": ["NOTHING"] } })),
            (filter, json!({ "filter": { "types": [null] } })),
            (revoke, json!({})),
            (revoke, json!({ "input": {} })),
            (revoke, json!({ "input": { "sessionId": null } })),
            (revoke, json!({ "input": { "sessionId": "x", "more": 1 } })),
        ] {
            let answer = ann.ask_with(document, variables.clone()).await;
            assert!(answer.status == 400 && answer.body.get("data").is_none(), "{variables} of {document}: {} {}", answer.status, answer.text);
            let code = answer.body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default();
            assert!(["BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"].contains(&code), "{}", answer.text);
        }
        for (document, variables) in [(list, json!({ "first": 3_000_000_000_u32 })), (filter, json!({ "filter": "x" })), (filter, json!({ "filter": [] }))] {
            ann.ask_with(document, variables).await.is_fault("BAD_USER_INPUT");
        }
        ann.ask_with(node, json!({ "id": "x", "unused": 1 })).await.data();
        ann.ask_with("query($id: ID! = \"x\", $skip: Boolean! = true) { node(id: $id) @skip(if: $skip) { id } __typename }", json!({})).await.data();
        assert_eq!(app.trail().await.len(), before, "nothing was attempted");
    }
}

#[tokio::test]
async fn get_serves_queries_only() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        let before = app.trail().await.len();
        let nobody = app.nobody();
        let get = |pairs: &[(&str, &str)]| nobody.send(nobody.request(Method::GET, "/graphql").query(pairs));
        assert_eq!(get(&[("query", "{ __typename }")]).await.data(), json!({ "__typename": "Query" }));
        let document = "query named($skip: Boolean!) { __typename viewer @skip(if: $skip) { id } }";
        assert_eq!(get(&[("query", document), ("variables", r#"{"skip":true}"#), ("operationName", "named")]).await.data(), json!({ "__typename": "Query" }));
        get(&[]).await.never_ran("BAD_USER_INPUT");
        get(&[("query", "{ __typename }"), ("variables", "nonsense")]).await.never_ran("BAD_USER_INPUT");
        get(&[("query", "{ __typename }"), ("variables", "[1]")]).await.never_ran("BAD_USER_INPUT");

        let sign_in = format!(r#"mutation b {{ createSession(input: {{email: "ann@example.com", password: "{PASSWORD}"}}) {{ accessToken }} }}"#);
        let both = format!("query a {{ __typename }} {sign_in}");
        for pairs in [vec![("query", sign_in.as_str())], vec![("query", both.as_str()), ("operationName", "b")]] {
            let answer = get(&pairs).await;
            answer.is_problem(405, "METHOD_NOT_ALLOWED");
            assert_eq!(answer.header("allow"), "POST");
        }
        get(&[("query", &both), ("operationName", "a")]).await.data();
        let elsewhere = get(&[("query", "subscription { changes { endCursor } }")]).await;
        elsewhere.never_ran("BAD_USER_INPUT");
        assert!(elsewhere.text.contains("GET /graphql/ws and at POST /graphql/stream"), "{}", elsewhere.text);
        assert_eq!((app.count("sessions").await, app.trail().await.len()), (0, before), "nothing was begun");
    }
}
