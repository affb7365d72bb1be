use std::sync::Arc;

use chrono::Duration;
use dashtam::{
    application::ports::Randomness as _,
    domain::{
        id::AuthorizationId,
        link::{Hold, Link, LinkReader, LinkReason, LinkStatus},
        page::Page,
        time::Clock as _,
    },
};

use crate::harness::{
    clock::TestRandomness,
    rows::{self, november},
    stores::{TestStore, commit, every_store},
};

#[tokio::test]
async fn a_link_is_kept_as_given_and_absent_to_anyone_else() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        let mut link = store.link(ann.id).await;
        link.activate(Some(store.clock.now().plus(Duration::days(7))), store.clock.now());
        link.alias = Some("Main bank".to_owned());
        link.covered(november(1), november(23));
        let mut work = store.begin().await;
        work.links().save(&link).await.unwrap();
        work.links().rename(&link).await.unwrap();
        assert_eq!(work.links().find(ann.id, link.id).await.unwrap().unwrap(), link);
        assert!(work.links().find(bob.id, link.id).await.unwrap().is_none());
        commit(work).await;

        let readers = store.database.readers();
        assert_eq!(LinkReader::find_many(readers.as_ref(), ann.id, &[link.id]).await.unwrap(), vec![link.clone()]);
        assert!(LinkReader::find_many(readers.as_ref(), bob.id, &[link.id]).await.unwrap().is_empty());
        assert!(LinkReader::find_many(readers.as_ref(), ann.id, &[]).await.unwrap().is_empty());
        assert_eq!(LinkReader::page(readers.as_ref(), ann.id, Page::first(10)).await.unwrap().items, vec![link.clone()]);
        assert!(LinkReader::page(readers.as_ref(), bob.id, Page::first(10)).await.unwrap().items.is_empty());

        link.expire(LinkReason::CredentialsRejected).unwrap();
        let mut work = store.begin().await;
        work.links().save(&link).await.unwrap();
        link.user = bob.id;
        assert!(work.links().save(&link).await.is_err(), "a foreign link is not saved");
        assert!(work.links().rename(&link).await.is_err(), "a foreign link is not renamed");
        assert!(!work.links().authorization_stands(ann.id, AuthorizationId(TestRandomness.id())).await.unwrap());
        commit(work).await;
        let found = &LinkReader::find_many(readers.as_ref(), ann.id, &[link.id]).await.unwrap()[0];
        assert_eq!((found.status, found.reason), (LinkStatus::Expired, Some(LinkReason::CredentialsRejected)));
    }
}

/// On SQLite one of them waits for the other's end.
#[tokio::test]
async fn a_name_given_while_a_sync_writes_is_lost_to_neither() {
    for store in every_store().await.into_iter().filter(TestStore::is_postgres) {
        let ann = store.user("ann@example.com").await;
        let link = store.link(ann.id).await;
        let (mut syncing, mut naming) = (store.begin().await, store.begin().await);
        let mut seen = syncing.links().find(ann.id, link.id).await.unwrap().unwrap();
        let named = Link { alias: Some("Main bank".to_owned()), ..naming.links().find(ann.id, link.id).await.unwrap().unwrap() };
        naming.links().rename(&named).await.unwrap();
        commit(naming).await;
        seen.covered(november(1), november(23));
        syncing.links().save(&seen).await.unwrap();
        commit(syncing).await;
        let kept = LinkReader::find_many(store.database.readers().as_ref(), ann.id, &[link.id]).await.unwrap().pop().unwrap();
        assert_eq!((kept.alias.as_deref(), kept.covered_to), (Some("Main bank"), Some(november(23))));
    }
}

