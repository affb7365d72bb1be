//! Sessions over several processes: what one ends, the others refuse, with signals at once and without them within a second; and a
//! session that is asked for costs no request a statement.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use dashtam::{
    application::{
        ports::{AccessClaims, EventBus as _, TokenIssuer as _},
        session::{AuthenticationProblem, SessionGate},
    },
    domain::{
        id::{SessionId, UserId},
        page::{CreatedKey, Page, Slice},
        security::TokenVersions,
        session::{RefreshToken, Session, SessionReader, SessionState},
        time::Clock as _,
        user::Role,
    },
    infrastructure::{memory::bus::MemoryBus, security::jwt::JwtIssuer},
    presentation::graphql::global_id::id_or_nothing,
};
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::harness::{
    app::{PASSWORD, TestApp, keys},
    client::Client,
    clock::TestRandomness,
    redis::{TestRedis, redis},
};

async fn is_ended(client: &Client<'_>) -> bool {
    client.ask("{ viewer { id } }").await.body["extensions"]["authentication"] == "SESSION_ENDED"
}

/// Whether a client is refused soon, with time standing still: by a signal alone.
async fn is_ended_soon(client: &Client<'_>) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        if is_ended(client).await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// Every store with every way there is between processes over it.
async fn every_way() -> Vec<(TestApp, Option<TestRedis>)> {
    let mut ways = Vec::new();
    for app in TestApp::on_every_store().await {
        if app.store.is_postgres() {
            ways.push((app, None));
        }
    }
    for app in TestApp::on_every_store().await {
        if let Some(redis) = redis().await {
            ways.push((app, Some(redis)));
        }
    }
    ways
}

#[tokio::test]
async fn of_three_processes_all_refuse_at_once_what_one_ended() {
    for (app, redis) in every_way().await {
        let mut processes = Vec::new();
        for _ in 0..3 {
            let mut process = app.hearing(redis.as_ref()).await;
            process.hears().await;
            processes.push(process);
        }
        let ann = app.signed_in("ann").await;
        for revoking in &processes {
            let (phone, tablet) = (app.signed_in("ann").await, app.signed_in("ann").await);
            let at = |client: &Client<'_>| {
                let token = client.access_token.clone().unwrap();
                processes.iter().map(|process| app.nobody().at(&process.url).bearing(&token)).collect::<Vec<_>>()
            };
            let (phones, tablets) = (at(&phone), at(&tablet));
            for client in phones.iter().chain(&tablets) {
                assert!(!is_ended(client).await);
            }
            app.nobody().at(&revoking.url).bearing(ann.access_token.as_ref().unwrap()).revoke(phone.session_id.as_ref().unwrap()).await.succeeds();
            for client in &phones {
                assert!(is_ended_soon(client).await, "{}, {}", app.store.name, redis.is_some());
            }
            for client in &tablets {
                assert!(!is_ended(client).await);
            }
        }
        assert_eq!(processes.iter().map(|process| process.app.bus.lost()).sum::<u64>(), 0);
    }
}

#[tokio::test]
async fn a_role_and_a_rotation_are_in_force_at_once_in_other_processes() {
    for (app, redis) in every_way().await {
        let (mut here, mut there) = (app.hearing(redis.as_ref()).await, app.hearing(redis.as_ref()).await);
        here.hears().await;
        there.hears().await;
        app.user("root").await;
        app.promote("root", Role::Admin).await;
        let (root, ann) = (app.signed_in("root").await.at(&here.url), app.signed_in("ann").await.at(&there.url));
        root.mutate("reauthenticate", "validUntil", json!({ "password": PASSWORD })).await.succeeds();
        let id = ann.ask("{ viewer { id } }").await.data()["viewer"]["id"].clone();
        root.mutate("assignRole", "user { role }", json!({ "userId": id, "role": "READONLY" })).await.succeeds();
        let refused = async {
            while ann.begin_link("sandbox", None).await.body["errors"][0]["extensions"]["code"] != "FORBIDDEN" {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), refused).await.unwrap();
        root.mutate("rotateTokens", "rotation { version }", json!({ "scope": "GLOBAL", "reason": "x", "graceSeconds": 0 })).await.succeeds();
        assert!(is_ended_soon(&ann).await, "{}", app.store.name);
    }
}

