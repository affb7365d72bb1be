//! Holdings, from what a bank reports to what the graph shows: nothing doubled, nothing left over, ids that stay.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use dashtam::domain::{
    holding::{Holding, HoldingReader as _, ReportedHolding, recognise},
    id::{AccountId, HoldingId, UserId},
    money::{Amount, Currency, Money},
    page::Page,
    time::Clock as _,
    transaction::{AssetType, Security},
};
use serde_json::{Value, json};

use crate::harness::{
    app::TestApp,
    bank::{position, reported_account},
    client::Client,
    stores::{commit, every_store},
};

const SELECTION: &str = "id account { id } security { symbol name assetType } cusip isin quantity currency price marketValue { amount currency } costBasis { amount currency } \
     gain { amount currency } asOf";

/// The bank reports one account that holds this; `None` when it does not say.
fn holds(app: &TestApp, holdings: Option<Vec<ReportedHolding>>) {
    app.bank.script(|script| {
        let mut account = reported_account("1234567890", 10_000);
        account.holdings = holdings;
        script.accounts = vec![(account, vec![])];
    });
}

async fn linked(app: &TestApp, holdings: Vec<ReportedHolding>) -> (Client<'_>, String) {
    holds(app, Some(holdings));
    let ann = app.signed_in("ann").await;
    let link = ann.link_scripted().await;
    assert_eq!(app.work().await, 1);
    assert_eq!(ann.link(&link).await["lastSync"]["status"], "SUCCEEDED");
    (ann, link)
}

async fn synced(app: &TestApp, ann: &Client<'_>, link: &str, holdings: Option<Vec<ReportedHolding>>) {
    holds(app, holdings);
    ann.sync(link, true).await.succeeds();
    assert_eq!(app.work().await, 1);
    assert_eq!(ann.link(link).await["lastSync"]["status"], "SUCCEEDED");
}

async fn held(client: &Client<'_>, arguments: &str) -> Vec<Value> {
    let data = client.ask(&format!("{{ viewer {{ holdings({arguments}) {{ totalCount nodes {{ {SELECTION} }} }} }} }}")).await.data();
    data["viewer"]["holdings"]["nodes"].as_array().unwrap().clone()
}

fn ids(nodes: &[Value]) -> Vec<&str> {
    nodes.iter().map(|node| node["id"].as_str().unwrap()).collect()
}

