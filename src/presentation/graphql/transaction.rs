//! Transactions in the graph.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};

use crate::{
    application::access::Resource,
    domain::{
        money::Money as DomainMoney,
        page::PostedKey,
        transaction::{self, Transaction, TransactionFilter},
    },
};

use super::{
    ContextExt,
    account::AccountNode,
    error::{Code, Fault},
    global_id::{GlobalId, id_or_nothing},
    guard::{Allow, Public},
    page::connection,
    scalar::{DateTime, Decimal, LocalDate, Money},
};

/// The family a transaction belongs to.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "transaction::TransactionType")]
pub enum TransactionType {
    /// Securities bought or sold.
    Trade,
    /// Money moved between accounts or institutions.
    Transfer,
    /// Money earned.
    Income,
    /// What an institution charges.
    Fee,
    /// Tax taken at the source.
    Tax,
    /// Buying things and paying bills.
    Payment,
    /// What a company did to its own securities.
    CorporateAction,
    /// Anything else.
    Other,
}

/// What exactly happened.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "transaction::TransactionSubtype")]
pub enum TransactionSubtype {
    /// A trade: securities bought.
    Buy,
    /// A trade: securities sold.
    Sell,
    /// A trade: borrowed securities sold.
    ShortSell,
    /// A trade: borrowed securities bought back.
    BuyToCover,
    /// A trade: an option exercised.
    Exercise,
    /// A trade: a written option assigned.
    Assignment,
    /// A trade: an option that ran out.
    Expiration,
    /// A trade: income used to buy more of the same security.
    Reinvestment,
    /// A transfer: money paid in.
    Deposit,
    /// A transfer: money taken out.
    Withdrawal,
    /// A transfer: a wire received.
    WireIn,
    /// A transfer: a wire sent.
    WireOut,
    /// A transfer: received from another account.
    TransferIn,
    /// A transfer: sent to another account.
    TransferOut,
    /// A transfer inside one institution.
    Internal,
    /// Income: a company's distribution to its holders.
    Dividend,
    /// Income: interest received.
    Interest,
    /// Income: a fund's distributed gain.
    CapitalGain,
    /// Income: any other distribution.
    Distribution,
    /// Income: wages.
    Salary,
    /// A fee: a broker's charge for a trade.
    Commission,
    /// A fee: a charge for having the account.
    AccountFee,
    /// A fee: interest on money borrowed from a broker.
    MarginInterest,
    /// A fee: interest on a debt.
    InterestCharge,
    /// A fee of another kind.
    OtherFee,
    /// Tax withheld at the source.
    TaxWithheld,
    /// A payment: something bought.
    Purchase,
    /// A payment: a purchase paid back.
    Refund,
    /// A payment: a bill paid.
    BillPayment,
    /// A payment: a loan's instalment.
    LoanPayment,
    /// A payment: a cheque.
    Check,
    /// A payment: a cash machine.
    Atm,
    /// A payment: cash over the counter.
    Cash,
    /// A corporate action: one share became several, or several one.
    Split,
    /// A corporate action: part of a company became a security of its own.
    Spinoff,
    /// A corporate action: two companies became one.
    Merger,
    /// A corporate action: a security got another symbol.
    SymbolChange,
    /// A corporate action: invested money given back.
    ReturnOfCapital,
    /// Other: a correction by the institution.
    Adjustment,
    /// Other: a bookkeeping entry.
    Journal,
    /// Other: the provider did not say.
    Unknown,
}

/// How far a transaction has come.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "transaction::TransactionStatus")]
pub enum TransactionStatus {
    /// Announced, not booked; not inside the account's balance.
    Pending,
    /// Booked.
    Posted,
    /// Tried and refused.
    Failed,
    /// Withdrawn before it was booked.
    Cancelled,
}

/// What kind of security it is.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "transaction::AssetType")]
pub enum AssetType {
    /// A share of a company.
    Equity,
    /// An exchange-traded fund.
    Etf,
    /// An option.
    Option,
    /// A fund bought from its issuer.
    MutualFund,
    /// A bond or bill.
    FixedIncome,
    /// A futures contract.
    Futures,
    /// A coin or token.
    Cryptocurrency,
    /// Money-market holdings and the like.
    CashEquivalent,
    /// An index.
    Index,
    /// A currency pair.
    Forex,
    /// Anything else.
    Other,
}

/// What was traded, or is held.
#[derive(SimpleObject)]
#[graphql(serial, guard = Public("part of a transaction or a holding that was guarded itself"))]
pub struct Security {
    /// Ticker or other symbol, as the provider writes it.
    symbol: String,
    /// Its name; null when the provider gives none.
    name: Option<String>,
    /// Its kind.
    asset_type: AssetType,
}

impl From<&transaction::Security> for Security {
    fn from(security: &transaction::Security) -> Self {
        Self { symbol: security.symbol.clone(), name: security.name.clone(), asset_type: security.asset_type.into() }
    }
}

/// One transaction, as the graph shows it.
#[derive(Clone)]
pub struct TransactionNode(pub Arc<Transaction>);

impl TransactionNode {
    pub(crate) fn key(&self) -> PostedKey {
        self.0.key()
    }
}

/// Something that moved on an account. It keeps its id from pending to posted, over re-linking and over importing the same days from a file.
#[Object(name = "Transaction", serial, guard = Allow::read(Resource::Transactions))]
impl TransactionNode {
    /// The global id, `txn_…`.
    pub async fn id(&self) -> ID {
        GlobalId::from(self.0.id).to_id()
    }

