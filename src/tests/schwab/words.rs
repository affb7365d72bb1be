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
    let on = |symbol: &str, description: &str| json!({ "description": description, "transferItems": [item("EQUITY", symbol, 0.0, 0.0, "")] });
    let said = |description: &str| json!({ "description": description });
    let moved = |amount: f64, description: &str| json!({ "description": description, "transferItems": [item("EQUITY", "T", amount, 0.0, "")] });
    let cases: [(&str, f64, Value, Subtype, Option<&str>); 28] = [
        ("DIVIDEND_OR_INTEREST", 12.5, on("T", "AT&T INC"), Subtype::Dividend, None),
        ("DIVIDEND_OR_INTEREST", 12.5, said("CASH DIV T"), Subtype::Dividend, None),
        ("DIVIDEND_OR_INTEREST", 0.42, said("BANK INT 051624-061524"), Subtype::Interest, None),
        ("DIVIDEND_OR_INTEREST", 0.42, said("CREDIT INTEREST"), Subtype::Interest, None),
        ("DIVIDEND_OR_INTEREST", -4.2, said("MARGIN INTEREST"), Subtype::MarginInterest, None),
        ("DIVIDEND_OR_INTEREST", -1.8, on("T", "NRA TAX WITHHELD"), Subtype::TaxWithheld, None),
        ("DIVIDEND_OR_INTEREST", 30.0, on("VTSAX", "LONG TERM CAP GAIN"), Subtype::CapitalGain, None),
        ("DIVIDEND_OR_INTEREST", 30.0, on("VTSAX", "RETURN OF CAPITAL"), Subtype::ReturnOfCapital, None),
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
    ]);
    let balances = json!({ "liquidationValue": 10_250.75, "cashBalance": -20.0, "availableFunds": -20.0 });
    stand_in.script(|script| script.accounts = vec![account("12345678", &balances, &positions)]);
    let mut visit = visit(&stand_in).await;
    let told = the_account(&mut visit).await;
    assert_eq!((told.kind, told.name.as_str(), told.masked_number.as_ref().unwrap().as_str()), (AccountType::Brokerage, "Nest egg", "••••5678"));
    assert_eq!((told.balances.current.unwrap().to_text(&usd()).as_str(), told.balances.available), ("10250.75", None));
    assert!(!format!("{told:?}").contains("12345678"), "the number is hidden from whoever prints it");
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
            expected(AssetType::MutualFund, "1.5", "", "105.00"),
        ]
    );
    stand_in.script(|script| script.preferences = None);
    assert_eq!(the_account(&mut visit).await.name, "Schwab ••••5678", "names are not worth a sync");
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
    let (mut references, mut page, mut asked) = (std::collections::HashSet::new(), None, 0);
    loop {
        let answer = visit.transactions(&account, from, to, page.as_deref()).await.unwrap();
        assert!(answer.complete);
        for row in answer.transactions {
            assert!(references.insert(row.reference), "once each");
        }
        asked += 1;
        page = answer.next;
        if page.is_none() {
            break;
        }
    }
    assert_eq!(references.len(), 9 * 1_095);
    assert_eq!(asked, 10, "three windows that were full, and their halves, and a rest");
    let day = LocalDate::new(2022, 1, 1).unwrap();
    let crowd = (0..3_000).map(|id| row(id, "WIRE_IN", "2022-01-01T15:00:00+0000", 5.0, json!({}))).collect();
    stand_in.script(|script| script.rows.insert("A1B2", crowd));
    let answer = visit.transactions(&account, day, day, None).await.unwrap();
    assert_eq!((answer.transactions.len(), answer.complete, answer.next), (3_000, false, None), "there may be more of that day");
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
