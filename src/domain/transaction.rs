//! Transactions: what moved, when by the bank's calendar, and what kind of movement it was.

use async_trait::async_trait;

use super::{
    account::Account,
    id::{AccountId, TransactionId, UserId},
    money::{Amount, Money, Quantity},
    page::{Page, PostedKey, Slice},
    time::{LocalDate, Timestamp},
};

/// Declares an enum of single words with `ALL`, `as_str` and `parse`, the words being what the database stores.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Every value, in the order the product names them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word the database stores.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value of that word.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// The family a transaction belongs to.
    TransactionType {
        /// Securities bought or sold.
        Trade = "trade",
        /// Money moved between accounts or institutions.
        Transfer = "transfer",
        /// Money earned.
        Income = "income",
        /// What an institution charges.
        Fee = "fee",
        /// Tax taken at the source.
        Tax = "tax",
        /// Buying things and paying bills.
        Payment = "payment",
        /// What a company did to its own securities.
        CorporateAction = "corporate_action",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// What exactly happened; each belongs to one [`TransactionType`].
    TransactionSubtype {
        /// Securities bought.
        Buy = "buy",
        /// Securities sold.
        Sell = "sell",
        /// Borrowed securities sold.
        ShortSell = "short_sell",
        /// Borrowed securities bought back.
        BuyToCover = "buy_to_cover",
        /// An option exercised.
        Exercise = "exercise",
        /// A written option assigned.
        Assignment = "assignment",
        /// An option that ran out.
        Expiration = "expiration",
        /// Income used to buy more of the same security.
        Reinvestment = "reinvestment",
        /// Money paid in.
        Deposit = "deposit",
        /// Money taken out.
        Withdrawal = "withdrawal",
        /// A wire received.
        WireIn = "wire_in",
        /// A wire sent.
        WireOut = "wire_out",
        /// Money or securities received from another account.
        TransferIn = "transfer_in",
        /// Money or securities sent to another account.
        TransferOut = "transfer_out",
        /// Moved inside one institution.
        Internal = "internal",
        /// A company's distribution to its holders.
        Dividend = "dividend",
        /// Interest received.
        Interest = "interest",
        /// A fund's distributed gain.
        CapitalGain = "capital_gain",
        /// Any other distribution.
        Distribution = "distribution",
        /// Wages.
        Salary = "salary",
        /// A broker's charge for a trade.
        Commission = "commission",
        /// A charge for having the account.
        AccountFee = "account_fee",
        /// Interest on money borrowed from a broker.
        MarginInterest = "margin_interest",
        /// Interest on a debt.
        InterestCharge = "interest_charge",
        /// Any other charge.
        OtherFee = "other_fee",
        /// Tax withheld at the source.
        TaxWithheld = "tax_withheld",
        /// Something bought.
        Purchase = "purchase",
        /// A purchase paid back.
        Refund = "refund",
        /// A bill paid.
        BillPayment = "bill_payment",
        /// A loan's instalment.
        LoanPayment = "loan_payment",
        /// A cheque.
        Check = "check",
        /// A cash machine.
        Atm = "atm",
        /// Cash over the counter.
        Cash = "cash",
        /// One share became several, or several one.
        Split = "split",
        /// Part of a company became a security of its own.
        Spinoff = "spinoff",
        /// Two companies became one.
        Merger = "merger",
        /// A security got another symbol.
        SymbolChange = "symbol_change",
        /// Invested money given back.
        ReturnOfCapital = "return_of_capital",
        /// A correction by the institution.
        Adjustment = "adjustment",
        /// A bookkeeping entry.
        Journal = "journal",
        /// The provider did not say.
        Unknown = "unknown",
    }
}

impl TransactionSubtype {
    /// The family this belongs to; there is no other way to get one, so the two cannot disagree.
    pub fn family(self) -> TransactionType {
        match self {
            Self::Buy | Self::Sell | Self::ShortSell | Self::BuyToCover | Self::Exercise | Self::Assignment | Self::Expiration | Self::Reinvestment => {
                TransactionType::Trade
            }
            Self::Deposit | Self::Withdrawal | Self::WireIn | Self::WireOut | Self::TransferIn | Self::TransferOut | Self::Internal => {
                TransactionType::Transfer
            }
            Self::Dividend | Self::Interest | Self::CapitalGain | Self::Distribution | Self::Salary => TransactionType::Income,
            Self::Commission | Self::AccountFee | Self::MarginInterest | Self::InterestCharge | Self::OtherFee => TransactionType::Fee,
            Self::TaxWithheld => TransactionType::Tax,
            Self::Purchase | Self::Refund | Self::BillPayment | Self::LoanPayment | Self::Check | Self::Atm | Self::Cash => TransactionType::Payment,
            Self::Split | Self::Spinoff | Self::Merger | Self::SymbolChange | Self::ReturnOfCapital => TransactionType::CorporateAction,
            Self::Adjustment | Self::Journal | Self::Unknown => TransactionType::Other,
        }
    }
}

