//! What is asked for again, how often and after how long; and what goes along with it.

use std::time::{Duration, Instant};

use dashtam::{
    application::errand,
    domain::{id::LinkId, rate_limit::Budget},
    infrastructure::metrics::Metrics,
};
use uuid::Uuid;

use super::*;
use crate::harness::{lines::switchboard, log::Log};

/// A stand-in that answers so as often, and then well.
async fn recovering(answer: ResponseTemplate, times: u64) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).up_to_n_times(times).mount(&server).await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string("well")).mount(&server).await;
    server
}

#[tokio::test]
async fn a_get_is_tried_three_times_over_a_passing_failure() {
    for failing in [ResponseTemplate::new(500), ResponseTemplate::new(503), ResponseTemplate::new(408)] {
        let (healed, down) = (recovering(failing.clone(), 2).await, recovering(failing, 3).await);
        assert_eq!(get(&quick(QUICK), &healed.uri()).await.unwrap(), b"well");
        assert_eq!(asked(&healed).await, 3);
        get(&quick(QUICK), &down.uri()).await.unwrap_err();
        assert_eq!(asked(&down).await, 3, "no fourth try");
    }
}

#[tokio::test]
async fn what_may_have_been_spent_is_never_sent_twice() {
    let server = answering(ResponseTemplate::new(503)).await;
    let line = quick(QUICK);
    for asked in [Asked::Tokens, Asked::Data] {
        let request = line.post(server.uri()).body("code=once").build().unwrap();
        assert_eq!(ask(&line, request, asked).await.unwrap_err(), ProviderFault::ServerError);
    }
    let request = line.get(server.uri()).build().unwrap();
    assert_eq!(ask(&line, request, Asked::Tokens).await.unwrap_err(), ProviderFault::ServerError);
    assert_eq!(asked(&server).await, 3);
}

#[tokio::test]
async fn what_another_try_would_not_heal_is_not_tried_again() {
    for status in [302, 400, 401, 403, 404] {
        let server = answering(ResponseTemplate::new(status)).await;
        get(&quick(QUICK), &server.uri()).await.unwrap_err();
        assert_eq!(asked(&server).await, 1, "{status}");
    }
}

#[tokio::test]
async fn a_short_wait_is_waited_for_and_a_long_one_puts_the_work_off() {
    let limited = |seconds: &str| ResponseTemplate::new(429).insert_header("retry-after", seconds);
    let (short, long, unsaid) = (recovering(limited("1"), 1).await, recovering(limited("3600"), 1).await, recovering(ResponseTemplate::new(429), 1).await);
    let began = Instant::now();
    assert_eq!(get(&quick(QUICK), &short.uri()).await.unwrap(), b"well");
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(get(&quick(QUICK), &long.uri()).await.unwrap_err(), ProviderFault::RateLimited { retry_after: Some(3600) });
    assert_eq!(get(&quick(QUICK), &unsaid.uri()).await.unwrap_err(), ProviderFault::RateLimited { retry_after: None });
    assert_eq!((asked(&long).await, asked(&unsaid).await), (1, 1));
}

#[tokio::test]
async fn a_server_that_says_when_to_come_back_is_believed_in_every_form_of_date() {
    let date = ("date", "Thu, 26 Nov 2026 12:00:00 GMT");
    for until in ["3600", "Thu, 26 Nov 2026 13:00:00 GMT", "Thursday, 26-Nov-26 13:00:00 GMT", "Thu Nov 26 13:00:00 2026"] {
        let answer = ResponseTemplate::new(503).insert_header("retry-after", until).insert_header(date.0, date.1);
        let server = answering(answer).await;
        assert_eq!(get(&quick(QUICK), &server.uri()).await.unwrap_err(), ProviderFault::Unavailable { retry_after: 3600 }, "{until}");
        assert_eq!(asked(&server).await, 1, "{until}");
    }
    let nonsense = answering(ResponseTemplate::new(503).insert_header("retry-after", "soon")).await;
    assert_eq!(get(&quick(QUICK), &nonsense.uri()).await.unwrap_err(), ProviderFault::ServerError);
}

#[tokio::test]
async fn a_provider_that_counts_everyone_together_is_left_alone_by_everyone() {
    let budget = Some(Budget { at_once: 60, come_back: 60, within_minutes: 1 });
    for (for_everyone, times) in [(budget, 1), (None, 2)] {
        let clock = Arc::new(TestClock::new());
        let line = line(Policy { for_everyone, ..QUICK }, clock.clone());
        let server = answering(ResponseTemplate::new(429).insert_header("retry-after", "3600")).await;
        let address = server.uri();
        let ask_for = |link| errand::on_behalf_of(LinkId(Uuid::from_u128(link)), get(&line, &address));
        for link in [1, 2] {
            assert_eq!(ask_for(link).await.unwrap_err(), ProviderFault::RateLimited { retry_after: Some(3600) });
        }
        assert_eq!(asked(&server).await, times);
        clock.pass(chrono::Duration::hours(1));
        ask_for(2).await.unwrap_err();
        assert_eq!(asked(&server).await, times + 1, "no longer than it asked for");
    }
}

