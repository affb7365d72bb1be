//! A fresh database of each kind for a test: a SQLite file always, PostgreSQL when `TEST_DATABASE_URL` names a server whose role may
//! create databases.
//!
//! Both come from a template migrated once: the file's bytes are kept, the PostgreSQL database is copied by the server. A copy is
//! dropped with its [`TestStore`], the template with the last copy; no session stays open on it.

use std::{
    io::Write as _,
    sync::{Arc, Once, Weak},
};

use dashtam::{
    application::{
        access::Requester,
        audit::{Attempt, Journal},
        ports::{Randomness as _, Work},
    },
    domain::{audit::Act, event::Event, id::UserId, user::Role},
    infrastructure::database::Database,
};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DbErr, ExecResult, QueryResult, Statement,
    sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection},
};
use tokio::sync::{Mutex, OnceCell};
use url::Url;

use super::clock::{TestClock, TestRandomness};

/// One migrated, empty database of one kind.
pub(crate) struct TestStore {
    /// `SQLite` or `PostgreSQL`, for messages.
    pub(crate) name: &'static str,
    /// The database under test.
    pub(crate) database: Arc<Database>,
    /// Where it is, for a second handle.
    pub(crate) url: String,
    /// Its clock.
    pub(crate) clock: Arc<TestClock>,
    /// A connection of the test's own, for what the product never does.
    raw: OnceCell<DatabaseConnection>,
    _place: Place,
}

/// What holds the data, and goes with the store.
enum Place {
    Folder { _folder: tempfile::TempDir },
    Server { _copy: ServerDatabase, _template: Arc<ServerDatabase> },
}

/// A fresh store of every kind there is here.
pub(crate) async fn every_store() -> Vec<TestStore> {
    let mut stores = vec![sqlite().await];
    match std::env::var("TEST_DATABASE_URL") {
        Ok(server) => stores.push(postgres(&server).await),
        Err(_) => say_once_that_postgres_is_skipped(),
    }
    stores
}

#[expect(clippy::explicit_write, reason = "the test harness keeps to itself what passing tests print by a macro")]
fn say_once_that_postgres_is_skipped() {
    static SAID: Once = Once::new();
    SAID.call_once(|| writeln!(std::io::stderr(), "SKIPPED PostgreSQL: set TEST_DATABASE_URL or run make test").unwrap());
}

/// Opens a database with a clock and randomness of the test's.
pub(crate) async fn open(url: &str, clock: &Arc<TestClock>) -> anyhow::Result<Database> {
    Database::connect(url, clock.clone(), Arc::new(TestRandomness)).await
}

async fn sqlite() -> TestStore {
    static TEMPLATE: OnceCell<Vec<u8>> = OnceCell::const_new();
    let clock = Arc::new(TestClock::new());
    let template = TEMPLATE.get_or_init(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("template.db");
        let database = open(&format!("sqlite://{}?mode=rwc", path.display()), &Arc::new(TestClock::new())).await.unwrap();
        database.migrate_up().await.unwrap();
        database.close().await.unwrap();
        std::fs::read(path).unwrap()
    });
    let template = template.await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    std::fs::write(&path, template).unwrap();
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let database = open(&url, &clock).await.unwrap();
    TestStore { name: "SQLite", database: Arc::new(database), url, clock, raw: OnceCell::new(), _place: Place::Folder { _folder: folder } }
}

async fn postgres(server: &str) -> TestStore {
    static TEMPLATE: Mutex<Weak<ServerDatabase>> = Mutex::const_new(Weak::new());
    let clock = Arc::new(TestClock::new());
    let template = {
        let mut shared = TEMPLATE.lock().await;
        if let Some(template) = shared.upgrade() {
            template
        } else {
            let template = Arc::new(ServerDatabase::create(server, None).await);
            let database = open(&template.url(), &clock).await.unwrap();
            database.migrate_up().await.unwrap();
            database.close().await.unwrap();
            *shared = Arc::downgrade(&template);
            template
        }
    };
    let copy = ServerDatabase::create(server, Some(&template.name)).await;
    let url = copy.url();
    let database = open(&url, &clock).await.unwrap();
    TestStore { name: "PostgreSQL", database: Arc::new(database), url, clock, raw: OnceCell::new(), _place: Place::Server { _copy: copy, _template: template } }
}

/// A database on a server, dropped with this value.
pub(crate) struct ServerDatabase {
    server: String,
    name: String,
}

impl ServerDatabase {
    /// An empty one, or a copy of `template`. The name is unique, so that test runs beside each other share nothing.
    pub(crate) async fn create(server: &str, template: Option<&str>) -> Self {
        let name = format!("dashtam_test_{}", TestRandomness.id().simple());
        let mut admin = PgConnection::connect(server).await.unwrap();
        let template = template.unwrap_or("template0");
        admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE {template}"))).await.unwrap();
        admin.close().await.unwrap();
        Self { server: server.to_owned(), name }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        let mut url = Url::parse(&self.server).unwrap();
        url.set_path(&self.name);
        url.into()
    }
}

impl Drop for ServerDatabase {
    /// Blocks, on a thread of its own: the test's runtime may be on its way out.
    fn drop(&mut self) {
        let (server, statement) = (self.server.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        let dropping = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                let mut admin = PgConnection::connect(&server).await.unwrap();
                admin.execute(AssertSqlSafe(statement)).await.unwrap();
            });
        });
        // A panic here would hide the test's own.
        let _ = dropping.join();
    }
}

