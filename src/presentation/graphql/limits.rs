//! Limits: how large a document may become once its fragments are written out.
//!
//! The library walks a fragment as often as it is spread, so without these a few hundred bytes of fragments that spread one another
//! twice would keep it busy for years. Here each fragment is measured once, however often it is spread.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};

/// How deep fields may nest.
const MAX_DEPTH: usize = 15;

/// How many fields a document may have, counted as often as their fragments are spread.
const MAX_FIELDS: usize = 5_000;

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
    aliases: usize,
    depth: usize,
    nesting: usize,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.fields = self.fields.saturating_add(other.fields);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.depth = self.depth.max(other.depth);
        self.nesting = self.nesting.max(other.nesting);
    }
}

/// Measures all operations of a document together, valid or not. Fragments that spread themselves are left to validation.
pub fn check(document: &ExecutableDocument) -> Result<(), TooComplex> {
    let mut measured = HashMap::new();
    let mut whole = Size::default();
    for (_, operation) in document.operations.iter() {
        whole.add(measure(document, &operation.node.selection_set.node, &mut measured, 0)?);
    }
    match whole {
        Size { depth, .. } if depth > MAX_DEPTH => Err(TooComplex::Depth),
        Size { fields, .. } if fields > MAX_FIELDS => Err(TooComplex::Fields),
        Size { aliases, .. } if aliases > MAX_ALIASES => Err(TooComplex::Aliases),
        Size { nesting, .. } if nesting > MAX_NESTING => Err(TooComplex::Nesting),
        _ => Ok(()),
    }
}

fn measure<'a>(document: &'a ExecutableDocument, set: &'a SelectionSet, measured: &mut HashMap<&'a str, Size>, level: usize) -> Result<Size, TooComplex> {
    if level > MAX_NESTING {
        return Err(TooComplex::Nesting);
    }
    let mut whole = Size::default();
    for selection in &set.items {
        let mut size = match &selection.node {
            Selection::Field(field) => {
                let mut size = measure(document, &field.node.selection_set.node, measured, level + 1)?;
                size.add(Size { fields: 1, aliases: usize::from(field.node.alias.is_some()), ..Size::default() });
                size.depth += 1;
                size
            }
            Selection::InlineFragment(fragment) => measure(document, &fragment.node.selection_set.node, measured, level + 1)?,
            Selection::FragmentSpread(spread) => {
                let name = spread.node.fragment_name.node.as_str();
                match (measured.get(name), document.fragments.get(name)) {
                    (Some(known), _) => *known,
                    (None, None) => Size::default(),
                    (None, Some(fragment)) => {
                        // Stands for the fragment within itself.
                        measured.insert(name, Size::default());
                        let size = measure(document, &fragment.node.selection_set.node, measured, level + 1)?;
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
