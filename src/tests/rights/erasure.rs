//! Being forgotten: asked for, called off, carried out.

use chrono::Duration;
use dashtam::{application::ports::ProviderFault, domain::user::Role};
use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{
    app::{PASSWORD, TestApp},
    bank::{position, posted, reported_account},
    client::{Answer, Client},
};

use super::{prove, submit, token, viewer};

async fn erase(client: &Client<'_>) -> Answer {
    client.ask("mutation { eraseMyAccount { erasure { scheduledAt } userErrors { code message } } }").await
}

async fn cancel(client: &Client<'_>, token: &str) -> Answer {
    client.mutate("cancelErasure", "cancelled", json!({ "token": token })).await
}

/// Erases whoever's day has come; answers how many.
async fn work(app: &TestApp) -> usize {
    let mut erased = 0;
    while app.app.eraser.erase_next().await.unwrap() {
        erased += 1;
    }
    erased
}

/// Everything that hangs on a user, and what stays.
const THEIRS: [&str; 30] = [
    "users",
    "sessions",
    "refresh_tokens",
    "links",
    "authorizations",
    "credentials",
    "accounts",
    "balance_snapshots",
    "holdings",
    "transactions",
    "transaction_references",
    "syncs",
    "imports",
    "import_statements",
    "import_rows",
    "import_transactions",
    "outbox",
    "mail_tokens",
    "sign_in_counters",
    "email_changes",
    "agreements",
    "consents",
    "exports",
    "second_factors",
    "recovery_codes",
    "sign_in_challenges",
    "second_factor_failures",
    "user_token_versions",
    "changes",
    "change_heads",
];

