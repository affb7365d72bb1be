//! `dashtam import`: a statement file, for a user.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context;
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};

use crate::{
    app::App,
    application::{
        access::Requester,
        import::{BringStatement, ImportError},
    },
    config::Config,
    domain::{
        account::AccountType,
        csv::{ColumnRole, CsvCorrection, CsvFormat, CsvQuestion, DateOrder, DecimalMark, Delimiter, NamedAccount},
        import::Import as Imported,
        money::Currency,
        page::MAX_PAGE,
    },
    presentation::graphql::global_id::GlobalId,
};

use super::{say, terminal::Progress, user::beside_a_server};

/// Takes in a statement file.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    dashtam import statement.ofx --user ann@example.com\n  \
    dashtam import card.qfx --user ann@example.com --account acct_01jf2x8n4keg5s9y0c3vd7w6qz\n  \
    dashtam import giro.csv --user ann@example.com --new-account Giro --currency EUR --dates dmy\n\n\
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
    /// Look at it, and take nothing in
    #[arg(long)]
    preview: bool,
    #[command(flatten)]
    csv: CsvOptions,
}

/// What a CSV file does not say, or says so that it is read wrong.
#[derive(Args)]
#[command(next_help_heading = "CSV files")]
struct CsvOptions {
    /// The name of the account the file is of; one of this name is made, or found the next time
    #[arg(long, value_name = "NAME", conflicts_with = "account")]
    new_account: Option<String>,
    /// What kind of account that is
    #[arg(long, value_name = "TYPE", default_value = "checking", value_parser = word(AccountType::ALL, AccountType::as_str))]
    account_type: AccountType,
    /// The currency of the account, unless every row says so
    #[arg(long, value_name = "CODE", requires = "new_account")]
    currency: Option<String>,
    /// The file's encoding, such as windows-1250
    #[arg(long, value_name = "LABEL")]
    encoding: Option<String>,
    /// What stands between two cells
    #[arg(long, value_name = "DELIMITER", value_parser = word(Delimiter::ALL, Delimiter::as_str))]
    delimiter: Option<Delimiter>,
    /// The line of the headings, from 1; 0 when there are none
    #[arg(long, value_name = "LINE")]
    header_line: Option<u64>,
    /// The order of dates
    #[arg(long, value_name = "ORDER", value_parser = word(DateOrder::ALL, DateOrder::as_str))]
    dates: Option<DateOrder>,
    /// What stands before decimals
    #[arg(long, value_name = "MARK", value_parser = word(DecimalMark::ALL, DecimalMark::as_str))]
    decimals: Option<DecimalMark>,
    /// Whether the file writes what was spent as positive; `false` takes the signs as they are, whatever balances beside them say
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    invert_sign: Option<bool>,
    /// What a column holds, such as 3=amount; may be given several times
    #[arg(long, value_name = "NUMBER=ROLE", value_parser = column)]
    column: Vec<(u32, ColumnRole)>,
}

/// One of a list of words.
fn word<T: Copy + Send + Sync + 'static>(all: &'static [T], as_str: fn(T) -> &'static str) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(all.iter().map(|value| as_str(*value)))
        .try_map(move |word| all.iter().copied().find(|value| as_str(*value) == word).ok_or("no such word"))
}

fn column(text: &str) -> Result<(u32, ColumnRole), String> {
    let (number, role) = text.split_once('=').ok_or("write NUMBER=ROLE, such as 3=amount")?;
    let number = number.trim().parse().ok().filter(|number| *number > 0).ok_or("columns are counted from 1")?;
    let words = || ColumnRole::ALL.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
    Ok((number, ColumnRole::parse(role.trim()).ok_or_else(|| format!("a column holds one of {}", words()))?))
}

impl CsvOptions {
    fn read(self) -> anyhow::Result<(Option<NamedAccount>, CsvCorrection)> {
        let currency = self.currency.map(|code| Currency::parse(&code)).transpose()?;
        let account = self.new_account.map(|name| NamedAccount { name, kind: self.account_type, currency });
        let correction = CsvCorrection {
            encoding: self.encoding,
            delimiter: self.delimiter,
            header_line: self.header_line,
            date_order: self.dates,
            decimal_mark: self.decimals,
            invert_sign: self.invert_sign,
            columns: self.column,
        };
        Ok((account, correction))
    }
}

