//! Numbers as they were written. Schwab writes JSON numbers, which become what a double makes of them, at Schwab and here.

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{
    domain::money::{Amount, Currency, InvalidAmount, Quantity},
    infrastructure::providers::computed::computed,
};

/// The digits of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digits {
    /// The fewest that mean the double it was read as, which are those that were written unless there were more than seventeen.
    written: String,
    /// Of a double, what it says to fifteen digits. It guarantees no more: `1.5699999999999998` is what arithmetic makes of 1.57.
    guaranteed: Option<String>,
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(written) => Ok(Self { written, guaranteed: None }),
            Value::Number(number) => Ok(match number.as_f64().filter(|_| number.is_f64()) {
                Some(double) => Self { written: plain(double), guaranteed: format!("{double:.14e}").parse().ok().map(plain) },
                None => Self { written: number.to_string(), guaranteed: None },
            }),
            _ => Err(serde::de::Error::custom("not a number")),
        }
    }
}

/// Without an exponent, and nothing without its sign.
fn plain(double: f64) -> String {
    if double == 0.0 { "0".to_owned() } else { double.to_string() }
}

impl Digits {
    pub(super) fn text(&self) -> &str {
        &self.written
    }

    /// As it was written, if that can be kept, else as far as a double guarantees it. What has more decimals then as well is refused.
    fn read<T>(&self, read: impl Fn(&str) -> Result<T, InvalidAmount>) -> Result<T, InvalidAmount> {
        match (read(&self.written), &self.guaranteed) {
            (Err(InvalidAmount::TooPrecise), Some(guaranteed)) => read(guaranteed),
            (answer, _) => answer,
        }
    }

    pub(super) fn amount(&self, currency: &Currency) -> Result<Amount, InvalidAmount> {
        self.read(|digits| Amount::parse(digits, currency))
    }

    /// What something is worth: a product of price and units, so that it is cut as what is [`computed`] is.
    pub(super) fn valuation(&self, currency: &Currency) -> Result<Amount, InvalidAmount> {
        match self.amount(currency) {
            Err(InvalidAmount::TooPrecise) => computed(self.decimal().ok_or(InvalidAmount::TooPrecise)?, currency),
            answer => answer,
        }
    }

    pub(super) fn quantity(&self) -> Option<Quantity> {
        self.read(Quantity::parse).ok()
    }

    /// All of its digits, to go on computing with; `None` for more than a decimal has.
    pub(super) fn decimal(&self) -> Option<Decimal> {
        Decimal::from_str_exact(&self.written).ok()
    }
}
