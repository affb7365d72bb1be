//! `POST /graphql/stream`: operations answered as server-sent events (`graphql-sse`, distinct connections mode).
//!
//! What is wrong with the request as such (its type, its form, its size) is answered as anywhere else. Once it is read, everything is an
//! event, as that protocol wants it: errors of the document too, since a browser shows its page nothing of an answer that is no stream.

use std::{convert::Infallible, time::Duration};

use async_graphql::{Response as GraphResponse, ServerError};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, stream};
use serde::Serialize;

use crate::presentation::graphql::{
    error::{self, Code},
    stream::{Answers, Told},
};

use super::{
    Edge, graphql,
    problem::Problem,
    requester::{Caller, pass},
};

/// How often a comment is sent when there is nothing to tell, so that nobody in between takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Tells proxies such as nginx not to hold events back.
const UNBUFFERED: (HeaderName, HeaderValue) = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// What could not run.
#[derive(Serialize)]
struct Refusal<'a> {
    errors: &'a [ServerError],
}

/// `POST /graphql/stream`.
pub(super) async fn post(State(edge): State<Edge>, caller: Caller, headers: HeaderMap, body: Body) -> Response {
    if !accepts_events(&headers) {
        let problem = Problem::new(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", "Accept a stream", "This route answers in text/event-stream.");
        return problem.at("/graphql/stream").into_response();
    }
    let question = match graphql::read_post(&headers, body, edge.body_bytes).await {
        Ok(question) => question,
        Err(problem) => return problem.at("/graphql/stream").into_response(),
    };
    // A token that does not work counts as none, as at /graphql.
    let pass = pass(&headers, caller);
    let answers = edge.graph.begin(question, pass, edge.streams.closing.clone());
    let events = Sse::new(events(answers)).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store")), UNBUFFERED], events).into_response()
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(header::ACCEPT).iter().peekable();
    let accepts = |value: &HeaderValue| {
        let ranges = value.to_str().unwrap_or_default().split(',').map(|range| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        ranges.into_iter().any(|range| matches!(range.as_str(), "text/event-stream" | "text/*" | "*/*"))
    };
    given.peek().is_none() || given.any(accepts)
}

/// The answers as events, ended by `complete`.
fn events(answers: Answers) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold((Some(answers), false), |(answers, is_last)| async move {
        if is_last {
            return Some((Ok(completed()), (None, false)));
        }
        let mut answers = answers?;
        match answers.next().await {
            Some(Told::Begun) => Some((Ok(Event::default().comment("begun")), (Some(answers), false))),
            Some(Told::Next(response)) => Some((Ok(next(&response)), (Some(answers), false))),
            Some(Told::Refused(errors)) => Some((Ok(next_refusal(&errors)), (None, true))),
            Some(Told::Over(problem)) => Some((Ok(next_refusal(&[answers.trace.within(|| over(&problem))])), (None, true))),
            Some(Told::Completed) | None => Some((Ok(completed()), (None, false))),
        }
    })
}

fn over(problem: &crate::application::session::AuthenticationProblem) -> ServerError {
    use crate::application::session::AuthenticationProblem as Problem;
    match problem {
        Problem::Unexpected(cause) => {
            tracing::error!(error = ?cause, "a stream could not be asked whether its token still counts");
            error::refusal(Code::Unavailable, "it cannot be seen whether your token still counts; try again in a moment")
        }
        Problem::TokenInvalid | Problem::TokenExpired | Problem::SessionEnded => error::refusal(Code::Unauthenticated, &problem.to_string()),
    }
}

fn next(response: &GraphResponse) -> Event {
    next_event(serde_json::to_string(response))
}

fn next_refusal(errors: &[ServerError]) -> Event {
    next_event(serde_json::to_string(&Refusal { errors }))
}

fn next_event(written: serde_json::Result<String>) -> Event {
    let data = written.unwrap_or_else(|broken| {
        tracing::error!(error = %broken, "an answer could not be written");
        serde_json::json!({ "errors": [{ "message": error::INTERNAL_MESSAGE, "extensions": { "code": Code::Internal.as_str() } }] }).to_string()
    });
    Event::default().event("next").data(data)
}

/// With empty data: browsers tell their page of no event without any.
fn completed() -> Event {
    Event::default().event("complete").data("")
}
