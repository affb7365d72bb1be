//! What every answer has in common, and what no answer tells.

use dashtam::presentation::graphql::sdl;
use reqwest::Method;
use serde_json::json;

use crate::harness::app::TestApp;

/// One of each kind of answer: good ones, refusals, pages, files, and what routes nothing.
const EVERYTHING: [(Method, &str, u16); 26] = [
    (Method::GET, "/health", 200),
    (Method::GET, "/ready", 200),
    (Method::GET, "/schema.graphql", 200),
    (Method::GET, "/graphql?query={__typename}", 200),
    (Method::GET, "/graphql", 400),
    (Method::POST, "/graphql", 415),
    (Method::DELETE, "/graphql", 405),
    (Method::POST, "/imports", 401),
    (Method::GET, "/imports", 405),
    (Method::GET, "/playground", 200),
    (Method::GET, "/playground/playground.js", 200),
    (Method::GET, "/playground/nothing.js", 404),
    (Method::GET, "/playground/%ff", 400),
    (Method::GET, "/oauth/pages.css", 200),
    (Method::GET, "/oauth/sandbox/start", 410),
    (Method::GET, "/oauth/sandbox/start?ticket=a&ticket=b", 410),
    (Method::POST, "/oauth/sandbox/start", 410),
    (Method::GET, "/oauth/%ff/start", 400),
    (Method::GET, "/oauth/%ff/callback", 400),
    (Method::GET, "/oauth/sandbox/callback?state=%ff", 400),
    (Method::GET, "/oauth/nothing/callback", 400),
    (Method::GET, "/sandbox/authorize", 400),
    (Method::GET, "/sandbox/nothing", 404),
    (Method::POST, "/health", 405),
    (Method::GET, "/nothing", 404),
    (Method::GET, "/graphql/", 404),
];

#[tokio::test]
async fn every_answer_carries_the_trace_of_its_request_and_the_security_headers() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        let given = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (method, path, status) in EVERYTHING {
            let what = format!("{method} {path}");
            let answer = nobody.send(nobody.request(method.clone(), path)).await;
            assert_eq!(answer.status, status, "{what}: {}", answer.text);
            let trace = answer.header("x-trace-id");
            assert!(trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit()), "{what}: {trace}");
            let parent: Vec<&str> = answer.header("traceparent").split('-').collect();
            assert!(matches!(parent.as_slice(), ["00", of, span, "01"] if *of == trace && span.len() == 16), "{what}: {parent:?}");
            // Forms need an Origin: the bank's, and that of the page before it.
            let has_forms = path.starts_with("/sandbox/authorize") || answer.text.contains("<form");
            let referrer = if has_forms { "strict-origin" } else { "no-referrer" };
            for (name, value) in [("x-content-type-options", "nosniff"), ("referrer-policy", referrer), ("x-frame-options", "DENY")] {
                assert_eq!(answer.header(name), value, "{what}");
            }
            let policy = answer.header("content-security-policy");
            assert!(
                policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"),
                "{what}: {policy}"
            );
            assert!(answer.headers.get("cache-control").is_some() && answer.headers.get_all("content-security-policy").iter().count() == 1, "{what}");
            assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{what}");
            assert!(answer.header("permissions-policy").contains("camera=()"), "{what}");
            assert!(answer.headers.get("server").is_none() && answer.headers.get("x-powered-by").is_none(), "{what}");
            let again = nobody.send(nobody.request(method, path).header("traceparent", format!("00-{given}-00f067aa0ba902b7-01"))).await;
            assert_eq!(again.header("x-trace-id"), given, "{what}");
            assert!(again.header("traceparent").starts_with(&format!("00-{given}-")) && !again.header("traceparent").contains("00f067aa0ba902b7"), "{what}");
        }
    }
}

