//! Alpaca: a broker for shares, options and coins, linked by a key that its owner makes there.
//!
//! The Trading API, as <https://docs.alpaca.markets> describes it. One key opens one account, live or paper, and each kind has an address of
//! its own. Numbers are texts. Activities come newest first in pages of a hundred, each page after the last id of the one before.
//!
//! - [`client`]: what is asked, and the adapter.
//! - `mapping`: from Alpaca's words to Dashtam's.

pub mod client;
mod mapping;

pub use client::AlpacaProvider;
