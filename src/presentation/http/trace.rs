//! The trace id: one for each request, on its answer and on every line it logs (W3C Trace Context).

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use tracing::Instrument;

use crate::application::errand;

const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// The trace id of the request being answered; empty outside of one.
pub fn current() -> String {
    errand::trace().unwrap_or_default()
}

/// Runs `work` under the trace of the current request, for work that goes on in a task of its own: call it before spawning.
pub fn carry<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    errand::traced(current(), work).instrument(tracing::Span::current())
}

/// Runs `work` under a trace of its own: what goes on after the request that began it.
pub async fn anew<T>(work: impl Future<Output = T>) -> T {
    Trace::begin().follow(work).await
}

/// A trace of something that goes on after the request that began it, for all who work on it.
#[derive(Clone)]
pub struct Trace {
    id: String,
    span: tracing::Span,
}

impl Trace {
    /// Another one.
    pub fn begin() -> Self {
        let (id, _) = begin();
        let span = tracing::info_span!("stream", trace_id = %id);
        Self { id, span }
    }

    /// Runs `work` under it.
    pub fn follow<T, W: Future<Output = T>>(&self, work: W) -> impl Future<Output = T> + use<T, W> {
        errand::traced(self.id.clone(), work.instrument(self.span.clone()))
    }

    /// The same with what does not wait.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        errand::traced_at_once(self.id.clone(), || self.span.in_scope(work))
    }
}

/// Takes over the caller's trace, or begins one; logs method, route, status and duration. Never the query: it may hold codes and states.
pub async fn trace(request: Request, next: Next) -> Response {
    let began = std::time::Instant::now();
    let trace_id = parent(request.headers()).unwrap_or_else(|| begin().0);
    let span_id = begin().1;
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "unknown".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!("request", trace_id = %trace_id, %method, route);
    let answer = async {
        let response = next.run(request).await;
        tracing::info!(status = response.status().as_u16(), milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), "answered");
        response
    };
    let mut response = errand::traced(trace_id.clone(), answer.instrument(span)).await;
    for (name, value) in [(TRACE_ID, trace_id.clone()), (TRACE_PARENT, format!("00-{trace_id}-{span_id}-01"))] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The trace id of a well-formed `traceparent` of version 00: 32 hex digits, not all zero.
fn parent(headers: &HeaderMap) -> Option<String> {
    let mut parts = headers.get(TRACE_PARENT)?.to_str().ok()?.split('-');
    let (version, trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let wellformed = version == "00" && hex(trace_id, 32) && hex(span_id, 16) && hex(flags, 2) && parts.next().is_none();
    (wellformed && trace_id.bytes().any(|byte| byte != b'0') && span_id.bytes().any(|byte| byte != b'0')).then(|| trace_id.to_owned())
}

/// A new trace id (32 hex digits) and span id (16).
#[expect(clippy::disallowed_methods, reason = "a trace id is no business value: nothing depends on it and no test needs to own it")]
fn begin() -> (String, String) {
    let id: u128 = rand::random();
    let trace_id = format!("{id:032x}");
    let span_id = trace_id[16..].to_owned();
    (trace_id, span_id)
}
