//! What every bus keeps: the one of a process, the one over Redis, the one over PostgreSQL.

use std::{sync::Arc, time::Duration};

use dashtam::{
    application::ports::{EventBus, Heard, Randomness as _, Signals},
    domain::signal::Signal,
    infrastructure::{
        bus::{SharedBus, Wire},
        memory::bus::MemoryBus,
        redis::bus::RedisWire,
    },
};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::harness::{
    clock::TestRandomness,
    redis::{TestRedis, redis},
    stores::{TestStore, every_store},
};

use super::every_signal;

/// A bus that listens, and somebody who listens to it.
struct Listening {
    bus: Arc<dyn EventBus>,
    heard: Signals,
    _stop: DropGuard,
}

impl Listening {
    async fn to(bus: Arc<dyn EventBus>) -> Self {
        let (heard, stop, listening) = (bus.subscribe(), CancellationToken::new(), bus.clone());
        let stopped = stop.clone();
        tokio::spawn(async move { listening.listen(stopped).await });
        let mut begun = Self { bus, heard, _stop: stop.drop_guard() };
        assert_eq!(begun.next().await, Heard::Missed, "what went before was not heard");
        begun
    }

    /// Waits until the line has been tried out for the first time, and nothing was heard of it.
    async fn rests(&mut self) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(self.heard.next().now_or_never(), None, "a line that holds interrupts nobody");
    }

    async fn next(&mut self) -> Heard {
        timeout(Duration::from_secs(20), self.heard.next()).await.unwrap().unwrap()
    }

    /// What comes after the interruption it is in.
    async fn after_an_interruption(&mut self) {
        assert_eq!(self.next().await, Heard::Missed);
        while let Some(Some(heard)) = self.heard.next().now_or_never() {
            assert_eq!(heard, Heard::Missed);
        }
    }
}

/// What two processes share.
enum Way {
    Redis(TestRedis),
    Notify(TestStore),
}

impl Way {
    async fn every() -> Vec<Self> {
        let stores = every_store().await.into_iter().filter(TestStore::is_postgres).map(Self::Notify);
        redis().await.map(Self::Redis).into_iter().chain(stores).collect()
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Redis(_) => "Redis",
            Self::Notify(_) => "PostgreSQL",
        }
    }

    /// The bus of another process.
    fn bus(&self) -> Arc<dyn EventBus> {
        match self {
            Self::Redis(redis) => Arc::new(SharedBus::new(RedisWire::new(Arc::new(redis.reach())), TestRandomness.id())),
            Self::Notify(store) => Arc::new(SharedBus::new(store.database.wire().unwrap(), TestRandomness.id())),
        }
    }

    async fn send(&self, message: &str) {
        match self {
            Self::Redis(redis) => RedisWire::new(Arc::new(redis.reach())).send(message).await.unwrap(),
            Self::Notify(store) => store.database.wire().unwrap().send(message).await.unwrap(),
        }
    }

    /// Breaks every connection that listens.
    async fn interrupt(&self) {
        match self {
            Self::Redis(redis) => {
                redis.cut().await;
                redis.restore().await;
            }
            Self::Notify(store) => {
                let listeners = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'";
                assert_eq!(store.query(listeners).await.len(), 2);
            }
        }
    }
}

#[tokio::test]
async fn what_a_process_gives_its_own_listeners_hear_at_once_whatever_the_way_out() {
    let mut buses: Vec<Arc<dyn EventBus>> = vec![Arc::new(MemoryBus::new())];
    let ways = Way::every().await;
    buses.extend(ways.iter().map(Way::bus));
    if let Some(gone) = redis().await {
        gone.cut().await;
        buses.push(Arc::new(SharedBus::new(RedisWire::new(Arc::new(gone.reach())), TestRandomness.id())));
    }
    for bus in buses {
        let (mut one, mut two) = (bus.subscribe(), bus.subscribe());
        for signal in every_signal() {
            bus.publish(signal);
            for listener in [&mut one, &mut two] {
                assert_eq!(listener.next().now_or_never(), Some(Some(Heard::Signal { signal, is_ours: true })));
            }
        }
        assert!(one.next().now_or_never().is_none());
        bus.settle().await;
    }
}

