//! The sandbox bank over HTTP: `/authorize`, `/token`, `/revoke`, `/accounts`, `/accounts/{id}/transactions`, and what tells it what to do.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequestParts, Path, RawForm, RawQuery, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use super::{
    SandboxBank, answers,
    authorization::{AuthorizationRequest, Rejection, TokenRefusal},
    control,
    faults::Door,
    pages,
    parameters::Parameters,
    register::Issued,
};
use crate::domain::time::LocalDate;

const BODY_BYTES: usize = 64 * 1024;

impl SandboxBank {
    /// The bank's routes, to be nested under the address it was registered with.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/authorize", get(ask).post(decide))
            .route("/token", post(token))
            .route("/revoke", post(revoke))
            .route("/accounts", get(accounts))
            .route("/accounts/{id}/transactions", get(transactions))
            .route("/sandbox.css", get(stylesheet))
            .layer(middleware::from_fn_with_state(self.clone(), misanswer))
            .merge(control::routes())
            .layer(DefaultBodyLimit::max(BODY_BYTES))
            .with_state(self)
    }
}

/// Lets a door answer as badly as the bank was told to.
async fn misanswer(State(bank): State<Arc<SandboxBank>>, request: Request, next: Next) -> Response {
    let door = Door::of(request.method(), request.uri().path()).filter(|door| bank.desk().register.faults.are_at(*door));
    let Some(door) = door else { return next.run(request).await };
    match bank.told(move |register| register.faults.take(door)).await {
        Ok(Some(bad)) => bad.answer(next.run(request)).await,
        Ok(None) => next.run(request).await,
        Err(failed) => failed,
    }
}

/// `GET /authorize`: the page that asks the owner.
async fn ask(State(bank): State<Arc<SandboxBank>>, RawQuery(query): RawQuery) -> Response {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let checked = bank.desk().check(&parameters);
    match checked {
        Ok(request) => show_consent(&bank, request, None),
        Err(Rejection::Untrusted(problem)) => pages::problem(problem),
        Err(Rejection::Told(address)) => leave_for(&address),
    }
}

/// `POST /authorize`: what the owner decided.
async fn decide(State(bank): State<Arc<SandboxBank>>, RawForm(form): RawForm) -> Response {
    let form = Parameters::parse(&form);
    let now = bank.now();
    let request = form.one("ticket").ok().flatten().and_then(|ticket| bank.desk().claim(ticket, now));
    let Some(request) = request else {
        return pages::problem("This page was answered before or has waited too long. Go back to the application and begin again.");
    };
    let address = match form.one("decision") {
        Ok(Some("agree")) => {
            let ledger = bank.ledger();
            let chosen: Vec<String> =
                ledger.books.iter().map(|book| book.spec.id).filter(|id| form.all("account").any(|chosen| chosen == *id)).map(str::to_owned).collect();
            if chosen.is_empty() {
                return show_consent(&bank, request, Some("Choose at least one account, or decline."));
            }
            let code = bank.secret("sbc");
            bank.desk().agree(&request, chosen, &code, now)
        }
        _ => bank.desk().decline(&request),
    };
    address.map_or_else(|| pages::problem("This bank is not open yet."), |address| leave_for(&address))
}

fn show_consent(bank: &SandboxBank, request: AuthorizationRequest, problem: Option<&str>) -> Response {
    let (ticket, now) = (bank.secret("sbt"), bank.now());
    let (redirect_to, lasts) = {
        let mut desk = bank.desk();
        desk.hold(request, &ticket, now);
        (desk.registration.as_ref().map(|known| known.redirect_to.clone()), desk.register.script.consent())
    };
    redirect_to.map_or_else(|| pages::problem("This bank is not open yet."), |address| pages::consent(&bank.ledger(), &ticket, (&address, lasts), problem))
}

fn leave_for(address: &str) -> Response {
    ([(header::CACHE_CONTROL, "no-store"), (header::REFERRER_POLICY, "no-referrer")], Redirect::to(address)).into_response()
}

async fn stylesheet() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")], pages::STYLESHEET).into_response()
}

/// `POST /token`.
async fn token(State(bank): State<Arc<SandboxBank>>, headers: HeaderMap, RawForm(form): RawForm) -> Response {
    answered(headers, move |credentials| Ok(bank.token(credentials, &Parameters::parse(&form))?.map(|issued| token_answer(&issued)))).await
}

/// `POST /revoke` (RFC 7009).
async fn revoke(State(bank): State<Arc<SandboxBank>>, headers: HeaderMap, RawForm(form): RawForm) -> Response {
    answered(headers, move |credentials| Ok(bank.revoke(credentials, &Parameters::parse(&form))?.map(|()| json!({})))).await
}

/// Answers what the client asks with its credentials. What is remembered is written to the disk before the answer goes out.
async fn answered<F>(headers: HeaderMap, answer: F) -> Response
where
    F: FnOnce(Option<&(String, String)>) -> anyhow::Result<Result<serde_json::Value, TokenRefusal>> + Send + 'static,
{
    let credentials = match headers.get(header::AUTHORIZATION).map(basic_credentials) {
        Some(None) => return refusal(TokenRefusal::InvalidClient),
        known => known.flatten(),
    };
    match kept(move || answer(credentials.as_ref())).await {
        Ok(Ok(answer)) => no_store(StatusCode::OK, answer),
        Ok(Err(refused)) => refusal(refused),
        Err(failed) => failed,
    }
}

