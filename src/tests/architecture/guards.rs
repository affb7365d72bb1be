//! Nothing in the graph answers by accident: each root field and each object type says who may read it.
//!
//! The library's registry does not list guards, so the sources are read instead. A guard is `Allow::…(…)` or `Public("why")`, in
//! a string or not, or several of them joined by `.and(…)` and `.or(…)`. It stands
//! - on each field of a root (a `#[Object]` or `#[Subscription]` block on a type whose name ends with `Query`, `Mutation` or
//!   `Subscription`),
//! - on the type of every other object: `#[graphql(guard = …)]` beside `derive(SimpleObject)`, or `#[Object(guard = …)]`,
//! - once more on `#[ComplexObject(guard = …)]`, since the guard of the struct covers the fields of the struct only,
//! - in the words of a hand-written `OutputType` or `ContainerType`, which calls its own.
//!
//! A field's own guard replaces the type's, so it is read as well.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::{
    Attribute, Expr, ExprCall, ExprLit, ExprMethodCall, ExprPath, Field, Fields, Ident, ImplItem, ImplItemFn, ItemImpl, ItemMacro, ItemStruct, Lit, Meta, Path,
    Token, Type, punctuated::Punctuated, visit::Visit,
};

use super::{Source, Violation, accepts, holds, refuses, sources};

/// Types that carry no guard of their own: they hold nothing that the field leading to them has not shown already.
const CARRY_NO_GUARD: [&str; 3] = ["Money", "UserError", "PageInfo"];

/// Endings of such types: a payload is reached through its guarded mutation alone; pages are the library's, which has no place for one.
const CARRY_NO_GUARD_ENDINGS: [&str; 3] = ["Payload", "Connection", "Edge"];

/// Macros whose body may hold object types all the same. The checker cannot see into one, so its output needs a test of its own.
const MACROS_TRUSTED: [&str; 1] = ["connection"];

/// What turns a type into a part of the graph.
const MAKES_OBJECTS: [&str; 4] = ["SimpleObject", "ComplexObject", "Object", "Subscription"];

/// Rule 6: names the root fields and object types of a file that say nothing about who may read them.
fn guarded(source: &Source) -> Vec<Violation> {
    let file = syn::parse_file(&source.text).unwrap_or_else(|error| panic!("{} is not Rust: {error}", source.path));
    let mut reader = Reader { source, file: &file, violations: Vec::new() };
    reader.visit_file(&file);
    reader.violations
}

struct Reader<'a> {
    source: &'a Source,
    file: &'a syn::File,
    violations: Vec<Violation>,
}

