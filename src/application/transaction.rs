//! Transactions: looked at by their owner.

use std::{collections::HashMap, sync::Arc};

use crate::domain::{
    id::{AccountId, TransactionId, UserId},
    page::{Page, PostedKey, Slice},
    transaction::{Transaction, TransactionFilter, TransactionReader},
};

use super::{
    QueryError,
    access::{Access, Requester, Resource},
};

/// Looks at transactions. Whatever the role, only at one's own.
pub struct TransactionQueries {
    /// What roles may do.
    pub access: Access,
    /// Where transactions are kept.
    pub transactions: Arc<dyn TransactionReader>,
}

impl TransactionQueries {
    /// Those of `ids` that are one's own.
    pub async fn find_many(&self, requester: &Requester, ids: &[TransactionId]) -> Result<Vec<Transaction>, QueryError> {
        let owner = self.access.reader(requester, Resource::Transactions)?;
        Ok(self.transactions.find_many(owner, ids).await?)
    }

    /// The transactions of a user: one's own, and none of anyone else.
    pub async fn page(&self, requester: &Requester, of: UserId, filter: &TransactionFilter, page: Page<PostedKey>) -> Result<Slice<Transaction>, QueryError> {
        let Some(owner) = self.access.reader_of(requester, Resource::Transactions, of)? else { return Ok(Slice::none(&page)) };
        Ok(self.transactions.page(owner, filter, page).await?)
    }

    /// The same page of each of several accounts.
    pub async fn pages_by_account(
        &self,
        requester: &Requester,
        accounts: &[AccountId],
        filter: &TransactionFilter,
        page: Page<PostedKey>,
    ) -> Result<HashMap<AccountId, Slice<Transaction>>, QueryError> {
        let owner = self.access.reader(requester, Resource::Transactions)?;
        Ok(self.transactions.pages_by_account(owner, accounts, filter, page).await?)
    }
}
