//! Administration of users: by administrators over the API, and by the operator on the command line.
//!
//! The last active administrator stays one: roles and access are changed under a lock of all administrators, so that two of them cannot
//! each count on the other.

use crate::{
    application::{access::Requester, ports::Work, session::end_each},
    domain::{
        audit::Act,
        event::Event,
        id::UserId,
        session::RevocationReason,
        sign_in::Which,
        user::{EmailAddress, Role, SessionTier, User},
    },
};

use super::{UserCommands, UserError};

/// The most live sessions a user may be given.
const MAX_SESSIONS: u32 = 1000;

/// How a user is named.
pub enum Whom {
    /// By id, over the API.
    Id(UserId),
    /// By address, on the command line.
    Address(String),
}

/// Another role for a user.
pub struct AssignRole {
    /// Who asks.
    pub requester: Requester,
    /// Whose.
    pub user: Whom,
    /// The new role.
    pub role: Role,
}

/// Another tier for a user, or a limit of their own.
pub struct AssignTier {
    /// Who asks.
    pub requester: Requester,
    /// Whose.
    pub user: Whom,
    /// The new tier.
    pub tier: SessionTier,
    /// How many live sessions they may have whatever the tier; `None` leaves it to the tier.
    pub session_limit: Option<u32>,
}

/// Keeping a user out, letting them in again, ending a pause of their sign-in.
pub struct ChangeAccess {
    /// Who asks.
    pub requester: Requester,
    /// Whose.
    pub user: Whom,
}

async fn find(work: &mut dyn Work, whom: &Whom) -> Result<User, UserError> {
    let found = match whom {
        Whom::Id(id) => work.users().find_any_for_admin(*id).await?,
        Whom::Address(address) => work.users().find_any_by_email(EmailAddress::parse(address)?.key()).await?,
    };
    found.ok_or(UserError::NotFound)
}

impl UserCommands {
    /// Gives a user another role. It is in force within a second everywhere. The last administrator stays one.
    pub async fn assign_role(&self, command: AssignRole) -> Result<User, UserError> {
        let attempt = self.journal.attempt(&command.requester, Act::AssignRole).await?;
        attempt
            .settle(async {
                self.access.permit(&command.requester, Act::AssignRole)?;
                self.step_up.require(&command.requester).await??;
                let mut work = self.store.begin(&attempt).await?;
                let mut user = find(work.as_mut(), &command.user).await?;
                attempt.concerns(user.id);
                if command.role == Role::Admin && user.email_verified_at.is_none() {
                    return Err(UserError::Unverified);
                }
                user.role = command.role;
                if !work.users().assign_role(user.id, user.role).await? {
                    return Err(UserError::LastAdministrator);
                }
                work.succeed(Event::RoleAssigned { user: user.id, role: user.role }).await?;
                self.gate.forget_user(user.id);
                Ok(user)
            })
            .await
    }

    /// Gives a user another tier, and a limit of their own or none. It counts from the next sign-in on; nothing ends because of it.
    pub async fn assign_tier(&self, command: AssignTier) -> Result<User, UserError> {
        let attempt = self.journal.attempt(&command.requester, Act::AssignTier).await?;
        attempt
            .settle(async {
                self.access.permit(&command.requester, Act::AssignTier)?;
                if command.session_limit.is_some_and(|limit| !(1..=MAX_SESSIONS).contains(&limit)) {
                    return Err(UserError::InvalidLimit);
                }
                let mut work = self.store.begin(&attempt).await?;
                let mut user = find(work.as_mut(), &command.user).await?;
                (user.tier, user.session_limit) = (command.tier, command.session_limit);
                work.users().assign_tier(user.id, user.tier, user.session_limit).await?;
                work.succeed(Event::TierAssigned { user: user.id, tier: user.tier }).await?;
                Ok(user)
            })
            .await
    }

    /// Keeps a user out: no sign-in, and every session ends at once. What they have stays. The last administrator cannot be kept out.
    pub async fn deactivate(&self, command: ChangeAccess) -> Result<User, UserError> {
        let attempt = self.journal.attempt(&command.requester, Act::DeactivateUser).await?;
        attempt
            .settle(async {
                self.access.permit(&command.requester, Act::DeactivateUser)?;
                let mut work = self.store.begin(&attempt).await?;
                let mut user = find(work.as_mut(), &command.user).await?;
                attempt.concerns(user.id);
                if !work.users().set_active(user.id, false).await? {
                    return Err(UserError::LastAdministrator);
                }
                // Whoever signs in meanwhile waits for this row, and then finds it inactive.
                let now = self.clock.now();
                let live = work.sessions().live(user.id, now).await?;
                let ended = end_each(work.as_mut(), live.into_iter(), RevocationReason::Deactivated, now).await?;
                work.succeed(Event::UserDeactivated { user: user.id, ended: ended.len() }).await?;
                self.gate.forget_user(user.id);
                user.is_active = false;
                Ok(user)
            })
            .await
    }

    /// Lets a user in again who was kept out.
    pub async fn reactivate(&self, command: ChangeAccess) -> Result<User, UserError> {
        let attempt = self.journal.attempt(&command.requester, Act::ReactivateUser).await?;
        attempt
            .settle(async {
                self.access.permit(&command.requester, Act::ReactivateUser)?;
                let mut work = self.store.begin(&attempt).await?;
                let mut user = find(work.as_mut(), &command.user).await?;
                work.users().set_active(user.id, true).await?;
                // Who asked to be erased stays out all the same.
                user = find(work.as_mut(), &Whom::Id(user.id)).await?;
                work.succeed(Event::UserReactivated { user: user.id }).await?;
                self.gate.forget_user(user.id);
                Ok(user)
            })
            .await
    }

    /// Ends a pause of somebody's sign-in, and forgets their wrong passwords and codes.
    pub async fn unlock(&self, command: ChangeAccess) -> Result<User, UserError> {
        let attempt = self.journal.attempt(&command.requester, Act::UnlockUser).await?;
        attempt
            .settle(async {
                self.access.permit(&command.requester, Act::UnlockUser)?;
                let mut work = self.store.begin(&attempt).await?;
                let user = find(work.as_mut(), &command.user).await?;
                work.sign_ins().take_turn(user.id).await?;
                work.sign_ins().clear(user.id, Which::All).await?;
                work.second_factors().forget_failures(user.id).await?;
                work.succeed(Event::UserUnlocked { user: user.id }).await?;
                Ok(user)
            })
            .await
    }
}
