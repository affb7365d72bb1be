//! A document: guarded, parsed, measured, priced, validated, run.
#![no_main]

use dashtam_fuzz::with_server;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|document: &str| {
    with_server(|server| {
        server.ask(json!({ "query": document }).to_string().into_bytes());
    });
});
