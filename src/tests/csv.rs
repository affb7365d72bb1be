//! CSV statements: what banks write is recognised, what cannot be told is asked, and what was written is read back the same.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod accounts;
mod banks;
mod currencies;
mod directions;
mod identity;
mod round_trip;

use dashtam::{
    application::ports::{StatementHints, StatementReader, StatementRefusal},
    domain::{
        account::AccountType,
        csv::{ColumnRole, CsvCorrection, CsvFormat, CsvQuestion, DateOrder, DecimalMark, Delimiter, NamedAccount},
        import::LineProblem,
        money::Currency,
        provider::{ReportedAccount, ReportedTransaction},
        transaction::TransactionStatus,
    },
    infrastructure::providers::statement::StatementFiles,
};
use proptest::prelude::*;

/// What a file said, its rows in the file's order.
#[derive(Debug)]
struct Told {
    account: ReportedAccount,
    rows: Vec<ReportedTransaction>,
    problems: Vec<LineProblem>,
    format: CsvFormat,
}

fn hints(currency: &str, csv: CsvCorrection) -> StatementHints {
    let account = NamedAccount { name: "Everyday".to_owned(), kind: AccountType::Checking, currency: Some(Currency::parse(currency).unwrap()) };
    StatementHints { csv, account: Some(account), ..StatementHints::default() }
}

fn read_with(mut bytes: &[u8], hints: &StatementHints) -> Result<Told, StatementRefusal> {
    let file = StatementFiles.read(&mut bytes, hints)?;
    let mut rows: Vec<_> = file.rows.map(|row| row.unwrap().1).collect();
    rows.sort_by_key(|row| row.line);
    let statement = file.statements.into_iter().next().unwrap();
    assert_eq!(statement.period.is_some(), !rows.is_empty());
    Ok(Told { account: statement.account, rows, problems: file.problems, format: file.csv.unwrap() })
}

fn read(text: &str) -> Told {
    read_with(text.as_bytes(), &hints("EUR", CsvCorrection::default())).unwrap()
}

fn question(text: &str, hints: &StatementHints) -> (CsvQuestion, Option<CsvFormat>) {
    match read_with(text.as_bytes(), hints) {
        Err(StatementRefusal::Undecided { question, format }) => (question, format.map(|format| *format)),
        other => panic!("{other:?}"),
    }
}

/// As `read`, into an account in another currency.
fn read_in(currency: &str, text: &str) -> Told {
    read_with(text.as_bytes(), &hints(currency, CsvCorrection::default())).unwrap()
}

/// Day, amount and description of every row.
fn rows(told: &Told) -> Vec<(String, String, &str)> {
    let shown = |row: &ReportedTransaction| (row.facts.posted_on.to_string(), row.facts.amount.to_text(&told.account.currency));
    told.rows.iter().map(|row| (shown(row).0, shown(row).1, row.facts.description.as_str())).collect()
}

fn row<'a>(day: &str, amount: &str, description: &'a str) -> (String, String, &'a str) {
    (day.to_owned(), amount.to_owned(), description)
}

/// What each column is taken to hold.
fn roles(format: &CsvFormat) -> Vec<&'static str> {
    format.columns.iter().map(|column| column.role.as_str()).collect()
}

#[test]
fn a_german_export_with_lines_above_is_read() {
    let text = "Kontonummer;\"DE00 1234\";;;\n\nVon;01.02.2026;;;\nKontostand vom 28.02.2026:;1.234,56 EUR;;;\n\
                Buchungstag;Wertstellung;Empfänger;Verwendungszweck;Betrag (EUR);Saldo\n\
                27.02.2026;28.02.2026;Bäckerei;Brötchen;-3,20;1.234,56\n\
                13.02.2026;13.02.2026;Arbeit;Gehalt;1.000,00;1.237,76\n";
    let told = read(text);
    assert_eq!(rows(&told), [row("2026-02-27", "-3.20", "Brötchen"), row("2026-02-13", "1000.00", "Gehalt")]);
    assert_eq!(roles(&told.format), ["posted_on", "ignored", "merchant", "description", "amount", "balance"]);
    assert_eq!((told.format.header_line, told.format.delimiter), (Some(5), Delimiter::Semicolon));
    assert_eq!((told.format.date_order, told.format.decimal_mark), (Some(DateOrder::DayMonthYear), Some(DecimalMark::Comma)));
    assert_eq!(told.account.balances.current.map(|amount| amount.to_text(&told.account.currency)).as_deref(), Some("1234.56"));
    assert_eq!(told.account.balances.as_of.unwrap().to_string(), "2026-02-27T00:00:00Z");
    assert_eq!((told.rows[0].line, told.rows[0].facts.merchant_name.as_deref(), told.problems), (Some(6), Some("Bäckerei"), vec![]));
}

