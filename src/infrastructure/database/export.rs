//! Exports: the rows of `exports`, and the reading of everything kept about a user.
//!
//! What is read is a list of columns under the names they have in the database, written `likeThis`. What is left out are secrets and what
//! they are recognised by: password records, sealed credentials, hashes of tokens, fingerprints. One transaction reads all of it, so that
//! one list agrees with the next: REPEATABLE READ on PostgreSQL, a read transaction on SQLite, where no writer waits for it.

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

use Kind::{Amount as Money, Cost, Count, Day, Flag, Id, Instant, Json, Quantity, Text};

/// One list: what is read of which rows. `{user}` is whose they are.
struct List {
    name: &'static str,
    about: &'static str,
    from: &'static str,
    columns: &'static [(&'static str, Kind)],
}

/// Everything kept about a user.
const LISTS: [List; 27] = [
    List {
        name: "profile",
        about: "Who you are here.",
        from: "users AS t WHERE t.id = {user}",
        columns: &[
            ("id", Id),
            ("email", Text),
            ("display_name", Text),
            ("role", Text),
            ("tier", Text),
            ("session_limit", Count),
            ("is_active", Flag),
            ("email_verified_at", Instant),
            ("created_at", Instant),
            ("erasure_requested_at", Instant),
            ("erasure_due_at", Instant),
        ],
    },
    List {
        name: "email_changes",
        about: "E-mail addresses you had or wanted to have.",
        from: "email_changes AS t WHERE t.user_id = {user} ORDER BY t.requested_at, t.id",
        columns: &[("id", Id), ("previous_email", Text), ("new_email", Text), ("requested_at", Instant), ("confirmed_at", Instant), ("reverted_at", Instant)],
    },
    List {
        name: "agreements",
        about: "Which documents of the operator you agreed to, and when.",
        from: "agreements AS t WHERE t.user_id = {user} ORDER BY t.agreed_at, t.id",
        columns: &[("id", Id), ("document", Text), ("version", Text), ("agreed_at", Instant)],
    },
    List {
        name: "consents",
        about: "What you agreed to, and when.",
        from: "consents AS t WHERE t.user_id = {user} ORDER BY t.given_at, t.id",
        columns: &[("id", Id), ("link_id", Id), ("provider", Text), ("given_at", Instant), ("expires_at", Instant), ("withdrawn_at", Instant)],
    },
    List {
        name: "sessions",
        about: "Where and when you signed in.",
        from: "sessions AS t WHERE t.user_id = {user} ORDER BY t.created_at, t.id",
        columns: &[
            ("id", Id),
            ("name", Text),
            ("ip", Text),
            ("network", Text),
            ("user_agent", Text),
            ("created_at", Instant),
            ("last_seen_at", Instant),
            ("expires_at", Instant),
            ("reauthenticated_at", Instant),
            ("revoked_at", Instant),
            ("revoked_reason", Text),
        ],
    },
    List {
        name: "sign_in_counters",
        about: "Wrong passwords that were tried on your account.",
        from: "sign_in_counters AS t WHERE t.user_id = {user} ORDER BY t.network",
        columns: &[("network", Text), ("failures", Count), ("window_began_at", Instant), ("paused_until", Instant)],
    },
    List {
        name: "second_factors",
        about: "Your second factor. Its secret is sealed, and not in here.",
        from: "second_factors AS t WHERE t.user_id = {user}",
        columns: &[("id", Id), ("begun_at", Instant), ("enabled_at", Instant)],
    },
    List {
        name: "recovery_codes",
        about: "Codes that work once in place of your second factor: when each was used, not what it is.",
        from: "recovery_codes AS t WHERE t.user_id = {user} ORDER BY t.id",
        columns: &[("id", Id), ("spent_at", Instant)],
    },
    List {
        name: "sign_in_challenges",
        about: "Sign-ins that showed your password and were asked for a code.",
        from: "sign_in_challenges AS t WHERE t.user_id = {user} ORDER BY t.created_at, t.id",
        columns: &[("id", Id), ("created_at", Instant), ("failures", Count), ("spent_at", Instant)],
    },
    List {
        name: "second_factor_failures",
        about: "Wrong codes that were tried on your account.",
        from: "second_factor_failures AS t WHERE t.user_id = {user} ORDER BY t.failed_at, t.id",
        columns: &[("id", Id), ("failed_at", Instant)],
    },
    List {
        name: "user_token_versions",
        about: "When your tokens were made worthless in an emergency, and why.",
        from: "user_token_versions AS t WHERE t.user_id = {user}",
        columns: &[("version", Count), ("grace_until", Instant), ("rotated_at", Instant), ("reason", Text)],
    },
    List {
        name: "links",
        about: "Providers you linked. What they handed out is a secret, sealed, and not in here.",
        from: "links AS t WHERE t.user_id = {user} ORDER BY t.created_at, t.id",
        columns: &[
            ("id", Id),
            ("provider", Text),
            ("status", Text),
            ("reason", Text),
            ("alias", Text),
            ("consent_expires_at", Instant),
            ("covered_from", Day),
            ("covered_to", Day),
            ("synced_at", Instant),
            ("created_at", Instant),
        ],
    },
    List {
        name: "accounts",
        about: "Your accounts, with what they hold now.",
        from: "accounts AS t WHERE t.user_id = {user} ORDER BY t.created_at, t.id",
        columns: &[
            ("id", Id),
            ("link_id", Id),
            ("institution", Text),
            ("name", Text),
            ("type", Text),
            ("masked_number", Text),
            ("currency", Text),
            ("current_amount", Money),
            ("available_amount", Money),
            ("limit_amount", Money),
            ("balance_as_of", Instant),
            ("is_active", Flag),
            ("own_type", Text),
            ("is_inverted", Flag),
            ("is_selected", Flag),
            ("created_at", Instant),
        ],
    },
    List {
        name: "balance_snapshots",
        about: "What your accounts held at each sync.",
        from: "balance_snapshots AS t JOIN accounts AS a ON a.id = t.account_id WHERE t.user_id = {user} ORDER BY t.account_id, t.taken_at, t.id",
        columns: &[
            ("id", Id),
            ("account_id", Id),
            ("taken_at", Instant),
            ("a.currency", Text),
            ("current_amount", Money),
            ("available_amount", Money),
            ("limit_amount", Money),
            ("balance_as_of", Instant),
        ],
    },
    List {
        name: "transactions",
        about: "Your transactions, those included that their provider took back.",
        from: "transactions AS t WHERE t.user_id = {user} ORDER BY t.account_id, t.posted_on, t.id",
        columns: &[
            ("id", Id),
            ("account_id", Id),
            ("posted_on", Day),
            ("authorized_on", Day),
            ("occurred_at", Instant),
            ("amount", Money),
            ("currency", Text),
            ("type", Text),
            ("subtype", Text),
            ("status", Text),
            ("description", Text),
            ("merchant_name", Text),
            ("category", Text),
            ("security_symbol", Text),
            ("security_name", Text),
            ("security_asset_type", Text),
            ("quantity", Quantity),
            ("unit_price", Quantity),
            ("fees", Money),
            ("removed_at", Instant),
            ("created_at", Instant),
            ("updated_at", Instant),
        ],
    },
    List {
        name: "transaction_references",
        about: "What your transactions are called where they come from.",
        from: "transaction_references AS t WHERE t.user_id = {user} ORDER BY t.account_id, t.transaction_id, t.source, t.reference",
        columns: &[("transaction_id", Id), ("account_id", Id), ("source", Text), ("reference", Text)],
    },
    List {
        name: "holdings",
        about: "What your accounts hold besides money, as their providers said last.",
        from: "holdings AS t WHERE t.user_id = {user} ORDER BY t.account_id, t.created_at, t.id",
        columns: &[
            ("id", Id),
            ("account_id", Id),
            ("reference", Text),
            ("symbol", Text),
            ("name", Text),
            ("asset_type", Text),
            ("cusip", Text),
            ("isin", Text),
            ("quantity", Quantity),
            ("currency", Text),
            ("price", Quantity),
            ("market_value", Money),
            ("cost_basis", Cost),
            ("cost_currency", Text),
            ("as_of", Instant),
            ("created_at", Instant),
            ("updated_at", Instant),
        ],
    },
    List {
        name: "changes",
        about: "In which order your links, accounts, transactions and holdings came in and last changed.",
        from: "changes AS t WHERE t.user_id = {user} ORDER BY t.added_position",
        columns: &[("object_id", Id), ("kind", Text), ("added_position", Count), ("position", Count)],
    },
    List {
        name: "syncs",
        about: "When your links were brought up to date, and how that went.",
        from: "syncs AS t WHERE t.user_id = {user} ORDER BY t.created_at, t.id",
        columns: &[
            ("id", Id),
            ("link_id", Id),
            ("status", Text),
            ("created_at", Instant),
            ("run_after", Instant),
            ("attempts", Count),
            ("started_at", Instant),
            ("finished_at", Instant),
            ("problem", Text),
            ("accounts_seen", Count),
            ("transactions_added", Count),
            ("transactions_modified", Count),
            ("transactions_removed", Count),
        ],
    },
    List {
        name: "imports",
        about: "Statement files you brought. The files themselves are not kept.",
        from: "imports AS t WHERE t.user_id = {user} ORDER BY t.created_at, t.id",
        columns: &[
            ("id", Id),
            ("status", Text),
            ("filename", Text),
            ("created_at", Instant),
            ("target_account_id", Id),
            ("accounts_created", Count),
            ("transactions_created", Count),
            ("transactions_known", Count),
            ("transactions_updated", Count),
            ("transactions_doubtful", Count),
            ("problems", Json),
            ("csv", Json),
            ("expires_at", Instant),
            ("committed_at", Instant),
            ("reverted_at", Instant),
        ],
    },
    List {
        name: "import_statements",
        about: "The accounts your statement files were of.",
        from: "import_statements AS t WHERE t.user_id = {user} ORDER BY t.import_id, t.number",
        columns: &[
            ("import_id", Id),
            ("number", Count),
            ("account_id", Id),
            ("is_new", Flag),
            ("institution", Text),
            ("name", Text),
            ("type", Text),
            ("masked_number", Text),
            ("currency", Text),
            ("current_amount", Money),
            ("available_amount", Money),
            ("limit_amount", Money),
            ("balance_as_of", Instant),
            ("period_from", Day),
            ("period_to", Day),
            ("holdings", Json),
        ],
    },
    List {
        name: "import_rows",
        about: "Rows of statement files you looked at and have not taken in yet.",
        from: "import_rows AS t WHERE t.user_id = {user} ORDER BY t.import_id, t.position",
        columns: &[("import_id", Id), ("position", Count), ("statement", Count), ("outcome", Text), ("resembles_id", Id), ("name", Text), ("content", Json)],
    },
    List {
        name: "import_transactions",
        about: "Which transactions each statement file added, and which it found.",
        from: "import_transactions AS t WHERE t.user_id = {user} ORDER BY t.import_id, t.transaction_id",
        columns: &[("import_id", Id), ("transaction_id", Id), ("is_added", Flag), ("reference", Text)],
    },
    List {
        name: "outbox",
        about: "Mails to you of the last days. Their texts are not kept.",
        from: "outbox AS t WHERE t.user_id = {user} ORDER BY t.created_at, t.id",
        columns: &[
            ("id", Id),
            ("topic", Text),
            ("created_at", Instant),
            ("available_at", Instant),
            ("attempts", Count),
            ("delivered_at", Instant),
            ("parked_at", Instant),
            ("last_error", Text),
        ],
    },
    List {
        name: "mail_tokens",
        about: "Secrets that were mailed to you: what for and when, not what they were.",
        from: "mail_tokens AS t WHERE t.user_id = {user} ORDER BY t.created_at, t.id",
        columns: &[("id", Id), ("purpose", Text), ("created_at", Instant), ("expires_at", Instant), ("spent_at", Instant)],
    },
    List {
        name: "exports",
        about: "Exports such as this one that you asked for lately.",
        from: "exports AS t WHERE t.user_id = {user} ORDER BY t.created_at, t.id",
        columns: &[("id", Id), ("created_at", Instant), ("expires_at", Instant)],
    },
    List {
        name: "audit_events",
        about: "What you did here, and what was done to what is yours. Where somebody else acted, their address is theirs and left out.",
        from: "audit_person AS p JOIN audit_events AS t ON t.recorded_at = p.recorded_at AND t.id = p.event_id \
               LEFT JOIN audit_person AS a ON a.event_id = t.id AND a.role = 'actor' AND (a.user_id IS NULL OR a.user_id = p.user_id) \
               WHERE p.user_id = {user} AND (p.role = 'actor' OR NOT EXISTS \
               (SELECT 1 FROM audit_person AS o WHERE o.event_id = p.event_id AND o.role = 'actor' AND o.user_id = p.user_id)) ORDER BY t.recorded_at, t.id",
        columns: &[
            ("id", Id),
            ("recorded_at", Instant),
            ("attempt_id", Id),
            ("act", Text),
            ("outcome", Text),
            ("reason", Text),
            ("actor_kind", Text),
            ("resource_kind", Text),
            ("resource_id", Id),
            ("context", Json),
            ("trace_id", Text),
            ("a.email", Text),
            ("a.ip", Text),
            ("a.user_agent", Text),
        ],
    },
];

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
