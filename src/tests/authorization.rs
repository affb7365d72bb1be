//! What a role may do: the policy's answers reach every field of the graph, and nothing else decides.

use std::{collections::BTreeMap, sync::Arc};

use dashtam::{
    application::{
        access::{Action, Resource, Scope},
        ports::Authorizer,
    },
    domain::user::Role,
    infrastructure::security::policy::{POLICY, PolarPolicy},
};

use serde_json::json;

use crate::harness::{
    app::TestApp,
    client::{Answer, Client},
    documents::{Asked, Schema},
};

/// What anyone may ask, signed in or not.
const PUBLIC: [&str; 13] = [
    "cancelErasure",
    "confirmEmailChange",
    "createSession",
    "legalDocuments",
    "rateLimit",
    "refreshSession",
    "registerUser",
    "requestPasswordReset",
    "resendVerification",
    "resetPassword",
    "revertEmailChange",
    "verifyEmail",
    "verifySecondFactor",
];

/// Refuses everyone everything.
struct Nothing;

impl Authorizer for Nothing {
    fn scope(&self, _: Role, _: Action, _: Resource) -> Scope {
        Scope::None
    }
}

/// `FORBIDDEN` and the like, or `ok` for an answer that brought data.
fn code(answer: &Answer) -> String {
    answer.body["errors"][0]["extensions"]["code"].as_str().unwrap_or("ok").to_owned()
}

async fn ask(client: &Client<'_>, asked: &Asked) -> Answer {
    client.ask_with(&asked.document, asked.variables.clone()).await
}

