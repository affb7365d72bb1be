//! The outbox: in order for each reader, however many couriers there are; what cannot go is parked, and an operator decides about it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{collections::HashMap, time::Instant};

use chrono::Duration;
use dashtam::{
    application::{
        access::Requester,
        outbox::{ChangeMessage, OutboxError},
    },
    domain::{
        event::Event,
        failure::Reason,
        id::{MessageId, UserId},
        mail::{Mail, MailKind},
        outbox::pause,
        time::Clock as _,
    },
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::harness::{
    app::{PASSWORD, TOKEN_SECRET, TestApp},
    binary::Binary,
    smtp::{Mood, SmtpServer, Taken},
};

/// Servers that send through `smtp`.
async fn sending_through(smtp: &SmtpServer) -> Vec<TestApp> {
    TestApp::configured(|config| config.smtp.url = Some(smtp.url.clone().into())).await
}

/// Queues a mail for a user, the way an act of theirs does.
async fn tell(app: &TestApp, user: UserId) {
    app.store.begin().await.succeed(Event::RecoveryCodesReplaced { user }).await.unwrap();
}

/// What receivers tell a repeated mail by.
fn key(mail: &Taken) -> String {
    let line = mail.message.lines().find(|line| line.starts_with("Message-ID:")).unwrap();
    line.split(['<', '@']).nth(1).unwrap().to_owned()
}

/// The keys of the mails to an address, as they came in.
fn received(taken: &[Taken], address: &str) -> Vec<String> {
    taken.iter().filter(|mail| mail.to == [address]).map(key).collect()
}

/// The ids of a user's messages in the order in which they were committed.
async fn committed(app: &TestApp, user: UserId) -> Vec<String> {
    let rows = app.store.query(&format!("SELECT id FROM outbox WHERE lane = {} ORDER BY position", app.store.literal(user.0))).await;
    rows.iter().map(|row| row.try_get::<Uuid>("", "id").unwrap().to_string()).collect()
}

#[tokio::test]
async fn a_later_mail_waits_for_an_earlier_one_of_its_reader_and_nobody_elses() {
    let smtp = SmtpServer::start().await;
    for app in sending_through(&smtp).await {
        let before = smtp.taken().len();
        app.user("ann").await;
        app.user("bob").await;
        let (ann, bob) = (app.user_id("ann").await, app.user_id("bob").await);
        smtp.is(Mood::Busy);
        tell(&app, ann).await;
        assert_eq!(app.deliver().await, 1, "tried, in vain");
        smtp.is(Mood::Taking);
        for user in [ann, bob, ann] {
            tell(&app, user).await;
        }
        assert_eq!(app.deliver().await, 1, "of bob alone");
        assert_eq!(received(&smtp.taken()[before..], "ann@example.com"), Vec::<String>::new());
        assert_eq!(received(&smtp.taken()[before..], "bob@example.com"), committed(&app, bob).await);
        app.pass(Duration::seconds(46));
        assert_eq!(app.deliver().await, 3);
        assert_eq!(received(&smtp.taken()[before..], "ann@example.com"), committed(&app, ann).await);
    }
}

#[tokio::test]
async fn what_is_parked_holds_nobody_up_and_the_new_address_has_a_line_of_its_own() {
    let smtp = SmtpServer::start().await;
    for app in sending_through(&smtp).await {
        let before = smtp.taken().len();
        let ann = app.signed_in("ann").await;
        let id = app.user_id("ann").await;
        smtp.is(Mood::Refusing);
        tell(&app, id).await;
        assert_eq!(app.deliver().await, 1);
        smtp.is(Mood::Busy);
        ann.mutate("reauthenticate", "validUntil", serde_json::json!({ "password": PASSWORD })).await.succeeds();
        ann.mutate("requestEmailChange", "accepted", serde_json::json!({ "email": "new@example.org" })).await.succeeds();
        assert_eq!(app.deliver().await, 1, "to the new address, in vain");
        smtp.is(Mood::Taking);
        tell(&app, id).await;
        assert_eq!(app.deliver().await, 1, "neither the parked one nor the one to the new address is waited for");
        assert_eq!(received(&smtp.taken()[before..], "ann@example.com"), committed(&app, id).await[1..]);
        let left = app.store.query("SELECT topic FROM outbox WHERE delivered_at IS NULL AND parked_at IS NULL").await;
        assert_eq!(left.iter().map(|row| row.try_get::<String>("", "topic").unwrap()).collect::<Vec<_>>(), ["mail.email_change"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn couriers_of_several_processes_keep_the_order_of_each_reader_and_send_each_mail_once() {
    let smtp = SmtpServer::start().await;
    for app in sending_through(&smtp).await {
        let before = smtp.taken().len();
        let mut users = Vec::new();
        for name in ["ann", "bob", "cleo"] {
            app.user(name).await;
            users.push((TestApp::email(name), app.user_id(name).await));
        }
        smtp.is(Mood::Moody);
        let mut processes = Vec::new();
        for _ in 0..4 {
            processes.push(app.beside_as(|config| config.smtp.url = Some(smtp.url.clone().into())).await);
        }
        let (stop, began) = (CancellationToken::new(), Instant::now());
        let couriers: Vec<_> = processes.iter().map(|process| tokio::spawn(process.courier.clone().run(stop.clone()))).collect();
        // Several acts of one user at once, while couriers are at work.
        let app = &app;
        let queueing = users.iter().flat_map(|(_, user)| [*user; 3]).map(|user| async move {
            for _ in 0..4 {
                tell(app, user).await;
            }
        });
        futures_util::future::join_all(queueing).await;
        let left = async || app.store.query("SELECT COUNT(*) AS n FROM outbox WHERE delivered_at IS NULL").await[0].try_get::<i64>("", "n").unwrap();
        while left().await > 0 {
            assert!(began.elapsed().as_secs() < 240, "{} are left, {}", left().await, app.store.name);
            app.pass(Duration::seconds(50));
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            // Tries count, and time flies here.
            app.store.execute("UPDATE outbox SET attempts = 1 WHERE attempts > 8").await.unwrap();
        }
        stop.cancel();
        for courier in couriers {
            courier.await.unwrap();
        }
        let taken = smtp.taken();
        for (address, user) in &users {
            let (received, committed) = (received(&taken[before..], address), committed(app, *user).await);
            assert_eq!(committed.len(), 12);
            assert_eq!(received, committed, "{address}, {}", app.store.name);
        }
        smtp.is(Mood::Taking);
    }
}

#[tokio::test]
async fn positions_are_in_the_order_of_commits() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        let ann = app.user_id("ann").await;
        let mut first = app.store.begin().await;
        let mail = |id| Mail::new(MessageId(Uuid::from_u128(id)), ann, MailKind::SignInPaused, None, app.store.clock.now());
        first.mails().queue(&mail(2)).await.unwrap();
        let (store, refusal) = (&app.store, Wrong);
        let second = async {
            let mut work = store.begin().await;
            work.mails().queue(&mail(1)).await.unwrap();
            work.refuse(&refusal).await.unwrap();
        };
        let commit = async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            assert_eq!(store.query("SELECT id FROM outbox").await.len(), 0, "whoever comes second waits");
            first.refuse(&refusal).await.unwrap();
        };
        tokio::join!(commit, second);
        assert_eq!(committed(&app, ann).await, [Uuid::from_u128(2).to_string(), Uuid::from_u128(1).to_string()], "{}", app.store.name);
    }
}

struct Wrong;

impl Reason for Wrong {
    fn reason(&self) -> &'static str {
        "wrong_password"
    }
}

#[tokio::test]
async fn what_cannot_be_read_and_what_every_courier_was_lost_over_is_parked() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        let ann = app.user_id("ann").await;
        for _ in 0..3 {
            tell(&app, ann).await;
        }
        app.store.execute("UPDATE outbox SET payload = 'nonsense' WHERE position = 1").await.unwrap();
        app.store.execute("UPDATE outbox SET attempts = 12 WHERE position = 2").await.unwrap();
        assert_eq!(app.deliver().await, 2, "the one that was lost too often, which is parked, and the good one");
        let rows = app.store.query("SELECT last_error, parked_at IS NOT NULL AS parked, delivered_at IS NOT NULL AS out FROM outbox ORDER BY position").await;
        let rows: Vec<(Option<String>, bool, bool)> =
            rows.iter().map(|row| (row.try_get("", "last_error").unwrap(), row.try_get("", "parked").unwrap(), row.try_get("", "out").unwrap())).collect();
        assert_eq!(rows, [(Some("unreadable".to_owned()), true, false), (Some("lost".to_owned()), true, false), (None, false, true)]);
    }
}

