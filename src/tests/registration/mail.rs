//! Mail on its way: over SMTP, into a folder, again after a failure, and never for ever.

use std::os::unix::fs::PermissionsExt;

use chrono::Duration;

use crate::harness::{
    app::TestApp,
    smtp::{Mood, SmtpServer},
};

use super::{PASSWORD, token_in};

/// Servers that send through `smtp`.
async fn sending_through(smtp: &SmtpServer) -> Vec<TestApp> {
    TestApp::configured(|config| {
        config.smtp.url = Some(smtp.url.clone().into());
        "Dashtam at home <money@home.example>".clone_into(&mut config.smtp.from);
    })
    .await
}

#[tokio::test]
async fn mail_goes_out_over_smtp_as_text_and_html() {
    let smtp = SmtpServer::start().await;
    for (at, app) in sending_through(&smtp).await.iter().enumerate() {
        app.nobody().register("ann@example.com", PASSWORD).await.succeeds();
        assert_eq!((app.deliver().await, app.deliver().await), (1, 0));
        let mail = smtp.taken()[at].clone();
        assert_eq!((mail.from.as_str(), mail.to.as_slice()), ("money@home.example", ["ann@example.com".to_owned()].as_slice()));
        for part in [
            "From: \"Dashtam at home\" <money@home.example>\r\n",
            "To: ann@example.com\r\n",
            "Subject: Confirm your e-mail address\r\n",
            "Content-Type: multipart/alternative;",
            "Content-Type: text/plain; charset=utf-8\r\n",
            "Content-Type: text/html; charset=utf-8\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "@home.example>\r\n",
        ] {
            assert!(mail.message.contains(part), "{part:?} is not in {}", mail.message);
        }
        app.nobody().verify_email(&token_in(&mail.message)).await.succeeds();
        assert_eq!(app.nobody().get("/dev/mail").await.status, 404, "what is sent is not kept");
        assert!(!app.data.path().join("mail").exists());
    }
}

#[tokio::test]
async fn an_international_domain_is_written_as_every_server_reads_it() {
    let smtp = SmtpServer::start().await;
    for (at, app) in sending_through(&smtp).await.iter().enumerate() {
        app.nobody().register("Ann@b\u{fc}cher.example", PASSWORD).await.succeeds();
        assert_eq!(app.deliver().await, 1);
        let mail = smtp.taken()[at].clone();
        assert_eq!(mail.to, ["Ann@xn--bcher-kva.example"]);
        app.nobody().verify_email(&format!(" {}\n", token_in(&mail.message))).await.succeeds();
    }
}

