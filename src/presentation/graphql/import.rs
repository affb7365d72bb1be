//! Imports in the graph: statement files, looked at, taken in, and taken back.

use std::{io::Cursor, sync::Arc};

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use serde_json::json;

use crate::{
    application::{
        access::Resource,
        import::{BringStatement, CommitImport, ImportError, RevertImport},
    },
    domain::{
        account::MaskedNumber,
        audit::Act,
        csv::CsvFormat,
        id::TransactionId,
        import::{self, Import, ImportRow, ImportStatement},
        money::Money as DomainMoney,
        page::{CreatedKey, MAX_PAGE},
    },
};

use super::{
    ContextExt,
    account::{AccountNode, AccountType},
    csv,
    error::{Code, Fault, UserError, outcome},
    global_id::{GlobalId, id_or_nothing},
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

/// The answer of `POST /imports`: what the payload of the same mutation has as plain JSON, with the first rows of a preview.
pub fn to_json(import: &Import, statements: &[ImportStatement], rows: &[ImportRow]) -> serde_json::Value {
    let id = |id: Option<TransactionId>| id.map(|id| GlobalId::from(id).to_string());
    let currency = |number: u32| statements.iter().find(|statement| statement.number == number).map(|statement| statement.currency.clone());
    let row = |row: &ImportRow| {
        let amount = currency(row.statement).map(|currency| json!({ "amount": row.row.facts.amount.to_text(&currency), "currency": currency.code() }));
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
            "maskedNumber": statement.masked_number.as_ref().map(MaskedNumber::as_str),
            "currency": statement.currency.code(),
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

/// A statement file, as text.
#[derive(InputObject)]
pub struct ImportStatementInput {
    /// What the file is called.
    filename: String,
    /// Its text: OFX 1.x, OFX 2.x, QFX or CSV. Files larger than this server's limit for documents go to `POST /imports`.
    content: String,
    /// Put its rows into this account of one's own; without it each account of the file is recognised by its number, or made.
    account_id: Option<ID>,
    /// For CSV files, which do not say which account they are of: what a new one is called. Not looked at beside `accountId`, nor for other formats.
    account: Option<csv::NewAccountInput>,
    /// For CSV files: how this one is written, where that cannot be told from it. Not looked at for other formats.
    csv: Option<csv::FormatInput>,
}

/// A statement file, as text, to be looked at.
#[derive(InputObject)]
pub struct PreviewImportInput {
    /// What the file is called.
    filename: String,
    /// Its text: OFX 1.x, OFX 2.x, QFX or CSV. Files larger than this server's limit for documents go to `POST /imports`.
    content: String,
    /// The account of one's own that its rows would go into; without it each account of the file is recognised by its number, or would be made.
    account_id: Option<ID>,
    /// For CSV files, which do not say which account they are of: what a new one is called. Not looked at beside `accountId`, nor for other formats.
    account: Option<csv::NewAccountInput>,
    /// For CSV files: how this one is written, where that cannot be told from it. Not looked at for other formats.
    csv: Option<csv::FormatInput>,
}

impl From<PreviewImportInput> for ImportStatementInput {
    fn from(PreviewImportInput { filename, content, account_id, account, csv }: PreviewImportInput) -> Self {
        Self { filename, content, account_id, account, csv }
    }
}

impl ImportStatementInput {
    fn command(self, requester: crate::application::access::Requester) -> BringStatement {
        BringStatement {
            requester,
            filename: self.filename,
            content: Box::new(Cursor::new(self.content.into_bytes())),
            account: self.account_id.map(|id| id_or_nothing(&id)),
            new_account: self.account.map(Into::into),
            csv: self.csv.map(Into::into).unwrap_or_default(),
        }
    }
}

/// Which preview is taken in, and what of it.
#[derive(InputObject)]
pub struct CommitImportInput {
    /// The preview.
    import_id: ID,
    /// Take doubtful rows too, as transactions of their own.
    take_doubtful: Option<bool>,
    /// Take these doubtful rows, by their numbers.
    take_rows: Option<Vec<u32>>,
}

/// Which import is taken back.
#[derive(InputObject)]
pub struct RevertImportInput {
    /// The import.
    import_id: ID,
}

/// What was taken in, or why nothing was.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Transactions))]
pub struct ImportStatementPayload {
    /// The import; null when nothing was taken.
    import: Option<ImportNode>,
    /// How a CSV file is read, also when something about it has to be said first; null for other formats and for what cannot be read at all.
    csv: Option<csv::Format>,
    /// Why nothing was taken; empty when something was.
    user_errors: Vec<UserError>,
}

/// What would be taken in, or why nothing can be.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Transactions))]
pub struct PreviewImportPayload {
    /// The preview, kept for an hour; null when there is none.
    import: Option<ImportNode>,
    /// How a CSV file is read, also when something about it has to be said first; null for other formats and for what cannot be read at all.
    csv: Option<csv::Format>,
    /// Why there is no preview; empty when there is one.
    user_errors: Vec<UserError>,
}

/// What was taken in, or why nothing was.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Transactions))]
pub struct CommitImportPayload {
    /// The import; null when nothing was taken.
    import: Option<ImportNode>,
    /// Why nothing was taken; empty when something was.
    user_errors: Vec<UserError>,
}

/// What was taken back, or why nothing was.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Transactions))]
pub struct RevertImportPayload {
    /// The import; null when nothing was taken back.
    import: Option<ImportNode>,
    /// Transactions that are gone; null when nothing was taken back.
    transactions_removed: Option<u32>,
    /// Transactions the import had added that stay: another import or a bank has told of them since, or they have changed.
    transactions_kept: Option<u32>,
    /// Accounts that are gone, since the import had made them and nothing is in them any more.
    accounts_removed: Option<u32>,
    /// Why nothing was taken back; empty when something was.
    user_errors: Vec<UserError>,
}

/// How a CSV file is read, whether it was taken in or something about it has to be said first.
fn format_of(result: &Result<Import, ImportError>) -> Option<CsvFormat> {
    match result {
        Ok(import) => import.csv.clone(),
        Err(ImportError::Undecided { format, .. }) => format.as_deref().cloned(),
        Err(_) => None,
    }
}

fn node(import: Import) -> ImportNode {
    ImportNode(Arc::new(import))
}

/// Takes statement files in.
#[derive(Default)]
pub struct ImportMutation;

#[Object(serial)]
impl ImportMutation {
    /// Takes in a statement file: all of what can be read, in one commit. The same file twice changes nothing.
    #[graphql(guard = Allow::attempt(Act::ImportStatement))]
    async fn import_statement(&self, ctx: &Context<'_>, #[graphql(desc = "The file.")] input: ImportStatementInput) -> Result<ImportStatementPayload, Fault> {
        let request = ctx.of_request()?;
        let result = request.application.imports.import(input.command(request.requester.clone())).await;
        let csv = format_of(&result).map(Into::into);
        let (import, user_errors) = outcome(result)?;
        Ok(ImportStatementPayload { import: import.map(node), csv, user_errors })
    }

    /// Looks at a statement file: what would come in, and what each row is. Nothing comes in until `commitImport`, for which the preview is kept
    /// for an hour; of more than five the oldest goes.
    #[graphql(guard = Allow::attempt(Act::PreviewImport))]
    async fn preview_import(&self, ctx: &Context<'_>, #[graphql(desc = "The file.")] input: PreviewImportInput) -> Result<PreviewImportPayload, Fault> {
        let request = ctx.of_request()?;
        let result = request.application.imports.preview(ImportStatementInput::from(input).command(request.requester.clone())).await;
        let csv = format_of(&result).map(Into::into);
        let (import, user_errors) = outcome(result)?;
        Ok(PreviewImportPayload { import: import.map(node), csv, user_errors })
    }

    /// Takes in what was looked at, once and in one commit. Rows are matched once more, since others may have come in meanwhile.
    #[graphql(guard = Allow::attempt(Act::CommitImport))]
    async fn commit_import(&self, ctx: &Context<'_>, #[graphql(desc = "Which preview.")] input: CommitImportInput) -> Result<CommitImportPayload, Fault> {
        let request = ctx.of_request()?;
        let command = CommitImport {
            requester: request.requester.clone(),
            import: id_or_nothing(&input.import_id),
            take_doubtful: input.take_doubtful.unwrap_or(false),
            take_rows: input.take_rows.unwrap_or_default(),
        };
        let (import, user_errors) = outcome(request.application.imports.commit(command).await)?;
        Ok(CommitImportPayload { import: import.map(node), user_errors })
    }

    /// Takes back what an import added, by whichever way it came in: transactions, and accounts it made that are empty again. What another import
    /// or a bank has told of since stays, and so does what has changed.
    #[graphql(guard = Allow::attempt(Act::RevertImport))]
    async fn revert_import(&self, ctx: &Context<'_>, #[graphql(desc = "Which import.")] input: RevertImportInput) -> Result<RevertImportPayload, Fault> {
        let request = ctx.of_request()?;
        let command = RevertImport { requester: request.requester.clone(), import: id_or_nothing(&input.import_id) };
        let (reverted, user_errors) = outcome(request.application.imports.revert(command).await)?;
        let (import, reverted) = reverted.unzip();
        Ok(RevertImportPayload {
            import: import.map(node),
            transactions_removed: reverted.map(|reverted| reverted.transactions),
            transactions_kept: reverted.map(|reverted| reverted.kept),
            accounts_removed: reverted.map(|reverted| reverted.accounts),
            user_errors,
        })
    }
}
