//! Changes, followed by cursor: nothing missed, nothing twice, nobody else's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod cursors;
mod following;
mod races;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::client::{Answer, Client};

const PAGE: &str = "query($after: String, $first: Int) { viewer { changes(after: $after, first: $first) { added { __typename id ...now } modified { __typename id ...now } \
                    removed endCursor hasNextPage latestCursor resetRequired } } } \
                    fragment now on Node { ... on Transaction { status description } ... on Link { status } }";

async fn ask(client: &Client<'_>, after: Option<&str>, first: u32) -> Answer {
    client.ask_with(PAGE, json!({ "after": after, "first": first })).await
}

/// One page of what changed.
async fn page(client: &Client<'_>, after: Option<&str>, first: u32) -> Value {
    ask(client, after, first).await.data()["viewer"]["changes"].clone()
}

/// The ids in a list of nodes.
fn ids(nodes: &Value) -> Vec<String> {
    nodes.as_array().unwrap().iter().map(|node| node.get("id").unwrap_or(node).as_str().unwrap().to_owned()).collect()
}

/// A client's copy of what there is, kept by changes alone.
#[derive(Default)]
struct Mirror {
    cursor: Option<String>,
    nodes: BTreeMap<String, Value>,
    /// How many pages it took so far.
    pages: usize,
}

impl Mirror {
    /// Applies one page; `false` when it was the last.
    fn apply(&mut self, page: &Value) -> bool {
        assert_eq!(page["resetRequired"], false);
        for node in page["added"].as_array().unwrap() {
            let known = self.nodes.insert(node["id"].as_str().unwrap().to_owned(), node.clone());
            assert!(known.is_none(), "added twice: {node}");
        }
        for node in page["modified"].as_array().unwrap() {
            self.nodes.insert(node["id"].as_str().unwrap().to_owned(), node.clone());
        }
        for id in ids(&page["removed"]) {
            self.nodes.remove(&id);
        }
        self.cursor = page["endCursor"].as_str().map(str::to_owned);
        self.pages += 1;
        page["hasNextPage"] == true
    }

    /// Reads to the end.
    async fn follow(&mut self, client: &Client<'_>, first: u32) {
        while self.apply(&page(client, self.cursor.as_deref(), first).await) {}
    }

    /// The ids of one kind.
    fn of(&self, prefix: &str) -> Vec<String> {
        self.nodes.keys().filter(|id| id.starts_with(prefix)).cloned().collect()
    }
}

/// Everything there is, by the lists.
async fn everything(client: &Client<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for list in ["links", "accounts", "transactions", "holdings"] {
        let mut after: Option<String> = None;
        loop {
            let document = format!(
                "query($after: String) {{ viewer {{ page: {list}(first: 100, after: $after) {{ nodes {{ id }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
            );
            let data = client.ask_with(&document, json!({ "after": after })).await.data();
            let page = &data["viewer"]["page"];
            found.extend(ids(&page["nodes"]));
            after = page["pageInfo"]["endCursor"].as_str().map(str::to_owned);
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
    }
    found.sort();
    found
}
