//! Passwords in the graph: changing, forgetting, resetting.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};

use crate::{
    application::password::{ChangePassword, RequestPasswordReset, ResetPassword},
    domain::audit::Act,
};

use super::{
    ContextExt,
    error::{Fault, UserError, outcome},
    guard::{Allow, Public},
};

/// Another password for oneself.
#[derive(InputObject)]
pub struct ChangePasswordInput {
    /// The password in use now.
    current_password: String,
    /// 12 to 128 characters, none of the common ones, without the name part of the address.
    new_password: String,
}

/// Asking for the mail that resets a password.
#[derive(InputObject)]
pub struct RequestPasswordResetInput {
    /// The address the user signs in with.
    email: String,
}

/// A new password by the token out of a mail.
#[derive(InputObject)]
pub struct ResetPasswordInput {
    /// The token out of the mail. It works once, for fifteen minutes.
    token: String,
    /// 12 to 128 characters, none of the common ones, without the name part of the address.
    new_password: String,
}

/// Whether a password was changed.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::attempt(Act::ChangePassword))]
pub struct ChangePasswordPayload {
    /// True when the new password counts now. Every other session of the user has ended; this one goes on.
    changed: bool,
    /// Why it was not changed; empty when it was.
    user_errors: Vec<UserError>,
}

/// Whether a request for the mail was taken. It does not tell whether the address is known.
#[derive(SimpleObject)]
#[graphql(serial, guard = Public("who cannot sign in must be able to ask"))]
pub struct RequestPasswordResetPayload {
    /// True when the address is one. A mail is sent if a confirmed user has it, at most three an hour.
    accepted: bool,
    /// What is wrong with what was typed; empty when it was accepted.
    user_errors: Vec<UserError>,
}

/// Whether a password was reset.
#[derive(SimpleObject)]
#[graphql(serial, guard = Public("the token is the proof"))]
pub struct ResetPasswordPayload {
    /// True when the new password counts now. Every session of the user has ended, and nobody is signed in: `createSession` is next.
    reset: bool,
    /// Why it was not reset; empty when it was.
    user_errors: Vec<UserError>,
}

/// Changes passwords.
#[derive(Default)]
pub struct PasswordMutation;

#[Object(serial)]
impl PasswordMutation {
    /// Gives oneself another password. Every other session ends at once. Wrong current passwords count like failed sign-ins.
    #[graphql(guard = Allow::attempt(Act::ChangePassword))]
    async fn change_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The old password and the new one.")] input: ChangePasswordInput,
    ) -> Result<ChangePasswordPayload, Fault> {
        let request = ctx.of_request()?;
        let command = ChangePassword { requester: request.requester.clone(), current: input.current_password.into(), new: input.new_password.into() };
        let (done, user_errors) = outcome(request.application.passwords.change(command).await)?;
        Ok(ChangePasswordPayload { changed: done.is_some(), user_errors })
    }

    /// Mails a token that resets the password of this address. Known and unknown addresses answer alike.
    #[graphql(guard = Public("who cannot sign in must be able to ask"))]
    async fn request_password_reset(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which address.")] input: RequestPasswordResetInput,
    ) -> Result<RequestPasswordResetPayload, Fault> {
        let request = ctx.of_request()?;
        let command = RequestPasswordReset { requester: request.requester.clone(), email: input.email };
        let (done, user_errors) = outcome(request.application.passwords.request_reset(command).await)?;
        Ok(RequestPasswordResetPayload { accepted: done.is_some(), user_errors })
    }

    /// Gives a user a new password by the token out of a mail. Every session of the user ends, and a paused sign-in goes on.
    #[graphql(guard = Public("the token is the proof"))]
    async fn reset_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proof, and the new password.")] input: ResetPasswordInput,
    ) -> Result<ResetPasswordPayload, Fault> {
        let request = ctx.of_request()?;
        let command = ResetPassword { requester: request.requester.clone(), token: input.token.into(), new: input.new_password.into() };
        let (done, user_errors) = outcome(request.application.passwords.reset(command).await)?;
        Ok(ResetPasswordPayload { reset: done.is_some(), user_errors })
    }
}
