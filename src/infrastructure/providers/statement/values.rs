//! What is kept of a file's texts, and how much.

/// Characters of a description.
pub(super) const MAX_DESCRIPTION: usize = 1000;
/// Characters of a name of an institution or a merchant.
pub(super) const MAX_NAME: usize = 255;
/// Bytes of a bank's own id of a row (OFX 2.2, section 3.2.3).
pub(super) const MAX_REFERENCE: usize = 255;

/// Text on one line: runs of white space and control characters become one space each.
pub(super) fn tidy(text: &str) -> String {
    text.split(|char: char| char.is_whitespace() || char.is_control()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The first `count` characters.
pub(super) fn characters(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
}

/// As many whole characters as fit into `count` bytes.
pub(super) fn bytes(text: &str, count: usize) -> &str {
    &text[..text.floor_char_boundary(count)]
}
