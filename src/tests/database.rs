//! The database itself: opening, migrating, rolling back, being unavailable.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{sync::Arc, time::Duration};

use dashtam::{
    domain::{failure::Unavailable, time::Clock as _, user::UserReader as _},
    infrastructure::database::Database,
};

use crate::harness::{
    clock::TestClock,
    rows::{self, november},
    stores::{ServerDatabase, commit, every_store, open},
};

const MIGRATIONS: usize = 37;

/// Every name a table, index or constraint of ours goes by.
async fn names(store: &crate::harness::stores::TestStore) -> Vec<String> {
    let sql = if store.is_postgres() {
        "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace
         UNION ALL SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace
         UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
    } else {
        "SELECT name FROM sqlite_master ORDER BY 1"
    };
    store.query(sql).await.iter().map(|row| row.try_get("", "name").unwrap()).collect()
}

#[tokio::test]
async fn migrations_go_up_and_down_and_up_again_to_the_same_shape() {
    for store in every_store().await {
        let database = &store.database;
        assert_eq!(database.pending().await.unwrap(), 0);
        let up = names(&store).await;
        database.migrate_down(2).await.unwrap();
        assert_eq!(database.pending().await.unwrap(), 2);
        let status = database.status().await.unwrap();
        assert_eq!((status.len(), status[0].0.as_str(), status[0].1, status[MIGRATIONS - 1].1), (MIGRATIONS, "m20261123_000001_users", true, false));
        database.migrate_down(100).await.unwrap();
        let left: Vec<_> = names(&store).await.into_iter().filter(|name| !name.contains("seaql_migrations")).collect();
        assert!(left.is_empty(), "{}: {left:?}", store.name);
        database.migrate_up().await.unwrap();
        database.migrate_up().await.unwrap();
        assert_eq!(names(&store).await, up, "{}", store.name);
        store.user("ann@example.com").await;
    }
}

#[tokio::test]
async fn links_from_before_schedules_and_clocks_get_theirs() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let links = [store.link(ann.id).await, store.link(ann.id).await];
        let mut work = store.begin().await;
        work.links().save_credentials(ann.id, links[0].id, &rows::sealed("sealed"), store.clock.now()).await.unwrap();
        commit(work).await;
        store.execute("UPDATE links SET status = 'active', consent_expires_at = created_at").await.unwrap();
        store
            .execute(
                "UPDATE links SET provider = 'statement', consent_expires_at = NULL WHERE id = (SELECT MAX(id::text)::uuid FROM links)"
                    .replace("MAX(id::text)::uuid", if store.is_postgres() { "MAX(id::text)::uuid" } else { "MAX(id)" })
                    .as_str(),
            )
            .await
            .unwrap();
        let after = MIGRATIONS - store.database.status().await.unwrap().iter().position(|(name, _)| name.contains("sync_plans")).unwrap();
        store.database.migrate_down(u32::try_from(after).unwrap()).await.unwrap();
        store.database.migrate_up().await.unwrap();
        let count = async |rows: &str| store.query(&format!("SELECT COUNT(*) AS n FROM {rows}")).await[0].try_get::<i64>("", "n").unwrap();
        let due =
            "provider <> 'statement' AND sync_due_at = created_at AND sync_failures = 0 AND consent_due_at = created_at AND consent_began_at = created_at";
        assert_eq!(count(&format!("links WHERE {due}")).await, 1, "{}", store.name);
        let never = "provider = 'statement' AND sync_due_at IS NULL AND consent_due_at IS NULL AND consent_began_at IS NULL";
        assert_eq!(count(&format!("links WHERE {never}")).await, 1, "{}", store.name);
        assert_eq!(count("credentials WHERE renew_at = updated_at AND version = 1 AND held_until IS NULL").await, 1, "{}", store.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_together_all_find_a_migrated_database() {
    let folder = tempfile::tempdir().unwrap();
    let server = match std::env::var("TEST_DATABASE_URL") {
        Ok(server) => Some(ServerDatabase::create(&server, None).await),
        Err(_) => None,
    };
    let file = format!("sqlite://{}?mode=rwc", folder.path().join("new.db").display());
    for url in std::iter::once(file).chain(server.as_ref().map(ServerDatabase::url)) {
        let mut processes = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let url = url.clone();
            processes.spawn(async move {
                let database = open(&url, &Arc::new(TestClock::new())).await.unwrap();
                database.migrate_up().await.unwrap();
                database.pending().await.unwrap()
            });
        }
        assert_eq!(processes.join_all().await, [0; 4]);
    }
}

#[tokio::test]
async fn a_new_file_is_its_owners_alone_and_looking_at_migrations_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("private.db");
    let database = open(&format!("sqlite://{}", path.display()), &Arc::new(TestClock::new())).await.unwrap();
    assert_eq!(database.pending().await.unwrap(), MIGRATIONS);
    database.migrate_up().await.unwrap();
    database.ping().await.unwrap();
    for name in ["private.db", "private.db-wal", "private.db-shm"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    database.close().await.unwrap();
    assert!(!folder.path().join("private.db-wal").exists(), "closing folds the log into the file");
    assert!(database.ping().await.is_err());
}

