//! Holdings: kept as a provider reports them, and looked at by their owner.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::domain::{
    account::Account,
    card_number,
    holding::{self, Holding, HoldingFilter, HoldingReader, ReportedHolding},
    id::{AccountId, HoldingId, UserId},
    page::{CreatedKey, Page, Slice},
    time::Timestamp,
    transaction::Security,
};

use super::{
    QueryError,
    access::{Access, Requester, Resource},
    ports::{Randomness, Work},
};

/// Makes what is stored of an account what was reported, inside a unit of work that somebody else opened and will settle. `reported` is all
/// the account holds: what is not in it is held no more, unless it may be one of the `unread`, which could not be read and stay as they were.
pub async fn take_stock(
    work: &mut dyn Work,
    account: &Account,
    (reported, unread): (&[ReportedHolding], &[String]),
    now: Timestamp,
    randomness: &dyn Randomness,
) -> anyhow::Result<()> {
    let reported: Vec<_> = reported.iter().map(without_card_numbers).collect();
    let known = work.holdings().of_account(account.user, account.id).await?;
    let found = holding::recognise(&known, &reported);
    let kept: HashSet<HoldingId> = found.iter().flatten().copied().collect();
    for gone in known.iter().filter(|known| !kept.contains(&known.id) && !unread.iter().any(|name| known.facts.may_be(name))) {
        work.holdings().remove(account.user, gone.id).await?;
    }
    let by_id: HashMap<HoldingId, &Holding> = known.iter().map(|known| (known.id, known)).collect();
    for (facts, found) in reported.into_iter().zip(found) {
        let stored = found.and_then(|id| by_id.get(&id).copied());
        match stored {
            // What is as it was is no change that anyone has to hear of.
            Some(stored) if stored.facts == facts => {}
            Some(stored) => work.holdings().save(&Holding { facts, ..stored.clone() }, now).await?,
            None => {
                let holding = Holding { id: HoldingId(randomness.id()), user: account.user, account: account.id, facts, created_at: now };
                work.holdings().insert(&holding).await?;
            }
        }
    }
    Ok(())
}

/// Names of securities are a provider's text, which may hold anything.
fn without_card_numbers(reported: &ReportedHolding) -> ReportedHolding {
    let Security { symbol, name, asset_type } = &reported.security;
    let security = Security { symbol: symbol.clone(), name: name.as_deref().map(card_number::cut), asset_type: *asset_type };
    ReportedHolding { security, ..reported.clone() }
}

/// Looks at holdings. Whatever the role, only at one's own.
pub struct HoldingQueries {
    /// What roles may do.
    pub access: Access,
    /// Where holdings are kept.
    pub holdings: Arc<dyn HoldingReader>,
}

impl HoldingQueries {
    /// Those of `ids` that are one's own.
    pub async fn find_many(&self, requester: &Requester, ids: &[HoldingId]) -> Result<Vec<Holding>, QueryError> {
        let owner = self.access.reader(requester, Resource::Accounts)?;
        Ok(self.holdings.find_many(owner, ids).await?)
    }

    /// The holdings of a user: one's own, and none of anyone else.
    pub async fn page(&self, requester: &Requester, of: UserId, filter: &HoldingFilter, page: Page<CreatedKey>) -> Result<Slice<Holding>, QueryError> {
        let Some(owner) = self.access.reader_of(requester, Resource::Accounts, of)? else { return Ok(Slice::none(&page)) };
        Ok(self.holdings.page(owner, filter, page).await?)
    }

    /// The same page of each of several accounts.
    pub async fn pages_by_account(
        &self,
        requester: &Requester,
        accounts: &[AccountId],
        page: Page<CreatedKey>,
    ) -> Result<HashMap<AccountId, Slice<Holding>>, QueryError> {
        let owner = self.access.reader(requester, Resource::Accounts)?;
        Ok(self.holdings.pages_by_account(owner, accounts, page).await?)
    }
}
