//! Asking for the trail: one's own, everybody's, filters and pages, and what refusals leave.

use chrono::Duration;
use dashtam::{
    application::ports::ProviderFault,
    domain::{time::Clock as _, user::Role},
};
use serde_json::{Value, json};

use crate::harness::{
    app::{FRONTEND, TestApp},
    client::Client,
};

const EVENTS: &str = "query($first: Int, $after: String, $last: Int, $before: String, $filter: AuditFilterInput) {
    auditEvents(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
        totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        nodes { id recordedAt act outcome reason actor { kind label userId } subjectId resource { kind id } ip userAgent traceId context { name value } } } }";

async fn events(client: &Client<'_>, variables: Value) -> Value {
    client.ask_with(EVENTS, variables).await.data()["auditEvents"].clone()
}

const OWN: &str = "query($filter: OwnAuditFilterInput) { viewer { id auditEvents(last: 100, filter: $filter) {
    totalCount nodes { id act outcome reason actor { kind label userId } subjectId resource { kind id } ip userAgent traceId context { name value } } } } }";

async fn own(client: &Client<'_>, filter: Value) -> Vec<Value> {
    client.ask_with(OWN, json!({ "filter": filter })).await.data()["viewer"]["auditEvents"]["nodes"].as_array().unwrap().clone()
}

async fn administrator(app: &TestApp) -> Client<'_> {
    let root = app.signed_in("root").await;
    app.promote("root", Role::Admin).await;
    app.pass(Duration::seconds(1));
    root
}

