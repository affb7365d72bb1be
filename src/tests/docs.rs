//! What is written for people holds: links lead somewhere, documents and commands run, answers look as shown.
//!
//! A fence's first line says how its block is checked:
//!
//! | fence | what it must be |
//! |---|---|
//! | `graphql` | a document that runs, by a user with the sandbox bank linked; one page's in order |
//! | `json variables`, `json answer` | what belongs to the document before it |
//! | `console` | commands after `$ ` that run beside a demo, and what they print; one page's in order |
//! | `sh` | commands for another place: those of ours exist, with these options |
//! | `toml` | a configuration that is accepted |
//! | `ts` | a passage of the example app |
//!
//! In what is shown, `…` stands for anything.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod codes;
mod commands;
mod graph;
mod links;

use std::{fs, path::Path};

/// A Markdown file of the repository: its path from the root with `/` between the parts, and its text.
struct Page {
    path: String,
    text: String,
}

/// A fenced block.
#[derive(Debug)]
struct Block {
    /// What stands after the fence, such as `json answer`.
    info: String,
    text: String,
    /// The line of its fence, from 1.
    line: usize,
}

/// Where nothing of ours is.
const NOT_OURS: [&str; 6] = ["target", "node_modules", "dashtam-data", "secrets", "dist", "book"];

/// Every Markdown file, in the order of their paths.
fn pages() -> Vec<Page> {
    let mut found = Vec::new();
    collect("", &mut found);
    found.sort_by(|left: &Page, right| left.path.cmp(&right.path));
    assert!(found.iter().any(|page| page.path == "README.md"), "no pages where pages are");
    found
}

/// Those whose blocks follow the table above: all but what is made from the code.
fn guides() -> Vec<Page> {
    let mut pages = pages();
    pages.retain(|page| {
        let is_made = ["docs/reference/configuration.md", "docs/reference/command-line.md"].contains(&page.path.as_str());
        page.path == "README.md" || page.path.starts_with("examples/") || (page.path.starts_with("docs/") && !is_made)
    });
    pages
}

fn collect(folder: &str, found: &mut Vec<Page>) {
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && !NOT_OURS.contains(&name.as_str()) {
                collect(&path, found);
            }
        } else if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
            found.push(Page { text: fs::read_to_string(entry.path()).unwrap(), path });
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Page {
    /// A page that exists only in a test.
    fn planted(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Its fenced blocks.
    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut is_open = false;
        for (number, line) in self.text.lines().enumerate() {
            match line.trim_start().strip_prefix("```") {
                Some(_) if is_open => is_open = false,
                Some(info) => {
                    blocks.push(Block { info: info.trim().to_owned(), text: String::new(), line: number + 1 });
                    is_open = true;
                }
                None if is_open => {
                    let block = blocks.last_mut().unwrap();
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                None => {}
            }
        }
        assert!(!is_open, "{}: a fence is not closed", self.path);
        blocks
    }

    /// Its blocks of one kind.
    fn blocks_of(&self, kind: &str) -> Vec<Block> {
        self.blocks().into_iter().filter(|block| block.info == kind).collect()
    }

    /// Its lines outside of fences, with their numbers from 1.
    fn prose(&self) -> Vec<(usize, &str)> {
        let mut is_open = false;
        let mut outside = |line: &str| {
            let is_fence = line.trim_start().starts_with("```");
            is_open ^= is_fence;
            !is_open && !is_fence
        };
        self.text.lines().enumerate().filter(|(_, line)| outside(line)).map(|(number, line)| (number + 1, line)).collect()
    }
}

/// Whether a text is as shown, where `…` stands for anything.
fn is_as_shown(shown: &str, actual: &str) -> bool {
    let mut parts = shown.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = actual.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[test]
fn an_ellipsis_stands_for_anything() {
    for (shown, actual) in [("a", "a"), ("a…", "abc"), ("…c", "abc"), ("a…c", "abc"), ("a…b…c", "a-b-c"), ("…", ""), ("a…", "a")] {
        assert!(is_as_shown(shown, actual), "{shown} {actual}");
    }
    for (shown, actual) in [("a", "ab"), ("a…", "ba"), ("…c", "cb"), ("a…b…c", "a-c-b"), ("aa…aa", "aaa")] {
        assert!(!is_as_shown(shown, actual), "{shown} {actual}");
    }
}

#[test]
fn every_block_says_what_it_is() {
    let known = ["graphql", "json variables", "json answer", "console", "sh", "sql", "toml", "ts", "text"];
    let odd = |page: &Page| {
        let blocks = page.blocks().into_iter().filter(|block| !known.contains(&block.info.as_str()));
        blocks.map(|block| format!("{}:{}: {:?}", page.path, block.line, block.info)).collect::<Vec<_>>()
    };
    assert_eq!(odd(&Page::planted("docs/page.md", "```js\n```\n```sh\n```\n")), ["docs/page.md:1: \"js\""]);
    assert_eq!(guides().iter().flat_map(odd).collect::<Vec<_>>(), [""; 0], "{known:?}");
}

#[test]
fn each_passage_of_typescript_is_in_the_example_app() {
    let source: Vec<_> = fs::read_dir(root().join("examples/web/src")).unwrap().map(|file| file.unwrap().path()).collect();
    let source: Vec<_> = source.iter().filter(|path| path.extension().is_some_and(|end| end == "ts")).map(|path| fs::read_to_string(path).unwrap()).collect();
    let mut passages = 0;
    for page in guides() {
        for block in page.blocks_of("ts") {
            assert!(source.iter().any(|text| text.contains(&block.text)), "{}:{} is not in examples/web/src", page.path, block.line);
            passages += 1;
        }
    }
    assert!(passages > 0);
}
