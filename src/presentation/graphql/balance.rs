//! Balances in the graph: what accounts hold, and held.

use async_graphql::{InputObject, Object, SimpleObject};

use crate::{
    application::access::Resource,
    domain::{
        balance::{self, DayBalance, DayRange},
        money::{Amount, Currency, Money as DomainMoney},
        page::CreatedKey,
    },
};

use super::{
    guard::Allow,
    page::connection,
    scalar::{DateTime, LocalDate, Money},
};

/// What an account holds, from the owner's view.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Accounts))]
pub struct Balances {
    /// What the owner has; a debt is negative. Pending transactions are not inside it. Null when the provider did not say.
    current: Option<Money>,
    /// What can be spent now; null unless the provider says so.
    available: Option<Money>,
    /// The credit line; null unless the provider says so.
    limit: Option<Money>,
    /// When these numbers were true: the provider's instant, else the instant they were fetched. Null when none was given.
    as_of: Option<DateTime>,
}

impl Balances {
    /// Of an account in that currency.
    pub(super) fn of(balances: &balance::Balances, currency: &Currency) -> Self {
        let money = |amount: Option<Amount>| amount.map(|amount| Money::from(DomainMoney { amount, currency: currency.clone() }));
        Self { current: money(balances.current), available: money(balances.available), limit: money(balances.limit), as_of: balances.as_of.map(DateTime) }
    }
}

/// What one day ended with, as the graph shows it.
#[derive(Clone)]
pub struct DayBalanceObject {
    pub(super) day: DayBalance,
    pub(super) currency: Currency,
}

impl DayBalanceObject {
    pub(crate) fn key(&self) -> CreatedKey {
        CreatedKey { created_at: self.day.taken_at, id: self.day.id }
    }
}

/// What an account held at the end of a day, as far as it is known: what the last sync of that day found, or the last statement that is of that
/// day says. A day without one has no entry; a chart draws on from the entry before.
#[Object(name = "DayBalance", serial, guard = Allow::read(Resource::Accounts))]
impl DayBalanceObject {
    /// The day (UTC).
    async fn date(&self) -> LocalDate {
        LocalDate(self.day.taken_at.day())
    }

    /// When the balances were fetched; of a statement file, the instant they are of.
    async fn taken_at(&self) -> DateTime {
        DateTime(self.day.taken_at)
    }

    /// What they were.
    async fn balances(&self) -> Balances {
        Balances::of(&self.day.balances, &self.currency)
    }
}

connection!(
    /// A page of the history of an account's balances.
    BalanceHistoryConnection,
    /// A day in a page.
    BalanceHistoryEdge,
    DayBalanceObject,
    CreatedKey,
    Accounts
);

/// Which days of a history are wanted; every field narrows.
#[derive(InputObject)]
pub struct DayRangeInput {
    /// This day or later (UTC).
    from: Option<LocalDate>,
    /// This day or earlier (UTC).
    to: Option<LocalDate>,
}

impl From<DayRangeInput> for DayRange {
    fn from(input: DayRangeInput) -> Self {
        Self { from: input.from.map(|day| day.0), to: input.to.map(|day| day.0) }
    }
}
