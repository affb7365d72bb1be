//! What a database error means: decided here, once.
//!
//! A database that is busy, full or gone is [`Unavailable`] inside the error; everything else is simply broken. The text names codes,
//! constraints and columns, never a value of a row and never the URL: it goes to a log.

use std::fmt::Display;

use sea_orm::{
    DbErr, RuntimeErr,
    sqlx::{self, error::DatabaseError},
};

use crate::domain::failure::Unavailable;

/// The error of something that failed while `doing` it.
pub(super) fn broken(doing: &'static str) -> impl FnOnce(DbErr) -> anyhow::Error {
    move |error| classify(&error).context(doing)
}

/// The same for what is asked of the driver itself.
pub(super) fn broken_driver(doing: impl Display + Send + Sync + 'static) -> impl FnOnce(sqlx::Error) -> anyhow::Error {
    move |error| classify_driver(&error).context(doing)
}

fn classify(error: &DbErr) -> anyhow::Error {
    match error {
        DbErr::ConnectionAcquire(_) => unavailable("no connection became free in time".to_owned()),
        DbErr::Conn(RuntimeErr::SqlxError(error)) | DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            classify_driver(error)
        }
        // The migrator's own words: names of migrations.
        DbErr::Custom(text) | DbErr::Migration(text) => anyhow::anyhow!("{text}"),
        _ => anyhow::anyhow!("the answer of the database could not be read"),
    }
}

fn classify_driver(error: &sqlx::Error) -> anyhow::Error {
    match error {
        sqlx::Error::PoolTimedOut => unavailable("no connection became free in time".to_owned()),
        sqlx::Error::PoolClosed => unavailable("the database is closed".to_owned()),
        // A kind says nothing of what the system has no kind for, such as a name that cannot be looked up.
        sqlx::Error::Io(error) if error.get_ref().is_some() => unavailable(format!("the connection broke: {error}")),
        sqlx::Error::Io(error) => unavailable(format!("the connection broke: {}", error.kind())),
        sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed => unavailable("the connection broke".to_owned()),
        sqlx::Error::Database(error) if is_passing(error.as_ref()) => unavailable(describe(error.as_ref())),
        sqlx::Error::Database(error) => anyhow::anyhow!("{}", describe(error.as_ref())),
        sqlx::Error::ColumnNotFound(name) => anyhow::anyhow!("the database has no column {name}"),
        sqlx::Error::ColumnDecode { index, .. } => anyhow::anyhow!("column {index} could not be decoded"),
        // What stands in front of a database that is gone takes connections and says nothing.
        sqlx::Error::Protocol(_) => unavailable("the connection broke: what answered is no database".to_owned()),
        sqlx::Error::Tls(_) => unavailable("no TLS connection could be made".to_owned()),
        _ => anyhow::anyhow!("the driver of the database failed"),
    }
}

fn unavailable(why: String) -> anyhow::Error {
    anyhow::Error::new(Unavailable { part: "database", retry_after: 1 }).context(why)
}

/// Whether the same statement may succeed a moment later.
///
/// PostgreSQL (appendix A of its manual): class 08 connection, 53 resources, 57P0x shutdown, 40 rolled back for another's sake,
/// 55P03 lock. SQLite: `SQLITE_BUSY` (5) and `SQLITE_LOCKED` (6) with their extended codes, whose low byte is the primary one.
fn is_passing(error: &dyn DatabaseError) -> bool {
    let code = error.code().unwrap_or_default();
    match (is_sqlite(error), code.parse::<u32>()) {
        (true, Ok(extended)) => matches!(extended & 0xff, 5 | 6),
        (true, Err(_)) => false,
        (false, _) => ["08", "53", "57P0", "40", "55P03"].iter().any(|class| code.starts_with(class)),
    }
}

/// Code and message, the latter only where it cannot hold a value: PostgreSQL quotes values in class 22 (data exceptions).
fn describe(error: &dyn DatabaseError) -> String {
    let code = error.code().unwrap_or_default();
    if is_sqlite(error) || !code.starts_with("22") {
        format!("database error {code}: {}", error.message())
    } else {
        format!("database error {code}: a value is not of its column's type")
    }
}

fn is_sqlite(error: &dyn DatabaseError) -> bool {
    error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some()
}
