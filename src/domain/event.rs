//! Events: what has happened, in the past tense. Each is on the audit trail with the change it tells of.

use uuid::Uuid;

use super::{
    audit::ResourceKind,
    id::{AccountId, ExportId, ImportId, LinkId, MessageId, SessionId, SyncId, UserId},
    second_factor::Factor,
    session::RevocationReason,
    sync::SyncCounts,
    time::Timestamp,
    user::{Role, SessionTier},
};

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A user came to be.
    UserCreated { user: UserId, role: Role },
    /// A user's role changed.
    RoleAssigned { user: UserId, role: Role },
    /// A user's tier, or their own limit, changed.
    TierAssigned { user: UserId, tier: SessionTier },
    /// A user was kept out; their sessions ended.
    UserDeactivated { user: UserId, ended: usize },
    /// A user was let in again.
    UserReactivated { user: UserId },
    /// A pause of a user's sign-in was ended.
    UserUnlocked { user: UserId },
    /// Issued tokens became worthless: a user's, or everyone's.
    TokensRotated { user: Option<UserId>, version: i64 },
    /// New keys were made; their ids.
    KeysRotated { ring: Option<String>, tokens: Option<String> },
    /// What a link's provider answered before was mapped once more; a rehearsal wrote nothing.
    LinkRemapped { link: LinkId, user: UserId, accounts: u32, added: u32, modified: u32, is_rehearsal: bool },
    /// What older keys had sealed was sealed under the current one, but for what did not open.
    SecretsResealed { resealed: u64, unopened: u64 },
    /// Somebody registered, or registered once more before they confirmed their address; not `mailed` when enough mails went there lately.
    UserRegistered { user: UserId, mailed: bool },
    /// A user confirmed their address.
    EmailVerified { user: UserId },
    /// A user wants the mail that confirms their address once more.
    VerificationRequested { user: UserId },
    /// A user signed in.
    SessionCreated { session: SessionId, user: UserId, evicted: usize, factor: Option<Factor> },
    /// A user has shown the right password and is asked for a code.
    SignInChallenged { user: UserId },
    /// A user has a secret to show to their device.
    SecondFactorBegun { user: UserId },
    /// Signing in takes a code from now on.
    SecondFactorEnabled { user: UserId },
    /// Signing in takes no code any more.
    SecondFactorDisabled { user: UserId },
    /// A user has other recovery codes.
    RecoveryCodesReplaced { user: UserId },
    /// A session's tokens were renewed.
    SessionRefreshed { session: SessionId, user: UserId },
    /// A session ended before its time.
    SessionRevoked { session: SessionId, user: UserId, reason: RevocationReason },
    /// A user ended several sessions at once.
    SessionsRevoked { user: UserId, ended: usize },
    /// A session was given a name.
    SessionRenamed { session: SessionId, user: UserId },
    /// A user proved once more who they are.
    Reauthenticated { session: SessionId, user: UserId, factor: Option<Factor> },
    /// A user changed their password; other sessions ended.
    PasswordChanged { user: UserId, ended: usize },
    /// A user wants to reset their password.
    PasswordResetRequested { user: UserId },
    /// A password was reset by mail; every session ended.
    PasswordReset { user: UserId, ended: usize },
    /// A user says something else of themselves.
    ProfileUpdated { user: UserId },
    /// A user agreed to documents of the operator, in these versions.
    DocumentsAgreedTo { user: UserId, documents: String },
    /// A user wants another address.
    EmailChangeRequested { user: UserId },
    /// A user has another address; `replaced` when an unconfirmed registration had to give it up.
    EmailChanged { user: UserId, replaced: bool },
    /// An earlier address is back; `undone` changes do not count any more, and every session ended.
    EmailChangeReverted { user: UserId, undone: usize, ended: usize },
    /// A user wants to be erased; every session ended, every bank's credentials are gone.
    ErasureRequested { user: UserId, ended: usize, wiped: usize },
    /// A user may fetch everything kept about them.
    ExportRequested { export: ExportId, user: UserId },
    /// Everything kept about a user was packed and handed out; `None` when the operator did it.
    ExportFetched { export: Option<ExportId>, user: UserId, rows: u64 },
    /// An erasure was called off.
    ErasureCancelled { user: UserId },
    /// A user is erased. Nobody is named: that is the point of it.
    UserErased { rows: u64 },
    /// A user is on the way to a bank.
    LinkBegun { link: LinkId, user: UserId },
    /// The user left our start page for the bank.
    AuthorizationStarted { link: LinkId, user: UserId },
    /// A bank agreed.
    LinkActivated { link: LinkId, user: UserId },
    /// A link has another name, or none any more.
    LinkRenamed { link: LinkId, user: UserId },
    /// A link was taken away; `erased` counts the transactions that went with it, `None` when all of them were kept.
    Unlinked { link: LinkId, user: UserId, erased: Option<u64> },
    /// A bank knows that a consent is over.
    ConsentRevoked { link: LinkId, user: UserId },
    /// A bank's tokens were renewed ahead of their end.
    CredentialsRenewed { link: LinkId, user: UserId },
    /// A user was told that a bank's consent ends in so many minutes.
    ConsentEnding { link: LinkId, user: UserId, minutes: i64 },
    /// A bank's consent is over, and its link with it.
    ConsentEnded { link: LinkId, user: UserId },
    /// A sync waits for a worker.
    SyncRequested { sync: SyncId, user: UserId },
    /// A link is up to date, as far as this stage goes.
    LinkSynced { sync: SyncId, user: UserId, counts: SyncCounts },
    /// The owner of an account says otherwise than its provider; `turned` when signs were turned.
    AccountUpdated { account: AccountId, user: UserId, turned: bool },
    /// A user keeps so many accounts of a link synced, and no others.
    AccountsSelected { link: LinkId, user: UserId, selected: usize },
    /// Somebody looked at what a statement file would bring in.
    ImportPreviewed { import: ImportId, user: UserId, rows: u32 },
    /// What a statement file had brought in is gone again, but for what stays.
    ImportReverted { import: ImportId, user: UserId, removed: u32, restored: u32, kept: u32 },
    /// A statement file is in.
    StatementImported { import: ImportId, user: UserId, created: u32, known: u32 },
    /// An operator let a message of the outbox go again.
    MessageRetried { message: MessageId, user: Option<UserId>, topic: String },
    /// An operator dropped a message of the outbox.
    MessageDropped { message: MessageId, user: Option<UserId>, topic: String },
    /// Somebody looked at acts of others, or of one other.
    AuditRead { of: Option<UserId> },
    /// The trail was taken elsewhere.
    AuditExported { with_persons: bool },
    /// What was past its retention is gone.
    AuditPruned { before: Timestamp, events: u64, routine: u64 },
}

