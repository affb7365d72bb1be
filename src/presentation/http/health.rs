//! Whether the process lives, and whether it can do its work.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{Edge, Standing};

/// `GET /health`: answers while the process lives, whatever else is gone.
pub(super) async fn health() -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], r#"{"status":"healthy"}"#).into_response()
}

/// `GET /ready`: every configured part, 503 when one that is needed is gone.
pub(super) async fn ready(State(edge): State<Edge>) -> Response {
    let parts = edge.readiness.check().await;
    let ready = parts.iter().all(|(_, standing)| !matches!(standing, Standing::Gone(_)));
    let told = |standing| match standing {
        Standing::Well => "ok".to_owned(),
        Standing::Degraded(why) => format!("degraded: {why}"),
        Standing::Gone(why) => why,
    };
    let checks: serde_json::Map<_, _> = parts.into_iter().map(|(part, standing)| (part.to_owned(), json!(told(standing)))).collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "status": if ready { "ready" } else { "unavailable" }, "checks": checks });
    (status, [(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
}
