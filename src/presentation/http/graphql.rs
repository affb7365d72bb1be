//! GraphQL over HTTP (the draft of the GraphQL over HTTP working group).
//!
//! `application/json` is the one content type read; `application/graphql-response+json` and `application/json` are negotiated. A document
//! that never ran answers without a `data` key, and 400, unless the client names `application/json`: as the draft advises for such clients
//! it gets 200, since they take anything else for no answer of the graph. One that ran answers 200, whatever its fields say.

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
    presentation::graphql::{self, Answer, Question, documents::PersistedQuery, error, survey},
};

use super::{Edge, problem::Problem, requester::Caller};

const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";
const JSON: &str = "application/json";

const NO_REQUEST: &str = "the body must be a JSON object with query or documentId, operationName, variables and extensions of the right types";

const TOO_MANY_VALUES: &str = "the request has more than 20,000 values";

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// `application/graphql-response+json`.
    Response,
    /// `application/json`, since nothing else was asked for.
    Json,
    /// `application/json`, by name.
    NamedJson,
}

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Self::Response => "application/graphql-response+json; charset=utf-8",
            Self::Json | Self::NamedJson => "application/json; charset=utf-8",
        }
    }

    /// The status of a request of the right form whose document did not run.
    fn refusal(self) -> StatusCode {
        match self {
            Self::Response | Self::Json => StatusCode::BAD_REQUEST,
            Self::NamedJson => StatusCode::OK,
        }
    }
}

/// The parameters of a request, in a body or in a query.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<serde_json::Value>,
    extensions: Option<serde_json::Value>,
}

/// What of the extensions means something here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Extensions {
    persisted_query: Option<PersistedQuery>,
}

/// The answer to a document that never ran: errors, and no `data` key.
#[derive(Serialize)]
struct Refusal<'a> {
    errors: &'a [ServerError],
}

/// `POST /graphql`.
pub(super) async fn post(State(edge): State<Edge>, caller: Caller, headers: HeaderMap, body: Body) -> Response {
    let Some(format) = negotiate(&headers) else { return not_acceptable() };
    if !sends_json(&headers) {
        return Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", "Send JSON", "Send the document as application/json in UTF-8.")
            .at("/graphql")
            .into_response();
    }
    let body = match read(body, edge.body_bytes).await {
        Ok(body) => body,
        Err(problem) => return problem.at("/graphql").into_response(),
    };
    let question = read_body(&body);
    answer(&edge, caller, question, format).await
}

/// `GET /graphql`: queries only.
pub(super) async fn get(
    State(edge): State<Edge>,
    caller: Caller,
    headers: HeaderMap,
    query: Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let Some(format) = negotiate(&headers) else { return not_acceptable() };
    let question =
        query.map_err(|_| "the query string cannot be read").and_then(|Query(pairs)| from_query(pairs)).and_then(|parameters| question(parameters, true));
    answer(&edge, caller, question, format).await
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

/// What a body asks, or what is wrong with it.
pub fn read_body(body: &[u8]) -> Result<Question, &'static str> {
    if survey::is_json_too_large(body) {
        return Err(TOO_MANY_VALUES);
    }
    // A list would be read as the fields of one request in their order; and requests do not come in batches.
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    match serde_json::from_slice::<Parameters>(body) {
        Ok(_) if !is_object => Err(NO_REQUEST),
        Ok(parameters) => question(parameters, false),
        Err(broken) if broken.is_data() => Err(NO_REQUEST),
        Err(_) => Err("the body is not JSON"),
    }
}

/// What a request with a body asks, for routes of other answers than this one's.
pub(super) async fn read_post(headers: &HeaderMap, body: Body, limit: usize) -> Result<Question, Problem> {
    if !sends_json(headers) {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", "Send JSON", "Send the document as application/json in UTF-8."));
    }
    let body = read(body, limit).await?;
    read_body(&body).map_err(|wrong| Problem::new(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", "The request cannot be read", wrong))
}

async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(refused) if refused.is::<LengthLimitError>() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "BODY_TOO_LARGE",
            "The body is too large",
            &format!("A request has at most {limit} bytes. Statement files go to POST /imports."),
        )),
        Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", "The body cannot be read", "The body was cut off.")),
    }
}

