//! Amounts that are computed, by a provider or by us: of prices, averages and numbers of units.

use rust_decimal::{Decimal, RoundingStrategy};

use crate::domain::money::{Amount, Currency, InvalidAmount};

/// A computed amount, cut to what an amount of its unit is kept with, half to even. It is a product or a quotient by nature, so decimals beyond
/// are no money that anybody has. What was booked is never cut: that goes by [`Amount::parse`].
pub(super) fn computed(value: Decimal, currency: &Currency) -> Result<Amount, InvalidAmount> {
    Amount::from_decimal(value.round_dp_with_strategy(currency.scale(), RoundingStrategy::MidpointNearestEven), currency)
}
