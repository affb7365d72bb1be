//! Holds the house to its drawing: which floor may name what, what a file may be called, and that nothing in the graph is unguarded.
//!
//! Each rule is a function from a source text to the places that break it. A rule is run over the real sources, and over planted
//! ones that must be refused: a checker that never refuses anything would pass for ever.

mod floors;
mod guards;
mod names;

use std::{fmt, fs, io, path::Path};

use proc_macro2::TokenStream;

/// A file of ours: its path below the package with `/` between the parts, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// A source that exists only in a test.
    fn planted(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The file as a compiler sees it: comments are gone, and strings are one token each.
    fn tokens(&self) -> TokenStream {
        self.text.parse().unwrap_or_else(|error| panic!("{} is not Rust: {error}", self.path))
    }

    fn violation(&self, line: usize, reason: impl Into<String>) -> Violation {
        Violation { file: self.path.clone(), line, reason: reason.into() }
    }
}

/// One place that breaks a rule.
#[derive(Debug)]
struct Violation {
    file: String,
    line: usize,
    reason: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

/// Every Rust file below a folder of the package, in the order of their paths; none when the folder is not there.
fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(folder, &mut found).unwrap_or_else(|error| panic!("{folder} cannot be read: {error}"));
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found
}

fn collect(folder: &str, found: &mut Vec<Source>) -> io::Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !package.join(folder).is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(package.join(folder))? {
        let entry = entry?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&path, found)?;
        } else if Path::new(&path).extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(entry.path())?;
            found.push(Source { path, text });
        }
    }
    Ok(())
}

/// Runs a rule over the sources and fails with every violation at once.
fn holds(rule: impl Fn(&Source) -> Vec<Violation>, sources: &[Source]) {
    let lines: Vec<String> = sources.iter().flat_map(rule).map(|violation| violation.to_string()).collect();
    assert!(lines.is_empty(), "{} place(s) break the rule:\n{}", lines.len(), lines.join("\n"));
}

/// Asserts that a rule refuses a planted source once, on that line and for a reason that holds that text.
fn refuses(rule: impl Fn(&Source) -> Vec<Violation>, source: &Source, line: usize, reason: &str) {
    let violations = rule(source);
    let [violation] = violations.as_slice() else { panic!("one violation expected in {:?}, found {violations:?}", source.text) };
    assert_eq!((violation.file.as_str(), violation.line), (source.path.as_str(), line), "{violation}");
    assert!(violation.reason.contains(reason), "{violation} does not say {reason:?}");
}

/// Asserts that a rule lets a planted source pass.
fn accepts(rule: impl Fn(&Source) -> Vec<Violation>, source: &Source) {
    let violations = rule(source);
    assert!(violations.is_empty(), "no violation expected in {:?}, found {violations:?}", source.text);
}
