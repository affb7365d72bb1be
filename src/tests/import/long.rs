//! Long files, which are matched in parts.

use std::fmt::Write;

use crate::harness::app::TestApp;

use super::counts;

/// More rows than are put aside at once, and more than are matched at once.
const ROWS: usize = 9_000;

/// A statement of November 2026 whose rows come in no order of days. Every amount and name comes many times.
fn statement(id: &str, rows: impl Iterator<Item = usize>) -> String {
    let mut text = "<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>USD<BANKACCTFROM><BANKID>1<ACCTID>12345678<ACCTTYPE>CHECKING</BANKACCTFROM>\
                    <BANKTRANLIST><DTSTART>20261101<DTEND>20261130\n"
        .to_owned();
    for row in rows {
        let (day, cents) = (row * 7 % 30 + 1, row / 30 % 50);
        writeln!(text, "<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>202611{day:02}<TRNAMT>-1.{cents:02}<FITID>{id}{row}<NAME>Kiosk</STMTTRN>").unwrap();
    }
    text + "</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"
}

#[tokio::test]
async fn parts_of_a_long_file_are_matched_as_if_it_were_whole() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let half = ann.import("half", &statement("a", (0..ROWS).step_by(2)), None).await.succeeds()["import"].clone();
        assert_eq!(counts(&half), (1, ROWS as u64 / 2, 0));
        let other_names = ann.import("whole", &statement("b", 0..ROWS), None).await.succeeds()["import"].clone();
        assert_eq!(counts(&other_names), (0, ROWS as u64 / 2, ROWS as u64 / 2), "on {}", app.store.name);
        assert_eq!(other_names["problems"], serde_json::json!([]));
        let again = ann.import("again", &statement("b", 0..ROWS), None).await.succeeds()["import"].clone();
        assert_eq!(counts(&again), (0, 0, ROWS as u64));
        app.holds(&[("transactions", i64::try_from(ROWS).unwrap()), ("imports", 3)]).await;
    }
}
