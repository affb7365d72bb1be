//! Errors outside GraphQL: `application/problem+json` (RFC 9457).

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::trace;

/// One problem, as clients see it.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// Names the kind of problem; not meant to be followed.
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    code: &'static str,
    #[serde(rename = "traceId")]
    trace_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Detail>,
    /// How a CSV file is read, when something about it has to be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    csv: Option<Box<serde_json::Value>>,
}

/// One of several things that are wrong.
#[derive(Debug, Clone, Serialize)]
pub struct Detail {
    /// Where in a file, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What is wrong, for people.
    pub message: String,
}

impl Problem {
    /// `detail` is for people and must hold nothing of the request but what its sender knows.
    pub fn new(status: StatusCode, code: &'static str, title: &str, detail: &str) -> Self {
        Self {
            r#type: format!("urn:dashtam:problem:{}", code.to_ascii_lowercase().replace('_', "-")),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.to_owned(),
            instance: None,
            code,
            trace_id: trace::current(),
            errors: Vec::new(),
            csv: None,
        }
    }

    /// With how a CSV file is read.
    #[must_use]
    pub fn about_csv(mut self, format: serde_json::Value) -> Self {
        self.csv = Some(Box::new(format));
        self
    }

    /// The path it occurred at, without its query.
    #[must_use]
    pub fn at(mut self, path: &str) -> Self {
        self.instance = Some(path.to_owned());
        self
    }

    /// One more thing that is wrong.
    #[must_use]
    pub fn with(mut self, detail: Detail) -> Self {
        self.errors.push(detail);
        self
    }

    /// For requests without a token that works.
    pub fn unauthenticated(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "Sign in first", detail)
    }

    /// For faults of ours, after the cause was logged.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "Something went wrong on our side", "The trace id finds it in the server's log.")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json"), (header::CACHE_CONTROL, "no-store")], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
