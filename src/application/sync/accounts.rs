//! What a sync does with an account itself: its facts, its balances and its positions.

use crate::{
    application::{holding::take_stock, import::new_account, ports::Work},
    domain::{
        account::{Account, AccountType},
        balance::BalanceSnapshot,
        id::AccountId,
        link::Link,
        provider::ReportedAccount,
        time::Timestamp,
    },
};

use super::{RunError, SyncEngine, days::FetchedAccount};

impl SyncEngine {
    /// Whether its owner wants nothing of it any more, by now.
    pub(super) fn is_left_out(&self, link: &Link, accounts: &[Account], reported: &ReportedAccount) -> bool {
        let fingerprints = self.sealer.fingerprints(link.user, &link.provider, &reported.reference);
        accounts.iter().any(|account| !account.is_selected && fingerprints.contains(&account.fingerprint))
    }

    /// The stored account, brought up to date as far as there is news of it, or a new one. It leaves `accounts`, so that what stays there was not
    /// reported. `None` when it is reported in another currency.
    pub(super) async fn account_of(
        &self,
        work: &mut dyn Work,
        link: &Link,
        accounts: &mut Vec<Account>,
        told: &FetchedAccount,
        now: Timestamp,
    ) -> Result<Option<Account>, RunError> {
        let reported = &told.account;
        let fingerprints = self.sealer.fingerprints(link.user, &link.provider, &reported.reference);
        let account = if let Some(at) = accounts.iter().position(|account| fingerprints.contains(&account.fingerprint)) {
            let stored = accounts.swap_remove(at);
            // Amounts mean nothing without their unit, and what is stored keeps its own.
            if stored.currency != reported.currency {
                tracing::warn!(account = %stored.id.0, "an account is reported in another currency than before; it stays as it was");
                return Ok(None);
            }
            // Under the current key from now on, so that an older one is needed no more once everything was reported.
            let fingerprint = fingerprints.into_iter().next().unwrap_or_else(|| stored.fingerprint.clone());
            let account = if told.has_news {
                let (institution, corrections) = (stored.institution.clone(), stored.corrections);
                let fresh = new_account(stored.id, stored.user, stored.link, fingerprint, reported, stored.created_at);
                let balances = corrections.balances(fresh.balances);
                // Whoever cannot tell any more what it is does not make it something else.
                let kind = if fresh.kind == AccountType::Other { stored.kind } else { fresh.kind };
                Account { institution, kind, balances, corrections, synced_at: stored.synced_at, ..fresh }
            } else {
                Account { fingerprint, ..stored.clone() }
            };
            // What is as it was is no change that anyone has to hear of.
            if account != stored {
                work.accounts().save(&account).await?;
            }
            if !told.has_news {
                return Ok(Some(account));
            }
            account
        } else {
            let fingerprint = fingerprints.into_iter().next().ok_or_else(|| anyhow::anyhow!("the key ring is empty"))?;
            let account = new_account(AccountId(self.randomness.id()), link.user, link.id, fingerprint, reported, now);
            work.accounts().insert(&account).await?;
            account
        };
        work.snapshots().insert(&BalanceSnapshot { account: account.id, user: account.user, taken_at: now, balances: account.balances }).await?;
        if let Some(holdings) = &reported.holdings {
            take_stock(work, &account, (holdings, &reported.unread_holdings), now, self.randomness.as_ref()).await?;
        }
        Ok(Some(account))
    }
}
