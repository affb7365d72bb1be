//! Accounts in the graph.

pub mod upkeep;

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object};

use crate::{
    application::access::Resource,
    domain::{
        account::{self, Account, AccountFilter},
        page::CreatedKey,
        transaction::TransactionFilter,
    },
};

use super::{
    ContextExt,
    balance::{BalanceHistoryConnection, Balances, DayBalanceObject, DayRangeInput},
    coverage::{Coverage, Freshness},
    error::Fault,
    global_id::{GlobalId, id_or_nothing},
    guard::Allow,
    holding::{HoldingConnection, HoldingNode},
    link::LinkNode,
    loader::{DaysOf, HoldingsOf, TransactionsOf},
    page::{PageArguments, connection},
    scalar::{CurrencyCode, DateTime},
    transaction::{TransactionConnection, TransactionFilterInput, TransactionNode},
};

/// What kind of account it is.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "account::AccountType")]
pub enum AccountType {
    /// Taxable securities account.
    Brokerage,
    /// Traditional individual retirement account.
    Ira,
    /// Roth individual retirement account.
    RothIra,
    /// Employer's retirement plan for companies, 401(k).
    #[graphql(name = "PLAN_401K")]
    Plan401k,
    /// Employer's retirement plan for schools and charities, 403(b).
    #[graphql(name = "PLAN_403B")]
    Plan403b,
    /// Health savings account.
    Hsa,
    /// Everyday account.
    Checking,
    /// Savings account.
    Savings,
    /// Money-market account.
    MoneyMarket,
    /// Certificate of deposit.
    Cd,
    /// Credit card.
    CreditCard,
    /// Revolving credit.
    LineOfCredit,
    /// Instalment loan.
    Loan,
    /// Loan on a home.
    Mortgage,
    /// Anything else.
    Other,
}

/// What looks wrong about a balance.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum BalanceWarning {
    /// The account is a debt (a card, a credit line, a loan, a mortgage), and its current balance is positive: it was overpaid, or its signs are
    /// the other way round.
    LiabilityIsPositive,
}

/// One account, as the graph shows it.
#[derive(Clone)]
pub struct AccountNode(pub Arc<Account>);

impl AccountNode {
    pub(crate) fn key(&self) -> CreatedKey {
        CreatedKey { created_at: self.0.created_at, id: self.0.id.0 }
    }
}

/// An account at a bank, a broker or in a statement file.
#[Object(name = "Account", serial, guard = Allow::read(Resource::Accounts))]
impl AccountNode {
    /// The global id, `acct_…`; stays the same over re-linking.
    pub async fn id(&self) -> ID {
        GlobalId::from(self.0.id).to_id()
    }

    /// The link it came through; null only while that is being removed.
    async fn link(&self, ctx: &Context<'_>) -> Result<Option<LinkNode>, Fault> {
        Ok(ctx.of_request()?.loaders.link(self.0.link).await?.map(LinkNode))
    }

    /// The institution that keeps it; null when it is not known.
    async fn institution(&self) -> Option<&str> {
        self.0.institution.as_deref()
    }

