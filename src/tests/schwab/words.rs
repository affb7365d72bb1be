//! From Schwab's words to Dashtam's.

use std::sync::Arc;

use dashtam::{
    application::ports::{Credentials, FinancialProvider as _, ProviderFault, Tokens, TransactionPage, Visit, Walk},
    domain::{
        account::AccountType,
        money::{Amount, Currency},
        provider::ReportedAccount,
        time::{Clock as _, LocalDate},
        transaction::{AssetType, TransactionStatus, TransactionSubtype as Subtype},
    },
    infrastructure::providers::schwab::SchwabProvider,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::harness::{
    clock::TestClock,
    lines::{QUICK, line},
};

use super::stand_in::{CLIENT_ID, CLIENT_SECRET, StandIn, account, row};

const CALLBACK: &str = "https://money.example.com/oauth/schwab/callback";

/// A trade's net amount and its items; and what it becomes: its kind, amount, units, fees and what it was in.
type TradeCase<'a> = (f64, Value, Subtype, &'a str, &'a str, Option<&'a str>, AssetType);

fn usd() -> Currency {
    Currency::parse("USD").unwrap()
}

fn walk() -> Walk {
    Walk { state: "a-state".into(), code_verifier: "a-verifier-of-at-least-forty-three-characters".into(), redirect_uri: CALLBACK.to_owned() }
}

fn provider(stand_in: &StandIn, secret: &str) -> SchwabProvider {
    SchwabProvider::new(Some(&stand_in.url), CLIENT_ID, &secret.into(), line(QUICK, Arc::new(TestClock::new()))).unwrap()
}

async fn open() -> StandIn {
    let stand_in = StandIn::open().await;
    stand_in.goes_by(Arc::new(TestClock::new()));
    stand_in.has_account("12345678", "A1B2", Vec::new());
    stand_in
}

async fn signed_in(stand_in: &StandIn) -> Tokens {
    provider(stand_in, CLIENT_SECRET).oauth().unwrap().exchange("C0.b2F@", &walk(), TestClock::new().now()).await.unwrap()
}

async fn visit(stand_in: &StandIn) -> Box<dyn Visit> {
    provider(stand_in, CLIENT_SECRET).visit(&Credentials::Oauth(signed_in(stand_in).await), TestClock::new().now()).await.unwrap()
}

async fn the_account(visit: &mut Box<dyn Visit>) -> ReportedAccount {
    let [account] = visit.accounts().await.unwrap().accounts.try_into().unwrap();
    account
}

/// Everything of 2024.
async fn read(stand_in: &StandIn, rows: Vec<Value>) -> TransactionPage {
    stand_in.script(|script| script.rows.insert("A1B2", rows));
    let mut visit = visit(stand_in).await;
    let account = the_account(&mut visit).await;
    visit.transactions(&account, LocalDate::new(2024, 1, 10).unwrap(), LocalDate::new(2024, 12, 20).unwrap(), None).await.unwrap()
}

fn item(asset_type: &str, symbol: &str, amount: f64, price: f64, effect: &str) -> Value {
    json!({ "instrument": { "assetType": asset_type, "status": "ACTIVE", "symbol": symbol, "instrumentId": 1, "closingPrice": 1.0 }, "amount": amount, "cost": -1.0,
        "price": price, "positionEffect": effect })
}

fn fee(kind: &str, cost: f64) -> Value {
    json!({ "instrument": { "assetType": "CURRENCY", "symbol": "CURRENCY_USD" }, "amount": 0.0, "cost": cost, "feeType": kind })
}

/// A number as it is written, to the last digit.
fn written(digits: &str) -> Value {
    serde_json::from_str(digits).unwrap()
}