#[tokio::test]
async fn a_listener_that_is_too_slow_hears_that_it_missed_something_and_goes_on() {
    let mut buses: Vec<Arc<dyn EventBus>> = vec![Arc::new(MemoryBus::new())];
    let ways = Way::every().await;
    buses.extend(ways.iter().map(Way::bus));
    for bus in buses {
        let mut slow = bus.subscribe();
        for _ in 0..5000 {
            bus.publish(Signal::EveryoneChanged);
        }
        assert_eq!(slow.next().await, Some(Heard::Missed));
        let mut behind = 0;
        while let Some(Some(heard)) = slow.next().now_or_never() {
            assert_eq!(heard, Heard::Signal { signal: Signal::EveryoneChanged, is_ours: true });
            behind += 1;
        }
        assert!((1..5000).contains(&behind), "what waits for a listener is bounded: {behind}");
    }
}

#[tokio::test]
async fn processes_hear_each_other_and_nobody_hears_their_own_twice() {
    for way in Way::every().await {
        let (mut one, mut two) = (Listening::to(way.bus()).await, Listening::to(way.bus()).await);
        one.rests().await;
        two.rests().await;
        for signal in every_signal() {
            one.bus.publish(signal);
            assert_eq!(two.next().await, Heard::Signal { signal, is_ours: false }, "{}", way.name());
            assert_eq!(one.next().await, Heard::Signal { signal, is_ours: true }, "{}", way.name());
        }
        // What the other gives comes after everything one gave itself, had it come back.
        two.bus.publish(Signal::EveryoneChanged);
        assert_eq!(one.next().await, Heard::Signal { signal: Signal::EveryoneChanged, is_ours: false });
        assert_eq!(one.bus.lost() + two.bus.lost(), 0);
    }
}

#[tokio::test]
async fn what_a_version_does_not_know_is_left_alone() {
    for way in Way::every().await {
        let (mut one, two) = (Listening::to(way.bus()).await, way.bus());
        for message in ["", "x", "x 1 later_thing", "x 9 everyone_changed", "1 everyone_changed", "äöü \u{1F4B6}"] {
            way.send(message).await;
        }
        two.publish(Signal::EveryoneChanged);
        assert_eq!(one.next().await, Heard::Signal { signal: Signal::EveryoneChanged, is_ours: false }, "{}", way.name());
    }
}

#[tokio::test]
async fn after_an_interruption_everybody_is_told_and_hears_again() {
    for way in Way::every().await {
        let (mut one, mut two) = (Listening::to(way.bus()).await, Listening::to(way.bus()).await);
        way.interrupt().await;
        one.after_an_interruption().await;
        two.after_an_interruption().await;
        // The line it gives signals through may have been cut as well; a signal is given again until it gets through.
        let heard = async {
            loop {
                one.bus.publish(Signal::EveryoneChanged);
                if let Ok(Some(Heard::Signal { is_ours: false, .. })) = timeout(Duration::from_millis(100), two.heard.next()).await {
                    return;
                }
            }
        };
        timeout(Duration::from_secs(20), heard).await.unwrap();
    }
}

#[tokio::test]
async fn giving_a_signal_never_waits_and_what_is_lost_is_counted() {
    let Some(redis) = redis().await else { return };
    redis.silence().await;
    let bus = SharedBus::new(RedisWire::new(Arc::new(redis.reach())), TestRandomness.id());
    let began = Instant::now();
    for _ in 0..2000 {
        bus.publish(Signal::EveryoneChanged);
    }
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    assert!(bus.lost() >= 1000, "more than may be on their way are lost at once: {}", bus.lost());
    bus.settle().await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(bus.lost(), 2000);
}

#[tokio::test]
async fn a_process_that_is_about_to_end_has_told_the_others() {
    for way in Way::every().await {
        let mut one = Listening::to(way.bus()).await;
        let command = way.bus();
        command.publish(Signal::EveryoneChanged);
        command.settle().await;
        drop(command);
        assert_eq!(one.next().await, Heard::Signal { signal: Signal::EveryoneChanged, is_ours: false }, "{}", way.name());
    }
}
