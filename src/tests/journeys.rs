//! The documents of `playground/`, run as a user would run them: in order, each with what the one before it answered.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{collections::BTreeSet, path::PathBuf};

use serde_json::{Value, json};

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::{Answer, Client},
};

const IN_ORDER: [&str; 8] = ["sign-in", "link", "sync", "accounts-with-transactions", "page-on", "import", "refresh", "revoke"];

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/playground"))
}

fn document(name: &str) -> String {
    std::fs::read_to_string(folder().join(name).with_extension("graphql")).unwrap()
}

async fn run(client: &Client<'_>, name: &str, variables: Value) -> Answer {
    client.ask_with(&document(name), variables).await
}

#[test]
fn each_document_says_first_what_it_shows_and_which_variables_it_takes() {
    let there: BTreeSet<_> =
        std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "graphql")).collect();
    let run: BTreeSet<_> = IN_ORDER.iter().map(|name| folder().join(name).with_extension("graphql")).collect();
    assert_eq!(there, run, "a document that no journey runs, or the other way round");
    for name in IN_ORDER {
        let document = document(name);
        let comment: String = document.lines().take_while(|line| line.starts_with('#')).collect();
        assert!(comment.contains("Variables:"), "{name}");
        let declared = document.lines().find(|line| line.starts_with("query") || line.starts_with("mutation")).unwrap();
        for variable in declared.split('$').skip(1).filter_map(|rest| rest.split(':').next()) {
            assert!(comment.contains(variable), "{name} takes ${variable} and does not say so");
        }
    }
}

#[tokio::test]
async fn a_user_signs_in_links_reads_imports_renews_and_signs_out() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        let signed_in = run(&app.nobody(), "sign-in", json!({ "email": "ann@example.com", "password": PASSWORD })).await.succeeds();
        let ann = app.nobody().bearing(signed_in["accessToken"].as_str().unwrap());

        let begun = run(&ann, "link", json!({ "provider": "sandbox" })).await.succeeds();
        assert_eq!((&begun["link"]["status"], &begun["link"]["nextAction"]), (&json!("PENDING"), &json!("AUTHORIZE")));
        let visitor = dashtam::app::Visitor::new(&app.url).unwrap();
        visitor.agree(begun["authorizationUrl"].as_str().unwrap()).await.unwrap();
        app.work().await;

        run(&ann, "sync", json!({ "linkId": begun["link"]["id"] })).await.is_refused("SYNC_TOO_SOON");
        let sync = run(&ann, "sync", json!({ "linkId": begun["link"]["id"], "force": true })).await.succeeds();
        assert_eq!(sync["sync"]["status"], "QUEUED");
        app.work().await;

        let overview = run(&ann, "accounts-with-transactions", json!({ "transactions": 5 })).await.data();
        let accounts = overview["viewer"]["accounts"]["nodes"].as_array().unwrap();
        assert_eq!(accounts.len(), 7);
        let busy = accounts.iter().find(|account| account["transactions"]["pageInfo"]["hasNextPage"] == true).unwrap();

        let on = json!({ "accountId": busy["id"], "after": busy["transactions"]["pageInfo"]["endCursor"] });
        let page = run(&ann, "page-on", on).await.data()["account"]["transactions"].clone();
        let total = usize::try_from(page["totalCount"].as_u64().unwrap()).unwrap();
        assert_eq!(page["nodes"].as_array().map(Vec::len), Some((total - 5).min(50)));
        let narrowed = json!({ "accountId": busy["id"], "filter": { "text": page["nodes"][0]["description"] } });
        assert!(run(&ann, "page-on", narrowed).await.data()["account"]["transactions"]["totalCount"].as_u64().is_some_and(|found| found > 0));

        let file = json!({ "filename": "january.ofx", "content": include_str!("fixtures/ofx/checking-sgml.ofx") });
        let first = run(&ann, "import", file.clone()).await.succeeds()["import"].clone();
        let again = run(&ann, "import", file).await.succeeds()["import"].clone();
        assert_eq!((&first["accountsCreated"], &again["accountsCreated"], &again["transactionsCreated"]), (&json!(1), &json!(0), &json!(0)));
        assert_eq!(first["transactionsCreated"], again["transactionsKnown"]);

        let renewed = run(&app.nobody(), "refresh", json!({ "refreshToken": signed_in["refreshToken"] })).await.succeeds();
        let ann = app.nobody().bearing(renewed["accessToken"].as_str().unwrap());
        let revoked = run(&ann, "revoke", json!({ "sessionId": signed_in["session"]["id"] })).await.succeeds();
        assert_eq!(revoked["session"]["revocationReason"], "REQUESTED");
        assert_eq!(run(&ann, "accounts-with-transactions", json!({})).await.body["extensions"]["authentication"], "SESSION_ENDED");
        app.every_attempt_ended_once().await;
    }
}
