//! Imports, through the whole product: a statement file comes in by the graph, by a form or by the command line.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod accounts;
mod balances;
mod csv;
mod files;
mod long;
mod preview;
mod races;
mod revert;
mod upload;

use crate::harness::{app::TestApp, client::Client};

const CHECKING: &str = include_str!("fixtures/ofx/checking-sgml.ofx");
const CARD: &str = include_str!("fixtures/ofx/card-unclosed.ofx");
const SEVERAL: &str = include_str!("fixtures/ofx/several-accounts.ofx");

/// Everything an import changes, besides its own row and the trail.
const TABLES: [&str; 5] = ["links", "accounts", "transactions", "transaction_references", "balance_snapshots"];

/// A statement of one account for November 2026. Rows: day, amount, the bank's id, name.
fn statement(number: &str, currency: &str, rows: &[(u32, &str, &str, &str)]) -> String {
    let row = |(day, amount, id, name): &(u32, &str, &str, &str)| {
        format!("<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>202611{day:02}<TRNAMT>{amount}<FITID>{id}<NAME>{name}</STMTTRN>\n")
    };
    let rows = rows.iter().map(row).collect::<Vec<_>>().concat();
    let account = format!("<CURDEF>{currency}<BANKACCTFROM><BANKID>1<ACCTID>{number}<ACCTTYPE>CHECKING</BANKACCTFROM>");
    format!(
        "<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS>{account}<BANKTRANLIST><DTSTART>20261101<DTEND>20261130\n{rows}</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"
    )
}

/// What every table holds that an import changes.
async fn everything(app: &TestApp) -> Vec<Vec<String>> {
    let mut contents = Vec::new();
    for table in TABLES {
        contents.push(app.store.contents(table).await);
    }
    contents
}

/// How many accounts and transactions an import made and knew.
fn counts(import: &serde_json::Value) -> (u64, u64, u64) {
    let count = |name: &str| import[name].as_u64().unwrap();
    (count("accountsCreated"), count("transactionsCreated"), count("transactionsKnown"))
}

/// The id of the only account.
async fn only_account(owner: &Client<'_>) -> String {
    let accounts = owner.accounts().await;
    assert_eq!(accounts.len(), 1);
    accounts[0]["id"].as_str().unwrap().to_owned()
}
