//! The courier: takes mails out of the outbox, writes them and hands them to the mailer.
//!
//! A mail goes out at least once. What cannot be sent is tried again for about half a day and then parked, where an operator finds it.

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::domain::{
    failure::is_unavailable,
    id::{MailId, MailTokenId, UserId},
    mail::{DELIVERED_MAIL_DAYS, MAILS_AN_HOUR, Mail, MailKind, MailQueue, MailToken, MailTokenPurpose},
    sign_in::WINDOW_MINUTES,
    time::{Clock, Timestamp},
    user::{EmailAddress, UserReader},
};

use super::ports::{MailTokenMint, Mailer, MailerFault, Randomness, Work};

/// How long the outbox is left alone when nobody rings: other processes queue too.
const POLL: Duration = Duration::from_secs(1);

/// How often delivered mails are forgotten.
const SWEEP: Duration = Duration::from_hours(1);

/// A mail with everything it says.
pub struct Letter {
    /// The same for every try.
    pub id: MailId,
    /// Its reader.
    pub to: EmailAddress,
    /// When it was written.
    pub written_at: Timestamp,
    /// What it is about.
    pub content: LetterContent,
}

/// What a mail is about.
pub enum LetterContent {
    /// Confirm your address: the page that does it, and the token for frontends of one's own.
    Verification { page: SecretString, token: SecretString, hours: i64 },
    /// Somebody tried to register your address.
    AlreadyRegistered,
    /// Choose a new password: the page that takes it, and the token for frontends of one's own.
    PasswordReset { page: SecretString, token: SecretString, minutes: i64 },
    /// Your password is another one now.
    PasswordChanged,
    /// Confirm that this address becomes yours: the page that does it, and the token for frontends of one's own.
    EmailChange { page: SecretString, token: SecretString, hours: i64 },
    /// Another address took the place of this one: the page that takes it back, and the token for frontends of one's own.
    EmailChanged { page: SecretString, token: SecretString, days: i64 },
    /// Your address is back.
    EmailReverted,
    /// Your account is going to be erased: the page that calls it off, and the token for frontends of one's own.
    ErasureScheduled { page: SecretString, token: SecretString, hours: i64 },
    /// Signing in takes a code from now on.
    SecondFactorEnabled,
    /// Signing in takes no code any more.
    SecondFactorDisabled,
    /// Earlier recovery codes work no more.
    RecoveryCodesReplaced,
    /// A recovery code was used.
    RecoveryCodeUsed,
    /// Somebody who knows your password tries codes.
    CodesGuessed,
    /// Signing in is paused for some minutes, since wrong passwords were tried.
    SignInPaused { minutes: i64 },
    /// A session ended since somebody else seems to hold its tokens.
    RefreshTokenReused,
}

/// Longer than any token of ours, which have 43 characters.
const MAX_TOKEN_BYTES: usize = 256;

/// SHA-256 of a presented token, as it is kept; `None` for what is too long to be one.
pub(super) fn token_hash(token: &SecretString) -> Option<Vec<u8>> {
    // Pasted, with a space or a line's end behind it.
    let text = token.expose_secret().trim();
    (text.len() <= MAX_TOKEN_BYTES).then(|| Sha256::digest(text.as_bytes()).to_vec())
}

/// Puts mails into the outbox of a unit of work.
#[derive(Clone)]
pub struct Writer {
    /// Derives tokens.
    pub mint: Arc<dyn MailTokenMint>,
    /// Ids.
    pub randomness: Arc<dyn Randomness>,
    /// Rings for the courier of this process.
    pub bell: Arc<Notify>,
}

impl Writer {
    /// Whether a user may get another mail of this kind: three within an hour are enough.
    pub(super) async fn admits(&self, work: &mut dyn Work, user: UserId, kind: MailKind, now: Timestamp) -> anyhow::Result<bool> {
        Ok(work.mails().queued_since(user, kind, now.minus(chrono::Duration::hours(1))).await? < MAILS_AN_HOUR)
    }

    /// Queues a mail without a token.
    pub(super) async fn queue(&self, work: &mut dyn Work, user: UserId, kind: MailKind, now: Timestamp) -> anyhow::Result<()> {
        work.mails().queue(&Mail::new(MailId(self.randomness.id()), user, kind, None, now)).await
    }

