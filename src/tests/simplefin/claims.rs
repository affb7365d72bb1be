//! Setup tokens: claimed once, at servers that are known, and nowhere else.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::ExposeSecret as _;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::*;
use crate::harness::log::Log;

async fn claimed(provider: &SimpleFinProvider, token: &str) -> Result<String, ProviderFault> {
    let credentials = provider.connect(&Pasted::SetupToken(token.into()), TestClock::new().now()).await?;
    let Credentials::AccessUrl(access) = credentials else { panic!("an access URL is handed out") };
    Ok(access.expose_secret().to_owned())
}

#[tokio::test]
async fn a_token_is_claimed_once_however_it_was_copied() {
    let (bridge, provider) = (Bridge::with(Vec::new()).await, provider(&Arc::new(TestClock::new())));
    let address = bridge.token("a");
    let access = claimed(&provider, &address).await.unwrap();
    assert!(access.starts_with("http://a:s%2Fsecret@127.0.0.1:") && access.ends_with("/simplefin"), "{access}");
    assert_eq!(claimed(&provider, &address).await, Err(ProviderFault::Refused), "the second time tells that somebody was faster");
    for token in [bridge.token("bb").trim_end_matches('=').to_owned(), format!(" {}\n", bridge.token("ccc"))] {
        claimed(&provider, &token).await.unwrap();
    }
    assert_eq!(bridge.books(|books| books.claims), 4);
}

#[tokio::test]
async fn of_two_claims_at_once_one_succeeds() {
    let (bridge, provider) = (Bridge::with(Vec::new()).await, provider(&Arc::new(TestClock::new())));
    let token = bridge.token("raced");
    let (first, second) = tokio::join!(claimed(&provider, &token), claimed(&provider, &token));
    assert_eq!([first.is_ok(), second.is_ok()].iter().filter(|well| **well).count(), 1);
    assert_eq!(first.err().or(second.err()), Some(ProviderFault::Refused));
}

#[tokio::test]
async fn a_token_for_another_server_or_for_none_is_refused_unasked() {
    let bridge = Bridge::with(Vec::new()).await;
    let clock = Arc::new(TestClock::new());
    let strict = SimpleFinProvider::over(line(Policy { reach: Reach::OutsideOrHere, ..POLICY }, clock.clone()), &["bridge.simplefin.org".to_owned()]).unwrap();
    assert_eq!(claimed(&strict, &bridge.token("a")).await, Err(ProviderFault::Refused));
    let provider = provider(&clock);
    for text in [
        "not base64!",
        "",
        "aGVsbG8=",
        &BASE64_STANDARD.encode("ftp://127.0.0.1/claim"),
        &BASE64_STANDARD.encode("https://evil.example/claim"),
        &BASE64_STANDARD.encode("http://127.0.0.1.evil.example/claim"),
        &BASE64_STANDARD.encode("http://127.0.0.1\r\n/claim"),
        &BASE64_STANDARD.encode([0xff, 0xfe]),
        &BASE64_STANDARD.encode("http://127.0.0.1@evil.example/claim"),
        &BASE64_STANDARD.encode("https://169.254.169.254/claim"),
    ] {
        assert_eq!(claimed(&provider, text).await, Err(ProviderFault::Refused), "{text}");
    }
    let key = Pasted::ApiKey { key: "a".into(), secret: "b".into() };
    assert_eq!(provider.connect(&key, clock.now()).await.err(), Some(ProviderFault::Refused));
    assert_eq!(bridge.books(|books| books.claims), 0);
}

#[tokio::test]
async fn what_a_claim_answers_has_to_open_something_and_is_asked_for_once() {
    let provider = provider(&Arc::new(TestClock::new()));
    for (answer, fault) in [
        (ResponseTemplate::new(200).set_body_string("<html>"), ProviderFault::Malformed),
        (ResponseTemplate::new(200), ProviderFault::Malformed),
        (ResponseTemplate::new(200).set_body_string("https://bridge.example/simplefin"), ProviderFault::Malformed),
        (ResponseTemplate::new(200).set_body_string("https://user:secret@10.0.0.1/simplefin"), ProviderFault::Malformed),
        (ResponseTemplate::new(200).set_body_string("http://user:secret@bridge.example/simplefin"), ProviderFault::Malformed),
        (ResponseTemplate::new(200).set_body_bytes([0xff, 0xfe]), ProviderFault::Malformed),
        (ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:9/"), ProviderFault::Malformed),
        (ResponseTemplate::new(403), ProviderFault::Refused),
        (ResponseTemplate::new(404), ProviderFault::Refused),
        (ResponseTemplate::new(402), ProviderFault::Unpaid),
        (ResponseTemplate::new(503), ProviderFault::ServerError),
    ] {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let token = BASE64_STANDARD.encode(format!("{}/simplefin/claim/a", server.uri()));
        assert_eq!(claimed(&provider, &token).await, Err(fault));
        let asked = server.received_requests().await.unwrap();
        assert_eq!((asked.len(), asked[0].method.as_str(), asked[0].body.len()), (1, "POST", 0));
        assert_eq!(asked[0].headers["content-length"], "0");
    }
}

#[tokio::test]
async fn neither_token_nor_access_nor_accounts_reach_the_log() {
    let bridge =
        Bridge::with(vec![account("canary-connection", "canary-account", "Canary 4111 1111 1111 1111", &[row("canary-row", "2026-11-20", "-1.00")])]).await;
    let log = Log::capture();
    let clock = Arc::new(TestClock::new());
    let provider = provider(&clock);
    let token = bridge.token("canary-token");
    let credentials = provider.connect(&Pasted::SetupToken(token.clone().into()), clock.now()).await.unwrap();
    provider.connect(&Pasted::SetupToken(token.clone().into()), clock.now()).await.err().unwrap();
    for status in [None, Some(500), Some(403), Some(402), Some(429)] {
        bridge.books(|books| books.status = status);
        let accounts = provider.visit(&credentials, clock.now()).await.unwrap().accounts().await;
        assert_eq!(accounts.is_ok(), status.is_none());
        if let Ok(accounts) = accounts {
            let shown = format!("{accounts:?}");
            assert!(!shown.contains("4111 1111") && !shown.contains("canary-account"), "{shown}");
        }
    }
    let text = log.text();
    assert!(text.contains("a provider did not answer as asked"));
    for secret in ["canary", "s%2Fsecret", "s/secret", "4111 1111", &token, "Canary"] {
        let told: Vec<_> = text.lines().filter(|line| line.contains(secret)).collect();
        assert_eq!(told, [""; 0], "{secret}");
    }
}