/// The ids of everything from one day to another, sorted; whether it is complete, and how often was asked.
async fn read_on(visit: &mut Box<dyn Visit>, account: &ReportedAccount, from: LocalDate, to: LocalDate) -> (Vec<u64>, bool, usize) {
    let (mut references, mut is_complete, mut asked, mut page) = (Vec::new(), true, 0, None::<String>);
    loop {
        let answer = visit.transactions(account, from, to, page.as_deref()).await.unwrap();
        for row in answer.transactions {
            assert!((from..=to).contains(&row.facts.posted_on));
            references.push(row.reference.unwrap().parse().unwrap());
        }
        (is_complete, asked, page) = (is_complete && answer.complete, asked + 1, answer.next);
        if page.is_none() {
            references.sort_unstable();
            return (references, is_complete, asked);
        }
    }
}

fn items(items: &[Value]) -> Value {
    json!({ "transferItems": items })
}

#[tokio::test]
async fn a_trade_has_its_side_its_units_and_its_fees() {
    let stand_in = open().await;
    let cases: [TradeCase<'_>; 7] = [
        (-1_872.1, items(&[item("EQUITY", "AAPL", 10.0, 187.21, "OPENING")]), Subtype::Buy, "-1872.10", "10", None, AssetType::Equity),
        (
            936.04,
            items(&[fee("SEC_FEE", -0.01), fee("COMMISSION", 0.0), item("EQUITY", "AAPL", -5.0, 187.21, "CLOSING")]),
            Subtype::Sell,
            "936.04",
            "-5",
            Some("0.01"),
            AssetType::Equity,
        ),
        (936.05, items(&[item("EQUITY", "AAPL", 5.0, 187.21, "CLOSING")]), Subtype::Sell, "936.05", "-5", None, AssetType::Equity),
        (40.0, items(&[item("EQUITY", "GME", -2.0, 20.0, "OPENING")]), Subtype::ShortSell, "40.00", "-2", None, AssetType::Equity),
        (-42.0, items(&[item("EQUITY", "GME", 2.0, 21.0, "CLOSING")]), Subtype::BuyToCover, "-42.00", "2", None, AssetType::Equity),
        (
            -205.66,
            items(&[fee("COMMISSION", -0.65), fee("OPT_REG_FEE", -0.01), item("OPTION", "AAPL  240119C00150000", 1.0, 2.05, "OPENING")]),
            Subtype::Buy,
            "-205.66",
            "1",
            Some("0.66"),
            AssetType::Option,
        ),
        (-32.39, items(&[item("COLLECTIVE_INVESTMENT", "VTI", 0.1235, 262.27, "OPENING")]), Subtype::Buy, "-32.39", "0.1235", None, AssetType::Etf),
    ];
    for (net, more, subtype, amount, units, fees, asset_type) in cases {
        let page = read(&stand_in, vec![row(7, "TRADE", "2024-06-05T15:23:16+0000", net, more)]).await;
        assert_eq!((page.transactions.len(), page.refused), (1, 0), "{subtype:?}");
        let facts = &page.transactions[0].facts;
        let told = (facts.subtype, facts.amount.to_text(&usd()), facts.quantity.unwrap().to_string(), facts.fees.map(|fees| fees.to_text(&usd())));
        assert_eq!(told, (subtype, amount.to_owned(), units.to_owned(), fees.map(str::to_owned)));
        assert_eq!((facts.security.as_ref().unwrap().asset_type, facts.posted_on.to_string().as_str()), (asset_type, "2024-06-05"));
        assert!(facts.unit_price.is_some() && !facts.description.is_empty());
        assert_eq!(page.transactions[0].reference.as_deref(), Some("7"));
    }
}

