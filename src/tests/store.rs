//! The contract of the store: what every repository promises, kept by every database.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod accounts;
mod links;
mod sessions;
mod syncs;
mod transactions;
mod users;