/// What `work` answers, which writes to the disk, or the answer that says that it failed.
pub(super) async fn kept<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> Result<T, Response> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(error)) => tracing::error!(%error, "the sandbox bank could not keep its state"),
        Err(stopped) => tracing::error!(panicked = stopped.is_panic(), "the sandbox bank stopped in the middle of an answer"),
    }
    Err(no_store(StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": "server_error" })))
}

fn token_answer(issued: &Issued) -> serde_json::Value {
    json!({
        "access_token": issued.tokens.access,
        "token_type": "Bearer",
        "expires_in": issued.access_seconds,
        "refresh_token": issued.tokens.refresh,
        "consent_expires_in": issued.consent_seconds,
    })
}

/// RFC 6749 §5.2.
fn refusal(refused: TokenRefusal) -> Response {
    let (status, error) = match refused {
        TokenRefusal::InvalidRequest => (StatusCode::BAD_REQUEST, "invalid_request"),
        TokenRefusal::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client"),
        TokenRefusal::InvalidGrant => (StatusCode::BAD_REQUEST, "invalid_grant"),
        TokenRefusal::UnsupportedGrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
    };
    let mut response = no_store(status, json!({ "error": error }));
    if refused == TokenRefusal::InvalidClient {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"sandbox\""));
    }
    response
}

fn no_store(status: StatusCode, body: serde_json::Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")], Json(body)).into_response()
}

/// Id and secret, each form-encoded inside the header (RFC 6749 §2.3.1).
fn basic_credentials(value: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let form_decoded = |text: &str| url::form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned());
    Some((form_decoded(id)?, form_decoded(secret)?))
}

/// `GET /accounts`: those the consent covers.
async fn accounts(State(bank): State<Arc<SandboxBank>>, covered: Covered) -> Response {
    let (ledger, now) = (bank.ledger(), bank.now());
    let accounts = ledger.books.iter().filter(|book| covered.has(book.spec.id)).map(|book| answers::account(book, now)).collect();
    private(answers::Accounts { accounts })
}

/// `GET /accounts/{id}/transactions?from&to&cursor&limit`.
async fn transactions(State(bank): State<Arc<SandboxBank>>, Path(id): Path<String>, RawQuery(query): RawQuery, covered: Covered) -> Response {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let Some((from, to, limit)) = window(&parameters) else { return problem(StatusCode::BAD_REQUEST, "invalid_window") };
    let Ok(cursor) = parameters.one("cursor") else { return problem(StatusCode::BAD_REQUEST, "invalid_cursor") };
    let script = bank.desk().register.script.clone();
    if let Some(told) = cursor.and_then(answers::last_told).filter(|_| script.changes_while_paging) {
        let gone = bank.told(move |register| {
            register.script.changes_while_paging = false;
            register.script.changes.remove(&told);
        });
        if let Err(failed) = gone.await {
            return failed;
        }
    }
    let ledger = bank.ledger();
    let Some(book) = ledger.book(&id).filter(|book| covered.has(book.spec.id)) else {
        return problem(StatusCode::NOT_FOUND, "not_found");
    };
    match answers::page(book, (from, to), cursor, (limit.min(script.page_rows()), &script.zone())) {
        Ok(page) => private(page),
        Err(answers::UnknownCursor) => problem(StatusCode::BAD_REQUEST, "invalid_cursor"),
    }
}

/// The days and the number of rows asked for; `None` when they cannot be read. Without a last day it is all there is until now.
fn window(parameters: &Parameters) -> Option<(LocalDate, Option<LocalDate>, usize)> {
    let day = |name| parameters.one(name).ok().map(|day| day.map(LocalDate::parse))?.transpose().ok();
    let limit = match parameters.one("limit").ok()? {
        Some(limit) => limit.parse::<usize>().ok().filter(|limit| *limit > 0)?.min(answers::PAGE_ROWS),
        None => answers::PAGE_ROWS,
    };
    Some((day("from")??, day("to")?, limit))
}

/// The accounts the request's token opens.
struct Covered(Vec<String>);

impl Covered {
    fn has(&self, account_id: &str) -> bool {
        self.0.iter().any(|id| id == account_id)
    }
}

/// No token, or none that opens anything: the challenge to answer with (RFC 6750 §3).
struct Unauthorized(&'static str);

impl FromRequestParts<Arc<SandboxBank>> for Covered {
    type Rejection = Unauthorized;

    async fn from_request_parts(parts: &mut Parts, bank: &Arc<SandboxBank>) -> Result<Self, Unauthorized> {
        let value = parts.headers.get(header::AUTHORIZATION).ok_or(Unauthorized("Bearer realm=\"sandbox\""))?;
        let token = value.to_str().ok().and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let now = bank.now();
        let accounts = token.and_then(|(_, token)| bank.desk().register.accounts(token.trim(), now).map(<[String]>::to_vec));
        accounts.map(Self).ok_or(Unauthorized("Bearer realm=\"sandbox\", error=\"invalid_token\""))
    }
}

impl IntoResponse for Unauthorized {
    fn into_response(self) -> Response {
        ([(header::WWW_AUTHENTICATE, self.0)], problem(StatusCode::UNAUTHORIZED, "invalid_token")).into_response()
    }
}

pub(super) fn private(body: impl serde::Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn problem(status: StatusCode, error: &str) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(json!({ "error": error }))).into_response()
}
