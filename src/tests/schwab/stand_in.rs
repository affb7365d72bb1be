//! A stand-in for Schwab's Trader API on this machine: consent, tokens that end by a moved clock, hashes, and rows of three thousand at most.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Form, Json, Router,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::Duration;
use dashtam::domain::time::{Clock, Timestamp};
use serde_json::{Value, json};
use url::Url;

/// The app key.
pub(super) const CLIENT_ID: &str = "an-app-key";

/// The app's secret.
pub(super) const CLIENT_SECRET: &str = "an-app-secret-canary";

/// Tokens of one sign-in.
#[derive(Clone)]
struct Consent {
    signed_in_at: Timestamp,
    refresh_token: String,
    access_token: String,
    access_until: Timestamp,
}

/// What it has and does; tests change it as they go.
#[derive(Default)]
pub(super) struct Script {
    /// `GET /accounts/accountNumbers`, as number and hash.
    pub(super) numbers: Vec<(&'static str, &'static str)>,
    /// `GET /accounts?fields=positions`.
    pub(super) accounts: Vec<Value>,
    /// `GET /userPreference`; 500 without.
    pub(super) preferences: Option<Value>,
    /// The rows of an account, by hash.
    pub(super) rows: HashMap<&'static str, Vec<Value>>,
    /// Forms that came to the token endpoint.
    pub(super) forms: Vec<HashMap<String, String>>,
    /// Windows that were asked for, as their first and last days.
    pub(super) windows: Vec<(String, String)>,
    /// Paths that were asked for.
    pub(super) paths: Vec<String>,
    /// Leaves the refresh token out of what a refresh answers.
    pub(super) keeps_refresh_token: bool,
    /// What its tokens' answers hold instead of what they should.
    pub(super) odd: Value,
    /// For how many seconds its token endpoint wants to be left alone.
    pub(super) rests: Option<u32>,
    /// Looks at the days of a window alone, and at no times.
    pub(super) looks_at_days_alone: bool,
    consents: Vec<Consent>,
    counted: usize,
}

/// The stand-in, listening.
#[derive(Clone)]
pub(super) struct StandIn {
    /// Where.
    pub(super) url: Url,
    shared: Shared,
}

type Shared = Arc<(Mutex<Script>, Mutex<Option<Arc<dyn Clock>>>)>;

fn now(shared: &Shared) -> Timestamp {
    shared.1.lock().unwrap().as_ref().unwrap().now()
}

impl StandIn {
    pub(super) async fn open() -> Self {
        let shared: Shared = Arc::default();
        let data = Router::new()
            .route("/accounts/accountNumbers", get(numbers))
            .route("/accounts", get(async |State(shared): State<Shared>| Json(shared.0.lock().unwrap().accounts.clone())))
            .route("/userPreference", get(preferences))
            .route("/accounts/{hash}/transactions", get(rows))
            .layer(middleware::from_fn_with_state(shared.clone(), bearer));
        let routes = Router::new().route("/v1/oauth/token", post(token)).nest("/trader/v1", data).with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, shared }
    }

    /// Reads or changes what it does.
    pub(super) fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.shared.0.lock().unwrap())
    }

    /// Goes by this clock, with nobody signed in.
    pub(super) fn goes_by(&self, clock: Arc<dyn Clock>) {
        *self.shared.1.lock().unwrap() = Some(clock);
        self.script(|script| (script.consents, script.forms, script.windows, script.paths) = Default::default());
    }

    /// One account of that number and hash, with this liquidation value and nothing in it.
    pub(super) fn has_account(&self, number: &'static str, hash: &'static str, rows: Vec<Value>) {
        self.script(|script| {
            script.numbers = vec![(number, hash)];
            script.accounts = vec![account(number, &json!({ "liquidationValue": 10_250.75, "cashBalance": 250.75, "availableFunds": 200.5 }), &json!([]))];
            script.preferences =
                Some(json!({ "accounts": [{ "accountNumber": number, "primaryAccount": true, "type": "BROKERAGE", "nickName": "Nest egg" }] }));
            script.rows = HashMap::from([(hash, rows)]);
        });
    }
}

/// An item of `GET /accounts`.
pub(super) fn account(number: &str, balances: &Value, positions: &Value) -> Value {
    json!({ "securitiesAccount": { "type": "MARGIN", "accountNumber": number, "roundTrips": 0, "isDayTrader": false, "isClosingOnlyRestricted": false,
        "pfcbFlag": false, "positions": positions, "initialBalances": { "liquidationValue": 1 }, "currentBalances": balances, "projectedBalances": {} },
        "aggregatedBalance": { "currentLiquidationValue": 1, "liquidationValue": 1 } })
}

/// An item of `GET /accounts/{hash}/transactions`.
pub(super) fn row(id: u64, kind: &str, time: &str, net_amount: f64, more: Value) -> Value {
    let mut row =
        json!({ "activityId": id, "time": time, "type": kind, "status": "VALID", "subAccount": "MARGIN", "netAmount": net_amount, "transferItems": [] });
    if let Value::Object(more) = more {
        row.as_object_mut().unwrap().extend(more);
    }
    row
}

