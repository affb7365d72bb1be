//! Ending sessions: one's own, nobody else's, at once here and within a second everywhere.

use chrono::Duration;
use dashtam::{
    application::ports::Randomness as _,
    domain::id::{AccountId, SessionId},
    presentation::graphql::global_id::GlobalId,
};

use crate::harness::{app::TestApp, client::Client, clock::TestRandomness};

async fn authentication(client: &Client<'_>) -> serde_json::Value {
    client.ask("{ viewer { id } }").await.body["extensions"]["authentication"].clone()
}

#[tokio::test]
async fn a_revoked_session_stops_at_once() {
    for app in TestApp::on_every_store().await {
        let (ann, phone) = (app.signed_in("ann").await, app.signed_in("ann").await);
        ann.revoke(phone.session_id.as_ref().unwrap()).await.succeeds();
        let answer = phone.ask("{ viewer { id } providers { slug } }").await;
        answer.is_fault("UNAUTHENTICATED");
        assert_eq!(answer.body["extensions"]["authentication"], "SESSION_ENDED");
        phone.refresh().await.is_refused("SESSION_ENDED");
        assert_eq!(app.last_outcome("revoke_session").await, ("succeeded".to_owned(), None));
        assert_eq!(app.last_outcome("refresh_session").await, ("failed".to_owned(), Some("session_ended".to_owned())));
    }
}

#[tokio::test]
async fn one_may_end_the_session_one_is_in() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let payload = ann.revoke(ann.session_id.as_ref().unwrap()).await.succeeds();
        assert_eq!((payload["session"]["id"].as_str(), payload["session"]["revocationReason"].as_str()), (ann.session_id.as_deref(), Some("REQUESTED")));
        assert_eq!(authentication(&ann).await, "SESSION_ENDED");
        ann.refresh().await.is_refused("SESSION_ENDED");
    }
}

#[tokio::test]
async fn a_session_ends_once() {
    for app in TestApp::on_every_store().await {
        let (ann, phone) = (app.signed_in("ann").await, app.signed_in("ann").await);
        let id = phone.session_id.as_ref().unwrap();
        let first = ann.revoke(id).await.succeeds()["session"]["revokedAt"].clone();
        app.pass(Duration::minutes(1));
        ann.revoke(id).await.is_refused("SESSION_ENDED");
        assert_eq!(app.last_outcome("revoke_session").await, ("failed".to_owned(), Some("session_ended".to_owned())));
        let kept = ann.ask_with("query($id: ID!) { node(id: $id) { ... on Session { revokedAt } } }", serde_json::json!({ "id": id })).await.data();
        assert_eq!(kept["node"]["revokedAt"], first);
    }
}

#[tokio::test]
async fn a_foreign_session_is_as_absent_as_no_session_and_lives_on() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let of_ann = ann.session_id.as_ref().unwrap();
        let absent = bob.revoke(&GlobalId::from(SessionId(TestRandomness.id())).to_string()).await;
        absent.is_refused("NOT_FOUND");
        let other_kind = GlobalId::from(AccountId(of_ann.parse::<GlobalId>().unwrap().id)).to_string();
        let (upper, long) = (of_ann.to_uppercase(), format!("session_{}", "0".repeat(5000)));
        for id in [of_ann.as_str(), &other_kind, &upper, &long, "session_", "", "session_zzzzzzzzzzzzzzzzzzzzzzzzzz", "\0", "' OR 1=1 --"] {
            assert_eq!(bob.revoke(id).await.comparable(), absent.comparable(), "{id:?}");
            assert_eq!(app.last_outcome("revoke_session").await, ("failed".to_owned(), Some("not_found".to_owned())));
        }
        assert!(authentication(&ann).await.is_null());
        ann.refresh().await.succeeds();
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn nobody_ends_a_session_and_the_try_is_on_the_trail() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        app.nobody().revoke(ann.session_id.as_ref().unwrap()).await.is_fault("UNAUTHENTICATED");
        assert_eq!(app.last_outcome("revoke_session").await, ("failed".to_owned(), Some("unauthenticated".to_owned())));
        assert!(authentication(&ann).await.is_null());
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_session_ended_in_another_process_stops_within_a_second() {
    for app in TestApp::on_every_store().await {
        let (ann, phone, tablet) = (app.signed_in("ann").await, app.signed_in("ann").await, app.signed_in("ann").await);
        assert!(authentication(&phone).await.is_null() && authentication(&tablet).await.is_null());
        let other = app.second_process().await;
        let ann = ann.at(&other);
        ann.revoke(phone.session_id.as_ref().unwrap()).await.succeeds();
        app.pass(Duration::seconds(1));
        assert_eq!(authentication(&phone).await, "SESSION_ENDED", "{}", app.store.name);
        assert!(authentication(&tablet).await.is_null());
        let phone = phone.at(&other);
        assert_eq!(authentication(&phone).await, "SESSION_ENDED");
    }
}

#[tokio::test]
async fn of_three_processes_none_lets_an_ended_session_in_for_longer_than_a_second() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let (second, third) = (app.second_process().await, app.second_process().await);
        let mut phones = Vec::new();
        for _ in 0..3 {
            let phone = app.signed_in("ann").await;
            let everywhere = [app.url.as_str(), &second, &third].map(|url| app.nobody().at(url).bearing(phone.access_token.as_deref().unwrap()));
            for client in &everywhere {
                assert!(authentication(client).await.is_null());
            }
            phones.push((phone.session_id.clone().unwrap(), everywhere));
        }
        let revoking = [app.url.as_str(), &second, &third].map(|url| app.nobody().at(url).bearing(ann.access_token.as_deref().unwrap()));
        for (at, (session, clients)) in phones.iter().enumerate() {
            revoking[at].revoke(session).await.succeeds();
            assert_eq!(authentication(&clients[at]).await, "SESSION_ENDED", "at once where it was ended");
        }
        app.pass(Duration::seconds(1));
        for client in phones.iter().flat_map(|(_, clients)| clients) {
            assert_eq!(authentication(client).await, "SESSION_ENDED", "{}", app.store.name);
        }
    }
}

#[tokio::test]
async fn what_is_asked_often_asks_the_database_once_a_second() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        authentication(&ann).await;
        let before = app.store.database.statements();
        for _ in 0..50 {
            assert!(ann.ask("{ __typename }").await.data().is_object());
        }
        assert_eq!(app.store.database.statements(), before, "{}: the session's state is trusted meanwhile", app.store.name);
    }
}

#[tokio::test]
async fn a_clock_set_back_does_not_prolong_what_was_seen_of_a_session() {
    for app in TestApp::on_every_store().await {
        let (ann, phone) = (app.signed_in("ann").await, app.signed_in("ann").await);
        assert!(authentication(&phone).await.is_null());
        let ann = ann.at(&app.second_process().await);
        ann.revoke(phone.session_id.as_ref().unwrap()).await.succeeds();
        app.pass(-Duration::seconds(5));
        assert_eq!(authentication(&phone).await, "SESSION_ENDED", "{}", app.store.name);
    }
}

#[tokio::test]
async fn another_role_is_in_force_within_a_second_whatever_the_token_says() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.begin_link("sandbox", None).await.succeeds();
        app.promote("ann", dashtam::domain::user::Role::Readonly).await;
        app.pass(Duration::seconds(1));
        ann.begin_link("sandbox", None).await.is_fault("FORBIDDEN");
    }
}
