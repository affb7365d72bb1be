//! Looking at a database without changing it: no file is made, nothing is migrated, no log is folded.

use std::{path::PathBuf, str::FromStr as _};

use ::migration::{MigrationStatus, Migrator, MigratorTrait as _};
use anyhow::Context as _;
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DbBackend, EntityTrait as _, QueryOrder as _, QuerySelect as _, SqlxPostgresConnector, SqlxSqliteConnector,
    Statement,
    sqlx::{
        self, ConnectOptions as _,
        postgres::{PgConnectOptions, PgPoolOptions},
        sqlite::{SqliteConnectOptions, SqlitePoolOptions},
    },
};

use crate::{
    application::ports::Place,
    domain::{
        chain::Standing,
        id::{LinkId, SecondFactorId, UserId},
        outbox::Backlog,
        sync::SyncBacklog,
        time::Timestamp,
    },
};

use super::{
    chain::{last_signer, standing},
    connect::{PATIENCE, reach},
    credential::credentials,
    error::{broken, broken_driver},
    outbox::backlog,
    second_factor::second_factors,
    sync,
};

/// A database that is looked at.
pub struct Inspection {
    connection: DatabaseConnection,
}

/// Something that is sealed, and the one place where it opens.
pub struct Sealed {
    /// Where it belongs.
    pub place: Place,
    /// The envelope.
    pub envelope: Vec<u8>,
}

/// The file of a SQLite URL; `None` for any other.
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let options = url.starts_with("sqlite:").then(|| SqliteConnectOptions::from_str(url).ok())??;
    Some(options.get_filename().to_owned())
}

impl Inspection {
    /// Opens the database of that URL; `None` when it is a file that is not there yet.
    pub async fn open(url: &str) -> anyhow::Result<Option<Self>> {
        if let Some(file) = sqlite_file(url) {
            if !file.try_exists().context("looking for the database file")? {
                return Ok(None);
            }
            // With nobody at work there is no log beside the file, and reading must not make one.
            let mut log = file.clone().into_os_string();
            log.push("-wal");
            let at_rest = !PathBuf::from(log).exists();
            let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(at_rest).busy_timeout(PATIENCE).disable_statement_logging();
            let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_with(options).await;
            let pool = pool.map_err(broken_driver("opening the database"))?;
            // What is no database is found out by the first reading.
            sqlx::query("SELECT 1 FROM sqlite_schema LIMIT 1").execute(&pool).await.map_err(broken_driver("reading the database"))?;
            return Ok(Some(Self { connection: SqlxSqliteConnector::from_sqlx_sqlite_pool(pool) }));
        }
        anyhow::ensure!(url.starts_with("postgres:") || url.starts_with("postgresql:"), "the database URL must begin with sqlite: or postgres:");
        let options = PgConnectOptions::from_str(url).map_err(|_| anyhow::anyhow!("the PostgreSQL URL cannot be read"))?;
        let options = options.application_name("dashtam doctor").disable_statement_logging();
        // A pool tries until its time is up and then says only that; one connection says what is in the way.
        reach(&options, PATIENCE).await?;
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_with(options).await;
        let pool = pool.map_err(broken_driver("connecting to the database"))?;
        Ok(Some(Self { connection: SqlxPostgresConnector::from_sqlx_postgres_pool(pool) }))
    }

    pub(super) fn connection(&self) -> &DatabaseConnection {
        &self.connection
    }

    /// PostgreSQL's version, such as 170002 for 17.2; `None` for the embedded database, which is compiled in.
    pub async fn version(&self) -> anyhow::Result<Option<i32>> {
        self.ask("SELECT current_setting('server_version_num')::integer AS answer").await
    }

    /// What PostgreSQL's clock says; `None` for the embedded database, which has none.
    pub async fn now(&self) -> anyhow::Result<Option<Timestamp>> {
        Ok(self.ask("SELECT clock_timestamp() AS answer").await?.map(Timestamp::new))
    }

