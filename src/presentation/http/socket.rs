//! `GET /graphql/ws`: operations over a WebSocket (`graphql-transport-ws`, as graphql-ws' PROTOCOL.md has it).
//!
//! One task a socket reads, writes and keeps the time; each operation runs in a task of its own and hands its answers over one at a time.
//! A reader who does not read holds back what is told, and is hung up on when it takes too long: nothing is heaped up.

mod messages;

use std::{collections::HashMap, time::Duration};

use axum::{
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    application::session::AuthenticationProblem,
    presentation::graphql::{
        error::{self, Code},
        stream::{CHECK_EVERY, PATIENCE, Pass, Told},
    },
};

use super::{Edge, problem::Problem, requester::Introduction, trace};
use messages::{Close, Incoming, Outgoing};

/// The sub-protocol.
const PROTOCOL: &str = "graphql-transport-ws";

/// How long one may wait with `connection_init`.
const INIT_WITHIN: Duration = Duration::from_secs(3);

/// How often a frame is sent that has to be answered, so that a peer who is gone is noticed.
const PING_EVERY: Duration = Duration::from_secs(15);

/// How long it is waited for the peer to close as well, so that it reads why.
const LINGER: Duration = Duration::from_secs(1);

/// How many operations run at once on one socket.
const MAX_OPERATIONS: usize = 20;

/// How long a socket of nobody in particular stays without an operation.
const IDLE: Duration = Duration::from_mins(1);

/// How long a socket stays when it cannot be asked whether its token still counts.
const UNSURE: Duration = Duration::from_secs(2);

/// `GET /graphql/ws`.
pub(super) async fn upgrade(
    State(edge): State<Edge>,
    headers: HeaderMap,
    Introduction(pass): Introduction,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if !edge.streams.origins.admit(&headers) {
        let detail = "Pages of this origin do not open sockets here. DASHTAM_CORS__ORIGINS names those that do.";
        return Problem::new(StatusCode::FORBIDDEN, "FORBIDDEN", "Not from this origin", detail).at("/graphql/ws").into_response();
    }
    let Ok(upgrade) = upgrade else {
        let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, "UPGRADE_REQUIRED", "Open a WebSocket", "This route speaks graphql-transport-ws.");
        let upgrade = [(header::UPGRADE, HeaderValue::from_static("websocket")), (header::CONNECTION, HeaderValue::from_static("upgrade"))];
        return (upgrade, problem.at("/graphql/ws")).into_response();
    };
    let upgrade = upgrade.max_message_size(edge.body_bytes).max_frame_size(edge.body_bytes).protocols([PROTOCOL]);
    let speaks = upgrade.selected_protocol().is_some();
    let sockets = edge.streams.sockets.clone();
    // Counted before it is open, so that a stop waits for it.
    let token = sockets.token();
    upgrade.on_upgrade(move |socket| {
        trace::anew(async move {
            let _counted = token;
            let (teller, told) = mpsc::channel(1);
            let connection =
                Connection { edge, socket, pass, state: Stage::Opened(Instant::now()), operations: HashMap::new(), generation: 0, teller, heard: true };
            connection.run(told, speaks).await;
        })
    })
}

/// How far a connection is.
enum Stage {
    /// Since then; nobody has said who they are.
    Opened(Instant),
    /// Acknowledged; since then nobody in particular has asked nothing.
    Ready(Instant),
}

/// What an operation tells: which, and of which use of its id.
type Teller = mpsc::Sender<(String, u64, Told)>;

struct Connection {
    edge: Edge,
    socket: WebSocket,
    pass: Pass,
    state: Stage,
    operations: HashMap<String, (u64, AbortOnDropHandle<()>)>,
    generation: u64,
    teller: Teller,
    /// Whether anything came since the last ping.
    heard: bool,
}

