//! Addresses that a person or a provider chose (server-side request forgery): what is read, and where connections go.

use dashtam::infrastructure::providers::http::{
    OutsideUrl, UnfitUrl,
    outside::{Reach, is_public},
};
use tokio::net::TcpListener;

use super::*;
use crate::harness::lines::{ScriptedNames, switchboard};

#[test]
fn only_addresses_that_are_out_there_for_everyone_are_public() {
    for address in [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "5f00::1",
        "4000::1",
    ] {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
    for address in [
        "1.1.1.1",
        "9.255.255.255",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "198.17.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450::1",
        "64:ff9b::101:101",
        "::ffff:1.1.1.1",
    ] {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
}

#[test]
fn an_address_is_read_strictly() {
    let read = |text: &str| OutsideUrl::parse(text, Reach::Outside).map(|url| url.url().as_str().to_owned());
    assert_eq!(read("https://bridge.example/simplefin"), Ok("https://bridge.example/simplefin".to_owned()));
    assert_eq!(read("https://BRIDGE.example:8443/a?b=c"), Ok("https://bridge.example:8443/a?b=c".to_owned()));
    for text in [
        "",
        "bridge.example",
        "/simplefin",
        "https://",
        "https:///x",
        "javascript:alert(1)",
        "data:text/html,x",
        "mailto:a@b.c",
        "https://bridge.example/\r\nHost: x",
        "https://bridge.example/\0",
        "https://bridge.example/ x",
        "https://bridge\t.example/",
        "https://bridge.example\\@evil.example/",
        "https://bridge.example/#a",
        "https://bridge.example/ü",
        "https://[::1/",
        "https://256.1.1.1/",
        " https://bridge.example/",
    ] {
        assert_eq!(read(text), Err(UnfitUrl::Unreadable), "{text:?}");
    }
    assert_eq!(read(&format!("https://bridge.example/{}", "a".repeat(2048))), Err(UnfitUrl::Unreadable));
    for text in ["http://bridge.example/", "ftp://bridge.example/", "http://2130706433/", "http://127.0.0.1/", "http://localhost/", "ws://bridge.example/"] {
        assert_eq!(read(text), Err(UnfitUrl::Insecure), "{text}");
    }
    for text in [
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "https://10.0.0.1/",
        "https://user:password@192.168.0.1/",
    ] {
        assert_eq!(read(text), Err(UnfitUrl::NotOutside), "{text}");
    }
    let here = |text: &str| OutsideUrl::parse(text, Reach::OutsideOrHere).is_ok();
    assert!(here("http://127.0.0.1:8080/") && here("http://localhost/") && here("http://[::1]/") && here("https://bridge.example/"));
    assert!(!here("http://bridge.example/") && !here("https://10.0.0.1/") && !here("http://169.254.169.254/") && !here("http://localhost.evil.example/"));
}

#[test]
fn user_and_password_leave_the_address_for_the_header() {
    let url = OutsideUrl::parse("https://us%40er:p%3Ass%2F@bridge.example/simplefin", Reach::Outside).unwrap();
    assert_eq!(url.url().as_str(), "https://bridge.example/simplefin");
    let header = url.authorization().unwrap();
    assert!(header.is_sensitive());
    assert_eq!(header.to_str().unwrap(), "Basic dXNAZXI6cDpzcy8=");
    assert_eq!((url.below(&["accounts"]).unwrap().as_str(), url.host()), ("https://bridge.example/simplefin/accounts", "bridge.example"));
    let shown = format!("{url:?}");
    assert!(!shown.contains("us") && !shown.contains("simplefin"), "{shown}");
    assert!(OutsideUrl::parse("https://bridge.example/", Reach::Outside).unwrap().authorization().is_none());
}

/// A listener that must not be reached, with how often it was.
async fn trap() -> (u16, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, reached) = (listener.local_addr().unwrap().port(), Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let counted = reached.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    });
    (port, reached)
}

fn reaching(names: Arc<ScriptedNames>, reach: Reach) -> Line {
    let (mut switchboard, _) = switchboard(Arc::new(TestClock::new()));
    switchboard.names = names;
    switchboard.line("stand-in", Policy { tries: 1, reach, ..QUICK }).unwrap()
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_followed() {
    let (port, reached) = trap().await;
    for answer in [&["127.0.0.1"][..], &["::ffff:127.0.0.1"], &["1.1.1.1", "127.0.0.1"], &["127.0.0.1", "2a00:1450::1"], &[]] {
        for reach in [Reach::Outside, Reach::OutsideOrHere] {
            let names = ScriptedNames::new(&[answer]);
            let line = reaching(names.clone(), reach);
            assert_eq!(get(&line, &format!("https://rebound.example:{port}/")).await.unwrap_err(), ProviderFault::Unreachable);
            assert_eq!(names.asked(), 1);
        }
    }
    assert_eq!(reached.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_answers_otherwise_the_second_time_gains_nothing() {
    let (port, reached) = trap().await;
    // Out there for everyone as far as the rule goes, and nobody is there.
    let names = ScriptedNames::new(&[&["2a00:ffff:ffff:ffff::1"], &["127.0.0.1"]]);
    let line = reaching(names.clone(), Reach::Outside);
    let address = format!("https://rebound.example:{port}/");
    assert_eq!(get(&line, &address).await.unwrap_err(), ProviderFault::Unreachable);
    assert_eq!(names.asked(), 1, "what was checked is what is connected to: nothing is looked up in between");
    assert_eq!(get(&line, &address).await.unwrap_err(), ProviderFault::Unreachable);
    assert_eq!((names.asked(), reached.load(std::sync::atomic::Ordering::SeqCst)), (2, 0));
}

#[tokio::test]
async fn a_line_to_outside_asks_no_address_that_was_not_read_by_the_rule() {
    let (port, reached) = trap().await;
    let line = reaching(ScriptedNames::new(&[&["127.0.0.1"]]), Reach::Outside);
    for address in [
        format!("https://127.0.0.1:{port}/"),
        format!("http://rebound.example:{port}/"),
        format!("http://127.0.0.1:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
    ] {
        assert_eq!(get(&line, &address).await.unwrap_err(), ProviderFault::Unreachable, "{address}");
    }
    assert_eq!(reached.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn in_development_this_machine_is_reached_by_its_own_names_only() {
    let server = answering(ResponseTemplate::new(200).set_body_string("here")).await;
    let port = server.address().port();
    let line = reaching(ScriptedNames::new(&[&["127.0.0.1"]]), Reach::OutsideOrHere);
    assert_eq!(get(&line, &format!("http://localhost:{port}/")).await.unwrap(), b"here");
    assert_eq!(get(&line, &format!("http://127.0.0.1:{port}/")).await.unwrap(), b"here");
    get(&line, &format!("http://here.example:{port}/")).await.unwrap_err();
    assert_eq!(asked(&server).await, 2);
}

#[tokio::test]
async fn a_redirect_to_this_machine_is_not_followed() {
    let (port, reached) = trap().await;
    let server = answering(ResponseTemplate::new(302).insert_header("location", format!("http://127.0.0.1:{port}/"))).await;
    let line = reaching(ScriptedNames::new(&[&["127.0.0.1"]]), Reach::OutsideOrHere);
    assert_eq!(get(&line, &server.uri()).await.unwrap_err(), ProviderFault::Malformed);
    assert_eq!(reached.load(std::sync::atomic::Ordering::SeqCst), 0);
}
