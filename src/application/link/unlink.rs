//! Taking a link away.
//!
//! One commit wipes what the bank handed out, withdraws the consent, ends walks to the bank and syncs that are under way, and closes or
//! removes the accounts. The bank is told afterwards, and that it was is an act of its own on the trail: a bank that does not answer keeps
//! tokens that nobody has any more, and keeps nobody's link from being taken away.

use crate::{
    application::{
        access::{Denied, Requester},
        credentials::open_credentials,
        ports::{Credentials, FinancialProvider, Place, ProviderFault, Revocation, Work},
    },
    domain::{
        audit::{Act, ResourceKind},
        event::Event,
        failure::Reason,
        id::LinkId,
        link::{Link, LinkReason, Wiped},
        sync::SyncProblem,
    },
};

use super::{LinkCommands, LinkError, callback::fault_reason};

/// Taking a link away.
pub struct Unlink {
    /// Who asks.
    pub requester: Requester,
    /// Which link.
    pub link: LinkId,
    /// Whether what came through it stays.
    pub keep_data: bool,
}

/// Why a bank was not told that a consent is over.
#[derive(Debug, thiserror::Error)]
enum NotTold {
    #[error("this server no longer knows the provider")]
    UnknownProvider,
    #[error("the provider cannot be told; what it handed out works until its owner ends it there")]
    NotOffered,
    #[error(transparent)]
    Provider(#[from] ProviderFault),
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for NotTold {
    fn reason(&self) -> &'static str {
        match self {
            Self::UnknownProvider => "unknown_provider",
            Self::NotOffered => "not_offered",
            Self::Provider(ProviderFault::Refused | ProviderFault::AppRefused) => LinkReason::CredentialsRejected.as_str(),
            Self::Provider(fault) => fault_reason(*fault).as_str(),
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

impl LinkCommands {
    /// Takes a link away, wherever it stands. Of one that was taken away before, what was kept can still be removed.
    pub async fn unlink(&self, command: Unlink) -> Result<Link, LinkError> {
        let attempt = self.journal.attempt(&command.requester, Act::Unlink).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::Unlink)?;
                let now = self.clock.now();
                let mut work = self.store.begin(&attempt).await?;
                // Whatever brings something in waits, and finds afterwards that it is over.
                work.accounts().take_turn(owner).await?;
                let mut link = work.links().find(owner, command.link).await?.ok_or(LinkError::NotFound)?;
                attempt.upon(ResourceKind::Link, command.link.0);
                let was_unlinked = link.unlink().is_err();
                if was_unlinked && (command.keep_data || work.accounts().of_link(owner, link.id).await?.is_empty()) {
                    // Who has changed their mind about linking it once more does not come back from the bank to find it linked.
                    work.links().wipe_credentials(&link).await?;
                    work.refuse(&LinkError::Unlinked).await?;
                    return Err(LinkError::Unlinked);
                }
                if !command.keep_data {
                    link.forget();
                    work.payloads().forget(owner, link.id).await?;
                }
                work.links().save(&link).await?;
                let wiped = work.links().wipe_credentials(&link).await?;
                work.consents().withdraw(owner, link.id, now).await?;
                work.syncs().end_open(owner, link.id, SyncProblem::LinkEnded, now).await?;
                let erased = if command.keep_data {
                    close_accounts(work.as_mut(), &link).await?;
                    None
                } else {
                    Some(work.accounts().remove_of_link(owner, link.id).await?)
                };
                work.succeed(Event::Unlinked { link: link.id, user: owner, erased }).await?;
                if let Some(wiped) = wiped {
                    self.tell_bank(&command.requester, &wiped).await;
                }
                Ok(link)
            })
            .await
    }

    /// Tells a bank that its consent is over. What it handed out is gone here already, so nothing depends on it.
    pub(super) async fn tell_bank(&self, requester: &Requester, wiped: &Wiped) {
        match self.try_to_tell(requester, wiped).await {
            Ok(()) => {}
            Err(NotTold::Unexpected(failure)) => tracing::error!(link = %wiped.link.0, error = ?failure, "a bank was not told that a consent is over"),
            Err(why) => tracing::warn!(link = %wiped.link.0, provider = wiped.provider, %why, "a bank could not be told that a consent is over"),
        }
    }

    async fn try_to_tell(&self, requester: &Requester, Wiped { link, provider, sealed }: &Wiped) -> Result<(), NotTold> {
        let attempt = self.journal.attempt(requester, Act::RevokeConsent).await?;
        attempt.upon(ResourceKind::Link, link.0);
        attempt
            .settle(async {
                let user = self.access.attempt(requester, Act::RevokeConsent)?;
                let bank = self.catalogue.linkable(provider).ok_or(NotTold::UnknownProvider)?;
                match bank.revoke(&open_credentials(self.sealer.as_ref(), Place::credentials(user, *link), sealed)?).await? {
                    Revocation::Told => {}
                    Revocation::NotOffered => return Err(NotTold::NotOffered),
                }
                self.store.begin(&attempt).await?.succeed(Event::ConsentRevoked { link: *link, user }).await?;
                Ok(())
            })
            .await
    }
}

/// Tells a bank that what it handed out just now is not kept: its link was taken away while it was asked.
pub(in crate::application) async fn give_back(bank: &dyn FinancialProvider, credentials: &Credentials) {
    if let Err(fault) = bank.revoke(credentials).await {
        tracing::warn!(provider = bank.manifest().slug, %fault, "a bank could not be told that a consent is over");
    }
}

/// They keep their rows and count no more.
async fn close_accounts(work: &mut dyn Work, link: &Link) -> anyhow::Result<()> {
    for mut account in work.accounts().of_link(link.user, link.id).await?.into_iter().filter(|account| account.is_active) {
        account.is_active = false;
        work.accounts().save(&account).await?;
    }
    Ok(())
}
