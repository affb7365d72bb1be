//! How long, and of what.

use chrono::Duration;

use crate::harness::app::TestApp;

use super::{kept_link, stages, try_to_remap};

#[tokio::test]
async fn each_stage_keeps_what_it_was_answered_until_its_time_is_over() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        app.holds(&[("payloads", 2)]).await;
        let kept = stages(&app).await;
        assert!(kept.iter().all(|stage| stage.is_whole && stage.accounts.len() == 7 && stage.answers.len() > 7), "{}", app.store.name);
        assert!(!app.store.spells("/accounts/").await, "it is sealed");
        assert!(kept[1].answers.iter().any(|answer| answer.asked.contains("/accounts")));

        app.pass(Duration::days(30) - Duration::seconds(1));
        app.app.eraser.tidy().await.unwrap();
        app.holds(&[("payloads", 2)]).await;
        app.pass(Duration::seconds(1));
        assert!(app.app.application.remaps.links().await.unwrap().is_empty(), "what is over is not used, swept or not");
        app.app.eraser.tidy().await.unwrap();
        app.holds(&[("payloads", 0)]).await;
    }
}

#[tokio::test]
async fn nothing_is_kept_when_nothing_is_to_be_and_what_was_goes() {
    for app in TestApp::configured(|config| config.payloads.keep_days = 0).await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        app.holds(&[("payloads", 0)]).await;
        let link = ann.ask("{ viewer { links(first: 1) { nodes { id } } } }").await.data();
        let link = link["viewer"]["links"]["nodes"][0]["id"].as_str().unwrap();
        let literal = |id: uuid::Uuid| app.store.literal(id);
        let owner = app.user_id("ann").await;
        let row = app.store.query("SELECT id FROM links").await;
        let of: uuid::Uuid = row[0].try_get("", "id").unwrap();
        let (instant, bytes) = if app.store.is_postgres() { ("now()", "'\\x00'::bytea") } else { ("'2026-11-23T12:00:00+00:00'", "x'00'") };
        let insert = format!(
            "INSERT INTO payloads (id, user_id, link_id, fetched_at, expires_at, size, sealed) VALUES ({}, {}, {}, {instant}, {instant}, 1, {bytes})",
            literal(of),
            literal(owner.0),
            literal(of)
        );
        app.store.execute(&insert).await.unwrap();
        ann.sync(link, true).await.succeeds();
        app.work().await;
        app.holds(&[("payloads", 0)]).await;
    }
}

#[tokio::test]
async fn what_was_to_be_kept_longer_goes_once_a_shorter_time_is_set() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let link = ann.ask("{ viewer { links(first: 1) { nodes { id } } } }").await.data();
        let link = link["viewer"]["links"]["nodes"][0]["id"].as_str().unwrap();
        // As if three hundred days had been set when it was fetched, a hundred days ago.
        app.store.execute("UPDATE payloads SET fetched_at = '2026-08-15T12:00:00+00:00', expires_at = '2027-06-11T12:00:00+00:00'").await.unwrap();
        ann.sync(link, true).await.succeeds();
        app.work().await;
        app.holds(&[("payloads", 1)]).await;
    }
}

#[tokio::test]
async fn it_goes_with_the_data_of_its_link_and_stays_with_it() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let (owner, link) = kept_link(&app).await;
        let id = dashtam::presentation::graphql::global_id::GlobalId::from(link).to_string();
        ann.unlink(&id, true).await.succeeds();
        app.holds(&[("payloads", 2)]).await;
        assert_eq!(try_to_remap(&app, owner, link, false).await.unwrap().payloads, 2, "the credentials are gone, and not needed");
        ann.unlink(&id, false).await.succeeds();
        app.holds(&[("payloads", 0)]).await;
    }
}

#[tokio::test]
async fn a_stage_that_is_not_written_keeps_nothing() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let link = ann.ask("{ viewer { links(first: 1) { nodes { id } } } }").await.data();
        app.pass(Duration::minutes(10));
        ann.sync(link["viewer"]["links"]["nodes"][0]["id"].as_str().unwrap(), true).await.succeeds();
        app.store.refuse_successes().await;
        app.work().await;
        app.holds(&[("payloads", 2)]).await;
    }
}
