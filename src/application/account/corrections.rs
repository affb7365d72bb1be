//! Correcting an account: what its owner knows better than its provider.

use crate::{
    application::access::Requester,
    domain::{
        account::{Account, AccountType, Corrections},
        audit::{Act, ResourceKind},
        event::Event,
        id::AccountId,
        link::LinkStatus,
    },
};

use super::{AccountCommands, AccountError};

/// What an owner says of an account's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KindCorrection {
    /// Nothing new.
    Unchanged,
    /// That the provider or the file is right.
    Withdrawn,
    /// That it is this.
    Is(AccountType),
}

/// Correcting an account.
pub struct UpdateAccount {
    /// Who asks.
    pub requester: Requester,
    /// Which account.
    pub account: AccountId,
    /// What kind it is.
    pub kind: KindCorrection,
    /// Whether its provider has the signs the other way round; `None` leaves what is there.
    pub is_inverted: Option<bool>,
}

impl AccountCommands {
    /// Keeps what the owner says. Signs are turned in everything that is stored, in the same commit.
    pub async fn update(&self, command: UpdateAccount) -> Result<Account, AccountError> {
        let attempt = self.journal.attempt(&command.requester, Act::UpdateAccount).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::UpdateAccount)?;
                let mut work = self.store.begin(&attempt).await?;
                // What a sync brings in meanwhile would keep the old signs.
                work.accounts().take_turn(owner).await?;
                let mut account = work.accounts().find(owner, command.account).await?.ok_or(AccountError::NotFound)?;
                attempt.upon(ResourceKind::Account, command.account.0);
                let corrections = Corrections {
                    kind: match command.kind {
                        KindCorrection::Unchanged => account.corrections.kind,
                        KindCorrection::Withdrawn => None,
                        KindCorrection::Is(kind) => Some(kind),
                    },
                    is_inverted: command.is_inverted.unwrap_or(account.corrections.is_inverted),
                };
                let turned = account.correct(corrections);
                work.accounts().save(&account).await?;
                if turned {
                    work.transactions().turn_signs(&account, self.clock.now()).await?;
                    work.snapshots().turn_signs(owner, account.id).await?;
                    // A bank that has turned its signs has turned all of its rows, and those that came before that are right already.
                    if work.links().find(owner, account.link).await?.is_some_and(|link| link.status == LinkStatus::Active) {
                        work.coverages().forget(&account, account.link).await?;
                    }
                }
                work.succeed(Event::AccountUpdated { account: account.id, user: owner, turned }).await?;
                Ok(account)
            })
            .await
    }
}
