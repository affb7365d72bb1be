//! Matching, which is pure: what is known and what is reported in, a plan out.

mod generated;

use std::collections::BTreeMap;

use dashtam::domain::{
    id::TransactionId,
    matching::{Match, Period, Plan, Waiting, plan, reference_of_cells, references},
    provider::ReportedTransaction,
    time::LocalDate,
    transaction::{KnownTransaction, Source, TransactionStatus},
};
use uuid::Uuid;

use crate::harness::{
    bank::{pending, posted},
    rows::november,
};

/// Everything stored of one account, and how it takes in what is reported.
#[derive(Default)]
struct Ledger(Vec<KnownTransaction>);

impl Ledger {
    /// Takes in as the product does: a file changes only what files alone have told.
    fn take(&mut self, source: Source, period: Option<Period>, rows: &[ReportedTransaction]) -> Plan {
        let plan = plan(&self.0, rows, source, period, Waiting::All);
        for (row, (name, found)) in rows.iter().zip(&plan.rows) {
            let Match::Known(id) = found else {
                let id = TransactionId(Uuid::from_u128(self.0.len() as u128 + 1));
                self.0.push(KnownTransaction { id, facts: row.facts.clone(), references: vec![(source, name.clone())], removed: false });
                continue;
            };
            for known in self.0.iter_mut().filter(|known| known.id == *id) {
                if source == Source::Feed || known.references.iter().all(|(named_by, _)| *named_by == Source::File) {
                    (known.facts, known.removed) = (row.facts.clone(), false);
                }
                if !known.references.contains(&(source, name.clone())) {
                    known.references.push((source, name.clone()));
                }
            }
        }
        for known in self.0.iter_mut().filter(|known| plan.withdrawn.contains(&known.id)) {
            known.removed = true;
        }
        plan
    }

    fn feed(&mut self, rows: &[ReportedTransaction]) -> Plan {
        self.take(Source::Feed, Some((november(1), november(30))), rows)
    }

    fn file(&mut self, rows: &[ReportedTransaction]) -> Plan {
        self.take(Source::File, Some((november(1), november(30))), rows)
    }

    /// What is stored and not withdrawn, alike rows counted.
    fn counts(&self) -> Counts {
        counts(self.0.iter().filter(|known| !known.removed).map(|known| &known.facts))
    }
}

type Counts = BTreeMap<(LocalDate, i64, String), usize>;

fn counts<'a>(facts: impl Iterator<Item = &'a dashtam::domain::transaction::TransactionFacts>) -> Counts {
    let mut counts = Counts::new();
    for facts in facts {
        *counts.entry((facts.posted_on, facts.amount.units(), facts.description.clone())).or_default() += 1;
    }
    counts
}

fn unnamed(day: &str, cents: i64, description: &str) -> ReportedTransaction {
    ReportedTransaction { reference: None, ..posted("", day, cents, description) }
}

fn is_known(plan: &Plan) -> bool {
    plan.rows.iter().all(|(_, found)| matches!(found, Match::Known(_)))
}

fn ids(plan: &Plan) -> Vec<Match> {
    plan.rows.iter().map(|(_, found)| found.clone()).collect()
}

fn known(number: u128) -> Match {
    Match::Known(TransactionId(Uuid::from_u128(number)))
}

#[test]
fn rows_without_an_id_are_named_by_what_they_say_and_their_place_among_equal_ones() {
    let rows = [unnamed("2026-11-03", -500, "Coffee"), unnamed("2026-11-03", -500, "Coffee"), unnamed("2026-11-04", -500, "Coffee")];
    let names = references(&rows);
    assert_eq!((&names[0][..8], &names[0][names[0].len() - 2..], &names[1][names[1].len() - 2..]), ("content:", ":1", ":2"));
    assert_ne!(names[0], names[2]);
    assert_eq!(names, references(&rows), "a name is the same tomorrow");
}