/// What a person answers to a question about a file.
fn option_for(question: CsvQuestion) -> &'static str {
    match question {
        CsvQuestion::Encoding => "--encoding",
        CsvQuestion::Columns => "--column",
        CsvQuestion::DateOrder => "--dates",
        CsvQuestion::DecimalMark => "--decimals",
        CsvQuestion::Account => "--account or --new-account",
        CsvQuestion::Sign => "--invert-sign, or --column with a direction",
        CsvQuestion::Currency => "--currency",
    }
}

/// What a preview found, for a person. It is kept for the graph, which can commit it.
async fn say_preview(app: &App, requester: &Requester, import: &Imported) -> anyhow::Result<()> {
    say(&format!("  nothing is taken in yet; {} as {}", import.status.as_str(), GlobalId::from(import.id)))?;
    if let Some(format) = &import.csv {
        say_format(format)?;
    }
    let queries = &app.application.import_queries;
    let statements = queries.statements_of(requester, &[import.id]).await?.remove(&import.id).unwrap_or_default();
    for row in queries.rows_of(requester, import.id, None, 0, MAX_PAGE).await? {
        let currency = statements.iter().find(|statement| statement.number == row.statement).map(|statement| &statement.currency);
        let amount = currency.map(|currency| row.row.facts.amount.to_text(currency)).unwrap_or_default();
        say(&format!("  {:>8}  {}  {amount:>12}  {}", row.outcome.as_str(), row.row.facts.posted_on, row.row.facts.description))?;
    }
    Ok(())
}

/// How a CSV file is read, for a person.
fn say_format(format: &CsvFormat) -> anyhow::Result<()> {
    let order = format.date_order.map_or("not clear", DateOrder::as_str);
    let mark = format.decimal_mark.map_or("not clear", DecimalMark::as_str);
    say(&format!("  {}, {} between cells, dates {order}, decimals {mark}", format.encoding, format.delimiter.as_str()))?;
    for column in format.columns.iter().filter(|column| column.role != ColumnRole::Ignored) {
        say(&format!("  column {} {}: {}", column.number, column.name.as_deref().unwrap_or_default(), column.role.as_str()))?;
    }
    Ok(())
}

impl Import {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let opening = || format!("{} cannot be opened", self.file.display());
        let content = File::open(&self.file).with_context(opening)?;
        let size = content.metadata().with_context(opening)?.len();
        let account = self.account.map(|id| id.parse::<GlobalId>().and_then(GlobalId::of).context("--account takes an account's id, acct_…")).transpose()?;
        let (new_account, csv) = self.csv.read()?;
        let app = App::open(config, config.bind, beside_a_server(config)).await?;
        let owner = app.application.user_queries.find_any_for_operator(&self.user).await?;
        anyhow::ensure!(owner.is_active, "{} is kept out, or about to be erased; nothing is taken in for them", self.user);
        let filename = self.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let requester = Requester::command_line(Some(owner.id));
        let progress = Arc::new(Progress::new());
        let content = Box::new(Watched { inner: content, read: 0, size, filename: filename.clone(), progress: progress.clone() });
        let command = BringStatement { requester: requester.clone(), filename, content, account, new_account, csv };
        let imports = &app.application.imports;
        let imported = if self.preview { imports.preview(command).await } else { imports.import(command).await };
        drop(progress);
        if let Err(ImportError::Undecided { question, format }) = &imported {
            if let Some(format) = format {
                say_format(format)?;
            }
            anyhow::bail!("{question}: {}", option_for(*question));
        }
        let import = imported?;
        say(&format!(
            "{}: {} new accounts, {} new transactions, {} known before",
            import.filename, import.accounts_created, import.transactions_created, import.transactions_known
        ))?;
        if self.preview {
            say_preview(&app, &requester, &import).await?;
        }
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
