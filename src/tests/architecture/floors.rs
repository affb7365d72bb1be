//! Dependencies point inwards only.
//!
//! A file is read as tokens, so a name counts wherever it stands: in a `use`, in a path in the middle of an expression, in an
//! attribute, in the body of a macro. Comments and strings do not count. What is planted below is what this rule has to see.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

use super::{Source, Violation, accepts, holds, refuses, sources};

/// What the files of one part of the house may name.
struct Floor {
    name: &'static str,
    /// Modules at the crate's root that these files see.
    sees: Sees,
    /// Libraries that these files must not name.
    shuns: &'static [&'static str],
}

enum Sees {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

impl Sees {
    fn module(&self, name: &str) -> bool {
        match self {
            Self::Only(seen) => seen.contains(&name),
            Self::AllBut(hidden) => !hidden.contains(&name),
        }
    }
}

const DOMAIN: Floor = Floor {
    name: "the domain",
    sees: Sees::Only(&["domain"]),
    shuns: &["tokio", "tokio_util", "serde", "serde_json", "sea_orm", "async_graphql", "axum", "redis", "oso", "reqwest"],
};
const APPLICATION: Floor =
    Floor { name: "the application", sees: Sees::Only(&["domain", "application"]), shuns: &["sea_orm", "async_graphql", "axum", "redis", "oso", "reqwest"] };
const INFRASTRUCTURE: Floor =
    Floor { name: "the infrastructure", sees: Sees::Only(&["domain", "application", "infrastructure", "config"]), shuns: &["async_graphql", "axum", "oso"] };
const PRESENTATION: Floor =
    Floor { name: "the presentation", sees: Sees::Only(&["domain", "application", "presentation", "config"]), shuns: &["sea_orm", "redis", "oso", "reqwest"] };
/// `app.rs` puts ports and adapters together, so it sees all of them; only the policy's language stays behind its port.
const COMPOSITION: Floor = Floor { name: "the composition root", sees: Sees::AllBut(&[]), shuns: &["oso"] };
/// `main.rs`, the command line, the configuration: what they need from an adapter, `app.rs` gives them.
const ENTRANCE: Floor = Floor {
    name: "a file outside the four floors",
    sees: Sees::AllBut(&["infrastructure"]),
    shuns: &["sea_orm", "async_graphql", "axum", "redis", "oso", "reqwest"],
};

/// Files that may name a library which the rest of their floor must not.
const EXCEPTIONS: [(&str, &str); 3] = [
    ("oso", "src/infrastructure/security/policy.rs"),
    // The sandbox is a bank: it answers on a server of its own.
    ("axum", "src/infrastructure/providers/sandbox.rs"),
    ("axum", "src/infrastructure/providers/sandbox/"),
];

/// The part of the house that a file belongs to; `None` for tests, which see everything.
fn floor_of(path: &str) -> Option<&'static Floor> {
    let inside = path.strip_prefix("src/")?;
    let first = inside.split(['/', '.']).next()?;
    match first {
        "domain" => Some(&DOMAIN),
        "application" => Some(&APPLICATION),
        "infrastructure" => Some(&INFRASTRUCTURE),
        "presentation" => Some(&PRESENTATION),
        "app" => Some(&COMPOSITION),
        "tests" => None,
        _ => Some(&ENTRANCE),
    }
}

/// Rule 1: names the libraries and the parts of the house that a file must not know.
fn inwards_only(source: &Source) -> Vec<Violation> {
    let Some(floor) = floor_of(&source.path) else { return Vec::new() };
    let excepted = |library: &str| EXCEPTIONS.iter().any(|(name, path)| *name == library && source.path.starts_with(path));
    let mut names = Names::default();
    names.read(source.tokens(), &module_of(&source.path), None);

    let libraries = names.words.iter().filter(|(word, _)| floor.shuns.contains(&word.as_str()) && !excepted(word));
    let mut violations: Vec<_> = libraries.map(|(word, line)| source.violation(*line, format!("{} must not name the library `{word}`", floor.name))).collect();

    for mention in &names.house {
        match mention.module.first().map(String::as_str) {
            Some("*") => violations.push(source.violation(mention.line, "a glob of the crate's root hides what the file names".to_owned())),
            None if mention.renamed => violations.push(source.violation(mention.line, "a new name for the crate's root hides what the file names".to_owned())),
            Some(module) if !floor.sees.module(module) => {
                violations.push(source.violation(mention.line, format!("{} must not name `crate::{module}`", floor.name)));
            }
            _ => {}
        }
    }
    violations.sort_by_key(|violation| violation.line);
    violations.dedup_by(|next, first| next.line == first.line && next.reason == first.reason);
    violations
}