#[test]
fn an_id_that_is_used_again_takes_no_other_rows_place() {
    let [rent, coffee] = [posted("5", "2026-10-20", -10_000, "Rent"), posted("5", "2026-11-23", -200, "Coffee")];
    let corrected = |cents| posted("5", "2026-11-23", cents, "Coffee");
    let both_months = Some((LocalDate::parse("2026-10-01").unwrap(), november(30)));
    let mut ledger = Ledger::default();
    ledger.take(Source::Feed, both_months, std::slice::from_ref(&rent));
    let plan = ledger.feed(std::slice::from_ref(&coffee));
    assert_eq!((ids(&plan), plan.withdrawn), (vec![Match::New], vec![]), "nobody asked of October");
    let plan = ledger.feed(&[corrected(-300)]);
    assert_eq!((ids(&plan), plan.withdrawn), (vec![known(2)], vec![]));

    let mut ledger = Ledger::default();
    ledger.take(Source::Feed, both_months, &[rent.clone(), coffee]);
    let plan = ledger.take(Source::Feed, both_months, &[corrected(-300), rent]);
    assert_eq!((ids(&plan), plan.withdrawn), (vec![known(2), known(1)], vec![]));
    let plan = ledger.take(Source::Feed, both_months, &[corrected(-400)]);
    assert_eq!((ids(&plan), plan.withdrawn), (vec![known(2)], vec![TransactionId(Uuid::from_u128(1))]));
}

#[test]
fn two_equal_rows_stay_two_however_often_they_are_reported() {
    for rows in [
        [posted("a", "2026-11-03", -500, "Coffee"), posted("b", "2026-11-03", -500, "Coffee")],
        [unnamed("2026-11-03", -500, "Coffee"), unnamed("2026-11-03", -500, "Coffee")],
        [posted("same", "2026-11-03", -500, "Coffee"), posted("same", "2026-11-03", -500, "Coffee")],
    ] {
        for source in [Source::Feed, Source::File] {
            let mut ledger = Ledger::default();
            for round in 0..3 {
                let plan = ledger.take(source, None, &rows);
                assert!(round == 0 || is_known(&plan), "{source:?} {:?}", plan.rows);
            }
            assert_eq!(ledger.0.len(), 2);
        }
    }
}

#[test]
fn an_id_a_file_reuses_is_not_believed() {
    let mut ledger = Ledger::default();
    ledger.file(&[posted("7", "2026-11-03", -500, "Coffee")]);
    assert_eq!(ids(&ledger.file(&[posted("7", "2026-11-09", -900, "Shoes")])), [Match::New], "another amount is another row");
    let Match::Doubtful(like) = ids(&ledger.file(&[posted("7", "2026-11-12", -500, "Coffee")]))[0] else {
        panic!("an equal amount on another day is doubtful")
    };
    assert_eq!(like, TransactionId(Uuid::from_u128(1)));
    assert_eq!(ledger.0.len(), 3, "what is doubtful is kept");
}

#[test]
fn an_id_a_feed_keeps_is_believed_whatever_else_changes() {
    let mut ledger = Ledger::default();
    ledger.feed(&[posted("7", "2026-11-03", -500, "Coffee")]);
    assert_eq!(ids(&ledger.feed(&[posted("7", "2026-11-05", -650, "Coffee & tip")])), [known(1)]);
    assert_eq!(ledger.counts().into_keys().collect::<Vec<_>>(), [(november(5), -65_000, "Coffee & tip".to_owned())]);
}

#[test]
fn two_booked_rows_of_one_id_are_two_and_each_keeps_its_own() {
    let mut ledger = Ledger::default();
    let (older, newer) = (posted("7", "2026-11-03", -500, "Coffee"), posted("7", "2026-11-20", -900, "Shoes"));
    assert_eq!(ids(&ledger.feed(&[newer.clone(), older.clone()])), [Match::New, Match::New]);
    assert_eq!(ids(&ledger.feed(&[older.clone(), newer.clone()])), [known(2), known(1)]);
    let corrected = posted("7", "2026-11-03", -550, "Coffee & tip");
    assert_eq!(ids(&ledger.feed(&[corrected, newer.clone()])), [known(2), known(1)], "what equals is found before what was corrected");
    assert_eq!(ledger.0.len(), 2);
}

#[test]
fn an_older_booked_row_takes_no_younger_ones_place_whose_day_was_not_told() {
    let mut ledger = Ledger::default();
    ledger.feed(&[posted("7", "2026-11-20", -900, "Shoes")]);
    let older = [posted("7", "2026-11-03", -500, "Coffee")];
    let told_until = |last| plan(&ledger.0, &older, Source::Feed, Some((november(1), november(last))), Waiting::OfItsDays);
    assert_eq!((ids(&told_until(10)), told_until(10).withdrawn), (vec![Match::New], vec![]));
    assert_eq!(ids(&told_until(30)), [known(1)], "nothing else is called so any more: it was corrected");
}

