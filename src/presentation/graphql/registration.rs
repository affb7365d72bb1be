//! Registration in the graph: signing up, and confirming an address.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};

use crate::application::registration::{RegisterUser, ResendVerification, VerifyEmail};

use super::{
    ContextExt,
    agreement::AgreementInput,
    error::{Fault, UserError, outcome},
    guard::Public,
};

/// Signing up.
#[derive(InputObject)]
pub struct RegisterUserInput {
    /// The address to sign in with; a mail to it confirms it.
    email: String,
    /// 12 to 128 characters, without the name part of the address.
    password: String,
    /// The documents of `legalDocuments` that are agreed to: all of them, if there are any.
    agreements: Option<Vec<AgreementInput>>,
}

/// Asking for the mail once more.
#[derive(InputObject)]
pub struct ResendVerificationInput {
    /// The address that was registered.
    email: String,
}

/// Confirming an address.
#[derive(InputObject)]
pub struct VerifyEmailInput {
    /// The token out of the mail. It works once, for 24 hours.
    token: String,
}

/// Whether a registration was taken. It does not tell whether the address was known.
#[derive(SimpleObject)]
#[graphql(serial, guard = Public("registering is how one becomes somebody"))]
pub struct RegisterUserPayload {
    /// True when what was typed is acceptable; what comes next is in the mailbox of that address.
    accepted: bool,
    /// What is wrong with what was typed; empty when it was accepted.
    user_errors: Vec<UserError>,
}

/// Whether a request for another mail was taken. It does not tell whether the address is known.
#[derive(SimpleObject)]
#[graphql(serial, guard = Public("who cannot sign in yet must be able to ask"))]
pub struct ResendVerificationPayload {
    /// True when the address is one. A mail is sent if it waits to be confirmed, at most three an hour.
    accepted: bool,
    /// What is wrong with what was typed; empty when it was accepted.
    user_errors: Vec<UserError>,
}

/// Whether an address was confirmed.
#[derive(SimpleObject)]
#[graphql(serial, guard = Public("the token is the proof"))]
pub struct VerifyEmailPayload {
    /// True when the address is confirmed now. Nobody is signed in by it: `createSession` is next.
    verified: bool,
    /// Why it is not; empty when it is.
    user_errors: Vec<UserError>,
}

/// Registers people.
#[derive(Default)]
pub struct RegistrationMutation;

#[Object(serial)]
impl RegistrationMutation {
    /// Registers an address with a password and mails a token that confirms it. Known and unknown addresses answer alike; one that is not
    /// confirmed yet gets the new password, and earlier tokens stop working.
    #[graphql(guard = Public("registering is how one becomes somebody"))]
    async fn register_user(&self, ctx: &Context<'_>, #[graphql(desc = "Who registers.")] input: RegisterUserInput) -> Result<RegisterUserPayload, Fault> {
        let request = ctx.of_request()?;
        let assents = input.agreements.unwrap_or_default().into_iter().map(Into::into).collect();
        let command = RegisterUser { requester: request.requester.clone(), email: input.email, password: input.password.into(), assents };
        let (done, user_errors) = outcome(request.application.registration.register(command).await)?;
        Ok(RegisterUserPayload { accepted: done.is_some(), user_errors })
    }

    /// Confirms an address with the token out of the mail. It signs nobody in.
    #[graphql(guard = Public("the token is the proof"))]
    async fn verify_email(&self, ctx: &Context<'_>, #[graphql(desc = "The proof.")] input: VerifyEmailInput) -> Result<VerifyEmailPayload, Fault> {
        let request = ctx.of_request()?;
        let command = VerifyEmail { requester: request.requester.clone(), token: input.token.into() };
        let (done, user_errors) = outcome(request.application.registration.verify(command).await)?;
        Ok(VerifyEmailPayload { verified: done.is_some(), user_errors })
    }

    /// Mails a new token to an address that waits to be confirmed. Known and unknown addresses answer alike.
    #[graphql(guard = Public("who cannot sign in yet must be able to ask"))]
    async fn resend_verification(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which address.")] input: ResendVerificationInput,
    ) -> Result<ResendVerificationPayload, Fault> {
        let request = ctx.of_request()?;
        let command = ResendVerification { requester: request.requester.clone(), email: input.email };
        let (done, user_errors) = outcome(request.application.registration.resend(command).await)?;
        Ok(ResendVerificationPayload { accepted: done.is_some(), user_errors })
    }
}
