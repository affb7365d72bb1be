//! Imports: the rows of `imports` and of the tables around it.

use anyhow::Context as _;
use async_trait::async_trait;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    domain::{
        account::{AccountType, MaskedNumber},
        balance::Balances,
        csv::{ColumnRole, CsvColumn, CsvFormat, DateOrder, DecimalMark, Delimiter},
        id::{AccountId, ImportId, TransactionId, UserId},
        import::{Batched, Import, ImportRow, ImportStatement, ImportStatus, Imports, LineProblem, Recognition, Reverted, RowOutcome, Stock},
        money::{Amount, Currency},
        time::{LocalDate, Timestamp},
    },
    infrastructure::stored_row::StoredRow,
};

use super::{error::broken, value, work::DatabaseWork};

mod holdings;
mod reader;
mod recognition;
mod revert;

/// Rows in one INSERT.
const ROWS_AT_ONCE: usize = 1_000;

pub(super) mod imports {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "imports")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub status: String,
        pub filename: String,
        pub digest: Vec<u8>,
        pub created_at: DateTimeUtc,
        pub target_account_id: Option<Uuid>,
        pub accounts_created: i64,
        pub transactions_created: i64,
        pub transactions_known: i64,
        pub transactions_updated: i64,
        pub transactions_doubtful: i64,
        pub problems: String,
        pub csv: Option<String>,
        pub expires_at: Option<DateTimeUtc>,
        pub committed_at: Option<DateTimeUtc>,
        pub reverted_at: Option<DateTimeUtc>,
        pub is_cleared: bool,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod import_statements {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "import_statements")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub import_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i64,
        pub user_id: Uuid,
        pub account_id: Option<Uuid>,
        pub is_new: bool,
        pub fingerprints: String,
        pub institution: Option<String>,
        pub name: String,
        #[sea_orm(column_name = "type")]
        pub kind: String,
        pub masked_number: Option<String>,
        pub currency: String,
        pub current_amount: Option<i64>,
        pub available_amount: Option<i64>,
        pub limit_amount: Option<i64>,
        pub balance_as_of: Option<DateTimeUtc>,
        pub period_from: Option<Date>,
        pub period_to: Option<Date>,
        pub holdings: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod import_rows {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "import_rows")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub import_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub position: i64,
        pub user_id: Uuid,
        pub statement: i64,
        pub outcome: String,
        pub resembles_id: Option<Uuid>,
        pub name: String,
        pub content: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod import_transactions {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "import_transactions")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub import_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub transaction_id: Uuid,
        pub user_id: Uuid,
        pub is_added: bool,
        pub reference: Option<String>,
        pub before: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn format_text(format: &CsvFormat) -> String {
    let column = |column: &CsvColumn| json!({ "number": column.number, "name": column.name, "role": column.role.as_str() });
    json!({
        "encoding": format.encoding,
        "delimiter": format.delimiter.as_str(),
        "headerLine": format.header_line,
        "dateOrder": format.date_order.map(DateOrder::as_str),
        "decimalMark": format.decimal_mark.map(DecimalMark::as_str),
        "invertSign": format.invert_sign,
        "columns": format.columns.iter().map(column).collect::<Vec<_>>(),
    })
    .to_string()
}

fn format_of(text: &str) -> anyhow::Result<CsvFormat> {
    let read = || -> Option<CsvFormat> {
        let stored: Value = serde_json::from_str(text).ok()?;
        let column = |column: &Value| {
            let name = column["name"].as_str().map(str::to_owned);
            Some(CsvColumn { number: u32::try_from(column["number"].as_u64()?).ok()?, name, role: ColumnRole::parse(column["role"].as_str()?)? })
        };
        Some(CsvFormat {
            encoding: stored["encoding"].as_str()?.to_owned(),
            delimiter: Delimiter::parse(stored["delimiter"].as_str()?)?,
            header_line: stored["headerLine"].as_u64(),
            date_order: stored["dateOrder"].as_str().and_then(DateOrder::parse),
            decimal_mark: stored["decimalMark"].as_str().and_then(DecimalMark::parse),
            invert_sign: stored["invertSign"].as_bool()?,
            columns: stored["columns"].as_array()?.iter().map(column).collect::<Option<_>>()?,
        })
    };
    read().context("imports.csv is not a format of ours")
}

impl TryFrom<imports::Model> for Import {
    type Error = anyhow::Error;

