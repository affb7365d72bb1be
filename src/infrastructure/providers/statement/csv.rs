//! CSV: tables of rows as banks export them, each in its own way.
//!
//! The file is put aside ([`text`]) and gone through twice: once for what its rows tell together of how days and numbers are written
//! ([`detection`]), once to take them ([`mapping`]). A broken row costs that row. What would have to be guessed is asked: a file whose dates
//! fit two orders is not read in one of them. Nothing of the file's text enters a message.

use std::io::BufRead;

use encoding_rs::Encoding;

use super::{MAX_ROWS, Problems, spool::Spool};
use crate::{
    application::ports::{StatementHints, StatementRefusal},
    domain::{
        account::AccountType,
        balance::Balances,
        csv::{ColumnRole, CsvCorrection, CsvFormat, CsvQuestion},
        import::{LineProblem, Statement, StatementFile, UnreadableFile},
        money::Currency,
        time::{LocalDate, Timestamp},
    },
};

use accounts::Named;
use balances::Running;
use detection::Layout;
use evidence::Evidence;
use mapping::Mapping;
use records::{Record, Records};
use text::{Text, first_lines};

mod accounts;
mod balances;
mod currencies;
mod dates;
mod detection;
mod evidence;
mod fees;
mod identity;
mod mapping;
mod names;
mod numbers;
mod records;
mod text;

/// Whether the beginning of a file looks like a table of rows with days and amounts, or a person says that it is one.
pub(super) fn is_table(start: &[u8], is_whole: bool, correction: &CsvCorrection) -> bool {
    if *correction != CsvCorrection::default() {
        return true;
    }
    let lines = first_lines(start, is_whole, None);
    Layout::find(&lines, correction).is_some_and(|layout| layout.has_days() || layout.header_line.is_some())
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
    if layout.is_direction_doubtful() {
        return Err(ask(CsvQuestion::Sign));
    }
    let order = format.date_order.ok_or_else(|| ask(CsvQuestion::DateOrder))?;
    let mark = format.decimal_mark.ok_or_else(|| ask(CsvQuestion::DecimalMark))?;
    let currency = currency(hints, &evidence).map_err(ask)?;
    let mut mapping = Mapping::new(&layout, &evidence, (order, mark, format.invert_sign), currency.clone(), hints.csv != CsvCorrection::default());
    if !layout.places(ColumnRole::Fee).is_empty() {
        let records = Records::of(text.lines().map_err(broken)?, layout.delimiter);
        mapping.fees_on_top = fees::come_on_top(records, &layout, &mapping).map_err(broken)?;
    }
    let mut taken = Taken::of(mapping.accounts.reported(hints.account.as_ref(), &currency), hints.today);
    if hints.csv.invert_sign.is_none() && evidence.are_charges() {
        // Not taken for true: the file of a month in which nothing came in does not say so, and would be read the other way.
        let message = "only what came in is marked (CR), so the other amounts may be what was spent; if so, bring the file with invertSign".to_owned();
        taken.problems.add(LineProblem { line: layout.header_line.unwrap_or(1), message });
    }
    for record in Records::of(text.lines().map_err(broken)?, layout.delimiter) {
        taken.take(record.map_err(broken)?, &layout, &mapping);
    }
    // What is owed is written with either sign.
    let is_owed = hints.kind.or(hints.account.as_ref().map(|account| account.kind)).is_some_and(AccountType::is_liability);
    if hints.csv.invert_sign.is_none() && !is_owed && taken.parts.iter().any(|part| part.running.contradicts_signs()) {
        return Err(ask(CsvQuestion::Sign));
    }
    Ok(taken.finish(format)?)
}

/// The currency of the account the rows go into, else the one that every row or the heading of amounts names.
fn currency(hints: &StatementHints, evidence: &Evidence) -> Result<Currency, CsvQuestion> {
    let of_account = hints.currency.clone().or_else(|| hints.account.as_ref().and_then(|account| account.currency.clone()));
    if hints.currency.is_none() && hints.account.is_none() {
        return Err(CsvQuestion::Account);
    }
    of_account.or_else(|| evidence.currency().and_then(|code| Currency::parse(code).ok())).ok_or(CsvQuestion::Currency)
}

