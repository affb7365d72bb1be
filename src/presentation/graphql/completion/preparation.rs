//! What a request needs before it is executed, so that its answer can be completed.
//!
//! The executor answers an object without keys as null, answers a response key selected twice by resolving it twice and joining
//! what comes, and does not say what a value behind an interface is. Where one of the three could make an answer ambiguous, the
//! selection gets a hidden `__typename`; everywhere else the document stays as it was written, and costs nothing.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Pos, Positioned, Value, Variables,
    parser::types::{DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet},
};

use super::{TypeIndex, operation_of, type_index::innermost};

/// The response key of the hidden `__typename`. No client can select it: it is not a GraphQL name.
pub(super) const HIDDEN_KEY: &str = "<type>";

/// How deep and how wide fragments at the root of a mutation are looked into.
const MAX_ROOT_FRAGMENTS: usize = 20;

/// Adds the hidden `__typename` where it is needed, to every operation of the document, and joins what a mutation selects twice.
/// True if answers must be completed even when they have no errors.
///
/// Depends on nothing but the document, so a prepared document can be cached. Whoever limits or prices documents does so before:
/// a hidden field would count as one more, and the survey trusts the size. An invalid document is left for validation to refuse.
#[must_use]
pub fn prepare(document: &mut ExecutableDocument, types: &TypeIndex) -> bool {
    let fragments = document.fragments.iter().map(|(name, fragment)| (name.clone(), fragment.node.selection_set.node.clone())).collect();
    let used = used_fragments(document);
    for operation in operations_of(document).filter(|operation| operation.ty == OperationType::Mutation) {
        let set = &mut operation.selection_set.node;
        set.items = without_fragments(std::mem::take(&mut set.items), &fragments, 0);
        join_twins(set);
    }
    // One that stood at a root and nowhere else is used no more, which validation would refuse; what nobody ever used is left for it.
    let still_used = used_fragments(document);
    document.fragments.retain(|name, _| still_used.contains(name) || !used.contains(name));
    let mut survey = Survey { document, types, marked: HashSet::new(), merged: HashSet::new(), certain: HashMap::new() };
    let mut uncertain = false;
    for (_, operation) in document.operations.iter() {
        let Some(root) = types.root(operation.node.ty) else { continue };
        let set = &operation.node.selection_set.node;
        // The executor runs the root of a query in parallel, so its keys come in any order.
        let is_ordered = operation.node.ty != OperationType::Query || matches!(set.items.as_slice(), [only] if matches!(only.node, Selection::Field(_)));
        uncertain |= !is_ordered || !survey.surely_answers(set, root);
        survey.look_at(set, root);
        survey.look_at_merged(&[set]);
    }
    for fragment in document.fragments.values() {
        survey.look_at(&fragment.node.selection_set.node, &fragment.node.type_condition.node.on.node);
    }
    let marked = survey.marked;
    if marked.is_empty() {
        return uncertain;
    }
    for operation in operations_of(document) {
        mark(&mut operation.selection_set.node, &marked);
    }
    for fragment in document.fragments.values_mut() {
        mark(&mut fragment.node.selection_set.node, &marked);
    }
    true
}

fn operations_of(document: &mut ExecutableDocument) -> impl Iterator<Item = &mut OperationDefinition> {
    let (single, multiple) = match &mut document.operations {
        DocumentOperations::Single(operation) => (Some(operation), None),
        DocumentOperations::Multiple(operations) => (None, Some(operations.values_mut())),
    };
    single.into_iter().chain(multiple.into_iter().flatten()).map(|operation| &mut operation.node)
}

/// The fragments that operations come to, through one another. Without any, nothing is walked.
fn used_fragments(document: &ExecutableDocument) -> HashSet<Name> {
    let mut used = HashSet::new();
    if document.fragments.is_empty() {
        return used;
    }
    let mut sets: Vec<&SelectionSet> = document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node).collect();
    while let Some(set) = sets.pop() {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => sets.push(&field.node.selection_set.node),
                Selection::InlineFragment(fragment) => sets.push(&fragment.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if let Some(fragment) = document.fragments.get(name)
                        && used.insert(name.clone())
                    {
                        sets.push(&fragment.node.selection_set.node);
                    }
                }
            }
        }
    }
    used
}

