//! Canaries: secrets planted in every layer that can fail, and looked for in every answer and in the log.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod numbers;

use std::sync::Arc;

use dashtam::{
    application::{
        access::{Action, Resource, Scope},
        ports::Authorizer,
    },
    domain::user::Role,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::{Answer, Client},
    log::Log,
    stores::TestStore,
};

/// Stands in every planted secret.
const CANARY: &str = "canary";

fn is_silent(log: &Log, answers: &[Answer], what: &str) {
    for answer in answers {
        let headers = format!("{:?}", answer.headers).to_lowercase();
        assert!(!answer.text.to_lowercase().contains(CANARY) && !headers.contains(CANARY), "{what}: {headers} {}", answer.text);
        for inside in ["sqlx", "SELECT ", "relation \"", "no such table", "constraint", "panicked", "Some("] {
            assert!(!answer.text.contains(inside), "{what}: {}", answer.text);
        }
    }
    let log = log.text();
    assert!(log.contains("answered"), "the search finds what is logged");
    let told: Vec<_> = log.lines().filter(|line| line.to_lowercase().contains(CANARY)).collect();
    assert_eq!(told, [""; 0], "{what}");
}

async fn post(client: &Client<'_>, body: impl Into<reqwest::Body>) -> Answer {
    client.send(client.request(Method::POST, "/graphql").header("content-type", "application/json").body(body)).await
}

#[tokio::test]
async fn values_of_the_wrong_kind_are_not_repeated() {
    let log = Log::capture();
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let sign_in = "mutation($input: CreateSessionInput!) { createSession(input: $input) { userErrors { code message } } }";
        let mut answers = Vec::new();
        for input in [
            json!("canary"),
            json!(["canary"]),
            json!({ "email": "canary" }),
            json!({ "email": ["canary@example.com"], "password": { "canary": "canary" } }),
            json!({ "email": "canary@example.com", "password": "canary-password", "code": ["canary"] }),
            json!({ "email": "canary@example.com", "password": "canary-password" }),
            json!({ "email": "canary\u{0}@example.com", "password": "canary\u{0}" }),
        ] {
            answers.push(app.nobody().ask_with(sign_in, json!({ "input": input })).await);
        }
        for literal in
            [r#""canary""#, "CANARY", "{ canary: 1 }", r#"["canary"]"#, r#"{ email: CANARY, password: "canary" }"#, r#"{ email: "canary" "#, "\"canary"]
        {
            answers.push(app.nobody().ask(&format!("mutation {{ createSession(input: {literal}) {{ userErrors {{ message }} }} }}")).await);
        }
        let list = "query($value: TransactionFilterInput) { viewer { transactions(first: 1, filter: $value) { totalCount } } }";
        for (document, value) in [
            (list, json!("canary")),
            (list, json!({ "from": "canary" })),
            (list, json!({ "minAmount": "canary" })),
            (list, json!({ "types": ["CANARY"] })),
            (list, json!({ "types": "CANARY" })),
            ("query($value: ProviderCategory) { providers(category: $value) { slug } }", json!("CANARY")),
            ("query($value: Int) { viewer { links(first: $value) { totalCount } } }", json!("canary")),
            ("query($value: String) { viewer { links(first: 1, after: $value) { totalCount } } }", json!("canary")),
            ("query($value: ID!) { node(id: $value) { id } }", json!("canary")),
            ("query($value: ID!) { node(id: $value) { id } }", json!({ "canary": 1 })),
        ] {
            answers.push(ann.ask_with(document, json!({ "value": value })).await);
        }
        answers.push(ann.ask("{ providers(category: CANARY) { slug } }").await);
        for body in ["canary", r#"{"query": "canary"}"#, r#"{"query": canary}"#, r#"{"query": {"a": "canary"}}"#, r#"{"variables": "canary", "query": "{a}"}"#]
        {
            answers.push(post(&ann, body).await);
        }
        answers.push(app.nobody().bearing("canary-token").ask("{ viewer { id } }").await);
        for path in
            ["/nothing?token=canary", "/oauth/scripted/callback?code=canary&state=canary", "/oauth/scripted/start?ticket=canary", "/graphql?query={canary"]
        {
            answers.push(app.nobody().get(path).await);
        }
        answers.push(ann.upload("canary.ofx", b"<OFX>canary 4111111111111111", None).await);
        is_silent(&log, &answers, app.store.name);
    }
}

/// Refuses new rows of `table`, in the database's own words: PostgreSQL's tell the whole row.
async fn refuse_rows(store: &TestStore, table: &str) {
    let statement = if store.url.starts_with("postgres") {
        format!("ALTER TABLE {table} ADD CONSTRAINT no_more_{table} CHECK (created_at IS NULL) NOT VALID")
    } else {
        format!("CREATE TRIGGER no_more_{table} BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no more rows'); END")
    };
    store.execute(&statement).await.unwrap();
}

#[tokio::test]
async fn what_a_database_says_when_it_fails_reaches_nobody() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for table in ["sessions", "links", "users"] {
            refuse_rows(&app.store, table).await;
        }
        app.store.execute("ALTER TABLE accounts RENAME TO elsewhere").await.unwrap();
        let log = Log::capture();
        let nobody = app.nobody();
        let sign_in = json!({ "query": "mutation($input: CreateSessionInput!) { createSession(input: $input) { accessToken } }",
            "variables": { "input": { "email": "ann@example.com", "password": PASSWORD } } });
        let answers = [
            nobody.send(nobody.request(Method::POST, "/graphql").header("user-agent", "a canary's phone").json(&sign_in)).await,
            ann.begin_link("scripted", Some("https://app.example/canary")).await,
            ann.ask("{ viewer { accounts(first: 1) { nodes { id } } } }").await,
            nobody.register("canary@example.com", "a password that will do").await,
        ];
        for answer in &answers[..3] {
            answer.is_fault("INTERNAL");
        }
        is_silent(&log, &answers, app.store.name);
        for answer in &answers {
            assert!(!answer.text.contains("no_more") && !answer.text.contains("no more rows"), "{}", answer.text);
        }
    }
}

/// Fails as a bug would, with a secret in its words, as soon as it is switched on.
struct Panicking(std::sync::atomic::AtomicBool);

impl Authorizer for Panicking {
    fn scope(&self, _: Role, _: Action, _: Resource) -> Scope {
        assert!(!self.0.load(std::sync::atomic::Ordering::SeqCst), "the text of a panic with a canary");
        Scope::Any
    }
}

#[tokio::test]
async fn the_text_of_a_panic_reaches_nobody() {
    let authorizer = Arc::new(Panicking(false.into()));
    for app in TestApp::with_authorizer(authorizer.clone()).await {
        authorizer.0.store(false, std::sync::atomic::Ordering::SeqCst);
        let ann = app.signed_in("ann").await;
        authorizer.0.store(true, std::sync::atomic::Ordering::SeqCst);
        let log = Log::capture();
        let query = ann.ask("{ viewer { id } }").await;
        query.is_problem(500, "INTERNAL");
        let mutation = ann.begin_link("scripted", None).await;
        assert_eq!((mutation.status, &mutation.body["errors"][0]["extensions"]["code"]), (200, &json!("INTERNAL")), "{}", mutation.text);
        assert_eq!(mutation.body["data"], Value::Null);
        is_silent(&log, &[query, mutation], app.store.name);
        authorizer.0.store(false, std::sync::atomic::Ordering::SeqCst);
        ann.ask("{ viewer { id } }").await.data();
    }
}
