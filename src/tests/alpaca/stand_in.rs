//! A stand-in for Alpaca's Trading API on this machine: its addresses, headers, paging and statuses.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use url::Url;

/// How it fails.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Failure {
    /// With this status and nothing to read.
    Status(u16),
    /// 429, and so many seconds to wait.
    Wait(u32),
    /// 200, and a page for people.
    Html,
    /// 200, and the beginning of an answer.
    HalfJson,
    /// 200, and an answer that breaks off.
    CutOff,
    /// Not at all, for this long.
    Slow(Duration),
}

/// What it has and does; tests change it as they go.
pub(crate) struct Script {
    /// The key and secret it takes.
    pub(crate) key: (String, String),
    /// `GET /v2/account`.
    pub(crate) account: Value,
    /// `GET /v2/positions`.
    pub(crate) positions: Vec<Value>,
    /// `GET /v2/account/activities`, newest first.
    pub(crate) activities: Vec<Value>,
    /// Fails whatever is asked for with this in its address.
    pub(crate) failure: Option<(&'static str, Failure)>,
    /// An activity that happens once the first page was read.
    pub(crate) meanwhile: Option<Value>,
    /// What was asked for so far.
    pub(crate) asked: Vec<String>,
}

/// The stand-in, listening.
#[derive(Clone)]
pub(crate) struct StandIn {
    /// Where.
    pub(crate) url: Url,
    script: Arc<Mutex<Script>>,
}

impl StandIn {
    /// One with an account, nothing in it, and the key `AKTEST` with the secret `a-secret-canary`.
    pub(crate) async fn open() -> Self {
        let script = Script {
            key: ("AKTEST".to_owned(), "a-secret-canary".to_owned()),
            account: json!({
                "id": "904837e3-3b76-47ec-b432-046db621571b", "account_number": "010203ABCD", "status": "ACTIVE", "crypto_status": "ACTIVE",
                "currency": "USD", "cash": "-23140.2", "portfolio_value": "103820.56", "equity": "103820.56", "last_equity": "103529.24",
                "long_market_value": "126960.76", "short_market_value": "0", "buying_power": "262113.632", "multiplier": "4",
                "pattern_day_trader": false, "trading_blocked": false, "created_at": "2019-06-12T22:47:07.99658Z",
            }),
            positions: Vec::new(),
            activities: Vec::new(),
            failure: None,
            meanwhile: None,
            asked: Vec::new(),
        };
        let script = Arc::new(Mutex::new(script));
        let routes = Router::new()
            .route("/v2/account", get(async |State(script): State<Arc<Mutex<Script>>>| Json(script.lock().unwrap().account.clone())))
            .route("/v2/positions", get(async |State(script): State<Arc<Mutex<Script>>>| Json(script.lock().unwrap().positions.clone())))
            .route("/v2/account/activities", get(activities))
            .layer(middleware::from_fn_with_state(script.clone(), door))
            .with_state(script.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, script }
    }

    /// Reads or changes what it does.
    pub(crate) fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.script.lock().unwrap())
    }
}

/// Lets in whoever has the key, unless it is to fail.
async fn door(State(script): State<Arc<Mutex<Script>>>, headers: HeaderMap, request: Request, next: Next) -> Response {
    let address = request.uri().to_string();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (is_let_in, failure) = {
        let mut script = script.lock().unwrap();
        script.asked.push(address.clone());
        let is_let_in = (text("apca-api-key-id"), text("apca-api-secret-key")) == script.key;
        (is_let_in, script.failure.filter(|(part, _)| address.contains(part)).map(|(_, failure)| failure))
    };
    match failure {
        _ if !is_let_in => (StatusCode::FORBIDDEN, Json(json!({ "code": 40_110_000, "message": "request is not authorized" }))).into_response(),
        None => next.run(request).await,
        Some(Failure::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Failure::Wait(seconds)) => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())]).into_response(),
        Some(Failure::Html) => ([("content-type", "text/html")], "<html><body>Maintenance</body></html>").into_response(),
        Some(Failure::HalfJson) => ([("content-type", "application/json")], "[{\"id\": \"2026").into_response(),
        Some(Failure::CutOff) => {
            let parts: [Result<Bytes, std::io::Error>; 2] = [Ok(Bytes::from_static(b"[{\"id\": \"2026")), Err(std::io::Error::other("gone"))];
            Body::from_stream(futures_util::stream::iter(parts)).into_response()
        }
        Some(Failure::Slow(span)) => {
            tokio::time::sleep(span).await;
            next.run(request).await
        }
    }
}

/// Newest first, a hundred a page at most, after the row that the token names.
async fn activities(State(script): State<Arc<Mutex<Script>>>, uri: Uri) -> Response {
    let query: std::collections::HashMap<String, String> = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let mut script = script.lock().unwrap();
    let size: usize = query.get("page_size").map_or(100, |size| size.parse().unwrap());
    let after = query.get("page_token").map_or(0, |token| 1 + script.activities.iter().position(|row| row["id"] == json!(token)).unwrap());
    let page: Vec<_> = script.activities.iter().skip(after).take(size.min(100)).cloned().collect();
    if let Some(new) = script.meanwhile.take() {
        script.activities.insert(0, new);
    }
    Json(page).into_response()
}

/// A fill as Alpaca tells it; `at` is an instant in RFC 3339.
pub(crate) fn fill(id: &str, at: &str, side: &str, qty: &str, symbol: &str, price: &str) -> Value {
    json!({
        "id": format!("{}::{id}", at.replace(['-', ':', '.', 'T', 'Z'], "")), "activity_type": "FILL", "transaction_time": at, "type": "partial_fill",
        "price": price, "qty": qty, "side": side, "symbol": symbol, "leaves_qty": "0", "cum_qty": qty, "order_status": "filled",
        "order_id": "904837e3-3b76-47ec-b432-046db621571b",
    })
}

/// Any other activity.
pub(crate) fn activity(kind: &str, date: &str, net_amount: &str, more: Value) -> Value {
    let mut row = json!({
        "id": format!("{}000000000::{kind}", date.replace('-', "")), "activity_type": kind, "date": date, "net_amount": net_amount, "status": "executed",
    });
    if let Value::Object(more) = more {
        row.as_object_mut().unwrap().extend(more);
    }
    row
}
