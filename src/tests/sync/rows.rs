//! What happens to transactions from one sync to the next.

use chrono::Duration;
use dashtam::domain::{provider::ReportedTransaction, transaction::TransactionSubtype};
use serde_json::json;

use crate::harness::{
    app::TestApp,
    bank::{pending, posted},
};

use super::{asks_later, synced, syncs_again};

#[tokio::test]
async fn a_pending_transaction_keeps_its_id_when_it_is_posted() {
    for app in TestApp::on_every_store().await {
        let by_name = ReportedTransaction { replaces: vec!["p1".to_owned()], ..posted("x", "2026-11-22", -8_250, "Grand Hotel & minibar") };
        let by_words = posted("y", "2026-11-22", -500, "bakery  42");
        let (ann, link) = synced(&app, vec![pending("p1", "2026-11-21", -8_000, "GRAND HOTEL"), pending("p2", "2026-11-20", -500, "Bakery 42")]).await;
        let before = ann.transactions().await;
        assert!(before.iter().all(|row| row["status"] == "PENDING"));
        syncs_again(&app, &ann, &link, vec![by_name, by_words]).await;
        let after = ann.transactions().await;
        let told: Vec<_> = after.iter().map(|row| (&row["status"], &row["amount"]["amount"], &row["postedOn"])).collect();
        let (posted, day) = (&json!("POSTED"), &json!("2026-11-22"));
        assert_eq!(told.len(), 2);
        assert!(told.contains(&(posted, &json!("-82.50"), day)) && told.contains(&(posted, &json!("-5.00"), day)), "{told:?}");
        let id_of = |rows: &[serde_json::Value], amount: &str| rows.iter().find(|row| row["amount"]["amount"] == amount).unwrap()["id"].clone();
        assert_eq!(id_of(&after, "-82.50"), id_of(&before, "-80.00"));
        assert_eq!(id_of(&after, "-5.00"), id_of(&before, "-5.00"));
        let sync = ann.link(&link).await["lastSync"].clone();
        assert_eq!((&sync["added"], &sync["modified"], &sync["removed"]), (&json!(0), &json!(2), &json!(0)));
    }
}

/// PostgreSQL stores no NUL, and no bank means one.
#[tokio::test]
async fn a_nul_in_what_a_bank_says_costs_nothing() {
    for app in TestApp::on_every_store().await {
        let odd = posted("x\0y", "2026-11-20", -900, "Sh\0oes");
        let odd = ReportedTransaction { replaces: vec!["w\0".to_owned()], ..odd };
        let (ann, link) = synced(&app, vec![odd.clone(), posted("z", "2026-11-20", -100, "Tea")]).await;
        let told = ann.link(&link).await["lastSync"].clone();
        assert_eq!((&told["status"], &told["problem"], &told["added"]), (&json!("SUCCEEDED"), &json!(null), &json!(2)), "{}", app.store.name);
        let ids = ann.transaction_ids().await;
        assert!(ann.transactions().await.iter().any(|row| row["description"] == "Shoes"));
        syncs_again(&app, &ann, &link, vec![odd, posted("z", "2026-11-20", -100, "Tea")]).await;
        assert_eq!(ann.transaction_ids().await, ids);
    }
}

#[tokio::test]
async fn a_row_the_bank_takes_back_leaves_every_list_and_comes_back_as_itself() {
    for app in TestApp::on_every_store().await {
        let rows = vec![posted("x", "2026-11-20", -900, "Shoes"), pending("p", "2026-11-21", -500, "Bakery")];
        let (ann, link) = synced(&app, rows.clone()).await;
        let ids = ann.transaction_ids().await;
        syncs_again(&app, &ann, &link, vec![]).await;
        assert_eq!(ann.transactions().await.len(), 0);
        assert_eq!(ann.link(&link).await["lastSync"]["removed"], 2);
        assert!(ann.ask(&format!("{{ node(id: \"{}\") {{ id }} }}", ids[0])).await.data()["node"].is_null());
        app.holds(&[("transactions", 2)]).await;
        syncs_again(&app, &ann, &link, rows).await;
        assert_eq!(ann.transaction_ids().await, ids);
    }
}

#[tokio::test]
async fn a_pending_row_is_taken_back_however_old_it_is() {
    for app in TestApp::on_every_store().await {
        let (_, link) = synced(&app, vec![pending("p", "2026-11-01", -500, "Hotel")]).await;
        asks_later(&app, &link, Duration::days(30)).await;
        app.bank.reports(vec![]);
        assert_eq!(app.work().await, 1);
        assert_eq!(app.signed_in("ann").await.transactions().await.len(), 0);
    }
}

