//! Documents in the pages are run over the real server, and their answers look as shown.

use std::collections::BTreeMap;

use dashtam::domain::{time::Clock as _, user::Role};
use serde_json::{Value, json};

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::Client,
};

use super::{Page, guides, is_as_shown};

/// A document of a page, with the variables and the answer that stand after it.
struct Example {
    place: String,
    document: String,
    variables: Value,
    answer: Option<Value>,
}

fn examples(page: &Page) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for block in page.blocks() {
        let place = format!("{}:{}", page.path, block.line);
        let read = || serde_json::from_str(&block.text).unwrap_or_else(|broken| panic!("{place} is not JSON: {broken}"));
        match block.info.as_str() {
            "graphql" => examples.push(Example { place, document: block.text, variables: json!({}), answer: None }),
            "json variables" => examples.last_mut().unwrap_or_else(|| panic!("{place} belongs to no document")).variables = read(),
            "json answer" => examples.last_mut().unwrap_or_else(|| panic!("{place} belongs to no document")).answer = Some(read()),
            _ => {}
        }
    }
    examples
}

/// What `…` in a variable stands for: an id by its prefix, anything else by the name under which it was last answered.
struct Memory(BTreeMap<String, String>);

impl Memory {
    async fn of(client: &Client<'_>) -> Self {
        let mut memory = Self(BTreeMap::new());
        let everything = "{ viewer { id links(first: 1) { nodes { id } } sessions(first: 1) { nodes { id } } accounts(first: 1) { nodes { id } } transactions(first: 1) { nodes { id } } } }";
        memory.learn(&client.ask(everything).await.data());
        memory.0.insert("refreshToken".to_owned(), client.refresh_token.clone().unwrap());
        memory.0.insert("password".to_owned(), PASSWORD.to_owned());
        memory.0.insert("content".to_owned(), include_str!("../fixtures/ofx/checking-sgml.ofx").to_owned());
        memory
    }

    /// Once a page was shown a secret, each document finds the next code on the device.
    fn look_at_the_device(&mut self, app: &TestApp) {
        let Some(secret) = self.0.get("secret") else { return };
        app.pass(chrono::Duration::seconds(30));
        let device = totp_rs::Builder::new().with_secret(totp_rs::Secret::try_from_base32(secret).unwrap()).build().unwrap();
        let code = device.generate(u64::try_from(app.store.clock.now().unix()).unwrap()).to_string();
        self.0.insert("code".to_owned(), code);
    }

    fn learn(&mut self, answer: &Value) {
        match answer {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), value) {
                        ("id", Value::String(id)) => {
                            // The first of its kind stays, so that a page speaks of one account.
                            self.0.entry(id.split_inclusive('_').next().unwrap_or_default().to_owned()).or_insert_with(|| id.clone());
                        }
                        ("endCursor", Value::String(cursor)) => {
                            self.0.insert("after".to_owned(), cursor.clone());
                        }
                        (name, Value::String(text)) => {
                            self.0.insert(name.to_owned(), text.clone());
                        }
                        _ => self.learn(value),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            _ => {}
        }
    }

    fn fill(&self, name: &str, value: &mut Value) {
        match value {
            Value::String(text) => {
                let Some(shown) = text.strip_suffix('…') else { return };
                let kind = if shown.ends_with('_') { shown } else { name };
                // What nobody answered before stays as it is, for documents that show a refusal.
                if let Some(known) = self.0.get(kind) {
                    known.clone_into(text);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill(name, item)),
            Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| self.fill(name, value)),
            _ => {}
        }
    }
}

