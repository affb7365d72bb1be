//! The audit trail in the graph: one's own acts below the user, everybody's for those who administer.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use uuid::Uuid;

use crate::{
    application::access::Resource,
    domain::{
        audit::{self, Act, AuditEvent, AuditFilter, ResourceKind},
        id::UserId,
        page::CreatedKey,
    },
};

use super::{
    ContextExt,
    error::{Code, Fault},
    global_id::{GlobalId, Kind, id_or_nothing},
    guard::Allow,
    page::{PageArguments, connection},
    scalar::DateTime,
};

/// What was attempted.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "audit::Act")]
pub enum AuditAct {
    /// A user made on the command line.
    CreateUser,
    /// A user given another role.
    AssignRole,
    /// A user given another tier, or a limit of their own.
    AssignTier,
    /// A user kept out.
    DeactivateUser,
    /// A user let in again.
    ReactivateUser,
    /// Ending a pause of somebody's sign-in.
    UnlockUser,
    /// Making issued tokens worthless in an emergency.
    RotateTokens,
    /// Making new keys.
    RotateKeys,
    /// Sealing under the current key what older ones sealed.
    ResealSecrets,
    /// Signing up.
    RegisterUser,
    /// Confirming an address.
    VerifyEmail,
    /// Asking for the mail that confirms an address once more.
    ResendVerification,
    /// Signing in.
    CreateSession,
    /// Renewing a session's tokens.
    RefreshSession,
    /// Ending a session.
    RevokeSession,
    /// Ending every session, or every other one.
    RevokeSessions,
    /// Giving a session a name.
    RenameSession,
    /// Changing one's password.
    ChangePassword,
    /// Proving once more who one is.
    Reauthenticate,
    /// Asking for the mail that resets a password.
    RequestPasswordReset,
    /// Resetting a password.
    ResetPassword,
    /// Saying something else of oneself.
    UpdateProfile,
    /// Agreeing to documents of the operator.
    AgreeToDocuments,
    /// Asking for another address.
    RequestEmailChange,
    /// Confirming the new address.
    ConfirmEmailChange,
    /// Taking the old address back.
    RevertEmailChange,
    /// Asking to be erased.
    RequestErasure,
    /// Asking for everything kept about oneself.
    RequestExport,
    /// Fetching it.
    FetchExport,
    /// Calling an erasure off.
    CancelErasure,
    /// A worker erasing a user.
    EraseUser,
    /// Answering a challenge with a code.
    VerifySecondFactor,
    /// Making a secret for a second factor.
    BeginSecondFactor,
    /// Confirming a second factor by its first code.
    ConfirmSecondFactor,
    /// Taking one's second factor away.
    DisableSecondFactor,
    /// Taking somebody's second factor away on the command line.
    ResetSecondFactor,
    /// Replacing one's recovery codes.
    RegenerateRecoveryCodes,
    /// Starting to link a provider.
    BeginLink,
    /// Leaving for the bank.
    StartAuthorization,
    /// Coming back from the bank.
    CompleteLink,
    /// Linking a provider by a key.
    LinkWithApiKey,
    /// Linking a provider by a setup token.
    LinkWithSetupToken,
    /// Giving a link a name.
    RenameLink,
    /// Starting to link a link once more.
    Relink,
    /// Taking a link away.
    Unlink,
    /// Telling a bank that a consent is over.
    RevokeConsent,
    /// Mapping once more, on the command line, what a provider answered before.
    RemapLink,
    /// A worker renewing what a bank handed out, ahead of its end.
    RenewCredentials,
    /// A worker warning of the end of a consent.
    WarnOfConsent,
    /// A worker ending a link whose consent is over.
    EndConsent,
    /// Asking for a sync.
    RequestSync,
    /// A worker asking for a sync whose time has come.
    ScheduleSync,
    /// Bringing a link up to date.
    SyncLink,
    /// Saying otherwise of an account than its provider.
    UpdateAccount,
    /// Choosing which accounts of a link are kept synced.
    SelectAccounts,
    /// Taking in a statement file.
    ImportStatement,
    /// Looking at what a statement file would bring in.
    PreviewImport,
    /// Taking in what was looked at.
    CommitImport,
    /// Taking an import back.
    RevertImport,
    /// Letting a message of the outbox go again, on the command line.
    RetryMessage,
    /// Dropping a message of the outbox, on the command line.
    DropMessage,
    /// Looking at who there is; on the trail when it was refused.
    ReadUsers,
    /// Looking at what holds for everyone's tokens; on the trail when it was refused.
    ReadSecurity,
    /// Looking at acts of others.
    ReadAudit,
    /// Taking the audit trail elsewhere.
    ExportAudit,
    /// Dropping what of the audit trail is past its retention.
    PruneAudit,
}

/// How far an act had come. Each begins as ATTEMPTED and has one other outcome.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "audit::Outcome")]
pub enum AuditOutcome {
    /// Begun; written before anything else happened.
    Attempted,
    /// Done; written with the change.
    Succeeded,
    /// Refused, broken or interrupted; nothing but what a refusal must keep was changed.
    Failed,
}

