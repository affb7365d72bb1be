//! How streams end: with their token, their session, their user, their server, or a reader who does not read.

use std::time::{Duration, Instant};

use chrono::Duration as Span;
use dashtam::{
    application::{
        access::Requester,
        user::{AssignRole, Whom},
    },
    domain::user::Role,
};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{app::TestApp, client::Client, redis::redis, streams::Socket};

use super::CHANGES;

async fn following(client: &Client<'_>) -> Socket {
    let mut socket = client.socket().await;
    socket.subscribe("1", CHANGES, json!({})).await;
    socket.answer("1").await;
    socket
}

#[tokio::test]
async fn a_session_takes_its_streams_along_within_a_second() {
    for app in TestApp::on_every_store().await {
        let _live = app.live();
        let (ann, phone) = (app.signed_in("ann").await, app.signed_in("ann").await);
        let (mut socket, mut events) = (following(&phone).await, phone.events(CHANGES, json!({})).await);
        events.answer().await;
        let began = Instant::now();
        ann.revoke(phone.session_id.as_ref().unwrap()).await.succeeds();
        assert_eq!(socket.closed().await, (4401, "Session ended".to_owned()));
        let last = events.answer().await["errors"][0]["extensions"].clone();
        assert_eq!((&last["code"], last["traceId"].as_str().map(str::len)), (&json!("UNAUTHENTICATED"), Some(32)), "{last}");
        events.completes().await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        let mut others = following(&ann).await;
        others.is_silent().await;
    }
}

#[tokio::test]
async fn it_does_so_in_other_processes_too() {
    for app in TestApp::on_every_store().await {
        let (ann, phone) = (app.signed_in("ann").await, app.signed_in("ann").await);
        let mut hearing = app.hearing(None).await;
        hearing.hears().await;
        let elsewhere = app.nobody().bearing(phone.access_token.as_deref().unwrap()).at(&hearing.url);
        let mut socket = following(&elsewhere).await;
        let began = Instant::now();
        ann.revoke(phone.session_id.as_ref().unwrap()).await.succeeds();
        if !app.store.is_postgres() {
            // Nothing tells that process, and the clock of a test stands still.
            app.pass(Span::seconds(1));
        }
        assert_eq!(socket.closed().await.0, 4401, "{}", app.store.name);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn it_does_so_over_redis_and_without_it_once_it_is_gone() {
    for app in TestApp::on_every_store().await {
        let Some(redis) = redis().await else { return };
        let (ann, phone, laptop) = (app.signed_in("ann").await, app.signed_in("ann").await, app.signed_in("ann").await);
        let (writing, mut hearing) = (app.hearing(Some(&redis)).await, app.hearing(Some(&redis)).await);
        hearing.hears().await;
        let writer = app.nobody().bearing(ann.access_token.as_deref().unwrap()).at(&writing.url);
        let elsewhere = |client: &Client<'_>| app.nobody().bearing(client.access_token.as_deref().unwrap()).at(&hearing.url);
        let (of_phone, of_laptop) = (elsewhere(&phone), elsewhere(&laptop));
        let (mut socket, mut other) = (following(&of_phone).await, following(&of_laptop).await);
        let began = Instant::now();
        writer.revoke(phone.session_id.as_ref().unwrap()).await.succeeds();
        assert_eq!(socket.closed().await.0, 4401, "{}", app.store.name);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        other.is_silent().await;
        redis.cut().await;
        writer.revoke(laptop.session_id.as_ref().unwrap()).await.succeeds();
        // Nothing tells that process, and the clock of a test stands still.
        app.pass(Span::seconds(1));
        assert_eq!(other.closed().await.0, 4401, "{}", app.store.name);
    }
}

#[tokio::test]
async fn a_socket_of_nobody_in_particular_is_closed_after_a_minute_of_nothing() {
    let app = TestApp::on_every_store().await.swap_remove(0);
    let began = Instant::now();
    let nobody = app.nobody();
    // Both have to be read, or pings are not answered.
    let waits = async |asks: bool| {
        let mut socket = nobody.socket().await;
        if asks {
            let half = tokio::time::Instant::now() + Duration::from_secs(30);
            while socket.frame(half.saturating_duration_since(tokio::time::Instant::now())).await.is_some() {}
            socket.subscribe("1", "{ providers { slug } }", json!({})).await;
            socket.answer("1").await;
        }
        while let Some(frame) = socket.frame(Duration::from_secs(20)).await {
            if let Message::Close(Some(close)) = frame {
                return (u16::from(close.code), began.elapsed().as_secs());
            }
        }
        panic!("neither closed nor pinged");
    };
    let ((code, after), (later_code, later)) = tokio::join!(waits(false), waits(true));
    assert_eq!((code, later_code), (4401, 4401));
    assert!((60..70).contains(&after) && (90..100).contains(&later), "an operation begins the minute anew: {after}, {later}");
}

#[tokio::test]
async fn a_token_takes_its_streams_along_when_it_expires() {
    for app in TestApp::on_every_store().await {
        let _live = app.live();
        let ann = app.signed_in("ann").await;
        let (mut socket, mut idle) = (following(&ann).await, ann.socket().await);
        app.pass(Span::minutes(15));
        let began = Instant::now();
        assert_eq!(socket.closed().await, (4401, "Token expired".to_owned()));
        assert_eq!(idle.closed().await.0, 4401);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_user_who_is_kept_out_keeps_no_stream_and_one_of_another_role_keeps_theirs() {
    for app in TestApp::on_every_store().await {
        let _live = app.live();
        let ann = app.signed_in("ann").await;
        let mut socket = following(&ann).await;
        let role = |role| AssignRole { requester: Requester::command_line(None), user: Whom::Address("ann@example.com".to_owned()), role };
        app.app.application.users.assign_role(role(Role::Readonly)).await.unwrap();
        socket.is_silent().await;
        app.app.application.users.assign_role(role(Role::User)).await.unwrap();
        let (root, id) = (app.signed_in("root").await, app.user_id("ann").await);
        app.promote("root", Role::Admin).await;
        app.pass(Span::seconds(1));
        let global = dashtam::presentation::graphql::global_id::GlobalId::from(id).to_string();
        root.mutate("deactivateUser", "user { isActive }", json!({ "userId": global })).await.succeeds();
        assert_eq!(socket.closed().await.0, 4401);
    }
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let (mut socket, mut events) = (following(&ann).await, ann.events(CHANGES, json!({})).await);
        events.answer().await;
        let streams = app.app.streams.clone();
        let ending = tokio::spawn(async move { streams.end().await });
        assert_eq!(socket.closed().await, (1001, "The server is going away".to_owned()));
        events.completes().await;
        drop(socket);
        tokio::time::timeout(Duration::from_secs(3), ending).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_and_does_not_read_is_hung_up_on() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let mut socket = ann.socket().await;
        // Each answer is some hundred kB; what the sockets' buffers hold is soon full.
        let document = "{ __schema { types { name description fields { name description args { name description type { name ofType { name ofType { name } } } } type { name ofType { name } } } } } }";
        let pouring = async {
            for number in 0.. {
                socket.subscribe(&number.to_string(), document, json!({})).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // It may block, or break off when the server has hung up.
        let poured = tokio::time::timeout(Duration::from_secs(4), std::panic::AssertUnwindSafe(pouring)).await;
        assert!(poured.is_err());
        assert_eq!(app.app.streams.sockets.len(), 1);
        tokio::time::sleep(Duration::from_secs(12)).await;
        assert_eq!(app.app.streams.sockets.len(), 0, "{}", app.store.name);
    }
}
