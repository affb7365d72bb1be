//! Exports: the rows of `exports`, and the reading of everything kept about a user.
//!
//! What is read is a list of columns under the names they have in the database, written `likeThis`. What is left out are secrets and what
//! they are recognised by: password records, sealed credentials, hashes of tokens, fingerprints. One transaction reads all of it, so that
//! one list agrees with the next: REPEATABLE READ on PostgreSQL, a read transaction on SQLite, where no writer waits for it.

mod lists;

use std::sync::{Arc, LazyLock};

use anyhow::Context as _;
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use futures_util::StreamExt as _;
use sea_orm::{
    AccessMode, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, IsolationLevel, QueryFilter, QueryResult, SqliteTransactionMode, Statement,
    StreamTrait as _, TransactionOptions, TransactionTrait as _, TryGetable,
};
use uuid::Uuid;

use crate::{
    application::ports::{Cell, ExportRows, ExportTable, Snapshot, Snapshots},
    domain::{
        export::{Export, ExportReader, Exports},
        id::{ExportId, UserId},
        money::{Amount, Currency},
        time::{LocalDate, Timestamp},
    },
};

use lists::LISTS;

use super::{Readers, error::broken, quantity::StoredQuantity, work::DatabaseWork};

mod exports {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "exports")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub created_at: DateTimeUtc,
        pub expires_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[async_trait]
impl Exports for DatabaseWork {
    async fn insert(&mut self, export: &Export) -> anyhow::Result<()> {
        let over = exports::Entity::delete_many()
            .filter(exports::Column::UserId.eq(export.user.0))
            .filter(exports::Column::ExpiresAt.lte(export.created_at.utc()))
            .exec(&self.transaction)
            .await;
        over.map_err(broken("forgetting exports that are over"))?;
        let row = exports::Model { id: export.id.0, user_id: export.user.0, created_at: export.created_at.utc(), expires_at: export.expires_at.utc() };
        let inserted = exports::Entity::insert(exports::ActiveModel::from(row)).exec_without_returning(&self.transaction).await;
        inserted.map(|_| ()).map_err(broken("storing an export"))
    }
}

#[async_trait]
impl ExportReader for Readers {
    async fn find_live(&self, owner: UserId, id: ExportId, now: Timestamp) -> anyhow::Result<Option<Export>> {
        let row = exports::Entity::find_by_id(id.0)
            .filter(exports::Column::UserId.eq(owner.0))
            .filter(exports::Column::ExpiresAt.gt(now.utc()))
            .one(&self.connection)
            .await
            .map_err(broken("reading an export"))?;
        Ok(row.map(|row| Export {
            id: ExportId(row.id),
            user: UserId(row.user_id),
            created_at: Timestamp::new(row.created_at),
            expires_at: Timestamp::new(row.expires_at),
        }))
    }
}

/// What a column holds.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Id,
    Text,
    Instant,
    Day,
    Flag,
    Count,
    /// A whole number at the scale of the unit in `currency`, which the same row has.
    Amount,
    /// The same at the scale of the unit in `cost_currency`.
    Cost,
    Quantity,
    Json,
}

/// One list: what is read of which rows. `{user}` is whose they are.
struct List {
    name: &'static str,
    about: &'static str,
    from: &'static str,
    columns: &'static [(&'static str, Kind)],
}

static TABLES: LazyLock<Vec<Arc<ExportTable>>> = LazyLock::new(|| LISTS.iter().map(|list| Arc::new(list.table())).collect());

/// A column without the table it is of.
fn bare(column: &str) -> &str {
    column.rsplit_once('.').map_or(column, |(_, name)| name)
}

/// `likeThis` for `like_this`.
fn camel(column: &str) -> String {
    let mut words = column.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        text + &head.to_ascii_uppercase() + tail
    })
}

impl List {
    fn table(&self) -> ExportTable {
        ExportTable { name: self.name, about: self.about, columns: self.columns.iter().map(|(column, _)| camel(bare(column))).collect() }
    }

