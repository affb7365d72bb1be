//! Rate limits: what is limited, by how much, and the arithmetic of a bucket.
//!
//! A bucket holds tokens up to its capacity and is refilled evenly. What costs more than it holds is refused and takes nothing. Levels are
//! whole numbers of sixty-thousandths of a token, so that a refill of one token a minute is one unit a millisecond: nothing is rounded, in
//! Rust and in Redis alike. Pure.

use std::net::{IpAddr, Ipv6Addr};

use super::{
    id::{LinkId, SessionId, UserId},
    transaction::words,
};

/// Units in a token: what one token a minute refills in a minute's milliseconds.
pub const UNITS: i64 = 60_000;

/// The largest capacity and refill, so that no sum here overflows, nor is inexact where numbers are doubles.
pub const MOST: u32 = 1_000_000;

words! {
    /// What is limited.
    Limit {
        /// Signing in, by address.
        SignIn = "sign_in",
        /// Registering, by address.
        Register = "register",
        /// Asking for mails that confirm or reset, by address.
        Mail = "mail",
        /// Renewing tokens, by session; by address when the token is of none.
        Refresh = "refresh",
        /// Linking, by user.
        Link = "link",
        /// Asking for a sync, by user and provider.
        Sync = "sync",
        /// Points of what documents cost, by user; by address when nobody is signed in.
        Query = "query",
        /// Everything that changes something, by user; by address when nobody is signed in.
        Write = "write",
        /// Subscribing, by user.
        Subscription = "subscription",
        /// Asking a provider, by link or for everyone together: as much as that provider bears.
        Requests = "requests",
    }
}

/// How much of something there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// How much at once.
    pub capacity: u32,
    /// How much comes back a minute.
    pub per_minute: u32,
}

impl Allowance {
    /// `capacity/refill a minute`, both from 1 to a million.
    pub fn parse(text: &str) -> Option<Self> {
        let (capacity, per_minute) = text.split_once('/')?;
        let number = |text: &str| text.trim().parse::<u32>().ok().filter(|number| (1..=MOST).contains(number));
        Some(Self { capacity: number(capacity)?, per_minute: number(per_minute)? })
    }

    /// What a full bucket holds, in units.
    pub fn full(self) -> i64 {
        i64::from(self.capacity) * UNITS
    }
}

/// The allowance of each limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowances([Allowance; Limit::ALL.len()]);

impl Allowances {
    /// As `of` says, as long as it does not fail.
    pub fn try_from_fn<E>(of: impl Fn(Limit) -> Result<Allowance, E>) -> Result<Self, E> {
        let mut allowances = [Allowance { capacity: 1, per_minute: 1 }; Limit::ALL.len()];
        for (place, limit) in allowances.iter_mut().zip(Limit::ALL) {
            *place = of(*limit)?;
        }
        Ok(Self(allowances))
    }

    /// The allowance of a limit.
    pub fn of(&self, limit: Limit) -> Allowance {
        self.0[limit as usize]
    }
}

/// Whose bucket it is. Only what was verified: never what a token or a header merely claims.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An address: an IPv4 address, or the /64 an IPv6 address is in.
    Network(IpAddr),
    /// A signed-in user.
    User(UserId),
    /// A session, by a refresh token that is known.
    Session(SessionId),
    /// A user at one provider.
    UserAt(UserId, String),
    /// All that is asked of one provider.
    Provider(&'static str),
    /// All that is asked of a provider for one link.
    Link(LinkId),
    /// Everyone there is no room to tell apart.
    Everyone,
}

