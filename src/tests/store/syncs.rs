use std::{collections::HashSet, sync::Arc};

use chrono::Duration;
use dashtam::domain::{
    link::Link,
    sync::{SYNC_LEASE_MINUTES, Sync, SyncCounts, SyncProblem, SyncReader as _, SyncStatus},
    time::Clock as _,
};

use crate::harness::{
    rows,
    stores::{TestStore, commit, every_store},
};

async fn requested(store: &TestStore, link: &Link) -> Sync {
    let sync = rows::sync(link, store.clock.now());
    let mut work = store.begin().await;
    assert!(work.syncs().insert(&sync).await.unwrap());
    commit(work).await;
    sync
}

async fn take(store: &TestStore) -> Option<Sync> {
    store.database.sync_queue().take_any_for_worker(&[], store.clock.now()).await.unwrap()
}

async fn save(store: &TestStore, sync: &Sync) -> bool {
    let mut work = store.begin().await;
    let saved = work.syncs().save(sync).await.unwrap();
    commit(work).await;
    saved
}

#[tokio::test]
async fn a_link_has_one_open_sync_and_the_work_goes_on_after_a_refusal() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        let link = store.link(ann.id).await;
        let first = requested(&store, &link).await;
        let mut work = store.begin().await;
        assert!(!work.syncs().insert(&rows::sync(&link, store.clock.now())).await.unwrap());
        assert_eq!(work.syncs().latest(ann.id, link.id).await.unwrap().unwrap(), first);
        assert!(work.syncs().latest(bob.id, link.id).await.unwrap().is_none());
        commit(work).await;

        let mut taken = take(&store).await.unwrap();
        let mut work = store.begin().await;
        assert!(!work.syncs().insert(&rows::sync(&link, store.clock.now())).await.unwrap(), "a running one is open as well");
        commit(work).await;
        taken.succeed(None, store.clock.now());
        assert!(save(&store, &taken).await);
        store.clock.pass(Duration::seconds(1));
        let second = requested(&store, &link).await;
        let mut work = store.begin().await;
        assert_eq!(work.syncs().latest(ann.id, link.id).await.unwrap().unwrap().id, second.id);
    }
}

#[tokio::test]
async fn the_job_that_waited_longest_is_taken_once_and_not_before_its_time() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let mut syncs = Vec::new();
        for _ in 0..3 {
            syncs.push(requested(&store, &store.link(ann.id).await).await.id);
            store.clock.pass(Duration::seconds(1));
        }
        let mut first = take(&store).await.unwrap();
        assert_eq!((first.id, first.status, first.attempts, first.started_at), (syncs[0], SyncStatus::Running, 1, Some(store.clock.now())));
        assert_eq!(take(&store).await.unwrap().id, syncs[1]);
        assert_eq!(take(&store).await.unwrap().id, syncs[2]);
        assert!(take(&store).await.is_none());

        first.retry_or_give_up(SyncProblem::RateLimited, Duration::seconds(30), store.clock.now());
        assert!(save(&store, &first).await);
        assert!(take(&store).await.is_none(), "its pause is not over");
        store.clock.pass(Duration::seconds(30));
        let again = take(&store).await.unwrap();
        assert_eq!((again.id, again.attempts, again.problem), (syncs[0], 2, Some(SyncProblem::RateLimited)));
    }
}

