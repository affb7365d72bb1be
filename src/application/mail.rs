//! The courier: takes mails out of the outbox, writes them and hands them to the mailer.
//!
//! A mail goes out at least once, and those to one reader one after the other. What cannot be sent is tried again for about half a day and then
//! parked, where an operator finds it.

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::domain::{
    failure::is_unavailable,
    id::{MailTokenId, MessageId, UserId},
    link::{LinkReader, LinkReason, LinkStatus},
    mail::{MAILS_AN_HOUR, Mail, MailKind, MailQueue, MailToken, MailTokenPurpose},
    outbox::{DELIVERED_DAYS, MAX_ATTEMPTS, pause},
    sign_in::WINDOW_MINUTES,
    time::{Clock, Timestamp},
    user::{EmailAddress, UserReader},
};

use super::{
    ports::{MailTokenMint, Mailer, MailerFault, Randomness, Work},
    provider::Catalogue,
};

/// How long the outbox is left alone when nobody rings: other processes queue too.
const POLL: Duration = Duration::from_secs(1);

/// How often delivered mails are forgotten.
const SWEEP: Duration = Duration::from_hours(1);

/// How many mails a process has under way at once.
const AT_ONCE: usize = 4;

/// How long a mail server may take over one mail: less than a lease, or another courier would begin with it too.
const PATIENCE: Duration = Duration::from_mins(2);

/// How long mails under way may take once a stop was asked for.
const PARTING: Duration = Duration::from_secs(20);