/// `src/domain/money.rs` is `crate::domain::money`.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    inside.split('/').filter(|part| !["lib", "main", "mod"].contains(part)).map(str::to_owned).collect()
}

/// A path that leads into this crate, written from its root: `super::super::app` in `crate::domain::money` is `app`.
struct Mention {
    module: Vec<String>,
    line: usize,
    /// Whether `as` follows.
    renamed: bool,
}

/// What a file names.
#[derive(Default)]
struct Names {
    words: Vec<(String, usize)>,
    house: Vec<Mention>,
}

impl Names {
    /// Reads tokens that stand in `module`; inside the braces of a `use`, `under` is the path before them.
    fn read(&mut self, tokens: TokenStream, module: &[String], under: Option<&[String]>) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Group(group) => self.read(group.stream(), module, None),
                TokenTree::Ident(word) if word == "as" && under.is_some() => at += 1,
                TokenTree::Ident(word) => {
                    self.words.push((word.to_string(), word.span().start().line));
                    at = match inline_module(word, &tokens[at..]) {
                        Some((name, body)) => {
                            let inner: Vec<String> = module.iter().cloned().chain([name]).collect();
                            self.read(body, &inner, None);
                            at + 2
                        }
                        None => self.path(&tokens, at - 1, module, under),
                    };
                }
                _ => {}
            }
        }
    }

    /// Reads the path that starts at `start`; answers where it ends.
    fn path(&mut self, tokens: &[TokenTree], start: usize, module: &[String], under: Option<&[String]>) -> usize {
        let Some(TokenTree::Ident(first)) = tokens.get(start) else { return start + 1 };
        let line = first.span().start().line;
        let mut path = match (first.to_string().as_str(), under) {
            ("crate" | "dashtam", None) => Some(Vec::new()),
            (word @ ("self" | "super"), None) => Some(step(module.to_vec(), word)),
            (word, Some(prefix)) => Some(step(prefix.to_vec(), word)),
            _ => None,
        };
        let mut at = start + 1;
        while follows_path_separator(tokens, at) {
            at += 2;
            match tokens.get(at) {
                Some(TokenTree::Ident(word)) => {
                    self.words.push((word.to_string(), word.span().start().line));
                    path = path.map(|path| step(path, &word.to_string()));
                    at += 1;
                }
                Some(TokenTree::Punct(star)) if star.as_char() == '*' => {
                    path = path.map(|path| step(path, "*"));
                    at += 1;
                }
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    self.read(group.stream(), module, path.as_deref());
                    return at + 1;
                }
                _ => break,
            }
        }
        if let Some(module) = path {
            let renamed = matches!(tokens.get(at), Some(TokenTree::Ident(word)) if word == "as");
            self.house.push(Mention { module, line, renamed });
        }
        at
    }
}

/// One step along a path.
fn step(mut path: Vec<String>, word: &str) -> Vec<String> {
    match word {
        "self" => {}
        "super" => drop(path.pop()),
        word => path.push(word.to_owned()),
    }
    path
}

fn follows_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    let colon = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    let joint = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(punct)) if punct.spacing() == Spacing::Joint);
    colon(tokens.get(at)) && joint(tokens.get(at)) && colon(tokens.get(at + 1))
}

/// The name and body of `mod name { … }`, when `word` begins one.
fn inline_module(word: &proc_macro2::Ident, after: &[TokenTree]) -> Option<(String, TokenStream)> {
    match after {
        [TokenTree::Ident(name), TokenTree::Group(body), ..] if word == "mod" && body.delimiter() == Delimiter::Brace => {
            Some((name.to_string(), body.stream()))
        }
        _ => None,
    }
}

#[test]
fn dependencies_point_inwards_only() {
    let sources = sources("src");
    assert!(sources.iter().any(|source| source.path == "src/domain.rs"), "the walk has missed the domain");
    holds(inwards_only, &sources);
}

