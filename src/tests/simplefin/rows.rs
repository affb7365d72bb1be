//! What the bridge says, in Dashtam's words.

use dashtam::domain::{
    account::AccountType,
    transaction::{TransactionStatus, TransactionSubtype},
};

use super::*;

async fn one(account: Value) -> ReportedAccount {
    let accounts = Linked::to(&Bridge::with(vec![account]).await).await.accounts().await.unwrap();
    assert!(accounts.complete);
    accounts.accounts.into_iter().next().unwrap()
}

#[tokio::test]
async fn an_account_is_told_exactly() {
    let told = one(account("A", "1", "Everyday Checking (1234)", &[])).await;
    assert_eq!((told.name.as_str(), told.kind, told.institution.as_deref()), ("Everyday Checking (1234)", AccountType::Checking, Some("Bank A")));
    assert_eq!((told.reference.expose(), told.masked_number.as_ref().unwrap().as_str(), told.is_active), ("A/1", "••••1234", true));
    let amounts = [told.balances.current, told.balances.available].map(|amount| amount.unwrap().to_text(&told.currency));
    assert_eq!((amounts, told.balances.limit), (["100.23".to_owned(), "75.23".to_owned()], None));
    assert_eq!((told.balances.as_of.unwrap().unix(), told.holdings), (noon("2026-11-22"), None));
}

#[tokio::test]
async fn ids_are_unique_within_a_connection_and_organizations_of_the_first_version_count_as_one() {
    let mut old = account("", "1", "Savings", &[]);
    old["org"] = json!({ "domain": "mybank.com", "name": "My Bank", "sfin-url": "https://sfin.mybank.com" });
    let bridge =
        Bridge::with(vec![account("A", "1", "Checking", &[row("x", "2026-11-20", "1.00")]), account("B", "1", "Card", &[row("x", "2026-11-20", "2.00")]), old])
            .await;
    let linked = Linked::to(&bridge).await;
    let accounts = linked.accounts().await.unwrap().accounts;
    let references: Vec<_> = accounts.iter().map(|account| account.reference.expose()).collect();
    assert_eq!(references, ["A/1", "B/1", "https://sfin.mybank.com/1"]);
    assert_eq!(accounts[2].institution.as_deref(), Some("My Bank"));
    for (account, amount) in [(&accounts[0], "1.00"), (&accounts[1], "2.00")] {
        let page = linked.recent(account).await;
        assert_eq!(page.transactions[0].facts.amount.to_text(&account.currency), amount);
    }
}

