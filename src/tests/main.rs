//! Every test of the house, in one binary so that a build links once. One file a feature, besides those about the house itself.

mod account;
mod administration;
mod alpaca;
mod architecture;
mod audit;
mod audit_log;
mod authorization;
mod balance;
mod canaries;
mod change;
mod command_line;
mod completion;
mod config;
mod conformance;
mod csv;
mod database;
mod docs;
mod doctor;
mod events;
mod global_id;
mod graph;
mod harness;
mod health;
mod holding;
mod http;
mod import;
mod isolation;
mod journeys;
mod keys;
mod killed;
mod link;
mod listing;
mod matching;
mod metrics;
mod money;
mod outbox;
mod provider;
mod rate_limit;
mod reference;
mod registration;
mod rights;
mod sandbox;
mod scalar;
mod schema;
mod schwab;
mod second_factor;
mod session;
mod signal;
mod simplefin;
mod statement;
mod store;
mod stream;
mod sync;

/// As in the binary, so that what is measured here is what is had there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
