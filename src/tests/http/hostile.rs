//! Documents made to cost as much as they can: each is refused before it costs anything, in time and in memory.
//!
//! `cargo test --release --test tests -- --ignored --nocapture http::hostile` measures each against the built binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{app::TestApp, binary::Binary};

/// A request that wants too much.
pub(super) struct Hostile {
    name: &'static str,
    body: String,
    /// The code of its answer.
    code: &'static str,
}

const TOO_COMPLEX: &str = "QUERY_TOO_COMPLEX";
const INVALID: &str = "GRAPHQL_VALIDATION_FAILED";
const BROKEN: &str = "GRAPHQL_PARSE_FAILED";
const BAD_INPUT: &str = "BAD_USER_INPUT";

/// The most bytes of a document, less what stands around it.
const ROOM: usize = 99_900;

fn asking(name: &'static str, code: &'static str, document: &str) -> Hostile {
    Hostile { name, body: json!({ "query": document }).to_string(), code }
}

/// `part` as often as a document holds it, with its number in the place of `#`.
fn many(part: &str, room: usize) -> String {
    let mut text = String::new();
    for number in 0.. {
        let next = part.replace('#', &number.to_string());
        if text.len() + next.len() > room {
            return text;
        }
        text.push_str(&next);
    }
    text
}

fn doubling(levels: usize) -> String {
    let mut document = format!("{{ ...f{levels} }} fragment f0 on Query {{ __typename }}");
    for level in 1..=levels {
        write!(document, " fragment f{level} on Query {{ ...f{0} ...f{0} }}", level - 1).unwrap();
    }
    document
}

fn selections() -> Vec<Hostile> {
    let deep = ROOM / 2;
    let on = |name, code, document: String| asking(name, code, &document);
    vec![
        on("fragments that double, 40 levels", TOO_COMPLEX, doubling(40)),
        on("fragments that double, 2,000 levels", TOO_COMPLEX, doubling(2000)),
        on("a field 9,000 times", TOO_COMPLEX, format!("{{{}}}", many("__typename ", ROOM))),
        on("as many fields as are still parsed", TOO_COMPLEX, format!("{{{}}}", "__typename ".repeat(7_990))),
        on("a field of one letter 49,000 times", TOO_COMPLEX, format!("{{{}}}", many("a ", ROOM))),
        on("aliases by the thousand", TOO_COMPLEX, format!("{{{}}}", many("a#:__typename ", ROOM))),
        on("nested selections, open", TOO_COMPLEX, many("{a", ROOM)),
        on("nested selections, closed", TOO_COMPLEX, format!("{}{}", "{a".repeat(deep / 2), "}".repeat(deep / 2))),
        on("nested inline fragments", TOO_COMPLEX, format!("{}{}", "{...".repeat(deep / 4), "}".repeat(deep / 4))),
        on("brackets and nothing else", TOO_COMPLEX, "{".repeat(ROOM)),
        on("a fragment that spreads itself", INVALID, "{...a} fragment a on Query {...a}".to_owned()),
        on("a thousand fragments in a ring", INVALID, {
            let ring = many("fragment a# on Query{...b} ", 18_000);
            format!(
                "{{...b}} fragment b on Query {{ {} }} {ring}",
                (0..ring.matches("fragment").count()).fold(String::new(), |all, at| all + &format!("...a{at} "))
            )
        }),
        on("fragments never used", INVALID, format!("{{ __typename }} {}", many("fragment a# on Query{b} ", 20_000))),
        on("fragments never used, each with all of another", INVALID, {
            let big = format!("fragment big on Query {{{}}}", many("a ", 6_000));
            format!("{{ __typename }} {big} {}", many("fragment a# on Query{...big} ", 12_000))
        }),
        on("operations that share a large fragment", TOO_COMPLEX, format!("fragment f on Query {{{}}} {}", many("b ", 2_000), many("query a#{...f} ", 20_000))),
    ]
}