/// What an act was upon.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "audit::ResourceKind")]
pub enum AuditResourceKind {
    /// A user.
    User,
    /// A session.
    Session,
    /// What holds for everyone's tokens.
    Security,
    /// A link.
    Link,
    /// A sync.
    Sync,
    /// An account.
    Account,
    /// An import.
    Import,
    /// An export.
    Export,
    /// A message in the outbox, such as a mail.
    Message,
    /// The audit trail.
    Audit,
}

/// What kind of actor it was.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "audit::ActorKind")]
pub enum AuditActorKind {
    /// Nobody who was signed in.
    Nobody,
    /// A signed-in user.
    User,
    /// The browser of a user, on its way to a bank or back.
    Browser,
    /// The operator, on the server itself.
    CommandLine,
    /// The server, for a user.
    Worker,
    /// The server, for nobody in particular.
    Job,
    /// Somebody who administers; who it was is not told.
    Administrator,
}

/// Who acted, as far as it is known and not forgotten.
#[derive(SimpleObject, Debug, Clone)]
#[graphql(serial, guard = Allow::read(Resource::Audit))]
pub struct AuditActor {
    /// What kind of actor.
    pub kind: AuditActorKind,
    /// What to call them in a list: the address that was typed, else the kind in words.
    pub label: String,
    /// The user who was signed in; null for anyone else, and where it is not told.
    pub user_id: Option<ID>,
}

/// What an act was upon.
#[derive(SimpleObject, Debug, Clone)]
#[graphql(serial, guard = Allow::read(Resource::Audit))]
pub struct AuditResource {
    /// What kind of thing.
    pub kind: AuditResourceKind,
    /// Which one; null when there were several, when there is only one, and for a user, whom `subjectId` names.
    pub id: Option<ID>,
}

/// A word or number that says more of an event.
#[derive(SimpleObject, Debug, Clone)]
#[graphql(serial, guard = Allow::read(Resource::Audit))]
pub struct AuditContextEntry {
    /// What it is about, such as `role`.
    pub name: String,
    /// The word or number.
    pub value: String,
}

/// One event, as the graph shows it.
#[derive(Clone)]
pub struct AuditEventNode(pub Arc<AuditEvent>);

impl AuditEventNode {
    pub(crate) fn key(&self) -> CreatedKey {
        CreatedKey { created_at: self.0.recorded_at, id: self.0.id.0 }
    }
}

/// One row of the audit trail. It never changes; what is personal in it may be forgotten.
#[Object(name = "AuditEvent", serial, guard = Allow::read(Resource::Audit))]
impl AuditEventNode {
    /// The global id, `audit_…`.
    async fn id(&self) -> ID {
        GlobalId::from(self.0.id).to_id()
    }

    /// When it was recorded.
    async fn recorded_at(&self) -> DateTime {
        DateTime(self.0.recorded_at)
    }

    /// What was attempted.
    async fn act(&self) -> AuditAct {
        self.0.act.into()
    }

    /// How far it had come.
    async fn outcome(&self) -> AuditOutcome {
        self.0.outcome.into()
    }

    /// Why it failed, as a word; null while it had not.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// Who acted.
    async fn actor(&self) -> AuditActor {
        let actor = &self.0.actor;
        let label = actor.email.clone().unwrap_or_else(|| actor.kind.as_str().replace('_', " "));
        AuditActor { kind: actor.kind.into(), label, user_id: actor.user.map(|user| GlobalId::from(user).to_id()) }
    }

    /// The user it was done to, or for; null when it was nobody, when they are forgotten, and where it is not told.
    async fn subject_id(&self) -> Option<ID> {
        self.0.subject.map(|user| GlobalId::from(user).to_id())
    }

    /// What it was upon; null when that was not known.
    async fn resource(&self) -> Option<AuditResource> {
        let (kind, id) = self.0.resource?;
        let global = |id: Uuid| kind_of(kind).map(|kind| GlobalId { kind, id }.to_id());
        Some(AuditResource { kind: kind.into(), id: id.and_then(global) })
    }

    /// The address the request came from; null when it is not known, forgotten, or not told.
    async fn ip(&self) -> Option<&str> {
        self.0.actor.ip.as_deref()
    }

    /// What the client called itself; null when it is not known, forgotten, or not told.
    async fn user_agent(&self) -> Option<&str> {
        self.0.actor.user_agent.as_deref()
    }

    /// The trace of the request, by which the server's log has more; null for what was no request, and where it is not told.
    async fn trace_id(&self) -> Option<&str> {
        self.0.trace_id.as_deref()
    }

    /// What else is known: words and numbers, by name.
    async fn context(&self) -> Vec<AuditContextEntry> {
        self.0.context.iter().map(|(name, value)| AuditContextEntry { name: name.clone(), value: value.clone() }).collect()
    }
}

