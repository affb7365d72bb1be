//! The graph over stored rows: how much it asks of the database, how its lists are paged and filtered, and how its answers are built.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use dashtam::{
    domain::{
        account::Account,
        transaction::{TransactionStatus, TransactionSubtype},
    },
    presentation::graphql::global_id::GlobalId,
};
use serde_json::{Value, json};

use crate::harness::{
    app::TestApp,
    client::Client,
    rows::{self, november},
};

/// The query of the contract that others already build on.
const CONTRACT: &str = "{ viewer { id email accounts(first: 10) { nodes { id name type currency balances { current { amount } } transactions(first: 20) { nodes { id postedOn amount { amount currency } description category } } } } } }";

/// Accounts of the user called `name`, each with `rows` transactions over a few days, so that many share a day.
async fn accounts(app: &TestApp, name: &str, accounts: usize, rows: usize) -> Vec<Account> {
    let user = app.stored_user(name).await;
    let link = app.store.link(user.id).await;
    let mut made = Vec::new();
    for _ in 0..accounts {
        let account = app.store.account(&link, "USD").await;
        let transactions: Vec<_> = (0..rows)
            .map(|number| {
                let small = i64::try_from(number).unwrap();
                let mut facts = rows::facts((small - 20) * 10_000, november(1 + u32::try_from(number % 5).unwrap()));
                facts.description = format!("Row {number} 100%_{}", ["coffee", "Tea"][number % 2]);
                facts.subtype = [TransactionSubtype::Purchase, TransactionSubtype::Salary, TransactionSubtype::Buy][number % 3];
                facts.status = [TransactionStatus::Posted, TransactionStatus::Pending][usize::from(number % 4 == 3)];
                rows::transaction(&account, facts)
            })
            .collect();
        app.store.store(&transactions).await;
        made.push(account);
    }
    made
}

fn ids(connection: &Value) -> Vec<String> {
    connection["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
}

async fn transactions(client: &Client<'_>, arguments: &str, variables: Value) -> Value {
    let cursor = if arguments.contains("$cursor") { "$cursor: String, " } else { "" };
    let selection = "totalCount nodes { id } edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";
    let document = format!("query({cursor}$filter: TransactionFilterInput) {{ viewer {{ transactions({arguments}, filter: $filter) {{ {selection} }} }} }}");
    client.ask_with(&document, variables).await.data()["viewer"]["transactions"].clone()
}

#[tokio::test]
async fn the_contracts_query_is_three_statements_however_many_accounts_there_are() {
    for app in TestApp::on_every_store().await {
        for (name, count) in [("one", 1), ("seven", 7), ("forty", 40)] {
            let client = app.signed_in(name).await;
            accounts(&app, name, count, 25).await;
            client.ask("{ __typename }").await.data();
            let before = app.app.statements();
            let data = client.ask(CONTRACT).await.data();
            let statements = app.app.statements() - before;
            assert!(statements <= 3, "{}: {statements} statements for {count} accounts", app.store.name);
            let nodes = data["viewer"]["accounts"]["nodes"].as_array().unwrap();
            assert_eq!(nodes.len(), count.min(10));
            assert!(nodes.iter().all(|account| account["transactions"]["nodes"].as_array().unwrap().len() == 20));

            let before = app.app.statements();
            let wide = CONTRACT.replace("first: 10", "first: 100").replace("transactions(first: 20)", "link { id lastSync { id } } transactions(first: 1)");
            client.ask(&wide).await.data();
            let statements = app.app.statements() - before;
            assert!(statements <= 5, "{}: {statements} statements with links and syncs", app.store.name);
        }
    }
}

#[tokio::test]
async fn paging_in_either_direction_goes_through_the_whole_list_once() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let accounts = accounts(&app, "ann", 2, 33).await;
        let whole = transactions(&ann, "first: 100", json!({})).await;
        assert_eq!((whole["totalCount"].as_u64(), ids(&whole).len()), (Some(66), 66));
        assert_eq!((&whole["pageInfo"]["hasNextPage"], &whole["pageInfo"]["hasPreviousPage"]), (&json!(false), &json!(false)));
        for size in [1, 7, 33, 65, 66, 67] {
            let (mut forward, mut cursor) = (Vec::new(), Value::Null);
            loop {
                let page = transactions(&ann, &format!("first: {size}, after: $cursor"), json!({ "cursor": cursor })).await;
                assert_eq!((&page["pageInfo"]["hasPreviousPage"], &page["totalCount"]), (&json!(!cursor.is_null()), &json!(66)));
                forward.extend(ids(&page));
                cursor = page["pageInfo"]["endCursor"].clone();
                if page["pageInfo"]["hasNextPage"] == false {
                    break;
                }
            }
            assert_eq!(forward, ids(&whole), "{}: forward by {size}", app.store.name);
            let (mut backward, mut cursor) = (Vec::new(), Value::Null);
            loop {
                let page = transactions(&ann, &format!("last: {size}, before: $cursor"), json!({ "cursor": cursor })).await;
                backward.splice(0..0, ids(&page));
                cursor = page["pageInfo"]["startCursor"].clone();
                if page["pageInfo"]["hasPreviousPage"] == false {
                    break;
                }
            }
            assert_eq!(backward, ids(&whole), "{}: backward by {size}", app.store.name);
        }
        let middle = whole["edges"][20]["cursor"].clone();
        assert_eq!(whole["edges"][20]["node"]["id"], whole["nodes"][20]["id"]);
        let after = transactions(&ann, "first: 3, after: $cursor", json!({ "cursor": middle })).await;
        assert_eq!(ids(&after), &ids(&whole)[21..24]);

        let account = GlobalId::from(accounts[0].id).to_string();
        let (mut rows, mut cursor) = (0, Value::Null);
        loop {
            let document = "query($id: ID!, $after: String) { account(id: $id) { transactions(first: 10, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } } }";
            let page = ann.ask_with(document, json!({ "id": account, "after": cursor })).await.data()["account"]["transactions"].clone();
            rows += ids(&page).len();
            cursor = page["pageInfo"]["endCursor"].clone();
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        assert_eq!(rows, 33);
    }
}