impl Event {
    /// What it was upon. A user is named by [`Event::subject`] alone, so that the trail itself holds no one's id.
    pub fn resource(&self) -> (ResourceKind, Option<Uuid>) {
        match self {
            Self::UserCreated { .. }
            | Self::RoleAssigned { .. }
            | Self::TierAssigned { .. }
            | Self::UserDeactivated { .. }
            | Self::UserReactivated { .. }
            | Self::UserUnlocked { .. }
            | Self::TokensRotated { user: Some(_), .. }
            | Self::UserRegistered { .. }
            | Self::EmailVerified { .. }
            | Self::VerificationRequested { .. }
            | Self::PasswordChanged { .. }
            | Self::PasswordResetRequested { .. }
            | Self::PasswordReset { .. }
            | Self::ProfileUpdated { .. }
            | Self::DocumentsAgreedTo { .. }
            | Self::EmailChangeRequested { .. }
            | Self::EmailChanged { .. }
            | Self::EmailChangeReverted { .. }
            | Self::ErasureRequested { .. }
            | Self::ErasureCancelled { .. }
            | Self::UserErased { .. }
            | Self::SignInChallenged { .. }
            | Self::SecondFactorBegun { .. }
            | Self::SecondFactorEnabled { .. }
            | Self::SecondFactorDisabled { .. }
            | Self::RecoveryCodesReplaced { .. } => (ResourceKind::User, None),
            Self::SessionCreated { session, .. }
            | Self::SessionRefreshed { session, .. }
            | Self::SessionRevoked { session, .. }
            | Self::SessionRenamed { session, .. }
            | Self::Reauthenticated { session, .. } => (ResourceKind::Session, Some(session.0)),
            Self::SessionsRevoked { .. } => (ResourceKind::Session, None),
            Self::TokensRotated { user: None, .. } | Self::KeysRotated { .. } | Self::SecretsResealed { .. } => (ResourceKind::Security, None),
            Self::LinkBegun { link, .. }
            | Self::AuthorizationStarted { link, .. }
            | Self::LinkActivated { link, .. }
            | Self::LinkRenamed { link, .. }
            | Self::Unlinked { link, .. }
            | Self::AccountsSelected { link, .. }
            | Self::LinkRemapped { link, .. }
            | Self::CredentialsRenewed { link, .. }
            | Self::ConsentEnding { link, .. }
            | Self::ConsentEnded { link, .. }
            | Self::ConsentRevoked { link, .. } => (ResourceKind::Link, Some(link.0)),
            Self::SyncRequested { sync, .. } | Self::LinkSynced { sync, .. } => (ResourceKind::Sync, Some(sync.0)),
            Self::AccountUpdated { account, .. } => (ResourceKind::Account, Some(account.0)),
            Self::ExportRequested { export, .. } => (ResourceKind::Export, Some(export.0)),
            Self::ExportFetched { export, .. } => (ResourceKind::Export, export.map(Into::into)),
            Self::ImportPreviewed { import, .. } | Self::ImportReverted { import, .. } | Self::StatementImported { import, .. } => {
                (ResourceKind::Import, Some(import.0))
            }
            Self::MessageRetried { message, .. } | Self::MessageDropped { message, .. } => (ResourceKind::Message, Some(message.0)),
            Self::AuditRead { .. } | Self::AuditExported { .. } | Self::AuditPruned { .. } => (ResourceKind::Audit, None),
        }
    }