impl Connection {
    async fn run(mut self, mut told: mpsc::Receiver<(String, u64, Told)>, speaks: bool) {
        let end = if speaks { self.serve(&mut told).await } else { Some(Close::NO_PROTOCOL) };
        self.operations.clear();
        match end {
            Some(close) => self.close(close).await,
            None => self.part().await,
        }
    }

    /// Until there is a reason to close; none when the peer is gone.
    async fn serve(&mut self, told: &mut mpsc::Receiver<(String, u64, Told)>) -> Option<Close> {
        let (mut check, mut ping) = (tokio::time::interval(CHECK_EVERY), tokio::time::interval(PING_EVERY));
        ping.reset();
        let closing = self.edge.streams.closing.clone();
        let mut sure = Instant::now();
        loop {
            let step = tokio::select! {
                () = closing.cancelled() => Err(Some(Close::GOING_AWAY)),
                _ = check.tick() => self.check(&mut sure).await,
                _ = ping.tick() => self.ping().await,
                Some((id, generation, what)) = told.recv() => self.tell(id, generation, what).await,
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => self.hear(message).await,
                    Some(Err(broken)) => Err(messages::is_too_large(&broken).then_some(Close::TOO_LARGE)),
                    None => Err(None),
                },
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Whether the socket may go on: it was introduced in time, and its token counts.
    async fn check(&mut self, sure: &mut Instant) -> Result<(), Option<Close>> {
        match self.state {
            Stage::Opened(since) if since.elapsed() >= INIT_WITHIN => return Err(Some(Close::INIT_TIMEOUT)),
            Stage::Opened(_) => return Ok(()),
            Stage::Ready(since) if self.pass.token.is_none() && self.operations.is_empty() && since.elapsed() >= IDLE => return Err(Some(Close::UNAUTHORIZED)),
            Stage::Ready(_) => {}
        }
        match self.edge.graph.let_in(&self.pass).await {
            Ok(_) => *sure = Instant::now(),
            Err(AuthenticationProblem::Unexpected(_)) if sure.elapsed() < UNSURE => {}
            Err(problem) => return Err(Some(over(&problem))),
        }
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), Option<Close>> {
        if !std::mem::take(&mut self.heard) {
            return Err(Some(Close::NO_PONG));
        }
        self.send(Message::Ping(Vec::new().into())).await
    }

    async fn hear(&mut self, message: Message) -> Result<(), Option<Close>> {
        self.heard = true;
        match message {
            Message::Text(text) => self.obey(messages::read(text.as_str())?).await,
            Message::Binary(_) => Err(Some(Close::invalid("Only text messages are read"))),
            Message::Ping(payload) => self.send(Message::Pong(payload)).await,
            Message::Pong(_) => Ok(()),
            Message::Close(_) => Err(None),
        }
    }

    async fn obey(&mut self, message: Incoming) -> Result<(), Option<Close>> {
        match message {
            Incoming::Init(token) => self.introduce(token).await,
            Incoming::Ping(payload) => self.say(&Outgoing::Pong { payload }).await,
            Incoming::Pong => Ok(()),
            Incoming::Complete(id) => {
                self.operations.remove(&id);
                Ok(())
            }
            Incoming::Subscribe(id, question) => {
                if !matches!(self.state, Stage::Ready(_)) {
                    return Err(Some(Close::UNAUTHORIZED));
                }
                if self.operations.contains_key(&id) {
                    return Err(Some(Close::duplicate(&id)));
                }
                let question = question.map_err(|wrong| Some(Close::invalid(wrong)))?;
                if self.operations.len() >= MAX_OPERATIONS {
                    let errors = [error::refusal(Code::RateLimited, "20 operations run on this socket already; complete one of them")];
                    return self.say(&Outgoing::Error { id: &id, payload: &errors }).await;
                }
                self.generation += 1;
                self.state = Stage::Ready(Instant::now());
                let mut answers = self.edge.graph.begin(*question, self.pass.clone(), self.edge.streams.closing.clone());
                let (of, generation, teller) = (id.clone(), self.generation, self.teller.clone());
                let task = tokio::spawn(async move {
                    while let Some(told) = answers.next().await {
                        if teller.send((of.clone(), generation, told)).await.is_err() {
                            return;
                        }
                    }
                });
                self.operations.insert(id, (self.generation, AbortOnDropHandle::new(task)));
                Ok(())
            }
        }
    }

    async fn introduce(&mut self, token: Result<Option<secrecy::SecretString>, ()>) -> Result<(), Option<Close>> {
        if matches!(self.state, Stage::Ready(_)) {
            return Err(Some(Close::SECOND_INIT));
        }
        // What is said here counts before what came with the upgrade.
        match token {
            Ok(None) => {}
            Ok(token) => self.pass.token = token,
            Err(()) => return Err(Some(Close::FORBIDDEN)),
        }
        match self.edge.graph.let_in(&self.pass).await {
            Ok(_) => {}
            Err(AuthenticationProblem::Unexpected(cause)) => {
                tracing::error!(error = ?cause, "a socket could not be opened");
                return Err(Some(Close::TRY_AGAIN));
            }
            Err(_) => return Err(Some(Close::FORBIDDEN)),
        }
        self.state = Stage::Ready(Instant::now());
        self.say(&Outgoing::Ack).await
    }

    /// Passes on what an operation tells, unless its id was completed meanwhile.
    async fn tell(&mut self, id: String, generation: u64, told: Told) -> Result<(), Option<Close>> {
        if self.operations.get(&id).is_none_or(|(current, _)| *current != generation) {
            return Ok(());
        }
        if !matches!(told, Told::Begun | Told::Next(_)) {
            self.operations.remove(&id);
        }
        match told {
            Told::Begun => Ok(()),
            Told::Next(response) => self.say(&Outgoing::Next { id: &id, payload: &response }).await,
            Told::Refused(errors) => self.say(&Outgoing::Error { id: &id, payload: &errors }).await,
            Told::Completed => self.say(&Outgoing::Complete { id: &id }).await,
            Told::Over(problem) => Err(Some(over(&problem))),
        }
    }

    async fn say(&mut self, message: &Outgoing<'_>) -> Result<(), Option<Close>> {
        match serde_json::to_string(message) {
            Ok(text) => self.send(Message::Text(text.into())).await,
            Err(broken) => {
                tracing::error!(error = %broken, "a message could not be written");
                Err(Some(Close::INTERNAL))
            }
        }
    }

    /// A peer that does not take it in time is gone, or might as well be.
    async fn send(&mut self, message: Message) -> Result<(), Option<Close>> {
        match tokio::time::timeout(PATIENCE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(None),
        }
    }

    /// Says why, and waits for the peer to do the same.
    async fn close(mut self, Close { code, reason }: Close) {
        let frame = Message::Close(Some(CloseFrame { code, reason: reason.into_owned().into() }));
        if matches!(tokio::time::timeout(LINGER, self.socket.send(frame)).await, Ok(Ok(()))) {
            self.part().await;
        }
    }

    /// Reads to the end: so the library answers a peer that closes, as it has to (RFC 6455, 5.5.1), and sees how one answers our close.
    async fn part(mut self) {
        // Whoever does not answer is left.
        let _left = tokio::time::timeout(LINGER, async { while let Some(Ok(_)) = self.socket.recv().await {} }).await;
    }
}

fn over(problem: &AuthenticationProblem) -> Close {
    match problem {
        AuthenticationProblem::Unexpected(cause) => {
            tracing::error!(error = ?cause, "it could not be seen whether a socket's token still counts");
            Close::TRY_AGAIN
        }
        AuthenticationProblem::TokenExpired => Close::TOKEN_EXPIRED,
        AuthenticationProblem::TokenInvalid | AuthenticationProblem::SessionEnded => Close::SESSION_ENDED,
    }
}