#[tokio::test]
async fn every_other_type_has_its_kind() {
    let stand_in = open().await;
    let said = |description: &str| json!({ "description": description });
    let moved = |amount: f64, description: &str| json!({ "description": description, "transferItems": [item("EQUITY", "T", amount, 0.0, "")] });
    let cases: [(&str, f64, Value, Subtype, Option<&str>); 20] = [
        ("ACH_RECEIPT", 500.0, said("ACH"), Subtype::Deposit, None),
        ("ACH_DISBURSEMENT", -500.0, said("ACH"), Subtype::Withdrawal, None),
        ("CASH_RECEIPT", 5.0, json!({}), Subtype::Deposit, None),
        ("CASH_DISBURSEMENT", -5.0, json!({}), Subtype::Withdrawal, None),
        ("ELECTRONIC_FUND", 5.0, json!({}), Subtype::Deposit, None),
        ("ELECTRONIC_FUND", -5.0, json!({}), Subtype::Withdrawal, None),
        ("WIRE_IN", 5.0, json!({}), Subtype::WireIn, None),
        ("WIRE_OUT", -5.0, json!({}), Subtype::WireOut, None),
        ("JOURNAL", -75.0, said("JOURNAL TO 12345678"), Subtype::Internal, None),
        ("MEMORANDUM", 0.0, json!({}), Subtype::Journal, None),
        ("MARGIN_CALL", 0.0, json!({}), Subtype::Adjustment, None),
        ("SMA_ADJUSTMENT", 0.0, json!({}), Subtype::Adjustment, None),
        ("MONEY_MARKET", -10.0, json!({}), Subtype::Internal, None),
        ("RECEIVE_AND_DELIVER", 0.0, moved(12.0, "TRANSFER OF SECURITY"), Subtype::TransferIn, Some("12")),
        ("RECEIVE_AND_DELIVER", 0.0, moved(-12.0, "TRANSFER OF SECURITY"), Subtype::TransferOut, Some("-12")),
        ("RECEIVE_AND_DELIVER", 0.0, moved(-1.0, "REMOVAL OF OPTION DUE TO EXPIRATION"), Subtype::Expiration, Some("-1")),
        ("RECEIVE_AND_DELIVER", 0.0, moved(1.0, "REMOVAL OF OPTION DUE TO ASSIGNMENT"), Subtype::Assignment, Some("1")),
        ("RECEIVE_AND_DELIVER", 0.0, moved(30.0, "FORWARD SPLIT"), Subtype::Split, Some("30")),
        ("RECEIVE_AND_DELIVER", 0.0, moved(1.0, "SPIN-OFF"), Subtype::Spinoff, Some("1")),
        ("SOMETHING_NEW", 1.0, json!({}), Subtype::Unknown, None),
    ];
    for (kind, net, more, subtype, units) in cases {
        let page = read(&stand_in, vec![row(7, kind, "2024-06-05T15:23:16+0000", net, more)]).await;
        assert_eq!((page.transactions.len(), page.refused), (1, 0), "{kind}");
        let facts = &page.transactions[0].facts;
        assert_eq!((facts.subtype, facts.quantity.map(|units| units.to_string())), (subtype, units.map(str::to_owned)), "{kind} {net}");
        assert!(!facts.description.contains("12345678"), "an account's number stays nowhere: {}", facts.description);
    }
}

