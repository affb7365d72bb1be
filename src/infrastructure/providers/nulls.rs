//! What providers answer otherwise than it should be. `null`: servers that keep lists by reference write it for one that nothing was ever put into.
//! Rows that cannot be read, which still have their ids.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// What a row is called that may say anything else wrongly: a text, or a number.
pub(super) fn id_in(row: &Value, key: &str) -> Option<String> {
    match row.get(key)? {
        Value::String(id) if !id.is_empty() => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

/// Reads positions one by one, so that one that cannot be read spoils none of the others: those that could be, and what the others are called,
/// which is the first of what `names` finds.
pub(super) fn positions<T: DeserializeOwned, H>(records: &[Value], read: impl Fn(T) -> Option<H>, names: &[&str]) -> (Vec<H>, Vec<String>) {
    let (mut holdings, mut unread) = (Vec::new(), Vec::new());
    for record in records {
        match T::deserialize(record).ok().and_then(&read) {
            Some(holding) => holdings.push(holding),
            None => unread.push(
                names.iter().filter_map(|name| record.pointer(name)?.as_str()).map(str::trim).find(|name| !name.is_empty()).unwrap_or_default().to_owned(),
            ),
        }
    }
    (holdings, unread)
}

/// A field that says `null` says what it says when it is left out.
pub(super) fn null_is_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// An answer that is a list as a whole.
#[derive(Deserialize)]
#[serde(transparent, bound = "T: Default + Deserialize<'de>")]
pub(super) struct OrEmpty<T>(#[serde(deserialize_with = "null_is_empty")] pub(super) T);
