//! What nobody may find: passwords and tokens, in tables or in logs.

use serde_json::json;

use crate::harness::{
    app::{FRONTEND, PASSWORD, TestApp},
    bank::reported_account,
    log::Log,
};

const WRONG: &str = "wrong-password-canary";
const FORGED: &str = "forged-selector-canary.forged-verifier-canary-forged-verifier-canary";

#[tokio::test]
async fn no_password_and_no_token_is_in_any_table_or_log() {
    let log = Log::capture();
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let phone = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let renewed = ann.refresh().await.succeeds();
        app.nobody().sign_in("ann@example.com", WRONG).await.is_refused("INVALID_CREDENTIALS");
        app.nobody().refresh_with(FORGED).await.is_refused("REFRESH_TOKEN_INVALID");
        app.nobody().bearing("forged-access-canary").ask("{ viewer { id } }").await.data();
        app.nobody()
            .ask("mutation { createSession(input: {email: \"x\", password: \"unparsed-canary\"}) { nonsense } }")
            .await
            .never_ran("GRAPHQL_VALIDATION_FAILED");
        phone.revoke(phone.session_id.as_ref().unwrap()).await.succeeds();

        let mut secrets = vec![PASSWORD, WRONG, "forged-verifier-canary", "forged-access-canary", "unparsed-canary"];
        for token in [&ann.access_token, &phone.access_token].into_iter().flatten().map(String::as_str).chain(renewed["accessToken"].as_str()) {
            secrets.extend(token.rsplit('.').next());
        }
        for token in [&ann.refresh_token, &phone.refresh_token].into_iter().flatten().map(String::as_str).chain(renewed["refreshToken"].as_str()) {
            secrets.extend(token.rsplit('.').next());
        }
        let log = log.text();
        assert!(app.store.spells("ann@example.com").await, "{}: the search finds what is stored", app.store.name);
        assert!(log.contains("answered"), "the search finds what is logged: {log}");
        for secret in secrets {
            assert!(!app.store.spells(secret).await, "{}: {secret} is stored", app.store.name);
            assert!(!log.contains(secret), "{}: {secret} is logged", app.store.name);
        }
        assert!(!log.contains("ann@example.com"), "{}: an address is logged", app.store.name);
    }
}

#[tokio::test]
async fn no_banks_token_no_state_and_no_whole_card_number_is_in_any_table_or_log() {
    let log = Log::capture();
    for app in TestApp::on_every_store().await {
        app.bank.script(|script| script.accounts.push((reported_account("4111111111111111", 500), Vec::new())));
        let ann = app.signed_in("ann").await;
        let begun = ann.begin_link("scripted", Some(FRONTEND)).await.succeeds();
        let text = |key: &str| url::Url::parse(begun[key].as_str().unwrap()).unwrap();
        let of_query = |url: &url::Url, name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        let state = of_query(&text("providerAuthorizationUrl"), "state");
        let ticket = of_query(&text("authorizationUrl"), "ticket");
        let document = "mutation($input: CompleteLinkInput!) { completeLink(input: $input) { link { status } userErrors { code } } }";
        ann.ask_with(document, json!({ "input": { "state": state, "code": "one-time-code-canary" } })).await.succeeds();
        assert_eq!(app.work().await, 1);
        // The search itself is a statement that a log may show.
        let log = log.text();
        assert!(app.store.spells("Account ••••1111").await, "{}: the account is there", app.store.name);
        for secret in ["first-access-canary", "first-refresh-canary", "one-time-code-canary", "4111111111111111", &state, &ticket] {
            assert!(!app.store.spells(secret).await, "{}: {secret} is stored", app.store.name);
            assert!(!log.contains(secret), "{}: {secret} is logged", app.store.name);
        }
    }
}

#[tokio::test]
async fn whatever_is_tried_leaves_one_attempt_with_one_outcome() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        app.nobody().sign_in("ann@example.com", WRONG).await.is_refused("INVALID_CREDENTIALS");
        ann.refresh().await.succeeds();
        ann.refresh_with(FORGED).await.is_refused("REFRESH_TOKEN_INVALID");
        ann.begin_link("sandbox", None).await.succeeds();
        ann.begin_link("no such bank", None).await.is_refused("PROVIDER_UNKNOWN");
        ann.sync("link_00000000000000000000000000", false).await.is_refused("NOT_FOUND");
        ann.import("nothing.ofx", "nothing", None).await.is_refused("FILE_UNREADABLE");
        ann.ask("mutation { completeLink(input: {state: \"s\", code: \"c\"}) { userErrors { code } } }").await.is_refused("STATE_INVALID");
        ann.revoke("nonsense").await.is_refused("NOT_FOUND");
        app.nobody().begin_link("sandbox", None).await.is_fault("UNAUTHENTICATED");
        app.every_attempt_ended_once().await;
        let trail = app.trail().await;
        let failed = |act: &str, reason: &str| trail.iter().any(|(found, outcome, why)| found == act && outcome == "failed" && why.as_deref() == Some(reason));
        assert!(failed("begin_link", "unauthenticated") && failed("import_statement", "unreadable_file") && failed("request_sync", "not_found"), "{trail:?}");
    }
}