    /// Queues a mail with a new token, which takes the place of older ones; answers which.
    pub(super) async fn queue_token(
        &self,
        work: &mut dyn Work,
        user: UserId,
        kind: MailKind,
        purpose: MailTokenPurpose,
        lifetime: chrono::Duration,
        now: Timestamp,
    ) -> anyhow::Result<MailTokenId> {
        work.mails().void_tokens(user, purpose, now).await?;
        self.queue_another_token(work, user, kind, purpose, lifetime, now).await
    }

    /// Queues a mail with a new token; older ones work on. Answers which.
    pub(super) async fn queue_another_token(
        &self,
        work: &mut dyn Work,
        user: UserId,
        kind: MailKind,
        purpose: MailTokenPurpose,
        lifetime: chrono::Duration,
        now: Timestamp,
    ) -> anyhow::Result<MailTokenId> {
        let (id, key_id) = (self.randomness.id().into(), self.mint.key_id());
        let token = self.mint.token(&key_id, id).ok_or_else(|| anyhow::anyhow!("there is no key for tokens that travel by mail"))?;
        let hash = token_hash(&token).ok_or_else(|| anyhow::anyhow!("a token that travels by mail is too long"))?;
        let token = MailToken { id, user, purpose, key_id, hash, created_at: now, expires_at: now.plus(lifetime), spent_at: None };
        work.mails().add_token(&token).await?;
        work.mails().queue(&Mail::new(MailId(self.randomness.id()), user, kind, Some(id), now)).await?;
        Ok(id)
    }

    /// Rings for the courier, once what was queued is committed.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }
}

/// Delivers the outbox until it is told to stop.
pub struct Courier {
    /// What waits.
    pub queue: Arc<dyn MailQueue>,
    /// Looks addresses up.
    pub users: Arc<dyn UserReader>,
    /// Derives tokens.
    pub mint: Arc<dyn MailTokenMint>,
    /// Sends.
    pub mailer: Arc<dyn Mailer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How browsers reach this server, without a slash at the end.
    pub public_url: String,
    /// Rings when this process queued something.
    pub bell: Arc<Notify>,
}

impl Courier {
    /// Returns once `stop` is called and the mail at hand is dealt with.
    pub async fn run(&self, stop: CancellationToken) {
        let mut sweep = tokio::time::interval(SWEEP);
        while !stop.is_cancelled() {
            match self.deliver_next().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(failure) if is_unavailable(&failure) => tracing::warn!(reason = %failure, "the outbox has to wait"),
                Err(failure) => tracing::error!(error = ?failure, "the outbox could not be worked"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.bell.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                _ = sweep.tick() => self.sweep().await,
            }
        }
    }

    async fn sweep(&self) {
        let before = self.clock.now().minus(chrono::Duration::days(DELIVERED_MAIL_DAYS));
        if let Err(failure) = self.queue.forget_delivered(before).await {
            tracing::error!(error = ?failure, "delivered mails could not be forgotten");
        }
    }

    /// Takes one mail and sends it; `false` when none was waiting.
    pub async fn deliver_next(&self) -> anyhow::Result<bool> {
        let Some(mail) = self.queue.take_any_for_courier(self.clock.now()).await? else { return Ok(false) };
        let sent = match self.write(&mail).await? {
            Some(letter) => self.mailer.send(&letter).await,
            // Its reader or its token is gone, and so is its reason.
            None => Ok(()),
        };
        let now = self.clock.now();
        match sent {
            Ok(()) => self.queue.delivered(mail.id, now).await?,
            Err(fault) => {
                let again = mail.pause().filter(|_| !fault.is_final()).map(|pause| now.plus(pause));
                if let MailerFault::Unexpected(cause) = &fault {
                    tracing::error!(mail = %mail.id.0, error = ?cause, "a mail could not be written");
                } else {
                    tracing::warn!(mail = %mail.id.0, fault = fault.as_str(), tries = mail.attempts, parked = again.is_none(), "a mail was not taken");
                }
                self.queue.failed(mail.id, again, fault.as_str(), now).await?;
            }
        }
        Ok(true)
    }

