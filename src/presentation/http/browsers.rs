//! What browsers are told, and what is believed of them: which other origins may read answers, and by which names this server is reached.
//!
//! Tokens travel in headers that no browser adds by itself, so a foreign page can do nothing in a user's name; what it could do is read, and
//! that is what origins are listed for. A page can also make its own name lead to this machine (DNS rebinding) and be of the same origin
//! as a server that listens here; such a server answers to its own names only.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{
        HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{self, HOST},
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::problem::Problem;

/// How long a browser may remember what it was allowed.
const REMEMBERED: Duration = Duration::from_hours(1);

/// Headers of answers that a frontend may read.
const EXPOSED: [HeaderName; 5] = [
    HeaderName::from_static("x-trace-id"),
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
    header::RETRY_AFTER,
];

/// Headers of requests that a frontend may set.
const ALLOWED: [HeaderName; 4] = [header::AUTHORIZATION, header::CONTENT_TYPE, HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate")];

/// Where frontends ask; the other routes are pages, and pages are read by people.
const FOR_FRONTENDS: [&str; 6] = ["/graphql", "/schema.graphql", "/imports", "/exports", "/health", "/ready"];

/// Origins and names of one server.
#[derive(Clone)]
pub struct Browsers {
    origins: Arc<[HeaderValue]>,
    /// The names it answers to; all, if none are listed.
    names: Arc<[String]>,
    is_public_by_https: bool,
}

impl Browsers {
    /// `origins` may read answers. A server that is reached from its own machine only answers to that machine's names, and to the host of
    /// its `public_url`.
    pub fn new(origins: Vec<HeaderValue>, public_url: &str, is_on_loopback: bool) -> Self {
        let public: Option<Uri> = public_url.parse().ok();
        let host = public.as_ref().and_then(Uri::host).map(str::to_ascii_lowercase);
        let names = if is_on_loopback { ["localhost".to_owned()].into_iter().chain(host).collect() } else { Vec::new() };
        Self { origins: origins.into(), names: names.into(), is_public_by_https: public_url.starts_with("https://") }
    }

    /// Whether a page of this origin may read answers.
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        self.origins.contains(origin)
    }

    /// What answers other origins; `None` if none is listed.
    pub(super) fn cors(&self) -> Option<CorsLayer> {
        if self.origins.is_empty() {
            return None;
        }
        let browsers = self.clone();
        let allowed = AllowOrigin::predicate(move |origin, request| browsers.allows(origin) && is_for_frontends(request.uri.path()));
        let layer = CorsLayer::new().allow_origin(allowed).allow_methods([Method::GET, Method::POST]).allow_headers(ALLOWED);
        Some(layer.expose_headers(EXPOSED).max_age(REMEMBERED))
    }

    /// That browsers come back by TLS only, where they come by it at all.
    pub(super) fn strict_transport(&self) -> Option<HeaderValue> {
        self.is_public_by_https.then_some(HeaderValue::from_static("max-age=31536000"))
    }

    fn is_named(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = authority.host().to_ascii_lowercase();
        let bare = name.trim_end_matches('.');
        let address = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(bare).parse::<IpAddr>();
        address.is_ok_and(|address| address.to_canonical().is_loopback()) || self.names.iter().any(|known| known == bare)
    }
}

fn is_for_frontends(path: &str) -> bool {
    FOR_FRONTENDS.iter().any(|route| path.strip_prefix(route).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Refuses what was sent to another name. A request without one is from no browser.
pub(super) async fn by_its_name(State(browsers): State<Browsers>, request: Request, next: Next) -> Response {
    if browsers.names.is_empty() {
        return next.run(request).await;
    }
    let of_the_uri = request.uri().authority().map(Authority::as_str);
    let of_the_header = request.headers().get_all(HOST).iter().map(|value| value.to_str().unwrap_or_default());
    if of_the_header.chain(of_the_uri).all(|host| browsers.is_named(host)) {
        return next.run(request).await;
    }
    let detail = "This server listens on its own machine and answers to that machine's names. For another name set DASHTAM_PUBLIC_URL.";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "WRONG_HOST", "Not this host", detail).into_response()
}
