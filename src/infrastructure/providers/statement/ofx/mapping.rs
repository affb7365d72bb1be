//! From leaves to facts: accounts, balances, rows.
//!
//! OFX states amounts from the owner's view already, so no sign is turned, neither of rows nor of a card's ledger balance. The day of
//! a row is the first eight digits of DTPOSTED as written; an instant without an offset is GMT.

use super::{
    super::{
        redaction::Redaction,
        values::{MAX_DESCRIPTION, MAX_NAME, MAX_REFERENCE, bytes, characters, tidy},
    },
    outline::{CURRENCY, Leaves, PAYEE_NAME},
    values::{amount, day, instant},
};
use crate::domain::{
    account::{AccountType, MaskedNumber},
    balance::Balances,
    card_number,
    money::{Amount, Currency},
    provider::{AccountReference, ReportedAccount, ReportedTransaction},
    time::{LocalDate, Timestamp},
    transaction::{TransactionFacts, TransactionStatus, TransactionSubtype},
};

/// Characters of an account's number; OFX allows 22 (section 11.3.1), an IBAN has 34.
const MAX_NUMBER: usize = 64;

/// The account a statement is of.
pub(super) struct Holder {
    pub(super) account: ReportedAccount,
    pub(super) redaction: Redaction,
}

/// A balance, and when it was that.
#[derive(Clone, Copy)]
pub(super) struct Balance {
    amount: Amount,
    as_of: Option<Timestamp>,
}

/// What kind of statement it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StatementKind {
    Bank,
    Card,
    Investment,
}

/// BANKACCTFROM, CCACCTFROM or INVACCTFROM (sections 11.3.1, 11.3.2 and 13.6.1) with the statement's CURDEF. The error says what is missing.
pub(super) fn holder(leaves: &Leaves, of: StatementKind, curdef: Option<&str>, institution: Option<&str>) -> Result<Holder, &'static str> {
    let number = leaves.get("ACCTID").ok_or("the statement does not say of which account it is (ACCTID); it is left out")?;
    if number.chars().count() > MAX_NUMBER {
        return Err("the statement's account number (ACCTID) is too long to be one; it is left out");
    }
    let currency = curdef.and_then(currency).ok_or("the statement has no valid currency (CURDEF); it is left out")?;
    let word = leaves.get("ACCTTYPE").unwrap_or_default().to_ascii_uppercase();
    let (kind, label) = match of {
        StatementKind::Card => (AccountType::CreditCard, "Credit card"),
        StatementKind::Investment => (AccountType::Brokerage, "Brokerage"),
        StatementKind::Bank => account_type(&word),
    };
    let masked_number = MaskedNumber::cut(number);
    let redaction = Redaction::of(number);
    let part = |name: &str| escaped(&tidy(leaves.get(name).unwrap_or_default()));
    let reference = match of {
        StatementKind::Card => format!("card:{}", number.chars().filter(char::is_ascii_alphanumeric).collect::<String>()),
        StatementKind::Investment => format!("invest:{}:{}", part("BROKERID"), part("ACCTID")),
        StatementKind::Bank => format!("bank:{}:{}:{}:{}", part("BANKID"), part("BRANCHID"), part("ACCTID"), escaped(&word)),
    };
    let name = masked_number.as_ref().map_or_else(|| label.to_owned(), |mask| format!("{label} {}", mask.as_str()));
    let account = ReportedAccount {
        reference: AccountReference::new(reference),
        institution: institution.and_then(|name| shown_name(name, &redaction)),
        name,
        kind,
        masked_number,
        currency,
        balances: Balances::default(),
        is_active: true,
        holdings: None,
        unread_holdings: Vec::new(),
    };
    Ok(Holder { account, redaction })
}

/// Three letters (ISO 4217); what they are letters of is not judged, since old files name currencies that are gone.
fn currency(code: &str) -> Option<Currency> {
    let shaped = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    if shaped { Currency::parse(&code.to_ascii_uppercase()).ok() } else { None }
}

/// ACCTTYPE (section 11.3.1.1), and what such an account is called.
fn account_type(word: &str) -> (AccountType, &'static str) {
    match word {
        "CHECKING" => (AccountType::Checking, "Checking"),
        "SAVINGS" => (AccountType::Savings, "Savings"),
        "MONEYMRKT" => (AccountType::MoneyMarket, "Money market"),
        "CREDITLINE" => (AccountType::LineOfCredit, "Line of credit"),
        "CD" => (AccountType::Cd, "Certificate of deposit"),
        _ => (AccountType::Other, "Account"),
    }
}

