//! Completed answers: a table of cases whose answers are those of the reference implementation (graphql-js 16), and random queries
//! against the specification's algorithm told naively.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod reference;
mod world;
mod writer;

use std::{fmt::Write, sync::LazyLock};

use async_graphql::{
    Positioned, Request, Response, Value, Variables,
    parser::{
        parse_query,
        types::{ExecutableDocument, Selection},
    },
};
use dashtam::presentation::graphql::completion::{TypeIndex, complete, prepare, supply_defaults};
use proptest::{collection::vec, prelude::*};
use serde::Deserialize;

use reference::Reference;
use world::{Graph, World, graph};
use writer::Writer;

static GRAPH: LazyLock<Graph> = LazyLock::new(graph);
static TYPES: LazyLock<TypeIndex> = LazyLock::new(|| TypeIndex::parse(&GRAPH.sdl()).unwrap());

/// One request, told as the server will handle it.
struct Asked {
    document: ExecutableDocument,
    operation: Option<String>,
    variables: Variables,
    world: World,
}

impl Asked {
    fn new(query: &str, operation: Option<String>, variables: Variables, world: World) -> Self {
        Self { document: parse_query(query).unwrap(), operation, variables, world }
    }

    async fn answer(&self) -> Response {
        let (mut document, mut variables) = (self.document.clone(), self.variables.clone());
        let needed = prepare(&mut document, &TYPES);
        supply_defaults(&document, self.operation.as_deref(), &mut variables);
        let mut request = Request::new("").variables(variables.clone()).data(self.world.clone());
        request.operation_name.clone_from(&self.operation);
        request.set_parsed_query(document.clone());
        let mut response = GRAPH.execute(request).await;
        if needed || response.is_err() {
            complete(&document, self.operation.as_deref(), &variables, &TYPES, &mut response);
        }
        response
    }

    fn reference(&self) -> Value {
        Reference { document: &self.document, variables: &self.variables, world: &self.world }.answer(self.operation.as_deref())
    }
}

/// As text, since the order of keys counts.
fn text(value: &Value) -> String {
    serde_json::to_string(value).unwrap()
}

#[derive(Deserialize)]
struct Case {
    says: String,
    query: String,
    #[serde(default)]
    operation: Option<String>,
    #[serde(default)]
    variables: Variables,
    #[serde(default)]
    fails: Vec<String>,
    #[serde(default)]
    nulls: Vec<String>,
    #[serde(default)]
    others: Vec<String>,
    expected: Value,
}

