//! Taking a link away, with and without what came through it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use chrono::Duration;
use dashtam::{application::ports::ProviderFault, domain::user::Role};
use serde_json::{Value, json};

use crate::harness::{
    app::{FRONTEND, TestApp},
    bank::posted,
    client::Client,
};

use super::{everything, expires, no_links, synced};

const STATEMENT: &str = include_str!("../fixtures/ofx/checking-sgml.ofx");

/// Whether each consent of one's own was withdrawn, oldest first.
async fn withdrawn(client: &Client<'_>) -> Vec<bool> {
    let data = client.ask("{ viewer { consents(first: 100) { nodes { withdrawnAt } } } }").await.data();
    data["viewer"]["consents"]["nodes"].as_array().unwrap().iter().map(|consent| !consent["withdrawnAt"].is_null()).collect()
}

/// The link was taken away, and everything that could bring something in with it.
async fn is_gone(app: &TestApp, ann: &Client<'_>, link: &str) {
    let told = ann.link(link).await;
    let shown = (&told["status"], &told["reason"], &told["nextAction"], &told["consent"]["expiresAt"]);
    assert_eq!(shown, (&json!("UNLINKED"), &Value::Null, &Value::Null, &Value::Null), "{}", app.store.name);
    app.holds(&[("credentials", 0), ("authorizations", 0)]).await;
    ann.sync(link, true).await.is_refused("LINK_NOT_ACTIVE");
    app.pass(Duration::hours(2));
    assert_eq!(app.work().await, 0, "nothing is fetched any more");
}

