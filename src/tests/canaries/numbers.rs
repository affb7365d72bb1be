//! Numbers of cards and accounts, planted wherever a provider or a file can say something, and looked for in all that is stored and told.

use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use dashtam::{
    application::ports::ProviderFault,
    domain::{
        provider::{AccountReference, ReportedTransaction},
        transaction::{AssetType, Security},
    },
};
use serde_json::json;

use crate::harness::{
    app::{PASSWORD, TestApp},
    bank::{pending, position, posted, reported_account},
    client::Client,
    log::Log,
};

/// A card's number as it may be written, and others of other lengths.
const CARDS: [&str; 6] = ["4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "378282246310005", "6011000990139424", "5105 1051 0510 5100"];

/// Every way in which a number could still be found.
fn spellings() -> Vec<String> {
    let mut spelt = Vec::new();
    for card in CARDS {
        let plain: String = card.chars().filter(char::is_ascii_digit).collect();
        for text in [card.to_owned(), plain.clone(), card.replace(' ', "%20"), card.replace(' ', "+"), card.replace(' ', "\u{a0}")] {
            spelt.extend([BASE64_STANDARD.encode(&text), BASE64_URL_SAFE_NO_PAD.encode(&text), text]);
        }
    }
    spelt.sort();
    spelt.dedup();
    spelt
}

/// A row that says a card's number wherever it can.
fn row(number: usize, card: &str) -> ReportedTransaction {
    let mut row = if number.is_multiple_of(2) { posted(card, "2026-11-20", -900, "") } else { pending(card, "2026-11-21", -900, "") };
    row.facts.amount = dashtam::domain::money::Amount::from_units(-10_000 - i64::try_from(number).unwrap()).unwrap();
    row.facts.description = format!("Paid with {card}, thanks");
    row.facts.merchant_name = Some(format!("{card} Stores"));
    row.facts.category = Some(card.to_owned());
    row.facts.security = Some(Security { symbol: card.to_owned(), name: Some(format!("Fund {card}")), asset_type: AssetType::Equity });
    row.replaces = (number == 0).then(|| format!("before {card}")).into_iter().collect();
    row
}

/// What is fetched by its owner: every list and the export.
async fn everything_told(app: &TestApp, client: &Client<'_>) -> String {
    let lists = "{ viewer { accounts(first: 100) { nodes { name institution maskedNumber coverage { from } } } \
        transactions(first: 100) { nodes { description merchantName category security { symbol name } } } \
        holdings(first: 100) { nodes { security { symbol name } } } \
        imports(first: 100) { nodes { filename problems { message } } } links(first: 100) { nodes { alias lastSync { problem } } } } }";
    let told = client.ask(lists).await.data().to_string();
    client.mutate("reauthenticate", "validUntil", json!({ "password": PASSWORD })).await.succeeds();
    let export = client.ask("mutation { exportMyData { export { path } userErrors { code } } }").await.succeeds();
    let packed = client.request(reqwest::Method::GET, export["export"]["path"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(packed)).unwrap();
    let mut text = told;
    for at in 0..archive.len() {
        std::io::Read::read_to_string(&mut archive.by_index(at).unwrap(), &mut text).unwrap();
    }
    assert!(text.contains("••••1111"), "{}: the search finds what is told", app.store.name);
    text
}

async fn nothing_is_found(app: &TestApp, client: &Client<'_>, log: &Log) {
    let told = everything_told(app, client).await;
    let log = log.text();
    for spelt in spellings() {
        assert!(!app.store.spells(&spelt).await, "{spelt} in {}", app.store.name);
        assert!(!told.contains(&spelt), "{spelt} is told");
        assert!(!log.contains(&spelt), "{spelt} is logged");
    }
}

#[tokio::test]
async fn numbers_that_a_provider_plants_everywhere_are_found_nowhere() {
    let log = Log::capture();
    for app in TestApp::on_every_store().await {
        let rows: Vec<_> = CARDS.iter().enumerate().map(|(number, card)| row(number, card)).collect();
        let mut account = reported_account("1234567890", 100);
        account.reference = AccountReference::new(CARDS[0]);
        account.name = format!("Card {} of Ann", CARDS[1]);
        account.institution = Some(format!("Bank of {}", CARDS[3]));
        let mut held = position("VTI", "1", "10", "9");
        held.reference = Some(CARDS[2].to_owned());
        held.security = Security { symbol: CARDS[3].to_owned(), name: Some(format!("Fund {}", CARDS[5])), asset_type: AssetType::Etf };
        (held.cusip, held.isin) = (Some(CARDS[0].to_owned()), Some(CARDS[4].to_owned()));
        account.holdings = Some(vec![held]);
        app.bank.script(|script| script.accounts = vec![(account, rows)]);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        assert_eq!(app.work().await, 1);
        assert_eq!(ann.transactions().await.len(), CARDS.len(), "rows that go by a card's number are told apart still");
        let ids = ann.transaction_ids().await;
        ann.sync(&link, true).await.succeeds();
        assert_eq!(app.work().await, 1);
        assert_eq!(ann.transaction_ids().await, ids, "and are known again");
        app.bank.script(|script| script.accounts_fault = Some(ProviderFault::Malformed));
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        nothing_is_found(&app, &ann, &log).await;
    }
}

#[tokio::test]
async fn a_row_that_was_stored_under_a_number_is_known_by_its_name() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("an-id", "2026-11-20", -900, "Shoes")]);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        app.work().await;
        let before = ann.transaction_ids().await;
        app.store.execute("UPDATE transaction_references SET reference = '4111111111111111'").await.unwrap();
        // The bank has changed everything else about it meanwhile.
        app.bank.reports(vec![posted("4111111111111111", "2026-11-22", -1_900, "Boots")]);
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        assert_eq!(ann.transaction_ids().await, before, "{}", app.store.name);
    }
}

