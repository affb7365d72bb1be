//! What both kinds of buckets keep: those of a process and those in Redis.

use std::{net::IpAddr, sync::Arc, time::Duration};

use dashtam::{
    application::ports::RateLimiter,
    domain::rate_limit::{Charge, Limit, Subject, Verdict},
    infrastructure::{memory::rate_limit::MemoryBuckets, rate_limit::Limiter, redis::rate_limit::RedisBuckets},
};
use futures_util::future::join_all;

use crate::harness::{
    clock::TestClock,
    redis::{TestRedis, redis},
};

use super::charge;

/// Buckets, and how time passes for them.
enum Buckets {
    Memory(MemoryBuckets, Arc<TestClock>),
    Redis { buckets: RedisBuckets, _line: TestRedis },
}

impl Buckets {
    async fn every() -> Vec<Self> {
        let clock = Arc::new(TestClock::new());
        let mut every = vec![Self::Memory(MemoryBuckets::new(clock.clone()), clock)];
        every.extend(redis().await.map(|redis| Self::Redis { buckets: RedisBuckets::new(Arc::new(redis.reach())), _line: redis }));
        every
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Memory(..) => "memory",
            Self::Redis { .. } => "Redis",
        }
    }

    async fn charge(&self, charges: &[Charge]) -> Verdict {
        match self {
            Self::Memory(buckets, _) => buckets.charge(charges).await,
            Self::Redis { buckets, .. } => buckets.charge(charges).await.unwrap(),
        }
    }

    async fn give_back(&self, charges: &[Charge]) {
        match self {
            Self::Memory(buckets, _) => buckets.give_back(charges).await,
            Self::Redis { buckets, .. } => buckets.give_back(charges).await.unwrap(),
        }
    }

    async fn pass(&self, milliseconds: u32) {
        match self {
            Self::Memory(_, clock) => clock.pass(chrono::Duration::milliseconds(milliseconds.into())),
            Self::Redis { .. } => tokio::time::sleep(Duration::from_millis(milliseconds.into())).await,
        }
    }
}

fn remaining(verdict: &Verdict) -> Vec<u32> {
    verdict.standings.iter().map(|standing| standing.remaining).collect()
}

#[tokio::test]
async fn a_bucket_gives_what_it_holds_and_then_refuses_and_takes_nothing() {
    for buckets in Buckets::every().await {
        let one = charge(Limit::SignIn, "5/1", 1);
        for left in (0..5).rev() {
            let verdict = buckets.charge(std::slice::from_ref(&one)).await;
            assert_eq!((verdict.admitted, remaining(&verdict)), (true, vec![left]), "{}", buckets.name());
        }
        for _ in 0..3 {
            let verdict = buckets.charge(std::slice::from_ref(&one)).await;
            assert_eq!((verdict.admitted, remaining(&verdict)), (false, vec![0]), "{}", buckets.name());
            let refusal = verdict.refusal().unwrap();
            assert!((58..=60).contains(&refusal.enough_in) && (297..=300).contains(&refusal.full_in), "{}: {refusal:?}", buckets.name());
        }
        let another = charge(Limit::SignIn, "5/1", 5);
        assert!(buckets.charge(std::slice::from_ref(&another)).await.admitted, "somebody else's bucket is full");
        let another_limit = Charge { limit: Limit::Write, ..one };
        assert!(buckets.charge(&[another_limit]).await.admitted, "another limit has a bucket of its own");
    }
}

#[tokio::test]
async fn several_are_charged_all_or_nothing() {
    for buckets in Buckets::every().await {
        let (wide, narrow) = (charge(Limit::Write, "50/1", 10), charge(Limit::Link, "5/1", 3));
        let both = [wide.clone(), narrow.clone()];
        assert_eq!(remaining(&buckets.charge(&both).await), [40, 2], "{}", buckets.name());
        let refused = buckets.charge(&both).await;
        assert_eq!((refused.admitted, remaining(&refused)), (false, vec![40, 2]), "{}: nothing was taken of either", buckets.name());
        assert_eq!(refused.refusal().unwrap().limit, Limit::Link);
        assert_eq!(remaining(&buckets.charge(&[wide]).await), [30]);
    }
}

#[tokio::test]
async fn what_is_given_back_can_be_taken_and_never_more_than_there_is_room_for() {
    for buckets in Buckets::every().await {
        let all = charge(Limit::Query, "5000/1", 5000);
        assert!(buckets.charge(std::slice::from_ref(&all)).await.admitted);
        let some = Charge { cost: 700, ..all.clone() };
        buckets.give_back(std::slice::from_ref(&some)).await;
        assert_eq!(remaining(&buckets.charge(std::slice::from_ref(&some)).await), [0], "{}", buckets.name());
        for _ in 0..2 {
            buckets.give_back(std::slice::from_ref(&all)).await;
        }
        assert!(buckets.charge(std::slice::from_ref(&all)).await.admitted);
        assert!(!buckets.charge(std::slice::from_ref(&all)).await.admitted, "{}", buckets.name());
    }
}

