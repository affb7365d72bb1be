//! The outline: which aggregate is open, and what its leaves said.
//!
//! The aggregates we read have names and known parents; any other is skipped to its end tag. A missing end tag is made up for when
//! something opens or closes that cannot stand inside. An unknown tag that gets neither text nor an end tag was an empty leaf of
//! SGML: the leaves behind it belong to its parent.

use std::collections::VecDeque;

use super::{
    lexer::{Lexer, Token},
    source::Stop,
};
use crate::domain::import::LineProblem;

/// Aggregates inside aggregates; OFX needs eight.
const MAX_DEPTH: usize = 32;

/// Leaves, by which an empty one is told from an aggregate, in alphabetic order.
const LEAVES: [&str; 78] = [
    "ACCTID",
    "ACCTKEY",
    "ACCTTYPE",
    "AVAILCASH",
    "BALAMT",
    "BANKID",
    "BRANCHID",
    "BROKERID",
    "BUYTYPE",
    "CHECKNUM",
    "CLTCOOKIE",
    "CODE",
    "COMMISSION",
    "CORRECTACTION",
    "CORRECTFITID",
    "CURDEF",
    "CURRATE",
    "CURSYM",
    "DTACCTUP",
    "DTASOF",
    "DTAVAIL",
    "DTEND",
    "DTEXPIRE",
    "DTPOSTED",
    "DTPRICEASOF",
    "DTPROFUP",
    "DTSERVER",
    "DTSETTLE",
    "DTSTART",
    "DTTRADE",
    "DTTRAN",
    "DTUSER",
    "EXTDNAME",
    "FEES",
    "FID",
    "FITID",
    "FRACCASH",
    "HELDINACCT",
    "INCOMETYPE",
    "INTU.BID",
    "INTU.ORG",
    "INTU.USERID",
    "LANGUAGE",
    "LOAD",
    "MARGINBALANCE",
    "MEMO",
    "MESSAGE",
    "MKTVAL",
    "NAME",
    "NEWUNITS",
    "OLDUNITS",
    "OPTACTION",
    "OPTBUYTYPE",
    "OPTSELLTYPE",
    "ORG",
    "PAYEEID",
    "POSTYPE",
    "REFNUM",
    "SECNAME",
    "SELLTYPE",
    "SEVERITY",
    "SHORTBALANCE",
    "SIC",
    "SRVRTID",
    "SUBACCTFUND",
    "SUBACCTSEC",
    "TAXES",
    "TFERACTION",
    "TICKER",
    "TOTAL",
    "TRNAMT",
    "TRNTYPE",
    "TRNUID",
    "UNIQUEID",
    "UNIQUEIDTYPE",
    "UNITPRICE",
    "UNITS",
    "USERKEY",
];

/// Under which name a row finds the name of its PAYEE.
pub(super) const PAYEE_NAME: &str = "PAYEE/NAME";

/// Under which name a row, an action or a position finds the currency it is in. That of ORIGCURRENCY is another's.
pub(super) const CURRENCY: &str = "CURRENCY/CURSYM";

/// Actions of an investment account (section 13.9.2.4.4).
const TRADES: [&str; 20] = [
    "BUYDEBT",
    "BUYMF",
    "BUYOPT",
    "BUYOTHER",
    "BUYSTOCK",
    "CLOSUREOPT",
    "INCOME",
    "INVEXPENSE",
    "JRNLFUND",
    "JRNLSEC",
    "MARGININTEREST",
    "REINVEST",
    "RETOFCAP",
    "SELLDEBT",
    "SELLMF",
    "SELLOPT",
    "SELLOTHER",
    "SELLSTOCK",
    "SPLIT",
    "TRANSFER",
];

/// Positions of an investment account (section 13.9.2.6.1).
const POSITIONS: [&str; 5] = ["POSDEBT", "POSMF", "POSOPT", "POSOTHER", "POSSTOCK"];