#[tokio::test]
async fn nothing_that_is_stored_leads_to_them_afterwards() {
    for app in TestApp::on_every_store().await {
        // Recognisable wherever something is kept.
        let (email, other, password) = ("zaphod.trillian@ursa-minor.example", "beeblebrox@betelgeuse.example", "plenty of open water");
        app.nobody().register(email, password).await.succeeds();
        app.nobody().verify_email(&token(&app, "verify-email", email).await).await.succeeds();
        let mut zaphod = app.nobody();
        zaphod.sign_in(email, password).await.succeeds();
        let id = viewer(&zaphod).await["id"].as_str().unwrap().to_owned();
        let stored: dashtam::domain::id::UserId = dashtam::presentation::graphql::global_id::id_or_nothing(&id);
        app.nobody().sign_in(&email.to_uppercase(), "wrong horse battery").await.is_refused("INVALID_CREDENTIALS");
        app.nobody().mutate("requestPasswordReset", "accepted", json!({ "email": email })).await.succeeds();
        let session = zaphod.session_id.clone().unwrap();
        zaphod.mutate("renameSession", "session { id }", json!({ "sessionId": session, "name": "Heart-of-Gold-laptop" })).await.succeeds();
        let mut account = reported_account("4242424242", 100);
        account.holdings = Some(vec![position("Vogon-Constructor-Fleet", "1", "1", "1")]);
        app.bank.script(|script| script.accounts = vec![(account, vec![posted("r1", "2026-11-20", -100, "Magrathea-Custom-Planets")])]);
        zaphod.link_scripted().await;
        app.work().await;
        zaphod.import("Kakrafoon-statement.ofx", include_str!("../fixtures/ofx/checking-sgml.ofx"), None).await.succeeds();
        zaphod.refresh().await.succeeds();
        zaphod.refresh_with("AAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAA").await.is_refused("REFRESH_TOKEN_INVALID");
        let reauthenticate = json!({ "password": password });
        zaphod.mutate("reauthenticate", "validUntil", reauthenticate.clone()).await.succeeds();
        zaphod.mutate("requestEmailChange", "accepted", json!({ "email": other })).await.succeeds();
        app.nobody().mutate("confirmEmailChange", "changed", json!({ "token": token(&app, "confirm-email", other).await })).await.succeeds();
        app.nobody().sign_in(email, password).await.is_refused("INVALID_CREDENTIALS");
        app.store.execute("UPDATE sessions SET user_agent = 'Eccentrica-Gallumbits-browser', ip = '198.51.100.77'").await.unwrap();
        app.store
            .execute("UPDATE audit_person SET user_agent = 'Eccentrica-Gallumbits-browser', ip = '198.51.100.77' WHERE user_agent IS NOT NULL")
            .await
            .unwrap();

        // Somebody else, whose traces stay.
        let bystander = app.signed_in("bystander").await;
        bystander.link_sandbox().await;
        let of_bystander = format!("SELECT COUNT(*) AS n FROM audit_person WHERE user_id = {}", app.store.literal(app.user_id("bystander").await.0));
        let before = app.store.query(&of_bystander).await[0].try_get::<i64>("", "n").unwrap();

        let planted = [
            "zaphod.trillian",
            "ZAPHOD.TRILLIAN",
            "beeblebrox",
            "Heart-of-Gold",
            "Magrathea-Custom-Planets",
            "Vogon-Constructor-Fleet",
            "Kakrafoon",
            "Eccentrica-Gallumbits",
            "198.51.100.77",
        ];
        for value in planted {
            assert!(app.store.spells(value).await, "{}: {value} was not planted", app.store.name);
        }
        zaphod.mutate("reauthenticate", "validUntil", reauthenticate).await.succeeds();
        let erasure = erase(&zaphod).await.succeeds();
        assert_eq!(erasure["erasure"]["scheduledAt"], "2026-11-30T12:00:00Z", "the old address can be taken back for a week");
        app.mails().await;
        app.pass(Duration::days(7) - Duration::seconds(1));
        assert_eq!(work(&app).await, 0);
        app.pass(Duration::seconds(1));
        let events = app.count("audit_events").await;
        assert_eq!(work(&app).await, 1);
        assert_eq!(app.count("audit_events").await, events + 2, "the trail goes on, and loses nothing");
        for value in planted {
            assert!(!app.store.spells(value).await, "{}: {value} is still there", app.store.name);
        }
        for table in THEIRS.iter().filter(|table| **table != "users") {
            let left = app.store.query(&format!("SELECT COUNT(*) AS n FROM {table} WHERE user_id = {}", app.store.literal(stored.0))).await;
            assert_eq!(left[0].try_get::<i64>("", "n").unwrap(), 0, "{}: {table}", app.store.name);
        }
        let named = format!("SELECT COUNT(*) AS n FROM audit_person WHERE user_id = {}", app.store.literal(stored.0));
        assert_eq!(app.store.query(&named).await[0].try_get::<i64>("", "n").unwrap(), 0);
        assert_eq!(app.store.query(&of_bystander).await[0].try_get::<i64>("", "n").unwrap(), before);
        let bystander = app.signed_in("bystander").await;
        assert_eq!(bystander.accounts().await.len(), 7);
        assert_eq!(app.last_outcome("erase_user").await, ("succeeded".to_owned(), None));
        app.every_attempt_ended_once().await;

        // What ended only afterwards is forgotten an hour later, and so is the id.
        assert_eq!(app.count("erased_users").await, 1);
        app.store.execute(&format!("INSERT INTO audit_person SELECT event_id, 'subject', recorded_at, {}, NULL, NULL, NULL, salt FROM audit_person WHERE role = 'actor' AND user_id IS NULL AND event_id NOT IN (SELECT event_id FROM audit_person WHERE role = 'subject') LIMIT 1", app.store.literal(stored.0))).await.unwrap();
        app.pass(Duration::hours(1));
        app.app.eraser.tidy().await.unwrap();
        assert_eq!((app.count("erased_users").await, app.store.query(&named).await[0].try_get::<i64>("", "n").unwrap()), (0, 0));
        app.nobody().register(email, password).await.succeeds();
    }
}

