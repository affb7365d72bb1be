//! Renewing what a bank handed out: ahead of its end, and never twice at once.
//!
//! A refresh token mostly works once, so whoever asks the bank holds the stored tokens meanwhile, over all processes, and everybody else waits
//! and takes what came of it. New tokens are committed before they are used for anything. A process that dies after the bank has answered and
//! before that commit takes them along: the bank refuses the older ones from then on, and the link says that it has to be linked again.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::domain::{
    audit::{Act, ResourceKind},
    event::Event,
    failure::Reason,
    id::MessageId,
    link::{Hold, Link, LinkReader, LinkReason, LinkStatus, SealedCredentials},
    mail::{Mail, MailKind},
    schedule::{DueLink, Schedule},
    sync::SyncProblem,
    time::{Clock, Timestamp},
};

use super::{
    access::Requester,
    audit::{Attempt, Journal},
    credentials::{open_credentials, seal_credentials},
    errand,
    link::give_back,
    ports::{Credentials, FinancialProvider, Place, ProviderFault, Randomness, Sealer, Store, Work},
    provider::Catalogue,
    schedule::pass_over,
    storing::Storing,
};

/// How long a bank may take over new tokens.
const PATIENCE: Duration = Duration::from_mins(2);

/// How long tokens are held for both: longer, or somebody else would begin with them too.
const HOLD_MINUTES: i64 = 4;

/// How long it is waited for somebody else who holds them, and how often it is looked.
const WAIT: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);

/// After how many seconds it is looked again whether tokens that are held are free: fewer tries than a sync has outlast whoever died holding them.
const BUSY_SECONDS: u32 = 60;

/// After how many minutes a renewal that failed for a while is tried again.
const AGAIN_MINUTES: i64 = 60;

/// What is stored of a link, opened.
pub(super) struct Opened {
    /// What opens its provider.
    pub(super) credentials: Credentials,
    version: i64,
    /// Until when its provider wants to be left alone by them.
    pub(super) rests_until: Option<Timestamp>,
}

/// Fresh credentials, and whose merit they are.
pub(super) enum Renewed {
    /// The bank was asked, and they are stored.
    Here(Opened),
    /// Somebody else was faster.
    Elsewhere(Opened),
}

impl Renewed {
    /// Either.
    pub(super) fn opened(self) -> Opened {
        match self {
            Self::Here(opened) | Self::Elsewhere(opened) => opened,
        }
    }
}

