//! OFX and QFX: bank and credit-card statements of every version (OFX 2.2, section 11).
//!
//! [`source`] gives bytes and lines, [`lexer`] tags and text, [`outline`] the aggregates, [`mapping`] the facts. This file follows the
//! outline and collects. A broken row costs that row; a statement without an account or a currency costs that statement; text that
//! makes no sense ends reading, and what was complete by then is kept. Nothing of the file's text enters a message.

use std::io::BufRead;

use super::{MAX_ROWS, Problems, spool::Spool};
use crate::domain::{
    import::{LineProblem, Statement, StatementFile, UnreadableFile},
    time::LocalDate,
};

use lexer::Lexer;
use mapping::{Balance, Holder};
use outline::{Aggregate, Event, Leaves, Outline};
use source::{Source, Stop};

mod lexer;
mod mapping;
mod outline;
mod source;
mod values;

/// Statements of one file.
const MAX_STATEMENTS: usize = 1000;

/// Reads one file. See [`StatementFiles`](super::StatementFiles) for what is an error.
pub(super) fn read(input: &mut dyn BufRead) -> Result<StatementFile, UnreadableFile> {
    let mut outline = Outline::new(Lexer::new(Source::new(input)));
    let mut reader = Reader::default();
    loop {
        match outline.next() {
            Ok(Some(event)) => reader.follow(event, &outline),
            Ok(None) => {
                if outline.is_open() {
                    reader.report(outline.line(), "the file breaks off before its end (</OFX>); transactions may be missing");
                }
                break;
            }
            Err(Stop::Broken(problem)) => {
                reader.report(problem.line, problem.message);
                break;
            }
            Err(Stop::Incomplete(problem)) => return Err(UnreadableFile { problem }),
        }
    }
    for event in outline.abandon() {
        reader.follow(event, &outline);
    }
    reader.finish(outline.line())
}

/// What was collected so far.
#[derive(Default)]
struct Reader {
    institution: Option<String>,
    announced: Option<Announced>,
    draft: Option<Draft>,
    /// Statements that were begun, and rows that were taken.
    begun: u32,
    rows: usize,
    spool: Spool,
    statements: Vec<Statement>,
    problems: Problems,
}

/// A statement that has begun and did not yet come to its rows or balances.
struct Announced {
    line: u64,
    card: bool,
    account: Leaves,
}

/// A statement of a known account.
struct Draft {
    number: u32,
    holder: Holder,
    period: Option<(LocalDate, LocalDate)>,
    ledger: Option<Balance>,
    available: Option<Balance>,
}

impl Reader {
    fn follow(&mut self, event: Event, outline: &Outline) {
        match event {
            Event::Opened(aggregate, line) => self.opened(aggregate, line, outline),
            Event::Closed { aggregate, line, leaves, complete } => self.closed(aggregate, line, leaves, complete),
            Event::Swallowed(line) => self.report(line, "an unknown element that begins here never ends; statements or transactions behind it were not read"),
        }
    }

    fn opened(&mut self, aggregate: Aggregate, line: u64, outline: &Outline) {
        match aggregate {
            Aggregate::BankStatement | Aggregate::CardStatement => {
                self.draft = None;
                self.announced = Some(Announced { line, card: aggregate == Aggregate::CardStatement, account: Leaves::default() });
            }
            Aggregate::InvestmentStatement => {
                self.report(line, "investment statements are not read yet; bank and credit-card statements of the file are");
            }
            Aggregate::LoanStatement => self.report(line, "loan statements are not read yet; bank and credit-card statements of the file are"),
            // Section 11.4.2.2 puts currency and account in front of these, and rows cannot be read without.
            Aggregate::Rows | Aggregate::PendingRows | Aggregate::Row | Aggregate::PendingRow | Aggregate::LedgerBalance | Aggregate::AvailableBalance => {
                self.begin(outline.said("CURDEF"));
            }
            _ => {}
        }
    }

