//! Who asks, and what they may do: the words the policy is written in.
//!
//! Guards at the edge and every use case ask the same question here, since imports, callbacks, jobs and the command line pass no
//! guard. The policy answers with a scope, never with a yes about one row: whose a row is, is compared in the query itself.

use std::sync::Arc;

use crate::domain::{
    audit::Act,
    failure::Reason,
    id::{SessionId, UserId},
    transaction::words,
    user::Role,
};

use super::ports::Authorizer;

words! {
    /// What is done to a resource.
    Action {
        /// Looking at it.
        Read = "read",
        /// Changing it.
        Write = "write",
    }
}

words! {
    /// What is acted upon.
    Resource {
        /// Accounts, their balances and what they hold.
        Accounts = "accounts",
        /// Transactions and imports of them.
        Transactions = "transactions",
        /// What of all this came, changed and went.
        Changes = "changes",
        /// The catalogue of providers.
        Providers = "providers",
        /// Links and their syncs.
        Links = "links",
        /// Sessions.
        Sessions = "sessions",
        /// Users.
        Users = "users",
        /// Passwords and what else proves who one is.
        Security = "security",
        /// The audit trail.
        Audit = "audit",
        /// What somebody says of themselves, and everything kept about them as a whole: agreements, consents, export, erasure.
        Profile = "profile",
    }
}

/// How far a permission reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Not at all.
    None,
    /// Only what belongs to the one who asks.
    Own,
    /// Everyone's.
    Any,
}

/// The two ways to be turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nobody is signed in.
    #[error("sign in first")]
    Unauthenticated,
    /// Someone is, and their role never allows this.
    #[error("your role does not allow this")]
    Forbidden,
}

impl Reason for Denied {
    fn reason(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Nobody is signed in.
    Nobody,
    /// A signed-in user.
    User { id: UserId, session: SessionId, role: Role },
    /// The browser of a user who began something and is known only by what it holds (a ticket, a state).
    Browser { of: UserId },
    /// The operator, on the machine itself, for a user.
    CommandLine { on_behalf_of: Option<UserId> },
    /// A worker of ours, for a user.
    Worker { on_behalf_of: UserId },
    /// A job of ours, for nobody in particular.
    Job,
}

/// Where a request came from. Personal, so it goes to the deletable part of the audit trail only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The peer's address.
    pub ip: Option<String>,
    /// What the client calls itself, at most 512 characters.
    pub user_agent: Option<String>,
    /// The trace the request belongs to: 32 hex digits (W3C Trace Context).
    pub trace_id: Option<String>,
}

/// Who asks, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// Who.
    pub actor: Actor,
    /// From where.
    pub origin: Origin,
}

impl Requester {
    /// The operator, on the machine itself.
    pub fn command_line(on_behalf_of: Option<UserId>) -> Self {
        Self { actor: Actor::CommandLine { on_behalf_of }, origin: Origin::default() }
    }

    /// A worker, for a user.
    pub fn worker(on_behalf_of: UserId) -> Self {
        Self { actor: Actor::Worker { on_behalf_of }, origin: Origin::default() }
    }

    /// A job of ours.
    pub fn job() -> Self {
        Self { actor: Actor::Job, origin: Origin::default() }
    }

    /// The user whose data this request may touch at all.
    pub fn user(&self) -> Option<UserId> {
        match self.actor {
            Actor::Nobody | Actor::Job => None,
            Actor::User { id, .. } => Some(id),
            Actor::Browser { of } => Some(of),
            Actor::CommandLine { on_behalf_of } => on_behalf_of,
            Actor::Worker { on_behalf_of } => Some(on_behalf_of),
        }
    }

    /// The session of a signed-in user.
    pub fn session(&self) -> Option<SessionId> {
        match self.actor {
            Actor::User { session, .. } => Some(session),
            _ => None,
        }
    }
}

