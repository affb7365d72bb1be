use chrono::Duration;
use dashtam::domain::{
    account::{AccountFilter, AccountReader, AccountType, MaskedNumber},
    balance::{BalanceSnapshot, Balances},
    id::ImportId,
    import::{Import, LineProblem},
    money::{Amount, Currency},
    page::Page,
    time::Clock as _,
};

use crate::harness::{
    rows,
    stores::{commit, every_store},
};

#[tokio::test]
async fn an_account_is_kept_as_given_and_absent_to_anyone_else() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        let link = store.link(ann.id).await;
        let account = store.account(&link, "USD").await;
        let readers = store.database.readers();
        assert_eq!(AccountReader::find_many(readers.as_ref(), ann.id, &[account.id]).await.unwrap(), vec![account.clone()]);
        assert!(AccountReader::find_many(readers.as_ref(), bob.id, &[account.id]).await.unwrap().is_empty());
        let mut work = store.begin().await;
        assert_eq!(work.accounts().find(ann.id, account.id).await.unwrap().unwrap(), account);
        assert!(work.accounts().find(bob.id, account.id).await.unwrap().is_none());
        assert_eq!(work.accounts().of_link(ann.id, link.id).await.unwrap(), vec![account]);
        assert!(work.accounts().of_link(bob.id, link.id).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn saving_an_account_keeps_its_identity() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        let link = store.link(ann.id).await;
        let stored = store.account(&link, "USD").await;
        let mut account = rows::account(&link, "EUR", store.clock.now().plus(Duration::days(1)));
        (account.id, account.name, account.kind, account.is_active) = (stored.id, "Savings".to_owned(), AccountType::Savings, false);
        account.masked_number = MaskedNumber::cut("99887766");
        account.balances = Balances { current: None, available: Some(Amount::from_units(i64::MAX).unwrap()), limit: None, as_of: None };
        let mut work = store.begin().await;
        work.accounts().save(&account).await.unwrap();
        commit(work).await;
        (account.currency, account.created_at) = (Currency::parse("USD").unwrap(), stored.created_at);
        assert_eq!(AccountReader::find_many(store.database.readers().as_ref(), ann.id, &[stored.id]).await.unwrap(), vec![account.clone()]);

        let mut work = store.begin().await;
        account.user = bob.id;
        assert!(work.accounts().save(&account).await.is_err(), "a foreign account is not saved");
    }
}

#[tokio::test]
async fn a_link_knows_a_fingerprint_once() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let link = store.link(ann.id).await;
        let account = store.account(&link, "USD").await;
        let mut twin = rows::account(&link, "USD", store.clock.now());
        twin.fingerprint = account.fingerprint.clone();
        let mut work = store.begin().await;
        assert!(work.accounts().insert(&twin).await.is_err());
        drop(work);
        let mut elsewhere = rows::account(&store.link(ann.id).await, "USD", store.clock.now());
        elsewhere.fingerprint = account.fingerprint;
        let mut work = store.begin().await;
        work.accounts().insert(&elsewhere).await.unwrap();
        commit(work).await;
    }
}

#[tokio::test]
async fn accounts_are_listed_oldest_first_and_every_field_of_the_filter_narrows() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        let (first, second) = (store.link(ann.id).await, store.link(ann.id).await);
        store.account(&store.link(bob.id).await, "USD").await;
        let mut accounts = Vec::new();
        for (link, kind, is_active) in [
            (&first, AccountType::Checking, true),
            (&first, AccountType::CreditCard, true),
            (&second, AccountType::Checking, false),
            (&second, AccountType::Loan, true),
        ] {
            let mut account = rows::account(link, "USD", store.clock.now());
            (account.kind, account.is_active) = (kind, is_active);
            let mut work = store.begin().await;
            work.accounts().insert(&account).await.unwrap();
            commit(work).await;
            accounts.push(account.id);
        }
        let cases = [
            (AccountFilter::default(), vec![0, 1, 2, 3]),
            (AccountFilter { types: Some(vec![AccountType::Checking]), ..Default::default() }, vec![0, 2]),
            (AccountFilter { types: Some(vec![AccountType::Checking, AccountType::Loan]), is_active: Some(true), ..Default::default() }, vec![0, 3]),
            (AccountFilter { types: Some(Vec::new()), ..Default::default() }, vec![]),
            (AccountFilter { link: Some(second.id), ..Default::default() }, vec![2, 3]),
            (AccountFilter { is_active: Some(false), ..Default::default() }, vec![2]),
        ];
        for (filter, expected) in cases {
            let page = Page { count: true, ..Page::first(10) };
            let slice = AccountReader::page(store.database.readers().as_ref(), ann.id, &filter, page).await.unwrap();
            let expected: Vec<_> = expected.into_iter().map(|index: usize| accounts[index]).collect();
            assert_eq!(slice.items.iter().map(|account| account.id).collect::<Vec<_>>(), expected, "{} {filter:?}", store.name);
            assert_eq!((slice.total, slice.has_more), (Some(expected.len() as u64), false));
        }
    }
}

#[tokio::test]
async fn every_sync_leaves_a_snapshot_even_in_the_same_instant() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let account = store.account(&store.link(ann.id).await, "USD").await;
        let snapshot = BalanceSnapshot { account: account.id, user: ann.id, taken_at: store.clock.now(), balances: account.balances };
        let mut work = store.begin().await;
        work.snapshots().insert(&snapshot).await.unwrap();
        work.snapshots().insert(&snapshot).await.unwrap();
        commit(work).await;
        let rows = store.query("SELECT current_amount, available_amount FROM balance_snapshots").await;
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].try_get::<Option<i64>>("", "current_amount").unwrap(), Some(-5));
        assert_eq!(rows[0].try_get::<Option<i64>>("", "available_amount").unwrap(), None);
    }
}

#[tokio::test]
async fn an_import_is_kept_with_its_problems() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let import = Import {
            id: ImportId(uuid::Uuid::from_u128(7)),
            user: ann.id,
            filename: "november.ofx".to_owned(),
            digest: vec![7; 32],
            created_at: store.clock.now(),
            accounts_created: 1,
            transactions_created: u32::MAX,
            transactions_known: 0,
            status: dashtam::domain::import::ImportStatus::Committed,
            target: None,
            transactions_updated: 0,
            transactions_doubtful: 0,
            expires_at: None,
            committed_at: Some(store.clock.now()),
            reverted_at: None,
            problems: vec![LineProblem { line: 3, message: "not a \"day\"".to_owned() }],
            csv: None,
        };
        let mut work = store.begin().await;
        work.imports().insert(&import, &[]).await.unwrap();
        commit(work).await;
        let row = &store.query("SELECT problems, transactions_created FROM imports").await[0];
        assert_eq!(row.try_get::<String>("", "problems").unwrap(), r#"[{"line":3,"message":"not a \"day\""}]"#);
        assert_eq!(row.try_get::<i64>("", "transactions_created").unwrap(), i64::from(u32::MAX));
    }
}