impl Reader<'_> {
    fn refuse(&mut self, span: Span, reason: String) {
        self.violations.push(self.source.violation(span.start().line, reason));
    }

    /// Says so when `what` has no guard or one that is neither `Allow` nor `Public`.
    fn require(&mut self, guard: &Guard, name: &Ident, what: &str) {
        if matches!(guard, Guard::Absent) {
            self.refuse(name.span(), format!("{what} `{name}` has no guard: say `guard = …` with `Allow::…` or `Public(\"why\")`"));
        }
        self.check(guard, name, what);
    }

    /// Says so when `what` has a guard, and it is neither `Allow` nor `Public`.
    fn check(&mut self, guard: &Guard, name: &Ident, what: &str) {
        if matches!(guard, Guard::Strange) {
            self.refuse(name.span(), format!("the guard of {what} `{name}` is neither `Allow::…` nor `Public(\"why\")`"));
        }
    }

    /// The methods of an `#[Object]`, `#[ComplexObject]` or `#[Subscription]` block.
    fn fields(&mut self, block: &ItemImpl, what: &str, each_needs_one: bool) {
        for item in &block.items {
            if let ImplItem::Fn(ImplItemFn { attrs, sig, .. }) = item
                && !carries(attrs, "skip")
            {
                if each_needs_one {
                    self.require(&guard_of(attrs), &sig.ident, what);
                } else {
                    self.check(&guard_of(attrs), &sig.ident, what);
                }
            }
        }
    }

    fn hand_written(&mut self, block: &ItemImpl, name: &Ident) {
        let Some((_, written, _)) = &block.trait_ else { return };
        let written = last(written);
        if (written == "OutputType" || written == "ContainerType") && !exempt(name) && !self.calls_a_guard(name) {
            self.refuse(name.span(), format!("the hand-written `{written}` of `{name}` calls no guard: name `Allow` or `Public` in it"));
        }
    }

    /// Whether any hand-written part of the type in this file names a guard: `OutputType` may leave it to `ContainerType`.
    fn calls_a_guard(&self, name: &Ident) -> bool {
        let blocks = self.file.items.iter().filter_map(|item| if let syn::Item::Impl(block) = item { Some(block) } else { None });
        let mut own = blocks.filter(|block| self_type(block).is_some_and(|owner| owner == name));
        own.any(|block| {
            let mut search = GuardNames(false);
            search.visit_item_impl(block);
            search.0
        })
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        if derives(&item.attrs, "SimpleObject") && !exempt(&item.ident) {
            self.require(&guard_of(&item.attrs), &item.ident, "the object type");
        }
        if let Fields::Named(fields) = &item.fields {
            for Field { attrs, ident, .. } in &fields.named {
                if let Some(name) = ident {
                    self.check(&guard_of(attrs), name, "the field");
                }
            }
        }
    }

    fn visit_item_impl(&mut self, block: &'ast ItemImpl) {
        let Some(name) = self_type(block) else { return };
        for attribute in &block.attrs {
            let guard = guard_in(attribute);
            match last(attribute.path()).as_str() {
                "Object" | "Subscription" if is_root(name) => self.fields(block, "the root field", true),
                "Object" | "Subscription" => {
                    if !exempt(name) {
                        self.require(&guard, name, "the object type");
                    }
                    self.fields(block, "the field", false);
                }
                "ComplexObject" => {
                    self.check(&guard, name, "the complex part of");
                    self.fields(block, "the computed field", matches!(guard, Guard::Absent) && !exempt(name));
                }
                _ => {}
            }
        }
        self.hand_written(block, name);
        syn::visit::visit_item_impl(self, block);
    }

    fn visit_item_macro(&mut self, item: &'ast ItemMacro) {
        let name = item.ident.as_ref().map(Ident::to_string);
        if name.as_deref().is_some_and(|name| MACROS_TRUSTED.contains(&name)) {
            return;
        }
        if let Some(word) = object_maker(item.mac.tokens.clone()) {
            self.refuse(word.span(), format!("`{word}` in a macro's body cannot be checked for guards: write the type out, or list the macro"));
        }
    }
}

/// Finds `Allow` or `Public` in code.
struct GuardNames(bool);

impl<'ast> Visit<'ast> for GuardNames {
    fn visit_ident(&mut self, word: &'ast Ident) {
        self.0 |= word == "Allow" || word == "Public";
    }
}

/// What an attribute says about who may read.
enum Guard {
    Absent,
    /// `Allow` or `Public`.
    Known,
    /// Anything else.
    Strange,
}

fn guard_of(attributes: &[Attribute]) -> Guard {
    let guards = attributes.iter().filter(|attribute| last(attribute.path()) == "graphql").map(guard_in);
    guards.fold(Guard::Absent, |found, guard| if matches!(guard, Guard::Absent) { found } else { guard })
}

fn guard_in(attribute: &Attribute) -> Guard {
    for meta in arguments(attribute) {
        if let Meta::NameValue(pair) = &meta
            && pair.path.is_ident("guard")
        {
            let known = match &pair.value {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text.parse::<Expr>().is_ok_and(|guard| is_known(&guard)),
                guard => is_known(guard),
            };
            return if known { Guard::Known } else { Guard::Strange };
        }
    }
    Guard::Absent
}

