//! Signing in: who gets in, who does not, and what the answer gives away.

use dashtam::{
    application::{access::Requester, user::CreateUser},
    domain::user::{Role, SessionTier},
};

use crate::harness::app::{PASSWORD, TestApp};

#[tokio::test]
async fn the_right_password_opens_a_session_of_fifteen_minute_tokens() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        let mut phone = app.nobody();
        let payload = phone.sign_in("ann@example.com", PASSWORD).await.succeeds();
        assert_eq!(payload["expiresIn"], 900);
        let sessions = phone.ask("{ viewer { email sessions(first: 5) { nodes { id isCurrent userAgent ipAddress revokedAt } } } }").await.data();
        assert_eq!(sessions["viewer"]["email"], "ann@example.com");
        let session = &sessions["viewer"]["sessions"]["nodes"][0];
        assert_eq!(session["id"], payload["session"]["id"]);
        assert_eq!(
            (session["isCurrent"].as_bool(), session["userAgent"].as_str(), session["ipAddress"].as_str()),
            (Some(true), Some("a test's phone"), Some("127.0.0.1"))
        );
        assert_eq!(app.last_outcome("create_session").await, ("succeeded".to_owned(), None));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn unknown_wrong_and_deactivated_get_one_answer_and_no_session() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        app.user("gone").await;
        app.store.execute("UPDATE users SET is_active = FALSE WHERE email_key = 'gone@example.com'").await.unwrap();
        let wrong = app.nobody().sign_in("ann@example.com", "correct horse batterz").await;
        wrong.is_refused("INVALID_CREDENTIALS");
        for (email, password) in [
            ("nobody@example.com", PASSWORD),
            ("gone@example.com", PASSWORD),
            ("gone@example.com", "something else entirely"),
            ("not an address", PASSWORD),
            ("", PASSWORD),
            ("ann@example.com\0", PASSWORD),
        ] {
            let answer = app.nobody().sign_in(email, password).await;
            assert_eq!(answer.comparable(), wrong.comparable(), "{email:?}");
            assert_eq!(app.last_outcome("create_session").await, ("failed".to_owned(), Some("invalid_credentials".to_owned())));
        }
        assert_eq!((app.count("sessions").await, app.count("refresh_tokens").await), (0, 0), "{}", app.store.name);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn only_the_right_password_learns_that_the_address_is_unverified() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        app.store.execute("UPDATE users SET email_verified_at = NULL").await.unwrap();
        app.nobody().sign_in("ann@example.com", "wrong horse battery").await.is_refused("INVALID_CREDENTIALS");
        app.nobody().sign_in("ann@example.com", PASSWORD).await.is_refused("EMAIL_UNVERIFIED");
        assert_eq!(app.last_outcome("create_session").await, ("failed".to_owned(), Some("unverified".to_owned())));
        assert_eq!(app.count("sessions").await, 0);
    }
}

#[tokio::test]
async fn a_deactivated_user_loses_live_sessions_too() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        app.store.execute("UPDATE users SET is_active = FALSE").await.unwrap();
        app.pass(chrono::Duration::seconds(1));
        assert_eq!(ann.ask("{ providers { slug } }").await.body["extensions"]["authentication"], "SESSION_ENDED");
        ann.refresh().await.is_refused("SESSION_ENDED");
    }
}

#[tokio::test]
async fn no_odd_password_opens_anything_or_breaks_anything() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        let long = PASSWORD.repeat(500);
        let barely_too_long = format!("{PASSWORD}{}", " ".repeat(1025 - PASSWORD.len()));
        for password in [
            "",
            " ",
            "\0",
            "correct horse battery\0",
            "correct horse battery\0more",
            "correct horse battery ",
            "Correct horse battery",
            &long,
            &barely_too_long,
        ] {
            app.nobody().sign_in("ann@example.com", password).await.is_refused("INVALID_CREDENTIALS");
        }
        assert_eq!(app.count("sessions").await, 0);
    }
}

#[tokio::test]
async fn a_password_is_the_same_however_unicode_composes_it() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        app.nobody().sign_in("ann@example.com", "ｃｏｒｒｅｃｔ horse battery").await.succeeds();

        let requester = Requester::command_line(None);
        let command = CreateUser {
            requester,
            email: "zoe@example.com".to_owned(),
            password: "Pa\u{df}wo\u{308}rter Nr \u{2460}".to_owned(),
            role: Role::User,
            tier: SessionTier::Pro,
        };
        app.app.application.users.create(command).await.unwrap();
        app.nobody().sign_in("zoe@example.com", "Pa\u{df}w\u{f6}rter Nr 1").await.succeeds();
        app.nobody().sign_in("zoe@example.com", "Passw\u{f6}rter Nr 1").await.is_refused("INVALID_CREDENTIALS");
    }
}

#[tokio::test]
async fn addresses_are_folded_in_ascii_case_and_by_idna_and_no_further() {
    for app in TestApp::on_every_store().await {
        let requester = Requester::command_line(None);
        let command = CreateUser {
            requester,
            email: "J\u{f6}rg.M@B\u{fc}cher.example".to_owned(),
            password: PASSWORD.to_owned(),
            role: Role::User,
            tier: SessionTier::Pro,
        };
        app.app.application.users.create(command).await.unwrap();
        for same in
            ["j\u{f6}rg.m@b\u{fc}cher.example", "J\u{f6}RG.m@xn--bcher-kva.example", "J\u{f6}rg.M@XN--BCHER-KVA.EXAMPLE", "j\u{f6}rg.m@B\u{dc}CHER.example"]
        {
            let payload = app.nobody().sign_in(same, PASSWORD).await.payload();
            assert!(payload["session"].is_object(), "{same}");
        }
        for other in [
            "j\u{d6}rg.m@b\u{fc}cher.example",
            "jorg.m@b\u{fc}cher.example",
            "j\u{f6}rg.m@bucher.example",
            "j\u{f6}rgm@b\u{fc}cher.example",
            "%@b\u{fc}cher.example",
        ] {
            app.nobody().sign_in(other, PASSWORD).await.is_refused("INVALID_CREDENTIALS");
        }
    }
}

#[tokio::test]
async fn every_sign_in_under_an_alias_is_one_attempt_on_the_trail() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        let one = r#"createSession(input: {email: "ann@example.com", password: "guess number one"}) { userErrors { code } }"#;
        let answer = app.nobody().ask(&format!("mutation {{ a: {one} b: {one} c: {one} }}")).await.data();
        assert_eq!(answer.as_object().map(serde_json::Map::len), Some(3));
        let attempts = app.trail().await.into_iter().filter(|(act, outcome, _)| act == "create_session" && outcome == "attempted").count();
        assert_eq!(attempts, 3);
        app.every_attempt_ended_once().await;
    }
}
