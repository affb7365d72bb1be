//! The playground, all of it from the binary: GraphiQL where Node was there when it was built, else a small page of our own.
//!
//! The small page is always at `/playground/plain`, for whom GraphiQL is too much.

use axum::{
    extract::Path,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::problem::Problem;

// Written by build.rs: the files of GraphiQL by name, none when it was built without.
include!(concat!(env!("OUT_DIR"), "/graphiql.rs"));

/// Nothing is allowed for GraphiQL's sake but images from `data:`, which its stylesheet has. Its editors set styles through the object
/// model, which no policy forbids; the one part that would write a `<style>` element is replaced in the bundle.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                                       base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Asked for again each time, since a new binary may have another.
const FRESH: &str = "no-cache";

/// Kept for good: the name changes with the content.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// `GET /playground`.
pub(super) async fn page() -> Response {
    match graphiql("index.html") {
        Some(page) => file("text/html; charset=utf-8", FRESH, page),
        None => plain(),
    }
}

/// `GET /playground/{file}`.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    match (name.as_str(), name.rsplit_once('.')) {
        ("plain", _) => plain(),
        ("playground.css", _) => file("text/css; charset=utf-8", FRESH, include_bytes!("playground/playground.css")),
        ("playground.js", _) => file("text/javascript; charset=utf-8", FRESH, include_bytes!("playground/playground.js")),
        (name, Some((_, "js"))) => graphiql(name).map_or_else(unknown_file, |script| file("text/javascript; charset=utf-8", FOR_GOOD, script)),
        (name, Some((_, "css"))) => graphiql(name).map_or_else(unknown_file, |style| file("text/css; charset=utf-8", FOR_GOOD, style)),
        _ => unknown_file(),
    }
}

fn plain() -> Response {
    file("text/html; charset=utf-8", FRESH, include_bytes!("playground/index.html"))
}

fn graphiql(name: &str) -> Option<&'static [u8]> {
    GRAPHIQL.iter().find(|(known, _)| *known == name).map(|(_, content)| *content)
}

fn unknown_file() -> Response {
    Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "There is nothing here", "The playground has no such file.").into_response()
}

fn file(content_type: &'static str, caching: &'static str, content: &'static [u8]) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::CACHE_CONTROL, caching),
        // It holds tokens in memory: no page it opens, or that opened it, shares its process.
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    (headers, content).into_response()
}
