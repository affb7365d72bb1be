//! The whole product over a fresh store: composed as the binary composes it, listening on a free port, with a clock the test moves and a
//! worker that runs when the test says so.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use dashtam::{
    app::{App, Surroundings},
    application::{
        access::Requester,
        ports::{Authorizer, EventBus, FinancialProvider, Heard, Signals, Work},
        user::{AssignRole, CreateUser, Whom},
    },
    config::{Config, Environment},
    domain::{
        audit::Act,
        id::UserId,
        sync::{Sync, SyncReader as _},
        user::{Role, SessionTier, User},
    },
    infrastructure::{
        database::Database,
        memory::bus::MemoryBus,
        security::{
            keys::{Keys, KeysInForce},
            policy::{POLICY, PolarPolicy},
        },
    },
    presentation::graphql::global_id::id_or_nothing,
};
use futures_util::StreamExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use super::{
    bank::ScriptedBank,
    client::Client,
    clock::TestRandomness,
    redis::TestRedis,
    stores::{TestStore, every_store, open},
};

/// The password of every test user.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Where a test's frontend lives; on the allow-list.
pub(crate) const FRONTEND: &str = "https://app.example/linked";

/// One server over one store.
pub(crate) struct TestApp {
    /// Below it.
    pub(crate) store: TestStore,
    /// The product.
    pub(crate) app: App,
    /// Where it listens.
    pub(crate) url: String,
    /// A bank that answers as a test wants; the provider `scripted`.
    pub(crate) bank: Arc<ScriptedBank>,
    /// The keys in force in it.
    pub(crate) keys: KeysInForce,
    /// Its data folder.
    pub(crate) data: tempfile::TempDir,
}

impl TestApp {
    /// One over every kind of store there is here.
    pub(crate) async fn on_every_store() -> Vec<Self> {
        Self::with_policy(POLICY).await
    }

    /// The same under another policy.
    pub(crate) async fn with_policy(policy: &str) -> Vec<Self> {
        let mut apps = Vec::new();
        for store in every_store().await {
            apps.push(Self::over(store, policy).await);
        }
        apps
    }

    /// One over every kind of store, reached by browsers through `public_url`.
    pub(crate) async fn behind(public_url: &str) -> Vec<Self> {
        Self::configured(|config| config.public_url = Some(public_url.parse().unwrap())).await
    }

    /// One over every kind of store, configured otherwise.
    pub(crate) async fn configured(change: impl Fn(&mut Config)) -> Vec<Self> {
        let mut apps = Vec::new();
        for store in every_store().await {
            apps.push(Self::listening(store, Arc::new(PolarPolicy::read(POLICY).unwrap()), &change).await);
        }
        apps
    }

    /// The same under an authorizer of the test's own.
    pub(crate) async fn with_authorizer(authorizer: Arc<dyn Authorizer>) -> Vec<Self> {
        let mut apps = Vec::new();
        for store in every_store().await {
            apps.push(Self::listening(store, authorizer.clone(), |_| {}).await);
        }
        apps
    }

    /// One over every kind of store, whose answers that must not tell anything take at least `unhurried`.
    pub(crate) async fn unhurried(unhurried: Duration) -> Vec<Self> {
        let mut apps = Vec::new();
        for store in every_store().await {
            apps.push(Self::paced(store, Arc::new(PolarPolicy::read(POLICY).unwrap()), |_| {}, unhurried).await);
        }
        apps
    }

    /// One over `store`, listening.
    pub(crate) async fn over(store: TestStore, policy: &str) -> Self {
        Self::listening(store, Arc::new(PolarPolicy::read(policy).unwrap()), |_| {}).await
    }

    async fn listening(store: TestStore, authorizer: Arc<dyn Authorizer>, change: impl FnOnce(&mut Config)) -> Self {
        Self::paced(store, authorizer, change, Duration::ZERO).await
    }

    async fn paced(store: TestStore, authorizer: Arc<dyn Authorizer>, change: impl FnOnce(&mut Config), unhurried: Duration) -> Self {
        let data = tempfile::tempdir().unwrap();
        let bank = Arc::new(ScriptedBank::default());
        let mut config = config(data.path());
        change(&mut config);
        let keys = keys();
        let (app, url) = serve(&store, store.database.clone(), &config, &keys, (authorizer, unhurried, Some(alone())), bank.clone()).await;
        Self { store, app, url, bank, keys, data }
    }

