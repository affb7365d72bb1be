//! Keys that change while servers run: what goes on, what is moved, and what never shows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod binary;
mod files;
mod force;
mod reseal;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use dashtam::domain::time::Clock as _;
use dashtam::infrastructure::{
    database::{inspection::Inspection, keys::KeyUsage},
    security::keys::Keys,
};

use crate::harness::app::{TOKEN_SECRET, TestApp};

/// The ring key that every test app begins with.
fn first_ring() -> String {
    format!("t1:{}=", "A".repeat(43))
}

/// A ring key of that id.
fn ring_key(id: &str, byte: u8) -> String {
    format!("{id}:{}", BASE64_STANDARD.encode([byte; 32]))
}

/// A token secret of its own for each letter.
fn secret(letter: char) -> String {
    letter.to_string().repeat(40)
}

/// Keys of this ring, with these token secrets; the first ones are current.
fn keys(ring: &[String], tokens: &[String]) -> Keys {
    let previous = (tokens.len() > 1).then(|| tokens[1..].join(",").into());
    Keys::read(&ring.join(",").into(), &tokens[0].as_str().into(), previous.as_ref()).unwrap()
}

fn first_secret() -> String {
    TOKEN_SECRET.to_owned()
}

/// The header of a token of ours.
fn kid(token: &str) -> String {
    let header = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<serde_json::Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

/// What hangs on the keys in force.
async fn usage(app: &TestApp) -> KeyUsage {
    let keys = app.keys.now();
    let inspection = Inspection::open(&app.store.url).await.unwrap().unwrap();
    let usage = inspection.key_usage(&keys.ring_ids(), &keys.token_ids(), app.store.clock.now()).await.unwrap();
    inspection.close().await.unwrap();
    usage
}