    /// As the provider or the file names it.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What kind it is, as its owner says, else as far as the provider or the file tells.
    async fn r#type(&self) -> AccountType {
        self.0.shown_kind().into()
    }

    /// What kind it is as far as the provider or the file tells.
    async fn reported_type(&self) -> AccountType {
        self.0.kind.into()
    }

    /// Whether its owner said that the signs of its provider are the other way round. Amounts and balances here are turned already.
    async fn is_sign_inverted(&self) -> bool {
        self.0.corrections.is_inverted
    }

    /// Whether it is kept synced with its link; `selectAccounts` decides. One that is not keeps what it had.
    async fn is_selected(&self) -> bool {
        self.0.is_selected
    }

    /// What looks wrong about its balance, and `updateAccount` may correct; null when nothing does.
    async fn balance_warning(&self) -> Option<BalanceWarning> {
        self.0.is_unlikely().then_some(BalanceWarning::LiabilityIsPositive)
    }

    /// The end of its number, such as `••••1234`; null when there is none. The whole number is not kept.
    async fn masked_number(&self) -> Option<&str> {
        self.0.masked_number.as_ref().map(account::MaskedNumber::as_str)
    }

    /// What its amounts are counted in.
    async fn currency(&self) -> CurrencyCode {
        CurrencyCode(self.0.currency.clone())
    }

    /// What it holds.
    async fn balances(&self) -> Balances {
        Balances::of(&self.0.balances, &self.0.currency)
    }

    /// False once it is closed, no longer reported by its provider, no longer kept synced, or its link is unlinked.
    async fn is_active(&self) -> bool {
        self.0.is_active
    }

    /// The days of which everything is here that its provider has, or that a statement file said it tells all of.
    async fn coverage(&self, ctx: &Context<'_>) -> Result<Coverage, Fault> {
        Ok(ctx.of_request()?.loaders.coverage(self.0.id).await?.coverage.clone().into())
    }

    /// How recent it is. One that is no longer active is stale.
    async fn freshness(&self, ctx: &Context<'_>) -> Result<Freshness, Fault> {
        Ok(ctx.of_request()?.loaders.coverage(self.0.id).await?.as_ref().into())
    }

    /// When it was first seen.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// Its transactions, latest day first.
    #[graphql(guard = Allow::read(Resource::Transactions))]
    async fn transactions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the back, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
        #[graphql(desc = "Only those that match; every field narrows.")] filter: Option<TransactionFilterInput>,
    ) -> Result<TransactionConnection, Fault> {
        let page = PageArguments { first, after, last, before }.read(ctx)?;
        let filter = filter.map(TransactionFilter::try_from).transpose()?.unwrap_or_default();
        // A filter that names other accounts only has nothing to find here.
        let slice = if filter.accounts.as_ref().is_some_and(|accounts| !accounts.contains(&self.0.id)) {
            crate::domain::page::Slice { total: page.count.then_some(0), ..crate::domain::page::Slice::empty() }
        } else {
            let key = TransactionsOf { account: self.0.id, filter: Arc::new(TransactionFilter { accounts: None, ..filter }), page };
            ctx.of_request()?.loaders.transactions(key).await?
        };
        Ok(TransactionConnection { slice: slice.map(|transaction| TransactionNode(Arc::new(transaction))), page })
    }

    /// The positions in it, oldest first; empty when it holds none, and when its provider does not tell them. Of an account that is no longer
    /// reported, as they were last.
    async fn holdings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the back, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
    ) -> Result<HoldingConnection, Fault> {
        let page = PageArguments { first, after, last, before }.read(ctx)?;
        let slice = ctx.of_request()?.loaders.holdings(HoldingsOf { account: self.0.id, page }).await?;
        Ok(HoldingConnection { slice: slice.map(|holding| HoldingNode(Arc::new(holding))), page })
    }

    /// What it held at the end of each day, oldest first: one entry for each day (UTC) on which it was synced, or a file told its balance.
    async fn balance_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the back, 1 to 100: the latest.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
        #[graphql(desc = "Only these days; all when it is not given.")] range: Option<DayRangeInput>,
    ) -> Result<BalanceHistoryConnection, Fault> {
        let page = PageArguments { first, after, last, before }.read(ctx)?;
        let range = range.map(Into::into).unwrap_or_default();
        let slice = ctx.of_request()?.loaders.days(DaysOf { account: self.0.id, range, page }).await?;
        Ok(BalanceHistoryConnection { slice: slice.map(|day| DayBalanceObject { day, currency: self.0.currency.clone() }), page })
    }
}

connection!(
    /// A page of accounts.
    AccountConnection,
    /// An account in a page.
    AccountEdge,
    AccountNode,
    CreatedKey,
    Accounts
);

/// What part of the accounts is wanted; every field narrows.
#[derive(InputObject)]
pub struct AccountFilterInput {
    /// Only these kinds.
    types: Option<Vec<AccountType>>,
    /// Only those that came through this link.
    link_id: Option<ID>,
    /// Only active, or only closed ones.
    is_active: Option<bool>,
}

impl From<AccountFilterInput> for AccountFilter {
    fn from(input: AccountFilterInput) -> Self {
        Self {
            types: input.types.map(|types| types.into_iter().map(Into::into).collect()),
            link: input.link_id.map(|id| id_or_nothing(&id)),
            is_active: input.is_active,
        }
    }
}

/// Looks at accounts.
#[derive(Default)]
pub struct AccountQuery;

#[Object(serial)]
impl AccountQuery {
    /// One of one's own accounts; null for any other id.
    #[graphql(guard = Allow::read(Resource::Accounts))]
    async fn account(&self, ctx: &Context<'_>, #[graphql(desc = "The account's global id.")] id: ID) -> Result<Option<AccountNode>, Fault> {
        Ok(ctx.of_request()?.loaders.account(id_or_nothing(&id)).await?.map(AccountNode))
    }
}
