//! What a document costs: points, told from its text before it runs, and corrected by its answer afterwards.
//!
//! An object that an answer can hold costs a tenth of a point, a few fields that make the database count or sum cost more, and every
//! document costs one point. A page counts as full, a list as long as it can be. So what is told before is never below what comes out, and
//! what was too much is given back. Introspection has one price, whatever it asks.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Value, Variables,
    indexmap::IndexMap,
    parser::{
        self, parse_schema,
        types::{BaseType, ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet, TypeKind, TypeSystemDefinition},
    },
};
use secrecy::SecretString;

use crate::{application::rate_limit::Demand, domain::page::MAX_PAGE};

use super::{global_id::id_or_nothing, limits::asked_page};

/// In tenths of a point: what is more work than an object.
const WEIGHTS: [(&str, u64); 4] = [("totalCount", 50), ("netWorth", 50), ("__schema", 500), ("__type", 100)];

/// Lists that are shorter than a page, whatever is asked.
const SHORT: [(&str, u64); 6] = [("userErrors", 10), ("requestBudgets", 2), ("gaps", 20), ("providers", 20), ("legalDocuments", 10), ("context", 20)];

/// The longest that a list without an argument for it is.
const LONG: u64 = MAX_PAGE as u64;

/// How deep selections are followed; documents that nest deeper are refused before.
const MAX_NESTING: usize = 64;

/// Which fields are lists of objects.
pub struct Lists(HashSet<String>);

impl Lists {
    /// Those of a schema, by name: a field counts as a list when any field of that name is one.
    pub fn parse(sdl: &str) -> Result<Self, parser::Error> {
        let definitions = parse_schema(sdl)?.definitions;
        let kinds = || definitions.iter().filter_map(|one| if let TypeSystemDefinition::Type(ty) = one { Some(&ty.node) } else { None });
        let leaves: HashSet<&str> = kinds()
            .filter(|ty| matches!(ty.kind, TypeKind::Scalar | TypeKind::Enum(_)))
            .map(|ty| ty.name.node.as_str())
            .chain(["ID", "String", "Int", "Float", "Boolean"])
            .collect();
        let mut lists = HashSet::new();
        for ty in kinds() {
            let fields = match &ty.kind {
                TypeKind::Object(object) => &object.fields,
                TypeKind::Interface(interface) => &interface.fields,
                _ => continue,
            };
            for field in fields {
                if let BaseType::List(item) = &field.node.ty.node.base
                    && !leaves.contains(super::completion::innermost(item))
                {
                    lists.insert(field.node.name.node.to_string());
                }
            }
        }
        Ok(Self(lists))
    }
}

/// Points of so many tenths; a document that does nothing costs one.
fn points(tenths: u64) -> u32 {
    u32::try_from(tenths.div_ceil(10).saturating_add(1)).unwrap_or(u32::MAX)
}

fn weight(name: &str) -> u64 {
    WEIGHTS.iter().find(|(known, _)| *known == name).map_or(0, |(_, weight)| *weight)
}

/// What one operation of a document wants: points, and for each field of a mutation, alias or not, what it changes.
pub fn demands(document: &ExecutableDocument, operation: Option<&OperationDefinition>, variables: &Variables, lists: &Lists) -> Vec<Demand> {
    let Some(operation) = operation else { return vec![Demand::Points(points(0))] };
    let set = &operation.selection_set.node;
    let mut demands = vec![Demand::Points(estimate(document, operation, variables, lists))];
    match operation.ty {
        OperationType::Query => {}
        OperationType::Subscription => demands.push(Demand::Subscribe),
        OperationType::Mutation => {
            let mut fields = Vec::new();
            roots(document, set, &mut HashSet::new(), &mut fields);
            demands.extend(fields.into_iter().filter_map(|field| wanted(field, variables)));
        }
    }
    demands
}

/// The fields at the root of an operation, through its fragments.
fn roots<'a>(document: &'a ExecutableDocument, set: &'a SelectionSet, within: &mut HashSet<&'a str>, fields: &mut Vec<&'a Field>) {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => fields.push(&field.node),
            Selection::InlineFragment(fragment) => roots(document, &fragment.node.selection_set.node, within, fields),
            Selection::FragmentSpread(spread) => {
                let name = spread.node.fragment_name.node.as_str();
                // A fragment within itself is no document that runs.
                if let Some(fragment) = document.fragments.get(name)
                    && within.insert(name)
                {
                    roots(document, &fragment.node.selection_set.node, within, fields);
                    within.remove(name);
                }
            }
        }
    }
}

