//! Refresh tokens: rotation, the ten seconds of grace, reuse, and races.

use std::collections::HashSet;

use chrono::Duration;
use futures_util::future::join_all;
use serde_json::Value;

use crate::harness::{
    app::TestApp,
    client::{Answer, Client},
};

/// The refresh token an answer brought.
fn successor(answer: &Answer) -> String {
    answer.succeeds()["refreshToken"].as_str().unwrap_or_default().to_owned()
}

/// The access token of an answer, in the hands of a client.
fn bearing<'a>(app: &'a TestApp, answer: &Answer) -> Client<'a> {
    app.nobody().bearing(answer.succeeds()["accessToken"].as_str().unwrap_or_default())
}

async fn is_live(client: &Client<'_>) -> bool {
    client.ask("{ viewer { id } }").await.data()["viewer"]["id"].is_string()
}

#[tokio::test]
async fn each_exchange_brings_another_token_and_the_chain_goes_on() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let mut seen = HashSet::from([ann.refresh_token.clone().unwrap()]);
        let mut token = ann.refresh_token.clone().unwrap();
        for _ in 0..5 {
            app.pass(Duration::minutes(20));
            assert!(!is_live(&ann).await, "the first access token is over");
            let answer = app.nobody().refresh_with(&token).await;
            assert!(is_live(&bearing(&app, &answer)).await);
            assert_eq!(answer.succeeds()["expiresIn"], 900);
            token = successor(&answer);
            assert!(seen.insert(token.clone()), "a token came twice");
        }
        assert_eq!((app.count("sessions").await, app.count("refresh_tokens").await), (1, 6), "{}", app.store.name);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_client_that_lost_the_answer_gets_the_same_successor_within_ten_seconds() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let first = ann.refresh().await;
        for seconds in [0, 4, 6] {
            app.pass(Duration::seconds(seconds));
            let again = ann.refresh().await;
            assert_eq!(successor(&again), successor(&first), "{} after {seconds} more seconds", app.store.name);
            assert!(is_live(&bearing(&app, &again)).await);
        }
        assert_eq!(app.count("refresh_tokens").await, 2);
        app.nobody().refresh_with(&successor(&first)).await.succeeds();
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_token_used_again_after_ten_seconds_ends_the_session_and_all_its_tokens_at_once() {
    for app in TestApp::on_every_store().await {
        let (ann, tablet) = (app.signed_in("ann").await, app.signed_in("ann").await);
        let thief = ann.refresh().await;
        let stolen = bearing(&app, &thief);
        assert!(is_live(&stolen).await && is_live(&ann).await);
        app.pass(Duration::milliseconds(10_001));
        ann.refresh().await.is_refused("REFRESH_TOKEN_REUSED");
        assert_eq!(app.last_outcome("refresh_session").await, ("failed".to_owned(), Some("refresh_token_reused".to_owned())));
        for client in [&ann, &stolen] {
            assert_eq!(client.ask("{ providers { slug } }").await.body["extensions"]["authentication"], "SESSION_ENDED");
        }
        app.nobody().refresh_with(&successor(&thief)).await.is_refused("SESSION_ENDED");
        ann.refresh().await.is_refused("SESSION_ENDED");
        let sessions = tablet.ask("{ viewer { sessions(first: 2) { nodes { revocationReason } } } }").await.data();
        let reasons: Vec<_> = sessions["viewer"]["sessions"]["nodes"].as_array().unwrap().iter().map(|node| node["revocationReason"].clone()).collect();
        assert_eq!(reasons, [Value::from("REFRESH_TOKEN_REUSED"), Value::Null], "the other device stays");
        let mails = app.mails().await;
        assert_eq!((mails.len(), &mails[0]["subject"]), (1, &Value::from("One of your sessions was ended")), "the owner is told, once");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_token_whose_successor_was_used_is_reuse_even_within_the_ten_seconds() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let second = successor(&ann.refresh().await);
        let third = successor(&app.nobody().refresh_with(&second).await);
        ann.refresh().await.is_refused("REFRESH_TOKEN_REUSED");
        app.nobody().refresh_with(&third).await.is_refused("SESSION_ENDED");
        assert!(!is_live(&ann).await);
    }
}

