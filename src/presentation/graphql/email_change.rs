//! Changes of address in the graph: asking, confirming, taking back.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};

use crate::{
    application::email_change::{ConfirmEmailChange, RequestEmailChange, RevertEmailChange},
    domain::audit::Act,
};

use super::{
    ContextExt,
    error::{Fault, UserError, outcome},
    guard::{Allow, Public},
};

/// Asking for another address.
#[derive(InputObject)]
pub struct RequestEmailChangeInput {
    /// The new address; a mail to it confirms it.
    email: String,
}

/// Confirming the new address.
#[derive(InputObject)]
pub struct ConfirmEmailChangeInput {
    /// The token out of the mail to the new address. It works once, for 24 hours.
    token: String,
}

/// Taking the old address back.
#[derive(InputObject)]
pub struct RevertEmailChangeInput {
    /// The token out of the mail to the old address. It works once, for seven days.
    token: String,
}

/// Whether a wish for another address was taken. It does not tell whether the address is known.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::attempt(Act::RequestEmailChange))]
pub struct RequestEmailChangePayload {
    /// True when the address is one. What comes next is in its mailbox, at most three mails an hour; until then the old address stays.
    accepted: bool,
    /// What is wrong with what was typed; empty when it was accepted.
    user_errors: Vec<UserError>,
}

/// Whether the address was changed.
#[derive(SimpleObject)]
#[graphql(serial, guard = Public("the token is the proof"))]
pub struct ConfirmEmailChangePayload {
    /// True when the new address is the user's now. Sessions go on, and nobody is signed in by it.
    changed: bool,
    /// Why it is not; empty when it is.
    user_errors: Vec<UserError>,
}

/// Whether the old address is back.
#[derive(SimpleObject)]
#[graphql(serial, guard = Public("the token is the proof"))]
pub struct RevertEmailChangePayload {
    /// True when the old address is the user's again. Every session has ended, later changes are undone, and an erasure that was asked for is off.
    reverted: bool,
    /// Why it is not; empty when it is.
    user_errors: Vec<UserError>,
}

/// Changes addresses.
#[derive(Default)]
pub struct EmailChangeMutation;

#[Object(serial)]
impl EmailChangeMutation {
    /// Mails a token to a new address, which becomes the user's once it is confirmed. Known and unknown addresses answer alike. Needs
    /// `reauthenticate` first.
    #[graphql(guard = Allow::attempt(Act::RequestEmailChange))]
    async fn request_email_change(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which address.")] input: RequestEmailChangeInput,
    ) -> Result<RequestEmailChangePayload, Fault> {
        let request = ctx.of_request()?;
        let command = RequestEmailChange { requester: request.requester.clone(), email: input.email };
        let (done, user_errors) = outcome(request.application.rights.email_changes.request(command).await)?;
        Ok(RequestEmailChangePayload { accepted: done.is_some(), user_errors })
    }

    /// Gives a user the new address by the token that was mailed to it. The old address gets a mail with a way back.
    #[graphql(guard = Public("the token is the proof"))]
    async fn confirm_email_change(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proof.")] input: ConfirmEmailChangeInput,
    ) -> Result<ConfirmEmailChangePayload, Fault> {
        let request = ctx.of_request()?;
        let command = ConfirmEmailChange { requester: request.requester.clone(), token: input.token.into() };
        let (done, user_errors) = outcome(request.application.rights.email_changes.confirm(command).await)?;
        Ok(ConfirmEmailChangePayload { changed: done.is_some(), user_errors })
    }

    /// Gives a user the old address back by the token that was mailed to it, and undoes every change after it. Every session ends.
    #[graphql(guard = Public("the token is the proof"))]
    async fn revert_email_change(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proof.")] input: RevertEmailChangeInput,
    ) -> Result<RevertEmailChangePayload, Fault> {
        let request = ctx.of_request()?;
        let command = RevertEmailChange { requester: request.requester.clone(), token: input.token.into() };
        let (done, user_errors) = outcome(request.application.rights.email_changes.revert(command).await)?;
        Ok(RevertEmailChangePayload { reverted: done.is_some(), user_errors })
    }
}
