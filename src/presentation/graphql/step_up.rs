//! Step-up in the graph: proving once more who one is, before something grave.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use crate::{application::step_up::Reauthenticate, domain::audit::Act};

use super::{
    ContextExt,
    error::{Fault, UserError, outcome},
    guard::Allow,
    scalar::DateTime,
};

/// A proof of who is behind this session.
#[derive(InputObject)]
pub struct ReauthenticateInput {
    /// The password in use now.
    password: String,
    /// What the user's device shows, or a recovery code; needed when `viewer.secondFactor` is not null, and not looked at otherwise.
    code: Option<String>,
}

/// Whether a proof was accepted.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::attempt(Act::Reauthenticate))]
pub struct ReauthenticatePayload {
    /// Until when this session, and no other, may do what asks for a proof: five minutes from now. Null when the proof was not accepted.
    valid_until: Option<DateTime>,
    /// Why it was not accepted; empty when it was.
    user_errors: Vec<UserError>,
}

/// Takes proofs.
#[derive(Default)]
pub struct StepUpMutation;

#[Object(serial)]
impl StepUpMutation {
    /// Proves once more who is behind this session. For five minutes it may then do what answers `REAUTHENTICATION_REQUIRED` otherwise. Wrong
    /// passwords and codes count like those of failed sign-ins.
    #[graphql(guard = Allow::attempt(Act::Reauthenticate))]
    async fn reauthenticate(&self, ctx: &Context<'_>, #[graphql(desc = "The proof.")] input: ReauthenticateInput) -> Result<ReauthenticatePayload, Fault> {
        let request = ctx.of_request()?;
        let command = Reauthenticate { requester: request.requester.clone(), password: input.password.into(), code: input.code.map(Into::into) };
        let (until, user_errors) = outcome(request.application.step_up.reauthenticate(command).await)?;
        Ok(ReauthenticatePayload { valid_until: until.map(DateTime), user_errors })
    }
}