#[tokio::test]
async fn each_filter_narrows_the_list_and_its_total() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let accounts = accounts(&app, "ann", 2, 40).await;
        let account = GlobalId::from(accounts[1].id).to_string();
        for (filter, expected) in [
            (json!({}), 80),
            (json!({ "accountIds": [account] }), 40),
            (json!({ "accountIds": [] }), 0),
            (json!({ "accountIds": ["nonsense"] }), 0),
            (json!({ "from": "2026-11-02" }), 64),
            (json!({ "to": "2026-11-02" }), 32),
            (json!({ "from": "2026-11-02", "to": "2026-11-02" }), 16),
            (json!({ "from": "2026-11-03", "to": "2026-11-02" }), 0),
            (json!({ "types": ["PAYMENT"] }), 28),
            (json!({ "types": ["INCOME", "TRADE"] }), 52),
            (json!({ "types": [] }), 0),
            (json!({ "statuses": ["PENDING"] }), 20),
            (json!({ "statuses": ["POSTED", "PENDING"] }), 80),
            (json!({ "statuses": ["FAILED"] }), 0),
            (json!({ "minAmount": "0" }), 40),
            (json!({ "maxAmount": "-0.0001" }), 40),
            (json!({ "minAmount": "-2.00", "maxAmount": "2" }), 10),
            (json!({ "maxAmount": "-99999999999999999999999" }), 0),
            (json!({ "text": "TEA" }), 40),
            (json!({ "text": "100%_t" }), 40),
            (json!({ "text": "%" }), 80),
            (json!({ "text": "row 3 " }), 2),
            (json!({ "text": "ro_" }), 0),
            (json!({ "accountIds": [account], "from": "2026-11-02", "statuses": ["PENDING"], "text": "tea" }), 8),
        ] {
            let page = transactions(&ann, "first: 100", json!({ "filter": filter })).await;
            assert_eq!((page["totalCount"].as_u64(), ids(&page).len()), (Some(expected), usize::try_from(expected).unwrap()), "{}: {filter}", app.store.name);
            let paged = transactions(&ann, "last: 1", json!({ "filter": filter })).await;
            assert_eq!(paged["totalCount"].as_u64(), Some(expected), "the total counts the list, not the page");
        }
        for filter in [json!({ "text": "" }), json!({ "text": "x".repeat(101) }), json!({ "text": "\0" }), json!({ "accountIds": vec!["x"; 101] })] {
            let answer = ann
                .ask_with(
                    "query($filter: TransactionFilterInput) { viewer { transactions(first: 1, filter: $filter) { totalCount } } }",
                    json!({ "filter": filter }),
                )
                .await;
            answer.is_fault("BAD_USER_INPUT");
        }
    }
}

#[tokio::test]
async fn a_page_is_asked_for_by_exactly_one_of_first_and_last_and_a_cursor_of_its_own_list() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        accounts(&app, "ann", 2, 3).await;
        let of_accounts = ann.ask("{ viewer { accounts(first: 1) { pageInfo { endCursor } } } }").await.data();
        let of_accounts = of_accounts["viewer"]["accounts"]["pageInfo"]["endCursor"].as_str().unwrap().to_owned();
        let of_accounts = format!("first: 1, after: {of_accounts:?}");
        for list in ["transactions", "accounts", "holdings", "links", "sessions"] {
            let mut wrong = vec![
                "filter: null",
                "first: null",
                "first: 1, last: 1",
                "first: 0",
                "first: 101",
                "first: -1",
                "last: 0",
                "last: 101",
                "first: 1, before: \"x\"",
                "last: 1, after: \"x\"",
                "first: 1, after: \"\"",
                "first: 1, after: \"nonsense\"",
                "first: 1, after: \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
                "last: 1, before: \"cAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
            ];
            if list == "transactions" {
                wrong.push(&of_accounts);
            }
            if list == "links" || list == "sessions" {
                wrong.remove(0);
            }
            for arguments in wrong {
                let answer = ann.ask(&format!("{{ viewer {{ id {list}({arguments}) {{ totalCount }} }} }}")).await;
                answer.is_fault("BAD_USER_INPUT");
                assert_eq!(answer.body["data"], json!({ "viewer": null }), "{list}({arguments})");
            }
            ann.ask(&format!("{{ viewer {{ {list}(first: 100) {{ totalCount }} b: {list}(last: 1) {{ totalCount }} }} }}")).await.data();
        }
    }
}

