//! Coming back from the bank: every way it can end.

use chrono::Duration;
use dashtam::application::ports::ProviderFault;

use crate::harness::app::{FRONTEND, TestApp};

use super::{came_to_nothing, failed_for, is_active, is_spent, nothing_is_stored};

/// Answers of a bank that make no link, with the link's reason.
const REFUSALS: [(&[(&str, &str)], &str); 10] = [
    (&[("error", "access_denied")], "access_denied"),
    (&[("error", "access_denied"), ("code", "a-code")], "access_denied"),
    (&[("error", "server_error")], "provider_error"),
    (&[("error", "<script>alert(1)</script>"), ("error_description", "<script>")], "provider_error"),
    (&[("error", "")], "missing_code"),
    (&[("code", "")], "missing_code"),
    (&[("code", " ")], "missing_code"),
    (&[], "missing_code"),
    (&[("code", "a-code"), ("iss", "https://evil.example")], "wrong_issuer"),
    (&[("code", "a-code"), ("error", "access_denied"), ("error", "again")], "access_denied"),
];

/// How an exchange fails, with the link's reason.
const FAULTS: [(ProviderFault, &str); 7] = [
    (ProviderFault::Refused, "exchange_refused"),
    (ProviderFault::Unreachable, "provider_unreachable"),
    (ProviderFault::ServerError, "provider_error"),
    (ProviderFault::RateLimited { retry_after: Some(30) }, "rate_limited"),
    (ProviderFault::AppRefused, "app_rejected"),
    (ProviderFault::Malformed, "malformed_answer"),
    (ProviderFault::Incomplete, "incomplete_answer"),
];

#[tokio::test]
async fn an_agreement_makes_the_link_active_and_seals_what_the_bank_gave() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk(None).await;
        walk.leave().await;
        let page = walk.come_back(&[("code", "a%40code@"), ("iss", "https://bank.example"), ("session", "x")]).await;
        page.is_page(200);
        assert!(page.text.contains("class=\"good\"") && page.text.contains("Scripted &#60;b&#62;Bank"), "{}", page.text);
        assert!(page.header("set-cookie").contains("Max-Age=0"));
        is_active(&app, &ann, &walk.link).await;
        assert_eq!(app.bank.script(|script| script.exchanges.clone()), ["a%40code@"], "a code is decoded once");
        for canary in ["first-access-canary", "first-refresh-canary", "a%40code@", &walk.state] {
            assert!(!app.store.spells(canary).await, "{canary} in {}", app.store.name);
        }
        is_spent(&app, &ann, &walk).await;
        assert_eq!(ann.link(&walk.link).await["status"], "ACTIVE", "a spent state fails nothing");
    }
}

#[tokio::test]
async fn an_agreement_leads_back_to_the_frontend_with_the_link() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk(Some("https://app.example/linked?from=dashtam")).await;
        walk.leave().await;
        let (address, query) = walk.come_back(&[("code", "a-code")]).await.redirects();
        assert_eq!(address, FRONTEND);
        assert_eq!((query.len(), query["from"].as_str(), query["status"].as_str(), &query["link"]), (3, "dashtam", "active", &walk.link));
        is_active(&app, &ann, &walk.link).await;
    }
}

#[tokio::test]
async fn a_refusal_of_the_bank_leaves_a_failed_link_and_nothing_else() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for (query, reason) in REFUSALS {
            let mut walk = ann.walk(None).await;
            walk.leave().await;
            walk.come_back(query).await.is_page(200);
            came_to_nothing(&app, &ann, &walk, reason).await;
        }
        assert!(app.bank.script(|script| script.exchanges.is_empty()));
    }
}