    /// The account it moved; null only while that is being removed.
    #[graphql(guard = Allow::read(Resource::Accounts))]
    async fn account(&self, ctx: &Context<'_>) -> Result<Option<AccountNode>, Fault> {
        Ok(ctx.of_request()?.loaders.account(self.0.account).await?.map(AccountNode))
    }

    /// How much, from the owner's view: money that left is negative. Fees of a trade are inside.
    async fn amount(&self) -> Money {
        self.0.money().into()
    }

    /// The family it belongs to.
    async fn r#type(&self) -> TransactionType {
        self.0.facts.subtype.family().into()
    }

    /// What exactly happened.
    async fn subtype(&self) -> TransactionSubtype {
        self.0.facts.subtype.into()
    }

    /// How far it has come.
    async fn status(&self) -> TransactionStatus {
        self.0.facts.status.into()
    }

    /// The bank's calendar day. While pending, the day it was made, else the day it was first seen.
    async fn posted_on(&self) -> LocalDate {
        LocalDate(self.0.facts.posted_on)
    }

    /// The day it was made; null when the provider does not say.
    async fn authorized_on(&self) -> Option<LocalDate> {
        self.0.facts.authorized_on.map(LocalDate)
    }

    /// The instant it was made; null when the provider does not say.
    async fn occurred_at(&self) -> Option<DateTime> {
        self.0.facts.occurred_at.map(DateTime)
    }

    /// What the provider calls it.
    async fn description(&self) -> &str {
        &self.0.facts.description
    }

    /// Who was paid, or paid; null when the provider does not say.
    async fn merchant_name(&self) -> Option<&str> {
        self.0.facts.merchant_name.as_deref()
    }

    /// The provider's own category; null when it gives none.
    async fn category(&self) -> Option<&str> {
        self.0.facts.category.as_deref()
    }

    /// The security, for trades and their income; null for everything else.
    async fn security(&self) -> Option<Security> {
        self.0.facts.security.as_ref().map(Into::into)
    }

    /// How many units moved: in is positive, out is negative. Null for what has no units.
    async fn quantity(&self) -> Option<Decimal> {
        self.0.facts.quantity.map(Into::into)
    }

    /// The price of one unit in the account's currency; null for what has none.
    async fn unit_price(&self) -> Option<Decimal> {
        self.0.facts.unit_price.map(Into::into)
    }

    /// The charges inside `amount`, never negative; null when the provider does not say.
    async fn fees(&self) -> Option<Money> {
        let amount = self.0.facts.fees?;
        Some(DomainMoney { amount, currency: self.0.currency.clone() }.into())
    }
}

connection!(
    /// A page of transactions.
    TransactionConnection,
    /// A transaction in a page.
    TransactionEdge,
    TransactionNode,
    PostedKey,
    Transactions
);

/// What part of the transactions is wanted; every field narrows.
#[derive(InputObject)]
pub struct TransactionFilterInput {
    /// Only those of these accounts.
    account_ids: Option<Vec<ID>>,
    /// Posted on this day or later.
    from: Option<LocalDate>,
    /// Posted on this day or earlier.
    to: Option<LocalDate>,
    /// Only these families.
    types: Option<Vec<TransactionType>>,
    /// Only these statuses.
    statuses: Option<Vec<TransactionStatus>>,
    /// This amount or more, in the account's currency; with its sign, so that spending of 100 or more is a maximum of -100.
    min_amount: Option<Decimal>,
    /// This amount or less, in the account's currency; with its sign.
    max_amount: Option<Decimal>,
    /// Holds this text in its description or merchant, upper and lower case alike; 1 to 100 characters.
    text: Option<String>,
}

/// The most accounts a filter names.
const MAX_FILTER_ACCOUNTS: usize = 100;

/// The longest text a filter looks for, in characters.
const MAX_FILTER_TEXT: usize = 100;

impl TryFrom<TransactionFilterInput> for TransactionFilter {
    type Error = Fault;

    fn try_from(input: TransactionFilterInput) -> Result<Self, Fault> {
        let wrong = |message: &str| Fault::new(Code::BadUserInput, message);
        if input.account_ids.as_ref().is_some_and(|ids| ids.len() > MAX_FILTER_ACCOUNTS) {
            return Err(wrong("a filter names at most 100 accounts"));
        }
        if input.text.as_ref().is_some_and(|text| !(1..=MAX_FILTER_TEXT).contains(&text.chars().count()) || text.contains('\0')) {
            return Err(wrong("a filter's text has 1 to 100 characters"));
        }
        let number = |decimal: Option<Decimal>| decimal.map(|decimal| decimal.number().map_err(|invalid| wrong(&invalid.to_string()))).transpose();
        Ok(Self {
            accounts: input.account_ids.map(|ids| ids.iter().map(|id| id_or_nothing(id)).collect()),
            from: input.from.map(|day| day.0),
            to: input.to.map(|day| day.0),
            types: input.types.map(|types| types.into_iter().map(Into::into).collect()),
            statuses: input.statuses.map(|statuses| statuses.into_iter().map(Into::into).collect()),
            min_amount: number(input.min_amount)?,
            max_amount: number(input.max_amount)?,
            text: input.text,
        })
    }
}

/// Looks at transactions.
#[derive(Default)]
pub struct TransactionQuery;

#[Object(serial)]
impl TransactionQuery {
    /// One of one's own transactions; null for any other id.
    #[graphql(guard = Allow::read(Resource::Transactions))]
    async fn transaction(&self, ctx: &Context<'_>, #[graphql(desc = "The transaction's global id.")] id: ID) -> Result<Option<TransactionNode>, Fault> {
        Ok(ctx.of_request()?.loaders.transaction(id_or_nothing(&id)).await?.map(TransactionNode))
    }
}
