//! Opening the two databases, each as it works best.
//!
//! SQLite: write-ahead log, one connection that writes and a few that may only read; a read that became a write half-way would
//! fail as busy whatever the time-out. PostgreSQL: one pool for both. Statements are never logged: they carry values.

use std::{path::Path, str::FromStr as _, time::Duration};

use anyhow::Context as _;
use sea_orm::{
    DatabaseConnection, SqlxPostgresConnector, SqlxSqliteConnector,
    sqlx::{
        self, ConnectOptions as _, Connection as _,
        postgres::{PgConnectOptions, PgPoolOptions},
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};

use super::error::broken_driver;

/// How long anyone waits for a connection, a new one included, or for SQLite's lock.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How long it may take to find out why nobody connected.
const REASON: Duration = Duration::from_secs(1);

/// How long a writer waits for its turn on SQLite, which has one: longer than all but the largest imports take.
const TURN: Duration = Duration::from_secs(15);

/// Connections to PostgreSQL.
const POSTGRES_CONNECTIONS: u32 = 16;

/// A pooled connection is tried out before use only when it has been idle for this long; trying each costs a round trip a request.
const TRUSTED_IDLE: Duration = Duration::from_secs(10);

/// Connections that read from SQLite.
const SQLITE_READERS: u32 = 4;

/// Rows that SQLite's thread may be ahead of whoever reads them: each hand-over between threads costs more than a row does.
const ROWS_AHEAD: usize = 500;

/// How often, and how far apart, a switch to the write-ahead log is tried: no busy time-out covers it, and another process may be
/// opening the same file.
const WAL_TRIES: u32 = 50;
const WAL_PAUSE: Duration = Duration::from_millis(100);

/// The connection that writes, the one that reads, and how PostgreSQL is reached for more.
type Opened = (DatabaseConnection, DatabaseConnection, Option<PgConnectOptions>);

/// Opens them. The URL may hold a password, so no error repeats it.
pub(super) async fn open(url: &str) -> anyhow::Result<Opened> {
    if url.starts_with("sqlite:") {
        sqlite(url).await
    } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        postgres(url).await
    } else {
        anyhow::bail!("the database URL must begin with sqlite: or postgres:")
    }
}

async fn sqlite(url: &str) -> anyhow::Result<Opened> {
    anyhow::ensure!(!url.contains(":memory:") && !url.contains("mode=memory"), "SQLite needs a file: reader and writer would each have a memory of their own");
    let file = SqliteConnectOptions::from_str(url).map_err(|_| anyhow::anyhow!("the SQLite URL cannot be read"))?;
    create_private(file.get_filename()).await.context("creating the database file")?;
    let options = file
        .create_if_missing(false)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(PATIENCE)
        .row_buffer_size(ROWS_AHEAD)
        .disable_statement_logging();
    let pool = || SqlitePoolOptions::new().acquire_timeout(TURN).test_before_acquire(false).idle_timeout(None).max_lifetime(None);

    // What is deleted is overwritten, or somebody who was erased could be read out of the file's free pages.
    let writing = options.clone().journal_mode(SqliteJournalMode::Wal).pragma("secure_delete", "ON");
    let mut tries = 1;
    let writer = loop {
        match pool().max_connections(1).connect_with(writing.clone()).await {
            Err(sqlx::Error::Database(_)) if tries < WAL_TRIES => tries += 1,
            opened => break opened.map_err(broken_driver("opening the database"))?,
        }
        tokio::time::sleep(WAL_PAUSE).await;
    };
    let reading = options.pragma("query_only", "ON");
    let reader = pool().max_connections(SQLITE_READERS).connect_with(reading).await.map_err(broken_driver("opening the database for reading"))?;
    Ok((SqlxSqliteConnector::from_sqlx_sqlite_pool(writer), SqlxSqliteConnector::from_sqlx_sqlite_pool(reader), None))
}

/// Makes the file, if there is none, so that only its owner reads it; SQLite gives its log and index the same mode.
async fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    match options.open(path).await {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        opened => opened.map(|_| ()),
    }
}

async fn postgres(url: &str) -> anyhow::Result<Opened> {
    let options = PgConnectOptions::from_str(url).map_err(|_| anyhow::anyhow!("the PostgreSQL URL cannot be read"))?;
    let options = options.application_name("dashtam").disable_statement_logging();
    let opened = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .before_acquire(|connection, usage| {
            Box::pin(async move {
                if usage.idle_for >= TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options.clone())
        .await;
    if let Err(sqlx::Error::PoolTimedOut) = opened {
        // It tried all that time, and says only that the time is up.
        reach(&options, REASON).await?;
    }
    let connection = SqlxPostgresConnector::from_sqlx_postgres_pool(opened.map_err(broken_driver(connecting(&options)))?);
    Ok((connection.clone(), connection, Some(options)))
}

/// Connects to PostgreSQL once, and says what is in the way.
pub(super) async fn reach(options: &PgConnectOptions, patience: Duration) -> anyhow::Result<()> {
    let connected = tokio::time::timeout(patience, options.connect()).await;
    let connected = connected.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())));
    connected.map_err(broken_driver(connecting(options)))?.close().await.map_err(broken_driver("closing a connection"))
}

/// What is done while connecting, with the place it is done at and nothing else of the URL.
fn connecting(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => format!("connecting to PostgreSQL at {}", socket.display()),
        None => format!("connecting to PostgreSQL at {}:{}", options.get_host(), options.get_port()),
    }
}
