//! The store over a SQL database: SQLite in one file, or PostgreSQL.
//!
//! One file a feature holds its tables, their mapping to the domain, and both its traits: the one inside a unit of work, over
//! `DatabaseWork`, and the one for queries and loaders, over [`Readers`]. What a database error means is decided in
//! `error`, how lists are paged in `page`, how the databases are opened in `connect`.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use ::migration::{MigrationStatus, Migrator, MigratorTrait as _};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
    sqlx::postgres::PgConnectOptions,
};
use tokio::sync::Notify;

use crate::{
    application::{
        chain::{ChainStore, retention::TrailMonths},
        ports::{AuditLog, EventBus, Randomness, Store},
    },
    domain::{erasure::ErasureQueue, failure::Unavailable, mail::MailQueue, schedule::Schedule, sync::SyncQueue, time::Clock},
};

use bus::NotifyWire;
use error::broken;

mod account;
mod agreement;
mod audit;
mod balance;
mod budget;
pub mod bus;
mod chain;
mod change;
mod connect;
mod consent;
mod coverage;
mod credential;
mod email_change;
mod erasure;
mod error;
mod export;
mod holding;
mod import;
pub mod inspection;
pub mod keys;
mod link;
mod live;
mod mail;
mod outbox;
mod page;
mod pause;
mod payload;
mod quantity;
mod schedule;
mod second_factor;
mod security;
mod session;
mod sign_in;
mod sync;
mod transaction;
mod user;
mod value;
mod work;

/// PostgreSQL's advisory lock that processes which start together migrate by, one after the other.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(4918061123000000)";

/// How often another process's migration is waited for on SQLite, five seconds each time.
const MIGRATION_TRIES: u32 = 24;

/// An open database.
pub struct Database {
    store: Arc<DatabaseStore>,
    readers: Arc<Readers>,
    statements: Arc<AtomicU64>,
    /// How PostgreSQL is reached by whoever needs a connection of their own.
    own_line: Option<PgConnectOptions>,
}

/// The side that writes: units of work, the audit trail and the queue.
struct DatabaseStore {
    connection: DatabaseConnection,
    /// For looking whether there is something to write at all.
    reading: DatabaseConnection,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    /// What carries signals, once somebody said.
    bus: OnceLock<Arc<dyn EventBus>>,
    /// Rings when something was put into the outbox here.
    bell: Arc<Notify>,
}

/// The side that reads, for queries and loaders: every feature's reader.
pub struct Readers {
    connection: DatabaseConnection,
}

impl Readers {
    fn backend(&self) -> DbBackend {
        self.connection.get_database_backend()
    }
}

impl DatabaseStore {
    /// Opens a transaction. On SQLite it holds the write lock from the start.
    async fn transaction(&self) -> anyhow::Result<DatabaseTransaction> {
        let options = TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..TransactionOptions::default() };
        self.connection.begin_with_options(options).await.map_err(broken("opening a transaction"))
    }
}

impl Database {
    /// Opens `sqlite:///path?mode=rwc`, `sqlite::path` or `postgres://…`. A SQLite file that is missing is made, readable by its owner
    /// only. Fails with [`Unavailable`] inside the error when the database does not answer within five seconds.
    pub async fn connect(url: &str, clock: Arc<dyn Clock>, randomness: Arc<dyn Randomness>) -> anyhow::Result<Self> {
        let (writer, mut reader, own_line) = connect::open(url).await?;
        let statements = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&statements);
        reader.set_metric_callback(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let store = Arc::new(DatabaseStore { connection: writer, reading: reader.clone(), clock, randomness, bus: OnceLock::new(), bell: Arc::default() });
        Ok(Self { store, readers: Arc::new(Readers { connection: reader }), statements, own_line })
    }

    /// Where data changes.
    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// Tells this bus what is committed from now on. Only the first one that is named is told.
    pub fn tell(&self, bus: Arc<dyn EventBus>) {
        // A second one is one that somebody composes over the same database by mistake; the first goes on.
        let _known = self.store.bus.set(bus);
    }

    /// The audit trail.
    pub fn audit_log(&self) -> Arc<dyn AuditLog> {
        self.store.clone()
    }