#[tokio::test]
async fn totals_are_counted_only_when_asked_for() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        accounts(&app, "ann", 3, 3).await;
        ann.ask("{ __typename }").await.data();
        for (list, plain, counted) in [("accounts", 2, 3), ("transactions", 2, 3), ("links", 2, 3), ("sessions", 2, 3)] {
            for (field, expected) in [("nodes { id }", plain), ("totalCount nodes { id }", counted)] {
                let before = app.app.statements();
                ann.ask(&format!("{{ viewer {{ {list}(first: 2) {{ {field} }} }} }}")).await.data();
                assert_eq!(app.app.statements() - before, expected, "{}: {list} {field}", app.store.name);
            }
        }
    }
}

#[tokio::test]
async fn nodes_come_in_the_order_of_their_ids_with_null_for_what_is_not_there() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let accounts = accounts(&app, "ann", 2, 2).await;
        let user = GlobalId::from(app.stored_user("ann").await.id).to_string();
        let (one, two) = (GlobalId::from(accounts[0].id).to_string(), GlobalId::from(accounts[1].id).to_string());
        let rows = ids(&transactions(&ann, "first: 2", json!({})).await);
        let session = ann.session_id.clone().unwrap();
        let asked = json!([
            two,
            "nonsense",
            rows[1],
            one,
            session,
            two,
            "",
            user,
            rows[0],
            "acct_00000000000000000000000000",
            GlobalId::from(accounts[0].link).to_string()
        ]);
        let data = ann.ask_with("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": asked })).await.data();
        let found: Vec<_> = data["nodes"].as_array().unwrap().iter().map(|node| node["id"].clone()).collect();
        let expected: Vec<_> = asked
            .as_array()
            .unwrap()
            .iter()
            .map(|id| if ["nonsense", "", "acct_00000000000000000000000000"].contains(&id.as_str().unwrap()) { Value::Null } else { id.clone() })
            .collect();
        assert_eq!(found, expected);
        assert_eq!(ann.ask_with("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": [] })).await.data()["nodes"], json!([]));
        let before = app.app.statements();
        ann.ask_with("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": vec![one; 100] })).await.data();
        assert_eq!(app.app.statements() - before, 1);
        ann.ask_with("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": vec!["x"; 101] })).await.is_fault("BAD_USER_INPUT");
    }
}

#[tokio::test]
async fn every_key_asked_for_stands_in_the_answer_in_the_documents_order() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        accounts(&app, "ann", 1, 1).await;
        let failing = "query($no: Boolean = false) { z: provider(slug: \"sandbox\") { slug } missing: account(id: \"x\") { id } viewer { email } broken: nodes(ids: [\"x\"]) { id } tooMany: viewer { accounts(first: 0) { nodes { id } } } skipped: viewer @include(if: $no) { id } last: provider(slug: \"nothing\") { slug } }";
        let answer = ann.ask(failing).await;
        answer.is_fault("BAD_USER_INPUT");
        let expected = r#"{"z":{"slug":"sandbox"},"missing":null,"viewer":{"email":"ann@example.com"},"broken":[null],"tooMany":null,"last":null}"#;
        assert!(answer.text.contains(expected), "{}", answer.text);
        assert_eq!(answer.body["errors"][0]["path"], json!(["tooMany", "accounts"]));
        assert!(answer.body["errors"][0]["locations"][0]["line"].is_u64());

        let must = app.nobody().ask("{ __typename providers { slug } viewer { id } }").await;
        must.is_fault("UNAUTHENTICATED");
        assert_eq!(must.body["data"], Value::Null, "a list that must be there takes the whole answer along");
        let may = app.nobody().ask("{ __typename account(id: \"x\") { id } viewer { id } node(id: \"x\") { id } }").await;
        assert_eq!(may.body["data"], json!({ "__typename": "Query", "account": null, "viewer": null, "node": null }));
        assert_eq!(may.body["errors"].as_array().map(Vec::len), Some(2));

        let thirty = (0..30).fold(String::new(), |document, number| format!("{document} a{number}: account(id: \"x\") {{ id }}"));
        let failures = app.nobody().ask(&format!("{{ {thirty} }}")).await;
        assert_eq!((failures.body["errors"].as_array().map(Vec::len), failures.body["data"].as_object().map(serde_json::Map::len)), (Some(20), Some(30)));
    }
}
