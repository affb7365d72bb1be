//! Linking by a key or a setup token: what is taken, what is refused and leaves nothing, and that no value is told anywhere.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use chrono::Duration;
use dashtam::{application::ports::ProviderFault, domain::user::Role};
use serde_json::{Value, json};

use crate::harness::{
    app::TestApp,
    bank::posted,
    client::{Answer, Client},
    log::Log,
};

use super::{everything, no_links};

/// How a provider answers that neither takes nor refuses, with what is told of it and stands on the trail.
const UNANSWERED: [(ProviderFault, &str, &str); 5] = [
    (ProviderFault::Unreachable, "PROVIDER_UNREACHABLE", "provider_unreachable"),
    (ProviderFault::ServerError, "PROVIDER_ERROR", "provider_error"),
    (ProviderFault::RateLimited { retry_after: Some(9) }, "PROVIDER_RATE_LIMITED", "rate_limited"),
    (ProviderFault::Malformed, "PROVIDER_UNREADABLE", "malformed_answer"),
    (ProviderFault::Incomplete, "PROVIDER_UNREADABLE", "incomplete_answer"),
];

fn key(secret: &str) -> Value {
    json!({ "provider": "keyed", "key": "a-key-canary", "secret": secret })
}

fn token(token: &str) -> Value {
    json!({ "provider": "tokened", "setupToken": token })
}

/// With another field.
fn with(mut input: Value, name: &str, value: &str) -> Value {
    input[name] = json!(value);
    input
}

async fn linked(ann: &Client<'_>, input: Value) -> String {
    let answer = if input["provider"] == "keyed" { ann.link_with_key(input).await } else { ann.link_with_token(input).await };
    answer.succeeds()["link"]["id"].as_str().unwrap().to_owned()
}

/// Refused with this code, and on the trail for this reason.
async fn is_refused(app: &TestApp, answer: &Answer, code: &str, act: &str, reason: &str) {
    answer.is_refused(code);
    assert_eq!(app.last_outcome(act).await, ("failed".to_owned(), Some(reason.to_owned())), "{code}");
}