#[tokio::test]
async fn a_job_held_longer_than_its_lease_is_taken_over_and_its_first_worker_saves_nothing() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let link = store.link(ann.id).await;
        requested(&store, &link).await;
        let mut slow = take(&store).await.unwrap();
        store.clock.pass(Duration::minutes(SYNC_LEASE_MINUTES));
        assert!(take(&store).await.is_none(), "the lease runs out after ten minutes, not at them");
        store.clock.pass(Duration::microseconds(1));
        let mut fast = take(&store).await.unwrap();
        assert_eq!((fast.id, fast.attempts), (slow.id, 2));

        slow.succeed(None, store.clock.now());
        assert!(!save(&store, &slow).await);
        fast.counts = SyncCounts { accounts: 1, added: 2, modified: 3, removed: 4, refused: 5 };
        fast.succeed(Some(SyncProblem::RowsRefused), store.clock.now());
        assert!(save(&store, &fast).await);
        assert!(!save(&store, &fast).await, "an ended sync is not saved again");
        let mut work = store.begin().await;
        assert_eq!(work.syncs().latest(ann.id, link.id).await.unwrap().unwrap(), fast);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_share_the_queue_without_taking_a_job_twice() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        for _ in 0..10 {
            requested(&store, &store.link(ann.id).await).await;
        }
        let store = Arc::new(store);
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..30 {
            let store = store.clone();
            workers.spawn(async move {
                // Two looks: on PostgreSQL a look may find every waiting row locked by others.
                [take(&store).await, take(&store).await]
            });
        }
        let mut taken: Vec<_> = workers.join_all().await.into_iter().flatten().flatten().map(|sync| sync.id).collect();
        while let Some(sync) = take(&store).await {
            taken.push(sync.id);
        }
        assert_eq!(taken.len(), 10, "{}", store.name);
        assert_eq!(taken.iter().collect::<HashSet<_>>().len(), 10, "{}", store.name);
    }
}

#[tokio::test]
async fn the_latest_sync_of_several_links_is_one_statement() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        let links = [store.link(ann.id).await, store.link(ann.id).await, store.link(ann.id).await, store.link(bob.id).await];
        for link in [&links[0], &links[1], &links[3]] {
            requested(&store, link).await;
        }
        let mut done = take(&store).await.unwrap();
        done.succeed(None, store.clock.now());
        save(&store, &done).await;
        store.clock.pass(Duration::seconds(1));
        let latest = requested(&store, links.iter().find(|link| link.id == done.link).unwrap()).await;

        let before = store.database.statements();
        let ids: Vec<_> = links.iter().map(|link| link.id).collect();
        let found = store.database.readers().latest_of(ann.id, &ids).await.unwrap();
        assert_eq!(store.database.statements() - before, 1, "{}", store.name);
        let found: HashSet<_> = found.into_iter().map(|sync| (sync.link, sync.id == latest.id)).collect();
        assert_eq!(found, HashSet::from([(links[0].id, done.link == links[0].id), (links[1].id, done.link == links[1].id)]), "{}", store.name);
        assert!(store.database.readers().latest_of(ann.id, &[]).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_job_that_is_given_back_is_as_if_it_had_not_been_begun() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        requested(&store, &store.link(ann.id).await).await;
        let held = take(&store).await.unwrap();
        let queue = store.database.sync_queue();
        queue.give_back_for_worker(&held, store.clock.now()).await.unwrap();
        let again = take(&store).await.unwrap();
        assert_eq!((again.id, again.attempts), (held.id, 1), "{}", store.name);
        store.clock.pass(Duration::minutes(SYNC_LEASE_MINUTES + 1));
        let taken_over = take(&store).await.unwrap();
        queue.give_back_for_worker(&again, store.clock.now()).await.unwrap();
        assert_eq!(taken_over.attempts, 2);
        assert!(take(&store).await.is_none(), "what another took over is not given back");
    }
}

#[test]
fn a_sync_is_told_as_its_link_goes_with_it() {
    let now = crate::harness::clock::TestClock::new().now();
    let mut link = rows::link(dashtam::domain::id::UserId(uuid::Uuid::nil()), now);
    link.activate(None, now);
    let mut sync = rows::sync(&link, now);
    sync.recent_at = Some(now);
    sync.succeed(None, now);
    assert_eq!(sync.clone().beside(&link).status, SyncStatus::Running, "the link was read before");
    link.synced_at = Some(now);
    assert_eq!(sync.clone().beside(&link), sync);
    link.synced_at = None;
    let unanswered = Sync { problem: Some(SyncProblem::AccountsUnanswered), ..sync.clone() };
    assert_eq!(unanswered.clone().beside(&link), unanswered, "not everything came, so nothing is as recent");
    link.unlink().unwrap();
    assert_eq!(sync.clone().beside(&link), sync);
}
