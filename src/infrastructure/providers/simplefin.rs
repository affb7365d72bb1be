//! SimpleFIN: a service that reaches many institutions, and answers for all accounts of a person at once.
//!
//! A person gets a setup token there: the base64 of a claim URL. It is claimed once, by an empty POST, for an access URL with a user and a
//! password in it, which opens everything from then on. Both URLs come from outside, so they are asked by the rule of
//! [`outside`](super::http::outside), and claims only at servers that are on a list.
//!
//! About 24 requests a day are borne, and beyond them the access is **disabled**, not slowed. So a visit asks once for each window of days, for
//! all accounts together, and remembers the answers; and a warning in an answer ends the asking for that day.
//!
//! - [`client`]: the adapter.
//! - [`mapping`]: from SimpleFIN's words to Dashtam's.
//! - `windows`: which days one request is for.

pub mod client;
mod guess;
pub mod mapping;
mod windows;

pub use client::SimpleFinProvider;