#[tokio::test]
async fn without_redis_in_the_middle_requests_go_on_and_others_follow_within_a_second() {
    for app in TestApp::on_every_store().await {
        let Some(redis) = redis().await else { return };
        let (mut here, mut there) = (app.hearing(Some(&redis)).await, app.hearing(Some(&redis)).await);
        here.hears().await;
        there.hears().await;
        let (ann, phone) = (app.signed_in("ann").await.at(&here.url), app.signed_in("ann").await.at(&there.url));
        assert!(!is_ended(&ann).await && !is_ended(&phone).await);
        for way_of_going in 0..2 {
            if way_of_going == 0 {
                redis.cut().await;
            } else {
                redis.silence().await;
            }
            let next = app.signed_in("ann").await.at(&there.url);
            let began = Instant::now();
            assert!(!is_ended(&next).await && !is_ended(&ann).await);
            ann.revoke(next.session_id.as_ref().unwrap()).await.succeeds();
            assert!(began.elapsed() < Duration::from_secs(2), "nobody waits for it: {:?}", began.elapsed());
            app.pass(chrono::Duration::seconds(1));
            assert!(is_ended(&next).await, "{}", app.store.name);
        }
        redis.restore().await;
        here.hears().await;
        there.hears().await;
        // Its line for giving signals is tried again a second after it was last seen dead.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert!(!is_ended(&phone).await);
        ann.revoke(phone.session_id.as_ref().unwrap()).await.succeeds();
        assert!(is_ended_soon(&phone).await, "and with Redis back, at once: {}", app.store.name);
    }
}

#[tokio::test]
async fn a_server_starts_without_redis_and_notices_when_it_comes() {
    for app in TestApp::on_every_store().await {
        let Some(redis) = redis().await else { return };
        redis.cut().await;
        let mut here = app.hearing(Some(&redis)).await;
        let there = app.hearing(Some(&redis)).await;
        let (ann, phone) = (app.signed_in("ann").await.at(&there.url), app.signed_in("ann").await.at(&here.url));
        assert!(!is_ended(&phone).await);
        let ready = phone.get("/ready").await;
        assert_eq!((ready.status, &ready.body["status"], &ready.body["checks"]["database"]), (200, &json!("ready"), &json!("ok")));
        assert!(ready.body["checks"]["redis"].as_str().unwrap().starts_with("degraded: "), "{}", ready.text);
        redis.restore().await;
        here.hears().await;
        assert_eq!(phone.get("/ready").await.body["checks"]["redis"], "ok");
        assert_eq!(ann.get("/ready").await.body["checks"]["redis"], "ok");
        ann.revoke(phone.session_id.as_ref().unwrap()).await.succeeds();
        assert!(is_ended_soon(&phone).await, "{}", app.store.name);
    }
}

#[tokio::test]
async fn who_asks_again_and_again_costs_no_statement_of_their_own() {
    for app in TestApp::on_every_store().await {
        let process = app.hearing(None).await;
        let mut clients = Vec::new();
        for name in ["ann", "bob", "cem"] {
            clients.push(app.signed_in(name).await.at(&process.url));
        }
        for client in &clients {
            assert!(!is_ended(client).await);
        }
        let (before, began) = (process.app.statements(), Instant::now());
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            app.pass(chrono::Duration::milliseconds(300));
            for client in &clients {
                assert!(client.ask("{ __typename }").await.body["extensions"]["authentication"].is_null());
            }
        }
        let (spent, rounds) = (process.app.statements() - before, began.elapsed().as_millis() / 400 + 1);
        assert!(u128::from(spent) <= rounds, "{}: {spent} statements in {rounds} rounds, for 30 requests", app.store.name);
        assert!(spent > 3, "{}: they were read again behind their back", app.store.name);
    }
}

#[tokio::test]
async fn with_nobody_asking_nothing_is_read() {
    for app in TestApp::on_every_store().await {
        let process = app.hearing(None).await;
        let ann = app.signed_in("ann").await.at(&process.url);
        assert!(!is_ended(&ann).await);
        app.pass(chrono::Duration::seconds(61));
        tokio::time::sleep(Duration::from_millis(900)).await;
        let before = process.app.statements();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(process.app.statements(), before, "{}", app.store.name);
    }
}

#[tokio::test]
async fn what_is_read_ahead_follows_what_another_process_ended_without_any_signal() {
    for app in TestApp::on_every_store().await {
        // It hears PostgreSQL or nobody; the one that ends the session tells nobody.
        let process = app.hearing(None).await;
        let phone = app.signed_in("ann").await.at(&process.url);
        let ann = app.signed_in("ann").await;
        assert!(!is_ended(&phone).await);
        ann.revoke(phone.session_id.as_ref().unwrap()).await.succeeds();
        assert!(is_ended_soon(&phone).await, "{}: with the clock standing still, only a new reading can tell", app.store.name);
    }
}

/// Reads as the store does, and in bulk only when it is let.
struct Held {
    inner: Arc<dyn SessionReader>,
    asked: Semaphore,
    let_through: Semaphore,
}

#[async_trait]
impl SessionReader for Held {
    async fn find(&self, owner: UserId, id: SessionId) -> anyhow::Result<Option<Session>> {
        self.inner.find(owner, id).await
    }

