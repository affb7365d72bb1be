//! What people may do with what is kept about them: change their address and take it back, take everything along, be forgotten.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod agreement;
mod consent;
mod email_change;
mod erasure;
mod export;
mod profile;

use serde_json::{Value, json};

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::{Answer, Client},
};

/// Proves once more who is behind a session.
async fn prove(client: &Client<'_>) {
    client.mutate("reauthenticate", "validUntil", json!({ "password": PASSWORD })).await.succeeds();
}

/// Every mail that was delivered and leads to `page`, latest first: whom it went to, and its token.
async fn mails_to(app: &TestApp, page: &str) -> Vec<(String, String)> {
    let lead = format!("/{page}?token=");
    let mails = app.mails().await;
    let found = mails.iter().filter_map(|mail| {
        let (_, rest) = mail["text"].as_str().unwrap().split_once(&lead)?;
        Some((mail["to"].as_str().unwrap().to_owned(), rest.split_whitespace().next().unwrap().to_owned()))
    });
    found.collect()
}

/// The token of the latest mail to `address` that leads to `page`.
async fn token(app: &TestApp, page: &str, address: &str) -> String {
    let mails = mails_to(app, page).await;
    mails.iter().find(|(to, _)| to == address).unwrap_or_else(|| panic!("{page}: no mail to {address} among {mails:?}")).1.clone()
}

/// Sends the form of a page.
async fn submit(client: &Client<'_>, path: &str, token: &str) -> Answer {
    client.send(client.request(reqwest::Method::POST, path).form(&[("token", token)])).await
}

async fn viewer(client: &Client<'_>) -> Value {
    client.ask("{ viewer { id email } }").await.data()["viewer"].clone()
}
