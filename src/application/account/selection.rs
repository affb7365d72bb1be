//! Choosing which accounts of a link are kept synced.

use std::collections::HashSet;

use crate::{
    application::access::Requester,
    domain::{
        audit::{Act, ResourceKind},
        event::Event,
        id::{AccountId, LinkId},
        link::Link,
    },
};

use super::{AccountCommands, AccountError};

/// Choosing which accounts of a link are kept synced.
pub struct SelectAccounts {
    /// Who asks.
    pub requester: Requester,
    /// Which link.
    pub link: LinkId,
    /// All of its accounts that are to be kept synced.
    pub accounts: Vec<AccountId>,
}

impl AccountCommands {
    /// Keeps these accounts of a link synced and no others. One that is not any more is closed and keeps its rows; one that is again opens with
    /// the next sync, which brings in what was missed. Accounts that are new at the bank are kept synced.
    pub async fn select(&self, command: SelectAccounts) -> Result<Link, AccountError> {
        let attempt = self.journal.attempt(&command.requester, Act::SelectAccounts).await?;
        attempt.upon(ResourceKind::Link, command.link.0);
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::SelectAccounts)?;
                let mut work = self.store.begin(&attempt).await?;
                work.accounts().take_turn(owner).await?;
                let link = work.links().find(owner, command.link).await?.ok_or(AccountError::NoSuchLink)?;
                self.catalogue.linkable(&link.provider).ok_or(AccountError::NotSyncable)?;
                let accounts = work.accounts().of_link(owner, link.id).await?;
                let mut wanted: HashSet<AccountId> = command.accounts.into_iter().collect();
                let selected = wanted.len();
                for mut account in accounts {
                    let is_wanted = wanted.remove(&account.id);
                    if account.is_selected != is_wanted {
                        account.is_selected = is_wanted;
                        account.is_active &= is_wanted;
                        work.accounts().save(&account).await?;
                    }
                }
                if !wanted.is_empty() {
                    return Err(AccountError::NotOfLink);
                }
                work.succeed(Event::AccountsSelected { link: link.id, user: owner, selected }).await?;
                Ok(link)
            })
            .await
    }
}
