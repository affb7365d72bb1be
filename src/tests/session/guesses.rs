//! Guessing passwords: when signing in is paused, for whom, and what nobody can tell from outside.

use chrono::Duration;
use futures_util::future::join_all;

use crate::harness::app::{PASSWORD, TestApp};

/// A sign-in that fails, whatever the reason.
async fn fails(app: &TestApp, email: &str, password: &str) -> String {
    let answer = app.nobody().sign_in(email, password).await;
    answer.is_refused("INVALID_CREDENTIALS");
    answer.comparable()
}

/// The user signed in from elsewhere only, so this machine is a stranger's.
async fn forget_network(app: &TestApp) {
    app.store.execute("UPDATE sessions SET network = '192.0.2.0/24'").await.unwrap();
}

#[tokio::test]
async fn five_failures_pause_signing_in_for_a_quarter_of_an_hour_also_with_the_right_password() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        let mut answers = Vec::new();
        for _ in 0..5 {
            answers.push(fails(&app, "ann@example.com", "wrong horse battery").await);
        }
        assert_eq!(app.last_outcome("create_session").await.1.as_deref(), Some("invalid_credentials"));
        answers.push(fails(&app, "ann@example.com", PASSWORD).await);
        assert_eq!(app.last_outcome("create_session").await.1.as_deref(), Some("sign_in_paused"));
        answers.push(fails(&app, "nobody@example.com", PASSWORD).await);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "unknown, wrong and paused answer alike: {answers:?}");
        app.pass(Duration::minutes(15) - Duration::seconds(1));
        fails(&app, "ann@example.com", PASSWORD).await;
        app.pass(Duration::seconds(1));
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
        app.holds(&[("sessions", 1), ("sign_in_counters", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn failures_count_within_a_quarter_of_an_hour_and_until_a_sign_in() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        for _ in 0..4 {
            fails(&app, "ann@example.com", "wrong horse battery").await;
        }
        app.pass(Duration::minutes(15));
        fails(&app, "ann@example.com", "wrong horse battery").await;
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
        forget_network(&app).await;
        for _ in 0..4 {
            fails(&app, "ann@example.com", "wrong horse battery").await;
        }
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
        assert!(app.mails().await.is_empty(), "nothing was paused");
    }
}

#[tokio::test]
async fn of_a_hundred_guesses_at_once_five_count_and_a_right_one_behind_them_does_not() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        let nobody = || async { app.nobody().sign_in("ann@example.com", "wrong horse battery").await };
        let answers = join_all((0..40).map(|_| nobody())).await;
        for answer in answers {
            answer.is_refused("INVALID_CREDENTIALS");
        }
        let outcomes = app.outcomes("create_session").await;
        let counted = outcomes.iter().filter(|(_, reason)| reason.as_deref() == Some("invalid_credentials")).count();
        assert_eq!((counted, outcomes.len()), (5, 40), "{}", app.store.name);
        fails(&app, "ann@example.com", PASSWORD).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_stranger_who_guesses_does_not_lock_the_owner_out() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        // Failures of a stranger elsewhere, as many as it takes.
        let paused = app.store.clock.as_ref();
        let until = dashtam::domain::time::Clock::now(paused).plus(Duration::days(1));
        let user = app.user_id("ann").await;
        let mut work = app.store.begin().await;
        let counter = dashtam::domain::sign_in::SignInCounter {
            paused_until: Some(until),
            failures: 5,
            ..dashtam::domain::sign_in::SignInCounter::new(user, None, until)
        };
        work.sign_ins().save(&counter).await.unwrap();
        work.checkpoint().await.unwrap();
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
        ann.refresh().await.succeeds();
        forget_network(&app).await;
        fails(&app, "ann@example.com", PASSWORD).await;
        ann.ask("{ viewer { id } }").await.data();
        app.signed_in("bob").await;
    }
}

#[tokio::test]
async fn the_owner_is_told_of_a_pause_once_a_day() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        for _ in 0..3 {
            for _ in 0..5 {
                fails(&app, "ann@example.com", "wrong horse battery").await;
            }
            app.pass(Duration::minutes(15));
        }
        let mails = app.mails().await;
        assert_eq!(mails.len(), 1, "{}", app.store.name);
        assert_eq!((&mails[0]["to"], &mails[0]["subject"]), (&"ann@example.com".into(), &"Somebody tries passwords on your account".into()));
        app.pass(Duration::days(1));
        for _ in 0..5 {
            fails(&app, "ann@example.com", "wrong horse battery").await;
        }
        assert_eq!(app.mails().await.len(), 2);
    }
}

#[tokio::test]
async fn a_record_of_another_cost_is_renewed_at_the_next_sign_in() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        let record = app.stored_user("ann").await.password;
        assert!(record.0.contains("$04$"), "tests hash at the lowest cost");
        let other = record.0.rsplit_once(':').unwrap().0.to_owned();
        let peppered = dashtam::infrastructure::security::passwords::BcryptHasher::new(&crate::harness::app::keys(), 5, 1).unwrap();
        let typed = dashtam::domain::user::Password::typed(PASSWORD).unwrap();
        let dearer = dashtam::application::ports::PasswordHasher::hash(&peppered, &typed).await.unwrap();
        assert!(dearer.0.starts_with(&other) && dearer.0.contains("$05$"));
        app.store.execute(&format!("UPDATE users SET password = '{}'", dearer.0)).await.unwrap();
        app.nobody().sign_in("ann@example.com", "wrong horse battery").await.is_refused("INVALID_CREDENTIALS");
        assert_eq!(app.stored_user("ann").await.password, dearer, "a wrong password renews nothing");
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
        assert!(app.stored_user("ann").await.password.0.contains("$04$"));
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
    }
}
