//! Changing an address, and taking the old one back.

use chrono::Duration;
use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::{Answer, Client},
    log::Log,
};

use super::{mails_to, prove, submit, token, viewer};

async fn request(client: &Client<'_>, email: &str) -> Answer {
    client.mutate("requestEmailChange", "accepted", json!({ "email": email })).await
}

async fn confirm(client: &Client<'_>, token: &str) -> Answer {
    client.mutate("confirmEmailChange", "changed", json!({ "token": token })).await
}

async fn revert(client: &Client<'_>, token: &str) -> Answer {
    client.mutate("revertEmailChange", "reverted", json!({ "token": token })).await
}

/// Moves a signed-in user to another address; answers the token that takes the old one back.
async fn moved(app: &TestApp, client: &Client<'_>, from: &str, to: &str) -> String {
    app.pass(Duration::seconds(1));
    prove(client).await;
    request(client, to).await.succeeds();
    confirm(&app.nobody(), &token(app, "confirm-email", to).await).await.succeeds();
    token(app, "revert-email", from).await
}

/// The address of the one user whose it is.
async fn address_of(app: &TestApp, id: &str) -> String {
    let id: dashtam::domain::id::UserId = dashtam::presentation::graphql::global_id::id_or_nothing(id);
    let user = dashtam::domain::user::UserReader::find(app.store.database.readers().as_ref(), id).await.unwrap().unwrap();
    user.email.written().to_owned()
}