#[tokio::test]
async fn every_failure_outside_the_graph_is_a_problem_or_a_page_and_holds_no_debug_text() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        for (method, path, status) in EVERYTHING.into_iter().filter(|(.., status)| *status >= 400) {
            let what = format!("{method} {path}");
            let answer = nobody.send(nobody.request(method, path)).await;
            let format = answer.header("content-type");
            let in_graph = path == "/graphql" && status == 400;
            let in_bank = path.starts_with("/sandbox/");
            assert!(in_graph || in_bank || format == "application/problem+json" || format == "text/html; charset=utf-8", "{what}: {format} {}", answer.text);
            for debug in ["Some(", "Err(", "Error(", "::", "deserialize", "sqlx", "rejection", "UTF-8 in"] {
                assert!(!answer.text.contains(debug), "{what}: {}", answer.text);
            }
        }
        let wrong = nobody.send(nobody.request(Method::POST, "/health")).await;
        wrong.is_problem(405, "METHOD_NOT_ALLOWED");
        assert!(wrong.header("allow").contains("GET"), "{:?}", wrong.headers);
        let absent = nobody.get("/nothing?token=secret").await;
        absent.is_problem(404, "NOT_FOUND");
        assert_eq!((absent.body["instance"].as_str(), absent.header("cache-control")), (Some("/nothing"), "no-store"));
    }
}

#[tokio::test]
async fn a_trace_that_is_not_well_formed_is_replaced() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for parent in [
            format!("00-{trace}-00f067aa0ba902b7"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            format!("00-{trace}-00f067aa0ba902b7-01-more"),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            "x".repeat(4000),
        ] {
            let answer = nobody.send(nobody.request(Method::GET, "/health").header("traceparent", &parent)).await;
            let fresh = answer.header("x-trace-id");
            assert!(fresh.len() == 32 && fresh != trace, "{parent}");
        }
    }
}

#[tokio::test]
async fn the_schema_is_served_as_it_is_checked_in() {
    for app in TestApp::on_every_store().await {
        let answer = app.nobody().get("/schema.graphql").await;
        let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql")).unwrap();
        assert_eq!((answer.text.trim_end(), answer.text.as_str()), (kept.trim_end(), sdl()));
    }
}

#[tokio::test]
async fn without_its_database_a_server_is_alive_and_not_ready_and_says_no_more() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        assert_eq!(ann.get("/ready").await.body, json!({ "status": "ready", "checks": { "database": "ok" } }));
        app.store.database.close().await.unwrap();
        app.pass(chrono::Duration::minutes(1));
        assert_eq!(ann.get("/health").await.body, json!({ "status": "healthy" }));
        let ready = ann.get("/ready").await;
        assert_eq!((ready.status, ready.body), (503, json!({ "status": "unavailable", "checks": { "database": "does not answer" } })));
        for answer in [ann.ask("{ viewer { id } }").await, ann.send(ann.request(Method::POST, "/imports")).await] {
            answer.is_problem(503, "UNAVAILABLE");
            assert!(!answer.text.contains("pool") && !answer.text.contains("sql"), "{}", answer.text);
        }
        let refused = app.nobody().sign_in("ann@example.com", "whatever it may be").await;
        refused.is_fault("UNAVAILABLE");
        assert!(refused.body["errors"][0]["extensions"]["retryAfter"].is_u64(), "{}", refused.text);
    }
}

#[tokio::test]
async fn a_fault_of_ours_says_nothing_but_its_trace() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        app.store.execute("ALTER TABLE accounts RENAME TO elsewhere").await.unwrap();
        let answer = ann.ask("{ viewer { id accounts(first: 1) { nodes { id } } } }").await;
        answer.is_fault("INTERNAL");
        assert_eq!(answer.body["data"], json!({ "viewer": null }), "a list that must be there takes its parent along");
        assert!(!answer.text.contains("elsewhere") && !answer.text.contains("no such table") && !answer.text.contains("relation"), "{}", answer.text);
        assert_eq!(answer.body["errors"][0]["extensions"].as_object().map(serde_json::Map::len), Some(2), "code and traceId");
    }
}