/// What is called one thing when it comes in, and another when it goes out. Each name stands once on either side, so that what is turned twice is
/// what it was; a name that goes against its sign becomes the other one, which does so as well.
const BY_SIGN: [(TransactionSubtype, TransactionSubtype); 8] = [
    (TransactionSubtype::Refund, TransactionSubtype::Purchase),
    (TransactionSubtype::Purchase, TransactionSubtype::Refund),
    (TransactionSubtype::Deposit, TransactionSubtype::Withdrawal),
    (TransactionSubtype::Withdrawal, TransactionSubtype::Deposit),
    (TransactionSubtype::Interest, TransactionSubtype::InterestCharge),
    (TransactionSubtype::InterestCharge, TransactionSubtype::Interest),
    (TransactionSubtype::WireIn, TransactionSubtype::WireOut),
    (TransactionSubtype::WireOut, TransactionSubtype::WireIn),
];

/// Transfers, likewise.
const TRANSFERS: [(TransactionSubtype, TransactionSubtype); 2] =
    [(TransactionSubtype::TransferIn, TransactionSubtype::TransferOut), (TransactionSubtype::TransferOut, TransactionSubtype::TransferIn)];

/// Transfers of a debt. What comes into one is its owner paying it, which files with the signs the other way round call a payment that leaves.
const TRANSFERS_OF_DEBTS: [(TransactionSubtype, TransactionSubtype); 3] = [
    (TransactionSubtype::TransferIn, TransactionSubtype::BillPayment),
    (TransactionSubtype::BillPayment, TransactionSubtype::TransferOut),
    (TransactionSubtype::TransferOut, TransactionSubtype::TransferIn),
];

impl TransactionSubtype {
    /// What this is of an amount whose sign was turned and which now is `amount`. What goes by another name in the other direction gets that name;
    /// everything else stays. Turning once more gives back what there was.
    #[must_use]
    pub fn of_turned(self, amount: Amount, is_liability: bool) -> Self {
        if amount == Amount::ZERO {
            return self;
        }
        let transfers = if is_liability { &TRANSFERS_OF_DEBTS[..] } else { &TRANSFERS[..] };
        let mut pairs = BY_SIGN.iter().chain(transfers);
        let turned = if amount.is_negative() {
            pairs.find(|(incoming, _)| *incoming == self).map(|(_, outgoing)| *outgoing)
        } else {
            pairs.find(|(_, outgoing)| *outgoing == self).map(|(incoming, _)| *incoming)
        };
        turned.unwrap_or(self)
    }
}

words! {
    /// How far a transaction has come.
    TransactionStatus {
        /// Announced, not booked; not inside the account's balance.
        Pending = "pending",
        /// Booked.
        Posted = "posted",
        /// Tried and refused.
        Failed = "failed",
        /// Withdrawn before it was booked.
        Cancelled = "cancelled",
    }
}

words! {
    /// What kind of security a trade was in.
    AssetType {
        /// A share of a company.
        Equity = "equity",
        /// An exchange-traded fund.
        Etf = "etf",
        /// An option.
        Option = "option",
        /// A fund bought from its issuer.
        MutualFund = "mutual_fund",
        /// A bond or bill.
        FixedIncome = "fixed_income",
        /// A futures contract.
        Futures = "futures",
        /// A coin or token.
        Cryptocurrency = "cryptocurrency",
        /// Money-market holdings and the like.
        CashEquivalent = "cash_equivalent",
        /// An index.
        Index = "index",
        /// A currency pair.
        Forex = "forex",
        /// Anything else.
        Other = "other",
    }
}

/// The security a transaction was in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// Ticker or other symbol, as the provider writes it.
    pub symbol: String,
    /// Its name, when the provider gives one.
    pub name: Option<String>,
    /// Its kind.
    pub asset_type: AssetType,
}

/// What of a transaction comes from the provider; everything else is Dashtam's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionFacts {
    /// From the owner's view: money that left is negative. Fees of a trade are inside.
    pub amount: Amount,
    /// What happened.
    pub subtype: TransactionSubtype,
    /// How far it has come.
    pub status: TransactionStatus,
    /// The bank's calendar day; while pending the day of the transaction, else the day first seen.
    pub posted_on: LocalDate,
    /// The day it was made, when the provider says so.
    pub authorized_on: Option<LocalDate>,
    /// The instant it was made, when the provider says so.
    pub occurred_at: Option<Timestamp>,
    /// What the provider calls it; at most 1,000 characters.
    pub description: String,
    /// Who was paid or paid, when the provider says so.
    pub merchant_name: Option<String>,
    /// The provider's own category.
    pub category: Option<String>,
    /// The security, for trades and their income.
    pub security: Option<Security>,
    /// Signed number of units: in is positive.
    pub quantity: Option<Quantity>,
    /// Price of one unit in the account's currency.
    pub unit_price: Option<Quantity>,
    /// Charges inside `amount`, never negative.
    pub fees: Option<Amount>,
}

