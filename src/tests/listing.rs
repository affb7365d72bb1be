//! Lists of transactions against a plain model in memory: any filter, any page, both directions, with ties.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::HashMap;

use dashtam::domain::{
    account::Account,
    id::AccountId,
    page::{Direction, Page, PostedKey, Slice},
    time::LocalDate,
    transaction::{Transaction, TransactionFilter, TransactionReader, TransactionStatus, TransactionSubtype, TransactionType},
};
use proptest::{prelude::*, sample, test_runner::TestRunner};
use rust_decimal::Decimal;

use crate::harness::{
    rows::{self, november},
    stores::{TestStore, commit, every_store},
};

const TEXTS: [&str; 6] = ["Corner SHOP", "corner shop 100%", "under_score", r"back\slash", "Ärger shop", "it's"];

/// A stored set of rows over accounts of both scales, with many ties on the day.
struct Shelf {
    store: TestStore,
    accounts: Vec<Account>,
    rows: Vec<Transaction>,
}

async fn shelf(store: TestStore) -> Shelf {
    let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
    let (link, foreign) = (store.link(ann.id).await, store.link(bob.id).await);
    let mut accounts = Vec::new();
    for currency in ["USD", "JPY", "BTC"] {
        accounts.push(store.account(&link, currency).await);
    }
    let foreign = store.account(&foreign, "USD").await;
    let make = |number: usize, account: &Account| {
        let one = 10_i64.pow(account.currency.scale());
        let units = [0, one, -one, one / 2, 3 * one + 1, i64::MAX, -i64::MAX][number % 7];
        let mut facts = rows::facts(units, november(1 + u32::try_from(number * 5 % 4).unwrap()));
        facts.subtype = [TransactionSubtype::Purchase, TransactionSubtype::Buy, TransactionSubtype::Dividend][number % 3];
        facts.status = [TransactionStatus::Posted, TransactionStatus::Pending][number / 2 % 2];
        TEXTS[number % 6].clone_into(&mut facts.description);
        facts.merchant_name = number.is_multiple_of(4).then(|| TEXTS[(number / 4) % 6].to_owned());
        rows::transaction(account, facts)
    };
    let rows: Vec<_> = (0..60).map(|number| make(number, &accounts[number % 3])).collect();
    let gone: Vec<_> = (0..6).map(|number| make(number, &accounts[number % 3])).collect();
    store.store(&rows).await;
    store.store(&gone).await;
    store.store(&[make(0, &foreign), make(1, &foreign)]).await;
    let mut work = store.begin().await;
    for row in gone {
        work.transactions().withdraw(ann.id, row.id, row.created_at).await.unwrap();
    }
    commit(work).await;
    Shelf { store, accounts, rows }
}

/// The same questions, answered by going through the rows.
fn expected(rows: &[Transaction], filter: &TransactionFilter, page: &Page<PostedKey>) -> Slice<Transaction> {
    let holds = |text: &str, needle: &str| text.to_lowercase().contains(&needle.to_lowercase());
    let mut all: Vec<_> =
        rows.iter()
            .filter(|row| {
                let amount = Decimal::from_i128_with_scale(i128::from(row.facts.amount.units()), row.currency.scale());
                filter.accounts.as_ref().is_none_or(|accounts| accounts.contains(&row.account))
                    && filter.from.is_none_or(|from| row.facts.posted_on >= from)
                    && filter.to.is_none_or(|to| row.facts.posted_on <= to)
                    && filter.types.as_ref().is_none_or(|types| types.contains(&row.facts.subtype.family()))
                    && filter.statuses.as_ref().is_none_or(|statuses| statuses.contains(&row.facts.status))
                    && filter.min_amount.is_none_or(|min| amount >= min)
                    && filter.max_amount.is_none_or(|max| amount <= max)
                    && filter.text.as_ref().is_none_or(|text| {
                        holds(&row.facts.description, text) || row.facts.merchant_name.as_ref().is_some_and(|merchant| holds(merchant, text))
                    })
            })
            .cloned()
            .collect();
    all.sort_by_key(|row| std::cmp::Reverse((row.facts.posted_on, row.id)));
    let total = page.count.then_some(all.len() as u64);
    let key = |row: &Transaction| (row.facts.posted_on, row.id.0);
    let limit = page.limit as usize;
    let (items, has_more) = match page.direction {
        Direction::Forward => {
            all.retain(|row| page.from.is_none_or(|from| key(row) < (from.posted_on, from.id)));
            let more = all.len() > limit;
            all.truncate(limit);
            (all, more)
        }
        Direction::Backward => {
            all.retain(|row| page.from.is_none_or(|from| key(row) > (from.posted_on, from.id)));
            let skipped = all.len().saturating_sub(limit);
            (all.split_off(skipped), skipped > 0)
        }
    };
    Slice { items, has_more, total }
}

fn bound() -> impl Strategy<Value = Option<Decimal>> {
    let plain = sample::select(vec!["0", "1", "-1", "0.5", "1.00001", "-0.9999999999", "0.00000001", "922337203685477.5807", "-922337203685477.5807"]);
    let extreme = prop_oneof![Just(Decimal::MAX), Just(Decimal::MIN), Just("922337203685477.58071".parse().unwrap())];
    prop::option::of(prop_oneof![4 => plain.prop_map(|text| text.parse().unwrap()), 1 => extreme])
}

