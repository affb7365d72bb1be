//! Changes of address: asked for by whoever is signed in, made by whoever reads the new mailbox, taken back by whoever reads the old one.
//!
//! Nobody learns from the answer whether an address is known here; its mailbox does. The old address hears of the change once it is made,
//! and for a week its reader can take it back without signing in, whatever changed after it: whoever took an account over would change
//! the address first.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use tokio::time::{Instant, sleep_until};

use crate::domain::{
    audit::Act,
    email_change::{CONFIRMATION_HOURS, EmailChange, REVERT_DAYS},
    event::Event,
    failure::Reason,
    id::{EmailChangeId, MailTokenId, SessionId, UserId},
    mail::{MailKind, MailTokenPurpose, MailTokenReader},
    session::RevocationReason,
    time::{Clock, Timestamp},
    user::{EmailAddress, InvalidEmail, User},
};

use super::{
    access::{Access, Denied, Requester},
    audit::{Attempt, Journal},
    mail::{Writer, token_hash},
    ports::{Randomness, Store, Work},
    session::{SessionGate, end_each},
    step_up::{ReauthenticationRequired, StepUp},
};

/// Why an address stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum EmailChangeError {
    /// Not an address.
    #[error(transparent)]
    InvalidEmail(#[from] InvalidEmail),
    /// It is theirs already, letter for letter.
    #[error("this is your address already")]
    Unchanged,
    /// Unknown, used, replaced or past its time.
    #[error("the token is unknown, was used before, or is too old")]
    InvalidToken,
    /// Somebody else has confirmed it meanwhile.
    #[error("this address belongs to another account by now")]
    EmailTaken,
    /// Not told to anyone but the trail.
    #[error("there is nothing to send")]
    NothingToSend(&'static str),
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

impl Reason for EmailChangeError {
    fn reason(&self) -> &'static str {
        match self {
            Self::InvalidEmail(_) => "invalid_email",
            Self::Unchanged => "unchanged",
            Self::InvalidToken => "invalid_token",
            Self::EmailTaken => "email_taken",
            Self::NothingToSend(reason) => reason,
            Self::Unproven(required) => required.reason(),
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Asking for another address.
pub struct RequestEmailChange {
    /// Who asks.
    pub requester: Requester,
    /// As typed.
    pub email: String,
}

/// Confirming the new address.
pub struct ConfirmEmailChange {
    /// Who asks; the token is what counts.
    pub requester: Requester,
    /// Out of the mail to the new address.
    pub token: SecretString,
}

/// Taking the old address back.
pub struct RevertEmailChange {
    /// Who asks; the token is what counts.
    pub requester: Requester,
    /// Out of the mail to the old address.
    pub token: SecretString,
}

/// Changes addresses.
pub struct EmailChangeCommands {
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
    /// Forgets sessions at once when they end here.
    pub gate: Arc<SessionGate>,
    /// Queues mails.
    pub writer: Writer,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub randomness: Arc<dyn Randomness>,
    /// How long an answer takes at least, so that what was done for it does not show.
    pub unhurried: Duration,
}

impl EmailChangeCommands {
    /// Mails a token to the new address. Nothing here depends on whether somebody has it, so neither the trail nor an export tells; who delivers
    /// the mail tells a holder that somebody wanted their address, and leaves the token out.
    pub async fn request(&self, command: RequestEmailChange) -> Result<(), EmailChangeError> {
        let began = Instant::now();
        let attempt = self.journal.attempt(&command.requester, Act::RequestEmailChange).await?;
        let asked = attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::RequestEmailChange)?;
                self.step_up.require(&command.requester).await??;
                let new = EmailAddress::parse(&command.email)?;
                let now = self.clock.now();
                let mut work = self.store.begin(&attempt).await?;
                let user = work.sign_ins().take_turn(owner).await?.filter(|user| user.is_active).ok_or(Denied::Unauthenticated)?;
                if user.email.written() == new.written() {
                    return Err(EmailChangeError::Unchanged);
                }
                self.mail_confirmation(work, user, new, now).await
            })
            .await;
        sleep_until(began + self.unhurried).await;
        match asked {
            Err(EmailChangeError::NothingToSend(_)) => Ok(()),
            told => told,
        }
    }

    async fn mail_confirmation(&self, mut work: Box<dyn Work>, user: User, new: EmailAddress, now: Timestamp) -> Result<(), EmailChangeError> {
        if !self.writer.admits(work.as_mut(), user.id, MailKind::EmailChange, now).await? {
            return Err(EmailChangeError::NothingToSend("too_many_mails"));
        }
        let lifetime = chrono::Duration::hours(CONFIRMATION_HOURS);
        let token = self.writer.queue_token(work.as_mut(), user.id, MailKind::EmailChange, MailTokenPurpose::EmailChange, lifetime, now).await?;
        let change = EmailChange {
            id: EmailChangeId(self.randomness.id()),
            user: user.id,
            previous: user.email,
            new,
            requested_at: now,
            confirmation: token,
            confirmed: None,
            reverted_at: None,
        };
        work.email_changes().insert(&change).await?;
        self.settle(work, user.id, Event::EmailChangeRequested { user: user.id }, Vec::new()).await
    }

    /// Makes the change. The token proves the new mailbox; sessions go on. The old address is told, with the way back.
    pub async fn confirm(&self, command: ConfirmEmailChange) -> Result<(), EmailChangeError> {
        let attempt = self.journal.attempt(&command.requester, Act::ConfirmEmailChange).await?;
        attempt
            .settle(async {
                let now = self.clock.now();
                let (mut work, user, mut change) = self.redeem(&attempt, &command.token, MailTokenPurpose::EmailChange, now).await?;
                if !user.is_active || change.confirmed.is_some() {
                    return Err(EmailChangeError::InvalidToken);
                }
                let replaced = self.make_way(work.as_mut(), user.id, &change.new).await?;
                if !work.users().change_email(user.id, &change.new, now).await? {
                    return Err(EmailChangeError::EmailTaken);
                }
                let lifetime = chrono::Duration::days(REVERT_DAYS);
                let revert =
                    self.writer.queue_another_token(work.as_mut(), user.id, MailKind::EmailChanged, MailTokenPurpose::EmailRevert, lifetime, now).await?;
                change.previous = user.email;
                change.confirmed = Some((now, revert));
                work.email_changes().save(&change).await?;
                self.void_what_was_mailed(work.as_mut(), user.id, now).await?;
                self.settle(work, user.id, Event::EmailChanged { user: user.id, replaced }, Vec::new()).await
            })
            .await
    }

    /// Takes an address back, and with it every change that came after. Every session ends; an erasure that was asked for meanwhile is off.
    pub async fn revert(&self, command: RevertEmailChange) -> Result<(), EmailChangeError> {
        let attempt = self.journal.attempt(&command.requester, Act::RevertEmailChange).await?;
        attempt
            .settle(async {
                let now = self.clock.now();
                let (mut work, user, change) = self.redeem(&attempt, &command.token, MailTokenPurpose::EmailRevert, now).await?;
                let (confirmed_at, _) = change.confirmed.filter(|_| change.reverted_at.is_none()).ok_or(EmailChangeError::InvalidToken)?;
                self.make_way(work.as_mut(), user.id, &change.previous).await?;
                if !work.users().change_email(user.id, &change.previous, now).await? {
                    return Err(EmailChangeError::EmailTaken);
                }
                let undone = work.email_changes().standing_since(user.id, confirmed_at).await?;
                let ways_back: Vec<MailTokenId> = undone.iter().filter_map(|change| change.confirmed.map(|(_, token)| token)).collect();
                for mut change in undone {
                    change.reverted_at = Some(now);
                    work.email_changes().save(&change).await?;
                }
                work.mails().void_tokens_of(user.id, &ways_back, now).await?;
                self.void_what_was_mailed(work.as_mut(), user.id, now).await?;
                work.mails().void_tokens(user.id, MailTokenPurpose::ErasureCancellation, now).await?;
                work.erasures().cancel(user.id).await?;
                // A second factor that came after the change is that of whoever made it.
                if work.second_factors().find(user.id).await?.is_some_and(|factor| factor.enabled_at.is_none_or(|at| at >= confirmed_at)) {
                    work.second_factors().remove(user.id).await?;
                }
                let live = work.sessions().live(user.id, now).await?;
                let ended = end_each(work.as_mut(), live.into_iter(), RevocationReason::EmailReverted, now).await?;
                let event = Event::EmailChangeReverted { user: user.id, undone: ways_back.len(), ended: ended.len() };
                self.settle(work, user.id, event, ended).await
            })
            .await
    }

    /// Uses a token up, with the turn of the user whose it is and the change it belongs to. The user comes first, as for everyone who waits
    /// for one: two that took token and user in different orders would wait for each other.
    async fn redeem(
        &self,
        attempt: &Attempt,
        token: &SecretString,
        purpose: MailTokenPurpose,
        now: Timestamp,
    ) -> Result<(Box<dyn Work>, User, EmailChange), EmailChangeError> {
        let hash = token_hash(token).ok_or(EmailChangeError::InvalidToken)?;
        let token = self.tokens.find_any_live(&hash, purpose, now).await?.ok_or(EmailChangeError::InvalidToken)?;
        let mut work = self.store.begin(attempt).await?;
        let user = work.sign_ins().take_turn(token.user).await?.ok_or(EmailChangeError::InvalidToken)?;
        work.mails().spend_token(&hash, purpose, now).await?.ok_or(EmailChangeError::InvalidToken)?;
        let change = work.email_changes().find_by_token(user.id, token.id).await?.ok_or(EmailChangeError::InvalidToken)?;
        Ok((work, user, change))
    }

    /// A registration that nobody confirmed gives way to whoever has proved the mailbox; an account that is somebody's does not.
    async fn make_way(&self, work: &mut dyn Work, user: UserId, email: &EmailAddress) -> Result<bool, EmailChangeError> {
        match work.users().find_any_by_email(email.key()).await? {
            Some(holder) if holder.id != user => {
                if work.users().remove_unverified(email.key()).await? {
                    Ok(true)
                } else {
                    Err(EmailChangeError::EmailTaken)
                }
            }
            _ => Ok(false),
        }
    }

    /// What went to an address that is not theirs any more opens nothing, and no other change is under way.
    async fn void_what_was_mailed(&self, work: &mut dyn Work, user: UserId, now: Timestamp) -> anyhow::Result<()> {
        for purpose in [MailTokenPurpose::EmailChange, MailTokenPurpose::PasswordReset, MailTokenPurpose::Verification] {
            work.mails().void_tokens(user, purpose, now).await?;
        }
        Ok(())
    }

    async fn settle(&self, work: Box<dyn Work>, user: UserId, event: Event, ended: Vec<SessionId>) -> Result<(), EmailChangeError> {
        work.succeed(event).await?;
        for session in ended {
            self.gate.forget(user, session);
        }
        Ok(())
    }
}
