//! The providers: a folder each, with its client, its mapping and what it needs of its own. Adding one touches its folder, a line here
//! and a line where the application is composed.

pub mod alpaca;
mod computed;
mod day;
pub mod http;
mod nulls;
mod oauth;
pub mod sandbox;
pub mod schwab;
pub mod simplefin;
pub mod statement;
