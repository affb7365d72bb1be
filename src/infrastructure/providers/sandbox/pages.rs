//! What the sandbox bank shows in a browser: the page that asks for consent, the page that says why there is none, and the page that tells the
//! bank what to do.
//!
//! No script, one stylesheet of its own, every text escaped by the templates. A browser holds `form-action` against the whole chain of
//! redirects that follows the answer, and the client's callback may lead on to a frontend; this bank is open on loopback only, so the
//! client's own address and every port of this machine are allowed and nothing else is.

use askama::Template;
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use chrono::Duration;
use serde_json::Value;
use url::Url;

use super::{
    bank::{Book, Ledger},
    control::{BankEvent, PARTS},
    faults::{Door, FaultKind},
};
use crate::domain::account::MaskedNumber;

/// The stylesheet of all pages.
pub(super) static STYLESHEET: &str = include_str!("../../../../templates/sandbox/sandbox.css");

#[derive(Template)]
#[template(path = "sandbox/consent.html")]
struct ConsentPage<'a> {
    client: &'a str,
    returns_to: String,
    institutions: Vec<Institution<'a>>,
    ticket: &'a str,
    lasts: String,
    problem: Option<&'a str>,
}

struct Institution<'a> {
    name: &'a str,
    accounts: Vec<Choice<'a>>,
}

struct Choice<'a> {
    id: &'a str,
    name: &'a str,
    kind: &'a str,
    number: String,
    balance: String,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "sandbox/problem.html")]
struct ProblemPage<'a> {
    problem: &'a str,
}

#[derive(Template)]
#[template(path = "sandbox/switches.html")]
struct SwitchesPage<'a> {
    base: &'a str,
    accounts: Vec<(&'a str, &'a str)>,
    doors: Vec<&'a str>,
    faults: Vec<&'a str>,
    events: Vec<&'a str>,
    parts: &'static [&'static str],
    state: String,
    problem: Option<&'a str>,
}

/// The page that asks for a consent that lasts so long. `problem` says why it asks again, with nothing chosen.
pub(super) fn consent(ledger: &Ledger, ticket: &str, (redirect_to, lasts): (&Url, Duration), problem: Option<&str>) -> Response {
    let mut institutions: Vec<Institution<'_>> = Vec::new();
    for book in &ledger.books {
        let choice = choice(book, problem.is_none());
        match institutions.last_mut().filter(|last| last.name == book.spec.institution) {
            Some(known) => known.accounts.push(choice),
            None => institutions.push(Institution { name: book.spec.institution, accounts: vec![choice] }),
        }
    }
    let returns_to = redirect_to.origin().ascii_serialization();
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let form_targets = format!("'self' {returns_to} http://localhost:* http://127.0.0.1:*");
    show(status, &ConsentPage { client: "Dashtam", returns_to, institutions, ticket, lasts: span(lasts), problem }, &form_targets)
}

/// The page that tells the bank what to do, below the path `base`. `state` is how things stand.
pub(super) fn switches(base: &str, ledger: &Ledger, state: &Value, problem: Option<&str>) -> Response {
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let state = format!("{state:#}");
    let page = SwitchesPage {
        base,
        accounts: ledger.books.iter().map(|book| (book.spec.id, book.spec.name)).collect(),
        doors: Door::ALL.iter().map(|door| door.as_str()).collect(),
        faults: FaultKind::ALL.iter().map(|kind| kind.as_str()).collect(),
        events: BankEvent::ALL.iter().map(|event| event.as_str()).collect(),
        parts: &PARTS,
        state,
        problem,
    };
    show(status, &page, "'self'")
}

/// A span for people: whole days, or else hours and minutes.
fn span(span: Duration) -> String {
    match (span.num_days(), span.num_minutes()) {
        (days, minutes) if days > 0 && minutes == days * 1_440 => format!("{days} days"),
        (_, minutes) if minutes % 60 == 0 => format!("{} hours", minutes / 60),
        (_, minutes) => format!("{minutes} minutes"),
    }
}

/// The page that says why there is nothing to agree to.
pub(super) fn problem(problem: &str) -> Response {
    show(StatusCode::BAD_REQUEST, &ProblemPage { problem }, "'none'")
}

fn choice(book: &Book, is_chosen: bool) -> Choice<'_> {
    let spec = book.spec;
    let number = MaskedNumber::cut(&book.number).map(|number| number.as_str().to_owned()).unwrap_or_default();
    let balance = format!("{} {}", super::answers::cents(book.holdings().current), spec.currency);
    Choice { id: spec.id, name: spec.name, kind: spec.kind_name, number, balance, is_chosen }
}

fn show(status: StatusCode, page: &impl Template, form_targets: &str) -> Response {
    let policy = format!("default-src 'none'; style-src 'self'; form-action {form_targets}; frame-ancestors 'none'; base-uri 'none'");
    let (Ok(html), Ok(policy)) = (page.render(), HeaderValue::from_str(&policy)) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Never the query, which holds the client's state.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
    (status, headers, Html(html)).into_response()
}
