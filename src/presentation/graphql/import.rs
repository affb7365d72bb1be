//! Imports in the graph: statement files.

use std::io::Cursor;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde::Serialize;
use serde_json::json;

use crate::{
    application::{
        access::Resource,
        import::{ImportError, ImportStatement},
    },
    domain::{audit::Act, csv::CsvFormat, import::Import},
};

use super::{
    ContextExt, csv,
    error::{Fault, UserError, outcome},
    global_id::{GlobalId, id_or_nothing},
    guard::Allow,
};

/// Something of a file that was not taken, or taken with a doubt.
#[derive(SimpleObject, Serialize)]
#[graphql(serial, guard = Allow::read(Resource::Transactions))]
pub struct ImportProblem {
    /// Where in the file, counted from 1.
    line: u64,
    /// What is wrong, for people.
    message: String,
}

/// A statement file that was taken in.
#[derive(SimpleObject, Serialize)]
#[graphql(name = "Import", serial, guard = Allow::read(Resource::Transactions))]
#[serde(rename_all = "camelCase")]
pub struct ImportObject {
    /// The global id, `import_…`.
    id: ID,
    /// The file's name.
    filename: String,
    /// Accounts that were new.
    accounts_created: u32,
    /// Transactions that were new.
    transactions_created: u32,
    /// Transactions that were known before. The same file twice has only these.
    transactions_known: u32,
    /// What was not taken, or taken with a doubt, by line.
    problems: Vec<ImportProblem>,
}

impl From<Import> for ImportObject {
    fn from(import: Import) -> Self {
        Self {
            id: GlobalId::from(import.id).to_id(),
            filename: import.filename,
            accounts_created: import.accounts_created,
            transactions_created: import.transactions_created,
            transactions_known: import.transactions_known,
            problems: import.problems.into_iter().map(|problem| ImportProblem { line: problem.line, message: problem.message }).collect(),
        }
    }
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

/// What was taken in, or why nothing was.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Transactions))]
pub struct ImportStatementPayload {
    /// The import; null when nothing was taken.
    import: Option<ImportObject>,
    /// How a CSV file is read, also when something about it has to be said first; null for other formats and for what cannot be read at all.
    csv: Option<csv::Format>,
    /// Why nothing was taken; empty when something was.
    user_errors: Vec<UserError>,
}

impl ImportStatementPayload {
    /// Of an import that is done.
    pub fn taken_in(import: Import) -> Self {
        let csv = import.csv.clone().map(Into::into);
        Self { import: Some(import.into()), csv, user_errors: Vec::new() }
    }

    /// The same fields as plain JSON, for `POST /imports`.
    pub fn to_json(&self) -> serde_json::Value {
        json!({ "import": self.import, "csv": self.csv, "userErrors": [] })
    }
}

/// How a CSV file is read, whether it was taken in or something about it has to be said first.
fn format_of(result: &Result<Import, ImportError>) -> Option<CsvFormat> {
    match result {
        Ok(import) => import.csv.clone(),
        Err(ImportError::Undecided { format, .. }) => format.as_deref().cloned(),
        Err(_) => None,
    }
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
        let command = ImportStatement {
            requester: request.requester.clone(),
            filename: input.filename,
            content: Box::new(Cursor::new(input.content.into_bytes())),
            account: input.account_id.map(|id| id_or_nothing(&id)),
            new_account: input.account.map(Into::into),
            csv: input.csv.map(Into::into).unwrap_or_default(),
        };
        let result = request.application.imports.import(command).await;
        let csv = format_of(&result).map(Into::into);
        let (import, user_errors) = outcome(result)?;
        Ok(ImportStatementPayload { import: import.map(Into::into), csv, user_errors })
    }
}
