//! Accounts: looked at by their owner.

use std::{collections::HashMap, sync::Arc};

use crate::domain::{
    account::{Account, AccountFilter, AccountReader},
    id::{AccountId, LinkId, UserId},
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

    /// The accounts of a user: one's own, and none of anyone else.
    pub async fn page(&self, requester: &Requester, of: UserId, filter: &AccountFilter, page: Page<CreatedKey>) -> Result<Slice<Account>, super::QueryError> {
        let Some(owner) = self.access.reader_of(requester, Resource::Accounts, of)? else { return Ok(Slice::none(&page)) };
        Ok(self.accounts.page(owner, filter, page).await?)
    }
}
