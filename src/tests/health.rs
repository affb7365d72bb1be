//! `dashtam health`, which images ask: exit code 0 for a server that can work, 1 for everything else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
};

use crate::harness::binary::Binary;

/// Something that takes one connection and says `answer`; answers its address.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        assert!(client.read(&mut request).unwrap() > 0);
        client.write_all(answer.as_bytes()).unwrap();
    });
    address
}

#[test]
fn a_server_is_asked_where_it_listens() {
    let binary = Binary::with(&[]);
    let demo = binary.demo();
    let address = demo.ready["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
    assert_eq!(binary.run(&["health", "--bind", &address]).succeeds(), "ready\n");
    let port = address.rsplit_once(':').unwrap().1;
    for everywhere in [format!("0.0.0.0:{port}"), address.clone()] {
        assert_eq!(Binary::with(&[("DASHTAM_BIND", &everywhere)]).run(&["health"]).succeeds(), "ready\n");
    }
    demo.signal("TERM");
    assert_eq!(demo.end().0, Some(0));
    binary.run(&["health", "--bind", &address]).fails_saying(&["nothing listens on", &address]);
}

#[test]
fn a_server_that_cannot_work_is_not_ready() {
    let binary = Binary::with(&[]);
    let ask = |answer| binary.run(&["health", "--bind", &answering(answer)]);
    assert_eq!(ask("HTTP/1.1 200 OK\r\n\r\n{}").succeeds(), "ready\n");
    ask("HTTP/1.1 503 Service Unavailable\r\n\r\n{}").fails_saying(&["not ready", "503", "/ready"]);
    ask("").fails_saying(&["does not speak HTTP"]);
    ask("220 mail.example.com ESMTP").fails_saying(&["not ready"]);
}