/// What was taken so far of one account.
struct Part {
    named: Named,
    days: Option<(LocalDate, LocalDate)>,
    running: Running,
}

/// What was taken so far.
struct Taken {
    parts: Vec<Part>,
    /// Balances of later days have not come yet.
    today: Option<LocalDate>,
    spool: Spool,
    rows: usize,
    problems: Problems,
}

impl Taken {
    fn of(accounts: Vec<Named>, today: Option<LocalDate>) -> Self {
        let part = |named| Part { named, days: None, running: Running::default() };
        Self { parts: accounts.into_iter().map(part).collect(), today, spool: Spool::default(), rows: 0, problems: Problems::default() }
    }

    fn take(&mut self, record: Record, layout: &Layout, mapping: &Mapping) {
        let (line, result) = match record {
            Record::Row { line, .. } | Record::Broken { line, .. } if line < layout.first_line => return,
            Record::Broken { line, message } => (line, Err(message.to_owned())),
            Record::Row { line, .. } if self.rows == MAX_ROWS => (line, Err(format!("more than {MAX_ROWS} transactions; download a shorter period at a time"))),
            Record::Row { line, cells } => (line, self.read(&cells, line, mapping)),
        };
        if let Err(message) = result {
            self.problems.add(LineProblem { line, message });
        }
    }

    /// Takes a row in. The error says why it is no transaction.
    fn read(&mut self, cells: &[String], line: u64, mapping: &Mapping) -> Result<(), String> {
        let has_come = |day: LocalDate| self.today.is_none_or(|today| day <= today);
        if let Some(is_closing) = mapping.is_closing_balance(cells) {
            if let Some((at, (balance, day))) = mapping.balance(cells).filter(|(_, (_, day))| is_closing && has_come(*day)) {
                self.parts[at].running.close((balance, day));
            }
            let which = if is_closing { "a closing" } else { "an opening" };
            return Err(format!("the row is {which} balance and no transaction, so it is not booked"));
        }
        let row = mapping.row(cells, line)?;
        let day = row.transaction.facts.posted_on;
        let is_past = has_come(day);
        let part = &mut self.parts[row.account];
        part.days = Some(part.days.map_or((day, day), |(first, last)| (first.min(day), last.max(day))));
        if is_past {
            part.running.see(&row);
        }
        self.rows += 1;
        self.spool.push(number(row.account), row.transaction);
        Ok(())
    }

    /// A file of which nothing could be taken makes no account.
    fn finish(self, format: CsvFormat) -> Result<StatementFile, UnreadableFile> {
        let mut problems = self.problems.sorted();
        if self.rows == 0 {
            let line = format.header_line.unwrap_or(1);
            let nothing = LineProblem { line, message: "the file holds no transactions".to_owned() };
            return Err(UnreadableFile { problem: if problems.is_empty() { nothing } else { problems.swap_remove(0) } });
        }
        let statement = |(at, Part { named: Named { mut account, alike, formerly, together }, days, running }): (usize, Part)| {
            // A debt is written with either sign, and nothing in the file tells with which.
            if let Some((current, day)) = running.youngest().filter(|_| !account.kind.is_liability() && !format.invert_sign) {
                let as_of = day.naive().and_hms_opt(0, 0, 0).map(|midnight| Timestamp::new(midnight.and_utc()));
                account.balances = Balances { current: Some(current), as_of, ..Balances::default() };
            }
            // An export lists all rows of its days, from the first to the last.
            Statement { number: number(at), account, alike, formerly, together, period: days }
        };
        // An account of which no row could be taken is not made.
        let statements = self.parts.into_iter().enumerate().filter(|(_, part)| part.days.is_some()).map(statement).collect();
        Ok(StatementFile { statements, rows: self.spool.finish(), problems, csv: Some(format) })
    }
}

/// The number of the statement of the account at a place.
fn number(at: usize) -> u32 {
    u32::try_from(at + 1).unwrap_or(u32::MAX)
}
