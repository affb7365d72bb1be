//! Mail: what Dashtam has to say to a person, from the commit that gave reason for it to its delivery.
//!
//! A mail in the outbox names its reader and the token it carries by id. The address is looked up and the token derived when it is
//! sent, so nothing that waits here, and no copy of the database, opens anything. Where a mail goes to an address that is not the
//! reader's own, not yet or not any more, the change of address that its token belongs to knows it.

use async_trait::async_trait;

use super::{
    id::{LinkId, MailTokenId, MessageId, UserId},
    time::Timestamp,
    transaction::words,
    user::EmailAddress,
};

/// How many mails of one kind a user gets in an hour.
pub const MAILS_AN_HOUR: u64 = 3;

words! {
    /// What a mail is about.
    MailKind {
        /// Asks the reader to confirm their address; carries a token.
        Verification = "verification",
        /// Tells the owner of an address that somebody tried to register it again.
        AlreadyRegistered = "already_registered",
        /// Resets a password; carries a token.
        PasswordReset = "password_reset",
        /// Tells that the password was changed or reset.
        PasswordChanged = "password_changed",
        /// Tells that signing in takes a code from now on.
        SecondFactorEnabled = "second_factor_enabled",
        /// Tells that signing in takes no code any more.
        SecondFactorDisabled = "second_factor_disabled",
        /// Tells that recovery codes were replaced.
        RecoveryCodesReplaced = "recovery_codes_replaced",
        /// Tells that a recovery code was used.
        RecoveryCodeUsed = "recovery_code_used",
        /// Tells that somebody who knows the password tries codes.
        CodesGuessed = "codes_guessed",
        /// Tells that signing in is paused, since wrong passwords were tried.
        SignInPaused = "sign_in_paused",
        /// Asks the reader of a new address to confirm that it becomes a user's; goes there and carries a token.
        EmailChange = "email_change",
        /// Tells the reader of the old address that it is another one now; goes there and carries a token that takes it back.
        EmailChanged = "email_changed",
        /// Tells that the old address is back.
        EmailReverted = "email_reverted",
        /// Tells when the account will be erased; carries a token that calls it off.
        ErasureScheduled = "erasure_scheduled",
        /// Tells that a session ended because one of its refresh tokens was used twice.
        RefreshTokenReused = "refresh_token_reused",
        /// Tells that a bank's consent ends soon; is about a link.
        ConsentEnding = "consent_ending",
        /// Tells that a bank's consent is over; is about a link.
        ConsentEnded = "consent_ended",
        /// Tells that a bank no longer honours what it handed out; is about a link.
        AccessLost = "access_lost",
    }
}

words! {
    /// What a token out of a mail proves.
    MailTokenPurpose {
        /// That its reader receives mail at the address they registered.
        Verification = "verification",
        /// That its reader may choose a new password.
        PasswordReset = "password_reset",
        /// That its reader receives mail at the address a user wants to have.
        EmailChange = "email_change",
        /// That its reader received mail at the address a user had.
        EmailRevert = "email_revert",
        /// That its reader may call an erasure off.
        ErasureCancellation = "erasure_cancellation",
    }
}

/// A secret that travels by mail and works once. Only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailToken {
    /// What it is derived from, under the key of `key_id`.
    pub id: MailTokenId,
    /// Whose it is.
    pub user: UserId,
    /// What it proves.
    pub purpose: MailTokenPurpose,
    /// The key it is derived under.
    pub key_id: String,
    /// SHA-256 of its text.
    pub hash: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// When it was used, or a newer one took its place.
    pub spent_at: Option<Timestamp>,
}

impl MailToken {
    /// Whether it still works.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.spent_at.is_none() && now < self.expires_at
    }
}

/// A mail that waits in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The same for every try; receivers tell a repeated mail by it, as its `Message-ID`.
    pub id: MessageId,
    /// Its reader.
    pub user: UserId,
    /// What it is about.
    pub kind: MailKind,
    /// The token it carries.
    pub token: Option<MailTokenId>,
    /// The link it is about.
    pub link: Option<LinkId>,
    /// When the reason for it arose.
    pub created_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
}

