//! Registration, through the whole product: signing up, the mail, and what nobody learns by trying.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod guesses;
mod mail;
mod signing_up;

use crate::harness::app::TestApp;

/// Good enough for anyone.
const PASSWORD: &str = "plenty of open water";

/// The token in the latest mail that carries one.
async fn latest_token(app: &TestApp) -> String {
    let mails = app.mails().await;
    token_in(mails.iter().map(|mail| mail["text"].as_str().unwrap()).find(|text| text.contains("token=")).unwrap())
}

/// The token a mail's text holds.
fn token_in(text: &str) -> String {
    let token = text.split("token=").nth(1).unwrap_or_else(|| panic!("there is no token in {text}"));
    token.split_whitespace().next().unwrap().to_owned()
}
