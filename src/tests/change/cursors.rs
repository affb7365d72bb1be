//! Cursors that are none, somebody else's, or ahead of everything.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use dashtam::domain::user::Role;
use serde_json::json;

use crate::harness::app::TestApp;

use super::{Mirror, ask, page};

const STATEMENT: &str = include_str!("../fixtures/ofx/checking-sgml.ofx");

#[tokio::test]
async fn what_is_no_cursor_of_ones_own_changes_is_refused_and_tells_nothing() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        ann.import("a.ofx", STATEMENT, None).await.succeeds();
        let hers = page(&ann, None, 2).await["endCursor"].as_str().unwrap().to_owned();
        let of_list = ann.ask("{ viewer { links(first: 1) { pageInfo { endCursor } } } }").await.data();
        let of_list = of_list["viewer"]["links"]["pageInfo"]["endCursor"].as_str().unwrap().to_owned();
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&hers).unwrap();
        let forged = |at: usize, value: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            BASE64_URL_SAFE_NO_PAD.encode(bytes)
        };
        let refused = [
            String::new(),
            "x".to_owned(),
            of_list,
            forged(1, 0xff),
            forged(9, 0xff),
            forged(0, b'c'),
            forged(24, 1),
            "A".repeat(50_000),
            format!("{hers}A"),
            format!("{hers}="),
        ];
        for cursor in &refused {
            ask(&ann, Some(cursor), 10).await.is_fault("BAD_USER_INPUT");
        }
        let (theirs, nothing) = (ask(&bob, Some(&hers), 10).await, ask(&bob, Some("x"), 10).await);
        theirs.is_fault("BAD_USER_INPUT");
        assert_eq!(theirs.comparable(), nothing.comparable());
        for first in [0, 101] {
            ask(&ann, None, first).await.is_fault("BAD_USER_INPUT");
        }
        ann.ask("{ viewer { changes(first: -1) { endCursor } } }").await.is_fault("BAD_USER_INPUT");
    }
}

#[tokio::test]
async fn who_is_ahead_of_the_database_begins_again() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.import("a.ofx", STATEMENT, None).await.succeeds();
        let (half, end) =
            (page(&ann, None, 1).await["endCursor"].as_str().unwrap().to_owned(), page(&ann, None, 100).await["endCursor"].as_str().unwrap().to_owned());
        // As after a backup of two changes ago.
        app.store.execute("DELETE FROM changes WHERE position > 4").await.unwrap();
        app.store.execute("UPDATE change_heads SET position = 4").await.unwrap();
        for cursor in [&half, &end] {
            let told = page(&ann, Some(cursor), 100).await;
            assert_eq!((&told["resetRequired"], &told["hasNextPage"], &told["added"], &told["removed"]), (&json!(true), &json!(true), &json!([]), &json!([])));
            let mut copy = Mirror { cursor: told["endCursor"].as_str().map(str::to_owned), ..Mirror::default() };
            copy.follow(&ann, 1).await;
            assert_eq!(copy.nodes.len(), 4);
        }
    }
}

#[tokio::test]
async fn nobody_follows_somebody_else_and_readonly_follows_itself() {
    for app in TestApp::on_every_store().await {
        let (ann, root) = (app.signed_in("ann").await, app.signed_in("root").await);
        ann.import("a.ofx", STATEMENT, None).await.succeeds();
        app.promote("root", Role::Admin).await;
        app.promote("ann", Role::Readonly).await;
        app.pass(chrono::Duration::seconds(1));
        let own = page(&ann, None, 100).await;
        assert_eq!(own["added"].as_array().unwrap().len(), 6);
        let document = "query($after: String) { users(first: 10) { nodes { email changes(after: $after) { added { id } modified { id } removed hasNextPage resetRequired endCursor latestCursor } } } }";
        let seen = root.ask(document).await.data();
        let of_ann = seen["users"]["nodes"].as_array().unwrap().iter().find(|user| user["email"] == "ann@example.com").unwrap()["changes"].clone();
        assert_eq!((&of_ann["added"], &of_ann["hasNextPage"], &of_ann["resetRequired"]), (&json!([]), &json!(false), &json!(false)));
        assert_eq!(of_ann["endCursor"], of_ann["latestCursor"], "not even how much there is");
        assert_ne!(of_ann["latestCursor"], own["latestCursor"]);
    }
}

#[tokio::test]
async fn a_page_counts_as_full_when_nobody_says_how_long_it_is() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let rows = "added { ... on Account { transactions(first: 100) { nodes { id description postedOn status subtype type category merchantName amount { amount } } } } }";
        ann.ask(&format!("{{ viewer {{ changes {{ {rows} }} }} }}")).await.never_ran("QUERY_TOO_COMPLEX");
        ann.ask(&format!("{{ viewer {{ changes(first: 10) {{ {rows} }} }} }}")).await.data();
    }
}