#[tokio::test]
async fn what_is_kept_can_be_read_and_counts_no_more() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        let (accounts, rows) = (ann.accounts().await, ann.transactions().await);
        let told = ann.unlink(&link, true).await.succeeds()["link"].clone();
        assert_eq!(told, json!({ "id": link, "status": "UNLINKED", "reason": null, "nextAction": null }));
        let closed = ann.accounts().await;
        assert_eq!((closed.len(), &closed[0]["id"], &closed[0]["isActive"]), (1, &accounts[0]["id"], &json!(false)));
        assert_eq!(closed[0]["balances"], accounts[0]["balances"]);
        assert_eq!(ann.transactions().await, rows);
        assert_eq!(ann.link(&link).await["freshness"]["state"], "STALE");
        assert_eq!(withdrawn(&ann).await, [true]);
        assert_eq!(app.bank.script(|script| script.revoked.clone()), ["first-refresh-canary"], "the bank is told, once");
        for act in ["unlink", "revoke_consent"] {
            assert_eq!(app.outcomes(act).await, [("succeeded".to_owned(), None)]);
        }
        is_gone(&app, &ann, &link).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_is_not_kept_is_removed_and_nothing_of_anything_else() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes"), posted("t", "2026-11-21", -100, "Taken back")]).await;
        let other = ann.link_scripted().await;
        app.work().await;
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        let bob = app.signed_in("bob").await;
        let bobs = bob.link_scripted().await;
        app.work().await;
        let of =
            async |client: &Client<'_>, link: &str| client.accounts().await.into_iter().filter(|account| account["link"]["id"] == link).collect::<Vec<_>>();
        let (gone, kept, theirs) = (of(&ann, &link).await, of(&ann, &other).await, (of(&bob, &bobs).await, bob.transactions().await));
        assert_eq!((gone.len(), kept.len(), app.count("transactions").await), (1, 1, 5), "two here, one of them taken back, two in the other link");
        let changes = "query($after: String) { viewer { changes(after: $after, first: 100) { added { id } modified { id } removed endCursor latestCursor } } }";
        let before = ann.ask_with(changes, json!({})).await.data()["viewer"]["changes"]["endCursor"].clone();
        let rows = ann.transaction_ids().await;

        ann.unlink(&link, false).await.succeeds();
        assert!(of(&ann, &link).await.is_empty());
        assert_eq!(of(&ann, &other).await, kept);
        assert_eq!((of(&bob, &bobs).await, bob.transactions().await), theirs);
        app.holds(&[("links", 3), ("accounts", 2), ("transactions", 3), ("transaction_references", 3), ("credentials", 2)]).await;
        let snapshots = app.store.query("SELECT COUNT(*) AS n FROM balance_snapshots WHERE account_id NOT IN (SELECT id FROM accounts)").await;
        assert_eq!(snapshots[0].try_get::<i64>("", "n").unwrap(), 0);
        let told = ann.link(&link).await;
        assert_eq!((&told["coverage"], &told["freshness"]), (&json!({ "from": null, "to": null }), &json!({ "state": "NEVER", "syncedAt": null })));
        let left = ann.transaction_ids().await;
        let mut expected: Vec<_> = rows.into_iter().filter(|id| !left.contains(id)).chain([gone[0]["id"].as_str().unwrap().to_owned()]).collect();
        let told = ann.ask_with(changes, json!({ "after": before })).await.data()["viewer"]["changes"].clone();
        let mut removed: Vec<_> = told["removed"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        removed.sort();
        expected.sort();
        assert_eq!((removed, &told["added"], &told["modified"]), (expected, &json!([]), &json!([{ "id": link }])), "who follows hears of it, and once");
        assert_eq!(app.last_outcome("unlink").await, ("succeeded".to_owned(), None));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_was_kept_can_be_removed_later_and_then_there_is_nothing_to_take_away() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        ann.unlink(&link, true).await.succeeds();
        let kept = everything(&app).await;
        ann.unlink(&link, true).await.is_refused("LINK_UNLINKED");
        assert_eq!(app.last_outcome("unlink").await, ("failed".to_owned(), Some("unlinked".to_owned())));
        assert_eq!(everything(&app).await, kept);
        ann.unlink(&link, false).await.succeeds();
        app.holds(&[("accounts", 0), ("transactions", 0), ("transaction_references", 0), ("balance_snapshots", 0), ("links", 1), ("consents", 1)]).await;
        let gone = everything(&app).await;
        for keep_data in [true, false] {
            ann.unlink(&link, keep_data).await.is_refused("LINK_UNLINKED");
        }
        assert_eq!(everything(&app).await, gone);
        assert_eq!(app.bank.script(|script| script.revoked.len()), 1);
        assert_eq!(app.outcomes("revoke_consent").await.len(), 1, "nobody is told twice");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn any_link_can_be_taken_away_and_a_walk_that_was_under_way_brings_none_back() {
    for app in TestApp::on_every_store().await {
        for keep_data in [true, false] {
            let (ann, link) = synced(&app, vec![]).await;
            expires(&app, &ann, &link).await;
            let mut again = ann.walk_again(&link, None).await;
            again.leave().await;
            ann.unlink(&link, keep_data).await.succeeds();
            again.come_back(&[("code", "a-code")]).await.is_page(400);
            is_gone(&app, &ann, &link).await;

            let ann = app.signed_in("ann").await;
            for reason in [None, Some("access_denied")] {
                let mut walk = ann.walk(Some(FRONTEND)).await;
                if let Some(error) = reason {
                    walk.leave().await;
                    walk.come_back(&[("error", error)]).await.redirects();
                }
                ann.unlink(&walk.link, keep_data).await.succeeds();
                walk.look().await.is_page(410);
                ann.complete(&walk.state, "a-code").await.is_refused("STATE_INVALID");
                assert_eq!(ann.link(&walk.link).await["status"], "UNLINKED");
            }
            app.holds(&[("credentials", 0), ("authorizations", 0)]).await;
        }
        assert!(app.bank.script(|script| script.exchanges.iter().all(|code| code == "a-code") && script.exchanges.len() == 2));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_bank_that_cannot_be_told_keeps_nobody_from_it() {
    for app in TestApp::on_every_store().await {
        let faults = [
            (ProviderFault::Unreachable, "provider_unreachable"),
            (ProviderFault::ServerError, "provider_error"),
            (ProviderFault::RateLimited { retry_after: Some(9) }, "rate_limited"),
            (ProviderFault::Refused, "credentials_rejected"),
        ];
        for (fault, reason) in faults {
            let (ann, link) = synced(&app, vec![]).await;
            app.bank.script(|script| script.revoke_fault = Some(fault));
            ann.unlink(&link, false).await.succeeds();
            assert_eq!(app.last_outcome("unlink").await, ("succeeded".to_owned(), None));
            assert_eq!(app.last_outcome("revoke_consent").await, ("failed".to_owned(), Some(reason.to_owned())), "{fault:?}");
            assert_eq!(ann.link(&link).await["status"], "UNLINKED");
            app.holds(&[("credentials", 0)]).await;
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_cannot_be_committed_takes_nothing_away_and_tells_nobody() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        let before = everything(&app).await;
        app.store.refuse_successes().await;
        for keep_data in [true, false] {
            ann.unlink(&link, keep_data).await.is_fault("INTERNAL");
        }
        assert_eq!(everything(&app).await, before);
        assert!(app.bank.script(|script| script.revoked.is_empty()));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn only_ones_own_links_are_taken_away_and_not_by_readers() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        let bob = app.signed_in("bob").await;
        let account = ann.accounts().await[0]["id"].as_str().unwrap().to_owned();
        let before = everything(&app).await;
        for keep_data in [true, false] {
            bob.unlink(&link, keep_data).await.is_refused("NOT_FOUND");
            for id in no_links(&link, &account) {
                ann.unlink(&id, keep_data).await.is_refused("NOT_FOUND");
                assert_eq!(app.last_outcome("unlink").await, ("failed".to_owned(), Some("not_found".to_owned())));
            }
            app.nobody().unlink(&link, keep_data).await.is_fault("UNAUTHENTICATED");
        }
        ann.mutate("unlink", "link { id }", json!({ "linkId": link })).await.never_ran("GRAPHQL_VALIDATION_FAILED");
        app.promote("bob", Role::Admin).await;
        app.promote("ann", Role::Readonly).await;
        app.pass(Duration::seconds(1));
        bob.unlink(&link, false).await.is_refused("NOT_FOUND");
        ann.unlink(&link, false).await.is_fault("FORBIDDEN");
        assert_eq!(app.last_outcome("unlink").await, ("failed".to_owned(), Some("forbidden".to_owned())));
        assert_eq!(before, everything(&app).await);
        assert!(app.bank.script(|script| script.revoked.is_empty()));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_in_the_middle_brings_nothing_back() {
    for app in TestApp::on_every_store().await {
        for keep_data in [true, false] {
            let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
            app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes"), posted("y", "2026-11-21", -500, "Socks")]);
            ann.sync(&link, true).await.succeeds();
            let gate = app.bank.hold_page(0);
            let worker = app.worker();
            gate.reached().await;
            ann.unlink(&link, keep_data).await.succeeds();
            let after = everything(&app).await;
            gate.open();
            assert!(worker.await.unwrap());
            assert_eq!(everything(&app).await, after, "{}, kept {keep_data}", app.store.name);
            let told = ann.link(&link).await["lastSync"].clone();
            assert_eq!((&told["status"], &told["problem"]), (&json!("FAILED"), &json!("LINK_ENDED")));
            assert_eq!(app.last_outcome("sync_link").await, ("failed".to_owned(), Some("link_ended".to_owned())));
            is_gone(&app, &ann, &link).await;
            app.store.execute("DELETE FROM links").await.unwrap();
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_sync_that_waits_for_its_next_try_is_not_tried() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        app.bank.script(|script| script.accounts_fault = Some(ProviderFault::Unreachable));
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        assert_eq!(ann.link(&link).await["lastSync"]["status"], "QUEUED");
        ann.unlink(&link, true).await.succeeds();
        assert_eq!(ann.link(&link).await["lastSync"]["problem"], "LINK_ENDED");
        is_gone(&app, &ann, &link).await;
    }
}

/// Workers of two processes bring in what a third request takes away: whatever comes first, nothing is left.
#[tokio::test(flavor = "multi_thread")]
async fn workers_and_unlinking_at_once_leave_nothing() {
    for app in TestApp::on_every_store().await {
        let other = app.beside().await;
        for round in 0..8 {
            app.bank.reports((0..200).map(|row| posted(&format!("r{row}"), "2026-11-20", -100 - row, "Coffee")).collect());
            let ann = app.signed_in("ann").await;
            let link = ann.link_scripted().await;
            let engine = other.engine.clone();
            let elsewhere = tokio::spawn(async move { engine.run_next().await.unwrap() });
            tokio::time::sleep(std::time::Duration::from_millis(round * 3)).await;
            let (unlinked, here, elsewhere) = tokio::join!(ann.unlink(&link, false), app.worker(), elsewhere);
            unlinked.succeeds();
            assert!(!(here.unwrap() && elsewhere.unwrap()), "one job is one worker's");
            app.work().await;
            app.holds(&[("accounts", 0), ("transactions", 0), ("transaction_references", 0), ("balance_snapshots", 0), ("credentials", 0)]).await;
            assert_eq!(ann.link(&link).await["status"], "UNLINKED", "{}", app.store.name);
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn whoever_thinks_better_of_linking_it_once_more_does_not_find_it_linked() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        ann.unlink(&link, false).await.succeeds();
        let walk = ann.walk_again(&link, Some(FRONTEND)).await;
        ann.unlink(&link, false).await.is_refused("LINK_UNLINKED");
        ann.complete(&walk.state, "a-code").await.is_refused("STATE_INVALID");
        is_gone(&app, &ann, &link).await;
        assert_eq!(app.bank.script(|script| script.exchanges.len()), 1, "the code is not exchanged");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_take_it_away_one_does() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        let second = app.second_process().await;
        let elsewhere = app.nobody().bearing(ann.access_token.as_deref().unwrap()).at(&second);
        let answers =
            futures_util::future::join_all((0..8).map(|at| if at % 2 == 0 { ann.unlink(&link, false) } else { elsewhere.unlink(&link, false) })).await;
        let done = answers.iter().filter(|answer| answer.payload()["link"].is_object()).count();
        assert_eq!(done, 1, "{}", app.store.name);
        for refused in answers.iter().filter(|answer| answer.payload()["link"].is_null()) {
            refused.is_refused("LINK_UNLINKED");
        }
        assert_eq!(app.bank.script(|script| script.revoked.len()), 1);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_agrees_while_the_link_is_taken_away_gets_its_tokens_back() {
    for app in TestApp::on_every_store().await {
        for return_url in [None, Some(FRONTEND)] {
            let ann = app.signed_in("ann").await;
            let mut walk = ann.walk(return_url).await;
            walk.leave().await;
            let gate = app.bank.hold_exchange();
            let (answer, ()) = tokio::join!(walk.come_back(&[("code", "a-code")]), async {
                gate.reached().await;
                ann.unlink(&walk.link, true).await.succeeds();
                gate.open();
            });
            match return_url {
                None => answer.is_page(409),
                Some(_) => assert_eq!(answer.redirects().1["reason"], "unlinked"),
            }
            assert_eq!(app.last_outcome("complete_link").await, ("failed".to_owned(), Some("unlinked".to_owned())));
            assert_eq!(app.bank.script(|script| std::mem::take(&mut script.revoked)), ["first-refresh-canary"], "{}", app.store.name);
            assert_eq!(ann.link(&walk.link).await["status"], "UNLINKED");
            app.holds(&[("credentials", 0), ("consents", 0), ("syncs", 0)]).await;
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn files_that_come_in_later_open_their_link_again() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.import("a.ofx", STATEMENT, None).await.succeeds();
        let account = ann.accounts().await[0].clone();
        let (link, rows) = (account["link"]["id"].as_str().unwrap().to_owned(), ann.transaction_ids().await);
        ann.unlink(&link, true).await.succeeds();
        assert_eq!(ann.accounts().await[0]["isActive"], false);
        assert!(app.bank.script(|script| script.revoked.is_empty()) && app.outcomes("revoke_consent").await.is_empty(), "nobody is to be told");
        let import = ann.import("a.ofx", STATEMENT, None).await.succeeds()["import"].clone();
        assert_eq!((&import["accountsCreated"], &import["transactionsCreated"]), (&json!(0), &json!(0)));
        assert_eq!((ann.accounts().await, ann.transaction_ids().await), (vec![account.clone()], rows), "as if nothing had been");
        assert_eq!(ann.link(&link).await["status"], "ACTIVE");

        ann.unlink(&link, false).await.succeeds();
        assert_eq!((ann.accounts().await.len(), app.count("transactions").await), (0, 0));
        ann.import("a.ofx", STATEMENT, None).await.succeeds();
        let again = ann.accounts().await;
        assert_eq!((again.len(), &again[0]["link"]["id"], &again[0]["isActive"]), (1, &json!(link), &json!(true)));
        assert_ne!(again[0]["id"], account["id"]);
        app.holds(&[("links", 1)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_files_said_of_accounts_that_are_removed_goes_along() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        let account = ann.accounts().await[0]["id"].as_str().unwrap().to_owned();
        let file = include_str!("../fixtures/ofx/checking-sgml.ofx");
        ann.import("into.ofx", file, Some(&account)).await.succeeds();
        ann.import("own.ofx", file, None).await.succeeds();
        app.holds(&[("import_statements", 2)]).await;
        ann.unlink(&link, false).await.succeeds();
        app.holds(&[("import_statements", 1), ("imports", 2), ("accounts", 1)]).await;
        let told = ann.ask("{ viewer { imports(first: 10) { nodes { filename statements { name maskedNumber } } } } }").await.data();
        let of = |file: usize| told["viewer"]["imports"]["nodes"][file]["statements"].as_array().unwrap().len();
        assert_eq!((of(0), of(1)), (0, 1), "{}", app.store.name);
    }
}
