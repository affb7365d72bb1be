//! Limits of the graph: what each operation is charged, before it runs and before anything is written.

use std::fmt::Write as _;

use serde_json::json;

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::{Answer, Client},
    redis::redis,
};

/// One over every kind of store, with the limits that ship.
async fn limited() -> Vec<TestApp> {
    TestApp::configured(|config| config.rate_limits.enabled = true).await
}

/// Signs in under so many aliases.
async fn sign_in_under(client: &Client<'_>, aliases: usize, email: &str) -> Answer {
    let mut document = "mutation($input: CreateSessionInput!) {".to_owned();
    for at in 0..aliases {
        write!(document, " a{at}: createSession(input: $input) {{ session {{ id }} userErrors {{ code }} }}").unwrap();
    }
    client.ask_with(&format!("{document} }}"), json!({ "input": { "email": email, "password": PASSWORD } })).await
}

#[track_caller]
fn is_limited(answer: &Answer, limit: &str) {
    assert_eq!(answer.status, 429, "{}", answer.text);
    let error = &answer.body["errors"][0]["extensions"];
    assert_eq!((&error["code"], &error["limit"]), (&json!("RATE_LIMITED"), &json!(limit)), "{}", answer.text);
    assert!(answer.body.get("data").is_none() && error["traceId"].is_string(), "{}", answer.text);
    assert_eq!(answer.header("retry-after"), error["retryAfter"].to_string(), "{}", answer.text);
    assert!(error["retryAfter"].as_u64().unwrap() > 0);
    assert!(["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"].iter().all(|name| answer.header(name).parse::<u32>().is_ok()));
}

