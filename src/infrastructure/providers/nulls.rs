//! `null` in what providers answer: servers that keep lists by reference write it for one that nothing was ever put into.

use serde::{Deserialize, Deserializer};

/// A field that says `null` says what it says when it is left out.
pub(super) fn null_is_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// An answer that is a list as a whole.
#[derive(Deserialize)]
#[serde(transparent, bound = "T: Default + Deserialize<'de>")]
pub(super) struct OrEmpty<T>(#[serde(deserialize_with = "null_is_empty")] pub(super) T);
