//! Each way a bank can fail to answer, and the fault it becomes.

use std::time::Duration;

use dashtam::{
    application::ports::ProviderFault,
    domain::{
        account::AccountType,
        balance::Balances,
        money::Currency,
        provider::{AccountReference, ReportedAccount},
        time::LocalDate,
    },
};
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::*;

fn now() -> Timestamp {
    StillClock::at(2025, 6, 15).now()
}

fn provider_at(address: &str) -> SandboxProvider {
    let http = line(Policy { time_out: Duration::from_millis(500), tries: 1, ..Policy::USUAL }, StillClock::at(2025, 6, 15));
    SandboxProvider::new(Url::parse(address).unwrap(), CLIENT_ID, &"a secret".into(), http).unwrap()
}

fn old() -> Tokens {
    let consent_expires_at = Some(now().plus(chrono::Duration::days(3)));
    Tokens { access_token: "an access token".into(), refresh_token: "a refresh token".into(), access_expires_at: now(), consent_expires_at }
}

async fn visit(provider: &SandboxProvider) -> Box<dyn Visit> {
    provider.visit(&Credentials::Oauth(old()), now()).await.unwrap()
}

fn account() -> ReportedAccount {
    ReportedAccount {
        reference: AccountReference::new("an account/with odd?signs"),
        institution: None,
        name: "Card".to_owned(),
        kind: AccountType::CreditCard,
        masked_number: None,
        currency: Currency::parse("USD").unwrap(),
        balances: Balances::default(),
        is_active: true,
        holdings: None,
        unread_holdings: Vec::new(),
    }
}

/// What each of the four calls makes of one answer: exchange, refresh, accounts, transactions.
async fn faults(answer: ResponseTemplate) -> [Option<ProviderFault>; 4] {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let provider = provider_at(&server.uri());
    let day = LocalDate::new(2025, 6, 1).unwrap();
    [
        provider.exchange("code", &walk(), now()).await.err(),
        provider.refresh(&old(), now()).await.err(),
        visit(&provider).await.accounts().await.err(),
        visit(&provider).await.transactions(&account(), day, day, None).await.err(),
    ]
}

async fn is_everywhere(answer: ResponseTemplate, fault: ProviderFault) {
    assert_eq!(faults(answer).await, [Some(fault); 4]);
}

/// What the two token calls make of a body.
async fn token_faults(body: serde_json::Value) -> [Option<ProviderFault>; 2] {
    let [exchange, refresh, ..] = faults(ResponseTemplate::new(200).set_body_json(body)).await;
    [exchange, refresh]
}

