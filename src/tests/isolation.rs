//! Two users in one database: whatever of the other's one names, the answer is that of something absent, byte for byte.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::HashSet;

use dashtam::{application::ports::Randomness as _, domain::user::Role, presentation::graphql::global_id::GlobalId};
use serde_json::{Value, json};

use crate::harness::{
    app::TestApp,
    client::Client,
    clock::TestRandomness,
    documents::{Asked, Schema},
};

/// What an administrator asks of everybody. It is no isolation that this answers; `audit` holds who may.
const OF_EVERYBODY: [&str; 1] = ["auditEvents"];

const STATEMENT: &str = include_str!("fixtures/ofx/checking-sgml.ofx");

/// Everything of one's own that has an id, and the cursors of one's lists.
const WORLD: &str = "{ viewer { id
    sessions(first: 100) { nodes { id } pageInfo { startCursor endCursor } }
    links(first: 100) { nodes { id lastSync { id } } pageInfo { startCursor endCursor } }
    accounts(first: 100) { nodes { id transactions(first: 3) { nodes { id } pageInfo { endCursor } } } pageInfo { startCursor endCursor } }
    transactions(first: 5) { nodes { id } pageInfo { startCursor endCursor } }
    holdings(first: 100) { nodes { id } pageInfo { startCursor endCursor } }
    auditEvents(last: 100) { nodes { id } pageInfo { startCursor endCursor } } } }";

/// One user with money: the sandbox bank linked and synced, and a statement imported.
async fn settled<'a>(app: &'a TestApp, name: &str) -> (Client<'a>, String) {
    let client = app.signed_in(name).await;
    client.link_sandbox().await;
    let import = client.import("statement.ofx", STATEMENT, None).await.succeeds();
    (client, import["import"]["id"].as_str().unwrap().to_owned())
}

/// All texts under a key, wherever it stands.
fn all(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(key).and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| all(value, key, found));
        }
        Value::Array(values) => values.iter().for_each(|value| all(value, key, found)),
        _ => {}
    }
}

fn collect(value: &Value, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    all(value, key, &mut found);
    found
}

/// An id of the same kind that nobody has.
fn absent(id: &str) -> String {
    GlobalId { kind: id.parse::<GlobalId>().unwrap().kind, id: TestRandomness.id() }.to_string()
}

/// Every field of the schema that takes an id, with whatever else it needs to get as far as looking for it.
fn everything_that_takes_an_id() -> Vec<Asked> {
    let schema = Schema::read();
    let mut asked: Vec<_> = schema.roots().into_iter().chain(schema.of_viewer()).filter(|asked| !asked.ids.is_empty()).collect();
    for asked in &mut asked {
        if let Some(content) = asked.variables.pointer_mut("/input/content") {
            *content = json!(STATEMENT);
        }
    }
    asked
}

