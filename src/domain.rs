//! The words of the business: values, entities, state machines, events, and the traits of the stores that keep them.
//!
//! Pure: no runtime, no database, no wire format, no clock of its own. A reader who knows banking and not Rust should find
//! every rule of the product in here and nothing else.

pub mod account;
pub mod account_number;
pub mod agreement;
pub mod audit;
pub mod balance;
pub mod card_number;
pub mod chain;
pub mod change;
pub mod common_password;
pub mod consent;
pub mod coverage;
pub mod csv;
pub mod email_change;
pub mod erasure;
pub mod event;
pub mod export;
pub mod failure;
pub mod holding;
pub mod id;
pub mod import;
pub mod keys;
pub mod link;
pub mod live;
pub mod mail;
pub mod matching;
pub mod money;
pub mod name;
pub mod outbox;
pub mod page;
pub mod pause;
pub mod payload;
pub mod provider;
pub mod rate_limit;
pub mod schedule;
pub mod second_factor;
pub mod security;
pub mod session;
pub mod sign_in;
pub mod signal;
pub mod sync;
pub mod time;
pub mod transaction;
pub mod user;