    /// A second process over the same database: another pool, another gate, the same address to clients. Answers where it listens.
    pub(crate) async fn second_process(&self) -> String {
        let database = Arc::new(open(&self.store.url, &self.store.clock).await.unwrap());
        let config = Config { public_url: Some(Url::parse(&self.url).unwrap()), ..config(self.data.path()) };
        let keys = self.same_keys();
        serve(&self.store, database, &config, &keys, (Arc::new(PolarPolicy::read(POLICY).unwrap()), Duration::ZERO, Some(alone())), self.bank.clone()).await.1
    }

    /// A process over the same database that hears others by what is configured: `redis`, else PostgreSQL, else not at all.
    pub(crate) async fn hearing(&self, redis: Option<&TestRedis>) -> Process {
        self.hearing_with(redis, |_| {}).await
    }

    /// The same, configured otherwise.
    pub(crate) async fn hearing_with(&self, redis: Option<&TestRedis>, change: impl FnOnce(&mut Config)) -> Process {
        let database = Arc::new(open(&self.store.url, &self.store.clock).await.unwrap());
        let mut config = Config { public_url: Some(Url::parse(&self.url).unwrap()), ..config(self.data.path()) };
        if let Some(redis) = redis {
            config.redis_url = Some(redis.url.clone().into());
            config.redis_prefix.clone_from(&redis.prefix);
        }
        change(&mut config);
        let manners: Manners = (Arc::new(PolarPolicy::read(POLICY).unwrap()), Duration::ZERO, None);
        let (app, url) = serve(&self.store, database, &config, &self.same_keys(), manners, self.bank.clone()).await;
        let (heard, stop) = (app.bus.subscribe(), CancellationToken::new());
        tokio::spawn(app.hear(stop.clone()));
        Process { app, url, heard, _stop: stop.drop_guard() }
    }

    /// A second process over the same store and bank, with connections of its own. It works; it does not listen.
    pub(crate) async fn beside(&self) -> App {
        self.beside_as(|_| {}).await
    }

    /// The same, configured otherwise.
    pub(crate) async fn beside_as(&self, change: impl FnOnce(&mut Config)) -> App {
        let database = Arc::new(open(&self.store.url, &self.store.clock).await.unwrap());
        let mut config = Config { environment: Environment::Production, ..Config::default() };
        change(&mut config);
        let listening = self.url.trim_start_matches("http://").parse().unwrap();
        compose(
            &self.store,
            database,
            &config,
            (listening, &self.same_keys()),
            (Arc::new(PolarPolicy::read(POLICY).unwrap()), Duration::ZERO, Some(alone())),
            self.bank.clone(),
        )
    }

    /// The keys in force here, in another process that learns of others by itself.
    fn same_keys(&self) -> KeysInForce {
        KeysInForce::new((*self.keys.now()).clone())
    }

    /// The address of the user called `name`.
    pub(crate) fn email(name: &str) -> String {
        format!("{name}@example.com")
    }