/// The fields a mutation selects at its root, with plain fragments replaced by what they select, so that twins in them are found too.
/// Fragments with directives stay; so does what nests deeper than fragments can without a cycle, for validation to refuse.
fn without_fragments(items: Vec<Positioned<Selection>>, fragments: &HashMap<Name, SelectionSet>, depth: usize) -> Vec<Positioned<Selection>> {
    let mut flat = Vec::with_capacity(items.len());
    for selection in items {
        let inner = match &selection.node {
            _ if depth > MAX_ROOT_FRAGMENTS || flat.len() > MAX_ROOT_FRAGMENTS => None,
            Selection::FragmentSpread(spread) if spread.node.directives.is_empty() => fragments.get(&spread.node.fragment_name.node).map(|set| &set.items),
            Selection::InlineFragment(fragment) if fragment.node.directives.is_empty() => Some(&fragment.node.selection_set.node.items),
            _ => None,
        };
        match inner {
            Some(inner) => flat.extend(without_fragments(inner.clone(), fragments, depth + 1)),
            None => flat.push(selection),
        }
    }
    flat
}

/// Makes one field of equal fields with one response key: the executor would run each, and a mutation twice is not a mutation once.
/// Each is compared with one other only: where two of one key are no twins, validation refuses the document.
fn join_twins(set: &mut SelectionSet) {
    let mut joined: Vec<Positioned<Selection>> = Vec::with_capacity(set.items.len());
    let mut places: HashMap<Name, usize> = HashMap::new();
    for selection in set.items.drain(..) {
        let place = match &selection.node {
            Selection::Field(field) if field.node.directives.is_empty() => *places.entry(field.node.response_key().node.clone()).or_insert(joined.len()),
            _ => joined.len(),
        };
        let twin = match (joined.get_mut(place).map(|earlier| &mut earlier.node), &selection.node) {
            (Some(Selection::Field(earlier)), Selection::Field(field)) if are_twins(&earlier.node, &field.node) => Some(&mut earlier.node.selection_set.node),
            _ => None,
        };
        match (twin, selection.node) {
            (Some(twin), Selection::Field(field)) => twin.items.extend(field.node.selection_set.node.items),
            (_, node) => joined.push(Positioned::new(node, selection.pos)),
        }
    }
    set.items = joined;
}

fn are_twins(one: &Field, other: &Field) -> bool {
    let is_plain = one.directives.is_empty() && other.directives.is_empty();
    let has_equal_arguments = one.arguments.len() == other.arguments.len()
        && one.arguments.iter().all(|(name, value)| other.get_argument(&name.node).is_some_and(|same| same.node == value.node));
    let has_selections = |field: &Field| !field.selection_set.node.items.is_empty();
    is_plain
        && one.response_key().node == other.response_key().node
        && one.name.node == other.name.node
        && has_equal_arguments
        && has_selections(one) == has_selections(other)
}

/// Gives each absent variable with a Boolean default that default. The executor decides `@skip` and `@include` by the given
/// variables only.
pub fn supply_defaults(document: &ExecutableDocument, operation_name: Option<&str>, variables: &mut Variables) {
    let Some(operation) = operation_of(document, operation_name) else { return };
    for definition in &operation.variable_definitions {
        if let Some(Positioned { node: default @ Value::Boolean(_), .. }) = &definition.node.default_value {
            variables.entry(definition.node.name.node.clone()).or_insert_with(|| default.clone());
        }
    }
}

/// Finds, without changing the document, the fields whose answers could be ambiguous. A field is known by its place in the text.
struct Survey<'a> {
    document: &'a ExecutableDocument,
    types: &'a TypeIndex,
    marked: HashSet<Pos>,
    /// The groups of merged fields already seen, which keeps nested fragments from multiplying.
    merged: HashSet<Vec<Pos>>,
    certain: HashMap<&'a str, bool>,
}

