//! The server loop under attack: real connections to a real listener, with little patience.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Extension, Router,
    body::Bytes,
    extract::ConnectInfo,
    routing::{get, post},
};
use dashtam::presentation::http::{
    browsers::Browsers,
    server::{Patience, Stopping, serve},
    with_common_layers,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::harness::app::TestApp;

/// Longer than anything here may take.
const LONG: Duration = Duration::from_secs(10);

const PATIENCE: Patience = Patience {
    connections: 100,
    header_bytes: 16 * 1024,
    header: Duration::from_millis(300),
    idle: Duration::from_millis(900),
    stall: Duration::from_millis(300),
};

/// A server of a few routes.
struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<anyhow::Result<()>>,
    /// Requests that reached a route.
    reached: Arc<AtomicUsize>,
}

impl Server {
    async fn start(patience: Patience) -> Self {
        let reached = Arc::new(AtomicUsize::new(0));
        let count = |reached: &Arc<AtomicUsize>| {
            let reached = reached.clone();
            move || reached.fetch_add(1, Ordering::SeqCst)
        };
        let (hello, echo) = (count(&reached), count(&reached));
        let paths = Router::new()
            .route(
                "/",
                get(async move |ConnectInfo(peer): ConnectInfo<SocketAddr>| {
                    hello();
                    peer.ip().to_string()
                }),
            )
            .route(
                "/echo",
                post(async move |body: Bytes| {
                    echo();
                    body
                }),
            )
            .route("/large", get(async || vec![b'x'; 64 * 1024 * 1024]))
            .route(
                "/slow",
                get(async || {
                    tokio::time::sleep(Duration::from_millis(700)).await;
                    "done"
                }),
            )
            .route("/stream", get(async |Extension(Stopping(stopping)): Extension<Stopping>| stopping.cancelled().await));
        let router = with_common_layers(paths, Duration::from_millis(1500), &Browsers::new(Vec::new(), "http://localhost", false));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serving = tokio::spawn(serve(listener, router, patience, stop.clone()));
        Self { address, stop, serving, reached }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the server closes.
    async fn told(&self, bytes: &[u8]) -> String {
        let mut line = self.connect().await;
        // The server may close before it has read everything.
        let _written = line.write_all(bytes).await;
        rest(&mut line).await
    }

    async fn is_well(&self) {
        let answer = timeout(LONG, self.told(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("127.0.0.1"), "{answer}");
    }
}

/// What is left to read, until the server closes; a reset counts as that.
async fn rest(line: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = timeout(LONG, line.read(&mut buffer)).await.unwrap() {
        text.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_client_that_sends_its_header_byte_by_byte_is_cut_off() {
    let server = Server::start(PATIENCE).await;
    for start in ["", "G", "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let began = Instant::now();
        let mut line = server.connect().await;
        line.write_all(start.as_bytes()).await.unwrap();
        while !start.is_empty() && line.write_all(b"a").await.is_ok() && began.elapsed() < LONG {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        rest(&mut line).await;
        assert!(began.elapsed() > Duration::from_millis(250) && began.elapsed() < Duration::from_secs(3), "{start:?}: {:?}", began.elapsed());
    }
    // One that only looks as if it was HTTP/2 is idle.
    for start in ["PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut line = server.connect().await;
        line.write_all(start.as_bytes()).await.unwrap();
        let began = Instant::now();
        rest(&mut line).await;
        assert!(began.elapsed() < Duration::from_secs(4), "{start:?}: {:?}", began.elapsed());
    }
    assert_eq!(server.reached.load(Ordering::SeqCst), 0);
    server.is_well().await;
}

#[tokio::test]
async fn a_connection_lasts_between_requests_and_not_for_ever() {
    let server = Server::start(PATIENCE).await;
    let mut line = server.connect().await;
    let mut buffer = [0; 4096];
    for _ in 0..3 {
        line.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let read = timeout(LONG, line.read(&mut buffer)).await.unwrap().unwrap();
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200 "));
        // Longer than a header may take, shorter than a connection may rest.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let began = Instant::now();
    assert_eq!(rest(&mut line).await, "");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_request_in_flight_is_waited_for_longer_than_a_header() {
    let server = Server::start(PATIENCE).await;
    let answer = server.told(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("done"), "{answer}");
}

#[tokio::test]
async fn headers_have_a_size_and_a_number() {
    let server = Server::start(PATIENCE).await;
    let with = |headers: &str| format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    let numbered = |count: usize| (0..count).fold(String::new(), |all, number| all + &format!("X-{number}: 1\r\n"));
    let (many, some) = (numbered(10_000), numbered(200));
    for (what, request) in [
        ("one of 20 kB", with(&format!("X-Long: {}\r\n", "a".repeat(20_000)))),
        ("10,000", with(&many)),
        ("200", with(&some)),
        ("an address of 20 kB", format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(20_000))),
        ("one that never ends", "GET / HTTP/1.1\r\nX: ".to_owned() + &"a".repeat(1_000_000)),
    ] {
        let answer = server.told(request.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 ") || answer.starts_with("HTTP/1.1 414 "), "{what}: {answer}");
    }
    let answer = server.told(with(&format!("X-Long: {}\r\n", "a".repeat(14_000))).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(server.reached.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_body_of_a_byte_now_and_then_is_cut_off_with_an_answer() {
    let server = Server::start(PATIENCE).await;
    let mut line = server.connect().await;
    line.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
    let began = Instant::now();
    let (mut read, mut write) = line.split();
    let trickle = async {
        while write.write_all(b"a").await.is_ok() && began.elapsed() < LONG {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let answer = async {
        let mut text = vec![0; 4096];
        let length = timeout(LONG, read.read(&mut text)).await.unwrap().unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let answer = tokio::select! { answer = answer => answer, () = trickle => panic!("nobody answered") };
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("application/problem+json"), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(4));
    drop(line);
    assert_eq!(server.reached.load(Ordering::SeqCst), 0);
    server.is_well().await;
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_gives_its_place_to_others() {
    let server = Server::start(Patience { connections: 1, ..PATIENCE }).await;
    let mut line = server.connect().await;
    line.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    server.is_well().await;
    drop(line);
}

#[tokio::test]
async fn connections_beyond_the_places_wait() {
    let server = Server::start(Patience { connections: 1, idle: LONG, ..PATIENCE }).await;
    let mut first = server.connect().await;
    let mut buffer = [0; 4096];
    first.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(first.read(&mut buffer).await.unwrap() > 0);
    let mut second = server.connect().await;
    second.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    timeout(Duration::from_millis(600), second.read(&mut buffer)).await.unwrap_err();
    drop(first);
    let read = timeout(LONG, second.read(&mut buffer)).await.unwrap().unwrap();
    assert!(buffer[..read].starts_with(b"HTTP/1.1 200 "));
}

#[tokio::test]
async fn hanging_up_in_the_middle_costs_nobody_anything() {
    let server = Server::start(Patience { connections: 2, ..PATIENCE }).await;
    for start in [
        "GET / HT",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
        "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        for _ in 0..5 {
            let mut line = server.connect().await;
            line.write_all(start.as_bytes()).await.unwrap();
        }
    }
    server.is_well().await;
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_their_order() {
    let server = Server::start(PATIENCE).await;
    let one = |body: &str| format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let all = (0..50).fold(String::new(), |all, number| all + &one(&format!("number {number};")));
    let answer = server.told((all + "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await;
    let places: Vec<_> = (0..50).map(|number| answer.find(&format!("number {number};")).unwrap()).collect();
    assert!(places.is_sorted() && answer.matches("HTTP/1.1 200 ").count() == 51);
}

#[tokio::test]
async fn a_request_whose_end_is_ambiguous_hides_no_other() {
    let server = Server::start(PATIENCE).await;
    let hidden = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for framing in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length : 5\r\n",
        "Content-Length: 5\r\n Content-Length: 6\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "X: y\nContent-Length: 5\n",
    ] {
        server.reached.store(0, Ordering::SeqCst);
        let request = format!("POST /echo HTTP/1.1\r\nHost: x\r\n{framing}\r\n0\r\n\r\n{hidden}");
        let answer = server.told(request.as_bytes()).await;
        let answers = answer.matches("HTTP/1.1 ").count();
        // A proxy in front reads at most one request here that it would take for the first one's body; what is refused is closed.
        let is_refused = answer.is_empty() || (answers == 1 && answer.starts_with("HTTP/1.1 400 "));
        let is_closed_after_one = answers == 1 && server.reached.load(Ordering::SeqCst) <= 1;
        assert!(is_refused || is_closed_after_one || framing.starts_with("X: y"), "{framing:?}: {} reached, {answer}", server.reached.load(Ordering::SeqCst));
    }
    server.is_well().await;
}

#[tokio::test]
async fn a_stop_lets_what_is_in_flight_finish_and_takes_nothing_new() {
    let server = Server::start(Patience { idle: LONG, header: LONG, ..PATIENCE }).await;
    let (mut slow, mut idle, mut stream, mut fresh) = (server.connect().await, server.connect().await, server.connect().await, server.connect().await);
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    stream.write_all(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut buffer = [0; 4096];
    assert!(idle.read(&mut buffer).await.unwrap() > 0);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    server.stop.cancel();
    assert_eq!(rest(&mut idle).await, "");
    assert_eq!(rest(&mut fresh).await, "");
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "a stream is told, and ends: {answer}");
    let answer = rest(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("done"), "{answer}");
    timeout(LONG, server.serving).await.unwrap().unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    TcpStream::connect(server.address).await.unwrap_err();
}

async fn http2(server: &Server) -> (h2::client::SendRequest<bytes::Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let (client, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    (client, tokio::spawn(connection))
}

fn ask(path: &str) -> axum::http::Request<()> {
    axum::http::Request::get(format!("http://x{path}")).body(()).unwrap()
}

#[tokio::test]
async fn http2_is_spoken_without_being_asked_for_first() {
    let server = Server::start(PATIENCE).await;
    let (mut client, connection) = http2(&server).await;
    let (one, two) = (client.send_request(ask("/slow"), true).unwrap().0, client.send_request(ask("/"), true).unwrap().0);
    assert_eq!((two.await.unwrap().status(), one.await.unwrap().status()), (200.try_into().unwrap(), 200.try_into().unwrap()));
    let mut large = ask("/");
    large.headers_mut().insert("x-long", "a".repeat(20_000).parse().unwrap());
    let refused = client.send_request(large, true).unwrap().0.await;
    assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status() == 431));
    drop(client);
    // Idle, it is closed.
    let _closed = timeout(LONG, connection).await.unwrap();
    server.is_well().await;
}

#[tokio::test]
async fn a_flood_of_requests_taken_back_ends_its_connection() {
    let server = Server::start(PATIENCE).await;
    let (mut client, connection) = http2(&server).await;
    let mut sent = 0;
    for _ in 0..5_000 {
        let Ok(ready) = client.ready().await else { break };
        client = ready;
        let Ok((answer, mut stream)) = client.send_request(ask("/slow"), false) else { break };
        stream.send_reset(h2::Reason::CANCEL);
        drop(answer);
        sent += 1;
        tokio::task::yield_now().await;
    }
    assert!(sent < 5_000, "nobody ended it");
    let _ended = timeout(LONG, connection).await.unwrap();
    server.is_well().await;
}

#[tokio::test]
async fn a_body_without_a_length_has_the_same_limit() {
    for app in TestApp::on_every_store().await {
        let address = app.url.trim_start_matches("http://");
        let mut line = TcpStream::connect(address).await.unwrap();
        let head =
            format!("POST /graphql HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
        line.write_all(head.as_bytes()).await.unwrap();
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
        for _ in 0..17 {
            if line.write_all(chunk.as_bytes()).await.is_err() {
                break;
            }
        }
        let answer = rest(&mut line).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(body["code"], "BODY_TOO_LARGE");
        app.holds(&[("audit_events", 0)]).await;
    }
}
