//! A provider that fails is left alone, and asked by one request first when the pause is over.

use std::{sync::atomic::Ordering, time::Duration};

use chrono::Duration as Span;
use dashtam::{
    application::errand,
    domain::{id::LinkId, pause::Pause, provider::Circuit, rate_limit::Budget, time::Clock as _},
    infrastructure::{
        metrics::Metrics,
        providers::http::{Asked, ask, outside::Reach},
    },
};
use futures_util::future::join_all;
use uuid::Uuid;

use super::{repeating::told, *};
use crate::harness::lines::{KeptPauses, switchboard_beside};

const ONCE: Policy = Policy { tries: 1, ..QUICK };

/// How the provider's circuit stands, as every process is told.
fn state(pauses: &KeptPauses, clock: &TestClock) -> Circuit {
    Pause::circuit(&pauses.of(None), clock.now())
}

/// Makes a stand-in answer otherwise from now on.
async fn now_answers(server: &MockServer, answer: ResponseTemplate) {
    server.reset().await;
    Mock::given(any()).respond_with(answer).mount(server).await;
}

#[tokio::test]
async fn ten_failures_in_a_row_open_it_and_a_probe_that_succeeds_closes_it() {
    let clock = Arc::new(TestClock::new());
    let pauses = Arc::new(KeptPauses::default());
    let (switchboard, meter) = switchboard_beside(pauses.clone(), clock.clone());
    let line = switchboard.line("stand-in", ONCE).unwrap();
    let state = || state(&pauses, &clock);
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
    let (pauses, clock) = (Arc::new(KeptPauses::default()), Arc::new(TestClock::new()));
    let (switchboard, _) = switchboard_beside(pauses.clone(), clock.clone());
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
    assert_eq!(state(&pauses, &clock), Circuit::Closed);
}

#[tokio::test]
async fn one_link_in_trouble_is_left_alone_and_the_others_are_not() {
    let (pauses, clock) = (Arc::new(KeptPauses::default()), Arc::new(TestClock::new()));
    let (switchboard, _) = switchboard_beside(pauses.clone(), clock.clone());
    let line = switchboard.line("stand-in", ONCE).unwrap();
    let (bad, good) = (answering(ResponseTemplate::new(500)).await, answering(ResponseTemplate::new(200)).await);
    let [ann, bob] = [1, 2].map(|id| LinkId(Uuid::from_u128(id)));
    for _ in 0..7 {
        errand::on_behalf_of(ann, get(&line, &bad.uri())).await.unwrap_err();
        errand::on_behalf_of(bob, get(&line, &good.uri())).await.unwrap();
    }
    assert_eq!((asked(&bad).await, asked(&good).await), (5, 7));
    assert_eq!(state(&pauses, &clock), Circuit::Closed);
    let of = |link| Pause::circuit(&pauses.of(Some(link)), clock.now());
    assert_eq!((of(ann), of(bob)), (Circuit::Open, Circuit::Closed));
    clock.pass(Span::seconds(30));
    assert_eq!(of(ann), Circuit::HalfOpen);
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
    let (pauses, clock) = (Arc::new(KeptPauses::default()), Arc::new(TestClock::new()));
    let (switchboard, _) = switchboard_beside(pauses.clone(), clock.clone());
    let line = switchboard.line("stand-in", Policy { reach: Reach::OutsideOrHere, ..ONCE }).unwrap();
    for port in 1..=20 {
        get(&line, &format!("http://127.0.0.1:{port}/claim")).await.unwrap_err();
    }
    assert_eq!(state(&pauses, &clock), Circuit::Closed);
    let server = answering(ResponseTemplate::new(500)).await;
    for link in 0..10 {
        errand::on_behalf_of(LinkId(Uuid::from_u128(link)), get(&line, &server.uri())).await.unwrap_err();
    }
    assert_eq!(state(&pauses, &clock), Circuit::Open, "what a link was given does");
}

/// Two processes that ask the same provider.
struct Two {
    pauses: Arc<KeptPauses>,
    clock: Arc<TestClock>,
    lines: [Line; 2],
    metrics: [Arc<Metrics>; 2],
}

impl Two {
    fn with(policy: Policy) -> Self {
        let (pauses, clock) = (Arc::new(KeptPauses::default()), Arc::new(TestClock::new()));
        let [(first, of_first), (second, of_second)] = [(); 2].map(|()| switchboard_beside(pauses.clone(), clock.clone()));
        let lines = [first, second].map(|switchboard| switchboard.line("stand-in", policy).unwrap());
        Self { pauses, clock, lines, metrics: [of_first, of_second] }
    }
}