/// What securities are described by (section 13.8.5).
const SECURITIES: [&str; 5] = ["DEBTINFO", "MFINFO", "OPTINFO", "OTHERINFO", "STOCKINFO"];

/// The aggregates that matter (OFX 2.2, sections 2.5, 11.3, 11.4 and 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Root,
    SignOnSet,
    SignOn,
    Institution,
    MessageSet,
    Response,
    Status,
    BankStatement,
    CardStatement,
    InvestmentStatement,
    LoanStatement,
    BankAccount,
    CardAccount,
    Rows,
    PendingRows,
    Row,
    PendingRow,
    Payee,
    LedgerBalance,
    AvailableBalance,
    InvestmentAccount,
    Trades,
    /// An action, by its name.
    Trade(&'static str),
    BankMove,
    Positions,
    /// A position, by its name.
    Position(&'static str),
    InvestmentBalance,
    SecurityList,
    /// A security, by the name of its kind.
    Security(&'static str),
    Currency,
    /// A part of an action, a position or a security, whose leaves are theirs.
    Detail,
    /// Any other.
    Skipped,
}

impl Aggregate {
    fn named(name: &str) -> Self {
        match name {
            "OFX" => Self::Root,
            "SIGNONMSGSRSV1" => Self::SignOnSet,
            "SONRS" => Self::SignOn,
            "FI" => Self::Institution,
            "BANKMSGSRSV1" | "CREDITCARDMSGSRSV1" | "INVSTMTMSGSRSV1" | "LOANMSGSRSV1" | "SECLISTMSGSRSV1" => Self::MessageSet,
            "STMTTRNRS" | "CCSTMTTRNRS" | "INVSTMTTRNRS" | "LOANSTMTTRNRS" | "SECLISTTRNRS" => Self::Response,
            "STATUS" => Self::Status,
            "STMTRS" => Self::BankStatement,
            "CCSTMTRS" => Self::CardStatement,
            "INVSTMTRS" => Self::InvestmentStatement,
            "LOANSTMTRS" => Self::LoanStatement,
            "BANKACCTFROM" => Self::BankAccount,
            "CCACCTFROM" => Self::CardAccount,
            "BANKTRANLIST" => Self::Rows,
            "BANKTRANLISTP" => Self::PendingRows,
            "STMTTRN" => Self::Row,
            "STMTTRNP" => Self::PendingRow,
            "PAYEE" => Self::Payee,
            "LEDGERBAL" => Self::LedgerBalance,
            "AVAILBAL" => Self::AvailableBalance,
            "INVACCTFROM" => Self::InvestmentAccount,
            "INVTRANLIST" => Self::Trades,
            "INVBANKTRAN" => Self::BankMove,
            "INVPOSLIST" => Self::Positions,
            "INVBAL" => Self::InvestmentBalance,
            "SECLIST" => Self::SecurityList,
            "CURRENCY" => Self::Currency,
            "INVBUY" | "INVSELL" | "INVTRAN" | "INVPOS" | "SECINFO" | "SECID" => Self::Detail,
            _ => {
                let known = |names: &[&'static str]| names.iter().find(|known| **known == name).copied();
                let others = [known(&TRADES).map(Self::Trade), known(&POSITIONS).map(Self::Position), known(&SECURITIES).map(Self::Security)];
                others.into_iter().flatten().next().unwrap_or(Self::Skipped)
            }
        }
    }

    /// Whether it may stand directly inside `parent`. Message sets, responses and lists may be missing.
    fn fits(self, parent: Self) -> bool {
        match self {
            Self::Root | Self::Skipped => false,
            Self::SignOnSet | Self::MessageSet => parent == Self::Root,
            Self::SignOn => matches!(parent, Self::SignOnSet | Self::Root),
            Self::Institution => parent == Self::SignOn,
            Self::Response => matches!(parent, Self::MessageSet | Self::Root),
            Self::Status => matches!(parent, Self::Response | Self::SignOn),
            Self::BankStatement | Self::CardStatement | Self::InvestmentStatement | Self::LoanStatement => {
                matches!(parent, Self::Response | Self::MessageSet | Self::Root)
            }
            Self::BankAccount | Self::CardAccount | Self::Rows | Self::PendingRows | Self::LedgerBalance | Self::AvailableBalance => {
                matches!(parent, Self::BankStatement | Self::CardStatement)
            }
            Self::Row => matches!(parent, Self::Rows | Self::BankStatement | Self::CardStatement | Self::BankMove | Self::Trades),
            Self::InvestmentAccount | Self::Trades | Self::Positions | Self::InvestmentBalance => parent == Self::InvestmentStatement,
            Self::Trade(_) | Self::BankMove => parent == Self::Trades,
            Self::Position(_) => parent == Self::Positions,
            Self::SecurityList => matches!(parent, Self::MessageSet | Self::Root),
            Self::Security(_) => parent == Self::SecurityList,
            Self::Currency => matches!(parent, Self::Trade(_) | Self::Position(_) | Self::Detail | Self::Row | Self::PendingRow),
            Self::Detail => matches!(parent, Self::Trade(_) | Self::Position(_) | Self::Security(_) | Self::Detail),
            Self::PendingRow => matches!(parent, Self::PendingRows | Self::BankStatement | Self::CardStatement),
            Self::Payee => matches!(parent, Self::Row | Self::PendingRow),
        }
    }
}

/// What the leaves of one aggregate said; an empty leaf said nothing.
#[derive(Default)]
pub(super) struct Leaves(Vec<(&'static str, String)>);

impl Leaves {
    /// The value of a leaf, decoded and trimmed, never blank.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// The first one stays.
    fn add(&mut self, name: &'static str, value: String) {
        if self.get(name).is_none() {
            self.0.push((name, value));
        }
    }
}

/// What happened in the file.
pub(super) enum Event {
    /// An aggregate begins at this line.
    Opened(Aggregate, u64),
    /// An aggregate that began at `line` is over; not `complete` when the file broke off inside it.
    Closed { aggregate: Aggregate, line: u64, leaves: Leaves, complete: bool },
    /// An aggregate that nobody knows began at this line, never ended, and took others with it.
    Swallowed(u64),
}

struct Frame {
    name: String,
    aggregate: Aggregate,
    line: u64,
    leaves: Leaves,
    /// Something we would have read stood inside of what we skip.
    swallowed: bool,
}

/// Follows the tags of a file.
pub(super) struct Outline<'a> {
    lexer: Lexer<'a>,
    frames: Vec<Frame>,
    /// The leaf whose text comes next.
    leaf: Option<&'static str>,
    /// Nothing came yet behind the innermost frame's tag.
    fresh: bool,
    events: VecDeque<Event>,
}

impl<'a> Outline<'a> {
    /// Nothing is read yet.
    pub(super) fn new(lexer: Lexer<'a>) -> Self {
        Self { lexer, frames: Vec::new(), leaf: None, fresh: false, events: VecDeque::new() }
    }

    /// The line reading has come to.
    pub(super) fn line(&self) -> u64 {
        self.lexer.line()
    }

    /// Whether something has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        !self.frames.is_empty()
    }

    /// What an aggregate that is still open said up to here.
    pub(super) fn said(&self, name: &str) -> Option<&str> {
        self.frames.iter().rev().find_map(|frame| frame.leaves.get(name))
    }

    /// The next event; `None` when the file is over.
    pub(super) fn next(&mut self) -> Result<Option<Event>, Stop> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            match self.lexer.next()? {
                None => return Ok(None),
                Some(Token::Open { name, line }) => self.open(name, line)?,
                Some(Token::Close { name }) => self.close(&name),
                Some(Token::Text(text)) => self.text(text),
            }
        }
    }

    /// The file ends here, whatever is open: everything that is, innermost first.
    pub(super) fn abandon(&mut self) -> VecDeque<Event> {
        while self.pop(false) {}
        std::mem::take(&mut self.events)
    }

    fn open(&mut self, name: String, line: u64) -> Result<(), Stop> {
        self.leaf = LEAVES.binary_search(&name.as_str()).ok().map(|at| LEAVES[at]);
        if self.leaf.is_some() {
            self.fresh = false;
            return Ok(());
        }
        let aggregate = self.place(Aggregate::named(&name));
        if self.frames.len() == MAX_DEPTH {
            return Err(Stop::Broken(LineProblem { line, message: format!("the file nests more than {MAX_DEPTH} deep; reading stopped here") }));
        }
        if aggregate != Aggregate::Skipped {
            self.events.push_back(Event::Opened(aggregate, line));
        }
        self.frames.push(Frame { name, aggregate, line, leaves: Leaves::default(), swallowed: false });
        self.fresh = true;
        Ok(())
    }

    /// Makes room for an aggregate where it fits, closing what was left open, or says that it is to be skipped.
    fn place(&mut self, aggregate: Aggregate) -> Aggregate {
        if aggregate == Aggregate::Root && self.frames.is_empty() {
            return aggregate;
        }
        // The account on the other side of a transfer is not the statement's.
        if aggregate == Aggregate::InvestmentAccount && self.frames.iter().any(|frame| frame.aggregate == Aggregate::Trades) {
            return Aggregate::Skipped;
        }
        let parent = self.frames.iter().rposition(|frame| aggregate.fits(frame.aggregate));
        let Some(parent) = parent else { return Aggregate::Skipped };
        if let Some(skipped) = self.frames[parent + 1..].iter_mut().find(|frame| frame.aggregate == Aggregate::Skipped) {
            skipped.swallowed = true;
            return Aggregate::Skipped;
        }
        self.close_above(parent + 1);
        aggregate
    }

    fn close(&mut self, name: &str) {
        self.fresh = false;
        if self.leaf.take() == Some(name) {
            return;
        }
        if let Some(at) = self.frames.iter().rposition(|frame| frame.name == name) {
            self.close_above(at + 1);
            if self.frames[at].aggregate == Aggregate::Skipped {
                self.frames.pop();
            } else {
                self.pop(true);
            }
        }
    }

    fn text(&mut self, text: String) {
        let fresh = std::mem::take(&mut self.fresh);
        match (self.leaf.take(), self.frames.last_mut()) {
            (Some(leaf), Some(frame)) => frame.leaves.add(leaf, text),
            // A leaf after all, of a name we don't know.
            (None, Some(frame)) if fresh && frame.aggregate == Aggregate::Skipped => {
                self.frames.pop();
            }
            _ => {}
        }
    }

    /// Ends what is open above `depth`, without an end tag of its own.
    fn close_above(&mut self, depth: usize) {
        while self.frames.len() > depth {
            self.pop(true);
        }
    }

    /// Ends the innermost aggregate; false when none is open.
    fn pop(&mut self, complete: bool) -> bool {
        let Some(Frame { aggregate, line, mut leaves, swallowed, .. }) = self.frames.pop() else { return false };
        match (aggregate, self.frames.last_mut()) {
            (Aggregate::Skipped, _) if swallowed => self.events.push_back(Event::Swallowed(line)),
            (Aggregate::Skipped | Aggregate::Detail, Some(parent)) => leaves.0.into_iter().for_each(|(name, value)| parent.leaves.add(name, value)),
            (Aggregate::Skipped | Aggregate::Detail, None) => {}
            (Aggregate::Currency, Some(row)) => {
                if let Some(at) = leaves.0.iter().position(|(name, _)| *name == "CURSYM") {
                    row.leaves.add(CURRENCY, leaves.0.swap_remove(at).1);
                }
            }
            (Aggregate::Payee, Some(row)) => {
                if let Some(at) = leaves.0.iter().position(|(name, _)| *name == "NAME") {
                    row.leaves.add(PAYEE_NAME, leaves.0.swap_remove(at).1);
                }
            }
            _ => self.events.push_back(Event::Closed { aggregate, line, leaves, complete }),
        }
        true
    }
}