#[tokio::test]
async fn days_instants_and_states_follow_the_rule() {
    let rows = [
        json!({ "id": "late", "posted": noon("2026-11-20") + 43_199, "amount": "-33.10", "description": "Bait Shop", "payee": "Uncle Frank", "transacted_at": noon("2026-11-18"), "extra": { "category": "food" } }),
        json!({ "id": "zone", "posted": noon("2026-11-20") + 43_200, "amount": "+0.5", "description": "" , "memo": "a memo" }),
        json!({ "id": "pending", "posted": 0, "pending": true, "transacted_at": noon("2026-11-21"), "amount": "-12", "description": "Coffee" }),
        json!({ "id": "unseen", "posted": 0, "pending": true, "amount": "-13", "description": "Tea" }),
        json!({ "id": "dated", "posted": noon("2026-11-25"), "pending": true, "transacted_at": noon("2026-11-22"), "amount": "-14", "description": "Cake" }),
    ];
    let bridge = Bridge::with(vec![account("A", "1", "Checking", &rows)]).await;
    let linked = Linked::to(&bridge).await;
    let account = linked.accounts().await.unwrap().accounts.remove(0);
    let page = linked.recent(&account).await;
    assert_eq!(page.refused, 0);
    let told = |id: &str| page.transactions.iter().find(|row| row.reference.as_deref() == Some(id)).unwrap().facts.clone();
    let late = told("late");
    assert_eq!((late.posted_on, late.authorized_on, late.occurred_at.unwrap().unix()), (day("2026-11-20"), Some(day("2026-11-18")), noon("2026-11-18")));
    assert_eq!((late.description.as_str(), late.merchant_name.as_deref(), late.category.as_deref()), ("Bait Shop", Some("Uncle Frank"), Some("food")));
    assert_eq!(
        (late.amount.to_text(&account.currency), late.subtype, late.status),
        ("-33.10".to_owned(), TransactionSubtype::Unknown, TransactionStatus::Posted)
    );
    assert_eq!((told("zone").posted_on, told("zone").description), (day("2026-11-21"), "a memo".to_owned()));
    for (id, on) in [("pending", "2026-11-21"), ("unseen", "2026-11-23"), ("dated", "2026-11-22")] {
        assert_eq!((told(id).status, told(id).posted_on), (TransactionStatus::Pending, day(on)), "{id}");
    }
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_counted_and_the_others_are_there() {
    let with = |name: &str, value: Value| {
        let mut row = row("broken", "2026-11-20", "-1.00");
        row[name] = value;
        row
    };
    let rows = [
        row("good", "2026-11-20", "-1.00"),
        with("amount", json!(-1.0)),
        with("amount", json!("1.23456")),
        with("amount", json!("1e2")),
        with("amount", json!("1,000.00")),
        with("amount", json!(null)),
        with("id", json!("")),
        with("id", json!(7)),
        with("posted", json!("yesterday")),
        with("posted", json!(9_223_372_036_854_775_807_i64)),
        with("transacted_at", json!(9_223_372_036_854_775_807_i64)),
    ];
    let bridge = Bridge::with(vec![account("A", "1", "Checking", &rows)]).await;
    let linked = Linked::to(&bridge).await;
    let account = linked.accounts().await.unwrap().accounts.remove(0);
    let page = linked.recent(&account).await;
    // A day beyond all days is within no window, so that row is not even sent.
    assert_eq!((page.transactions.len(), page.refused), (1, 9));
}

#[tokio::test]
async fn a_unit_of_its_own_has_no_assumed_digits_and_a_code_is_one() {
    let with = |currency: &str, balance: &str| {
        let mut account = account("A", "1", "Miles", &[]);
        (account["currency"], account["balance"], account["available-balance"]) = (json!(currency), json!(balance), json!(null));
        account
    };
    let miles = one(with("https://www.example.com/flight-miles", "100.23456789")).await;
    assert_eq!((miles.currency.code(), miles.currency.digits()), ("https://www.example.com/flight-miles", 0));
    assert_eq!(miles.balances.current.unwrap().to_text(&miles.currency), "100.23456789");
    assert_eq!(one(with("usd", "1")).await.currency.code(), "USD");
    let yen = one(with("JPY", "1200")).await;
    assert_eq!(yen.balances.current.unwrap().to_text(&yen.currency), "1200");
}

#[tokio::test]
async fn names_tell_the_kind_and_no_card_number_stays() {
    for (name, kind) in [
        ("Total Checking", AccountType::Checking),
        ("High Yield Savings", AccountType::Savings),
        ("Health Savings Account", AccountType::Hsa),
        ("Money Market Savings", AccountType::MoneyMarket),
        ("12 Month Certificate", AccountType::Cd),
        ("Chase Sapphire Visa", AccountType::CreditCard),
        ("Debit Card Account", AccountType::Checking),
        ("Home Mortgage", AccountType::Mortgage),
        ("HELOC", AccountType::LineOfCredit),
        ("Student Loan", AccountType::Loan),
        ("Roth IRA", AccountType::RothIra),
        ("Rollover IRA", AccountType::Ira),
        ("Acme 401(k) Plan", AccountType::Plan401k),
        ("Individual - TOD", AccountType::Brokerage),
        ("Miranda", AccountType::Other),
        ("Cardinal Fund", AccountType::Other),
    ] {
        assert_eq!(one(account("A", "1", name, &[])).await.kind, kind, "{name}");
    }
    let card = one(account("A", "1", "Visa 4111 1111 1111 1111", &[])).await;
    assert_eq!((card.name.as_str(), card.masked_number.unwrap().as_str()), ("Visa ••••1111", "••••1111"));
    assert_eq!(one(account("A", "1", "Goals 2026", &[])).await.masked_number, None);
    let mut owed = account("A", "1", "Visa", &[]);
    (owed["balance"], owed["available-balance"]) = (json!("-250.00"), json!("-1.00"));
    let owed = one(owed).await;
    assert_eq!((owed.balances.current.unwrap().to_text(&owed.currency), owed.balances.available), ("-250.00".to_owned(), None));
}

#[tokio::test]
async fn positions_are_told_all_or_not_at_all() {
    let holding = json!({ "id": "H1", "symbol": "VTI", "description": "Total Market", "currency": "", "shares": "10.5", "market_value": "2500.10", "cost_basis": "2000.00", "created": noon("2026-11-22") });
    let mut told = account("A", "1", "Portfolio", &[]);
    told["holdings"] = json!([holding, { "symbol": "", "description": "Cash Fund", "shares": "-3", "cost_basis": "0.00" }]);
    let read = one(told.clone()).await;
    let holdings = read.holdings.unwrap();
    assert_eq!(read.kind, AccountType::Brokerage);
    let (first, second) = (&holdings[0], &holdings[1]);
    assert_eq!((first.security.symbol.as_str(), first.quantity.to_string(), first.reference.as_deref()), ("VTI", "10.5".to_owned(), Some("H1")));
    assert_eq!(first.market_value.unwrap().to_text(&first.currency), "2500.10");
    assert_eq!(first.cost_basis.as_ref().unwrap().to_string(), "2000.00 USD");
    assert_eq!(
        (second.security.symbol.as_str(), second.quantity.to_string(), &second.cost_basis, second.market_value),
        ("Cash Fund", "-3".to_owned(), &None, None)
    );
    told["holdings"][1]["shares"] = json!("a few");
    let partly = one(told).await;
    assert_eq!(
        (partly.holdings.unwrap().len(), partly.unread_holdings),
        (1, vec!["Cash Fund".to_owned()]),
        "a position that cannot be read is none that was sold"
    );
    assert_eq!(one(account("A", "1", "Brokerage", &[])).await.holdings, Some(Vec::new()));
}

#[tokio::test]
async fn what_cannot_be_read_of_an_account_costs_that_and_not_the_account() {
    let with = |field: &str, value: Value| {
        let mut account = account("A", "1", "Checking", &[row("x", "2026-11-20", "1.00")]);
        account[field] = value;
        account
    };
    for unreadable in [json!(""), json!(" "), json!(null), json!("a lot"), json!("1.234567"), json!(75.23), json!({})] {
        for (field, current, available) in [("available-balance", Some("100.23"), None), ("balance", None, Some("75.23"))] {
            let linked = Linked::to(&Bridge::with(vec![with(field, unreadable.clone())]).await).await;
            let told = linked.accounts().await.unwrap();
            assert_eq!((told.accounts.len(), told.complete), (1, true), "{field} {unreadable}");
            let account = &told.accounts[0];
            let text = |amount: Option<dashtam::domain::money::Amount>| amount.map(|amount| amount.to_text(&account.currency));
            let balances = (text(account.balances.current), text(account.balances.available));
            assert_eq!(balances, (current.map(str::to_owned), available.map(str::to_owned)), "{field} {unreadable}");
            assert_eq!(linked.recent(account).await.transactions.len(), 1);
        }
    }
    let undated = one(with("balance-date", json!("today"))).await;
    assert_eq!(undated.balances.as_of, Some(TestClock::new().now()), "what it was when it was fetched");
}

#[tokio::test]
async fn what_cannot_be_read_of_a_position_costs_that_and_no_other() {
    let holding = json!({ "id": "H1", "symbol": "VTI", "description": "Total Market", "currency": "USD", "shares": "10.5", "market_value": "2500.10", "cost_basis": "2000.00", "created": noon("2026-11-22") });
    let told = async |field: &str, value: Value| {
        let mut account = account("A", "1", "Portfolio", &[]);
        account["holdings"] = json!([holding, holding]);
        account["holdings"][1][field] = value;
        one(account).await.holdings
    };
    let whole = told("id", json!("H1")).await.unwrap().remove(0);
    for unreadable in [json!("plenty"), json!(12.5), json!(["x"])] {
        for field in ["market_value", "cost_basis", "created", "currency", "symbol", "description", "id"] {
            if unreadable.is_string() && ["symbol", "description", "id", "currency"].contains(&field) {
                continue;
            }
            let mut expected = whole.clone();
            match field {
                "market_value" => expected.market_value = None,
                "cost_basis" => expected.cost_basis = None,
                "created" => expected.as_of = None,
                // An amount of nobody knows what is none.
                "currency" => (expected.market_value, expected.cost_basis) = (None, None),
                "symbol" => expected.security.symbol = "Total Market".to_owned(),
                "description" => expected.security.name = None,
                _ => expected.reference = None,
            }
            assert_eq!(told(field, unreadable.clone()).await.unwrap(), [whole.clone(), expected], "{field} {unreadable}");
        }
        assert_eq!(told("shares", unreadable).await.unwrap(), std::slice::from_ref(&whole), "a position of nobody knows how many is none that can be told");
    }
    let long = told("cost_basis", json!("10.123456")).await.unwrap();
    assert_eq!((&long[1].cost_basis, long[1].market_value), (&None, whole.market_value));
}

#[tokio::test]
async fn null_says_what_is_left_out_or_empty() {
    let mut plain = account("A", "1", "Checking", &[]);
    (plain["transactions"], plain["holdings"]) = (json!(null), json!(null));
    let mut pending = row("x", "2026-11-20", "1.00");
    (pending["posted"], pending["pending"]) = (json!(null), json!(true));
    let bridge = Bridge::with(vec![plain, account("A", "2", "Savings", &[pending])]).await;
    bridge.books(|books| books.says_null = true);
    let linked = Linked::to(&bridge).await;
    let told = linked.accounts().await.unwrap();
    assert_eq!((told.accounts.len(), told.complete), (2, true));
    assert_eq!(told.accounts[0].holdings, None);
    let page = linked.recent(&told.accounts[0]).await;
    assert_eq!((page.transactions.len(), page.refused, page.complete), (0, 0, true));
    let page = linked.recent(&told.accounts[1]).await;
    assert_eq!((page.transactions[0].facts.status, page.refused), (TransactionStatus::Pending, 0));
}
