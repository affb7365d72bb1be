//! Accounts: what holds money at an institution, known by a masked number only.

use std::collections::HashMap;

use async_trait::async_trait;

use super::{
    balance::Balances,
    id::{AccountId, LinkId, UserId},
    money::{Amount, Currency},
    page::{CreatedKey, Page, Slice},
    time::Timestamp,
    transaction::{TransactionFacts, words},
};

words! {
    /// What kind of account it is.
    AccountType {
        /// Taxable securities account.
        Brokerage = "brokerage",
        /// Traditional individual retirement account.
        Ira = "ira",
        /// Roth individual retirement account.
        RothIra = "roth_ira",
        /// Employer's retirement plan for companies.
        Plan401k = "401k",
        /// Employer's retirement plan for schools and charities.
        Plan403b = "403b",
        /// Health savings account.
        Hsa = "hsa",
        /// Everyday account.
        Checking = "checking",
        /// Savings account.
        Savings = "savings",
        /// Money-market account.
        MoneyMarket = "money_market",
        /// Certificate of deposit.
        Cd = "cd",
        /// Credit card.
        CreditCard = "credit_card",
        /// Revolving credit.
        LineOfCredit = "line_of_credit",
        /// Instalment loan.
        Loan = "loan",
        /// Loan on a home.
        Mortgage = "mortgage",
        /// Anything else.
        Other = "other",
    }
}

impl AccountType {
    /// Whether it is a debt, so that its balance is negative while money is owed.
    pub fn is_liability(self) -> bool {
        matches!(self, Self::CreditCard | Self::LineOfCredit | Self::Loan | Self::Mortgage)
    }
}

/// An account number with all but its last four characters gone: `••••1234`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedNumber(String);

impl MaskedNumber {
    /// What stands for what is not shown.
    pub const MASK: &str = "••••";

    /// Cuts a full number at the edge where it enters. Shorter numbers lose at least half of their characters.
    pub fn cut(number: &str) -> Option<Self> {
        let kept: Vec<char> = number.chars().filter(char::is_ascii_alphanumeric).collect();
        let keep = 4.min(kept.len() / 2);
        (keep > 0).then(|| Self(kept[kept.len() - keep..].iter().fold(Self::MASK.to_owned(), |shown, char| format!("{shown}{char}"))))
    }

    /// As stored, cut before.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The text clients see.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an account is recognised by at its provider: a keyed hash of the provider's own id, so that the id itself need not stay.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccountFingerprint {
    /// Which key the hash was made with.
    pub key_id: String,
    /// HMAC-SHA-256 of user, provider and the provider's account id.
    pub hash: Vec<u8>,
}

/// What the owner of an account says otherwise than its provider. Syncs and imports keep it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Corrections {
    /// What kind it is.
    pub kind: Option<AccountType>,
    /// Whether its provider has the signs of amounts and of the current balance the other way round. What is stored is turned already.
    pub is_inverted: bool,
}

impl Corrections {
    /// Balances from the owner's view. What can be spent and a credit line have no sign to be wrong.
    pub fn balances(&self, reported: Balances) -> Balances {
        Balances { current: reported.current.map(|current| self.amount(current)), ..reported }
    }

    /// An amount from the owner's view; of one from the owner's view, the amount as it was reported.
    pub fn amount(&self, amount: Amount) -> Amount {
        if self.is_inverted { amount.negated() } else { amount }
    }
}

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The same over re-linking.
    pub id: AccountId,
    /// Whose it is.
    pub user: UserId,
    /// The link it came through.
    pub link: LinkId,
    /// What it is recognised by.
    pub fingerprint: AccountFingerprint,
    /// The institution that keeps it, when known.
    pub institution: Option<String>,
    /// As the provider or the file names it.
    pub name: String,
    /// What kind it is.
    pub kind: AccountType,
    /// The end of its number.
    pub masked_number: Option<MaskedNumber>,
    /// What its amounts are counted in.
    pub currency: Currency,
    /// What it holds.
    pub balances: Balances,
    /// False once the provider reports it closed, no longer reports it, or its link is unlinked.
    pub is_active: bool,
    /// False once its owner wants nothing of it fetched.
    pub is_selected: bool,
    /// When everything new of it was last here; for files, when one last brought something.
    pub synced_at: Option<Timestamp>,
    /// What its owner says otherwise.
    pub corrections: Corrections,
    /// When Dashtam first saw it.
    pub created_at: Timestamp,
}

