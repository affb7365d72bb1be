//! Guessing wholesale: many addresses, many aliases, and a stopwatch.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::Answer,
};

/// How long an answer takes at least here that must not tell anything.
const UNHURRIED: Duration = Duration::from_millis(200);

/// One document that signs in as each of `guesses`.
async fn stuff(app: &TestApp, guesses: &[(String, &str)]) -> Answer {
    let one = |(at, (email, password)): (usize, &(String, &str))| {
        format!(r#"a{at}: createSession(input: {{email: "{email}", password: "{password}"}}) {{ accessToken userErrors {{ code message }} }}"#)
    };
    let fields: Vec<_> = guesses.iter().enumerate().map(one).collect();
    app.nobody().ask(&format!("mutation {{ {} }}", fields.join(" "))).await
}

#[tokio::test]
async fn leaked_passwords_tried_on_many_addresses_are_each_counted_and_told_apart_by_nothing() {
    for app in TestApp::on_every_store().await {
        for name in ["ann", "bob"] {
            app.user(name).await;
        }
        let guesses: Vec<_> =
            (0..40).map(|at| (if at % 4 == 0 { "ann@example.com".to_owned() } else { format!("user{at}@example.com") }, "leaked password")).collect();
        let data = stuff(&app, &guesses).await.data();
        let answers: Vec<_> = data.as_object().unwrap().values().collect();
        assert_eq!(answers.len(), 40);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "known, unknown and paused answer alike, byte for byte");
        let outcomes = app.outcomes("create_session").await;
        assert_eq!(outcomes.len(), 40, "each alias is an attempt of its own");
        let paused = outcomes.iter().filter(|(_, reason)| reason.as_deref() == Some("sign_in_paused")).count();
        assert_eq!(paused, 5, "five of ten guesses at one account count, the rest are not compared");
        let right = stuff(&app, &[("ann@example.com".to_owned(), PASSWORD), ("bob@example.com".to_owned(), PASSWORD)]).await.data();
        assert!(right["a0"]["accessToken"].is_null() && right["a1"]["accessToken"].is_string(), "a paused account is paused in a batch too, and no other");
        app.holds(&[("sessions", 1)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_stopwatch_tells_nothing_of_who_there_is() {
    for app in TestApp::unhurried(UNHURRIED).await {
        for name in ["ann", "bob", "cid"] {
            app.user(name).await;
        }
        app.nobody().register("new@example.com", PASSWORD).await.succeeds();
        for _ in 0..5 {
            app.nobody().sign_in("cid@example.com", "wrong horse battery").await.is_refused("INVALID_CREDENTIALS");
        }
        let huge = "x".repeat(10_000);
        let kinds = [
            ("nobody@example.com", "wrong horse battery"),
            ("no address", "wrong horse battery"),
            ("cid@example.com", PASSWORD),
            ("new@example.com", "wrong horse battery"),
            ("bob@example.com", huge.as_str()),
            ("bob@example.com", ""),
        ];
        let mut medians = Vec::new();
        for (email, password) in kinds {
            let mut times = join_all((0..4).map(async |_| {
                let began = Instant::now();
                app.nobody().sign_in(email, password).await.is_refused("INVALID_CREDENTIALS");
                began.elapsed()
            }))
            .await;
            times.sort_unstable();
            assert!(times[0] >= UNHURRIED, "{email}: {:?}, so what was done for it shows", times[0]);
            medians.push(times[2]);
        }
        let (fastest, slowest) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
        assert!(*slowest < *fastest * 3, "{}: {medians:?}", app.store.name);
        for email in ["nobody@example.com", "ann@example.com", "new@example.com"] {
            let began = Instant::now();
            app.nobody().mutate("requestPasswordReset", "accepted", serde_json::json!({ "email": email })).await.succeeds();
            assert!(began.elapsed() >= UNHURRIED, "{email}");
            let began = Instant::now();
            app.nobody().resend_verification(email).await.succeeds();
            assert!(began.elapsed() >= UNHURRIED, "{email}");
        }
    }
}