fn day() -> impl Strategy<Value = LocalDate> {
    (0_u32..=5).prop_map(|day| november(1).plus_days(i64::from(day) - 1))
}

fn filter(accounts: Vec<AccountId>) -> impl Strategy<Value = TransactionFilter> {
    let stranger = AccountId(uuid::Uuid::nil());
    let accounts = sample::subsequence([accounts, vec![stranger]].concat(), 0..=4);
    let types = sample::subsequence(vec![TransactionType::Payment, TransactionType::Trade, TransactionType::Income, TransactionType::Tax], 0..=4);
    let statuses = sample::subsequence(vec![TransactionStatus::Posted, TransactionStatus::Pending], 0..=2);
    let text = sample::select(vec!["shop", "SHOP", "%", "_", r"\", "'", "", "ä", "Ä", "r s", "nothing", "\0"]);
    let rare = |probability| prop::option::weighted(probability, Just(()));
    (
        (prop::option::weighted(0.3, accounts), prop::option::weighted(0.3, day()), prop::option::weighted(0.3, day())),
        (prop::option::weighted(0.3, types), prop::option::weighted(0.3, statuses), rare(0.3), rare(0.3)),
        (bound(), bound(), prop::option::weighted(0.4, text)),
    )
        .prop_map(|((accounts, from, to), (types, statuses, with_min, with_max), (min, max, text))| TransactionFilter {
            accounts,
            from,
            to,
            types,
            statuses,
            min_amount: with_min.and(min),
            max_amount: with_max.and(max),
            text: text.map(str::to_owned),
        })
}

fn page(rows: &[Transaction]) -> impl Strategy<Value = Page<PostedKey>> + use<> {
    let keys: Vec<_> = rows.iter().map(Transaction::key).collect();
    let anywhere = (day(), any::<u128>()).prop_map(|(posted_on, id)| PostedKey { posted_on, id: uuid::Uuid::from_u128(id) });
    let from = prop::option::weighted(0.7, prop_oneof![3 => sample::select(keys), 1 => anywhere]);
    (1_u32..=25, any::<bool>(), from, any::<bool>()).prop_map(|(limit, forward, from, count)| Page {
        limit,
        direction: if forward { Direction::Forward } else { Direction::Backward },
        from,
        count,
    })
}

#[test]
fn any_page_of_any_filter_is_what_going_through_the_rows_would_give() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for store in runtime.block_on(every_store()) {
        let Shelf { store, accounts, rows } = runtime.block_on(shelf(store));
        let ids: Vec<_> = accounts.iter().map(|account| account.id).collect();
        let owner = accounts[0].user;
        let readers = store.database.readers();
        let mut runner = TestRunner::new(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() });
        let outcome = runner.run(&(filter(ids.clone()), page(&rows)), |(filter, page)| {
            runtime.block_on(async {
                let read = TransactionReader::page(readers.as_ref(), owner, &filter, page).await.unwrap();
                prop_assert_eq!(read, expected(&rows, &filter, &page), "{}", store.name);

                let read = readers.pages_by_account(owner, &ids, &filter, page).await.unwrap();
                let of_account = |account: &AccountId| {
                    let of_account: Vec<_> = rows.iter().filter(|row| row.account == *account).cloned().collect();
                    (*account, expected(&of_account, &filter, &page))
                };
                let expected: HashMap<_, _> = ids.iter().map(of_account).filter(|(account, _)| read.contains_key(account)).collect();
                let missing = ids.iter().filter(|account| !read.contains_key(account));
                for account in missing {
                    prop_assert!(filter.accounts.as_ref().is_some_and(|accounts| !accounts.contains(account)));
                }
                prop_assert_eq!(read, expected, "{}", store.name);
                Ok(())
            })
        });
        outcome.unwrap_or_else(|failure| panic!("{}: {failure}", store.name));
    }
}

#[tokio::test]
async fn the_first_rows_of_many_accounts_are_one_statement_and_their_totals_one_more() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        let link = store.link(ann.id).await;
        let mut accounts = Vec::new();
        for number in 0..100 {
            let account = store.account(&link, "USD").await;
            if number % 10 == 0 {
                store.store(&(0..3).map(|units| rows::transaction(&account, rows::facts(units, november(1)))).collect::<Vec<_>>()).await;
            }
            accounts.push(account.id);
        }
        let readers = store.database.readers();
        let filter = TransactionFilter::default();
        let before = store.database.statements();
        let read = readers.pages_by_account(ann.id, &accounts, &filter, Page::first(2)).await.unwrap();
        assert_eq!(store.database.statements() - before, 1, "{}", store.name);
        assert_eq!((read[&accounts[10]].items.len(), read[&accounts[10]].has_more, read[&accounts[10]].total), (2, true, None));
        let counted = readers.pages_by_account(ann.id, &accounts, &filter, Page { count: true, ..Page::first(2) }).await.unwrap();
        assert_eq!(store.database.statements() - before, 3, "{}", store.name);
        assert_eq!((counted[&accounts[10]].total, counted[&accounts[11]].total), (Some(3), Some(0)));

        let foreign = readers.pages_by_account(bob.id, &accounts, &filter, Page::first(2)).await.unwrap();
        assert!(foreign.values().all(|slice| slice.items.is_empty()));
        assert!(readers.pages_by_account(ann.id, &[], &filter, Page::first(2)).await.unwrap().is_empty());
    }
}
