//! Currencies beside numbers and in headings, which may be others than the account's.

use dashtam::{
    application::ports::{StatementHints, StatementRefusal},
    domain::{
        account::AccountType,
        csv::{CsvCorrection, CsvQuestion, NamedAccount},
    },
};

use super::{hints, question, read, read_in, read_with, rows};

const REFUSED: &str = "the row is in another currency than the account";

/// Lines of rows that are in another currency.
fn refused(currency: &str, text: &str) -> Vec<u64> {
    let told = read_in(currency, text);
    assert!(told.problems.iter().all(|problem| problem.message == REFUSED), "{:?}", told.problems);
    told.problems.iter().map(|problem| problem.line).collect()
}

/// A file whose account may have any currency.
fn unsaid() -> StatementHints {
    let account = NamedAccount { name: "A".to_owned(), kind: AccountType::Checking, currency: None };
    StatementHints { account: Some(account), ..StatementHints::default() }
}

#[test]
fn a_number_in_another_currency_than_the_account_is_refused() {
    let with = |cells: &[&str]| {
        let row = |(at, cell): (usize, &&str)| format!("2026-01-{:02};a;{cell}\n", at + 1);
        format!("Date;Text;Amount\n{}2026-01-31;b;-9.00\n", cells.iter().enumerate().map(row).collect::<Vec<_>>().concat())
    };
    assert_eq!(refused("EUR", &with(&["-1.00 USD", "-2.00 EUR", "JPY -1,200", "£3.50", "-12.34 PLN", "€4.00", "5.00 kr", "$6.00"])), [2, 4, 5, 6, 8, 9]);
    assert_eq!(refused("CAD", &with(&["$1.00", "C$2.00", "CAD 3.00", "USD 4.00", "4.00 Ft"])), [5, 6], "a dollar may be any dollar");
    for currency in ["SEK", "NOK", "DKK"] {
        assert_eq!(refused(currency, &with(&["-1.00 kr", "2.00 kr.", "3.00 zł"])), [4], "so may a crown");
    }
    let halves = "Date,Text,Debit,Credit\n2026-01-01,a,£1.00,\n2026-01-02,b,,€2.00\n";
    assert_eq!((refused("GBP", halves), rows(&read(halves))[0].1.as_str()), (vec![3], "2.00"));
}

#[test]
fn a_heading_in_another_currency_than_the_account_is_of_every_row() {
    for heading in ["Amount (USD)", "Amount ($)", "Amount in USD", "Amount USD", "Betrag [CHF]", "Montant (£)"] {
        let text = format!("Date;Text;{heading}\n2026-01-02;a;-1.00\n2026-01-03;b;-2.00\n");
        match read_with(text.as_bytes(), &hints("EUR", CsvCorrection::default())) {
            Err(StatementRefusal::Unreadable(file)) => assert_eq!((file.problem.line, file.problem.message.as_str()), (2, REFUSED)),
            other => panic!("{heading}: {other:?}"),
        }
    }
    for (heading, currency) in [("Amount (USD)", "USD"), ("Amount ($)", "CAD"), ("Débit euros", "EUR"), ("Betrag (€)", "EUR"), ("Amount (net)", "EUR")] {
        assert_eq!(rows(&read_in(currency, &format!("Date;Text;{heading}\n2026-01-02;a;1.00\n"))).len(), 1, "{heading}");
    }
    let columned = "Date;Text;Amount (EUR);Currency\n2026-01-02;a;1.00;USD\n";
    assert_eq!(rows(&read_in("USD", columned)).len(), 1, "the row's own word counts");
}

#[test]
fn a_currency_beside_numbers_or_in_the_heading_is_that_of_an_account_that_has_none() {
    for (text, currency) in [
        ("Date;Text;Amount (USD)\n2026-01-02;a;-1.00\n", "USD"),
        ("Date;Text;Betrag (€)\n2026-01-02;a;-1.00\n", "EUR"),
        ("Datum;Text;Gutschrift in CHF;Lastschrift in CHF\n2026-01-02;a;;1.00\n", "CHF"),
        ("Date;Text;Amount\n2026-01-02;a;-1.00 PLN\n2026-01-03;b;-2.00 zł\n2026-01-04;c;-3.00\n", "PLN"),
    ] {
        assert_eq!(read_with(text.as_bytes(), &unsaid()).unwrap().account.currency.code(), currency, "{text}");
    }
    for unclear in ["Date;Text;Amount ($)\n2026-01-02;a;$1.00\n", "Date;Text;Amount\n2026-01-02;a;-1.00 USD\n2026-01-03;b;-1.00 EUR\n"] {
        assert_eq!(question(unclear, &unsaid()).0, CsvQuestion::Currency);
    }
}
