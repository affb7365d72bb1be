//! Quantities and prices: NUMERIC(38,10) on PostgreSQL, text on SQLite whose order is numeric order.
//!
//! SQLite has no exact decimals. The text is of fixed width: a sign, 18 digits, a point, 10 digits. The sign is `1` for zero and
//! above and `0` below; the digits of a negative number are complemented to nine, so that a larger magnitude sorts earlier.
//! `12.5` is `1000000000000000012.5000000000` and `-12.5` is `0999999999999999987.4999999999`.

use rust_decimal::Decimal;
use sea_orm::{
    ColIdx, ColumnType, DbBackend, QueryResult, TryGetError, TryGetable, Value,
    sea_query::{ArrayType, Nullable, ValueType, ValueTypeErr},
};

use crate::domain::money::{QUANTITY_SCALE, Quantity};

const WHOLE_DIGITS: usize = 18;

/// A quantity as the database at hand keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoredQuantity {
    /// PostgreSQL.
    Numeric(Decimal),
    /// SQLite.
    Text(String),
}

impl StoredQuantity {
    /// For writing to `backend`.
    pub(super) fn new(quantity: Quantity, backend: DbBackend) -> Self {
        match backend {
            DbBackend::Postgres => Self::Numeric(quantity.decimal()),
            _ => Self::Text(to_text(quantity)),
        }
    }

    /// What was stored; `None` when it is nothing this type would have written.
    pub(super) fn quantity(&self) -> Option<Quantity> {
        match self {
            Self::Numeric(decimal) => Quantity::new(*decimal).ok(),
            Self::Text(text) => from_text(text),
        }
    }
}

fn to_text(quantity: Quantity) -> String {
    let decimal = quantity.decimal();
    // A quantity has at most 18 digits before the point and 10 after it, so 28 digits in all, which a Decimal always holds.
    let units = decimal.mantissa() * 10_i128.pow(QUANTITY_SCALE - decimal.scale());
    let digits = format!("{:028}", units.unsigned_abs());
    let (whole, fraction) = digits.split_at(WHOLE_DIGITS);
    if units < 0 { format!("0{}.{}", complement(whole), complement(fraction)) } else { format!("1{whole}.{fraction}") }
}

fn from_text(text: &str) -> Option<Quantity> {
    let (whole, fraction) = text.get(1..)?.split_once('.')?;
    let digits = |part: &str, width: usize| part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole, WHOLE_DIGITS) || !digits(fraction, QUANTITY_SCALE as usize) {
        return None;
    }
    match text.as_bytes()[0] {
        b'1' => Quantity::parse(&format!("{whole}.{fraction}")).ok(),
        b'0' => Quantity::parse(&format!("-{}.{}", complement(whole), complement(fraction))).ok(),
        _ => None,
    }
}

/// Each digit's distance to nine.
fn complement(digits: &str) -> String {
    digits.bytes().map(|digit| char::from(b'0' + (b'9' - digit))).collect()
}

impl From<StoredQuantity> for Value {
    fn from(stored: StoredQuantity) -> Self {
        match stored {
            StoredQuantity::Numeric(decimal) => decimal.into(),
            StoredQuantity::Text(text) => text.into(),
        }
    }
}

impl Nullable for StoredQuantity {
    /// A numeric null: PostgreSQL asks for the type even of nothing, SQLite does not.
    fn null() -> Value {
        Value::Decimal(None)
    }
}

impl TryGetable for StoredQuantity {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        if row.try_as_sqlite_row().is_some() { String::try_get_by(row, index).map(Self::Text) } else { Decimal::try_get_by(row, index).map(Self::Numeric) }
    }
}

impl ValueType for StoredQuantity {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        match value {
            Value::Decimal(Some(decimal)) => Ok(Self::Numeric(decimal)),
            Value::String(Some(text)) => Ok(Self::Text(text)),
            _ => Err(ValueTypeErr),
        }
    }

    fn type_name() -> String {
        "StoredQuantity".to_owned()
    }

    fn array_type() -> ArrayType {
        ArrayType::Decimal
    }

    fn column_type() -> ColumnType {
        ColumnType::Decimal(Some((38, QUANTITY_SCALE)))
    }
}
