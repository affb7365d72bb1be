//! Running servers take new keys up: the files are read once a second, and whenever somebody asks for it.
//!
//! A new key is accepted at once and used some time later, when every other process has had the time to see it: otherwise a token
//! signed here would be refused there, and what was sealed here would not open there.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    key_places::KeyPlaces,
    keys::{Keys, KeysInForce},
};

/// How often the files are looked at.
const PACE: Duration = Duration::from_secs(1);

/// Watches over the places of keys.
pub struct KeyWatch {
    places: KeyPlaces,
    keys: KeysInForce,
    wait: Duration,
    /// What was read last, good or not.
    seen: [u8; 32],
    /// Whether the files could not be read when they were looked at last.
    is_blind: bool,
    /// What is used next, and when.
    next: Option<(Instant, Keys)>,
    hangups: Option<Signal>,
}

impl KeyWatch {
    /// The keys of these places, in force from now on. New ones wait for `wait`.
    pub fn begin(places: KeyPlaces, wait: Duration) -> anyhow::Result<Self> {
        let written = places.written()?;
        let keys = KeysInForce::new(written.keys()?);
        Ok(Self { seen: written.digest(), places, keys, wait, is_blind: false, next: None, hangups: None })
    }

    /// What is in force.
    pub fn keys(&self) -> KeysInForce {
        self.keys.clone()
    }

    /// Looks at the files on SIGHUP as well, which ends a process otherwise.
    pub fn look_on_hangup(&mut self) -> anyhow::Result<()> {
        self.hangups = Some(signal(SignalKind::hangup())?);
        Ok(())
    }

    /// Looks until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut hangups = self.hangups.take();
            let hangup = async {
                match &mut hangups {
                    Some(hangups) => hangups.recv().await.map(drop),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                _ = pace.tick(), if self.places.are_in_files() => {}
                _ = hangup => tracing::info!(in_files = self.places.are_in_files(), "asked to look at the keys"),
            }
            self.hangups = hangups;
            // Reading files blocks.
            match tokio::task::spawn_blocking(move || {
                self.look(Instant::now());
                self
            })
            .await
            {
                Ok(watch) => self = watch,
                Err(failure) => {
                    tracing::error!(error = %failure, "keys are not watched any more; a restart watches them again");
                    return stop.cancelled().await;
                }
            }
        }
    }

    /// Looks once. What cannot be read or used leaves the keys as they are.
    pub fn look(&mut self, now: Instant) {
        match self.places.written() {
            Ok(written) => {
                self.is_blind = false;
                let digest = written.digest();
                if digest != self.seen {
                    self.seen = digest;
                    match written.keys() {
                        Ok(keys) => self.accept(keys, now),
                        Err(refusal) => {
                            tracing::error!(error = %format!("{refusal:#}"), "the key files hold no keys that can be used; the keys stay as they are");
                        }
                    }
                }
            }
            Err(failure) if !self.is_blind => {
                self.is_blind = true;
                tracing::error!(error = %format!("{failure:#}"), "the key files cannot be read; the keys stay as they are");
            }
            Err(_) => {}
        }
        if let Some((_, keys)) = self.next.take_if(|(due, _)| *due <= now) {
            self.adopt(keys, "new keys are used");
        }
    }

    fn accept(&mut self, keys: Keys, now: Instant) {
        if let Some(waiting) = keys.waiting_behind(&self.keys.now()) {
            self.next = Some((now + self.wait, keys));
            self.adopt(waiting, "new keys are accepted, and used later");
        } else {
            self.next = None;
            self.adopt(keys, "other keys are used");
        }
    }

    fn adopt(&self, keys: Keys, what: &'static str) {
        let (ring, tokens) = (keys.ring_ids().join(","), keys.token_ids().join(","));
        match self.keys.adopt(keys) {
            Ok(()) => tracing::info!(ring, tokens, "{what}"),
            Err(failure) => tracing::error!(error = ?failure, "nothing could be derived from new keys; the keys stay as they are"),
        }
    }
}
