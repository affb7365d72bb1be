//! What a provider bears is counted before anything is sent.

use chrono::Duration as Span;
use dashtam::{
    application::{
        errand,
        ports::{Lines as _, RateLimiter},
    },
    domain::{
        id::LinkId,
        rate_limit::{Budget, Subject},
    },
    infrastructure::memory::rate_limit::MemoryBuckets,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::{repeating::told, *};
use crate::harness::lines::switchboard;

/// Three at once, and one comes back every six hours.
const FEW: Budget = Budget { at_once: 3, come_back: 4, within_minutes: 1440 };

#[tokio::test]
async fn an_exhausted_budget_refuses_before_anything_is_sent_and_says_how_long() {
    let clock = Arc::new(TestClock::new());
    let (switchboard, meter) = switchboard(clock.clone());
    let line = switchboard.line("stand-in", Policy { for_each_link: Some(FEW), ..QUICK }).unwrap();
    let server = answering(ResponseTemplate::new(200)).await;
    let [ann, bob] = [1, 2].map(|id| LinkId(Uuid::from_u128(id)));
    let address = server.uri();
    let ask_for = |link| errand::on_behalf_of(link, get(&line, &address));
    for remaining in [2, 1, 0] {
        ask_for(ann).await.unwrap();
        let left = switchboard.requests_left("stand-in", ann).await.unwrap();
        assert_eq!((left.limit, left.remaining), (3, remaining));
    }
    let wait = 6 * 3600;
    assert_eq!(ask_for(ann).await.unwrap_err(), ProviderFault::RateLimited { retry_after: Some(wait) });
    assert_eq!(switchboard.requests_left("stand-in", ann).await.unwrap().full_in, 3 * wait);
    assert_eq!((asked(&server).await, switchboard.requests_left("stand-in", bob).await.unwrap().remaining), (3, 3));
    ask_for(bob).await.unwrap();
    assert!(told(&meter).contains("outcome=\"out_of_budget\"} 1"));
    clock.pass(Span::seconds(i64::from(wait) - 200));
    ask_for(ann).await.unwrap_err();
    clock.pass(Span::seconds(200));
    ask_for(ann).await.unwrap();
    assert_eq!(asked(&server).await, 5);
    assert_eq!(switchboard.requests_left("another", ann).await, None);
}

#[tokio::test]
async fn tokens_are_not_refused_for_what_everybody_else_asks() {
    let line = line(Policy { for_everyone: Some(FEW), ..QUICK }, Arc::new(TestClock::new()));
    let server = answering(ResponseTemplate::new(200)).await;
    let address = server.uri();
    let tokens = async || {
        dashtam::infrastructure::providers::http::ask(&line, line.post(&address).build().unwrap(), dashtam::infrastructure::providers::http::Asked::Tokens)
            .await
    };
    tokens().await.unwrap();
    for _ in 0..2 {
        errand::on_behalf_of(LinkId(Uuid::from_u128(1)), get(&line, &address)).await.unwrap();
    }
    get(&line, &address).await.unwrap_err();
    // Whoever comes back from the bank has a code that lives for seconds.
    tokens().await.unwrap();
    assert_eq!(asked(&server).await, 4);
}

#[tokio::test]
async fn a_budget_of_everyone_counts_every_link_and_every_try() {
    let clock = Arc::new(TestClock::new());
    let line = line(Policy { for_everyone: Some(FEW), ..QUICK }, clock);
    let server = answering(ResponseTemplate::new(500)).await;
    let fault = errand::on_behalf_of(LinkId(Uuid::from_u128(1)), get(&line, &server.uri())).await;
    assert_eq!((fault.unwrap_err(), asked(&server).await), (ProviderFault::ServerError, 3));
    let fault = errand::on_behalf_of(LinkId(Uuid::from_u128(2)), get(&line, &server.uri())).await;
    assert!(matches!(fault, Err(ProviderFault::RateLimited { retry_after: Some(_) })), "{fault:?}");
    assert_eq!(asked(&server).await, 3);
}

#[tokio::test]
async fn a_sync_waits_for_its_turn_and_a_person_does_not_wait_long() {
    let clock = Arc::new(TestClock::new());
    // Two at once, and one a second.
    let line = line(Policy { for_everyone: Some(Budget { at_once: 2, come_back: 60, within_minutes: 1 }), ..QUICK }, clock.clone());
    let server = answering(ResponseTemplate::new(200)).await;
    let address = server.uri();
    let passing = async {
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            clock.pass(Span::milliseconds(500));
        }
    };
    let reading = errand::on_behalf_of(LinkId(Uuid::from_u128(1)), async {
        for _ in 0..4 {
            get(&line, &address).await.unwrap();
        }
    });
    tokio::select! {
        () = passing => {}
        () = reading => {}
    }
    assert_eq!(asked(&server).await, 4);
    let brief = Policy { for_everyone: Some(Budget { at_once: 1, come_back: 60, within_minutes: 1 }), patience: std::time::Duration::ZERO, ..QUICK };
    let line = crate::harness::lines::line(brief, Arc::new(TestClock::new()));
    get(&line, &address).await.unwrap();
    assert_eq!(get(&line, &address).await.unwrap_err(), ProviderFault::RateLimited { retry_after: Some(1) });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However requests are spread: within any such time there are never more than both numbers together, and after a whole one all are back.
    #[test]
    fn a_budget_is_never_exceeded(at_once in 1_u32..30, come_back in 1_u32..200, within_minutes in 1_u32..1500, gaps in prop::collection::vec(0_i64..100_000, 1..300)) {
        let budget = Budget { at_once, come_back, within_minutes };
        let clock = Arc::new(TestClock::new());
        let buckets = MemoryBuckets::new(clock.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut admitted: Vec<i64> = Vec::new();
        let (mut now, window) = (0, i64::from(within_minutes) * 60_000);
        for gap in gaps {
            now += gap;
            clock.pass(Span::milliseconds(gap));
            if runtime.block_on(buckets.charge(&[budget.charge(Subject::Provider("stand-in"), 1)])).admitted {
                admitted.push(now);
                let lately = admitted.iter().filter(|at| now - **at < window).count();
                prop_assert!(lately <= (at_once + come_back) as usize, "{lately} within {within_minutes} minutes");
            }
        }
        clock.pass(Span::milliseconds(window * i64::from(at_once.div_ceil(come_back))));
        let standing = runtime.block_on(buckets.charge(&[budget.charge(Subject::Provider("stand-in"), 0)])).standings[0];
        prop_assert_eq!(budget.left(standing).remaining, at_once);
    }
}
