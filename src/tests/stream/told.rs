//! What streams tell: everything once, in order, and nothing of anyone else.

use std::{collections::BTreeSet, time::Duration};

use dashtam::{
    application::ports::Randomness as _,
    presentation::graphql::global_id::{GlobalId, Kind},
};
use serde_json::{Value, json};

use crate::harness::{
    app::TestApp,
    bank::{pending, posted},
    clock::TestRandomness,
    redis::redis,
    streams::Socket,
};

use super::{CHANGES, STATEMENT, ids, import};

/// Reads pages until `enough` were added; answers their ids and the last cursor.
async fn added(socket: &mut Socket, id: &str, enough: usize) -> (Vec<String>, String) {
    let mut found = Vec::new();
    loop {
        let page = socket.answer(id).await["data"]["changes"].clone();
        found.extend(ids(&page["added"]));
        if found.len() >= enough {
            return (found, page["endCursor"].as_str().unwrap().to_owned());
        }
    }
}

#[tokio::test]
async fn changes_come_as_they_happen() {
    for app in TestApp::on_every_store().await {
        let _live = app.live();
        let ann = app.signed_in("ann").await;
        let mut socket = ann.socket().await;
        socket.subscribe("1", CHANGES, json!({})).await;
        let first = socket.answer("1").await["data"]["changes"].clone();
        assert_eq!((&first["added"], &first["hasNextPage"]), (&json!([]), &json!(false)), "a cursor to go on from, at once");
        app.bank.reports(vec![pending("p", "2026-11-21", -800, "Bakery")]);
        let link = ann.link_scripted().await;
        let (came, _) = added(&mut socket, "1", 1).await;
        assert_eq!(came, std::slice::from_ref(&link));
        app.work().await;
        let mut seen = Vec::new();
        while !seen.iter().any(|id: &String| id.starts_with("txn_")) {
            let page = socket.answer("1").await["data"]["changes"].clone();
            seen.extend(ids(&page["added"]));
        }
        assert_eq!(seen.len(), 2, "{seen:?}");
        app.bank.reports(vec![]);
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        loop {
            let page = socket.answer("1").await["data"]["changes"].clone();
            if page["removed"] != json!([]) {
                assert_eq!(page["removed"], json!([seen.iter().find(|id| id.starts_with("txn_")).unwrap()]));
                break;
            }
        }
        socket.say(json!({ "type": "complete", "id": "1" })).await;
        import(&ann, 1).await;
        socket.is_silent().await;
    }
}

#[tokio::test]
async fn what_one_process_writes_another_tells_once_with_signals_and_without() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let token = ann.access_token.clone().unwrap();
        // One hears PostgreSQL's notifications, where there are any; the other hears nobody and looks for itself.
        let mut hearing = app.hearing(None).await;
        hearing.hears().await;
        let _live = app.live();
        for url in [hearing.url.clone(), app.url.clone()] {
            let writer = app.nobody().bearing(&token).at(if url == app.url { &hearing.url } else { &app.url });
            let mut socket = app.nobody().bearing(&token).at(&url).socket().await;
            socket.subscribe("1", CHANGES, json!({})).await;
            socket.answer("1").await;
            let link = writer.begin_link("scripted", None).await.succeeds()["link"]["id"].as_str().unwrap().to_owned();
            let (came, _) = added(&mut socket, "1", 1).await;
            assert_eq!(came, [link], "{}", app.store.name);
            socket.is_silent().await;
        }
    }
}