    /// A new user who is not signed in.
    pub(crate) async fn user(&self, name: &str) -> Client<'_> {
        let command = CreateUser {
            requester: Requester::command_line(None),
            email: Self::email(name),
            password: PASSWORD.to_owned(),
            role: Role::User,
            tier: SessionTier::Pro,
        };
        self.app.application.users.create(command).await.unwrap();
        self.nobody()
    }

    /// A user, made if there is none of that name, signed in on a new device.
    pub(crate) async fn signed_in(&self, name: &str) -> Client<'_> {
        if self.app.application.user_queries.find_any_for_operator(&Self::email(name)).await.is_err() {
            self.user(name).await;
        }
        let mut client = self.nobody();
        client.sign_in(&Self::email(name), PASSWORD).await.succeeds();
        client
    }

    /// The stored user called `name`.
    pub(crate) async fn stored_user(&self, name: &str) -> User {
        self.app.application.user_queries.find_any_for_operator(&Self::email(name)).await.unwrap()
    }

    /// Gives a user another role.
    pub(crate) async fn promote(&self, name: &str, role: Role) {
        let command = AssignRole { requester: Requester::command_line(None), user: Whom::Address(Self::email(name)), role };
        self.app.application.users.assign_role(command).await.unwrap();
    }

    /// A client without a token.
    pub(crate) fn nobody(&self) -> Client<'_> {
        Client::new(self)
    }

    /// Runs queued syncs until none waits; answers how many.
    pub(crate) async fn work(&self) -> usize {
        let mut ran = 0;
        while self.app.engine.run_next().await.unwrap() {
            ran += 1;
        }
        ran
    }

    /// Looks once for what is due; answers how many syncs it queued.
    pub(crate) async fn look(&self) -> usize {
        self.app.timekeeper.scheduler.queue_due(&CancellationToken::new()).await.unwrap()
    }

    /// Does what is due about consents; answers how many links that ended and users it warned.
    pub(crate) async fn strike(&self) -> usize {
        self.app.timekeeper.consents.strike_due(&CancellationToken::new()).await.unwrap()
    }

    /// Renews tokens that are due; answers how many it tried.
    pub(crate) async fn renew(&self) -> usize {
        self.app.timekeeper.renewer.renew_due(&CancellationToken::new()).await.unwrap()
    }

    /// Delivers queued mails until none waits; answers how many.
    pub(crate) async fn deliver(&self) -> usize {
        let mut delivered = 0;
        while self.app.courier.deliver_next().await.unwrap() {
            delivered += 1;
        }
        delivered
    }

    /// The mails that were delivered, latest first, as `/dev/mail` tells them.
    pub(crate) async fn mails(&self) -> Vec<serde_json::Value> {
        self.deliver().await;
        let nobody = self.nobody();
        let answer = nobody.send(nobody.request(reqwest::Method::GET, "/dev/mail").header("accept", "application/json")).await;
        answer.body.as_array().unwrap().clone()
    }

    /// Runs one queued sync in a task of its own, as a worker that the test may leave in the middle.
    pub(crate) fn worker(&self) -> tokio::task::JoinHandle<bool> {
        let engine = self.app.engine.clone();
        tokio::spawn(async move { engine.run_next().await.unwrap() })
    }

    /// Keeps the database from writing anything of a user's for longer than anyone waits for SQLite's lock; on PostgreSQL it is the user's turn that
    /// has to be waited for. `then` is done once it is away, and it is back when the answer is dropped.
    pub(crate) async fn away(&self, name: &str, then: impl FnOnce()) -> (App, Box<dyn Work>) {
        let other = self.beside().await;
        let owner = self.user_id(name).await;
        let attempt = other.engine.journal.attempt(&Requester::worker(owner), Act::SyncLink).await.unwrap();
        let mut work = other.engine.store.begin(&attempt).await.unwrap();
        work.accounts().take_turn(owner).await.unwrap();
        then();
        tokio::time::sleep(Duration::from_secs(7)).await;
        (other, work)
    }

    /// Lets time pass, and signs in again since access tokens do not last.
    pub(crate) async fn later(&self, span: chrono::Duration, name: &str) -> Client<'_> {
        self.pass(span);
        self.signed_in(name).await
    }

    /// The id of the user called `name`.
    pub(crate) async fn user_id(&self, name: &str) -> UserId {
        self.app.application.user_queries.find_any_for_operator(&Self::email(name)).await.unwrap().id
    }

    /// The youngest sync of a link of the user called `name`, as stored.
    pub(crate) async fn last_sync(&self, name: &str, link: &str) -> Sync {
        let owner = self.user_id(name).await;
        self.store.database.readers().latest_of(owner, &[id_or_nothing(link)]).await.unwrap().pop().unwrap()
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, span: chrono::Duration) {
        self.store.clock.pass(span);
    }

    /// How many rows a table holds.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        self.store.query(&format!("SELECT COUNT(*) AS n FROM {table}")).await[0].try_get("", "n").unwrap()
    }

    /// The audit trail as (act, outcome, reason), oldest first.
    pub(crate) async fn trail(&self) -> Vec<(String, String, Option<String>)> {
        let rows = self.store.query("SELECT act, outcome, reason FROM audit_events ORDER BY id").await;
        rows.iter().map(|row| (row.try_get("", "act").unwrap(), row.try_get("", "outcome").unwrap(), row.try_get("", "reason").unwrap())).collect()
    }

    /// Every outcome of `act` on the trail, oldest first, with its reason.
    pub(crate) async fn outcomes(&self, act: &str) -> Vec<(String, Option<String>)> {
        let ended = self.trail().await.into_iter().filter(|(found, outcome, _)| found == act && outcome != "attempted");
        ended.map(|(_, outcome, reason)| (outcome, reason)).collect()
    }

    /// Asserts that every attempt on the trail has exactly one outcome.
    pub(crate) async fn every_attempt_ended_once(&self) {
        let uneven = "SELECT COUNT(*) AS n FROM (SELECT attempt_id FROM audit_events GROUP BY attempt_id \
                      HAVING COUNT(*) <> 2 OR SUM(CASE WHEN outcome = 'attempted' THEN 1 ELSE 0 END) <> 1) AS uneven";
        assert_eq!(self.store.query(uneven).await[0].try_get::<i64>("", "n").unwrap(), 0, "{}: {:?}", self.store.name, self.trail().await);
    }

    /// Asserts how many rows each table holds.
    pub(crate) async fn holds(&self, expected: &[(&str, i64)]) {
        for (table, rows) in expected {
            assert_eq!(self.count(table).await, *rows, "rows in {table}, {}", self.store.name);
        }
    }

    /// The last outcome of `act` on the trail, with its reason.
    pub(crate) async fn last_outcome(&self, act: &str) -> (String, Option<String>) {
        let trail = self.trail().await;
        let found = trail.into_iter().rfind(|(found, outcome, _)| found == act && outcome != "attempted");
        found.map_or_else(|| panic!("{act} has no outcome on the trail"), |(_, outcome, reason)| (outcome, reason))
    }
}

