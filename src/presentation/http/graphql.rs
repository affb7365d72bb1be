//! GraphQL over HTTP (the draft of the GraphQL over HTTP working group).
//!
//! `application/json` is the one content type read; `application/graphql-response+json` and `application/json` are negotiated. A document
//! that never ran answers 400 without a `data` key; one that ran answers 200, whatever its fields say.

use async_graphql::{Response as GraphResponse, ServerError, Variables};
use axum::{
    body::{Body, Bytes},
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Deserialize, Serialize};

use crate::{
    application::session::AuthenticationProblem,
    domain::failure::Unavailable,
    presentation::graphql::{self, Answer, Question, error},
};

use super::{Edge, problem::Problem, requester::Caller};

/// The largest body, in bytes.
const MAX_BODY_BYTES: usize = 1024 * 1024;

const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";
const JSON: &str = "application/json";

const NO_REQUEST: &str = "the body must be a JSON object with query, operationName, variables and extensions of the right types";

/// The parameters of a request, in a body or in a query. `extensions` are accepted and mean nothing here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<serde_json::Value>,
    extensions: Option<serde_json::Value>,
}

/// The answer to a document that never ran: errors, and no `data` key.
#[derive(Serialize)]
struct Refusal<'a> {
    errors: &'a [ServerError],
}

/// `POST /graphql`.
pub(super) async fn post(State(edge): State<Edge>, caller: Caller, headers: HeaderMap, body: Body) -> Response {
    let Some(accepted) = negotiate(&headers) else { return not_acceptable() };
    if !sends_json(&headers) {
        return Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", "Send JSON", "Send the document as application/json in UTF-8.")
            .at("/graphql")
            .into_response();
    }
    let body = match read(body).await {
        Ok(body) => body,
        Err(problem) => return problem.at("/graphql").into_response(),
    };
    // A list would be read as the fields of one request in their order; and requests do not come in batches.
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    let question = match serde_json::from_slice::<Parameters>(&body) {
        Ok(_) if !is_object => Err(NO_REQUEST),
        Ok(parameters) => question(parameters, false),
        Err(broken) if broken.is_data() => Err(NO_REQUEST),
        Err(_) => Err("the body is not JSON"),
    };
    answer(&edge, caller, question, accepted).await
}

/// `GET /graphql`: queries only.
pub(super) async fn get(
    State(edge): State<Edge>,
    caller: Caller,
    headers: HeaderMap,
    query: Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let Some(accepted) = negotiate(&headers) else { return not_acceptable() };
    let question =
        query.map_err(|_| "the query string cannot be read").and_then(|Query(pairs)| from_query(pairs)).and_then(|parameters| question(parameters, true));
    answer(&edge, caller, question, accepted).await
}

/// `GET /schema.graphql`.
pub(super) async fn schema() -> Response {
    ([(header::CONTENT_TYPE, "application/graphql; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], graphql::sdl()).into_response()
}

/// Logs a fault outside the graph and says nothing of it.
pub(super) fn fault(cause: &anyhow::Error) -> Problem {
    if let Some(unavailable) = cause.downcast_ref::<Unavailable>() {
        tracing::warn!(error = ?cause, "a part is unavailable");
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "Try again in a moment", &unavailable.to_string());
    }
    tracing::error!(error = ?cause, "a request failed");
    Problem::internal()
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(refused) if refused.is::<LengthLimitError>() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "BODY_TOO_LARGE",
            "The body is too large",
            "A request has at most 1 MiB. Statement files go to POST /imports.",
        )),
        Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", "The body cannot be read", "The body was cut off.")),
    }
}

fn from_query(pairs: Vec<(String, String)>) -> Result<Parameters, &'static str> {
    let mut parameters = Parameters { query: None, operation_name: None, variables: None, extensions: None };
    let object = |text: &str| serde_json::from_str(text).map_err(|_| "variables and extensions in a query string are JSON objects");
    for (name, value) in pairs {
        match name.as_str() {
            "query" => parameters.query = Some(value),
            "operationName" if !value.is_empty() => parameters.operation_name = Some(value),
            "variables" if !value.is_empty() => parameters.variables = Some(object(&value)?),
            "extensions" if !value.is_empty() => parameters.extensions = Some(object(&value)?),
            _ => {}
        }
    }
    Ok(parameters)
}

