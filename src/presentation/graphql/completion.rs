//! Answers as the GraphQL specification has them (September 2025, 6.3.2 `CollectFields` and 6.4.4 "Handling Execution Errors").
//!
//! The executor leaves a failed field out of the answer and writes keys in the order in which they came to be. A client may rely
//! on more: every selected key stands in the answer in the document's order, a failed field is null, and where null is not
//! allowed the nearest parent that may be null is null instead. Completion is one walk over the data that is there:
//!
//! 1. [`prepare`] and [`supply_defaults`] before the execution,
//! 2. [`complete`] after it, when the answer has errors or `prepare` asked for it.
//!
//! Errors are neither added nor changed here, so whoever cuts a long list of errors does so afterwards. This module knows the
//! schema by its SDL and nothing of what any field means.

mod preparation;
mod type_index;

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, PathSegment, Positioned, Response, ServerError, Value, Variables,
    indexmap::IndexMap,
    parser::types::{BaseType, Directive, DocumentOperations, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet, Type},
};

pub use preparation::{prepare, supply_defaults};
pub use type_index::TypeIndex;
pub(super) use type_index::innermost;

/// Completes the answer to one operation of a document that went through [`prepare`]. A correct answer stays as it is. An answer
/// that has no data because the request never ran (no error of it names a path) stays without.
pub fn complete(document: &ExecutableDocument, operation_name: Option<&str>, variables: &Variables, types: &TypeIndex, response: &mut Response) {
    let Some(operation) = operation_of(document, operation_name) else { return };
    let Some(root) = types.root(operation.ty) else { return };
    let ran = response.errors.is_empty() || response.errors.iter().any(|error| !error.path.is_empty());
    if response.data == Value::Null && !ran {
        return;
    }
    let completion = Completion { document, operation, variables, types };
    let mut plan = completion.plan(root, [&operation.selection_set.node]);
    let faults = Faults::of(&response.errors);
    response.data = completion.object(&mut plan, std::mem::take(&mut response.data), Some(&faults));
}

/// The operation a request means; `None` when the name fits none or is missing though there are several.
pub(super) fn operation_of<'a>(document: &'a ExecutableDocument, name: Option<&str>) -> Option<&'a OperationDefinition> {
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Some(&operation.node),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name).map(|operation| &operation.node),
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => operations.values().next().map(|operation| &operation.node),
        _ => None,
    }
}

/// The keys of one object in their order.
type Plan<'a> = Vec<PlannedField<'a>>;

/// One key of an object: the fields that were merged into it, and what is below. Plans below are made when data first needs them,
/// so the work follows the data and not what the document could expand to.
struct PlannedField<'a> {
    key: &'a Name,
    /// `None` for introspection, which is passed through.
    ty: Option<&'a Type>,
    fields: Vec<&'a Field>,
    plans: Vec<(Name, Plan<'a>)>,
}

struct Completion<'a> {
    document: &'a ExecutableDocument,
    operation: &'a OperationDefinition,
    variables: &'a Variables,
    types: &'a TypeIndex,
}

