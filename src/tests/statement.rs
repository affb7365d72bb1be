//! Statement files: what real banks write is read, what is broken is named by its line, and nothing leaks or grows.

#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod hostile;
mod investment;

use std::{
    fmt::Write,
    io::{BufRead, BufReader},
};

use dashtam::{
    application::ports::{StatementHints, StatementReader, StatementRefusal},
    domain::{
        import::{LineProblem, StatementFile},
        provider::{LinkMethod, ProviderCategory, ReportedAccount, ReportedTransaction},
        time::LocalDate,
        transaction::TransactionStatus,
    },
    infrastructure::providers::statement::StatementFiles,
};

const CHECKING: &[u8] = include_bytes!("fixtures/ofx/checking-sgml.ofx");
const ONE_LINE: &[u8] = include_bytes!("fixtures/ofx/one-line.ofx");
const SAVINGS: &[u8] = include_bytes!("fixtures/ofx/savings-xml.ofx");
const CARD: &[u8] = include_bytes!("fixtures/ofx/card-unclosed.ofx");
const SEVERAL: &[u8] = include_bytes!("fixtures/ofx/several-accounts.ofx");
const BROKEN: &[u8] = include_bytes!("fixtures/ofx/broken-rows.ofx");
const LATIN: &[u8] = include_bytes!("fixtures/ofx/latin-called-utf8.ofx");
const INVESTMENT: &[u8] = include_bytes!("fixtures/ofx/investment.ofx");
const PENDING: &[u8] = include_bytes!("fixtures/ofx/pending.ofx");
const BROKERAGE: &[u8] = include_bytes!("fixtures/ofx/brokerage-sgml.ofx");
const BROKERAGE_XML: &[u8] = include_bytes!("fixtures/ofx/brokerage-xml.ofx");
const ALL: [&[u8]; 11] = [CHECKING, ONE_LINE, SAVINGS, CARD, SEVERAL, BROKEN, LATIN, INVESTMENT, PENDING, BROKERAGE, BROKERAGE_XML];

/// What a file said, its rows where they belong and in the file's order.
#[derive(Debug, PartialEq)]
struct File {
    statements: Vec<Statement>,
    problems: Vec<LineProblem>,
}

#[derive(Debug, PartialEq)]
struct Statement {
    account: ReportedAccount,
    period: Option<(LocalDate, LocalDate)>,
    transactions: Vec<ReportedTransaction>,
}

fn collected(file: StatementFile) -> File {
    let rows: Vec<_> = file.rows.map(|row| row.expect("the disk works")).collect();
    assert!(rows.is_sorted_by_key(|(statement, row)| (*statement, row.facts.posted_on, row.facts.amount, row.line)));
    let statement = |of: dashtam::domain::import::Statement| {
        let mut transactions: Vec<_> = rows.iter().filter(|(number, _)| *number == of.number).map(|(_, row)| row.clone()).collect();
        transactions.sort_by_key(|row| row.line);
        Statement { account: of.account, period: of.period, transactions }
    };
    File { statements: file.statements.into_iter().map(statement).collect(), problems: file.problems }
}

fn read(mut bytes: &[u8]) -> Result<File, StatementRefusal> {
    read_from(&mut bytes)
}

fn read_from(source: &mut dyn BufRead) -> Result<File, StatementRefusal> {
    StatementFiles.read(source, &StatementHints::default()).map(collected)
}

fn read_ok(bytes: &[u8]) -> File {
    read(bytes).expect("readable")
}

fn refusal(bytes: &[u8]) -> String {
    read(bytes).expect_err("unreadable").to_string()
}

/// One account's file of these rows, in SGML, on one line.
fn with_rows(rows: &str) -> Vec<u8> {
    let account = "<CURDEF>USD<BANKACCTFROM><BANKID>1<ACCTID>55667788<ACCTTYPE>CHECKING</BANKACCTFROM>";
    format!("<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS>{account}<BANKTRANLIST>{rows}</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>").into_bytes()
}

fn with_row(leaves: &str) -> Vec<u8> {
    with_rows(&format!("<STMTTRN>{leaves}</STMTTRN>"))
}