fn values() -> Vec<Hostile> {
    let deep = ROOM / 2;
    let on = |name, code, document: String| asking(name, code, &document);
    vec![
        on("lists within lists in an argument", TOO_COMPLEX, format!("{{node(id:{}{})}}", "[".repeat(deep), "]".repeat(deep))),
        on("objects within objects in an argument", TOO_COMPLEX, format!("{{node(id:{}", "{a:".repeat(ROOM / 3))),
        on("lists within lists in a type", TOO_COMPLEX, format!("query($a:{}", "[".repeat(ROOM))),
        on("lists within lists in a default", TOO_COMPLEX, format!("query($a:ID={}", "[".repeat(ROOM))),
        on("a list of 49,000 values", TOO_COMPLEX, format!("{{nodes(ids:[{}]){{id}}}}", many("1 ", ROOM - 20))),
        on("variables by the thousand", TOO_COMPLEX, format!("query({}){{__typename}}", many("$a#:ID ", 40_000))),
        on("variables nobody declared, in a hundred operations", TOO_COMPLEX, {
            let used = format!("fragment f on Query{{nodes(ids:[{}]){{id}}}}", many("$a# ", 20_000));
            format!("{used} {}", many("query a#{...f} ", 2_000))
        }),
        on("a field of an object that comes twice, behind thousands", INVALID, format!("{{node(id:{{{}a0:1}}){{id}}}}", many("a#:1 ", 17_000))),
        on("a variable that does not fit, behind thousands that do", INVALID, {
            let used = format!("fragment f on Query{{nodes(ids:[{}]){{id}}}}", "$a ".repeat(400));
            format!("{used} {} query z($a:ID){{...f}}", (0..9).fold(String::new(), |all, at| all + &format!("query q{at}($a:ID!){{...f}} ")))
        }),
        on("directives by the thousand", TOO_COMPLEX, format!("{{a{}}}", many(" @a", ROOM))),
        on("directives on an operation", TOO_COMPLEX, format!("query{}{{a}}", many(" @skip(if:true)", ROOM))),
        on("directives on a fragment", TOO_COMPLEX, format!("{{...f}} fragment f on Query{}{{a}}", many(" @a", ROOM - 40))),
        on("directives on a variable", TOO_COMPLEX, format!("query($a:ID{}){{a}}", many(" @a", ROOM - 40))),
        on("directives on a spread", TOO_COMPLEX, format!("{{...f{}}}", many(" @include(if:true)", ROOM))),
        on("a name of 99 kB", TOO_COMPLEX, format!("{{{}}}", "a".repeat(ROOM))),
        on("a block string without an end", BROKEN, format!("{{node(id:\"\"\"{}", "a".repeat(ROOM - 20))),
        on("a string that never ends", BROKEN, format!("{{node(id:\"{}", "\\".repeat(ROOM - 20))),
        on("commas and nothing else", BROKEN, ",".repeat(ROOM)),
        on("a comment and nothing else", BROKEN, format!("#{}", "{".repeat(ROOM))),
        on("emoji", TOO_COMPLEX, many("🏃", ROOM)),
        on("thousands of unknown fields", INVALID, format!("{{{}}}", many("viewe ", 24_000))),
        on("thousands of wrong arguments", INVALID, format!("{{{}}}", many("providers(x:1) ", 19_000))),
        on("fields that do not merge", INVALID, format!("{{{}}}", many("providers{slug} providers(category:BANK){slug} ", 20_000))),
        on("a mutation of thousands of equal fields", INVALID, format!("mutation{{{}}}", many("a(x:1) ", 9_000))),
        on("one byte more than a document may have", TOO_COMPLEX, format!("{{__typename}}{}", " ".repeat(100_000))),
    ]
}