#[test]
fn a_feed_that_reissues_its_ids_changes_no_row() {
    let mut ledger = Ledger::default();
    let rows = |prefix: &str| ["a", "b", "c"].map(|id| posted(&format!("{prefix}{id}"), "2026-11-03", -500, if id == "c" { "Tea" } else { "Coffee" }));
    ledger.feed(&rows("old-"));
    let plan = ledger.feed(&rows("new-"));
    assert!(is_known(&plan) && plan.withdrawn.is_empty(), "{plan:?}");
    assert_eq!(ledger.0.len(), 3);
}

#[test]
fn a_feed_that_names_what_waits_anew_each_time_changes_no_row() {
    let mut ledger = Ledger::default();
    let rows = |prefix: &str| ["a", "b", "c"].map(|id| pending(&format!("{prefix}{id}"), "2026-10-28", -500, if id == "c" { "Tea" } else { "Coffee" }));
    ledger.feed(&rows("old-"));
    let plan = ledger.feed(&rows("new-"));
    assert!(is_known(&plan) && plan.withdrawn.is_empty(), "{plan:?}");
    // Another amount is another row, and what is booked is not what waits beside it.
    let plan =
        ledger.feed(&[pending("newer-c", "2026-10-28", -501, "Tea"), posted("x", "2026-10-29", -500, "Coffee"), pending("z", "2026-10-28", -500, "Coffee")]);
    assert_eq!(ids(&plan)[0], Match::New);
    assert_eq!((ids(&plan)[1..].to_vec(), plan.withdrawn.len()), (vec![known(1), known(2)], 1), "{plan:?}");
}

#[test]
fn a_row_that_was_stored_with_the_other_sign_is_found_and_a_reused_name_is_not_believed() {
    let mut ledger = Ledger::default();
    ledger.file(&[posted("1", "2026-11-03", 1_000, "Bought"), posted("2", "2026-11-04", -700, "Bought")]);
    let naming_itself = |row: ReportedTransaction| ReportedTransaction { replaces: row.reference.clone().into_iter().collect(), ..row };
    let plan = ledger.file(&[naming_itself(posted("1", "2026-11-03", -1_000, "Bought")), naming_itself(posted("2", "2026-11-20", -500, "Bought"))]);
    assert_eq!(ids(&plan), [known(1), Match::New], "{plan:?}");
}

#[test]
fn a_row_whose_charges_were_not_read_before_is_the_same_row() {
    let mut ledger = Ledger::default();
    ledger.file(&[posted("1", "2026-11-03", -1_000, "Bureau de change"), posted("2", "2026-11-04", -1_000, "Other")]);
    let charged = |id: &str, day: &str, words: &str| {
        let mut row = posted(id, day, -1_100, words);
        row.facts.fees = Some(dashtam::domain::money::Amount::from_units(10_000).unwrap());
        row
    };
    let plan = ledger.file(&[charged("1", "2026-11-03", "Bureau de change"), charged("9", "2026-11-04", "Yet another")]);
    assert_eq!(ids(&plan), [known(1), Match::New], "{plan:?}");
}

#[test]
fn a_posted_row_takes_the_place_of_the_pending_one_its_bank_names() {
    let mut ledger = Ledger::default();
    ledger.feed(&[pending("p1", "2026-11-03", -500, "HOTEL"), pending("p2", "2026-11-03", -500, "HOTEL")]);
    let named = ReportedTransaction { replaces: vec!["p1".to_owned()], ..posted("x", "2026-11-06", -725, "Grand Hotel") };
    // The first row would guess the first pending one, which the second row names.
    let plan = ledger.feed(&[posted("y", "2026-11-06", -500, "hotel"), named]);
    assert_eq!(ids(&plan), [known(2), known(1)]);
    assert!(plan.withdrawn.is_empty());
}

