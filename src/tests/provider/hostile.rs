//! Providers that mean harm, or behave as if: everything is cut off at a limit, in time and in memory.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;

/// Answers every connection by `answer`, which has the whole request before it; tells how many bytes went out.
async fn server<F>(answer: impl Fn(TcpStream, Arc<AtomicU64>) -> F + Send + Sync + 'static) -> (String, Arc<AtomicU64>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicU64::new(0));
    let counted = sent.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                tokio::spawn(answer(stream, counted.clone()));
            }
        }
    });
    (address, sent)
}

/// Once only: what a hostile provider does is not to be had three times.
const ONCE: Policy = Policy { tries: 1, ..QUICK };

#[tokio::test]
async fn a_body_without_an_end_is_cut_at_the_limit() {
    let (address, sent) = server(|mut stream, sent| async move {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10737418240\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let piece = vec![b' '; 64 * 1024];
        while stream.write_all(&piece).await.is_ok() {
            sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
        }
    })
    .await;
    let line = quick(Policy { time_out: Duration::from_secs(20), ..ONCE });
    assert_eq!(get(&line, &address).await.unwrap_err(), ProviderFault::Malformed);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (limit, sent) = (Asked::Data.limit() as u64, sent.load(Ordering::SeqCst));
    // What stood in the sockets' buffers was sent too, and never read.
    assert!(sent >= limit && sent < limit + 16 * 1024 * 1024, "{sent} bytes were taken");
}

#[tokio::test]
async fn what_would_unpack_to_much_more_stays_packed() {
    let server = answering(ResponseTemplate::new(200).insert_header("content-encoding", "gzip").set_body_bytes(vec![0x1f, 0x8b, 8, 0])).await;
    assert_eq!(get(&quick(ONCE), &server.uri()).await.unwrap(), [0x1f, 0x8b, 8, 0]);
    assert!(!server.received_requests().await.unwrap()[0].headers.contains_key("accept-encoding"));
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_runs_out_of_time() {
    let (address, _) = server(|mut stream, _| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let began = Instant::now();
    let line = quick(Policy { time_out: Duration::from_millis(300), ..ONCE });
    assert_eq!(get(&line, &address).await.unwrap_err(), ProviderFault::Unreachable);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn headers_without_an_end_are_cut_off() {
    let (endless, sent) = server(|mut stream, sent| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        let piece = b"x-padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(100);
        while stream.write_all(&piece).await.is_ok() {
            sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
        }
    })
    .await;
    let (many, _) = server(|mut stream, _| async move {
        let headers = "x-padding: a\r\n".repeat(MOST + 1);
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{headers}content-length: 2\r\n\r\n{{}}").as_bytes()).await.unwrap();
    })
    .await;
    for address in [endless, many] {
        assert_eq!(get(&quick(ONCE), &address).await.unwrap_err(), ProviderFault::Unreachable);
    }
    assert!(sent.load(Ordering::SeqCst) < 16 * 1024 * 1024);
}

/// How many headers an answer may have.
const MOST: usize = 100;

#[tokio::test]
async fn what_is_cut_off_is_no_answer() {
    for answer in
        ["", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", "SSH-2.0-OpenSSH_9.6\r\n"]
    {
        let (address, _) = server(move |mut stream, _| async move { stream.write_all(answer.as_bytes()).await.unwrap() }).await;
        assert_eq!(get(&quick(ONCE), &address).await.unwrap_err(), ProviderFault::Unreachable, "{answer:?}");
    }
}

#[tokio::test]
async fn nobody_is_sent_elsewhere() {
    let elsewhere = answering(ResponseTemplate::new(200)).await;
    for status in [301, 302, 303, 307, 308] {
        let server = answering(ResponseTemplate::new(status).insert_header("location", elsewhere.uri())).await;
        assert_eq!(get(&quick(ONCE), &server.uri()).await.unwrap_err(), ProviderFault::Malformed);
    }
    assert_eq!(asked(&elsewhere).await, 0);
}
