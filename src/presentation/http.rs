//! Plain HTTP: the router, and what every answer has in common.

pub mod browsers;
mod exports;
pub mod graphql;
mod health;
mod imports;
mod mail;
pub mod metrics;
mod oauth;
pub mod origins;
mod playground;
pub mod problem;
pub mod proxies;
pub mod rate_limit;
mod requester;
mod rights;
pub mod server;
mod socket;
mod stream;
pub mod trace;

use std::{any::Any, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::{catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer};

use crate::{
    application::{
        Application,
        ports::{Mailbox, Meter},
    },
    presentation::{
        graphql::Graph,
        http::{browsers::Browsers, origins::Origins, problem::Problem, proxies::Proxies},
    },
};

/// How long an upload may take, its body included: 50 MiB over a line of a megabit a second. As long may it take to pack an export.
const UPLOAD_TIMEOUT: Duration = Duration::from_mins(10);

/// What handlers share.
#[derive(Clone)]
pub struct Edge {
    /// The use cases.
    pub application: Arc<Application>,
    /// The graph.
    pub graph: Arc<Graph>,
    /// Asks the parts this server stands on whether they are there.
    pub readiness: Arc<dyn Readiness>,
    /// How browsers reach this server: scheme, host and port.
    pub public_url: String,
    /// The proxies in front of this server.
    pub proxies: Proxies,
    /// Which browsers may read answers.
    pub browsers: Browsers,
    /// How many bytes a body may have at `/graphql`.
    pub body_bytes: usize,
    /// The mails that are kept instead of sent; only in development.
    pub mailbox: Option<Arc<dyn Mailbox>>,
    /// What streams have in common.
    pub streams: Streams,
    /// Whether the playground is served.
    pub playground: bool,
    /// Counts what becomes of requests.
    pub meter: Arc<dyn Meter>,
}

/// What streams have in common.
#[derive(Clone)]
pub struct Streams {
    /// From where browsers' pages may open sockets.
    pub origins: Origins,
    /// Cancelled when the server stops: streams end by it.
    pub closing: CancellationToken,
    /// The sockets that are open.
    pub sockets: TaskTracker,
}

impl Streams {
    /// None yet, for pages of these origins.
    pub fn new(origins: Origins) -> Self {
        Self { origins, closing: CancellationToken::new(), sockets: TaskTracker::new() }
    }

    /// Ends all of them, and waits until they are.
    pub async fn end(&self) {
        self.closing.cancel();
        self.sockets.close();
        self.sockets.wait().await;
    }
}

impl Edge {
    /// Whether cookies carry Secure and the `__Host-` prefix: whether browsers reach us by https.
    fn secure_cookies(&self) -> bool {
        self.public_url.starts_with("https://")
    }
}

/// How a part stands that is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is wrong about it.
    Well,
    /// It is missed, and the server works without it.
    Degraded(String),
    /// It is missed, and the server cannot work.
    Gone(String),
}