#[tokio::test]
async fn dividends_and_interest_are_told_apart_by_their_words_and_by_what_they_were_paid_on() {
    let stand_in = open().await;
    let said = |description: &str| json!({ "description": description, "transferItems": [item("CURRENCY", "CURRENCY_USD", 1.0, 0.0, "")] });
    let on = |kind: &str, description: &str| json!({ "description": description, "transferItems": [item(kind, "T", 0.0, 0.0, "")] });
    let mut money_fund = on("CASH_EQUIVALENT", "SCHWAB VALUE ADVANTAGE");
    money_fund["transferItems"][0]["instrument"]["type"] = json!("MONEY_MARKET_FUND");
    let cases: [(f64, Value, Subtype); 34] = [
        (12.5, on("EQUITY", "AT&T INC"), Subtype::Dividend),
        (12.5, on("EQUITY", ""), Subtype::Dividend),
        (12.5, said("CASH DIV T"), Subtype::Dividend),
        (12.5, said("PHILIP MORRIS INT L DIV"), Subtype::Dividend),
        (12.5, said("DIVIDEND OF FIRST INTEREST BANCORP"), Subtype::Dividend),
        (12.5, on("EQUITY", "XYZ TRUST SHS OF BENEFICIAL INTEREST"), Subtype::Dividend),
        (12.5, on("COLLECTIVE_INVESTMENT", "SCHWAB INT EQUITY ETF"), Subtype::Dividend),
        (12.5, on("MUTUAL_FUND", "DIVERSIFIED GROWTH"), Subtype::Dividend),
        (12.5, money_fund, Subtype::Dividend),
        (-2.36, said("DIV PAID ON SHORT POSITION TSLA"), Subtype::Dividend),
        (-2.36, on("EQUITY", "TSLA"), Subtype::Dividend),
        (12.5, said("APPLE INC"), Subtype::Distribution),
        (12.5, said("XYZ TRUST SH BEN INT"), Subtype::Distribution),
        (12.5, on("FIXED_INCOME", "US TREASURY NOTE"), Subtype::Distribution),
        (0.42, said("BANK INT 051624-061524"), Subtype::Interest),
        (0.42, said("CREDIT INTEREST"), Subtype::Interest),
        (0.42, on("FIXED_INCOME", "BOND INTEREST"), Subtype::Interest),
        (0.42, said("TAX EXEMPT BOND INTEREST"), Subtype::Interest),
        (0.42, said("INT INCOME"), Subtype::Interest),
        (-4.2, said("MARGIN INTEREST"), Subtype::MarginInterest),
        (-4.2, said("MARGIN INT 10/15-11/15"), Subtype::MarginInterest),
        (-4.2, said(""), Subtype::MarginInterest),
        (-1.8, on("EQUITY", "NRA TAX WITHHELD"), Subtype::TaxWithheld),
        (-1.35, said("TSMC FOREIGN TAX WITHHOLDING"), Subtype::TaxWithheld),
        (-1.35, said("TAX ON DIVIDEND"), Subtype::TaxWithheld),
        (1.37, said("FOREIGN TAX REVERSAL"), Subtype::TaxWithheld),
        (1.37, said("NRA WITHHOLDING ADJ"), Subtype::TaxWithheld),
        (1.37, said("REVERSAL OF TAX WITHHELD ON DIV"), Subtype::TaxWithheld),
        (12.5, said("TAX-MANAGED FUND DIV"), Subtype::Dividend),
        (-12.5, said("TAX FREE FUND DIV REVERSED"), Subtype::Dividend),
        (30.0, on("MUTUAL_FUND", "LONG TERM CAP GAIN"), Subtype::CapitalGain),
        (30.0, on("MUTUAL_FUND", "SHORT TERM CAPITAL GAIN DIV"), Subtype::CapitalGain),
        (30.0, on("MUTUAL_FUND", "RETURN OF CAPITAL"), Subtype::ReturnOfCapital),
        (0.42, said("CREDIT INTEREST REINVESTED"), Subtype::Interest),
    ];
    for (net, more, subtype) in cases {
        let page = read(&stand_in, vec![row(7, "DIVIDEND_OR_INTEREST", "2024-06-05T15:23:16+0000", net, more.clone())]).await;
        assert_eq!((page.transactions.len(), page.refused), (1, 0), "{more}");
        let facts = &page.transactions[0].facts;
        assert_eq!((facts.subtype, facts.quantity), (subtype, None), "{net} {}", more["description"]);
    }
}

#[tokio::test]
async fn a_price_or_a_fee_that_cannot_be_kept_exactly_costs_no_trade() {
    let stand_in = open().await;
    let mut priced = item("FIXED_INCOME", "912810", 1_000.0, 1.0, "OPENING");
    priced["price"] = written("99.1234567890123");
    let rows = vec![
        row(1, "TRADE", "2024-06-05T15:23:16+0000", -99.12, items(&[priced, fee("COMMISSION", -0.01)])),
        row(2, "TRADE", "2024-06-05T15:23:17+0000", -99.13, items(&[item("EQUITY", "AMD", 1.0, 99.12, "OPENING"), fee("SEC_FEE", -0.002_78)])),
        row(
            3,
            "TRADE",
            "2024-06-05T15:23:18+0000",
            -99.13,
            items(&[item("EQUITY", "AMD", 1.0, 99.12, "OPENING"), fee("SEC_FEE", -0.002_78), fee("COMMISSION", -0.65)]),
        ),
    ];
    let page = read(&stand_in, rows).await;
    let told: Vec<_> = page
        .transactions
        .iter()
        .map(|row| {
            let facts = &row.facts;
            (facts.amount.to_text(&usd()), facts.unit_price.map(|price| price.to_string()), facts.fees.map(|fees| fees.to_text(&usd())))
        })
        .collect();
    let priced = || Some("99.12".to_owned());
    let expected = [("-99.12".to_owned(), None, Some("0.01".to_owned())), ("-99.13".to_owned(), priced(), None), ("-99.13".to_owned(), priced(), None)];
    assert_eq!((told.as_slice(), page.refused), (expected.as_slice(), 0));
}

