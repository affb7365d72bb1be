//! Any text as a document: from the first look at it to its answer, which nobody's request gets. Whatever is let through has to be quick.
#![no_main]

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use async_graphql::{EmptySubscription, Request, Schema, Variables, parser::parse_query};
use dashtam::presentation::graphql::{
    Mutation, Query,
    completion::{TypeIndex, complete, prepare, supply_defaults},
    limits::{self, Limits},
    sdl,
    survey::{self, MAX_TOKENS},
};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

/// Far more than an optimised build takes; a fuzzer's is slow.
const LONG: Duration = Duration::from_secs(5);

static TYPES: LazyLock<TypeIndex> = LazyLock::new(|| TypeIndex::parse(sdl()).unwrap());
static SCHEMA: LazyLock<Schema<Query, Mutation, EmptySubscription>> =
    LazyLock::new(|| Schema::build(Query::default(), Mutation::default(), EmptySubscription).disable_suggestions().finish());
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().build().unwrap());

fuzz_target!(|text: &str| {
    let began = Instant::now();
    let limits = Limits::default();
    if text.len() > limits.document_bytes {
        return;
    }
    let Ok(survey) = survey::of_document(text, &limits) else { return };
    assert!(survey.tokens <= MAX_TOKENS);
    let Ok(asked) = parse_query(text) else { return };
    if limits::check(&asked, None, &limits).is_err() {
        return;
    }
    let mut variables = Variables::default();
    supply_defaults(&asked, None, &mut variables);
    if limits::check(&asked, Some(&variables), &limits).is_err() {
        return;
    }
    let mut prepared = asked.clone();
    let _must_complete = prepare(&mut prepared, &TYPES);
    let mut request = Request::new(String::new()).variables(variables.clone());
    request.set_parsed_query(prepared.clone());
    let mut response = RUNTIME.block_on(SCHEMA.execute(request));
    complete(&prepared, None, &variables, &TYPES, &mut response);
    assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
});
