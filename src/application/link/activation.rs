//! What a link and its first sync come from: credentials that a provider has handed out.

use crate::{
    application::{
        access::Requester,
        audit::Attempt,
        credentials::seal_credentials,
        ports::{Credentials, FinancialProvider, Place, Work},
        storing::Storing,
    },
    domain::{
        consent::Consent,
        id::{ConsentId, LinkId, SyncId, UserId},
        link::{Authorization, Link, LinkStatus, SealedCredentials, StoredCredentials, Wiped},
        schedule::SyncPlan,
        sync::{Sync, SyncOrigin, SyncProblem},
    },
};

use super::{LinkCommands, LinkError, unlink::give_back};

/// What credentials are for.
pub(super) enum Target<'a> {
    /// The link a walk to the bank was begun for.
    Walk(&'a Authorization),
    /// One that is not stored yet.
    New(&'a Link),
    /// One there is, as it was when the provider was asked, with the name it is to have.
    Again(&'a Link),
}

impl Target<'_> {
    fn of(&self) -> (UserId, LinkId) {
        match self {
            Self::Walk(walk) => (walk.user, walk.link),
            Self::New(link) | Self::Again(link) => (link.user, link.id),
        }
    }
}

impl LinkCommands {
    /// Commits link, sealed credentials and the first sync together. What cannot be kept is given back, and so is what is kept no longer.
    pub(super) async fn activate(
        &self,
        attempt: &Attempt,
        provider: &dyn FinancialProvider,
        target: Target<'_>,
        credentials: &Credentials,
    ) -> Result<Link, LinkError> {
        let (owner, id) = target.of();
        let sealed = seal_credentials(self.sealer.as_ref(), Place::credentials(owner, id), credentials, self.clock.now())?;
        let storing = Storing::begin(id);
        let former = self.in_use(owner, id, &storing).await;
        let activated = loop {
            match self.try_to_activate(attempt, &target, credentials, &sealed).await {
                Err(LinkError::Unexpected(failure)) => {
                    // A commit whose answer was lost has stored them all the same.
                    match self.stored_until_known(&storing, &failure, owner, id, &sealed).await {
                        Ok(Some(link)) => break Ok(link),
                        Ok(None) if storing.goes_on_after(&failure).await => {}
                        Ok(None) => break Err(LinkError::Unexpected(failure)),
                        // Nobody knows whether they are stored, so they are not given back.
                        Err(_) => return Err(LinkError::Unexpected(failure)),
                    }
                }
                settled => break settled,
            }
        };
        match (&activated, former) {
            (Err(_), _) => give_back(provider, credentials).await,
            (Ok(link), Some(former)) => {
                let replaced = Wiped { link: id, provider: link.provider.clone(), sealed: former.envelope };
                self.tell_bank(&Requester::worker(owner), &replaced).await;
            }
            (Ok(_), None) => {}
        }
        activated
    }

    /// What a link that works has been given before. A database that cannot tell keeps nothing new from being stored.
    async fn in_use(&self, owner: UserId, id: LinkId, storing: &Storing) -> Option<StoredCredentials> {
        let look = async || {
            let works = self.links.find_many(owner, &[id]).await?.pop().is_some_and(|link| link.status == LinkStatus::Active);
            if works { self.links.credentials(owner, id).await } else { Ok(None) }
        };
        loop {
            match look().await {
                Ok(known) => return known,
                Err(failure) if storing.goes_on_after(&failure).await => {}
                Err(failure) => {
                    tracing::error!(link = %id.0, error = ?failure, "it is not known what a link has been given before; its bank is not told that it is over");
                    return None;
                }
            }
        }
    }

    /// The link, when these credentials are stored for it; `None` when they are not. A database that is away cannot tell, and is waited for.
    async fn stored_until_known(
        &self,
        storing: &Storing,
        failure: &anyhow::Error,
        owner: UserId,
        id: LinkId,
        sealed: &SealedCredentials,
    ) -> anyhow::Result<Option<Link>> {
        loop {
            match self.stored_now(owner, id, sealed).await {
                Err(_) if storing.goes_on_after(failure).await => {}
                told => return told,
            }
        }
    }

    async fn stored_now(&self, owner: UserId, id: LinkId, sealed: &SealedCredentials) -> anyhow::Result<Option<Link>> {
        match self.links.credentials(owner, id).await? {
            Some(stored) if stored.envelope == sealed.envelope => Ok(self.links.find_many(owner, &[id]).await?.pop()),
            _ => Ok(None),
        }
    }

    async fn try_to_activate(&self, attempt: &Attempt, target: &Target<'_>, credentials: &Credentials, sealed: &SealedCredentials) -> Result<Link, LinkError> {
        let now = self.clock.now();
        let (owner, id) = target.of();
        let mut work = self.store.begin(attempt).await?;
        // Whoever asked to be erased while the bank was asked has no links any more.
        work.sign_ins().take_turn(owner).await?.filter(|user| user.is_active).ok_or(LinkError::NotFound)?;
        let mut link = wanted(work.as_mut(), target).await?;
        let event = link.activate(credentials.consent_expires_at(), now);
        if matches!(target, Target::New(_)) {
            work.links().insert(&link).await?;
        } else {
            work.links().save(&link).await?;
        }
        if let Target::Again(named) = target
            && named.alias != link.alias
        {
            link.alias.clone_from(&named.alias);
            work.links().rename(&link).await?;
        }
        work.links().save_credentials(owner, id, sealed, now).await?;
        // What was agreed to before is no longer made use of.
        work.consents().withdraw(owner, id, now).await?;
        let consent = Consent {
            id: ConsentId(self.randomness.id()),
            user: owner,
            link: id,
            provider: link.provider.clone(),
            given_at: now,
            expires_at: credentials.consent_expires_at(),
            withdrawn_at: None,
        };
        work.consents().insert(&consent).await?;
        // What a worker does with older credentials must neither replace these nor end the link.
        work.syncs().end_open(owner, id, SyncProblem::Superseded, now).await?;
        work.syncs().insert(&Sync::request(SyncId(self.randomness.id()), id, owner, SyncOrigin::Linked, now)).await?;
        work.links().await_consent(owner, id, link.consent_term().map(|term| term.next_after(now))).await?;
        work.links().plan(owner, id, &SyncPlan::begun(now)).await?;
        work.succeed(event).await?;
        self.wake.notify_one();
        Ok(link)
    }
}

/// The link as it is by now, unless it was taken away while its provider was asked.
async fn wanted(work: &mut dyn Work, target: &Target<'_>) -> Result<Link, LinkError> {
    let (owner, id) = target.of();
    let known = match target {
        Target::New(link) => return Ok((*link).clone()),
        Target::Walk(_) | Target::Again(_) => work.links().find(owner, id).await?.ok_or(LinkError::NotFound)?,
    };
    let is_wanted = match target {
        Target::Walk(walk) => work.links().authorization_stands(owner, walk.id).await?,
        Target::New(before) | Target::Again(before) => known.status != LinkStatus::Unlinked || before.status == LinkStatus::Unlinked,
    };
    is_wanted.then_some(known).ok_or(LinkError::Unlinked)
}
