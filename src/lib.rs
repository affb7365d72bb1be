#![recursion_limit = "256"]
//! Dashtam: a self-hosted financial data aggregation API. The house has four floors; dependencies point inwards only.
//!
//! - [`domain`]: the words and rules of the business, pure.
//! - [`application`]: the use cases, told with ports.
//! - [`infrastructure`]: the ports met by technologies.
//! - [`presentation`]: GraphQL and plain HTTP.
//!
//! [`app`] composes them, [`config`] says what can be set, [`commands`] are what the binary does.

pub mod app;
pub mod application;
pub mod commands;
pub mod config;
pub mod domain;
pub mod infrastructure;
pub mod presentation;