/// The description a row of these leaves gets.
fn description(leaves: &str) -> String {
    read_ok(&with_row(&format!("<DTPOSTED>20240101<TRNAMT>1{leaves}"))).statements[0].transactions[0].facts.description.clone()
}

#[test]
fn a_correction_names_the_row_it_takes_the_place_of_and_one_that_only_takes_back_is_a_problem() {
    let row = |id: &str, more: &str| format!("<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>20261105<TRNAMT>-100<FITID>{id}{more}</STMTTRN>");
    let corrects = |action: &str| format!("<CORRECTFITID> 55667788-1 <CORRECTACTION>{action}");
    let rows = [row("a", &corrects("replace")), row("b", &corrects("DELETE")), row("c", "<CORRECTFITID>x"), row("d", "<CORRECTFITID>000<CORRECTACTION>DELETE")];
    let file = read_ok(&with_rows(&rows.join("\n")));
    let taken: Vec<_> = file.statements[0].transactions.iter().map(|row| (row.reference.as_deref(), row.replaces.clone())).collect();
    assert_eq!(taken, [(Some("a"), vec!["••••7788-1".to_owned()]), (Some("d"), vec![])]);
    let problems: Vec<_> = file.problems.iter().map(|problem| (problem.line, problem.message.split(' ').take(5).collect::<Vec<_>>().join(" "))).collect();
    assert_eq!(problems, [(2, "the bank takes an earlier".to_owned()), (3, "the transaction corrects an earlier".to_owned())]);
}

#[test]
fn a_row_in_another_currency_than_its_statement_is_refused_and_a_converted_one_is_taken() {
    let row = |tag: &str, id: &str, more: &str| format!("<{tag}><TRNTYPE>DEBIT<DTPOSTED>20261105<DTTRAN>20261105<TRNAMT>-100<FITID>{id}{more}</{tag}>");
    let of = |code: &str| format!("<CURRENCY><CURRATE>1.1<CURSYM>{code}</CURRENCY>");
    let rows = [
        row("STMTTRN", "foreign", &of("EUR")),
        row("STMTTRN", "converted", "<ORIGCURRENCY><CURRATE>1.1<CURSYM>EUR</ORIGCURRENCY>"),
        row("STMTTRN", "own", &of("usd ")),
        row("STMTTRN", "unsaid", "<CURRENCY><CURRATE>1.1</CURRENCY>"),
        row("STMTTRNP", "foreign-pending", &of("EUR")),
        row("STMTTRNP", "own-pending", &of("USD")),
    ];
    let file = read_ok(&with_rows(&rows.join("\n")));
    let taken: Vec<_> = file.statements[0].transactions.iter().filter_map(|row| row.reference.as_deref()).collect();
    assert_eq!(taken, ["converted", "own", "unsaid", "own-pending"]);
    let problems: Vec<_> = file.problems.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
    let said = "the transaction is in another currency than its statement (CURSYM)";
    assert_eq!(problems, [(1, said), (5, said)]);
}

/// The amount `TRNAMT` is read as, or the problem it makes.
fn amount(written: &str) -> String {
    let file = read_ok(&with_row(&format!("<DTPOSTED>20240101<TRNAMT>{written}")));
    let currency = &file.statements[0].account.currency;
    file.statements[0].transactions.first().map_or_else(|| file.problems[0].message.clone(), |row| row.facts.amount.to_text(currency))
}

/// Everything a file said, a line each, for the goldens.
fn told(file: &File) -> String {
    let mut text = String::new();
    for statement in &file.statements {
        tell_statement(&mut text, statement).expect("a string takes it");
    }
    for problem in &file.problems {
        writeln!(text, "line {}: {}", problem.line, problem.message).expect("a string takes it");
    }
    text
}

