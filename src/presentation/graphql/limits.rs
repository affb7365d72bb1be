//! Limits: how large a document may become once its fragments are written out, and how large its answer.
//!
//! The library walks a fragment as often as it is spread, so without these a few hundred bytes of fragments that spread one another
//! twice would keep it busy for years. Here each fragment is measured once, however often it is spread.

use std::collections::HashMap;

use async_graphql::{
    Value as ConstValue, Variables,
    parser::types::{ExecutableDocument, Field, Selection, SelectionSet},
};

/// How deep fields may nest.
const MAX_DEPTH: usize = 15;

/// How many fields a document may have, counted as often as their fragments are spread.
const MAX_FIELDS: usize = 5_000;

/// How many fields an answer may have, if every page of it is full.
const MAX_ANSWERED: usize = 100_000;

/// The largest page; what asks for more is refused when it runs.
const MAX_PAGE: usize = 100;

/// About how many items the lists of introspection have, so that asking for types of fields of types ends somewhere.
const INTROSPECTION: [(&str, usize); 8] =
    [("types", 50), ("fields", 8), ("args", 2), ("inputFields", 4), ("enumValues", 8), ("possibleTypes", 2), ("interfaces", 2), ("directives", 8)];

/// How many of them may have an alias.
const MAX_ALIASES: usize = 100;

/// How deep selection sets and spreads may nest, so that no walk over them runs out of stack.
const MAX_NESTING: usize = 32;

/// Why a document is too large to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooComplex {
    /// Fields within fields within fields.
    #[error("the document nests fields more than 15 deep")]
    Depth,
    /// Too many of them.
    #[error("the document has more than 5,000 fields, counting those of fragments as often as they are spread")]
    Fields,
    /// Pages within pages within pages.
    #[error("the answer could have more than 100,000 fields, if every page was full; ask for smaller pages or fewer levels of them")]
    Answered,
    /// Too many names for the same.
    #[error("the document has more than 100 aliases, counting those of fragments as often as they are spread")]
    Aliases,
    /// Fragments within fragments.
    #[error("the document nests selections and fragments more than 32 deep")]
    Nesting,
}

/// What a selection comes to.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    fields: usize,
    answered: usize,
    aliases: usize,
    depth: usize,
    nesting: usize,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.fields = self.fields.saturating_add(other.fields);
        self.answered = self.answered.saturating_add(other.answered);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.depth = self.depth.max(other.depth);
        self.nesting = self.nesting.max(other.nesting);
    }
}

/// Measures all operations of a document together, valid or not. Fragments that spread themselves are left to validation.
pub fn check(document: &ExecutableDocument, variables: &Variables) -> Result<(), TooComplex> {
    let variables = &with_defaults(document, variables);
    let mut measured = HashMap::new();
    let mut whole = Size::default();
    for (_, operation) in document.operations.iter() {
        whole.add(measure((document, variables), &operation.node.selection_set.node, &mut measured, 0)?);
    }
    match whole {
        Size { depth, .. } if depth > MAX_DEPTH => Err(TooComplex::Depth),
        Size { fields, .. } if fields > MAX_FIELDS => Err(TooComplex::Fields),
        Size { answered, .. } if answered > MAX_ANSWERED => Err(TooComplex::Answered),
        Size { aliases, .. } if aliases > MAX_ALIASES => Err(TooComplex::Aliases),
        Size { nesting, .. } if nesting > MAX_NESTING => Err(TooComplex::Nesting),
        _ => Ok(()),
    }
}

/// The variables, and the defaults of those that are not given. Where two operations differ about one, the largest page is assumed.
fn with_defaults(document: &ExecutableDocument, given: &Variables) -> Variables {
    let mut defaults = Variables::default();
    for (_, operation) in document.operations.iter() {
        for definition in &operation.node.variable_definitions {
            let default = definition.node.default_value.as_ref().map(|default| default.node.clone()).unwrap_or_default();
            let known = defaults.entry(definition.node.name.node.clone()).or_insert_with(|| default.clone());
            if *known != default {
                *known = ConstValue::Null;
            }
        }
    }
    defaults.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
    defaults
}

/// How many items a field may answer: those of its page, or as many as it names; one, if it is no list that we know of.
fn items(field: &Field, variables: &Variables) -> usize {
    let page = ["first", "last"].iter().find_map(|name| field.get_argument(name)).map(|argument| {
        let asked = argument.node.clone().into_const_with(|name| variables.get(&name).cloned().ok_or(())).ok();
        let number = asked.and_then(|asked| serde_json::to_value(asked).ok()).and_then(|asked| asked.as_u64());
        number.and_then(|number| usize::try_from(number).ok()).map_or(MAX_PAGE, |number| number.min(MAX_PAGE))
    });
    let paged = || (field.name.node == "changes").then_some(MAX_PAGE);
    let named = || field.get_argument("ids").map(|_| MAX_PAGE);
    let introspected = || INTROSPECTION.iter().find(|(name, _)| *name == field.name.node).map(|(_, items)| *items);
    page.or_else(paged).or_else(named).or_else(introspected).unwrap_or(1)
}

fn measure<'a>(
    asked: (&'a ExecutableDocument, &Variables),
    set: &'a SelectionSet,
    measured: &mut HashMap<&'a str, Size>,
    level: usize,
) -> Result<Size, TooComplex> {
    let (document, variables) = asked;
    if level > MAX_NESTING {
        return Err(TooComplex::Nesting);
    }
    let mut whole = Size::default();
    for selection in &set.items {
        let mut size = match &selection.node {
            Selection::Field(field) => {
                let mut size = measure(asked, &field.node.selection_set.node, measured, level + 1)?;
                size.answered = size.answered.saturating_mul(items(&field.node, variables));
                size.add(Size { fields: 1, answered: 1, aliases: usize::from(field.node.alias.is_some()), ..Size::default() });
                size.depth += 1;
                size
            }
            Selection::InlineFragment(fragment) => measure(asked, &fragment.node.selection_set.node, measured, level + 1)?,
            Selection::FragmentSpread(spread) => {
                let name = spread.node.fragment_name.node.as_str();
                match (measured.get(name), document.fragments.get(name)) {
                    (Some(known), _) => *known,
                    (None, None) => Size::default(),
                    (None, Some(fragment)) => {
                        // Stands for the fragment within itself.
                        measured.insert(name, Size::default());
                        let size = measure(asked, &fragment.node.selection_set.node, measured, level + 1)?;
                        measured.insert(name, size);
                        size
                    }
                }
            }
        };
        size.nesting += 1;
        whole.add(size);
    }
    Ok(whole)
}
