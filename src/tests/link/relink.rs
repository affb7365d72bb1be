//! Linking once more: the same link, the same accounts.

use chrono::Duration;
use dashtam::{application::ports::ProviderFault, domain::user::Role};
use serde_json::json;

use crate::harness::{
    app::{FRONTEND, TestApp},
    bank::{posted, reported_account},
    client::Client,
};

use super::{everything, expires, no_links, synced};

/// Walks to the bank once more, agrees there, and syncs.
async fn agrees_again(app: &TestApp, ann: &Client<'_>, link: &str) {
    let mut walk = ann.walk_again(link, None).await;
    assert_eq!(walk.link, link);
    walk.leave().await;
    assert_eq!(walk.come_back(&[("code", "again")]).await.status, 200);
    let told = ann.link(link).await;
    assert_eq!((&told["status"], &told["reason"], &told["nextAction"]), (&json!("ACTIVE"), &json!(null), &json!(null)), "{}", app.store.name);
    assert_eq!(app.work().await, 1);
    assert_eq!(ann.link(link).await["lastSync"]["status"], "SUCCEEDED");
}

#[tokio::test]
async fn wherever_a_link_stands_it_comes_back_with_the_accounts_it_had() {
    for app in TestApp::on_every_store().await {
        for state in ["expired", "revoked", "failed", "unlinked", "active"] {
            let shoes = posted("x", "2026-11-20", -900, "Shoes");
            let (ann, link) = synced(&app, vec![shoes.clone()]).await;
            ann.rename_link(&link, Some("Main bank")).await.succeeds();
            let (accounts, rows) = (ann.accounts().await, ann.transaction_ids().await);
            match state {
                "unlinked" => drop(ann.unlink(&link, true).await.succeeds()),
                "active" => {}
                "expired" => expires(&app, &ann, &link).await,
                state => {
                    expires(&app, &ann, &link).await;
                    app.store.execute(&format!("UPDATE links SET status = '{state}'")).await.unwrap();
                }
            }
            app.bank.reports(vec![shoes, posted("y", "2026-11-22", -500, "Socks")]);
            agrees_again(&app, &ann, &link).await;
            assert_eq!(ann.accounts().await, accounts, "{state}, {}: the same accounts, open, and no others", app.store.name);
            let after = ann.transaction_ids().await;
            assert_eq!((after.len(), &after[1..]), (2, rows.as_slice()), "{state}");
            assert_eq!(ann.link(&link).await["alias"], "Main bank");
            app.holds(&[("links", 1), ("credentials", 1), ("consents", 2), ("accounts", 1)]).await;
            app.store.execute("DELETE FROM links").await.unwrap();
            app.store.execute("DELETE FROM consents").await.unwrap();
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn the_bank_is_told_that_the_consent_which_was_replaced_is_over() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        agrees_again(&app, &ann, &link).await;
        assert_eq!(app.bank.script(|script| std::mem::take(&mut script.revoked)), ["first-refresh-canary"], "{}", app.store.name);
        assert_eq!(app.last_outcome("revoke_consent").await, ("succeeded".to_owned(), None));
        // A bank that does not want to know keeps nobody from linking.
        app.bank.script(|script| script.revoke_fault = Some(ProviderFault::ServerError));
        agrees_again(&app, &ann, &link).await;
        assert_eq!(app.last_outcome("revoke_consent").await, ("failed".to_owned(), Some("provider_error".to_owned())));
        // What the bank refuses already is over.
        expires(&app, &ann, &link).await;
        let before = app.outcomes("revoke_consent").await.len();
        agrees_again(&app, &ann, &link).await;
        assert_eq!(app.outcomes("revoke_consent").await.len(), before);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn one_whose_data_was_removed_begins_from_nothing() {
    for app in TestApp::on_every_store().await {
        let rows = vec![posted("x", "2026-11-20", -900, "Shoes"), posted("o", "2025-06-01", -100, "Old")];
        let (ann, link) = synced(&app, rows).await;
        let before = (ann.accounts().await, ann.transaction_ids().await);
        ann.unlink(&link, false).await.succeeds();
        agrees_again(&app, &ann, &link).await;
        assert_eq!((ann.accounts().await.len(), ann.transaction_ids().await.len()), (1, 2), "all of its history came again");
        assert_ne!(ann.accounts().await[0]["id"], before.0[0]["id"], "what was removed stays removed");
        assert!(ann.transaction_ids().await.iter().all(|id| !before.1.contains(id)));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn one_that_was_begun_and_left_can_be_gone_on_with() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![]);
        let ann = app.signed_in("ann").await;
        let lost = ann.walk(None).await;
        app.pass(Duration::minutes(10));
        let ann = app.signed_in("ann").await;
        assert_eq!(ann.link(&lost.link).await["nextAction"], "AUTHORIZE");
        lost.look().await.is_page(410);
        agrees_again(&app, &ann, &lost.link).await;
        app.holds(&[("links", 1)]).await;
    }
}

#[tokio::test]
async fn a_no_at_the_bank_takes_nothing_from_a_link_that_works_or_was_unlinked() {
    for app in TestApp::on_every_store().await {
        for (state, after) in [("active", "ACTIVE"), ("unlinked", "UNLINKED"), ("expired", "FAILED")] {
            let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
            match state {
                "active" => {}
                "unlinked" => drop(ann.unlink(&link, true).await.succeeds()),
                _ => expires(&app, &ann, &link).await,
            }
            for fault in [None, Some(ProviderFault::Refused)] {
                let kept = [app.store.contents("credentials").await, app.store.contents("accounts").await, app.store.contents("syncs").await];
                let mut walk = ann.walk_again(&link, Some(FRONTEND)).await;
                walk.leave().await;
                app.bank.script(|script| script.exchange = fault);
                let answer: &[(&str, &str)] = if fault.is_some() { &[("code", "a-code")] } else { &[("error", "access_denied")] };
                let (_, query) = walk.come_back(answer).await.redirects();
                let reason = if fault.is_some() { "exchange_refused" } else { "access_denied" };
                assert_eq!((query["status"].as_str(), query["reason"].as_str()), ("failed", reason));
                let told = ann.link(&link).await;
                let shown = if after == "FAILED" { json!(reason.to_uppercase()) } else { json!(null) };
                assert_eq!((&told["status"], &told["reason"]), (&json!(after), &shown), "{state}, {}", app.store.name);
                assert_eq!(kept, [app.store.contents("credentials").await, app.store.contents("accounts").await, app.store.contents("syncs").await]);
                walk.come_back(&[("code", "again")]).await.redirects();
                assert_eq!(app.last_outcome("complete_link").await, ("failed".to_owned(), Some("spent_state".to_owned())));
                app.bank.script(|script| script.exchange = None);
            }
            app.store.execute("DELETE FROM links").await.unwrap();
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn other_accounts_at_the_bank_are_other_accounts_here() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        expires(&app, &ann, &link).await;
        app.bank.script(|script| script.accounts = vec![(reported_account("999", 1), vec![])]);
        agrees_again(&app, &ann, &link).await;
        let accounts = ann.accounts().await;
        assert_eq!(accounts.iter().map(|account| account["isActive"].clone()).collect::<Vec<_>>(), [json!(false), json!(true)]);
        assert_eq!(ann.transactions().await.len(), 1, "what is no longer reported keeps its rows");
    }
}

#[tokio::test]
async fn what_cannot_be_linked_once_more_is_refused_and_leaves_no_walk() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        let bob = app.signed_in("bob").await;
        let account = ann.accounts().await[0]["id"].as_str().unwrap().to_owned();
        ann.import("a.ofx", include_str!("../fixtures/ofx/checking-sgml.ofx"), None).await.succeeds();
        let files = ann.accounts().await[1]["link"]["id"].as_str().unwrap().to_owned();
        let before = everything(&app).await;
        let refusal = |reason: &str| ("failed".to_owned(), Some(reason.to_owned()));
        ann.relink(&files, None).await.is_refused("LINK_NOT_RELINKABLE");
        assert_eq!(app.last_outcome("relink").await, refusal("not_relinkable"));
        ann.relink(&link, Some("https://app.example.evil/linked")).await.is_refused("RETURN_URL_NOT_ALLOWED");
        assert_eq!(app.last_outcome("relink").await, refusal("return_url_not_allowed"));
        bob.relink(&link, None).await.is_refused("NOT_FOUND");
        for id in no_links(&link, &account) {
            ann.relink(&id, None).await.is_refused("NOT_FOUND");
            assert_eq!(app.last_outcome("relink").await, refusal("not_found"));
        }
        app.nobody().relink(&link, None).await.is_fault("UNAUTHENTICATED");
        app.promote("ann", Role::Readonly).await;
        app.pass(Duration::seconds(1));
        ann.relink(&link, None).await.is_fault("FORBIDDEN");
        assert_eq!(app.last_outcome("relink").await, refusal("forbidden"));
        assert_eq!(before, everything(&app).await);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_walks_that_end_at_once_one_that_was_agreed_to_counts() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        for round in 0..3 {
            expires(&app, &ann, &link).await;
            let mut walks = Vec::new();
            for _ in 0..6 {
                let mut walk = ann.walk_again(&link, None).await;
                walk.leave().await;
                walks.push(walk);
            }
            let answers = walks.iter().enumerate().map(|(at, walk)| {
                let query: &[(&str, &str)] = if at % 3 == 0 { &[("code", "a-code")] } else { &[("error", "access_denied")] };
                walk.come_back(query)
            });
            let answers = futures_util::future::join_all(answers).await;
            assert!(answers.iter().all(|answer| answer.status == 200), "{}", app.store.name);
            assert_eq!(ann.link(&link).await["status"], "ACTIVE", "{}, round {round}", app.store.name);
            app.holds(&[("links", 1), ("credentials", 1)]).await;
            assert_eq!(app.work().await, 1, "the last of them left one sync");
            assert_eq!(ann.link(&link).await["lastSync"]["status"], "SUCCEEDED");
        }
        assert_eq!((ann.accounts().await.len(), ann.transactions().await.len()), (1, 1));
        app.every_attempt_ended_once().await;
    }
}

/// A worker is at a sync with the tokens of the older consent.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_under_way_neither_writes_nor_ends_the_link_that_was_linked_once_more() {
    for app in TestApp::on_every_store().await {
        for bank_refuses in [false, true] {
            for unlinked_first in [false, true] {
                let shoes = vec![posted("x", "2026-11-20", -900, "Shoes")];
                let (ann, link) = synced(&app, shoes.clone()).await;
                ann.sync(&link, true).await.succeeds();
                let gate = app.bank.hold_page(0);
                let worker = app.worker();
                gate.reached().await;
                if unlinked_first {
                    ann.unlink(&link, false).await.succeeds();
                }
                let mut walk = ann.walk_again(&link, None).await;
                walk.leave().await;
                assert_eq!(walk.come_back(&[("code", "again")]).await.status, 200);
                let credentials = app.store.contents("credentials").await;
                if bank_refuses {
                    app.bank.refuse_page(0, ProviderFault::Refused);
                }
                gate.open();
                assert!(worker.await.unwrap());
                app.bank.script(|script| script.page_fault = None);
                assert_eq!(app.store.contents("credentials").await, credentials, "{}: the newer tokens stay", app.store.name);
                let told = ann.link(&link).await;
                assert_eq!((&told["status"], &told["lastSync"]["status"]), (&json!("ACTIVE"), &json!("QUEUED")));
                let rows = i64::from(!unlinked_first);
                app.holds(&[("accounts", rows), ("transactions", rows)]).await;
                assert_eq!(app.outcomes("sync_link").await.last().unwrap().1.as_deref(), Some("taken_over"));
                let ended = app.store.query("SELECT problem FROM syncs WHERE status = 'failed' ORDER BY created_at DESC, id DESC LIMIT 1").await;
                let problem: String = ended[0].try_get("", "problem").unwrap();
                assert_eq!(problem, if unlinked_first { "link_ended" } else { "superseded" });
                assert_eq!(app.work().await, 1);
                assert_eq!((ann.accounts().await.len(), ann.transactions().await.len()), (1, 1));
                app.store.execute("DELETE FROM links").await.unwrap();
            }
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_frontend_that_catches_the_redirect_links_once_more_too() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        let bob = app.signed_in("bob").await;
        expires(&app, &ann, &link).await;
        let walk = ann.walk_again(&link, Some(FRONTEND)).await;
        bob.complete(&walk.state, "a-code").await.is_refused("STATE_INVALID");
        let walk = ann.walk_again(&link, Some(FRONTEND)).await;
        let told = ann.complete(&walk.state, "a-code").await.succeeds()["link"].clone();
        assert_eq!(told, json!({ "id": link, "status": "ACTIVE" }));
        app.holds(&[("links", 1)]).await;
        app.every_attempt_ended_once().await;
    }
}