#[tokio::test]
async fn a_courier_that_comes_back_late_changes_nothing_of_what_another_does() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        tell(&app, app.user_id("ann").await).await;
        let queue = app.store.database.mail_queue();
        let late = queue.take_any_for_courier(app.store.clock.now()).await.unwrap().unwrap();
        assert_eq!(queue.take_any_for_courier(app.store.clock.now()).await.unwrap(), None, "for the time of its lease");
        app.pass(Duration::minutes(5));
        let now = app.store.clock.now();
        let quick = queue.take_any_for_courier(now).await.unwrap().unwrap();
        assert_eq!((quick.id, quick.attempts), (late.id, 2));
        queue.failed(&late, None, "unreachable", now).await.unwrap();
        let waits = "SELECT COUNT(*) AS n FROM outbox WHERE parked_at IS NULL AND delivered_at IS NULL AND last_error IS NULL";
        assert_eq!(app.store.query(waits).await[0].try_get::<i64>("", "n").unwrap(), 1);
        queue.delivered(late.id, false, now).await.unwrap();
        queue.failed(&quick, None, "unreachable", now).await.unwrap();
        assert_eq!(app.store.query("SELECT 1 AS n FROM outbox WHERE delivered_at IS NOT NULL AND parked_at IS NULL").await.len(), 1, "what is out is out");
    }
}

