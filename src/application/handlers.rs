//! Handlers: the one list of what can happen, and of what follows from it.
//!
//! Every event is in it, with the mail its user gets or the reason why they get none, and with whoever is to look again because of it; a new
//! event does not compile before somebody has decided. A unit of work asks it when it succeeds: a mail that needs nothing but the event is queued
//! there, and one that carries a token of its own has to be queued by then. Whatever else is queued, or is not, keeps the whole from being
//! committed.

use anyhow::{bail, ensure};

use crate::domain::{event::Event, id::UserId, mail::MailKind, second_factor::Factor};

/// What a user learns by mail of something that has happened to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mailing {
    /// Nothing, and why.
    Silent(&'static str),
    /// A mail that the event alone gives reason for.
    Notice(MailKind),
    /// A mail with a token that belongs to the change.
    Token(MailKind),
}

const BY_THEMSELVES: &str = "its user did it a moment ago, and sees what came of it";
const BY_ADMINISTRATION: &str = "who administers tells them, or they see it at the next sign-in";
const OF_THE_HOUSE: &str = "it concerns the server, and nobody in particular";
const OFTEN: &str = "it happens every few minutes";
const AFTERWARDS: &str = "the mail it follows from is answered";

/// What follows from an event.
pub fn mailing(event: &Event) -> Mailing {
    match event {
        Event::UserRegistered { mailed: true, .. } | Event::VerificationRequested { .. } => Mailing::Token(MailKind::Verification),
        Event::UserRegistered { mailed: false, .. } => Mailing::Silent("as many mails went there as may within an hour"),
        Event::PasswordResetRequested { .. } => Mailing::Token(MailKind::PasswordReset),
        Event::PasswordChanged { .. } | Event::PasswordReset { .. } => Mailing::Notice(MailKind::PasswordChanged),
        Event::EmailChangeRequested { .. } => Mailing::Token(MailKind::EmailChange),
        Event::EmailChanged { .. } => Mailing::Token(MailKind::EmailChanged),
        Event::EmailChangeReverted { .. } => Mailing::Notice(MailKind::EmailReverted),
        Event::ErasureRequested { .. } => Mailing::Token(MailKind::ErasureScheduled),
        Event::SecondFactorEnabled { .. } => Mailing::Notice(MailKind::SecondFactorEnabled),
        Event::SecondFactorDisabled { .. } => Mailing::Notice(MailKind::SecondFactorDisabled),
        Event::RecoveryCodesReplaced { .. } => Mailing::Notice(MailKind::RecoveryCodesReplaced),
        Event::SessionCreated { factor: Some(Factor::RecoveryCode), .. } | Event::Reauthenticated { factor: Some(Factor::RecoveryCode), .. } => {
            Mailing::Notice(MailKind::RecoveryCodeUsed)
        }
        Event::SessionCreated { factor: None | Some(Factor::Device), .. } => {
            Mailing::Silent("signing in is an everyday thing, and the list of sessions shows it")
        }
        Event::Reauthenticated { factor: None | Some(Factor::Device), .. }
        | Event::SignInChallenged { .. }
        | Event::SecondFactorBegun { .. }
        | Event::SessionRevoked { .. }
        | Event::SessionsRevoked { .. }
        | Event::SessionRenamed { .. }
        | Event::ProfileUpdated { .. }
        | Event::DocumentsAgreedTo { .. }
        | Event::ExportRequested { .. }
        | Event::ExportFetched { .. }
        | Event::LinkBegun { .. }
        | Event::AuthorizationStarted { .. }
        | Event::LinkActivated { .. }
        | Event::LinkRenamed { .. }
        | Event::Unlinked { .. }
        | Event::ConsentRevoked { .. }
        | Event::AccountUpdated { .. }
        | Event::AccountsSelected { .. }
        | Event::ImportPreviewed { .. }
        | Event::ImportReverted { .. }
        | Event::StatementImported { .. } => Mailing::Silent(BY_THEMSELVES),
        Event::ConsentEnding { .. } => Mailing::Notice(MailKind::ConsentEnding),
        Event::ConsentEnded { .. } => Mailing::Notice(MailKind::ConsentEnded),
        Event::SessionRefreshed { .. } | Event::SyncRequested { .. } | Event::LinkSynced { .. } | Event::CredentialsRenewed { .. } => Mailing::Silent(OFTEN),
        Event::EmailVerified { .. } | Event::ErasureCancelled { .. } => Mailing::Silent(AFTERWARDS),
        Event::UserErased { .. } => Mailing::Silent("nobody is left to tell"),
        Event::UserCreated { .. }
        | Event::RoleAssigned { .. }
        | Event::TierAssigned { .. }
        | Event::UserDeactivated { .. }
        | Event::UserReactivated { .. }
        | Event::UserUnlocked { .. }
        | Event::TokensRotated { .. } => Mailing::Silent(BY_ADMINISTRATION),
        Event::KeysRotated { .. }
        | Event::SecretsResealed { .. }
        | Event::LinkRemapped { .. }
        | Event::MessageRetried { .. }
        | Event::MessageDropped { .. }
        | Event::AuditRead { .. }
        | Event::AuditExported { .. }
        | Event::AuditPruned { .. } => Mailing::Silent(OF_THE_HOUSE),
    }
}

