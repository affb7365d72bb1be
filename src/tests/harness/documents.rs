//! Documents made from the schema, so that a new field is tried without anyone thinking of it.

use std::collections::HashMap;

use async_graphql::parser::{
    parse_schema,
    types::{BaseType, FieldDefinition, InputValueDefinition, Type, TypeKind, TypeSystemDefinition},
};
use serde_json::{Map, Value, json};

/// The schema that is served.
pub(crate) struct Schema(HashMap<String, TypeKind>);

/// One field with everything it must be given.
#[derive(Clone)]
pub(crate) struct Asked {
    /// `providers`, or `User.links` for a field below the viewer.
    pub(crate) name: String,
    /// An operation that asks for it and nothing else.
    pub(crate) document: String,
    /// What it is given: placeholders that no row has.
    pub(crate) variables: Value,
    /// Where in the variables ids stand, as JSON pointers.
    pub(crate) ids: Vec<String>,
}

impl Asked {
    /// The variables with `id` in one of the places of ids.
    pub(crate) fn naming(&self, place: &str, id: &str) -> Value {
        let mut variables = self.variables.clone();
        *variables.pointer_mut(place).unwrap() = json!(id);
        variables
    }
}

impl Schema {
    /// As `sdl()` has it.
    pub(crate) fn read() -> Self {
        let definitions = parse_schema(dashtam::presentation::graphql::sdl()).unwrap().definitions.into_iter();
        let types = definitions.filter_map(|definition| match definition {
            TypeSystemDefinition::Type(definition) => Some((definition.node.name.node.to_string(), definition.node.kind)),
            _ => None,
        });
        Self(types.collect())
    }

    /// Every root field of queries, mutations and subscriptions.
    pub(crate) fn roots(&self) -> Vec<Asked> {
        let of = |root: &str, operation: &str| {
            self.fields(root).iter().map(|field| self.asked(field, field.name.node.to_string(), operation, ("{", "}"))).collect::<Vec<_>>()
        };
        [of("Query", "query"), of("Mutation", "mutation"), of("Subscription", "subscription")].concat()
    }

    /// Every field of the viewer that leads on to other types.
    pub(crate) fn of_viewer(&self) -> Vec<Asked> {
        let fields = self.fields("User").into_iter().filter(|field| !self.is_leaf(&field.ty.node));
        fields.map(|field| self.asked(field, format!("User.{}", field.name.node), "query", ("{ viewer {", "} }"))).collect()
    }

    fn fields(&self, ty: &str) -> Vec<&FieldDefinition> {
        match &self.0[ty] {
            TypeKind::Object(object) => object.fields.iter().map(|field| &field.node).collect(),
            TypeKind::Interface(interface) => interface.fields.iter().map(|field| &field.node).collect(),
            _ => Vec::new(),
        }
    }

    fn asked(&self, field: &FieldDefinition, name: String, operation: &str, around: (&str, &str)) -> Asked {
        let (mut declared, mut given, mut variables, mut ids) = (Vec::new(), Vec::new(), Map::new(), Vec::new());
        for argument in &field.arguments {
            let (argument, pointer) = (&argument.node, format!("/{}", argument.node.name.node));
            if let Some(value) = self.value(argument, &pointer, &mut ids) {
                let name = &argument.name.node;
                declared.push(format!("${name}: {}", argument.ty.node));
                given.push(format!("{name}: ${name}"));
                variables.insert(name.to_string(), value);
            }
        }
        let bracketed = |parts: &[String]| if parts.is_empty() { String::new() } else { format!("({})", parts.join(", ")) };
        let selection = self.selection(innermost(&field.ty.node), 1);
        let (declared, given, (open, close)) = (bracketed(&declared), bracketed(&given), around);
        let document = format!("{operation}{declared} {open} {}{given} {selection} {close}", field.name.node);
        Asked { name, document, variables: Value::Object(variables), ids }
    }

    /// A placeholder; `None` for what can be left out and holds no id.
    fn value(&self, input: &InputValueDefinition, pointer: &str, ids: &mut Vec<String>) -> Option<Value> {
        let ty = &input.ty.node;
        let name = innermost(ty);
        let is_list = matches!(ty.base, BaseType::List(_));
        let pointer = if is_list { format!("{pointer}/0") } else { pointer.to_owned() };
        let known = ids.len();
        let value = match self.0.get(name) {
            Some(TypeKind::InputObject(object)) => {
                let fields = object.fields.iter().filter_map(|field| {
                    let value = self.value(&field.node, &format!("{pointer}/{}", field.node.name.node), ids)?;
                    Some((field.node.name.node.to_string(), value))
                });
                Value::Object(fields.collect())
            }
            Some(TypeKind::Enum(values)) => json!(values.values[0].node.value.node),
            _ if name == "ID" => {
                ids.push(pointer);
                json!("x")
            }
            _ if name == "Int" => json!(1),
            _ if name == "Boolean" => json!(false),
            _ => json!("x"),
        };
        let is_needed = !ty.nullable && input.default_value.is_none();
        let is_wanted = is_needed || ids.len() > known || input.name.node == "first";
        is_wanted.then(|| if is_list { json!([value]) } else { value })
    }

    /// All leaves of a type, and those of what it leads to without arguments, `deeper` levels down.
    fn selection(&self, ty: &str, deeper: usize) -> String {
        let mut parts = vec!["__typename".to_owned()];
        for field in self.fields(ty).into_iter().filter(|field| field.arguments.is_empty()) {
            let (name, below) = (&field.name.node, innermost(&field.ty.node));
            if self.is_leaf(&field.ty.node) {
                parts.push(name.to_string());
            } else if deeper > 0 {
                parts.push(format!("{name} {}", self.selection(below, deeper - 1)));
            }
        }
        if self.fields(ty).is_empty() { String::new() } else { format!("{{ {} }}", parts.join(" ")) }
    }

    fn is_leaf(&self, ty: &Type) -> bool {
        !matches!(self.0.get(innermost(ty)), Some(TypeKind::Object(_) | TypeKind::Interface(_) | TypeKind::Union(_)))
    }
}

fn innermost(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(item) => innermost(item),
    }
}