    /// The chain over the audit trail.
    pub fn chain_store(&self) -> Arc<dyn ChainStore> {
        self.store.clone()
    }

    /// The months of the audit trail.
    pub fn trail_months(&self) -> Arc<dyn TrailMonths> {
        self.store.clone()
    }

    /// The queue workers take syncs from.
    pub fn sync_queue(&self) -> Arc<dyn SyncQueue> {
        self.store.clone()
    }

    /// What is to be done by itself.
    pub fn schedule(&self) -> Arc<dyn Schedule> {
        self.store.clone()
    }

    /// The outbox couriers take mails from.
    pub fn mail_queue(&self) -> Arc<dyn MailQueue> {
        self.store.clone()
    }

    /// Rings when this process has put something into the outbox; other processes do so as well, and ring elsewhere.
    pub fn mail_bell(&self) -> Arc<Notify> {
        Arc::clone(&self.store.bell)
    }

    /// The erasures workers carry out.
    pub fn erasure_queue(&self) -> Arc<dyn ErasureQueue> {
        self.store.clone()
    }

    /// Every feature's reader.
    pub fn readers(&self) -> Arc<Readers> {
        Arc::clone(&self.readers)
    }

    /// What carries signals to other processes on the same database, where it can.
    pub fn wire(&self) -> Option<NotifyWire> {
        let options = self.own_line.clone()?;
        Some(NotifyWire { connection: self.store.connection.clone(), options })
    }

    /// How many statements the readers have run, so that a test can tell one from many.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Applies all pending migrations in one transaction: all of them, or none. Processes that start together take turns. With nothing to
    /// apply it takes no right over the schema.
    pub async fn migrate_up(&self) -> anyhow::Result<()> {
        if self.pending().await? == 0 {
            return Ok(());
        }
        let transaction = self.migration().await?;
        Migrator::up(&transaction, None).await.map_err(broken("applying migrations"))?;
        transaction.commit().await.map_err(broken("committing migrations"))
    }

    /// Takes back the last `steps` migrations with all they hold.
    pub async fn migrate_down(&self, steps: u32) -> anyhow::Result<()> {
        let transaction = self.migration().await?;
        Migrator::down(&transaction, Some(steps)).await.map_err(broken("taking back migrations"))?;
        transaction.commit().await.map_err(broken("committing migrations"))
    }

    /// Every migration this program knows, in order, and whether it is applied. Writes nothing.
    pub async fn status(&self) -> anyhow::Result<Vec<(String, bool)>> {
        let migrations = Migrator::get_migration_with_status_read_only(&self.readers.connection).await.map_err(broken("reading the state of migrations"))?;
        Ok(migrations.iter().map(|migration| (migration.name().to_owned(), migration.status() == MigrationStatus::Applied)).collect())
    }

    /// How many migrations are not applied yet.
    pub async fn pending(&self) -> anyhow::Result<usize> {
        Ok(self.status().await?.iter().filter(|(_, applied)| !applied).count())
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> anyhow::Result<()> {
        self.readers.connection.ping().await.map_err(broken("asking whether the database answers"))
    }

    /// Closes every connection, once those in use have come back. Readers go first, so that SQLite's writer folds the log into the file.
    pub async fn close(&self) -> anyhow::Result<()> {
        self.readers.connection.close_by_ref().await.map_err(broken("closing the readers"))?;
        self.store.connection.close_by_ref().await.map_err(broken("closing the writer"))
    }

    /// A transaction that no other process migrates beside.
    async fn migration(&self) -> anyhow::Result<DatabaseTransaction> {
        let mut tries = 1;
        let transaction = loop {
            match self.store.transaction().await {
                Err(error) if tries < MIGRATION_TRIES && error.downcast_ref::<Unavailable>().is_some() => tries += 1,
                begun => break begun?,
            }
        };
        if transaction.get_database_backend() == DbBackend::Postgres {
            transaction.execute_unprepared(MIGRATION_LOCK).await.map_err(broken("waiting for another process's migrations"))?;
        }
        Ok(transaction)
    }
}
