//! Erasure: asked for, called off, carried out.
//!
//! Asking ends every session and wipes what banks handed out, at once. A day later a worker removes the person: first what there is most
//! of, some rows at a time, then who they are in the audit trail, at last the user with everything that hangs on them. It can be
//! interrupted anywhere and goes on from there. Banks are told
//! once that their tokens are void; one that cannot be reached then keeps tokens that nobody has any more.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::domain::{
    audit::Act,
    email_change::{CHANGE_KEPT_DAYS, REVERT_DAYS},
    erasure::{ERASURE_HOURS, ErasureQueue, STRAGGLER_HOURS},
    event::Event,
    failure::{Reason, is_unavailable},
    id::UserId,
    link::Wiped,
    mail::{MailKind, MailTokenPurpose, MailTokenReader},
    session::RevocationReason,
    time::{Clock, Timestamp},
};

use super::{
    access::{Access, Denied, Requester},
    audit::{Attempt, Journal},
    credentials::open_credentials,
    mail::{Writer, token_hash},
    ports::{Place, Sealer, Store, Work},
    provider::Catalogue,
    session::{SessionGate, end_each},
    step_up::{ReauthenticationRequired, StepUp},
};

/// How often a worker looks for erasures that are due.
const POLL: Duration = Duration::from_mins(1);

/// How many rows are removed in one transaction: on the embedded database nobody else writes meanwhile.
const ROWS_AT_ONCE: u32 = 2_000;

/// Why nobody is erased, or not spared.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// Somebody has to administer.
    #[error("you are the last administrator; make another one first")]
    LastAdministrator,
    /// Unknown, used or past its time: the erasure has begun, or was called off.
    #[error("the token is unknown, was used before, or is too old")]
    InvalidToken,
    /// It takes a fresh proof.
    #[error(transparent)]
    Unproven(#[from] ReauthenticationRequired),
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for ErasureError {
    fn reason(&self) -> &'static str {
        match self {
            Self::LastAdministrator => "last_administrator",
            Self::InvalidToken => "invalid_token",
            Self::Unproven(required) => required.reason(),
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Asking to be erased.
pub struct RequestErasure {
    /// Who asks.
    pub requester: Requester,
}

/// Calling it off.
pub struct CancelErasure {
    /// Who asks; the token is what counts.
    pub requester: Requester,
    /// Out of the mail.
    pub token: SecretString,
}

/// Takes erasures in.
pub struct ErasureCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where users are kept.
    pub store: Arc<dyn Store>,
    /// What roles may do.
    pub access: Access,
    /// Whether the session proved lately who is behind it.
    pub step_up: StepUp,
    /// Tokens, before a transaction is opened.
    pub tokens: Arc<dyn MailTokenReader>,
    /// Banks.
    pub catalogue: Arc<Catalogue>,
    /// Opens what they handed out.
    pub sealer: Arc<dyn Sealer>,
    /// Forgets sessions at once when they end here.
    pub gate: Arc<SessionGate>,
    /// Queues mails.
    pub writer: Writer,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl ErasureCommands {
    /// Ends every session, wipes what banks handed out, and notes the day; answers when it is.
    pub async fn request(&self, command: RequestErasure) -> Result<Timestamp, ErasureError> {
        let attempt = self.journal.attempt(&command.requester, Act::RequestErasure).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::RequestErasure)?;
                self.step_up.require(&command.requester).await??;
                let now = self.clock.now();
                let mut work = self.store.begin(&attempt).await?;
                // Before one's own turn, since every administrator's is waited for here.
                if work.erasures().is_last_administrator(owner).await? {
                    return Err(ErasureError::LastAdministrator);
                }
                let user = work.sign_ins().take_turn(owner).await?.filter(|user| user.is_active).ok_or(Denied::Unauthenticated)?;
                let due = day_of_erasure(work.as_mut(), user.id, now).await?;
                let live = work.sessions().live(user.id, now).await?;
                let ended = end_each(work.as_mut(), live.into_iter(), RevocationReason::ErasureRequested, now).await?;
                work.erasures().schedule(user.id, now, due).await?;
                work.consents().withdraw_all(user.id, now).await?;
                let wiped = work.erasures().wipe_credentials(user.id).await?;
                for purpose in [MailTokenPurpose::PasswordReset, MailTokenPurpose::EmailChange] {
                    work.mails().void_tokens(user.id, purpose, now).await?;
                }
                let lifetime = due.since(now);
                self.writer.queue_token(work.as_mut(), user.id, MailKind::ErasureScheduled, MailTokenPurpose::ErasureCancellation, lifetime, now).await?;
                work.succeed(Event::ErasureRequested { user: user.id, ended: ended.len(), wiped: wiped.len() }).await?;
                for session in ended {
                    self.gate.forget(user.id, session);
                }
                join_all(wiped.iter().map(|wiped| self.tell_bank(user.id, wiped))).await;
                Ok(due)
            })
            .await
    }

    /// Tells a bank that its consent is over. What it handed out is gone here already, so a bank that does not answer changes nothing.
    async fn tell_bank(&self, user: UserId, Wiped { link, provider, sealed }: &Wiped) {
        let Some(bank) = self.catalogue.linkable(provider) else { return };
        match open_credentials(self.sealer.as_ref(), Place::credentials(user, *link), sealed) {
            Ok(credentials) => {
                if let Err(fault) = bank.revoke(&credentials).await {
                    tracing::warn!(provider, %fault, "a bank could not be told that a consent is over");
                }
            }
            Err(failure) => tracing::error!(link = %link.0, error = ?failure, "what a bank handed out does not open, so it could not be told that it is void"),
        }
    }

    /// Calls an erasure off by the token out of the mail. Signing in works again; sessions stay ended and banks unlinked.
    pub async fn cancel(&self, command: CancelErasure) -> Result<(), ErasureError> {
        let attempt = self.journal.attempt(&command.requester, Act::CancelErasure).await?;
        attempt
            .settle(async {
                let hash = token_hash(&command.token).ok_or(ErasureError::InvalidToken)?;
                let now = self.clock.now();
                let token = self.tokens.find_any_live(&hash, MailTokenPurpose::ErasureCancellation, now).await?.ok_or(ErasureError::InvalidToken)?;
                let mut work = self.store.begin(&attempt).await?;
                work.sign_ins().take_turn(token.user).await?.ok_or(ErasureError::InvalidToken)?;
                let user = work.mails().spend_token(&hash, MailTokenPurpose::ErasureCancellation, now).await?.ok_or(ErasureError::InvalidToken)?;
                if !work.erasures().cancel(user).await? {
                    return Err(ErasureError::InvalidToken);
                }
                work.succeed(Event::ErasureCancelled { user }).await?;
                Ok(())
            })
            .await
    }
}