    async fn find_any_for_admin(&self, id: SessionId) -> anyhow::Result<Option<Session>> {
        self.inner.find_any_for_admin(id).await
    }

    async fn pages_by_owner(&self, owners: &[UserId], page: Page<CreatedKey>) -> anyhow::Result<HashMap<UserId, Slice<Session>>> {
        self.inner.pages_by_owner(owners, page).await
    }

    async fn state_of_any(&self, id: SessionId) -> anyhow::Result<Option<SessionState>> {
        self.inner.state_of_any(id).await
    }

    async fn states_of_any(&self, ids: &[SessionId]) -> anyhow::Result<Vec<SessionState>> {
        let read = self.inner.states_of_any(ids).await?;
        self.asked.add_permits(1);
        self.let_through.acquire().await?.forget();
        Ok(read)
    }

    async fn find_any_token(&self, selector: &str) -> anyhow::Result<Option<RefreshToken>> {
        self.inner.find_any_token(selector).await
    }
}

#[tokio::test]
async fn what_was_read_ahead_before_a_session_ended_is_not_trusted_after_it() {
    for app in TestApp::on_every_store().await {
        let (ann, phone) = (app.signed_in("ann").await, app.signed_in("ann").await);
        let (user, session) = (app.user_id("ann").await, id_or_nothing(phone.session_id.as_ref().unwrap()));
        let held = Arc::new(Held { inner: app.store.database.readers(), asked: Semaphore::new(0), let_through: Semaphore::new(0) });
        let issuer = Arc::new(JwtIssuer::new(&keys(), "http://here", Arc::new(TestRandomness)).unwrap());
        let bus = Arc::new(MemoryBus::new());
        let gate = Arc::new(SessionGate::new(issuer.clone(), held.clone(), app.store.clock.clone(), bus.clone()));
        let (stop, running) = (CancellationToken::new(), gate.clone());
        let _stop = stop.clone().drop_guard();
        tokio::spawn(async move { running.run(stop).await });
        let now = app.store.clock.now();
        let versions = TokenVersions { global: 1, user: 1 };
        let claims = AccessClaims { user, session, role: Role::User, versions, issued_at: now, expires_at: now.plus(chrono::Duration::minutes(15)) };
        let token = issuer.issue(&claims).unwrap();
        assert!(gate.admit(token.expose_secret()).await.is_ok());
        // The reading begins, and sees the session alive; then it ends, is dropped, and seen ended; then the reading comes back.
        held.asked.acquire().await.unwrap().forget();
        ann.revoke(phone.session_id.as_ref().unwrap()).await.succeeds();
        gate.forget(user, session);
        assert!(matches!(gate.admit(token.expose_secret()).await, Err(AuthenticationProblem::SessionEnded)));
        held.let_through.add_permits(1);
        held.asked.acquire().await.unwrap().forget();
        assert!(matches!(gate.admit(token.expose_secret()).await, Err(AuthenticationProblem::SessionEnded)), "{}", app.store.name);
        assert_eq!(bus.lost(), 0);
    }
}

#[tokio::test]
async fn a_broken_reading_ahead_leaves_requests_to_read_for_themselves() {
    for app in TestApp::on_every_store().await {
        let held = Held { inner: app.store.database.readers(), asked: Semaphore::new(0), let_through: Semaphore::new(0) };
        held.let_through.close();
        let held = Arc::new(held);
        let phone = app.signed_in("ann").await;
        let (user, session) = (app.user_id("ann").await, id_or_nothing(phone.session_id.as_ref().unwrap()));
        let issuer = Arc::new(JwtIssuer::new(&keys(), "http://here", Arc::new(TestRandomness)).unwrap());
        let gate = Arc::new(SessionGate::new(issuer.clone(), held.clone(), app.store.clock.clone(), Arc::new(MemoryBus::new())));
        let (stop, running) = (CancellationToken::new(), gate.clone());
        let _stop = stop.clone().drop_guard();
        tokio::spawn(async move { running.run(stop).await });
        let now = app.store.clock.now();
        let versions = TokenVersions { global: 1, user: 1 };
        let claims = AccessClaims { user, session, role: Role::User, versions, issued_at: now, expires_at: now.plus(chrono::Duration::minutes(15)) };
        let token = issuer.issue(&claims).unwrap();
        for _ in 0..3 {
            assert!(gate.admit(token.expose_secret()).await.is_ok());
            held.asked.acquire().await.unwrap().forget();
            app.pass(chrono::Duration::seconds(2));
        }
        let ann = app.signed_in("ann").await;
        ann.revoke(phone.session_id.as_ref().unwrap()).await.succeeds();
        app.pass(chrono::Duration::seconds(1));
        assert!(matches!(gate.admit(token.expose_secret()).await, Err(AuthenticationProblem::SessionEnded)), "{}", app.store.name);
    }
}
