//! Amounts, quantities, days and instants: exact and in order on every database, over their whole ranges.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fmt::Debug;

use dashtam::domain::{
    money::{Amount, Quantity},
    time::{LocalDate, Timestamp},
    transaction::{Source, TransactionFacts},
};
use proptest::{prelude::*, sample, test_runner::TestRunner};
use rust_decimal::Decimal;

use crate::harness::{
    rows::{self, november},
    stores::{TestStore, commit, every_store},
};

const FIRST: &str = "0001-01-01T00:00:00Z";
const LAST: &str = "9999-12-31T23:59:59.999999Z";
const LARGEST: i128 = 10_i128.pow(28) - 1;

fn instant(text: &str) -> Timestamp {
    Timestamp::new(text.parse().unwrap())
}

fn amounts() -> impl Strategy<Value = Amount> {
    let edges = sample::select(vec![0, 1, -1, i64::MAX, -i64::MAX]);
    prop_oneof![1 => edges, 3 => any::<i64>()].prop_map(|units| Amount::from_units(units).unwrap_or_default())
}

fn quantities() -> impl Strategy<Value = Quantity> {
    let edges = sample::select(vec![0, 1, -1, LARGEST, -LARGEST, 10_i128.pow(10), -(10_i128.pow(10)), 125 * 10_i128.pow(9)]);
    let near = -100_i128..=100;
    let any = -LARGEST..=LARGEST;
    prop_oneof![1 => edges, 1 => near, 2 => any].prop_map(|units| Quantity::new(Decimal::from_i128_with_scale(units, 10)).unwrap())
}

fn days() -> impl Strategy<Value = LocalDate> {
    let edges = sample::select(vec!["0001-01-01", "9999-12-31", "1969-12-31", "1970-01-01", "2000-02-29", "0999-12-31", "1000-01-01"]);
    let any = (1_i32..=9999, 1_u32..=12, 1_u32..=28).prop_map(|(year, month, day)| LocalDate::new(year, month, day).unwrap());
    prop_oneof![1 => edges.prop_map(|text| LocalDate::parse(text).unwrap()), 3 => any]
}

fn instants() -> impl Strategy<Value = Timestamp> {
    let (first, last) = (instant(FIRST).micros(), instant(LAST).micros());
    let edges = sample::select(vec![FIRST, LAST, "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.1Z", "0999-12-31T23:59:59Z"]);
    let any = (first..=last).prop_map(|micros| Timestamp::from_micros(micros).unwrap());
    // The same second with and without a fraction of one, three and six digits.
    let neighbours = sample::select(vec![0_i64, 1, 1_000, 1_001, 500_000, 999_000, 999_999, 1_000_000]);
    let near = neighbours.prop_map(|micros| Timestamp::from_micros(1_795_435_200_000_000 + micros).unwrap());
    prop_oneof![1 => edges.prop_map(instant), 2 => near, 2 => any]
}

fn facts() -> impl Strategy<Value = TransactionFacts> {
    (amounts(), prop::option::of(quantities()), prop::option::of(quantities()), prop::option::of(amounts()), days(), prop::option::of(days()), instants())
        .prop_map(|(amount, quantity, unit_price, fees, posted_on, authorized_on, occurred_at)| TransactionFacts {
            amount,
            quantity,
            unit_price,
            fees: fees.map(Amount::abs),
            authorized_on,
            occurred_at: Some(occurred_at),
            ..rows::facts(0, posted_on)
        })
}

/// The ids of all rows as the database sorts them by one column; rows without a value are left out.
async fn sorted_by(store: &TestStore, column: &str) -> Vec<uuid::Uuid> {
    let rows = store.query(&format!("SELECT id FROM transactions WHERE {column} IS NOT NULL ORDER BY {column}, id")).await;
    rows.iter().map(|row| row.try_get("", "id").unwrap()).collect()
}

async fn check_order<K: Ord + Debug>(store: &TestStore, column: &str, mut keys: Vec<(K, uuid::Uuid)>) -> Result<(), TestCaseError> {
    keys.sort();
    let expected: Vec<_> = keys.iter().map(|(_, id)| *id).collect();
    prop_assert_eq!(sorted_by(store, column).await, expected, "{} {} {:?}", store.name, column, keys);
    Ok(())
}