/// `Allow::…(…)`, `Public("why")`, or such joined.
fn is_known(guard: &Expr) -> bool {
    match guard {
        Expr::Call(ExprCall { func, args, .. }) => {
            let Expr::Path(ExprPath { path, .. }) = &**func else { return false };
            let words: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            match words.as_slice() {
                [.., kind, _] if kind == "Allow" => true,
                [.., kind] if kind == "Public" => {
                    matches!(args.first(), Some(Expr::Lit(ExprLit { lit: Lit::Str(reason), .. })) if !reason.value().trim().is_empty())
                }
                _ => false,
            }
        }
        Expr::MethodCall(ExprMethodCall { receiver, method, args, .. }) => {
            (method == "and" || method == "or") && is_known(receiver) && args.iter().all(is_known)
        }
        _ => false,
    }
}

fn arguments(attribute: &Attribute) -> Vec<Meta> {
    match &attribute.meta {
        Meta::List(_) => {
            attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).map(|found| found.into_iter().collect()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

fn carries(attributes: &[Attribute], word: &str) -> bool {
    attributes.iter().filter(|attribute| last(attribute.path()) == "graphql").flat_map(arguments).any(|meta| meta.path().is_ident(word))
}

fn derives(attributes: &[Attribute], word: &str) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("derive")).flat_map(arguments).any(|meta| last(meta.path()) == word)
}

fn self_type(block: &ItemImpl) -> Option<&Ident> {
    match &*block.self_ty {
        Type::Path(named) => named.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
}

fn last(path: &Path) -> String {
    path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
}

fn is_root(name: &Ident) -> bool {
    ["Query", "Mutation", "Subscription"].iter().any(|ending| name.to_string().ends_with(ending))
}

fn exempt(name: &Ident) -> bool {
    CARRY_NO_GUARD.iter().any(|exempt| name == exempt) || CARRY_NO_GUARD_ENDINGS.iter().any(|ending| name.to_string().ends_with(ending))
}

/// The first word in a macro's body that makes an object type: after `#[`, in a `derive`, wherever.
fn object_maker(tokens: TokenStream) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(word) if MAKES_OBJECTS.iter().any(|maker| word == maker) => Some(word),
        TokenTree::Group(group) => object_maker(group.stream()),
        _ => None,
    })
}

#[test]
fn every_root_field_and_object_type_is_guarded() {
    holds(guarded, &sources("src/presentation"));
}

fn planted(text: &str) -> Source {
    Source::planted("src/presentation/graphql/session.rs", text)
}

#[test]
fn an_unguarded_root_field_is_refused() {
    for (text, line, reason) in [
        ("#[Object]\nimpl SessionQuery {\n    async fn viewer(&self) -> u8 { 1 }\n}", 3, "the root field `viewer` has no guard"),
        ("#[async_graphql::Object]\nimpl SessionMutation {\n    async fn revoke(&self) -> u8 { 1 }\n}", 3, "`revoke`"),
        ("#[Subscription]\nimpl ChangeSubscription {\n    async fn changes(&self) -> u8 { 1 }\n}", 3, "`changes`"),
        ("#[Object(guard = \"Allow::read(X)\")]\nimpl Query {\n    async fn viewer(&self) -> u8 { 1 }\n}", 3, "`viewer`"),
        ("#[Object]\nimpl Query {\n    /// guard = Public(\"so\")\n    #[graphql(name = \"guard\")]\n    async fn viewer(&self) -> u8 { 1 }\n}", 5, "`viewer`"),
        ("#[Object]\nimpl Query {\n    #[graphql(guard = \"Public(\\\"\\\")\")]\n    async fn viewer(&self) -> u8 { 1 }\n}", 4, "neither"),
        ("#[Object]\nimpl Query {\n    #[graphql(guard = Whoever)]\n    async fn viewer(&self) -> u8 { 1 }\n}", 4, "neither"),
        ("#[Object]\nimpl Query {\n    #[graphql(guard = \"Allow::read(X).or(Whoever)\")]\n    async fn viewer(&self) -> u8 { 1 }\n}", 4, "neither"),
        ("mod inner {\n    #[Object]\n    impl Query {\n        async fn viewer(&self) -> u8 { 1 }\n    }\n}", 4, "`viewer`"),
    ] {
        refuses(guarded, &planted(text), line, reason);
    }
}