#[test]
fn many_ways_of_writing_are_understood() {
    for (text, expected) in [
        ("Date,Description,Amount\n01/31/2026,Coffee,-4.50\n", row("2026-01-31", "-4.50", "Coffee")),
        ("Date\tDescription\tMoney Out\tMoney In\n31 Jan 2026\tCoffee\t4.50\t\n", row("2026-01-31", "-4.50", "Coffee")),
        ("Transaction Date|Details|Debit|Credit\n2026-01-31T08:00:00Z|Coffee|€4.50|€0.00\n", row("2026-01-31", "-4.50", "Coffee")),
        ("Date,Narrative,Debit Amount,Credit Amount\n31/01/26,Coffee,-4.50,\n", row("2026-01-31", "-4.50", "Coffee")),
        ("Datum;Naam / Omschrijving;Af Bij;Bedrag (EUR)\n20260131;Koffie;Af;4,50\n", row("2026-01-31", "-4.50", "Koffie")),
        ("\"Date opération\";\"Libellé\";\"Débit\";\"Crédit\"\n\"31/01/2026\";\"Café\";\"-1 004,50\";\"\"\n", row("2026-01-31", "-1004.50", "Café")),
        ("Fecha;Concepto;Importe\n31-01-2026;Café;-4,50 €\n", row("2026-01-31", "-4.50", "Café")),
        ("date,memo,amount\n2026-01-31,Coffee,(4.50)\n", row("2026-01-31", "-4.50", "Coffee")),
        ("date,memo,amount\n2026-01-31,Coffee,4.50-\n", row("2026-01-31", "-4.50", "Coffee")),
        ("date,memo,amount\n2026-01-31,Coffee,4.50 DR\n", row("2026-01-31", "-4.50", "Coffee")),
        ("date,memo,amount\n2026-01-31,Coffee,EUR -4.50\n", row("2026-01-31", "-4.50", "Coffee")),
        ("date,memo,amount\n2026-01-31,Coffee,−4.50\n", row("2026-01-31", "-4.50", "Coffee")),
        ("date,memo,amount\n2026-01-31,Pay,\"1,23,456.00\"\n", row("2026-01-31", "123456.00", "Pay")),
        ("date,memo,amount\n2026-01-31,Pay,1'234.50\n", row("2026-01-31", "1234.50", "Pay")),
        ("2026-01-31,Coffee,-4.50\n", row("2026-01-31", "-4.50", "Coffee")),
        ("sep=;\nDate;Text;Amount\n2026-01-31;Coffee;-4.50\n", row("2026-01-31", "-4.50", "Coffee")),
        ("Päiväys;Selite;Määrä\n31.1.2026;Kahvi;-4,50\n", row("2026-01-31", "-4.50", "Kahvi")),
        ("Data operacji,Opis operacji,Kwota\n2026-01-31,Kawa,\"-4,50\"\n", row("2026-01-31", "-4.50", "Kawa")),
    ] {
        let told = read(text);
        assert_eq!((rows(&told), &told.problems), (vec![expected], &vec![]), "{text}\n{:?}", told.format);
    }
}

