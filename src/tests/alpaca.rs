//! Alpaca: what its words become, and the life of a link to it, against a stand-in that speaks as its API does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod life;
pub(crate) mod stand_in;
mod words;