#[test]
fn an_unguarded_object_type_is_refused() {
    for (text, line, reason) in [
        ("#[derive(SimpleObject)]\nstruct Session { id: u8 }", 2, "the object type `Session` has no guard"),
        ("#[derive(Clone, async_graphql::SimpleObject)]\n#[graphql(complex, name = \"S\")]\nstruct Session { id: u8 }", 3, "`Session`"),
        ("#[derive(SimpleObject)]\n#[graphql(guard = Nobody::at_all())]\nstruct Session { id: u8 }", 3, "neither"),
        ("#[derive(SimpleObject)]\n#[graphql(guard = Allow::read(X))]\nstruct Session {\n    #[graphql(guard = Whoever)]\n    id: u8,\n}", 5, "neither"),
        ("#[Object]\nimpl Session {\n    #[graphql(guard = \"Allow::read(X)\")]\n    async fn id(&self) -> u8 { 1 }\n}", 2, "`Session`"),
        ("#[ComplexObject]\nimpl Session {\n    async fn age(&self) -> u8 { 1 }\n}", 3, "the computed field `age`"),
        ("impl OutputType for Session {\n    fn resolve(&self) {}\n}", 1, "hand-written `OutputType`"),
        ("macro_rules! object {\n    ($name:ident) => {\n        #[derive(SimpleObject)]\n        struct $name { id: u8 }\n    };\n}", 3, "macro"),
    ] {
        refuses(guarded, &planted(text), line, reason);
    }
}

#[test]
fn what_says_who_may_read_it_is_fine() {
    for text in [
        "#[Object]\nimpl SessionQuery {\n    #[graphql(guard = \"Allow::read(Resource::Sessions)\")]\n    async fn viewer(&self) -> u8 { 1 }\n}",
        "#[Object]\nimpl SessionQuery {\n    #[graphql(complexity = 2, guard = Allow::read(Resource::Sessions).and(Allow::read(Resource::Users)))]\n    async fn viewer(&self) -> u8 { 1 }\n}",
        "#[Object]\nimpl SessionMutation {\n    #[graphql(guard = \"Public(\\\"signing in comes before being signed in\\\")\")]\n    async fn create_session(&self) -> u8 { 1 }\n}",
        "#[Object]\nimpl SessionQuery {\n    #[graphql(skip)]\n    fn inner(&self) -> u8 { 1 }\n}",
        "impl SessionQuery {\n    fn not_in_the_graph(&self) -> u8 { 1 }\n}",
        "#[derive(SimpleObject)]\n#[graphql(guard = guard::Allow::read(Resource::Sessions))]\nstruct Session { id: u8 }",
        "#[Object(guard = \"guard::Public(\\\"anyone may see the catalogue\\\")\")]\nimpl Provider {\n    async fn slug(&self) -> u8 { 1 }\n}",
        "#[ComplexObject(guard = \"Allow::read(X)\")]\nimpl Session {\n    async fn age(&self) -> u8 { 1 }\n}",
        "#[ComplexObject]\nimpl Session {\n    #[graphql(guard = \"Allow::read(X)\")]\n    async fn age(&self) -> u8 { 1 }\n}",
        "#[derive(SimpleObject)]\nstruct RevokeSessionPayload { id: u8 }\n#[derive(SimpleObject)]\nstruct Money { amount: u8 }\n#[derive(SimpleObject)]\nstruct SessionConnection { nodes: u8 }",
        "#[derive(MergedObject, Default)]\nstruct Query(SessionQuery, UserQuery);",
        "#[derive(InputObject)]\nstruct RevokeSessionInput { id: u8 }\n#[derive(Enum)]\nenum Role { Admin }",
        "impl OutputType for Transaction {\n    fn resolve(&self) { self.resolve_container() }\n}\nimpl ContainerType for Transaction {\n    fn resolve_field(&self) { Allow::read(X).check() }\n}",
        "macro_rules! count { () => { 1 } }",
    ] {
        accepts(guarded, &planted(text));
    }
}
