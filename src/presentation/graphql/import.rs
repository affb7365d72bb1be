//! Imports in the graph: statement files, looked at, taken in, and taken back.

pub mod batch;

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputType, Object, SimpleObject};
use serde_json::json;

use crate::{
    application::access::Resource,
    domain::{
        account::MaskedNumber,
        id::TransactionId,
        import::{self, Import, ImportRow, ImportStatement},
        money::{Amount, Currency, Money as DomainMoney},
        page::{CreatedKey, MAX_PAGE},
    },
};

use super::{
    ContextExt,
    account::{AccountNode, AccountType},
    csv,
    error::{Code, Fault},
    global_id::GlobalId,
    guard::Allow,
    page::connection,
    scalar::{CurrencyCode, DateTime, LocalDate, Money},
    transaction::TransactionNode,
};

/// How far an import has come.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "import::ImportStatus")]
pub enum ImportStatus {
    /// Looked at; nothing of it is in yet.
    Previewed,
    /// Taken in.
    Committed,
    /// Taken in, and taken back.
    Reverted,
}

/// What a row of a file is.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(name = "ImportRowOutcome", remote = "import::RowOutcome")]
pub enum RowOutcome {
    /// Not seen before.
    New,
    /// Known, and nothing about it changes.
    Known,
    /// Known from files alone, and this one says something else of it.
    Updated,
    /// Much like a stored one, and not surely the same. It comes in only when it is asked for.
    Doubtful,
}

/// Something of a file that was not taken, or taken with a doubt.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Transactions))]
pub struct ImportProblem {
    /// Where in the file, counted from 1.
    line: u64,
    /// What is wrong, for people.
    message: String,
}

/// One account that a statement file is of.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Accounts))]
pub struct ImportAccount {
    /// The account; null while it is not made yet, and when it is gone again.
    account: Option<AccountNode>,
    /// Whether the import made it, or would.
    is_new: bool,
    /// What the file calls it, or what it was called for it.
    name: String,
    /// What kind the file says it is.
    r#type: AccountType,
    /// The end of its number; null when the file gives none.
    masked_number: Option<String>,
    /// What its amounts are counted in.
    currency: CurrencyCode,
    /// What the file says it holds; null when it does not say.
    balance: Option<Money>,
}

/// One row of a preview.
#[derive(SimpleObject)]
#[graphql(name = "ImportRow", serial, guard = Allow::read(Resource::Transactions))]
pub struct RowObject {
    /// What it is called in `commitImport`; counted from 1.
    number: u32,
    /// Where it stands in the file, counted from 1.
    line: Option<u64>,
    /// What it is.
    outcome: RowOutcome,
    /// The bank's calendar day.
    posted_on: LocalDate,
    /// How much, from the owner's view.
    amount: Money,
    /// What the bank calls it.
    description: String,
    /// The stored transaction that it is, or looks like; null for new ones.
    transaction: Option<TransactionNode>,
}

/// One import, as the graph shows it.
#[derive(Clone)]
pub struct ImportNode(pub Arc<Import>);

impl ImportNode {
    pub(crate) fn key(&self) -> CreatedKey {
        self.0.key()
    }
}

/// A statement file that was brought.
#[Object(name = "Import", serial, guard = Allow::read(Resource::Transactions))]
impl ImportNode {
    /// The global id, `import_…`.
    pub async fn id(&self) -> ID {
        GlobalId::from(self.0.id).to_id()
    }

    /// How far it has come.
    async fn status(&self) -> ImportStatus {
        self.0.status.into()
    }

    /// The file's name.
    async fn filename(&self) -> &str {
        &self.0.filename
    }

    /// When it was brought.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// Until when a preview can be committed; null for what is no preview.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(DateTime)
    }

    /// When it was taken in; null for a preview.
    async fn committed_at(&self) -> Option<DateTime> {
        self.0.committed_at.map(DateTime)
    }

    /// When it was taken back; null when it was not.
    async fn reverted_at(&self) -> Option<DateTime> {
        self.0.reverted_at.map(DateTime)
    }

    /// How a CSV file was read; null for other formats.
    async fn csv(&self) -> Option<csv::Format> {
        self.0.csv.clone().map(Into::into)
    }

    /// Accounts that were new; in a preview those that would be.
    async fn accounts_created(&self) -> u32 {
        self.0.accounts_created
    }

    /// Transactions that were new; in a preview those that would be.
    async fn transactions_created(&self) -> u32 {
        self.0.transactions_created
    }

    /// Transactions that were known before. The same file twice has only these.
    async fn transactions_known(&self) -> u32 {
        self.0.transactions_known
    }

    /// Of the known ones, those that changed; in a preview those that would.
    async fn transactions_updated(&self) -> u32 {
        self.0.transactions_updated
    }

    /// Rows that look like a stored transaction without being surely the same. `importStatement` takes them as transactions of their own,
    /// `commitImport` when it is asked to.
    async fn transactions_doubtful(&self) -> u32 {
        self.0.transactions_doubtful
    }

    /// What was not taken, or taken with a doubt, by line.
    async fn problems(&self) -> Vec<ImportProblem> {
        self.0.problems.iter().map(|problem| ImportProblem { line: problem.line, message: problem.message.clone() }).collect()
    }

    /// The accounts the file has statements of.
    #[graphql(guard = Allow::read(Resource::Accounts))]
    async fn statements(&self, ctx: &Context<'_>) -> Result<Vec<ImportAccount>, Fault> {
        let loaders = &ctx.of_request()?.loaders;
        let mut accounts = Vec::new();
        for statement in loaders.import_statements(self.0.id).await? {
            let account = match statement.account {
                Some(id) => loaders.account(id).await?.map(AccountNode),
                None => None,
            };
            accounts.push(account_of(statement, account));
        }
        Ok(accounts)
    }

    /// The rows of a preview, from account to account and there in the file's order, or nearly; none once it is committed.
    async fn rows(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.", default = 100)] first: i32,
        #[graphql(desc = "Only those behind the row of this number.")] after: Option<u32>,
        #[graphql(desc = "Only those that are this.")] outcome: Option<RowOutcome>,
    ) -> Result<Vec<RowObject>, Fault> {
        let limit = u32::try_from(first).ok().filter(|first| (1..=MAX_PAGE).contains(first));
        let limit = limit.ok_or_else(|| Fault::new(Code::BadUserInput, "first is from 1 to 100"))?;
        let request = ctx.of_request()?;
        let statements = request.loaders.import_statements(self.0.id).await?;
        let rows = request.application.import_queries.rows_of(&request.requester, self.0.id, outcome.map(Into::into), after.unwrap_or(0), limit).await?;
        let mut shown = Vec::new();
        for row in rows {
            let transaction = match row.resembles {
                Some(id) => request.loaders.transaction(id).await?.map(TransactionNode),
                None => None,
            };
            shown.extend(row_of(row, &statements, transaction));
        }
        Ok(shown)
    }
}

