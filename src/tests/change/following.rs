//! A copy that is kept by changes alone is what the lists say.

use dashtam::domain::provider::ReportedTransaction;
use serde_json::json;

use crate::harness::{
    app::TestApp,
    bank::{pending, posted},
    client::Client,
};

use super::{Mirror, everything, ids, page};

const STATEMENT: &str = include_str!("../fixtures/ofx/checking-sgml.ofx");

async fn synced(app: &TestApp, rows: Vec<ReportedTransaction>) -> (Client<'_>, String) {
    app.bank.reports(rows);
    let ann = app.signed_in("ann").await;
    let link = ann.link_scripted().await;
    assert_eq!(app.work().await, 1);
    (ann, link)
}

async fn syncs_again(app: &TestApp, ann: &Client<'_>, link: &str, rows: Vec<ReportedTransaction>) {
    app.bank.reports(rows);
    ann.sync(link, true).await.succeeds();
    assert_eq!(app.work().await, 1);
}

#[tokio::test]
async fn from_the_beginning_everything_comes_in_once_and_parents_come_first() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        assert_eq!(page(&ann, None, 100).await["added"], json!([]));
        ann.link_sandbox().await;
        ann.import("a.ofx", STATEMENT, None).await.succeeds();
        for first in [1, 7, 100] {
            let mut copy = Mirror::default();
            copy.follow(&ann, first).await;
            assert_eq!(copy.nodes.keys().cloned().collect::<Vec<_>>(), everything(&ann).await, "{}", app.store.name);
            assert!(copy.pages >= copy.nodes.len() / first as usize);
            let after = page(&ann, copy.cursor.as_deref(), first).await;
            assert_eq!((&after["added"], &after["modified"], &after["hasNextPage"]), (&json!([]), &json!([]), &json!(false)));
            assert_eq!((after["endCursor"].as_str(), after["latestCursor"].as_str()), (copy.cursor.as_deref(), copy.cursor.as_deref()));
        }
        let kinds: Vec<_> = ids(&page(&ann, None, 100).await["added"]).iter().map(|id| id.split('_').next().unwrap().to_owned()).collect();
        let place = |kind: &str| kinds.iter().position(|found| found == kind).unwrap();
        assert!(place("link") < place("acct") && place("acct") < place("txn"), "{kinds:?}");
    }
}

#[tokio::test]
async fn a_page_costs_the_same_few_statements_however_full_it_is() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let mut costs = Vec::new();
        for first in [20, 100] {
            page(&ann, None, first).await;
            let before = app.app.statements();
            let full = page(&ann, None, first).await;
            assert_eq!(ids(&full["added"]).len(), first as usize);
            costs.push(app.app.statements() - before);
        }
        assert!(costs[0] == costs[1] && costs[0] <= 7, "{}: {costs:?}", app.store.name);
    }
}

#[tokio::test]
async fn what_is_posted_is_modified_and_what_is_taken_back_is_removed_and_may_come_again() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![pending("p", "2026-11-21", -800, "Bakery"), posted("x", "2026-11-20", -900, "Shoes")]).await;
        let mut copy = Mirror::default();
        copy.follow(&ann, 100).await;
        let bakery = copy.nodes.values().find(|node| node["description"] == "Bakery").unwrap()["id"].as_str().unwrap().to_owned();
        let shoes = copy.nodes.values().find(|node| node["description"] == "Shoes").unwrap()["id"].as_str().unwrap().to_owned();
        assert_eq!(copy.nodes[&bakery]["status"], "PENDING");

        let by_name = ReportedTransaction { replaces: vec!["p".to_owned()], ..posted("q", "2026-11-22", -800, "Bakery") };
        let kept = posted("x", "2026-11-20", -900, "Shoes");
        syncs_again(&app, &ann, &link, vec![by_name.clone(), kept.clone()]).await;
        let told = page(&ann, copy.cursor.as_deref(), 100).await;
        assert_eq!((&told["added"], &told["removed"]), (&json!([]), &json!([])));
        assert_eq!(ids(&told["modified"]).iter().filter(|id| id.starts_with("txn")).collect::<Vec<_>>(), [&bakery], "only what changed");
        copy.apply(&told);
        assert_eq!(copy.nodes[&bakery]["status"], "POSTED");

        syncs_again(&app, &ann, &link, vec![by_name.clone()]).await;
        let told = page(&ann, copy.cursor.as_deref(), 100).await;
        assert_eq!(ids(&told["removed"]), std::slice::from_ref(&shoes));
        copy.apply(&told);
        assert!(!copy.nodes.contains_key(&shoes));
        syncs_again(&app, &ann, &link, vec![by_name, kept]).await;
        let told = page(&ann, copy.cursor.as_deref(), 100).await;
        assert!(told["added"] == json!([]) && ids(&told["modified"]).contains(&shoes), "{told}");
        copy.apply(&told);
        assert_eq!(copy.nodes.keys().cloned().collect::<Vec<_>>(), everything(&ann).await);
    }
}