#[tokio::test]
async fn two_equal_rows_stay_two_over_many_syncs() {
    for app in TestApp::on_every_store().await {
        for rows in [
            vec![posted("a", "2026-11-20", -500, "Coffee"), posted("b", "2026-11-20", -500, "Coffee")],
            vec![ReportedTransaction { reference: None, ..posted("", "2026-11-19", -300, "Tea") }; 2],
        ] {
            let (ann, link) = synced(&app, rows.clone()).await;
            let ids = ann.transaction_ids().await;
            for _ in 0..3 {
                syncs_again(&app, &ann, &link, rows.clone()).await;
                assert_eq!(ann.transaction_ids().await, ids);
            }
            let sync = ann.link(&link).await["lastSync"].clone();
            assert_eq!((&sync["added"], &sync["modified"], &sync["removed"]), (&json!(0), &json!(0), &json!(0)));
        }
        app.holds(&[("transactions", 4)]).await;
    }
}

#[tokio::test]
async fn ids_the_bank_issues_anew_change_no_transaction() {
    for app in TestApp::on_every_store().await {
        let rows =
            |prefix: &str| (0..4).map(|at| posted(&format!("{prefix}{at}"), "2026-11-20", -500, if at < 2 { "Coffee" } else { "Tea" })).collect::<Vec<_>>();
        let (ann, link) = synced(&app, rows("old-")).await;
        let ids = ann.transaction_ids().await;
        for prefix in ["new-", "newer-", "old-"] {
            syncs_again(&app, &ann, &link, rows(prefix)).await;
            assert_eq!(ann.transaction_ids().await, ids, "{prefix}");
        }
        assert_eq!(ann.link(&link).await["lastSync"]["modified"], 0);
    }
}

#[tokio::test]
async fn an_id_that_the_bank_has_used_twice_costs_no_row() {
    for app in TestApp::on_every_store().await {
        let recent = vec![posted("7", "2026-11-20", -900, "Shoes"), posted("7", "2026-11-21", -500, "Coffee")];
        let rows = [recent, vec![posted("7", "2025-06-01", -100, "Gum")]].concat();
        let (ann, link) = synced(&app, rows.clone()).await;
        let ids = ann.transaction_ids().await;
        let said: Vec<_> = ann.transactions().await.iter().map(|row| row["description"].clone()).collect();
        assert_eq!(said, ["Coffee", "Shoes", "Gum"], "{}", app.store.name);
        syncs_again(&app, &ann, &link, rows).await;
        assert_eq!(ann.transaction_ids().await, ids);
        let sync = ann.link(&link).await["lastSync"].clone();
        assert_eq!((&sync["added"], &sync["modified"], &sync["removed"]), (&json!(0), &json!(0), &json!(0)));
    }
}

#[tokio::test]
async fn rows_of_one_id_on_one_page_are_two_and_on_two_pages_the_last_word_counts() {
    for app in TestApp::on_every_store().await {
        app.bank.script(|script| script.pending_by_day = true);
        let rows = vec![posted("7", "2026-11-20", -900, "Shoes"), posted("7", "2026-11-20", -500, "Laces"), pending("w", "2026-11-20", -100, "Gum")];
        let (ann, link) = synced(&app, [rows, vec![posted("w", "2026-11-21", -110, "Gum")]].concat()).await;
        let said = async || ann.transactions().await.iter().map(|row| row["amount"]["amount"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        let mut first = said().await;
        first.sort_unstable();
        assert_eq!(first, ["-1.10", "-5.00", "-9.00"], "{}", app.store.name);
        app.bank.script(|script| script.page_size = 1);
        syncs_again(&app, &ann, &link, vec![posted("8", "2026-11-20", -900, "Shoes"), posted("8", "2026-11-20", -950, "Shoes")]).await;
        assert_eq!(said().await, ["-9.50"]);
    }
}

#[tokio::test]
async fn what_the_bank_corrects_changes_in_place() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        let ids = ann.transaction_ids().await;
        syncs_again(&app, &ann, &link, vec![posted("x", "2026-11-19", -950, "Cobbler")]).await;
        let rows = ann.transactions().await;
        assert_eq!((&rows[0]["amount"]["amount"], &rows[0]["description"], &rows[0]["postedOn"]), (&json!("-9.50"), &json!("Cobbler"), &json!("2026-11-19")));
        assert_eq!(ann.transaction_ids().await, ids);
    }
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_told_and_take_nothing_away() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes"), pending("p", "2026-11-21", -500, "Bakery")]).await;
        app.bank.script(|script| script.refused = 1);
        syncs_again(&app, &ann, &link, vec![posted("y", "2026-11-22", -100, "Gum")]).await;
        let sync = ann.link(&link).await["lastSync"].clone();
        assert_eq!((&sync["status"], &sync["problem"]), (&json!("SUCCEEDED"), &json!("ROWS_REFUSED")));
        assert_eq!((&sync["added"], &sync["removed"]), (&json!(1), &json!(0)));
        assert_eq!(ann.transactions().await.len(), 3);
        app.bank.script(|script| script.refused = 0);
        syncs_again(&app, &ann, &link, vec![posted("y", "2026-11-22", -100, "Gum")]).await;
        assert_eq!(ann.transactions().await.len(), 1, "the next whole answer counts again");
    }
}