#[tokio::test]
async fn asking_closes_everything_at_once_and_calling_it_off_opens_it() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("r1", "2026-11-20", -100, "Coffee")]);
        let (ann, phone) = (app.signed_in("ann").await, app.signed_in("ann").await);
        ann.link_scripted().await;
        app.work().await;
        erase(&ann).await.is_refused("REAUTHENTICATION_REQUIRED");
        erase(&app.nobody()).await.is_fault("UNAUTHENTICATED");
        assert!(viewer(&phone).await["id"].is_string());
        prove(&ann).await;
        assert_eq!(erase(&ann).await.succeeds()["erasure"]["scheduledAt"], "2026-11-24T12:00:00Z");
        for client in [&ann, &phone] {
            assert!(viewer(client).await.is_null());
            client.refresh().await.is_refused("SESSION_ENDED");
        }
        app.holds(&[("credentials", 0), ("authorizations", 0), ("transactions", 1)]).await;
        app.nobody().sign_in("ann@example.com", PASSWORD).await.is_refused("INVALID_CREDENTIALS");
        let unknown = app.nobody().mutate("requestPasswordReset", "accepted", json!({ "email": "nobody@example.com" })).await;
        let known = app.nobody().mutate("requestPasswordReset", "accepted", json!({ "email": "ann@example.com" })).await;
        assert_eq!(known.comparable(), unknown.comparable());

        app.pass(Duration::hours(23));
        assert_eq!(work(&app).await, 0, "not before its day");
        let mind = token(&app, "cancel-erasure", "ann@example.com").await;
        cancel(&app.nobody(), "x").await.is_refused("TOKEN_INVALID");
        let nobody = app.nobody();
        nobody.get(&format!("/cancel-erasure?token={mind}")).await.is_page(200);
        submit(&nobody, "/cancel-erasure", &mind).await.is_page(200);
        submit(&nobody, "/cancel-erasure", &mind).await.is_page(410);
        cancel(&nobody, &mind).await.is_refused("TOKEN_INVALID");
        app.pass(Duration::days(2));
        assert_eq!(work(&app).await, 0);
        let ann = app.signed_in("ann").await;
        assert_eq!(ann.transactions().await.len(), 1, "what was there stays");
        let data = ann.ask("{ viewer { links(first: 1) { nodes { status reason nextAction } } } }").await.data();
        assert_eq!(data["viewer"]["links"]["nodes"][0], json!({ "status": "REVOKED", "reason": "CONSENT_WITHDRAWN", "nextAction": "RELINK" }));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn the_last_administrator_stays_also_when_two_go_at_once() {
    for app in TestApp::on_every_store().await {
        let (one, two) = (app.signed_in("one").await, app.signed_in("two").await);
        app.promote("one", Role::Admin).await;
        app.pass(Duration::seconds(1));
        prove(&one).await;
        erase(&one).await.is_refused("LAST_ADMINISTRATOR");
        assert!(viewer(&one).await["id"].is_string(), "a refusal ends nothing");
        assert_eq!(app.count("mail_tokens").await, 0);
        app.promote("two", Role::Admin).await;
        app.pass(Duration::seconds(1));
        prove(&two).await;
        let (first, second) = tokio::join!(erase(&one), erase(&two));
        let gone = [&first, &second].iter().filter(|answer| answer.payload()["erasure"].is_object()).count();
        assert_eq!(gone, 1, "{}: {} {}", app.store.name, first.text, second.text);
        let refused = if first.payload()["erasure"].is_object() { second } else { first };
        refused.is_refused("LAST_ADMINISTRATOR");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn calling_off_and_the_worker_never_both_win() {
    for app in TestApp::on_every_store().await {
        for round in 0..5 {
            let name = format!("ann{round}");
            let email = TestApp::email(&name);
            let ann = app.signed_in(&name).await;
            let id = app.user_id(&name).await;
            prove(&ann).await;
            erase(&ann).await.succeeds();
            let mind = token(&app, "cancel-erasure", &email).await;
            // The worker's machine is ahead of the one that is asked to call it off.
            let early = if app.store.is_postgres() { "now() - interval '9 years'" } else { "'2000-01-01T00:00:00+00:00'" };
            app.store.execute(&format!("UPDATE users SET erasure_due_at = {early} WHERE email = '{email}'")).await.unwrap();
            let beside = app.beside().await;
            let nobody = app.nobody();
            let (called_off, one, other) = tokio::join!(cancel(&nobody, &mind), app.app.eraser.erase_next(), beside.eraser.erase_next());
            assert!(one.is_ok() && other.is_ok(), "{}: {one:?} {other:?}", app.store.name);
            let stays = called_off.payload()["cancelled"] == true;
            let rows = app.store.query(&format!("SELECT COUNT(*) AS n FROM users WHERE id = {}", app.store.literal(id.0))).await;
            assert_eq!(rows[0].try_get::<i64>("", "n").unwrap(), i64::from(stays), "{}: called off {stays}", app.store.name);
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn an_erasure_that_was_interrupted_goes_on_and_can_only_be_finished() {
    for app in TestApp::on_every_store().await {
        app.bank.reports((0..20).map(|row| posted(&format!("r{row}"), "2026-11-20", -100, "Coffee")).collect());
        let ann = app.signed_in("ann").await;
        ann.link_scripted().await;
        app.work().await;
        prove(&ann).await;
        erase(&ann).await.succeeds();
        let mind = token(&app, "cancel-erasure", "ann@example.com").await;
        app.pass(Duration::hours(24) - Duration::seconds(1));
        app.store.refuse_successes().await;
        app.pass(Duration::seconds(1));
        assert!(app.app.eraser.erase_next().await.is_err());
        app.holds(&[("users", 1), ("transactions", 0)]).await;
        cancel(&app.nobody(), &mind).await.is_refused("TOKEN_INVALID");
        app.store.execute("UPDATE mail_tokens SET expires_at = '2030-01-01T00:00:00+00:00'").await.unwrap();
        cancel(&app.nobody(), &mind).await.is_refused("TOKEN_INVALID");
        app.store.accept_successes().await;
        assert_eq!(work(&app).await, 0, "somebody may still be at it");
        app.pass(Duration::minutes(15));
        assert_eq!(work(&app).await, 1);
        app.holds(&[("users", 0), ("links", 0), ("mail_tokens", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_sync_in_the_middle_brings_nothing_back() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("r1", "2026-11-20", -100, "Coffee")]);
        let ann = app.signed_in("ann").await;
        ann.link_scripted().await;
        let gate = app.bank.hold_page(0);
        let worker = app.worker();
        gate.reached().await;
        prove(&ann).await;
        erase(&ann).await.succeeds();
        gate.open();
        worker.await.unwrap();
        app.holds(&[("credentials", 0), ("transactions", 0), ("accounts", 0)]).await;
        let status = app.store.query("SELECT status FROM links").await[0].try_get::<String>("", "status").unwrap();
        assert_eq!(status, "revoked", "{}: a sync that was under way does not revive its link", app.store.name);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_bank_that_answers_late_finds_nobody() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let gate = app.bank.hold_exchange();
        let mut walk = ann.walk(None).await;
        walk.leave().await;
        prove(&ann).await;
        let (answer, ()) = tokio::join!(walk.come_back(&[("code", "a-code")]), async {
            gate.reached().await;
            erase(&ann).await.succeeds();
            gate.open();
        });
        assert_ne!(answer.status, 200, "{}", answer.text);
        app.holds(&[("credentials", 0), ("syncs", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn no_session_survives_that_began_while_it_was_asked_for() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        prove(&ann).await;
        let sign_ins = join_all((0..8).map(|_| async { app.nobody().sign_in("ann@example.com", PASSWORD).await }));
        let (_, done) = tokio::join!(sign_ins, erase(&ann));
        done.succeeds();
        let live = app.store.query("SELECT COUNT(*) AS n FROM sessions WHERE revoked_at IS NULL").await;
        assert_eq!(live[0].try_get::<i64>("", "n").unwrap(), 0, "{}", app.store.name);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_bank_is_told_at_once_and_one_that_cannot_be_reached_keeps_nobody_from_it() {
    for app in TestApp::on_every_store().await {
        for (name, fault) in [("ann", None), ("bob", Some(ProviderFault::Unreachable))] {
            let client = app.signed_in(name).await;
            client.link_scripted().await;
            app.work().await;
            app.bank.script(|script| script.revoke_fault = fault);
            prove(&client).await;
            assert!(app.bank.script(|script| std::mem::take(&mut script.revoked)).is_empty());
            erase(&client).await.succeeds();
            assert_eq!(app.bank.script(|script| std::mem::take(&mut script.revoked)).len(), 1, "{name}");
            app.holds(&[("credentials", 0)]).await;
        }
        app.every_attempt_ended_once().await;
    }
}
