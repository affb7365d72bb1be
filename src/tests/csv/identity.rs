//! What rows without an id go by, from one file to the next.

use dashtam::domain::{
    csv::{ColumnRole, CsvCorrection},
    matching::references,
};

use super::{hints, read, read_with};

/// What the rows of a file go by.
fn names(text: &str, csv: CsvCorrection) -> Vec<String> {
    references(&read_with(text.as_bytes(), &hints("EUR", csv)).unwrap().rows)
}

#[test]
fn ids_are_what_a_bank_makes_and_not_what_a_payer_writes() {
    let told = read("Date,Reference,Amount\n2026-01-30,RENT,1.00\n2026-01-31,TESCO,1.00\n");
    assert_eq!(told.rows[0].facts.description, "RENT");
    assert!(told.rows.iter().all(|row| row.reference.as_deref().is_some_and(|name| name.starts_with("cells:"))));
    let told = read("Date,Transaction ID,Amount,Text\n2026-01-30,A1,1.00,x\n2026-01-31,A2,1.00,y\n");
    assert_eq!((told.rows[0].reference.as_deref(), told.rows[0].facts.description.as_str()), (Some("A1"), "x"));
    let told = read("Date,Transaction ID,Amount,Text\n2026-01-30,A1,1.00,x\n2026-01-31,A1,1.00,y\n");
    assert_eq!(told.rows[0].facts.description, "x", "an id that repeats is none, and says nothing");
    assert_ne!(told.rows[0].reference.as_deref(), Some("A1"));
}

#[test]
fn a_correction_changes_what_a_row_says_and_not_what_it_goes_by() {
    let text =
        "Date,Party,Text,Amount,Started\n2026-01-30,Tesco,AB1,-5.00,2026-01-29\n2026-01-30,Tesco,AB1,-5.00,2026-01-29\n2026-01-31,Bob,AB2,6.00,2026-01-30\n";
    let plain = names(text, CsvCorrection::default());
    assert_eq!(plain.iter().collect::<std::collections::HashSet<_>>().len(), 3, "equal rows are told apart by their place");
    let inverted = CsvCorrection { invert_sign: Some(true), ..CsvCorrection::default() };
    let columns =
        CsvCorrection { columns: vec![(2, ColumnRole::Description), (5, ColumnRole::PostedOn), (3, ColumnRole::Ignored)], ..CsvCorrection::default() };
    for csv in [inverted, columns] {
        assert_eq!(names(text, csv), plain);
    }
}

#[test]
fn a_note_that_is_written_later_leaves_a_row_what_it_is() {
    let file = |note: &str, category: &str| format!("Date,Description,Amount,Notes,Category\n2026-01-29,rent,-9.00,{note},{category}\n");
    assert_eq!(names(&file("", ""), CsvCorrection::default()), names(&file("mine", "Home"), CsvCorrection::default()));
    let only = |note: &str| names(&format!("Date,Note,Amount\n2026-01-29,{note},-9.00\n"), CsvCorrection::default());
    assert_ne!(only("rent"), only("food"), "what stands alone is what the row says");
    let by_sign = |amount: &str| names(&format!("Date,Text,Amount\n2026-01-29,shop,{amount}\n"), CsvCorrection::default());
    assert_ne!(by_sign("5.00"), by_sign("-5.00"), "a refund is not what it refunds");
}