/// Where an answer is not as shown. It has the same keys; days, instants and amounts move; of a list, the beginning may be shown.
fn differences(shown: &Value, actual: &Value, place: &str) -> Vec<String> {
    let moves = |text: &str| text.trim_start_matches('-').starts_with(|first: char| first.is_ascii_digit());
    let differ = || vec![format!("{place}: shown {shown}, answered {actual}")];
    match (shown, actual) {
        (Value::Object(shown_fields), Value::Object(fields)) => {
            if !shown_fields.keys().eq(fields.keys()) {
                return differ();
            }
            shown_fields.iter().zip(fields.values()).flat_map(|((name, shown), actual)| differences(shown, actual, &format!("{place}.{name}"))).collect()
        }
        (Value::Array(shown_items), Value::Array(items)) => {
            if shown_items.is_empty() != items.is_empty() || shown_items.len() > items.len() {
                return differ();
            }
            shown_items.iter().zip(items).enumerate().flat_map(|(at, (shown, actual))| differences(shown, actual, &format!("{place}[{at}]"))).collect()
        }
        (Value::String(text), Value::String(actual)) if is_as_shown(text, actual) || (moves(text) && moves(actual)) => Vec::new(),
        (Value::Number(_), Value::Number(_)) => Vec::new(),
        (shown, actual) if shown == actual => Vec::new(),
        _ => differ(),
    }
}

#[tokio::test]
async fn every_document_runs_and_is_answered_as_shown() {
    let mut ran = 0;
    for page in guides() {
        let examples = examples(&page);
        if examples.is_empty() {
            continue;
        }
        for app in TestApp::on_every_store().await {
            // The page speaks of this session; another one asks, so that it can be ended.
            app.signed_in("ann").await;
            let ann = app.signed_in("ann").await;
            ann.link_sandbox().await;
            if page.path.ends_with("administer.md") {
                app.promote("ann", Role::Admin).await;
                app.pass(chrono::Duration::seconds(1));
            }
            let mut memory = Memory::of(&ann).await;
            for Example { place, document, variables, answer } in &examples {
                memory.look_at_the_device(&app);
                let mut variables = variables.clone();
                memory.fill("", &mut variables);
                let actual = ann.ask_with(document, variables).await;
                let shows_errors = answer.as_ref().is_some_and(|answer| answer.get("errors").is_some());
                assert!(shows_errors || (actual.status == 200 && actual.body["errors"].is_null()), "{place}: {}", actual.text);
                if let Some(shown) = answer {
                    // What a document cost stands in every answer, and is shown where it is what the page is about.
                    let mut told = actual.body.clone();
                    if shown["extensions"]["cost"].is_null()
                        && let Some(extensions) = told.get_mut("extensions").and_then(Value::as_object_mut)
                    {
                        extensions.remove("cost");
                        if extensions.is_empty() {
                            told.as_object_mut().unwrap().remove("extensions");
                        }
                    }
                    let differences = differences(shown, &told, "");
                    assert!(differences.is_empty(), "{place}:\n{}", differences.join("\n"));
                }
                memory.learn(&actual.body);
                ran += 1;
            }
        }
    }
    assert!(ran > 10, "{ran}");
}

#[test]
fn an_answer_that_is_not_as_shown_is_found() {
    let shown = json!({ "data": { "a": "1.00", "b": [{ "code": "X" }], "c": null, "d": "To … and back", "e": [] } });
    let answered = |change: fn(&mut Value)| {
        let mut value = json!({ "data": { "a": "-27.50", "b": [{ "code": "X" }, { "code": "Y" }], "c": null, "d": "To A and back", "e": [] } });
        change(&mut value["data"]);
        differences(&shown, &value, "").len()
    };
    assert_eq!(answered(|_| {}), 0);
    let changes: [fn(&mut Value); 8] = [
        |data| data["a"] = json!("USD"),
        |data| data["a"] = json!(1),
        |data| data["b"][0]["code"] = json!("Y"),
        |data| data["b"] = json!([]),
        |data| data["c"] = json!("x"),
        |data| data["d"] = json!("To A"),
        |data| data["e"] = json!([1]),
        |data| data["f"] = json!(1),
    ];
    for change in changes {
        assert_eq!(answered(change), 1);
    }
}