impl<'a> Survey<'a> {
    /// Marks fields of abstract types and fields whose objects might have no key at all.
    fn look_at(&mut self, set: &'a SelectionSet, parent: &'a str) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let own = &field.node.selection_set.node;
                    let Some(ty) = self.types.field(parent, &field.node.name.node).map(innermost) else { continue };
                    if own.items.is_empty() || !self.types.is_composite(ty) {
                        continue;
                    }
                    if self.types.is_abstract(ty) || !self.surely_answers(own, ty) {
                        self.marked.insert(field.pos);
                    }
                    self.look_at(own, ty);
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref().map_or(parent, |condition| condition.node.on.node.as_str());
                    self.look_at(&fragment.node.selection_set.node, condition);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    /// True if an object of `parent` has a key for this selection whatever the variables are.
    fn surely_answers(&mut self, set: &'a SelectionSet, parent: &str) -> bool {
        set.items.iter().any(|selection| {
            selection.node.directives().is_empty()
                && match &selection.node {
                    Selection::Field(_) => true,
                    Selection::InlineFragment(fragment) => {
                        let condition = fragment.node.type_condition.as_ref().map_or(parent, |condition| condition.node.on.node.as_str());
                        (condition == parent || self.types.applies(condition, parent)) && self.surely_answers(&fragment.node.selection_set.node, parent)
                    }
                    Selection::FragmentSpread(spread) => self.fragment_surely_answers(&spread.node.fragment_name.node, parent),
                }
        })
    }

    fn fragment_surely_answers(&mut self, name: &'a str, parent: &str) -> bool {
        let Some(fragment) = self.document.fragments.get(name) else { return false };
        let condition = fragment.node.type_condition.node.on.node.as_str();
        if condition != parent && !self.types.applies(condition, parent) {
            return false;
        }
        if let Some(known) = self.certain.get(name) {
            return *known;
        }
        self.certain.insert(name, false);
        let certain = self.surely_answers(&fragment.node.selection_set.node, condition);
        self.certain.insert(name, certain);
        certain
    }

    /// Marks fields that share their response key with another field of the same object.
    fn look_at_merged(&mut self, sets: &[&'a SelectionSet]) {
        let mut groups = HashMap::new();
        let mut visited = HashSet::new();
        for set in sets {
            self.group(set, &mut visited, &mut groups);
        }
        for fields in groups.into_values() {
            let places: Vec<Pos> = fields.iter().map(|field| field.pos).collect();
            if places.len() > 1 {
                self.marked.extend(&places);
            }
            if self.merged.insert(places) {
                let sets: Vec<_> = fields.iter().map(|field| &field.node.selection_set.node).collect();
                self.look_at_merged(&sets);
            }
        }
    }

    fn group(&self, set: &'a SelectionSet, visited: &mut HashSet<&'a str>, groups: &mut HashMap<&'a str, Vec<&'a Positioned<Field>>>) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) if field.node.selection_set.node.items.is_empty() => {}
                Selection::Field(field) if field.node.name.node.starts_with("__") => {}
                Selection::Field(field) => groups.entry(&field.node.response_key().node).or_default().push(field),
                Selection::InlineFragment(fragment) => self.group(&fragment.node.selection_set.node, visited, groups),
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    if let Some(fragment) = self.document.fragments.get(name).filter(|_| visited.insert(name)) {
                        self.group(&fragment.node.selection_set.node, visited, groups);
                    }
                }
            }
        }
    }
}

fn mark(set: &mut SelectionSet, marked: &HashSet<Pos>) {
    for selection in &mut set.items {
        match &mut selection.node {
            Selection::Field(field) => {
                let own = &mut field.node.selection_set.node;
                mark(own, marked);
                if marked.contains(&field.pos) {
                    own.items.push(Positioned::new(Selection::Field(Positioned::new(hidden_typename(field.pos), field.pos)), field.pos));
                }
            }
            Selection::InlineFragment(fragment) => mark(&mut fragment.node.selection_set.node, marked),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn hidden_typename(pos: Pos) -> Field {
    Field {
        alias: Some(Positioned::new(Name::new(HIDDEN_KEY), pos)),
        name: Positioned::new(Name::new("__typename"), pos),
        arguments: Vec::new(),
        directives: Vec::new(),
        selection_set: Positioned::default(),
    }
}