fn wanted(field: &Field, variables: &Variables) -> Option<Demand> {
    let given = |name: &str| {
        let input = field.get_argument("input")?.node.clone().into_const_with(|name| variables.get(&name).cloned().ok_or(())).ok()?;
        match input {
            Value::Object(mut input) => match input.swap_remove(name)? {
                Value::String(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    };
    Some(match field.name.node.as_str() {
        "__typename" => return None,
        "createSession" => Demand::SignIn,
        "registerUser" => Demand::Register,
        "resendVerification" | "requestPasswordReset" => Demand::Mail,
        "refreshSession" => Demand::Refresh(given("refreshToken").map(SecretString::from)),
        "beginLink" | "relink" | "completeLink" | "linkWithApiKey" | "linkWithSetupToken" => Demand::Link,
        "syncLink" => Demand::Sync(given("linkId").map(|id| id_or_nothing(&id))),
        _ => Demand::Write,
    })
}

/// What an operation costs at most.
pub fn estimate(document: &ExecutableDocument, operation: &OperationDefinition, variables: &Variables, lists: &Lists) -> u32 {
    let mut estimate = Estimate { document, variables, lists, known: HashMap::new() };
    points(estimate.set(&operation.selection_set.node, None, 0))
}

struct Estimate<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    lists: &'a Lists,
    /// Fragments by name and the page they stand in, so that each is walked once however often it is spread.
    known: HashMap<(&'a str, Option<u64>), u64>,
}

impl<'a> Estimate<'a> {
    /// In tenths; `page` is how many items the connection has whose selection this is.
    fn set(&mut self, set: &'a SelectionSet, page: Option<u64>, level: usize) -> u64 {
        if level > MAX_NESTING {
            return 0;
        }
        let mut sum = 0_u64;
        for selection in &set.items {
            sum = sum.saturating_add(match &selection.node {
                Selection::Field(field) => self.field(&field.node, page, level),
                Selection::InlineFragment(fragment) => self.set(&fragment.node.selection_set.node, page, level + 1),
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    match (self.known.get(&(name, page)), self.document.fragments.get(name)) {
                        (Some(known), _) => *known,
                        (None, None) => 0,
                        (None, Some(fragment)) => {
                            // Stands for the fragment within itself.
                            self.known.insert((name, page), 0);
                            let sum = self.set(&fragment.node.selection_set.node, page, level + 1);
                            self.known.insert((name, page), sum);
                            sum
                        }
                    }
                }
            });
        }
        sum
    }

    fn field(&mut self, field: &'a Field, page: Option<u64>, level: usize) -> u64 {
        let (name, below) = (field.name.node.as_str(), &field.selection_set.node);
        if below.items.is_empty() || name.starts_with("__") {
            return weight(name);
        }
        let items = match (name, page) {
            ("nodes" | "edges", Some(page)) => page,
            _ if field.get_argument("ids").is_some() => self.length(field),
            _ if self.lists.0.contains(name) => SHORT.iter().find(|(known, _)| *known == name).map_or(LONG, |(_, short)| *short),
            _ => 1,
        };
        let own_page = asked_page(field, self.variables).map(|page| page as u64);
        weight(name).saturating_add(self.set(below, own_page, level + 1).saturating_add(1).saturating_mul(items))
    }

    /// How many ids a field was given.
    fn length(&self, field: &Field) -> u64 {
        let given = field.get_argument("ids").and_then(|ids| ids.node.clone().into_const_with(|name| self.variables.get(&name).cloned().ok_or(())).ok());
        match given {
            Some(Value::List(ids)) => ids.len() as u64,
            // What is no list is taken for a list of one.
            Some(_) => 1,
            None => LONG,
        }
    }
}

/// What an answer cost.
pub fn actual(document: &ExecutableDocument, operation: &OperationDefinition, data: &Value) -> u32 {
    match data {
        Value::Object(data) => points(answered(document, &operation.selection_set.node, data)),
        _ => points(0),
    }
}

/// In tenths; of a document that ran, so that its fragments end.
fn answered(document: &ExecutableDocument, set: &SelectionSet, data: &IndexMap<Name, Value>) -> u64 {
    let of = |selection: &Selection| match selection {
        Selection::Field(field) => {
            let (name, below) = (field.node.name.node.as_str(), &field.node.selection_set.node);
            let weight = weight(name);
            // Leaves that weigh nothing are most of a document, and are not looked up.
            if below.items.is_empty() && weight == 0 {
                return 0;
            }
            match data.get(field.node.response_key().node.as_str()) {
                None => 0,
                Some(_) if name.starts_with("__") => weight,
                Some(value) => weight + objects(document, below, value),
            }
        }
        Selection::InlineFragment(fragment) => answered(document, &fragment.node.selection_set.node, data),
        Selection::FragmentSpread(spread) => {
            document.fragments.get(&spread.node.fragment_name.node).map_or(0, |fragment| answered(document, &fragment.node.selection_set.node, data))
        }
    };
    set.items.iter().map(|selection| of(&selection.node)).sum()
}

fn objects(document: &ExecutableDocument, set: &SelectionSet, value: &Value) -> u64 {
    match value {
        Value::Object(data) => 1 + answered(document, set, data),
        Value::List(values) => values.iter().map(|value| objects(document, set, value)).sum(),
        _ => 0,
    }
}
