use std::{
    collections::{BTreeMap, HashSet},
    sync::LazyLock,
};

use dashtam::{
    domain::time::LocalDate,
    infrastructure::providers::sandbox::{
        bank::{Book, Ledger, Position, Row},
        life::HISTORY_DAYS,
    },
};

const SEEDS: [u64; 5] = [0, 1, 7, 42, u64::MAX];
const DAYS_OPEN: [i64; 8] = [0, 1, 2, 3, 31, 200, 366, 1_500];

fn opened_on() -> LocalDate {
    LocalDate::new(2025, 2, 27).unwrap()
}

fn ledger(seed: u64, days_open: i64) -> Ledger {
    Ledger::as_of(seed, opened_on(), opened_on().plus_days(days_open))
}

fn booked(book: &Book) -> Vec<&Row> {
    book.rows.iter().filter(|row| !row.pending).collect()
}

fn pending(book: &Book) -> Vec<&Row> {
    book.rows.iter().filter(|row| row.pending).collect()
}

/// Every seed on every day, made once.
fn each_ledger() -> impl Iterator<Item = &'static Ledger> {
    static LEDGERS: LazyLock<Vec<Ledger>> = LazyLock::new(|| SEEDS.into_iter().flat_map(|seed| DAYS_OPEN.map(|days| ledger(seed, days))).collect());
    LEDGERS.iter()
}

#[test]
fn booked_rows_and_positions_add_up_to_the_balance() {
    for book in each_ledger().flat_map(|ledger| &ledger.books) {
        let sum: i64 = booked(book).iter().map(|row| row.cents).sum();
        let invested: i64 = book.positions.iter().flatten().map(Position::value).sum();
        assert_eq!(sum + invested, book.holdings().current, "{}", book.spec.id);
    }
}

#[test]
fn positions_are_what_was_bought_and_not_sold() {
    for book in each_ledger().flat_map(|ledger| &ledger.books) {
        let mut traded: BTreeMap<&str, i64> = BTreeMap::new();
        for row in &book.rows {
            if let (Some(security), Some(units)) = (row.security, row.units) {
                *traded.entry(security.symbol).or_default() += units.thousandths;
            }
        }
        traded.retain(|_, thousandths| *thousandths != 0);
        let Some(positions) = &book.positions else {
            assert!(traded.is_empty(), "{}", book.spec.id);
            continue;
        };
        assert_eq!(positions.iter().map(|position| (position.security.symbol, position.thousandths)).collect::<BTreeMap<_, _>>(), traded);
        assert!(positions.iter().all(|position| position.thousandths > 0 && position.price > 0 && position.cost > 0), "{positions:?}");
    }
}

#[test]
fn balances_are_those_of_a_solvent_person() {
    for book in each_ledger().flat_map(|ledger| &ledger.books) {
        let (id, holdings) = (book.spec.id, book.holdings());
        match book.spec.kind {
            "LON" => assert!(holdings.current <= 0, "{id}: {holdings:?}"),
            "CCD" => {
                assert!(holdings.current < 0, "{id}: {holdings:?}");
                assert!(holdings.available.unwrap() > 0 && holdings.available < holdings.limit, "{id}: {holdings:?}");
            }
            _ => assert!(holdings.current > 0, "{id}: {holdings:?}"),
        }
    }
}

#[test]
fn ids_are_unique_in_the_whole_bank() {
    for ledger in each_ledger() {
        let mut seen = HashSet::new();
        for row in ledger.books.iter().flat_map(|book| &book.rows) {
            assert!(seen.insert(&row.id), "{} twice", row.id);
        }
    }
}

#[test]
fn the_same_facts_give_the_same_books_and_another_seed_gives_others() {
    assert_eq!(ledger(7, 31), ledger(7, 31));
    assert_ne!(ledger(7, 31), ledger(8, 31));
}

#[test]
fn later_days_only_add_booked_rows() {
    for seed in SEEDS {
        let last = ledger(seed, 60);
        for days_open in (0..60).step_by(4) {
            for (early, late) in ledger(seed, days_open).books.iter().zip(&last.books) {
                let (early, late) = (booked(early), booked(late));
                assert_eq!(early[..], late[..early.len()]);
            }
        }
    }
}

