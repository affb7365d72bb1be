//! One stand-in for all providers: it says what it is given by path, and spoils it as a test wants.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;

/// What is answered to a path with a query; 404 without.
type Says = fn(&str, &str) -> Option<Value>;

/// How it answers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mood {
    /// As it should.
    Well,
    /// With a status, and a body that tells secrets.
    Status(u16),
    /// As it should but for one thing, which this number chooses.
    Spoilt(u64),
    /// With numbers of cards and of the account in every text.
    Planted,
    /// With the second text in place of the first.
    Instead(&'static str, &'static str),
}

struct Inside {
    says: Says,
    mood: Mood,
    asked: Vec<(Method, String)>,
}

pub(super) struct StandIn {
    pub(super) url: Url,
    inside: Arc<Mutex<Inside>>,
}

impl StandIn {
    pub(super) async fn saying(says: Says) -> Self {
        let inside = Arc::new(Mutex::new(Inside { says, mood: Mood::Well, asked: Vec::new() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let router = Router::new().fallback(answer).with_state(inside.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, inside }
    }

    /// Answers so from now on, and forgets what it was asked.
    pub(super) fn is(&self, mood: Mood) {
        let mut inside = self.inside.lock().unwrap();
        (inside.mood, inside.asked) = (mood, Vec::new());
    }

    /// What it was asked since.
    pub(super) fn asked(&self) -> Vec<(Method, String)> {
        self.inside.lock().unwrap().asked.clone()
    }
}

async fn answer(State(inside): State<Arc<Mutex<Inside>>>, request: Request) -> Response {
    let mut inside = inside.lock().unwrap();
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    inside.asked.push((request.method().clone(), path.clone()));
    let said = (inside.says)(&path, &query).map(|value| value.to_string().into_bytes());
    match (inside.mood, said) {
        (Mood::Status(status), _) => (StatusCode::from_u16(status).unwrap(), "{\"error\": \"canary-body 4111111111111111\"}").into_response(),
        (_, None) => StatusCode::NOT_FOUND.into_response(),
        (Mood::Well, Some(body)) => body.into_response(),
        (Mood::Instead(this, that), Some(body)) => String::from_utf8(body).unwrap().replace(this, that).into_response(),
        (Mood::Planted, Some(body)) => planted("", serde_json::from_slice(&body).unwrap()).to_string().into_response(),
        (Mood::Spoilt(number), Some(body)) => spoilt(body, number).into_response(),
    }
}

/// The number of every account, planted.
pub(super) const NUMBER: &str = "98765432103";

/// What stands in every text, planted.
pub(super) const CARD: &str = "4111 1111 1111 1111";

fn planted(key: &str, value: Value) -> Value {
    match value {
        Value::String(_) if ["number", "account_number", "accountNumber"].contains(&key) => Value::String(NUMBER.to_owned()),
        Value::String(text) if ["name", "institution", "description", "nickName", "org_name", "merchant", "category"].contains(&key) => {
            Value::String(format!("{text} {CARD} and {NUMBER}"))
        }
        Value::Array(values) => Value::Array(values.into_iter().map(|value| planted(key, value)).collect()),
        Value::Object(fields) => {
            // Where an account goes by its id and another one's, the id is a card's number.
            let is_joined = fields.contains_key("conn_id") && fields.contains_key("id");
            let mut fields: serde_json::Map<_, _> = fields.into_iter().map(|(key, value)| (key.clone(), planted(&key, value))).collect();
            if is_joined {
                fields.insert("id".to_owned(), Value::String(CARD.replace(' ', "")));
            }
            Value::Object(fields)
        }
        other => other,
    }
}

/// Cut off, a byte replaced, some bytes taken out, or some said twice.
fn spoilt(mut body: Vec<u8>, number: u64) -> Vec<u8> {
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let at = usize::try_from(mixed % body.len() as u64).unwrap();
    let until = (at + 1 + usize::try_from(mixed >> 32).unwrap() % 40).min(body.len());
    match number % 4 {
        0 => body.truncate(at),
        1 => body[at] = b"0\"{}[],:-9ex\0\xff"[usize::try_from(mixed >> 40).unwrap() % 14],
        2 => drop(body.drain(at..until)),
        _ => {
            let piece = body[at..until].to_vec();
            body.splice(at..at, piece);
        }
    }
    body
}
