//! Which way amounts without signs went, as words beside them tell.

use dashtam::domain::{
    csv::{ColumnRole, CsvCorrection, CsvQuestion},
    matching::references,
};

use super::{hints, question, read, read_with, roles, rows};

const TWO: &str = "Date,Description,Amount,Type\n2026-01-02,SHOP,5.00,Debit\n2026-01-03,SALARY,600.00,Credit\n";

fn amounts(text: &str) -> Vec<String> {
    rows(&read(text)).into_iter().map(|(_, amount, _)| amount).collect()
}

#[test]
fn words_that_tell_no_direction_cost_their_rows_and_not_the_others_direction() {
    let longer = format!("{TWO}2026-01-04,ATM LONDON,60.00,ATM\n2026-01-05,CHECK 101,70.00,Check\n2026-01-06,MONTHLY FEE,6.00,Fee\n");
    assert_eq!(amounts(&longer), ["-5.00", "600.00"]);
    let told = read(&longer);
    assert_eq!(told.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [4, 5, 6]);
    assert!(told.problems.iter().all(|problem| problem.message.contains("which way")), "{:?}", told.problems);
    assert_eq!(references(&told.rows), references(&read(TWO).rows), "rows are the same ones in a longer export");
    // A heading that names directions says what even one word means.
    let named = "Date,Text,Amount,D/C\n2026-01-02,a,5.00,D\n2026-01-03,b,6.00,X\n2026-01-04,c,7.00,Y\n";
    assert_eq!((amounts(named), read(named).problems.len()), (vec!["-5.00".to_owned()], 2));
}

#[test]
fn a_direction_that_few_rows_tell_is_asked_about_where_it_may_be_none() {
    let text = "Date,Text,Amount,Type\n2026-01-02,a,5.00,Debit\n2026-01-03,b,6.00,ATM\n2026-01-04,c,7.00,Check\n";
    assert_eq!(question(text, &hints("USD", CsvCorrection::default())).0, CsvQuestion::Sign);
    let said = |csv| {
        let told = read_with(text.as_bytes(), &hints("USD", csv)).unwrap();
        rows(&told).into_iter().map(|(_, amount, _)| amount).collect::<Vec<_>>()
    };
    let columns = |role| CsvCorrection { columns: vec![(4, role)], ..CsvCorrection::default() };
    assert_eq!(said(columns(ColumnRole::Direction)), ["-5.00"]);
    assert_eq!(said(columns(ColumnRole::Ignored)), ["5.00", "6.00", "7.00"]);
    assert_eq!(said(CsvCorrection { invert_sign: Some(true), ..CsvCorrection::default() }), ["-5.00", "-6.00", "-7.00"]);
    assert_eq!(said(CsvCorrection { invert_sign: Some(false), ..CsvCorrection::default() }), ["5.00", "6.00", "7.00"]);
}

#[test]
fn kinds_of_rows_that_say_what_the_numbers_say_are_no_directions() {
    let savings = "Date,Text,Amount,Type\n2026-01-02,a,5.00,Interest\n2026-01-03,b,6.00,Deposit\n2026-01-04,c,7.00,Interest\n";
    assert_eq!(amounts(savings), ["5.00", "6.00", "7.00"]);
    assert_eq!(roles(&read(savings).format)[3], "ignored");
}

#[test]
fn signs_count_more_than_words_beside_them() {
    let signed =
        "Date,Text,Amount,Type\n2026-01-02,a,5.00,Debit\n2026-01-03,b,6.00,Credit\n2026-01-04,c,-7.00,ATM\n2026-01-05,d,-8.00,ATM\n2026-01-06,e,-9.00,ATM\n";
    assert_eq!(amounts(signed), ["5.00", "6.00", "-7.00", "-8.00", "-9.00"]);
    assert_eq!(roles(&read(signed).format)[3], "ignored");
    // Of two columns, the one that tells most.
    let two = "Date,Text,Amount,Direction,Type\n2026-01-02,a,5.00,shop,Debit\n2026-01-03,b,6.00,online,Credit\n2026-01-04,c,7.00,out,Debit\n";
    assert_eq!(amounts(two), ["-5.00", "6.00", "-7.00"]);
    assert_eq!(amounts(&two.replace("Direction,Type", "Type,").replace("out", "deposit")), ["-5.00", "6.00", "-7.00"]);
}

#[test]
fn directions_are_told_in_many_languages() {
    for (out, came) in [
        ("Dare", "Avere"),
        ("Uttag", "Insättning"),
        ("Obciążenie", "Uznanie"),
        ("Uscita", "Entrata"),
        ("Ausgang", "Eingang"),
        ("Money Out", "Money In"),
        ("Af", "Bij"),
        ("Débito", "Crédito"),
        ("Debe", "Haber"),
    ] {
        assert_eq!(amounts(&format!("Date,Text,Amount,Direction\n2026-01-02,a,5.00,{out}\n2026-01-03,b,6.00,{came}\n")), ["-5.00", "6.00"], "{out}");
    }
}
