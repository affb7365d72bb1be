//! From Alpaca's words to Dashtam's.

use std::{sync::Arc, time::Duration};

use dashtam::{
    application::ports::{Credentials, FinancialProvider as _, Pasted, ProviderFault, TransactionPage, Visit},
    domain::{
        account::AccountType,
        money::{Amount, Currency},
        provider::ReportedAccount,
        time::{Clock as _, LocalDate},
        transaction::{AssetType, TransactionStatus, TransactionSubtype as Subtype},
    },
    infrastructure::providers::alpaca::AlpacaProvider,
};
use serde_json::{Value, json};

use crate::harness::{
    clock::TestClock,
    lines::{QUICK, line},
};

use super::stand_in::{Failure, StandIn, activity, fill};

/// An activity's type, its net amount and what else it has; and what it becomes: its kind, amount and units.
type Case<'a> = (&'a str, &'a str, Value, Subtype, &'a str, Option<&'a str>);

/// A fill's side, units, symbol and price; and what it becomes: its kind, amount, units, day and what it was in.
type FillCase<'a> = (&'a str, &'a str, &'a str, &'a str, Subtype, &'a str, &'a str, &'a str, AssetType);

fn usd() -> Currency {
    Currency::parse("USD").unwrap()
}

fn provider(stand_in: &StandIn) -> AlpacaProvider {
    AlpacaProvider::new(Some(&stand_in.url), line(QUICK, Arc::new(TestClock::new()))).unwrap()
}

async fn visit(stand_in: &StandIn) -> Result<Box<dyn Visit>, ProviderFault> {
    let credentials = Credentials::ApiKey { key: "AKTEST".into(), secret: "a-secret-canary".into() };
    provider(stand_in).visit(&credentials, TestClock::new().now()).await
}

async fn the_account(visit: &mut Box<dyn Visit>) -> ReportedAccount {
    let reported = visit.accounts().await.unwrap();
    assert!(reported.complete);
    let [account] = reported.accounts.try_into().unwrap();
    account
}

/// The first page of everything since 2020.
async fn read(stand_in: &StandIn, rows: Vec<Value>) -> TransactionPage {
    stand_in.script(|script| script.activities = rows);
    let mut visit = visit(stand_in).await.unwrap();
    let account = the_account(&mut visit).await;
    let (from, to) = (LocalDate::new(2020, 1, 1).unwrap(), LocalDate::new(2026, 11, 23).unwrap());
    visit.transactions(&account, from, to, None).await.unwrap()
}

