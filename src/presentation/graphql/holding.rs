//! Holdings in the graph.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object};

use crate::{
    application::access::Resource,
    domain::{
        holding::{Holding, HoldingFilter},
        page::CreatedKey,
    },
};

use super::{
    ContextExt,
    account::AccountNode,
    error::{Code, Fault},
    global_id::{GlobalId, id_or_nothing},
    guard::Allow,
    page::connection,
    scalar::{CurrencyCode, DateTime, Decimal, Money},
    transaction::{AssetType, Security},
};

/// One holding, as the graph shows it.
#[derive(Clone)]
pub struct HoldingNode(pub Arc<Holding>);

impl HoldingNode {
    pub(crate) fn key(&self) -> CreatedKey {
        CreatedKey { created_at: self.0.created_at, id: self.0.id.0 }
    }
}

/// A position: how much of a security an account holds. What it is worth is inside the `current` balance of its account, so adding the two
/// counts it twice. Quantity times price need not be the market value: an option stands for a hundred shares, a bond is quoted in per cent.
#[Object(name = "Holding", serial, guard = Allow::read(Resource::Accounts))]
impl HoldingNode {
    /// The global id, `hold_…`; the same while it is held. What was sold and bought again is another.
    pub async fn id(&self) -> ID {
        GlobalId::from(self.0.id).to_id()
    }

    /// The account it is in; null only while that is being removed.
    async fn account(&self, ctx: &Context<'_>) -> Result<Option<AccountNode>, Fault> {
        Ok(ctx.of_request()?.loaders.account(self.0.account).await?.map(AccountNode))
    }

    /// What is held.
    async fn security(&self) -> Security {
        (&self.0.facts.security).into()
    }

    /// The security's nine characters in North America; null when the provider does not say.
    async fn cusip(&self) -> Option<&str> {
        self.0.facts.cusip.as_deref()
    }

    /// The security's twelve characters everywhere (ISO 6166); null when the provider does not say.
    async fn isin(&self) -> Option<&str> {
        self.0.facts.isin.as_deref()
    }

    /// How many units; negative for a short, which is owed to someone.
    async fn quantity(&self) -> Decimal {
        self.0.facts.quantity.into()
    }

    /// What price and market value are counted in; need not be the account's currency.
    async fn currency(&self) -> CurrencyCode {
        CurrencyCode(self.0.facts.currency.clone())
    }

    /// The price of one unit in `currency`, as the provider quotes it; null when it does not.
    async fn price(&self) -> Option<Decimal> {
        self.0.facts.price.map(Into::into)
    }

    /// What the position is worth; negative for a short. Null when the provider does not say.
    async fn market_value(&self) -> Option<Money> {
        self.0.market_value().map(Into::into)
    }

    /// What was paid for all of it, or received for a short and then negative. Null when the provider does not say.
    async fn cost_basis(&self) -> Option<Money> {
        self.0.facts.cost_basis.clone().map(Into::into)
    }

    /// Market value less cost basis, a loss being negative. Null when either is null, and when they are of different currencies.
    async fn gain(&self) -> Option<Money> {
        self.0.gain().map(Into::into)
    }

    /// When price and value were true; null when the provider does not say.
    async fn as_of(&self) -> Option<DateTime> {
        self.0.facts.as_of.map(DateTime)
    }

    /// When it was first seen.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }
}

connection!(
    /// A page of holdings.
    HoldingConnection,
    /// A holding in a page.
    HoldingEdge,
    HoldingNode,
    CreatedKey,
    Accounts
);

/// What part of the holdings is wanted; every field narrows.
#[derive(InputObject)]
pub struct HoldingFilterInput {
    /// Only those in these accounts, at most 100.
    account_ids: Option<Vec<ID>>,
    /// Only securities of these kinds.
    asset_types: Option<Vec<AssetType>>,
    /// Only this symbol, as the provider writes it; 1 to 64 characters.
    symbol: Option<String>,
}

/// The most accounts a filter names.
const MAX_FILTER_ACCOUNTS: usize = 100;

/// The longest symbol a filter looks for, in characters.
const MAX_FILTER_SYMBOL: usize = 64;

impl TryFrom<HoldingFilterInput> for HoldingFilter {
    type Error = Fault;

    fn try_from(input: HoldingFilterInput) -> Result<Self, Fault> {
        let wrong = |message: &str| Fault::new(Code::BadUserInput, message);
        if input.account_ids.as_ref().is_some_and(|ids| ids.len() > MAX_FILTER_ACCOUNTS) {
            return Err(wrong("a filter names at most 100 accounts"));
        }
        if input.symbol.as_ref().is_some_and(|symbol| !(1..=MAX_FILTER_SYMBOL).contains(&symbol.chars().count()) || symbol.contains('\0')) {
            return Err(wrong("a filter's symbol has 1 to 64 characters"));
        }
        Ok(Self {
            accounts: input.account_ids.map(|ids| ids.iter().map(|id| id_or_nothing(id)).collect()),
            asset_types: input.asset_types.map(|types| types.into_iter().map(Into::into).collect()),
            symbol: input.symbol,
        })
    }
}
