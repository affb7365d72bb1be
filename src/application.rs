//! The use cases: each told once, top to bottom, in the words of the domain.
//!
//! Sees the domain and nothing else of the house. What it needs from outside stands in [`ports`]; who asks and what they may do
//! stands in [`access`]; that every act is on the trail is the business of [`audit`].

pub mod access;
pub mod account;
pub mod audit;
pub mod import;
pub mod link;
pub mod ports;
pub mod provider;
pub mod session;
pub mod sync;
pub mod transaction;
pub mod user;
