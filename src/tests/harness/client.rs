//! A client of the product: asks over HTTP and speaks the tests' language. Status codes and JSON paths live here.

use serde_json::{Value, json};

use super::app::TestApp;

/// One device, signed in or not.
pub(crate) struct Client<'a> {
    app: &'a TestApp,
    /// The process it talks to.
    url: String,
    http: reqwest::Client,
    /// The access token, once signed in.
    pub(crate) access_token: Option<String>,
    /// The refresh token, once signed in.
    pub(crate) refresh_token: Option<String>,
    /// The session's global id, once signed in.
    pub(crate) session_id: Option<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// HTTP's status.
    pub(crate) status: u16,
    /// HTTP's headers.
    pub(crate) headers: reqwest::header::HeaderMap,
    /// The body, null when it is not JSON.
    pub(crate) body: Value,
    /// The body as text.
    pub(crate) text: String,
}

impl<'a> Client<'a> {
    /// Not signed in.
    pub(crate) fn new(app: &'a TestApp) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { app, url: app.url.clone(), http, access_token: None, refresh_token: None, session_id: None }
    }

    /// The same, talking to another process from now on.
    pub(crate) fn at(mut self, url: &str) -> Self {
        url.clone_into(&mut self.url);
        self
    }

    /// The same, with another access token.
    pub(crate) fn bearing(mut self, access_token: &str) -> Self {
        self.access_token = Some(access_token.to_owned());
        self
    }

    /// A request to a path of the server, with the token if there is one.
    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url)).header("user-agent", "a test's phone");
        match &self.access_token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers, text) = (response.status().as_u16(), response.headers().clone(), response.text().await.unwrap());
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text }
    }

    /// Gets a page.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(reqwest::Method::GET, path)).await
    }

    /// Asks the graph.
    pub(crate) async fn ask(&self, document: &str) -> Answer {
        self.ask_with(document, json!({})).await
    }

    /// Asks the graph, with variables.
    pub(crate) async fn ask_with(&self, document: &str, variables: Value) -> Answer {
        self.send(self.request(reqwest::Method::POST, "/graphql").json(&json!({ "query": document, "variables": variables }))).await
    }

    /// Signs in and keeps what it got.
    pub(crate) async fn sign_in(&mut self, email: &str, password: &str) -> Answer {
        let document = "mutation($input: CreateSessionInput!) { createSession(input: $input) { session { id } accessToken refreshToken expiresIn userErrors { code message field } } }";
        let answer = self.ask_with(document, json!({ "input": { "email": email, "password": password } })).await;
        let payload = &answer.body["data"]["createSession"];
        self.access_token = payload["accessToken"].as_str().map(str::to_owned);
        self.refresh_token = payload["refreshToken"].as_str().map(str::to_owned);
        self.session_id = payload["session"]["id"].as_str().map(str::to_owned);
        answer
    }

    /// Exchanges the refresh token it holds, without keeping the answer.
    pub(crate) async fn refresh(&self) -> Answer {
        self.refresh_with(self.refresh_token.as_deref().unwrap()).await
    }

    /// Exchanges a refresh token, without keeping the answer.
    pub(crate) async fn refresh_with(&self, token: &str) -> Answer {
        let document =
            "mutation($input: RefreshSessionInput!) { refreshSession(input: $input) { accessToken refreshToken expiresIn userErrors { code message field } } }";
        self.ask_with(document, json!({ "input": { "refreshToken": token } })).await
    }

    /// Ends a session.
    pub(crate) async fn revoke(&self, session: &str) -> Answer {
        let document = "mutation($input: RevokeSessionInput!) { revokeSession(input: $input) { session { id revokedAt revocationReason } userErrors { code message field } } }";
        self.ask_with(document, json!({ "input": { "sessionId": session } })).await
    }

    /// Starts linking a provider, with the frontend's address if `return_url` is given.
    pub(crate) async fn begin_link(&self, provider: &str, return_url: Option<&str>) -> Answer {
        let document = "mutation($input: BeginLinkInput!) { beginLink(input: $input) { link { id status } authorizationUrl providerAuthorizationUrl expiresAt userErrors { code field } } }";
        self.ask_with(document, json!({ "input": { "provider": provider, "returnUrl": return_url } })).await
    }

    /// Asks for a sync.
    pub(crate) async fn sync(&self, link: &str, force: bool) -> Answer {
        let document = "mutation($input: SyncLinkInput!) { syncLink(input: $input) { sync { id status } userErrors { code field } } }";
        self.ask_with(document, json!({ "input": { "linkId": link, "force": force } })).await
    }

    /// Imports a statement file's text.
    pub(crate) async fn import(&self, filename: &str, content: &str, account: Option<&str>) -> Answer {
        let document = "mutation($input: ImportStatementInput!) { importStatement(input: $input) { import { id filename accountsCreated transactionsCreated transactionsKnown problems { line message } } userErrors { code message field } } }";
        self.ask_with(document, json!({ "input": { "filename": filename, "content": content, "accountId": account } })).await
    }

    /// Uploads a statement file as a form.
    pub(crate) async fn upload(&self, content: &str, account: Option<&str>) -> Answer {
        let part = |head: &str, text: &str| format!("--edge\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n");
        let account = account.map(|id| part("name=\"accountId\"", id)).unwrap_or_default();
        let body = part("name=\"file\"; filename=\"statement.ofx\"", content) + &account + "--edge--\r\n";
        let request = self.request(reqwest::Method::POST, "/imports").header("content-type", "multipart/form-data; boundary=edge").body(body);
        self.send(request).await
    }

    /// Links the sandbox bank through all of its pages and runs the first sync.
    pub(crate) async fn link_sandbox(&self) {
        let begun = self.begin_link("sandbox", None).await.succeeds();
        let visitor = dashtam::app::Visitor::new(&self.app.url).unwrap();
        visitor.agree(begun["authorizationUrl"].as_str().unwrap()).await.unwrap();
        assert_eq!(self.app.work().await, 1, "the callback leaves one sync to run");
    }
}