impl Account {
    /// What kind it is, as its owner says, else as far as it is known where it came from.
    pub fn shown_kind(&self) -> AccountType {
        self.corrections.kind.unwrap_or(self.kind)
    }

    /// A row from the owner's view, or back again: with the sign its owner wants, and called what it is with that sign.
    pub fn facts(&self, facts: &TransactionFacts) -> TransactionFacts {
        if !self.corrections.is_inverted {
            return facts.clone();
        }
        let amount = facts.amount.negated();
        TransactionFacts { amount, subtype: facts.subtype.of_turned(amount, self.kind.is_liability()), ..facts.clone() }
    }

    /// Whether it is a debt of which its owner has something: paid too much, or with its signs the other way round.
    pub fn is_unlikely(&self) -> bool {
        self.shown_kind().is_liability() && self.balances.current.is_some_and(|current| current > Amount::ZERO)
    }

    /// Its owner says something else of it; answers whether amounts and balances that are stored have to be turned.
    pub fn correct(&mut self, corrections: Corrections) -> bool {
        let turns = self.corrections.is_inverted != corrections.is_inverted;
        if turns {
            self.balances.current = self.balances.current.map(Amount::negated);
        }
        self.corrections = corrections;
        turns
    }
}

/// What part of the accounts is wanted; every field narrows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AccountFilter {
    /// Only these kinds.
    pub types: Option<Vec<AccountType>>,
    /// Only those of this link.
    pub link: Option<LinkId>,
    /// Only active, or only closed ones.
    pub is_active: Option<bool>,
}

/// Accounts, inside a unit of work.
#[async_trait]
pub trait Accounts: Send {
    /// Waits until no other unit of work brings in accounts or transactions of `owner`, and keeps others waiting until this one ends. Matching
    /// compares with what is stored, so two that did it at once would both store the same.
    async fn take_turn(&mut self, owner: UserId) -> anyhow::Result<()>;
    /// An account of `owner`.
    async fn find(&mut self, owner: UserId, id: AccountId) -> anyhow::Result<Option<Account>>;
    /// All accounts of one of the owner's links.
    async fn of_link(&mut self, owner: UserId, link: LinkId) -> anyhow::Result<Vec<Account>>;
    /// A new account.
    async fn insert(&mut self, account: &Account) -> anyhow::Result<()>;
    /// Stores name, kind, number, balances, fingerprint, activity and what its owner says of a known account.
    async fn save(&mut self, account: &Account) -> anyhow::Result<()>;
    /// Removes the accounts of a link with their transactions, the names these go by, holdings, and balances. Answers how many transactions there were.
    async fn remove_of_link(&mut self, owner: UserId, link: LinkId) -> anyhow::Result<u64>;
}

/// Accounts for queries and loaders.
#[async_trait]
pub trait AccountReader: Send + Sync {
    /// Those of `ids` that belong to `owner`, in no particular order.
    async fn find_many(&self, owner: UserId, ids: &[AccountId]) -> anyhow::Result<Vec<Account>>;
    /// All accounts of a link, oldest first.
    async fn of_link(&self, owner: UserId, link: LinkId) -> anyhow::Result<Vec<Account>>;
    /// The same page of the accounts of each of several links of `owner`, in one statement; a link without any may be missing.
    async fn pages_by_link(&self, owner: UserId, links: &[LinkId], page: Page<CreatedKey>) -> anyhow::Result<HashMap<LinkId, Slice<Account>>>;
    /// The accounts of `owner`, oldest first.
    async fn page(&self, owner: UserId, filter: &AccountFilter, page: Page<CreatedKey>) -> anyhow::Result<Slice<Account>>;
}