#[tokio::test]
async fn the_open_link_of_a_provider_is_the_owners_active_one() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        let mut link = store.link(ann.id).await;
        let mut work = store.begin().await;
        assert!(work.links().find_open(ann.id, "sandbox").await.unwrap().is_none(), "a pending link is not open");
        link.activate(None, store.clock.now());
        work.links().save(&link).await.unwrap();
        assert_eq!(work.links().find_open(ann.id, "sandbox").await.unwrap().unwrap().id, link.id);
        assert!(work.links().find_open(ann.id, "schwab").await.unwrap().is_none());
        assert!(work.links().find_open(bob.id, "sandbox").await.unwrap().is_none());
        link.unlink().unwrap();
        work.links().save(&link).await.unwrap();
        assert_eq!(work.links().find_open(ann.id, "sandbox").await.unwrap().unwrap().id, link.id, "one that was unlinked can be opened again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_of_one_person_take_turns_so_that_one_open_link_is_made() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let store = Arc::new(store);
        let mut imports = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let store = store.clone();
            imports.spawn(async move {
                let mut work = store.begin().await;
                work.accounts().take_turn(ann.id).await.unwrap();
                let made = work.links().find_open(ann.id, "file").await.unwrap().is_none();
                if made {
                    let mut link = rows::link(ann.id, store.clock.now());
                    link.provider = "file".to_owned();
                    link.activate(None, store.clock.now());
                    work.links().insert(&link).await.unwrap();
                }
                commit(work).await;
                made
            });
        }
        assert_eq!(imports.join_all().await.into_iter().filter(|made| *made).count(), 1, "{}", store.name);
    }
}

#[tokio::test]
async fn a_walk_is_found_by_ticket_and_by_state_and_by_nothing_else() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let link = store.link(ann.id).await;
        let walk = rows::authorization(&link);
        let mut work = store.begin().await;
        work.links().insert_authorization(&walk).await.unwrap();
        commit(work).await;
        let readers = store.database.readers();
        assert_eq!(readers.find_any_by_ticket(&walk.ticket_hash).await.unwrap().unwrap(), walk);
        assert_eq!(readers.find_any_by_state(&walk.state_hash).await.unwrap().unwrap(), walk);
        assert!(readers.find_any_by_ticket(&walk.state_hash).await.unwrap().is_none());
        assert!(readers.find_any_by_state(&walk.ticket_hash).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_ticket_starts_one_browser_and_only_in_time_and_a_state_is_spent_once() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let link = store.link(ann.id).await;
        let (walk, late) = (rows::authorization(&link), rows::authorization(&link));
        let mut work = store.begin().await;
        work.links().insert_authorization(&walk).await.unwrap();
        work.links().insert_authorization(&late).await.unwrap();
        assert!(work.links().start_authorization(walk.id, b"cookie", store.clock.now()).await.unwrap());
        assert!(!work.links().start_authorization(walk.id, b"other", store.clock.now()).await.unwrap());
        assert!(work.links().spend_authorization(walk.id, store.clock.now()).await.unwrap());
        assert!(!work.links().spend_authorization(walk.id, store.clock.now()).await.unwrap());
        assert!(!work.links().start_authorization(late.id, b"cookie", late.expires_at).await.unwrap(), "it has run out at that very instant");
        assert!(work.links().start_authorization(late.id, b"cookie", late.expires_at.minus(Duration::microseconds(1))).await.unwrap());
        commit(work).await;
        let found = store.database.readers().find_any_by_state(&walk.state_hash).await.unwrap().unwrap();
        assert_eq!(found.cookie_hash.as_deref(), Some(&b"cookie"[..]));
        assert_eq!((found.started_at, found.spent_at), (Some(store.clock.now()), Some(store.clock.now())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_browsers_with_one_ticket_and_of_many_callbacks_with_one_state_one_succeeds() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let link = store.link(ann.id).await;
        let walk = rows::authorization(&link);
        let mut work = store.begin().await;
        work.links().insert_authorization(&walk).await.unwrap();
        commit(work).await;
        let store = Arc::new(store);
        let mut browsers = tokio::task::JoinSet::new();
        for browser in 0..20_u8 {
            let (store, id) = (store.clone(), walk.id);
            browsers.spawn(async move {
                let mut work = store.begin().await;
                let now = store.clock.now();
                let outcome = (work.links().start_authorization(id, &[browser], now).await.unwrap(), work.links().spend_authorization(id, now).await.unwrap());
                commit(work).await;
                outcome
            });
        }
        let outcomes = browsers.join_all().await;
        assert_eq!(outcomes.iter().filter(|(started, _)| *started).count(), 1, "{}", store.name);
        assert_eq!(outcomes.iter().filter(|(_, spent)| *spent).count(), 1, "{}", store.name);
    }
}

#[tokio::test]
async fn credentials_are_replaced_and_are_their_owners_alone() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        let link = store.link(ann.id).await;
        let readers = store.database.readers();
        assert!(readers.credentials(ann.id, link.id).await.unwrap().is_none());
        let mut versions = Vec::new();
        for sealed in ["first", "second"] {
            let mut work = store.begin().await;
            work.links().save_credentials(ann.id, link.id, &rows::sealed(sealed), store.clock.now()).await.unwrap();
            commit(work).await;
            let stored = readers.credentials(ann.id, link.id).await.unwrap().unwrap();
            assert_eq!(stored.envelope.as_slice(), sealed.as_bytes());
            versions.push(stored.version);
        }
        assert_eq!(versions[1], versions[0] + 1);
        assert!(readers.credentials(bob.id, link.id).await.unwrap().is_none());
        let mut work = store.begin().await;
        assert!(work.links().save_credentials(bob.id, link.id, &rows::sealed("stolen"), store.clock.now()).await.is_err());
        drop(work);
        assert_eq!(readers.credentials(ann.id, link.id).await.unwrap().unwrap().envelope, b"second");
    }
}

