//! How providers are asked: over lines that keep limits, ask again where it is safe, and leave alone what fails.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod budget;
mod catalogue;
mod circuit;
mod hostile;
mod outside;
mod pauses;
mod repeating;

use std::sync::Arc;

use dashtam::{
    application::ports::ProviderFault,
    infrastructure::providers::http::{Asked, Line, Policy, ask},
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use crate::harness::{
    clock::TestClock,
    lines::{QUICK, line},
};

/// A stand-in that always answers so.
async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

/// A line to it, with a clock that stands still.
fn quick(policy: Policy) -> Line {
    line(policy, Arc::new(TestClock::new()))
}

/// A GET for data.
async fn get(line: &Line, address: &str) -> Result<Vec<u8>, ProviderFault> {
    ask(line, line.get(address).build().unwrap(), Asked::Data).await.map(http::Response::into_body)
}

/// How often a stand-in was asked.
async fn asked(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}
