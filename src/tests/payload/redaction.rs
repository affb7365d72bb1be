//! Numbers are taken out, and nothing else is.

use dashtam::{
    application::{
        edge::Edge,
        payload::{
            pack,
            redaction::{Names, Redaction, collect, is_card},
        },
        ports::Sealer,
        tape::{self, MOST_RECORDED},
    },
    domain::id::UserId,
    infrastructure::security::sealer::AesSealer,
};
use serde_json::{Value, json};

use crate::harness::{app::keys, bank::posted, clock::TestRandomness};

fn sealer() -> AesSealer {
    AesSealer::new(&keys(), std::sync::Arc::new(TestRandomness)).unwrap()
}

fn redacted(answers: &[Value], of: impl FnOnce(&Redaction<'_>) -> Vec<String>) -> (Vec<Value>, Vec<String>) {
    let sealer = sealer();
    let names = Names { sealer: &sealer as &dyn Sealer, user: UserId(uuid::Uuid::nil()), provider: "any" };
    let mut found = std::collections::BTreeSet::new();
    for answer in answers {
        collect(answer, &mut found);
    }
    let redaction = Redaction::of(&names, found);
    (answers.iter().map(|answer| redaction.answer("", answer.clone())).collect(), of(&redaction))
}

#[test]
fn numbers_of_cards_and_accounts_go_by_names_that_end_alike_and_join_alike() {
    let answers = [
        json!([{ "accountNumber": "12345678", "hashValue": "4111111111111111AB" }, { "accountNumber": 99_990_001, "hashValue": "H2" }]),
        json!({ "12345678": { "name": "Card 4111 1111 1111 1111 and 12345678", "note": 4_111_111_111_111_111_u64, "amount": "-12.50" } }),
        json!({ "rows": [{ "id": "4111-1111-1111-1111", "activityId": 12_345, "at": "20261120000000000::x", "id2": "5500005555555559" }] }),
    ];
    let (cut, texts) = redacted(&answers, |redaction| {
        vec![redaction.asked("/accounts/12345678/rows?cursor=4111111111111111&from=2026-01-01"), redaction.id("4111111111111111"), redaction.id("plain")]
    });
    let text = json!([cut, texts]).to_string();
    for number in ["12345678", "99990001", "4111111111111111\"", "4111 1111", "4111-1111", "5500005555555559"] {
        assert!(!text.contains(number), "{number}: {text}");
    }
    let name = cut[0][0]["accountNumber"].as_str().unwrap();
    assert!(name.starts_with("masked-") && name.ends_with("-5678"), "{name}");
    assert_eq!(cut[1].as_object().unwrap().keys().next().unwrap(), name, "what joined still does");
    assert_eq!(cut[1][name]["name"], "Card ••••1111 and ••••5678");
    assert_eq!(cut[1][name]["amount"], "-12.50");
    assert!(cut[0][1]["accountNumber"].as_str().unwrap().ends_with("-0001"));
    assert_eq!(cut[2]["rows"][0]["activityId"], 12_345);
    let hash = cut[0][0]["hashValue"].as_str().unwrap();
    assert!(hash.starts_with("masked-") && hash.ends_with("-11AB"), "an id that holds a number goes by a name as well: {hash}");
    assert!(texts[0].starts_with(&format!("/accounts/{name}/rows?cursor=masked-")) && texts[0].ends_with("&from=2026-01-01"), "{}", texts[0]);
    assert_eq!((texts[1].as_str(), texts[2].as_str()), (cut[2]["rows"][0]["id"].as_str().unwrap(), "plain"), "however it was written");

    let (again, _) = redacted(&cut, |_| Vec::new());
    assert_eq!(again, cut, "once more changes nothing");
}

#[test]
fn what_only_looks_like_a_card_is_none() {
    for (text, expected) in [
        ("4111111111111111", true),
        ("4111 1111 1111 1111", true),
        ("4111-1111-1111-1111", true),
        ("4111111111111112", false),
        ("411111111111", false),
        ("TRN-4111111111111111", false),
        ("", false),
        ("- -", false),
    ] {
        assert_eq!(is_card(text), expected, "{text}");
    }
}

#[test]
fn numbers_are_found_within_ids_in_addresses_and_as_doubles() {
    let answers = [
        json!({ "accountNumber": "918273645", "pan_float": 4_539_237_574_125_936.0, "total": 918_273_645.0, "price": 12.5 }),
        json!({ "rows": [{ "id": "TRN-4539484420513648-1" }, { "id": "918273645-1" }, { "id": "TRN-4539484420513648-2" }, { "id": "20261126::x" }] }),
        json!({ "note": "acct 918 273 645, 0918273645 and 91827-3645", "replaces": "TRN-4539484420513648-1" }),
    ];
    let (cut, texts) = redacted(&answers, |redaction| vec![redaction.asked("/rows?page=TRN%2D4539484420513648%2D1&to=a%20b"), redaction.asked("/918273645")]);
    let text = json!([cut, texts]).to_string();
    for number in ["4539484420513648", "918273645", "4539237574125936", "918 273 645", "91827-3645"] {
        assert!(!text.contains(number), "{number}: {text}");
    }
    let ids: Vec<_> = cut[1]["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert!(ids[0] != ids[2] && ids[0].starts_with("masked-") && ids[1].starts_with("masked-"), "{ids:?}");
    assert_eq!((ids[3], cut[2]["replaces"].as_str().unwrap(), &cut[0]["price"]), ("20261126::x", ids[0], &json!(12.5)));
    assert_eq!(texts[0], format!("/rows?page={}&to=a%20b", ids[0]));
    assert_eq!(texts[1], format!("/{}", cut[0]["accountNumber"].as_str().unwrap()));
    let (again, _) = redacted(&cut, |_| Vec::new());
    assert_eq!(again, cut, "once more changes nothing");
}

#[tokio::test]
async fn what_is_too_much_to_be_kept_still_tells_which_numbers_are_cut() {
    let sealer: std::sync::Arc<dyn Sealer> = std::sync::Arc::new(sealer());
    let first = json!({ "accountNumber": "918273645" }).to_string();
    let later = json!({ "account_number": "736451829", "filler": "x".repeat(MOST_RECORDED) }).to_string();
    let last = json!([{ "iban": "DE02120300000000202051" }]).to_string();
    let ((), recording) = tape::recorded(async {
        for body in [&first, &later, &last] {
            tape::take_down("/any", body.as_bytes());
        }
    })
    .await;
    assert!(recording.is_too_long && recording.answers.is_empty());
    let packed = pack(&sealer, UserId(uuid::Uuid::nil()), "any", recording, Vec::new()).await.unwrap();
    assert_eq!(packed.numbers, ["DE02120300000000202051", "918273645", "736451829"]);
    let edge = Edge::new(sealer.as_ref(), UserId(uuid::Uuid::nil()), "any", &packed.numbers);
    let mut spelt = posted("91-8273645/1", "2026-11-20", -900, "");
    edge.cut_row(&mut spelt);
    assert!(spelt.reference.as_ref().unwrap().starts_with("masked-"), "however it is grouped: {spelt:?}");
    let mut row = posted("736451829-7", "2026-11-20", -900, "acct 918 273 645");
    edge.cut_row(&mut row);
    assert_eq!(row.facts.description, "acct ••••3645");
    let name = row.reference.unwrap();
    assert!(name.starts_with("masked-") && row.replaces == ["736451829-7"], "{name}");
}

#[test]
fn a_text_is_shortened_after_its_numbers_are_cut() {
    let sealer = sealer();
    let edge = Edge::new(&sealer, UserId(uuid::Uuid::nil()), "any", &[]);
    let mut row = posted("x", "2026-11-20", -900, &format!("{}4539583827506202", "y".repeat(984)));
    edge.cut_row(&mut row);
    assert_eq!(row.facts.description, format!("{}••••6202", "y".repeat(984)));
    row.facts.description = "z".repeat(5_000);
    edge.cut_row(&mut row);
    assert_eq!(row.facts.description.len(), 1_000);
}
