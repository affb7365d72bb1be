//! A module is called after what it is about, and a lint is never silenced without a reason.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::{Source, Violation, accepts, holds, refuses, sources};

/// Names that say nothing about what is inside, so that anything ends up there.
const HOLLOW: [&str; 8] = ["utils", "util", "helpers", "helper", "common", "manager", "managers", "types"];

/// Refuses hollow names of files, folders and modules.
fn named_after_a_subject(source: &Source) -> Vec<Violation> {
    let parts = source.path.split('/').map(|part| part.trim_end_matches(".rs")).filter(|part| HOLLOW.contains(part));
    let mut violations: Vec<_> = parts.map(|part| source.violation(1, format!("`{part}` names no subject"))).collect();
    modules(source.tokens(), &mut |name, line| {
        if HOLLOW.contains(&name) {
            violations.push(source.violation(line, format!("`mod {name}` names no subject")));
        }
    });
    violations
}

fn modules(tokens: TokenStream, found: &mut impl FnMut(&str, usize)) {
    let mut after_mod = false;
    for token in tokens {
        if let TokenTree::Ident(name) = &token
            && after_mod
        {
            found(&name.to_string(), name.span().start().line);
        }
        after_mod = matches!(&token, TokenTree::Ident(word) if word == "mod");
        if let TokenTree::Group(group) = token {
            modules(group.stream(), found);
        }
    }
}

/// Refuses the attribute that silences a lint: `expect` with a reason does the same and says when it is no longer needed.
fn expects_instead_of_allowing(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    attributes(source.tokens(), &mut |attribute| {
        allowances(attribute, &mut |line| violations.push(source.violation(line, "use `#[expect(…, reason = …)]` instead of `allow`")));
    });
    violations
}

/// The tokens between the brackets of each `#[…]` and `#![…]`.
fn attributes(tokens: TokenStream, found: &mut impl FnMut(TokenStream)) {
    let mut after_hash = false;
    for token in tokens {
        match &token {
            TokenTree::Group(group) if after_hash && group.delimiter() == Delimiter::Bracket => found(group.stream()),
            TokenTree::Group(group) => attributes(group.stream(), found),
            _ => {}
        }
        after_hash = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#' || (after_hash && punct.as_char() == '!'));
    }
}

/// Each `allow(…)` in an attribute, also inside `cfg_attr`.
fn allowances(attribute: TokenStream, found: &mut impl FnMut(usize)) {
    let mut allow = None;
    for token in attribute {
        if let TokenTree::Group(group) = &token
            && group.delimiter() == Delimiter::Parenthesis
        {
            if let Some(line) = allow {
                found(line);
            }
            allowances(group.stream(), found);
        }
        allow = match &token {
            TokenTree::Ident(word) if word == "allow" => Some(word.span().start().line),
            _ => None,
        };
    }
}

#[test]
fn modules_are_named_after_a_subject() {
    holds(named_after_a_subject, &sources("src"));
    holds(named_after_a_subject, &sources("migration"));
}

#[test]
fn a_hollow_name_is_refused() {
    refuses(named_after_a_subject, &Source::planted("src/domain/utils.rs", ""), 1, "`utils`");
    refuses(named_after_a_subject, &Source::planted("src/common/money.rs", ""), 1, "`common`");
    refuses(named_after_a_subject, &Source::planted("src/domain/money.rs", "//! Money.\npub(crate) mod helpers {}"), 2, "`mod helpers`");
    refuses(named_after_a_subject, &Source::planted("src/domain/money.rs", "mod inner {\n    mod types;\n}"), 2, "`mod types`");
    accepts(named_after_a_subject, &Source::planted("src/domain/money.rs", "// mod utils;\nmod amount;\nfn common(types: u8) {}"));
}

#[test]
fn no_lint_is_silenced_without_a_reason() {
    holds(expects_instead_of_allowing, &sources("src"));
    holds(expects_instead_of_allowing, &sources("migration"));
}

#[test]
fn an_allow_is_refused() {
    let planted = |text| Source::planted("src/domain/money.rs", text);
    refuses(expects_instead_of_allowing, &planted("\n#[allow(dead_code)]\nfn f() {}"), 2, "expect");
    refuses(expects_instead_of_allowing, &planted("#![allow(dead_code)]"), 1, "expect");
    refuses(expects_instead_of_allowing, &planted("mod m {\n    #[cfg_attr(test, allow(dead_code))]\n    fn f() {}\n}"), 2, "expect");
    refuses(expects_instead_of_allowing, &planted("macro_rules! m {\n    () => {\n        #[allow(dead_code)]\n        fn f() {}\n    };\n}"), 3, "expect");
    accepts(
        expects_instead_of_allowing,
        &planted("// #[allow(dead_code)]\n#[expect(dead_code, reason = \"allow(x)\")]\nfn f() { access.allow(1); [allow(2)]; }"),
    );
}