#[tokio::test]
async fn a_refusal_of_the_bank_leads_back_to_the_frontend_with_its_reason() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for (query, reason) in REFUSALS {
            let mut walk = ann.walk(Some(FRONTEND)).await;
            walk.leave().await;
            let (address, query) = walk.come_back(query).await.redirects();
            assert_eq!((address.as_str(), query.len(), query["status"].as_str(), query["reason"].as_str()), (FRONTEND, 2, "failed", reason));
            came_to_nothing(&app, &ann, &walk, reason).await;
        }
    }
}

#[tokio::test]
async fn an_exchange_that_fails_leaves_a_failed_link_and_is_not_tried_again() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for (fault, reason) in FAULTS {
            app.bank.script(|script| (script.exchange, script.exchanges) = (Some(fault), Vec::new()));
            let mut walk = ann.walk(None).await;
            walk.leave().await;
            walk.come_back(&[("code", "a-code")]).await.is_page(200);
            came_to_nothing(&app, &ann, &walk, reason).await;
            assert_eq!(app.bank.script(|script| script.exchanges.len()), 1);
        }
    }
}

#[tokio::test]
async fn an_answer_that_nothing_has_come_of_yet_says_to_begin_once_more() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk(None).await;
        walk.leave().await;
        let gate = app.bank.hold_exchange();
        let walk = &walk;
        let again = async {
            gate.reached().await;
            let again = walk.come_back(&[("code", "a-code")]).await;
            gate.open();
            again
        };
        let (first, again) = tokio::join!(walk.come_back(&[("code", "a-code")]), again);
        first.is_page(200);
        assert!(again.status == 409 && again.text.contains("begin once more"), "{}", again.text);
        assert!(!walk.come_back(&[("code", "a-code")]).await.text.contains("begin once more"), "it has an outcome by now");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn an_answer_without_a_state_of_ours_changes_nothing_and_is_on_the_trail() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk(None).await;
        walk.leave().await;
        let long = "s".repeat(7_000);
        let answers: [&[(&str, &str)]; 6] = [
            &[],
            &[("code", "a-code")],
            &[("state", ""), ("code", "a-code")],
            &[("state", "\"><script>alert(1)</script>"), ("code", "<script>"), ("error", "<script>")],
            &[("state", long.as_str()), ("code", "a-code")],
            &[("state", "first"), ("state", walk.state.as_str()), ("code", "a-code")],
        ];
        for (at, query) in answers.into_iter().enumerate() {
            walk.come_back_to("/oauth/scripted/callback", query).await.is_page(400);
            let outcomes = app.outcomes("complete_link").await;
            assert_eq!((outcomes.len(), outcomes.last().unwrap().1.as_deref()), (at + 1, Some("unknown_state")));
        }
        walk.come_back_to("/oauth/nobank/callback", &[("code", "a-code")]).await.is_page(400);
        assert_eq!(app.outcomes("complete_link").await.len(), 7, "a callback of no bank of ours is on the trail too");
        nothing_is_stored(&app).await;
        app.every_attempt_ended_once().await;
        walk.come_back(&[("code", "a-code")]).await.is_page(200);
        is_active(&app, &ann, &walk.link).await;
    }
}

#[tokio::test]
async fn an_answer_at_another_banks_callback_spends_the_state_and_reaches_neither_bank() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for path in ["/oauth/sandbox/callback", "/oauth/nobank/callback", "/oauth/%3Cscript%3E/callback"] {
            let mut walk = ann.walk(None).await;
            walk.leave().await;
            walk.come_back_to(path, &[("state", &walk.state), ("code", "a-code")]).await.is_page(200);
            came_to_nothing(&app, &ann, &walk, "wrong_issuer").await;
        }
        assert!(app.bank.script(|script| script.exchanges.is_empty()));
    }
}

