//! Writers at once, and a reader among them.

use std::collections::BTreeSet;

use crate::harness::{app::TestApp, bank::posted};

use super::{Mirror, everything, page};

const STATEMENT: &str = include_str!("../fixtures/ofx/checking-sgml.ofx");

/// Imports take turns, links do not; a reader follows them all the time.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_misses_nothing_and_hears_nothing_twice_while_others_write() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let second = app.second_process().await;
        let elsewhere = app.nobody().bearing(ann.access_token.as_deref().unwrap()).at(&second);
        app.bank.reports((1..=20).map(|day| posted(&format!("r{day}"), &format!("2026-11-{day:02}"), -500, "Coffee")).collect());
        let link = ann.link_scripted().await;
        let files: Vec<_> = (0..6).map(|number| STATEMENT.replace("<ACCTID>", &format!("<ACCTID>{number}"))).collect();
        let writing = async {
            let imports = async {
                for (number, file) in files.iter().enumerate() {
                    let process = if number % 2 == 0 { &ann } else { &elsewhere };
                    process.import("a.ofx", file, None).await.succeeds();
                }
            };
            let others = futures_util::future::join_all((0..30).map(|number| {
                let process = if number % 2 == 0 { &ann } else { &elsewhere };
                process.begin_link("scripted", None)
            }));
            let stranger = bob.import("b.ofx", STATEMENT, None);
            let (.., others, _, worked) = tokio::join!(imports, others, stranger, app.worker());
            for begun in &others {
                begun.succeeds();
            }
            assert!(worked.unwrap());
        };
        let mut copy = Mirror::default();
        let reading = async {
            loop {
                copy.apply(&page(&elsewhere, copy.cursor.as_deref(), 3).await);
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = writing => {}
            () = reading => unreachable!("it reads for ever"),
        }
        copy.follow(&ann, 3).await;
        assert_eq!(copy.nodes.keys().cloned().collect::<Vec<_>>(), everything(&ann).await, "{}", app.store.name);
        assert!(copy.nodes.contains_key(&link) && copy.of("link").len() == 32 && copy.of("acct").len() == 7, "{:?}", copy.of("acct"));
        // Positions have no gaps: what moved on left its first one.
        let rows = app.store.query("SELECT user_id, position, added_position FROM changes").await;
        let heads = app.store.query("SELECT user_id, position FROM change_heads").await;
        assert_eq!(heads.len(), 2);
        let taken: BTreeSet<(Vec<u8>, i64)> =
            rows.iter().flat_map(|row| ["position", "added_position"].map(|column| (owner(row), row.try_get::<i64>("", column).unwrap()))).collect();
        for head in &heads {
            let last = head.try_get::<i64>("", "position").unwrap();
            assert!(taken.contains(&(owner(head), last)) && taken.contains(&(owner(head), 1)));
            assert!(taken.iter().filter(|(user, _)| *user == owner(head)).all(|(_, position)| (1..=last).contains(position)));
        }
        app.every_attempt_ended_once().await;
    }
}

fn owner(row: &sea_orm::QueryResult) -> Vec<u8> {
    row.try_get::<uuid::Uuid>("", "user_id").unwrap().as_bytes().to_vec()
}