#[tokio::test]
async fn every_kind_of_activity_has_its_sign_its_kind_and_its_units() {
    let stand_in = StandIn::open().await;
    let of = |symbol: &str| json!({ "symbol": symbol });
    let units = |symbol: &str, qty: &str| json!({ "symbol": symbol, "qty": qty });
    let cases: [Case<'_>; 34] = [
        ("CSD", "500", json!({}), Subtype::Deposit, "500.00", None),
        ("CSD", "-500", json!({}), Subtype::Withdrawal, "-500.00", None),
        ("CSW", "-20.5", json!({}), Subtype::Withdrawal, "-20.50", None),
        ("CSW", "20.5", json!({}), Subtype::Deposit, "20.50", None),
        ("DIV", "1.02", units("T", "2"), Subtype::Dividend, "1.02", None),
        ("DIVTXEX", "1.02", units("T", "2"), Subtype::Dividend, "1.02", None),
        ("DIVCGL", "3", of("VTI"), Subtype::CapitalGain, "3.00", None),
        ("DIVCGS", "3", of("VTI"), Subtype::CapitalGain, "3.00", None),
        ("DIVROC", "3", of("VTI"), Subtype::ReturnOfCapital, "3.00", None),
        ("DIVNRA", "-0.3", of("T"), Subtype::TaxWithheld, "-0.30", None),
        ("DIVFT", "-0.3", of("T"), Subtype::TaxWithheld, "-0.30", None),
        ("DIVTW", "-0.3", of("T"), Subtype::TaxWithheld, "-0.30", None),
        ("INT", "0.42", json!({}), Subtype::Interest, "0.42", None),
        ("INT", "-4.2", json!({}), Subtype::MarginInterest, "-4.20", None),
        ("INTNRA", "-0.1", json!({}), Subtype::TaxWithheld, "-0.10", None),
        ("INTTW", "-0.1", json!({}), Subtype::TaxWithheld, "-0.10", None),
        ("JNLC", "-75", json!({}), Subtype::TransferOut, "-75.00", None),
        ("JNLC", "75", json!({}), Subtype::TransferIn, "75.00", None),
        ("JNLS", "0", units("AAPL", "-3"), Subtype::TransferOut, "0.00", Some("-3")),
        ("ACATC", "1000", json!({}), Subtype::TransferIn, "1000.00", None),
        ("ACATS", "0", units("AAPL", "12"), Subtype::TransferIn, "0.00", Some("12")),
        ("FEE", "-0.02", json!({ "description": "TAF fee for proceed of 10 shares" }), Subtype::OtherFee, "-0.02", None),
        ("CFEE", "0", units("BTCUSD", "-0.000195"), Subtype::Commission, "0.00", Some("-0.000195")),
        ("PTC", "-0.5", json!({}), Subtype::OtherFee, "-0.50", None),
        ("PTR", "0.5", json!({}), Subtype::OtherFee, "0.50", None),
        ("OPASN", "0", units("AAPL240119C00150000", "1"), Subtype::Assignment, "0.00", Some("1")),
        ("OPEXP", "0", units("AAPL240119C00150000", "-2"), Subtype::Expiration, "0.00", Some("-2")),
        ("OPXRC", "0", units("AAPL240119C00150000", "-1"), Subtype::Exercise, "0.00", Some("-1")),
        ("SPLIT", "0", units("TSLA", "4"), Subtype::Split, "0.00", Some("4")),
        ("SPIN", "0", units("GEV", "1"), Subtype::Spinoff, "0.00", Some("1")),
        ("MA", "120", units("TWTR", "-2"), Subtype::Merger, "120.00", Some("-2")),
        ("SC", "0", units("META", "2"), Subtype::SymbolChange, "0.00", Some("2")),
        ("NC", "0", of("META"), Subtype::SymbolChange, "0.00", None),
        ("VOF", "-1", json!({}), Subtype::Unknown, "-1.00", None),
    ];
    for (kind, net_amount, more, subtype, amount, quantity) in cases {
        let page = read(&stand_in, vec![activity(kind, "2024-03-01", net_amount, more)]).await;
        assert_eq!((page.refused, page.transactions.len()), (0, 1), "{kind}");
        let facts = &page.transactions[0].facts;
        let told = (facts.subtype, facts.amount.to_text(&usd()), facts.quantity.map(|quantity| quantity.to_string()));
        assert_eq!(told, (subtype, amount.to_owned(), quantity.map(str::to_owned)), "{kind} {net_amount}");
        assert_eq!((facts.posted_on.to_string().as_str(), facts.status), ("2024-03-01", TransactionStatus::Posted), "the day is taken as written");
        assert_eq!((facts.fees, facts.occurred_at), (None, None));
    }
    let described =
        read(&stand_in, vec![activity("FEE", "2024-03-01", "-0.02", json!({ "description": " TAF fee " })), activity("DIV", "2024-03-01", "1", of("T"))]).await;
    assert_eq!(described.transactions.iter().map(|row| row.facts.description.as_str()).collect::<Vec<_>>(), ["TAF fee", "Dividend T"]);
}

