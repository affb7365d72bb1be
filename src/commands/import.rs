//! `dashtam import`: a statement file, for a user.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context;
use clap::Args;

use crate::{
    app::App,
    application::{access::Requester, import::ImportStatement},
    config::Config,
    presentation::graphql::global_id::GlobalId,
};

use super::{say, terminal::Progress, user::beside_a_server};

/// Takes in a statement file.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    dashtam import statement.ofx --user ann@example.com\n  \
    dashtam import card.qfx --user ann@example.com --account acct_01jf2x8n4keg5s9y0c3vd7w6qz\n\n\
    The same file twice changes nothing. What cannot be read is named by its line, and the rest is taken in.")]
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
        let opening = || format!("{} cannot be opened", self.file.display());
        let content = File::open(&self.file).with_context(opening)?;
        let size = content.metadata().with_context(opening)?.len();
        let account = self.account.map(|id| id.parse::<GlobalId>().and_then(GlobalId::of).context("--account takes an account's id, acct_…")).transpose()?;
        let app = App::open(config, config.bind, beside_a_server(config)).await?;
        let owner = app.application.user_queries.find_any_for_operator(&self.user).await?;
        anyhow::ensure!(owner.is_active, "{} is kept out, or about to be erased; nothing is taken in for them", self.user);
        let filename = self.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let requester = Requester::command_line(Some(owner.id));
        let progress = Arc::new(Progress::new());
        let content = Box::new(Watched { inner: content, read: 0, size, filename: filename.clone(), progress: progress.clone() });
        let imported = app.application.imports.import(ImportStatement { requester, filename, content, account }).await;
        drop(progress);
        let import = imported?;
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

/// A file that says how much of it has been read, and when all of it has.
struct Watched {
    inner: File,
    read: u64,
    size: u64,
    filename: String,
    progress: Arc<Progress>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read += read as u64;
        if read == 0 {
            self.progress.staying(&format!("{}: {} read, storing what is new", self.filename, in_bytes(self.read)));
        } else {
            // What is no plain file has no size.
            let hundredths = (self.read * 100).checked_div(self.size).map(|hundredths| format!(", {hundredths} %")).unwrap_or_default();
            self.progress.passing(&format!("{}: {} read{hundredths}", self.filename, in_bytes(self.read)));
        }
        Ok(read)
    }
}

/// `12.3 MiB`, cut and not rounded.
fn in_bytes(bytes: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..0x400 => format!("{bytes} B"),
        0x400..0x10_0000 => format!("{} KiB", tenths(0x400)),
        _ => format!("{} MiB", tenths(0x10_0000)),
    }
}