#[tokio::test]
async fn numbers_that_files_plant_everywhere_are_found_nowhere() {
    let log = Log::capture();
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for (at, card) in CARDS.iter().enumerate() {
            let rows = format!(
                "<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>2026110{}<TRNAMT>-1.0{at}<FITID>{card}<NAME>Pay {card}<MEMO>{card}</STMTTRN>\
                 <STMTTRN><TRNTYPE>DEBIT<DTPOSTED>{card}<TRNAMT>{card} x<FITID>{card}<NAME>{card}</STMTTRN>",
                at + 1
            );
            let ofx = format!(
                "<OFX><CREDITCARDMSGSRSV1><CCSTMTTRNRS><CCSTMTRS><CURDEF>USD<CCACCTFROM><ACCTID>{card}</CCACCTFROM>\
                 <BANKTRANLIST><DTSTART>20261101<DTEND>20261130{rows}</BANKTRANLIST></CCSTMTRS></CCSTMTTRNRS></CREDITCARDMSGSRSV1></OFX>"
            );
            ann.import(&format!("{card}.ofx"), &ofx, None).await.succeeds();
            ann.upload(&format!("broken {card}.ofx"), format!("<OFX>{card}").as_bytes(), None).await;
            let csv = format!("Date,Amount,Description,Category\n2026-11-{},-2.0{at},Pay {card},{card}\n2026-11-{},-3.0{at},{card},{card}\n", at + 13, at + 20);
            let input = json!({ "filename": format!("{card}.csv"), "content": csv, "account": { "name": format!("Card {card}"), "type": "CREDIT_CARD", "currency": "USD" } });
            let answer = ann.mutate("importStatement", "import { id problems { message } }", input).await;
            answer.succeeds();
            assert!(!answer.text.contains(card), "{}", answer.text);
        }
        assert_eq!(app.count("transactions").await, 18, "{}", app.store.name);
        nothing_is_found(&app, &ann, &log).await;
    }
}
