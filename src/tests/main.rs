//! Every test of the house, in one binary so that a build links once. One file a feature, besides those about the house itself.

mod architecture;
mod audit_log;
mod completion;
mod database;
mod global_id;
mod harness;
mod import;
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
