//! Providers: what can be linked, how, and the facts a provider reports.
//!
//! Everything below `Reported…` has already passed the adapter's edge: signs turned to the owner's view, days computed by the
//! provider's rule, numbers cut.

use super::{
    account::{AccountType, MaskedNumber},
    balance::Balances,
    holding::ReportedHolding,
    money::Currency,
    rate_limit::Budget,
    time::LocalDate,
    transaction::{TransactionFacts, TransactionStatus, words},
};

words! {
    /// What kind of institution a provider is.
    ProviderCategory {
        /// Banks and credit unions.
        Bank = "bank",
        /// Brokers.
        Brokerage = "brokerage",
        /// A service that reaches many institutions.
        Aggregator = "aggregator",
        /// Files a person downloads from their bank.
        File = "file",
        /// A bank made up for trying things out.
        Sandbox = "sandbox",
    }
}

words! {
    /// How a user links a provider.
    LinkMethod {
        /// By signing in at the bank (OAuth 2.0 authorization code with PKCE).
        Oauth = "oauth",
        /// By a key that the user makes at the provider and hands over.
        ApiKey = "api_key",
        /// By a token that the user gets at the provider and hands over; it can be exchanged once.
        SetupToken = "setup_token",
        /// By uploading statement files.
        File = "file",
    }
}

words! {
    /// What a provider tells of accounts.
    Served {
        /// What they hold.
        Balances = "balances",
        /// What came and went.
        Transactions = "transactions",
        /// The positions in them.
        Holdings = "holdings",
    }
}

/// What a provider is and does; the same for every user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its name in URLs and in the graph: lower-case letters and hyphens.
    pub slug: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// One sentence for someone choosing.
    pub description: &'static str,
    /// What kind of institution it is.
    pub category: ProviderCategory,
    /// How one links it.
    pub method: LinkMethod,
    /// What it tells of accounts.
    pub serves: &'static [Served],
    /// Where it is documented; `None` when it is nowhere but here.
    pub documentation: Option<&'static str>,
    /// How many requests it bears for each link; `None` when it names no such limit.
    pub for_each_link: Option<Budget>,
    /// How many requests it bears of this server altogether; `None` when it names no such limit.
    pub for_everyone: Option<Budget>,
    /// How many days of history it gives; `None` when it does not say.
    pub history_days: Option<u32>,
    /// How many days the bank's consent lasts; `None` when it does not end by itself.
    pub consent_days: Option<u32>,
    /// After how many days without anything new its data counts as stale.
    pub fresh_days: u32,
}

/// How far back "everything" goes where a provider names no limit.
const UNLIMITED_HISTORY_DAYS: i64 = 3650;

impl Manifest {
    /// The earliest day of which it has anything.
    pub fn history_start(&self, today: LocalDate) -> LocalDate {
        today.plus_days(-self.history_days.map_or(UNLIMITED_HISTORY_DAYS, i64::from))
    }
}

words! {
    /// Whether a provider is asked for anything.
    Circuit {
        /// It is.
        Closed = "closed",
        /// It failed too often in a row, and is left alone for a while.
        Open = "open",
        /// That while is over, and the next request is to find out whether it answers again.
        HalfOpen = "half_open",
    }
}

/// One entry of the catalogue: a provider, and whether it can be linked here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// What it is.
    pub manifest: Manifest,
    /// Why it cannot be linked on this server; `None` when it can.
    pub unavailable: Option<String>,
}

/// An account as a provider reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedAccount {
    /// The provider's own id. Never stored as it is and never shown; it may be a whole account number.
    pub reference: AccountReference,
    /// The institution that keeps it, when the provider reaches several.
    pub institution: Option<String>,
    /// As the provider names it.
    pub name: String,
    /// What kind it is.
    pub kind: AccountType,
    /// The end of its number.
    pub masked_number: Option<MaskedNumber>,
    /// What its amounts are counted in.
    pub currency: Currency,
    /// What it holds.
    pub balances: Balances,
    /// False when the provider says it is closed.
    pub is_active: bool,
    /// Every position in it that could be read; empty when it holds none, `None` when this provider does not say.
    pub holdings: Option<Vec<ReportedHolding>>,
    /// The positions that could not be read, each by whatever it is called: a symbol or an id; an empty text where it is called nothing.
    pub unread_holdings: Vec<String>,
}

/// A provider's own id of an account; `Debug` hides it, since for files and some banks it is the account's number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AccountReference(String);

impl AccountReference {
    /// As the provider writes it.
    pub fn new(reference: impl Into<String>) -> Self {
        Self(reference.into())
    }

    /// For the adapter's next request and for the fingerprint; nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for AccountReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccountReference(…)")
    }
}

/// A transaction as a provider reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedTransaction {
    /// The provider's own id, unique within the account as far as the provider keeps its word; `None` when it gave none.
    pub reference: Option<String>,
    /// Other names it may be stored under, the likeliest first: the id its pending row had, when the provider says so, and older names of its own.
    pub replaces: Vec<String>,
    /// The facts, in the account's currency.
    pub facts: TransactionFacts,
    /// Where it stood in its file, counted from 1; `None` for feeds.
    pub line: Option<u64>,
}

impl ReportedTransaction {
    /// Whether it is something else than another booked row, whatever both are called: banks use ids again, and correct a day or an amount, not both.
    pub fn is_apart_from(&self, other: &TransactionFacts) -> bool {
        let are_booked = [self.facts.status, other.status] == [TransactionStatus::Posted; 2];
        are_booked && self.facts.posted_on != other.posted_on && self.facts.amount != other.amount
    }
}