/// One transaction of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The same from pending to posted, over re-linking and importing.
    pub id: TransactionId,
    /// Whose it is.
    pub user: UserId,
    /// The account it moved.
    pub account: AccountId,
    /// The account's currency, in which every amount of it is.
    pub currency: super::money::Currency,
    /// What the provider said.
    pub facts: TransactionFacts,
    /// When Dashtam first saw it.
    pub created_at: Timestamp,
}

impl Transaction {
    /// The amount with its unit.
    pub fn money(&self) -> Money {
        Money { amount: self.facts.amount, currency: self.currency.clone() }
    }

    /// Where it stands in the list.
    pub fn key(&self) -> PostedKey {
        PostedKey { posted_on: self.facts.posted_on, id: self.id.0 }
    }
}

/// Where a row came from; references of one source are compared only with one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The link's own feed.
    Feed,
    /// A statement file.
    File,
}

impl Source {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Feed => "feed",
            Self::File => "file",
        }
    }

    /// The source of that word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "feed" => Some(Self::Feed),
            "file" => Some(Self::File),
            _ => None,
        }
    }
}

/// A stored transaction as the matcher sees it: with the names it goes by at its sources, and whether it was withdrawn.
#[derive(Debug, Clone)]
pub struct KnownTransaction {
    /// Its id.
    pub id: TransactionId,
    /// As stored.
    pub facts: TransactionFacts,
    /// Names it was reported under.
    pub references: Vec<(Source, String)>,
    /// True when its provider stopped reporting it.
    pub removed: bool,
}

/// What part of the transactions is wanted; every field narrows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TransactionFilter {
    /// Only these accounts.
    pub accounts: Option<Vec<AccountId>>,
    /// Posted on this day or later.
    pub from: Option<LocalDate>,
    /// Posted on this day or earlier.
    pub to: Option<LocalDate>,
    /// Only these families.
    pub types: Option<Vec<TransactionType>>,
    /// Only these statuses.
    pub statuses: Option<Vec<TransactionStatus>>,
    /// This amount or more. Compared as a number of the account's currency.
    pub min_amount: Option<rust_decimal::Decimal>,
    /// This amount or less.
    pub max_amount: Option<rust_decimal::Decimal>,
    /// Holds this text in description or merchant, upper and lower case alike (ASCII).
    pub text: Option<String>,
}

/// Transactions, inside a unit of work.
#[async_trait]
pub trait Transactions: Send {
    /// All of an account from `from` to `to` inclusive, and of whatever day those that are pending and any that goes by one of `references` at
    /// `source`. Withdrawn ones are included, pending ones of other days excepted.
    async fn known(
        &mut self,
        owner: UserId,
        account: AccountId,
        from: LocalDate,
        to: LocalDate,
        source: Source,
        references: &[String],
    ) -> anyhow::Result<Vec<KnownTransaction>>;
    /// New ones, with the name each goes by at `source`.
    async fn insert(&mut self, rows: &[(Transaction, Source, String)]) -> anyhow::Result<()>;
    /// Stores what the provider now says of a known one, and brings it back if it was withdrawn.
    async fn update(&mut self, owner: UserId, id: TransactionId, facts: &TransactionFacts, now: Timestamp) -> anyhow::Result<()>;
    /// Adds a name a known one goes by.
    async fn add_reference(&mut self, owner: UserId, account: AccountId, id: TransactionId, source: Source, reference: &str) -> anyhow::Result<()>;
    /// Turns the sign of every amount of an account, and what is called otherwise in the other direction.
    async fn turn_signs(&mut self, account: &Account, now: Timestamp) -> anyhow::Result<()>;
    /// Marks one as withdrawn by its provider: it leaves every list and keeps its id.
    async fn withdraw(&mut self, owner: UserId, id: TransactionId, now: Timestamp) -> anyhow::Result<()>;
}

/// Transactions for queries and loaders.
#[async_trait]
pub trait TransactionReader: Send + Sync {
    /// Those of `ids` that belong to `owner`, in no particular order.
    async fn find_many(&self, owner: UserId, ids: &[TransactionId]) -> anyhow::Result<Vec<Transaction>>;
    /// The transactions of `owner`, latest day first.
    async fn page(&self, owner: UserId, filter: &TransactionFilter, page: Page<PostedKey>) -> anyhow::Result<Slice<Transaction>>;
    /// The first day on which each of several accounts of `owner` has something pending that its feed told of; one without any is missing.
    async fn first_pending_of_feed(&self, owner: UserId, accounts: &[AccountId]) -> anyhow::Result<std::collections::HashMap<AccountId, LocalDate>>;
    /// The same page of each of several accounts of `owner`, in one statement; an account without rows may be missing.
    async fn pages_by_account(
        &self,
        owner: UserId,
        accounts: &[AccountId],
        filter: &TransactionFilter,
        page: Page<PostedKey>,
    ) -> anyhow::Result<std::collections::HashMap<AccountId, Slice<Transaction>>>;
}
