//! The schema as completion needs it: which fields an object has, which of them may be null, who is behind an interface.
//!
//! Read once from the SDL, which is the published contract; the library's registry is not part of its documented surface.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name,
    parser::{
        self, parse_schema,
        types::{BaseType, FieldDefinition, OperationType, Type, TypeKind, TypeSystemDefinition},
    },
};

/// Objects, interfaces and unions of one schema by name. Whatever it does not know is a leaf: scalars, enums, introspection.
#[derive(Debug)]
pub struct TypeIndex {
    query: Name,
    mutation: Option<Name>,
    subscription: Option<Name>,
    composites: HashMap<Name, Composite>,
}

#[derive(Debug, Default)]
struct Composite {
    fields: HashMap<Name, Type>,
    /// The objects that a value of an interface or union can be; `None` for an object, which is only itself.
    possible: Option<HashSet<Name>>,
}

impl TypeIndex {
    /// Reads a whole schema; extensions (`extend type`) are not merged, since the schema exports none.
    pub fn parse(sdl: &str) -> Result<Self, parser::Error> {
        let mut index = Self { query: Name::new("Query"), mutation: None, subscription: None, composites: HashMap::new() };
        let mut memberships = Vec::new();
        for definition in parse_schema(sdl)?.definitions {
            match definition {
                TypeSystemDefinition::Schema(schema) => {
                    index.query = schema.node.query.map_or(index.query, |name| name.node);
                    index.mutation = schema.node.mutation.map(|name| name.node);
                    index.subscription = schema.node.subscription.map(|name| name.node);
                }
                TypeSystemDefinition::Type(definition) => {
                    let name = definition.node.name.node;
                    let composite = match definition.node.kind {
                        TypeKind::Object(object) => {
                            memberships.extend(object.implements.into_iter().map(|interface| (interface.node, name.clone())));
                            Composite { fields: field_types(object.fields), possible: None }
                        }
                        TypeKind::Interface(interface) => Composite { fields: field_types(interface.fields), possible: Some(HashSet::new()) },
                        TypeKind::Union(union) => {
                            Composite { fields: HashMap::new(), possible: Some(union.members.into_iter().map(|member| member.node).collect()) }
                        }
                        TypeKind::Scalar | TypeKind::Enum(_) | TypeKind::InputObject(_) => continue,
                    };
                    index.composites.insert(name, composite);
                }
                TypeSystemDefinition::Directive(_) => {}
            }
        }
        for (interface, object) in memberships {
            if let Some(possible) = index.composites.get_mut(&interface).and_then(|composite| composite.possible.as_mut()) {
                possible.insert(object);
            }
        }
        Ok(index)
    }

    /// The object at the root of an operation.
    pub(in crate::presentation::graphql) fn root(&self, operation: OperationType) -> Option<&str> {
        match operation {
            OperationType::Query => Some(&self.query),
            OperationType::Mutation => self.mutation.as_deref(),
            OperationType::Subscription => self.subscription.as_deref(),
        }
    }

    /// The declared type of a field; `None` for what is not in the SDL, such as `__typename` and `__schema`.
    pub(in crate::presentation::graphql) fn field(&self, parent: &str, field: &str) -> Option<&Type> {
        self.composites.get(parent)?.fields.get(field)
    }

    /// True for objects, interfaces and unions.
    pub(super) fn is_composite(&self, name: &str) -> bool {
        self.composites.contains_key(name)
    }

    /// True for interfaces and unions, whose values must be asked what they are.
    pub(super) fn is_abstract(&self, name: &str) -> bool {
        self.composites.get(name).is_some_and(|composite| composite.possible.is_some())
    }

    /// The specification's `DoesFragmentTypeApply`, for a fragment on `condition` and an object.
    pub(super) fn applies(&self, condition: &str, object: &str) -> bool {
        let is_possible = |composite: &Composite| composite.possible.as_ref().is_some_and(|possible| possible.contains(object));
        condition == object || self.composites.get(condition).is_some_and(is_possible)
    }
}

/// The name inside all lists and non-nulls.
pub(in crate::presentation::graphql) fn innermost(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(item) => innermost(item),
    }
}

fn field_types(fields: Vec<async_graphql::Positioned<FieldDefinition>>) -> HashMap<Name, Type> {
    fields.into_iter().map(|field| (field.node.name.node, field.node.ty.node)).collect()
}
