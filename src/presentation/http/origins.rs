//! Where a browser's page must be from to open a socket here.
//!
//! Browsers let any page open a WebSocket to any server and say from where in `Origin` (RFC 6455, section 10.2). Tokens are not sent
//! along by themselves, so this is a second line of defence; the first is that a socket without a token sees nothing.

use std::collections::HashSet;

use axum::http::{HeaderMap, HeaderValue, header};
use url::{Host, Url};

/// The origins that may.
#[derive(Debug, Clone)]
pub struct Origins {
    known: HashSet<String>,
    loopback: bool,
}

impl Origins {
    /// Our own, others that are configured, and with `loopback` whatever runs on this machine.
    pub fn new(own: &str, others: &[HeaderValue], loopback: bool) -> Self {
        let others = others.iter().filter_map(|origin| origin.to_str().ok());
        let known = others.chain([own]).filter_map(|origin| Url::parse(origin).ok());
        Self { known: known.map(|origin| origin.origin().ascii_serialization()).collect(), loopback }
    }

    /// Whether a request is from one of them. One without an origin is no browser's.
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        let mut given = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = given.next() else { return true };
        let Some(origin) = origin.to_str().ok().filter(|_| given.next().is_none()).and_then(|origin| Url::parse(origin).ok()) else { return false };
        self.known.contains(&origin.origin().ascii_serialization()) || (self.loopback && is_of_this_machine(&origin))
    }
}

fn is_of_this_machine(origin: &Url) -> bool {
    match origin.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
