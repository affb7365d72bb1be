//! Documents that do not fit the schema, and which the library would run.

use serde_json::json;

use crate::harness::app::TestApp;

const INVERT: &str = "mutation { updateAccount(input: { accountId: \"x\", invertSign: false, invertSign: true }) { userErrors { code } } }";

/// What is refused, and with which words.
const UNFIT: [(&str, &str); 25] = [
    (INVERT, "There can be only one input field named \"invertSign\"."),
    (
        "{ viewer { transactions(first: 1, filter: { minAmount: \"1\", text: \"}{:\", minAmount: \"2\" }) { totalCount } } }",
        "There can be only one input field named \"minAmount\".",
    ),
    (
        "query($f: TransactionFilterInput = { types: [TRADE], types: [FEE] }) { viewer { transactions(first: 1, filter: $f) { totalCount } } }",
        "There can be only one input field named \"types\".",
    ),
    ("{ viewer { id @include(if: [{ a: { b: 1, b: 2 } }]) } }", "There can be only one input field named \"b\"."),
    ("query($b: Boolean) { viewer { id @include(if: $b) } }", "Variable \"$b\" of type \"Boolean\" used in position expecting type \"Boolean!\"."),
    ("query($b: Boolean = null) { viewer { id @skip(if: $b) } }", "Variable \"$b\" of type \"Boolean\" used in position expecting type \"Boolean!\"."),
    ("query($b: Boolean) { viewer { ...f } } fragment f on User { id ... @include(if: $b) { email } }", "Variable \"$b\" of type \"Boolean\" used in"),
    ("query a($b: Boolean!) { ...f } query b($b: Boolean) { ...f } fragment f on Query { viewer { id @skip(if: $b) } }", "Variable \"$b\" of type \"Boolean\""),
    ("query($i: ID) { node(id: $i) { id } }", "Variable \"$i\" of type \"ID\" used in position expecting type \"ID!\"."),
    ("query($i: [ID]!) { nodes(ids: $i) { id } }", "Variable \"$i\" of type \"[ID]!\" used in position expecting type \"[ID!]!\"."),
    ("query($i: [ID!]) { nodes(ids: $i) { id } }", "Variable \"$i\" of type \"[ID!]\" used in position expecting type \"[ID!]!\"."),
    ("query($i: ID!) { nodes(ids: $i) { id } }", "Variable \"$i\" of type \"ID!\" used in position expecting type \"[ID!]!\"."),
    ("query($i: ID) { nodes(ids: [\"x\", $i]) { id } }", "Variable \"$i\" of type \"ID\" used in position expecting type \"ID!\"."),
    (
        "query($i: [ID]) { viewer { transactions(first: 1, filter: { accountIds: $i }) { totalCount } } }",
        "Variable \"$i\" of type \"[ID]\" used in position expecting type \"[ID!]\".",
    ),
    (
        "query($m: String) { viewer { transactions(first: 1, filter: { minAmount: $m }) { totalCount } } }",
        "Variable \"$m\" of type \"String\" used in position expecting type \"Decimal\".",
    ),
    ("query($f: String) { viewer { accounts(first: $f) { totalCount } } }", "Variable \"$f\" of type \"String\" used in position expecting type \"Int\"."),
    (
        "mutation($i: ID) { updateAccount(input: { accountId: $i }) { userErrors { code } } }",
        "Variable \"$i\" of type \"ID\" used in position expecting type \"ID!\".",
    ),
    (
        "mutation($i: UpdateAccountInput) { updateAccount(input: $i) { userErrors { code } } }",
        "Variable \"$i\" of type \"UpdateAccountInput\" used in position expecting type \"UpdateAccountInput!\".",
    ),
    ("{ viewer { transactions(first: 1, filter: { types: \"TRADE\" }) { totalCount } } }", "Enum \"TransactionType\" cannot represent non-enum value."),
    ("{ viewer { transactions(first: 1, filter: { types: [FEE, \"TRADE\"] }) { totalCount } } }", "Enum \"TransactionType\" cannot represent non-enum value."),
    (
        "mutation { updateAccount(input: { accountId: \"x\", type: \"SAVINGS\" }) { userErrors { code } } }",
        "Enum \"AccountType\" cannot represent non-enum value.",
    ),
    ("query($t: AccountType = \"CD\") { viewer { accounts(first: 1, filter: { types: [$t] }) { totalCount } } }", "Enum \"AccountType\" cannot represent"),
    ("query A { viewer { id } } query A { viewer { id } }", "There can be only one operation named \"A\"."),
    ("{ viewer { ...F } } fragment F on User { id } fragment F on User { email }", "There can be only one fragment named \"F\"."),
    ("query A { viewer { id } } { rateLimit { cost } }", "This anonymous operation must be the only defined operation."),
];

#[tokio::test]
async fn documents_that_the_specification_refuses_are_refused_whatever_values_come_along() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let before = app.trail().await.len();
        for (document, words) in UNFIT {
            for variables in [json!({}), json!({ "b": true, "i": "x", "f": null, "m": "1" })] {
                let answer = ann.ask_with(document, variables).await;
                answer.never_ran("GRAPHQL_VALIDATION_FAILED");
                let told = &answer.body["errors"][0];
                assert!(told["message"].as_str().is_some_and(|message| message.starts_with(words)), "{document}: {told}");
                assert!(told["locations"][0]["line"].is_u64(), "{document}: {told}");
            }
        }
        assert_eq!(app.trail().await.len(), before, "{}: nothing was attempted", app.store.name);
    }
}

#[tokio::test]
async fn documents_that_it_allows_run() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for (document, variables) in [
            ("query($b: Boolean = true) { viewer { id @include(if: $b) } }", json!({})),
            ("query($i: ID = \"x\") { node(id: $i) { id } }", json!({})),
            ("query($i: ID!) { nodes(ids: [$i]) { id } account(id: $i) { id } }", json!({ "i": "x" })),
            ("query($i: ID!) { viewer { transactions(first: 1, filter: { accountIds: [$i] }) { totalCount } } }", json!({ "i": "x" })),
            ("query($t: TransactionType!) { viewer { transactions(first: 1, filter: { types: [$t] }) { totalCount } } }", json!({ "t": "TRADE" })),
            ("query($t: [TransactionType!]) { viewer { transactions(first: 1, filter: { types: $t }) { totalCount } } }", json!({ "t": ["TRADE"] })),
            ("{ viewer { transactions(first: 1, filter: { types: TRADE, text: null }) { totalCount } } }", json!({})),
            ("query($f: TransactionFilterInput = { types: [TRADE] }) { viewer { transactions(first: 1, filter: $f) { totalCount } } }", json!({})),
            ("{ a: viewer { id a: id } b: viewer { b: id id } }", json!({})),
            ("query($f: Int!) { viewer { accounts(first: $f) { totalCount } } }", json!({ "f": 1 })),
            ("query($n: String!) { __type(name: $n) { fields(includeDeprecated: true) { name } } }", json!({ "n": "User" })),
        ] {
            ann.ask_with(document, variables).await.data();
        }
        // Of two faults the parser's comes first.
        ann.ask("{ viewer { transactions(first: 1, filter: { text: \"a\", text: \"b\" }) { totalCount }").await.never_ran("GRAPHQL_PARSE_FAILED");
    }
}