    async fn write(&self, mail: &Mail) -> anyhow::Result<Option<Letter>> {
        let Some(user) = self.users.find(mail.user).await? else { return Ok(None) };
        let mut to = user.email;
        let content = match mail.kind {
            MailKind::EmailReverted => LetterContent::EmailReverted,
            MailKind::EmailChange => {
                let Some((page, token, lifetime)) = self.action(mail, "confirm-email").await? else { return Ok(None) };
                let Some(address) = self.address_of(mail).await? else { return Ok(None) };
                let holder = self.users.find_any_by_email(address.key()).await?;
                if let Some(holder) = holder.filter(|holder| holder.id != user.id && holder.email_verified_at.is_some()) {
                    to = holder.email;
                    LetterContent::AlreadyRegistered
                } else {
                    to = address;
                    LetterContent::EmailChange { page, token, hours: lifetime.num_hours() }
                }
            }
            MailKind::EmailChanged => {
                let Some((page, token, lifetime)) = self.action(mail, "revert-email").await? else { return Ok(None) };
                let Some(address) = self.address_of(mail).await? else { return Ok(None) };
                to = address;
                LetterContent::EmailChanged { page, token, days: lifetime.num_days() }
            }
            MailKind::ErasureScheduled => {
                let Some((page, token, lifetime)) = self.action(mail, "cancel-erasure").await? else { return Ok(None) };
                LetterContent::ErasureScheduled { page, token, hours: lifetime.num_hours() }
            }
            MailKind::AlreadyRegistered => LetterContent::AlreadyRegistered,
            MailKind::PasswordChanged => LetterContent::PasswordChanged,
            MailKind::SecondFactorEnabled => LetterContent::SecondFactorEnabled,
            MailKind::SecondFactorDisabled => LetterContent::SecondFactorDisabled,
            MailKind::RecoveryCodesReplaced => LetterContent::RecoveryCodesReplaced,
            MailKind::RecoveryCodeUsed => LetterContent::RecoveryCodeUsed,
            MailKind::CodesGuessed => LetterContent::CodesGuessed,
            MailKind::SignInPaused => LetterContent::SignInPaused { minutes: WINDOW_MINUTES },
            MailKind::RefreshTokenReused => LetterContent::RefreshTokenReused,
            MailKind::PasswordReset => {
                let Some((page, token, lifetime)) = self.action(mail, "reset-password").await? else { return Ok(None) };
                LetterContent::PasswordReset { page, token, minutes: lifetime.num_minutes() }
            }
            MailKind::Verification => {
                let Some((page, token, lifetime)) = self.action(mail, "verify-email").await? else { return Ok(None) };
                LetterContent::Verification { page, token, hours: lifetime.num_hours() }
            }
        };
        Ok(Some(Letter { id: mail.id, to, written_at: mail.created_at, content }))
    }

    /// The page a mail leads to, the token it carries, and how long both work; `None` once they do not.
    async fn action(&self, mail: &Mail, page: &str) -> anyhow::Result<Option<(SecretString, SecretString, chrono::Duration)>> {
        let Some((token, expires_at)) = self.token_of(mail).await? else { return Ok(None) };
        let page = format!("{}/{page}?token={}", self.public_url, token.expose_secret()).into();
        Ok(Some((page, token, expires_at.since(mail.created_at))))
    }

    /// Where a mail about a change of address goes; `None` once the change is forgotten.
    async fn address_of(&self, mail: &Mail) -> anyhow::Result<Option<EmailAddress>> {
        match mail.token {
            Some(token) => self.queue.find_any_address_for_courier(token).await,
            None => Ok(None),
        }
    }

    /// The token of a mail, while it works.
    async fn token_of(&self, mail: &Mail) -> anyhow::Result<Option<(SecretString, Timestamp)>> {
        let Some(id) = mail.token else { return Ok(None) };
        let live = self.queue.find_any_token_for_courier(id).await?.filter(|token| token.is_live(self.clock.now()));
        Ok(live.and_then(|token| Some((self.mint.token(&token.key_id, id)?, token.expires_at))))
    }
}