/// What a thing of this kind has its global id as.
fn kind_of(kind: ResourceKind) -> Option<Kind> {
    match kind {
        ResourceKind::User => Some(Kind::User),
        ResourceKind::Session => Some(Kind::Session),
        ResourceKind::Link => Some(Kind::Link),
        ResourceKind::Sync => Some(Kind::Sync),
        ResourceKind::Account => Some(Kind::Account),
        ResourceKind::Import => Some(Kind::Import),
        ResourceKind::Export => Some(Kind::Export),
        ResourceKind::Security | ResourceKind::Message | ResourceKind::Audit => None,
    }
}

/// The thing a client names; what the trail knows no thing of becomes a thing that is not there.
fn resource(id: &ID) -> (ResourceKind, Uuid) {
    let named: Option<GlobalId> = id.parse().ok();
    let kind = |global: &GlobalId| ResourceKind::ALL.iter().copied().find(|kind| kind_of(*kind) == Some(global.kind));
    named.and_then(|global| Some((kind(&global)?, global.id))).unwrap_or((ResourceKind::Audit, Uuid::nil()))
}

connection!(
    /// A page of the audit trail.
    AuditEventConnection,
    /// An event in a page.
    AuditEventEdge,
    AuditEventNode,
    CreatedKey,
    Audit
);

/// What part of the audit trail is wanted; every field narrows.
#[derive(InputObject)]
pub struct AuditFilterInput {
    /// Only these acts.
    acts: Option<Vec<AuditAct>>,
    /// Only these outcomes.
    outcomes: Option<Vec<AuditOutcome>>,
    /// Only by these kinds of actors.
    actor_kinds: Option<Vec<AuditActorKind>>,
    /// Only by or upon this user.
    user_id: Option<ID>,
    /// Only upon this session, link, sync or import.
    resource_id: Option<ID>,
    /// Recorded at this instant or later.
    from: Option<DateTime>,
    /// Recorded before this instant.
    to: Option<DateTime>,
    /// Only of this trace: 32 hexadecimal digits.
    trace_id: Option<String>,
}

/// What part of one's own acts is wanted; every field narrows.
#[derive(InputObject)]
pub struct OwnAuditFilterInput {
    /// Only these acts.
    acts: Option<Vec<AuditAct>>,
    /// Only these outcomes.
    outcomes: Option<Vec<AuditOutcome>>,
    /// Only upon this session, link, sync or import.
    resource_id: Option<ID>,
    /// Recorded at this instant or later.
    from: Option<DateTime>,
    /// Recorded before this instant.
    to: Option<DateTime>,
}

fn all<From, To: std::convert::From<From>>(wanted: Option<Vec<From>>) -> Option<Vec<To>> {
    wanted.map(|wanted| wanted.into_iter().map(Into::into).collect())
}

impl From<OwnAuditFilterInput> for AuditFilter {
    fn from(input: OwnAuditFilterInput) -> Self {
        Self {
            acts: all(input.acts),
            outcomes: all(input.outcomes),
            resource: input.resource_id.as_ref().map(resource),
            from: input.from.map(|instant| instant.0),
            to: input.to.map(|instant| instant.0),
            ..Self::default()
        }
    }
}

impl TryFrom<AuditFilterInput> for AuditFilter {
    type Error = Fault;

    fn try_from(input: AuditFilterInput) -> Result<Self, Fault> {
        let is_trace = |trace: &String| trace.len() == 32 && trace.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !input.trace_id.as_ref().is_none_or(is_trace) {
            return Err(Fault::new(Code::BadUserInput, "a trace id has 32 hexadecimal digits"));
        }
        Ok(Self {
            acts: all(input.acts),
            outcomes: all(input.outcomes),
            actor_kinds: all(input.actor_kinds),
            user: input.user_id.as_ref().map(|id| id_or_nothing::<UserId>(id)),
            resource: input.resource_id.as_ref().map(resource),
            from: input.from.map(|instant| instant.0),
            to: input.to.map(|instant| instant.0),
            trace_id: input.trace_id.map(|trace| trace.to_ascii_lowercase()),
        })
    }
}

/// Looks at the audit trail.
#[derive(Default)]
pub struct AuditQuery;

#[Object(serial)]
impl AuditQuery {
    /// The acts of everybody, oldest first; for those who administer. That it was asked for is on the trail too. One's own acts are at
    /// `viewer { auditEvents }`.
    #[graphql(guard = Allow::attempt(Act::ReadAudit))]
    async fn audit_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the back, 1 to 100: the latest.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
        #[graphql(desc = "Only those that match; every field narrows.")] filter: Option<AuditFilterInput>,
    ) -> Result<AuditEventConnection, Fault> {
        let request = ctx.of_request()?;
        let page = PageArguments { first, after, last, before }.read(ctx)?;
        let filter = filter.map(AuditFilter::try_from).transpose()?.unwrap_or_default();
        let slice = request.application.audit.of_any(&request.requester, &filter, page).await?;
        Ok(AuditEventConnection { slice: slice.map(|event| AuditEventNode(Arc::new(event))), page })
    }
}