#[tokio::test]
async fn a_server_that_stalls_over_one_mail_holds_up_nobody_elses() {
    let smtp = SmtpServer::start().await;
    for app in sending_through(&smtp).await {
        let before = smtp.taken().len();
        smtp.is(Mood::StallingFor("ann@example.com"));
        for name in ["ann", "bob", "cleo"] {
            app.user(name).await;
            tell(&app, app.user_id(name).await).await;
        }
        let stop = CancellationToken::new();
        let courier = tokio::spawn(app.app.courier.clone().run(stop.clone()));
        let began = Instant::now();
        while smtp.taken().len() < before + 2 {
            assert!(began.elapsed().as_secs() < 20, "{}", app.store.name);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        courier.abort();
        assert!(received(&smtp.taken()[before..], "ann@example.com").is_empty());
    }
}

#[test]
fn pauses_grow_are_spread_and_come_to_an_end() {
    let seconds = |attempts, chance| pause(attempts, chance).map(|pause| pause.num_seconds());
    assert_eq!((seconds(1, 0), seconds(1, 255)), (Some(30), Some(45)));
    assert_eq!((seconds(11, 0), seconds(11, 255)), (Some(4 * 3600), Some(6 * 3600)));
    assert_eq!(pause(12, 0), None);
    let different: HashMap<_, _> = (0..=255).map(|chance| (pause(4, chance).unwrap(), chance)).collect();
    assert_eq!(different.len(), 256);
}

/// One mail that was given up, of ann.
async fn given_up(app: &TestApp, smtp: &SmtpServer) -> MessageId {
    smtp.is(Mood::Refusing);
    tell(app, app.user_id("ann").await).await;
    app.deliver().await;
    smtp.is(Mood::Taking);
    let row = app.store.query("SELECT id FROM outbox WHERE parked_at IS NOT NULL AND delivered_at IS NULL").await;
    MessageId(row[0].try_get("", "id").unwrap())
}

fn by_the_operator(message: MessageId) -> ChangeMessage {
    ChangeMessage { requester: Requester::command_line(None), message }
}

#[tokio::test]
async fn the_operator_lets_a_parked_mail_go_again_or_drops_it_and_the_trail_tells() {
    let smtp = SmtpServer::start().await;
    for app in sending_through(&smtp).await {
        let before = smtp.taken().len();
        app.user("ann").await;
        let parked = given_up(&app, &smtp).await;
        let listed = app.app.application.outbox.queries.undelivered_for_operator(true, 10).await.unwrap();
        assert_eq!(
            (listed.len(), listed[0].id, listed[0].topic.as_str(), listed[0].problem.as_deref()),
            (1, parked, "mail.recovery_codes_replaced", Some("refused"))
        );
        app.app.application.outbox.commands.retry(by_the_operator(parked)).await.unwrap();
        assert_eq!(app.deliver().await, 1);
        assert_eq!(received(&smtp.taken()[before..], "ann@example.com"), [parked.0.to_string()]);
        for done in
            [app.app.application.outbox.commands.retry(by_the_operator(parked)).await, app.app.application.outbox.commands.drop(by_the_operator(parked)).await]
        {
            assert!(matches!(done, Err(OutboxError::NotFound)), "it is out");
        }
        app.holds(&[("outbox", 1)]).await;

        let parked = given_up(&app, &smtp).await;
        app.app.application.outbox.commands.drop(by_the_operator(parked)).await.unwrap();
        app.holds(&[("outbox", 1)]).await;
        app.pass(Duration::days(1));
        assert_eq!(app.deliver().await, 0);
        assert_eq!(app.outcomes("retry_message").await, [("succeeded".to_owned(), None), ("failed".to_owned(), Some("not_found".to_owned()))]);
        assert_eq!(app.outcomes("drop_message").await, [("failed".to_owned(), Some("not_found".to_owned())), ("succeeded".to_owned(), None)]);
        let ann = app.signed_in("ann").await;
        let own = ann.ask("{ viewer { auditEvents(first: 100) { nodes { act outcome resource { kind id } context { name value } } } } }").await.data();
        let seen: Vec<_> = own["viewer"]["auditEvents"]["nodes"].as_array().unwrap().iter().filter(|event| event["act"] == "DROP_MESSAGE").collect();
        assert_eq!(seen.len(), 1, "{own}");
        assert_eq!(seen[0]["resource"]["kind"], "MESSAGE");
        assert_eq!(seen[0]["context"][0]["value"], "mail.recovery_codes_replaced");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn the_command_line_lists_what_waits_and_the_doctor_warns_of_it() {
    let smtp = SmtpServer::start().await;
    for app in sending_through(&smtp).await {
        app.user("ann").await;
        let binary = Binary::with(&[
            ("DASHTAM_ENVIRONMENT", "development"),
            ("DASHTAM_DATABASE_URL", &app.store.url),
            ("DASHTAM_JWT__SECRET", TOKEN_SECRET),
            ("DASHTAM_ENCRYPTION__KEYS", &format!("t1:{}=", "A".repeat(43))),
            ("DASHTAM_BIND", "127.0.0.1:0"),
        ]);
        assert_eq!(binary.run(&["outbox", "list"]).succeeds(), "");
        binary.run(&["outbox", "retry", "--parked"]).fails_saying(&["nothing was given up"]);
        assert!(binary.run(&["doctor"]).out.contains("0 messages wait"));
        let parked = given_up(&app, &smtp).await.0.to_string();
        let listed = binary.run(&["outbox", "list", "--parked"]).succeeds();
        assert!(listed.starts_with(&parked) && listed.contains(" parked mail.recovery_codes_replaced ") && listed.ends_with(" 1 refused\n"), "{listed}");
        assert!(!listed.contains("example.com"));
        let doctor = binary.run(&["doctor"]).out;
        let line = doctor.lines().find(|line| line.contains("outbox")).unwrap();
        assert!(line.starts_with("warn") && line.contains("1 were given up") && line.contains("dashtam outbox"), "{line}");
        binary.run(&["outbox", "drop", "0199c0de-0000-7000-8000-000000000001"]).fails_saying(&["no such message waits"]);
        assert_eq!(binary.run(&["outbox", "retry", "--parked"]).succeeds(), format!("{parked} mail.recovery_codes_replaced goes again\n"));
        // The binary goes by this machine's clock, and the server by the test's.
        app.store.execute("UPDATE outbox SET available_at = created_at").await.unwrap();
        assert_eq!(app.deliver().await, 1);
        let parked = given_up(&app, &smtp).await.0.to_string();
        assert_eq!(binary.run(&["outbox", "drop", &parked]).succeeds(), format!("{parked} mail.recovery_codes_replaced is dropped\n"));
        assert_eq!(binary.run(&["outbox", "list"]).succeeds(), "");
        assert_eq!(binary.run(&["outbox", "retry"]).code, Some(2), "which one has to be said");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_waits_when_the_order_is_introduced_keeps_the_order_it_had() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        let ann = app.user_id("ann").await;
        for _ in 0..3 {
            tell(&app, ann).await;
            app.pass(Duration::seconds(1));
        }
        let expected = committed(&app, ann).await;
        let migrations = app.store.database.status().await.unwrap();
        let newer = migrations.iter().filter(|(name, _)| name.as_str() >= "m20261126_000020").count();
        app.store.database.migrate_down(u32::try_from(newer).unwrap()).await.unwrap();
        app.store.database.migrate_up().await.unwrap();
        assert_eq!(committed(&app, ann).await, expected, "{}", app.store.name);
        assert_eq!(app.deliver().await, 3);
    }
}
