//! What a client runs on, told from what it calls itself. A guess for people who look at their sessions; nothing is decided by it.

use woothee::parser::Parser;

/// What the library says of what it does not know.
const UNKNOWN: &str = "UNKNOWN";

/// What the library calls every program that is no browser; the program's own name says more.
const LIBRARY: &str = "HTTP Library";

/// Such as `Firefox on Linux`; the first word of a program that is no browser, such as `curl`; `None` when nothing can be told.
pub fn described(user_agent: &str) -> Option<String> {
    if let Some(known) = Parser::new().parse(user_agent) {
        match (known.name, known.os) {
            (UNKNOWN | LIBRARY, _) => {}
            (name, UNKNOWN) => return Some(name.to_owned()),
            (name, system) => return Some(format!("{name} on {system}")),
        }
    }
    let product = user_agent.split(|end: char| end == '/' || end.is_whitespace()).next().unwrap_or_default();
    let is_a_name = !product.is_empty() && product.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'));
    is_a_name.then(|| product.to_owned())
}