#[test]
fn every_value_comes_back_as_it_was_and_sorts_as_it_should() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for store in runtime.block_on(every_store()) {
        let ann = runtime.block_on(store.user("ann@example.com"));
        let link = runtime.block_on(store.link(ann.id));
        let account = runtime.block_on(store.account(&link, "USD"));
        let mut runner = TestRunner::new(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() });
        let outcome = runner.run(&prop::collection::vec(facts(), 1..40), |facts| {
            runtime.block_on(async {
                let rows: Vec<_> = facts.into_iter().map(|facts| rows::transaction(&account, facts)).collect();
                store.execute("DELETE FROM transactions").await.unwrap();
                store.store(&rows).await;
                let mut work = store.begin().await;
                let all = (LocalDate::new(1, 1, 1).unwrap(), LocalDate::new(9999, 12, 31).unwrap());
                let known = work.transactions().known(ann.id, account.id, all.0, all.1, Source::Feed, &[]).await.unwrap();
                commit(work).await;
                prop_assert_eq!(known.len(), rows.len());
                for row in &rows {
                    let stored = known.iter().find(|known| known.id == row.id).unwrap();
                    prop_assert_eq!(&stored.facts, &row.facts, "{}", store.name);
                }
                check_order(&store, "amount", rows.iter().map(|row| (row.facts.amount, row.id.0)).collect()).await?;
                check_order(&store, "quantity", rows.iter().filter_map(|row| Some((row.facts.quantity?, row.id.0))).collect()).await?;
                check_order(&store, "unit_price", rows.iter().filter_map(|row| Some((row.facts.unit_price?, row.id.0))).collect()).await?;
                check_order(&store, "posted_on", rows.iter().map(|row| (row.facts.posted_on, row.id.0)).collect()).await?;
                check_order(&store, "occurred_at", rows.iter().map(|row| (row.facts.occurred_at, row.id.0)).collect()).await
            })
        });
        outcome.unwrap_or_else(|failure| panic!("{}: {failure}", store.name));
    }
}

#[tokio::test]
async fn a_quantity_is_numeric_on_postgres_and_ordered_text_on_sqlite() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let account = store.account(&store.link(ann.id).await, "USD").await;
        let mut row = rows::transaction(&account, rows::facts(0, november(1)));
        (row.facts.quantity, row.facts.unit_price) = (Quantity::parse("-12.5").ok(), Quantity::parse("12.5").ok());
        store.store(&[row]).await;
        let stored = &store.query("SELECT CAST(quantity AS TEXT) AS quantity, CAST(unit_price AS TEXT) AS unit_price FROM transactions").await[0];
        let (quantity, price): (String, String) = (stored.try_get("", "quantity").unwrap(), stored.try_get("", "unit_price").unwrap());
        let expected =
            if store.is_postgres() { ("-12.5000000000", "12.5000000000") } else { ("0999999999999999987.4999999999", "1000000000000000012.5000000000") };
        assert_eq!((quantity.as_str(), price.as_str()), expected, "{}", store.name);
    }
}

#[test]
fn an_instant_stays_within_the_years_that_can_be_written() {
    let (first, last) = (instant(FIRST), instant(LAST));
    assert_eq!(Timestamp::new(chrono::DateTime::<chrono::Utc>::MAX_UTC), last);
    assert_eq!(Timestamp::new(chrono::DateTime::<chrono::Utc>::MIN_UTC), first);
    assert_eq!((last.plus(chrono::Duration::MAX), first.minus(chrono::Duration::MAX)), (last, first));
    assert_eq!((first.plus(chrono::Duration::MIN), last.minus(chrono::Duration::MIN)), (first, last));
    assert_eq!((Timestamp::from_micros(last.micros()), Timestamp::from_micros(last.micros() + 1)), (Some(last), None));
    assert_eq!((Timestamp::from_micros(first.micros()), Timestamp::from_micros(first.micros() - 1)), (Some(first), None));
    assert_eq!(instant("2016-12-31T23:59:60.5Z"), instant("2017-01-01T00:00:00.5Z"));
    assert_eq!(instant("1969-12-31T23:59:59.9999999Z"), instant("1969-12-31T23:59:59.999999Z"));
}
