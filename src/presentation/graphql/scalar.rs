//! The scalars of the graph, and money.
//!
//! Each wraps a value that was checked, and says in its description (which clients read) what it accepts. A value of the wrong form
//! is refused by validation, before anything runs. None of them reads a JSON number: a number may have been through a float.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, SimpleObject, Value};

use crate::domain::{
    money::{self, Amount, Currency, Quantity},
    time::{self, Timestamp},
};

/// A decimal number as exact text, such as `-12.50`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal(String);

/// Digits a [`Decimal`] may have, before and after the point together; what `rust_decimal` holds without rounding.
pub const DECIMAL_DIGITS: usize = 28;

/// What a text must look like to be a [`Decimal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a decimal is a text of at most 28 digits with an optional minus sign and decimal point, such as \"-12.50\"")]
pub struct InvalidDecimal;

impl Decimal {
    /// An optional `-`, digits, and optionally a point and digits; no exponent, no `+`, no separators.
    pub fn parse(input: &str) -> Result<Self, InvalidDecimal> {
        let digits = input.strip_prefix('-').unwrap_or(input);
        let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let is_short = whole.len() + fraction.map_or(0, str::len) <= DECIMAL_DIGITS;
        if is_digits(whole) && fraction.is_none_or(is_digits) && is_short { Ok(Self(input.to_owned())) } else { Err(InvalidDecimal) }
    }

    /// An amount as clients see it.
    pub fn of(amount: Amount, currency: &Currency) -> Self {
        Self(amount.to_text(currency))
    }

    /// The text, as the domain's own parsers take it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The exact number.
    pub fn number(&self) -> Result<rust_decimal::Decimal, InvalidDecimal> {
        rust_decimal::Decimal::from_str_exact(&self.0).map_err(|_| InvalidDecimal)
    }
}

impl From<Quantity> for Decimal {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.to_string())
    }
}

/// An exact decimal number as a string, such as `"-12.50"`: digits with an optional minus sign and decimal point, at most 28 digits,
/// no exponent. JSON numbers are refused, since a number may lose digits on its way.
#[Scalar(name = "Decimal")]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        text_of(value).and_then(|text| Ok(Self::parse(&text)?))
    }

    fn is_valid(value: &Value) -> bool {
        <Self as ScalarType>::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// An instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime(pub Timestamp);

impl From<Timestamp> for DateTime {
    fn from(instant: Timestamp) -> Self {
        Self(instant)
    }
}

/// An instant as RFC 3339 text, such as `"2026-02-28T09:30:00Z"`. Answers are in UTC with up to six digits of a second; input may
/// have any offset and is cut to microseconds.
#[Scalar(name = "DateTime", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let instant = chrono::DateTime::parse_from_rfc3339(&text_of(value)?)?;
        Ok(Self(Timestamp::new(instant.to_utc())))
    }

    fn is_valid(value: &Value) -> bool {
        <Self as ScalarType>::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalDate(pub time::LocalDate);

impl From<time::LocalDate> for LocalDate {
    fn from(day: time::LocalDate) -> Self {
        Self(day)
    }
}

/// A calendar day without a time zone, `"YYYY-MM-DD"`, of the years 1 to 9999.
#[Scalar(name = "LocalDate", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for LocalDate {
    fn parse(value: Value) -> InputValueResult<Self> {
        text_of(value).and_then(|text| Ok(Self(time::LocalDate::parse(&text)?)))
    }

    fn is_valid(value: &Value) -> bool {
        <Self as ScalarType>::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// What money is counted in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrencyCode(pub Currency);

impl From<Currency> for CurrencyCode {
    fn from(currency: Currency) -> Self {
        Self(currency)
    }
}

/// An ISO 4217 code in capitals, such as `"USD"`, or a provider's own unit as the provider writes it: 1 to 64 printable ASCII
/// characters without spaces.
#[Scalar(name = "CurrencyCode")]
impl ScalarType for CurrencyCode {
    fn parse(value: Value) -> InputValueResult<Self> {
        text_of(value).and_then(|text| Ok(Self(Currency::parse(&text)?)))
    }

    fn is_valid(value: &Value) -> bool {
        <Self as ScalarType>::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.code().to_owned())
    }
}

/// An address a browser can open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebUrl(url::Url);

/// What a text must look like to be a [`WebUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a URL is absolute and begins with http:// or https://")]
pub struct InvalidUrl;

impl WebUrl {
    /// The address.
    pub fn url(&self) -> &url::Url {
        &self.0
    }
}

impl TryFrom<url::Url> for WebUrl {
    type Error = InvalidUrl;

    fn try_from(url: url::Url) -> Result<Self, Self::Error> {
        if matches!(url.scheme(), "http" | "https") { Ok(Self(url)) } else { Err(InvalidUrl) }
    }
}

/// An absolute `http` or `https` URL.
#[Scalar(name = "URL", specified_by_url = "https://url.spec.whatwg.org/")]
impl ScalarType for WebUrl {
    fn parse(value: Value) -> InputValueResult<Self> {
        let url = url::Url::parse(&text_of(value)?).map_err(|_| InvalidUrl)?;
        Ok(Self::try_from(url)?)
    }

    fn is_valid(value: &Value) -> bool {
        <Self as ScalarType>::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// An amount of money with its unit.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct Money {
    /// How much. Shown with at least the decimals its currency has.
    pub amount: Decimal,
    /// Of what.
    pub currency: CurrencyCode,
}

impl From<money::Money> for Money {
    fn from(money: money::Money) -> Self {
        Self { amount: Decimal::of(money.amount, &money.currency), currency: CurrencyCode(money.currency) }
    }
}

impl From<money::Sum> for Money {
    fn from(sum: money::Sum) -> Self {
        Self { amount: Decimal(sum.to_text()), currency: CurrencyCode(sum.currency) }
    }
}

fn text_of<T: async_graphql::InputType>(value: Value) -> Result<String, InputValueError<T>> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(InputValueError::expected_type(other)),
    }
}
