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

    /// Somebody else's device at the same server, not signed in.
    pub(crate) fn stranger(&self) -> Self {
        Self::new(self.app)
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

    /// Asks the graph, with variables. Of a subscription the answer is the first it tells at once, if it tells anything.
    pub(crate) async fn ask_with(&self, document: &str, variables: Value) -> Answer {
        if document.starts_with("subscription") {
            return self.events(document, variables).await.first().await;
        }
        self.send(self.request(reqwest::Method::POST, "/graphql").json(&json!({ "query": document, "variables": variables }))).await
    }

    /// Where it asks.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Signs in and keeps what it got.
    pub(crate) async fn sign_in(&mut self, email: &str, password: &str) -> Answer {
        let document = "mutation($input: CreateSessionInput!) { createSession(input: $input) { session { id } accessToken refreshToken expiresIn challenge { token expiresAt } userErrors { code message field } } }";
        let answer = self.ask_with(document, json!({ "input": { "email": email, "password": password } })).await;
        let payload = &answer.body["data"]["createSession"];
        self.access_token = payload["accessToken"].as_str().map(str::to_owned);
        self.refresh_token = payload["refreshToken"].as_str().map(str::to_owned);
        self.session_id = payload["session"]["id"].as_str().map(str::to_owned);
        answer
    }

    /// Sends a mutation that answers only `field` and the user errors.
    pub(crate) async fn mutate(&self, mutation: &str, field: &str, input: Value) -> Answer {
        let ty = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
        let document = format!("mutation($input: {ty}!) {{ {mutation}(input: $input) {{ {field} userErrors {{ code message field }} }} }}");
        self.ask_with(&document, json!({ "input": input })).await
    }

    /// Registers an address.
    pub(crate) async fn register(&self, email: &str, password: &str) -> Answer {
        let document = "mutation($input: RegisterUserInput!) { registerUser(input: $input) { accepted userErrors { code message field } } }";
        self.ask_with(document, json!({ "input": { "email": email, "password": password } })).await
    }

    /// Asks for the mail that confirms an address once more.
    pub(crate) async fn resend_verification(&self, email: &str) -> Answer {
        let document = "mutation($input: ResendVerificationInput!) { resendVerification(input: $input) { accepted userErrors { code message field } } }";
        self.ask_with(document, json!({ "input": { "email": email } })).await
    }

    /// Confirms an address.
    pub(crate) async fn verify_email(&self, token: &str) -> Answer {
        let document = "mutation($input: VerifyEmailInput!) { verifyEmail(input: $input) { verified userErrors { code message field } } }";
        self.ask_with(document, json!({ "input": { "token": token } })).await
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

    /// Starts linking a link once more.
    pub(crate) async fn relink(&self, link: &str, return_url: Option<&str>) -> Answer {
        let document = "mutation($input: RelinkInput!) { relink(input: $input) { link { id status } authorizationUrl providerAuthorizationUrl expiresAt userErrors { code field } } }";
        self.ask_with(document, json!({ "input": { "linkId": link, "returnUrl": return_url } })).await
    }

    /// Links by a key, which is made up here: `provider`, `key`, `secret`, and what else is given.
    pub(crate) async fn link_with_key(&self, input: Value) -> Answer {
        self.mutate("linkWithApiKey", "link { id status alias }", input).await
    }

    /// Links by a setup token: `provider`, `setupToken`, and what else is given.
    pub(crate) async fn link_with_token(&self, input: Value) -> Answer {
        self.mutate("linkWithSetupToken", "link { id status alias }", input).await
    }

    /// Gives a link a name.
    pub(crate) async fn rename_link(&self, link: &str, alias: Option<&str>) -> Answer {
        self.mutate("renameLink", "link { id alias status }", json!({ "linkId": link, "alias": alias })).await
    }

    /// Takes a link away.
    pub(crate) async fn unlink(&self, link: &str, keep_data: bool) -> Answer {
        self.mutate("unlink", "link { id status reason nextAction }", json!({ "linkId": link, "keepData": keep_data })).await
    }

    /// Completes a link with the answer of the bank, as a frontend that caught the redirect itself.
    pub(crate) async fn complete(&self, state: &str, code: &str) -> Answer {
        let document = "mutation($input: CompleteLinkInput!) { completeLink(input: $input) { link { id status } userErrors { code message field } } }";
        self.ask_with(document, json!({ "input": { "state": state, "code": code } })).await
    }

    /// One of one's own links, with how its last sync went.
    pub(crate) async fn link(&self, id: &str) -> Value {
        let document = "query($id: ID!) { node(id: $id) { ... on Link { id status reason alias nextAction consent { expiresAt } coverage { from to } freshness { state syncedAt } \
                        lastSync { status problem accounts added modified removed startedAt finishedAt } } } }";
        self.ask_with(document, json!({ "id": id })).await.data()["node"].clone()
    }

    /// One's own accounts, oldest first.
    pub(crate) async fn accounts(&self) -> Vec<Value> {
        let document =
            "{ viewer { accounts(first: 100) { nodes { id name type maskedNumber isActive currency link { id } balances { current { amount } } } } } }";
        self.ask(document).await.data()["viewer"]["accounts"]["nodes"].as_array().unwrap().clone()
    }

    /// One's own transactions, latest day first.
    pub(crate) async fn transactions(&self) -> Vec<Value> {
        let document = "{ viewer { transactions(first: 100) { nodes { id amount { amount } type subtype status postedOn description } } } }";
        self.ask(document).await.data()["viewer"]["transactions"]["nodes"].as_array().unwrap().clone()
    }

    /// The ids of one's own transactions, latest day first.
    pub(crate) async fn transaction_ids(&self) -> Vec<String> {
        self.transactions().await.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Links the scripted bank, without its first sync, and answers the link's id.
    pub(crate) async fn link_scripted(&self) -> String {
        let mut walk = self.walk(None).await;
        walk.leave().await;
        assert_eq!(walk.come_back(&[("code", "a-code")]).await.status, 200);
        walk.link
    }

    /// Sends a statement file to `POST /imports`, as a browser's form does.
    pub(crate) async fn upload(&self, filename: &str, content: &[u8], account: Option<&str>) -> Answer {
        let account = account.map(|id| form_part("name=\"accountId\"", id.as_bytes())).unwrap_or_default();
        let file = form_part(&format!("name=\"file\"; filename=\"{filename}\""), content);
        self.upload_parts(&[account, file].concat()).await
    }

    /// Sends a form of these parts to `POST /imports`.
    pub(crate) async fn upload_parts(&self, parts: &[u8]) -> Answer {
        self.upload_body([parts, b"--edge--\r\n"].concat()).await
    }

    /// Sends a body that calls itself a form to `POST /imports`.
    pub(crate) async fn upload_body(&self, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(reqwest::Method::POST, "/imports").header("content-type", "multipart/form-data; boundary=edge");
        self.send(request.body(body)).await
    }

    /// Asks for a sync.
    pub(crate) async fn sync(&self, link: &str, force: bool) -> Answer {
        let document = "mutation($input: SyncLinkInput!) { syncLink(input: $input) { sync { id status } userErrors { code message field } } }";
        self.ask_with(document, json!({ "input": { "linkId": link, "force": force } })).await
    }

    /// Imports a statement file's text.
    pub(crate) async fn import(&self, filename: &str, content: &str, account: Option<&str>) -> Answer {
        let document = "mutation($input: ImportStatementInput!) { importStatement(input: $input) { import { id filename accountsCreated transactionsCreated transactionsKnown problems { line message } } userErrors { code message field } } }";
        self.ask_with(document, json!({ "input": { "filename": filename, "content": content, "accountId": account } })).await
    }

    /// Links the sandbox bank through all of its pages and runs the first sync.
    pub(crate) async fn link_sandbox(&self) {
        let begun = self.begin_link("sandbox", None).await.succeeds();
        let visitor = dashtam::app::Visitor::new(&self.app.url).unwrap();
        visitor.agree(begun["authorizationUrl"].as_str().unwrap()).await.unwrap();
        assert_eq!(self.app.work().await, 1, "the callback leaves one sync to run");
    }
}

/// One part of a form whose boundary is `edge`.
pub(crate) fn form_part(disposition: &str, content: &[u8]) -> Vec<u8> {
    [format!("--edge\r\ncontent-disposition: form-data; {disposition}\r\n\r\n").as_bytes(), content, b"\r\n"].concat()
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
        assert_eq!(self.header("cache-control"), "no-store");
        assert!(["type", "title", "detail"].iter().all(|key| self.body[key].as_str().is_some_and(|text| !text.is_empty())), "{}", self.text);
    }

    /// The document was refused before it ran: 400, no `data` key, this code.
    #[track_caller]
    pub(crate) fn never_ran(&self, code: &str) {
        assert_eq!((self.status, &self.body["errors"][0]["extensions"]["code"]), (400, &json!(code)), "{}", self.text);
        assert!(self.body.get("data").is_none(), "{}", self.text);
        assert_eq!(self.body["errors"][0]["extensions"]["traceId"], self.header("x-trace-id"), "{}", self.text);
    }

    /// A page of ours: HTML under a policy that runs no script, not kept by anyone.
    #[track_caller]
    pub(crate) fn is_page(&self, status: u16) {
        assert_eq!((self.status, self.header("content-type")), (status, "text/html; charset=utf-8"), "{}", self.text);
        assert!(self.header("content-security-policy").starts_with("default-src 'none'; style-src 'self'; base-uri 'none'; form-action "));
        assert!(self.header("content-security-policy").ends_with("; frame-ancestors 'none'"));
        assert_eq!(self.header("cache-control"), "no-store");
        assert!(!self.text.contains("<script") && !self.text.contains("<b>"), "{}", self.text);
    }

    /// A redirect; answers the address and its query.
    #[track_caller]
    pub(crate) fn redirects(&self) -> (String, std::collections::HashMap<String, String>) {
        assert_eq!((self.status, self.header("cache-control")), (303, "no-store"), "{}", self.text);
        let mut url = url::Url::parse(self.header("location")).unwrap();
        let query = url.query_pairs().into_owned().collect();
        url.set_query(None);
        (url.into(), query)
    }

    /// A statement file that came in.
    #[track_caller]
    pub(crate) fn is_taken_in(&self) {
        assert!(self.status == 200 && self.body["import"].is_object(), "{} {}", self.status, self.text);
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