#[test]
fn the_day_of_a_trade_counts_and_not_that_of_its_settlement() {
    for text in [
        "\n\nRun Date,Action,Symbol,Type,Quantity,Amount ($),Settlement Date\n01/13/2026,YOU BOUGHT,AAPL,Cash,10,-1500.50,01/15/2026\n01/14/2026,DIVIDEND,AAPL,Cash,0,12.34,\n",
        "Settlement Date,Action,Amount,Run Date\n01/15/2026,YOU BOUGHT,-1500.50,01/13/2026\n,DIVIDEND,12.34,01/14/2026\n",
        "Settlement Date,Trade Date,Transaction Description,Net Amount\n2026-01-15,2026-01-13,Buy,-1500.50\n2026-01-16,2026-01-14,Dividend,12.34\n",
        "Settle Date;Trade date;Description;Amount\n2026-01-15;2026-01-13;Buy;-1500.50\n2026-01-16;2026-01-14;Dividend;12.34\n",
    ] {
        let told = read_in("USD", text);
        let days: Vec<_> = rows(&told).into_iter().map(|(day, amount, _)| (day, amount)).collect();
        let expected = [("2026-01-13", "-1500.50"), ("2026-01-14", "12.34")].map(|(day, amount)| (day.to_owned(), amount.to_owned()));
        assert_eq!(days, expected, "{text}");
    }
    let settled = read("Settlement Date,Description,Amount\n2026-01-15,Buy,-1500.50\n");
    assert_eq!(rows(&settled)[0].0, "2026-01-15", "it stands in when there is no other");
}

#[test]
fn what_fits_two_orders_is_asked_and_then_read() {
    let text = "Date,Description,Amount\n01/02/2026,Coffee,-4.50\n03/04/2026,Tea,-2.00\n";
    let (asked, format) = question(text, &hints("USD", CsvCorrection::default()));
    assert_eq!((asked, format.as_ref().and_then(|format| format.date_order)), (CsvQuestion::DateOrder, None));
    assert_eq!(format.map(|format| format.decimal_mark), Some(Some(DecimalMark::Point)));
    for (order, days) in [(DateOrder::DayMonthYear, ["2026-02-01", "2026-04-03"]), (DateOrder::MonthDayYear, ["2026-01-02", "2026-03-04"])] {
        let told = read_with(text.as_bytes(), &hints("USD", CsvCorrection { date_order: Some(order), ..CsvCorrection::default() })).unwrap();
        assert_eq!(told.rows.iter().map(|row| row.facts.posted_on.to_string()).collect::<Vec<_>>(), days);
    }
    // One row that fits only one order tells it for all; a day and a month that are the same number tell nothing and need not.
    assert_eq!(read("Date,Memo,Amount\n01/02/2026,Coffee,-4.50\n13/04/2026,Tea,-2.00\n").format.date_order, Some(DateOrder::DayMonthYear));
    // Nobody writes the month first between points.
    assert_eq!(rows(&read("Date,Memo,Amount\n01.02.2026,Coffee,-4.50\n")), [row("2026-02-01", "-4.50", "Coffee")]);
    assert_eq!(rows(&read("Date,Memo,Amount\n05/05/2026,Coffee,-4.50\n")), [row("2026-05-05", "-4.50", "Coffee")]);
}

#[test]
fn numbers_that_fit_two_marks_are_asked() {
    let text = "Date,Memo,Amount\n2026-01-31,Pay,\"1,234\"\n";
    assert_eq!(question(text, &hints("EUR", CsvCorrection::default())).0, CsvQuestion::DecimalMark);
    for (mark, amount) in [(DecimalMark::Point, "1234.00"), (DecimalMark::Comma, "1.234")] {
        let told = read_with(text.as_bytes(), &hints("EUR", CsvCorrection { decimal_mark: Some(mark), ..CsvCorrection::default() })).unwrap();
        assert_eq!(rows(&told), [row("2026-01-31", amount, "Pay")]);
    }
    let told = read("Date,Memo,Amount\n2026-01-31,Pay,\"1,234\"\n2026-01-31,Tea,-2.50\n");
    assert_eq!(rows(&told), [row("2026-01-31", "1234.00", "Pay"), row("2026-01-31", "-2.50", "Tea")]);
}