impl<'a> Completion<'a> {
    /// The completed object, or null if one of its fields has to be there and is not.
    fn object(&self, plan: &mut Plan<'a>, data: Value, faults: Option<&Faults>) -> Value {
        let mut given = match data {
            Value::Object(given) => given,
            _ => IndexMap::new(),
        };
        let below = |field: &PlannedField<'a>| faults.and_then(|faults| faults.at(Step::Key(field.key)));
        if given.keys().eq(plan.iter().map(|field| field.key)) {
            for (value, field) in given.values_mut().zip(plan) {
                let faults = below(field);
                let Some(completed) = self.field(field, std::mem::take(value), faults) else { return Value::Null };
                *value = completed;
            }
            return Value::Object(given);
        }
        let complete = |field: &mut PlannedField<'a>| {
            let faults = below(field);
            let value = match given.swap_remove(field.key) {
                Some(value) => self.field(field, value, faults)?,
                None if field.ty.is_none_or(|ty| ty.nullable) => Value::Null,
                None => return None,
            };
            Some((field.key.clone(), value))
        };
        plan.iter_mut().map(complete).collect::<Option<_>>().map_or(Value::Null, Value::Object)
    }

    fn field(&self, field: &mut PlannedField<'a>, value: Value, faults: Option<&Faults>) -> Option<Value> {
        match field.ty {
            Some(ty) => self.value(field, ty, value, faults),
            None => Some(value),
        }
    }

    /// The completed value; `None` when it is null and must not be, so that its parent takes the null.
    fn value(&self, field: &mut PlannedField<'a>, ty: &'a Type, value: Value, faults: Option<&Faults>) -> Option<Value> {
        let completed = match (&ty.base, value) {
            (BaseType::List(item), Value::List(values)) => {
                let complete = |(at, value)| self.value(field, item, value, faults.and_then(|faults| faults.at(Step::Index(at))));
                values.into_iter().enumerate().map(complete).collect::<Option<_>>().map_or(Value::Null, Value::List)
            }
            (BaseType::Named(name), value) if self.types.is_composite(name) => self.composite(field, name, ty.nullable, value, faults),
            (_, value) => value,
        };
        (ty.nullable || completed != Value::Null).then_some(completed)
    }

    fn composite(&self, field: &mut PlannedField<'a>, name: &Name, nullable: bool, value: Value, faults: Option<&Faults>) -> Value {
        let object = match &value {
            _ if !self.types.is_abstract(name) => Some(name),
            Value::Object(keys) => match keys.get(preparation::HIDDEN_KEY) {
                Some(Value::String(object)) => Some(&Name::new(object)),
                _ => None,
            },
            _ => None,
        };
        let Some(object) = object else { return value };
        // Null stands for an object whose keys have all failed, too: where null is not allowed, or where something below failed.
        let is_object = matches!(value, Value::Object(_)) || !nullable || faults.is_some_and(Faults::any_below);
        if is_object { self.object(self.plan_below(field, object), value, faults) } else { value }
    }

    fn plan_below<'f>(&self, field: &'f mut PlannedField<'a>, object: &Name) -> &'f mut Plan<'a> {
        let at = field.plans.iter().position(|(known, _)| known == object).unwrap_or_else(|| {
            let plan = self.plan(object, field.fields.iter().map(|field| &field.selection_set.node));
            field.plans.push((object.clone(), plan));
            field.plans.len() - 1
        });
        &mut field.plans[at].1
    }

    /// `CollectFields` over all selections of one object. Each named fragment is entered once: a second visit adds nothing.
    fn plan(&self, object: &str, sets: impl IntoIterator<Item = &'a SelectionSet>) -> Plan<'a> {
        let mut collection = Collection { object, fields: Vec::new(), places: HashMap::new(), visited: HashSet::new() };
        for set in sets {
            self.collect(set, &mut collection);
        }
        collection.fields
    }

    fn collect(&self, set: &'a SelectionSet, into: &mut Collection<'a, '_>) {
        for selection in set.items.iter().filter(|selection| self.is_included(selection.node.directives())) {
            match &selection.node {
                Selection::Field(field) => self.collect_field(&field.node, into),
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    let Some(fragment) = self.document.fragments.get(name).filter(|_| into.visited.insert(name)) else { continue };
                    if self.types.applies(&fragment.node.type_condition.node.on.node, into.object) {
                        self.collect(&fragment.node.selection_set.node, into);
                    }
                }
                Selection::InlineFragment(fragment) => {
                    if fragment.node.type_condition.as_ref().is_none_or(|condition| self.types.applies(&condition.node.on.node, into.object)) {
                        self.collect(&fragment.node.selection_set.node, into);
                    }
                }
            }
        }
    }

    fn collect_field(&self, field: &'a Field, into: &mut Collection<'a, '_>) {
        let key = &field.response_key().node;
        if key == preparation::HIDDEN_KEY {
            return;
        }
        let place = *into.places.entry(key).or_insert(into.fields.len());
        if let Some(planned) = into.fields.get_mut(place) {
            planned.fields.push(field);
        } else {
            let ty = self.types.field(into.object, &field.name.node);
            into.fields.push(PlannedField { key, ty, fields: vec![field], plans: Vec::new() });
        }
    }

    fn is_included(&self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().all(|directive| match directive.node.name.node.as_str() {
            "skip" => !self.condition(&directive.node),
            "include" => self.condition(&directive.node),
            _ => true,
        })
    }

    fn condition(&self, directive: &Directive) -> bool {
        let given = directive.get_argument("if").map(|argument| argument.node.clone().into_const_with(|name| self.variable(&name).ok_or(())));
        given == Some(Ok(Value::Boolean(true)))
    }

    fn variable(&self, name: &Name) -> Option<Value> {
        let declared = || self.operation.variable_definitions.iter().find(|definition| definition.node.name.node == *name);
        self.variables.get(name).or_else(|| declared().and_then(|definition| definition.node.default_value())).cloned()
    }
}

/// What one `CollectFields` has gathered so far.
struct Collection<'a, 'o> {
    object: &'o str,
    fields: Plan<'a>,
    places: HashMap<&'a Name, usize>,
    visited: HashSet<&'a str>,
}

/// The paths of the errors, as a tree.
#[derive(Default)]
struct Faults<'e> {
    below: HashMap<Step<'e>, Faults<'e>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Step<'e> {
    Key(&'e str),
    Index(usize),
}

impl<'e> Faults<'e> {
    fn of(errors: &'e [ServerError]) -> Self {
        let mut root = Self::default();
        for error in errors {
            error.path.iter().fold(&mut root, |faults, segment| {
                faults
                    .below
                    .entry(match segment {
                        PathSegment::Field(key) => Step::Key(key),
                        PathSegment::Index(at) => Step::Index(*at),
                    })
                    .or_default()
            });
        }
        root
    }

    fn at<'s>(&'s self, step: Step<'s>) -> Option<&'s Faults<'s>> {
        self.below.get(&step)
    }

    fn any_below(&self) -> bool {
        !self.below.is_empty()
    }
}