    fn try_from(row: imports::Model) -> anyhow::Result<Self> {
        let problems: Vec<Value> = serde_json::from_str(&row.problems).context("imports.problems is not JSON of ours")?;
        let problem = |problem: Value| LineProblem {
            line: problem["line"].as_u64().unwrap_or_default(),
            message: problem["message"].as_str().unwrap_or_default().to_owned(),
        };
        Ok(Self {
            id: ImportId(row.id),
            user: UserId(row.user_id),
            status: value::word("imports.status", &row.status, ImportStatus::parse)?,
            filename: row.filename,
            digest: row.digest,
            created_at: Timestamp::new(row.created_at),
            target: row.target_account_id.map(AccountId),
            accounts_created: value::count("imports.accounts_created", row.accounts_created)?,
            transactions_created: value::count("imports.transactions_created", row.transactions_created)?,
            transactions_known: value::count("imports.transactions_known", row.transactions_known)?,
            transactions_updated: value::count("imports.transactions_updated", row.transactions_updated)?,
            transactions_doubtful: value::count("imports.transactions_doubtful", row.transactions_doubtful)?,
            problems: problems.into_iter().map(problem).collect(),
            csv: row.csv.as_deref().map(format_of).transpose()?,
            expires_at: value::optional_instant(row.expires_at),
            committed_at: value::optional_instant(row.committed_at),
            reverted_at: value::optional_instant(row.reverted_at),
        })
    }
}

fn import_row(import: &Import) -> anyhow::Result<imports::Model> {
    let problems: Vec<_> = import.problems.iter().map(|problem| json!({ "line": problem.line, "message": problem.message })).collect();
    Ok(imports::Model {
        id: import.id.0,
        user_id: import.user.0,
        status: import.status.as_str().to_owned(),
        filename: import.filename.clone(),
        digest: import.digest.clone(),
        created_at: import.created_at.utc(),
        target_account_id: import.target.map(|account| account.0),
        accounts_created: i64::from(import.accounts_created),
        transactions_created: i64::from(import.transactions_created),
        transactions_known: i64::from(import.transactions_known),
        transactions_updated: i64::from(import.transactions_updated),
        transactions_doubtful: i64::from(import.transactions_doubtful),
        problems: serde_json::to_string(&problems).context("writing an import's problems")?,
        csv: import.csv.as_ref().map(format_text),
        expires_at: import.expires_at.map(Timestamp::utc),
        committed_at: import.committed_at.map(Timestamp::utc),
        reverted_at: import.reverted_at.map(Timestamp::utc),
        is_cleared: false,
    })
}

fn statement_row(import: &Import, statement: &ImportStatement) -> import_statements::ActiveModel {
    let balances = &statement.balances;
    import_statements::Model {
        import_id: import.id.0,
        number: i64::from(statement.number),
        user_id: import.user.0,
        account_id: statement.account.map(|account| account.0),
        is_new: statement.is_new,
        fingerprints: recognition::text(&statement.recognition),
        institution: statement.institution.clone(),
        name: statement.name.clone(),
        kind: statement.kind.as_str().to_owned(),
        masked_number: statement.masked_number.as_ref().map(|number| number.as_str().to_owned()),
        currency: statement.currency.code().to_owned(),
        current_amount: balances.current.map(Amount::units),
        available_amount: balances.available.map(Amount::units),
        limit_amount: balances.limit.map(Amount::units),
        balance_as_of: balances.as_of.map(Timestamp::utc),
        period_from: statement.period.map(|(from, _)| from.naive()),
        period_to: statement.period.map(|(_, to)| to.naive()),
        holdings: statement.holdings.as_deref().map(holdings::text),
    }
    .into()
}

impl TryFrom<import_statements::Model> for ImportStatement {
    type Error = anyhow::Error;

    fn try_from(row: import_statements::Model) -> anyhow::Result<Self> {
        let day = |day: Option<chrono::NaiveDate>| day.map(|day| value::day("import_statements.period", day)).transpose();
        let period: (Option<LocalDate>, Option<LocalDate>) = (day(row.period_from)?, day(row.period_to)?);
        Ok(Self {
            number: value::count("import_statements.number", row.number)?,
            account: row.account_id.map(AccountId),
            is_new: row.is_new,
            recognition: recognition::read(&row.fingerprints)?,
            institution: row.institution,
            name: row.name,
            kind: value::word("import_statements.type", &row.kind, AccountType::parse)?,
            masked_number: row.masked_number.map(MaskedNumber::stored),
            currency: Currency::parse(&row.currency).context("import_statements.currency is not a unit of money")?,
            balances: Balances {
                current: value::optional_amount("import_statements.current_amount", row.current_amount)?,
                available: value::optional_amount("import_statements.available_amount", row.available_amount)?,
                limit: value::optional_amount("import_statements.limit_amount", row.limit_amount)?,
                as_of: value::optional_instant(row.balance_as_of),
            },
            period: period.0.zip(period.1),
            holdings: row.holdings.as_deref().map(holdings::read).transpose()?,
        })
    }
}