    fn sql(&self) -> String {
        let columns = self.columns.iter().map(|(column, _)| if column.contains('.') { (*column).to_owned() } else { format!("t.{column}") });
        format!("SELECT {} FROM {}", columns.collect::<Vec<_>>().join(", "), self.from.replace("{user}", "$1"))
    }

    fn row(&self, row: &QueryResult) -> anyhow::Result<Vec<Cell>> {
        let cell = |(column, kind): &(&'static str, Kind)| kind.read(row, bare(column)).with_context(|| format!("reading {}.{column}", self.name));
        self.columns.iter().map(cell).collect()
    }
}

/// A value that may be missing.
fn get<T: TryGetable>(row: &QueryResult, column: &str) -> anyhow::Result<Option<T>> {
    row.try_get("", column).map_err(broken("reading a value"))
}

impl Kind {
    fn read(self, row: &QueryResult, column: &str) -> anyhow::Result<Cell> {
        let cell = match self {
            Self::Id => get::<Uuid>(row, column)?.map(|id| Cell::Text(id.to_string())),
            Self::Text => get(row, column)?.map(Cell::Text),
            Self::Json => get(row, column)?.map(Cell::Json),
            Self::Flag => get(row, column)?.map(Cell::Flag),
            Self::Count => get(row, column)?.map(Cell::Count),
            Self::Instant => get::<DateTime<Utc>>(row, column)?.map(|instant| Cell::Text(Timestamp::new(instant).to_string())),
            Self::Day => get::<NaiveDate>(row, column)?.and_then(LocalDate::from_naive).map(|day| Cell::Text(day.to_string())),
            Self::Quantity => match get::<StoredQuantity>(row, column)? {
                Some(stored) => Some(Cell::Decimal(stored.quantity().context("it is not a quantity")?.to_string())),
                None => None,
            },
            Self::Amount | Self::Cost => match get::<i64>(row, column)? {
                Some(units) => {
                    let unit = if matches!(self, Self::Cost) { "cost_currency" } else { "currency" };
                    let currency = Currency::parse(&get::<String>(row, unit)?.context("an amount has a currency")?)?;
                    Some(Cell::Decimal(Amount::from_units(units)?.to_text(&currency)))
                }
                None => None,
            },
        };
        Ok(cell.unwrap_or(Cell::Nothing))
    }
}

struct DatabaseSnapshot {
    transaction: DatabaseTransaction,
    owner: UserId,
}

#[async_trait]
impl Snapshots for Readers {
    async fn open(&self, owner: UserId) -> anyhow::Result<Box<dyn Snapshot>> {
        let is_sqlite = self.backend() == sea_orm::DbBackend::Sqlite;
        let options = TransactionOptions {
            isolation_level: (!is_sqlite).then_some(IsolationLevel::RepeatableRead),
            access_mode: (!is_sqlite).then_some(AccessMode::ReadOnly),
            sqlite_transaction_mode: Some(SqliteTransactionMode::Deferred),
        };
        let transaction = self.connection.begin_with_options(options).await.map_err(broken("opening a reading for an export"))?;
        Ok(Box::new(DatabaseSnapshot { transaction, owner }))
    }
}

#[async_trait]
impl Snapshot for DatabaseSnapshot {
    fn tables(&self) -> Vec<Arc<ExportTable>> {
        TABLES.clone()
    }

    async fn rows(&mut self, table: &ExportTable) -> anyhow::Result<ExportRows<'_>> {
        let list = LISTS.iter().find(|list| list.name == table.name).context("no such list of an export")?;
        let statement = Statement::from_sql_and_values(ConnectionTrait::get_database_backend(&self.transaction), list.sql(), [self.owner.0.into()]);
        let rows = self.transaction.stream_raw(statement).await.map_err(broken("reading for an export"))?;
        Ok(rows.map(|row| list.row(&row.map_err(broken("reading for an export"))?)).boxed())
    }
}
