//! A whole server without a socket, which a fuzzer asks whatever it makes up.
//!
//! What is refused has to be refused in the forms the contract knows. An answer of 500, or one with the code `INTERNAL`, is a finding like a
//! panic: nothing that a client sends is a fault of the server's.

use std::cell::OnceCell;

use axum::{Router, body::Body, http::Request};
use dashtam::{
    app::{App, MadeUpKeys},
    application::{access::Requester, user::CreateUser},
    config::{Config, Environment},
    domain::user::{Role, SessionTier},
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

const EMAIL: &str = "ann@example.com";
const PASSWORD: &str = "correct horse battery";

/// A server over an empty database with one user who is signed in.
pub struct Server {
    runtime: Runtime,
    router: Router,
    token: String,
    _app: App,
    _folder: tempfile::TempDir,
}

thread_local! {
    static SERVER: OnceCell<Server> = const { OnceCell::new() };
}

/// Asks the one server of this process.
pub fn with_server(ask: impl FnOnce(&Server)) {
    SERVER.with(|server| ask(server.get_or_init(Server::start)));
}

impl Server {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config { environment: Environment::Development, data_dir: folder.path().to_owned(), ..Config::default() };
        config.passwords.cost = 4;
        config.rate_limits.enabled = false;
        let listening = "127.0.0.1:8080".parse().expect("an address");
        let app = runtime.block_on(App::open(&config, listening, MadeUpKeys::Make)).expect("a server");
        let user = CreateUser {
            requester: Requester::command_line(None),
            email: EMAIL.to_owned(),
            password: PASSWORD.to_owned(),
            role: Role::User,
            tier: SessionTier::Pro,
        };
        runtime.block_on(app.application.users.create(user)).expect("a user");
        let mut server = Self { runtime, router: app.router(), token: String::new(), _app: app, _folder: folder };
        let document = "mutation($input: CreateSessionInput!) { createSession(input: $input) { accessToken } }";
        let asked = json!({ "query": document, "variables": { "input": { "email": EMAIL, "password": PASSWORD } } });
        let answer = server.post(asked.to_string().into_bytes()).1;
        answer["data"]["createSession"]["accessToken"].as_str().expect("a token").clone_into(&mut server.token);
        server
    }

    /// Sends a body to `POST /graphql` as JSON. Answers the status and what was answered.
    pub fn post(&self, body: Vec<u8>) -> (u16, Value) {
        let mut request = Request::post("/graphql").header("host", "127.0.0.1:8080").header("content-type", "application/json");
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        let request = request.body(Body::from(body)).expect("a request");
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.expect("an answer");
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.expect("a body").to_bytes();
            (status, serde_json::from_slice(&body).expect("an answer is JSON"))
        })
    }

    /// Asks a document. Whatever it is, it is answered or refused by the book.
    pub fn ask(&self, body: Vec<u8>) -> Value {
        let (status, answer) = self.post(body);
        assert!(matches!(status, 200 | 400 | 413), "{status}: {answer}");
        let codes = answer["errors"].as_array().into_iter().flatten().map(|error| &error["extensions"]["code"]);
        assert!(codes.into_iter().all(|code| code.is_string() && code != "INTERNAL"), "{answer}");
        answer
    }
}
