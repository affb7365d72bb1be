//! Holdings: what an account holds besides money, how much of it, and what that is worth and was paid for.
//!
//! A position is told apart within its account by its security, so that it keeps its id while it is held. Nothing here multiplies a number
//! of units by a price: an option stands for a hundred shares, a bond is quoted in per cent, and only the broker knows the value.

use super::{
    money::{Amount, Currency, Money, Quantity},
    time::Timestamp,
    transaction::Security,
};

/// A position as a provider reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedHolding {
    /// The provider's own id of the position or of its security, when it gives one that stays.
    pub reference: Option<String>,
    /// What is held. Where there is no ticker, the symbol is what the provider knows it by.
    pub security: Security,
    /// Its nine characters in North America, when the provider says them.
    pub cusip: Option<String>,
    /// Its twelve characters everywhere (ISO 6166), when the provider says them.
    pub isin: Option<String>,
    /// How many units: a position that is owed to someone (a short) is negative.
    pub quantity: Quantity,
    /// What price and market value are counted in; need not be the account's currency.
    pub currency: Currency,
    /// The price of one unit as the provider quotes it; need not multiply to the value.
    pub price: Option<Quantity>,
    /// What the position is worth, in `currency`; negative for a short.
    pub market_value: Option<Amount>,
    /// What was paid for all of it, or received for a short and then negative; only when the provider says so.
    pub cost_basis: Option<Money>,
    /// The instant the provider gives for price and value; `None` when it does not say.
    pub as_of: Option<Timestamp>,
}
