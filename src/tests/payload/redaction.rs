//! Numbers are taken out, and nothing else is.

use dashtam::{
    application::{
        payload::redaction::{Names, Redaction, is_card},
        ports::Sealer,
    },
    domain::id::UserId,
    infrastructure::security::sealer::AesSealer,
};
use serde_json::{Value, json};

use crate::harness::{app::keys, clock::TestRandomness};

fn sealer() -> AesSealer {
    AesSealer::new(&keys(), std::sync::Arc::new(TestRandomness)).unwrap()
}

fn redacted(answers: &[Value], of: impl FnOnce(&Redaction<'_>) -> Vec<String>) -> (Vec<Value>, Vec<String>) {
    let sealer = sealer();
    let names = Names { sealer: &sealer as &dyn Sealer, user: UserId(uuid::Uuid::nil()), provider: "any" };
    let redaction = Redaction::of(&names, answers);
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
    assert_eq!(cut[1][name]["name"], format!("Card ••••1111 and {name}"));
    assert_eq!(cut[1][name]["amount"], "-12.50");
    assert!(cut[0][1]["accountNumber"].as_str().unwrap().ends_with("-0001"));
    assert_eq!(
        (&cut[0][0]["hashValue"], &cut[2]["rows"][0]["activityId"]),
        (&json!("4111111111111111AB"), &json!(12_345)),
        "ids that are more than a number stay"
    );
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
