//! Every test of the house, in one binary so that a build links once. One file a feature, besides those about the house itself.

mod architecture;
mod audit_log;
mod authorization;
mod command_line;
mod completion;
mod config;
mod database;
mod docs;
mod global_id;
mod graph;
mod harness;
mod http;
mod import;
mod isolation;
mod journeys;
mod link;
mod listing;
mod matching;
mod money;
mod sandbox;
mod scalar;
mod schema;
mod session;
mod statement;
mod store;
mod sync;