#[tokio::test]
async fn a_mail_that_is_not_taken_is_tried_again_for_half_a_day_and_then_parked() {
    let smtp = SmtpServer::start().await;
    for app in sending_through(&smtp).await {
        smtp.is(Mood::Busy);
        let before = smtp.taken().len();
        app.nobody().register("ann@example.com", PASSWORD).await.succeeds();
        assert_eq!((app.deliver().await, app.deliver().await), (1, 0), "the next try comes later");
        app.pass(Duration::seconds(29));
        assert_eq!(app.deliver().await, 0);
        smtp.is(Mood::Taking);
        app.pass(Duration::seconds(16));
        assert_eq!(app.deliver().await, 1, "within half as much again");
        assert_eq!(smtp.taken().len(), before + 1);

        smtp.is(Mood::Busy);
        app.nobody().register("bob@example.com", PASSWORD).await.succeeds();
        let mut tries = 0;
        for _ in 0..200 {
            tries += app.deliver().await;
            app.pass(Duration::minutes(15));
        }
        assert_eq!(tries, 12, "{}", app.store.name);
        let parked = app.store.query("SELECT last_error FROM outbox WHERE parked_at IS NOT NULL AND delivered_at IS NULL").await;
        assert_eq!(parked.len(), 1);
        assert_eq!(parked[0].try_get::<String>("", "last_error").unwrap(), "unreachable");
    }
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_parked_at_once() {
    let smtp = SmtpServer::start().await;
    for app in sending_through(&smtp).await {
        smtp.is(Mood::Refusing);
        app.nobody().register("ann@example.com", PASSWORD).await.succeeds();
        assert_eq!(app.deliver().await, 1);
        app.pass(Duration::days(2));
        assert_eq!(app.deliver().await, 0);
        let parked = app.store.query("SELECT last_error FROM outbox WHERE parked_at IS NOT NULL").await;
        assert_eq!(parked[0].try_get::<String>("", "last_error").unwrap(), "refused");
    }
}

#[tokio::test]
async fn two_couriers_send_a_mail_once_and_a_dead_ones_mail_is_taken_up() {
    let smtp = SmtpServer::start().await;
    for app in sending_through(&smtp).await {
        let before = smtp.taken().len();
        app.nobody().register("ann@example.com", PASSWORD).await.succeeds();
        let (left, right) = tokio::join!(app.deliver(), app.deliver());
        assert_eq!((left + right, smtp.taken().len()), (1, before + 1));

        app.nobody().register("bob@example.com", PASSWORD).await.succeeds();
        // Taken by a courier that died before it sent anything.
        app.store.execute("UPDATE outbox SET attempts = 1, available_at = available_at WHERE delivered_at IS NULL").await.unwrap();
        assert_eq!(app.deliver().await, 1);
        assert_eq!(smtp.taken().len(), before + 2);
    }
}

#[tokio::test]
async fn a_mail_whose_token_was_replaced_is_not_sent() {
    let smtp = SmtpServer::start().await;
    for app in sending_through(&smtp).await {
        let before = smtp.taken().len();
        app.nobody().register("ann@example.com", PASSWORD).await.succeeds();
        app.nobody().resend_verification("ann@example.com").await.succeeds();
        assert_eq!(app.deliver().await, 2);
        let taken = smtp.taken();
        assert_eq!(taken.len(), before + 1, "one mail for the one token that works");
        app.nobody().verify_email(&token_in(&taken[before].message)).await.succeeds();
    }
}

#[tokio::test]
async fn kept_mails_are_shown_to_this_machine_only() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        let empty = nobody.get("/dev/mail").await;
        empty.is_page(200);
        assert!(empty.text.contains("None yet"));
        nobody.register("ann@example.com", PASSWORD).await.succeeds();
        app.deliver().await;
        let page = nobody.get("/dev/mail").await;
        page.is_page(200);
        assert!(
            page.text.contains("Confirm your e-mail address") && page.text.contains(&format!("<a href=\"{}/verify-email?token=", app.url)),
            "{}",
            page.text
        );
        let foreign = nobody.send(nobody.request(reqwest::Method::GET, "/dev/mail").header("host", "evil.example")).await;
        foreign.is_problem(421, "WRONG_HOST");
        let folder = app.data.path().join("mail");
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        for file in std::fs::read_dir(&folder).unwrap() {
            let file = file.unwrap();
            assert!(file.path().extension().is_some_and(|extension| extension == "eml"));
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
    for app in TestApp::configured(|config| config.environment = dashtam::config::Environment::Production).await {
        app.nobody().get("/dev/mail").await.is_problem(404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn the_outbox_forgets_what_was_delivered() {
    for app in TestApp::on_every_store().await {
        app.nobody().register("ann@example.com", PASSWORD).await.succeeds();
        let queue = app.store.database.mail_queue();
        let now = || dashtam::domain::time::Clock::now(app.store.clock.as_ref());
        app.pass(Duration::days(8));
        assert_eq!(queue.forget_delivered(now()).await.unwrap(), 0, "what waits stays");
        app.deliver().await;
        assert_eq!(queue.forget_delivered(now()).await.unwrap(), 0, "not before its time");
        app.pass(Duration::seconds(1));
        assert_eq!(queue.forget_delivered(now()).await.unwrap(), 1);
        app.holds(&[("outbox", 0)]).await;
    }
}