#[tokio::test]
async fn what_one_process_found_out_the_others_need_not() {
    let two = Two::with(ONCE);
    let [first, second] = &two.lines;
    let server = answering(ResponseTemplate::new(503)).await;
    let ann = LinkId(Uuid::from_u128(1));
    for _ in 0..5 {
        errand::on_behalf_of(ann, get(first, &server.uri())).await.unwrap_err();
    }
    assert_eq!(errand::on_behalf_of(ann, get(second, &server.uri())).await.unwrap_err(), ProviderFault::Unavailable { retry_after: 30 });
    for _ in 0..5 {
        get(first, &server.uri()).await.unwrap_err();
    }
    // It listened a moment ago.
    assert_eq!(get(second, &server.uri()).await.unwrap_err(), ProviderFault::ServerError);
    two.clock.pass(Span::seconds(29));
    assert_eq!(get(first, &server.uri()).await.unwrap_err(), ProviderFault::Unavailable { retry_after: 1 });
    two.clock.pass(Span::seconds(31));
    get(first, &server.uri()).await.unwrap_err();
    assert_eq!((state(&two.pauses, &two.clock), asked(&server).await), (Circuit::Open, 12), "the probe failed");
    assert_eq!(get(second, &server.uri()).await.unwrap_err(), ProviderFault::Unavailable { retry_after: 60 }, "the other one heard of it");
    assert!(told(&two.metrics[1]).contains("dashtam_provider_left_alone{provider=\"stand-in\"} 1"));

    // Either may find out that it answers again, and closes it for both.
    now_answers(&server, ResponseTemplate::new(200)).await;
    two.clock.pass(Span::seconds(60));
    assert_eq!(state(&two.pauses, &two.clock), Circuit::HalfOpen);
    errand::on_behalf_of(ann, get(second, &server.uri())).await.unwrap();
    assert_eq!((state(&two.pauses, &two.clock), two.pauses.of(Some(ann))), (Circuit::Closed, Vec::new()));
    get(first, &server.uri()).await.unwrap();
    assert!(two.metrics.iter().all(|meter| told(meter).contains("dashtam_provider_left_alone{provider=\"stand-in\"} 0")));
}

#[tokio::test]
async fn a_process_that_starts_anew_goes_on_where_others_are() {
    let two = Two::with(ONCE);
    let [first, successor] = &two.lines;
    let server = answering(ResponseTemplate::new(500)).await;
    for _ in 0..10 {
        get(first, &server.uri()).await.unwrap_err();
    }
    assert_eq!(get(successor, &server.uri()).await.unwrap_err(), ProviderFault::Unavailable { retry_after: 30 });
    two.clock.pass(Span::seconds(30));
    get(successor, &server.uri()).await.unwrap_err();
    assert_eq!(get(successor, &server.uri()).await.unwrap_err(), ProviderFault::Unavailable { retry_after: 60 }, "the pause grows over restarts");
}

/// Others say nothing of a circuit that they were not told of.
#[tokio::test]
async fn what_others_were_not_told_of_is_not_undone_by_them() {
    let two = Two::with(ONCE);
    let [first, _] = &two.lines;
    let server = answering(ResponseTemplate::new(500)).await;
    two.pauses.are_gone.store(true, Ordering::SeqCst);
    for _ in 0..10 {
        get(first, &server.uri()).await.unwrap_err();
    }
    assert_eq!(state(&two.pauses, &two.clock), Circuit::Closed, "nobody could be told");
    two.pauses.are_gone.store(false, Ordering::SeqCst);
    two.clock.pass(Span::seconds(60));
    get(first, &server.uri()).await.unwrap_err();
    assert_eq!(get(first, &server.uri()).await.unwrap_err(), ProviderFault::Unavailable { retry_after: 60 });
    assert_eq!((state(&two.pauses, &two.clock), asked(&server).await), (Circuit::Open, 11));
}

#[tokio::test]
async fn a_pause_that_was_asked_for_is_kept_by_every_process() {
    let budget = Budget { at_once: 100, come_back: 100, within_minutes: 1 };
    let two = Two::with(Policy { for_everyone: Some(budget), ..ONCE });
    let [first, second] = &two.lines;
    let server = answering(ResponseTemplate::new(429).insert_header("retry-after", "90")).await;
    let tokens = async |line: &Line| ask(line, line.post(server.uri()).build().unwrap(), Asked::Tokens).await.unwrap_err();
    let rests = |seconds| ProviderFault::RateLimited { retry_after: Some(seconds) };
    assert_eq!(get(first, &server.uri()).await.unwrap_err(), rests(90));
    two.clock.pass(Span::seconds(10));
    assert_eq!(get(second, &server.uri()).await.unwrap_err(), rests(80));
    assert_eq!((asked(&server).await, state(&two.pauses, &two.clock)), (1, Circuit::Closed), "no failure");
    assert_eq!(Pause::end(&two.pauses.of(None), two.clock.now()), Some(two.clock.now().plus(Span::seconds(80))));
    // A code does not wait for data; data waits for tokens.
    assert_eq!((tokens(second).await, asked(&server).await), (rests(90), 2));
    two.clock.pass(Span::seconds(85));
    assert_eq!((get(first, &server.uri()).await.unwrap_err(), tokens(first).await, asked(&server).await), (rests(5), rests(5), 2));
    two.clock.pass(Span::seconds(5));
    assert_eq!(Pause::end(&two.pauses.of(None), two.clock.now()), None);
    get(first, &server.uri()).await.unwrap_err();
    assert_eq!(asked(&server).await, 3);
}
