//! The page on errors names every code there is. What a code means is taken from the code; what to do about it is written on the page.
//!
//! `UPDATE_DOCS=1 cargo test docs::codes` writes new rows and changed meanings into the page; a row whose remedy is missing is
//! refused until somebody writes one.

use std::collections::BTreeMap;

use async_graphql::parser::{
    parse_schema,
    types::{TypeKind, TypeSystemDefinition},
};
use syn::visit::Visit;

use super::root;

const PAGE: &str = "docs/reference/errors.md";

/// Codes and what they mean, in the order in which they are listed.
type Codes = Vec<(String, String)>;

/// The values of an enum of the graph.
fn of_the_graph(name: &str) -> Codes {
    let schema = parse_schema(dashtam::presentation::graphql::sdl()).unwrap();
    for definition in schema.definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let TypeKind::Enum(values) = &definition.node.kind else { continue };
        if definition.node.name.node == name {
            let described = values.values.iter().map(|value| &value.node);
            return described.map(|value| (value.value.node.to_string(), one_line(&value.description.as_ref().unwrap().node))).collect();
        }
    }
    panic!("the schema has no enum {name}")
}

/// The variants of `Code`, with their doc comments.
fn of_faults() -> Codes {
    let source = std::fs::read_to_string(root().join("src/presentation/graphql/error.rs")).unwrap();
    let file = syn::parse_file(&source).unwrap();
    let code = file.items.iter().find_map(|item| if let syn::Item::Enum(item) = item { Some(item).filter(|item| item.ident == "Code") } else { None }).unwrap();
    code.variants.iter().map(|variant| (screaming(&variant.ident.to_string()), doc(&variant.attrs))).collect()
}

/// `NOT_FOUND` for `NotFound`.
fn screaming(name: &str) -> String {
    let words = name.char_indices().flat_map(|(at, letter)| [(at > 0 && letter.is_uppercase()).then_some('_'), Some(letter.to_ascii_uppercase())]);
    words.flatten().collect()
}

fn doc(attributes: &[syn::Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
        text(&pair.value).filter(|_| pair.path.is_ident("doc"))
    });
    one_line(&lines.collect::<Vec<_>>().join(" "))
}

fn text(expression: &syn::Expr) -> Option<String> {
    match expression {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every `Problem::new(status, code, title, …)`.
#[derive(Default)]
struct Problems(BTreeMap<String, Vec<String>>);

impl<'ast> Visit<'ast> for Problems {
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        syn::visit::visit_expr_call(self, call);
        let syn::Expr::Path(path) = &*call.func else { return };
        let names: Vec<_> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let is_new = names.last().is_some_and(|name| name == "new") && names.iter().rev().nth(1).is_some_and(|name| name == "Problem" || name == "Self");
        let mut arguments = call.args.iter().skip(1).filter_map(text);
        if let (true, 4, Some(code), Some(title)) = (is_new, call.args.len(), arguments.next(), arguments.next()) {
            let titles = self.0.entry(code).or_default();
            if !titles.contains(&title) {
                titles.push(title);
            }
        }
    }
}

fn of_problems() -> Codes {
    let mut problems = Problems::default();
    let mut folders = vec![root().join("src/presentation/http")];
    let mut files = vec![root().join("src/presentation/http.rs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.retain(|path| path.extension().is_some_and(|end| end == "rs"));
    // Titles of one code stand in the order of their files.
    files.sort();
    for file in files {
        problems.visit_file(&syn::parse_file(&std::fs::read_to_string(file).unwrap()).unwrap());
    }
    problems.0.into_iter().map(|(code, titles)| (code, format!("{}.", titles.join(" · ")))).collect()
}

/// The page with the table under each heading as the code has it; remedies are kept by code.
fn renewed(page: &str) -> String {
    let tables: [(&str, Codes); 5] = [
        ("Refusals", of_the_graph("UserErrorCode")),
        ("Faults", of_faults()),
        ("Problems", of_problems()),
        ("Links that do not work", of_the_graph("LinkReason")),
        ("Syncs that fail", of_the_graph("SyncProblem")),
    ];
    let mut sections: Vec<String> = page.split_inclusive("\n## ").map(str::to_owned).collect();
    for (heading, codes) in tables {
        let section = sections.iter_mut().find(|section| section.starts_with(&format!("{heading}\n"))).unwrap_or_else(|| panic!("{PAGE} has no {heading}"));
        *section = with_table(section, &codes);
    }
    sections.concat()
}

fn with_table(section: &str, codes: &Codes) -> String {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "));
    let remedies: BTreeMap<&str, &str> = rows.filter_map(|(code, rest)| Some((code, rest.rsplit_once(" | ")?.1))).collect();
    let rows = codes.iter().map(|(code, meaning)| format!("| `{code}` | {meaning} | {} |\n", remedies.get(code.as_str()).unwrap_or(&"")));
    let table: String = rows.collect();
    let before: String = section.split_inclusive('\n').take_while(|line| !line.starts_with("| `")).collect();
    let after: String = section.split_inclusive('\n').skip_while(|line| !line.starts_with("| `")).skip_while(|line| line.starts_with("| `")).collect();
    format!("{before}{table}{after}")
}

#[test]
fn the_page_on_errors_names_every_code_with_a_remedy() {
    let path = root().join(PAGE);
    let page = std::fs::read_to_string(&path).unwrap();
    let renewed = renewed(&page);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &renewed).unwrap();
    } else {
        assert!(page == renewed, "{PAGE} is behind the code: UPDATE_DOCS=1 cargo test docs::codes");
    }
    let without: Vec<_> = renewed.lines().filter(|line| line.starts_with("| `") && line.ends_with("|  |")).collect();
    assert!(without.is_empty(), "without a remedy:\n{}", without.join("\n"));
}

#[test]
fn a_table_keeps_its_remedies_and_follows_the_code() {
    let section =
        "Refusals\n\nText.\n\n| code | meaning | what to do |\n|---|---|---|\n| `GONE` | Was. | Nothing. |\n| `KEPT` | Old. | Try again. |\n\nMore.\n";
    let codes = vec![("KEPT".to_owned(), "New.".to_owned()), ("ADDED".to_owned(), "Fresh.".to_owned())];
    let expected = "Refusals\n\nText.\n\n| code | meaning | what to do |\n|---|---|---|\n| `KEPT` | New. | Try again. |\n| `ADDED` | Fresh. |  |\n\nMore.\n";
    assert_eq!(with_table(section, &codes), expected);
    assert_eq!(screaming("GraphqlParseFailed"), "GRAPHQL_PARSE_FAILED");
    assert!(of_problems().iter().any(|(code, title)| code == "UNREADABLE_FILE" && title == "Nothing of this file can be read."));
}
