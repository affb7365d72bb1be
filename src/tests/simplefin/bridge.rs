//! A stand-in for a SimpleFIN server, by the protocol's second version.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What it holds and was asked.
#[derive(Default)]
pub(crate) struct Books {
    /// Accounts as they are told, each with all of its rows.
    pub(crate) accounts: Vec<Value>,
    /// What went wrong.
    pub(crate) errlist: Vec<Value>,
    /// The same in words, as the first version has it.
    pub(crate) errors: Vec<Value>,
    /// Says `null` in place of a list of errors without any, and of the connections.
    pub(crate) says_null: bool,
    /// What it answers instead.
    pub(crate) status: Option<u16>,
    /// The parameters of each request for accounts.
    pub(crate) asked: Vec<HashMap<String, String>>,
    /// How often something was to be claimed.
    pub(crate) claims: usize,
    /// Accesses that were ended.
    pub(crate) revoked: HashSet<String>,
    claimed: HashSet<String>,
}

/// One server on a port of its own.
pub(crate) struct Bridge {
    address: String,
    books: Arc<Mutex<Books>>,
}

type Shared = (String, Arc<Mutex<Books>>);

impl Bridge {
    pub(crate) async fn with(accounts: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let books = Arc::new(Mutex::new(Books { accounts, ..Books::default() }));
        let router = Router::new()
            .route("/simplefin/claim/{token}", post(claim))
            .route("/simplefin/accounts", get(accounts_of))
            .with_state((address.clone(), books.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, books }
    }

    /// A setup token of that name; each can be claimed once.
    pub(crate) fn token(&self, name: &str) -> String {
        BASE64_STANDARD.encode(format!("http://{}/simplefin/claim/{name}", self.address))
    }

    pub(crate) fn books<T>(&self, look: impl FnOnce(&mut Books) -> T) -> T {
        look(&mut self.books.lock().unwrap())
    }

    /// How often it was asked for accounts.
    pub(crate) fn asked(&self) -> usize {
        self.books(|books| books.asked.len())
    }
}

async fn claim(State((address, books)): State<Shared>, Path(token): Path<String>, body: Bytes) -> Response {
    let mut books = books.lock().unwrap();
    books.claims += 1;
    if !body.is_empty() || !books.claimed.insert(token.clone()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    format!("http://{token}:s%2Fsecret@{address}/simplefin\n").into_response()
}

async fn accounts_of(State((_, books)): State<Shared>, Query(asked): Query<HashMap<String, String>>, headers: HeaderMap) -> Response {
    let mut books = books.lock().unwrap();
    books.asked.push(asked.clone());
    if let Some(status) = books.status {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let login = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let login = login.and_then(|login| String::from_utf8(BASE64_STANDARD.decode(login).ok()?).ok()).unwrap_or_default();
    let user = login.strip_suffix(":s/secret").unwrap_or_default();
    if !books.claimed.contains(user) || books.revoked.contains(user) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let date = |name: &str| asked.get(name).and_then(|text| text.parse::<i64>().ok());
    let (start, end) = (date("start-date").unwrap_or(0), date("end-date").unwrap_or(i64::MAX));
    let accounts: Vec<Value> = books
        .accounts
        .iter()
        .map(|account| {
            let mut account = account.clone();
            if let Some(rows) = account.get_mut("transactions").and_then(Value::as_array_mut) {
                let within = |row: &Value| row["posted"].as_i64().is_none_or(|posted| (start..end).contains(&posted));
                rows.retain(|row| within(row) || (row["pending"] == true && asked.get("pending").is_some_and(|asked| asked == "1")));
            }
            account
        })
        .collect();
    let mut connections: Vec<_> = accounts.iter().filter_map(|account| account["conn_id"].as_str()).collect();
    connections.sort_unstable();
    connections.dedup();
    let connections: Vec<_> =
        connections.into_iter().map(|id| json!({ "conn_id": id, "name": format!("{id} of Ann"), "org_name": format!("Bank {id}") })).collect();
    let mut answer = json!({ "errlist": books.errlist, "errors": books.errors, "connections": connections, "accounts": accounts });
    for list in ["errlist", "errors", "connections"].into_iter().filter(|_| books.says_null) {
        answer[list] = Value::Null;
    }
    Json(answer).into_response()
}