/// A part by its name.
pub type Part = (&'static str, Standing);

/// What `/ready` asks.
#[async_trait::async_trait]
pub trait Readiness: Send + Sync {
    /// Each part that is configured.
    async fn check(&self) -> Vec<Part>;
}

/// All routes of the product. The sandbox bank is no part of it and is merged in by whoever composes.
pub fn router(edge: Edge) -> Router {
    let seen_through = middleware::from_fn_with_state(edge.proxies.clone(), proxies::see_through);
    // Each of these is charged as a write; what a document wants is told by its text.
    let limited = Router::new()
        .route("/imports", post(imports::upload).layer(DefaultBodyLimit::max(imports::MAX_FORM_BYTES)))
        .route("/exports/{id}", get(exports::fetch).head(wrong_method))
        .route("/oauth/{provider}/start", get(oauth::start_page).post(oauth::start))
        .route("/oauth/{provider}/callback", get(oauth::callback).head(wrong_method))
        .route("/verify-email", get(mail::confirm_page).post(mail::confirm))
        .route("/reset-password", get(mail::reset_page).post(mail::reset))
        .route("/confirm-email", get(rights::confirm_page).post(rights::confirm))
        .route("/revert-email", get(rights::revert_page).post(rights::revert))
        .route("/cancel-erasure", get(rights::cancel_page).post(rights::cancel))
        .route_layer(middleware::from_fn_with_state(edge.clone(), rate_limit::write_once));
    let routes = limited
        .route("/graphql", get(graphql::get).post(graphql::post).layer(middleware::from_fn(rate_limit::told)))
        .route("/graphql/ws", get(socket::upgrade))
        .route("/graphql/stream", post(stream::post).layer(middleware::from_fn(rate_limit::told)))
        .route("/schema.graphql", get(graphql::schema))
        .route("/oauth/pages.css", get(oauth::stylesheet))
        .route("/dev/mail", get(mail::kept_mails))
        .route("/health", get(health::health))
        .route("/ready", get(health::ready));
    let routes = if edge.playground { routes.route("/playground", get(playground::page)).route("/playground/{file}", get(playground::asset)) } else { routes };
    routes.method_not_allowed_fallback(wrong_method).fallback(unknown_route).layer(middleware::from_fn(in_our_words)).layer(seen_through).with_state(edge)
}

/// No browser shows an answer within a page or runs anything of it; pages that need more say so themselves.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What no page of ours needs.
const PERMISSIONS_POLICY: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

/// What every answer of the listener has in common, whoever made it; none takes longer than `patience`.
pub fn with_common_layers(router: Router, patience: Duration, browsers: &Browsers) -> Router {
    let fixed = |name: HeaderName, value: &'static str| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    let router = router.layer(middleware::from_fn(move |request, next| in_time(patience, request, next))).layer(CatchPanicLayer::custom(panicked));
    let router = match browsers.cors() {
        Some(cors) => router.layer(cors),
        None => router,
    };
    let router = match browsers.strict_transport() {
        Some(value) => router.layer(SetResponseHeaderLayer::if_not_present(header::STRICT_TRANSPORT_SECURITY, value)),
        None => router,
    };
    router
        .layer(middleware::from_fn_with_state(browsers.clone(), browsers::by_its_name))
        .layer(fixed(header::CACHE_CONTROL, "no-store"))
        .layer(fixed(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .layer(fixed(HeaderName::from_static("permissions-policy"), PERMISSIONS_POLICY))
        .layer(fixed(HeaderName::from_static("cross-origin-resource-policy"), "same-origin"))
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(header::REFERRER_POLICY, "no-referrer"))
        .layer(fixed(header::X_FRAME_OPTIONS, "DENY"))
        .layer(middleware::from_fn(trace::trace))
}

/// The framework refuses what its extractors cannot read (a path that is no UTF-8, a form of another type) in plain text that quotes its
/// own insides; the status is right and the words are ours.
async fn in_our_words(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let is_plain = response.headers().get(header::CONTENT_TYPE).is_some_and(|format| format.as_bytes().starts_with(b"text/plain"));
    if response.status().is_success() || !is_plain {
        return response;
    }
    Problem::new(response.status(), "BAD_USER_INPUT", "The request cannot be read", "Its address, its query or its form is malformed.")
        .at(&path)
        .into_response()
}

/// Answers a request that takes too long; what it began in a task of its own goes on.
async fn in_time(patience: Duration, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let limit = if path == "/imports" || path.starts_with("/exports/") { UPLOAD_TIMEOUT } else { patience };
    let late = |_| {
        let detail = format!("The answer took longer than {} seconds. What was asked for may still happen.", limit.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", "It took too long", &detail).into_response()
    };
    tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(late)
}

async fn unknown_route(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "NOT_FOUND",
        "There is nothing here",
        "This server has no such route. The graph is at /graphql, its schema at /schema.graphql.",
    )
    .at(uri.path())
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Wrong method", &format!("This route does not answer {method}.")).at(uri.path())
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    // The text of a panic may hold anything, so only its kind is logged.
    tracing::error!(text = panic.is::<String>() || panic.is::<&str>(), "a request panicked");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "Something went wrong on our side", "The trace id finds it in the server's log.")
        .into_response()
}
