//! Erasure in the graph: asking for it, calling it off.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};

use crate::{
    application::erasure::{CancelErasure, RequestErasure},
    domain::audit::Act,
};

use super::{
    ContextExt,
    error::{Fault, UserError, outcome},
    guard::{Allow, Public},
    scalar::DateTime,
};

/// Calling an erasure off.
#[derive(InputObject)]
pub struct CancelErasureInput {
    /// The token out of the mail. It works until the erasure begins.
    token: String,
}

/// An erasure that waits for its day.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::attempt(Act::RequestErasure))]
pub struct Erasure {
    /// When it begins. Until then the token in the mail calls it off.
    scheduled_at: DateTime,
}

/// An erasure, or why there is none.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::attempt(Act::RequestErasure))]
pub struct EraseMyAccountPayload {
    /// The erasure; null when there is none.
    erasure: Option<Erasure>,
    /// Why there is none; empty when there is one.
    user_errors: Vec<UserError>,
}

/// Whether an erasure was called off.
#[derive(SimpleObject)]
#[graphql(serial, guard = Public("the token is the proof, and nobody can sign in to give another"))]
pub struct CancelErasurePayload {
    /// True when the account stays. Signing in works again; banks have to be linked again.
    cancelled: bool,
    /// Why it was not called off; empty when it was.
    user_errors: Vec<UserError>,
}

/// Forgets people.
#[derive(Default)]
pub struct ErasureMutation;

#[Object(serial)]
impl ErasureMutation {
    /// Has oneself erased, with everything, in 24 hours, or when a change of address can no longer be taken back if that is later. Every
    /// session ends and what banks have handed out is wiped at once; a mail says how to call it off. Needs `reauthenticate` first.
    #[graphql(guard = Allow::attempt(Act::RequestErasure))]
    async fn erase_my_account(&self, ctx: &Context<'_>) -> Result<EraseMyAccountPayload, Fault> {
        let request = ctx.of_request()?;
        let command = RequestErasure { requester: request.requester.clone() };
        let (due, user_errors) = outcome(request.application.rights.erasures.request(command).await)?;
        Ok(EraseMyAccountPayload { erasure: due.map(|due| Erasure { scheduled_at: DateTime(due) }), user_errors })
    }

    /// Calls an erasure off by the token out of the mail. It signs nobody in.
    #[graphql(guard = Public("the token is the proof, and nobody can sign in to give another"))]
    async fn cancel_erasure(&self, ctx: &Context<'_>, #[graphql(desc = "The proof.")] input: CancelErasureInput) -> Result<CancelErasurePayload, Fault> {
        let request = ctx.of_request()?;
        let command = CancelErasure { requester: request.requester.clone(), token: input.token.into() };
        let (done, user_errors) = outcome(request.application.rights.erasures.cancel(command).await)?;
        Ok(CancelErasurePayload { cancelled: done.is_some(), user_errors })
    }
}