/// Exchanges and refreshes, for the app itself. A code is `C0.<anything>@`; the refresh token lasts seven days from signing in.
async fn token(State(shared): State<Shared>, headers: HeaderMap, Form(form): Form<HashMap<String, String>>) -> Response {
    let now = now(&shared);
    let mut script = shared.0.lock().unwrap();
    script.forms.push(form.clone());
    if let Some(seconds) = script.rests {
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())]).into_response();
    }
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    let refused = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error, "error_description": "canary" }))).into_response();
    if headers.get("authorization").and_then(|value| value.to_str().ok()) != Some(&basic) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" }))).into_response();
    }
    script.counted += 1;
    let number = script.counted;
    let pair = (format!("schwab-access-canary-{number}"), format!("schwab-refresh-canary-{number}"));
    let consent = match form.get("grant_type").map(String::as_str) {
        Some("authorization_code") if form["code"].starts_with("C0.") && form["code"].ends_with('@') && form["code_verifier"].len() >= 43 => {
            let consent = Consent { signed_in_at: now, refresh_token: pair.1, access_token: pair.0, access_until: now.plus(Duration::minutes(30)) };
            script.consents.push(consent.clone());
            consent
        }
        Some("refresh_token") => {
            let keeps = script.keeps_refresh_token;
            let known = script.consents.iter_mut().find(|known| Some(&known.refresh_token) == form.get("refresh_token"));
            let Some(consent) = known.filter(|known| now < known.signed_in_at.plus(Duration::days(7))) else { return refused("unsupported_token_type") };
            (consent.access_token, consent.access_until) = (pair.0, now.plus(Duration::minutes(30)));
            if keeps {
                let answer = json!({ "expires_in": 1800, "token_type": "Bearer", "scope": "api", "access_token": consent.access_token });
                return Json(answer).into_response();
            }
            consent.refresh_token = pair.1;
            consent.clone()
        }
        _ => return refused("invalid_grant"),
    };
    let mut answer = json!({ "expires_in": 1800, "token_type": "Bearer", "scope": "api", "refresh_token": consent.refresh_token,
        "access_token": consent.access_token, "id_token": "canary" });
    answer.as_object_mut().unwrap().extend(script.odd.as_object().cloned().unwrap_or_default());
    Json(answer).into_response()
}

/// Lets in whoever has an access token that has not ended.
async fn bearer(State(shared): State<Shared>, headers: HeaderMap, request: Request, next: Next) -> Response {
    let given = headers.get("authorization").and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let now = now(&shared);
    let is_known = {
        let mut script = shared.0.lock().unwrap();
        script.paths.push(request.uri().path().to_owned());
        script.consents.iter().any(|consent| consent.access_token == given && now < consent.access_until)
    };
    if is_known { next.run(request).await } else { StatusCode::UNAUTHORIZED.into_response() }
}

async fn numbers(State(shared): State<Shared>) -> Json<Value> {
    let numbers = &shared.0.lock().unwrap().numbers;
    Json(numbers.iter().map(|(number, hash)| json!({ "accountNumber": number, "hashValue": hash })).collect())
}

async fn preferences(State(shared): State<Shared>) -> Response {
    shared
        .0
        .lock()
        .unwrap()
        .preferences
        .clone()
        .map_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response(), |preferences| Json(preferences).into_response())
}

/// The rows of a window of a year at most, three thousand of them.
async fn rows(State(shared): State<Shared>, Path(hash): Path<String>, Query(query): Query<HashMap<String, String>>) -> Response {
    let instant = |name: &str| chrono::DateTime::parse_from_rfc3339(&query[name]).unwrap().to_utc();
    let (mut start, mut end) = (instant("startDate"), instant("endDate"));
    if end - start > Duration::days(365) || !query["types"].contains("SMA_ADJUSTMENT") || query["startDate"].strip_suffix(".000Z").is_none() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let mut script = shared.0.lock().unwrap();
    if script.looks_at_days_alone {
        let midnight = |instant: chrono::DateTime<chrono::Utc>| instant.date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
        (start, end) = (midnight(start), midnight(end) + Duration::days(1) - Duration::milliseconds(1));
    }
    script.windows.push((start.date_naive().to_string(), end.date_naive().to_string()));
    let Some(rows) = script.rows.get(hash.as_str()) else { return StatusCode::NOT_FOUND.into_response() };
    let is_inside = |row: &&Value| {
        let time = row["time"].as_str().and_then(|time| chrono::DateTime::parse_from_str(time, "%Y-%m-%dT%H:%M:%S%z").ok());
        time.is_none_or(|time| (start..=end).contains(&time.to_utc()))
    };
    Json(rows.iter().filter(is_inside).take(3_000).cloned().collect::<Vec<_>>()).into_response()
}
