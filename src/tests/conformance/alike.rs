use axum::http::Method;

use super::{stand_in::Mood, *};
use crate::harness::log::Log;

#[tokio::test]
async fn everything_is_read_to_the_end() {
    for adapter in adapters().await {
        let read = adapter.read().await.unwrap();
        assert_eq!((read.accounts, read.rows, read.refused), (1, 1, 0), "{}", adapter.name);
    }
}

#[tokio::test]
async fn each_failure_has_its_name_and_only_what_is_safe_is_asked_again() {
    for (status, fault, is_repeated) in [
        (302, ProviderFault::Malformed, false),
        (401, ProviderFault::Refused, false),
        (403, ProviderFault::Refused, false),
        (404, ProviderFault::Malformed, false),
        (408, ProviderFault::Unreachable, true),
        (429, ProviderFault::RateLimited { retry_after: None }, false),
        (500, ProviderFault::ServerError, true),
        (502, ProviderFault::ServerError, true),
        (503, ProviderFault::ServerError, true),
    ] {
        for adapter in adapters().await {
            adapter.stand_in.is(Mood::Status(status));
            assert_eq!(adapter.read().await.err(), Some(fault), "{} and {status}", adapter.name);
            let asked = adapter.stand_in.asked();
            assert!(asked.iter().all(|(method, _)| *method == Method::GET), "{}: {asked:?}", adapter.name);
            let first = asked.iter().filter(|(_, path)| *path == asked[0].1).count();
            // A key that is refused is tried at the other of two addresses, which here are one.
            let most = if is_repeated { 3 } else { 2 };
            assert!(first <= most && (first == 3) == is_repeated, "{} and {status}: {asked:?}", adapter.name);
        }
    }
}

/// Servers that keep lists by reference write `null` for one that nothing was ever put into.
#[tokio::test]
async fn null_says_what_an_empty_list_says() {
    for adapter in adapters().await {
        let said = adapter.read_all().await;
        adapter.stand_in.is(Mood::Instead("[]", "null"));
        assert_eq!(adapter.read_all().await, said, "{}", adapter.name);
    }
}

/// Whatever an answer is spoilt by, it is read as far as it goes or named as a fault, and never taken for a refusal: that would end the link.
#[tokio::test]
async fn no_answer_makes_it_panic() {
    for adapter in adapters().await {
        let mut faults = 0;
        for number in 0..400 {
            adapter.stand_in.is(Mood::Spoilt(number));
            match adapter.read().await {
                Ok(_) => {}
                Err(ProviderFault::Malformed | ProviderFault::Incomplete) => faults += 1,
                Err(other) => panic!("{} and {number}: {other:?}", adapter.name),
            }
        }
        assert!(faults > 100, "{}: only {faults} were noticed", adapter.name);
    }
}

#[tokio::test]
async fn neither_credentials_nor_numbers_nor_names_reach_the_log() {
    let log = Log::capture();
    for adapter in adapters().await {
        for mood in [Mood::Well, Mood::Status(403), Mood::Status(500), Mood::Spoilt(0), Mood::Spoilt(5), Mood::Spoilt(10), Mood::Spoilt(15)] {
            adapter.stand_in.is(mood);
            let is_read = adapter.read().await.is_ok();
            // What is spoilt may be left out or refused, as the tests above have it.
            assert!(is_read == matches!(mood, Mood::Well) || matches!(mood, Mood::Spoilt(_)), "{}", adapter.name);
        }
    }
    let text = log.text();
    assert!(text.contains("a provider did not answer as asked"), "the search finds what is logged");
    for secret in ["canary", "Canary", "CANARY", "4111111111111111"] {
        let told: Vec<_> = text.lines().filter(|line| line.contains(secret)).collect();
        assert_eq!(told, [""; 0], "{secret}");
    }
}