impl Answer {
    /// A header's text; empty without one.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and body, without the trace id: what an attacker could compare.
    pub(crate) fn comparable(&self) -> String {
        format!("{} {}", self.status, self.text.replace(self.header("x-trace-id"), "TRACE"))
    }

    /// The answer is a problem (RFC 9457) of this status and code.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.header("content-type")), (status, "application/problem+json"), "{}", self.text);
        assert_eq!((&self.body["status"], &self.body["code"]), (&json!(status), &json!(code)), "{}", self.text);
        assert_eq!(self.body["traceId"], self.header("x-trace-id"), "{}", self.text);
        assert!(["type", "title", "detail"].iter().all(|key| self.body[key].as_str().is_some_and(|text| !text.is_empty())), "{}", self.text);
    }

    /// The document was refused before it ran: 400, no `data` key, this code.
    #[track_caller]
    pub(crate) fn never_ran(&self, code: &str) {
        assert_eq!((self.status, &self.body["errors"][0]["extensions"]["code"]), (400, &json!(code)), "{}", self.text);
        assert!(self.body.get("data").is_none(), "{}", self.text);
        assert_eq!(self.body["errors"][0]["extensions"]["traceId"], self.header("x-trace-id"), "{}", self.text);
    }

    /// The data of a document without errors.
    pub(crate) fn data(&self) -> Value {
        assert!(self.status == 200 && self.body["errors"].is_null(), "expected data, got {} {}", self.status, self.text);
        self.body["data"].clone()
    }

    /// The payload of the one mutation in a document, which must have no user errors.
    #[track_caller]
    pub(crate) fn succeeds(&self) -> Value {
        let payload = self.payload();
        assert_eq!(payload["userErrors"], json!([]), "the mutation was refused");
        payload
    }

    /// The mutation was refused with this code.
    #[track_caller]
    pub(crate) fn is_refused(&self, code: &str) {
        let payload = self.payload();
        assert_eq!(payload["userErrors"][0]["code"], code, "{}", self.text);
    }

    /// The document was answered with a top-level error of this code, and status 200.
    #[track_caller]
    pub(crate) fn is_fault(&self, code: &str) {
        assert_eq!((self.status, &self.body["errors"][0]["extensions"]["code"]), (200, &json!(code)), "{}", self.text);
        assert!(self.body["errors"][0]["extensions"]["traceId"].as_str().is_some_and(|trace| trace.len() == 32), "{}", self.text);
    }

    /// The payload of the one mutation in a document, refused or not.
    #[track_caller]
    pub(crate) fn payload(&self) -> Value {
        let data = self.data();
        let payload = data.as_object().and_then(|data| data.values().next()).cloned().unwrap_or_default();
        assert!(payload.is_object(), "{}", self.text);
        payload
    }
}