#[test]
fn account_currency_and_columns_are_asked_when_nothing_says_them() {
    let text = "Date,Memo,Amount\n2026-01-31,Coffee,-4.50\n";
    assert_eq!(question(text, &StatementHints::default()).0, CsvQuestion::Account);
    let nameless = |csv| StatementHints {
        csv,
        account: Some(NamedAccount { name: "A".to_owned(), kind: AccountType::Savings, currency: None }),
        currency: None,
        kind: None,
        today: None,
    };
    assert_eq!(question(text, &nameless(CsvCorrection::default())).0, CsvQuestion::Currency);
    let told = read_with(b"Date,Memo,Amount,Currency\n2026-01-31,Coffee,-4.50,chf\n", &nameless(CsvCorrection::default())).unwrap();
    assert_eq!((told.account.currency.code(), told.account.kind), ("CHF", AccountType::Savings));
    let two = "Date,Memo,Amount,Currency\n2026-01-31,Coffee,-4.50,CHF\n2026-01-31,Tea,-4.50,EUR\n";
    assert_eq!(question(two, &nameless(CsvCorrection::default())).0, CsvQuestion::Currency);
    let told = read(two);
    assert_eq!(rows(&told), [row("2026-01-31", "-4.50", "Tea")]);
    assert_eq!((told.problems[0].line, told.problems[0].message.as_str()), (2, "the row is in another currency than the account"));

    let unnamed = "2026-01-31,Coffee,-4.50,95.50\n2026-02-01,Tea,-2.00,93.50\n";
    let (asked, format) = question(&format!("When,What,One,Other\n{unnamed}"), &hints("EUR", CsvCorrection::default()));
    assert_eq!((asked, roles(&format.unwrap())), (CsvQuestion::Columns, vec!["posted_on", "description", "ignored", "ignored"]));
    let columns = vec![(3, ColumnRole::Amount), (4, ColumnRole::Balance)];
    let told = read_with(unnamed.as_bytes(), &hints("EUR", CsvCorrection { columns, ..CsvCorrection::default() })).unwrap();
    assert_eq!(rows(&told), [row("2026-01-31", "-4.50", "Coffee"), row("2026-02-01", "-2.00", "Tea")]);
    assert_eq!(told.account.balances.current.map(|amount| amount.to_text(&told.account.currency)).as_deref(), Some("93.50"));
    let wrong = CsvCorrection { encoding: Some("no such thing".to_owned()), ..CsvCorrection::default() };
    assert_eq!(question(text, &hints("EUR", wrong)), (CsvQuestion::Encoding, None));
}

#[test]
fn what_a_person_says_counts_more_than_what_is_found() {
    let text = "Report;2026-03-01;1.00\nDate;Amount;Other amount;Note\n2026-01-31;-4.50;-9.00;Coffee\n";
    let said = |csv| read_with(text.as_bytes(), &hints("EUR", csv)).unwrap();
    assert_eq!(rows(&said(CsvCorrection { columns: vec![(3, ColumnRole::Amount)], ..CsvCorrection::default() })), [row("2026-01-31", "-9.00", "Coffee")]);
    assert_eq!(rows(&said(CsvCorrection { invert_sign: Some(true), ..CsvCorrection::default() })), [row("2026-01-31", "4.50", "Coffee")]);
    let bare = said(CsvCorrection { header_line: Some(0), columns: vec![(1, ColumnRole::PostedOn), (2, ColumnRole::Amount)], ..CsvCorrection::default() });
    assert_eq!((bare.format.header_line, rows(&bare)[0].1.as_str()), (None, "-4.50"));
    let czech = b"Datum;Popis;Castka\n2026-01-31;P\xF8\xEDjem;5,00\n";
    let told = read_with(czech, &hints("CZK", CsvCorrection { encoding: Some("windows-1250".to_owned()), ..CsvCorrection::default() })).unwrap();
    assert_eq!((told.rows[0].facts.description.as_str(), told.format.encoding.as_str()), ("Příjem", "windows-1250"));
}