#[tokio::test]
async fn what_belongs_to_another_is_absent_byte_for_byte_whatever_the_role() {
    let everything = everything_that_takes_an_id();
    let names: Vec<_> = everything.iter().map(|asked| asked.name.as_str()).collect();
    for known in [
        "node",
        "nodes",
        "account",
        "transaction",
        "revokeSession",
        "syncLink",
        "renameLink",
        "relink",
        "linkWithApiKey",
        "linkWithSetupToken",
        "unlink",
        "importStatement",
        "previewImport",
        "commitImport",
        "revertImport",
        "User.accounts",
        "User.holdings",
        "User.transactions",
    ] {
        assert!(names.contains(&known), "{known} takes an id and is not tried");
    }
    for app in TestApp::on_every_store().await {
        let ((ann, import), (bob, _)) = (settled(&app, "ann").await, settled(&app, "bob").await);
        let world = ann.ask(WORLD).await.data();
        let mut ids: Vec<_> = collect(&world, "id").into_iter().collect::<HashSet<_>>().into_iter().collect();
        ids.push(import);
        assert!(["user", "session", "link", "sync", "acct", "txn", "hold", "import"].iter().all(|kind| ids.iter().any(|id| id.starts_with(kind))), "{ids:?}");
        ids.sort();
        let few = |kind: &str| ids.iter().filter(|id| id.starts_with(kind)).take(2).cloned().collect::<Vec<_>>();
        let foreign: Vec<_> = ["user", "session", "link", "sync", "acct", "txn", "hold", "import"].iter().flat_map(|kind| few(kind)).collect();
        app.user("keeper").await;
        app.promote("keeper", Role::Admin).await;
        // Who somebody is and their sessions are an administrator's business; money is not.
        let of_money = |id: &&String| !["user", "session"].iter().any(|kind| id.starts_with(kind));
        for role in [Role::User, Role::Admin, Role::Readonly] {
            app.promote("bob", role).await;
            app.pass(chrono::Duration::seconds(1));
            for asked in everything.iter().filter(|asked| role != Role::Admin || !OF_EVERYBODY.contains(&asked.name.as_str())) {
                for place in &asked.ids {
                    for id in foreign.iter().filter(|id| role != Role::Admin || of_money(id)) {
                        let theirs = bob.ask_with(&asked.document, asked.naming(place, id)).await;
                        let nothing = bob.ask_with(&asked.document, asked.naming(place, &absent(id))).await;
                        let what = format!("{} {}: {}{place} = {id}", app.store.name, role.as_str(), asked.name);
                        assert_eq!(theirs.comparable(), nothing.comparable(), "{what}");
                        assert!(ids.iter().all(|id| !theirs.text.contains(id.as_str())), "{what}: {}", theirs.text);
                    }
                }
            }
        }
        assert_eq!(ann.ask(WORLD).await.data(), world, "{}: nothing of hers has changed", app.store.name);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn filters_within_ones_own_account_find_nothing_of_anothers() {
    for app in TestApp::on_every_store().await {
        let ((ann, _), (bob, _)) = (settled(&app, "ann").await, settled(&app, "bob").await);
        let (of_ann, of_bob) = (ann.ask(WORLD).await.data(), bob.ask(WORLD).await.data());
        let account = |world: &Value| world["viewer"]["accounts"]["nodes"][0]["id"].as_str().unwrap().to_owned();
        let document =
            "query($own: ID!, $ids: [ID!]) { account(id: $own) { transactions(first: 100, filter: {accountIds: $ids}) { totalCount nodes { id } } } }";
        let found = bob.ask_with(document, json!({ "own": account(&of_bob), "ids": [account(&of_ann)] })).await;
        let nothing = bob.ask_with(document, json!({ "own": account(&of_bob), "ids": [absent(&account(&of_ann))] })).await;
        assert_eq!(found.comparable(), nothing.comparable());
        let mixed = "query($ids: [ID!]) { viewer { transactions(first: 100, filter: {accountIds: $ids}) { totalCount nodes { id } } } }";
        let both = bob.ask_with(mixed, json!({ "ids": [account(&of_ann), account(&of_bob)] })).await;
        let own = bob.ask_with(mixed, json!({ "ids": [account(&of_bob)] })).await;
        assert_eq!(both.comparable(), own.comparable());
    }
}

#[tokio::test]
async fn the_cursors_of_another_lead_through_ones_own_rows_only() {
    for app in TestApp::on_every_store().await {
        let ((ann, _), (bob, _)) = (settled(&app, "ann").await, settled(&app, "bob").await);
        let of_ann = ann.ask(WORLD).await.data();
        let hers: HashSet<_> = collect(&of_ann, "id").into_iter().collect();
        for list in ["sessions", "links", "accounts", "transactions", "holdings", "auditEvents"] {
            for cursor in ["startCursor", "endCursor"] {
                let cursor = of_ann["viewer"][list]["pageInfo"][cursor].as_str().unwrap();
                for direction in ["first: 100, after", "last: 100, before"] {
                    let document = format!("query($cursor: String) {{ viewer {{ {list}({direction}: $cursor) {{ totalCount nodes {{ id }} }} }} }}");
                    let page = bob.ask_with(&document, json!({ "cursor": cursor })).await.data();
                    let total = bob.ask(&format!("{{ viewer {{ {list}(first: 1) {{ totalCount }} }} }}")).await.data();
                    assert_eq!(page["viewer"][list]["totalCount"], total["viewer"][list]["totalCount"]);
                    assert!(collect(&page, "id").iter().all(|id| !hers.contains(id)), "{list} {direction}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_file_does_not_go_into_an_account_of_another() {
    for app in TestApp::on_every_store().await {
        let ((ann, _), (bob, _)) = (settled(&app, "ann").await, settled(&app, "bob").await);
        let account = ann.ask(WORLD).await.data()["viewer"]["accounts"]["nodes"][0]["id"].as_str().unwrap().to_owned();
        let before = app.count("transactions").await;
        let (theirs, nothing) = (
            bob.upload("statement.ofx", STATEMENT.as_bytes(), Some(&account)).await,
            bob.upload("statement.ofx", STATEMENT.as_bytes(), Some(&absent(&account))).await,
        );
        theirs.is_problem(404, "NOT_FOUND");
        assert_eq!(theirs.comparable(), nothing.comparable());
        assert_eq!(app.count("transactions").await, before);
    }
}

#[tokio::test]
async fn an_administrator_sees_nobodys_money() {
    for app in TestApp::on_every_store().await {
        let (ann, _) = settled(&app, "ann").await;
        let root = app.signed_in("root").await;
        app.promote("root", Role::Admin).await;
        app.pass(chrono::Duration::seconds(1));
        let of_ann = ann.ask(WORLD).await.data();
        let is_money = |id: &String| !["user", "session"].iter().any(|kind| id.starts_with(kind));
        let ids: Vec<_> = collect(&of_ann, "id").into_iter().filter(is_money).take(100).collect();
        let nodes = root.ask_with("query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", json!({ "ids": ids })).await.data();
        assert!(nodes["nodes"].as_array().unwrap().iter().all(Value::is_null), "{nodes}");
        let own = root.ask(WORLD).await.data();
        for list in ["links", "accounts", "transactions", "holdings"] {
            assert_eq!(own["viewer"][list]["nodes"], json!([]));
        }
    }
}