fn bodies() -> Vec<Hostile> {
    let with = |name, code, document: &str, variables: String| Hostile {
        name,
        body: format!(r#"{{"query":{},"variables":{{"a":{variables}}}}}"#, json!(document)),
        code,
    };
    let megabyte = 1_000_000;
    let used = |times: usize| format!("query($a:[ID!]!){{{}}}", "nodes(ids:$a){id} ".repeat(times));
    let category = format!("query($a:ProviderCategory){{{}}}", "providers(category:$a){slug} ".repeat(1200));
    vec![
        with("lists within lists in a variable", BAD_INPUT, "{__typename}", "[".repeat(megabyte / 2) + &"]".repeat(megabyte / 2 - 100)),
        with("objects within objects in a variable", BAD_INPUT, "{__typename}", "{\"a\":".repeat(megabyte / 6)),
        with("a variable of 500,000 numbers", BAD_INPUT, "{__typename}", format!("[{}0]", "0,".repeat(megabyte / 2 - 50))),
        with("a variable of 300,000 lists", BAD_INPUT, "{__typename}", format!("[{}0]", "[],".repeat(megabyte / 3 - 50))),
        with("a variable of 10,000 ids, used once", TOO_COMPLEX, &used(1), format!("[{}\"x\"]", "\"x\",".repeat(10_000))),
        with("a variable of 5,000 ids, used 500 times", TOO_COMPLEX, &used(500), format!("[{}\"x\"]", "\"x\",".repeat(5_000))),
        with("a megabyte of text that is quoted 1,200 times", TOO_COMPLEX, &category, format!("\"{}\"", "a".repeat(megabyte - 50_000))),
        Hostile { name: "a batch of 20,000 documents", body: format!("[{}{{}}]", r#"{"query":"{__typename}"},"#.repeat(20_000)), code: BAD_INPUT },
        Hostile { name: "100,000 parameters nobody knows", body: format!("{{{}\"query\":\"{{a}}\"}}", "\"x\":1,".repeat(100_000)), code: BAD_INPUT },
        Hostile {
            name: "a megabyte for an operation's name",
            body: json!({ "query": "query a{__typename} query b{__typename}", "operationName": "a".repeat(megabyte - 100) }).to_string(),
            code: INVALID,
        },
    ]
}

/// All of them.
pub(super) fn hostile() -> Vec<Hostile> {
    [selections(), values(), bodies()].into_iter().flatten().collect()
}

#[tokio::test]
async fn every_one_is_refused_with_an_answer_of_a_few_kilobytes() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        let mut wrong = Vec::new();
        for Hostile { name, body, code } in hostile() {
            let began = Instant::now();
            let answer = nobody.send(nobody.request(Method::POST, "/graphql").header("content-type", "application/json").body(body)).await;
            if began.elapsed() > Duration::from_secs(2) {
                wrong.push(format!("{name} took {:?}", began.elapsed()));
            }
            let short: String = answer.text.chars().take(500).collect();
            let errors = answer.body["errors"].as_array().cloned().unwrap_or_default();
            let is_told = |error: &Value| {
                let message = error["message"].as_str().unwrap_or_default();
                error["extensions"]["traceId"] == answer.header("x-trace-id") && !message.contains("Did you mean") && (1..500).contains(&message.len())
            };
            let is_refused =
                answer.status == 400 && answer.body.get("data").is_none() && errors.first().is_some_and(|error| error["extensions"]["code"] == code);
            if !is_refused || answer.text.len() > 20_000 || errors.len() > 20 || !errors.iter().all(is_told) {
                wrong.push(format!("{name}: {} with {} bytes: {short}", answer.status, answer.text.len()));
            }
        }
        assert!(wrong.is_empty(), "{}: {wrong:#?}", app.store.name);
        nobody.get("/health").await;
        app.holds(&[("audit_events", 0)]).await;
    }
}

#[tokio::test]
async fn what_a_tool_asks_of_the_schema_is_no_attack() {
    const OF_TYPE: &str = "kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name \
                           ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }";
    let document = format!(
        "query IntrospectionQuery {{ __schema {{ description queryType {{ name kind }} mutationType {{ name kind }} subscriptionType {{ name kind }} \
         types {{ ...FullType }} directives {{ name description isRepeatable locations args(includeDeprecated: true) {{ ...InputValue }} }} }} }} \
         fragment FullType on __Type {{ kind name description specifiedByURL isOneOf \
         fields(includeDeprecated: true) {{ name description args(includeDeprecated: true) {{ ...InputValue }} type {{ ...TypeRef }} isDeprecated deprecationReason }} \
         inputFields(includeDeprecated: true) {{ ...InputValue }} interfaces {{ ...TypeRef }} \
         enumValues(includeDeprecated: true) {{ name description isDeprecated deprecationReason }} possibleTypes {{ ...TypeRef }} }} \
         fragment InputValue on __InputValue {{ name description type {{ ...TypeRef }} defaultValue isDeprecated deprecationReason }} \
         fragment TypeRef on __Type {{ {OF_TYPE} }}"
    );
    for app in TestApp::on_every_store().await {
        let data = app.nobody().ask(&document).await.data();
        assert!(data["__schema"]["types"].as_array().is_some_and(|types| types.len() > 50));
    }
}

/// Reads a line of `/proc/<id>/status` in kilobytes.
fn kilobytes(process: u32, line: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let found = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    found.trim_matches([':', ' ', '\t']).split_whitespace().next().unwrap().parse().unwrap()
}

/// What one request cost a server: the quickest of its tries, and the memory that its peak rose by.
async fn cost(http: &reqwest::Client, url: &str, process: u32, body: &str) -> (Duration, usize, Value) {
    let (mut quickest, mut grown, mut answered) = (Duration::MAX, 0, Value::Null);
    for _ in 0..5 {
        // Resets the peak.
        std::fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
        let before = kilobytes(process, "VmHWM");
        let began = Instant::now();
        let answer = http.post(url).header("content-type", "application/json").body(body.to_owned()).send().await.unwrap();
        let text = answer.text().await.unwrap();
        quickest = quickest.min(began.elapsed());
        grown = grown.max(kilobytes(process, "VmHWM").saturating_sub(before));
        answered = serde_json::from_str(&text).unwrap();
    }
    (quickest, grown, answered)
}

#[tokio::test]
#[ignore = "measures the built binary; worth it with --release"]
#[expect(clippy::print_stdout, reason = "what it measures is what it is for")]
async fn what_each_of_them_costs() {
    // What is asked costs points too, and those are soon used up.
    let binary = Binary::with(&[("DASHTAM_ENVIRONMENT", "development"), ("DASHTAM_PASSWORDS__COST", "4"), ("DASHTAM_RATE_LIMITS__ENABLED", "false")]);
    let demo = binary.demo();
    let url = format!("{}/graphql", demo.ready["url"].as_str().unwrap());
    let http = reqwest::Client::new();
    cost(&http, &url, demo.id(), r#"{"query":"{__typename}"}"#).await;
    println!("| request | bytes | milliseconds | memory, kB |\n|---|---:|---:|---:|");
    let mut dear = Vec::new();
    for Hostile { name, body, code } in hostile() {
        let (quickest, grown, answered) = cost(&http, &url, demo.id(), &body).await;
        assert_eq!(answered["errors"][0]["extensions"]["code"], code, "{name}");
        println!("| {name} | {} | {:.1} | {grown} |", body.len(), quickest.as_secs_f64() * 1000.0);
        if quickest > Duration::from_millis(10) || grown > 10_000 {
            dear.push(name);
        }
    }
    assert!(cfg!(debug_assertions) || dear.is_empty(), "more than 10 ms or 10 MB: {dear:?}");
}
