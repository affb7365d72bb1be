//! Values and variables: whether they fit where a document has them (GraphQL specification, 5.6.1 "Values of Correct Type" and 5.8.5 "All
//! Variable Usages Are Allowed").
//!
//! The library takes texts for values of enums, as they come in variables, wherever they stand, and looks at variables by their values. Here a
//! document is compared with the schema by its text, whatever values come with it. What neither is nor names a variable or a value of an enum is
//! left to the library. Every fragment is walked once for each operation, within what limits have measured.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Pos, Positioned, ServerError,
    parser::{
        self, parse_schema,
        types::{
            BaseType, Directive, ExecutableDocument, InputValueDefinition, Selection, SelectionSet, Type, TypeKind, TypeSystemDefinition, VariableDefinition,
        },
    },
};
use async_graphql_value::Value;

use super::{
    completion::{TypeIndex, innermost},
    error::{self, Code},
};

/// What can be given to a schema, and of which types it has to be.
pub struct Inputs {
    /// Arguments of fields, by the object or interface and the field.
    fields: HashMap<Name, HashMap<Name, Places>>,
    /// Arguments of directives.
    directives: HashMap<Name, Places>,
    /// Fields of input objects.
    objects: HashMap<Name, Places>,
    enums: HashSet<Name>,
}

/// Places for values by their names.
type Places = HashMap<Name, Place>;

/// Where a value goes.
struct Place {
    ty: Type,
    has_default: bool,
}

fn places(definitions: Vec<Positioned<InputValueDefinition>>) -> Places {
    let place = |definition: InputValueDefinition| (definition.name.node, Place { ty: definition.ty.node, has_default: definition.default_value.is_some() });
    definitions.into_iter().map(|definition| place(definition.node)).collect()
}

impl Inputs {
    /// Those of a schema.
    pub fn parse(sdl: &str) -> Result<Self, parser::Error> {
        let mut inputs = Self { fields: HashMap::new(), directives: HashMap::new(), objects: HashMap::new(), enums: HashSet::new() };
        for definition in parse_schema(sdl)?.definitions {
            let definition = match definition {
                TypeSystemDefinition::Type(definition) => definition.node,
                TypeSystemDefinition::Directive(directive) => {
                    inputs.directives.insert(directive.node.name.node, places(directive.node.arguments));
                    continue;
                }
                TypeSystemDefinition::Schema(_) => continue,
            };
            let name = definition.name.node;
            let fields = match definition.kind {
                TypeKind::Object(object) => object.fields,
                TypeKind::Interface(interface) => interface.fields,
                TypeKind::InputObject(object) => {
                    inputs.objects.insert(name, places(object.fields));
                    continue;
                }
                TypeKind::Enum(_) => {
                    inputs.enums.insert(name);
                    continue;
                }
                TypeKind::Scalar | TypeKind::Union(_) => continue,
            };
            inputs.fields.insert(name, fields.into_iter().map(|field| (field.node.name.node, places(field.node.arguments))).collect());
        }
        Ok(inputs)
    }
}

/// Refuses a document of which a variable or a value of an enum does not fit.
pub fn check(document: &ExecutableDocument, types: &TypeIndex, inputs: &Inputs) -> Result<(), ServerError> {
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        let variables = operation.variable_definitions.iter().map(|definition| (definition.node.name.node.as_str(), definition)).collect();
        let mut usage = Usage { document, types, inputs, variables, seen: HashSet::new() };
        for definition in &operation.variable_definitions {
            if let Some(default) = &definition.node.default_value {
                usage.value(&default.node.clone().into_value(), &definition.node.var_type.node, false, default.pos)?;
            }
        }
        usage.directives(&operation.directives)?;
        usage.selections(&operation.selection_set.node, types.root(operation.ty))?;
    }
    Ok(())
}

/// What one operation gives.
struct Usage<'a> {
    document: &'a ExecutableDocument,
    types: &'a TypeIndex,
    inputs: &'a Inputs,
    variables: HashMap<&'a str, &'a Positioned<VariableDefinition>>,
    /// The fragments it came by.
    seen: HashSet<&'a str>,
}