#[tokio::test]
async fn the_new_address_is_confirmed_by_its_own_mailbox_and_sessions_go_on() {
    let log = Log::capture();
    for app in TestApp::on_every_store().await {
        let (ann, phone) = (app.signed_in("ann").await, app.signed_in("ann").await);
        request(&ann, "anna@example.org").await.is_refused("REAUTHENTICATION_REQUIRED");
        assert_eq!(app.count("outbox").await, 0);
        prove(&ann).await;
        assert_eq!(request(&ann, "Anna@Example.org").await.succeeds()["accepted"], true);
        assert_eq!(viewer(&ann).await["email"], "ann@example.com", "asking changes nothing");
        let mails = mails_to(&app, "confirm-email").await;
        assert_eq!(mails.len(), 1);
        let (to, confirmation) = mails[0].clone();
        assert_eq!(to, "Anna@Example.org");
        revert(&app.nobody(), &confirmation).await.is_refused("TOKEN_INVALID");
        app.nobody().verify_email(&confirmation).await.is_refused("TOKEN_INVALID");
        confirm(&app.nobody(), &confirmation).await.succeeds();
        confirm(&app.nobody(), &confirmation).await.is_refused("TOKEN_INVALID");
        for client in [&ann, &phone] {
            assert_eq!(viewer(client).await["email"], "Anna@Example.org");
        }
        app.nobody().sign_in("ann@example.com", PASSWORD).await.is_refused("INVALID_CREDENTIALS");
        app.nobody().sign_in("anna@example.ORG", PASSWORD).await.succeeds();
        let mails = mails_to(&app, "revert-email").await;
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].0, "ann@example.com", "the old address is told, although it is not the user's any more");
        let log = log.text();
        for secret in [&confirmation, &mails[0].1] {
            assert!(!app.store.spells(secret).await && !log.contains(secret.as_str()), "a token is stored or logged on {}", app.store.name);
        }
        let confirmed = app.outcomes("confirm_email_change").await;
        assert_eq!(confirmed, [("succeeded".to_owned(), None), ("failed".to_owned(), Some("invalid_token".to_owned()))]);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn asking_tells_nothing_of_who_has_the_address() {
    for app in TestApp::on_every_store().await {
        app.user("bob").await;
        app.nobody().register("waiting@example.com", PASSWORD).await.succeeds();
        let ann = app.signed_in("ann").await;
        prove(&ann).await;
        let free = request(&ann, "free@example.com").await;
        for email in ["bob@example.com", "BOB@example.com", "waiting@example.com", "bob@example.com", "bob@example.com", "free@example.com"] {
            assert_eq!(request(&ann, email).await.comparable(), free.comparable(), "{email}");
        }
        assert!(mails_to(&app, "confirm-email").await.iter().all(|(to, _)| to != "bob@example.com"));
        let told: Vec<_> =
            app.mails().await.iter().filter(|mail| mail["subject"] == "You have a Dashtam account already").map(|mail| mail["to"].clone()).collect();
        assert_eq!(told, ["bob@example.com"], "three mails an hour, of which the last was still of use when it was delivered");
        let own = ann.ask("{ viewer { auditEvents(first: 100) { nodes { act outcome reason } } } }").await.data();
        let asked: Vec<_> = own["viewer"]["auditEvents"]["nodes"].as_array().unwrap().iter().filter(|event| event["act"] == "REQUEST_EMAIL_CHANGE").collect();
        let outcomes: Vec<_> = asked.iter().filter(|event| event["outcome"] != "ATTEMPTED").map(|event| event["reason"].clone()).collect();
        assert!(outcomes.iter().all(|reason| reason.is_null() || reason == "too_many_mails"), "the trail tells nothing either: {outcomes:?}");
        request(&ann, "ann@example.com").await.is_refused("EMAIL_UNCHANGED");
        request(&ann, "not an address").await.is_refused("EMAIL_INVALID");
        request(&ann, "a\r\nBcc: x@example.com").await.is_refused("EMAIL_INVALID");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn tokens_work_once_for_their_time_and_a_newer_wish_replaces_an_older() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        prove(&ann).await;
        request(&ann, "one@example.org").await.succeeds();
        let first = token(&app, "confirm-email", "one@example.org").await;
        app.pass(Duration::seconds(1));
        request(&ann, "two@example.org").await.succeeds();
        let second = token(&app, "confirm-email", "two@example.org").await;
        for wrong in [first.as_str(), "", "x", &second[..42], &"A".repeat(50_000)] {
            confirm(&app.nobody(), wrong).await.is_refused("TOKEN_INVALID");
        }
        app.pass(Duration::hours(24));
        confirm(&app.nobody(), &second).await.is_refused("TOKEN_INVALID");
        let ann = app.signed_in("ann").await;
        let back = moved(&app, &ann, "ann@example.com", "three@example.org").await;
        app.pass(Duration::days(7) - Duration::seconds(1));
        let answers = join_all((0..8).map(|_| async { revert(&app.nobody(), &back).await.payload()["reverted"] == true })).await;
        assert_eq!(answers.iter().filter(|done| **done).count(), 1, "{}", app.store.name);
        let ann = app.signed_in("ann").await;
        let late = moved(&app, &ann, "ann@example.com", "four@example.org").await;
        app.pass(Duration::days(7));
        revert(&app.nobody(), &late).await.is_refused("TOKEN_INVALID");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn of_two_who_confirm_one_address_at_once_one_has_it() {
    for app in TestApp::on_every_store().await {
        for round in 0..5 {
            let shared = format!("shared{round}@example.org");
            let (ann, bob) = (app.signed_in(&format!("ann{round}")).await, app.signed_in(&format!("bob{round}")).await);
            let mut tokens = Vec::new();
            for client in [&ann, &bob] {
                prove(client).await;
                request(client, &shared).await.succeeds();
                app.pass(Duration::seconds(1));
                tokens.push(token(&app, "confirm-email", &shared).await);
            }
            assert_ne!(tokens[0], tokens[1]);
            let (one, other) = (app.nobody(), app.nobody());
            let answers = tokio::join!(confirm(&one, &tokens[0]), confirm(&other, &tokens[1]));
            let won = [answers.0.payload(), answers.1.payload()].iter().filter(|payload| payload["changed"] == true).count();
            assert_eq!(won, 1, "{}: {} {}", app.store.name, answers.0.text, answers.1.text);
            let lost = if answers.0.payload()["changed"] == true { answers.1 } else { answers.0 };
            lost.is_refused("EMAIL_TAKEN");
            let holders = app.store.query(&format!("SELECT COUNT(*) AS n FROM users WHERE email_key = '{shared}'")).await;
            assert_eq!(holders[0].try_get::<i64>("", "n").unwrap(), 1);
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn the_old_address_comes_back_and_with_it_goes_whatever_went_to_the_new_one() {
    for app in TestApp::on_every_store().await {
        let (ann, phone) = (app.signed_in("ann").await, app.signed_in("ann").await);
        let id = viewer(&ann).await["id"].as_str().unwrap().to_owned();
        app.nobody().mutate("requestPasswordReset", "accepted", json!({ "email": "ann@example.com" })).await.succeeds();
        let before = token(&app, "reset-password", "ann@example.com").await;
        let back = moved(&app, &ann, "ann@example.com", "thief@example.org").await;
        let reset =
            async |token: String| app.nobody().mutate("resetPassword", "reset", json!({ "token": token, "newPassword": "a river runs through town" })).await;
        reset(before).await.is_refused("TOKEN_INVALID");
        app.nobody().mutate("requestPasswordReset", "accepted", json!({ "email": "thief@example.org" })).await.succeeds();
        let theirs = token(&app, "reset-password", "thief@example.org").await;
        prove(&ann).await;
        request(&ann, "elsewhere@example.org").await.succeeds();
        let pending = token(&app, "confirm-email", "elsewhere@example.org").await;
        prove(&ann).await;
        ann.ask("mutation { eraseMyAccount { erasure { scheduledAt } userErrors { code } } }").await.succeeds();
        assert!(viewer(&phone).await.is_null());

        revert(&app.nobody(), &back).await.succeeds();
        assert_eq!(address_of(&app, &id).await, "ann@example.com");
        reset(theirs).await.is_refused("TOKEN_INVALID");
        confirm(&app.nobody(), &pending).await.is_refused("TOKEN_INVALID");
        assert!(viewer(&ann).await.is_null() && viewer(&phone).await.is_null());
        ann.refresh().await.is_refused("SESSION_ENDED");
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
        app.pass(Duration::days(8));
        while app.app.eraser.erase_next().await.unwrap() {}
        assert_eq!(address_of(&app, &id).await, "ann@example.com", "an erasure asked for by whoever had the account is off");
        let told = app.mails().await;
        assert!(told.iter().any(|mail| mail["subject"] == "Your e-mail address is back" && mail["to"] == "ann@example.com"));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_later_change_leaves_the_first_way_back_and_the_first_undoes_the_later() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let id = viewer(&ann).await["id"].as_str().unwrap().to_owned();
        let first = moved(&app, &ann, "ann@example.com", "two@example.org").await;
        let second = moved(&app, &ann, "two@example.org", "three@example.org").await;
        revert(&app.nobody(), &second).await.succeeds();
        assert_eq!(address_of(&app, &id).await, "two@example.org");
        let mut ann = app.nobody();
        ann.sign_in("two@example.org", PASSWORD).await.succeeds();
        let third = moved(&app, &ann, "two@example.org", "four@example.org").await;
        revert(&app.nobody(), &first).await.succeeds();
        assert_eq!(address_of(&app, &id).await, "ann@example.com");
        revert(&app.nobody(), &third).await.is_refused("TOKEN_INVALID");
        assert_eq!(address_of(&app, &id).await, "ann@example.com");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn who_never_confirmed_an_address_gives_way_and_who_did_does_not() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        app.nobody().register("squatted@example.org", PASSWORD).await.succeeds();
        let back = moved(&app, &ann, "ann@example.com", "squatted@example.org").await;
        assert_eq!(app.count("users").await, 1);
        // Somebody registers the old address meanwhile: unconfirmed they are in nobody's way, confirmed they are.
        app.nobody().register("ann@example.com", PASSWORD).await.succeeds();
        let verification = token(&app, "verify-email", "ann@example.com").await;
        app.nobody().verify_email(&verification).await.succeeds();
        revert(&app.nobody(), &back).await.is_refused("EMAIL_TAKEN");
        submit(&app.nobody(), "/revert-email", &back).await.is_page(409);
        assert_eq!(viewer(&ann).await["email"], "squatted@example.org", "a refusal changes nothing, and ends no session");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn the_pages_show_on_get_and_act_on_post() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        prove(&ann).await;
        request(&ann, "new@example.org").await.succeeds();
        let confirmation = token(&app, "confirm-email", "new@example.org").await;
        let nobody = app.nobody();
        nobody.get(&format!("/confirm-email?token={confirmation}")).await.is_page(200);
        nobody.get("/confirm-email?token=%22%3E%3Cb%3Ex").await.is_page(200);
        assert_eq!(viewer(&ann).await["email"], "ann@example.com");
        submit(&nobody, "/confirm-email", &confirmation).await.is_page(200);
        submit(&nobody, "/confirm-email", &confirmation).await.is_page(410);
        assert_eq!(viewer(&ann).await["email"], "new@example.org");
        let back = token(&app, "revert-email", "ann@example.com").await;
        nobody.get(&format!("/revert-email?token={back}")).await.is_page(200);
        nobody.get("/revert-email").await.is_page(410);
        submit(&nobody, "/revert-email", &back).await.is_page(200);
        assert_eq!(app.stored_user("ann").await.email.written(), "ann@example.com");
        nobody.send(nobody.request(reqwest::Method::POST, "/revert-email").body("x")).await.is_page(410);
    }
}

#[tokio::test]
async fn a_device_that_came_after_the_change_goes_with_it() {
    for app in TestApp::on_every_store().await {
        let thief = app.signed_in("ann").await;
        let way_back = moved(&app, &thief, "ann@example.com", "thief@example.org").await;
        app.pass(Duration::seconds(1));
        crate::second_factor::enrol(&app, &thief).await;
        assert_eq!(app.count("second_factors").await, 1);
        revert(&app.nobody(), &way_back).await.succeeds();
        app.holds(&[("second_factors", 0), ("recovery_codes", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}
