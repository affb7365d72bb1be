//! Numbers as they were written. Schwab writes JSON numbers, which would become what a float makes of them.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::domain::money::{Amount, Currency, InvalidAmount, Quantity};

/// The digits of a number: the fewest that mean the float it was read as, which are those that were written unless there were more than
/// seventeen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digits(String);

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            Value::Number(number) if number.is_f64() => {
                number.as_f64().map(|float| if float == 0.0 { "0".to_owned() } else { float.to_string() }).unwrap_or_default()
            }
            Value::Number(number) => number.to_string(),
            _ => return Err(serde::de::Error::custom("not a number")),
        };
        Ok(Self(digits))
    }
}

impl Digits {
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    pub(super) fn amount(&self, currency: &Currency) -> Result<Amount, InvalidAmount> {
        Amount::parse(&self.0, currency)
    }

    pub(super) fn quantity(&self) -> Option<Quantity> {
        Quantity::parse(&self.0).ok()
    }
}
