//! Accounts: looked at by their owner.

use std::{collections::HashMap, sync::Arc};

use crate::domain::{
    account::{Account, AccountFilter, AccountReader},
    id::{AccountId, LinkId},
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

    /// The same page of the accounts of each of several of one's own links.
    pub async fn pages_by_link(
        &self,
        requester: &Requester,
        links: &[LinkId],
        page: Page<CreatedKey>,
    ) -> Result<HashMap<LinkId, Slice<Account>>, super::QueryError> {
        let owner = self.access.reader(requester, Resource::Accounts)?;
        Ok(self.accounts.pages_by_link(owner, links, page).await?)
    }

    /// One's own accounts.
    pub async fn page(&self, requester: &Requester, filter: &AccountFilter, page: Page<CreatedKey>) -> Result<Slice<Account>, super::QueryError> {
        let owner = self.access.reader(requester, Resource::Accounts)?;
        Ok(self.accounts.page(owner, filter, page).await?)
    }
}
