//! CSV: tables of rows as banks export them, each in its own way.
//!
//! The file is put aside ([`text`]) and gone through twice: once for what its rows tell together of how days and numbers are written
//! ([`detection`]), once to take them ([`mapping`]). A broken row costs that row. What would have to be guessed is asked: a file whose dates
//! fit two orders is not read in one of them. Nothing of the file's text enters a message.

use std::io::BufRead;

use encoding_rs::Encoding;

use super::{MAX_ROWS, Problems, spool::Spool, values::tidy};
use crate::{
    application::ports::{StatementHints, StatementRefusal},
    domain::{
        account::AccountType,
        balance::Balances,
        csv::{CsvCorrection, CsvFormat, CsvQuestion, NamedAccount},
        import::{LineProblem, Statement, StatementFile, UnreadableFile},
        money::Currency,
        provider::{AccountReference, ReportedAccount},
        time::{LocalDate, Timestamp},
    },
};

use detection::{Evidence, Layout};
use mapping::{Mapping, Running};
use records::{Record, Records};
use text::{Text, first_lines};

mod dates;
mod detection;
mod mapping;
mod names;
mod numbers;
mod records;
mod text;

/// Characters of an account's name.
const MAX_NAME: usize = 255;

/// Whether the beginning of a file looks like a table of rows with days and amounts, or a person says that it is one.
pub(super) fn is_table(start: &[u8], is_whole: bool, correction: &CsvCorrection) -> bool {
    if *correction != CsvCorrection::default() {
        return true;
    }
    let lines = first_lines(start, is_whole, None);
    Layout::find(&lines, correction).is_some_and(|layout| layout.is_whole() || layout.header_line.is_some())
}

/// Reads one file. `start` is its beginning, which `input` gives as well.
pub(super) fn read(start: &[u8], is_whole: bool, input: &mut dyn BufRead, hints: &StatementHints) -> Result<StatementFile, StatementRefusal> {
    let unreadable = |message: &str| UnreadableFile { problem: LineProblem { line: 1, message: message.to_owned() } };
    let told = hints.csv.encoding.as_deref().map(|label| Encoding::for_label_no_replacement(label.as_bytes()));
    if told == Some(None) {
        return Err(StatementRefusal::Undecided { question: CsvQuestion::Encoding, format: None });
    }
    let told = told.flatten();
    let found = Layout::find(&first_lines(start, is_whole, told), &hints.csv);
    let layout = found.ok_or_else(|| {
        unreadable("no row with a date and an amount is at the beginning of the file; say what stands between its cells, or download it as OFX")
    })?;
    let text = Text::put_aside(input, told).map_err(|problem| UnreadableFile { problem })?;
    let broken = |_| unreadable("the file could not be read back; bring it again");
    let evidence = Evidence::of(&text, &layout).map_err(broken)?;
    let format = CsvFormat {
        encoding: text.name.to_owned(),
        delimiter: layout.delimiter,
        header_line: layout.header_line,
        date_order: hints.csv.date_order.or_else(|| evidence.order()),
        decimal_mark: hints.csv.decimal_mark.or_else(|| evidence.mark()),
        invert_sign: hints.csv.invert_sign.unwrap_or(false),
        columns: layout.columns.clone(),
    };
    let ask = |question| StatementRefusal::Undecided { question, format: Some(Box::new(format.clone())) };
    if !layout.is_whole() {
        return Err(ask(CsvQuestion::Columns));
    }
    let order = format.date_order.ok_or_else(|| ask(CsvQuestion::DateOrder))?;
    let mark = format.decimal_mark.ok_or_else(|| ask(CsvQuestion::DecimalMark))?;
    let currency = currency(hints, &evidence).map_err(ask)?;
    let account = account(hints.account.as_ref(), currency.clone());
    let mapping = Mapping::new(&layout, &evidence, (order, mark), format.invert_sign, currency);
    let mut taken = Taken::of(account);
    for record in Records::of(text.lines().map_err(broken)?, layout.delimiter) {
        taken.take(record.map_err(broken)?, &layout, &mapping);
    }
    Ok(taken.finish(format))
}

/// The currency of the account the rows go into, else the one that every row names.
fn currency(hints: &StatementHints, evidence: &Evidence) -> Result<Currency, CsvQuestion> {
    let of_account = hints.currency.clone().or_else(|| hints.account.as_ref().and_then(|account| account.currency.clone()));
    if hints.currency.is_none() && hints.account.is_none() {
        return Err(CsvQuestion::Account);
    }
    of_account.or_else(|| evidence.currency().and_then(|code| Currency::parse(code).ok())).ok_or(CsvQuestion::Currency)
}

/// The account of the rows: known by the name it was given, since the file gives it no number.
fn account(named: Option<&NamedAccount>, currency: Currency) -> ReportedAccount {
    let name = named.map(|named| tidy(&named.name)).unwrap_or_default();
    ReportedAccount {
        reference: AccountReference::new(format!("csv:{}", name.to_lowercase())),
        institution: None,
        name: super::values::characters(&name, MAX_NAME).to_owned(),
        kind: named.map_or(AccountType::Other, |named| named.kind),
        masked_number: None,
        currency,
        balances: Balances::default(),
        is_active: true,
        holdings: None,
        unread_holdings: Vec::new(),
    }
}

/// What was taken so far.
struct Taken {
    account: ReportedAccount,
    spool: Spool,
    rows: usize,
    days: Option<(LocalDate, LocalDate)>,
    running: Running,
    problems: Problems,
}

impl Taken {
    fn of(account: ReportedAccount) -> Self {
        Self { account, spool: Spool::default(), rows: 0, days: None, running: Running::default(), problems: Problems::default() }
    }

    fn take(&mut self, record: Record, layout: &Layout, mapping: &Mapping) {
        let (line, result) = match record {
            Record::Row { line, .. } | Record::Broken { line, .. } if line < layout.first_line => return,
            Record::Broken { line, message } => (line, Err(message.to_owned())),
            Record::Row { line, .. } if self.rows == MAX_ROWS => (line, Err(format!("more than {MAX_ROWS} transactions; download a shorter period at a time"))),
            Record::Row { line, cells } => (line, mapping.row(&cells, line)),
        };
        match result {
            Ok(row) => {
                let day = row.transaction.facts.posted_on;
                self.days = Some(self.days.map_or((day, day), |(first, last)| (first.min(day), last.max(day))));
                self.running.see(&row);
                self.rows += 1;
                self.spool.push(1, row.transaction);
            }
            Err(message) => self.problems.add(LineProblem { line, message }),
        }
    }

    fn finish(self, format: CsvFormat) -> StatementFile {
        let mut account = self.account;
        // A debt is written with either sign, and nothing in the file tells with which.
        if let Some((current, day)) = self.running.youngest().filter(|_| !account.kind.is_liability() && !format.invert_sign) {
            let as_of = day.naive().and_hms_opt(0, 0, 0).map(|midnight| Timestamp::new(midnight.and_utc()));
            account.balances = Balances { current: Some(current), as_of, ..Balances::default() };
        }
        // An export lists all rows of its days, from the first to the last.
        let statement = Statement { number: 1, account, period: self.days };
        StatementFile { statements: vec![statement], rows: self.spool.finish(), problems: self.problems.sorted(), csv: Some(format) }
    }
}