#[tokio::test]
async fn nobody_gets_past_any_guarded_field() {
    let roots = Schema::read().roots();
    assert!(roots.len() >= 14);
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        for asked in &roots {
            let answer = ask(&nobody, asked).await;
            match asked.name.as_str() {
                "viewer" => assert!(answer.data()["viewer"].is_null()),
                public if PUBLIC.contains(&public) => assert_eq!(code(&answer), "ok", "{public}: {}", answer.text),
                guarded => {
                    answer.is_fault("UNAUTHENTICATED");
                    let is_stream = asked.document.starts_with("subscription");
                    assert_eq!(answer.body.get("data").is_some(), !is_stream, "{guarded}: the key stands there if the document ran");
                }
            }
        }
        nobody.ask("{ __typename }").await.data();
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn under_a_policy_that_allows_nothing_only_the_public_fields_answer() {
    let roots = Schema::read().roots();
    for app in TestApp::with_authorizer(Arc::new(Nothing)).await {
        let ann = app.signed_in("ann").await;
        for asked in &roots {
            let answer = ask(&ann, asked).await;
            let expected = if PUBLIC.contains(&asked.name.as_str()) { "ok" } else { "FORBIDDEN" };
            assert_eq!((answer.status, code(&answer).as_str()), (200, expected), "{}: {}", asked.name, answer.text);
        }
        ann.ask("{ __typename }").await.data();
        ann.refresh().await.succeeds();
        assert_eq!((app.count("links").await, app.count("imports").await), (0, 0));
        app.every_attempt_ended_once().await;
    }
}

/// Answers of every field for every role.
async fn matrix(policy: &str) -> Vec<BTreeMap<(&'static str, String), String>> {
    let schema = Schema::read();
    let mut matrices = Vec::new();
    for app in TestApp::with_policy(policy).await {
        let mut answers = BTreeMap::new();
        for role in Role::ALL {
            let mut client = app.signed_in(role.as_str()).await;
            app.promote(role.as_str(), role).await;
            app.pass(chrono::Duration::seconds(1));
            for asked in schema.roots().iter().chain(&schema.of_viewer()) {
                answers.insert((role.as_str(), asked.name.clone()), code(&ask(&client, asked).await));
                if asked.name == "revokeAllSessions" {
                    client = app.signed_in(role.as_str()).await;
                }
            }
        }
        matrices.push(answers);
    }
    matrices
}

/// What needs the user themselves to be read.
const WHOLE_VIEWER: [&str; 16] = [
    "User.accounts",
    "User.agreements",
    "User.auditEvents",
    "User.changes",
    "User.consents",
    "User.holdings",
    "User.imports",
    "User.links",
    "User.netWorth",
    "User.secondFactor",
    "User.sessions",
    "User.transactions",
    "node",
    "nodes",
    "updateProfile",
    "viewer",
];

/// What changes how one proves who one is.
const OF_SECURITY: [&str; 7] =
    ["beginSecondFactor", "changePassword", "confirmSecondFactor", "disableSecondFactor", "reauthenticate", "regenerateRecoveryCodes", "requestEmailChange"];

#[tokio::test]
async fn each_rule_of_the_policy_decides_its_own_fields_and_no_other() {
    let before = matrix(POLICY).await;
    let everyone = r#"scope(_role, "ACTION", "RESOURCE", "REACH");"#;
    let editors = r#"scope(role, "ACTION", "RESOURCE", "REACH") if edits(role);"#;
    let rules: [(&str, &str, &str, &str, &[&str]); 16] = [
        (everyone, "read", "accounts", "own", &["User.accounts", "User.holdings", "User.netWorth", "account", "updateAccount", "viewer"]),
        (
            everyone,
            "read",
            "transactions",
            "own",
            &["User.imports", "User.transactions", "commitImport", "importStatement", "previewImport", "revertImport", "transaction"],
        ),
        (
            everyone,
            "read",
            "links",
            "own",
            &[
                "User.links",
                "beginLink",
                "completeLink",
                "linkUpdated",
                "linkWithApiKey",
                "linkWithSetupToken",
                "relink",
                "renameLink",
                "selectAccounts",
                "syncLink",
                "syncProgress",
                "unlink",
            ],
        ),
        (everyone, "read", "changes", "own", &["User.changes", "changes"]),
        (
            everyone,
            "read",
            "sessions",
            "own",
            &["User.sessions", "renameSession", "revokeAllSessions", "revokeOtherSessions", "revokeSession", "sessionRevoked"],
        ),
        (everyone, "read", "users", "own", &WHOLE_VIEWER),
        (everyone, "read", "security", "own", &["User.secondFactor", "viewer"]),
        (everyone, "read", "providers", "any", &["provider", "providers"]),
        (everyone, "read", "audit", "own", &["User.auditEvents"]),
        (everyone, "write", "sessions", "own", &["renameSession", "revokeAllSessions", "revokeOtherSessions", "revokeSession"]),
        (everyone, "write", "security", "own", &OF_SECURITY),
        (everyone, "read", "profile", "own", &["User.agreements", "User.consents", "exportMyData"]),
        (everyone, "write", "profile", "own", &["agreeToDocuments", "eraseMyAccount", "updateProfile"]),
        (
            editors,
            "write",
            "links",
            "own",
            &["beginLink", "completeLink", "linkWithApiKey", "linkWithSetupToken", "relink", "renameLink", "syncLink", "unlink"],
        ),
        (editors, "write", "accounts", "own", &["selectAccounts", "updateAccount"]),
        (editors, "write", "transactions", "own", &["commitImport", "importStatement", "previewImport", "revertImport"]),
    ];
    let administrators = r#"scope("admin", "ACTION", "RESOURCE", "REACH");"#;
    let for_administrators: [(&str, &str, &[&str]); 4] = [
        ("read", "users", &["assignRole", "assignTier", "deactivateUser", "reactivateUser", "unlockUser", "users"]),
        ("read", "security", &["rotateTokens", "securityPolicy"]),
        ("write", "users", &["assignRole", "assignTier", "deactivateUser", "reactivateUser", "unlockUser"]),
        ("write", "security", &["rotateTokens"]),
    ];
    for (action, resource, fields) in for_administrators {
        let rule = administrators.replace("ACTION", action).replace("RESOURCE", resource).replace("REACH", "any");
        assert!(POLICY.contains(&rule), "the policy no longer says {rule}");
        let flipped = matrix(&POLICY.replace(&rule, "")).await;
        for (before, flipped) in before.iter().zip(&flipped) {
            let changed: Vec<_> = before.iter().filter(|(key, code)| flipped[key] != **code).map(|((role, field), _)| (*role, field.as_str())).collect();
            assert_eq!(changed, fields.iter().map(|field| ("admin", *field)).collect::<Vec<_>>(), "without {rule}");
        }
    }
    for (form, action, resource, reach, fields) in rules {
        let filled = |form: &str| form.replace("ACTION", action).replace("RESOURCE", resource).replace("REACH", reach);
        let rule = filled(form);
        assert!(POLICY.contains(&rule), "the policy no longer says {rule}");
        let others = if form == editors { vec!["admin"] } else { vec!["admin", "readonly"] };
        let others: Vec<String> = others.iter().map(|role| filled(&format!(r#"scope("{role}", "ACTION", "RESOURCE", "REACH");"#))).collect();
        let flipped = matrix(&POLICY.replace(&rule, &others.join("\n"))).await;
        for (before, flipped) in before.iter().zip(&flipped) {
            let changed: Vec<_> = before.iter().filter(|(key, code)| flipped[key] != **code).map(|((role, field), _)| (*role, field.as_str())).collect();
            let expected: Vec<_> = fields.iter().map(|field| ("user", *field)).collect();
            assert_eq!(changed, expected, "without {rule}");
            assert!(expected.iter().all(|(role, field)| flipped[&(*role, (*field).to_owned())] == "FORBIDDEN"));
        }
    }
}

#[test]
fn every_line_of_the_policy_counts() {
    let scopes = |policy: &str| {
        let policy = PolarPolicy::read(policy).unwrap();
        let mut scopes = Vec::new();
        for role in Role::ALL {
            for action in Action::ALL {
                scopes.extend(Resource::ALL.iter().map(|resource| policy.scope(role, *action, *resource)));
            }
        }
        scopes
    };
    let whole = scopes(POLICY);
    for rule in POLICY.lines().filter(|line| line.starts_with("scope(") || line.starts_with("edits(")) {
        assert_ne!(scopes(&POLICY.replace(rule, "")), whole, "{rule} changes nothing");
    }
    assert!(PolarPolicy::read("scope(").is_err());
    assert!(PolarPolicy::read(r#"scope(_role, "read", "accounts", "everything");"#).is_err());
    assert!(PolarPolicy::read("").is_err(), "a policy without rules is a mistake, not a policy");
    for role in Role::ALL {
        for money in [Resource::Accounts, Resource::Transactions, Resource::Links, Resource::Changes] {
            assert!(PolarPolicy::read(POLICY).unwrap().scope(role, Action::Read, money) <= Scope::Own);
        }
    }
}

#[tokio::test]
async fn readonly_reads_and_keeps_its_identity_and_writes_nothing() {
    for app in TestApp::on_every_store().await {
        let (ann, phone) = (app.signed_in("ann").await, app.signed_in("ann").await);
        ann.link_sandbox().await;
        let data = ann.ask("{ viewer { links(first: 1) { nodes { id } } } }").await.data();
        let link = data["viewer"]["links"]["nodes"][0]["id"].as_str().unwrap().to_owned();
        let account = ann.accounts().await[0]["id"].clone();
        app.promote("ann", Role::Readonly).await;
        app.pass(chrono::Duration::seconds(1));
        let tables = ["links", "authorizations", "syncs", "imports", "transactions"];
        let mut before = Vec::new();
        for table in tables {
            before.push(app.count(table).await);
        }

        let read = ann.ask("{ viewer { role accounts(first: 10) { nodes { transactions(first: 5) { nodes { id } } } } links(first: 1) { nodes { lastSync { id } } } } providers { slug } }").await;
        assert_eq!(read.data()["viewer"]["accounts"]["nodes"].as_array().map(Vec::len), Some(7));

        let complete = ann.ask(r#"mutation { completeLink(input: {state: "x", code: "y"}) { userErrors { code } } }"#).await;
        let written = [
            ("begin_link", ann.begin_link("sandbox", None).await),
            ("request_sync", ann.sync(&link, true).await),
            ("import_statement", ann.import("a.ofx", include_str!("fixtures/ofx/checking-sgml.ofx"), None).await),
            ("complete_link", complete),
            ("rename_link", ann.rename_link(&link, Some("Mine")).await),
            ("relink", ann.relink(&link, None).await),
            ("unlink", ann.unlink(&link, false).await),
            ("update_account", ann.mutate("updateAccount", "account { id }", json!({ "accountId": account, "invertSign": true })).await),
            ("select_accounts", ann.mutate("selectAccounts", "link { id }", json!({ "linkId": link, "accountIds": [] })).await),
        ];
        for (act, answer) in written {
            answer.is_fault("FORBIDDEN");
            assert_eq!(app.last_outcome(act).await, ("failed".to_owned(), Some("forbidden".to_owned())));
        }
        ann.upload("statement.ofx", include_bytes!("fixtures/ofx/checking-sgml.ofx"), None).await.is_problem(403, "FORBIDDEN");
        for (table, before) in tables.iter().zip(before) {
            assert_eq!(app.count(table).await, before, "{table}");
        }

        ann.refresh().await.succeeds();
        ann.revoke(phone.session_id.as_ref().unwrap()).await.succeeds();
        app.every_attempt_ended_once().await;
    }
}
