//! Metrics: requests are counted at the door, and `GET /metrics` tells, on a listener of its own.

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::application::ports::Meter;

use super::problem::Problem;

/// What `/metrics` tells.
#[async_trait::async_trait]
pub trait Exposition: Send + Sync {
    /// Everything that is measured, as `OpenMetrics` text.
    async fn text(&self) -> anyhow::Result<String>;
}

/// The listener's one route.
pub fn router(exposition: Arc<dyn Exposition>) -> Router {
    Router::new().route("/metrics", get(tell)).with_state(exposition)
}

async fn tell(State(exposition): State<Arc<dyn Exposition>>) -> Response {
    match exposition.text().await {
        Ok(text) => {
            ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8"), (header::CACHE_CONTROL, "no-store")], text).into_response()
        }
        Err(failure) => {
            tracing::error!(error = ?failure, "metrics could not be told");
            (StatusCode::INTERNAL_SERVER_ERROR, Problem::internal()).into_response()
        }
    }
}

/// Counts what every route of `router` answers.
pub fn counted(router: Router, meter: Arc<dyn Meter>) -> Router {
    router.layer(middleware::from_fn_with_state(meter, count))
}

async fn count(State(meter): State<Arc<dyn Meter>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = known(request.method());
    // The template, never the path: a path is what a client wrote.
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "unknown".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    meter.answered(&route, method, response.status().as_u16(), began.elapsed());
    response
}

/// A method that somebody defined (RFC 9110, RFC 5789); clients may make others up.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "other",
    }
}
