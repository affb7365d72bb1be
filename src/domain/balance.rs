//! Balances: what an account holds, and the snapshot that every sync and every statement with a balance leaves.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    id::{AccountId, ImportId, UserId},
    money::{Amount, Currency, Money, Sum},
    page::{CreatedKey, Page, Slice},
    time::{LocalDate, Timestamp},
};

/// What an account holds, in its own currency, from the owner's view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balances {
    /// What the owner has: a debt is negative. Pending rows are never inside it. `None` when the provider did not say.
    pub current: Option<Amount>,
    /// What can be spent now, only when the provider says so.
    pub available: Option<Amount>,
    /// The credit line, only when the provider says so; never negative.
    pub limit: Option<Amount>,
    /// The instant the provider gives for these numbers, else the instant they were fetched.
    pub as_of: Option<Timestamp>,
}

/// The balances as one sync found them, or one statement says they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceSnapshot {
    /// The account.
    pub account: AccountId,
    /// Whose it is.
    pub user: UserId,
    /// When the sync ran; of a statement, the instant it is of.
    pub taken_at: Timestamp,
    /// What it found.
    pub balances: Balances,
}

impl Balances {
    /// Whether what a statement says is younger than this, which is known, or corrects it. What was told of the same instant before was
    /// corrected itself, and corrects nothing when it is told again. A statement without a balance says nothing, now or once another one comes.
    pub fn gives_way_to(&self, told: &Self, is_first_told: bool, now: Timestamp) -> bool {
        let known = self.known_at(now);
        let is_other = told.current != self.current || told.available != self.available;
        let is_news = self.current.is_none() || told.as_of > known || told.as_of.is_some() && told.as_of == known && is_other && is_first_told;
        told.current.is_some() && is_news
    }

    /// Since when it is known what the account holds; `None` when it is not. What is known of a time to come is not known.
    pub fn known_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.as_of.filter(|as_of| self.current.is_some() && *as_of <= now)
    }

    /// Whether both are the same amounts, of whatever instant.
    pub fn equals(&self, other: &Self) -> bool {
        Self { as_of: other.as_of, ..*self } == *other
    }
}

/// Snapshots, inside a unit of work.
#[async_trait]
pub trait BalanceSnapshots: Send {
    /// One more snapshot.
    async fn insert(&mut self, snapshot: &BalanceSnapshot) -> anyhow::Result<()>;
    /// One more snapshot, told by an import; none, and `false`, when the last one of that instant says the same, or an earlier one does and the
    /// import has nothing else that is new.
    async fn tell(&mut self, snapshot: &BalanceSnapshot, import: ImportId, has_news: bool) -> anyhow::Result<bool>;
    /// Turns the sign of every current balance of an account.
    async fn turn_signs(&mut self, owner: UserId, account: AccountId) -> anyhow::Result<()>;
}

/// The balances a day of the calendar (UTC) ended with, as its last sync found them or the last statement of that day says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayBalance {
    /// The snapshot's own id.
    pub id: Uuid,
    /// The account.
    pub account: AccountId,
    /// When they were found; of a statement, the instant it is of.
    pub taken_at: Timestamp,
    /// What they were.
    pub balances: Balances,
}

/// The days of a history, both ends included; an end that is missing is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct DayRange {
    /// The first day.
    pub from: Option<LocalDate>,
    /// The last day.
    pub to: Option<LocalDate>,
}

/// Sums by currency, in the order of their codes; amounts of different currencies are never added.
pub fn net_worth(balances: impl IntoIterator<Item = Money>) -> Vec<Sum> {
    let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
    for Money { amount, currency } in balances {
        *sums.entry(currency).or_default() += i128::from(amount.units());
    }
    sums.into_iter().map(|(currency, units)| Sum { units, currency }).collect()
}

/// Balances for queries and loaders.
#[async_trait]
pub trait BalanceReader: Send + Sync {
    /// The same page of the history of each of several accounts of `owner`, oldest day first, in one statement; an account without any may be
    /// missing.
    async fn days_by_account(
        &self,
        owner: UserId,
        accounts: &[AccountId],
        range: DayRange,
        page: Page<CreatedKey>,
    ) -> anyhow::Result<HashMap<AccountId, Slice<DayBalance>>>;
    /// What each active account of `owner` has whose link was not taken away, as far as it is known.
    async fn counted(&self, owner: UserId) -> anyhow::Result<Vec<Money>>;
}
