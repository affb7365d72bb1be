//! What documents cost: told before they run, it is never below what comes out, whatever is asked.

use std::collections::HashMap;

use async_graphql::parser::{
    parse_schema,
    types::{BaseType, FieldDefinition, Type, TypeKind, TypeSystemDefinition},
};

use crate::harness::app::TestApp;

const STATEMENT: &str = include_str!("../fixtures/ofx/checking-sgml.ofx");

/// Numbers that are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // xorshift64* (Vigna 2016).
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides as u64).unwrap()
    }
}

/// Makes up documents.
struct Author {
    fields: HashMap<String, Vec<FieldDefinition>>,
    unions: HashMap<String, Vec<String>>,
    dice: Dice,
    fragments: Vec<String>,
    ids: Vec<String>,
}

fn named(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(item) => named(item),
    }
}

impl Author {
    fn new(seed: u64, ids: Vec<String>) -> Self {
        let (mut fields, mut unions) = (HashMap::new(), HashMap::<String, Vec<String>>::new());
        for definition in parse_schema(dashtam::presentation::graphql::sdl()).unwrap().definitions {
            let TypeSystemDefinition::Type(ty) = definition else { continue };
            let name = ty.node.name.node.to_string();
            let plain = |fields: Vec<async_graphql::Positioned<FieldDefinition>>| fields.into_iter().map(|field| field.node).collect::<Vec<_>>();
            match ty.node.kind {
                TypeKind::Object(object) => {
                    for interface in &object.implements {
                        unions.entry(interface.node.to_string()).or_default().push(name.clone());
                    }
                    fields.insert(name, plain(object.fields));
                }
                TypeKind::Interface(interface) => drop(fields.insert(name, plain(interface.fields))),
                TypeKind::Union(union) => {
                    unions.entry(name.clone()).or_default().extend(union.members.iter().map(|member| member.node.to_string()));
                    fields.insert(name, Vec::new());
                }
                _ => {}
            }
        }
        Self { fields, unions, dice: Dice(seed | 1), fragments: Vec::new(), ids }
    }

    fn document(&mut self) -> String {
        let body = self.selection("Query", 5);
        format!("{{ rateLimit {{ cost }} {body} }} {}", std::mem::take(&mut self.fragments).join(" "))
    }

    fn selection(&mut self, ty: &str, depth: usize) -> String {
        let mut chosen = vec!["__typename".to_owned()];
        if let Some(possible) = self.unions.get(ty).cloned() {
            let object = possible[self.dice.roll(possible.len())].clone();
            let below = self.selection(&object, depth);
            chosen.push(format!("... on {object} {{ {below} }}"));
        }
        let fields = self.fields[ty].clone();
        for _ in 0..=self.dice.roll(5) {
            if let Some(field) = fields.get(self.dice.roll(fields.len().max(1))).and_then(|field| self.field(field, depth)) {
                chosen.push(field);
            }
        }
        let chosen = chosen.join(" ");
        if self.dice.roll(6) == 0 {
            let name = format!("F{}", self.fragments.len());
            self.fragments.push(format!("fragment {name} on {ty} {{ {chosen} }}"));
            return format!("...{name}");
        }
        chosen
    }

    fn field(&mut self, field: &FieldDefinition, depth: usize) -> Option<String> {
        let has = |name: &str| field.arguments.iter().any(|argument| argument.node.name.node == name);
        let arguments = if has("first") {
            let size = [1, 2, 7, 50, 100][self.dice.roll(5)];
            let direction = if has("last") { ["first", "last"][self.dice.roll(2)] } else { "first" };
            format!("({direction}: {size})")
        } else if has("ids") {
            let count = self.dice.roll(self.ids.len());
            format!("(ids: {:?})", &self.ids[..count])
        } else if has("id") {
            format!("(id: {:?})", self.ids[self.dice.roll(self.ids.len())])
        } else if field.arguments.iter().any(|argument| !argument.node.ty.node.nullable && argument.node.default_value.is_none()) {
            return None;
        } else {
            String::new()
        };
        let ty = named(&field.ty.node);
        let alias = format!("a{}", self.dice.roll(1_000_000));
        if !self.fields.contains_key(ty) {
            return Some(format!("{alias}: {}{arguments}", field.name.node));
        }
        if depth == 0 {
            return None;
        }
        let below = self.selection(ty, depth - 1);
        Some(format!("{alias}: {}{arguments} {{ {below} }}", field.name.node))
    }
}

#[tokio::test]
async fn what_is_told_before_is_never_below_what_comes_out() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        ann.import("statement.ofx", STATEMENT, None).await.succeeds();
        let world = ann
            .ask("{ viewer { id accounts(first: 10) { nodes { id } } transactions(first: 20) { nodes { id } } links(first: 5) { nodes { id } } } }")
            .await
            .data();
        let mut ids = vec!["nonsense".to_owned()];
        let mut values = vec![&world];
        while let Some(value) = values.pop() {
            match value {
                serde_json::Value::Object(object) => values.extend(object.values()),
                serde_json::Value::Array(items) => values.extend(items),
                serde_json::Value::String(id) => ids.push(id.clone()),
                _ => {}
            }
        }
        let (mut ran, mut dearest, mut exact) = (0, 0, 0);
        for seed in 1..=400 {
            let document = Author::new(seed * 7919, ids.clone()).document();
            let answer = ann.ask(&document).await;
            let cost = &answer.body["extensions"]["cost"];
            let (Some(requested), Some(actual)) = (cost["requested"].as_u64(), cost["actual"].as_u64()) else {
                // Refused for its size, before it ran.
                assert!(answer.body["errors"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX", "{document}: {}", answer.text);
                continue;
            };
            assert!(actual <= requested, "{}: {actual} came out of what was told to be {requested}: {document}", app.store.name);
            ran += 1;
            dearest = dearest.max(actual);
            exact += u32::from(actual == requested);
        }
        assert!(ran > 200 && dearest > 30 && exact > 20, "{}: {ran} ran, the dearest cost {dearest}, {exact} were told exactly", app.store.name);
    }
}

#[tokio::test]
async fn prices_are_as_the_reference_says() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let everything = "{ viewer { id email accounts(first: 10) { nodes { id name type currency balances { current { amount } } \
                          transactions(first: 20) { nodes { id postedOn amount { amount currency } description category } } } } } }";
        for (document, requested) in [
            ("{ __typename }", 1),
            ("{ viewer { id } }", 2),
            // A user, a connection, and ten accounts with balances, current and a connection of twenty transactions with an amount each.
            (everything, 46),
            ("{ viewer { transactions(first: 1) { totalCount } } }", 7),
            ("{ __schema { types { name fields { name args { name } } } } }", 51),
        ] {
            let answer = ann.ask(document).await;
            assert_eq!(answer.body["extensions"]["cost"]["requested"], requested, "{document}: {}", answer.text);
        }
    }
}
