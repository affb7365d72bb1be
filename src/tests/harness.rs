//! What tests stand on: stores, a clock and randomness of their own, and rows to put into them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

pub(crate) mod app;
pub(crate) mod bank;
pub(crate) mod binary;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod documents;
pub(crate) mod lines;
pub(crate) mod log;
pub(crate) mod redis;
pub(crate) mod rows;
pub(crate) mod smtp;
pub(crate) mod stores;
pub(crate) mod streams;
pub(crate) mod walk;
