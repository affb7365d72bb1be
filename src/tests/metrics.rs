//! Metrics: what an operator is told, and what no stranger can put among it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use axum::{body::Body, http::Request};
use dashtam::domain::{event::Event, id::UserId};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::harness::{
    app::{PASSWORD, TestApp},
    binary::Binary,
    smtp::{Mood, SmtpServer},
};

/// What `/metrics` tells now.
async fn told(app: &TestApp) -> String {
    let answer = app.app.metrics_router().oneshot(Request::get("/metrics").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    text
}

/// The value of a series, as it is written.
#[track_caller]
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')).unwrap_or_else(|| panic!("no {series} in {text}"));
    line.parse().unwrap()
}

/// Every series of a metric.
fn series<'a>(text: &'a str, metric: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(&format!("{metric}{{")) || line.starts_with(&format!("{metric} "))).collect()
}

#[tokio::test]
async fn requests_operations_and_refused_tokens_are_counted() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let before = told(&app).await;
        for _ in 0..3 {
            ann.ask("{ viewer { id } }").await.data();
        }
        ann.ask("{ nonsense }").await;
        ann.ask("{ auditEvents(first: 1) { nodes { id } } }").await;
        app.nobody().bearing("x.y.z").ask("{ providers { slug } }").await;
        ann.get("/exports/export_00000000000000000000000000").await;
        let after = told(&app).await;
        let grown = |series: &str| value(&after, series) - if before.contains(&format!("{series} ")) { value(&before, series) } else { 0.0 };
        let asked = grown("dashtam_http_requests_total{route=\"/graphql\",method=\"POST\",status=\"200\"}")
            + grown("dashtam_http_requests_total{route=\"/graphql\",method=\"POST\",status=\"400\"}");
        assert!((asked - 6.0).abs() < f64::EPSILON, "{after}");
        assert!((grown("dashtam_http_request_duration_seconds_count{route=\"/graphql\",method=\"POST\"}") - 6.0).abs() < f64::EPSILON);
        assert!((grown("dashtam_graphql_operations_total{outcome=\"ok\"}") - 3.0).abs() < f64::EPSILON, "{after}");
        assert!((grown("dashtam_graphql_operations_total{outcome=\"errors\"}") - 2.0).abs() < f64::EPSILON, "{after}");
        assert!((grown("dashtam_graphql_operations_total{outcome=\"refused\"}") - 1.0).abs() < f64::EPSILON, "{after}");
        assert!((grown("dashtam_access_tokens_refused_total{reason=\"TOKEN_INVALID\"}") - 1.0).abs() < f64::EPSILON, "{after}");
        assert_eq!(series(&after, "dashtam_http_requests_total").iter().filter(|line| line.contains("/exports/{id}")).count(), 1);
        assert!(value(&after, "process_open_fds") > 2.0 && value(&after, "process_resident_memory_bytes") > 1e6);
        assert!(after.contains("dashtam_build_info{version=\""));
    }
}

#[tokio::test]
async fn requests_that_are_refused_for_their_number_are_counted_by_limit() {
    for app in TestApp::configured(|config| config.rate_limits.enabled = true).await {
        for _ in 0..7 {
            app.nobody().sign_in("nobody@example.com", PASSWORD).await;
        }
        let text = told(&app).await;
        assert!((value(&text, "dashtam_rate_limited_requests_total{limit=\"sign_in\"}") - 2.0).abs() < f64::EPSILON, "{text}");
    }
}

#[tokio::test]
async fn nothing_that_a_client_wrote_becomes_a_label() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        nobody.get("/health").await;
        nobody.get("/unknown").await;
        let routes = series(&told(&app).await, "dashtam_http_requests_total").len();
        for at in 0..100 {
            nobody.get(&format!("/no-such-path-{at}/%22%7D%0Ahack%20{at}")).await;
            nobody.get(&format!("/exports/zzz{at}")).await;
            nobody.get(&format!("/oauth/bank{at}/start")).await;
            nobody.ask(&format!("query Made{at} {{ providers {{ slug }} }}")).await;
        }
        for method in ["PROPFIND", "MADEUP", "X-1", "BREW"] {
            let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
            nobody.send(nobody.request(method, "/health").header("authorization", "Bearer made.up.token")).await;
        }
        let text = told(&app).await;
        for made_up in ["no-such-path", "hack", "zzz", "bank1", "Made1", "PROPFIND", "MADEUP", "BREW", "made.up", "example.com"] {
            assert!(!text.contains(made_up), "{made_up}");
        }
        // One each for the two routes, the graph and made-up methods, with the statuses there are.
        let grown = series(&text, "dashtam_http_requests_total").len() - routes;
        assert!(grown <= 8, "{grown}: {:#?}", series(&text, "dashtam_http_requests_total"));
        assert_eq!(series(&text, "dashtam_http_requests_total").iter().filter(|line| line.contains("route=\"unknown\"")).count(), 1);
    }
}