#[test]
fn encodings_and_line_ends_change_nothing() {
    let text = "Date;Text;Amount\n2026-01-31;Café;-4,50\n2026-02-01;\"Two\nlines\";-1,00\n";
    let plain = read(text);
    assert_eq!((plain.rows[1].facts.description.as_str(), plain.rows[1].line, plain.format.encoding.as_str()), ("Two lines", Some(3), "UTF-8"));
    let little: Vec<u8> = [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    let latin: Vec<u8> = text.chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect();
    let marked = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
    let named = [(marked, "UTF-8"), (little, "UTF-16LE"), (big, "UTF-16BE"), (latin, "windows-1252")];
    let ended = ["\r\n", "\r"].map(|end| (text.replace('\n', end).into_bytes(), "UTF-8"));
    for (bytes, encoding) in named.into_iter().chain(ended) {
        let told = read_with(&bytes, &hints("EUR", CsvCorrection::default())).unwrap();
        assert_eq!((&told.rows, told.format.encoding.as_str(), told.problems.len()), (&plain.rows, encoding, 0));
    }
}

#[test]
fn broken_rows_are_named_by_line_and_the_others_are_taken() {
    let text = "Date,Description,Amount\n2026-01-30,Good,-1.00\n2026-02-31,No such day,-1.00\n,No day,-1.00\n2026-01-30,No amount,\n2026-01-30,Formula,=1+1\n\
                2026-01-30,Too fine,-0.00001\n2026-01-30,\"never closed,-1.00\n2026-01-31,Good too,-2.00\nTotal,,-99.00\n";
    let told = read(text);
    assert_eq!(rows(&told), [row("2026-01-30", "-1.00", "Good"), row("2026-01-31", "-2.00", "Good too")]);
    assert_eq!(told.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8, 10]);
    assert!(told.problems.iter().all(|problem| !problem.message.contains("1+1") && !problem.message.contains("never closed,")));
    assert_eq!(read("Date,Debit,Credit\n2026-01-30,1.00,2.00\n2026-01-31,,3.00\n").problems[0].line, 2);
}

#[test]
fn a_day_that_does_not_exist_is_a_problem_of_its_row_in_the_shortest_file() {
    let told = read("Date;Text;Amount\n01/02/2026;Coffee;-4,50\n28/02/2026;Salary;2.500,00\n31/02/2026;Broken;1,00\n");
    assert_eq!(rows(&told), [row("2026-02-01", "-4.50", "Coffee"), row("2026-02-28", "2500.00", "Salary")]);
    assert_eq!(told.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [4]);
}

#[test]
fn formulas_are_text_and_card_numbers_are_cut() {
    let text = "Date,Description,Amount,Payee,Transaction ID\n2026-01-30,=HYPERLINK(1),-1.00,@SUM(A1),4111111111111111\n2026-01-30,CARD 4111 1111 1111 1111 PAID,-2.00,Shop,T-7\n";
    let told = read(text);
    assert_eq!(told.rows[0].facts.description, "=HYPERLINK(1)");
    assert_eq!(told.rows[0].facts.merchant_name.as_deref(), Some("@SUM(A1)"));
    assert!(told.rows[0].reference.as_deref().is_some_and(|name| name.starts_with("cells:")), "the number of a card is no id");
    assert_eq!((told.rows[1].facts.description.as_str(), told.rows[1].reference.as_deref()), ("CARD ••••1111 PAID", Some("T-7")));
    let headed = read("Date,4111111111111111,Amount\n2026-01-30,x,-1.00\n");
    assert_eq!(headed.format.columns[1].name.as_deref(), Some("••••1111"));
}

#[test]
fn a_status_tells_how_far_a_row_has_come() {
    let told = read("Date,Text,Amount,Status\n2026-01-30,a,1.00,Pending\n2026-01-30,b,1.00,Posted\n2026-01-30,c,1.00,DECLINED\n2026-01-30,d,1.00,Reverted\n");
    let statuses: Vec<_> = told.rows.iter().map(|row| row.facts.status).collect();
    assert_eq!(statuses, [TransactionStatus::Pending, TransactionStatus::Posted, TransactionStatus::Failed, TransactionStatus::Cancelled]);
}

#[test]
fn a_balance_is_believed_as_far_as_it_follows() {
    let current = |text: &str, kind| {
        let mut hints = hints("EUR", CsvCorrection::default());
        hints.account.as_mut().unwrap().kind = kind;
        let told = read_with(text.as_bytes(), &hints).unwrap();
        told.account.balances.current.map(|amount| amount.to_text(&told.account.currency))
    };
    let rising = "Date,Amount,Balance\n2026-01-30,-1.00,99.00\n2026-01-31,-2.00,97.00\n";
    let falling = "Date,Amount,Balance\n2026-01-31,-2.00,97.00\n2026-01-30,-1.00,99.00\n";
    let neither = "Date,Amount,Balance\n2026-01-31,-2.00,97.00\n2026-01-30,-1.00,50.00\n";
    assert_eq!(current(rising, AccountType::Checking).as_deref(), Some("97.00"));
    assert_eq!(current(falling, AccountType::Checking).as_deref(), Some("97.00"));
    assert_eq!(current(neither, AccountType::Checking), None);
    assert_eq!(current(rising, AccountType::CreditCard), None, "a card's debt is written with either sign");
}

