//! Cursors and ids: whatever stands where one is expected is one of ours, or refused, or nobody's.
#![no_main]

use dashtam_fuzz::with_server;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

const DOCUMENT: &str = "query($text: String!, $id: ID!) {
    node(id: $id) { id } nodes(ids: [$id]) { id } account(id: $id) { id } transaction(id: $id) { id }
    viewer {
        links(first: 2, after: $text) { nodes { id } }
        accounts(last: 2, before: $text) { nodes { id } }
        transactions(first: 2, after: $text) { nodes { id } }
        sessions(first: 2, after: $text) { nodes { id } }
        auditEvents(last: 2, before: $text) { nodes { act } }
        changes(after: $text, first: 2) { endCursor }
    }
}";

fuzz_target!(|text: &str| {
    with_server(|server| {
        let answer = server.ask(json!({ "query": DOCUMENT, "variables": { "text": text, "id": text } }).to_string().into_bytes());
        assert!(answer.get("data").is_some(), "{answer}");
    });
});