/// What changed after a cursor, and the next cursor.
async fn changed(client: &Client<'_>, after: Option<&str>) -> (Value, String) {
    let document = "query($after: String) { viewer { changes(after: $after) { added { id } modified { id } removed endCursor hasNextPage } } }";
    let page = client.ask_with(document, json!({ "after": after })).await.data()["viewer"]["changes"].clone();
    assert_eq!(page["hasNextPage"], false);
    let of_holdings = |list: &str| {
        let ids = page[list].as_array().unwrap().iter().map(|node| node.get("id").unwrap_or(node).as_str().unwrap().to_owned());
        ids.filter(|id| id.starts_with("hold_")).collect::<Vec<_>>()
    };
    let told = json!({ "added": of_holdings("added"), "modified": of_holdings("modified"), "removed": of_holdings("removed") });
    (told, page["endCursor"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn positions_come_as_they_were_reported_to_the_last_digit() {
    for app in TestApp::on_every_store().await {
        let mut short = position("SHRT", "-3", "-120.00", "-100.00");
        short.isin = Some("US0000000001".to_owned());
        let mut abroad = position("FJRD", "0.0000000001", "1.2345", "9");
        abroad.cost_basis = Some(Money { amount: Amount::parse("9", &Currency::parse("NOK").unwrap()).unwrap(), currency: Currency::parse("NOK").unwrap() });
        let mut coin = position("BTC", "999999999999999999.9999999999", "1", "1");
        (coin.security.asset_type, coin.security.name, coin.price, coin.market_value, coin.cost_basis) = (AssetType::Cryptocurrency, None, None, None, None);
        coin.currency = Currency::parse("BTC").unwrap();
        coin.as_of = Some(app.store.clock.now());
        let (ann, _) = linked(&app, vec![position("LONG", "10.5", "150.25", "100.20"), short, abroad, coin]).await;
        let nodes = held(&ann, "first: 10").await;
        let told: Vec<_> = nodes.iter().map(|node| (node["quantity"].as_str().unwrap(), &node["marketValue"], &node["costBasis"], &node["gain"])).collect();
        let money = |amount: &str, currency: &str| json!({ "amount": amount, "currency": currency });
        assert_eq!(
            told,
            [
                ("10.5", &money("150.25", "USD"), &money("100.20", "USD"), &money("50.05", "USD")),
                ("-3", &money("-120.00", "USD"), &money("-100.00", "USD"), &money("-20.00", "USD")),
                ("0.0000000001", &money("1.2345", "USD"), &money("9.00", "NOK"), &Value::Null),
                ("999999999999999999.9999999999", &Value::Null, &Value::Null, &Value::Null),
            ],
            "{}",
            app.store.name
        );
        assert_eq!((&nodes[1]["isin"], &nodes[1]["cusip"], &nodes[0]["price"]), (&json!("US0000000001"), &Value::Null, &json!("12.3456789012")));
        assert_eq!(nodes[3]["security"], json!({ "symbol": "BTC", "name": null, "assetType": "CRYPTOCURRENCY" }));
        assert_eq!((&nodes[3]["asOf"], &nodes[3]["currency"]), (&json!(app.store.clock.now().to_string()), &json!("BTC")));
        let account = ann.accounts().await[0]["id"].clone();
        assert!(nodes.iter().all(|node| node["account"]["id"] == account));
        let document = "query($account: ID!, $holding: ID!) { account(id: $account) { holdings(first: 10) { nodes { id } } } node(id: $holding) { id ... on Holding { quantity } } }";
        let data = ann.ask_with(document, json!({ "account": account, "holding": nodes[0]["id"] })).await.data();
        assert_eq!(
            data["account"]["holdings"]["nodes"].as_array().unwrap().iter().map(|node| &node["id"]).collect::<Vec<_>>(),
            nodes.iter().map(|node| &node["id"]).collect::<Vec<_>>()
        );
        assert_eq!(data["node"], json!({ "id": nodes[0]["id"], "quantity": "10.5" }));
    }
}

#[tokio::test]
async fn a_position_keeps_its_id_while_it_is_held_and_leaves_when_it_is_not() {
    for app in TestApp::on_every_store().await {
        let (one, two) = (position("ONE", "1", "10", "5"), position("TWO", "2", "20", "5"));
        let (ann, link) = linked(&app, vec![one.clone(), two.clone()]).await;
        let before = held(&ann, "first: 10").await;
        let (told, cursor) = changed(&ann, None).await;
        assert_eq!(told, json!({ "added": ids(&before), "modified": [], "removed": [] }));

        synced(&app, &ann, &link, Some(vec![two.clone(), one.clone()])).await;
        let (told, cursor) = changed(&ann, Some(&cursor)).await;
        assert_eq!(told, json!({ "added": [], "modified": [], "removed": [] }), "what is as it was is told to nobody");

        synced(&app, &ann, &link, Some(vec![position("TWO", "3", "33", "10"), position("NEW", "1", "1", "1")])).await;
        let after = held(&ann, "first: 10").await;
        assert_eq!((ids(&after)[0], after[0]["quantity"].as_str(), after.len()), (ids(&before)[1], Some("3"), 2), "{}", app.store.name);
        let (told, cursor) = changed(&ann, Some(&cursor)).await;
        assert_eq!(told, json!({ "added": [ids(&after)[1]], "modified": [ids(&after)[0]], "removed": [ids(&before)[0]] }));
        assert!(ann.ask(&format!("{{ node(id: \"{}\") {{ id }} }}", ids(&before)[0])).await.data()["node"].is_null());
        app.holds(&[("holdings", 2)]).await;

        synced(&app, &ann, &link, None).await;
        assert_eq!(held(&ann, "first: 10").await, after, "a bank that does not say takes nothing away");
        synced(&app, &ann, &link, Some(vec![])).await;
        assert!(held(&ann, "first: 10").await.is_empty());
        let (told, _) = changed(&ann, Some(&cursor)).await;
        let mut gone: Vec<_> = told["removed"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        gone.sort_unstable();
        assert_eq!(gone, ids(&after));
        app.holds(&[("holdings", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_sync_that_fails_changes_no_position() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = linked(&app, vec![position("ONE", "1", "10", "5")]).await;
        let before = held(&ann, "first: 10").await;
        holds(&app, Some(vec![position("ONE", "7", "70", "5"), position("TWO", "2", "20", "5")]));
        ann.sync(&link, true).await.succeeds();
        app.store.refuse_successes().await;
        app.work().await;
        app.store.accept_successes().await;
        assert_eq!(held(&ann, "first: 10").await, before, "{}", app.store.name);
        app.holds(&[("holdings", 1)]).await;
    }
}

#[tokio::test]
async fn holdings_go_with_their_account_and_are_told_to_be_gone() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = linked(&app, vec![position("ONE", "1", "10", "5")]).await;
        let before = held(&ann, "first: 10").await;
        let (_, cursor) = changed(&ann, None).await;
        ann.unlink(&link, false).await.succeeds();
        assert!(held(&ann, "first: 10").await.is_empty());
        assert_eq!(changed(&ann, Some(&cursor)).await.0, json!({ "added": [], "modified": [], "removed": ids(&before) }));
        app.holds(&[("holdings", 0), ("accounts", 0)]).await;
    }
}

#[tokio::test]
async fn a_card_number_in_the_name_of_a_security_is_not_stored() {
    for app in TestApp::on_every_store().await {
        let mut odd = position("ONE", "1", "10", "5");
        odd.security.name = Some("Fund 4111 1111 1111 1111".to_owned());
        let (ann, link) = linked(&app, vec![odd.clone()]).await;
        let before = held(&ann, "first: 10").await;
        assert!(!app.store.spells("4111 1111 1111 1111").await && before[0]["security"]["name"].as_str().unwrap().ends_with("1111"));
        let (_, cursor) = changed(&ann, None).await;
        synced(&app, &ann, &link, Some(vec![odd])).await;
        assert_eq!(changed(&ann, Some(&cursor)).await.0, json!({ "added": [], "modified": [], "removed": [] }));
    }
}

#[tokio::test]
async fn each_filter_narrows_the_list_and_its_total_and_pages_go_through_it_once() {
    for app in TestApp::on_every_store().await {
        let mut fund = position("FUND", "1", "1", "1");
        fund.security.asset_type = AssetType::MutualFund;
        let many: Vec<_> = (0..5).map(|number| position(&format!("S{number}"), "1", "1", "1")).chain([fund]).collect();
        let (ann, _) = linked(&app, many).await;
        let account = ann.accounts().await[0]["id"].as_str().unwrap().to_owned();
        let document = "query($filter: HoldingFilterInput) { viewer { holdings(first: 100, filter: $filter) { totalCount nodes { id } } } }";
        for (filter, expected) in [
            (json!({}), 6),
            (json!({ "accountIds": [account] }), 6),
            (json!({ "accountIds": [] }), 0),
            (json!({ "accountIds": ["nonsense"] }), 0),
            (json!({ "assetTypes": ["MUTUAL_FUND"] }), 1),
            (json!({ "assetTypes": ["EQUITY", "MUTUAL_FUND"] }), 6),
            (json!({ "assetTypes": [] }), 0),
            (json!({ "symbol": "S3" }), 1),
            (json!({ "symbol": "s3" }), 0),
            (json!({ "symbol": "%" }), 0),
            (json!({ "symbol": "S3", "assetTypes": ["MUTUAL_FUND"] }), 0),
        ] {
            let page = ann.ask_with(document, json!({ "filter": filter })).await.data()["viewer"]["holdings"].clone();
            assert_eq!((page["totalCount"].as_i64(), page["nodes"].as_array().map(Vec::len)), (Some(expected), usize::try_from(expected).ok()), "{filter}");
        }
        for filter in [json!({ "symbol": "" }), json!({ "symbol": "x".repeat(65) }), json!({ "symbol": "\0" }), json!({ "accountIds": vec!["x"; 101] })] {
            ann.ask_with(document, json!({ "filter": filter })).await.is_fault("BAD_USER_INPUT");
        }
        let whole = held(&ann, "first: 100").await;
        let (mut forward, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let document = "query($after: String) { viewer { holdings(first: 4, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } } }";
            let page = ann.ask_with(document, json!({ "after": cursor })).await.data()["viewer"]["holdings"].clone();
            forward.extend(page["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap().to_owned()));
            cursor = page["pageInfo"]["endCursor"].clone();
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        assert_eq!(forward, ids(&whole));
        assert_eq!(ids(&held(&ann, "last: 2").await), ids(&whole)[4..]);
    }
}

#[tokio::test]
async fn the_positions_of_many_accounts_are_one_statement() {
    for app in TestApp::on_every_store().await {
        app.bank.script(|script| {
            script.accounts = (0..30)
                .map(|number| {
                    let mut account = reported_account(&format!("12345678{number:02}"), 100);
                    account.holdings = Some(vec![position("ONE", "1", "10", "5"), position("TWO", "1", "10", "5")]);
                    (account, vec![])
                })
                .collect();
        });
        let ann = app.signed_in("ann").await;
        ann.link_scripted().await;
        app.work().await;
        ann.ask("{ __typename }").await.data();
        let document =
            "{ viewer { accounts(first: 100) { nodes { holdings(first: 2) { nodes { id account { id } } } balanceHistory(last: 1) { nodes { date } } } } } }";
        let before = app.app.statements();
        let data = ann.ask(document).await.data();
        let statements = app.app.statements() - before;
        assert!(statements <= 5, "{}: {statements} statements", app.store.name);
        let accounts = data["viewer"]["accounts"]["nodes"].as_array().unwrap();
        assert!(accounts.len() == 30 && accounts.iter().all(|account| account["holdings"]["nodes"].as_array().unwrap().len() == 2), "{data}");
        assert!(accounts.iter().all(|account| account["balanceHistory"]["nodes"].as_array().unwrap().len() == 1));
    }
}

#[tokio::test]
async fn the_sandbox_banks_brokers_show_their_positions() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let nodes = held(&ann, "first: 100").await;
        assert!(nodes.len() >= 3, "{nodes:?}");
        assert!(nodes.iter().all(|node| ["marketValue", "costBasis", "gain", "price"].iter().all(|field| !node[*field].is_null())), "{nodes:?}");
    }
}

#[tokio::test]
async fn a_holding_is_kept_as_given_and_absent_to_anyone_else() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        let account = store.account(&store.link(ann.id).await, "USD").await;
        let now = store.clock.now();
        let id = HoldingId(uuid::Uuid::from_u128(7));
        let mut holding = Holding { id, user: ann.id, account: account.id, facts: position("ONE", "-1.5", "-10", "-5"), created_at: now };
        (holding.facts.reference, holding.facts.cusip, holding.facts.as_of) = (Some("r".to_owned()), Some("037833100".to_owned()), Some(now));
        let mut work = store.begin().await;
        work.holdings().insert(&holding).await.unwrap();
        assert_eq!(work.holdings().of_account(ann.id, account.id).await.unwrap(), vec![holding.clone()]);
        assert!(work.holdings().of_account(bob.id, account.id).await.unwrap().is_empty());
        assert!(work.holdings().remove(bob.id, id).await.is_err());
        assert!(work.holdings().save(&Holding { user: bob.id, ..holding.clone() }, now).await.is_err());
        commit(work).await;
        let readers = store.database.readers();
        assert_eq!(readers.find_many(ann.id, &[id]).await.unwrap(), vec![holding.clone()]);
        assert!(readers.find_many(bob.id, &[id]).await.unwrap().is_empty());
        assert!(readers.pages_by_account(bob.id, &[account.id], Page::first(5)).await.unwrap().values().all(|slice| slice.items.is_empty()));
        let counted = Page { count: true, ..Page::first(5) };
        assert_eq!(readers.pages_by_account(ann.id, &[account.id], counted).await.unwrap()[&account.id].total, Some(1));
    }
}

/// Known positions with ids of their own, in order.
fn known(facts: &[ReportedHolding]) -> Vec<Holding> {
    let holding = |(at, facts): (usize, &ReportedHolding)| Holding {
        id: HoldingId(uuid::Uuid::from_u128(at as u128 + 1)),
        user: UserId(uuid::Uuid::nil()),
        account: AccountId(uuid::Uuid::nil()),
        facts: facts.clone(),
        created_at: dashtam::domain::time::Timestamp::from_micros(0).unwrap(),
    };
    facts.iter().enumerate().map(holding).collect()
}

fn found(before: &[ReportedHolding], now: &[ReportedHolding]) -> Vec<Option<u128>> {
    recognise(&known(before), now).into_iter().map(|id| id.map(|id| id.0.as_u128())).collect()
}

#[test]
fn positions_are_recognised_by_the_surest_of_their_names() {
    let plain = |symbol: &str| position(symbol, "1", "1", "1");
    let with = |symbol: &str, reference: Option<&str>, isin: Option<&str>| ReportedHolding {
        reference: reference.map(str::to_owned),
        isin: isin.map(str::to_owned),
        ..plain(symbol)
    };
    assert_eq!(found(&[plain("A"), plain("B")], &[plain("B"), plain("C"), plain("A")]), [Some(2), None, Some(1)]);
    assert_eq!(found(&[with("OLD", Some("r"), None)], &[with("NEW", Some("r"), None)]), [Some(1)], "a new symbol for the provider's own id");
    assert_eq!(found(&[with("OLD", Some("r"), Some("i"))], &[with("NEW", Some("s"), Some("i"))]), [Some(1)], "a new symbol for the same ISIN");
    assert_eq!(found(&[with("A", None, Some("i"))], &[with("A", None, Some("j"))]), [None], "one symbol, two securities");
    assert_eq!(found(&[plain("A")], &[with("A", Some("r"), Some("i"))]), [Some(1)], "a provider that says more than it did");
    assert_eq!(found(&[plain("A"), plain("A")], &[plain("A"), plain("A"), plain("A")]), [Some(1), Some(2), None], "lots");
    assert_eq!(found(&[with("A", Some("1"), None), with("A", Some("2"), None)], &[with("A", Some("2"), None)]), [Some(2)], "the surer name first");
    let option = ReportedHolding { security: Security { asset_type: AssetType::Option, ..plain("A").security }, ..plain("A") };
    assert_eq!(found(&[plain("A")], &[option]), [None], "one symbol, another kind");
}

#[test]
fn no_known_position_is_two_reported_ones() {
    use proptest::prelude::*;
    let name = |names: &'static [&'static str]| prop::option::of(prop::sample::select(names)).prop_map(|name| name.map(str::to_owned));
    let any = (prop::sample::select(vec!["A", "B"]), name(&["r", "s"]), name(&["i", "j"]), name(&["c", "d"]));
    let any = any.prop_map(|(symbol, reference, isin, cusip)| ReportedHolding { reference, isin, cusip, ..position(symbol, "1", "1", "1") });
    let lists = (prop::collection::vec(any.clone(), 0..6), prop::collection::vec(any, 0..6));
    proptest!(|((before, now) in lists)| {
        let mut ids: Vec<_> = found(&before, &now).into_iter().flatten().collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), count);
        let same: Vec<_> = found(&before, &before);
        prop_assert!(same.iter().all(Option::is_some), "the same report again is all known");
    });
}

#[tokio::test]
async fn a_position_that_cannot_be_read_stays_as_it_was_and_says_so() {
    for app in TestApp::on_every_store().await {
        let (ann, link) =
            linked(&app, vec![position("AAPL", "5", "500.00", "400.00"), position("MSFT", "1", "90.00", "80.00"), position("T", "2", "40.00", "30.00")]).await;
        let before = held(&ann, "first: 9").await;
        let tells = |holdings: Vec<ReportedHolding>, unread: &[&str]| {
            holds(&app, Some(holdings));
            app.bank.script(|script| script.accounts[0].0.unread_holdings = unread.iter().map(|name| (*name).to_owned()).collect());
        };
        let again = async || {
            ann.sync(&link, true).await.succeeds();
            assert_eq!(app.work().await, 1);
            let told = ann.link(&link).await["lastSync"].clone();
            assert_eq!((&told["status"], &told["problem"]), (&json!("SUCCEEDED"), &json!("ROWS_REFUSED")), "{}", app.store.name);
            held(&ann, "first: 9").await
        };
        tells(vec![position("AAPL", "6", "600.00", "480.00")], &["MSFT"]);
        let after = again().await;
        assert_eq!(ids(&after), [before[0]["id"].as_str().unwrap(), before[1]["id"].as_str().unwrap()], "T was sold");
        assert_eq!((&after[0]["quantity"], &after[1]), (&json!("6"), &before[1]));
        tells(vec![], &[""]);
        assert_eq!(again().await, after, "one that is called nothing may be any of them");
        synced(&app, &ann, &link, Some(vec![])).await;
        assert_eq!(held(&ann, "first: 9").await, Vec::<Value>::new());
    }
}
