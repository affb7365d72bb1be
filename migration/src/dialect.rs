//! The types PostgreSQL and SQLite spell differently, and nothing else.
//!
//! | word | PostgreSQL | SQLite | holds |
//! |---|---|---|---|
//! | `{id}` | `uuid` | `BLOB` | a UUID; 16 bytes |
//! | `{bytes}` | `bytea` | `BLOB` | bytes |
//! | `{instant}` | `timestamptz` | `TEXT` | RFC 3339 in UTC; text order is time order for the years 1 to 9999 |
//! | `{day}` | `date` | `TEXT` | `YYYY-MM-DD` |
//! | `{quantity}` | `numeric(38,10)` | `TEXT` | a quantity; on SQLite text whose order is numeric order |
//!
//! Amounts are `BIGINT` on both: whole numbers at the scale of their currency.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

/// Runs `statements` with the type words of the database at hand.
pub(crate) async fn run(manager: &SchemaManager<'_>, statements: &str) -> Result<(), DbErr> {
    let words: [(&str, &str); 5] = match manager.get_database_backend() {
        DbBackend::Postgres => [("{id}", "uuid"), ("{bytes}", "bytea"), ("{instant}", "timestamptz"), ("{day}", "date"), ("{quantity}", "numeric(38,10)")],
        _ => [("{id}", "BLOB"), ("{bytes}", "BLOB"), ("{instant}", "TEXT"), ("{day}", "TEXT"), ("{quantity}", "TEXT")],
    };
    let sql = words.iter().fold(statements.to_owned(), |sql, (word, spelling)| sql.replace(word, spelling));
    manager.get_connection().execute_unprepared(&sql).await.map(|_| ())
}
