//! Holdings: what an account holds besides money, how much of it, and what that is worth and was paid for.
//!
//! A position is told apart within its account by its security, so that it keeps its id while it is held. Nothing here multiplies a number
//! of units by a price: an option stands for a hundred shares, a bond is quoted in per cent, and only the broker knows the value.

use std::collections::HashMap;

use async_trait::async_trait;

use super::{
    id::{AccountId, HoldingId, UserId},
    money::{Amount, Currency, Money, Quantity},
    page::{CreatedKey, Page, Slice},
    time::Timestamp,
    transaction::{AssetType, Security},
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

impl ReportedHolding {
    /// Whether this may be what a position is called that could not be read; one that is called nothing may be any.
    pub fn may_be(&self, name: &str) -> bool {
        let names = [self.reference.as_deref(), self.cusip.as_deref(), self.isin.as_deref(), self.security.name.as_deref()];
        name.is_empty() || self.security.symbol == name || names.contains(&Some(name))
    }
}

/// One position of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The same while it is held.
    pub id: HoldingId,
    /// Whose it is.
    pub user: UserId,
    /// The account it is in.
    pub account: AccountId,
    /// What the provider said last.
    pub facts: ReportedHolding,
    /// When Dashtam first saw it.
    pub created_at: Timestamp,
}

impl Holding {
    /// What the position is worth.
    pub fn market_value(&self) -> Option<Money> {
        self.facts.market_value.map(|amount| Money { amount, currency: self.facts.currency.clone() })
    }

    /// Market value less cost basis: what selling all of it would have brought or lost. `None` when either is not known, when they are of
    /// different currencies, and when it is more than an amount holds.
    pub fn gain(&self) -> Option<Money> {
        let (value, cost) = (self.market_value()?, self.facts.cost_basis.as_ref()?);
        if value.currency != cost.currency {
            return None;
        }
        value.amount.checked_add(cost.amount.negated()).map(|amount| Money { amount, currency: value.currency })
    }
}

/// Which known position each reported one is, in the order of the report; `None` for what is new. Known ones that are not in it are gone.
///
/// The provider's own id counts most, then the identifiers all the world uses, then symbol and kind. Of several alike (the same security held
/// in lots, or long and short at once) the first is the first.
pub fn recognise(known: &[Holding], reported: &[ReportedHolding]) -> Vec<Option<HoldingId>> {
    let mut found: Vec<Option<HoldingId>> = vec![None; reported.len()];
    let mut left: Vec<&Holding> = known.iter().collect();
    let same = |one: Option<&String>, other: Option<&String>| one.is_some() && one == other;
    let ways: [fn(&ReportedHolding) -> Option<&String>; 3] = [|facts| facts.reference.as_ref(), |facts| facts.isin.as_ref(), |facts| facts.cusip.as_ref()];
    for way in ways {
        pair(&mut found, &mut left, reported, |one, other| same(way(one), way(other)));
    }
    // Two that each have a name of their own are two, whatever their symbol.
    let differ = |one: &Option<String>, other: &Option<String>| one.is_some() && other.is_some() && one != other;
    pair(&mut found, &mut left, reported, |one, other| {
        let is_same = one.security.symbol == other.security.symbol && one.security.asset_type == other.security.asset_type;
        is_same && !differ(&one.isin, &other.isin) && !differ(&one.cusip, &other.cusip)
    });
    found
}

/// Finds to each reported position that is not known yet the first known one that is left and the same.
fn pair(found: &mut [Option<HoldingId>], left: &mut Vec<&Holding>, reported: &[ReportedHolding], is_same: impl Fn(&ReportedHolding, &ReportedHolding) -> bool) {
    for (found, reported) in found.iter_mut().zip(reported).filter(|(found, _)| found.is_none()) {
        if let Some(at) = left.iter().position(|known| is_same(&known.facts, reported)) {
            *found = Some(left.remove(at).id);
        }
    }
}

/// What part of the holdings is wanted; every field narrows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct HoldingFilter {
    /// Only those in these accounts.
    pub accounts: Option<Vec<AccountId>>,
    /// Only these kinds.
    pub asset_types: Option<Vec<AssetType>>,
    /// Only those of this symbol, as the provider writes it.
    pub symbol: Option<String>,
}

/// Holdings, inside a unit of work.
#[async_trait]
pub trait Holdings: Send {
    /// All of an account, oldest first.
    async fn of_account(&mut self, owner: UserId, account: AccountId) -> anyhow::Result<Vec<Holding>>;
    /// A new one.
    async fn insert(&mut self, holding: &Holding) -> anyhow::Result<()>;
    /// Stores what the provider now says of a known one.
    async fn save(&mut self, holding: &Holding, now: Timestamp) -> anyhow::Result<()>;
    /// Removes one that is held no more.
    async fn remove(&mut self, owner: UserId, id: HoldingId) -> anyhow::Result<()>;
}

/// Holdings for queries and loaders.
#[async_trait]
pub trait HoldingReader: Send + Sync {
    /// Those of `ids` that belong to `owner`, in no particular order.
    async fn find_many(&self, owner: UserId, ids: &[HoldingId]) -> anyhow::Result<Vec<Holding>>;
    /// The holdings of `owner`, oldest first.
    async fn page(&self, owner: UserId, filter: &HoldingFilter, page: Page<CreatedKey>) -> anyhow::Result<Slice<Holding>>;
    /// The same page of each of several accounts of `owner`, in one statement; an account without any may be missing.
    async fn pages_by_account(&self, owner: UserId, accounts: &[AccountId], page: Page<CreatedKey>) -> anyhow::Result<HashMap<AccountId, Slice<Holding>>>;
}