fn from_query(pairs: Vec<(String, String)>) -> Result<Parameters, &'static str> {
    let mut parameters = Parameters::default();
    let object = |text: &str| {
        if survey::is_json_too_large(text.as_bytes()) {
            return Err(TOO_MANY_VALUES);
        }
        serde_json::from_str(text).map_err(|_| "variables and extensions in a query string are JSON objects")
    };
    for (name, value) in pairs {
        match name.as_str() {
            "query" => parameters.query = Some(value),
            "documentId" => parameters.document_id = Some(value),
            "operationName" if !value.is_empty() => parameters.operation_name = Some(value),
            "variables" if !value.is_empty() => parameters.variables = Some(object(&value)?),
            "extensions" if !value.is_empty() => parameters.extensions = Some(object(&value)?),
            _ => {}
        }
    }
    Ok(parameters)
}

fn question(parameters: Parameters, read_only: bool) -> Result<Question, &'static str> {
    let document = parameters.query.filter(|document| !document.trim().is_empty());
    let extensions = match parameters.extensions {
        None | Some(serde_json::Value::Null) => Extensions::default(),
        Some(extensions @ serde_json::Value::Object(_)) => {
            serde_json::from_value(extensions).map_err(|_| "extensions.persistedQuery is { version: 1, sha256Hash: the SHA-256 of the document in hex }")?
        }
        Some(_) => return Err("extensions is a JSON object"),
    };
    if document.is_none() && parameters.document_id.is_none() && extensions.persisted_query.is_none() {
        return Err("the document is missing: send it as \"query\", or its id as \"documentId\"");
    }
    let variables = match parameters.variables {
        None | Some(serde_json::Value::Null) => Variables::default(),
        Some(variables @ serde_json::Value::Object(_)) => Variables::from_json(variables),
        Some(_) => return Err("variables is a JSON object"),
    };
    Ok(Question {
        document,
        document_id: parameters.document_id,
        persisted: extensions.persisted_query,
        operation_name: parameters.operation_name,
        variables,
        read_only,
    })
}

async fn answer(edge: &Edge, caller: Caller, question: Result<Question, &'static str>, format: Format) -> Response {
    let question = match question {
        Ok(question) => question,
        Err(wrong) => {
            edge.meter.operation("refused");
            return refused(&[error::refusal(error::Code::BadUserInput, wrong)], StatusCode::BAD_REQUEST, format);
        }
    };
    let answer = edge.graph.answer(question, caller.requester).await;
    edge.meter.operation(match &answer {
        Answer::Ran(response) if response.errors.is_empty() => "ok",
        Answer::Ran(_) => "errors",
        Answer::Refused(_) | Answer::NotReadOnly => "refused",
    });
    match answer {
        Answer::Ran(response) => ran(response, caller.problem.as_ref(), format),
        Answer::Refused(errors) => refused(&errors, format.refusal(), format),
        Answer::NotReadOnly => {
            let problem =
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Send mutations by POST", "GET serves queries only.").at("/graphql");
            ([(header::ALLOW, "POST")], problem).into_response()
        }
    }
}

fn ran(mut response: GraphResponse, problem: Option<&AuthenticationProblem>, format: Format) -> Response {
    let code = problem.map(AuthenticationProblem::code);
    if let Some(code) = code {
        response = response.extension("authentication", async_graphql::Value::from(code));
    }
    json_answer(StatusCode::OK, serde_json::to_string(&response), format)
}

fn refused(errors: &[ServerError], status: StatusCode, format: Format) -> Response {
    json_answer(status, serde_json::to_string(&Refusal { errors }), format)
}

fn json_answer(status: StatusCode, body: serde_json::Result<String>, format: Format) -> Response {
    match body {
        Ok(body) => {
            let content_type = format.content_type();
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
fn negotiate(headers: &HeaderMap) -> Option<Format> {
    let accept: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let accept = accept.join(",");
    if accept.trim().is_empty() {
        return Some(Format::Json);
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
    let is_named = |format: &str| accept.split(',').any(|range| range.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(format)));
    let plain = if is_named(JSON) { Format::NamedJson } else { Format::Json };
    match (graph > 0.0, json > 0.0) {
        (false, false) => None,
        (true, false) => Some(Format::Response),
        (false, true) => Some(plain),
        (true, true) => Some(if graph > json || (is_named(GRAPHQL_RESPONSE) && graph >= json) { Format::Response } else { plain }),
    }
}
