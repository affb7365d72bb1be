//! Names people give to themselves and to things of theirs, to be read by people.

use super::{account_number, card_number};

/// The longest name, in characters.
pub const MAX_NAME: usize = 100;

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 100 characters that can be seen, none of them for control")]
pub struct InvalidName;

/// A letter that takes no room, or turns the direction of writing, so that one text looks like another (Unicode's Cf).
pub(super) fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Reads a name as it was typed, without the space around it, and with numbers of cards and bank accounts cut to their last four. Joiners stay, since emoji and some scripts are written with them.
pub fn read(typed: &str) -> Result<String, InvalidName> {
    let name = typed.trim();
    let joins = |letter: char| matches!(letter, '\u{200c}' | '\u{200d}');
    let is_hidden = |letter: char| letter.is_control() || (is_invisible(letter) && !joins(letter));
    let can_be_seen = name.chars().any(|letter| !letter.is_whitespace() && !joins(letter));
    if !can_be_seen || name.chars().count() > MAX_NAME || name.contains(is_hidden) {
        return Err(InvalidName);
    }
    Ok(card_number::cut(&account_number::cut_ibans(name)))
}