#[tokio::test]
async fn credentials_are_held_by_one_and_replaced_by_whoever_holds_the_latest() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        let link = store.link(ann.id).await;
        let (now, until) = (store.clock.now(), store.clock.now().plus(Duration::minutes(3)));
        let given = async |sealed: &str| {
            let mut work = store.begin().await;
            work.links().save_credentials(ann.id, link.id, &rows::sealed(sealed), now).await.unwrap();
            commit(work).await;
            store.database.readers().credentials(ann.id, link.id).await.unwrap().unwrap().version
        };
        let wiped = given("wiped").await;
        let mut work = store.begin().await;
        work.links().wipe_credentials(&link).await.unwrap();
        assert_eq!(work.links().hold_credentials(ann.id, link.id, wiped, now, until).await.unwrap(), Hold::Gone);
        commit(work).await;
        let first = given("first").await;
        let mut work = store.begin().await;
        let links = work.links();
        assert_eq!(links.hold_credentials(ann.id, link.id, wiped, now, until).await.unwrap(), Hold::Replaced, "what was wiped is not what was given anew");
        assert_eq!(links.hold_credentials(bob.id, link.id, first, now, until).await.unwrap(), Hold::Gone, "another's are nobody's");
        assert_eq!(links.hold_credentials(ann.id, link.id, first, now, until).await.unwrap(), Hold::Held);
        assert_eq!(links.hold_credentials(ann.id, link.id, first, now, until).await.unwrap(), Hold::Busy);
        assert_eq!(links.hold_credentials(ann.id, link.id, first, until, until).await.unwrap(), Hold::Held, "whoever held them has died, {}", store.name);
        links.let_credentials_go(ann.id, link.id, first, None).await.unwrap();
        assert_eq!(links.hold_credentials(ann.id, link.id, first, now, until).await.unwrap(), Hold::Held);
        assert!(!links.replace_credentials(bob.id, link.id, first, &rows::sealed("stolen"), now).await.unwrap());
        assert!(links.replace_credentials(ann.id, link.id, first, &rows::sealed("second"), now).await.unwrap());
        assert!(!links.replace_credentials(ann.id, link.id, first, &rows::sealed("late"), now).await.unwrap());
        assert_eq!(links.hold_credentials(ann.id, link.id, first, now, until).await.unwrap(), Hold::Replaced);
        assert_eq!(links.hold_credentials(ann.id, link.id, first + 1, now, until).await.unwrap(), Hold::Held, "replacing lets go");
        commit(work).await;
        assert_eq!(store.database.readers().credentials(ann.id, link.id).await.unwrap().unwrap().envelope, b"second");
    }
}
