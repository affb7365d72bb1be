//! The playground: a small page of our own, all of it from the binary.

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::problem::Problem;

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /playground`.
pub(super) async fn page() -> Response {
    file("text/html; charset=utf-8", include_str!("playground/index.html"))
}

/// `GET /playground/{file}`.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    match name.as_str() {
        "playground.css" => file("text/css; charset=utf-8", include_str!("playground/playground.css")),
        "playground.js" => file("text/javascript; charset=utf-8", include_str!("playground/playground.js")),
        _ => Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "There is nothing here", "The playground has no such file.").into_response(),
    }
}

fn file(content_type: &'static str, content: &'static str) -> Response {
    ([(header::CONTENT_TYPE, content_type), (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY), (header::CACHE_CONTROL, "no-cache")], content)
        .into_response()
}
