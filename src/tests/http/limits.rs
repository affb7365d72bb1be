//! Limits: what is too large, too deep, too wide or too slow, each with an answer of its own and none with much work behind it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, http::Request, routing::get};
use dashtam::presentation::http::{browsers::Browsers, with_common_layers};
use http_body_util::BodyExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::harness::{app::TestApp, client::Answer};

/// The most bytes of a body.
const BODY: usize = 1024 * 1024;

/// The most bytes of a document.
const DOCUMENT: usize = 100_000;

async fn ask_at_leisure(app: &TestApp, document: &str) -> Answer {
    let began = Instant::now();
    let answer = app.nobody().ask(document).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{} bytes took {:?}", document.len(), began.elapsed());
    answer
}

fn padded(text: &str, length: usize) -> String {
    text.to_owned() + &" ".repeat(length - text.len())
}

/// Fragments that each spread the one before them twice.
fn doubling(levels: usize) -> String {
    let mut document = format!("{{ ...f{levels} }} fragment f0 on Query {{ __typename }}");
    for level in 1..=levels {
        write!(document, " fragment f{level} on Query {{ ...f{0} ...f{0} }}", level - 1).unwrap();
    }
    document
}

/// A selection whose innermost field stands `depth` deep.
fn nested(depth: usize) -> String {
    format!("{{ __schema {{ types {{ {}name {}}} }} }}", "ofType { ".repeat(depth - 3), "} ".repeat(depth - 3))
}

#[tokio::test]
async fn a_body_has_at_most_one_mebibyte() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        let send = |length: usize| {
            let body = padded(r#"{"query":"{ __typename }"}"#, length);
            nobody.send(nobody.request(Method::POST, "/graphql").header("content-type", "application/json").body(body))
        };
        send(BODY).await.data();
        send(BODY + 1).await.is_problem(413, "BODY_TOO_LARGE");
    }
}

#[tokio::test]
async fn a_document_has_at_most_a_hundred_kilobytes() {
    for app in TestApp::on_every_store().await {
        app.nobody().ask(&padded("{ __typename }", DOCUMENT)).await.data();
        app.nobody().ask(&padded("{ __typename }", DOCUMENT + 1)).await.never_ran("QUERY_TOO_COMPLEX");
    }
}

#[tokio::test]
async fn pages_within_pages_are_refused_before_they_multiply() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let pages = |levels: usize, first: &str| {
            let (open, close) = (format!("account {{ transactions(first: {first}) {{ nodes {{ ").repeat(levels), "} } } ".repeat(levels));
            format!("{{ viewer {{ accounts(first: 3) {{ nodes {{ transactions(first: {first}) {{ nodes {{ {open} id {close} }} }} }} }} }} }}")
        };
        ann.ask(&pages(1, "20")).await.data();
        for bomb in [pages(2, "100"), pages(5, "20"), format!("query($n: Int) {}", pages(2, "$n")), format!("query($n: Int = 100) {}", pages(2, "$n"))] {
            let began = Instant::now();
            ann.ask_with(&bomb, json!({ "n": 100 })).await.never_ran("QUERY_TOO_COMPLEX");
            assert!(began.elapsed() < Duration::from_secs(1));
        }
        let two = format!("query A($n: Int = 1) {{ ...f }} query B($n: Int = 100) {{ ...f }} fragment f on Query {}", pages(2, "$n"));
        let asked = json!({ "query": two, "operationName": "B" });
        ann.send(ann.request(Method::POST, "/graphql").json(&asked)).await.never_ran("QUERY_TOO_COMPLEX");
        ann.ask(&format!("query($n: Int = 5) {}", pages(1, "$n"))).await.data();
        let small = "query($n: Int) { viewer { accounts(first: $n) { nodes { transactions(first: $n) { nodes { account { transactions(first: $n) { nodes { id } } } } } } } } }";
        ann.ask_with(small, json!({ "n": 5 })).await.data();
        let types = format!("{{ __schema {{ types {{ {} name {} }} }} }}", "fields { type { ".repeat(6), "} } ".repeat(6));
        ann.ask(&types).await.never_ran("QUERY_TOO_COMPLEX");
    }
}