/// The name of an institution or a merchant, on one line and without numbers.
fn shown_name(name: &str, redaction: &Redaction) -> Option<String> {
    let name = redaction.text(&tidy(name));
    (!name.is_empty()).then(|| characters(&name, MAX_NAME).to_owned())
}

/// Without the colon that joins the parts of a reference, so that no two accounts get the same one.
fn escaped(part: &str) -> String {
    part.replace('%', "%25").replace(':', "%3A")
}

/// LEDGERBAL or AVAILBAL (section 11.4.2.2), with what of it could not be read. No BALAMT is no balance.
pub(super) fn balance(leaves: &Leaves, currency: &Currency) -> (Option<Balance>, Option<String>) {
    let Some(text) = leaves.get("BALAMT") else { return (None, None) };
    match (amount(text, currency), leaves.get("DTASOF").map(instant)) {
        (Ok(amount), Some(None)) => {
            (Some(Balance { amount, as_of: None }), Some("the balance's date (DTASOF) cannot be read; it counts as of the end of the statement".to_owned()))
        }
        (Ok(amount), as_of) => (Some(Balance { amount, as_of: as_of.flatten() }), None),
        (Err(reason), _) => (None, Some(format!("the balance (BALAMT) cannot be taken: {reason}"))),
    }
}

/// What the account holds; as of the end of the statement where no date stands beside it. For credit, an AVAILBAL below zero is no credit left, and
/// one that only mirrors the ledger balance is the debt again, as some banks write it: neither is what can be spent.
pub(super) fn balances(kind: AccountType, ledger: Option<Balance>, available: Option<Balance>, end: Option<Timestamp>) -> Balances {
    let current = ledger.map(|ledger| ledger.amount);
    let mirrored = |amount: Amount| current.is_some_and(|current| amount == current.negated());
    Balances {
        current,
        available: available.map(|balance| balance.amount).filter(|amount| !kind.is_liability() || !(amount.is_negative() || mirrored(*amount))),
        limit: None,
        as_of: ledger.or(available).and_then(|balance| balance.as_of.or(end)),
    }
}

/// DTSTART and DTEND as days, the earlier first.
pub(super) fn period(leaves: &Leaves) -> Option<(LocalDate, LocalDate)> {
    let (start, end) = (day(leaves.get("DTSTART")?)?, day(leaves.get("DTEND")?)?);
    Some((start.min(end), start.max(end)))
}

/// Refuses what is in another unit than its statement: CURRENCY says that amounts are in that one and not in CURDEF (section 5.2), and no rate
/// turns them into it here. ORIGCURRENCY says that the bank has turned them already.
pub(super) fn in_its_currency(leaves: &Leaves, statement: &Currency) -> Result<(), &'static str> {
    let is_another = leaves.get(CURRENCY).is_some_and(|code| !code.eq_ignore_ascii_case(statement.code()));
    if is_another { Err("the transaction is in another currency than its statement (CURSYM)") } else { Ok(()) }
}

/// STMTTRN (section 11.4.4.1), or STMTTRNP, which has DTTRAN for DTPOSTED. The error says why the row cannot be taken.
pub(super) fn row(leaves: &Leaves, pending: bool, line: u64, holder: &Holder) -> Result<ReportedTransaction, String> {
    let (label, date) = if pending { ("DTTRAN", leaves.get("DTTRAN").or(leaves.get("DTPOSTED"))) } else { ("DTPOSTED", leaves.get("DTPOSTED")) };
    let date = date.ok_or_else(|| format!("the transaction has no date ({label})"))?;
    let posted_on = day(date).ok_or_else(|| format!("the transaction's date ({label}) is not a day of the calendar written YYYYMMDD"))?;
    in_its_currency(leaves, &holder.account.currency)?;
    let corrects = corrects(leaves, &holder.redaction)?;
    let text = leaves.get("TRNAMT").ok_or("the transaction has no amount (TRNAMT)")?;
    let amount = amount(text, &holder.account.currency).map_err(|reason| format!("the transaction's amount (TRNAMT) cannot be taken: {reason}"))?;
    let word = leaves.get("TRNTYPE").unwrap_or_default().to_ascii_uppercase();
    let pending = pending || word == "HOLD";
    let facts = TransactionFacts {
        amount,
        subtype: subtype(&word, amount, holder.account.kind),
        status: if pending { TransactionStatus::Pending } else { TransactionStatus::Posted },
        posted_on,
        authorized_on: leaves.get("DTUSER").and_then(day),
        occurred_at: None,
        description: description(leaves, &word, &holder.redaction),
        merchant_name: leaves.get(PAYEE_NAME).and_then(|name| shown_name(name, &holder.redaction)),
        category: None,
        security: None,
        quantity: None,
        unit_price: None,
        fees: None,
    };
    Ok(ReportedTransaction { reference: reference(leaves, &holder.redaction), replaces: corrects.into_iter().collect(), facts, line: Some(line) })
}

