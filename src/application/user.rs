//! Users: made and promoted on the command line, and looked at by themselves.

use std::sync::Arc;

use crate::domain::{
    audit::Act,
    event::Event,
    failure::Reason,
    id::UserId,
    time::Clock,
    user::{EmailAddress, InvalidEmail, Password, Role, SessionTier, User, UserReader, WeakPassword},
};

use super::{
    QueryError,
    access::{Access, Denied, Requester, Resource},
    audit::Journal,
    ports::{PasswordHasher, Randomness, Store},
};

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
    /// Nobody has that address.
    #[error("no user has this e-mail address")]
    NotFound,
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

/// Another role for a user.
pub struct AssignRole {
    /// Who asks.
    pub requester: Requester,
    /// The user's address.
    pub email: String,
    /// The new role.
    pub role: Role,
}

/// Changes users.
pub struct UserCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where users are kept.
    pub store: Arc<dyn Store>,
    /// What roles may do.
    pub access: Access,
    /// Hashes the first password.
    pub hasher: Arc<dyn PasswordHasher>,
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

    /// Gives a user another role. It is in force within a second everywhere. The last administrator stays one.
    pub async fn assign_role(&self, command: AssignRole) -> Result<User, UserError> {
        let attempt = self.journal.attempt(&command.requester, Act::AssignRole).await?;
        attempt
            .settle(async {
                self.access.permit(&command.requester, Act::AssignRole)?;
                let email = EmailAddress::parse(&command.email)?;
                let mut work = self.store.begin(&attempt).await?;
                let mut user = work.users().find_any_by_email(email.key()).await?.ok_or(UserError::NotFound)?;
                user.role = command.role;
                if !work.users().assign_role(user.id, user.role).await? {
                    return Err(UserError::LastAdministrator);
                }
                work.succeed(Event::RoleAssigned { user: user.id, role: user.role }).await?;
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