/// Signs every test's access tokens.
pub(crate) const TOKEN_SECRET: &str = "a token secret of thirty-two bytes or more";

/// Keys that are the same in every test.
pub(crate) fn keys() -> KeysInForce {
    let ring = format!("t1:{}", "A".repeat(43) + "=");
    KeysInForce::new(Keys::read(&ring.into(), &TOKEN_SECRET.into(), None).unwrap())
}

fn config(data_dir: &Path) -> Config {
    let mut config = Config { environment: Environment::Development, data_dir: data_dir.to_owned(), ..Config::default() };
    config.passwords.cost = 4;
    // Tests sign in from one address, many times a minute.
    config.rate_limits.enabled = false;
    config.links.return_urls = vec!["https://app.example".to_owned()];
    config
}

/// What decides who may do what, how long answers take at least that must not tell anything, and what carries signals if not what is configured.
type Manners = (Arc<dyn Authorizer>, Duration, Option<Arc<dyn EventBus>>);

/// Signals that stay in their process: others follow when time passes, and a test's statements are its own.
fn alone() -> Arc<dyn EventBus> {
    Arc::new(MemoryBus::new())
}

/// A process that hears others and reads ahead, as one that serves does, until this is dropped.
pub(crate) struct Process {
    /// The product in it.
    pub(crate) app: App,
    /// Where it listens.
    pub(crate) url: String,
    heard: Signals,
    _stop: DropGuard,
}

impl Process {
    /// Waits until it hears others, from the start or again.
    pub(crate) async fn hears(&mut self) {
        let connected = async { while self.heard.next().await.unwrap() != Heard::Missed {} };
        tokio::time::timeout(Duration::from_secs(20), connected).await.unwrap();
    }
}

/// Composes the product over `database` and lets it listen on a free port.
async fn serve(store: &TestStore, database: Arc<Database>, config: &Config, keys: &KeysInForce, manners: Manners, bank: Arc<ScriptedBank>) -> (App, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listening = listener.local_addr().unwrap();
    let app = compose(store, database, config, (listening, keys), manners, bank);
    tokio::spawn(app.answer(listener, CancellationToken::new()));
    (app, format!("http://{listening}"))
}

fn compose(
    store: &TestStore,
    database: Arc<Database>,
    config: &Config,
    (listening, keys): (SocketAddr, &KeysInForce),
    (authorizer, unhurried, bus): Manners,
    bank: Arc<ScriptedBank>,
) -> App {
    let [by_key, by_token] = bank.by_hand();
    let providers: Vec<Arc<dyn FinancialProvider>> = vec![bank, Arc::new(by_key), Arc::new(by_token)];
    let surroundings = Surroundings { clock: store.clock.clone(), randomness: Arc::new(TestRandomness), authorizer, providers, unhurried, bus };
    App::compose(config, listening, keys, database, surroundings).unwrap()
}