#[test]
fn a_line_and_a_quotation_that_never_end_cost_only_themselves() {
    let long = "x".repeat(70_000);
    let told = read(&format!("Date,Text,Amount\n2026-01-30,{long},-1.00\n2026-01-31,Good,-2.00\n"));
    assert_eq!((rows(&told), told.problems[0].line), (vec![row("2026-01-31", "-2.00", "Good")], 2));
    let open = "2026-01-30,\"open,-1.00\n".repeat(500);
    let told = read(&format!("Date,Text,Amount\n2026-01-29,Good,-1.00\n{open}2026-01-31,Good,-2.00\n"));
    assert_eq!(rows(&told).last(), Some(&row("2026-01-31", "-2.00", "Good")));
}

#[test]
fn quotation_marks_that_belong_to_no_cell_swallow_no_rows() {
    let bar = "2026-01-02;SHOP A;-1,00\n2026-01-03;\"PUB;-2,00\n2026-01-04;SHOP C;-3,00\n2026-01-05;\"PUB;-4,00\n2026-01-06;SHOP D;-5,00\n";
    let inches = "2026-01-02;SHOP A;-1,00\n2026-01-03;\"PUB;-2,00\n2026-01-04;SHOP C;-3,00\n2026-01-05;TV 50\";-4,00\n2026-01-06;SHOP D;-5,00\n";
    let told = read(&format!("Date;Text;Amount\n{bar}"));
    assert_eq!(rows(&told), [row("2026-01-02", "-1.00", "SHOP A"), row("2026-01-04", "-3.00", "SHOP C"), row("2026-01-06", "-5.00", "SHOP D")]);
    assert_eq!(told.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [3, 5]);
    let told = read(&format!("Date;Text;Amount\n{inches}"));
    assert_eq!(rows(&told).iter().map(|(_, amount, _)| amount.as_str()).collect::<Vec<_>>(), ["-1.00", "-3.00", "-4.00", "-5.00"]);
    assert_eq!((told.problems.len(), told.problems[0].line), (1, 3));
}

#[test]
fn a_cell_may_go_over_lines_wherever_it_stands() {
    for (text, said) in [
        ("Date,Text,Amount\n2026-01-31,\"Say \"\"hi\"\", a\nb, c\",-1.00\n2026-02-01,x,-2.00\n", "Say \"hi\", a b, c"),
        ("Date,Amount,Text\n2026-01-31,-1.00,\"one\ntwo\n\"\"three\"\"\"\n2026-02-01,-2.00,x\n", "one two \"three\""),
        ("Text;Date;Amount\n\"one\n\ntwo\";2026-01-31;-1,00\nx;2026-02-01;-2,00\n", "one two"),
        ("Text;Date;Amount;Notiz\n\"one\ntwo\" ;\"2026-01-31\";\"-1,00\";\"a\nb\"\nx;2026-02-01;-2,00;\n", "one two"),
    ] {
        let told = read(text);
        assert_eq!((rows(&told), told.problems.len()), (vec![row("2026-01-31", "-1.00", said), row("2026-02-01", "-2.00", "x")], 0), "{text}");
    }
}

#[test]
fn a_long_file_streams() {
    let rows = 60_000;
    let line = "2026-01-30,Corner shop with a name of some length and a remark behind it,-12.50\n";
    let text = format!("Date,Description,Amount\n{}", line.repeat(rows));
    let mut bytes = text.as_bytes();
    let file = StatementFiles.read(&mut bytes, &hints("EUR", CsvCorrection::default())).unwrap();
    assert_eq!((file.rows.map(Result::unwrap).fold(0, |count, _| count + 1), file.problems), (rows, vec![]));
    let huge = format!("Date,Description,Amount\n{}", line.repeat(51 * 1024 * 1024 / line.len()));
    let refused = StatementFiles.read(&mut huge.as_bytes(), &hints("EUR", CsvCorrection::default())).err().unwrap();
    assert!(refused.to_string().contains("larger than 50 MiB"), "{refused}");
}

