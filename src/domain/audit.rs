//! The audit trail: what was attempted, by whom and upon what, and how it ended.

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    id::{AuditEventId, UserId},
    page::{CreatedKey, Page, Slice},
    time::Timestamp,
    transaction::words,
};

words! {
    /// Everything that can be attempted. Each is on the trail as ATTEMPTED and exactly one outcome.
    Act {
        /// A user made on the command line.
        CreateUser = "create_user",
        /// A user given another role.
        AssignRole = "assign_role",
        /// A user given another tier, or a limit of their own.
        AssignTier = "assign_tier",
        /// A user kept out.
        DeactivateUser = "deactivate_user",
        /// A user let in again.
        ReactivateUser = "reactivate_user",
        /// Ending a pause of somebody's sign-in.
        UnlockUser = "unlock_user",
        /// Making issued tokens worthless in an emergency.
        RotateTokens = "rotate_tokens",
        /// Making new keys.
        RotateKeys = "rotate_keys",
        /// Sealing under the current key what older ones sealed.
        ResealSecrets = "reseal_secrets",
        /// Signing up.
        RegisterUser = "register_user",
        /// Confirming an address.
        VerifyEmail = "verify_email",
        /// Asking for the mail that confirms an address once more.
        ResendVerification = "resend_verification",
        /// Signing in.
        CreateSession = "create_session",
        /// Exchanging a refresh token.
        RefreshSession = "refresh_session",
        /// Ending a session.
        RevokeSession = "revoke_session",
        /// Ending every session, or every other one.
        RevokeSessions = "revoke_sessions",
        /// Giving a session a name.
        RenameSession = "rename_session",
        /// Changing one's password.
        ChangePassword = "change_password",
        /// Proving once more who one is.
        Reauthenticate = "reauthenticate",
        /// Asking for the mail that resets a password.
        RequestPasswordReset = "request_password_reset",
        /// Resetting a password.
        ResetPassword = "reset_password",
        /// Saying something else of oneself.
        UpdateProfile = "update_profile",
        /// Agreeing to documents of the operator.
        AgreeToDocuments = "agree_to_documents",
        /// Asking for another address.
        RequestEmailChange = "request_email_change",
        /// Confirming the new address.
        ConfirmEmailChange = "confirm_email_change",
        /// Taking the old address back.
        RevertEmailChange = "revert_email_change",
        /// Asking to be erased.
        RequestErasure = "request_erasure",
        /// Asking for everything kept about oneself.
        RequestExport = "request_export",
        /// Fetching it.
        FetchExport = "fetch_export",
        /// Calling an erasure off.
        CancelErasure = "cancel_erasure",
        /// A worker erasing a user.
        EraseUser = "erase_user",
        /// Answering a challenge with a code.
        VerifySecondFactor = "verify_second_factor",
        /// Making a secret for a second factor.
        BeginSecondFactor = "begin_second_factor",
        /// Confirming a second factor by its first code.
        ConfirmSecondFactor = "confirm_second_factor",
        /// Taking one's second factor away.
        DisableSecondFactor = "disable_second_factor",
        /// Taking somebody's second factor away on the command line.
        ResetSecondFactor = "reset_second_factor",
        /// Replacing one's recovery codes.
        RegenerateRecoveryCodes = "regenerate_recovery_codes",
        /// Starting to link a provider.
        BeginLink = "begin_link",
        /// Leaving our start page for the bank.
        StartAuthorization = "start_authorization",
        /// Coming back from the bank.
        CompleteLink = "complete_link",
        /// Linking a provider by a key.
        LinkWithApiKey = "link_with_api_key",
        /// Linking a provider by a setup token.
        LinkWithSetupToken = "link_with_setup_token",
        /// Giving a link a name.
        RenameLink = "rename_link",
        /// Starting to link a link once more.
        Relink = "relink",
        /// Taking a link away.
        Unlink = "unlink",
        /// Telling a bank that a consent is over.
        RevokeConsent = "revoke_consent",
        /// Mapping once more what its provider answered before.
        RemapLink = "remap_link",
        /// A worker renewing what a bank handed out, ahead of its end.
        RenewCredentials = "renew_credentials",
        /// A worker warning of the end of a consent.
        WarnOfConsent = "warn_of_consent",
        /// A worker ending a link whose consent is over.
        EndConsent = "end_consent",
        /// Asking for a sync.
        RequestSync = "request_sync",
        /// A worker asking for a sync whose time has come.
        ScheduleSync = "schedule_sync",
        /// A worker bringing a link up to date.
        SyncLink = "sync_link",
        /// Saying otherwise of an account than its provider.
        UpdateAccount = "update_account",
        /// Choosing which accounts of a link are kept synced.
        SelectAccounts = "select_accounts",
        /// Taking in a statement file.
        ImportStatement = "import_statement",
        /// Looking at what a statement file would bring in.
        PreviewImport = "preview_import",
        /// Taking in what was looked at.
        CommitImport = "commit_import",
        /// Taking an import back.
        RevertImport = "revert_import",
        /// Letting a message of the outbox go again.
        RetryMessage = "retry_message",
        /// Dropping a message of the outbox.
        DropMessage = "drop_message",
        /// Looking at who there is; on the trail when it is refused.
        ReadUsers = "read_users",
        /// Looking at what holds for everyone's tokens; on the trail when it is refused.
        ReadSecurity = "read_security",
        /// Looking at acts of others.
        ReadAudit = "read_audit",
        /// Taking the trail elsewhere.
        ExportAudit = "export_audit",
        /// Dropping what of the trail is past its retention.
        PruneAudit = "prune_audit",
    }
}

