//! Any text as a cursor: it is none, or the key it stands for is written the same way again.
#![no_main]

use dashtam::{
    domain::page::{CreatedKey, PostedKey},
    presentation::graphql::page::Cursor,
};
use libfuzzer_sys::fuzz_target;

fn there_and_back<K: Cursor>(cursor: &str) {
    if let Some(key) = K::decode(cursor) {
        let written = key.encode();
        let again = K::decode(&written).expect("what we write we read").encode();
        assert_eq!(written, again);
    }
}

fuzz_target!(|cursor: &str| {
    there_and_back::<CreatedKey>(cursor);
    there_and_back::<PostedKey>(cursor);
});
