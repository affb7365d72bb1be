//! Investment statements: trades, positions and what the account is worth.

use dashtam::domain::{
    account::AccountType,
    money::Quantity,
    provider::ReportedTransaction,
    transaction::{AssetType, TransactionSubtype},
};

use super::{BROKERAGE, BROKERAGE_XML, INVESTMENT, read_ok};

fn shown(quantity: Option<Quantity>) -> String {
    quantity.map_or_else(|| "-".to_owned(), |quantity| quantity.to_string())
}

fn row<'a>(rows: &'a [ReportedTransaction], reference: &str) -> &'a ReportedTransaction {
    rows.iter().find(|row| row.reference.as_deref() == Some(reference)).expect("a row of this name")
}

#[test]
fn every_action_is_read_with_its_kind_amount_and_units() {
    let file = read_ok(BROKERAGE);
    let statement = &file.statements[0];
    let told: Vec<_> = statement
        .transactions
        .iter()
        .map(|row| {
            let facts = &row.facts;
            let fees = facts.fees.map_or_else(|| "-".to_owned(), |fees| fees.to_text(&statement.account.currency));
            let symbol = facts.security.as_ref().map_or("-", |security| security.symbol.as_str());
            let amount = facts.amount.to_text(&statement.account.currency);
            format!("{} {} {amount} {symbol} {} @{} fees {fees}", facts.posted_on, facts.subtype.as_str(), shown(facts.quantity), shown(facts.unit_price))
        })
        .collect();
    assert_eq!(
        told,
        [
            "2026-10-02 buy -215.00 OAK 10.5 @20 fees 5.00",
            "2026-10-03 short_sell 50.00 ELM -5 @10 fees -",
            "2026-10-05 buy -301.50 WOODX 3 @100 fees 1.50",
            "2026-10-06 buy_to_cover -250.00 OAK261218C20 2 @1.25 fees -",
            "2026-10-07 reinvestment 0.00 WOODX 0.1234 @100 fees -",
            "2026-10-07 dividend 4.32 WOODX - @- fees -",
            "2026-10-08 capital_gain 3.00 WOODX - @- fees -",
            "2026-10-09 other_fee -2.00 OAK - @- fees -",
            "2026-10-10 transfer_out 0.00 OAK -4 @- fees -",
            "2026-10-11 split 0.00 OAK 6.5 @- fees -",
            "2026-10-12 return_of_capital 7.77 OAK - @- fees -",
            "2026-10-13 journal 0.00 - - @- fees -",
            "2026-10-14 margin_interest -1.11 - - @- fees -",
            "2026-10-15 expiration 0.00 OAK261218C20 -2 @- fees -",
            "2026-10-16 deposit 500.00 - - @- fees -",
        ]
    );
    let rows = &statement.transactions;
    assert_eq!(row(rows, "t1").facts.description, "YOU BOUGHT · OAK & SONS");
    let option = row(rows, "t4").facts.security.clone().expect("an option");
    assert_eq!((option.name.as_deref(), option.asset_type), (Some("OAK CALL 20"), AssetType::Option));
    assert_eq!(row(rows, "t15").facts.description, "WIRE RECEIVED 00••••7766");
    let problems: Vec<_> = file.problems.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
    assert_eq!(
        problems,
        [
            (30, "the transaction is in another currency than its statement (CURSYM)"),
            (31, "the transaction's date (DTTRADE) is not a day of the calendar written YYYYMMDD"),
        ]
    );
}

#[test]
fn positions_are_signed_and_named_and_the_balance_holds_them() {
    let file = read_ok(BROKERAGE);
    let account = &file.statements[0].account;
    assert_eq!(
        (account.kind, account.name.as_str(), account.institution.as_deref()),
        (AccountType::Brokerage, "Brokerage ••••7766", Some("Old Oak Securities"))
    );
    assert_eq!(account.reference.expose(), "invest:oldoak.example:0099887766");
    let held: Vec<_> = account
        .holdings
        .as_ref()
        .expect("a list of positions")
        .iter()
        .map(|held| {
            let value = held.market_value.map(|value| value.to_text(&held.currency)).unwrap_or_default();
            format!("{} {} {value} {}", held.security.symbol, held.quantity, held.cusip.as_deref().unwrap_or("-"))
        })
        .collect();
    assert_eq!(held, ["OAK 13 143.00 111111111", "ELM -5 -60.00 222222222", "WOODX 3.1234 315.46 333333333"]);
    let balances = &account.balances;
    // 1000 - 100 + 50 in cash, 143 - 60 + 315.46 in securities.
    assert_eq!(balances.current.map(|amount| amount.to_text(&account.currency)).as_deref(), Some("1348.46"));
    assert_eq!(balances.available.map(|amount| amount.to_text(&account.currency)).as_deref(), Some("1000.00"));
    assert_eq!(balances.as_of.map(|instant| instant.to_string()).as_deref(), Some("2026-11-20T21:00:00Z"));
    assert_eq!(file.statements[0].period.map(|(from, to)| (from.to_string(), to.to_string())), Some(("2026-10-01".to_owned(), "2026-11-20".to_owned())));
}