#[tokio::test]
async fn a_fill_is_price_times_units_and_its_day_is_new_yorks_or_utcs_for_coins() {
    let stand_in = StandIn::open().await;
    let cases: [FillCase<'_>; 10] = [
        ("buy", "5", "AAPL", "187.2", Subtype::Buy, "-936.00", "5", "2024-06-05", AssetType::Equity),
        ("sell", "1.5", "AAPL", "187.21", Subtype::Sell, "280.815", "-1.5", "2024-06-05", AssetType::Equity),
        ("sell_short", "2", "GME", "20", Subtype::ShortSell, "40.00", "-2", "2024-06-05", AssetType::Equity),
        ("buy_to_cover", "2", "GME", "21", Subtype::BuyToCover, "-42.00", "2", "2024-06-05", AssetType::Equity),
        ("buy", "3", "AAPL240119C00150000", "2.05", Subtype::Buy, "-615.00", "3", "2024-06-05", AssetType::Option),
        ("sell", "1", "F240119P00010000", "0.4", Subtype::Sell, "40.00", "-1", "2024-06-05", AssetType::Option),
        ("buy", "0.123456789", "VTI", "262.3371", Subtype::Buy, "-32.3873", "0.123456789", "2024-06-05", AssetType::Equity),
        ("sell", "2", "TUSD", "71.5", Subtype::Sell, "143.00", "-2", "2024-06-05", AssetType::Equity),
        ("sell", "0.01", "BTCUSD", "71000.5", Subtype::Sell, "710.005", "-0.01", "2024-06-06", AssetType::Cryptocurrency),
        ("sell", "0.01", "BTC/USD", "71000.5", Subtype::Sell, "710.005", "-0.01", "2024-06-06", AssetType::Cryptocurrency),
    ];
    for (side, qty, symbol, price, subtype, amount, quantity, day, asset_type) in cases {
        let page = read(&stand_in, vec![fill("x", "2024-06-06T02:15:30.123456Z", side, qty, symbol, price)]).await;
        assert_eq!((page.refused, page.transactions.len()), (0, 1), "{side} {symbol}");
        let facts = &page.transactions[0].facts;
        let told = (facts.subtype, facts.amount.to_text(&usd()), facts.quantity.unwrap().to_string(), facts.posted_on.to_string());
        assert_eq!(told, (subtype, amount.to_owned(), quantity.to_owned(), day.to_owned()), "{side} {symbol}");
        assert_eq!((facts.security.as_ref().unwrap().asset_type, facts.unit_price.unwrap().to_string().as_str()), (asset_type, price));
        assert_eq!(facts.occurred_at.unwrap().to_string(), "2024-06-06T02:15:30.123456Z");
    }
}

#[tokio::test]
async fn a_fill_of_a_pair_that_is_quoted_in_something_else_is_refused() {
    let stand_in = StandIn::open().await;
    let held = |symbol: &str| json!({ "symbol": symbol, "asset_class": "crypto", "qty": "1", "side": "long" });
    stand_in.script(|script| script.positions = vec![held("BTCUSD"), held("SOLUSDT"), held("USDCUSD")]);
    let at = "2024-06-06T02:15:30Z";
    let rows = ["ETH/BTC", "BTC/USDT", "SOLUSDT", "BTC/USD", "BTCUSD", "USDC/USD"].map(|symbol| fill(symbol, at, "buy", "2", symbol, "0.05"));
    let page = read(&stand_in, rows.to_vec()).await;
    let told: Vec<_> = page
        .transactions
        .iter()
        .map(|row| (row.facts.security.as_ref().unwrap().symbol.as_str(), row.facts.amount.to_text(&usd()), row.facts.unit_price.unwrap().to_string()))
        .collect();
    let dollars = |symbol| (symbol, "-0.10".to_owned(), "0.05".to_owned());
    assert_eq!((told, page.refused), (vec![dollars("BTC/USD"), dollars("BTCUSD"), dollars("USDC/USD")], 3));
    let charge = |symbol: &str| activity("CFEE", "2024-03-01", "0", json!({ "symbol": symbol, "qty": "-0.00001", "price": "0.05" }));
    let page = read(&stand_in, vec![charge("ETH/BTC"), charge("ETH/USD")]).await;
    let prices: Vec<_> = page.transactions.iter().map(|row| row.facts.unit_price.map(|price| price.to_string())).collect();
    assert_eq!((prices, page.refused), (vec![None, Some("0.05".to_owned())], 0), "a price in another unit is not told");
}