/// Whether the card's number can be read there. Run together with more digits it is another number.
fn shows_the_card(text: &str) -> bool {
    text.match_indices("4111 1111 1111 1111").any(|(at, number)| {
        let (before, behind) = (text[..at].chars().next_back(), text[at + number.len()..].chars().next());
        ![before, behind].into_iter().flatten().any(|letter| letter.is_ascii_digit())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2000), pieces in proptest::collection::vec(proptest::sample::select(vec![
        "Date", "Amount", "Debit", "Credit", "Balance", "Description", "Currency", ",", ";", "\t", "|", "\n", "\r", "\"", "\"\"", "2026-01-31", "31/01/2026", "1/2/26", "1,234.56", "1.234,56",
        "(1)", "-", "€", "\u{0}", "é", "=1+1", "EUR", "4111 1111 1111 1111", "31 Jan 2026", "''", "DR",
    ]), 0..80)) {
        let told = CsvCorrection { delimiter: Some(Delimiter::Comma), columns: vec![(1, ColumnRole::PostedOn), (2, ColumnRole::Amount)], date_order: Some(DateOrder::MonthDayYear),
            decimal_mark: Some(DecimalMark::Comma), ..CsvCorrection::default() };
        for bytes in [bytes.clone(), [b"Date,Amount\n".as_slice(), &bytes].concat(), pieces.concat().into_bytes(), [b"Date;Text;Amount\n", pieces.concat().as_bytes()].concat()] {
            for csv in [CsvCorrection::default(), told.clone()] {
                let Ok(told) = read_with_csv(&bytes, csv) else { continue };
                for row in &told.rows {
                    prop_assert!(row.facts.description.chars().count() <= 1000 && !row.facts.description.contains(char::is_control));
                    prop_assert!(!shows_the_card(&row.facts.description));
                }
            }
        }
    }
}

/// Files as banks write them, to be damaged.
const WHOLE: [&str; 3] = [
    "Konto;\"DE00 1234\"\nSaldo:;1.234,56 EUR\nBuchungstag;Empfänger;Betrag (EUR);Saldo\n27.02.2026;\"Bäcker; Brot\";-3,20;1.234,56\n13.02.2026;Arbeit;1.000,00;1.237,76\n",
    "Date,Description,Debit,Credit,Transaction ID\n01/31/2026,\"Say \"\"hi\"\"\",€4.50,,a1\n02/01/2026,4111 1111 1111 1111,,\"1,000.00\",a2\n",
    "2026-01-31\tCoffee\t(4.50)\n2026-02-01\tTea\t2.00-\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_damage_is_survived(which in 0..WHOLE.len(), cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..8)) {
        let mut bytes = WHOLE[which].as_bytes().to_vec();
        for (index, byte, act) in cuts {
            let at = index.index(bytes.len());
            match act {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let Ok(told) = read_with_csv(&bytes, CsvCorrection::default()) else { return Ok(()) };
        prop_assert!(told.rows.len() <= 2 && told.problems.is_sorted_by_key(|problem| problem.line));
        prop_assert!(!told.rows.iter().any(|row| shows_the_card(&row.facts.description)));
    }
}

/// As `read_with`, of whatever it is read as.
fn read_with_csv(bytes: &[u8], csv: CsvCorrection) -> Result<Told, StatementRefusal> {
    let mut input = bytes;
    let file = StatementFiles.read(&mut input, &hints("EUR", csv))?;
    let rows = file.rows.map(|row| row.unwrap().1).collect();
    let account = file.statements.into_iter().next().unwrap().account;
    let format = CsvFormat {
        encoding: String::new(),
        delimiter: Delimiter::Comma,
        header_line: None,
        date_order: None,
        decimal_mark: None,
        invert_sign: false,
        columns: vec![],
    };
    Ok(Told { account, rows, problems: file.problems, format: file.csv.unwrap_or(format) })
}