#[tokio::test]
async fn rows_that_cannot_be_read_and_have_an_id_stay_and_what_is_gone_beside_them_goes() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes"), pending("p", "2026-11-21", -500, "Bakery")]).await;
        app.bank.script(|script| (script.refused, script.refused_ids) = (1, vec!["x".to_owned()]));
        syncs_again(&app, &ann, &link, vec![posted("q", "2026-11-22", -550, "Bakery Lane")]).await;
        let sync = ann.link(&link).await["lastSync"].clone();
        assert_eq!((&sync["problem"], &sync["added"], &sync["removed"]), (&json!("ROWS_REFUSED"), &json!(1), &json!(1)), "{}", app.store.name);
        let said: Vec<_> = ann.transactions().await.iter().map(|row| row["description"].clone()).collect();
        assert_eq!(said, ["Bakery Lane", "Shoes"], "no row is kept twice, pending and posted");
        assert_eq!(app.last_sync("ann", &link).await.counts.refused, 1);
    }
}

#[tokio::test]
async fn what_has_become_of_a_row_may_be_one_that_cannot_be_read_and_two_stay_two() {
    for app in TestApp::on_every_store().await {
        let coffee = |name: &str| posted(name, "2026-11-20", -500, "Coffee");
        let (ann, link) = synced(&app, vec![coffee("a"), pending("p", "2026-11-21", -900, "Bakery")]).await;
        let before = ann.transaction_ids().await;
        // The bakery was booked as a row that cannot be read.
        app.bank.script(|script| (script.refused, script.refused_ids) = (1, vec!["t9".to_owned()]));
        syncs_again(&app, &ann, &link, vec![coffee("a")]).await;
        assert_eq!(ann.transaction_ids().await, before, "nothing is taken for withdrawn, {}", app.store.name);
        // One coffee cannot be read, and there is a second one just like it.
        app.bank.script(|script| script.refused_ids = vec!["a".to_owned()]);
        syncs_again(&app, &ann, &link, vec![coffee("b")]).await;
        let of_coffee = ann.transactions().await.iter().filter(|row| row["description"] == "Coffee").count();
        assert_eq!(of_coffee, 2, "{}", app.store.name);
        app.bank.script(|script| (script.refused, script.refused_ids) = (0, Vec::new()));
        syncs_again(&app, &ann, &link, vec![coffee("a"), coffee("b")]).await;
        let ids = ann.transaction_ids().await;
        assert_eq!(ids.len(), 2);
        assert!(before.iter().any(|id| ids.contains(id)), "the first is the same one");
    }
}

#[tokio::test]
async fn a_row_that_can_never_be_read_keeps_a_pending_one_for_as_long_as_it_may_be_what_became_of_it() {
    for app in TestApp::on_every_store().await {
        let (_, link) = synced(&app, vec![posted("x", "2026-11-20", -900, "Shoes"), pending("p", "2026-11-21", -500, "Bakery")]).await;
        app.bank.script(|script| (script.refused, script.refused_ids) = (1, vec!["t9".to_owned()]));
        app.pass(chrono::Duration::days(5));
        let ann = app.signed_in("ann").await;
        syncs_again(&app, &ann, &link, vec![posted("x", "2026-11-20", -900, "Shoes")]).await;
        assert_eq!(ann.transactions().await.len(), 2, "{}", app.store.name);
        app.pass(chrono::Duration::days(1));
        let ann = app.signed_in("ann").await;
        syncs_again(&app, &ann, &link, vec![pending("q", "2026-11-29", -100, "Gum")]).await;
        let said: Vec<_> = ann.transactions().await.iter().map(|row| row["description"].clone()).collect();
        assert_eq!(said, ["Gum", "Shoes"], "what is booked may still be what cannot be read, what was announced is not");
        assert_eq!(ann.link(&link).await["lastSync"]["removed"], 1);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn every_kind_of_movement_arrives_as_it_was_mapped() {
    for app in TestApp::on_every_store().await {
        let rows = TransactionSubtype::ALL.iter().map(|subtype| {
            let mut row = posted(subtype.as_str(), "2026-11-20", -100, subtype.as_str());
            row.facts.subtype = *subtype;
            row
        });
        let (ann, _) = synced(&app, rows.collect()).await;
        let told = ann.transactions().await;
        assert_eq!(told.len(), TransactionSubtype::ALL.len());
        for row in told {
            let subtype = TransactionSubtype::parse(row["description"].as_str().unwrap()).unwrap();
            assert_eq!(row["subtype"], subtype.as_str().to_uppercase());
            assert_eq!(row["type"], subtype.family().as_str().to_uppercase());
        }
    }
}
