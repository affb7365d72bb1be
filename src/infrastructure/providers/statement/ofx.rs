//! OFX and QFX: bank, credit-card and investment statements of every version (OFX 2.2, sections 11 and 13).
//!
//! [`source`] gives bytes and lines, [`lexer`] tags and text, [`outline`] the aggregates, [`mapping`] the facts. This file follows the
//! outline and collects. A broken row costs that row; a statement without an account or a currency costs that statement; text that
//! makes no sense ends reading, and what was complete by then is kept. Nothing of the file's text enters a message.

use std::io::BufRead;

use chrono::NaiveTime;

use super::{MAX_ROWS, Problems, spool::Spool};
use crate::domain::{
    import::{LineProblem, Statement, StatementFile, UnreadableFile},
    money::Currency,
    provider::ReportedTransaction,
    time::{LocalDate, Timestamp},
};

use investment::{Portfolio, Securities};
use lexer::Lexer;
use mapping::{Balance, Holder, StatementKind};
use outline::{Aggregate, Event, Leaves, Outline};
use source::{Source, Stop};

mod investment;
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
    securities: Securities,
    problems: Problems,
}

/// A statement that has begun and did not yet come to its rows or balances.
struct Announced {
    line: u64,
    kind: StatementKind,
    account: Leaves,
}