impl TryFrom<import_rows::Model> for ImportRow {
    type Error = anyhow::Error;

    fn try_from(row: import_rows::Model) -> anyhow::Result<Self> {
        let content: StoredRow = serde_json::from_str(&row.content).context("import_rows.content is not a row of ours")?;
        let (statement, reported) = content.row()?;
        Ok(Self {
            import: ImportId(row.import_id),
            number: value::count("import_rows.position", row.position)?,
            statement,
            row: reported,
            name: row.name,
            outcome: value::word("import_rows.outcome", &row.outcome, RowOutcome::parse)?,
            resembles: row.resembles_id.map(TransactionId),
        })
    }
}

impl DatabaseWork {
    async fn insert_statements(&self, import: &Import, statements: &[ImportStatement]) -> anyhow::Result<()> {
        for statements in statements.chunks(ROWS_AT_ONCE) {
            let insert = import_statements::Entity::insert_many(statements.iter().map(|statement| statement_row(import, statement)));
            insert.exec_without_returning(&self.transaction).await.map_err(broken("storing the accounts of an import"))?;
        }
        Ok(())
    }
}

#[async_trait]
impl Imports for DatabaseWork {
    async fn insert(&mut self, import: &Import, statements: &[ImportStatement]) -> anyhow::Result<()> {
        let row = imports::ActiveModel::from(import_row(import)?);
        imports::Entity::insert(row).exec_without_returning(&self.transaction).await.map_err(broken("storing an import"))?;
        self.insert_statements(import, statements).await
    }

    async fn find(&mut self, owner: UserId, id: ImportId) -> anyhow::Result<Option<Import>> {
        let row = imports::Entity::find_by_id(id.0).filter(imports::Column::UserId.eq(owner.0)).one(&self.transaction).await;
        row.map_err(broken("reading an import"))?.map(Import::try_from).transpose()
    }

    async fn statements(&mut self, owner: UserId, id: ImportId) -> anyhow::Result<Vec<ImportStatement>> {
        let rows = import_statements::Entity::find()
            .filter(import_statements::Column::ImportId.eq(id.0))
            .filter(import_statements::Column::UserId.eq(owner.0))
            .order_by_asc(import_statements::Column::Number)
            .all(&self.transaction)
            .await
            .map_err(broken("reading the accounts of an import"))?;
        rows.into_iter().map(ImportStatement::try_from).collect()
    }

    async fn recognitions(&mut self, owner: UserId, but: ImportId) -> anyhow::Result<Vec<(AccountId, Recognition)>> {
        recognition::of_accounts(self, owner, but).await
    }

    async fn keep_rows(&mut self, owner: UserId, rows: &[ImportRow]) -> anyhow::Result<()> {
        for rows in rows.chunks(ROWS_AT_ONCE) {
            let row = |row: &ImportRow| -> anyhow::Result<import_rows::ActiveModel> {
                let content = serde_json::to_string(&StoredRow::of(row.statement, row.row.clone())).context("writing a row of a preview")?;
                Ok(import_rows::ActiveModel::from(import_rows::Model {
                    import_id: row.import.0,
                    position: i64::from(row.number),
                    user_id: owner.0,
                    statement: i64::from(row.statement),
                    outcome: row.outcome.as_str().to_owned(),
                    resembles_id: row.resembles.map(|id| id.0),
                    name: row.name.clone(),
                    content,
                }))
            };
            let insert = import_rows::Entity::insert_many(rows.iter().map(row).collect::<anyhow::Result<Vec<_>>>()?);
            insert.exec_without_returning(&self.transaction).await.map_err(broken("keeping the rows of a preview"))?;
        }
        Ok(())
    }

    async fn rows(&mut self, owner: UserId, id: ImportId) -> anyhow::Result<Vec<ImportRow>> {
        let rows = import_rows::Entity::find()
            .filter(import_rows::Column::ImportId.eq(id.0))
            .filter(import_rows::Column::UserId.eq(owner.0))
            .order_by_asc(import_rows::Column::Position)
            .all(&self.transaction)
            .await
            .map_err(broken("reading the rows of a preview"))?;
        rows.into_iter().map(ImportRow::try_from).collect()
    }