fn tell_statement(text: &mut String, statement: &Statement) -> std::fmt::Result {
    let account = &statement.account;
    let shown = |amount: Option<dashtam::domain::money::Amount>| amount.map_or("-".to_owned(), |amount| amount.to_text(&account.currency));
    writeln!(text, "{} [{}] {} at {}", account.name, account.kind.as_str(), account.currency, account.institution.as_deref().unwrap_or("-"))?;
    let as_of = account.balances.as_of.map_or("-".to_owned(), |instant| instant.to_string());
    writeln!(text, "  current {} available {} as of {as_of}", shown(account.balances.current), shown(account.balances.available))?;
    if let Some((first, last)) = statement.period {
        writeln!(text, "  {first} to {last}")?;
    }
    for row in &statement.transactions {
        let facts = &row.facts;
        write!(
            text,
            "  {:>4} {} {:>10} {} {}",
            row.line.unwrap_or(0),
            facts.posted_on,
            shown(Some(facts.amount)),
            facts.subtype.as_str(),
            facts.status.as_str()
        )?;
        write!(text, " ref={} {:?}", row.reference.as_deref().unwrap_or("-"), facts.description)?;
        if let Some(day) = facts.authorized_on {
            write!(text, " authorized {day}")?;
        }
        if let Some(merchant) = &facts.merchant_name {
            write!(text, " merchant {merchant:?}")?;
        }
        writeln!(text)?;
    }
    Ok(())
}

#[test]
fn the_catalogue_calls_it_statement_files() {
    let manifest = StatementFiles.manifest();
    assert_eq!((manifest.slug, manifest.name), ("statement", "Statement files"));
    assert_eq!((manifest.category, manifest.method), (ProviderCategory::File, LinkMethod::File));
}

#[test]
fn every_dialect_is_read() {
    insta::assert_snapshot!("checking_sgml", told(&read_ok(CHECKING)));
    insta::assert_snapshot!("one_line", told(&read_ok(ONE_LINE)));
    insta::assert_snapshot!("savings_xml", told(&read_ok(SAVINGS)));
    insta::assert_snapshot!("card_unclosed", told(&read_ok(CARD)));
    insta::assert_snapshot!("several_accounts", told(&read_ok(SEVERAL)));
    insta::assert_snapshot!("broken_rows", told(&read_ok(BROKEN)));
    insta::assert_snapshot!("latin_called_utf8", told(&read_ok(LATIN)));
    insta::assert_snapshot!("pending", told(&read_ok(PENDING)));
}