#[tokio::test]
async fn what_is_said_of_data_keeps_no_code_from_being_exchanged() {
    let policy = Policy { for_everyone: Some(Budget { at_once: 60, come_back: 60, within_minutes: 1 }), ..QUICK };
    let line = line(policy, Arc::new(TestClock::new()));
    let tokens = async |address: &str| {
        let request = line.post(address).build().unwrap();
        ask(&line, request, Asked::Tokens).await.map(::http::Response::into_body)
    };
    let server = answering(ResponseTemplate::new(429).insert_header("retry-after", "3600")).await;
    let well = recovering(ResponseTemplate::new(200).set_body_string("well"), 1).await;
    get(&line, &server.uri()).await.unwrap_err();
    assert_eq!(tokens(&well.uri()).await.unwrap(), b"well");
    let limited = ProviderFault::RateLimited { retry_after: Some(3600) };
    assert_eq!((get(&line, &well.uri()).await.unwrap_err(), asked(&well).await), (limited, 1));
    assert_eq!(tokens(&server.uri()).await.unwrap_err(), limited);
    assert_eq!((tokens(&well.uri()).await.unwrap_err(), asked(&well).await), (limited, 1), "what it says of tokens is heeded");
}

#[tokio::test]
async fn all_tries_together_have_an_end() {
    let server = answering(ResponseTemplate::new(500)).await;
    get(&quick(Policy { all_tries: Duration::ZERO, ..QUICK }), &server.uri()).await.unwrap_err();
    assert_eq!(asked(&server).await, 1);
    let slow = answering(ResponseTemplate::new(200).set_delay(Duration::from_mins(1))).await;
    let began = Instant::now();
    let policy = Policy { time_out: Duration::from_millis(200), all_tries: Duration::from_millis(300), ..QUICK };
    assert_eq!(get(&quick(policy), &slow.uri()).await.unwrap_err(), ProviderFault::Unreachable);
    assert!(began.elapsed() < Duration::from_secs(5) && asked(&slow).await == 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_request_carries_the_trace_of_what_it_is_made_for_and_a_span_of_its_own() {
    let server = answering(ResponseTemplate::new(200)).await;
    let line = quick(QUICK);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for _ in 0..2 {
        errand::traced(trace.to_owned(), get(&line, &server.uri())).await.unwrap();
    }
    get(&line, &server.uri()).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let parents: Vec<_> = requests.iter().map(|request| request.headers.get("traceparent").map(|value| value.to_str().unwrap().to_owned())).collect();
    let [Some(first), Some(second), None] = parents.as_slice() else { panic!("{parents:?}") };
    assert!(first != second && [first, second].iter().all(|parent| parent.starts_with(&format!("00-{trace}-")) && parent.ends_with("-01")), "{parents:?}");
    assert!(requests[0].headers["user-agent"].to_str().unwrap().starts_with("Dashtam/"));
}

#[tokio::test]
async fn each_try_is_counted_by_what_became_of_it() {
    let server = recovering(ResponseTemplate::new(500), 2).await;
    let (switchboard, meter) = switchboard(Arc::new(TestClock::new()));
    let line = switchboard.line("stand-in", QUICK).unwrap();
    get(&line, &server.uri()).await.unwrap();
    let told = told(&meter);
    for series in [
        "dashtam_provider_requests_total{provider=\"stand-in\",call=\"data\",outcome=\"server_error\"} 2",
        "dashtam_provider_requests_total{provider=\"stand-in\",call=\"data\",outcome=\"answered\"} 1",
        "dashtam_provider_request_duration_seconds_count{provider=\"stand-in\"} 3",
    ] {
        assert!(told.contains(series), "no {series} in {told}");
    }
}

pub(super) fn told(meter: &Metrics) -> String {
    use dashtam::domain::time::Clock as _;
    meter.text(None, 0, TestClock::new().now()).unwrap()
}

/// Addresses, headers and bodies hold tokens and account numbers; the log gets none of them, whatever goes wrong.
#[tokio::test]
async fn a_failed_call_is_one_line_that_names_no_secret() {
    let body = "canary-body 4111111111111111";
    let answers =
        [200, 302, 400, 401, 404, 429, 500].map(|status| ResponseTemplate::new(status).insert_header("x-canary", "canary-answer").set_body_string(body));
    for (at, answer) in answers.into_iter().enumerate() {
        let server = answering(answer).await;
        let log = Log::capture();
        let line = quick(Policy { tries: 1, ..QUICK });
        let address = format!("{}/canary-path?token=canary-query", server.uri());
        let request = line.get(address).bearer_auth("canary-token").header("x-secret", "canary-header").build().unwrap();
        let read: Result<serde_json::Value, _> =
            errand::on_behalf_of(LinkId(Uuid::nil()), dashtam::infrastructure::providers::http::json(&line, request)).await;
        read.unwrap_err();
        let text = log.text();
        let ours: Vec<_> = text.lines().filter(|line| line.contains("dashtam::")).collect();
        assert_eq!(ours.len(), 1, "answer {at}: {text}");
        assert!(ours[0].contains("provider=\"stand-in\"") && ours[0].contains("WARN"), "{text}");
        assert!(!text.contains("canary") && !text.contains("4111111111111111"), "answer {at}: {text}");
    }
}