#[tokio::test]
async fn what_is_no_token_of_ours_is_refused_and_ends_nothing() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let token = ann.refresh_token.clone().unwrap();
        let (selector, verifier) = token.split_once('.').unwrap();
        let other: String = verifier.chars().rev().collect();
        let last = if verifier.ends_with('A') { 'B' } else { 'A' };
        let foreign = [
            format!("{selector}.{other}"),
            format!("{selector}.{}{last}", &verifier[..verifier.len() - 1]),
            format!("{}.{verifier}", selector.chars().rev().collect::<String>()),
            format!("{selector}.{}", &verifier[..verifier.len() - 1]),
            format!("{selector}.{verifier}A"),
            format!("{selector}.{verifier}.{verifier}"),
            format!("{}.{verifier}", selector.to_lowercase()),
            format!(" {token}"),
            format!("{token}\n"),
            format!("{selector}."),
            format!(".{verifier}"),
            format!("{selector}.{verifier}\0"),
            format!("%.{verifier}"),
            selector.to_owned(),
            String::new(),
            ".".to_owned(),
            "\u{1f980}".repeat(100),
            "x".repeat(50_000),
        ];
        for token in foreign {
            let answer = app.nobody().refresh_with(&token).await;
            answer.is_refused("REFRESH_TOKEN_INVALID");
            assert_eq!(app.last_outcome("refresh_session").await, ("failed".to_owned(), Some("invalid_refresh_token".to_owned())), "{token:?}");
        }
        assert!(is_live(&ann).await);
        ann.refresh().await.succeeds();
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn seven_idle_days_end_a_refresh_token_and_use_renews_them() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        app.pass(Duration::days(7) - Duration::milliseconds(1));
        let token = successor(&ann.refresh().await);
        app.pass(Duration::days(7));
        app.nobody().refresh_with(&token).await.is_refused("SESSION_ENDED");
        assert_eq!(app.last_outcome("refresh_session").await, ("failed".to_owned(), Some("session_ended".to_owned())));
    }
}

#[tokio::test]
async fn thirty_days_after_sign_in_a_session_ends_however_often_it_was_renewed() {
    for app in TestApp::on_every_store().await {
        let mut ann = app.signed_in("ann").await;
        for _ in 0..5 {
            app.pass(Duration::days(6) - Duration::minutes(1));
            ann.refresh_token = Some(successor(&ann.refresh().await));
        }
        let last = ann.refresh().await;
        assert_eq!(last.succeeds()["expiresIn"], 300, "an access token does not outlive its session");
        let last_minutes = bearing(&app, &last);
        app.pass(Duration::minutes(5) - Duration::milliseconds(1));
        assert!(is_live(&last_minutes).await);
        app.pass(Duration::milliseconds(1));
        assert!(!is_live(&last_minutes).await);
        ann.refresh().await.is_refused("SESSION_ENDED");
        app.nobody().refresh_with(&successor(&last)).await.is_refused("SESSION_ENDED");
    }
}

#[tokio::test]
async fn a_stale_access_token_beside_it_hinders_no_refresh() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        app.pass(Duration::hours(1));
        let answer = ann.refresh().await;
        answer.succeeds();
        assert_eq!(answer.body["extensions"]["authentication"], "TOKEN_EXPIRED");
        let forged = app.nobody().bearing("nonsense").refresh_with(&successor(&answer)).await;
        forged.succeeds();
        assert_eq!(forged.body["extensions"]["authentication"], "TOKEN_INVALID");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_who_refresh_one_token_at_once_get_one_successor_and_leave_one_row() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let answers = join_all((0..1000).map(|_| ann.refresh())).await;
        let successors: HashSet<String> = answers.iter().map(successor).collect();
        assert_eq!(successors.len(), 1, "{}", app.store.name);
        assert_eq!((app.count("sessions").await, app.count("refresh_tokens").await), (1, 2), "{}", app.store.name);
        assert!(is_live(&bearing(&app, &answers[999])).await);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_refreshed_through_two_processes_at_once_has_one_successor() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let other = app.second_process().await;
        let token = ann.refresh_token.clone().unwrap();
        let elsewhere = app.nobody().at(&other);
        let answers = join_all((0..40).map(|number| if number % 2 == 0 { ann.refresh_with(&token) } else { elsewhere.refresh_with(&token) })).await;
        let successors: HashSet<String> = answers.iter().map(successor).collect();
        assert_eq!((successors.len(), app.count("refresh_tokens").await), (1, 2), "{}", app.store.name);
    }
}