fn words<'a>(nodes: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    nodes.into_iter().map(|node| format!("{} {}", node["act"].as_str().unwrap(), node["outcome"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn one_sees_what_one_did_and_what_was_done_to_one_and_never_who_administers() {
    for app in TestApp::on_every_store().await {
        let (ann, _bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let root = administrator(&app).await;
        app.promote("ann", Role::Readonly).await;
        app.pass(Duration::seconds(1));
        let acts = own(&ann, Value::Null).await;
        // Made and given a role by the operator, and signed in: what nobody knew yet was theirs, the attempt, is not among them.
        assert_eq!(words(&acts), ["CREATE_USER SUCCEEDED", "CREATE_SESSION SUCCEEDED", "ASSIGN_ROLE SUCCEEDED"], "{}", app.store.name);
        let (made, signed_in) = (&acts[0], &acts[1]);
        assert_eq!(made["actor"], json!({ "kind": "COMMAND_LINE", "label": "command line", "userId": null }));
        assert_eq!(made["context"], json!([{ "name": "role", "value": "user" }]));
        assert_eq!(signed_in["resource"], json!({ "kind": "SESSION", "id": ann.session_id }));
        assert_eq!((signed_in["ip"].as_str(), signed_in["userAgent"].as_str()), (Some("127.0.0.1"), Some("a test's phone")));
        assert_eq!(signed_in["traceId"].as_str().map(str::len), Some(32));

        // Somebody who administers looks at ann's acts: she sees that, and not who.
        let id = made["subjectId"].clone();
        let looked = events(&root, json!({ "first": 100, "filter": { "userId": id } })).await;
        assert_eq!(looked["totalCount"], 3);
        let acts = own(&ann, json!({ "acts": ["READ_AUDIT"] })).await;
        assert_eq!(words(&acts), ["READ_AUDIT SUCCEEDED"]);
        assert_eq!(acts[0]["actor"], json!({ "kind": "ADMINISTRATOR", "label": "administrator", "userId": null }));
        assert!(["ip", "userAgent", "traceId"].iter().all(|field| acts[0][field].is_null()), "{}", acts[0]);
        // Who administers sees both sides of it, and what they did is theirs.
        let seen = events(&root, json!({ "last": 1, "filter": { "acts": ["READ_AUDIT"], "outcomes": ["SUCCEEDED"] } })).await;
        let root_id = root.ask("{ viewer { id } }").await.data()["viewer"]["id"].clone();
        assert_eq!((&seen["nodes"][0]["actor"]["userId"], &seen["nodes"][0]["subjectId"]), (&root_id, &id));
        let roots = own(&root, json!({ "acts": ["READ_AUDIT"], "outcomes": ["SUCCEEDED"] })).await;
        assert!(!roots.is_empty() && roots.iter().all(|act| act["actor"]["userId"] == root_id && act["subjectId"] != id), "{roots:?}");

        // What was forgotten is gone for everybody, and the rows are there.
        app.store.execute("DELETE FROM audit_person").await.unwrap();
        assert!(own(&ann, Value::Null).await.is_empty());
        let all = events(&root, json!({ "first": 100 })).await;
        assert!(all["nodes"].as_array().unwrap().iter().take(8).all(|node| node["actor"]["userId"].is_null() && node["ip"].is_null()), "{all}");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_strangers_tried_upon_an_account_is_in_its_owners_part_of_the_trail() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let stranger = app.nobody();
        app.nobody().sign_in("ANN@example.com", "wrong horse battery").await.is_refused("INVALID_CREDENTIALS");
        app.nobody().sign_in("nobody@example.com", "wrong horse battery").await.is_refused("INVALID_CREDENTIALS");
        stranger.register("ann@example.com", "a stranger's own password").await.succeeds();
        let stolen = ann.refresh_token.clone().unwrap();
        ann.refresh().await.succeeds();
        app.pass(Duration::seconds(20));
        stranger.refresh_with(&stolen).await.is_refused("REFRESH_TOKEN_REUSED");
        // What only claims to be a token of hers is nobody's business.
        stranger.refresh_with(&format!("{}.{}", stolen.split_once('.').unwrap().0, "A".repeat(43))).await.is_refused("REFRESH_TOKEN_INVALID");

        let ann = app.signed_in("ann").await;
        let failed = own(&ann, json!({ "outcomes": ["FAILED"] })).await;
        let told: Vec<_> = failed.iter().map(|node| (node["act"].as_str().unwrap(), node["reason"].as_str().unwrap())).collect();
        assert_eq!(told, [("CREATE_SESSION", "invalid_credentials"), ("REGISTER_USER", "email_taken"), ("REFRESH_SESSION", "refresh_token_reused")]);
        for node in &failed {
            assert_eq!((&node["actor"]["kind"], &node["ip"]), (&json!("NOBODY"), &json!("127.0.0.1")), "{node}");
        }
        assert!(own(&bob, json!({ "outcomes": ["FAILED"] })).await.is_empty());
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn looking_below_another_user_is_an_act_as_well() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let root = administrator(&app).await;
        let before = app.outcomes("read_audit").await.len();
        let root_id = root.ask("{ viewer { id } }").await.data()["viewer"]["id"].clone();
        let document = "{ users(first: 10) { nodes { id auditEvents(first: 100) { totalCount nodes { act actor { kind } } } } } }";
        let users = root.ask(document).await.data()["users"]["nodes"].as_array().unwrap().clone();
        assert_eq!(users.len(), 2, "{users:?}");
        let anns = own(&ann, json!({ "acts": ["CREATE_USER", "CREATE_SESSION"] })).await.len();
        let below = users.iter().find(|user| user["id"] != root_id).unwrap();
        assert_eq!(below["auditEvents"]["totalCount"], anns, "{}", app.store.name);
        // One look at somebody else; oneself is not somebody else.
        assert_eq!(app.outcomes("read_audit").await.len(), before + 1);
        assert_eq!(words(&own(&ann, json!({ "acts": ["READ_AUDIT"] })).await), ["READ_AUDIT SUCCEEDED"]);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn only_who_administers_sees_everybodys_and_asking_is_on_the_trail() {
    for app in TestApp::on_every_store().await {
        let (nobody, ann) = (app.nobody(), app.signed_in("ann").await);
        let root = administrator(&app).await;
        nobody.ask("{ auditEvents(first: 1) { nodes { id } } }").await.is_fault("UNAUTHENTICATED");
        assert_eq!(app.last_outcome("read_audit").await, ("failed".to_owned(), Some("unauthenticated".to_owned())));
        for role in [Role::User, Role::Readonly] {
            app.promote("ann", role).await;
            app.pass(Duration::minutes(1));
            let ann = app.signed_in("ann").await;
            ann.ask("{ auditEvents(first: 1) { nodes { id } } }").await.is_fault("FORBIDDEN");
            assert_eq!(app.last_outcome("read_audit").await, ("failed".to_owned(), Some("forbidden".to_owned())), "{}", role.as_str());
        }
        drop(ann);
        let root = if root.ask("{ viewer { id } }").await.body["data"]["viewer"].is_null() { app.signed_in("root").await } else { root };
        assert!(events(&root, json!({ "first": 1 })).await["nodes"][0]["id"].as_str().unwrap().starts_with("audit_"));
        assert_eq!(app.last_outcome("read_audit").await, ("succeeded".to_owned(), None));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn filters_narrow_and_pages_lead_through_everything_once() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        app.signed_in("bob").await;
        let mut wrong = app.nobody();
        wrong.sign_in("ann@example.com", "wrong horse battery").await;
        let root = administrator(&app).await;
        let start = app.store.clock.now().minus(Duration::seconds(1));
        let before = json!({ "to": start.plus(Duration::milliseconds(1)).to_string() });
        // Without the questions themselves: those are recorded after that instant.
        app.pass(Duration::seconds(5));
        let all = events(&root, json!({ "first": 100, "filter": before })).await;
        let nodes = all["nodes"].as_array().unwrap().clone();
        assert_eq!(all["totalCount"], nodes.len());
        let ids: Vec<_> = nodes.iter().map(|node| node["id"].clone()).collect();
        assert!(nodes.len() > 15);
        for (size, forward) in [(1, true), (4, true), (7, false)] {
            let (mut seen, mut cursor) = (Vec::new(), Value::Null);
            loop {
                let variables = if forward {
                    json!({ "first": size, "after": cursor, "filter": before })
                } else {
                    json!({ "last": size, "before": cursor, "filter": before })
                };
                let page = events(&root, variables).await;
                let part: Vec<_> = page["nodes"].as_array().unwrap().iter().map(|node| node["id"].clone()).collect();
                let more = &page["pageInfo"][if forward { "hasNextPage" } else { "hasPreviousPage" }];
                cursor = page["pageInfo"][if forward { "endCursor" } else { "startCursor" }].clone();
                seen = if forward { [seen, part].concat() } else { [part, seen].concat() };
                if *more == json!(false) {
                    break;
                }
            }
            assert_eq!(seen, ids, "{} pages of {size}", app.store.name);
        }
        let of = async |filter: Value| {
            let mut filter = filter;
            filter["to"] = before["to"].clone();
            events(&root, json!({ "first": 100, "filter": filter })).await["nodes"].as_array().unwrap().clone()
        };
        let all_with = |field: &str, values: &[&str]| nodes.iter().filter(|node| values.contains(&node[field].as_str().unwrap())).count();
        assert_eq!(of(json!({ "acts": ["CREATE_SESSION", "SYNC_LINK"] })).await.len(), all_with("act", &["CREATE_SESSION", "SYNC_LINK"]));
        assert_eq!(of(json!({ "outcomes": ["FAILED"] })).await.len(), all_with("outcome", &["FAILED"]));
        let workers = of(json!({ "actorKinds": ["WORKER"] })).await;
        assert!(!workers.is_empty() && workers.iter().all(|node| node["actor"]["kind"] == "WORKER"));
        let failed = of(json!({ "acts": ["CREATE_SESSION"], "outcomes": ["FAILED"] })).await;
        assert_eq!((failed.len(), &failed[0]["reason"], &failed[0]["actor"]["label"]), (1, &json!("invalid_credentials"), &json!("ann@example.com")));
        assert_eq!(of(json!({ "traceId": failed[0]["traceId"].as_str().unwrap().to_uppercase() })).await.len(), 2);
        let ann_id = ann.ask("{ viewer { id } }").await.data()["viewer"]["id"].clone();
        let anns = of(json!({ "userId": ann_id })).await;
        assert!(!anns.is_empty() && anns.iter().all(|node| node["subjectId"] == ann_id || node["actor"]["userId"] == ann_id));
        assert_eq!(of(json!({ "resourceId": ann.session_id })).await.len(), 1);
        for nothing in ["x", "acct_01h455vb4pex5vsknk084sn02q", "user_01h455vb4pex5vsknk084sn02q", "audit_01h455vb4pex5vsknk084sn02q"] {
            assert!(of(json!({ "resourceId": nothing })).await.is_empty(), "{nothing}");
        }
        assert!(of(json!({ "userId": ann.session_id })).await.is_empty(), "an id of another kind is nobody's");
        let wrong = root.ask_with(EVENTS, json!({ "first": 1, "filter": { "traceId": "x" } })).await;
        wrong.is_fault("BAD_USER_INPUT");
        let from = events(&root, json!({ "first": 100, "filter": { "from": before["to"] } })).await;
        assert!(from["nodes"].as_array().unwrap().iter().all(|node| node["act"] == "READ_AUDIT"));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_failed_names_what_it_was_to_be_done_upon_and_not_whose_that_is() {
    for app in TestApp::on_every_store().await {
        let (ann, bob, root) = (app.signed_in("ann").await, app.signed_in("bob").await, administrator(&app).await);
        let link = ann.link_scripted().await;
        let walk = ann.walk(Some(FRONTEND)).await;
        bob.sync(&link, true).await.is_refused("NOT_FOUND");
        let session = ann.session_id.clone().unwrap();
        bob.revoke(&session).await.is_refused("NOT_FOUND");
        bob.complete(&walk.state, "a-code").await.is_refused("STATE_INVALID");
        let failed: Vec<(Value, Value)> =
            own(&bob, json!({ "outcomes": ["FAILED"] })).await.iter().map(|node| (node["act"].clone(), node["resource"].clone())).collect();
        let upon = |kind: &str, id: &str| json!({ "kind": kind, "id": id });
        let expected = [("REQUEST_SYNC", upon("LINK", &link)), ("REVOKE_SESSION", upon("SESSION", &session)), ("COMPLETE_LINK", Value::Null)];
        assert_eq!(failed, expected.map(|(act, resource)| (json!(act), resource)), "what another's state leads to is not told, {}", app.store.name);

        let walk = ann.walk(Some(FRONTEND)).await;
        app.bank.script(|script| script.exchange = Some(ProviderFault::ServerError));
        ann.complete(&walk.state, "a-code").await.is_refused("LINK_FAILED");
        let upon_link = events(&root, json!({ "first": 100, "filter": { "resourceId": walk.link, "outcomes": ["FAILED"] } })).await;
        assert_eq!(upon_link["nodes"].as_array().unwrap().iter().map(|node| &node["act"]).collect::<Vec<_>>(), ["COMPLETE_LINK"]);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_page_costs_the_same_few_statements_however_long_it_is() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for _ in 0..30 {
            ann.mutate("renameSession", "session { id }", json!({ "sessionId": ann.session_id, "name": "phone" })).await.succeeds();
        }
        let mut cost = Vec::new();
        for size in [1, 50] {
            let before = app.app.statements();
            ann.ask(&format!("{{ viewer {{ auditEvents(last: {size}) {{ nodes {{ id actor {{ userId }} subjectId }} }} }} }}")).await.data();
            cost.push(app.app.statements() - before);
        }
        assert_eq!(cost[0], cost[1], "{}", app.store.name);
    }
}

#[tokio::test]
async fn a_flood_of_refusals_is_one_row_and_one_that_counts_a_minute() {
    for app in TestApp::on_every_store().await {
        let (nobody, ann) = (app.nobody(), app.signed_in("ann").await);
        app.promote("ann", Role::Readonly).await;
        app.pass(Duration::seconds(1));
        let journal = &app.app.application.journal;
        let times = async |app: &TestApp| {
            let rows = app.store.query("SELECT context FROM audit_events WHERE act = 'begin_link' AND outcome = 'failed' ORDER BY recorded_at, id").await;
            rows.iter().map(|row| row.try_get::<String>("", "context").unwrap()).collect::<Vec<_>>()
        };
        for _ in 0..20 {
            ann.begin_link("sandbox", None).await.is_fault("FORBIDDEN");
        }
        for _ in 0..5 {
            nobody.begin_link("sandbox", None).await.is_fault("UNAUTHENTICATED");
        }
        ann.sync("link_x", false).await.is_fault("FORBIDDEN");
        assert_eq!(times(&app).await, ["{}", "{}"], "{}: one for each who knocks", app.store.name);
        assert_eq!(app.last_outcome("request_sync").await.0, "failed", "another act is told by itself");
        assert_eq!(journal.tell_refusals(false).await.unwrap(), 0);
        app.pass(Duration::minutes(1));
        // The next one begins another minute and tells of the last.
        ann.begin_link("sandbox", None).await.is_fault("FORBIDDEN");
        assert_eq!(times(&app).await, ["{}", "{}", r#"{"times":"19"}"#, "{}"]);
        assert_eq!(journal.tell_refusals(false).await.unwrap(), 1);
        assert_eq!(times(&app).await.last().unwrap(), r#"{"times":"4"}"#);
        ann.begin_link("sandbox", None).await.is_fault("FORBIDDEN");
        assert_eq!(journal.tell_refusals(false).await.unwrap(), 0);
        assert_eq!(journal.tell_refusals(true).await.unwrap(), 1, "at the end of a process");
        assert_eq!(times(&app).await.last().unwrap(), r#"{"times":"1"}"#);
        assert_eq!(journal.tell_refusals(true).await.unwrap(), 0);
        assert_eq!(app.count("links").await, 0);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn more_networks_than_are_told_apart_are_counted_as_one() {
    use dashtam::{
        application::access::{Actor, Denied, Origin, Requester},
        domain::audit::Act,
    };
    let app = TestApp::on_every_store().await.remove(0);
    let journal = &app.app.application.journal;
    let from = |number: usize| {
        let ip = format!("2001:db8:{:x}:{:x}::1", number / 65_536, number % 65_536);
        Requester { actor: Actor::Nobody, origin: Origin { ip: Some(ip), ..Origin::default() } }
    };
    for number in 0..10_050 {
        journal.denied(&from(number), Act::BeginLink, Denied::Unauthenticated).await.unwrap();
    }
    assert_eq!(app.outcomes("begin_link").await.len(), 10_001);
    assert_eq!(journal.tell_refusals(true).await.unwrap(), 1);
}
