//! The server loop: takes connections, lets each be slow for so long and no longer, and lets all of them finish at the end.
//!
//! The library speaks HTTP; here stands how much patience a connection meets. One that has no request in flight is cut off when its next
//! header takes too long, or when none comes for long; one that does not take its answer is cut off when it stands still. A request in
//! flight is left alone: how long it may take is the router's matter. As many connections as there are places are served, and others wait
//! in the system's queue until one is free: refusing them would tell honest clients to come back at once.

use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, Request},
};
use hyper::{
    body::{Frame, Incoming, SizeHint},
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep},
};
use tokio_util::sync::CancellationToken;

/// How many headers a request may have.
const MAX_HEADERS: usize = 100;

/// How many requests of one HTTP/2 connection may be in flight.
const MAX_STREAMS: u32 = 100;

/// How many requests of an HTTP/2 connection may be taken back before they were begun; with more it is over.
const MAX_RESETS: usize = 20;

/// How often an HTTP/2 connection is asked whether it is still there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);

/// How long to wait when the system has no file for another connection.
const EXHAUSTED: Duration = Duration::from_millis(500);

/// How often a connection is looked at; time-outs are as exact as that.
const LOOK: Duration = Duration::from_secs(1);

/// How much patience connections meet.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How many are served at once.
    pub connections: usize,
    /// How many bytes a request's header may have.
    pub header_bytes: usize,
    /// How long a request's header may take.
    pub header: Duration,
    /// How long a connection is kept without a request.
    pub idle: Duration,
    /// How long a client may take nothing of an answer.
    pub stall: Duration,
}

/// In a request's extensions: cancelled when the server is about to stop, so that streams can say so to their clients and end.
#[derive(Debug, Clone)]
pub struct Stopping(pub CancellationToken);

/// Serves until `stop`, then takes no more connections and waits for those there are: they finish what is in flight.
pub async fn serve(listener: TcpListener, router: Router, patience: Patience, stop: CancellationToken) -> anyhow::Result<()> {
    let most = patience.connections.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
    let places = Arc::new(Semaphore::new(most));
    loop {
        let place = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            place = places.clone().acquire_owned() => place?,
        };
        let (stream, peer) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(failure) if is_of_one_connection(&failure) => continue,
                Err(failure) => {
                    tracing::error!(error = %failure, "no connection can be taken for the moment");
                    tokio::time::sleep(EXHAUSTED).await;
                    continue;
                }
            },
        };
        if let Err(failure) = stream.set_nodelay(true) {
            tracing::debug!(error = %failure, "a connection was over before it began");
            continue;
        }
        tokio::spawn(attend(stream, peer, place, router.clone(), patience, stop.clone()));
    }
    // Whoever comes now is told by the system at once.
    drop(listener);
    // Each connection holds one until it is closed, also after it became a WebSocket.
    let _all = places.acquire_many(u32::try_from(most)?).await?;
    Ok(())
}

fn is_of_one_connection(failure: &io::Error) -> bool {
    matches!(failure.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// One connection, from its first byte to its last.
async fn attend(stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit, router: Router, patience: Patience, stop: CancellationToken) {
    let progress = Arc::new(Progress::default());
    let line = Line { stream, progress: progress.clone(), patience: patience.stall, stalled: None, _place: place };
    let router = TowerToHyperService::new(router);
    let (busy, stopping) = (progress.clone(), Stopping(stop.clone()));
    let service = service_fn(move |request: Request<Incoming>| {
        let in_flight = InFlight::begin(&busy);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(stopping.clone());
        let answering = router.call(request);
        async move { answering.await.map(|response| response.map(|body| Attended { body, _in_flight: in_flight })) }
    });
    let builder = builder(patience);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(line), service));
    let mut watch = Watch::begin(progress, patience);
    let mut looks = tokio::time::interval(LOOK.min(patience.header / 4).max(Duration::from_millis(10)));
    let mut is_told = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(failure) = ended {
                    tracing::debug!(error = %failure, "a connection ended early");
                }
                return;
            }
            () = stop.cancelled(), if !is_told => {
                is_told = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = looks.tick() => match watch.look() {
                Verdict::Fine => {}
                Verdict::Idle if !is_told => {
                    is_told = true;
                    connection.as_mut().graceful_shutdown();
                }
                Verdict::Idle => return,
                Verdict::Slow => {
                    tracing::debug!("a connection was cut off, since its header took too long");
                    return;
                }
            },
        }
    }
}