impl Subject {
    /// Where a request came from.
    pub fn network(address: IpAddr) -> Self {
        Self::Network(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// What is to be taken from one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Which limit.
    pub limit: Limit,
    /// Whose bucket.
    pub subject: Subject,
    /// How large it is.
    pub allowance: Allowance,
    /// How many tokens.
    pub cost: u32,
}

impl Charge {
    /// The cost in units.
    pub fn units(&self) -> i64 {
        i64::from(self.cost) * UNITS
    }

    /// What the bucket holds after `elapsed` milliseconds. A clock that was set back refills nothing.
    pub fn refilled(&self, level: i64, elapsed: i64) -> i64 {
        let refill = elapsed.max(0).saturating_mul(i64::from(self.allowance.per_minute));
        level.saturating_add(refill).min(self.allowance.full())
    }

    /// How a bucket with that level stands.
    pub fn standing(&self, level: i64) -> Standing {
        let per_minute = i64::from(self.allowance.per_minute);
        // A token is 60,000 units, and `per_minute` of them come back a millisecond.
        let seconds = |units: i64| u32::try_from((units.max(0) + per_minute * 1000 - 1) / (per_minute * 1000)).unwrap_or(u32::MAX);
        Standing {
            limit: self.limit,
            capacity: self.allowance.capacity,
            remaining: u32::try_from(level.max(0) / UNITS).unwrap_or(u32::MAX),
            full_in: seconds(self.allowance.full() - level),
            enough_in: seconds(self.units() - level),
        }
    }
}

/// How many requests a provider bears: some at once, and then as many as come back evenly within a time. Within any such time there are never
/// more than both together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How many at once.
    pub at_once: u32,
    /// How many come back.
    pub come_back: u32,
    /// Within how many minutes they do.
    pub within_minutes: u32,
}

impl Budget {
    /// How many tokens a request takes, so that what comes back a minute is a whole number of them.
    fn tokens(self) -> u32 {
        self.within_minutes.max(1) / common_divisor(self.within_minutes.max(1), self.come_back.max(1))
    }

    /// So many requests, of that bucket.
    pub fn charge(self, subject: Subject, requests: u32) -> Charge {
        let per_minute = self.come_back.max(1) / common_divisor(self.within_minutes.max(1), self.come_back.max(1));
        let allowance = Allowance { capacity: self.at_once.saturating_mul(self.tokens()), per_minute };
        Charge { limit: Limit::Requests, subject, allowance, cost: requests.saturating_mul(self.tokens()) }
    }

    /// How much of it is left in a bucket that stands so.
    pub fn left(self, standing: Standing) -> RequestsLeft {
        RequestsLeft { limit: self.at_once, remaining: standing.remaining / self.tokens(), full_in: standing.full_in }
    }
}

fn common_divisor(left: u32, right: u32) -> u32 {
    if right == 0 { left } else { common_divisor(right, left % right) }
}

/// How much of a [`Budget`] is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestsLeft {
    /// How many there are at most.
    pub limit: u32,
    /// How many there are now.
    pub remaining: u32,
    /// In how many seconds there will be the most again.
    pub full_in: u32,
}

/// How a bucket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Of which limit.
    pub limit: Limit,
    /// What it holds at most.
    pub capacity: u32,
    /// What it holds now.
    pub remaining: u32,
    /// In how many seconds it is full again.
    pub full_in: u32,
    /// In how many seconds it holds what was asked for; 0 when it does.
    pub enough_in: u32,
}

impl Standing {
    /// The one that will be empty first, of several.
    pub fn tightest(standings: &[Self]) -> Option<Self> {
        let left = |standing: &Self| u64::from(standing.remaining) * u64::from(MOST) / u64::from(standing.capacity.max(1));
        standings.iter().copied().min_by_key(left)
    }
}

/// What became of charges that were made together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether there was enough in all of them; else nothing was taken of any.
    pub admitted: bool,
    /// How each bucket stands afterwards, in the order of the charges.
    pub standings: Vec<Standing>,
}

impl Verdict {
    /// The bucket that is waited for longest, of those that did not hold enough.
    pub fn refusal(&self) -> Option<Standing> {
        if self.admitted { None } else { self.standings.iter().copied().max_by_key(|standing| standing.enough_in) }
    }
}