#[tokio::test]
async fn over_redis_another_process_tells_it_once_and_goes_on_when_redis_is_gone() {
    for app in TestApp::on_every_store().await {
        let Some(redis) = redis().await else { return };
        let ann = app.signed_in("ann").await;
        let token = ann.access_token.clone().unwrap();
        let (writing, mut telling) = (app.hearing(Some(&redis)).await, app.hearing(Some(&redis)).await);
        telling.hears().await;
        let writer = app.nobody().bearing(&token).at(&writing.url);
        let reader = app.nobody().bearing(&token).at(&telling.url);
        let mut socket = reader.socket().await;
        socket.subscribe("1", CHANGES, json!({})).await;
        socket.answer("1").await;
        for is_cut in [false, true] {
            if is_cut {
                redis.cut().await;
            }
            let link = writer.begin_link("scripted", None).await.succeeds()["link"]["id"].as_str().unwrap().to_owned();
            let (came, _) = added(&mut socket, "1", 1).await;
            assert_eq!(came, [link], "{}, Redis gone: {is_cut}", app.store.name);
            socket.is_silent().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_with_a_cursor_while_rows_pour_in_misses_none_and_gets_none_twice() {
    for app in TestApp::on_every_store().await {
        let _live = app.live();
        let ann = app.signed_in("ann").await;
        let rows: Vec<_> = (0..1_000)
            .map(|row| format!("<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>202611{:02}<TRNAMT>-{}.00<FITID>{row}<NAME>Shop {row}</STMTTRN>\n", 1 + row % 28, row + 1))
            .collect();
        let file = |part: &[String]| {
            let account = "<CURDEF>USD<BANKACCTFROM><BANKID>1<ACCTID>12345678<ACCTTYPE>CHECKING</BANKACCTFROM>";
            format!(
                "<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS>{account}<BANKTRANLIST><DTSTART>20261101<DTEND>20261130\n{}</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>",
                part.concat()
            )
        };
        let writing = async {
            for part in rows.chunks(100) {
                ann.import("a.ofx", &file(part), None).await.succeeds();
            }
        };
        let reading = async {
            let start = ann.ask("{ viewer { changes(first: 1) { latestCursor } } }").await.data()["viewer"]["changes"]["latestCursor"].clone();
            let (mut cursor, mut seen) = (start, Vec::new());
            while seen.len() < 1_002 {
                // A socket for two pages, then it is lost.
                let mut socket = ann.socket().await;
                socket.subscribe("1", CHANGES, json!({ "after": cursor })).await;
                for _ in 0..2 {
                    let page = socket.answer("1").await["data"]["changes"].clone();
                    seen.extend(ids(&page["added"]));
                    cursor = page["endCursor"].clone();
                    if seen.len() >= 1_002 {
                        break;
                    }
                }
            }
            seen
        };
        let ((), seen) = tokio::join!(writing, reading);
        let all: BTreeSet<_> = seen.iter().collect();
        assert_eq!((seen.len(), all.len()), (1_002, 1_002), "{}", app.store.name);
        assert_eq!(seen.iter().filter(|id| id.starts_with("txn_")).count(), 1_000);
    }
}

#[tokio::test]
async fn links_and_syncs_are_followed_to_their_end() {
    for app in TestApp::on_every_store().await {
        let _live = app.live();
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        let mut socket = ann.socket().await;
        let progress = "subscription($id: ID!) { syncProgress(linkId: $id) { isOver sync { status added } } }";
        socket.subscribe("sync", progress, json!({ "id": link })).await;
        assert_eq!(socket.answer("sync").await["data"]["syncProgress"], json!({ "isOver": false, "sync": { "status": "QUEUED", "added": 0 } }));
        let gate = app.bank.hold_page(0);
        let worker = app.worker();
        gate.reached().await;
        assert_eq!(socket.answer("sync").await["data"]["syncProgress"]["sync"]["status"], "RUNNING");
        let mut links = ann.socket().await;
        links
            .subscribe(
                "link",
                "subscription($id: ID) { linkUpdated(linkId: $id) { id status lastSync { status } freshness { state } } }",
                json!({ "id": link }),
            )
            .await;
        links.subscribe("any", "subscription { linkUpdated { id } }", json!({})).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        gate.open();
        assert!(worker.await.unwrap());
        let told = async {
            loop {
                let told = socket.answer("sync").await["data"]["syncProgress"].clone();
                if told["isOver"] == true {
                    return told;
                }
            }
        };
        assert_eq!(told.await, json!({ "isOver": true, "sync": { "status": "SUCCEEDED", "added": 1 } }));
        let mut heard = BTreeSet::new();
        while heard.len() < 2 {
            let message = links.hear().await;
            assert_eq!(message["type"], "next", "{message}");
            if message["id"] == "any" || message["payload"]["data"]["linkUpdated"]["lastSync"]["status"] == "SUCCEEDED" {
                assert_eq!(message["payload"]["data"]["linkUpdated"]["id"], json!(link));
                heard.insert(message["id"].as_str().unwrap().to_owned());
            }
        }
    }
}

#[tokio::test]
async fn what_is_somebody_elses_is_followed_in_vain_as_what_is_not_there() {
    for app in TestApp::on_every_store().await {
        let _live = app.live();
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let hers = ann.link_scripted().await;
        let absent = GlobalId { kind: Kind::Link, id: TestRandomness.id() }.to_string();
        let mut socket = bob.socket().await;
        for (name, id) in [("hers", hers.as_str()), ("absent", absent.as_str()), ("none", "x")] {
            socket.subscribe(&format!("link {name}"), "subscription($id: ID) { linkUpdated(linkId: $id) { id } }", json!({ "id": id })).await;
            socket.subscribe(&format!("sync {name}"), "subscription($id: ID!) { syncProgress(linkId: $id) { isOver } }", json!({ "id": id })).await;
        }
        socket.subscribe("any", "subscription { linkUpdated { id } }", json!({})).await;
        socket.subscribe("sessions", "subscription { sessionRevoked { id } }", json!({})).await;
        let cursor = ann.ask("{ viewer { changes { endCursor } } }").await.data()["viewer"]["changes"]["endCursor"].clone();
        socket.subscribe("cursor", CHANGES, json!({ "after": cursor })).await;
        assert_eq!(socket.refusal("cursor").await, "BAD_USER_INPUT");
        app.work().await;
        let phone = app.signed_in("ann").await;
        ann.revoke(phone.session_id.as_ref().unwrap()).await.succeeds();
        socket.is_silent().await;
        let own = bob.begin_link("scripted", None).await.succeeds()["link"]["id"].clone();
        let told: Value = socket.answer("any").await;
        assert_eq!(told["data"]["linkUpdated"]["id"], own);
    }
}

#[tokio::test]
async fn sessions_that_are_ended_are_told_to_the_others() {
    for app in TestApp::on_every_store().await {
        let _live = app.live();
        let (ann, old, phone) = (app.signed_in("ann").await, app.signed_in("ann").await, app.signed_in("ann").await);
        ann.revoke(old.session_id.as_ref().unwrap()).await.succeeds();
        let mut socket = ann.socket().await;
        socket.subscribe("1", "subscription { sessionRevoked { id revocationReason } }", json!({})).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        ann.revoke(phone.session_id.as_ref().unwrap()).await.succeeds();
        let told = socket.answer("1").await["data"]["sessionRevoked"].clone();
        assert_eq!(told, json!({ "id": phone.session_id, "revocationReason": "REQUESTED" }));
        socket.is_silent().await;
    }
}

#[tokio::test]
async fn a_subscription_at_the_plain_route_is_sent_elsewhere() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let body = json!({ "query": CHANGES });
        let answer = ann.send(ann.request(reqwest::Method::POST, "/graphql").json(&body)).await;
        answer.never_ran("BAD_USER_INPUT");
        assert!(answer.text.contains("/graphql/ws") && answer.text.contains("/graphql/stream"));
        import(&ann, 1).await;
        assert!(STATEMENT.len() > 1);
    }
}
