//! Pauses in the graph: whichever process asks the provider, every process tells how that stands.

use chrono::Duration as Span;
use dashtam::domain::time::Clock as _;
use serde_json::{Value, json};

use crate::{
    harness::{
        app::{Process, TestApp},
        client::Client,
    },
    simplefin::{account, bridge::Bridge, row},
};

const OF_PROVIDER: &str = "{ provider(slug: \"simplefin\") { circuit leftAloneUntil } }";

const OF_LINKS: &str = "{ viewer { links(first: 10) { nodes { id circuit leftAloneUntil provider { circuit leftAloneUntil } } } } }";

fn known(config: &mut dashtam::config::Config) {
    config.providers.simplefin.hosts = vec!["127.0.0.1".to_owned()];
}

async fn of_provider(client: &Client<'_>) -> (Value, Value) {
    let told = client.ask(OF_PROVIDER).await.data()["provider"].clone();
    (told["circuit"].clone(), told["leftAloneUntil"].clone())
}

async fn of_link(client: &Client<'_>) -> (Value, Value) {
    let told = client.ask(OF_LINKS).await.data()["viewer"]["links"]["nodes"][0].clone();
    (told["circuit"].clone(), told["leftAloneUntil"].clone())
}

/// The worker takes up what waits until `is_so`, half a minute apart.
async fn work_until(app: &TestApp, worker: &Process, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..20 {
        while worker.app.engine.run_next().await.unwrap() {}
        if is_so().await {
            return;
        }
        app.pass(Span::seconds(20));
    }
    panic!("{}: it does not come to that", app.store.name);
}

#[tokio::test]
async fn what_a_worker_found_out_every_process_tells() {
    for app in TestApp::configured(known).await {
        let bridge = Bridge::with(vec![account("A", "1", "Checking", &[row("1", "2026-11-20", "-5.00")])]).await;
        let worker = app.hearing_with(None, known).await;
        let (ann, bob, cleo) = (app.signed_in("ann").await, app.signed_in("bob").await, app.signed_in("cleo").await);
        for (client, token) in [(&ann, "one"), (&bob, "two")] {
            client.link_with_token(json!({ "provider": "simplefin", "setupToken": bridge.token(token) })).await.succeeds();
        }
        let asked = (json!("CLOSED"), json!(null));
        assert_eq!((of_provider(&cleo).await, of_link(&ann).await), (asked.clone(), asked.clone()));

        // Five failures in a row for one of them, and ten for everybody.
        bridge.books(|books| books.status = Some(503));
        work_until(&app, &worker, async || of_link(&ann).await.0 == "OPEN").await;
        let now = app.store.clock.now();
        let (_, until) = of_link(&ann).await;
        let until = until.as_str().unwrap();
        assert!(*now.to_string() < *until && *until <= *now.plus(Span::seconds(30)).to_string(), "{until}");
        work_until(&app, &worker, async || of_provider(&cleo).await.0 == "OPEN").await;
        assert_eq!(bridge.asked(), 10, "{}", app.store.name);
        let (_, until) = of_provider(&cleo).await;
        assert!(until.is_string() && of_link(&bob).await.1.as_str() >= until.as_str(), "what waits for the provider waits as long");
        app.holds(&[("provider_pauses", 1), ("link_pauses", 2)]).await;

        // Nobody but its owner is told of a link, and everybody of a provider.
        let links = ann.ask(OF_LINKS).await.data()["viewer"]["links"]["nodes"].clone();
        let foreign = bob.ask_with("query($id: ID!) { node(id: $id) { ... on Link { circuit leftAloneUntil } } }", json!({ "id": links[0]["id"] })).await;
        assert_eq!(foreign.data()["node"], json!(null));

        app.pass(Span::days(1));
        let (ann, bob, cleo) = (app.signed_in("ann").await, app.signed_in("bob").await, app.signed_in("cleo").await);
        let half_open = (json!("HALF_OPEN"), json!(null));
        assert_eq!((of_provider(&cleo).await, of_link(&ann).await), (half_open.clone(), half_open));
        bridge.books(|books| books.status = None);
        while worker.app.engine.run_next().await.unwrap() {}
        assert_eq!((of_provider(&cleo).await, of_link(&ann).await, of_link(&bob).await), (asked.clone(), asked.clone(), asked));
        app.holds(&[("provider_pauses", 0), ("link_pauses", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_was_asked_for_one_link_stands_at_that_link() {
    for app in TestApp::configured(known).await {
        let bridge = Bridge::with(vec![account("A", "1", "Checking", &[row("1", "2026-11-20", "-5.00")])]).await;
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        for (client, token) in [(&ann, "one"), (&bob, "two")] {
            client.link_with_token(json!({ "provider": "simplefin", "setupToken": bridge.token(token) })).await.succeeds();
        }
        bridge.books(|books| books.status = Some(429));
        assert!(app.app.engine.run_next().await.unwrap());
        bridge.books(|books| books.status = None);
        app.work().await;
        let last = ann.ask("{ viewer { links(first: 10) { nodes { lastSync { problem nextTryAt } leftAloneUntil circuit } } } }").await.data()["viewer"]["links"]["nodes"][0].clone();
        assert_eq!((&last["lastSync"]["problem"], &last["circuit"]), (&json!("RATE_LIMITED"), &json!("CLOSED")));
        assert!(last["leftAloneUntil"].is_string() && last["leftAloneUntil"] == last["lastSync"]["nextTryAt"], "{last}");
        assert_eq!((of_link(&bob).await.1, of_provider(&bob).await.1), (json!(null), json!(null)));

        // Nothing is asked for what was unlinked, and of what is no provider.
        let linked = ann.ask(OF_LINKS).await.data()["viewer"]["links"]["nodes"][0]["id"].clone();
        ann.unlink(linked.as_str().unwrap(), true).await.succeeds();
        assert_eq!(of_link(&ann).await, (json!(null), json!(null)));
        let files = ann.ask("{ provider(slug: \"statement\") { circuit leftAloneUntil } }").await.data();
        assert_eq!(files["provider"], json!({ "circuit": null, "leftAloneUntil": null }));
    }
}

#[tokio::test]
async fn pauses_of_a_page_of_links_are_read_at_once() {
    for app in TestApp::configured(known).await {
        let bridge = Bridge::with(vec![account("A", "1", "Checking", &[])]).await;
        let ann = app.signed_in("ann").await;
        let mut counts = Vec::new();
        for token in ["one", "two", "three", "four"] {
            ann.link_with_token(json!({ "provider": "simplefin", "setupToken": bridge.token(token) })).await.succeeds();
            let before = app.app.statements();
            ann.ask(OF_LINKS).await.data();
            counts.push(app.app.statements() - before);
        }
        assert_eq!(counts, [counts[0]; 4], "{}", app.store.name);
    }
}
