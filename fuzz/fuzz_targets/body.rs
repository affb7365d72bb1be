//! Any bytes as a request's body.
#![no_main]

use dashtam::presentation::http::graphql::read_body;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(question) = read_body(body) {
        assert!(!question.read_only, "a body may change things");
        assert!(question.document.is_some() || question.document_id.is_some() || question.persisted.is_some());
    }
});
