//! Balances: their history, and what they come to.

use std::{collections::HashMap, sync::Arc};

use crate::domain::{
    balance::{BalanceReader, DayBalance, DayRange, net_worth},
    id::{AccountId, UserId},
    money::Sum,
    page::{CreatedKey, Page, Slice},
};

use super::{
    QueryError,
    access::{Access, Requester, Resource},
};

/// Looks at balances. Whatever the role, only at one's own.
pub struct BalanceQueries {
    /// What roles may do.
    pub access: Access,
    /// Where balances are kept.
    pub balances: Arc<dyn BalanceReader>,
}

impl BalanceQueries {
    /// The same page of the history of each of several accounts: what each day ended with.
    pub async fn days_by_account(
        &self,
        requester: &Requester,
        accounts: &[AccountId],
        range: DayRange,
        page: Page<CreatedKey>,
    ) -> Result<HashMap<AccountId, Slice<DayBalance>>, QueryError> {
        let owner = self.access.reader(requester, Resource::Accounts)?;
        Ok(self.balances.days_by_account(owner, accounts, range, page).await?)
    }

    /// What a user has, less what they owe, by currency: one's own, and nothing of anyone else. Holdings are inside the balances of their
    /// accounts, and are not added.
    pub async fn net_worth(&self, requester: &Requester, of: UserId) -> Result<Vec<Sum>, QueryError> {
        let Some(owner) = self.access.reader_of(requester, Resource::Accounts, of)? else { return Ok(Vec::new()) };
        Ok(net_worth(self.balances.counted(owner).await?))
    }
}