#[test]
fn a_pending_row_is_booked_two_days_later_under_another_id() {
    for days_open in 0..40 {
        let (announced, settled) = (ledger(7, days_open), ledger(7, days_open + 2));
        let today = opened_on().plus_days(days_open);
        for (before, after) in announced.books.iter().zip(&settled.books) {
            for row in pending(before) {
                assert!((0..=1).contains(&today.days_since(row.date)));
                let heirs: Vec<&Row> = after.rows.iter().filter(|heir| heir.replaces.as_ref() == Some(&row.id)).collect();
                let [heir] = heirs[..] else { panic!("{} has {} heirs", row.id, heirs.len()) };
                assert!(!heir.pending && heir.id != row.id);
                assert_eq!((heir.date.days_since(row.date), heir.made_on), (2, Some(row.date)));
                assert!(heir.cents <= row.cents, "a tip makes it dearer, nothing makes it cheaper");
                assert!(pending(after).iter().all(|left| left.id != row.id));
            }
        }
    }
}

#[test]
fn checking_and_card_always_have_something_pending() {
    for ledger in each_ledger() {
        for id in ["harbour-checking", "meridian-card"] {
            assert!((1..=2).contains(&pending(ledger.book(id).unwrap()).len()), "{id}");
        }
    }
}

#[test]
fn some_bookings_differ_from_their_announcement() {
    let differing = (0..30).filter(|days_open| {
        let (announced, settled) = (ledger(7, *days_open), ledger(7, days_open + 2));
        let heir = |row: &Row| settled.books.iter().flat_map(|book| &book.rows).find(|heir| heir.replaces.as_ref() == Some(&row.id)).map(|heir| heir.cents);
        announced.books.iter().flat_map(pending).any(|row| heir(row) != Some(row.cents))
    });
    assert!(differing.count() > 3);
}

#[test]
fn there_are_two_years_of_lively_history_that_begin_with_the_opening() {
    for seed in SEEDS {
        let ledger = ledger(seed, 0);
        let rows: usize = ledger.books.iter().map(|book| book.rows.len()).sum();
        assert!((1_500..=3_000).contains(&rows), "{rows} rows");
        for book in &ledger.books {
            let first = &book.rows[0];
            assert_eq!((first.date, first.code), (opened_on().plus_days(-HISTORY_DAYS), if book.spec.kind == "LON" { "DRW" } else { first.code }));
            assert!(["DEP", "DRW", "BAL"].contains(&first.code));
        }
        let codes: HashSet<&str> = ledger.books.iter().flat_map(|book| &book.rows).map(|row| row.code).collect();
        for code in "SAL BIL POS RET ATM CHK INT CPY FIN LPY XFI XTO XTI WIR BUY SLL DIV TWH DRP AFE ADV LYB".split(' ') {
            assert!(codes.contains(code), "seed {seed} has no {code}");
        }
    }
}

#[test]
fn what_leaves_one_account_arrives_in_another_on_the_same_day() {
    for ledger in each_ledger() {
        let mut days: BTreeMap<(LocalDate, &str), i64> = BTreeMap::new();
        for row in ledger.books.iter().flat_map(|book| &book.rows) {
            let kind = match row.code {
                "XTO" | "XTI" => "between institutions",
                moved @ ("CPY" | "LPY" | "XFI") => moved,
                _ => continue,
            };
            *days.entry((row.date, kind)).or_default() += row.cents;
        }
        assert!(days.len() > 100 && days.values().all(|sum| *sum == 0));
    }
}

#[test]
fn two_coffees_on_one_day_differ_only_in_their_id() {
    let ledger = ledger(7, 0);
    let coffees: Vec<&Row> = ledger.book("harbour-euro").unwrap().rows.iter().filter(|row| row.merchant == Some("Café Mirabel")).collect();
    let (first, second) = (coffees[0], coffees[1]);
    assert_ne!(first.id, second.id);
    assert_eq!(Row { id: second.id.clone(), ..first.clone() }, *second);
}

#[test]
fn a_clock_before_the_first_day_finds_empty_books() {
    let ledger = Ledger::as_of(7, opened_on(), opened_on().plus_days(-HISTORY_DAYS - 1));
    assert!(ledger.books.iter().all(|book| book.rows.is_empty() && book.holdings().current == 0));
}
