//! Money and quantities, exact.
//!
//! An amount is a whole number of ten-thousandths of an ISO 4217 unit, or of hundred-millionths of any other unit, in an i64:
//! ±922,337,203,685,477.5807 for dollars. What does not fit, or has more decimals, is refused, never rounded. Arithmetic is
//! checked; amounts of different units are never added.

use iso_currency::Currency as Iso;
use rust_decimal::Decimal;

/// What money is counted in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(String);

/// Why a text is not a unit of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a currency is an ISO 4217 code such as USD, or a provider's own unit of 1 to 64 printable ASCII characters without spaces")]
pub struct InvalidCurrency;

impl Currency {
    /// An ISO 4217 code in capitals, or a provider's own unit (a coin, a points scheme, a URL as SimpleFIN has it), kept as written.
    pub fn parse(input: &str) -> Result<Self, InvalidCurrency> {
        let printable = !input.is_empty() && input.len() <= 64 && input.bytes().all(|byte| byte.is_ascii_graphic());
        if printable { Ok(Self(input.to_owned())) } else { Err(InvalidCurrency) }
    }

    /// The code as written.
    pub fn code(&self) -> &str {
        &self.0
    }

    /// Whether it is a unit of ISO 4217.
    pub fn is_iso(&self) -> bool {
        Iso::from_code(&self.0).is_some()
    }

    /// Decimals an amount of this unit is kept with: 4 for ISO 4217 units, 8 for any other.
    pub fn scale(&self) -> u32 {
        if self.is_iso() { 4 } else { 8 }
    }

    /// Decimals an amount of this unit is shown with at least: the ISO 4217 minor unit, none for a unit without one.
    pub fn digits(&self) -> u32 {
        Iso::from_code(&self.0).and_then(iso_currency::Currency::exponent).map_or(0, u32::from)
    }
}

impl std::fmt::Display for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A number of the smallest kept parts of a unit; which unit, and so which scale, stands beside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Amount(i64);

/// Why a text or a sum is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    /// Not digits with at most one decimal point and a sign.
    #[error("an amount is written as digits with an optional sign and decimal point, without exponent or separators")]
    Malformed,
    /// More decimals than the unit is kept with; rounding would lose money.
    #[error("the amount has more decimals than its currency allows")]
    TooPrecise,
    /// Beyond what an i64 holds at the unit's scale.
    #[error("the amount is out of range")]
    OutOfRange,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From the stored whole number. `i64::MIN` has no positive twin and is refused.
    pub fn from_units(units: i64) -> Result<Self, InvalidAmount> {
        if units == i64::MIN { Err(InvalidAmount::OutOfRange) } else { Ok(Self(units)) }
    }

    /// The stored whole number, at the scale of its currency.
    pub fn units(self) -> i64 {
        self.0
    }

    /// Reads a decimal text such as `-12.5` as an amount of `currency`. A leading `+` is accepted, as banks write it; an exponent
    /// is not.
    pub fn parse(input: &str, currency: &Currency) -> Result<Self, InvalidAmount> {
        let (negative, digits) = match input.as_bytes() {
            [b'-', ..] => (true, &input[1..]),
            [b'+', ..] => (false, &input[1..]),
            _ => (false, input),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !numeric(whole) || !numeric(fraction) {
            return Err(InvalidAmount::Malformed);
        }
        let scale = currency.scale() as usize;
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > scale {
            return Err(InvalidAmount::TooPrecise);
        }
        let units = whole
            .bytes()
            .chain(fraction.bytes())
            .chain(std::iter::repeat_n(b'0', scale - fraction.len()))
            .try_fold(0_i64, |sum, digit| sum.checked_mul(10)?.checked_add(i64::from(digit - b'0')))
            .ok_or(InvalidAmount::OutOfRange)?;
        Ok(Self(if negative { -units } else { units }))
    }

    /// Exact conversion; more decimals than the unit is kept with are refused.
    pub fn from_decimal(value: Decimal, currency: &Currency) -> Result<Self, InvalidAmount> {
        Self::parse(&value.to_string(), currency)
    }

    /// `self + other` of the same unit; `None` on overflow.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(|units| Self::from_units(units).ok())
    }

    /// The amount with its sign turned.
    #[must_use]
    pub fn negated(self) -> Self {
        Self(-self.0)
    }

    /// The amount without its sign.
    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// True below zero.
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The decimal text clients see: at least the currency's ISO digits, no further trailing zeros, no exponent, no `-0`.
    pub fn to_text(self, currency: &Currency) -> String {
        decimal_text(i128::from(self.0), currency)
    }
}

fn decimal_text(units: i128, currency: &Currency) -> String {
    let scale = currency.scale() as usize;
    let digits = format!("{:0width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let kept = fraction.trim_end_matches('0').len().max(currency.digits() as usize);
    let sign = if units < 0 { "-" } else { "" };
    let point = if kept == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{}", &fraction[..kept])
}

/// What amounts of one unit come to together, however many there are: an `i128` holds more of them than a database holds rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// The whole number, at the scale of `currency`.
    pub units: i128,
    /// Of what.
    pub currency: Currency,
}

impl Sum {
    /// As [`Amount::to_text`].
    pub fn to_text(&self) -> String {
        decimal_text(self.units, &self.currency)
    }
}

/// An amount with its unit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Money {
    /// How much, at the scale of `currency`.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.amount.to_text(&self.currency), self.currency)
    }
}

/// A number of shares, coins or a unit price: at most 18 digits before the point and 10 after it, exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quantity(Decimal);

/// Decimals a [`Quantity`] is kept with.
pub const QUANTITY_SCALE: u32 = 10;

impl Quantity {
    /// Refuses what has more than 10 decimals or more than 18 digits before the point.
    pub fn new(value: Decimal) -> Result<Self, InvalidAmount> {
        let value = value.normalize();
        if value.scale() > QUANTITY_SCALE {
            return Err(InvalidAmount::TooPrecise);
        }
        if value.abs() >= Decimal::from_i128_with_scale(1_000_000_000_000_000_000, 0) {
            return Err(InvalidAmount::OutOfRange);
        }
        Ok(Self(value))
    }

    /// Reads digits with an optional sign and point; exponents are refused.
    pub fn parse(input: &str) -> Result<Self, InvalidAmount> {
        let trimmed = input.strip_prefix('+').unwrap_or(input);
        if trimmed.is_empty() || !trimmed.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-') {
            return Err(InvalidAmount::Malformed);
        }
        // Decimal rounds what it cannot hold, so digits beyond its 28 must be refused before it sees them.
        let (whole, fraction) = trimmed.split_once('.').unwrap_or((trimmed, ""));
        let whole_digits = whole.trim_start_matches('-').trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > QUANTITY_SCALE as usize {
            return Err(InvalidAmount::TooPrecise);
        }
        if whole_digits.len() > 18 {
            return Err(InvalidAmount::OutOfRange);
        }
        let plain = if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") };
        plain.parse::<Decimal>().map_err(|_| InvalidAmount::Malformed).and_then(Self::new)
    }

    /// The exact value.
    pub fn decimal(self) -> Decimal {
        self.0
    }
}

/// Digits without trailing zeros, no exponent, no `-0`.
impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_zero() { f.write_str("0") } else { write!(f, "{}", self.0.normalize()) }
    }
}
