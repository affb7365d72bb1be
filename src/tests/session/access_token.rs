//! Access tokens: what is accepted as one, and what a forger would try.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::Duration;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::{
    app::{TOKEN_SECRET, TestApp},
    client::{Answer, Client},
};

const ASK: &str = "{ viewer { id } providers { slug } }";

/// Header and claims of a token of ours.
fn parts(client: &Client<'_>) -> (Value, Value) {
    let token = client.access_token.clone().unwrap();
    let mut parts = token.split('.').map(|part| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap_or_default()).unwrap_or_default());
    (parts.next().unwrap(), parts.next().unwrap())
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header.to_string()), BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// A token signed by HMAC-SHA-256, whatever its header says.
fn signed(header: &Value, claims: &Value, secret: &str) -> String {
    let unsigned = unsigned(header, claims);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(unsigned.as_bytes());
    format!("{unsigned}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn with(value: &Value, key: &str, new: impl Into<Value>) -> Value {
    let mut value = value.clone();
    value[key] = new.into();
    value
}

fn without(value: &Value, key: &str) -> Value {
    let mut value = value.clone();
    value.as_object_mut().unwrap().remove(key);
    value
}

#[track_caller]
fn is_turned_away(answer: &Answer, code: &str, what: &str) {
    answer.is_fault("UNAUTHENTICATED");
    assert_eq!(answer.body["extensions"]["authentication"], code, "{what}");
}

#[tokio::test]
async fn a_token_says_what_the_contract_says_and_works_for_fifteen_minutes() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let (header, claims) = parts(&ann);
        assert_eq!((&header["alg"], header["kid"].as_str().map(str::len)), (&json!("HS256"), Some(8)));
        assert_eq!((&claims["iss"], &claims["aud"], &claims["role"]), (&json!(app.url), &json!("dashtam"), &json!("user")));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
        assert!(["sub", "sid", "jti", "nbf"].iter().all(|claim| !claims[claim].is_null()));
        app.pass(Duration::seconds(899));
        ann.ask(ASK).await.data();
        app.pass(Duration::seconds(1));
        is_turned_away(&ann.ask(ASK).await, "TOKEN_EXPIRED", "at its end");
        ann.send(ann.request(reqwest::Method::POST, "/imports")).await.is_problem(401, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn no_forged_token_is_anyone() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let (header, claims) = parts(&ann);
        let genuine = ann.access_token.clone().unwrap();
        let (head, rest) = genuine.split_once('.').unwrap();
        let (body, signature) = rest.split_once('.').unwrap();
        let of_bob = BASE64_URL_SAFE_NO_PAD.encode(parts(&bob).1.to_string());
        let year = claims["exp"].as_i64().unwrap() + 31_536_000;
        let forged = [
            ("alg none", format!("{}.", unsigned(&with(&header, "alg", "none"), &claims))),
            ("alg None", format!("{}.", unsigned(&with(&header, "alg", "None"), &claims))),
            ("alg none with the signature", format!("{}.{signature}", unsigned(&with(&header, "alg", "none"), &claims))),
            ("another key", signed(&header, &claims, "another secret of thirty-two bytes or more")),
            ("an empty key", signed(&header, &claims, "")),
            ("RS256 over our secret", signed(&with(&header, "alg", "RS256"), &claims, TOKEN_SECRET)),
            ("ES256 over our secret", signed(&with(&header, "alg", "ES256"), &claims, TOKEN_SECRET)),
            ("HS512 over our secret", signed(&with(&header, "alg", "HS512"), &claims, TOKEN_SECRET)),
            ("another issuer", signed(&header, &with(&claims, "iss", "https://evil.example"), TOKEN_SECRET)),
            ("no issuer", signed(&header, &without(&claims, "iss"), TOKEN_SECRET)),
            ("another audience", signed(&header, &with(&claims, "aud", "elsewhere"), TOKEN_SECRET)),
            ("no audience", signed(&header, &without(&claims, "aud"), TOKEN_SECRET)),
            ("an unknown key id", signed(&with(&header, "kid", "00000000"), &claims, TOKEN_SECRET)),
            ("no key id", signed(&without(&header, "kid"), &claims, TOKEN_SECRET)),
            ("no end", signed(&header, &without(&claims, "exp"), TOKEN_SECRET)),
            ("an end that is no number", signed(&header, &with(&claims, "exp", "never"), TOKEN_SECRET)),
            ("not valid yet", signed(&header, &with(&claims, "nbf", year), TOKEN_SECRET)),
            ("a role nobody has", signed(&header, &with(&claims, "role", "root"), TOKEN_SECRET)),
            ("someone else's claims", format!("{head}.{of_bob}.{signature}")),
            ("tampered claims", format!("{head}.{}.{signature}", BASE64_URL_SAFE_NO_PAD.encode(with(&claims, "exp", year).to_string()))),
            ("truncated", genuine[..genuine.len() - 1].to_owned()),
            ("without a signature", format!("{head}.{body}.")),
            ("without its last part", format!("{head}.{body}")),
            ("a fourth part", format!("{genuine}.{signature}")),
            ("padded", format!("{genuine}=")),
            ("huge", format!("{genuine}{}", "A".repeat(4000))),
            ("a refresh token", ann.refresh_token.clone().unwrap()),
            ("nothing but dots", "..".to_owned()),
        ];
        for (what, token) in forged {
            let holder = app.nobody().bearing(&token);
            is_turned_away(&holder.ask(ASK).await, "TOKEN_INVALID", what);
            holder.send(holder.request(reqwest::Method::POST, "/imports")).await.is_problem(401, "UNAUTHENTICATED");
        }
    }
}