#[tokio::test]
async fn time_brings_tokens_back() {
    for buckets in Buckets::every().await {
        // Ten a second.
        let all = charge(Limit::Write, "5/600", 5);
        assert!(buckets.charge(std::slice::from_ref(&all)).await.admitted);
        buckets.pass(50).await;
        assert!(!buckets.charge(std::slice::from_ref(&all)).await.admitted, "{}", buckets.name());
        buckets.pass(460).await;
        assert!(buckets.charge(std::slice::from_ref(&all)).await.admitted, "{}", buckets.name());
        buckets.pass(5000).await;
        assert!(!buckets.charge(&[Charge { cost: 6, ..all }]).await.admitted, "{}: never more than its capacity", buckets.name());
    }
}

#[tokio::test]
async fn in_redis_no_key_shows_whose_it_is_and_each_goes_by_itself() {
    let Some(redis) = redis().await else { return };
    let buckets = RedisBuckets::new(Arc::new(redis.reach()));
    let subject = Subject::network("203.0.113.77".parse::<IpAddr>().unwrap());
    let of_network = Charge { subject, ..charge(Limit::SignIn, "5/600", 1) };
    let of_user = charge(Limit::Query, "5000/5000", 5000);
    let Subject::User(user) = of_user.subject else { panic!() };
    buckets.charge(&[of_network, of_user]).await.unwrap();
    let mut raw = ::redis::Client::open(std::env::var("TEST_REDIS_URL").unwrap()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = ::redis::cmd("KEYS").arg(format!("{}:*", redis.prefix)).query_async(&mut raw).await.unwrap();
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in &keys {
        assert!(!key.contains("203.0.113") && !key.contains(&user.0.to_string()) && !key.contains(&user.0.simple().to_string()), "{key}");
        let ttl: i64 = ::redis::cmd("PTTL").arg(key).query_async(&mut raw).await.unwrap();
        assert!((1..=61_000).contains(&ttl), "{key}: {ttl}");
    }
    tokio::time::sleep(Duration::from_millis(1300)).await;
    let keys: Vec<String> = ::redis::cmd("KEYS").arg(format!("{}:limits:sign_in:*", redis.prefix)).query_async(&mut raw).await.unwrap();
    assert!(keys.is_empty(), "a bucket that is full again is no key: {keys:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_ten_thousand_at_once_over_two_processes_exactly_as_many_get_through_as_there_are() {
    let Some(redis) = redis().await else { return };
    let clock = Arc::new(TestClock::new());
    let processes: Vec<Arc<Limiter>> = (0..2).map(|_| Arc::new(Limiter::new(Some(Arc::new(redis.reach())), clock.clone()))).collect();
    let one = charge(Limit::Write, "3000/1", 1);
    let asked = (0..10_000).map(|at| {
        let (limiter, one) = (processes[at % 2].clone(), one.clone());
        tokio::spawn(async move { limiter.charge(&[one]).await.admitted })
    });
    let admitted = join_all(asked).await.into_iter().filter(|admitted| *admitted.as_ref().unwrap()).count();
    // One comes back a minute.
    assert!((3000..=3001).contains(&admitted), "{admitted}");
}

#[tokio::test]
async fn without_redis_each_process_counts_for_itself_and_limits_are_never_off() {
    let Some(redis) = redis().await else { return };
    let clock = Arc::new(TestClock::new());
    let limiter = Limiter::new(Some(Arc::new(redis.reach())), clock.clone());
    let one = charge(Limit::SignIn, "5/1", 1);
    for way_of_going in 0..2 {
        if way_of_going == 0 {
            redis.cut().await;
        } else {
            redis.silence().await;
        }
        let mut admitted = 0;
        for _ in 0..20 {
            admitted += u32::from(limiter.charge(std::slice::from_ref(&one)).await.admitted);
        }
        assert_eq!(admitted, if way_of_going == 0 { 5 } else { 0 });
    }
    redis.restore().await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(limiter.charge(std::slice::from_ref(&one)).await.admitted, "in Redis its bucket is full");
}

#[tokio::test]
async fn when_there_is_no_room_for_more_buckets_newcomers_share_one() {
    let clock = Arc::new(TestClock::new());
    let buckets = MemoryBuckets::new(clock.clone());
    for _ in 0..100_000 {
        assert!(buckets.charge(&[charge(Limit::Register, "1/1", 1)]).await.admitted);
    }
    let newcomers = join_all((0..100).map(|_| async { buckets.charge(&[charge(Limit::Register, "1/1", 1)]).await.admitted })).await;
    assert_eq!(newcomers.into_iter().filter(|admitted| *admitted).count(), 1, "limits are never off");
    clock.pass(chrono::Duration::seconds(61));
    for _ in 0..10 {
        assert!(buckets.charge(&[charge(Limit::Register, "1/1", 1)]).await.admitted, "full buckets make room");
    }
}

#[test]
fn an_ipv4_address_counts_for_itself_and_an_ipv6_address_with_its_network() {
    let of = |address: &str| Subject::network(address.parse().unwrap());
    assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
}