#[test]
fn a_pending_row_waits_a_week_for_its_posted_one_and_not_backwards() {
    for (day, expected) in [("2026-11-10", known(1)), ("2026-11-17", known(1)), ("2026-11-18", Match::New), ("2026-11-09", Match::New)] {
        let mut ledger = Ledger::default();
        ledger.feed(&[pending("p", "2026-11-10", -500, "Bakery  42")]);
        let plan = ledger.feed(&[posted("x", day, -500, "bakery 42")]);
        assert_eq!(ids(&plan)[0], expected, "{day}");
        assert_eq!(plan.withdrawn.is_empty(), expected != Match::New, "a pending row that is no longer reported is withdrawn");
    }
    let mut ledger = Ledger::default();
    ledger.feed(&[pending("p", "2026-11-10", -500, "Bakery")]);
    for row in [posted("x", "2026-11-10", -501, "Bakery"), posted("x", "2026-11-10", -500, "Butcher")] {
        assert_eq!(ids(&plan(&ledger.0, &[row], Source::Feed, None, Waiting::All)), [Match::New]);
    }
}

#[test]
fn a_feed_that_vouches_for_no_days_withdraws_nothing() {
    let mut ledger = Ledger::default();
    ledger.feed(&[pending("p", "2026-11-10", -500, "Bakery"), posted("x", "2026-11-10", -900, "Shoes")]);
    assert_eq!(ledger.take(Source::Feed, None, &[]).withdrawn, []);
    let later = Some((november(11), november(30)));
    assert_eq!(plan(&ledger.0, &[], Source::Feed, later, Waiting::OfItsDays).withdrawn, [], "nothing is said of the day before");
    assert_eq!(plan(&ledger.0, &[], Source::Feed, later, Waiting::All).withdrawn, [TransactionId(Uuid::from_u128(1))], "all that waits was told");
}

#[test]
fn a_row_that_comes_back_is_the_one_that_left() {
    let mut ledger = Ledger::default();
    ledger.feed(&[posted("x", "2026-11-10", -900, "Shoes")]);
    assert_eq!(ledger.feed(&[]).withdrawn, [TransactionId(Uuid::from_u128(1))]);
    assert_eq!(ids(&ledger.feed(&[posted("x", "2026-11-10", -900, "Shoes")])), [known(1)]);
    assert_eq!(ledger.counts().len(), 1);
}

#[test]
fn a_file_withdraws_nothing() {
    let mut ledger = Ledger::default();
    ledger.feed(&[posted("x", "2026-11-10", -900, "Shoes"), pending("p", "2026-11-10", -500, "Bakery")]);
    ledger.file(&[posted("1", "2026-11-11", -100, "Gum")]);
    assert_eq!(ledger.file(&[]).withdrawn, []);
    assert_eq!(ledger.counts().len(), 3);
}

#[test]
fn a_file_over_the_days_of_a_feed_adds_nothing_whatever_its_words() {
    let mut ledger = Ledger::default();
    ledger.feed(&[posted("x", "2026-11-10", -900, "Shoes"), posted("y", "2026-11-10", -900, "Hats"), posted("z", "2026-11-11", -900, "Shoes")]);
    let file = [posted("1", "2026-11-10", -900, "POS 0042 HATTER"), posted("2", "2026-11-10", -900, "SHOES"), unnamed("2026-11-11", -900, "POS 0043 COBBLER")];
    let plan = ledger.file(&file);
    assert_eq!(ids(&plan), [known(2), known(1), known(3)], "equal words go first");
    assert!(is_known(&ledger.file(&file)) && ledger.0.len() == 3);
}

#[test]
fn a_second_file_over_the_days_of_a_feed_adds_nothing_whatever_the_first_one_named() {
    let mut ledger = Ledger::default();
    ledger.feed(&[posted("x", "2026-11-10", -900, "Shoes"), posted("y", "2026-11-10", -900, "Hats"), posted("z", "2026-11-11", -500, "Tea")]);
    let csv = [unnamed("2026-11-10", -900, "CARD COBBLER"), unnamed("2026-11-10", -900, "CARD HATTER"), unnamed("2026-11-11", -500, "CARD TEA HOUSE")];
    let ofx = [posted("1", "2026-11-10", -900, "POS 0042 HAT"), posted("2", "2026-11-10", -900, "POS 0043 COB"), posted("3", "2026-11-11", -500, "POS TEA")];
    let other = ofx.clone().map(|row| ReportedTransaction { reference: row.reference.map(|id| format!("export-{id}")), ..row });
    for file in [&csv, &ofx, &other, &csv, &ofx] {
        assert!(is_known(&ledger.file(file)) && ledger.0.len() == 3, "{:?}", ledger.0);
    }
    // What the file tells beyond the feed's rows is new, once.
    let more = [ofx.as_slice(), &[posted("4", "2026-11-10", -900, "POS 0044 GLOVES")]].concat();
    assert_eq!(ids(&ledger.file(&more))[3], Match::New);
    assert!(is_known(&ledger.file(&more)) && ledger.0.len() == 4);
}