words! {
    /// How far an attempt has come.
    Outcome {
        /// Begun; written before anything else happens.
        Attempted = "attempted",
        /// Done; written with the change.
        Succeeded = "succeeded",
        /// Refused, broken or interrupted.
        Failed = "failed",
    }
}

words! {
    /// How long an event is kept.
    RetentionClass {
        /// As long as the trail.
        Standard = "standard",
        /// What happens by itself, by the thousand and as it should; may be kept for less long.
        Routine = "routine",
    }
}

impl RetentionClass {
    /// Of an event. What failed is never routine.
    pub fn of(act: Act, outcome: Outcome) -> Self {
        match (act, outcome) {
            (Act::RefreshSession | Act::ScheduleSync | Act::SyncLink, Outcome::Attempted | Outcome::Succeeded) => Self::Routine,
            _ => Self::Standard,
        }
    }
}

words! {
    /// The kind of thing an act was upon.
    ResourceKind {
        /// A user.
        User = "user",
        /// A session.
        Session = "session",
        /// What holds for everyone's tokens.
        Security = "security",
        /// A link.
        Link = "link",
        /// A sync.
        Sync = "sync",
        /// An account.
        Account = "account",
        /// An import.
        Import = "import",
        /// A message in the outbox.
        Message = "message",
        /// The audit trail.
        Audit = "audit",
        /// An export.
        Export = "export",
    }
}

words! {
    /// What kind of actor it was.
    ActorKind {
        /// Nobody who was signed in.
        Nobody = "nobody",
        /// A signed-in user.
        User = "user",
        /// The browser of a user who is known only by what it holds.
        Browser = "browser",
        /// The operator, on the machine itself.
        CommandLine = "command_line",
        /// A worker of ours, for a user.
        Worker = "worker",
        /// A job of ours, for nobody in particular.
        Job = "job",
        /// Somebody who administers, to those whom they act upon. Never stored.
        Administrator = "administrator",
    }
}

/// Who acted, as far as it is known and not forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditActor {
    /// What kind of actor.
    pub kind: ActorKind,
    /// Which user, for one who was signed in.
    pub user: Option<UserId>,
    /// The address that was typed by somebody who was not.
    pub email: Option<String>,
    /// Where the request came from.
    pub ip: Option<String>,
    /// What the client called itself.
    pub user_agent: Option<String>,
}

/// One row of the trail, with its persons as far as they are not forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Its id.
    pub id: AuditEventId,
    /// When.
    pub recorded_at: Timestamp,
    /// What was attempted.
    pub act: Act,
    /// How far it had come.
    pub outcome: Outcome,
    /// Why it failed.
    pub reason: Option<String>,
    /// Who acted.
    pub actor: AuditActor,
    /// Upon which user.
    pub subject: Option<UserId>,
    /// Upon what, and which.
    pub resource: Option<(ResourceKind, Option<Uuid>)>,
    /// What else is known: words and numbers.
    pub context: Vec<(String, String)>,
    /// The trace of the request.
    pub trace_id: Option<String>,
}

impl AuditEvent {
    /// As the user sees it who acted or was acted upon: who else acted is nobody's business but the administrators'.
    #[must_use]
    pub fn seen_by(mut self, user: UserId) -> Self {
        if self.actor.kind == ActorKind::User && self.actor.user != Some(user) {
            self.actor = AuditActor { kind: ActorKind::Administrator, user: None, email: None, ip: None, user_agent: None };
            self.trace_id = None;
        }
        // One's own act upon somebody else is one's own; upon whom stays with the administrators as well.
        self.subject = self.subject.filter(|subject| *subject == user);
        self
    }
}

/// Which rows are wanted; every field narrows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only these acts.
    pub acts: Option<Vec<Act>>,
    /// Only these outcomes.
    pub outcomes: Option<Vec<Outcome>>,
    /// Only by these kinds of actors.
    pub actor_kinds: Option<Vec<ActorKind>>,
    /// Only by or upon this user.
    pub user: Option<UserId>,
    /// Only upon this.
    pub resource: Option<(ResourceKind, Uuid)>,
    /// Recorded then or later.
    pub from: Option<Timestamp>,
    /// Recorded before then.
    pub to: Option<Timestamp>,
    /// Only of this trace.
    pub trace_id: Option<String>,
}

/// The trail, for those who may look at it. Oldest first.
#[async_trait]
pub trait AuditReader: Send + Sync {
    /// Acts by or upon one user.
    async fn page(&self, owner: UserId, filter: &AuditFilter, page: Page<CreatedKey>) -> anyhow::Result<Slice<AuditEvent>>;
    /// Acts of everybody.
    async fn page_of_any(&self, filter: &AuditFilter, page: Page<CreatedKey>) -> anyhow::Result<Slice<AuditEvent>>;
}
