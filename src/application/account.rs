//! Accounts: looked at and corrected by their owner.

mod corrections;
mod selection;

use std::{collections::HashMap, sync::Arc};

use crate::domain::{
    account::{Account, AccountFilter, AccountReader},
    failure::Reason,
    id::{AccountId, LinkId, UserId},
    page::{CreatedKey, Page, Slice},
    time::Clock,
};

use super::{
    access::{Access, Denied, Requester, Resource},
    audit::Journal,
    ports::Store,
    provider::Catalogue,
};

pub use corrections::{KindCorrection, UpdateAccount};
pub use selection::SelectAccounts;

/// Why an account does not change as asked.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Absent or someone else's.
    #[error("no such account")]
    NotFound,
    /// Absent, someone else's, or of another link.
    #[error("no such account of this link")]
    NotOfLink,
    /// Absent or someone else's.
    #[error("no such link")]
    NoSuchLink,
    /// Nothing is fetched for the link: files are imported.
    #[error("this link has no provider to ask")]
    NotSyncable,
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for AccountError {
    fn reason(&self) -> &'static str {
        match self {
            Self::NotFound | Self::NotOfLink | Self::NoSuchLink => "not_found",
            Self::NotSyncable => "not_syncable",
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Changes what is the owner's to say of accounts.
pub struct AccountCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// What roles may do.
    pub access: Access,
    /// What can be fetched.
    pub catalogue: Arc<Catalogue>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

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
