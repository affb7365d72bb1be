//! The pages that mails about an address or an erasure lead to: looking shows, a click does, since programs that look into mail open links too.

use std::{future::Future, net::SocketAddr, sync::Arc};

use askama::Template;
use axum::{
    Form,
    extract::{
        ConnectInfo, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode},
    response::Response,
};
use secrecy::SecretString;
use serde::Deserialize;

use crate::application::{
    Application,
    access::{Actor, Requester},
    email_change::{ConfirmEmailChange, EmailChangeError, RevertEmailChange},
    erasure::{CancelErasure, ErasureError},
};

use super::{
    Edge,
    oauth::{Forms, ResultTemplate, html},
    requester::origin,
};

#[derive(Template)]
#[template(path = "verification/action.html")]
struct ActionTemplate<'a> {
    title: &'a str,
    what: &'a str,
    otherwise: &'a str,
    path: &'a str,
    token: &'a str,
    button: &'a str,
}

/// The token, in the query of a page and in the body of its form.
#[derive(Deserialize)]
pub(super) struct Token {
    #[serde(default)]
    token: String,
}

/// What a page says before and after.
struct Words {
    path: &'static str,
    title: &'static str,
    what: &'static str,
    otherwise: &'static str,
    button: &'static str,
    done: &'static str,
    message: &'static str,
    next: &'static str,
}

const CONFIRM: Words = Words {
    path: "/confirm-email",
    title: "Use this e-mail address",
    what: "You came here from a mail. One click makes the address it came to that of your Dashtam account.",
    otherwise: "You did not ask for this? Close this window, and nothing changes.",
    button: "Use this address",
    done: "Your address is changed",
    message: "You sign in with this address from now on. Your old address was told.",
    next: "You can close this window and go back to your app.",
};

const REVERT: Words = Words {
    path: "/revert-email",
    title: "Take your e-mail address back",
    what: "One click makes the address this mail came to that of your Dashtam account again. Every session ends, and later changes of address are undone.",
    otherwise: "It was you who changed it? Close this window, and it stays changed.",
    button: "Take my address back",
    done: "Your address is back",
    message: "Every session has ended, and what was mailed to the other address opens nothing any more.",
    next: "If somebody else changed it, they knew your password: reset it now.",
};

const CANCEL: Words = Words {
    path: "/cancel-erasure",
    title: "Keep your account",
    what: "Your Dashtam account is going to be erased. One click calls that off.",
    otherwise: "You want it erased? Close this window, and it will be.",
    button: "Keep my account",
    done: "Your account stays",
    message: "You can sign in again. Banks have to be linked again.",
    next: "If it was not you who asked for it, change your password.",
};

/// Why nothing was done.
enum Refusal {
    Gone,
    Taken,
    Fault(anyhow::Error),
}

impl From<EmailChangeError> for Refusal {
    fn from(error: EmailChangeError) -> Self {
        match error {
            EmailChangeError::EmailTaken => Self::Taken,
            EmailChangeError::Unexpected(cause) => Self::Fault(cause),
            EmailChangeError::InvalidToken
            | EmailChangeError::InvalidEmail(_)
            | EmailChangeError::Unchanged
            | EmailChangeError::NothingToSend(_)
            | EmailChangeError::Unproven(_)
            | EmailChangeError::Denied(_) => Self::Gone,
        }
    }
}

impl From<ErasureError> for Refusal {
    fn from(error: ErasureError) -> Self {
        match error {
            ErasureError::Unexpected(cause) => Self::Fault(cause),
            ErasureError::InvalidToken | ErasureError::LastAdministrator | ErasureError::Unproven(_) | ErasureError::Denied(_) => Self::Gone,
        }
    }
}

type TokenQuery = Result<Query<Token>, QueryRejection>;
type TokenForm = Result<Form<Token>, FormRejection>;

/// `GET /confirm-email`.
pub(super) async fn confirm_page(query: TokenQuery) -> Response {
    page(&CONFIRM, query)
}

/// `POST /confirm-email`.
pub(super) async fn confirm(State(edge): State<Edge>, ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap, form: TokenForm) -> Response {
    act(&CONFIRM, edge, peer, headers, form, async |application, requester, token| {
        application.rights.email_changes.confirm(ConfirmEmailChange { requester, token }).await.map_err(Refusal::from)
    })
    .await
}

/// `GET /revert-email`.
pub(super) async fn revert_page(query: TokenQuery) -> Response {
    page(&REVERT, query)
}

/// `POST /revert-email`.
pub(super) async fn revert(State(edge): State<Edge>, ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap, form: TokenForm) -> Response {
    act(&REVERT, edge, peer, headers, form, async |application, requester, token| {
        application.rights.email_changes.revert(RevertEmailChange { requester, token }).await.map_err(Refusal::from)
    })
    .await
}

/// `GET /cancel-erasure`.
pub(super) async fn cancel_page(query: TokenQuery) -> Response {
    page(&CANCEL, query)
}

/// `POST /cancel-erasure`.
pub(super) async fn cancel(State(edge): State<Edge>, ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap, form: TokenForm) -> Response {
    act(&CANCEL, edge, peer, headers, form, async |application, requester, token| {
        application.rights.erasures.cancel(CancelErasure { requester, token }).await.map_err(Refusal::from)
    })
    .await
}

/// Asks whether to. Opening it uses nothing up.
fn page(words: &Words, query: TokenQuery) -> Response {
    let token = query.map(|Query(Token { token })| token).unwrap_or_default();
    if token.is_empty() {
        return refused(&Refusal::Gone);
    }
    let Words { path, title, what, otherwise, button, .. } = *words;
    html(StatusCode::OK, &ActionTemplate { title, what, otherwise, path, token: &token, button }, Forms::Here)
}

/// Does it, in a task of its own, since a browser that hangs up cancels nothing.
async fn act<F>(
    words: &'static Words,
    edge: Edge,
    peer: SocketAddr,
    headers: HeaderMap,
    form: TokenForm,
    doing: impl FnOnce(Arc<Application>, Requester, SecretString) -> F,
) -> Response
where
    F: Future<Output = Result<(), Refusal>> + Send + 'static,
{
    let Ok(Form(Token { token })) = form else { return refused(&Refusal::Gone) };
    let requester = Requester { actor: Actor::Nobody, origin: origin(&headers, Some(peer)) };
    match tokio::spawn(super::trace::carry(doing(edge.application, requester, token.into()))).await {
        Ok(Ok(())) => html(StatusCode::OK, &ResultTemplate { succeeded: true, title: words.done, message: words.message, next: words.next }, Forms::None),
        Ok(Err(refusal)) => refused(&refusal),
        Err(_) => refused(&Refusal::Fault(anyhow::anyhow!("what a mail led to panicked"))),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let (status, title, message, next) = match refusal {
        Refusal::Gone => (
            StatusCode::GONE,
            "This link does not work any more",
            "It was used before, something newer took its place, or its time is over.",
            "If you can sign in with your address, all is well. Else ask whoever runs this server.",
        ),
        Refusal::Taken => (
            StatusCode::CONFLICT,
            "This address belongs to another account",
            "Nothing was changed: an e-mail address belongs to one account, and somebody has confirmed this one.",
            "If that account is yours too, change its address or erase it, and open this link again.",
        ),
        Refusal::Fault(cause) => {
            super::graphql::fault(cause);
            (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side", "Nothing was changed. The server's log says more.", "Try again later.")
        }
    };
    html(status, &ResultTemplate { succeeded: false, title, message, next }, Forms::None)
}