#[tokio::test]
async fn answers_are_those_of_the_reference_implementation() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("completion/cases.json")).unwrap();
    for case in cases {
        let world =
            World::Script { fails: case.fails.iter().cloned().collect(), nulls: case.nulls.into_iter().collect(), others: case.others.into_iter().collect() };
        let asked = Asked::new(&case.query, case.operation, case.variables, world);
        let response = asked.answer().await;
        assert_eq!(text(&response.data), text(&case.expected), "{}: {} {:?}", case.says, case.query, response.errors);
        assert_eq!(response.is_err(), !case.fails.is_empty(), "{}: {:?}", case.says, response.errors);
        if !case.query.contains("__type(") {
            assert_eq!(text(&asked.reference()), text(&case.expected), "the test's own executor: {}", case.says);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_answers_are_those_of_the_specification(draws in vec(any::<u8>(), 0..300), seed in any::<u32>()) {
        let query = Writer::write(&draws);
        let asked = Asked::new(&query, None, yes_and_no(), World::Die { seed });
        let response = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(asked.answer());
        prop_assert!(response.errors.iter().all(|error| error.message == "failed"), "{query}: {:?}", response.errors);
        prop_assert_eq!(text(&response.data), text(&asked.reference()), "{}", query);
    }
}

fn yes_and_no() -> Variables {
    Variables::from_json(serde_json::json!({ "yes": true, "no": false }))
}

#[test]
fn a_document_without_doubt_is_left_as_written() {
    let fragment = "fragment F on Thing { id children { ... on Node { id } } friend @skip(if: true) { id } }";
    for (query, touched, needed) in [
        ("{ thing { ...F child { name } } } fragment F on Thing { id children { ... on Node { id } } }", false, false),
        ("{ thing { name } word }", false, true),
        ("{ ...Q } fragment Q on Query { word }", false, true),
        ("mutation { act { name } mustAct { name } }", false, false),
        (&format!("{{ thing {{ ...F }} }} {fragment}"), true, true),
        ("{ thing { name @skip(if: true) } }", true, true),
        ("{ thing { child { name } child { id } } }", true, true),
    ] {
        let document = parse_query(query).unwrap();
        let mut prepared = document.clone();
        assert_eq!(prepare(&mut prepared, &TYPES), needed, "{query}");
        assert_eq!(format!("{document:?}") != format!("{prepared:?}"), touched, "{query}");
    }
}

#[test]
fn a_request_that_never_ran_stays_without_data() {
    let document = parse_query("{ word }").unwrap();
    let mut response = Response::from_errors(vec![async_graphql::ServerError::new("no", None)]);
    complete(&document, None, &Variables::default(), &TYPES, &mut response);
    assert_eq!(response.data, Value::Null);
}

#[test]
fn a_mutation_selected_twice_runs_once() {
    for (written, joined) in [
        ("mutation { act { name } word: __typename act { id } }", "mutation { act { name id } word: __typename }"),
        ("mutation { a: act { name } act { id } }", "mutation { a: act { name } act { id } }"),
        ("query { thing { name } thing { id } }", "query { thing { name } thing { id } }"),
    ] {
        let mut document = parse_query(written).unwrap();
        let _ = prepare(&mut document, &TYPES);
        assert_eq!(keys(&document), keys(&parse_query(joined).unwrap()), "{written}");
    }
}

fn keys(document: &ExecutableDocument) -> Vec<Vec<String>> {
    let key = |selection: &Positioned<Selection>| match &selection.node {
        Selection::Field(field) => Some(field.node.response_key().node.to_string()).filter(|key| !key.starts_with('<')),
        _ => None,
    };
    let below = |selection: &Positioned<Selection>| match &selection.node {
        Selection::Field(field) => key(selection).into_iter().chain(field.node.selection_set.node.items.iter().filter_map(key)).collect(),
        _ => Vec::new(),
    };
    document.operations.iter().flat_map(|(_, operation)| &operation.node.selection_set.node.items).map(below).collect()
}

/// Each fragment spreads the next one twice: two to the power of sixty fields on paper, sixty in the data.
#[test]
fn fragments_that_double_cost_what_the_data_costs() {
    let mut query = "{ thing { ...F0 } }".to_owned();
    for level in 0..60 {
        let twice = format!("...F{next} ...F{next}", next = level + 1);
        write!(query, " fragment F{level} on Thing {{ {twice} child {{ {twice} }} }}").unwrap();
    }
    query += " fragment F60 on Thing { name mustName }";
    let mut document = parse_query(&query).unwrap();
    assert!(prepare(&mut document, &TYPES));
    let data = serde_json::json!({ "thing": { "child": { "mustName": "c", "child": null }, "mustName": "t" } });
    let mut response = Response::new(Value::from_json(data).unwrap());
    complete(&document, None, &Variables::default(), &TYPES, &mut response);
    assert_eq!(text(&response.data), r#"{"thing":{"name":null,"mustName":"t","child":{"name":null,"mustName":"c","child":null}}}"#);
}

#[test]
fn an_answer_of_a_subscription_is_completed() {
    let types = TypeIndex::parse("schema { query: Q subscription: S } type Q { a: Int } type S { tick: Tick! tock: Tick } type Tick { name: String at: Int! }")
        .unwrap();
    for (query, data, path, expected) in [
        ("subscription { tick { name at } }", serde_json::json!({ "tick": { "at": 1 } }), vec!["tick", "name"], r#"{"tick":{"name":null,"at":1}}"#),
        ("subscription { tick { name at } }", serde_json::json!({ "tick": { "name": "n" } }), vec!["tick", "at"], "null"),
        ("subscription { t: tock { name } }", serde_json::json!({ "t": null }), vec!["t", "name"], r#"{"t":{"name":null}}"#),
    ] {
        let mut document = parse_query(query).unwrap();
        assert!(!prepare(&mut document, &types));
        let path = path.into_iter().map(|key| async_graphql::PathSegment::Field(key.to_owned())).collect();
        let mut response = Response::new(Value::from_json(data).unwrap());
        response.errors.push(async_graphql::ServerError::new("failed", None).with_path(path));
        complete(&document, None, &Variables::default(), &types, &mut response);
        assert_eq!(text(&response.data), expected);
    }
}