/// FITID, unless it says nothing or is the number of a card. Only the account's own number is cut out of it: banks build it from the number, and what is left
/// still differs from row to row.
pub(super) fn reference(leaves: &Leaves, redaction: &Redaction) -> Option<String> {
    name_of(leaves.get("FITID")?, redaction)
}

/// CORRECTFITID (section 11.4.4.1): the row that this one takes the place of. One that is only taken back cannot be, since files add rows and
/// never take any away; the error says so.
fn corrects(leaves: &Leaves, redaction: &Redaction) -> Result<Option<String>, &'static str> {
    let Some(corrected) = leaves.get("CORRECTFITID").and_then(|id| name_of(id, redaction)) else { return Ok(None) };
    match leaves.get("CORRECTACTION").map(|word| word.trim().to_ascii_uppercase()).as_deref() {
        Some("REPLACE") => Ok(Some(corrected)),
        Some("DELETE") => Err("the bank takes an earlier transaction back here (CORRECTACTION), which a file cannot do; the earlier one is left as it is"),
        _ => Err("the transaction corrects an earlier one (CORRECTFITID) without saying how (CORRECTACTION)"),
    }
}

/// What an id of a row names it by.
fn name_of(written: &str, redaction: &Redaction) -> Option<String> {
    let written = tidy(written);
    let blank = written.bytes().all(|byte| byte == b'0');
    let kept = redaction.own_number(&written);
    let is_card = kept.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-')) && card_number::cut(&kept) != kept;
    (!blank && !is_card).then(|| bytes(&kept, MAX_REFERENCE).to_owned())
}

/// NAME (else the payee's), EXTDNAME and MEMO, each as far as it adds something, and the number of a cheque.
fn description(leaves: &Leaves, word: &str, redaction: &Redaction) -> String {
    let cheque = leaves.get("CHECKNUM").filter(|number| word == "CHECK" && number.bytes().any(|byte| byte != b'0'));
    let name = leaves.get("NAME").or(leaves.get(PAYEE_NAME));
    let mut text = [name, leaves.get("EXTDNAME"), leaves.get("MEMO")].into_iter().flatten().map(tidy).fold(String::new(), extended);
    if let Some(number) = cheque.map(tidy).filter(|number| !text.contains(number)) {
        text = extended(text, format!("Check {number}"));
    }
    characters(&redaction.text(&text), MAX_DESCRIPTION).to_owned()
}

/// `text` and `more`, or only the one that contains the other from its beginning (`more`) or anywhere (`text`). Banks cut NAME at 32
/// characters and repeat it in MEMO in full.
fn extended(text: String, more: String) -> String {
    let (lower, lower_more) = (text.to_ascii_lowercase(), more.to_ascii_lowercase());
    if lower_more.starts_with(&lower) {
        more
    } else if lower.contains(&lower_more) {
        text
    } else {
        format!("{text} · {more}")
    }
}

/// TRNTYPE (section 11.4.4.3) with the sign of the amount. The sign wins: a CREDIT that takes money is a debit. On a card, credits are
/// refunds and debits purchases, but a PAYMENT received is the owner paying it off from another account.
fn subtype(word: &str, amount: Amount, kind: AccountType) -> TransactionSubtype {
    use TransactionSubtype as Subtype;
    let by_sign = |incoming, outgoing| if amount.is_negative() { outgoing } else { incoming };
    match word {
        "CREDIT" | "DEBIT" if kind == AccountType::CreditCard => by_sign(Subtype::Refund, Subtype::Purchase),
        "CREDIT" | "DEBIT" | "DEP" => by_sign(Subtype::Deposit, Subtype::Withdrawal),
        "DIRECTDEP" => Subtype::Deposit,
        "INT" => by_sign(Subtype::Interest, Subtype::InterestCharge),
        "DIV" => Subtype::Dividend,
        "FEE" => Subtype::OtherFee,
        "SRVCHG" => Subtype::AccountFee,
        "ATM" => Subtype::Atm,
        "POS" => by_sign(Subtype::Refund, Subtype::Purchase),
        "XFER" => by_sign(Subtype::TransferIn, Subtype::TransferOut),
        "CHECK" => Subtype::Check,
        "CASH" => Subtype::Cash,
        "PAYMENT" | "DIRECTDEBIT" | "REPEATPMT" if kind.is_liability() => by_sign(Subtype::TransferIn, Subtype::BillPayment),
        "PAYMENT" | "DIRECTDEBIT" | "REPEATPMT" => Subtype::BillPayment,
        _ => Subtype::Unknown,
    }
}
