use chrono::Duration;
use dashtam::domain::{
    id::TransactionId,
    time::Clock as _,
    transaction::{AssetType, KnownTransaction, Security, Source, Transaction, TransactionReader, TransactionStatus, TransactionSubtype},
};

use crate::harness::{
    rows::{self, november},
    stores::{TestStore, commit, every_store},
};

async fn find(store: &TestStore, transaction: &Transaction) -> Option<Transaction> {
    TransactionReader::find_many(store.database.readers().as_ref(), transaction.user, &[transaction.id]).await.unwrap().pop()
}

#[tokio::test]
async fn a_transaction_is_kept_as_given_and_absent_to_anyone_else() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        let account = store.account(&store.link(ann.id).await, "USD").await;
        let bare = rows::transaction(&account, rows::facts(-125_000, november(3)));
        let mut full = rows::transaction(&account, rows::facts(1, november(4)));
        full.facts.subtype = TransactionSubtype::Buy;
        full.facts.status = TransactionStatus::Pending;
        full.facts.authorized_on = Some(november(2));
        full.facts.occurred_at = Some(store.clock.now().plus(Duration::microseconds(1)));
        full.facts.merchant_name = Some("Broker \u{1f4b6}".to_owned());
        full.facts.category = Some("investments".to_owned());
        full.facts.security = Some(Security { symbol: "ACME".to_owned(), name: None, asset_type: AssetType::Equity });
        full.facts.quantity = Some("12.5".parse::<rust_decimal::Decimal>().map(dashtam::domain::money::Quantity::new).unwrap().unwrap());
        full.facts.unit_price = Some(dashtam::domain::money::Quantity::parse("0.0000000001").unwrap());
        full.facts.fees = Some(dashtam::domain::money::Amount::ZERO);
        store.store(&[bare.clone(), full.clone()]).await;
        assert_eq!(find(&store, &bare).await.unwrap(), bare, "{}", store.name);
        assert_eq!(find(&store, &full).await.unwrap(), full, "{}", store.name);
        assert!(TransactionReader::find_many(store.database.readers().as_ref(), bob.id, &[bare.id]).await.unwrap().is_empty());
        assert_eq!(store.query("SELECT type FROM transactions ORDER BY type").await[1].try_get::<String>("", "type").unwrap(), "trade");
    }
}

fn ids(known: &[KnownTransaction]) -> Vec<TransactionId> {
    let mut ids: Vec<_> = known.iter().map(|known| known.id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn known_ones_are_those_of_the_period_and_those_of_any_day_that_go_by_a_name() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        let link = store.link(ann.id).await;
        let (account, other) = (store.account(&link, "USD").await, store.account(&link, "USD").await);
        let day = |day| rows::transaction(&account, rows::facts(-1, november(day)));
        let (early, inside, named, reused, withdrawn) = (day(1), day(10), day(1), day(1), day(11));
        let elsewhere = rows::transaction(&other, rows::facts(-1, november(10)));
        let mut work = store.begin().await;
        let row = |row: &Transaction, source, name: &str| (row.clone(), source, name.to_owned());
        work.transactions()
            .insert(&[
                row(&early, Source::Feed, "e"),
                row(&inside, Source::Feed, "i"),
                row(&named, Source::Feed, "n"),
                row(&reused, Source::Feed, "n"),
                row(&withdrawn, Source::Feed, "w"),
                row(&elsewhere, Source::Feed, "n"),
            ])
            .await
            .unwrap();
        work.transactions().add_reference(ann.id, account.id, early.id, Source::File, "n").await.unwrap();
        work.transactions().add_reference(ann.id, account.id, inside.id, Source::File, "f").await.unwrap();
        work.transactions().add_reference(ann.id, account.id, inside.id, Source::File, "f").await.unwrap();
        work.transactions().withdraw(ann.id, withdrawn.id, store.clock.now()).await.unwrap();

        let asked = ["n".to_owned(), "unheard of".to_owned()];
        let known = work.transactions().known(ann.id, account.id, november(10), november(11), Source::Feed, &asked).await.unwrap();
        let mut expected = vec![inside.id, named.id, reused.id, withdrawn.id];
        expected.sort();
        assert_eq!(ids(&known), expected, "{}", store.name);
        let of = |id| known.iter().find(|known| known.id == id).unwrap();
        assert_eq!(of(inside.id).references, vec![(Source::Feed, "i".to_owned()), (Source::File, "f".to_owned())]);
        assert_eq!((&of(inside.id).facts, of(inside.id).removed, of(withdrawn.id).removed), (&inside.facts, false, true));

        let by_file = work.transactions().known(ann.id, account.id, november(20), november(20), Source::File, &asked).await.unwrap();
        assert_eq!(ids(&by_file), vec![early.id], "names of one source are not compared with another's");
        let foreign = work.transactions().known(bob.id, account.id, november(1), november(30), Source::Feed, &asked).await.unwrap();
        assert!(foreign.is_empty());
        commit(work).await;
    }
}

#[tokio::test]
async fn an_update_changes_facts_and_brings_a_withdrawn_one_back() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        let account = store.account(&store.link(ann.id).await, "USD").await;
        let mut row = rows::transaction(&account, rows::facts(-1, november(3)));
        row.facts.status = TransactionStatus::Pending;
        row.facts.merchant_name = Some("Somebody".to_owned());
        store.store(std::slice::from_ref(&row)).await;
        let mut work = store.begin().await;
        work.transactions().withdraw(ann.id, row.id, store.clock.now()).await.unwrap();
        work.transactions().withdraw(ann.id, row.id, store.clock.now()).await.unwrap();
        assert!(work.transactions().withdraw(bob.id, row.id, store.clock.now()).await.is_err());
        commit(work).await;
        assert!(find(&store, &row).await.is_none());

        row.facts = rows::facts(-2, november(5));
        let mut work = store.begin().await;
        work.transactions().update(ann.id, row.id, &row.facts, store.clock.now().plus(Duration::days(1))).await.unwrap();
        assert!(work.transactions().update(bob.id, row.id, &row.facts, store.clock.now()).await.is_err());
        commit(work).await;
        assert_eq!(find(&store, &row).await.unwrap(), row);
    }
}

#[tokio::test]
async fn thousands_of_rows_and_names_go_in_and_come_out_in_one_call() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let account = store.account(&store.link(ann.id).await, "USD").await;
        let rows: Vec<_> = (0..2_500).map(|units| rows::transaction(&account, rows::facts(units, november(1)))).collect();
        store.store(&rows).await;
        let mut work = store.begin().await;
        work.transactions().insert(&[]).await.unwrap();
        let names: Vec<_> = rows.iter().map(|row| row.id.0.to_string()).chain((0..40_000).map(|number| number.to_string())).collect();
        let known = work.transactions().known(ann.id, account.id, november(2), november(3), Source::Feed, &names).await.unwrap();
        assert_eq!(known.len(), 2_500, "{}", store.name);
        assert!(known.iter().all(|known| known.references.len() == 1));
    }
}