#[tokio::test]
async fn a_key_and_a_setup_token_link_a_provider_and_the_first_sync_follows() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        for (input, act) in [(key(" a-secret-canary\n"), "link_with_api_key"), (token("a-token-canary"), "link_with_setup_token")] {
            let link = linked(&ann, with(input, "alias", "Nest egg")).await;
            let told = ann.link(&link).await;
            assert_eq!((&told["status"], &told["lastSync"]["status"], &told["alias"]), (&json!("ACTIVE"), &json!("QUEUED"), &json!("Nest egg")));
            assert_eq!(app.outcomes(act).await, [("succeeded".to_owned(), None)]);
            assert_eq!(app.work().await, 1);
            let told = ann.link(&link).await;
            assert_eq!((&told["lastSync"]["status"], &told["consent"]["expiresAt"]), (&json!("SUCCEEDED"), &json!(null)));
        }
        assert_eq!(app.bank.script(|script| script.connects.clone()), ["a-key-canary:a-secret-canary", "a-token-canary"], "asked once each, without the space");
        assert_eq!((ann.accounts().await.len(), ann.transactions().await.len()), (2, 2));
        app.holds(&[("links", 2), ("credentials", 2), ("consents", 2), ("authorizations", 0)]).await;
        for canary in ["a-key-canary", "a-secret-canary", "a-token-canary"] {
            assert!(!app.store.spells(canary).await, "{canary} in {}", app.store.name);
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_a_provider_does_not_take_leaves_nothing() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let before = everything(&app).await;
        app.bank.script(|script| script.connect = Some(ProviderFault::Refused));
        is_refused(&app, &ann.link_with_key(key("wrong")).await, "KEY_REFUSED", "link_with_api_key", "key_refused").await;
        let stolen = ann.link_with_token(token("stolen")).await;
        is_refused(&app, &stolen, "SETUP_TOKEN_REFUSED", "link_with_setup_token", "token_refused").await;
        assert!(stolen.payload()["userErrors"][0]["message"].as_str().unwrap().contains("it was stolen"));
        for (fault, code, reason) in UNANSWERED {
            app.bank.script(|script| script.connect = Some(fault));
            is_refused(&app, &ann.link_with_key(key("right")).await, code, "link_with_api_key", reason).await;
            is_refused(&app, &ann.link_with_token(token("right")).await, code, "link_with_setup_token", reason).await;
        }
        assert_eq!(everything(&app).await, before);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_nobody_need_be_asked_about_reaches_no_provider() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let before = everything(&app).await;
        for odd in ["", "  \n", "with space", "nul\u{0}", "Schlüssel", "line\nbreak", &"x".repeat(4097), &"x".repeat(500_000)] {
            for (field, answer) in [
                ("secret", ann.link_with_key(key(odd)).await),
                ("key", ann.link_with_key(with(key("secret"), "key", odd)).await),
                ("setupToken", ann.link_with_token(token(odd)).await),
            ] {
                answer.is_refused("CREDENTIAL_INVALID");
                assert_eq!(answer.payload()["userErrors"][0]["field"], json!([field]));
            }
            assert_eq!(app.last_outcome("link_with_api_key").await, ("failed".to_owned(), Some("unreadable".to_owned())));
        }
        for other in ["scripted", "tokened"] {
            is_refused(&app, &ann.link_with_key(with(key("s"), "provider", other)).await, "LINK_METHOD_MISMATCH", "link_with_api_key", "other_method").await;
        }
        is_refused(&app, &ann.link_with_token(with(token("t"), "provider", "keyed")).await, "LINK_METHOD_MISMATCH", "link_with_setup_token", "other_method")
            .await;
        is_refused(&app, &ann.begin_link("keyed", None).await, "LINK_METHOD_MISMATCH", "begin_link", "other_method").await;
        for unknown in ["nobank", "statement", "", "KEYED", "keyed\u{0}"] {
            let answer = ann.link_with_key(with(key("s"), "provider", unknown)).await;
            is_refused(&app, &answer, "PROVIDER_UNKNOWN", "link_with_api_key", "unknown_provider").await;
        }
        for alias in ["", " ", "a\u{7}", &"x".repeat(101)] {
            is_refused(&app, &ann.link_with_key(with(key("s"), "alias", alias)).await, "NAME_INVALID", "link_with_api_key", "invalid_name").await;
        }
        app.nobody().link_with_key(key("s")).await.is_fault("UNAUTHENTICATED");
        app.nobody().link_with_token(token("t")).await.is_fault("UNAUTHENTICATED");
        app.promote("ann", Role::Readonly).await;
        app.pass(Duration::seconds(1));
        ann.link_with_key(key("s")).await.is_fault("FORBIDDEN");
        ann.link_with_token(token("t")).await.is_fault("FORBIDDEN");
        assert_eq!(app.last_outcome("link_with_setup_token").await, ("failed".to_owned(), Some("forbidden".to_owned())));
        assert_eq!(app.bank.script(|script| script.connects.len()), 0, "a setup token must not be spent in vain");
        assert_eq!(everything(&app).await, before);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn wherever_a_link_stands_another_key_brings_it_back_with_its_accounts() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        let link = linked(&ann, with(key("first"), "alias", "Nest egg")).await;
        app.work().await;
        let (accounts, rows) = (ann.accounts().await, ann.transaction_ids().await);
        for state in ["active", "expired", "revoked", "failed", "unlinked"] {
            match state {
                "active" => {}
                "expired" => super::expires_and_wants(&app, &ann, &link, "NEW_CREDENTIALS").await,
                "unlinked" => {
                    ann.unlink(&link, true).await.succeeds();
                }
                other => {
                    app.store.execute(&format!("UPDATE links SET status = '{other}', reason = 'credentials_rejected'")).await.unwrap();
                }
            }
            let again = ann.link_with_key(with(key("second"), "linkId", &link)).await.succeeds()["link"].clone();
            assert_eq!(again, json!({ "id": link, "status": "ACTIVE", "alias": "Nest egg" }), "{state}");
            assert_eq!(app.work().await, 1);
            assert_eq!(ann.link(&link).await["lastSync"]["status"], "SUCCEEDED");
            assert_eq!(ann.accounts().await[0]["id"], accounts[0]["id"], "{state}");
            assert_eq!((ann.accounts().await.len(), ann.transaction_ids().await), (1, rows.clone()), "{state}");
        }
        let renamed = ann.link_with_key(with(with(key("third"), "linkId", &link), "alias", "Yours")).await.succeeds();
        assert_eq!(renamed["link"]["alias"], "Yours");
        assert_eq!(ann.link(&link).await["alias"], "Yours");
        app.holds(&[("links", 1), ("credentials", 1), ("accounts", 1)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_key_that_is_refused_leaves_the_link_as_it_was_and_the_old_key_in_use() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        let link = linked(&ann, key("first")).await;
        app.work().await;
        let token_link = linked(&ann, token("t")).await;
        app.work().await;
        let before = everything(&app).await;
        let asked = app.bank.script(|script| script.connects.len());
        app.bank.script(|script| script.connect = Some(ProviderFault::Refused));
        ann.link_with_key(with(key("wrong"), "linkId", &link)).await.is_refused("KEY_REFUSED");
        app.bank.script(|script| script.connect = None);
        assert_eq!(app.bank.script(|script| script.connects.len()), asked + 1);

        let bob = app.signed_in("bob").await;
        bob.link_with_key(with(key("s"), "linkId", &link)).await.is_refused("NOT_FOUND");
        bob.link_with_token(with(token("u"), "linkId", &token_link)).await.is_refused("NOT_FOUND");
        let account = ann.accounts().await[0]["id"].as_str().unwrap().to_owned();
        for id in no_links(&link, &account) {
            ann.link_with_key(with(key("s"), "linkId", &id)).await.is_refused("NOT_FOUND");
        }
        let other = ann.link_with_key(with(key("s"), "linkId", &token_link)).await;
        is_refused(&app, &other, "LINK_PROVIDER_MISMATCH", "link_with_api_key", "other_provider").await;
        is_refused(&app, &ann.relink(&link, None).await, "LINK_METHOD_MISMATCH", "relink", "linked_by_hand").await;
        assert_eq!(app.bank.script(|script| script.connects.len()), asked + 1, "none of these asks a provider");
        assert_eq!(everything(&app).await, before);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_key_that_stopped_working_ends_the_link_and_nothing_is_renewed() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        let link = linked(&ann, key("first")).await;
        app.work().await;
        super::expires_and_wants(&app, &ann, &link, "NEW_CREDENTIALS").await;
        assert_eq!(app.bank.script(|script| script.refreshes), 0);
        let told = ann.link(&link).await;
        assert_eq!((&told["reason"], &told["lastSync"]["problem"]), (&json!("CREDENTIALS_REJECTED"), &json!("CREDENTIALS_REJECTED")));
        assert_eq!(ann.transactions().await.len(), 1);
        ann.unlink(&link, false).await.succeeds();
        assert_eq!(app.bank.script(|script| script.revoked.clone()), ["a-key-canary"]);
        app.holds(&[("credentials", 0), ("accounts", 0)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_bring_one_setup_token_at_once_one_is_linked() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let answers = futures_util::future::join_all((0..6).map(|_| ann.link_with_token(token("once")))).await;
        let taken = answers.iter().filter(|answer| answer.payload()["link"]["status"] == "ACTIVE").count();
        assert_eq!(taken, 1, "{}", app.store.name);
        for refused in answers.iter().filter(|answer| answer.payload()["link"].is_null()) {
            refused.is_refused("SETUP_TOKEN_REFUSED");
        }
        app.holds(&[("links", 1), ("credentials", 1), ("consents", 1), ("syncs", 1)]).await;
        let link = answers.iter().find_map(|answer| answer.payload()["link"]["id"].as_str().map(str::to_owned)).unwrap();
        app.work().await;
        let input = |at: usize| with(token(&format!("again-{at}")), "linkId", &link);
        let answers = futures_util::future::join_all((0..6).map(|at| ann.link_with_token(input(at)))).await;
        assert!(answers.iter().all(|answer| answer.payload()["link"]["id"] == json!(link)), "{}", app.store.name);
        app.holds(&[("links", 1), ("credentials", 1)]).await;
        assert_eq!(app.work().await, 1, "the last of them left one sync");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_out_for_a_link_that_was_taken_away_meanwhile_is_given_back() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let link = linked(&ann, token("first")).await;
        app.work().await;
        let gate = app.bank.hold_connect();
        let linking = async { ann.link_with_token(with(token("second"), "linkId", &link)).await };
        let unlinking = async {
            gate.reached().await;
            ann.unlink(&link, true).await.succeeds();
            gate.open();
        };
        let (answer, ()) = tokio::join!(linking, unlinking);
        is_refused(&app, &answer, "LINK_UNLINKED", "link_with_setup_token", "unlinked").await;
        app.holds(&[("links", 1), ("credentials", 0)]).await;
        assert_eq!(ann.link(&link).await["status"], "UNLINKED");
        let told = app.bank.script(|script| script.revoked.clone());
        assert_eq!(told, ["https://user:first-access-canary@bridge.example", "https://user:second-access-canary@bridge.example"]);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn no_value_is_told_in_an_answer_or_in_the_log() {
    for app in TestApp::on_every_store().await {
        let log = Log::capture();
        let ann = app.signed_in("ann").await;
        let mut answers = Vec::new();
        for fault in [Some(ProviderFault::Refused), Some(ProviderFault::Malformed), None] {
            app.bank.script(|script| script.connect = fault);
            answers.push(ann.link_with_key(key("a-secret-canary")).await);
            answers.push(ann.link_with_token(token("a-token-canary")).await);
        }
        answers.push(ann.link_with_key(key("a canary")).await);
        answers.push(ann.link_with_key(json!({ "provider": "keyed", "key": ["canary"], "secret": 7 })).await);
        app.work().await;
        app.store.refuse_successes().await;
        answers.push(ann.link_with_token(token("another-token-canary")).await);
        assert_eq!(answers.last().unwrap().body["errors"][0]["extensions"]["code"], "INTERNAL");
        for answer in answers {
            assert!(!answer.text.contains("canary"), "{}", answer.text);
        }
        let text = log.text();
        let told: Vec<_> = text.lines().filter(|line| line.contains("canary")).collect();
        assert!(text.contains("answered"), "the search finds what is logged");
        assert_eq!(told, [""; 0]);
        drop(log);
        for canary in ["secret-canary", "token-canary", "a-key-canary", "access-canary"] {
            assert!(!app.store.spells(canary).await, "{canary} in {}", app.store.name);
        }
    }
}

#[tokio::test]
async fn the_catalogue_says_how_each_provider_is_linked() {
    for app in TestApp::on_every_store().await {
        let data = app.signed_in("ann").await.ask("{ providers { slug linkMethod available unavailableReason } }").await.data();
        let of = |slug: &str| data["providers"].as_array().unwrap().iter().find(|provider| provider["slug"] == slug).unwrap().clone();
        assert_eq!(of("keyed"), json!({ "slug": "keyed", "linkMethod": "API_KEY", "available": true, "unavailableReason": null }));
        assert_eq!(of("tokened")["linkMethod"], "SETUP_TOKEN");
        assert_eq!(of("scripted")["linkMethod"], "OAUTH");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_when_a_token_was_claimed_is_waited_for() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let gate = app.bank.hold_connect();
        let linking = ann.link_with_token(token("a-token"));
        let away = async {
            gate.reached().await;
            drop(app.away("ann", || gate.open()).await);
        };
        let (linked, ()) = tokio::join!(linking, away);
        assert_eq!(linked.succeeds()["link"]["status"], "ACTIVE", "{}", app.store.name);
        app.holds(&[("links", 1), ("credentials", 1), ("syncs", 1), ("consents", 1)]).await;
    }
}
