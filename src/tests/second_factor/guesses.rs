//! Guessing codes: how many count, over one challenge and over many, one after the other and all at once.

use chrono::Duration;
use futures_util::future::join_all;

use dashtam::application::{
    access::Requester,
    user::{ChangeAccess, Whom},
};

use crate::harness::app::TestApp;

use super::{challenge, enrolled, failed, prove, subjects, verify};

#[tokio::test]
async fn of_forty_guesses_at_once_five_count_and_a_right_one_behind_them_does_not() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        let other = app.second_process().await;
        let (token, wrong) = (challenge(&app, "ann").await, ann.device.wrong(&app));
        let clients: Vec<_> = (0..40).map(|at| if at % 2 == 0 { app.nobody() } else { app.nobody().at(&other) }).collect();
        let answers = join_all(clients.iter().map(|client| verify(client, &token, &wrong))).await;
        assert!(answers.iter().all(|answer| answer.payload()["session"].is_null()));
        assert_eq!(failed(&app, "verify_second_factor", "wrong_code").await, 5, "{}", app.store.name);
        assert_eq!(failed(&app, "verify_second_factor", "challenge_exhausted").await, 35);
        verify(&app.nobody(), &token, &ann.device.next(&app)).await.is_refused("CHALLENGE_INVALID");
        verify(&app.nobody(), &token, &ann.recovery_codes[0]).await.is_refused("CHALLENGE_INVALID");
        app.holds(&[("second_factor_failures", 5), ("sessions", 1)]).await;
        let token = challenge(&app, "ann").await;
        verify(&app.nobody(), &token, &ann.device.shows(&app, 0)).await.succeeds();
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn ten_wrong_codes_in_an_hour_are_all_however_many_challenges_there_are() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        let other = app.second_process().await;
        let tokens = join_all((0..10).map(|_| challenge(&app, "ann"))).await;
        let wrong = ann.device.wrong(&app);
        let clients: Vec<_> = (0..40).map(|at| if at % 2 == 0 { app.nobody() } else { app.nobody().at(&other) }).collect();
        join_all(clients.iter().zip(tokens.iter().cycle()).map(|(client, token)| verify(client, token, &wrong))).await;
        assert_eq!(failed(&app, "verify_second_factor", "wrong_code").await, 10, "{}", app.store.name);
        assert_eq!(failed(&app, "verify_second_factor", "too_many_codes").await, 30);
        let right = ann.device.next(&app);
        for code in [&right, &ann.recovery_codes[0]] {
            let token = challenge(&app, "ann").await;
            verify(&app.nobody(), &token, code).await.is_refused("SECOND_FACTOR_PAUSED");
        }
        prove(&ann.client, Some(&right)).await.is_refused("SECOND_FACTOR_PAUSED");
        app.holds(&[("second_factor_failures", 10), ("sessions", 1)]).await;
        assert_eq!(subjects(&app).await[0], "Somebody tries codes on your account");
        ann.client.ask("{ viewer { id } }").await.data()["viewer"]["id"].as_str().unwrap();

        app.pass(Duration::minutes(59));
        let token = challenge(&app, "ann").await;
        verify(&app.nobody(), &token, &ann.device.shows(&app, 0)).await.is_refused("SECOND_FACTOR_PAUSED");
        app.pass(Duration::minutes(1));
        verify(&app.nobody(), &token, &ann.device.shows(&app, 0)).await.succeeds();
        let token = challenge(&app, "ann").await;
        verify(&app.nobody(), &token, &ann.recovery_codes[0]).await.succeeds();
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_right_code_between_wrong_ones_forgives_none_of_them_and_the_owner_is_told_once() {
    for app in TestApp::on_every_store().await {
        let ann = enrolled(&app, "ann").await;
        let wrong = ann.device.wrong(&app);
        for round in 0..3 {
            let token = challenge(&app, "ann").await;
            for _ in 0..3 {
                verify(&app.nobody(), &token, &wrong).await.is_refused("SECOND_FACTOR_CODE_INVALID");
            }
            verify(&app.nobody(), &token, &ann.recovery_codes[round]).await.succeeds();
        }
        prove(&ann.client, Some(&wrong)).await.is_refused("SECOND_FACTOR_CODE_INVALID");
        assert_eq!(app.count("second_factor_failures").await, 10, "proofs and sign-ins count together");
        let token = challenge(&app, "ann").await;
        verify(&app.nobody(), &token, &ann.recovery_codes[3]).await.is_refused("SECOND_FACTOR_PAUSED");
        app.pass(Duration::hours(2));
        for _ in 0..2 {
            let token = challenge(&app, "ann").await;
            for _ in 0..5 {
                verify(&app.nobody(), &token, &wrong).await.is_refused("SECOND_FACTOR_CODE_INVALID");
            }
        }
        assert_eq!(app.count("second_factor_failures").await, 10, "those of another hour go");
        let told = subjects(&app).await.iter().filter(|subject| *subject == "Somebody tries codes on your account").count();
        assert_eq!(told, 1);
        let unlock = ChangeAccess { requester: Requester::command_line(None), user: Whom::Address("ann@example.com".to_owned()) };
        app.app.application.users.unlock(unlock).await.unwrap();
        let token = challenge(&app, "ann").await;
        verify(&app.nobody(), &token, &ann.recovery_codes[3]).await.succeeds();
        let bob = enrolled(&app, "bob").await;
        let token = challenge(&app, "bob").await;
        verify(&app.nobody(), &token, &bob.device.next(&app)).await.succeeds();
        app.every_attempt_ended_once().await;
    }
}