/// What an act needs, and how far it must reach; `None` for what anyone may try, such as signing in.
pub fn needs(act: Act) -> Option<(Action, Resource, Scope)> {
    let own = |resource| Some((Action::Write, resource, Scope::Own));
    let any = |resource| Some((Action::Write, resource, Scope::Any));
    match act {
        Act::CreateSession
        | Act::VerifySecondFactor
        | Act::RefreshSession
        | Act::RegisterUser
        | Act::VerifyEmail
        | Act::ResendVerification
        | Act::RequestPasswordReset
        | Act::ResetPassword
        | Act::ConfirmEmailChange
        | Act::RevertEmailChange
        | Act::CancelErasure => None,
        Act::CreateUser | Act::AssignRole | Act::ResetSecondFactor | Act::AssignTier | Act::DeactivateUser | Act::ReactivateUser | Act::UnlockUser => {
            any(Resource::Users)
        }
        Act::RevokeSession | Act::RevokeSessions | Act::RenameSession => own(Resource::Sessions),
        Act::ChangePassword
        | Act::Reauthenticate
        | Act::RequestEmailChange
        | Act::BeginSecondFactor
        | Act::ConfirmSecondFactor
        | Act::DisableSecondFactor
        | Act::RegenerateRecoveryCodes => own(Resource::Security),
        Act::RotateTokens | Act::RotateKeys | Act::ResealSecrets | Act::RetryMessage | Act::DropMessage => any(Resource::Security),
        Act::UpdateProfile | Act::AgreeToDocuments | Act::RequestErasure | Act::EraseUser => own(Resource::Profile),
        Act::RequestExport | Act::FetchExport => Some((Action::Read, Resource::Profile, Scope::Own)),
        Act::BeginLink
        | Act::StartAuthorization
        | Act::CompleteLink
        | Act::LinkWithApiKey
        | Act::LinkWithSetupToken
        | Act::RenameLink
        | Act::Relink
        | Act::Unlink
        | Act::RevokeConsent
        | Act::RemapLink
        | Act::RenewCredentials
        | Act::WarnOfConsent
        | Act::EndConsent
        | Act::RequestSync
        | Act::ScheduleSync
        | Act::SyncLink => own(Resource::Links),
        Act::UpdateAccount | Act::SelectAccounts => own(Resource::Accounts),
        Act::ImportStatement | Act::PreviewImport | Act::CommitImport | Act::RevertImport => own(Resource::Transactions),
        Act::ReadUsers => Some((Action::Read, Resource::Users, Scope::Any)),
        Act::ReadSecurity => Some((Action::Read, Resource::Security, Scope::Any)),
        Act::ReadAudit | Act::ExportAudit => Some((Action::Read, Resource::Audit, Scope::Any)),
        Act::PruneAudit => any(Resource::Audit),
    }
}

/// Asks the policy.
#[derive(Clone)]
pub struct Access {
    authorizer: Arc<dyn Authorizer>,
}

impl Access {
    /// Over the shipped policy, or a test's.
    pub fn new(authorizer: Arc<dyn Authorizer>) -> Self {
        Self { authorizer }
    }

    /// The user whose `resource` may be read by this requester: themselves.
    pub fn reader(&self, requester: &Requester, resource: Resource) -> Result<UserId, Denied> {
        self.allow(requester, Action::Read, resource).map(|(reader, _)| reader)
    }

    /// Whose `resource` is read when that of `of` is asked for: `of`, if they are the requester or the requester's role reaches everyone.
    /// `None` shows nothing, as of a user who has none.
    pub fn reader_of(&self, requester: &Requester, resource: Resource, of: UserId) -> Result<Option<UserId>, Denied> {
        let (reader, scope) = self.allow(requester, Action::Read, resource)?;
        Ok((reader == of || scope == Scope::Any).then_some(of))
    }

    /// Whether this requester may attempt `act` upon what is someone else's.
    pub fn administers(&self, requester: &Requester, act: Act) -> bool {
        needs(act).is_some_and(|(action, resource, _)| self.allow(requester, action, resource).is_ok_and(|(_, scope)| scope == Scope::Any))
    }

    /// Whether a user of that role may attempt `act` by now upon what is theirs: who is known only by what they hold was asked when they began.
    pub fn permit_role(&self, role: Role, act: Act) -> Result<(), Denied> {
        match needs(act) {
            Some((action, resource, reach)) if self.authorizer.scope(role, action, resource) < reach => Err(Denied::Forbidden),
            _ => Ok(()),
        }
    }

    /// Whether this requester may attempt `act`. Guards ask this, and the use case asks it again.
    pub fn permit(&self, requester: &Requester, act: Act) -> Result<(), Denied> {
        match (needs(act), requester.actor) {
            (None, _) | (Some(_), Actor::CommandLine { .. } | Actor::Job) => Ok(()),
            (Some((action, resource, reach)), _) => match self.allow(requester, action, resource)? {
                (_, scope) if scope < reach => Err(Denied::Forbidden),
                _ => Ok(()),
            },
        }
    }

    /// The user in whose name this requester may attempt `act`.
    pub fn attempt(&self, requester: &Requester, act: Act) -> Result<UserId, Denied> {
        self.permit(requester, act)?;
        requester.user().ok_or(Denied::Unauthenticated)
    }

    /// Whether the role of this requester ever allows `action` on `resource`; answers in whose name, and how far it reaches.
    pub fn allow(&self, requester: &Requester, action: Action, resource: Resource) -> Result<(UserId, Scope), Denied> {
        match requester.actor {
            Actor::Nobody | Actor::Job => Err(Denied::Unauthenticated),
            Actor::User { id, role, .. } => match self.authorizer.scope(role, action, resource) {
                Scope::None => Err(Denied::Forbidden),
                scope @ (Scope::Own | Scope::Any) => Ok((id, scope)),
            },
            // These act for a user whose role was asked when the work was begun, or are the operator themselves.
            Actor::Browser { of } => Ok((of, Scope::Own)),
            Actor::Worker { on_behalf_of } => Ok((on_behalf_of, Scope::Own)),
            Actor::CommandLine { on_behalf_of } => on_behalf_of.map(|user| (user, Scope::Own)).ok_or(Denied::Unauthenticated),
        }
    }
}