/// A day from now, and not before the last day on which an address can be taken back: whoever took an account over must not get rid of it
/// before the reader of its old address has had their time.
async fn day_of_erasure(work: &mut dyn Work, user: UserId, now: Timestamp) -> anyhow::Result<Timestamp> {
    let way_back = chrono::Duration::days(REVERT_DAYS);
    let standing = work.email_changes().standing_since(user, now.minus(way_back)).await?;
    let ends = standing.iter().filter_map(|change| change.confirmed.map(|(confirmed_at, _)| confirmed_at.plus(way_back)));
    Ok(ends.fold(now.plus(chrono::Duration::hours(ERASURE_HOURS)), Timestamp::max))
}

/// Why a person is not erased now.
#[derive(Debug, thiserror::Error)]
enum EraseError {
    #[error("it is not due, was called off, or another worker has done it")]
    NotDue,
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for EraseError {
    fn reason(&self) -> &'static str {
        match self {
            Self::NotDue => "not_due",
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Carries erasures out until it is told to stop.
pub struct Eraser {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where users are kept.
    pub store: Arc<dyn Store>,
    /// What is due.
    pub queue: Arc<dyn ErasureQueue>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Eraser {
    /// Returns once `stop` is called and the erasure at hand is done.
    pub async fn run(&self, stop: CancellationToken) {
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = poll.tick() => {}
            }
            match self.round(&stop).await {
                Ok(()) => {}
                Err(failure) if is_unavailable(&failure) => tracing::warn!(reason = %failure, "erasing has to wait"),
                Err(failure) => tracing::error!(error = ?failure, "erasing stopped on a fault of ours; it is tried again"),
            }
        }
    }

    async fn round(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        while !stop.is_cancelled() && self.erase_next().await? {}
        self.tidy().await
    }

    /// Forgets what was still under way when somebody was erased, addresses that somebody wanted and never confirmed, and previews of imports and
    /// answers of providers that are too old.
    pub async fn tidy(&self) -> anyhow::Result<()> {
        let now = self.clock.now();
        if self.queue.forget_stragglers(now.minus(chrono::Duration::hours(STRAGGLER_HOURS))).await? > 0 {
            self.queue.scrub().await?;
        }
        self.queue.forget_email_changes(now.minus(chrono::Duration::days(CHANGE_KEPT_DAYS))).await?;
        self.queue.forget_previews(now).await?;
        self.queue.forget_payloads(now).await?;
        Ok(())
    }

    /// Erases the one whose day came first; `false` when nobody's has come.
    pub async fn erase_next(&self) -> anyhow::Result<bool> {
        let Some(user) = self.queue.next_due_for_worker(self.clock.now()).await? else { return Ok(false) };
        let attempt = self.journal.attempt(&Requester::worker(user), Act::EraseUser).await?;
        match attempt.settle(self.erase(&attempt, user)).await {
            Ok(()) | Err(EraseError::NotDue) => {}
            Err(EraseError::Unexpected(failure)) => return Err(failure),
        }
        self.queue.scrub().await?;
        Ok(true)
    }

    async fn erase(&self, attempt: &Attempt, user: UserId) -> Result<(), EraseError> {
        let mut work = self.store.begin(attempt).await?;
        if !work.erasures().begin(user, self.clock.now()).await? {
            return Err(EraseError::NotDue);
        }
        work.checkpoint().await?;
        let mut rows = 0;
        loop {
            let mut work = self.store.begin(attempt).await?;
            let removed = work.erasures().remove_some(user, ROWS_AT_ONCE).await?;
            work.checkpoint().await?;
            if removed == 0 {
                break;
            }
            rows += removed;
        }
        let mut work = self.store.begin(attempt).await?;
        rows += work.erasures().forget_person(user).await?;
        work.checkpoint().await?;
        let mut work = self.store.begin(attempt).await?;
        rows += work.erasures().finish(user, self.clock.now()).await?.ok_or(EraseError::NotDue)?;
        work.succeed(Event::UserErased { rows }).await?;
        Ok(())
    }
}