#[tokio::test]
async fn five_sign_ins_a_minute_under_aliases_or_alone_and_none_of_what_is_too_many() {
    for app in limited().await {
        app.user("ann").await;
        let nobody = app.nobody();
        let before = app.count("audit_events").await;
        is_limited(&sign_in_under(&nobody, 6, "ann@example.com").await, "SIGN_IN");
        assert_eq!((app.count("sessions").await, app.count("audit_events").await), (0, before), "{}: nothing ran, nothing was written", app.store.name);
        let five = sign_in_under(&nobody, 4, "ann@example.com").await;
        assert_eq!((five.header("x-ratelimit-limit"), five.header("x-ratelimit-remaining")), ("5", "1"), "{}", five.text);
        five.data();
        sign_in_under(&nobody, 1, "ann@example.com").await.data();
        let (sessions, events) = (app.count("sessions").await, app.count("audit_events").await);
        // Whether the password would have been right is not looked at any more, nor who it is.
        for email in ["ann@example.com", "bob@example.com"] {
            is_limited(&sign_in_under(&app.nobody(), 1, email).await, "SIGN_IN");
        }
        assert_eq!((sessions, app.count("sessions").await, app.count("audit_events").await), (5, 5, events));
        app.pass(chrono::Duration::seconds(12));
        sign_in_under(&nobody, 1, "ann@example.com").await.data();
        is_limited(&sign_in_under(&nobody, 1, "ann@example.com").await, "SIGN_IN");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn aliases_in_fragments_count_and_so_does_what_would_be_skipped() {
    for app in limited().await {
        app.user("ann").await;
        let document = "mutation($input: CreateSessionInput!) { ... on Mutation { c: createSession(input: $input) { userErrors { code } } } ...Two }
                        fragment Two on Mutation { a: createSession(input: $input) { userErrors { code } } b: createSession(input: $input) @skip(if: true) { userErrors { code } } }";
        let variables = json!({ "input": { "email": "ann@example.com", "password": PASSWORD } });
        app.nobody().ask_with(document, variables.clone()).await.data();
        is_limited(&app.nobody().ask_with(document, variables).await, "SIGN_IN");
        assert_eq!(app.count("sessions").await, 2);
    }
}

#[tokio::test]
async fn a_header_that_nobody_vouches_for_is_no_other_address() {
    for app in limited().await {
        app.user("ann").await;
        let mut statuses = Vec::new();
        for at in 0..6 {
            let nobody = app.nobody();
            let body = json!({ "query": "mutation($input: CreateSessionInput!) { createSession(input: $input) { userErrors { code } } }",
                               "variables": { "input": { "email": "ann@example.com", "password": PASSWORD } } });
            let request = nobody.request(reqwest::Method::POST, "/graphql").header("x-forwarded-for", format!("198.51.100.{at}"));
            // Neither is a token that was not verified somebody else.
            statuses.push(nobody.send(request.bearer_auth(format!("e30.e30.{at}")).json(&body)).await.status);
        }
        assert_eq!(statuses, [200, 200, 200, 200, 200, 429]);
    }
    for app in TestApp::configured(|config| {
        config.rate_limits.enabled = true;
        config.trusted_proxies = vec!["127.0.0.1".to_owned()];
    })
    .await
    {
        app.user("ann").await;
        let ask = async |address: &str| {
            let nobody = app.nobody();
            let body = json!({ "query": "mutation($input: CreateSessionInput!) { createSession(input: $input) { userErrors { code } } }",
                               "variables": { "input": { "email": "ann@example.com", "password": PASSWORD } } });
            nobody.send(nobody.request(reqwest::Method::POST, "/graphql").header("x-forwarded-for", address).json(&body)).await.status
        };
        for at in 0..6 {
            assert_eq!(ask(&format!("198.51.100.{at}")).await, 200, "each address has its own");
        }
        let mut of_one_network = Vec::new();
        for at in 0..6 {
            of_one_network.push(ask(&format!("2001:db8::{at}")).await);
        }
        assert_eq!(of_one_network, [200, 200, 200, 200, 200, 429], "IPv6 counts by /64");
    }
}

#[tokio::test]
async fn registering_and_mails_have_limits_of_their_own() {
    for app in limited().await {
        let nobody = app.nobody();
        for at in 0..3 {
            nobody.register(&format!("new{at}@example.com"), PASSWORD).await.succeeds();
        }
        is_limited(&nobody.register("new3@example.com", PASSWORD).await, "REGISTER");
        assert_eq!(app.count("users").await, 3);
        nobody.resend_verification("new1@example.com").await.succeeds();
        nobody.mutate("requestPasswordReset", "accepted", json!({ "email": "new1@example.com" })).await.succeeds();
        nobody.resend_verification("nobody@example.com").await.succeeds();
        is_limited(&nobody.mutate("requestPasswordReset", "accepted", json!({ "email": "new1@example.com" })).await, "MAIL");
        is_limited(&nobody.resend_verification("new1@example.com").await, "MAIL");
    }
}

#[tokio::test]
async fn tokens_are_renewed_ten_times_a_minute_for_each_session_and_unknown_ones_count_for_the_address() {
    for app in limited().await {
        let (mut ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        for _ in 0..10 {
            let next = ann.refresh().await.succeeds()["refreshToken"].as_str().unwrap().to_owned();
            ann.refresh_token = Some(next);
        }
        let events = app.count("audit_events").await;
        is_limited(&ann.refresh().await, "REFRESH");
        assert_eq!(app.count("audit_events").await, events, "limits come before the trail");
        bob.refresh().await.succeeds();
        for at in 0..10 {
            bob.refresh_with(&format!("unknownselector{at:02}.unknownverifier00")).await.is_refused("REFRESH_TOKEN_INVALID");
        }
        is_limited(&bob.refresh_with("unknownselector10.unknownverifier00").await, "REFRESH");
        is_limited(&bob.refresh_with("nonsense").await, "REFRESH");
        bob.refresh().await.succeeds();
    }
}

#[tokio::test]
async fn linking_and_syncing_have_limits_of_their_own_by_user_and_provider() {
    for app in limited().await {
        let ann = app.signed_in("ann").await;
        for _ in 0..4 {
            ann.begin_link("scripted", None).await.succeeds();
        }
        let mut walk = ann.walk(None).await;
        walk.leave().await;
        assert_eq!(walk.come_back(&[("code", "a-code")]).await.status, 200);
        is_limited(&ann.begin_link("scripted", None).await, "LINK");
        let mut admitted = 0;
        for _ in 0..12 {
            let answer = ann.sync(&walk.link, true).await;
            if answer.status == 200 { admitted += 1 } else { is_limited(&answer, "SYNC") }
        }
        assert_eq!(admitted, 10);
        let bob = app.signed_in("bob").await;
        bob.begin_link("scripted", None).await.succeeds();
        bob.sync(&walk.link, true).await.is_refused("NOT_FOUND");
    }
}

#[tokio::test]
async fn fifty_writes_a_minute_whatever_they_are_and_reading_goes_on() {
    for app in limited().await {
        let ann = app.signed_in("ann").await;
        let mut document = "mutation($input: UpdateProfileInput!) {".to_owned();
        for at in 0..25 {
            write!(document, " a{at}: updateProfile(input: $input) {{ userErrors {{ code }} }}").unwrap();
        }
        document.push('}');
        for _ in 0..2 {
            ann.ask_with(&document, json!({ "input": { "displayName": "Ann" } })).await.data();
        }
        is_limited(&ann.mutate("updateProfile", "user { id }", json!({ "displayName": "x" })).await, "WRITE");
        ann.ask("{ viewer { id } }").await.data();
        ann.upload("x.ofx", b"x", None).await.is_problem(429, "RATE_LIMITED");
    }
}

#[tokio::test]
async fn documents_cost_points_of_their_user_and_of_the_address_while_nobody_is_signed_in() {
    for app in TestApp::configured(|config| {
        config.rate_limits.enabled = true;
        config.rate_limits.query = "100/1".to_owned();
    })
    .await
    {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let asked = ann.ask("{ rateLimit { limit cost remaining resetAt } viewer { accounts(first: 100) { nodes { id } } } }").await;
        let price = &asked.data()["rateLimit"];
        // rateLimit, viewer, the connection, and a hundred accounts: 103 tenths, and one for the document.
        assert_eq!((&price["limit"], &price["cost"], &price["remaining"]), (&json!(100), &json!(12), &json!(88)), "{}", asked.text);
        assert!(price["resetAt"].as_str().unwrap() > "2026-11-23T12:1", "{price}");
        assert_eq!(asked.body["extensions"]["cost"], json!({ "requested": 12, "actual": 2 }));
        // Ten were not needed.
        assert_eq!((asked.header("x-ratelimit-limit"), asked.header("x-ratelimit-remaining")), ("100", "98"));
        let whole = "{ viewer { accounts(first: 100) { nodes { id link { id } transactions(first: 100) { totalCount } } } } }";
        let refused = ann.ask(whole).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["extensions"]["code"]), (400, &json!("QUERY_TOO_COMPLEX")), "{}", refused.text);
        assert!(refused.text.contains("never more than 100"), "waiting would not help: {}", refused.text);
        let mut admitted = 0;
        while ann.ask("{ viewer { id } }").await.status == 200 {
            admitted += 1;
            assert!(admitted < 100);
        }
        assert_eq!(admitted, 49, "{}: 98 points at two each", app.store.name);
        is_limited(&ann.ask("{ viewer { id } }").await, "QUERY");
        // Nothing of a mutation runs either that has an answer which costs too much.
        is_limited(&ann.mutate("updateProfile", "user { displayName }", json!({ "displayName": "Never" })).await, "QUERY");
        assert!(bob.ask("{ viewer { displayName } }").await.data()["viewer"].is_object());
        let mut anonymous = 0;
        while app.nobody().ask("{ providers { slug } }").await.status == 200 {
            anonymous += 1;
            assert!(anonymous < 100);
        }
        is_limited(&app.nobody().ask("{ providers { slug } }").await, "QUERY");
        bob.ask("{ viewer { id } }").await.data();
    }
}

#[tokio::test]
async fn a_document_that_never_ran_costs_a_point_and_no_sign_in() {
    for app in TestApp::configured(|config| {
        config.rate_limits.enabled = true;
        config.rate_limits.query = "100/1".to_owned();
    })
    .await
    {
        app.user("ann").await;
        for _ in 0..7 {
            let answer = app.nobody().ask("mutation { createSession(input: { email: \"ann@example.com\", password: \"x\" }) { nonsense } }").await;
            assert_eq!(answer.body["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED", "{}", answer.text);
            assert_eq!(answer.status, 400);
        }
        for unreadable in ["{", "{ viewer { ", "}"] {
            app.nobody().ask(unreadable).await;
        }
        // What is given back comes back behind the answer.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let answer = sign_in_under(&app.nobody(), 5, "ann@example.com").await;
        answer.data();
        let left: u32 = app.nobody().ask("{ rateLimit { remaining } }").await.data()["rateLimit"]["remaining"].as_u64().unwrap().try_into().unwrap();
        assert!(left < 100 - 7 - 3, "{}: {left}", app.store.name);
    }
}

#[tokio::test]
async fn two_servers_with_one_redis_have_one_set_of_buckets_and_without_it_each_its_own() {
    for app in TestApp::on_every_store().await {
        let Some(redis) = redis().await else { return };
        app.user("ann").await;
        let limits = |config: &mut dashtam::config::Config| {
            config.rate_limits.enabled = true;
            config.rate_limits.sign_in = "20/1".to_owned();
        };
        let (one, two) = (app.hearing_with(Some(&redis), limits).await, app.hearing_with(Some(&redis), limits).await);
        let ask = async |url: &str| {
            let client = app.nobody().at(url);
            client.mutate("createSession", "session { id }", json!({ "email": "nobody@example.com", "password": "x" })).await.status
        };
        let urls = [&one.url, &two.url];
        let answers = futures_util::future::join_all((0..60).map(|at| ask(urls[at % 2]))).await;
        assert_eq!(answers.iter().filter(|status| **status == 200).count(), 20, "{}: {answers:?}", app.store.name);
        assert!(answers.iter().all(|status| [200, 429].contains(status)));
        redis.cut().await;
        let answers = futures_util::future::join_all((0..60).map(|at| ask(urls[at % 2]))).await;
        assert_eq!(answers.iter().filter(|status| **status == 200).count(), 40, "{}: never off", app.store.name);
        let ready = app.nobody().at(&one.url).get("/ready").await;
        assert_eq!(ready.status, 200);
        assert!(ready.text.contains("limits are counted by each process for itself"), "{}", ready.text);
    }
}

#[tokio::test]
async fn with_limits_off_a_document_still_says_what_it_cost() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let answer = ann.ask("{ rateLimit { limit cost remaining resetAt } }").await;
        assert_eq!((&answer.data()["rateLimit"]["limit"], &answer.data()["rateLimit"]["remaining"]), (&json!(5000), &json!(5000)));
        assert_eq!(answer.body["extensions"]["cost"], json!({ "requested": 2, "actual": 2 }));
        assert!(!answer.headers.contains_key("x-ratelimit-limit"));
        for _ in 0..10 {
            sign_in_under(&app.nobody(), 5, "ann@example.com").await.data();
        }
    }
}