#[test]
fn the_newer_dialect_says_the_same_and_no_sum_is_made_of_two_currencies() {
    let file = read_ok(BROKERAGE_XML);
    let statement = &file.statements[0];
    let sale = &statement.transactions[0].facts;
    assert_eq!((sale.subtype, sale.amount.to_text(&statement.account.currency).as_str()), (TransactionSubtype::Sell, "99.00"));
    assert_eq!((shown(sale.quantity), shown(sale.unit_price)), ("-2.5".to_owned(), "40".to_owned()));
    assert_eq!(sale.security.as_ref().map(|security| (security.symbol.as_str(), security.name.as_deref())), Some(("DE0001111111", Some("Birke AG"))));
    let held = statement.account.holdings.as_ref().expect("positions");
    assert_eq!(
        held.iter().map(|held| (held.isin.as_deref(), held.currency.code())).collect::<Vec<_>>(),
        [(Some("DE0002222222"), "EUR"), (Some("US0003333333"), "USD")]
    );
    assert_eq!((statement.account.balances.current, statement.account.balances.available.is_some()), (None, true));
    assert_eq!(file.problems.len(), 1, "{:?}", file.problems);
    assert!(file.problems[0].message.starts_with("the position does not say of which security it is"));
}

#[test]
fn a_statement_without_positions_and_securities_is_read_all_the_same() {
    let file = read_ok(INVESTMENT);
    let statement = &file.statements[0];
    let told: Vec<_> = statement.transactions.iter().map(|row| (row.facts.subtype, row.facts.security.is_some())).collect();
    assert_eq!(told, [(TransactionSubtype::Buy, false), (TransactionSubtype::Deposit, false)]);
    assert_eq!((statement.account.holdings.as_ref(), statement.account.balances.current, file.problems.len()), (None, None, 0));
}

/// One action of an account that holds nothing.
fn action(action: &str) -> Vec<u8> {
    let account = "<CURDEF>USD<INVACCTFROM><BROKERID>oak.example<ACCTID>55667788</INVACCTFROM>";
    let cash = "<INVBAL><AVAILCASH>10<MARGINBALANCE>0<SHORTBALANCE>0</INVBAL>";
    format!("<OFX><INVSTMTMSGSRSV1><INVSTMTTRNRS><INVSTMTRS><DTASOF>20261031{account}<INVTRANLIST>{action}</INVTRANLIST>{cash}</INVSTMTRS></INVSTMTTRNRS></INVSTMTMSGSRSV1></OFX>")
        .into_bytes()
}

#[test]
fn what_is_bought_costs_and_what_is_sold_pays_however_its_total_is_signed() {
    for (kind, units, total, charges, amount, is_turned) in [
        ("BUY", "-5", "51", "1", "51.00", false),
        ("BUY", "5", "51", "1", "-51.00", true),
        ("BUY", "5", "-51", "1", "-51.00", false),
        ("SELL", "5", "-49", "1", "49.00", true),
        ("SELL", "5", "49", "1", "49.00", false),
        ("SELL", "5", "-0.50", "1", "-0.50", false),
    ] {
        let part =
            format!("<INV{kind}><INVTRAN><FITID>t1<DTTRADE>20261003</INVTRAN><UNITS>{units}<UNITPRICE>10<COMMISSION>{charges}<TOTAL>{total}</INV{kind}>");
        let file = read_ok(&action(&format!("<{kind}STOCK>{part}<{kind}TYPE>{kind}</{kind}STOCK>")));
        let row = &file.statements[0].transactions[0];
        assert_eq!(row.facts.amount.to_text(&file.statements[0].account.currency), amount, "{kind} {units} {total}");
        assert_eq!(row.replaces, if is_turned { vec!["t1".to_owned()] } else { vec![] }, "what was stored with the other sign is this one");
    }
}

#[test]
fn cash_alone_is_not_what_an_account_holds() {
    let account = &read_ok(&action("")).statements[0].account;
    assert_eq!((account.balances.current, account.balances.available.is_some(), account.holdings.is_none()), (None, true, true));
}