/// A mail with everything it says.
pub struct Letter {
    /// The same for every try.
    pub id: MessageId,
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
    /// A bank's consent ends, at this instant.
    ConsentEnding { provider: &'static str, ends_at: Timestamp },
    /// A bank may not be read any more: its consent is over, or it took it back.
    LinkExpired { provider: &'static str, has_ended: bool },
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
}

impl Writer {
    /// Whether a user may get another mail of this kind: three within an hour are enough.
    pub(super) async fn admits(&self, work: &mut dyn Work, user: UserId, kind: MailKind, now: Timestamp) -> anyhow::Result<bool> {
        Ok(work.mails().queued_since(user, kind, now.minus(chrono::Duration::hours(1))).await? < MAILS_AN_HOUR)
    }

    /// Queues a mail without a token, for what is about to be refused. What succeeds queues its own (see [`handlers`](super::handlers)).
    pub(super) async fn queue(&self, work: &mut dyn Work, user: UserId, kind: MailKind, now: Timestamp) -> anyhow::Result<()> {
        work.mails().queue(&Mail::new(MessageId(self.randomness.id()), user, kind, None, now)).await
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
        work.mails().queue(&Mail::new(MessageId(self.randomness.id()), user, kind, Some(id), now)).await?;
        Ok(id)
    }
}

/// Delivers the outbox until it is told to stop.
pub struct Courier {
    /// What waits.
    pub queue: Arc<dyn MailQueue>,
    /// Looks addresses up.
    pub users: Arc<dyn UserReader>,
    /// Looks up what a mail is about.
    pub links: Arc<dyn LinkReader>,
    /// What providers are called.
    pub catalogue: Arc<Catalogue>,
    /// Derives tokens.
    pub mint: Arc<dyn MailTokenMint>,
    /// Sends.
    pub mailer: Arc<dyn Mailer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Spreads tries.
    pub randomness: Arc<dyn Randomness>,
    /// How browsers reach this server, without a slash at the end.
    pub public_url: String,
    /// Rings when this process queued something.
    pub bell: Arc<Notify>,
}

impl Courier {
    /// Returns once `stop` is called and the mails at hand are dealt with. A server that takes its time holds up nobody else's mail.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut sweep = tokio::time::interval(SWEEP);
        let mut under_way = JoinSet::new();
        while !stop.is_cancelled() {
            if under_way.len() < AT_ONCE {
                match self.queue.take_any_for_courier(self.clock.now()).await {
                    Ok(Some(mail)) => {
                        let courier = self.clone();
                        // In a task of its own, so that a panic over one mail costs that mail a try and nobody else theirs.
                        under_way.spawn(async move { courier.deliver(&mail).await });
                        continue;
                    }
                    Ok(None) => {}
                    Err(failure) => note(&failure),
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                // What came after it may go now.
                Some(done) = under_way.join_next() => note_end(done),
                () = self.bell.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                _ = sweep.tick() => self.sweep().await,
            }
        }
        let parted = tokio::time::timeout(PARTING, async {
            while let Some(done) = under_way.join_next().await {
                note_end(done);
            }
        });
        if parted.await.is_err() {
            tracing::warn!(mails = under_way.len(), "mails that a server is slow to take are left to be tried again");
        }
    }

    async fn sweep(&self) {
        let before = self.clock.now().minus(chrono::Duration::days(DELIVERED_DAYS));
        if let Err(failure) = self.queue.forget_delivered(before).await {
            tracing::error!(error = ?failure, "delivered mails could not be forgotten");
        }
    }

    /// Takes one mail and sends it; `false` when none was waiting.
    pub async fn deliver_next(&self) -> anyhow::Result<bool> {
        let Some(mail) = self.queue.take_any_for_courier(self.clock.now()).await? else { return Ok(false) };
        self.deliver(&mail).await?;
        Ok(true)
    }

    async fn deliver(&self, mail: &Mail) -> anyhow::Result<()> {
        if mail.attempts > MAX_ATTEMPTS {
            // Whoever held it never came back to say why.
            tracing::error!(mail = %mail.id.0, tries = mail.attempts, "a mail is parked: every courier that took it was lost");
            return self.queue.failed(mail, None, "lost", self.clock.now()).await;
        }
        let Some(letter) = self.write(mail).await? else {
            // Its reader or its token is gone, and so is its reason.
            return self.queue.delivered(mail.id, true, self.clock.now()).await;
        };
        let sent = tokio::time::timeout(PATIENCE, self.mailer.send(&letter)).await.unwrap_or(Err(MailerFault::Unreachable));
        let now = self.clock.now();
        let fault = match sent {
            Ok(()) => return self.queue.delivered(mail.id, false, now).await,
            Err(fault) => fault,
        };
        let again = pause(mail.attempts, self.randomness.secret()[0]).filter(|_| !fault.is_final()).map(|pause| now.plus(pause));
        if let MailerFault::Unexpected(cause) = &fault {
            tracing::error!(mail = %mail.id.0, error = ?cause, "a mail could not be written");
        } else {
            tracing::warn!(mail = %mail.id.0, fault = fault.as_str(), tries = mail.attempts, parked = again.is_none(), "a mail was not taken");
        }
        self.queue.failed(mail, again, fault.as_str(), now).await
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
            MailKind::ConsentEnding | MailKind::ConsentEnded | MailKind::AccessLost => {
                let Some(content) = self.of_link(mail).await? else { return Ok(None) };
                content
            }
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

    /// What a mail about a link says; `None` once it is not true any more, since the link was linked again or taken away.
    async fn of_link(&self, mail: &Mail) -> anyhow::Result<Option<LetterContent>> {
        let Some(id) = mail.link else { return Ok(None) };
        let Some(link) = self.links.find_many(mail.user, &[id]).await?.pop() else { return Ok(None) };
        let Some(entry) = self.catalogue.entry(&link.provider) else { return Ok(None) };
        let (provider, now) = (entry.manifest.name, self.clock.now());
        Ok(match (mail.kind, link.status, link.consent_term()) {
            (MailKind::ConsentEnding, LinkStatus::Active, Some(term)) if term.is_ending(now) => {
                Some(LetterContent::ConsentEnding { provider, ends_at: term.ends_at })
            }
            (MailKind::ConsentEnded | MailKind::AccessLost, LinkStatus::Expired, _) => {
                Some(LetterContent::LinkExpired { provider, has_ended: link.reason == Some(LinkReason::ConsentEnded) })
            }
            _ => None,
        })
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

fn note_end(done: Result<anyhow::Result<()>, JoinError>) {
    match done {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => note(&failure),
        Err(stopped) => tracing::error!(panicked = stopped.is_panic(), "a mail's delivery stopped in the middle; it is tried again when its lease ends"),
    }
}

fn note(failure: &anyhow::Error) {
    if is_unavailable(failure) {
        tracing::warn!(reason = %failure, "the outbox has to wait");
    } else {
        tracing::error!(error = ?failure, "the outbox could not be worked");
    }
}
