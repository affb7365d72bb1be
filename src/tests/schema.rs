//! The published schema: checked in, and described to its last word.

use async_graphql::parser::{
    parse_schema,
    types::{TypeKind, TypeSystemDefinition},
};

#[test]
fn the_checked_in_schema_is_the_one_served() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    let served = dashtam::presentation::graphql::sdl();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, format!("{}\n", served.trim_end())).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept.trim_end() == served.trim_end(), "schema.graphql differs from the schema; review the change and run `make schema`");
}

#[test]
fn everything_in_the_schema_is_described() {
    let schema = parse_schema(dashtam::presentation::graphql::sdl()).unwrap();
    let mut bare = Vec::new();
    let mut check = |name: String, description: bool| {
        if !description {
            bare.push(name);
        }
    };
    for definition in schema.definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let of = definition.node.name.node.to_string();
        check(of.clone(), definition.node.description.is_some() || matches!(of.as_str(), "Query" | "Mutation"));
        match definition.node.kind {
            TypeKind::Object(_) | TypeKind::Interface(_) => {
                let fields = match definition.node.kind {
                    TypeKind::Object(object) => object.fields,
                    TypeKind::Interface(interface) => interface.fields,
                    _ => Vec::new(),
                };
                for field in fields {
                    let field = field.node;
                    check(format!("{of}.{}", field.name.node), field.description.is_some());
                    for argument in field.arguments {
                        check(format!("{of}.{}({})", field.name.node, argument.node.name.node), argument.node.description.is_some());
                    }
                }
            }
            TypeKind::InputObject(input) => {
                for field in input.fields {
                    check(format!("{of}.{}", field.node.name.node), field.node.description.is_some());
                }
            }
            TypeKind::Enum(values) => {
                for value in values.values {
                    check(format!("{of}.{}", value.node.value.node), value.node.description.is_some());
                }
            }
            TypeKind::Scalar | TypeKind::Union(_) => {}
        }
    }
    assert!(bare.is_empty(), "without a description: {bare:?}");
}
