//! Streams as their clients see them: server-sent events, and a WebSocket that speaks `graphql-transport-ws`.

use std::time::Duration;

use futures_util::{SinkExt as _, Stream, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Error, Message, client::IntoClientRequest as _, http::HeaderValue},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    app::TestApp,
    client::{Answer, Client},
};

/// How long anything may take that comes at all.
const SOON: Duration = Duration::from_secs(8);

/// How long nothing has to come for a test to believe that nothing does.
const A_WHILE: Duration = Duration::from_millis(1_500);

impl TestApp {
    /// Wakes streams, as a process that serves does, until the answer is dropped.
    pub(crate) fn live(&self) -> DropGuard {
        let stop = CancellationToken::new();
        tokio::spawn(self.app.hear(stop.clone()));
        stop.drop_guard()
    }
}

/// One stream of server-sent events.
pub(crate) struct Events {
    /// HTTP's status.
    pub(crate) status: u16,
    /// HTTP's headers.
    pub(crate) headers: reqwest::header::HeaderMap,
    bytes: std::pin::Pin<Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    unread: String,
}

impl Client<'_> {
    /// Asks for a stream.
    pub(crate) async fn events(&self, document: &str, variables: Value) -> Events {
        let request = self.request(reqwest::Method::POST, "/graphql/stream").header("accept", "text/event-stream");
        let response = request.json(&json!({ "query": document, "variables": variables })).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Events { status, headers, bytes: Box::pin(response.bytes_stream()), unread: String::new() }
    }

    /// A socket, introduced with the token if there is one.
    pub(crate) async fn socket(&self) -> Socket {
        let mut socket = self.open(&[("sec-websocket-protocol", "graphql-transport-ws")]).await.unwrap();
        let payload = self.access_token.as_ref().map(|token| json!({ "Authorization": format!("Bearer {token}") }));
        socket.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.hear().await, json!({ "type": "connection_ack" }));
        socket
    }

    /// A socket that was not introduced, or HTTP's answer. Only these headers are sent along.
    pub(crate) async fn open(&self, headers: &[(&'static str, &str)]) -> Result<Socket, (u16, String)> {
        let mut request = format!("{}/graphql/ws", self.url().replacen("http", "ws", 1)).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(Error::Http(answer)) => Err((answer.status().as_u16(), String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).into_owned())),
            Err(failure) => panic!("{failure}"),
        }
    }
}

impl Events {
    /// The next event, as its name and its data; comments are `:`.
    pub(crate) async fn next(&mut self) -> Option<(String, String)> {
        loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let field = |name: &str| event.lines().filter_map(|line| line.strip_prefix(name)).map(str::trim).collect::<Vec<_>>().join("\n");
                let told = match event.strip_prefix(':') {
                    Some(comment) => (":".to_owned(), comment.trim().to_owned()),
                    None => (field("event:"), field("data:")),
                };
                let rest = rest.to_owned();
                self.unread = rest;
                return Some(told);
            }
            let bytes = tokio::time::timeout(SOON, self.bytes.next()).await.unwrap_or_else(|_| panic!("nothing came, besides {:?}", self.unread))?;
            self.unread.push_str(std::str::from_utf8(&bytes.unwrap()).unwrap());
        }
    }

    /// The next answer; comments are passed over.
    pub(crate) async fn answer(&mut self) -> Value {
        loop {
            match self.next().await.unwrap() {
                (name, data) if name == "next" => return serde_json::from_str(&data).unwrap(),
                (name, _) if name == ":" => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// It tells that it is over, and is.
    pub(crate) async fn completes(&mut self) {
        loop {
            match self.next().await {
                Some((name, _)) if name == ":" => {}
                Some((name, data)) => {
                    assert_eq!((name.as_str(), data.as_str()), ("complete", ""));
                    break;
                }
                None => panic!("it broke off"),
            }
        }
        assert_eq!(self.next().await, None);
    }

    /// What it tells at once, if it does, as an answer.
    pub(crate) async fn first(mut self) -> Answer {
        let told = if self.status == 200 { self.next().await } else { None };
        let text = told.filter(|(name, _)| name == "next").map(|(_, data)| data).unwrap_or_default();
        Answer { status: self.status, headers: self.headers, body: serde_json::from_str(&text).unwrap_or_default(), text }
    }
}

/// One WebSocket.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Sends a message.
    pub(crate) async fn say(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    /// Sends anything.
    pub(crate) async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// Begins an operation.
    pub(crate) async fn subscribe(&mut self, id: &str, document: &str, variables: Value) {
        self.say(json!({ "id": id, "type": "subscribe", "payload": { "query": document, "variables": variables } })).await;
    }

    /// The next frame of any kind.
    pub(crate) async fn frame(&mut self, within: Duration) -> Option<Message> {
        tokio::time::timeout(within, self.0.next()).await.ok().flatten().map(Result::unwrap)
    }

    /// The next message.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            match self.frame(SOON).await {
                Some(Message::Text(text)) => return serde_json::from_str(&text).unwrap(),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next answer to an operation; nothing else may come before it.
    pub(crate) async fn answer(&mut self, id: &str) -> Value {
        let message = self.hear().await;
        assert_eq!((&message["id"], &message["type"]), (&json!(id), &json!("next")), "{message}");
        message["payload"].clone()
    }

    /// The next message refuses an operation; answers the code of its first error.
    pub(crate) async fn refusal(&mut self, id: &str) -> String {
        let message = self.hear().await;
        assert_eq!((&message["id"], &message["type"]), (&json!(id), &json!("error")), "{message}");
        message["payload"][0]["extensions"]["code"].as_str().unwrap().to_owned()
    }

    /// Nothing is told for a while.
    pub(crate) async fn is_silent(&mut self) {
        let until = tokio::time::Instant::now() + A_WHILE;
        while let Some(frame) = self.frame(until.saturating_duration_since(tokio::time::Instant::now())).await {
            assert!(matches!(frame, Message::Ping(_)), "{frame:?}");
        }
    }

    /// The server closes, whatever it tells before; answers the code and the reason.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.frame(SOON).await {
                Some(Message::Close(Some(frame))) => return (frame.code.into(), frame.reason.to_string()),
                Some(Message::Text(_) | Message::Ping(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
