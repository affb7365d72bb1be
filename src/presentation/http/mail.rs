//! The pages mails lead to, and the mails themselves where none are sent.

use std::net::SocketAddr;

use askama::Template;
use axum::{
    Form,
    extract::{
        ConnectInfo, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use crate::application::{
    access::{Actor, Requester},
    password::{PasswordError, ResetPassword},
    ports::KeptMail,
    registration::{RegistrationError, VerifyEmail},
};

use super::{
    Edge,
    oauth::{Forms, ResultTemplate, html},
    problem::Problem,
    requester::origin,
};

#[derive(Template)]
#[template(path = "verification/confirm.html")]
struct ConfirmTemplate<'a> {
    token: &'a str,
}

#[derive(Template)]
#[template(path = "verification/reset.html")]
struct ResetTemplate<'a> {
    token: &'a str,
    problem: &'a str,
}

#[derive(Template)]
#[template(path = "verification/mails.html")]
struct MailsTemplate<'a> {
    mails: &'a [KeptMail],
    public_url: &'a str,
}

/// The token, in the query of the page and in the body of its form.
#[derive(Deserialize)]
pub(super) struct Token {
    #[serde(default)]
    token: String,
}

/// `GET /verify-email`: asks whether to confirm. Opening it uses nothing up, since programs that look into mail open links too.
pub(super) async fn confirm_page(query: Result<Query<Token>, QueryRejection>) -> Response {
    let token = query.map(|Query(Token { token })| token).unwrap_or_default();
    if token.is_empty() {
        return told(&RegistrationError::InvalidToken);
    }
    html(StatusCode::OK, &ConfirmTemplate { token: &token }, Forms::Here)
}

/// `POST /verify-email`: confirms the address.
pub(super) async fn confirm(
    State(edge): State<Edge>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    form: Result<Form<Token>, FormRejection>,
) -> Response {
    let Ok(Form(Token { token })) = form else { return told(&RegistrationError::InvalidToken) };
    let command = VerifyEmail { requester: Requester { actor: Actor::Nobody, origin: origin(&headers, Some(peer)) }, token: token.into() };
    let application = edge.application.clone();
    let work = super::trace::carry(async move { application.registration.verify(command).await });
    match tokio::spawn(work).await {
        Ok(Ok(())) => {
            let page = ResultTemplate {
                succeeded: true,
                title: "Your address is confirmed",
                message: "You can sign in now, with the password you chose when you registered.",
                next: "You can close this window and go back to your app.",
            };
            html(StatusCode::OK, &page, Forms::None)
        }
        Ok(Err(refused)) => told(&refused),
        Err(_) => told(&RegistrationError::Unexpected(anyhow::anyhow!("confirming an address panicked"))),
    }
}

fn told(refused: &RegistrationError) -> Response {
    let (status, title, message, next) = match refused {
        RegistrationError::Unexpected(cause) => {
            super::graphql::fault(cause);
            (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side", "Nothing was changed. The server's log says more.", "Try again later.")
        }
        RegistrationError::InvalidToken
        | RegistrationError::InvalidEmail(_)
        | RegistrationError::WeakPassword(_)
        | RegistrationError::Disagreed(_)
        | RegistrationError::Closed
        | RegistrationError::NothingToSend(_) => (
            StatusCode::GONE,
            "This link does not work any more",
            "It was used before, a newer mail took its place, or it is older than a day.",
            "If you can sign in, all is well. Else ask for a new mail in your app.",
        ),
    };
    html(status, &ResultTemplate { succeeded: false, title, message, next }, Forms::None)
}

/// The token and the new password, in the body of the form.
#[derive(Deserialize)]
pub(super) struct NewPassword {
    #[serde(default)]
    token: String,
    #[serde(default)]
    password: String,
}

/// `GET /reset-password`: asks for a new password. Opening it uses nothing up.
pub(super) async fn reset_page(query: Result<Query<Token>, QueryRejection>) -> Response {
    let token = query.map(|Query(Token { token })| token).unwrap_or_default();
    if token.is_empty() {
        return not_reset(&PasswordError::InvalidToken, "");
    }
    html(StatusCode::OK, &ResetTemplate { token: &token, problem: "" }, Forms::Here)
}

/// `POST /reset-password`: takes the new password.
pub(super) async fn reset(
    State(edge): State<Edge>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    form: Result<Form<NewPassword>, FormRejection>,
) -> Response {
    let Ok(Form(NewPassword { token, password })) = form else { return not_reset(&PasswordError::InvalidToken, "") };
    let requester = Requester { actor: Actor::Nobody, origin: origin(&headers, Some(peer)) };
    let command = ResetPassword { requester, token: token.clone().into(), new: password.into() };
    let application = edge.application.clone();
    let work = super::trace::carry(async move { application.passwords.reset(command).await });
    match tokio::spawn(work).await {
        Ok(Ok(())) => {
            let page = ResultTemplate {
                succeeded: true,
                title: "Your password is changed",
                message: "Every session of yours has ended.",
                next: "Sign in with the new password. You can close this window.",
            };
            html(StatusCode::OK, &page, Forms::None)
        }
        Ok(Err(refused)) => not_reset(&refused, &token),
        Err(_) => not_reset(&PasswordError::Unexpected(anyhow::anyhow!("resetting a password panicked")), ""),
    }
}

fn not_reset(refused: &PasswordError, token: &str) -> Response {
    match refused {
        PasswordError::WeakPassword(weak) => {
            return html(StatusCode::UNPROCESSABLE_ENTITY, &ResetTemplate { token, problem: &weak.to_string() }, Forms::Here);
        }
        PasswordError::Unexpected(cause) => return told(&RegistrationError::Unexpected(anyhow::anyhow!("{cause:#}"))),
        PasswordError::InvalidToken
        | PasswordError::WrongPassword
        | PasswordError::Unproven(_)
        | PasswordError::InvalidEmail(_)
        | PasswordError::NothingToSend(_)
        | PasswordError::Denied(_) => {}
    }
    let page = ResultTemplate {
        succeeded: false,
        title: "This link does not work any more",
        message: "It was used before, a newer mail took its place, or it is older than fifteen minutes.",
        next: "Ask for a new mail in your app.",
    };
    html(StatusCode::GONE, &page, Forms::None)
}

/// `GET /dev/mail`: the mails that would have been sent, latest first; as JSON for whoever asks for it.
pub(super) async fn kept_mails(State(edge): State<Edge>, headers: HeaderMap) -> Response {
    let Some(mailbox) = edge.mailbox.clone().filter(|_| is_loopback(&headers)) else {
        return Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "There is nothing here", "This page answers on this machine only.").into_response();
    };
    let mails = tokio::task::spawn_blocking(move || mailbox.latest()).await.map_err(anyhow::Error::new).and_then(|read| read);
    let mails = match mails {
        Ok(mails) => mails,
        Err(cause) => return super::graphql::fault(&cause).into_response(),
    };
    if headers.get(header::ACCEPT).is_some_and(|accepted| accepted.as_bytes().starts_with(b"application/json")) {
        let told: Vec<_> =
            mails.iter().map(|mail| json!({ "to": mail.to, "subject": mail.subject, "sentAt": mail.sent_at, "text": mail.text, "html": mail.html })).collect();
        return ([(header::CACHE_CONTROL, "no-store")], axum::Json(told)).into_response();
    }
    html(StatusCode::OK, &MailsTemplate { mails: &mails, public_url: &edge.public_url }, Forms::None)
}

/// Whether the browser believes to talk to this machine: a name that another site has pointed here does not count.
fn is_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}