/// Who is given a signal once an event is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// Nobody: nothing that is remembered anywhere, or watched, is other than before.
    Nobody,
    /// Whoever remembers or watches one of the sessions that ended with it, if any did.
    EndedSessions,
    /// Whoever remembers or watches its user.
    Subject,
    /// Whoever remembers or watches anybody.
    Everyone,
}

/// Who hears of an event. The use cases give the signals, since they know which sessions ended.
pub fn hint(event: &Event) -> Hint {
    match event {
        Event::SessionCreated { .. }
        | Event::SessionRevoked { .. }
        | Event::SessionsRevoked { .. }
        | Event::PasswordChanged { .. }
        | Event::PasswordReset { .. }
        | Event::EmailChangeReverted { .. }
        | Event::ErasureRequested { .. } => Hint::EndedSessions,
        Event::RoleAssigned { .. } | Event::UserDeactivated { .. } | Event::UserReactivated { .. } | Event::TokensRotated { user: Some(_), .. } => {
            Hint::Subject
        }
        Event::TokensRotated { user: None, .. } => Hint::Everyone,
        Event::UserCreated { .. }
        | Event::TierAssigned { .. }
        | Event::UserUnlocked { .. }
        | Event::KeysRotated { .. }
        | Event::SecretsResealed { .. }
        | Event::LinkRemapped { .. }
        | Event::UserRegistered { .. }
        | Event::EmailVerified { .. }
        | Event::VerificationRequested { .. }
        | Event::SignInChallenged { .. }
        | Event::SecondFactorBegun { .. }
        | Event::SecondFactorEnabled { .. }
        | Event::SecondFactorDisabled { .. }
        | Event::RecoveryCodesReplaced { .. }
        | Event::SessionRefreshed { .. }
        | Event::SessionRenamed { .. }
        | Event::Reauthenticated { .. }
        | Event::PasswordResetRequested { .. }
        | Event::ProfileUpdated { .. }
        | Event::DocumentsAgreedTo { .. }
        | Event::EmailChangeRequested { .. }
        | Event::EmailChanged { .. }
        | Event::ExportRequested { .. }
        | Event::ExportFetched { .. }
        | Event::ErasureCancelled { .. }
        | Event::UserErased { .. }
        | Event::LinkBegun { .. }
        | Event::AuthorizationStarted { .. }
        | Event::LinkActivated { .. }
        | Event::LinkRenamed { .. }
        | Event::Unlinked { .. }
        | Event::ConsentRevoked { .. }
        | Event::CredentialsRenewed { .. }
        | Event::ConsentEnding { .. }
        | Event::ConsentEnded { .. }
        | Event::AccountUpdated { .. }
        | Event::AccountsSelected { .. }
        | Event::SyncRequested { .. }
        | Event::LinkSynced { .. }
        | Event::ImportPreviewed { .. }
        | Event::ImportReverted { .. }
        | Event::StatementImported { .. }
        | Event::MessageRetried { .. }
        | Event::MessageDropped { .. }
        | Event::AuditRead { .. }
        | Event::AuditExported { .. }
        | Event::AuditPruned { .. } => Hint::Nobody,
    }
}

/// The refusals, by their reasons, that a mail may be committed with. Each of these mails is about an attempt of somebody else, or of
/// a worker.
pub fn refusals(kind: MailKind) -> &'static [&'static str] {
    match kind {
        MailKind::AlreadyRegistered => &["email_taken"],
        MailKind::SignInPaused => &["invalid_credentials", "wrong_password"],
        MailKind::CodesGuessed => &["wrong_code"],
        MailKind::RefreshTokenReused => &["refresh_token_reused"],
        MailKind::AccessLost => &["credentials_rejected"],
        MailKind::Verification
        | MailKind::PasswordReset
        | MailKind::PasswordChanged
        | MailKind::SecondFactorEnabled
        | MailKind::SecondFactorDisabled
        | MailKind::RecoveryCodesReplaced
        | MailKind::RecoveryCodeUsed
        | MailKind::EmailChange
        | MailKind::EmailChanged
        | MailKind::EmailReverted
        | MailKind::ConsentEnding
        | MailKind::ConsentEnded
        | MailKind::ErasureScheduled => &[],
    }
}

/// The mail that is still to be queued before an event is committed with these.
pub fn notice(event: &Event, queued: &[MailKind]) -> anyhow::Result<Option<(UserId, MailKind)>> {
    match (mailing(event), queued, event.subject()) {
        (Mailing::Silent(_), [], _) => Ok(None),
        (Mailing::Token(kind), [one], _) if *one == kind => Ok(None),
        (Mailing::Notice(kind), [], Some(user)) => Ok(Some((user, kind))),
        (declared, queued, _) => bail!("{declared:?} is what follows from this event, and {queued:?} was queued with it"),
    }
}

/// Whether these mails may be committed with a refusal for that reason.
pub fn check_refusal(reason: &str, queued: &[MailKind]) -> anyhow::Result<()> {
    let stray = queued.iter().find(|kind| !refusals(**kind).contains(&reason));
    ensure!(stray.is_none() && queued.len() < 2, "{queued:?} was queued with a refusal for {reason}, which it does not follow from");
    Ok(())
}
