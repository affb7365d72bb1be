//! Administration of users in the graph.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::{
    application::{
        access::Resource,
        user::{AssignRole, AssignTier, ChangeAccess, Whom},
    },
    domain::audit::Act,
    presentation::graphql::{
        ContextExt, RequestContext,
        error::{Fault, UserError, outcome},
        global_id::id_or_nothing,
        guard::Allow,
    },
};

use super::{Role, SessionTier, UserNode};

/// Another role for a user.
#[derive(InputObject)]
pub struct AssignRoleInput {
    /// Whose role.
    user_id: ID,
    /// The new role.
    role: Role,
}

/// Another tier for a user.
#[derive(InputObject)]
pub struct AssignTierInput {
    /// Whose tier.
    user_id: ID,
    /// The new tier.
    tier: SessionTier,
    /// How many live sessions they may have whatever the tier, 1 to 1000. Left out, the tier decides.
    session_limit: Option<u32>,
}

/// Keeping a user out.
#[derive(InputObject)]
pub struct DeactivateUserInput {
    /// Whom.
    user_id: ID,
}

/// Letting a user in again.
#[derive(InputObject)]
pub struct ReactivateUserInput {
    /// Whom.
    user_id: ID,
}

/// Ending a pause of somebody's sign-in.
#[derive(InputObject)]
pub struct UnlockUserInput {
    /// Whose.
    user_id: ID,
}

/// The user with their new role, or why they kept the old one.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read_any(Resource::Users))]
pub struct AssignRolePayload {
    /// The user as they are now; null when nothing was changed.
    user: Option<UserNode>,
    /// Why nothing was changed; empty when it was.
    user_errors: Vec<UserError>,
}

/// The user with their new tier, or why they kept the old one.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read_any(Resource::Users))]
pub struct AssignTierPayload {
    /// The user as they are now; null when nothing was changed.
    user: Option<UserNode>,
    /// Why nothing was changed; empty when it was.
    user_errors: Vec<UserError>,
}

/// The user who is kept out, or why they are not.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read_any(Resource::Users))]
pub struct DeactivateUserPayload {
    /// The user as they are now; null when nothing was changed.
    user: Option<UserNode>,
    /// Why nothing was changed; empty when it was.
    user_errors: Vec<UserError>,
}

/// The user who was let in again, or why they were not.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read_any(Resource::Users))]
pub struct ReactivateUserPayload {
    /// The user as they are now; null when nothing was changed.
    user: Option<UserNode>,
    /// Why nothing was changed; empty when it was.
    user_errors: Vec<UserError>,
}

/// The user whose sign-in goes on, or why it does not.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read_any(Resource::Users))]
pub struct UnlockUserPayload {
    /// The user as they are now; null when nothing was changed.
    user: Option<UserNode>,
    /// Why nothing was changed; empty when it was.
    user_errors: Vec<UserError>,
}

fn access(request: &RequestContext, user: &ID) -> ChangeAccess {
    ChangeAccess { requester: request.requester.clone(), user: Whom::Id(id_or_nothing(user)) }
}

fn node(user: Option<crate::domain::user::User>) -> Option<UserNode> {
    user.map(|user| UserNode(Arc::new(user)))
}

/// Administers users.
#[derive(Default)]
pub struct AdministrationMutation;

#[Object(serial)]
impl AdministrationMutation {
    /// Gives a user another role, in force within a second everywhere. The last administrator stays one. Needs a proof: `reauthenticate`.
    #[graphql(guard = Allow::attempt(Act::AssignRole))]
    async fn assign_role(&self, ctx: &Context<'_>, #[graphql(desc = "Whose role, and which.")] input: AssignRoleInput) -> Result<AssignRolePayload, Fault> {
        let request = ctx.of_request()?;
        let command = AssignRole { requester: request.requester.clone(), user: Whom::Id(id_or_nothing(&input.user_id)), role: input.role.into() };
        let (user, user_errors) = outcome(request.application.users.assign_role(command).await)?;
        Ok(AssignRolePayload { user: node(user), user_errors })
    }

    /// Gives a user another tier, and a limit of their own or none. It counts from their next sign-in on.
    #[graphql(guard = Allow::attempt(Act::AssignTier))]
    async fn assign_tier(&self, ctx: &Context<'_>, #[graphql(desc = "Whose tier, and which.")] input: AssignTierInput) -> Result<AssignTierPayload, Fault> {
        let request = ctx.of_request()?;
        let user = Whom::Id(id_or_nothing(&input.user_id));
        let command = AssignTier { requester: request.requester.clone(), user, tier: input.tier.into(), session_limit: input.session_limit };
        let (user, user_errors) = outcome(request.application.users.assign_tier(command).await)?;
        Ok(AssignTierPayload { user: node(user), user_errors })
    }

    /// Keeps a user out: no sign-in, and every session ends at once. What they have stays. The last administrator cannot be kept out.
    #[graphql(guard = Allow::attempt(Act::DeactivateUser))]
    async fn deactivate_user(&self, ctx: &Context<'_>, #[graphql(desc = "Whom.")] input: DeactivateUserInput) -> Result<DeactivateUserPayload, Fault> {
        let request = ctx.of_request()?;
        let (user, user_errors) = outcome(request.application.users.deactivate(access(request, &input.user_id)).await)?;
        Ok(DeactivateUserPayload { user: node(user), user_errors })
    }

    /// Lets a user in again who was kept out. Sessions that ended stay ended.
    #[graphql(guard = Allow::attempt(Act::ReactivateUser))]
    async fn reactivate_user(&self, ctx: &Context<'_>, #[graphql(desc = "Whom.")] input: ReactivateUserInput) -> Result<ReactivateUserPayload, Fault> {
        let request = ctx.of_request()?;
        let (user, user_errors) = outcome(request.application.users.reactivate(access(request, &input.user_id)).await)?;
        Ok(ReactivateUserPayload { user: node(user), user_errors })
    }

    /// Ends a pause of somebody's sign-in, and forgets their failures.
    #[graphql(guard = Allow::attempt(Act::UnlockUser))]
    async fn unlock_user(&self, ctx: &Context<'_>, #[graphql(desc = "Whose.")] input: UnlockUserInput) -> Result<UnlockUserPayload, Fault> {
        let request = ctx.of_request()?;
        let (user, user_errors) = outcome(request.application.users.unlock(access(request, &input.user_id)).await)?;
        Ok(UnlockUserPayload { user: node(user), user_errors })
    }
}
