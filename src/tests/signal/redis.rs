//! Redis itself: how it is reached, what is said of it, and what never is.

use std::time::Duration;

use dashtam::infrastructure::redis::Redis;
use tokio::time::Instant;

use crate::harness::{log::Log, redis::redis};

#[tokio::test]
async fn a_redis_that_is_away_is_said_once_and_its_password_never() {
    let log = Log::capture();
    // Nothing listens on port 1.
    let away = Redis::new("redis://ann:canary@127.0.0.1:1/0", "test").unwrap();
    for _ in 0..5 {
        let failure = away.ping().await.unwrap_err();
        assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
    }
    let text = log.text();
    assert_eq!(text.matches("Redis does not answer").count(), 1, "{text}");
    assert!(!text.contains("canary"), "{text}");
    let unreadable = Redis::new("redis://:canary@[", "test").err().unwrap();
    assert!(!format!("{unreadable:?}").contains("canary"), "{unreadable:?}");
}

#[tokio::test]
async fn a_redis_that_is_silent_holds_nobody_up_for_longer_than_a_moment() {
    let Some(redis) = redis().await else { return };
    let reached = redis.reach();
    reached.ping().await.unwrap();
    assert!(reached.version().await.unwrap().split('.').count() >= 2);
    redis.silence().await;
    let began = Instant::now();
    for _ in 0..200 {
        assert!(reached.version().await.is_err());
    }
    assert!(began.elapsed() < Duration::from_secs(2), "it is not asked again for a second: {:?}", began.elapsed());
    redis.restore().await;
    reached.ping().await.unwrap();
}

#[tokio::test]
async fn many_who_come_first_wait_for_the_one_connection() {
    let Some(redis) = redis().await else { return };
    let reached = redis.reach();
    let answers = futures_util::future::join_all((0..200).map(|_| reached.version())).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}