#[test]
fn a_day_that_two_files_word_differently_is_doubtful_and_equal_words_are_one_row() {
    let said = [("2026-11-10", -900, "Shoes"), ("2026-11-10", -900, "Hats"), ("2026-11-11", -500, "Tea")];
    for period in [None, Some((november(1), november(30)))] {
        let mut ledger = Ledger::default();
        ledger.take(Source::File, period, &said.map(|(day, cents, text)| unnamed(day, cents, text)));
        let file = [posted("1", "2026-11-10", -900, "POS 0042 HATTER"), posted("2", "2026-11-10", -900, "shoes"), posted("3", "2026-11-11", -500, "POS TEA")];
        let found = ids(&plan(&ledger.0, &file, Source::File, period, Waiting::All));
        let shoes = if period.is_some() { known(1) } else { found[1].clone() };
        assert!(matches!(found[0], Match::Doubtful(_)) && found[1] == shoes && matches!(found[2], Match::Doubtful(_)), "{period:?} {found:?}");
        // Rows beside those that the file tells in full are rows of their own.
        let whole = [unnamed("2026-11-10", -900, "Shoes"), unnamed("2026-11-10", -900, "Hats"), unnamed("2026-11-10", -900, "Gloves")];
        assert_eq!(ids(&plan(&ledger.0, &whole, Source::File, period, Waiting::All)), [known(1), known(2), Match::New]);
    }
}

#[test]
fn a_feed_over_the_days_of_a_file_adds_nothing_and_equal_words_keep_their_row() {
    let mut ledger = Ledger::default();
    ledger.file(&[posted("1", "2026-11-10", -900, "Hats")]);
    let plan = ledger.feed(&[posted("x", "2026-11-10", -900, "POS 0042 COBBLER"), posted("y", "2026-11-10", -900, "hats")]);
    assert_eq!(ids(&plan), [Match::New, known(1)]);
}

#[test]
fn a_file_that_does_not_say_what_it_covers_doubts_rather_than_merges() {
    let mut ledger = Ledger::default();
    ledger.feed(&[posted("x", "2026-11-10", -900, "Shoes")]);
    for (day, description, doubtful) in [
        ("2026-11-10", "POS 0042 COBBLER", true),
        ("2026-11-12", "shoes", true),
        ("2026-11-13", "Shoes", true),
        ("2026-11-14", "Shoes", false),
        ("2026-11-12", "Hats", false),
    ] {
        let found = ids(&plan(&ledger.0, &[unnamed(day, -900, description)], Source::File, None, Waiting::All))[0].clone();
        assert_eq!(matches!(found, Match::Doubtful(_)), doubtful, "{day} {description}: {found:?}");
        assert!(!matches!(found, Match::Known(_)));
    }
    let twice = [unnamed("2026-11-10", -900, "Cobbler"), unnamed("2026-11-10", -900, "Cobbler")];
    assert!(matches!(ids(&plan(&ledger.0, &twice, Source::File, None, Waiting::All))[..], [Match::Doubtful(_), Match::New]), "one row casts one doubt");
}

#[test]
fn the_same_cells_are_the_same_row_whatever_they_are_read_as() {
    let row = |cells: &str, day: &str, cents: i64| ReportedTransaction { reference: Some(reference_of_cells([cells], true)), ..posted("", day, cents, cells) };
    let mut ledger = Ledger::default();
    ledger.file(&[row("x", "2026-11-03", 500), row("x", "2026-11-03", 500), row("y", "2026-11-04", -700)]);
    let corrected = [row("x", "2026-11-13", -500), row("x", "2026-11-13", -500), row("y", "2026-11-14", 700)];
    assert_eq!(ids(&ledger.file(&corrected)), [known(1), known(2), known(3)]);
    assert_eq!(ids(&ledger.file(&[row("x", "2026-11-13", -500), row("z", "2026-11-13", -600)])), [known(1), Match::New]);
    assert_eq!(ids(&ledger.feed(&[row("y", "2026-11-20", -700)])), [Match::New], "a feed does not go by a file's cells");
}
