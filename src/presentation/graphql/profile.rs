//! Profiles in the graph: what somebody says of themselves.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};

use crate::{application::profile::UpdateProfile, domain::audit::Act};

use super::{
    ContextExt,
    error::{Fault, UserError, outcome},
    guard::Allow,
    user::UserNode,
};

/// What to say of oneself.
#[derive(InputObject)]
pub struct UpdateProfileInput {
    /// What to be called: 1 to 100 characters; null takes the name away.
    display_name: Option<String>,
}

/// The user with their new name, or why it is the old one.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::attempt(Act::UpdateProfile))]
pub struct UpdateProfilePayload {
    /// The user as they are now; null when nothing was changed.
    user: Option<UserNode>,
    /// Why nothing was changed; empty when it was.
    user_errors: Vec<UserError>,
}

/// Changes profiles.
#[derive(Default)]
pub struct ProfileMutation;

#[Object(serial)]
impl ProfileMutation {
    /// Gives oneself a name by which frontends may greet, or none.
    #[graphql(guard = Allow::attempt(Act::UpdateProfile))]
    async fn update_profile(&self, ctx: &Context<'_>, #[graphql(desc = "What to say.")] input: UpdateProfileInput) -> Result<UpdateProfilePayload, Fault> {
        let request = ctx.of_request()?;
        let command = UpdateProfile { requester: request.requester.clone(), display_name: input.display_name };
        let (user, user_errors) = outcome(request.application.rights.profiles.update(command).await)?;
        Ok(UpdateProfilePayload { user: user.map(|user| UserNode(Arc::new(user))), user_errors })
    }
}
