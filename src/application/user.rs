//! Users: made on the command line, administered, and looked at by themselves and by administrators.

mod administration;

use std::sync::Arc;

use crate::domain::{
    audit::Act,
    event::Event,
    failure::Reason,
    id::UserId,
    page::{CreatedKey, Page, Slice},
    time::Clock,
    user::{EmailAddress, InvalidEmail, Password, Role, SessionTier, User, UserFilter, UserReader, WeakPassword},
};

use super::{
    QueryError,
    access::{Access, Action, Denied, Requester, Resource, Scope},
    audit::Journal,
    ports::{PasswordHasher, Randomness, Store},
    session::SessionGate,
    step_up::{ReauthenticationRequired, StepUp},
};

pub use administration::{AssignRole, AssignTier, ChangeAccess, Whom};

/// Why a user is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Not an address.
    #[error(transparent)]
    InvalidEmail(#[from] InvalidEmail),
    /// Not a password the policy accepts.
    #[error(transparent)]
    WeakPassword(#[from] WeakPassword),
    /// Somebody has that address.
    #[error("a user with this e-mail address exists already")]
    EmailTaken,
    /// Nobody has that address, or that id.
    #[error("no user has this id or e-mail address")]
    NotFound,
    /// Not a number of sessions.
    #[error("a limit of one's own is 1 to 1000 sessions")]
    InvalidLimit,
    /// Not proved lately who asks.
    #[error(transparent)]
    ReauthenticationRequired(#[from] ReauthenticationRequired),
    /// Whoever registers an address before it is confirmed gets its user, so nobody administers before.
    #[error("the e-mail address of this user is not confirmed yet, so they cannot administer")]
    Unverified,
    /// Somebody has to administer.
    #[error("this is the last administrator; make another one first")]
    LastAdministrator,
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for UserError {
    fn reason(&self) -> &'static str {
        match self {
            Self::InvalidEmail(_) => "invalid_email",
            Self::WeakPassword(_) => "weak_password",
            Self::EmailTaken => "email_taken",
            Self::NotFound => "not_found",
            Self::InvalidLimit => "invalid_limit",
            Self::ReauthenticationRequired(required) => required.reason(),
            Self::Unverified => "unverified",
            Self::LastAdministrator => "last_administrator",
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

/// A user to be made by the operator; the address counts as verified, since the operator vouches for it.
pub struct CreateUser {
    /// Who asks.
    pub requester: Requester,
    /// The address to sign in with.
    pub email: String,
    /// The first password.
    pub password: String,
    /// The first role.
    pub role: Role,
    /// How many sessions they may have.
    pub tier: SessionTier,
}

/// Changes users.
pub struct UserCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where users are kept.
    pub store: Arc<dyn Store>,
    /// What roles may do.
    pub access: Access,
    /// Asks for a proof of who it is.
    pub step_up: StepUp,
    /// Hashes the first password.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Forgets sessions at once when they end here, and roles when they change.
    pub gate: Arc<SessionGate>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub randomness: Arc<dyn Randomness>,
}

impl UserCommands {
    /// Makes a verified, active user.
    pub async fn create(&self, command: CreateUser) -> Result<User, UserError> {
        let attempt = self.journal.attempt(&command.requester, Act::CreateUser).await?;
        attempt
            .settle(async {
                self.access.permit(&command.requester, Act::CreateUser)?;
                let email = EmailAddress::parse(&command.email)?;
                let password = Password::choose(&command.password, &email)?;
                let password = self.hasher.hash(&password).await?;
                let now = self.clock.now();
                let user = User {
                    id: UserId(self.randomness.id()),
                    email,
                    password,
                    role: command.role,
                    tier: command.tier,
                    session_limit: None,
                    email_verified_at: Some(now),
                    is_active: true,
                    display_name: None,
                    created_at: now,
                };
                let mut work = self.store.begin(&attempt).await?;
                if !work.users().insert(&user).await? {
                    return Err(UserError::EmailTaken);
                }
                work.succeed(Event::UserCreated { user: user.id, role: user.role }).await?;
                Ok(user)
            })
            .await
    }
}

/// Looks at users.
pub struct UserQueries {
    /// What roles may do.
    pub access: Access,
    /// Where users are kept.
    pub users: Arc<dyn UserReader>,
}

impl UserQueries {
    /// A user by id: oneself, or anyone for administrators.
    pub async fn find(&self, requester: &Requester, id: UserId) -> Result<Option<User>, QueryError> {
        let Some(id) = self.access.reader_of(requester, Resource::Users, id)? else { return Ok(None) };
        Ok(self.users.find(id).await?)
    }

    /// All users, for administrators.
    pub async fn page(&self, requester: &Requester, filter: &UserFilter, page: Page<CreatedKey>) -> Result<Slice<User>, QueryError> {
        let (_, scope) = self.access.allow(requester, Action::Read, Resource::Users)?;
        if scope < Scope::Any {
            return Err(Denied::Forbidden.into());
        }
        Ok(self.users.page_for_admin(filter, page).await?)
    }

    /// Oneself.
    pub async fn me(&self, requester: &Requester) -> Result<Option<User>, QueryError> {
        let me = self.access.reader(requester, Resource::Users)?;
        Ok(self.users.find(me).await?)
    }

    /// The user of that address; for the operator only.
    pub async fn find_any_for_operator(&self, email: &str) -> Result<User, UserError> {
        let email = EmailAddress::parse(email)?;
        self.users.find_any_by_email(email.key()).await?.ok_or(UserError::NotFound)
    }
}