#[tokio::test]
async fn a_computed_value_is_cut_to_what_its_unit_is_kept_with_and_half_goes_to_even() {
    let stand_in = StandIn::open().await;
    for (equity, current) in [
        ("103820.56789", "103820.5679"),
        ("10.00005", "10.00"),
        ("10.00015", "10.0002"),
        ("-10.000151", "-10.0002"),
        ("0.1234567890123456789012345678901234567890", "0.1235"),
        ("7.5", "7.50"),
    ] {
        stand_in.script(|script| script.account["equity"] = json!(equity));
        let account = the_account(&mut visit(&stand_in).await.unwrap()).await;
        assert_eq!(account.balances.current.unwrap().to_text(&usd()), current, "{equity}");
    }
    for broken in ["", "much", "1e5", "99999999999999999", "99999999999999999999999999999999"] {
        stand_in.script(|script| script.account["equity"] = json!(broken));
        assert_eq!(visit(&stand_in).await.unwrap().accounts().await.err(), Some(ProviderFault::Malformed), "{broken}");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_counted_and_spoils_no_other() {
    let stand_in = StandIn::open().await;
    let at = "2024-06-05T15:00:00Z";
    let cancelled = activity("DIV", "2024-03-01", "1", json!({ "status": "canceled" }));
    let rows = vec![
        fill("good", at, "buy", "1", "T", "20"),
        fill("side", at, "lend", "1", "T", "20"),
        fill("price", at, "buy", "1", "T", "1e3"),
        fill("time", "yesterday", "buy", "1", "T", "20"),
        activity("DIV", "2024-02-31", "1", json!({})),
        activity("DIVX", "2024-03-01", "0.00001", json!({})),
        activity("DIVY", "2024-03-01", "one", json!({})),
        json!({ "id": "numbers", "activity_type": "DIV", "date": "2024-03-01", "net_amount": 1.5 }),
        json!({ "id": "nothing" }),
        cancelled,
    ];
    let page = read(&stand_in, rows).await;
    assert_eq!((page.transactions.len(), page.refused), (2, 8));
    assert_eq!(page.transactions[1].facts.status, TransactionStatus::Cancelled);
}

#[tokio::test]
async fn a_position_that_cannot_be_read_is_named_and_spoils_no_other() {
    let stand_in = StandIn::open().await;
    let position =
        |symbol: &str, qty: Value, value: Value| json!({ "asset_id": "an asset", "symbol": symbol, "qty": qty, "side": "long", "market_value": value });
    stand_in.script(|script| {
        script.positions = vec![
            position("AAPL", json!("5"), json!("602.5")),
            position("NULL", json!(null), json!("1")),
            position("TINY", json!("5.5E-7"), json!("1")),
            position("LONG", json!("0.123456789012345678"), json!("1")),
            position("MUCH", json!("1"), json!("9e99")),
            position("", json!("one"), json!("1")),
            json!(null),
        ];
    });
    let mut visit = visit(&stand_in).await.unwrap();
    let account = the_account(&mut visit).await;
    assert_eq!(account.holdings.unwrap().iter().map(|held| held.security.symbol.as_str()).collect::<Vec<_>>(), ["AAPL"]);
    assert_eq!(account.unread_holdings, ["NULL", "TINY", "LONG", "MUCH", "an asset", ""]);
}

#[tokio::test]
async fn an_account_tells_what_it_holds() {
    let stand_in = StandIn::open().await;
    let position = |symbol: &str, class: &str, side: &str, qty: &str, value: &str, basis: &str| {
        json!({ "asset_id": format!("asset-{symbol}"), "symbol": symbol, "exchange": "NASDAQ", "asset_class": class, "avg_entry_price": "100.0", "qty": qty,
            "side": side, "market_value": value, "cost_basis": basis, "unrealized_pl": "1", "current_price": "120.5", "lastday_price": "119", "qty_available": qty })
    };
    stand_in.script(|script| {
        script.positions = vec![
            position("AAPL", "us_equity", "long", "5", "602.5", "500.0"),
            position("GME", "us_equity", "short", "-2", "-241", "-200"),
            position("TSLA", "us_equity", "short", "2", "241", "200"),
            position("BTCUSD", "crypto", "long", "0.123456789", "8641.97523", "7000"),
            position("AAPL240119C00150000", "us_option", "long", "1", "205", "180"),
            position("XYZ", "us_perp", "long", "1", "205", "180"),
        ];
    });
    let mut visit = visit(&stand_in).await.unwrap();
    let account = the_account(&mut visit).await;
    assert_eq!((account.kind, account.name.as_str(), account.is_active), (AccountType::Brokerage, "Alpaca", true));
    assert_eq!(account.masked_number.as_ref().unwrap().as_str(), "••••ABCD");
    let usd = usd();
    assert_eq!(
        (account.balances.current.unwrap().to_text(&usd).as_str(), account.balances.available),
        ("103820.56", None),
        "a debt to the broker is not there to spend"
    );
    let told: Vec<_> = account
        .holdings
        .unwrap()
        .iter()
        .map(|holding| {
            let text = |amount: Option<Amount>| amount.map(|amount| amount.to_text(&usd));
            let basis = text(holding.cost_basis.as_ref().map(|basis| basis.amount));
            (holding.security.asset_type, holding.quantity.to_string(), text(holding.market_value), basis)
        })
        .collect();
    let expected = |kind, quantity: &str, value: &str, basis: &str| (kind, quantity.to_owned(), Some(value.to_owned()), Some(basis.to_owned()));
    assert_eq!(
        told,
        [
            expected(AssetType::Equity, "5", "602.50", "500.00"),
            expected(AssetType::Equity, "-2", "-241.00", "-200.00"),
            expected(AssetType::Equity, "-2", "-241.00", "-200.00"),
            expected(AssetType::Cryptocurrency, "0.123456789", "8641.9752", "7000.00"),
            expected(AssetType::Option, "1", "205.00", "180.00"),
            expected(AssetType::Other, "1", "205.00", "180.00"),
        ]
    );
    // What is held tells what a fill was in, where its symbol does not.
    stand_in.script(|script| script.activities = vec![fill("x", "2024-06-06T02:15:30Z", "buy", "1", "BTCUSD", "70000")]);
    let account = the_account(&mut visit).await;
    let days = (LocalDate::new(2024, 1, 1).unwrap(), LocalDate::new(2024, 12, 31).unwrap());
    let page = visit.transactions(&account, days.0, days.1, None).await.unwrap();
    assert_eq!(page.transactions[0].facts.posted_on.to_string(), "2024-06-06");
}

#[tokio::test]
async fn a_paper_account_says_so_and_a_closed_one_is_closed() {
    let stand_in = StandIn::open().await;
    stand_in.script(|script| (script.account["account_number"], script.account["status"]) = (json!("PA3XYZ12345"), json!("ACCOUNT_CLOSED")));
    let account = the_account(&mut visit(&stand_in).await.unwrap()).await;
    assert_eq!((account.name.as_str(), account.is_active), ("Alpaca (paper)", false));
    for (name, broken) in [("equity", json!("much")), ("currency", json!("")), ("id", json!(null)), ("account_number", json!(7))] {
        stand_in.script(|script| script.account[name] = broken);
        let answer = match visit(&stand_in).await {
            Ok(mut visit) => visit.accounts().await.err(),
            Err(fault) => Some(fault),
        };
        assert_eq!(answer, Some(ProviderFault::Malformed), "{name}");
        stand_in.script(|script| script.account[name] = json!("1"));
    }
}

#[tokio::test]
async fn each_way_of_failing_has_its_name_wherever_it_happens() {
    let stand_in = StandIn::open().await;
    stand_in.script(|script| script.activities = vec![fill("x", "2024-06-05T15:00:00Z", "buy", "1", "T", "20")]);
    for (failure, fault) in [
        (Failure::Status(401), ProviderFault::Refused),
        (Failure::Status(403), ProviderFault::Refused),
        (Failure::Status(500), ProviderFault::ServerError),
        (Failure::Status(404), ProviderFault::Malformed),
        (Failure::Wait(77), ProviderFault::RateLimited { retry_after: Some(77) }),
        (Failure::Html, ProviderFault::Malformed),
        (Failure::HalfJson, ProviderFault::Malformed),
        (Failure::CutOff, ProviderFault::Unreachable),
        (Failure::Slow(Duration::from_mins(1)), ProviderFault::Unreachable),
    ] {
        let pasted = Pasted::ApiKey { key: "AKTEST".into(), secret: "a-secret-canary".into() };
        stand_in.script(|script| script.failure = Some(("/v2/account", failure)));
        assert_eq!(provider(&stand_in).connect(&pasted, TestClock::new().now()).await.err(), Some(fault), "{failure:?}");
        stand_in.script(|script| script.failure = Some(("/activities", failure)));
        let mut visit = visit(&stand_in).await.unwrap();
        let account = the_account(&mut visit).await;
        let day = LocalDate::new(2024, 6, 5).unwrap();
        assert_eq!(visit.transactions(&account, day, day, None).await.err(), Some(fault), "{failure:?}");
    }
    let token = Pasted::SetupToken("AKTEST".into());
    assert_eq!(provider(&stand_in).connect(&token, TestClock::new().now()).await.err(), Some(ProviderFault::Refused));
}
