//! What the scalars of the graph read, refuse and write.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use async_graphql::{EmptyMutation, EmptySubscription, Object, Schema, Value, Variables, value};
use dashtam::{
    domain::money::{self, Amount, Currency, Quantity},
    presentation::graphql::scalar::{CurrencyCode, DateTime, Decimal, LocalDate, Money, WebUrl},
};

struct Query;

#[Object]
impl Query {
    async fn decimal(&self, value: Decimal) -> Decimal {
        value
    }

    async fn instant(&self, value: DateTime) -> DateTime {
        value
    }

    async fn day(&self, value: LocalDate) -> LocalDate {
        value
    }

    async fn currency(&self, value: CurrencyCode) -> CurrencyCode {
        value
    }

    async fn url(&self, value: WebUrl) -> WebUrl {
        value
    }

    async fn money(&self) -> Money {
        let currency = Currency::parse("USD").unwrap();
        Money::from(money::Money { amount: Amount::parse("-12.5", &currency).unwrap(), currency })
    }
}

/// What comes back of `value`, written into the document and given as a variable; `None` if both are refused before anything runs.
async fn echo(field: &str, ty: &str, value: Value) -> Option<String> {
    let schema = Schema::new(Query, EmptyMutation, EmptySubscription);
    let written = schema.execute(format!("{{ {field}(value: {value}) }}")).await;
    let variables = Variables::from_value(value!({ "value": (value.clone()) }));
    let given = schema.execute(async_graphql::Request::new(format!("query ($value: {ty}!) {{ {field}(value: $value) }}")).variables(variables)).await;
    assert_eq!(written.data, given.data, "{value}");
    assert!(given.errors.iter().chain(&written.errors).all(|error| error.path.is_empty()), "{value} is refused before anything runs");
    let Value::Object(data) = given.data else { return None };
    match &data[field] {
        Value::String(text) => Some(text.clone()),
        other => panic!("{other} is no text"),
    }
}

async fn keeps(field: &str, ty: &str, pairs: &[(&str, &str)]) {
    for (given, expected) in pairs {
        assert_eq!(echo(field, ty, Value::from(*given)).await.as_deref(), Some(*expected), "{given}");
    }
}

async fn refuses(field: &str, ty: &str, texts: &[&str]) {
    for text in texts {
        assert_eq!(echo(field, ty, Value::from(*text)).await, None, "{text}");
    }
    for other in [Value::from(1), Value::from(1.5), Value::from(true), Value::List(vec![])] {
        assert_eq!(echo(field, ty, other.clone()).await, None, "{other}");
    }
}

#[tokio::test]
async fn decimals_are_exact_texts() {
    let longest = "9999999999999999999999999999";
    keeps(
        "decimal",
        "Decimal",
        &[("0", "0"), ("-12.50", "-12.50"), ("0.10", "0.10"), (longest, longest), ("-0.999999999999999999999999999", "-0.999999999999999999999999999")],
    )
    .await;
    let too_long = format!("{longest}0");
    refuses("decimal", "Decimal", &["", "-", ".", "1.", ".5", "1e3", "1E3", "+1", "1,000", "1_000", " 1", "--1", "1.2.3", "NaN", "٣", &too_long]).await;
    assert_eq!(Decimal::parse(longest).unwrap().number().unwrap().to_string(), longest);
    assert_eq!(Decimal::from(Quantity::parse("1.500").unwrap()).text(), "1.5");
}

#[tokio::test]
async fn instants_are_answered_in_utc() {
    keeps(
        "instant",
        "DateTime",
        &[
            ("2026-02-28T09:30:00Z", "2026-02-28T09:30:00Z"),
            ("2026-02-28T09:30:00+05:30", "2026-02-28T04:00:00Z"),
            ("2026-02-28T23:30:00.123456789-01:00", "2026-03-01T00:30:00.123456Z"),
        ],
    )
    .await;
    refuses("instant", "DateTime", &["2026-02-28", "2026-02-28T09:30:00", "2026-02-30T09:30:00Z", "09:30", "now", ""]).await;
}

#[tokio::test]
async fn days_exist_in_the_calendar() {
    keeps("day", "LocalDate", &[("2024-02-29", "2024-02-29"), ("0001-01-01", "0001-01-01")]).await;
    refuses("day", "LocalDate", &["2023-02-29", "2024-2-9", "24-02-29", "2024-02-29T00:00:00Z", "0000-01-01", ""]).await;
}

#[tokio::test]
async fn currencies_are_codes_or_own_units() {
    keeps("currency", "CurrencyCode", &[("USD", "USD"), ("BTC", "BTC"), ("https://bank.example/points", "https://bank.example/points")]).await;
    refuses("currency", "CurrencyCode", &["", "U S", "€", &"X".repeat(65)]).await;
}

#[tokio::test]
async fn urls_are_for_browsers() {
    keeps("url", "URL", &[("https://bank.example/a?b=c#d", "https://bank.example/a?b=c#d"), ("HTTP://Bank.Example", "http://bank.example/")]).await;
    refuses("url", "URL", &["bank.example", "/path", "javascript:alert(1)", "data:text/html,x", "ftp://bank.example/", "file:///etc/passwd", "https://", ""])
        .await;
}

#[tokio::test]
async fn money_is_an_amount_and_its_currency() {
    let schema = Schema::new(Query, EmptyMutation, EmptySubscription);
    assert_eq!(schema.execute("{ money { amount currency } }").await.data, value!({ "money": { "amount": "-12.50", "currency": "USD" } }));
    let sdl = schema.sdl();
    for line in ["type Money {", "amount: Decimal!", "currency: CurrencyCode!", "scalar URL", "scalar DateTime", "scalar LocalDate"] {
        assert!(sdl.contains(line), "{line} in {sdl}");
    }
}