#[tokio::test]
async fn statuses_are_named() {
    for status in [500, 502, 503] {
        is_everywhere(ResponseTemplate::new(status), ProviderFault::ServerError).await;
    }
    is_everywhere(ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:9/elsewhere"), ProviderFault::Malformed).await;
    is_everywhere(ResponseTemplate::new(404), ProviderFault::Malformed).await;
}

#[tokio::test]
async fn a_token_endpoint_says_whether_it_turns_away_the_grant_or_this_server() {
    let [refused, app_refused, malformed] = [ProviderFault::Refused, ProviderFault::AppRefused, ProviderFault::Malformed].map(Some);
    for (status, error, at_tokens) in [
        (400, "invalid_grant", refused),
        (401, "invalid_grant", refused),
        (400, "unsupported_token_type", refused),
        (400, "invalid_client", app_refused),
        (400, "unauthorized_client", app_refused),
        (401, "invalid_client", app_refused),
        (401, "something_else", app_refused),
        (400, "unsupported_grant_type", app_refused),
        (403, "blocked", app_refused),
        (403, "access_denied", refused),
        (401, "invalid_token", refused),
    ] {
        let at_data = if status == 400 { malformed } else { refused };
        let answer = ResponseTemplate::new(status).set_body_json(json!({ "error": error }));
        assert_eq!(faults(answer).await, [at_tokens, at_tokens, at_data, at_data], "{status} {error}");
    }
    for body in ["<html>", ""] {
        assert_eq!(faults(ResponseTemplate::new(401).set_body_string(body)).await, [app_refused, app_refused, refused, refused]);
        assert_eq!(faults(ResponseTemplate::new(400).set_body_string(body)).await, [refused, refused, malformed, malformed]);
    }
}

#[tokio::test]
async fn a_400_refuses_the_grant_and_says_nothing_about_a_consent_when_data_was_asked() {
    let answer = ResponseTemplate::new(400).set_body_json(json!({ "error": "invalid_grant", "error_description": "<script>" }));
    let [refused, malformed] = [Some(ProviderFault::Refused), Some(ProviderFault::Malformed)];
    assert_eq!(faults(answer).await, [refused, refused, malformed, malformed]);
}

#[tokio::test]
async fn a_429_tells_how_long_to_wait_in_seconds_or_by_date() {
    let limited = |retry_after| ProviderFault::RateLimited { retry_after };
    is_everywhere(ResponseTemplate::new(429), limited(None)).await;
    is_everywhere(ResponseTemplate::new(429).insert_header("retry-after", "17"), limited(Some(17))).await;
    is_everywhere(ResponseTemplate::new(429).insert_header("retry-after", "soon"), limited(None)).await;
    let dated = ResponseTemplate::new(429).insert_header("date", "Sun, 15 Jun 2025 12:00:00 GMT");
    is_everywhere(dated.clone().insert_header("retry-after", "Sun, 15 Jun 2025 12:02:30 GMT"), limited(Some(150))).await;
    is_everywhere(dated.insert_header("retry-after", "Sun, 15 Jun 2025 11:00:00 GMT"), limited(Some(0))).await;
}

#[tokio::test]
async fn what_is_no_answer_is_malformed() {
    is_everywhere(ResponseTemplate::new(200).set_body_raw("<html>Maintenance</html>", "text/html"), ProviderFault::Malformed).await;
    is_everywhere(ResponseTemplate::new(200).set_body_raw("{\"accounts\": [", "application/json"), ProviderFault::Malformed).await;
    is_everywhere(ResponseTemplate::new(200).set_body_raw("[]", "application/json"), ProviderFault::Malformed).await;
    is_everywhere(ResponseTemplate::new(200), ProviderFault::Malformed).await;
    let too_much = format!("{{\"access_token\": \"{}", "x".repeat(11 * 1024 * 1024));
    is_everywhere(ResponseTemplate::new(200).set_body_raw(too_much, "application/json"), ProviderFault::Malformed).await;
}

#[tokio::test]
async fn a_token_answer_has_a_lower_limit_than_data() {
    let padding = "x".repeat(2 * 1024 * 1024);
    let body = json!({
        "access_token": "new", "token_type": "Bearer", "expires_in": 60, "refresh_token": "new",
        "accounts": [], "transactions": [], "padding": padding,
    });
    let malformed = Some(ProviderFault::Malformed);
    assert_eq!(faults(ResponseTemplate::new(200).set_body_json(body)).await, [malformed, malformed, None, None]);
}

#[tokio::test]
async fn a_token_answer_must_be_complete() {
    let incomplete = Some(ProviderFault::Incomplete);
    for body in [
        json!({ "access_token": "new", "token_type": "Bearer", "expires_in": 60 }),
        json!({ "access_token": "new", "token_type": "Bearer", "expires_in": 60, "refresh_token": "" }),
    ] {
        assert_eq!(token_faults(body).await, [incomplete, incomplete]);
    }
}

#[tokio::test]
async fn tokens_that_do_not_say_how_long_they_last_are_kept_for_some_minutes() {
    for body in [
        json!({ "access_token": "new", "token_type": "Bearer", "refresh_token": "newer" }),
        json!({ "access_token": "new", "token_type": "Bearer", "expires_in": u64::MAX, "refresh_token": "newer" }),
    ] {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
        let provider = provider_at(&server.uri());
        for tokens in [provider.refresh(&old(), now()).await.unwrap(), provider.exchange("code", &walk(), now()).await.unwrap()] {
            assert_eq!(tokens.refresh_token.expose_secret(), "newer", "it may be the only one that the bank still takes");
            assert_eq!(tokens.access_expires_at, now().plus(chrono::Duration::minutes(5)));
        }
    }
}

#[tokio::test]
async fn a_bank_that_does_not_speak_of_the_consents_end_leaves_it_as_it_was() {
    let server = MockServer::start().await;
    let body = json!({ "access_token": "new", "token_type": "Bearer", "expires_in": 60, "refresh_token": "newer", "surprise": [] });
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
    let provider = provider_at(&server.uri());
    let refreshed = provider.refresh(&old(), now()).await.unwrap();
    assert_eq!((refreshed.consent_expires_at, refreshed.refresh_token.expose_secret()), (old().consent_expires_at, "newer"));
    assert_eq!(provider.exchange("code", &walk(), now()).await.unwrap().consent_expires_at, None);
}

#[tokio::test]
async fn nobody_there_and_nobody_answering_in_time_are_alike() {
    is_everywhere(ResponseTemplate::new(200).set_delay(Duration::from_secs(3)), ProviderFault::Unreachable).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(visit(&provider_at(&address)).await.accounts().await.err(), Some(ProviderFault::Unreachable));
    assert_eq!(provider_at(&address).refresh(&old(), now()).await.err(), Some(ProviderFault::Unreachable));
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_counted() {
    let server = MockServer::start().await;
    let good = json!({ "id": "1", "status": "booked", "date": "2025-06-01", "code": "NEW", "amount": "12.5", "description": "x".repeat(2_000), "more": {} });
    let with = |name: &str, value: serde_json::Value| {
        let mut row = good.clone();
        row[name] = value;
        row
    };
    let rows = [
        good.clone(),
        with("id", json!(null)),
        with("amount", json!(12.5)),
        with("amount", json!("12.123456")),
        with("amount", json!("1e3")),
        with("date", json!("2025-02-31")),
        with("time", json!("noon")),
        with("status", json!("imagined")),
        with("fees", json!("-1.00")),
        with("quantity", json!("a few")),
        json!("not a row"),
    ];
    let body = json!({ "transactions": rows, "next": "" });
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
    let day = LocalDate::new(2025, 6, 1).unwrap();
    let page = visit(&provider_at(&server.uri())).await.transactions(&account(), day, day, None).await.unwrap();
    assert_eq!((page.transactions.len(), page.refused, page.next), (2, 9, None));
    assert_eq!((page.transactions[0].reference.as_deref(), &page.transactions[1].reference), (Some("1"), &None));
    assert_eq!(page.transactions[0].facts.description.len(), 2_000, "what is too long is cut behind the adapter");
    assert_eq!(page.refused_ids, ["1"; 8], "whatever they say, they are there");
    assert_eq!(page.transactions[0].facts.amount.to_text(&account().currency), "-12.50");
    let asked = &server.received_requests().await.unwrap()[0];
    assert_eq!(asked.url.path(), "/accounts/an%20account%2Fwith%20odd%3Fsigns/transactions");
    assert_eq!(asked.headers["authorization"], "Bearer an access token");
}

#[tokio::test]
async fn an_account_that_cannot_be_read_spoils_the_answer_and_an_unknown_kind_does_not() {
    let record = |currency: &str, current: serde_json::Value| json!({ "id": "1", "name": "Account", "type": "NEW", "currency": currency, "status": "closed", "balances": { "current": current } });
    for broken in [record("", json!("1.00")), record("USD", json!("one")), record("USD", json!(1.5))] {
        let [.., accounts, _] = faults(ResponseTemplate::new(200).set_body_json(json!({ "accounts": [record("USD", json!("1.00")), broken] }))).await;
        assert_eq!(accounts, Some(ProviderFault::Malformed));
    }
    let server = MockServer::start().await;
    let body = json!({ "accounts": [record("USD", json!(null))] });
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
    let accounts = visit(&provider_at(&server.uri())).await.accounts().await.unwrap().accounts;
    let told = (accounts[0].kind, accounts[0].is_active, accounts[0].balances.current, accounts[0].balances.as_of);
    assert_eq!(told, (AccountType::Other, false, None, Some(now())));
}