async fn refusal(url: &str) -> anyhow::Error {
    match open(url, &Arc::new(TestClock::new())).await {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_says_why_without_its_password() {
    for url in ["mysql://root:hunter2@localhost/x", "postgres://me:hunter2@localhost:notaport/x", "sqlite::memory:", "sqlite:///hunter2/none/x.db", "hunter2"] {
        let text = format!("{:?}", refusal(url).await);
        assert!(!text.contains("hunter2"), "{text}");
    }
    let gone = refusal("postgres://me:hunter2@127.0.0.1:1/x").await;
    assert!(gone.downcast_ref::<Unavailable>().is_some_and(|gone| gone.part == "database"), "{gone:?}");
    assert!(!format!("{gone:?}").contains("hunter2"));
}

/// A balancer in front of a database that is gone takes connections all the same.
#[tokio::test]
async fn what_takes_connections_and_says_nothing_is_a_database_that_is_gone() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let speaks = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let heard = speaks.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if heard.load(std::sync::atomic::Ordering::SeqCst) {
                let _said = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        }
    });
    for says_something_else in [false, true] {
        speaks.store(says_something_else, std::sync::atomic::Ordering::SeqCst);
        let gone = refusal(&format!("postgres://me:hunter2@{address}/x")).await;
        assert!(gone.downcast_ref::<Unavailable>().is_some_and(|gone| gone.part == "database"), "{gone:?}");
    }
}

#[tokio::test]
async fn a_writer_that_waited_in_vain_is_told_that_the_database_is_unavailable() {
    for store in every_store().await {
        let second = open(&store.url, &store.clock).await.unwrap();
        let mut work = store.begin().await;
        let attempt = store.attempt_through(&second);
        assert!(work.users().insert(&rows::user("ann@example.com", store.clock.now())).await.unwrap());
        if store.is_postgres() {
            attempt.await.unwrap();
        } else {
            let failure = attempt.await.err().unwrap();
            assert_eq!(failure.downcast_ref::<Unavailable>(), Some(&Unavailable { part: "database", retry_after: 1 }), "{failure:?}");
        }
        commit(work).await;
    }
}

#[tokio::test]
async fn readers_cannot_write_and_see_nothing_uncommitted() {
    for store in every_store().await {
        let user = rows::user("ann@example.com", store.clock.now());
        let mut work = store.begin().await;
        work.users().insert(&user).await.unwrap();
        let readers = store.database.readers();
        assert!(readers.find_any_by_email(user.email.key()).await.unwrap().is_none(), "{}", store.name);
        drop(work);
        assert!(readers.find_any_by_email(user.email.key()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn erasing_a_user_takes_everything_that_is_theirs_and_leaves_the_trail() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let link = store.link(ann.id).await;
        let account = store.account(&link, "USD").await;
        store.store(&[rows::transaction(&account, rows::facts(1, november(1)))]).await;
        let session = rows::session(ann.id, account.created_at);
        let mut work = store.begin().await;
        work.sessions().insert(&session).await.unwrap();
        work.sessions().insert_token(&rows::refresh_token(&session)).await.unwrap();
        work.links().insert_authorization(&rows::authorization(&link)).await.unwrap();
        work.links().save_credentials(ann.id, link.id, &rows::sealed("sealed"), account.created_at).await.unwrap();
        work.syncs().insert(&rows::sync(&link, account.created_at)).await.unwrap();
        rows::second_factor(work.as_mut(), ann.id, account.created_at).await;
        commit(work).await;
        let events = store.query("SELECT id FROM audit_events").await.len();
        store.execute("DELETE FROM users").await.unwrap();
        for table in [
            "second_factors",
            "recovery_codes",
            "sign_in_challenges",
            "second_factor_failures",
            "sessions",
            "refresh_tokens",
            "links",
            "authorizations",
            "credentials",
            "accounts",
            "transactions",
            "transaction_references",
            "syncs",
        ] {
            assert!(store.query(&format!("SELECT 1 FROM {table}")).await.is_empty(), "{} {table}", store.name);
        }
        assert_eq!(store.query("SELECT id FROM audit_events").await.len(), events);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_writers_than_connections_take_their_turns() {
    for store in every_store().await {
        let store = Arc::new(store);
        let mut writers = tokio::task::JoinSet::new();
        for number in 0..40 {
            let store = store.clone();
            writers.spawn(async move { store.user(&format!("user{number}@example.com")).await });
        }
        let users = tokio::time::timeout(Duration::from_mins(1), writers.join_all()).await.unwrap();
        assert_eq!(users.len(), 40);
        assert_eq!(store.query("SELECT 1 FROM users").await.len(), 40, "{}", store.name);
    }
}

/// Held to at compile time: what the composition root hands out is shared between tasks.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Database>();
};