/// A statement of a known account.
struct Draft {
    number: u32,
    holder: Holder,
    period: Option<(LocalDate, LocalDate)>,
    ledger: Option<Balance>,
    available: Option<Balance>,
    /// Of an investment account.
    portfolio: Option<Portfolio>,
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
            Aggregate::BankStatement => self.announce(line, StatementKind::Bank),
            Aggregate::CardStatement => self.announce(line, StatementKind::Card),
            Aggregate::InvestmentStatement => self.announce(line, StatementKind::Investment),
            Aggregate::LoanStatement => self.report(line, "loan statements are not read yet; the other statements of the file are"),
            // Sections 11.4.2.2 and 13.9.2 put currency and account in front of these, and rows cannot be read without.
            Aggregate::Rows | Aggregate::PendingRows | Aggregate::Row | Aggregate::PendingRow | Aggregate::LedgerBalance | Aggregate::AvailableBalance => {
                self.begin(outline.said("CURDEF"));
            }
            Aggregate::Trades | Aggregate::InvestmentBalance => self.begin(outline.said("CURDEF")),
            Aggregate::Positions => {
                self.begin(outline.said("CURDEF"));
                if let Some(portfolio) = self.draft.as_mut().and_then(|draft| draft.portfolio.as_mut()) {
                    portfolio.list();
                }
            }
            _ => {}
        }
    }

    fn closed(&mut self, aggregate: Aggregate, line: u64, leaves: Leaves, complete: bool) {
        match aggregate {
            Aggregate::Institution => self.institution = leaves.get("ORG").map(str::to_owned),
            Aggregate::Status => self.status(line, &leaves),
            Aggregate::BankAccount | Aggregate::CardAccount | Aggregate::InvestmentAccount if complete => {
                if let Some(announced) = &mut self.announced {
                    if aggregate == Aggregate::CardAccount {
                        announced.kind = StatementKind::Card;
                    }
                    announced.account = leaves;
                }
            }
            Aggregate::BankStatement | Aggregate::CardStatement | Aggregate::InvestmentStatement => {
                self.begin(leaves.get("CURDEF"));
                self.take_statement(line, leaves.get("DTASOF").and_then(values::instant));
            }
            Aggregate::Rows | Aggregate::Trades => {
                if let Some(draft) = &mut self.draft {
                    draft.period = mapping::period(&leaves);
                }
            }
            Aggregate::Row | Aggregate::PendingRow if complete => self.take_row(&leaves, aggregate == Aggregate::PendingRow, line),
            Aggregate::Trade(kind) if complete => self.take_trade(kind, &leaves, line),
            Aggregate::Row | Aggregate::PendingRow | Aggregate::Trade(_) => {
                self.report(line, "the file breaks off inside this transaction; it is left out");
            }
            Aggregate::Position(kind) if complete => {
                let taken = self.portfolio().map(|(portfolio, currency)| portfolio.position(kind, &leaves, &currency));
                self.report_failure(line, taken);
            }
            Aggregate::Position(_) => self.report(line, "the file breaks off inside this position; it is left out"),
            Aggregate::InvestmentBalance if complete => {
                let taken = self.portfolio().map(|(portfolio, currency)| portfolio.balance(&leaves, &currency));
                self.report_failure(line, taken);
            }
            Aggregate::Security(kind) if complete => self.securities.take(kind, &leaves),
            Aggregate::LedgerBalance | Aggregate::AvailableBalance if complete => self.take_balance(aggregate, &leaves, line),
            _ => {}
        }
    }

    fn announce(&mut self, line: u64, kind: StatementKind) {
        self.draft = None;
        self.announced = Some(Announced { line, kind, account: Leaves::default() });
    }

    /// What the investment account that is read holds so far, and its currency.
    fn portfolio(&mut self) -> Option<(&mut Portfolio, Currency)> {
        let draft = self.draft.as_mut()?;
        Some((draft.portfolio.as_mut()?, draft.holder.account.currency.clone()))
    }

    fn report_failure(&mut self, line: u64, taken: Option<Result<(), String>>) {
        if let Some(Err(reason)) = taken {
            self.report(line, reason);
        }
    }

    fn take_trade(&mut self, kind: &'static str, leaves: &Leaves, line: u64) {
        let Some(draft) = &self.draft else { return };
        let read = investment::trade(kind, leaves, line, &draft.holder);
        self.take(draft.number, read, line);
    }

    fn take(&mut self, statement: u32, read: Result<ReportedTransaction, String>, line: u64) {
        match read {
            Ok(_) if self.rows == MAX_ROWS => self.report(line, format!("more than {MAX_ROWS} transactions; download a shorter period at a time")),
            Ok(row) => {
                self.rows += 1;
                self.spool.push(statement, row);
            }
            Err(reason) => self.report(line, reason),
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
        let Some(Announced { line, kind, account }) = self.announced.take() else { return };
        match mapping::holder(&account, kind, curdef, self.institution.as_deref()) {
            Ok(holder) => {
                self.begun += 1;
                let portfolio = (kind == StatementKind::Investment).then(Portfolio::default);
                self.draft = Some(Draft { number: self.begun, holder, period: None, ledger: None, available: None, portfolio });
            }
            Err(reason) => self.report(line, reason),
        }
    }

    fn take_row(&mut self, leaves: &Leaves, pending: bool, line: u64) {
        let Some(draft) = &self.draft else { return };
        let read = mapping::row(leaves, pending, line, &draft.holder);
        self.take(draft.number, read, line);
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

    fn take_statement(&mut self, line: u64, as_of: Option<Timestamp>) {
        let Some(Draft { number, holder, period, ledger, available, portfolio }) = self.draft.take() else { return };
        if self.statements.len() == MAX_STATEMENTS {
            return self.report(line, format!("more than {MAX_STATEMENTS} statements; this one is left out"));
        }
        let mut account = holder.account;
        let end = period.map(|(_, last)| Timestamp::new(last.naive().and_time(NaiveTime::MIN).and_utc()));
        account.balances = match &portfolio {
            Some(portfolio) => portfolio.balances(&account.currency, as_of.or(end)),
            None => mapping::balances(account.kind, ledger, available, end),
        };
        account.holdings = portfolio.and_then(|portfolio| portfolio.positions);
        self.statements.push(Statement { number, account, alike: None, formerly: None, together: None, period });
    }

    fn report(&mut self, line: u64, message: impl Into<String>) {
        self.problems.add(LineProblem { line, message: message.into() });
    }

    fn finish(mut self, line: u64) -> Result<StatementFile, UnreadableFile> {
        let mut problems = self.problems.sorted();
        if self.statements.is_empty() {
            let nothing = || LineProblem { line, message: "the file holds no statement of a bank account, a credit card or an investment account".to_owned() };
            return Err(UnreadableFile { problem: if problems.is_empty() { nothing() } else { problems.swap_remove(0) } });
        }
        let securities = self.securities;
        for held in self.statements.iter_mut().flat_map(|statement| statement.account.holdings.iter_mut().flatten()) {
            securities.name(&mut held.security);
        }
        let rows = self.spool.finish().map(move |row| row.map(|(statement, row)| (statement, securities.name_row(row))));
        Ok(StatementFile { statements: self.statements, rows: Box::new(rows), problems, csv: None })
    }
}