fn question(parameters: Parameters, read_only: bool) -> Result<Question, &'static str> {
    let document = parameters.query.filter(|document| !document.trim().is_empty()).ok_or("the document is missing: send it as \"query\"")?;
    if parameters.extensions.is_some_and(|extensions| !extensions.is_object() && !extensions.is_null()) {
        return Err("extensions is a JSON object");
    }
    let variables = match parameters.variables {
        None | Some(serde_json::Value::Null) => Variables::default(),
        Some(variables @ serde_json::Value::Object(_)) => Variables::from_json(variables),
        Some(_) => return Err("variables is a JSON object"),
    };
    Ok(Question { document, operation_name: parameters.operation_name, variables, read_only })
}

async fn answer(edge: &Edge, caller: Caller, question: Result<Question, &'static str>, accepted: &'static str) -> Response {
    let question = match question {
        Ok(question) => question,
        Err(wrong) => return refused(&[error::refusal(error::Code::BadUserInput, wrong)], accepted),
    };
    match edge.graph.answer(question, caller.requester).await {
        Answer::Ran(response) => ran(response, caller.problem.as_ref(), accepted),
        Answer::Refused(errors) => refused(&errors, accepted),
        Answer::NotReadOnly => {
            let problem =
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Send mutations by POST", "GET serves queries only.").at("/graphql");
            ([(header::ALLOW, "POST")], problem).into_response()
        }
    }
}

fn ran(mut response: GraphResponse, problem: Option<&AuthenticationProblem>, accepted: &'static str) -> Response {
    let code = problem.map(|problem| match problem {
        AuthenticationProblem::TokenInvalid => "TOKEN_INVALID",
        AuthenticationProblem::TokenExpired => "TOKEN_EXPIRED",
        AuthenticationProblem::SessionEnded => "SESSION_ENDED",
        AuthenticationProblem::Unexpected(_) => "UNAVAILABLE",
    });
    if let Some(code) = code {
        response = response.extension("authentication", async_graphql::Value::from(code));
    }
    json_answer(StatusCode::OK, serde_json::to_string(&response), accepted)
}

fn refused(errors: &[ServerError], accepted: &'static str) -> Response {
    json_answer(StatusCode::BAD_REQUEST, serde_json::to_string(&Refusal { errors }), accepted)
}

fn json_answer(status: StatusCode, body: serde_json::Result<String>, accepted: &'static str) -> Response {
    match body {
        Ok(body) => {
            let content_type = if accepted == JSON { "application/json; charset=utf-8" } else { "application/graphql-response+json; charset=utf-8" };
            (status, [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-store"), (header::VARY, "Accept")], body).into_response()
        }
        Err(broken) => fault(&anyhow::Error::new(broken).context("an answer could not be written")).into_response(),
    }
}

fn not_acceptable() -> Response {
    Problem::new(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", "No common format", "Answers come as application/graphql-response+json or application/json.")
        .at("/graphql")
        .into_response()
}

/// Whether the body is declared as JSON in UTF-8.
fn sends_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case(JSON));
    is_json
        && parts
            .filter_map(|parameter| parameter.split_once('='))
            .all(|(name, value)| !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8"))
}

/// The format the client prefers of the two there are (RFC 9110, section 12.5.1). Without an Accept header, or with `*/*`, it is plain JSON,
/// which every client reads.
fn negotiate(headers: &HeaderMap) -> Option<&'static str> {
    let accept: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let accept = accept.join(",");
    if accept.trim().is_empty() {
        return Some(JSON);
    }
    let weight = |offered: &str| {
        let ranges = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let essence = parts.next()?.to_ascii_lowercase();
            let specific = match essence.as_str() {
                "*/*" => 1,
                "application/*" => 2,
                named if named == offered => 3,
                _ => return None,
            };
            let quality = parts
                .find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")))
                .map_or(Some(1.0), |quality| quality.parse::<f32>().ok())?;
            Some((specific, quality))
        });
        ranges.max_by_key(|(specific, _)| *specific).map_or(0.0, |(_, quality)| quality)
    };
    let (graph, json) = (weight(GRAPHQL_RESPONSE), weight(JSON));
    let named = accept.to_ascii_lowercase().contains(GRAPHQL_RESPONSE);
    match (graph > 0.0, json > 0.0) {
        (false, false) => None,
        (true, false) => Some(GRAPHQL_RESPONSE),
        (false, true) => Some(JSON),
        (true, true) => Some(if graph > json || (named && graph >= json) { GRAPHQL_RESPONSE } else { JSON }),
    }
}
