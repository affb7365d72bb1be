//! What browsers are told, and by which names a server is reached.

use reqwest::Method;
use serde_json::json;

use crate::harness::{app::TestApp, client::Answer};

const ORIGIN: &str = "https://app.example";

async fn preflight(app: &TestApp, path: &str, origin: &str, method: &str) -> Answer {
    let nobody = app.nobody();
    let request = nobody.request(Method::OPTIONS, path).header("origin", origin).header("access-control-request-method", method);
    nobody.send(request.header("access-control-request-headers", "authorization,content-type")).await
}

#[tokio::test]
async fn a_listed_origin_may_ask_and_read_and_no_other_may() {
    for app in TestApp::configured(|config| config.cors.origins = vec![ORIGIN.to_owned(), "http://localhost:5173".to_owned()]).await {
        for path in ["/graphql", "/imports"] {
            let allowed = preflight(&app, path, ORIGIN, "POST").await;
            assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, ORIGIN), "{path}");
            assert_eq!(allowed.header("access-control-allow-methods"), "GET,POST");
            let headers = allowed.header("access-control-allow-headers");
            assert!(headers.contains("authorization") && headers.contains("content-type") && !headers.contains('*'), "{headers}");
            assert!(allowed.headers.get("access-control-allow-credentials").is_none(), "tokens are in headers, cookies are nobody's business");
            assert!(allowed.header("vary").to_lowercase().contains("origin"), "{}", allowed.header("vary"));
        }
        let ann = app.signed_in("ann").await;
        let asked = ann.request(Method::POST, "/graphql").header("origin", ORIGIN).json(&json!({ "query": "{ viewer { email } }" }));
        let answer = ann.send(asked).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, ORIGIN));
        for exposed in ["x-trace-id", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after"] {
            assert!(answer.header("access-control-expose-headers").contains(exposed), "{exposed}");
        }
        // An answer that failed is read as well, or nobody could tell why.
        let refused = ann.send(ann.request(Method::POST, "/graphql").header("origin", ORIGIN).body("{}")).await;
        assert_eq!((refused.status, refused.header("access-control-allow-origin")), (415, ORIGIN));
        for foreign in
            ["https://evil.example", "https://app.example.evil.example", "http://app.example", "https://app.example:444", "null", "https://APP.example"]
        {
            for answer in [
                preflight(&app, "/graphql", foreign, "POST").await,
                ann.send(ann.request(Method::POST, "/graphql").header("origin", foreign).json(&json!({ "query": "{ __typename }" }))).await,
            ] {
                assert!(answer.headers.get("access-control-allow-origin").is_none(), "{foreign}");
            }
        }
        // Pages are for people: no origin reads them.
        for page in ["/oauth/sandbox/start?ticket=x", "/playground", "/verify-email", "/dev/mail", "/graphqlx"] {
            let answer = app.nobody().send(app.nobody().request(Method::GET, page).header("origin", ORIGIN)).await;
            assert!(answer.headers.get("access-control-allow-origin").is_none(), "{page}");
        }
    }
}

#[tokio::test]
async fn without_a_list_nothing_is_read_by_other_origins() {
    for app in TestApp::on_every_store().await {
        let answer = preflight(&app, "/graphql", ORIGIN, "POST").await;
        assert_eq!(answer.status, 405);
        let nobody = app.nobody();
        let asked = nobody.send(nobody.request(Method::GET, "/graphql?query={__typename}").header("origin", ORIGIN)).await;
        for answer in [answer, asked] {
            assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control-")), "{:?}", answer.headers);
        }
    }
}

#[tokio::test]
async fn a_server_on_its_own_machine_answers_to_its_own_names() {
    for app in TestApp::behind("https://money.example.com").await {
        let nobody = app.nobody();
        let named = |path: &str, host: &str| nobody.send(nobody.request(Method::GET, path).header("host", host));
        for host in [
            "localhost",
            "localhost:8080",
            "LOCALHOST.",
            "127.0.0.1",
            "127.0.0.1:1",
            "127.1.2.3",
            "[::1]",
            "[::1]:8080",
            "money.example.com",
            "Money.Example.com:443",
        ] {
            assert_eq!(named("/health", host).await.status, 200, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.1",
            "[2001:db8::1]",
            "money.example.com.evil.example",
            "0.0.0.0",
            "x y",
        ] {
            for path in ["/graphql?query={__typename}", "/playground", "/dev/mail", "/sandbox/authorize", "/nothing"] {
                named(path, host).await.is_problem(421, "WRONG_HOST");
            }
        }
    }
}

#[tokio::test]
async fn transport_by_tls_is_kept_where_there_is_tls() {
    for (url, told) in [("https://money.example.com", "max-age=31536000"), ("http://money.example.com", "")] {
        for app in TestApp::behind(url).await {
            let answer = app.nobody().get("/health").await;
            assert_eq!(answer.header("strict-transport-security"), told, "{url}");
        }
    }
}

#[tokio::test]
async fn a_foreign_page_can_send_nothing_that_is_taken_for_a_request() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let before = app.trail().await.len();
        // What a page may send without asking first.
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            let body = r#"{"query":"mutation { revokeOtherSessions { userErrors { code } } }"}"#;
            let request = ann.request(Method::POST, "/graphql").header("origin", "https://evil.example").header("content-type", content_type);
            ann.send(request.body(body)).await.is_problem(415, "UNSUPPORTED_MEDIA_TYPE");
        }
        assert_eq!(app.trail().await.len(), before);
    }
}