    /// Whom it concerns; `None` for what concerns everyone, and when nothing may lead to them any more.
    pub fn subject(&self) -> Option<UserId> {
        match self {
            Self::TokensRotated { user, .. } | Self::MessageRetried { user, .. } | Self::MessageDropped { user, .. } => *user,
            Self::AuditRead { of } => *of,
            Self::KeysRotated { .. } | Self::SecretsResealed { .. } | Self::UserErased { .. } | Self::AuditExported { .. } | Self::AuditPruned { .. } => None,
            Self::UserCreated { user, .. }
            | Self::RoleAssigned { user, .. }
            | Self::TierAssigned { user, .. }
            | Self::UserDeactivated { user, .. }
            | Self::UserReactivated { user }
            | Self::UserUnlocked { user }
            | Self::UserRegistered { user, .. }
            | Self::EmailVerified { user }
            | Self::VerificationRequested { user }
            | Self::SessionsRevoked { user, .. }
            | Self::SessionRenamed { user, .. }
            | Self::Reauthenticated { user, .. }
            | Self::PasswordChanged { user, .. }
            | Self::PasswordResetRequested { user }
            | Self::PasswordReset { user, .. }
            | Self::SignInChallenged { user }
            | Self::SecondFactorBegun { user }
            | Self::SecondFactorEnabled { user }
            | Self::SecondFactorDisabled { user }
            | Self::RecoveryCodesReplaced { user }
            | Self::SessionCreated { user, .. }
            | Self::SessionRefreshed { user, .. }
            | Self::SessionRevoked { user, .. }
            | Self::LinkBegun { user, .. }
            | Self::AuthorizationStarted { user, .. }
            | Self::LinkActivated { user, .. }
            | Self::LinkRenamed { user, .. }
            | Self::Unlinked { user, .. }
            | Self::ConsentRevoked { user, .. }
            | Self::CredentialsRenewed { user, .. }
            | Self::ConsentEnding { user, .. }
            | Self::ConsentEnded { user, .. }
            | Self::AccountUpdated { user, .. }
            | Self::AccountsSelected { user, .. }
            | Self::LinkRemapped { user, .. }
            | Self::SyncRequested { user, .. }
            | Self::LinkSynced { user, .. }
            | Self::ProfileUpdated { user }
            | Self::DocumentsAgreedTo { user, .. }
            | Self::EmailChangeRequested { user }
            | Self::EmailChanged { user, .. }
            | Self::EmailChangeReverted { user, .. }
            | Self::ErasureRequested { user, .. }
            | Self::ErasureCancelled { user }
            | Self::ExportRequested { user, .. }
            | Self::ExportFetched { user, .. }
            | Self::ImportPreviewed { user, .. }
            | Self::ImportReverted { user, .. }
            | Self::StatementImported { user, .. } => Some(*user),
        }
    }

