//! Limits: how large a document may become once its fragments are written out, and how large its answer.
//!
//! The library walks a fragment as often as it is spread, so without these a few hundred bytes of fragments that spread one another
//! twice would keep it busy for years. Here each fragment is measured once, however often it is spread.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned, ServerError, Value as ConstValue, Variables,
    parser::types::{Directive, ExecutableDocument, Field, FragmentDefinition, Selection, SelectionSet},
};
use async_graphql_value::Value;

use super::error::{self, Code};

/// Limits that an operator may change. The others follow from what the stack and the database bear.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many bytes a document may have.
    pub document_bytes: usize,
    /// How deep fields may nest.
    pub depth: usize,
    /// How many fields a document may have, counted as often as their fragments are spread.
    pub fields: usize,
    /// How many of them may have an alias.
    pub aliases: usize,
    /// How many directives a document may have, as it is written.
    pub directives: usize,
    /// How many errors an answer carries.
    pub errors: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { document_bytes: 100_000, depth: 15, fields: 5_000, aliases: 100, directives: 50, errors: 20 }
    }
}

/// How many fields an answer may have, if every page of it is full.
const MAX_ANSWERED: usize = 100_000;

/// The largest page; what asks for more is refused when it runs.
const MAX_PAGE: usize = 100;

/// About how many items the lists of introspection have, so that asking for types of fields of types ends somewhere.
const INTROSPECTION: [(&str, usize); 8] =
    [("types", 50), ("fields", 8), ("args", 2), ("inputFields", 4), ("enumValues", 8), ("possibleTypes", 2), ("interfaces", 2), ("directives", 8)];

/// How many values its arguments may have, those of a variable as often as it is used.
const MAX_VALUES: usize = 10_000;

/// How many bytes the texts among them may have.
const MAX_VALUE_BYTES: usize = 2 * 1024 * 1024;

/// How many variables an operation may declare.
const MAX_VARIABLES: usize = 250;

/// How deep selection sets and spreads may nest, so that no walk over them runs out of stack.
const MAX_NESTING: usize = 32;

/// Why a document is too large to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooComplex {
    /// Fields within fields within fields.
    #[error("the document nests fields more than {0} deep")]
    Depth(usize),
    /// Too many of them.
    #[error("the document has more than {0} fields, counting those of fragments as often as they are spread")]
    Fields(usize),
    /// Pages within pages within pages.
    #[error("the answer could have more than 100,000 fields, if every page was full; ask for smaller pages or fewer levels of them")]
    Answered,
    /// Too many names for the same.
    #[error("the document has more than {0} aliases, counting those of fragments as often as they are spread")]
    Aliases(usize),
    /// Fragments within fragments.
    #[error("the document nests selections and fragments more than 32 deep")]
    Nesting,
    /// Too much to compare with the schema.
    #[error("the arguments have more than 10,000 values or 2 MiB of text, counting those of variables and fragments as often as they are used")]
    Values,
    /// Too much to declare.
    #[error("an operation declares more than 250 variables")]
    Variables,
    /// Too long.
    #[error("the document is longer than {0} bytes")]
    Length(usize),
    /// Too much to parse.
    #[error("the document has more than 8,000 tokens")]
    Tokens,
    /// Lists within objects within selections.
    #[error("the document nests brackets more than 50 deep")]
    Brackets,
    /// Too many of them.
    #[error("the document has more than {0} directives")]
    Directives(usize),
    /// Longer than any name of the schema.
    #[error("the document has a name longer than 128 bytes")]
    Name,
}

/// What a selection comes to.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    fields: usize,
    answered: usize,
    aliases: usize,
    values: usize,
    bytes: usize,
    depth: usize,
    nesting: usize,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.fields = self.fields.saturating_add(other.fields);
        self.answered = self.answered.saturating_add(other.answered);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.values = self.values.saturating_add(other.values);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.depth = self.depth.max(other.depth);
        self.nesting = self.nesting.max(other.nesting);
    }

    fn check(&self, limits: &Limits) -> Result<(), TooComplex> {
        match self {
            Self { depth, .. } if *depth > limits.depth => Err(TooComplex::Depth(limits.depth)),
            Self { fields, .. } if *fields > limits.fields => Err(TooComplex::Fields(limits.fields)),
            Self { answered, .. } if *answered > MAX_ANSWERED => Err(TooComplex::Answered),
            Self { aliases, .. } if *aliases > limits.aliases => Err(TooComplex::Aliases(limits.aliases)),
            Self { values, bytes, .. } if *values > MAX_VALUES || *bytes > MAX_VALUE_BYTES => Err(TooComplex::Values),
            Self { nesting, .. } if *nesting > MAX_NESTING => Err(TooComplex::Nesting),
            Self { .. } => Ok(()),
        }
    }
}

impl From<TooComplex> for ServerError {
    fn from(refused: TooComplex) -> Self {
        error::refusal(Code::QueryTooComplex, &refused.to_string())
    }
}