impl TestStore {
    /// Begins an attempt of the operator's.
    pub(crate) async fn attempt(&self) -> Attempt {
        self.attempt_through(&self.database).await.unwrap()
    }

    /// Opens a unit of work.
    pub(crate) async fn begin(&self) -> Box<dyn Work> {
        let attempt = self.attempt().await;
        self.database.store().begin(&attempt).await.unwrap()
    }

    /// Begins an attempt through another handle of the same database, as a second process would.
    pub(crate) async fn attempt_through(&self, database: &Database) -> anyhow::Result<Attempt> {
        let journal = Journal::new(database.audit_log(), self.clock.clone(), Arc::new(TestRandomness));
        journal.attempt(&Requester::command_line(None), Act::CreateUser).await
    }

    /// Whether this is PostgreSQL.
    pub(crate) fn is_postgres(&self) -> bool {
        self.name == "PostgreSQL"
    }

    /// Runs a statement of the test's own, beside the product.
    pub(crate) async fn execute(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.raw().await.execute_unprepared(sql).await
    }

    /// Reads rows of the test's own, beside the product.
    pub(crate) async fn query(&self, sql: &str) -> Vec<QueryResult> {
        let raw = self.raw().await;
        raw.query_all_raw(Statement::from_string(raw.get_database_backend(), sql)).await.unwrap()
    }

    /// From now on nothing can be committed as a success.
    pub(crate) async fn refuse_successes(&self) {
        let refuse: &[&str] = if self.is_postgres() {
            &[
                "CREATE FUNCTION refuse_success() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no success'; END $$",
                "CREATE TRIGGER refuse_success BEFORE INSERT ON audit_events FOR EACH ROW WHEN (NEW.outcome = 'succeeded') EXECUTE FUNCTION refuse_success()",
            ]
        } else {
            &["CREATE TRIGGER refuse_success BEFORE INSERT ON audit_events WHEN NEW.outcome = 'succeeded' BEGIN SELECT RAISE(ABORT, 'no success'); END"]
        };
        for statement in refuse {
            self.execute(statement).await.unwrap();
        }
    }

    /// Takes that back.
    pub(crate) async fn accept_successes(&self) {
        let accept = if self.is_postgres() { "DROP TRIGGER refuse_success ON audit_events" } else { "DROP TRIGGER refuse_success" };
        self.execute(accept).await.unwrap();
    }

    /// Whether any byte of what is stored spells `needle`: the whole file on SQLite, every row of every table on PostgreSQL.
    pub(crate) async fn spells(&self, needle: &str) -> bool {
        if let Some(path) = self.url.strip_prefix("sqlite://").and_then(|url| url.split('?').next()) {
            let files = [path.to_owned(), format!("{path}-wal")].into_iter().filter_map(|file| std::fs::read(file).ok());
            return files.into_iter().any(|bytes| bytes.windows(needle.len()).any(|window| window == needle.as_bytes()));
        }
        let hex = needle.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        for table in self.tables().await {
            let rows = self.query(&format!("SELECT 1 FROM {table} AS r WHERE r::text LIKE '%{needle}%' OR r::text LIKE '%{hex}%' LIMIT 1")).await;
            if !rows.is_empty() {
                return true;
            }
        }
        false
    }

    /// Every row of a table as text, sorted: equal before and after means that nothing changed.
    pub(crate) async fn contents(&self, table: &str) -> Vec<String> {
        let row = if self.is_postgres() {
            "r::text".to_owned()
        } else {
            let columns = self.query(&format!("SELECT name FROM pragma_table_info('{table}')")).await;
            let quoted: Vec<_> = columns.iter().map(|column| format!("quote({})", column.try_get::<String>("", "name").unwrap())).collect();
            quoted.join(" || ',' || ")
        };
        let rows = self.query(&format!("SELECT {row} AS line FROM {table} AS r")).await;
        let mut lines: Vec<String> = rows.iter().map(|row| row.try_get("", "line").unwrap()).collect();
        lines.sort();
        lines
    }

    /// An id as this database writes it.
    pub(crate) fn literal(&self, id: uuid::Uuid) -> String {
        if self.is_postgres() { format!("'{id}'::uuid") } else { format!("x'{}'", id.simple()) }
    }

    /// Every table of ours with its columns; of PostgreSQL's partitions only the whole.
    pub(crate) async fn columns(&self) -> Vec<(String, Vec<String>)> {
        let sql = if self.is_postgres() {
            "SELECT c.relname::text AS tab, a.attname::text AS col FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
             WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, a.attnum"
        } else {
            "SELECT m.name AS tab, c.name AS col FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY 1, c.cid"
        };
        let mut tables: Vec<(String, Vec<String>)> = Vec::new();
        for row in self.query(sql).await {
            let (table, column): (String, String) = (row.try_get("", "tab").unwrap(), row.try_get("", "col").unwrap());
            match tables.last_mut().filter(|(name, _)| *name == table) {
                Some((_, columns)) => columns.push(column),
                None => tables.push((table, vec![column])),
            }
        }
        tables
    }

    async fn tables(&self) -> Vec<String> {
        let tables = self.query("SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'").await;
        tables.iter().map(|table| table.try_get("", "name").unwrap()).collect()
    }

    async fn raw(&self) -> &DatabaseConnection {
        self.raw.get_or_init(|| async { sea_orm::Database::connect(&self.url).await.unwrap() }).await
    }
}

/// Commits a unit of work.
pub(crate) async fn commit(work: Box<dyn Work>) {
    let user = UserId(TestRandomness.id());
    work.succeed(Event::UserCreated { user, role: Role::User }).await.unwrap();
}