#[tokio::test]
async fn what_waits_what_was_given_up_and_what_is_not_sealed_is_told() {
    let smtp = SmtpServer::start().await;
    for app in TestApp::configured(|config| config.smtp.url = Some(smtp.url.clone().into())).await {
        app.user("ann").await;
        let ann: UserId = app.user_id("ann").await;
        for _ in 0..3 {
            app.store.begin().await.succeed(Event::RecoveryCodesReplaced { user: ann }).await.unwrap();
        }
        let topic = "{topic=\"mail.recovery_codes_replaced\"}";
        let text = told(&app).await;
        let outbox = |text: &str| ["waiting", "overdue", "parked"].map(|state| format!("{}", value(text, &format!("dashtam_outbox_{state}_messages{topic}"))));
        assert_eq!(outbox(&text), ["3", "0", "0"]);
        assert!(value(&text, "dashtam_audit_unsealed_events") > 3.0 && (value(&text, "dashtam_database_up") - 1.0).abs() < f64::EPSILON);
        app.pass(chrono::Duration::minutes(16));
        smtp.is(Mood::Refusing);
        assert!(app.app.courier.deliver_next().await.unwrap());
        smtp.is(Mood::Taking);
        let text = told(&app).await;
        assert_eq!(outbox(&text), ["2", "2", "1"]);
        assert!(value(&text, "dashtam_audit_oldest_unsealed_seconds") >= 960.0);
        app.deliver().await;
        assert_eq!(outbox(&told(&app).await), ["0", "0", "1"]);

        let client = app.signed_in("ann").await;
        client.link_scripted().await;
        let syncs = |text: &str| ["queued", "running", "dead"].map(|state| value(text, &format!("dashtam_syncs{{state=\"{state}\"}}")));
        let waiting = syncs(&told(&app).await);
        app.work().await;
        let text = told(&app).await;
        assert!(syncs(&text).iter().all(|count| *count < 1.0), "after {waiting:?}: {:?}", syncs(&text));
        assert!(value(&text, "dashtam_sync_runs_total{outcome=\"succeeded\"}") >= 1.0);
        app.store.execute("UPDATE syncs SET status = 'running', finished_at = NULL").await.unwrap();
        app.pass(chrono::Duration::hours(1));
        assert!(syncs(&told(&app).await)[2] >= 1.0);
        assert!(value(&text, "dashtam_links_failing") < 1.0 && value(&text, "dashtam_links_failing_longest_seconds") < 1.0);
        app.store.execute("UPDATE links SET sync_failures = 1, sync_failing_since = created_at").await.unwrap();
        let text = told(&app).await;
        assert!((1.0..2.0).contains(&value(&text, "dashtam_links_failing")) && value(&text, "dashtam_links_failing_longest_seconds") >= 3600.0);
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
    }
}

#[tokio::test]
async fn without_its_database_it_says_so_and_tells_the_rest() {
    for app in TestApp::on_every_store().await {
        app.nobody().get("/health").await;
        app.store.execute("ALTER TABLE outbox RENAME TO hidden").await.unwrap();
        let text = told(&app).await;
        assert!(value(&text, "dashtam_database_up").abs() < f64::EPSILON);
        assert!(series(&text, "dashtam_outbox_waiting_messages").is_empty() && !series(&text, "dashtam_http_requests_total").is_empty());
        app.store.execute("ALTER TABLE hidden RENAME TO outbox").await.unwrap();
        assert!((value(&told(&app).await, "dashtam_database_up") - 1.0).abs() < f64::EPSILON);
    }
}

/// An address nobody listens at.
fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn ask(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn the_binary_tells_on_a_listener_of_its_own_and_nowhere_when_it_is_not_asked_to() {
    let address = free();
    let binary = Binary::with(&[("DASHTAM_ENVIRONMENT", "development"), ("DASHTAM_METRICS__BIND", &address)]);
    let demo = binary.demo();
    let began = Instant::now();
    let answer = loop {
        match ask(&address, "/metrics") {
            Ok(answer) => break answer,
            Err(_) if began.elapsed() < Duration::from_secs(10) => std::thread::sleep(Duration::from_millis(50)),
            Err(refused) => panic!("{refused}"),
        }
    };
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("dashtam_syncs{state=\"queued\"} 0"), "{answer}");
    assert!(ask(&address, "/graphql").unwrap().starts_with("HTTP/1.1 404"), "nothing else is there");
    let public = demo.ready["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
    assert!(ask(&public, "/metrics").unwrap().starts_with("HTTP/1.1 404"), "and it is not where everyone gets");
    let taken = Binary::with(&[("DASHTAM_ENVIRONMENT", "development"), ("DASHTAM_METRICS__BIND", &address), ("DASHTAM_BIND", "127.0.0.1:0")]);
    let refused = taken.run(&["serve"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("cannot listen on") && refused.err.contains("DASHTAM_METRICS__BIND"), "{}", refused.err);
    demo.signal("TERM");
    assert_eq!(demo.end().0, Some(0));
}
