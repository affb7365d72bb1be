#![recursion_limit = "256"]
//! Dashtam: a self-hosted financial data aggregation API. The house has four floors; dependencies point inwards only.
//!
//! - [`domain`]: the words and rules of the business, pure.
//! - [`application`]: the use cases, told with ports.

pub mod application;
pub mod domain;
