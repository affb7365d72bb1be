//! A first look at what a client sent, before anything is built from it.
//!
//! The parser builds a tree first, and of some hundred kilobytes of brackets or names it builds hundreds of megabytes. One pass over the
//! bytes finds out whether that is worth while: how many tokens there are, how deep brackets nest, how long names are. What the bytes
//! mean is left to the parser.

use std::collections::HashSet;

use async_graphql::{Pos, ServerError};

use super::{
    error::{self, Code},
    limits::{Limits, TooComplex},
};

/// How many tokens a document may have.
pub const MAX_TOKENS: usize = 8_000;

/// How deep brackets of all kinds may nest in a document.
pub const MAX_BRACKETS: usize = 50;

/// How long a name in a document may be, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// How many values a JSON text may have.
pub const MAX_JSON_VALUES: usize = 20_000;

/// What a document's text comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Survey {
    /// Punctuators, names, numbers and strings.
    pub tokens: usize,
    /// Whether values are written into it as strings.
    pub has_strings: bool,
    /// Where the first name begins and ends that an object literal has before: of two fields of one name the parser keeps the last.
    repeated: Option<(usize, usize)>,
}

impl Survey {
    /// Refuses a document of which an object literal has a field twice (GraphQL specification, 5.6.3 "Input Object Field Uniqueness").
    pub fn check(&self, text: &str) -> Result<(), ServerError> {
        let Some((name, begin)) = self.repeated.and_then(|(begin, end)| Some((text.get(begin..end)?, begin))) else { return Ok(()) };
        let message = format!("There can be only one input field named \"{name}\".");
        Err(error::coded(ServerError::new(message, Some(place_of(text, begin))), Code::GraphqlValidationFailed))
    }
}

/// The fields of object literals, as they come by. A brace within parentheses opens one, any other a selection.
#[derive(Default)]
struct Literals<'a> {
    /// Names of fields by the brackets that are open; `None` for those that are no object's.
    open: Vec<Option<HashSet<&'a [u8]>>>,
    parentheses: usize,
    /// The token before, if it was a name.
    name: Option<(usize, usize)>,
}

impl<'a> Literals<'a> {
    /// Takes one token in; answers where the name of a field is that was there before.
    fn take(&mut self, bytes: &'a [u8], (begin, end): (usize, usize)) -> Option<(usize, usize)> {
        let name = self.name.take();
        match bytes[begin] {
            b'(' => {
                self.parentheses += 1;
                self.open.push(None);
            }
            b'[' => self.open.push(None),
            b'{' => self.open.push((self.parentheses > 0).then(HashSet::new)),
            b')' => {
                self.parentheses = self.parentheses.saturating_sub(1);
                self.open.pop();
            }
            b']' | b'}' => drop(self.open.pop()),
            b':' => {
                let fields = self.open.last_mut()?.as_mut()?;
                return name.filter(|(begin, end)| !fields.insert(&bytes[*begin..*end]));
            }
            byte if byte == b'_' || byte.is_ascii_alphabetic() => self.name = Some((begin, end)),
            _ => {}
        }
        None
    }
}

/// Looks at a document.
pub fn of_document(text: &str, limits: &Limits) -> Result<Survey, ServerError> {
    let bytes = text.as_bytes();
    let (mut survey, mut at, mut depth, mut directives) = (Survey::default(), 0, 0_usize, 0);
    let mut literals = Literals::default();
    while let Some(&byte) = bytes.get(at) {
        let length = match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => {
                at += 1;
                continue;
            }
            b'#' => {
                at += until(&bytes[at..], |byte| matches!(byte, b'\r' | b'\n'));
                continue;
            }
            b'"' => {
                survey.has_strings = true;
                string(&bytes[at..]).ok_or_else(|| unclosed(text, at))?
            }
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => until(&bytes[at..], |byte| !matches!(byte, b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9')),
            b'-' | b'0'..=b'9' => 1 + until(&bytes[at + 1..], |byte| !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')),
            b'.' => until(&bytes[at..], |byte| byte != b'.').min(3),
            // A character of several bytes stands nowhere but in strings and comments; the parser says so.
            _ => 1,
        };
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'@' => directives += 1,
            _ => {}
        }
        survey.tokens += 1;
        let is_name = byte == b'_' || byte.is_ascii_alphabetic();
        let refused = match () {
            () if survey.tokens > MAX_TOKENS => Some(TooComplex::Tokens),
            () if depth > MAX_BRACKETS => Some(TooComplex::Brackets),
            () if directives > limits.directives => Some(TooComplex::Directives(limits.directives)),
            () if is_name && length > MAX_NAME_BYTES => Some(TooComplex::Name),
            () => None,
        };
        if let Some(refused) = refused {
            return Err(error::refusal(Code::QueryTooComplex, &refused.to_string()));
        }
        survey.repeated = survey.repeated.or(literals.take(bytes, (at, at + length)));
        at += length;
    }
    Ok(survey)
}

/// Whether a JSON text has more values than one may send, so that it is not worth being read. Its depth is limited by its reader.
pub fn is_json_too_large(text: &[u8]) -> bool {
    let (mut values, mut at) = (1_usize, 0);
    while let Some(&byte) = text.get(at) {
        at += match byte {
            b'"' => string_of_json(&text[at..]),
            _ => 1,
        };
        if matches!(byte, b',' | b'[' | b'{') {
            values += 1;
        }
        if values > MAX_JSON_VALUES {
            return true;
        }
    }
    false
}

/// How many bytes there are before the first of which `is_end` holds.
fn until(bytes: &[u8], is_end: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| is_end(*byte)).unwrap_or(bytes.len())
}

/// The length of the string that begins here, with its quotes; `None` if it is not closed.
fn string(bytes: &[u8]) -> Option<usize> {
    const BLOCK: &[u8] = b"\"\"\"";
    let is_block = bytes.starts_with(BLOCK);
    let mut at = if is_block { BLOCK.len() } else { 1 };
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'\\' if is_block && bytes[at + 1..].starts_with(BLOCK) => 1 + BLOCK.len(),
            b'"' if is_block && bytes[at..].starts_with(BLOCK) => return Some(at + BLOCK.len()),
            _ if is_block => 1,
            b'\\' => 2,
            b'"' => return Some(at + 1),
            b'\r' | b'\n' => return None,
            _ => 1,
        };
    }
    None
}

/// The length of a JSON string that begins here; what is left of the text if it is not closed.
fn string_of_json(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'\\' => 2,
            b'"' => return at + 1,
            _ => 1,
        };
    }
    bytes.len()
}

fn unclosed(text: &str, at: usize) -> ServerError {
    error::coded(ServerError::new("the document does not parse here: a string is not closed", Some(place_of(text, at))), Code::GraphqlParseFailed)
}

/// Line and column of a byte.
fn place_of(text: &str, at: usize) -> Pos {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Pos { line, column }
}