#[tokio::test]
async fn what_came_and_went_between_two_looks_never_was() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        let mut copy = Mirror::default();
        copy.follow(&ann, 100).await;
        syncs_again(&app, &ann, &link, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        syncs_again(&app, &ann, &link, vec![]).await;
        for after in [copy.cursor.as_deref(), None] {
            let told = page(&ann, after, 100).await;
            assert!(told["removed"] == json!([]) && !told["added"].to_string().contains("txn_"), "{told}");
        }
    }
}

#[tokio::test]
async fn what_changes_while_the_beginning_is_read_is_told_and_only_once_more() {
    for app in TestApp::on_every_store().await {
        let rows: Vec<_> = (1..=9).map(|day| pending(&format!("p{day}"), &format!("2026-11-{:02}", day + 13), -100 * day, &format!("Shop {day}"))).collect();
        let (ann, link) = synced(&app, rows.clone()).await;
        // One that changed before anyone looked is simply there.
        let mut now = rows;
        now[0] = posted("p1", "2026-11-14", -100, "Shop 1");
        syncs_again(&app, &ann, &link, now.clone()).await;
        let mut copy = Mirror::default();
        for _ in 0..3 {
            assert!(copy.apply(&page(&ann, copy.cursor.as_deref(), 2).await));
        }
        let (seen, all) = (copy.of("txn"), everything(&ann).await);
        assert!(!seen.is_empty() && seen.len() < 9);
        for (at, row) in now.iter_mut().enumerate().skip(1) {
            *row = posted(&format!("p{}", at + 1), &row.facts.posted_on.to_string(), -100 * i64::try_from(at + 1).unwrap(), &format!("Shop {}", at + 1));
        }
        now.remove(4);
        syncs_again(&app, &ann, &link, now).await;
        let mut told: Vec<String> = Vec::new();
        loop {
            let next = page(&ann, copy.cursor.as_deref(), 2).await;
            told.extend(ids(&next["modified"]).into_iter().filter(|id| id.starts_with("txn")));
            if !copy.apply(&next) {
                break;
            }
        }
        told.sort();
        let once = told.len();
        told.dedup();
        assert_eq!(told.len(), once, "no change is told twice");
        assert_eq!((copy.of("txn").len(), all.iter().filter(|id| id.starts_with("txn")).count()), (8, 9));
        assert!(copy.nodes.values().filter(|node| node["__typename"] == "Transaction").all(|node| node["status"] == "POSTED"));
        assert_eq!(copy.nodes.keys().cloned().collect::<Vec<_>>(), everything(&ann).await);
    }
}

#[tokio::test]
async fn who_reads_the_lists_first_follows_from_the_latest_cursor() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.import("a.ofx", STATEMENT, None).await.succeeds();
        let latest =
            ann.ask("{ viewer { changes(first: 1) { latestCursor } } }").await.data()["viewer"]["changes"]["latestCursor"].as_str().unwrap().to_owned();
        let told = page(&ann, Some(&latest), 100).await;
        assert_eq!((&told["added"], &told["modified"], &told["removed"]), (&json!([]), &json!([]), &json!([])));
        ann.import("a.ofx", STATEMENT, None).await.succeeds();
        assert_eq!(page(&ann, Some(&latest), 100).await["endCursor"].as_str(), Some(latest.as_str()), "the same file twice changes nothing");
        let link = ann.begin_link("scripted", None).await.succeeds()["link"]["id"].as_str().unwrap().to_owned();
        assert_eq!(ids(&page(&ann, Some(&latest), 100).await["added"]), [link]);
    }
}

#[tokio::test]
async fn what_is_rolled_back_is_no_change() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.import("a.ofx", STATEMENT, None).await.succeeds();
        let latest = page(&ann, None, 100).await["latestCursor"].clone();
        app.store.refuse_successes().await;
        assert!(ann.import("b.ofx", &STATEMENT.replace("<ACCTID>", "<ACCTID>9"), None).await.body["errors"][0]["extensions"]["code"] == "INTERNAL");
        assert_eq!(page(&ann, None, 100).await["latestCursor"], latest);
    }
}

#[tokio::test]
async fn a_database_from_before_the_log_begins_with_what_it_holds() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes"), posted("y", "2026-11-20", -500, "Socks")]).await;
        syncs_again(&app, &ann, &link, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        let database = &app.store.database;
        let status = database.status().await.unwrap();
        let steps = status.len() - status.iter().position(|(name, _)| name.ends_with("_changes")).unwrap();
        database.migrate_down(u32::try_from(steps).unwrap()).await.unwrap();
        database.migrate_up().await.unwrap();
        let mut copy = Mirror::default();
        copy.follow(&ann, 2).await;
        assert_eq!(copy.nodes.keys().cloned().collect::<Vec<_>>(), everything(&ann).await);
        syncs_again(&app, &ann, &link, vec![]).await;
        copy.follow(&ann, 2).await;
        assert_eq!((copy.of("txn").len(), copy.of("acct").len()), (0, 1));
    }
}