/// Sockets of the web take HTTP/1.1: over HTTP/2 they would be no request in flight, and their connection idle.
fn builder(patience: Patience) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // Its own time-out of headers would count the time between requests as well.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_headers(MAX_HEADERS).max_buf_size(patience.header_bytes.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_header_list_size(u32::try_from(patience.header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    builder
}

/// What a connection has come to so far.
#[derive(Default)]
struct Progress {
    /// Bytes that came from the client.
    read: AtomicU64,
    /// Requests that were begun.
    begun: AtomicU64,
    /// Requests whose answers are not over yet.
    in_flight: AtomicUsize,
    /// Whether it began as HTTP/2 does.
    is_http2: AtomicBool,
}

/// A request, until its answer has left.
struct InFlight(Arc<Progress>);

impl InFlight {
    fn begin(progress: &Arc<Progress>) -> Self {
        progress.begun.fetch_add(1, Ordering::Relaxed);
        progress.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(progress.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a look at a connection found.
enum Verdict {
    Fine,
    /// It was asked nothing for long.
    Idle,
    /// It is being asked something, for too long.
    Slow,
}

/// Looks at a connection from time to time.
struct Watch {
    progress: Arc<Progress>,
    patience: Patience,
    begun: u64,
    /// Bytes read when it was last busy.
    read: u64,
    /// Since when it has had no request in flight.
    idle_since: Instant,
    /// Since when the next request has been coming.
    coming_since: Option<Instant>,
}

impl Watch {
    fn begin(progress: Arc<Progress>, patience: Patience) -> Self {
        let now = Instant::now();
        // The first request is expected at once.
        Self { progress, patience, begun: 0, read: 0, idle_since: now, coming_since: Some(now) }
    }

    fn look(&mut self) -> Verdict {
        let now = Instant::now();
        let (begun, read) = (self.progress.begun.load(Ordering::Relaxed), self.progress.read.load(Ordering::Relaxed));
        if self.progress.in_flight.load(Ordering::Relaxed) > 0 || begun != self.begun {
            (self.begun, self.read, self.idle_since, self.coming_since) = (begun, read, now, None);
            return Verdict::Fine;
        }
        let is_http2 = self.progress.is_http2.load(Ordering::Relaxed);
        // HTTP/2 has frames that are no requests, and pings for what has gone silent.
        if read != self.read && !is_http2 {
            self.read = read;
            self.coming_since.get_or_insert(now);
        }
        match self.coming_since.filter(|_| !is_http2) {
            Some(since) if now - since > self.patience.header => Verdict::Slow,
            None if now - self.idle_since > self.patience.idle => Verdict::Idle,
            _ => Verdict::Fine,
        }
    }
}

/// The client's end of a connection. It holds the connection's place until it is closed.
struct Line {
    stream: TcpStream,
    progress: Arc<Progress>,
    patience: Duration,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Line {
    /// What became of writing, or that it has stood still for too long.
    fn patiently<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience))).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let fresh = &buffer.filled()[before..];
        if self.progress.read.fetch_add(fresh.len() as u64, Ordering::Relaxed) == 0 && fresh.starts_with(b"PRI") {
            self.progress.is_http2.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.patiently(cx, written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.patiently(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// An answer's body; with it the request is over.
struct Attended {
    body: Body,
    _in_flight: InFlight,
}

impl HttpBody for Attended {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