#[tokio::test]
async fn a_signed_token_is_only_worth_its_live_session() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let ((header, claims), (_, of_bob)) = (parts(&ann), parts(&bob));
        let crossed = signed(&header, &with(&claims, "sub", of_bob["sub"].clone()), TOKEN_SECRET);
        is_turned_away(&app.nobody().bearing(&crossed).ask(ASK).await, "SESSION_ENDED", "another user's name on the session");
        let unknown = signed(&header, &with(&claims, "sid", "00000000-0000-7000-8000-000000000000"), TOKEN_SECRET);
        is_turned_away(&app.nobody().bearing(&unknown).ask(ASK).await, "SESSION_ENDED", "a session that never was");
        let promoted = signed(&header, &with(&claims, "role", "admin"), TOKEN_SECRET);
        assert_eq!(app.nobody().bearing(&promoted).ask("{ viewer { role } }").await.data()["viewer"]["role"], "USER");
    }
}

#[tokio::test]
async fn the_header_is_one_bearer_token_in_any_case_of_the_word() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let token = ann.access_token.clone().unwrap();
        let ask = |headers: Vec<String>| {
            let nobody = app.nobody();
            async move {
                let request = nobody.request(reqwest::Method::POST, "/graphql").json(&json!({ "query": ASK }));
                let request = headers.iter().fold(request, |request, value| request.header("authorization", value));
                nobody.send(request).await
            }
        };
        for word in ["Bearer", "bearer", "BEARER"] {
            ask(vec![format!("{word} {token}")]).await.data();
        }
        let refused = [
            vec![format!("Basic {token}")],
            vec![format!("Token {token}")],
            vec![token.clone()],
            vec!["Bearer".to_owned()],
            vec!["Bearer ".to_owned()],
            vec![String::new()],
            vec![format!("Bearer {token}"), format!("Bearer {token}")],
            vec![format!("Bearer {token}"), "Basic eDp5".to_owned()],
            vec![format!("Bearer {token}, Bearer {token}")],
            vec![format!("Bearer \u{e9}{token}")],
        ];
        for headers in refused {
            let what = format!("{headers:?}");
            is_turned_away(&ask(headers).await, "TOKEN_INVALID", &what);
        }
        let anonymous = app.nobody().ask(ASK).await;
        anonymous.is_fault("UNAUTHENTICATED");
        assert!(anonymous.body["extensions"]["authentication"].is_null(), "nothing is said of a header that was not there");
    }
}
