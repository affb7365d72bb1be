//! Beginning: who may, with which provider, and where the browser may go afterwards.

use dashtam::domain::user::Role;

use crate::harness::app::{FRONTEND, TestApp};

#[tokio::test]
async fn what_cannot_be_linked_is_refused_and_makes_no_link() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for provider in ["nobank", "statement", "", "SCRIPTED", "scripted/../sandbox", "scripted\u{0}", &"x".repeat(10_000)] {
            ann.begin_link(provider, None).await.is_refused("PROVIDER_UNKNOWN");
            assert_eq!(app.last_outcome("begin_link").await, ("failed".to_owned(), Some("unknown_provider".to_owned())));
        }
        app.holds(&[("links", 0), ("authorizations", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_return_url_off_the_allow_list_is_refused() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let long = format!("https://app.example/{}", "a".repeat(2048));
        for url in [
            "https://app.example.evil/linked",
            "https://app.exampleevil/linked",
            "https://evil.example/app.example",
            "https://evil.example/?https://app.example",
            "https://evil.example#https://app.example",
            "https://evil.example\\@app.example/",
            "https://app.example@evil.example/",
            "https://ann@app.example/linked",
            "https://ann:secret@app.example/linked",
            "https://app.example/linked#part",
            "https://app.example/linked#",
            "http://app.example/linked",
            "https://app.example:8443/linked",
            "https://sub.app.example/",
            "//app.example/linked",
            "/linked",
            "",
            "app.example",
            "javascript:alert(1)//https://app.example",
            "data:text/html,https://app.example",
            "file:///app.example",
            "https://app.example\u{0}.evil/",
            "https://",
            long.as_str(),
        ] {
            ann.begin_link("scripted", Some(url)).await.is_refused("RETURN_URL_NOT_ALLOWED");
            assert_eq!(app.last_outcome("begin_link").await, ("failed".to_owned(), Some("return_url_not_allowed".to_owned())), "{url}");
        }
        app.holds(&[("links", 0), ("authorizations", 0)]).await;
    }
}

#[tokio::test]
async fn a_return_url_that_spells_the_allowed_origin_otherwise_leads_to_that_origin() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for url in [
            "HTTPS://APP.EXAMPLE/linked",
            "https://app.example:443/linked",
            "https:\\\\app.example\\linked",
            "https://app.exam\nple/linked",
            "https://app.example/a/../linked",
        ] {
            let mut walk = ann.walk(Some(url)).await;
            walk.leave().await;
            let (address, query) = walk.come_back(&[("error", "access_denied")]).await.redirects();
            assert_eq!((address.as_str(), query["status"].as_str()), (FRONTEND, "failed"), "{url}");
        }
    }
}

#[tokio::test]
async fn a_reader_begins_nothing_and_nobody_does() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        app.promote("ann", Role::Readonly).await;
        let ann = app.signed_in("ann").await;
        ann.begin_link("scripted", None).await.is_fault("FORBIDDEN");
        assert_eq!(app.last_outcome("begin_link").await, ("failed".to_owned(), Some("forbidden".to_owned())));
        ann.complete("state", "code").await.is_fault("FORBIDDEN");
        assert_eq!(app.last_outcome("complete_link").await, ("failed".to_owned(), Some("forbidden".to_owned())));
        app.nobody().begin_link("scripted", None).await.is_fault("UNAUTHENTICATED");
        assert_eq!(app.last_outcome("begin_link").await, ("failed".to_owned(), Some("unauthenticated".to_owned())));
        app.nobody().complete("state", "code").await.is_fault("UNAUTHENTICATED");
        app.holds(&[("links", 0), ("authorizations", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn no_ticket_state_or_cookie_is_stored_as_it_is() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk(Some(FRONTEND)).await;
        walk.leave().await;
        let cookie = walk.cookie.clone().unwrap();
        for secret in [walk.ticket.as_str(), walk.state.as_str(), cookie.split_once('=').unwrap().1] {
            assert_eq!(secret.len(), 43, "256 bits, base64url");
            assert!(!app.store.spells(secret).await, "{}", app.store.name);
        }
        assert!(app.store.spells("https://app.example/linked").await, "what is stored is found");
    }
}
