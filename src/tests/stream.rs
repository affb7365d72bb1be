//! Streams: the protocols to the letter, and what they tell.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod ends;
mod events;
mod protocol;
mod told;

use serde_json::Value;

use crate::harness::client::Client;

const CHANGES: &str =
    "subscription($after: String) { changes(after: $after) { added { __typename id } modified { __typename id } removed endCursor hasNextPage } }";
const STATEMENT: &str = include_str!("fixtures/ofx/checking-sgml.ofx");

/// The ids in a list of nodes.
fn ids(nodes: &Value) -> Vec<String> {
    nodes.as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
}

/// A statement of another account for each number.
async fn import(client: &Client<'_>, number: usize) {
    client.import("a.ofx", &STATEMENT.replace("<ACCTID>", &format!("<ACCTID>{number}")), None).await.succeeds();
}
