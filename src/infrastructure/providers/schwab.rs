//! Schwab: the Trader API for individuals, linked by signing in.
//!
//! What its documentation leaves open is known from its public clients: authorization codes end in `@`, access tokens last half an hour, and
//! the refresh token seven days from signing in, however often it is used. Paths take the hash of an account's number and never the number.
//!
//! - [`client`]: consent, and what is asked.
//! - `mapping`: from Schwab's words to Dashtam's.
//! - `income`: what is a dividend, and what is interest.
//! - `numbers`: numbers as they were written.
//! - `spans`: which days one request is for.

pub mod client;
mod income;
mod mapping;
mod numbers;
mod spans;

pub use client::SchwabProvider;