#[tokio::test]
async fn numbers_are_taken_as_written_or_as_far_as_a_double_tells_and_refused_beyond() {
    let stand_in = open().await;
    for (net, amount) in [
        ("1.5699999999999998", Some("1.57")),
        ("-0.30000000000000004", Some("-0.30")),
        ("10542.370000000001", Some("10542.37")),
        ("100000000000.01001", Some("100000000000.01")),
        ("99999999999.1234", Some("99999999999.1234")),
        ("1.5700000000000001e2", Some("157.00")),
        ("\"12.50\"", Some("12.50")),
        ("7", Some("7.00")),
        ("-0.0", Some("0.00")),
        ("1.23456", None),
        ("0.333333333333333314829616256247", None),
        ("0.00001", None),
        ("\"1.5699999999999998\"", None),
        ("1e300", None),
    ] {
        let mut row = row(7, "WIRE_IN", "2024-06-05T15:23:16+0000", 0.0, json!({}));
        row["netAmount"] = written(net);
        let page = read(&stand_in, vec![row]).await;
        let told: Vec<_> = page.transactions.iter().map(|row| row.facts.amount.to_text(&usd())).collect();
        assert_eq!((told, page.refused), (amount.map(str::to_owned).into_iter().collect::<Vec<_>>(), u32::from(amount.is_none())), "{net}");
    }
}

#[tokio::test]
async fn what_was_paid_is_told_however_long_an_average_is() {
    let stand_in = open().await;
    let position = |units: &str, average: &str, value: &str| {
        json!({ "longQuantity": written(units), "shortQuantity": 0.0, "averagePrice": written(average), "marketValue": written(value),
            "instrument": { "assetType": "EQUITY", "symbol": "SCHD" } })
    };
    let positions = json!([
        position("37.0", "158.0478260869565", "6000.5"),
        position("3.0", "33.333333333333336", "0.30000000000000004"),
        position("0.30000000000000004", "10.0", "3.0000499999999999"),
        position("1.0", "1e-30", "1.00015"),
    ]);
    let balances = json!({ "liquidationValue": written("10542.370000000001") });
    stand_in.script(|script| script.accounts = vec![account("12345678", &balances, &positions)]);
    let told = the_account(&mut visit(&stand_in).await).await;
    assert_eq!(told.balances.current.unwrap().to_text(&usd()), "10542.37");
    let text = |amount: Option<Amount>| amount.map(|amount| amount.to_text(&usd())).unwrap_or_default();
    let paid: Vec<_> = told
        .holdings
        .unwrap()
        .iter()
        .map(|held| (held.quantity.to_string(), text(held.cost_basis.as_ref().map(|basis| basis.amount)), text(held.market_value)))
        .collect();
    let expected = |units: &str, basis: &str, value: &str| (units.to_owned(), basis.to_owned(), value.to_owned());
    assert_eq!(paid, [expected("37", "5847.7696", "6000.50"), expected("3", "100.00", "0.30"), expected("0.3", "3.00", "3.00"), expected("1", "", "1.0002")],);
}

