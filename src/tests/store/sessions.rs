use std::sync::Arc;

use chrono::Duration;
use dashtam::domain::{
    id::SessionId,
    page::{CreatedKey, Direction, Page},
    session::{RevocationReason, Session, SessionReader},
    time::Clock as _,
    user::{Role, User},
};

use crate::harness::{
    rows,
    stores::{TestStore, commit, every_store},
};

async fn signed_in(store: &TestStore, user: &User) -> Session {
    let session = rows::session(user.id, store.clock.now());
    let mut work = store.begin().await;
    work.sessions().insert(&session).await.unwrap();
    commit(work).await;
    session
}

fn shape(session: &Session) -> String {
    format!("{session:?}")
}

#[tokio::test]
async fn a_session_is_kept_as_given_and_absent_to_anyone_else() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        let session = signed_in(&store, &ann).await;
        let readers = store.database.readers();
        let found = SessionReader::find(readers.as_ref(), ann.id, session.id).await.unwrap().unwrap();
        assert_eq!(shape(&found), shape(&session));
        assert!(SessionReader::find(readers.as_ref(), bob.id, session.id).await.unwrap().is_none());
        let mut work = store.begin().await;
        assert_eq!(shape(&work.sessions().find(ann.id, session.id).await.unwrap().unwrap()), shape(&session));
        assert!(work.sessions().find(bob.id, session.id).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_session_ends_once_and_keeps_its_first_reason() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let mut session = signed_in(&store, &ann).await;
        let mut again = session.clone();
        let mut work = store.begin().await;
        assert!(work.sessions().end(&session).await.is_err(), "a session that goes on is not stored as ended");
        session.revoke(RevocationReason::RefreshTokenReused, store.clock.now()).unwrap();
        assert!(work.sessions().end(&session).await.unwrap());
        again.revoke(RevocationReason::Requested, store.clock.now()).unwrap();
        assert!(!work.sessions().end(&again).await.unwrap());
        commit(work).await;
        let found = SessionReader::find(store.database.readers().as_ref(), ann.id, session.id).await.unwrap().unwrap();
        assert_eq!(found.revoked, session.revoked);
    }
}

#[tokio::test]
async fn touching_a_session_notes_when_it_was_seen() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let session = signed_in(&store, &ann).await;
        store.clock.pass(Duration::minutes(3));
        let mut work = store.begin().await;
        work.sessions().touch(session.id, store.clock.now()).await.unwrap();
        commit(work).await;
        let found = SessionReader::find(store.database.readers().as_ref(), ann.id, session.id).await.unwrap().unwrap();
        assert_eq!((found.last_seen_at, found.created_at), (store.clock.now(), session.created_at));
    }
}

#[tokio::test]
async fn the_state_of_a_session_is_one_statement_and_follows_revocation_role_and_activity() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let (mut phone, laptop) = (signed_in(&store, &ann).await, signed_in(&store, &ann).await);
        let readers = store.database.readers();
        let before = store.database.statements();
        let state = readers.state_of_any(phone.id).await.unwrap().unwrap();
        assert_eq!(store.database.statements() - before, 1, "{}", store.name);
        assert_eq!((state.session, state.user, state.role, state.expires_at, state.is_live), (phone.id, ann.id, Role::User, phone.expires_at, true));

        let mut work = store.begin().await;
        phone.revoke(RevocationReason::Requested, store.clock.now()).unwrap();
        work.sessions().end(&phone).await.unwrap();
        assert!(work.users().assign_role(ann.id, Role::Admin).await.unwrap());
        commit(work).await;
        assert!(!readers.state_of_any(phone.id).await.unwrap().unwrap().is_live);
        let state = readers.state_of_any(laptop.id).await.unwrap().unwrap();
        assert_eq!((state.role, state.is_live), (Role::Admin, true));

        store.execute("UPDATE users SET is_active = FALSE").await.unwrap();
        assert!(!readers.state_of_any(laptop.id).await.unwrap().unwrap().is_live);
        assert!(readers.state_of_any(SessionId(uuid::Uuid::nil())).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn sessions_are_listed_oldest_first_with_ended_ones_and_only_ones_own() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        signed_in(&store, &bob).await;
        let mut sessions = Vec::new();
        for minute in 0..5 {
            // The first three are born in the same instant.
            store.clock.pass(Duration::minutes(i64::from(minute >= 3)));
            sessions.push(signed_in(&store, &ann).await);
        }
        let readers = store.database.readers();
        let all: Vec<SessionId> = sessions.iter().map(|session| session.id).collect();
        let mut page = Page { limit: 2, direction: Direction::Forward, from: None, count: true };
        let mut read = Vec::new();
        loop {
            let slice = readers.pages_by_owner(&[ann.id], page).await.unwrap().remove(&ann.id).unwrap();
            assert_eq!(slice.total, Some(5));
            read.extend(slice.items.iter().map(|session| session.id));
            page.from = slice.items.last().map(|session| CreatedKey { created_at: session.created_at, id: session.id.0 });
            if !slice.has_more {
                break;
            }
        }
        assert_eq!(read, all, "{}", store.name);
        let last = readers
            .pages_by_owner(&[ann.id], Page { direction: Direction::Backward, from: None, count: false, limit: 2 })
            .await
            .unwrap()
            .remove(&ann.id)
            .unwrap();
        assert_eq!(last.items.iter().map(|session| session.id).collect::<Vec<_>>(), all[3..]);
        assert!(last.has_more && last.total.is_none());
    }
}

#[tokio::test]
async fn a_refresh_token_is_found_by_its_selector() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let session = signed_in(&store, &ann).await;
        let token = rows::refresh_token(&session);
        let mut work = store.begin().await;
        work.sessions().insert_token(&token).await.unwrap();
        assert_eq!(format!("{:?}", work.sessions().find_any_token(&token.selector).await.unwrap().unwrap()), format!("{token:?}"));
        commit(work).await;
        let readers = store.database.readers();
        assert_eq!(format!("{:?}", readers.find_any_token(&token.selector).await.unwrap().unwrap()), format!("{token:?}"));
        assert!(readers.find_any_token("another").await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_who_spend_a_refresh_token_at_once_one_succeeds() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let session = signed_in(&store, &ann).await;
        let token = rows::refresh_token(&session);
        let mut work = store.begin().await;
        work.sessions().insert_token(&token).await.unwrap();
        commit(work).await;

        let store = Arc::new(store);
        let mut spenders = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (store, id) = (store.clone(), token.id);
            spenders.spawn(async move {
                let mut work = store.begin().await;
                let spent = work.sessions().spend(id, store.clock.now()).await.unwrap();
                commit(work).await;
                spent
            });
        }
        let spent = spenders.join_all().await;
        assert_eq!(spent.iter().filter(|spent| **spent).count(), 1, "{}", store.name);
        assert_eq!(store.database.readers().find_any_token(&token.selector).await.unwrap().unwrap().used_at, Some(store.clock.now()));
    }
}