    /// What an auditor wants to know besides: words and numbers, never a secret or a personal value.
    pub fn context(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::UserCreated { role, .. } | Self::RoleAssigned { role, .. } => vec![("role", role.as_str().to_owned())],
            Self::TierAssigned { tier, .. } => vec![("tier", tier.as_str().to_owned())],
            Self::TokensRotated { version, .. } => vec![("version", version.to_string())],
            Self::KeysRotated { ring, tokens } => {
                let made = [("ring", ring), ("tokens", tokens)];
                made.into_iter().filter_map(|(family, id)| Some((family, id.clone()?))).collect()
            }
            Self::SecretsResealed { resealed, unopened } => vec![("resealed", resealed.to_string()), ("unopened", unopened.to_string())],
            Self::SessionRevoked { reason, .. } => vec![("reason", reason.as_str().to_owned())],
            Self::LinkSynced { counts, .. } => vec![
                ("accounts", counts.accounts.to_string()),
                ("added", counts.added.to_string()),
                ("modified", counts.modified.to_string()),
                ("removed", counts.removed.to_string()),
            ],
            Self::LinkRemapped { accounts, added, modified, is_rehearsal, .. } => vec![
                ("accounts", accounts.to_string()),
                ("added", added.to_string()),
                ("modified", modified.to_string()),
                ("written", (!is_rehearsal).to_string()),
            ],
            Self::ConsentEnding { minutes, .. } => vec![("minutes_left", minutes.to_string())],
            Self::AccountUpdated { turned, .. } => vec![("turned", turned.to_string())],
            Self::AccountsSelected { selected, .. } => vec![("selected", selected.to_string())],
            Self::Unlinked { erased, .. } => {
                vec![("data", if erased.is_some() { "erased" } else { "kept" }.to_owned()), ("transactions", erased.unwrap_or_default().to_string())]
            }
            Self::ImportPreviewed { rows, .. } => vec![("rows", rows.to_string())],
            Self::ImportReverted { removed, restored, kept, .. } => {
                vec![("removed", removed.to_string()), ("restored", restored.to_string()), ("kept", kept.to_string())]
            }
            Self::StatementImported { created, known, .. } => vec![("created", created.to_string()), ("known", known.to_string())],
            Self::DocumentsAgreedTo { documents, .. } => vec![("documents", documents.clone())],
            Self::AuditExported { with_persons } => vec![("persons", with_persons.to_string())],
            Self::AuditPruned { before, events, routine } => {
                vec![("before", before.to_string()), ("events", events.to_string()), ("routine", routine.to_string())]
            }
            Self::SessionCreated { evicted, factor, .. } => {
                let factor = factor.map(|factor| ("second_factor", factor.as_str().to_owned()));
                std::iter::once(("evicted", evicted.to_string())).chain(factor).collect()
            }
            Self::UserRegistered { mailed, .. } => vec![("mailed", mailed.to_string())],
            Self::Reauthenticated { factor, .. } => factor.iter().map(|factor| ("second_factor", factor.as_str().to_owned())).collect(),
            Self::MessageRetried { topic, .. } | Self::MessageDropped { topic, .. } => vec![("topic", topic.clone())],
            Self::SignInChallenged { .. } => vec![("awaits", "second_factor".to_owned())],
            Self::UserDeactivated { ended, .. }
            | Self::SessionsRevoked { ended, .. }
            | Self::PasswordChanged { ended, .. }
            | Self::PasswordReset { ended, .. } => {
                vec![("ended", ended.to_string())]
            }
            Self::EmailChanged { replaced, .. } => vec![("replaced", replaced.to_string())],
            Self::EmailChangeReverted { undone, ended, .. } => vec![("undone", undone.to_string()), ("ended", ended.to_string())],
            Self::ErasureRequested { ended, wiped, .. } => vec![("ended", ended.to_string()), ("wiped", wiped.to_string())],
            Self::UserErased { rows } | Self::ExportFetched { rows, .. } => vec![("rows", rows.to_string())],
            Self::ProfileUpdated { .. }
            | Self::AuditRead { .. }
            | Self::EmailChangeRequested { .. }
            | Self::ExportRequested { .. }
            | Self::ErasureCancelled { .. }
            | Self::UserReactivated { .. }
            | Self::UserUnlocked { .. }
            | Self::EmailVerified { .. }
            | Self::VerificationRequested { .. }
            | Self::PasswordResetRequested { .. }
            | Self::SecondFactorBegun { .. }
            | Self::SecondFactorEnabled { .. }
            | Self::SecondFactorDisabled { .. }
            | Self::RecoveryCodesReplaced { .. }
            | Self::SessionRenamed { .. }
            | Self::SessionRefreshed { .. }
            | Self::LinkBegun { .. }
            | Self::AuthorizationStarted { .. }
            | Self::LinkActivated { .. }
            | Self::LinkRenamed { .. }
            | Self::ConsentRevoked { .. }
            | Self::CredentialsRenewed { .. }
            | Self::ConsentEnded { .. }
            | Self::SyncRequested { .. } => Vec::new(),
        }
    }
}