#[tokio::test]
async fn an_answer_counts_for_ten_minutes() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let mut late = ann.walk(None).await;
        late.leave().await;
        app.pass(Duration::minutes(10));
        late.come_back(&[("code", "a-code")]).await.is_page(200);
        came_to_nothing(&app, &ann, &late, "timed_out").await;

        let mut caught = ann.walk(Some(FRONTEND)).await;
        caught.leave().await;
        app.pass(Duration::minutes(10));
        let ann = app.signed_in("ann").await;
        ann.complete(&caught.state, "a-code").await.is_refused("LINK_FAILED");
        came_to_nothing(&app, &ann, &caught, "timed_out").await;

        let mut walk = ann.walk(None).await;
        walk.leave().await;
        app.pass(Duration::minutes(10) - Duration::microseconds(1));
        walk.come_back(&[("code", "a-code")]).await.is_page(200);
        is_active(&app, &ann, &walk.link).await;
    }
}

#[tokio::test]
async fn an_answer_in_another_browser_is_refused_and_spent_when_no_frontend_can_confirm_it() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let mut others = ann.walk(None).await;
        others.leave().await;
        for cookie in
            [None, others.cookie.clone(), Some("dashtam-link=".to_owned()), Some("dashtam-link=wrong".to_owned()), Some("__Host-dashtam-link=x".to_owned())]
        {
            let mut walk = ann.walk(None).await;
            walk.leave().await;
            let own = std::mem::replace(&mut walk.cookie, cookie);
            let page = walk.come_back(&[("code", "a-code")]).await;
            page.is_page(403);
            assert!(page.text.contains("not the browser you started in"), "{}", page.text);
            failed_for(&app, &ann, &walk.link, "wrong_browser").await;
            walk.cookie = own;
            came_to_nothing(&app, &ann, &walk, "wrong_browser").await;
        }
        assert!(app.bank.script(|script| script.exchanges.is_empty()));
    }
}

#[tokio::test]
async fn an_answer_in_another_browser_goes_to_the_frontend_where_the_beginner_confirms_it() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk(Some(FRONTEND)).await;
        let began = walk.state.clone();
        walk.leave().await;
        assert_eq!(walk.state, began, "both ways to the bank are one walk");
        walk.cookie = None;
        let (address, query) = walk.come_back(&[("code", "a-code&x=<b>")]).await.redirects();
        assert_eq!((address.as_str(), query.len()), (FRONTEND, 3));
        assert_eq!((query["status"].as_str(), query["state"].as_str(), query["code"].as_str()), ("confirm", walk.state.as_str(), "a-code&x=<b>"));
        assert_eq!(app.last_outcome("complete_link").await, ("failed".to_owned(), Some("other_browser".to_owned())));
        assert!(app.bank.script(|script| script.exchanges.is_empty()));
        nothing_is_stored(&app).await;
        assert_eq!(ann.link(&walk.link).await["status"], "PENDING");

        ann.complete(&query["state"], &query["code"]).await.succeeds();
        is_active(&app, &ann, &walk.link).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_answers_that_come_at_once_one_reaches_the_bank() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk(None).await;
        walk.leave().await;
        let answers = futures_util::future::join_all((0..8).map(|_| walk.come_back(&[("code", "a-code")]))).await;
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409], "{}", app.store.name);
        assert_eq!(app.bank.script(|script| script.exchanges.len()), 1);
        assert_eq!(ann.link(&walk.link).await["status"], "ACTIVE");
        app.holds(&[("credentials", 1), ("syncs", 1)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_comes_while_the_code_is_exchanged_takes_the_link_away() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let mut walk = ann.walk(None).await;
        walk.leave().await;
        let gate = app.bank.hold_exchange();
        let meanwhile = async {
            gate.reached().await;
            walk.come_back(&[("error", "access_denied")]).await.is_page(409);
            bob.complete(&walk.state, "a-code").await.is_refused("STATE_INVALID");
            assert_eq!(ann.link(&walk.link).await["status"], "PENDING");
            gate.open();
        };
        let (page, ()) = tokio::join!(walk.come_back(&[("code", "a-code")]), meanwhile);
        page.is_page(200);
        is_active(&app, &ann, &walk.link).await;
    }
}