/// Measures all operations of a document together, valid or not, with the values of its variables, or without them if none are known yet:
/// then nothing is said of how large its answer may become. Fragments that spread themselves or are never spread are refused here
/// already: what is not measured would be walked all the same by whoever looks for what else is wrong.
pub fn check(document: &ExecutableDocument, variables: Option<&Variables>, limits: &Limits) -> Result<(), ServerError> {
    if document.operations.iter().any(|(_, operation)| operation.node.variable_definitions.len() > MAX_VARIABLES) {
        return Err(TooComplex::Variables.into());
    }
    let is_measured = variables.is_some();
    let variables = with_defaults(document, variables.unwrap_or(&Variables::default()));
    let sizes = variables.iter().map(|(name, value)| (name.as_str(), size_of_constant(value))).collect();
    let mut measure = Measure { document, variables: &variables, sizes, fragments: HashMap::new() };
    let mut whole = Size::default();
    for (_, operation) in document.operations.iter() {
        for definition in &operation.node.variable_definitions {
            whole.add(definition.node.default_value.as_ref().map(|default| size_of_constant(&default.node)).unwrap_or_default());
            whole.add(measure.directives(&definition.node.directives));
        }
        whole.add(measure.directives(&operation.node.directives));
        whole.add(measure.selections(&operation.node.selection_set.node, 0)?);
        if !is_measured {
            whole.answered = 0;
        }
        whole.check(limits)?;
    }
    match document.fragments.iter().find(|(name, _)| !measure.fragments.contains_key(name.as_str())) {
        Some((name, unused)) => Err(misfit(&format!("the fragment \"{name}\" is never used"), unused)),
        None => Ok(()),
    }
}

fn misfit(message: &str, fragment: &Positioned<FragmentDefinition>) -> ServerError {
    error::coded(ServerError::new(message, Some(fragment.pos)), Code::GraphqlValidationFailed)
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

/// How large a page a field asks for; the largest, when that cannot be told, and `None` when it asks for none.
pub(super) fn asked_page(field: &Field, variables: &Variables) -> Option<usize> {
    let argument = ["first", "last"].iter().find_map(|name| field.get_argument(name))?;
    let asked = argument.node.clone().into_const_with(|name| variables.get(&name).cloned().ok_or(())).ok();
    let number = asked.and_then(|asked| if let ConstValue::Number(number) = asked { number.as_u64() } else { None });
    Some(number.and_then(|number| usize::try_from(number).ok()).map_or(MAX_PAGE, |number| number.min(MAX_PAGE)))
}

/// How many items a field may answer: those of its page, or as many as it names; one, if it is no list that we know of.
fn items(field: &Field, variables: &Variables) -> usize {
    let page = asked_page(field, variables);
    let paged = || (field.name.node == "changes").then_some(MAX_PAGE);
    let named = || field.get_argument("ids").map(|_| MAX_PAGE);
    let introspected = || INTROSPECTION.iter().find(|(name, _)| *name == field.name.node).map(|(_, items)| *items);
    page.or_else(paged).or_else(named).or_else(introspected).unwrap_or(1)
}

/// What a value of a variable comes to. Its reader has limited how deep it nests.
fn size_of_constant(value: &ConstValue) -> Size {
    let mut size = Size { values: 1, ..Size::default() };
    match value {
        ConstValue::String(text) => size.bytes = text.len(),
        ConstValue::List(items) => items.iter().for_each(|item| size.add(size_of_constant(item))),
        ConstValue::Object(fields) => fields.values().for_each(|field| size.add(size_of_constant(field))),
        _ => {}
    }
    size
}

struct Measure<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    /// What the value of each variable comes to.
    sizes: HashMap<&'a str, Size>,
    /// What each fragment comes to; `None` while it is measured.
    fragments: HashMap<&'a str, Option<Size>>,
}

impl<'a> Measure<'a> {
    fn selections(&mut self, set: &'a SelectionSet, level: usize) -> Result<Size, ServerError> {
        if level > MAX_NESTING {
            return Err(TooComplex::Nesting.into());
        }
        let mut whole = Size::default();
        for selection in &set.items {
            let mut size = match &selection.node {
                Selection::Field(field) => {
                    let mut size = self.selections(&field.node.selection_set.node, level + 1)?;
                    size.answered = size.answered.saturating_mul(items(&field.node, self.variables));
                    size.add(Size { fields: 1, answered: 1, aliases: usize::from(field.node.alias.is_some()), ..Size::default() });
                    size.add(self.arguments(&field.node.arguments));
                    size.depth += 1;
                    size
                }
                Selection::InlineFragment(fragment) => self.selections(&fragment.node.selection_set.node, level + 1)?,
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node, level + 1)?,
            };
            size.add(self.directives(selection.node.directives()));
            size.nesting += 1;
            whole.add(size);
        }
        Ok(whole)
    }

    /// Measured once, however often it is spread. What is not there is left to validation.
    fn fragment(&mut self, name: &'a str, level: usize) -> Result<Size, ServerError> {
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Size::default()) };
        match self.fragments.get(name) {
            Some(Some(known)) => return Ok(*known),
            Some(None) => return Err(misfit(&format!("the fragment \"{name}\" spreads itself"), fragment)),
            None => {}
        }
        self.fragments.insert(name, None);
        let mut size = self.selections(&fragment.node.selection_set.node, level)?;
        size.add(self.directives(&fragment.node.directives));
        self.fragments.insert(name, Some(size));
        Ok(size)
    }

    fn directives(&self, directives: &[Positioned<Directive>]) -> Size {
        let mut size = Size::default();
        for directive in directives {
            size.add(self.arguments(&directive.node.arguments));
        }
        size
    }

    fn arguments(&self, arguments: &[(Positioned<Name>, Positioned<Value>)]) -> Size {
        let mut size = Size::default();
        for (_, value) in arguments {
            size.add(self.value(&value.node));
        }
        size
    }

    fn value(&self, value: &Value) -> Size {
        let mut size = Size { values: 1, ..Size::default() };
        match value {
            Value::Variable(name) => size.add(self.sizes.get(name.as_str()).copied().unwrap_or_default()),
            Value::String(text) => size.bytes = text.len(),
            Value::List(items) => items.iter().for_each(|item| size.add(self.value(item))),
            Value::Object(fields) => fields.values().for_each(|field| size.add(self.value(field))),
            _ => {}
        }
        size
    }
}