#[test]
fn line_ends_and_byte_order_marks_change_nothing() {
    let text = String::from_utf8(CHECKING.to_vec()).expect("text");
    let plain = read_ok(CHECKING);
    let marked = [b"\xEF\xBB\xBF".as_slice(), CHECKING].concat();
    let little: Vec<u8> = [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    for bytes in [marked, little, big, text.replace('\n', "\r\n").into_bytes(), text.replace('\n', "\r").into_bytes()] {
        assert_eq!(read_ok(&bytes), plain);
    }
}

#[test]
fn chunks_of_any_size_change_nothing() {
    for bytes in ALL {
        let byte_by_byte = read_from(&mut BufReader::with_capacity(1, bytes));
        assert_eq!(byte_by_byte, read(bytes));
    }
}

#[test]
fn a_declared_charset_is_the_second_choice_behind_utf8() {
    let file = |declared: &str, name: &[u8]| {
        let row = with_row("<DTPOSTED>20240101<TRNAMT>1<NAME>@");
        let at = row.iter().position(|byte| *byte == b'@').expect("the mark");
        let bytes = [declared.as_bytes(), &row[..at], name, &row[at + 1..]].concat();
        read_ok(&bytes).statements[0].transactions[0].facts.description.clone()
    };
    assert_eq!(file("CHARSET:1250\n", b"P\xF8\xEDjem"), "Příjem");
    assert_eq!(file("<?xml version=\"1.0\" encoding='iso-8859-2'?>", b"P\xF8\xEDjem"), "Příjem");
    assert_eq!(file("CHARSET:1250\n", "Příjem".as_bytes()), "Příjem");
    assert_eq!(file("CHARSET:no such thing\n", b"caf\xE9"), "café");
}

#[test]
fn references_tell_accounts_apart() {
    let reference = |bytes: &[u8]| read_ok(bytes).statements[0].account.reference.expose().to_owned();
    assert_eq!(reference(ONE_LINE), "bank:160000555:00:55500 000087654321:SAVINGS");
    assert_eq!(reference(SAVINGS), "bank:30004:0%3A1:FR7630004000031234567890143:MONEYMRKT");
    assert_eq!(reference(CARD), "card:4111111111111111");
}

#[test]
fn no_account_number_is_told() {
    let numbers = ["4111111111111111", "5500000000000004", "4929480011112222", "378282246310005", "FR7630004000031234567890143", "55500000087654321"];
    for bytes in ALL {
        let debug: String = format!("{:?}", read(bytes)).chars().filter(char::is_ascii_alphanumeric).collect();
        for number in numbers {
            assert!(!debug.contains(number), "{number} in {debug}");
        }
    }
}

#[test]
fn numbers_are_cut_in_any_grouping() {
    assert_eq!(description("<NAME>VISA 4111-1111-1111-1111 A"), "VISA ••••1111 A");
    assert_eq!(description("<NAME>0524 4111 1111 1111 1111 0525"), "0524 ••••1111 0525");
    assert_eq!(description("<NAME>4111111111111111 5500000000000004"), "••••0004");
    assert_eq!(description("<NAME>4111111111111112"), "4111111111111112");
    assert_eq!(description("<NAME>TO 5566-7788 AND 055667788X"), "TO ••••7788 AND 0••••7788X");
    let long = description(&format!("<NAME>{} 4111111111111111", "x".repeat(990)));
    assert!(long.ends_with("x ••••1111") && long.chars().count() == 999, "{long}");
}

#[test]
fn references_stay_apart_without_the_number() {
    let reference = |fitid: &str| {
        let account = "<CURDEF>USD<BANKACCTFROM><ACCTID>12300 000055667788</BANKACCTFROM>";
        let bytes = format!("<OFX><STMTRS>{account}<STMTTRN><DTPOSTED>20240101<TRNAMT>1<FITID>{fitid}</STMTTRN></STMTRS></OFX>");
        read_ok(bytes.as_bytes()).statements[0].transactions[0].reference.clone()
    };
    assert_eq!(reference(" 0000556677882024010100001 ").as_deref(), Some("0000••••77882024010100001"));
    assert_eq!(reference("12300000055667788-7").as_deref(), Some("••••7788-7"));
    assert_eq!((reference("4111111111111111"), reference("4111 1111 1111 1111")), (None, None), "a card's number names no row");
    assert_eq!(reference("4111111111111112").as_deref(), Some("4111111111111112"));
    assert_eq!(reference(&"ä".repeat(200)), Some("ä".repeat(127)));
    assert_eq!((reference("000"), reference("")), (None, None));
}

#[test]
fn descriptions_say_everything_once() {
    assert_eq!(description("<NAME>Shop<MEMO>Shop of Ann"), "Shop of Ann");
    assert_eq!(description("<NAME>Shop of Ann<MEMO>ann"), "Shop of Ann");
    assert_eq!(description("<NAME>Shop<MEMO>Thursday"), "Shop · Thursday");
    assert_eq!(description("<NAME>A<!-- no -->B\u{0}\n  C"), "AB C");
    assert_eq!(description("<NAME>a &amp;amp; &#65;&#x42;&#0;&#1114112; &euro;"), "a &amp; AB &#1114112; &euro;");
    assert_eq!(description(&format!("<MEMO>{}", "ä".repeat(3000))), "ä".repeat(1000));
    assert_eq!(description(""), "");
}

#[test]
fn amounts_are_exact_or_named() {
    let read_as =
        [("12.5", "12.50"), ("+7", "7.00"), ("-12,50", "-12.50"), ("1,234.56", "1234.56"), ("-1.234.567,8", "-1234567.80"), ("1,234,567", "1234567.00")];
    for (written, read) in read_as {
        assert_eq!(amount(written), read, "{written}");
    }
    assert_eq!(amount("0,125"), "0.125");
    assert_eq!(amount("12,3456"), "12.3456");
    for refused in ["1,234", "1,23.4", "12,34,567", "1.2,3.4", "1e5", "--1", "-", "1 2", "$5", "0.00001", "922337203685477.5808", "1,"] {
        let outcome = amount(refused);
        assert!(outcome.starts_with("the transaction's amount (TRNAMT) cannot be taken") || refused == "1,", "{refused}: {outcome}");
    }
}

#[test]
fn instants_honour_their_offset() {
    let as_of = |written: &str| {
        let ledger = format!("</BANKTRANLIST><LEDGERBAL><BALAMT>1<DTASOF>{written}</LEDGERBAL>");
        let file = read_ok(&with_rows(&ledger));
        file.statements[0].account.balances.as_of.map_or_else(|| file.problems[0].message.clone(), |instant| instant.to_string())
    };
    assert_eq!(as_of("20240301"), "2024-03-01T00:00:00Z");
    assert_eq!(as_of("20240301123000"), "2024-03-01T12:30:00Z");
    assert_eq!(as_of("202403011230"), "2024-03-01T12:30:00Z");
    assert_eq!(as_of("20240301123000.250[-5:EST]"), "2024-03-01T17:30:00.250Z");
    assert_eq!(as_of("20240301000000[+5.5:IST]"), "2024-02-29T18:30:00Z");
    assert_eq!(as_of("20240301000000[-3.30:NST]"), "2024-03-01T03:30:00Z");
    assert_eq!(as_of("20240301000000[0]"), "2024-03-01T00:00:00Z");
    for unreadable in ["20240230", "202403", "20240301250000", "20240301[EST]", "20240301[-5:EST", "20240301[+99]", "日本日本"] {
        assert_eq!(as_of(unreadable), "the balance's date (DTASOF) cannot be read; it counts as of the end of the statement", "{unreadable}");
    }
}

#[test]
fn kinds_follow_type_sign_and_account() {
    let kind = |account: &str, kind: &str, amount: &str| {
        let rows = format!("<BANKTRANLIST><STMTTRN><TRNTYPE>{kind}<DTPOSTED>20240101<TRNAMT>{amount}</STMTTRN></BANKTRANLIST>");
        let bytes = match account {
            "card" => format!("<OFX><CCSTMTRS><CURDEF>USD<CCACCTFROM><ACCTID>55667788</CCACCTFROM>{rows}</CCSTMTRS></OFX>"),
            _ => format!("<OFX><STMTRS><CURDEF>USD<BANKACCTFROM><ACCTID>55667788<ACCTTYPE>{account}</BANKACCTFROM>{rows}</STMTRS></OFX>"),
        };
        let facts = read_ok(bytes.as_bytes()).statements[0].transactions[0].facts.clone();
        assert_eq!(facts.status == TransactionStatus::Pending, kind == "HOLD");
        facts.subtype.as_str()
    };
    for (word, outgoing, incoming, on_card) in [
        ("CREDIT", "withdrawal", "deposit", "refund"),
        ("DEBIT", "withdrawal", "deposit", "refund"),
        ("INT", "interest_charge", "interest", "interest"),
        ("DIV", "dividend", "dividend", "dividend"),
        ("FEE", "other_fee", "other_fee", "other_fee"),
        ("SRVCHG", "account_fee", "account_fee", "account_fee"),
        ("DIRECTDEP", "deposit", "deposit", "deposit"),
        ("ATM", "atm", "atm", "atm"),
        ("POS", "purchase", "refund", "refund"),
        ("XFER", "transfer_out", "transfer_in", "transfer_in"),
        ("CHECK", "check", "check", "check"),
        ("CASH", "cash", "cash", "cash"),
        ("PAYMENT", "bill_payment", "bill_payment", "transfer_in"),
        ("REPEATPMT", "bill_payment", "bill_payment", "transfer_in"),
        ("HOLD", "unknown", "unknown", "unknown"),
        ("ELSE", "unknown", "unknown", "unknown"),
    ] {
        assert_eq!([kind("CHECKING", word, "-1"), kind("CHECKING", word, "1"), kind("card", word, "1")], [outgoing, incoming, on_card], "{word}");
    }
    assert_eq!(kind("card", "DEBIT", "-1"), "purchase");
    assert_eq!(kind("CREDITLINE", "PAYMENT", "1"), "transfer_in");
}
