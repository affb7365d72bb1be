//! Sign-in under attack: how failures are counted, and when signing in with a password is paused.
//!
//! Five failures within fifteen minutes pause it for fifteen minutes. A network the account signed in from within thirty days has a
//! counter of its own, so that a stranger who guesses cannot lock its owner out. Pure.

use std::net::IpAddr;

use async_trait::async_trait;
use chrono::Duration;

use super::{id::UserId, time::Timestamp, user::User};

/// How many failures pause signing in.
pub const MAX_FAILURES: u32 = 5;

/// Within how many minutes they count together, and how long the pause lasts.
pub const WINDOW_MINUTES: i64 = 15;

/// How many days a network stays known after a sign-in from it.
pub const KNOWN_NETWORK_DAYS: i64 = 30;

/// The part of an address that one household or company has: /24 of IPv4, /64 of IPv6.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Network(String);

impl Network {
    /// The network of an address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                format!("{a}.{b}.{c}.0/24")
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        })
    }

    /// The network of an address as text; `None` when it is none.
    pub fn of_text(address: &str) -> Option<Self> {
        address.parse().ok().map(Self::of)
    }

    /// As stored.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// In CIDR notation.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Failures to sign in as one user, from one known network or from everywhere else together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInCounter {
    /// Whose account it is.
    pub user: UserId,
    /// The known network; `None` for everywhere else.
    pub network: Option<Network>,
    /// Failures since the window began.
    pub failures: u32,
    /// When the first of them was.
    pub window_began_at: Timestamp,
    /// Until when signing in is paused.
    pub paused_until: Option<Timestamp>,
}

impl SignInCounter {
    /// Nothing has failed yet.
    pub fn new(user: UserId, network: Option<Network>, now: Timestamp) -> Self {
        Self { user, network, failures: 0, window_began_at: now, paused_until: None }
    }

    /// Whether no password is compared now.
    pub fn is_paused(&self, now: Timestamp) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }

    /// Counts a failure; answers whether signing in is paused because of it. After a pause, and after a quiet window, counting begins anew.
    pub fn fail(&mut self, now: Timestamp) -> bool {
        let window = Duration::minutes(WINDOW_MINUTES);
        if self.failures == 0 || self.paused_until.is_some_and(|until| until <= now) || now.since(self.window_began_at) >= window {
            (self.failures, self.window_began_at, self.paused_until) = (0, now, None);
        }
        self.failures += 1;
        if self.failures >= MAX_FAILURES && self.paused_until.is_none() {
            self.paused_until = Some(now.plus(window));
            return true;
        }
        false
    }
}

/// Counters, inside a unit of work.
#[async_trait]
pub trait SignIns: Send {
    /// Waits until no other unit of work decides about a password or a sign-in of this user, keeps others waiting until this one ends, and
    /// answers the user as they are by then.
    async fn take_turn(&mut self, user: UserId) -> anyhow::Result<Option<User>>;
    /// What is counted for a user and a network.
    async fn counter(&mut self, user: UserId, network: Option<&Network>) -> anyhow::Result<Option<SignInCounter>>;
    /// Stores a counter.
    async fn save(&mut self, counter: &SignInCounter) -> anyhow::Result<()>;
    /// Forgets a user's failures: those of one counter, or all.
    async fn clear(&mut self, user: UserId, which: Which<'_>) -> anyhow::Result<()>;
}

/// Which of a user's counters.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// That of one network, or of everywhere else.
    One(Option<&'a Network>),
    /// All of them.
    All,
}

/// Counters and known networks, before a transaction is opened.
#[async_trait]
pub trait SignInReader: Send + Sync {
    /// Whether a user signed in from this network since an instant.
    async fn knows_network(&self, user: UserId, network: &Network, since: Timestamp) -> anyhow::Result<bool>;
    /// What is counted for a user and a network.
    async fn counter(&self, user: UserId, network: Option<&Network>) -> anyhow::Result<Option<SignInCounter>>;
}