    /// Whether anybody is in it. A database without tables has nobody, and one of an older version is asked as well.
    pub async fn has_users(&self) -> anyhow::Result<bool> {
        let tables = match self.connection.get_database_backend() {
            DbBackend::Postgres => "SELECT COUNT(*) AS answer FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'users'",
            _ => "SELECT COUNT(*) AS answer FROM sqlite_schema WHERE type = 'table' AND name = 'users'",
        };
        Ok(self.count(tables).await? > 0 && self.count("SELECT COUNT(*) AS answer FROM (SELECT 1 FROM users LIMIT 1) AS one").await? > 0)
    }

    async fn count(&self, question: &str) -> anyhow::Result<i64> {
        let row = self.connection.query_one_raw(Statement::from_string(self.connection.get_database_backend(), question)).await;
        let row = row.map_err(broken("asking the database"))?.context("the database answered nothing")?;
        row.try_get("", "answer").map_err(broken("reading the database's answer"))
    }

    /// The id of the key that signed the audit trail last; `None` when nothing is signed yet.
    pub async fn last_signer(&self) -> anyhow::Result<Option<String>> {
        last_signer(&self.connection).await
    }

    async fn ask<T: sea_orm::TryGetable>(&self, question: &str) -> anyhow::Result<Option<T>> {
        let backend = self.connection.get_database_backend();
        if backend != DbBackend::Postgres {
            return Ok(None);
        }
        let row = self.connection.query_one_raw(Statement::from_string(backend, question)).await.map_err(broken("asking the database"))?;
        row.context("the database answered nothing")?.try_get("", "answer").map(Some).map_err(broken("reading the database's answer"))
    }

    /// How many migrations are pending, of how many. A database that is ahead of this program is an error that names the migration.
    pub async fn pending(&self) -> anyhow::Result<(usize, usize)> {
        let migrations = Migrator::get_migration_with_status_read_only(&self.connection).await.map_err(broken("reading the state of migrations"))?;
        let pending = migrations.iter().filter(|migration| migration.status() == MigrationStatus::Pending).count();
        Ok((pending, migrations.len()))
    }

    /// What was sealed last, of links and of second factors, `limit` of each at most.
    pub async fn sealed(&self, limit: u64) -> anyhow::Result<Vec<Sealed>> {
        let rows = credentials::Entity::find().order_by_desc(credentials::Column::UpdatedAt).limit(limit).all(&self.connection).await;
        let rows = rows.map_err(broken("reading sealed credentials"))?;
        let of_links = rows.into_iter().map(|row| Sealed { place: Place::credentials(UserId(row.user_id), LinkId(row.link_id)), envelope: row.sealed });
        let rows = second_factors::Entity::find().order_by_desc(second_factors::Column::BegunAt).limit(limit).all(&self.connection).await;
        let rows = rows.map_err(broken("reading sealed second factors"))?;
        let of_factors =
            rows.into_iter().map(|row| Sealed { place: Place::second_factor(UserId(row.user_id), SecondFactorId(row.id)), envelope: row.sealed_secret });
        Ok(of_links.chain(of_factors).collect())
    }

    /// How far the chain over the audit trail has come.
    pub async fn standing(&self) -> anyhow::Result<Standing> {
        standing(&self.connection).await
    }

    /// How much waits in the outbox.
    pub async fn backlog(&self, now: Timestamp) -> anyhow::Result<Vec<Backlog>> {
        backlog(&self.connection, now).await
    }

    /// How many syncs are not done, and which links fail.
    pub async fn syncs(&self, now: Timestamp) -> anyhow::Result<SyncBacklog> {
        sync::backlog(&self.connection, now).await
    }

    /// Closes the connection.
    pub async fn close(self) -> anyhow::Result<()> {
        self.connection.close().await.map_err(broken("closing the database"))
    }
}