#[test]
fn each_floor_refuses_what_it_must_not_name() {
    for (path, text, reason) in [
        ("src/domain/money.rs", "use serde::Serialize;", "`serde`"),
        ("src/domain/money.rs", "use tokio::sync::Mutex;", "`tokio`"),
        ("src/domain/money.rs", "use crate::application::ports::Store;", "`crate::application`"),
        ("src/domain.rs", "use crate::infrastructure::database;", "`crate::infrastructure`"),
        ("src/domain/money.rs", "use crate::presentation::http;", "`crate::presentation`"),
        ("src/domain/money.rs", "use crate::config::Config;", "`crate::config`"),
        ("src/application/session.rs", "use sea_orm::EntityTrait;", "`sea_orm`"),
        ("src/application/session.rs", "use crate::infrastructure::memory;", "`crate::infrastructure`"),
        ("src/application/ports.rs", "use crate::presentation::graphql;", "`crate::presentation`"),
        ("src/application/ports.rs", "use crate::app::App;", "`crate::app`"),
        ("src/infrastructure/database/session.rs", "use async_graphql::ID;", "`async_graphql`"),
        ("src/infrastructure/database/session.rs", "use crate::presentation::graphql;", "`crate::presentation`"),
        ("src/infrastructure/providers/schwab.rs", "use axum::Router;", "`axum`"),
        ("src/infrastructure/security/jwt.rs", "use oso::Oso;", "`oso`"),
        ("src/presentation/graphql/session.rs", "use sea_orm::EntityTrait;", "`sea_orm`"),
        ("src/presentation/http/oauth.rs", "use reqwest::Client;", "`reqwest`"),
        ("src/presentation/http/health.rs", "use redis::Client;", "`redis`"),
        ("src/presentation/http/health.rs", "use crate::infrastructure::database;", "`crate::infrastructure`"),
        ("src/app.rs", "use oso::Oso;", "`oso`"),
        ("src/main.rs", "use dashtam::infrastructure::database;", "`crate::infrastructure`"),
        ("src/cli/user.rs", "use sea_orm::Database;", "`sea_orm`"),
    ] {
        refuses(inwards_only, &Source::planted(path, text), 1, reason);
    }
}

#[test]
fn a_name_counts_wherever_it_stands() {
    for (text, line, reason) in [
        ("fn f() {\n    let _ = ::redis::Client::open(\"\");\n}", 2, "`redis`"),
        ("fn f() -> crate::infrastructure::Pool {\n    todo!()\n}", 1, "`crate::infrastructure`"),
        ("fn f() {\n    <crate::presentation::Page as Show>::show();\n}", 2, "`crate::presentation`"),
        ("macro_rules! m {\n    () => {\n        $crate::infrastructure::open()\n    };\n}", 3, "`crate::infrastructure`"),
        ("macro_rules! m {\n    () => {\n        sea_orm::Value::Int\n    };\n}", 3, "`sea_orm`"),
        ("#[derive(axum::Thing)]\nstruct S;", 1, "`axum`"),
        ("use crate::{\n    domain::money,\n    infrastructure::{database, memory},\n};", 3, "`crate::infrastructure`"),
        ("use super::super::infrastructure::memory;", 1, "`crate::infrastructure`"),
        ("mod inner {\n    use super::super::super::presentation::http;\n}", 2, "`crate::presentation`"),
        ("use super::{self as here, super::infrastructure::memory};", 1, "`crate::infrastructure`"),
        ("use reqwest as http;", 1, "`reqwest`"),
        ("use crate::*;", 1, "glob"),
        ("use crate as house;", 1, "new name"),
        ("use crate::{self as house};", 1, "new name"),
    ] {
        refuses(inwards_only, &Source::planted("src/application/session.rs", text), line, reason);
    }
}

#[test]
fn what_only_speaks_of_a_name_is_fine() {
    for (path, text) in [
        ("src/domain/money.rs", "//! Knows nothing of serde or crate::application.\n/// Not [`tokio`].\nfn f() { /* axum */ }"),
        ("src/domain/money.rs", "const TEXT: &str = \"use sea_orm::Database; crate::infrastructure\";\nconst RAW: &str = r#\"redis\"#;"),
        ("src/domain/money.rs", "use crate::domain::id::UserId;\nuse super::{id, time::LocalDate};\npub(crate) use words;\npub(in crate::domain) fn f() {}"),
        ("src/domain/money.rs", "mod inner {\n    use super::super::*;\n    fn infrastructure() -> infrastructure { self::application() as presentation }\n}"),
        ("src/application/session.rs", "use tokio::task;\nuse crate::{application::ports, domain::session};"),
        ("src/infrastructure/security/policy.rs", "use oso::Oso;\nuse crate::application::access::Scope;"),
        ("src/infrastructure/providers/sandbox/server.rs", "use axum::Router;\nuse crate::config::Config;"),
        ("src/presentation/http.rs", "use axum::Router;\nuse crate::application::session;"),
        ("src/app.rs", "use crate::{application::ports, infrastructure::database, presentation::http};\nuse sea_orm::Database;"),
        ("src/lib.rs", "pub mod infrastructure;\npub mod presentation;"),
        ("src/main.rs", "use dashtam::app::App;"),
        ("src/tests/session.rs", "use dashtam::infrastructure::memory;\nuse sea_orm::Database;"),
    ] {
        accepts(inwards_only, &Source::planted(path, text));
    }
}
