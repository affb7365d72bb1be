//! `dashtam import`: a statement file, for a user.

use std::{fs::File, path::PathBuf};

use anyhow::Context;
use clap::Args;

use crate::{
    app::App,
    application::{access::Requester, import::ImportStatement},
    config::Config,
    presentation::graphql::global_id::GlobalId,
};

use super::{say, user::beside_a_server};

/// Takes in a statement file.
#[derive(Args)]
pub(super) struct Import {
    /// The file
    file: PathBuf,
    /// Whose it is
    #[arg(long, value_name = "EMAIL")]
    user: String,
    /// Put its rows into this account (acct_…) instead of finding or making one
    #[arg(long, value_name = "ID")]
    account: Option<String>,
}

impl Import {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let content = File::open(&self.file).with_context(|| format!("{} cannot be opened", self.file.display()))?;
        let account = self.account.map(|id| id.parse::<GlobalId>().and_then(GlobalId::of).context("--account takes an account's id, acct_…")).transpose()?;
        let app = App::open(config, config.bind, beside_a_server(config)).await?;
        let owner = app.application.user_queries.find_any_for_operator(&self.user).await?;
        let filename = self.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let requester = Requester::command_line(Some(owner.id));
        let import = app.application.imports.import(ImportStatement { requester, filename, content: Box::new(content), account }).await?;
        say(&format!(
            "{}: {} new accounts, {} new transactions, {} known before",
            import.filename, import.accounts_created, import.transactions_created, import.transactions_known
        ))?;
        for problem in &import.problems {
            say(&format!("  line {}: {}", problem.line, problem.message))?;
        }
        Ok(())
    }
}