connection!(
    /// A page of imports.
    ImportConnection,
    /// An import in a page.
    ImportEdge,
    ImportNode,
    CreatedKey,
    Transactions
);

fn account_of(statement: ImportStatement, account: Option<AccountNode>) -> ImportAccount {
    let money = |amount| Money::from(DomainMoney { amount, currency: statement.currency.clone() });
    ImportAccount {
        account,
        is_new: statement.is_new,
        r#type: statement.kind.into(),
        masked_number: statement.masked_number.as_ref().map(|number| number.as_str().to_owned()),
        currency: CurrencyCode(statement.currency.clone()),
        balance: statement.balances.current.map(money),
        name: statement.name,
    }
}

fn row_of(row: ImportRow, statements: &[ImportStatement], transaction: Option<TransactionNode>) -> Option<RowObject> {
    let currency = statements.iter().find(|statement| statement.number == row.statement)?.currency.clone();
    let facts = row.row.facts;
    Some(RowObject {
        number: row.number,
        line: row.row.line,
        outcome: row.outcome.into(),
        posted_on: LocalDate(facts.posted_on),
        amount: DomainMoney { amount: facts.amount, currency }.into(),
        description: facts.description,
        transaction,
    })
}

/// An enum value as the graph writes it.
fn word(value: &impl InputType) -> serde_json::Value {
    value.to_value().into_json().unwrap_or_default()
}

/// The answer of `POST /imports`: what the payload of the same mutation has as plain JSON, with the first rows of a preview.
pub fn to_json(import: &Import, statements: &[ImportStatement], rows: &[ImportRow]) -> serde_json::Value {
    let id = |id: Option<TransactionId>| id.map(|id| GlobalId::from(id).to_string());
    let currency = |number: u32| statements.iter().find(|statement| statement.number == number).map(|statement| statement.currency.clone());
    let money = |amount: Amount, currency: &Currency| json!({ "amount": amount.to_text(currency), "currency": currency.code() });
    let row = |row: &ImportRow| {
        let amount = currency(row.statement).map(|currency| money(row.row.facts.amount, &currency));
        json!({
            "number": row.number,
            "line": row.row.line,
            "outcome": row.outcome.as_str().to_uppercase(),
            "postedOn": row.row.facts.posted_on.to_string(),
            "amount": amount,
            "description": row.row.facts.description,
            "transaction": id(row.resembles).map(|id| json!({ "id": id })),
        })
    };
    let account = |statement: &ImportStatement| {
        json!({
            "account": statement.account.map(|id| json!({ "id": GlobalId::from(id).to_string() })),
            "isNew": statement.is_new,
            "name": statement.name,
            "type": word(&AccountType::from(statement.kind)),
            "maskedNumber": statement.masked_number.as_ref().map(MaskedNumber::as_str),
            "currency": statement.currency.code(),
            "balance": statement.balances.current.map(|amount| money(amount, &statement.currency)),
        })
    };
    let problem = |problem: &import::LineProblem| json!({ "line": problem.line, "message": problem.message });
    let csv = import.csv.clone().map(csv::Format::from);
    let told = json!({
        "id": GlobalId::from(import.id).to_string(),
        "status": import.status.as_str().to_uppercase(),
        "filename": import.filename,
        "expiresAt": import.expires_at.map(|end| end.to_string()),
        "accountsCreated": import.accounts_created,
        "transactionsCreated": import.transactions_created,
        "transactionsKnown": import.transactions_known,
        "transactionsUpdated": import.transactions_updated,
        "transactionsDoubtful": import.transactions_doubtful,
        "problems": import.problems.iter().map(problem).collect::<Vec<_>>(),
        "statements": statements.iter().map(account).collect::<Vec<_>>(),
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
    });
    json!({ "import": told, "csv": csv, "userErrors": [] })
}