    fn closed(&mut self, aggregate: Aggregate, line: u64, leaves: Leaves, complete: bool) {
        match aggregate {
            Aggregate::Institution => self.institution = leaves.get("ORG").map(str::to_owned),
            Aggregate::Status => self.status(line, &leaves),
            Aggregate::BankAccount | Aggregate::CardAccount if complete => {
                if let Some(announced) = &mut self.announced {
                    announced.card |= aggregate == Aggregate::CardAccount;
                    announced.account = leaves;
                }
            }
            Aggregate::BankStatement | Aggregate::CardStatement => {
                self.begin(leaves.get("CURDEF"));
                self.take_statement(line);
            }
            Aggregate::Rows => {
                if let Some(draft) = &mut self.draft {
                    draft.period = mapping::period(&leaves);
                }
            }
            Aggregate::Row | Aggregate::PendingRow if complete => self.take_row(&leaves, aggregate == Aggregate::PendingRow, line),
            Aggregate::Row | Aggregate::PendingRow => self.report(line, "the file breaks off inside this transaction; it is left out"),
            Aggregate::LedgerBalance | Aggregate::AvailableBalance if complete => self.take_balance(aggregate, &leaves, line),
            _ => {}
        }
    }

    /// The bank's answer for a statement or the sign-in (section 3.1.5). Its MESSAGE may say anything and is not passed on.
    fn status(&mut self, line: u64, leaves: &Leaves) {
        if leaves.get("SEVERITY").is_some_and(|severity| severity.eq_ignore_ascii_case("ERROR")) {
            let code = leaves.get("CODE").filter(|code| code.len() <= 6 && code.bytes().all(|byte| byte.is_ascii_digit()));
            self.report(line, format!("the bank reports error {} instead of data here", code.unwrap_or("without a code")));
        }
    }

    /// Turns what was announced into a draft; a statement that lacks what it needs is reported once and its rows find no draft.
    fn begin(&mut self, curdef: Option<&str>) {
        let Some(Announced { line, card, account }) = self.announced.take() else { return };
        match mapping::holder(&account, card, curdef, self.institution.as_deref()) {
            Ok(holder) => {
                self.begun += 1;
                self.draft = Some(Draft { number: self.begun, holder, period: None, ledger: None, available: None });
            }
            Err(reason) => self.report(line, reason),
        }
    }

    fn take_row(&mut self, leaves: &Leaves, pending: bool, line: u64) {
        let Some(draft) = &mut self.draft else { return };
        match mapping::row(leaves, pending, line, &draft.holder) {
            Ok(_) if self.rows == MAX_ROWS => self.report(line, format!("more than {MAX_ROWS} transactions; download a shorter period at a time")),
            Ok(row) => {
                self.rows += 1;
                self.spool.push(draft.number, row);
            }
            Err(reason) => self.report(line, reason),
        }
    }

    fn take_balance(&mut self, aggregate: Aggregate, leaves: &Leaves, line: u64) {
        let Some(draft) = &mut self.draft else { return };
        let (balance, problem) = mapping::balance(leaves, &draft.holder.account.currency);
        if aggregate == Aggregate::LedgerBalance {
            draft.ledger = balance;
        } else {
            draft.available = balance;
        }
        if let Some(problem) = problem {
            self.report(line, problem);
        }
    }

    fn take_statement(&mut self, line: u64) {
        let Some(Draft { number, holder, period, ledger, available }) = self.draft.take() else { return };
        if self.statements.len() == MAX_STATEMENTS {
            return self.report(line, format!("more than {MAX_STATEMENTS} statements; this one is left out"));
        }
        let mut account = holder.account;
        account.balances = mapping::balances(account.kind, ledger, available);
        self.statements.push(Statement { number, account, period });
    }

    fn report(&mut self, line: u64, message: impl Into<String>) {
        self.problems.add(LineProblem { line, message: message.into() });
    }

    fn finish(self, line: u64) -> Result<StatementFile, UnreadableFile> {
        let mut problems = self.problems.sorted();
        if self.statements.is_empty() {
            let nothing = || LineProblem { line, message: "the file holds no statement of a bank account or credit card".to_owned() };
            return Err(UnreadableFile { problem: if problems.is_empty() { nothing() } else { problems.swap_remove(0) } });
        }
        Ok(StatementFile { statements: self.statements, rows: self.spool.finish(), problems, csv: None })
    }
}
