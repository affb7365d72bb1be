//! Accounts: looked at by their owner.

use std::sync::Arc;

use crate::domain::{
    account::{Account, AccountFilter, AccountReader},
    id::AccountId,
    page::{CreatedKey, Page, Slice},
};

use super::access::{Access, Requester, Resource};

/// Looks at accounts. Whatever the role, only at one's own.
pub struct AccountQueries {
    /// What roles may do.
    pub access: Access,
    /// Where accounts are kept.
    pub accounts: Arc<dyn AccountReader>,
}

impl AccountQueries {
    /// Those of `ids` that are one's own.
    pub async fn find_many(&self, requester: &Requester, ids: &[AccountId]) -> Result<Vec<Account>, super::QueryError> {
        let owner = self.access.reader(requester, Resource::Accounts)?;
        Ok(self.accounts.find_many(owner, ids).await?)
    }

    /// One's own accounts.
    pub async fn page(&self, requester: &Requester, filter: &AccountFilter, page: Page<CreatedKey>) -> Result<Slice<Account>, super::QueryError> {
        let owner = self.access.reader(requester, Resource::Accounts)?;
        Ok(self.accounts.page(owner, filter, page).await?)
    }
}
