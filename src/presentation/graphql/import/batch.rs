//! Statement files brought through the graph: looked at, taken in, taken back.

use std::{io::Cursor, sync::Arc};

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::{
    application::{
        access::{Requester, Resource},
        import::{BringStatement, CommitImport, ImportError, RevertImport},
    },
    domain::{audit::Act, csv::CsvFormat, import::Import},
    presentation::graphql::{
        ContextExt, csv,
        error::{Fault, UserError, outcome},
        global_id::id_or_nothing,
        guard::Allow,
    },
};

use super::ImportNode;

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
    fn command(self, requester: Requester) -> BringStatement {
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
    /// Transactions the import had changed that say again what they said before; null when nothing was taken back.
    transactions_restored: Option<u32>,
    /// Transactions the import had added or changed that stay as they are: another import or a bank has told of them since. Null when nothing was
    /// taken back.
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

    /// Takes back what an import added, by whichever way it came in: transactions, and accounts it made that are empty again; and what it changed.
    /// What another import or a bank has told of since stays.
    #[graphql(guard = Allow::attempt(Act::RevertImport))]
    async fn revert_import(&self, ctx: &Context<'_>, #[graphql(desc = "Which import.")] input: RevertImportInput) -> Result<RevertImportPayload, Fault> {
        let request = ctx.of_request()?;
        let command = RevertImport { requester: request.requester.clone(), import: id_or_nothing(&input.import_id) };
        let (reverted, user_errors) = outcome(request.application.imports.revert(command).await)?;
        let (import, reverted) = reverted.unzip();
        Ok(RevertImportPayload {
            import: import.map(node),
            transactions_removed: reverted.map(|reverted| reverted.transactions),
            transactions_restored: reverted.map(|reverted| reverted.restored),
            transactions_kept: reverted.map(|reverted| reverted.kept),
            accounts_removed: reverted.map(|reverted| reverted.accounts),
            user_errors,
        })
    }
}
