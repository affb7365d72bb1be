//! A provider that fails is left alone, and asked by one request first when the pause is over.

use std::time::Duration;

use chrono::Duration as Span;
use dashtam::{
    application::{errand, ports::Lines as _},
    domain::{id::LinkId, provider::Circuit},
    infrastructure::providers::http::outside::Reach,
};
use futures_util::future::join_all;
use uuid::Uuid;

use super::{repeating::told, *};
use crate::harness::lines::switchboard;

const ONCE: Policy = Policy { tries: 1, ..QUICK };

/// Makes a stand-in answer otherwise from now on.
async fn now_answers(server: &MockServer, answer: ResponseTemplate) {
    server.reset().await;
    Mock::given(any()).respond_with(answer).mount(server).await;
}

#[tokio::test]
async fn ten_failures_in_a_row_open_it_and_a_probe_that_succeeds_closes_it() {
    let clock = Arc::new(TestClock::new());
    let (switchboard, meter) = switchboard(clock.clone());
    let line = switchboard.line("stand-in", ONCE).unwrap();
    let state = || switchboard.circuit("stand-in").unwrap();
    let server = answering(ResponseTemplate::new(503)).await;
    for _ in 0..10 {
        assert_eq!((state(), get(&line, &server.uri()).await.unwrap_err()), (Circuit::Closed, ProviderFault::ServerError));
    }
    assert_eq!(state(), Circuit::Open);
    for _ in 0..5 {
        assert_eq!(get(&line, &server.uri()).await.unwrap_err(), ProviderFault::Unavailable { retry_after: 30 });
    }
    assert_eq!(asked(&server).await, 10, "while it is open nothing is sent");
    let metrics = told(&meter);
    assert!(metrics.contains("dashtam_provider_left_alone{provider=\"stand-in\"} 1") && metrics.contains("outcome=\"left_alone\"} 5"), "{metrics}");

    clock.pass(Span::seconds(30));
    assert_eq!(state(), Circuit::HalfOpen);
    get(&line, &server.uri()).await.unwrap_err();
    assert_eq!((state(), asked(&server).await), (Circuit::Open, 11), "the probe failed");
    clock.pass(Span::seconds(59));
    assert_eq!(state(), Circuit::Open, "the second pause is twice as long");
    clock.pass(Span::seconds(1));
    now_answers(&server, ResponseTemplate::new(200).set_delay(Duration::from_millis(200))).await;
    let address = server.uri();
    let answers = join_all((0..8).map(|_| get(&line, &address))).await;
    assert_eq!((answers.iter().filter(|answer| answer.is_ok()).count(), asked(&server).await), (1, 1), "one request finds out for all");
    assert_eq!(state(), Circuit::Closed);
    assert!(told(&meter).contains("dashtam_provider_left_alone{provider=\"stand-in\"} 0"));
    get(&line, &server.uri()).await.unwrap();
}

#[tokio::test]
async fn only_failures_in_a_row_count_and_only_those_that_mean_that_it_is_unwell() {
    let (switchboard, _) = switchboard(Arc::new(TestClock::new()));
    let line = switchboard.line("stand-in", ONCE).unwrap();
    let server = answering(ResponseTemplate::new(500)).await;
    for _ in 0..3 {
        now_answers(&server, ResponseTemplate::new(500)).await;
        for _ in 0..9 {
            get(&line, &server.uri()).await.unwrap_err();
        }
        now_answers(&server, ResponseTemplate::new(200)).await;
        get(&line, &server.uri()).await.unwrap();
    }
    for status in [400, 401, 403, 404, 429] {
        now_answers(&server, ResponseTemplate::new(status)).await;
        for _ in 0..20 {
            get(&line, &server.uri()).await.unwrap_err();
        }
    }
    assert_eq!(switchboard.circuit("stand-in"), Some(Circuit::Closed));
}

#[tokio::test]
async fn one_link_in_trouble_is_left_alone_and_the_others_are_not() {
    let clock = Arc::new(TestClock::new());
    let (switchboard, _) = switchboard(clock.clone());
    let line = switchboard.line("stand-in", ONCE).unwrap();
    let (bad, good) = (answering(ResponseTemplate::new(500)).await, answering(ResponseTemplate::new(200)).await);
    let [ann, bob] = [1, 2].map(|id| LinkId(Uuid::from_u128(id)));
    for _ in 0..7 {
        errand::on_behalf_of(ann, get(&line, &bad.uri())).await.unwrap_err();
        errand::on_behalf_of(bob, get(&line, &good.uri())).await.unwrap();
    }
    assert_eq!((asked(&bad).await, asked(&good).await), (5, 7));
    assert_eq!(switchboard.circuit("stand-in"), Some(Circuit::Closed));
    clock.pass(Span::seconds(30));
    errand::on_behalf_of(ann, get(&line, &good.uri())).await.unwrap();
    errand::on_behalf_of(ann, get(&line, &good.uri())).await.unwrap();
}

#[tokio::test]
async fn a_probe_that_is_given_up_leaves_room_for_the_next() {
    let clock = Arc::new(TestClock::new());
    let line = line(Policy { time_out: Duration::from_mins(1), ..ONCE }, clock.clone());
    let server = answering(ResponseTemplate::new(500)).await;
    for _ in 0..10 {
        get(&line, &server.uri()).await.unwrap_err();
    }
    clock.pass(Span::seconds(30));
    now_answers(&server, ResponseTemplate::new(200).set_delay(Duration::from_mins(1))).await;
    tokio::time::timeout(Duration::from_millis(100), get(&line, &server.uri())).await.unwrap_err();
    now_answers(&server, ResponseTemplate::new(200)).await;
    get(&line, &server.uri()).await.unwrap();
}

#[tokio::test]
async fn what_becomes_of_addresses_that_people_bring_tells_nothing_of_the_provider() {
    let (switchboard, _) = switchboard(Arc::new(TestClock::new()));
    let line = switchboard.line("stand-in", Policy { reach: Reach::OutsideOrHere, ..ONCE }).unwrap();
    for port in 1..=20 {
        get(&line, &format!("http://127.0.0.1:{port}/claim")).await.unwrap_err();
    }
    assert_eq!(switchboard.circuit("stand-in"), Some(Circuit::Closed));
    let server = answering(ResponseTemplate::new(500)).await;
    for link in 0..10 {
        errand::on_behalf_of(LinkId(Uuid::from_u128(link)), get(&line, &server.uri())).await.unwrap_err();
    }
    assert_eq!(switchboard.circuit("stand-in"), Some(Circuit::Open), "what a link was given does");
}