#[tokio::test]
async fn selections_nest_fifteen_deep_with_or_without_fragments() {
    for app in TestApp::on_every_store().await {
        app.nobody().ask(&nested(15)).await.data();
        app.nobody().ask(&nested(16)).await.never_ran("QUERY_TOO_COMPLEX");
        let by_fragments = |levels: usize| {
            let mut document = "{ __schema { types { ...t0 } } }".to_owned();
            for level in 0..levels {
                write!(document, " fragment t{level} on __Type {{ ofType {{ ...t{} }} }}", level + 1).unwrap();
            }
            document + &format!(" fragment t{levels} on __Type {{ name }}")
        };
        app.nobody().ask(&by_fragments(12)).await.data();
        app.nobody().ask(&by_fragments(13)).await.never_ran("QUERY_TOO_COMPLEX");
    }
}

#[tokio::test]
async fn no_document_keeps_the_server_busy_or_brings_it_down() {
    for app in TestApp::on_every_store().await {
        let mut chain = "{ ...c0 }".to_owned();
        for level in 0..2500 {
            write!(chain, " fragment c{level} on Query {{ ...c{} }}", level + 1).unwrap();
        }
        chain.push_str(" fragment c2500 on Query { __typename }");
        let mut operations = "fragment f on Query { ".to_owned();
        for number in 0..99 {
            write!(operations, "a{number}: __typename ").unwrap();
        }
        operations.push('}');
        for number in 0..3000 {
            write!(operations, " query q{number} {{ ...f }}").unwrap();
        }
        let wide = |fields: usize| format!("{{ {}}}", "__typename ".repeat(fields));
        for document in [&doubling(13), &doubling(28), &doubling(40), &chain, &operations, &wide(5001), &wide(9000)] {
            ask_at_leisure(&app, document).await.never_ran("QUERY_TOO_COMPLEX");
        }
        for document in [&doubling(12), &wide(5000)] {
            ask_at_leisure(&app, document).await.data();
        }

        let aliases = |count: usize| (0..count).fold("{ ".to_owned(), |document, number| format!("{document}a{number}: __typename ")) + "}";
        ask_at_leisure(&app, &aliases(100)).await.data();
        ask_at_leisure(&app, &aliases(101)).await.never_ran("QUERY_TOO_COMPLEX");

        let deep = 45_000;
        for document in [
            "{".repeat(deep),
            "{ a ".repeat(deep / 4),
            format!("{{ node(id: {}", "[".repeat(deep)),
            format!("{{ node(id: {}{}) {{ id }} }}", "[".repeat(deep), "]".repeat(deep)),
            format!("{{ node(id: {}", "{a:".repeat(deep / 3)),
            format!("query($a: {}", "[".repeat(deep)),
            format!("query($a: {}ID{}) {{ __typename }}", "[".repeat(deep), "]".repeat(deep)),
            "{ ...".repeat(deep / 5),
            "@a(b: [".repeat(deep / 7),
            format!("{{ a{} }}", " @a".repeat(30_000)),
        ] {
            let answer = ask_at_leisure(&app, &document).await;
            assert!(answer.status == 400 && answer.body.get("data").is_none(), "{}", answer.text);
        }
        let variables = format!(r#"{{"query":"{{ __typename }}","variables":{}{}}}"#, "{\"a\":".repeat(50_000), "}".repeat(50_000));
        let nobody = app.nobody();
        nobody.send(nobody.request(Method::POST, "/graphql").header("content-type", "application/json").body(variables)).await.never_ran("BAD_USER_INPUT");
        app.nobody().get("/health").await;
    }
}

async fn through_common_layers(path: &str) -> (u16, Value, String) {
    let routes = Router::new().route("/slow", get(std::future::pending::<&str>)).route("/broken", get(broken));
    let response = with_common_layers(routes, Duration::from_millis(50), &Browsers::new(Vec::new(), "http://localhost", false))
        .oneshot(Request::get(path).body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let content_type = parts.headers["content-type"].to_str().unwrap().to_owned();
    assert!(parts.headers.contains_key("x-trace-id") && parts.headers.contains_key("x-content-type-options"));
    (parts.status.as_u16(), serde_json::from_slice(&body).unwrap(), content_type)
}

async fn broken() -> &'static str {
    panic!("the text of a panic with a secret inside")
}

#[tokio::test]
async fn a_request_that_takes_too_long_and_one_that_panics_are_problems_that_tell_nothing() {
    let (status, body, content_type) = through_common_layers("/slow").await;
    assert_eq!((status, &body["code"], content_type.as_str()), (408, &json!("TIMEOUT"), "application/problem+json"));
    let (status, body, content_type) = through_common_layers("/broken").await;
    assert_eq!((status, &body["code"], content_type.as_str()), (500, &json!("INTERNAL"), "application/problem+json"));
    assert!(!body.to_string().contains("secret"));
}