    async fn settle(&mut self, import: &Import, statements: &[ImportStatement], previously: ImportStatus) -> anyhow::Result<bool> {
        let row = import_row(import)?;
        let changes = imports::ActiveModel {
            status: Set(row.status),
            accounts_created: Set(row.accounts_created),
            transactions_created: Set(row.transactions_created),
            transactions_known: Set(row.transactions_known),
            transactions_updated: Set(row.transactions_updated),
            transactions_doubtful: Set(row.transactions_doubtful),
            problems: Set(row.problems),
            expires_at: Set(row.expires_at),
            committed_at: Set(row.committed_at),
            reverted_at: Set(row.reverted_at),
            ..Default::default()
        };
        let saved = imports::Entity::update_many()
            .set(changes)
            .filter(imports::Column::Id.eq(row.id))
            .filter(imports::Column::UserId.eq(row.user_id))
            .filter(imports::Column::Status.eq(previously.as_str()))
            .exec(&self.transaction)
            .await
            .map_err(broken("saving an import"))?;
        if saved.rows_affected != 1 {
            return Ok(false);
        }
        let replaced = import_statements::Entity::delete_many().filter(import_statements::Column::ImportId.eq(row.id)).exec(&self.transaction).await;
        replaced.map_err(broken("replacing the accounts of an import"))?;
        self.insert_statements(import, statements).await?;
        let over = import_rows::Entity::delete_many().filter(import_rows::Column::ImportId.eq(row.id)).exec(&self.transaction).await;
        over.map_err(broken("forgetting the rows of a preview"))?;
        Ok(true)
    }

    async fn note_batch(&mut self, owner: UserId, id: ImportId, batch: &[Batched]) -> anyhow::Result<()> {
        for batch in batch.chunks(ROWS_AT_ONCE) {
            let row = |batched: &Batched| -> anyhow::Result<import_transactions::ActiveModel> {
                let before = batched.before.clone().map(|facts| serde_json::to_string(&StoredRow::of_facts(facts)));
                Ok(import_transactions::ActiveModel::from(import_transactions::Model {
                    import_id: id.0,
                    transaction_id: batched.transaction.0,
                    user_id: owner.0,
                    is_added: batched.is_added,
                    reference: batched.reference.clone(),
                    before: before.transpose().context("writing what a transaction said before")?,
                }))
            };
            let insert = import_transactions::Entity::insert_many(batch.iter().map(row).collect::<anyhow::Result<Vec<_>>>()?);
            insert.exec_without_returning(&self.transaction).await.map_err(broken("noting what an import did"))?;
        }
        Ok(())
    }

    async fn take_back(&mut self, import: &Import) -> anyhow::Result<Reverted> {
        revert::take_back(self, import).await
    }

    async fn is_cleared(&mut self, owner: UserId, id: ImportId) -> anyhow::Result<bool> {
        let cleared = imports::Entity::find_by_id(id.0).filter(imports::Column::UserId.eq(owner.0)).filter(imports::Column::IsCleared.eq(true));
        Ok(cleared.one(&self.transaction).await.map_err(broken("reading whether an import was cleared"))?.is_some())
    }

    async fn last_stock(&mut self, owner: UserId, account: AccountId, but: ImportId) -> anyhow::Result<Option<Stock>> {
        holdings::last(self, owner, account, but).await
    }

    async fn forget_previews(&mut self, owner: UserId, most: usize, now: Timestamp) -> anyhow::Result<()> {
        let previews =
            || imports::Entity::find().filter(imports::Column::UserId.eq(owner.0)).filter(imports::Column::Status.eq(ImportStatus::Previewed.as_str()));
        let kept: Vec<Uuid> = previews()
            .select_only()
            .column(imports::Column::Id)
            .filter(imports::Column::ExpiresAt.gt(now.utc()))
            .order_by_desc(imports::Column::CreatedAt)
            .order_by_desc(imports::Column::Id)
            .limit(most as u64)
            .into_tuple()
            .all(&self.transaction)
            .await
            .map_err(broken("reading previews"))?;
        let forgotten = imports::Entity::delete_many()
            .filter(Condition::all().add(imports::Column::UserId.eq(owner.0)).add(imports::Column::Status.eq(ImportStatus::Previewed.as_str())))
            .filter(imports::Column::Id.is_not_in(kept))
            .exec(&self.transaction)
            .await;
        forgotten.map(|_| ()).map_err(broken("forgetting previews"))
    }
}