impl Mail {
    /// A mail to be sent as soon as may be.
    pub fn new(id: MessageId, user: UserId, kind: MailKind, token: Option<MailTokenId>, now: Timestamp) -> Self {
        Self { id, user, kind, token, link: None, created_at: now, attempts: 0 }
    }

    /// Whom it waits for: mails to one reader leave in the order in which their reasons were committed. A mail to an address that is not its
    /// user's yet has another reader, whose mail server must not hold up what the user has to know; it waits for nobody.
    pub fn lane(&self) -> Option<UserId> {
        match self.kind {
            MailKind::EmailChange => None,
            MailKind::Verification
            | MailKind::AlreadyRegistered
            | MailKind::PasswordReset
            | MailKind::PasswordChanged
            | MailKind::SecondFactorEnabled
            | MailKind::SecondFactorDisabled
            | MailKind::RecoveryCodesReplaced
            | MailKind::RecoveryCodeUsed
            | MailKind::CodesGuessed
            | MailKind::SignInPaused
            | MailKind::EmailChanged
            | MailKind::EmailReverted
            | MailKind::ErasureScheduled
            | MailKind::ConsentEnding
            | MailKind::ConsentEnded
            | MailKind::AccessLost
            | MailKind::RefreshTokenReused => Some(self.user),
        }
    }
}

/// The outbox and its tokens, inside a unit of work.
#[async_trait]
pub trait Mails: Send {
    /// A mail to be sent once the unit of work is committed.
    async fn queue(&mut self, mail: &Mail) -> anyhow::Result<()>;
    /// How many mails of a kind were queued for a user since an instant.
    async fn queued_since(&mut self, user: UserId, kind: MailKind, since: Timestamp) -> anyhow::Result<u64>;
    /// A new token beside older ones of the same user and purpose.
    async fn add_token(&mut self, token: &MailToken) -> anyhow::Result<()>;
    /// A user's tokens of one purpose stop working.
    async fn void_tokens(&mut self, user: UserId, purpose: MailTokenPurpose, now: Timestamp) -> anyhow::Result<()>;
    /// These tokens of a user stop working.
    async fn void_tokens_of(&mut self, user: UserId, tokens: &[MailTokenId], now: Timestamp) -> anyhow::Result<()>;
    /// Uses a token up and answers whose it was; `None` when it is unknown, used, replaced or past its time.
    async fn spend_token(&mut self, hash: &[u8], purpose: MailTokenPurpose, now: Timestamp) -> anyhow::Result<Option<UserId>>;
}

/// Tokens, before a transaction is opened.
#[async_trait]
pub trait MailTokenReader: Send + Sync {
    /// The token of that hash and purpose while it works, whoever presents it.
    async fn find_any_live(&self, hash: &[u8], purpose: MailTokenPurpose, now: Timestamp) -> anyhow::Result<Option<MailToken>>;
}

/// The outbox as couriers see it. Each call is a statement of its own; no unit of work is open.
#[async_trait]
pub trait MailQueue: Send + Sync {
    /// Takes the mail that has waited longest, whoever it is for, and counts the try; no other courier gets it within the lease. Passed over is
    /// what waits for an earlier one of its lane that is neither out nor parked. What cannot be read is parked.
    async fn take_any_for_courier(&self, now: Timestamp) -> anyhow::Result<Option<Mail>>;
    /// The token a mail carries.
    async fn find_any_token_for_courier(&self, id: MailTokenId) -> anyhow::Result<Option<MailToken>>;
    /// Where a mail about a change of address goes, by the token it carries.
    async fn find_any_address_for_courier(&self, token: MailTokenId) -> anyhow::Result<Option<EmailAddress>>;
    /// It is out; or, `void`, its reason is gone, and nothing went out.
    async fn delivered(&self, mail: MessageId, void: bool, now: Timestamp) -> anyhow::Result<()>;
    /// This try of it failed: it is tried again at `at`, or parked when there is no such instant. `problem` is a word for the operator. Nothing
    /// happens if another courier has it by now.
    async fn failed(&self, mail: &Mail, at: Option<Timestamp>, problem: &str, now: Timestamp) -> anyhow::Result<()>;
    /// Forgets what was delivered before an instant; answers how many.
    async fn forget_delivered(&self, before: Timestamp) -> anyhow::Result<u64>;
}