impl<'a> Usage<'a> {
    fn selections(&mut self, set: &'a SelectionSet, parent: Option<&'a str>) -> Result<(), ServerError> {
        for selection in &set.items {
            self.directives(selection.node.directives())?;
            match &selection.node {
                Selection::Field(field) => {
                    let name = &field.node.name.node;
                    if let Some(places) = parent.and_then(|parent| self.inputs.fields.get(parent)?.get(name)) {
                        self.arguments(&field.node.arguments, places)?;
                    }
                    let ty = parent.and_then(|parent| self.types.field(parent, name)).map(innermost);
                    self.selections(&field.node.selection_set.node, ty)?;
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                    self.selections(&fragment.node.selection_set.node, condition.or(parent))?;
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    if let Some(fragment) = self.document.fragments.get(name)
                        && self.seen.insert(name)
                    {
                        self.directives(&fragment.node.directives)?;
                        self.selections(&fragment.node.selection_set.node, Some(fragment.node.type_condition.node.on.node.as_str()))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn directives(&self, directives: &[Positioned<Directive>]) -> Result<(), ServerError> {
        for directive in directives {
            if let Some(places) = self.inputs.directives.get(&directive.node.name.node) {
                self.arguments(&directive.node.arguments, places)?;
            }
        }
        Ok(())
    }

    fn arguments(&self, arguments: &[(Positioned<Name>, Positioned<Value>)], places: &Places) -> Result<(), ServerError> {
        for (name, value) in arguments {
            if let Some(place) = places.get(&name.node) {
                self.value(&value.node, &place.ty, place.has_default, value.pos)?;
            }
        }
        Ok(())
    }

    fn value(&self, value: &Value, ty: &Type, has_default: bool, pos: Pos) -> Result<(), ServerError> {
        match (value, &ty.base) {
            (Value::Variable(name), _) => self.variable(name, ty, has_default, pos),
            (Value::Null, _) | (Value::Enum(_), BaseType::Named(_)) => Ok(()),
            (Value::List(items), BaseType::List(item)) => items.iter().try_for_each(|value| self.value(value, item, false, pos)),
            // One value where a list is wanted is a list of one.
            (_, BaseType::List(item)) => self.value(value, item, false, pos),
            (_, BaseType::Named(name)) if self.inputs.enums.contains(name) => {
                Err(misfit(&format!("Enum \"{name}\" cannot represent non-enum value."), vec![pos]))
            }
            (Value::Object(fields), BaseType::Named(name)) => {
                let Some(places) = self.inputs.objects.get(name) else { return Ok(()) };
                let mut known = fields.iter().filter_map(|(name, value)| Some((value, places.get(name)?)));
                known.try_for_each(|(value, place)| self.value(value, &place.ty, place.has_default, pos))
            }
            _ => Ok(()),
        }
    }

    /// Undeclared variables are left to the library.
    fn variable(&self, name: &Name, ty: &Type, has_default: bool, pos: Pos) -> Result<(), ServerError> {
        let Some(definition) = self.variables.get(name.as_str()) else { return Ok(()) };
        let declared = &definition.node.var_type.node;
        let is_never_null = || definition.node.default_value.as_ref().is_some_and(|default| default.node != async_graphql::Value::Null);
        let fits = if !ty.nullable && declared.nullable { (has_default || is_never_null()) && fits_base(declared, ty) } else { fits(declared, ty) };
        if fits {
            return Ok(());
        }
        Err(misfit(&format!("Variable \"${name}\" of type \"{declared}\" used in position expecting type \"{ty}\"."), vec![definition.pos, pos]))
    }
}

/// The specification's `AreTypesCompatible`.
fn fits(variable: &Type, place: &Type) -> bool {
    (place.nullable || !variable.nullable) && fits_base(variable, place)
}

/// The same, whatever may be null at the top.
fn fits_base(variable: &Type, place: &Type) -> bool {
    match (&variable.base, &place.base) {
        (BaseType::List(variable), BaseType::List(place)) => fits(variable, place),
        (BaseType::Named(variable), BaseType::Named(place)) => variable == place,
        _ => false,
    }
}

fn misfit(message: &str, locations: Vec<Pos>) -> ServerError {
    let mut refused = ServerError::new(message, None);
    refused.locations = locations;
    error::coded(refused, Code::GraphqlValidationFailed)
}