/// Why nothing is renewed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RenewalError {
    #[error(transparent)]
    Provider(#[from] ProviderFault),
    #[error("the link is not active any more, or was linked once more")]
    NotActive,
    #[error("somebody else has renewed them")]
    RenewedElsewhere,
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for RenewalError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Provider(fault) => SyncProblem::from(*fault).as_str(),
            Self::NotActive => "not_active",
            Self::RenewedElsewhere => "renewed_elsewhere",
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Opens and renews what banks handed out.
pub struct Renewals {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Links, before a transaction is opened.
    pub links: Arc<dyn LinkReader>,
    /// Opens tokens, and seals them.
    pub sealer: Arc<dyn Sealer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Renewals {
    /// What is stored of a link.
    pub(super) async fn open(&self, link: &Link) -> Result<Opened, RenewalError> {
        let stored = self.links.credentials(link.user, link.id).await?.ok_or(RenewalError::NotActive)?;
        let place = Place::credentials(link.user, link.id);
        let credentials = open_credentials(self.sealer.as_ref(), place, &stored.envelope)?;
        Ok(Opened { credentials, version: stored.version, rests_until: stored.rests_until })
    }

    /// Fresh tokens for those that were opened, stored. `told` settles the attempt with their commit.
    pub(super) async fn renew(
        &self,
        attempt: &Attempt,
        provider: &dyn FinancialProvider,
        link: &Link,
        opened: &Opened,
        told: Option<Event>,
    ) -> Result<Renewed, RenewalError> {
        let (Some(door), Credentials::Oauth(tokens)) = (provider.oauth(), &opened.credentials) else { return Err(ProviderFault::Refused.into()) };
        if !self.hold(attempt, link, opened.version).await? {
            return Ok(Renewed::Elsewhere(self.open(link).await?));
        }
        let asked = tokio::time::timeout(PATIENCE, door.refresh(tokens, self.clock.now())).await;
        let now = self.clock.now();
        let credentials = match asked.unwrap_or(Err(ProviderFault::Unreachable)) {
            Ok(tokens) => Credentials::Oauth(tokens),
            Err(fault) => {
                let mut work = self.store.begin(attempt).await?;
                // Whoever stores others just now comes first.
                work.accounts().take_turn(link.user).await?;
                if work.links().hold_credentials(link.user, link.id, opened.version, now, now).await? == Hold::Replaced {
                    drop(work);
                    return Ok(Renewed::Elsewhere(self.open(link).await?));
                }
                // A sync is tried again by itself.
                let again = told.is_some().then(|| later(fault, now));
                work.links().let_credentials_go(link.user, link.id, opened.version, again).await?;
                work.checkpoint().await?;
                return Err(fault.into());
            }
        };
        let sealed = seal_credentials(self.sealer.as_ref(), Place::credentials(link.user, link.id), &credentials, now)?;
        let storing = Storing::begin(link.id);
        loop {
            match self.replace(attempt, link, opened.version, &sealed, told.clone()).await {
                Ok(true) => return Ok(Renewed::Here(Opened { credentials, version: opened.version + 1, rests_until: opened.rests_until })),
                Ok(false) => {
                    self.give_back_unless_wanted(provider, link, &credentials).await?;
                    return Err(RenewalError::NotActive);
                }
                Err(failure) => {
                    if !storing.goes_on_after(&failure).await {
                        return Err(failure.into());
                    }
                }
            }
        }
    }

    /// Stores them in place of that version; `false` when the link has ended or has others by now.
    async fn replace(&self, attempt: &Attempt, link: &Link, version: i64, sealed: &SealedCredentials, told: Option<Event>) -> anyhow::Result<bool> {
        let mut work = self.store.begin(attempt).await?;
        work.accounts().take_turn(link.user).await?;
        // What was wiped meanwhile stays wiped, and what the bank handed out for a newer consent stays.
        let is_active = work.links().find(link.user, link.id).await?.is_some_and(|link| link.status == LinkStatus::Active);
        if !is_active || !work.links().replace_credentials(link.user, link.id, version, sealed, self.clock.now()).await? {
            drop(work);
            // A commit whose answer was lost has stored them all the same.
            return Ok(self.links.credentials(link.user, link.id).await?.is_some_and(|stored| stored.envelope == sealed.envelope));
        }
        match told {
            Some(event) => work.succeed(event).await?,
            None => work.checkpoint().await?,
        }
        Ok(true)
    }

    /// Tokens of a link that was taken away while its bank was asked.
    async fn give_back_unless_wanted(&self, provider: &dyn FinancialProvider, link: &Link, credentials: &Credentials) -> anyhow::Result<()> {
        let found = self.links.find_many(link.user, &[link.id]).await?.pop();
        if found.is_none_or(|link| link.status == LinkStatus::Unlinked) {
            give_back(provider, credentials).await;
        }
        Ok(())
    }

    /// Waits until nobody else holds them; `false` when there are others by then.
    async fn hold(&self, attempt: &Attempt, link: &Link, version: i64) -> Result<bool, RenewalError> {
        let began = tokio::time::Instant::now();
        loop {
            let now = self.clock.now();
            let mut work = self.store.begin(attempt).await?;
            match work.links().hold_credentials(link.user, link.id, version, now, now.plus(chrono::Duration::minutes(HOLD_MINUTES))).await? {
                Hold::Held => {
                    work.checkpoint().await?;
                    return Ok(true);
                }
                Hold::Replaced => return Ok(false),
                Hold::Gone => return Err(RenewalError::NotActive),
                // Whoever holds them may have died; a try after that finds out.
                Hold::Busy if began.elapsed() >= WAIT => return Err(ProviderFault::Unavailable { retry_after: BUSY_SECONDS }.into()),
                Hold::Busy => {}
            }
            drop(work);
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// When it is tried again by itself: what has its turn is tried as soon as that comes, what failed after a while.
fn later(fault: ProviderFault, now: Timestamp) -> Timestamp {
    now.plus(fault.wait().unwrap_or(chrono::Duration::minutes(AGAIN_MINUTES)))
}

/// Ends a link whose bank no longer honours what it handed out, and tells its user by mail, inside a unit of work whose refusal is that.
pub(super) async fn lose_access(work: &mut dyn Work, link: &mut Link, randomness: &dyn Randomness, now: Timestamp) -> anyhow::Result<()> {
    let has_ended = link.consent_expires_at.is_some_and(|end| end <= now);
    if link.expire(if has_ended { LinkReason::ConsentEnded } else { LinkReason::CredentialsRejected }).is_ok() {
        work.links().save(link).await?;
        let mail = Mail::new(MessageId(randomness.id()), link.user, MailKind::AccessLost, None, now);
        work.mails().queue(&Mail { link: Some(link.id), ..mail }).await?;
    }
    Ok(())
}

/// Renews what nobody has used for long.
pub struct Renewer {
    /// Where attempts are written.
    pub journal: Journal,
    /// Renews.
    pub renewals: Arc<Renewals>,
    /// What is due.
    pub schedule: Arc<dyn Schedule>,
    /// The adapters.
    pub catalogue: Arc<Catalogue>,
    /// Ids.
    pub randomness: Arc<dyn Randomness>,
}

impl Renewer {
    /// Renews all that are due, until `stop`; answers how many it tried. A provider that cannot be asked just now is left alone until the next
    /// look: its other links would fare no better, and those of other providers do not wait for it.
    pub async fn renew_due(&self, stop: &CancellationToken) -> anyhow::Result<usize> {
        let mut tried = 0;
        for provider in self.catalogue.renewable() {
            while !stop.is_cancelled()
                && let Some(due) = self.schedule.take_any_to_renew_for_worker(&[provider], self.renewals.clock.now()).await?
            {
                match self.renew(due).await {
                    Ok(goes_on) => {
                        tried += 1;
                        if !goes_on {
                            break;
                        }
                    }
                    Err(failure) => pass_over(due, failure)?,
                }
            }
        }
        Ok(tried)
    }

    /// Answers whether the provider can be asked for more.
    async fn renew(&self, due: DueLink) -> anyhow::Result<bool> {
        let attempt = self.journal.attempt(&Requester::worker(due.user), Act::RenewCredentials).await?;
        attempt.upon(ResourceKind::Link, due.link.0);
        match attempt.settle(errand::on_behalf_of(due.link, self.try_to_renew(&attempt, due))).await {
            Ok(()) | Err(RenewalError::NotActive | RenewalError::RenewedElsewhere) => Ok(true),
            Err(RenewalError::Provider(fault)) => {
                tracing::warn!(link = %due.link.0, %fault, "what a bank handed out was not renewed");
                Ok(match fault {
                    ProviderFault::Unreachable | ProviderFault::ServerError | ProviderFault::Unavailable { .. } | ProviderFault::RateLimited { .. } => false,
                    ProviderFault::Refused | ProviderFault::AppRefused | ProviderFault::Unpaid | ProviderFault::Malformed | ProviderFault::Incomplete => true,
                })
            }
            Err(RenewalError::Unexpected(cause)) => Err(cause),
        }
    }

    async fn try_to_renew(&self, attempt: &Attempt, DueLink { link, user }: DueLink) -> Result<(), RenewalError> {
        let links = self.renewals.links.find_many(user, &[link]).await?;
        let link = links.into_iter().find(|link| link.status == LinkStatus::Active).ok_or(RenewalError::NotActive)?;
        let provider = self.catalogue.linkable(&link.provider).ok_or(RenewalError::NotActive)?;
        let opened = self.renewals.open(&link).await?;
        let told = Event::CredentialsRenewed { link: link.id, user };
        match self.renewals.renew(attempt, provider.as_ref(), &link, &opened, Some(told)).await {
            Ok(Renewed::Here(_)) => Ok(()),
            Ok(Renewed::Elsewhere(_)) => Err(RenewalError::RenewedElsewhere),
            Err(RenewalError::Provider(ProviderFault::Refused)) => Err(self.give_up(attempt, &link, opened.version).await?),
            Err(failure) => Err(failure),
        }
    }

    /// The bank no longer knows the tokens, unless there are others by now.
    async fn give_up(&self, attempt: &Attempt, link: &Link, version: i64) -> anyhow::Result<RenewalError> {
        let now = self.renewals.clock.now();
        let mut work = self.renewals.store.begin(attempt).await?;
        work.accounts().take_turn(link.user).await?;
        let is_current = work.links().hold_credentials(link.user, link.id, version, now, now).await? == Hold::Held;
        let Some(mut link) = work.links().find(link.user, link.id).await?.filter(|link| is_current && link.status == LinkStatus::Active) else {
            return Ok(RenewalError::NotActive);
        };
        lose_access(work.as_mut(), &mut link, self.randomness.as_ref(), now).await?;
        let refusal = RenewalError::Provider(ProviderFault::Refused);
        work.refuse(&refusal).await?;
        Ok(refusal)
    }
}