#[tokio::test]
async fn midnight_is_a_date_and_any_other_instant_is_a_day_in_new_york() {
    let stand_in = open().await;
    for (time, day, is_instant) in [
        ("2024-06-05T00:00:00+0000", "2024-06-05", false),
        ("2024-06-05T03:59:59+0000", "2024-06-04", true),
        ("2024-06-05T04:00:00+0000", "2024-06-05", true),
        ("2024-12-05T04:30:00+0000", "2024-12-04", true),
        ("2024-06-05T23:30:00+0000", "2024-06-05", true),
    ] {
        let page = read(&stand_in, vec![row(7, "WIRE_IN", time, 5.0, json!({}))]).await;
        let facts = &page.transactions[0].facts;
        assert_eq!((facts.posted_on.to_string().as_str(), facts.occurred_at.is_some()), (day, is_instant), "{time}");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_counted_and_spoils_no_other() {
    let stand_in = open().await;
    let at = "2024-06-05T15:23:16+0000";
    let rows = vec![
        row(1, "WIRE_IN", at, 5.0, json!({})),
        row(2, "WIRE_IN", "yesterday", 5.0, json!({})),
        row(3, "WIRE_IN", at, 0.000_01, json!({})),
        row(4, "WIRE_IN", at, 5.0, json!({ "status": "UNKNOWN" })),
        row(5, "WIRE_IN", at, 5.0, json!({ "status": "PENDING" })),
        row(6, "WIRE_IN", at, 5.0, json!({ "status": "INVALID" })),
        json!({ "activityId": 8 }),
        json!("not a row"),
    ];
    let page = read(&stand_in, rows).await;
    let statuses: Vec<_> = page.transactions.iter().map(|row| row.facts.status).collect();
    assert_eq!((statuses, page.refused), (vec![TransactionStatus::Posted, TransactionStatus::Pending, TransactionStatus::Cancelled], 5));
}

#[tokio::test]
async fn an_account_tells_its_name_its_end_and_what_it_holds() {
    let stand_in = open().await;
    let position = |asset_type: &str, symbol: &str, long: f64, short: f64, average: f64, value: f64| {
        json!({ "longQuantity": long, "shortQuantity": short, "averagePrice": average, "marketValue": value, "currentDayProfitLoss": 0.0,
            "instrument": { "assetType": asset_type, "symbol": symbol, "cusip": "037833100", "description": "A NAME" } })
    };
    let positions = json!([
        position("EQUITY", "AAPL", 5.0, 0.0, 100.125, 936.05),
        position("EQUITY", "GME", 0.0, 2.0, 20.0, -42.0),
        position("OPTION", "AAPL  240119C00150000", 1.0, 0.0, 2.05, 210.0),
        position("FIXED_INCOME", "912828", 1000.0, 0.0, 99.85, 998.0),
        position("MUTUAL_FUND", "SWPPX", 1.5, 0.0, 70.0, 120.12345),
        position("EQUITY", "TINY", 1.234_56e-12, 0.0, 70.0, 1.0),
        position("EQUITY", "MUCH", 1.0, 0.0, 70.0, 1e18),
        json!({ "longQuantity": "NaN", "instrument": { "assetType": "EQUITY", "symbol": "NAN" } }),
        json!({ "longQuantity": 1.0, "instrument": null }),
    ]);
    let balances = json!({ "liquidationValue": 10_250.75, "cashBalance": -20.0, "availableFunds": -20.0 });
    stand_in.script(|script| script.accounts = vec![account("12345678", &balances, &positions)]);
    let mut visit = visit(&stand_in).await;
    let told = the_account(&mut visit).await;
    assert_eq!((told.kind, told.name.as_str(), told.masked_number.as_ref().unwrap().as_str()), (AccountType::Brokerage, "Nest egg", "••••5678"));
    assert_eq!((told.balances.current.unwrap().to_text(&usd()).as_str(), told.balances.available), ("10250.75", None));
    assert!(!format!("{told:?}").contains("12345678"), "the number is hidden from whoever prints it");
    assert_eq!(told.unread_holdings, ["TINY", "MUCH", "NAN", ""], "and the others are as they are");
    let text = |amount: Option<Amount>| amount.map(|amount| amount.to_text(&usd()));
    let holdings: Vec<_> = told
        .holdings
        .unwrap()
        .iter()
        .map(|holding| {
            let basis = text(holding.cost_basis.as_ref().map(|basis| basis.amount)).unwrap_or_default();
            (holding.security.asset_type, holding.quantity.to_string(), text(holding.market_value).unwrap_or_default(), basis)
        })
        .collect();
    let expected = |kind, units: &str, value: &str, basis: &str| (kind, units.to_owned(), value.to_owned(), basis.to_owned());
    assert_eq!(
        holdings,
        [
            expected(AssetType::Equity, "5", "936.05", "500.625"),
            expected(AssetType::Equity, "-2", "-42.00", "-40.00"),
            expected(AssetType::Option, "1", "210.00", "205.00"),
            expected(AssetType::FixedIncome, "1000", "998.00", ""),
            expected(AssetType::MutualFund, "1.5", "120.1234", "105.00"),
        ]
    );
    stand_in.script(|script| script.preferences = None);
    assert_eq!(the_account(&mut visit).await.name, "Schwab ••••5678", "names are not worth a sync");
    assert!(visit.accounts().await.unwrap().complete);
    stand_in.script(|script| script.numbers.push(("87654321", "C3D4")));
    let told = visit.accounts().await.unwrap();
    assert_eq!((told.accounts.len(), told.complete), (1, false), "an account that did not answer is not closed");
    stand_in.script(|script| script.numbers = vec![("87654321", "C3D4")]);
    assert_eq!(visit.accounts().await.err(), Some(ProviderFault::Incomplete), "an account that cannot be asked for");
    let paths = stand_in.script(|script| script.paths.clone());
    assert!(paths.iter().all(|path| !path.contains("12345678")), "{paths:?}");
}

#[tokio::test]
async fn long_times_are_asked_for_year_by_year_and_full_answers_by_halves() {
    let stand_in = open().await;
    let days = |count: i64| (0..count).map(|at| LocalDate::new(2022, 1, 1).unwrap().plus_days(at));
    // Nine a day, three years long.
    let rows: Vec<_> = days(1_095)
        .flat_map(|day| (0..9).map(move |at| (day, at)))
        .enumerate()
        .map(|(id, (day, at))| row(id as u64, "WIRE_IN", &format!("{day}T1{at}:00:00+0000"), 5.0, json!({})))
        .collect();
    stand_in.script(|script| script.rows.insert("A1B2", rows));
    let mut visit = visit(&stand_in).await;
    let account = the_account(&mut visit).await;
    let (from, to) = (LocalDate::new(2022, 1, 1).unwrap(), LocalDate::new(2024, 12, 30).unwrap());
    let (references, is_complete, asked) = read_on(&mut visit, &account, from, to).await;
    assert!(is_complete && references.into_iter().eq(0..9 * 1_095), "once each");
    assert_eq!(asked, 10, "three windows that were full, and their halves, and a rest");
}

#[tokio::test]
async fn a_day_with_more_rows_than_an_answer_holds_is_asked_for_by_parts_of_it() {
    let stand_in = open().await;
    let day = LocalDate::new(2022, 1, 5).unwrap();
    let begin = chrono::DateTime::parse_from_rfc3339("2022-01-05T05:00:00Z").unwrap().to_utc();
    let at = |seconds: i64| (begin + chrono::Duration::seconds(seconds)).format("%Y-%m-%dT%H:%M:%S+0000").to_string();
    let rows = |times: Vec<String>| (1..).zip(times).map(|(id, time)| row(id, "WIRE_IN", &time, 5.0, json!({}))).collect::<Vec<_>>();
    let told = |stand_in: &StandIn, times: Vec<String>| stand_in.script(|script| script.rows.insert("A1B2", rows(times)));
    let mut visit = visit(&stand_in).await;
    let account = the_account(&mut visit).await;
    // Seven thousand on a day of New York's, none of them at midnight UTC, one that bears the day as its date, and some of the days beside it.
    let mut times: Vec<_> = (0..7_000).map(|number| at(number * 12 + 1)).collect();
    times.push("2022-01-05T00:00:00+0000".to_owned());
    times.extend([at(-1), at(86_400), "2022-01-06T00:00:00+0000".to_owned()]);
    told(&stand_in, times);
    let (references, is_complete, asked) = read_on(&mut visit, &account, day, day).await;
    assert!(is_complete && references.into_iter().eq(1..=7_001), "once each");
    assert!(asked < 16, "{asked}");
    // A rush is found at once, and days around it are not asked for over and over.
    let (year, until) = (LocalDate::new(2021, 6, 1).unwrap(), LocalDate::new(2022, 5, 1).unwrap());
    told(&stand_in, (0..3_100).map(|number| at(number + 3_600)).chain((1..200).flat_map(|days| [at(-days * 86_400), at(days * 40_000)])).collect());
    let (references, is_complete, asked) = read_on(&mut visit, &account, year, until).await;
    assert!(is_complete && references.into_iter().eq(1..=3_498), "once each");
    assert!(asked < 20, "{asked}");
    // What happened in one instant cannot be parted: there may be more of it.
    told(&stand_in, (0..3_500).map(|_| at(0)).collect());
    let (references, is_complete, asked) = read_on(&mut visit, &account, day, day).await;
    assert!(!is_complete && references.into_iter().eq(1..=3_000));
    assert!(asked < 10, "{asked}");
    // And if Schwab should look at days alone, asking on leads nowhere.
    stand_in.script(|script| script.looks_at_days_alone = true);
    told(&stand_in, (0..3_500).map(|number| at(number * 24 + 1)).collect());
    let (mut references, is_complete, asked) = read_on(&mut visit, &account, day, day).await;
    references.dedup();
    assert!(!is_complete && references.into_iter().eq(1..=3_000));
    assert!(asked < 5, "{asked}");
}

#[tokio::test]
async fn a_consent_is_asked_for_and_lasts_seven_days_from_signing_in() {
    let stand_in = open().await;
    let schwab = provider(&stand_in, CLIENT_SECRET);
    let (door, now) = (schwab.oauth().unwrap(), TestClock::new().now());
    let url = url::Url::parse(&door.authorization_url(&walk()).unwrap()).unwrap();
    let sent: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!((url.path(), sent["client_id"].as_str(), sent["redirect_uri"].as_str()), ("/v1/oauth/authorize", CLIENT_ID, CALLBACK));
    assert_eq!((sent["response_type"].as_str(), sent["code_challenge_method"].as_str(), sent["state"].as_str()), ("code", "S256", "a-state"));
    assert!(!url.as_str().contains("canary"));
    assert_eq!(door.issuer(), None);
    for code in ["C0.b2F@", "C0.b2F%40"] {
        let tokens = door.exchange(code, &walk(), now).await.unwrap();
        assert_eq!(tokens.access_expires_at, now.plus(chrono::Duration::minutes(30)));
        assert_eq!(tokens.consent_expires_at, Some(now.plus(chrono::Duration::days(7))));
        let form = stand_in.script(|script| script.forms.pop().unwrap());
        assert_eq!((form["code"].as_str(), form["redirect_uri"].as_str()), ("C0.b2F@", CALLBACK), "decoded once, and no more");
    }
    let first = door.exchange("C0.b2F@", &walk(), now).await.unwrap();
    let later = now.plus(chrono::Duration::days(3));
    let second = door.refresh(&first, later).await.unwrap();
    assert_eq!((second.consent_expires_at, second.access_expires_at), (first.consent_expires_at, later.plus(chrono::Duration::minutes(30))));
    assert_ne!(second.refresh_token.expose_secret(), first.refresh_token.expose_secret());
    assert_eq!(door.refresh(&first, later).await.err(), Some(ProviderFault::Refused));
    stand_in.script(|script| script.keeps_refresh_token = true);
    let third = door.refresh(&second, later).await.unwrap();
    assert_eq!(third.refresh_token.expose_secret(), second.refresh_token.expose_secret(), "what is not replaced goes on");
    assert_eq!(provider(&stand_in, "wrong").oauth().unwrap().exchange("C0.b2F@", &walk(), now).await.err(), Some(ProviderFault::AppRefused));
    assert_eq!(door.exchange("nonsense", &walk(), now).await.err(), Some(ProviderFault::Refused));
}
