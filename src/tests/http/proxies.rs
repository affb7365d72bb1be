//! Whom a request comes from: the socket says it, and a header only if a configured proxy wrote it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use serde_json::Value;

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::Client,
    log::Log,
};

/// Signs in with these headers; answers the address kept with the session, and the device.
async fn seen_from(app: &TestApp, headers: &[(&str, &str)]) -> (String, Value) {
    let client = app.nobody();
    let document =
        "mutation { createSession(input: {email: \"ann@example.com\", password: \"PASSWORD\"}) { session { ipAddress device } userErrors { code } } }";
    let mut request = client.request(reqwest::Method::POST, "/graphql").json(&serde_json::json!({ "query": document.replace("PASSWORD", PASSWORD) }));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let session = Client::send(&client, request).await.succeeds()["session"].clone();
    (session["ipAddress"].as_str().unwrap().to_owned(), session["device"].clone())
}

#[tokio::test]
async fn a_header_anyone_can_write_is_believed_of_nobody() {
    let log = Log::capture();
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        for value in ["203.0.113.9", "127.0.0.1, 203.0.113.9", "10.0.0.1"] {
            assert_eq!(seen_from(&app, &[("x-forwarded-for", value)]).await.0, "127.0.0.1", "{value}");
        }
        for name in ["forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip", "x-client-ip"] {
            assert_eq!(seen_from(&app, &[(name, "203.0.113.9")]).await.0, "127.0.0.1", "{name}");
        }
    }
    let text = log.text();
    assert!(text.contains("X-Forwarded-For is not believed"), "the operator is told");
    assert!(!text.contains("203.0.113.9"), "and not what anyone wrote");
}

#[tokio::test]
async fn a_configured_proxy_is_believed_and_what_stands_before_its_word_is_not() {
    for app in TestApp::configured(|config| config.trusted_proxies = vec!["127.0.0.1".to_owned(), "10.0.0.0/8".to_owned()]).await {
        app.user("ann").await;
        for (value, client) in [
            ("203.0.113.9", "203.0.113.9"),
            ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
            ("198.51.100.1, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
            ("10.9.9.9, 10.1.2.3", "10.9.9.9"),
            ("203.0.113.9:4711", "203.0.113.9"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("203.0.113.9, unknown", "127.0.0.1"),
            ("198.51.100.1, nonsense, 10.1.2.3", "10.1.2.3"),
            ("", "127.0.0.1"),
            (",,,", "127.0.0.1"),
        ] {
            assert_eq!(seen_from(&app, &[("x-forwarded-for", value)]).await.0, client, "{value}");
        }
        let twice = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.9")];
        assert_eq!(seen_from(&app, &twice).await.0, "203.0.113.9", "the last line is the last proxy's");
        let long = vec!["203.0.113.9"; 500].join(",");
        assert_eq!(seen_from(&app, &[("x-forwarded-for", &long)]).await.0, "203.0.113.9");
        assert_eq!(seen_from(&app, &[]).await.0, "127.0.0.1");
    }
}

#[test]
fn a_device_is_told_from_what_a_client_calls_itself() {
    use dashtam::presentation::device::described;
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0";
    let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1";
    let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
    assert_eq!(described(firefox).as_deref(), Some("Firefox on Linux"));
    assert_eq!(described(safari).as_deref(), Some("Safari on iPhone"));
    assert_eq!(described(chrome).as_deref(), Some("Chrome on Windows 10"));
    assert_eq!(described("curl/8.5.0").as_deref(), Some("curl"));
    assert_eq!(described("okhttp/4.12.0").as_deref(), Some("okhttp"));
    for nothing in ["", " ", "/", "<script>alert(1)</script>", "\u{202e}txet"] {
        assert_eq!(described(nothing), None, "{nothing}");
    }
}
