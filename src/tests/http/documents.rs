//! Documents that are asked by their hash or their id: automatic persisted queries, and the operator's trusted ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fmt::Write as _;

use dashtam::{
    config::DocumentMode,
    presentation::graphql::{
        documents::{Documents, Trust},
        limits::Limits,
    },
};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::{Answer, Client},
};

const NAMED: &str = "query Named($skip: Boolean = false) { __typename viewer @skip(if: $skip) { email } }";

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn persisted(hash: &str) -> Value {
    json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } })
}

async fn post(client: &Client<'_>, body: Value) -> Answer {
    client.send(client.request(Method::POST, "/graphql").json(&body)).await
}

async fn get(client: &Client<'_>, pairs: &[(&str, &str)]) -> Answer {
    client.send(client.request(Method::GET, "/graphql").query(pairs)).await
}

#[tokio::test]
async fn a_document_sent_with_its_hash_is_asked_by_the_hash_from_then_on() {
    for app in TestApp::on_every_store().await {
        let (ann, hash) = (app.signed_in("ann").await, hash(NAMED));
        let unknown = post(&ann, json!({ "extensions": persisted(&hash) })).await;
        unknown.never_ran("PERSISTED_QUERY_NOT_FOUND");
        assert_eq!(unknown.body["errors"][0]["message"], "PersistedQueryNotFound", "what Apollo's clients look for");
        post(&ann, json!({ "query": NAMED, "extensions": persisted(&hash) })).await.data();
        let known = post(&ann, json!({ "extensions": persisted(&hash), "variables": { "skip": false } })).await;
        assert_eq!(known.data(), json!({ "__typename": "Query", "viewer": { "email": "ann@example.com" } }));
        let skipped = json!({ "__typename": "Query" });
        for by_get in [
            get(&ann, &[("extensions", &persisted(&hash).to_string()), ("variables", r#"{"skip":true}"#)]).await,
            get(&ann, &[("documentId", &format!("sha256:{hash}")), ("variables", r#"{"skip":true}"#)]).await,
        ] {
            assert_eq!(by_get.data(), skipped);
        }
        assert_eq!(post(&app.nobody(), json!({ "documentId": hash })).await.data()["viewer"], Value::Null, "a document is nobody's, its answer is");
    }
}

#[tokio::test]
async fn a_hash_that_is_not_the_documents_is_refused_and_nothing_is_kept() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        let (wanted, other) = (hash(NAMED), hash("{ __typename }"));
        post(&nobody, json!({ "query": "{ __typename }", "extensions": persisted(&wanted) })).await.never_ran("BAD_USER_INPUT");
        post(&nobody, json!({ "query": NAMED, "extensions": persisted(&wanted.to_uppercase()) })).await.never_ran("BAD_USER_INPUT");
        post(&nobody, json!({ "query": NAMED, "extensions": { "persistedQuery": { "version": 2, "sha256Hash": wanted } } })).await.never_ran("BAD_USER_INPUT");
        for malformed in
            [json!({ "persistedQuery": 7 }), json!({ "persistedQuery": { "version": 1 } }), json!({ "persistedQuery": { "version": "1", "sha256Hash": "x" } })]
        {
            post(&nobody, json!({ "query": NAMED, "extensions": malformed })).await.never_ran("BAD_USER_INPUT");
        }
        post(&nobody, json!({ "query": NAMED, "documentId": wanted })).await.never_ran("BAD_USER_INPUT");
        for hash in [wanted.as_str(), other.as_str(), "", "x", "../../etc/passwd"] {
            post(&nobody, json!({ "extensions": persisted(hash) })).await.never_ran("PERSISTED_QUERY_NOT_FOUND");
        }
        for body in [json!({ "documentId": 7 }), json!({ "documentId": null }), json!({ "extensions": { "persistedQuery": null } })] {
            post(&nobody, body).await.never_ran("BAD_USER_INPUT");
        }
    }
}

#[tokio::test]
async fn a_document_that_never_ran_is_not_kept() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        let aliases = (0..101).fold(String::new(), |all, number| all + &format!("a{number}: __typename "));
        for (document, code) in
            [("{", "GRAPHQL_PARSE_FAILED"), ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"), (&format!("{{ {aliases} }}"), "QUERY_TOO_COMPLEX")]
        {
            post(&nobody, json!({ "query": document, "extensions": persisted(&hash(document)) })).await.never_ran(code);
            post(&nobody, json!({ "extensions": persisted(&hash(document)) })).await.never_ran("PERSISTED_QUERY_NOT_FOUND");
        }
        // Sent without a hash it is nobody's to ask by one: who guesses a text that holds a password would learn whether it was sent.
        let sign_in = format!(r#"mutation {{ createSession(input: {{ email: "ann@example.com", password: "{PASSWORD}" }}) {{ userErrors {{ code }} }} }}"#);
        for document in [NAMED, &sign_in] {
            nobody.ask(document).await.data();
            nobody.ask(document).await.data();
            post(&nobody, json!({ "extensions": persisted(&hash(document)) })).await.never_ran("PERSISTED_QUERY_NOT_FOUND");
        }
    }
}

#[tokio::test]
async fn a_mutation_that_is_known_is_not_run_by_get() {
    const SIGN_OUT: &str = "mutation { revokeOtherSessions { userErrors { code } } }";
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        post(&ann, json!({ "query": SIGN_OUT, "extensions": persisted(&hash(SIGN_OUT)) })).await.data();
        let before = app.trail().await.len();
        let answer = get(&ann, &[("extensions", &persisted(&hash(SIGN_OUT)).to_string())]).await;
        answer.is_problem(405, "METHOD_NOT_ALLOWED");
        assert_eq!(app.trail().await.len(), before, "nothing was attempted");
    }
}

#[tokio::test]
async fn what_is_asked_again_and_again_outlives_a_flood_of_others() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        let by_hash = || post(&nobody, json!({ "extensions": persisted(&hash(NAMED)) }));
        post(&nobody, json!({ "query": NAMED, "extensions": persisted(&hash(NAMED)) })).await.data();
        for number in 0..3000 {
            let other = format!("query Flood{number} {{ __typename }}");
            post(&nobody, json!({ "query": other, "extensions": persisted(&hash(&other)) })).await.data();
            if number % 100 == 0 {
                by_hash().await.data();
            }
        }
        by_hash().await.data();
    }
}

fn manifest(app: &tempfile::TempDir, text: &str) -> std::path::PathBuf {
    let file = app.path().join("manifest.json");
    std::fs::write(&file, text).unwrap();
    file
}

#[tokio::test]
async fn a_strict_server_runs_the_documents_of_its_manifest_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let other = "query Other { __typename }";
    for text in [
        json!({ "an-id": NAMED, (format!("sha256:{}", hash(other))): other }).to_string(),
        json!({ "format": "apollo-persisted-query-manifest", "version": 1, "operations": [
            { "id": "an-id", "name": "Named", "type": "query", "body": NAMED },
            { "id": hash(other), "name": "Other", "type": "query", "body": other },
        ] })
        .to_string(),
    ] {
        let file = manifest(&folder, &text);
        for app in TestApp::configured(|config| (config.documents.manifest, config.documents.mode) = (Some(file.clone()), DocumentMode::Strict)).await {
            let nobody = app.nobody();
            for known in [
                json!({ "documentId": "an-id" }),
                json!({ "documentId": format!("sha256:{}", hash(NAMED)) }),
                json!({ "extensions": persisted("an-id") }),
                json!({ "extensions": persisted(&hash(other)) }),
                json!({ "query": NAMED, "extensions": persisted(&hash(NAMED)) }),
                json!({ "query": NAMED }),
            ] {
                post(&nobody, known).await.data();
            }
            get(&nobody, &[("documentId", "an-id")]).await.data();
            let foreign = "{ __typename }";
            for _ in 0..2 {
                post(&nobody, json!({ "query": foreign })).await.never_ran("BAD_USER_INPUT");
                post(&nobody, json!({ "query": foreign, "extensions": persisted(&hash(foreign)) })).await.never_ran("BAD_USER_INPUT");
                post(&nobody, json!({ "extensions": persisted(&hash(foreign)) })).await.never_ran("PERSISTED_QUERY_NOT_FOUND");
                post(&nobody, json!({ "documentId": hash(foreign) })).await.never_ran("PERSISTED_QUERY_NOT_FOUND");
            }
            get(&nobody, &[("query", foreign)]).await.never_ran("BAD_USER_INPUT");
        }
    }
}

