//! Whom a request comes from when there are proxies in front: the client's address takes the place of the peer's.
//!
//! Anyone can write an X-Forwarded-For header, so it counts only when the peer is a configured proxy. Each proxy appends the address it was
//! reached from; read from the back, the first that is no configured proxy is the client. What stands before it is hearsay.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName},
    middleware::Next,
    response::Response,
};
use ipnet::IpNet;

use crate::domain::time::Clock;

/// What proxies write the client's address into.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How often at most it is said that a header was not believed, in seconds.
const SAY_SECONDS: i64 = 3600;

/// The proxies whose word counts.
#[derive(Clone)]
pub struct Proxies {
    trusted: Arc<[IpNet]>,
    clock: Arc<dyn Clock>,
    said_at: Arc<AtomicI64>,
}

impl Proxies {
    /// Those in `trusted`.
    pub fn new(trusted: Vec<IpNet>, clock: Arc<dyn Clock>) -> Self {
        Self { trusted: trusted.into(), clock, said_at: Arc::new(AtomicI64::new(i64::MIN)) }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// The address a request was sent from, as far as it can be believed.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        for hop in headers.get_all(FORWARDED_FOR).iter().rev().flat_map(|value| value.to_str().unwrap_or_default().rsplit(',')) {
            if !self.trusts(client) {
                break;
            }
            // What a trusted proxy wrote and cannot be read hides whatever stands before it.
            let Some(address) = read(hop.trim()) else { break };
            client = address;
        }
        client
    }

    fn say_once_an_hour(&self, peer: IpAddr) {
        let now = self.clock.now().unix();
        let said_at = self.said_at.load(Ordering::Relaxed);
        if now.saturating_sub(said_at) >= SAY_SECONDS && self.said_at.compare_exchange(said_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::warn!(%peer, "X-Forwarded-For is not believed, since it comes from a peer that is not in trusted_proxies");
        }
    }
}

/// An address as proxies write it: alone, or with a port, IPv6 in brackets then.
fn read(hop: &str) -> Option<IpAddr> {
    let bracketed = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bracketed.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

/// Puts the client's address in the place of the peer's, so that whatever comes after sees nothing else.
pub(super) async fn see_through(State(proxies): State<Proxies>, mut request: Request, next: Next) -> Response {
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() {
        let client = proxies.client(peer.ip(), request.headers());
        if !proxies.trusts(peer.ip().to_canonical()) && request.headers().contains_key(FORWARDED_FOR) {
            proxies.say_once_an_hour(peer.ip());
        }
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(client, peer.port())));
    }
    next.run(request).await
}