#[tokio::test]
async fn a_server_that_prefers_its_manifest_runs_others_too_and_one_that_is_off_does_not_know_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = manifest(&folder, &json!({ "an-id": NAMED }).to_string());
    for (mode, knows) in [(DocumentMode::Prefer, true), (DocumentMode::Off, false)] {
        for app in TestApp::configured(|config| (config.documents.manifest, config.documents.mode) = (Some(file.clone()), mode)).await {
            let nobody = app.nobody();
            nobody.ask("{ __typename }").await.data();
            let by_id = post(&nobody, json!({ "documentId": "an-id" })).await;
            if knows { drop(by_id.data()) } else { by_id.never_ran("PERSISTED_QUERY_NOT_FOUND") }
        }
    }
}

#[test]
fn a_manifest_that_cannot_work_is_refused_and_names_the_document() {
    for (text, named) in [
        ("nonsense", "neither a JSON object of documents"),
        ("[]", "neither a JSON object of documents"),
        (r#"{ "a": 7 }"#, "neither a JSON object of documents"),
        (r#"{ "format": "other", "version": 1, "operations": [] }"#, "apollo-persisted-query-manifest"),
        (r#"{ "format": "apollo-persisted-query-manifest", "version": 2, "operations": [] }"#, "version 1"),
        (r#"{ "good": "{ __typename }", "an-id": "{" }"#, "\"an-id\""),
        (r#"{ "an-id": "{ ...a } fragment a on Query { ...a }" }"#, "\"an-id\""),
    ] {
        let refusal = format!("{:#}", Documents::new(Trust::Strict, Some(text), Limits::default()).err().unwrap());
        assert!(refusal.contains(named), "{text}: {refusal}");
    }
    Documents::new(Trust::Strict, Some("{}"), Limits::default()).unwrap();
}
