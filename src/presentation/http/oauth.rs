//! The pages a browser passes on its way to a bank and back. They work without script, escape everything, and name no secret.

use std::net::SocketAddr;

use askama::Template;
use axum::{
    Form,
    extract::{
        ConnectInfo, Path, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use cookie::{Cookie, SameSite, time::Duration};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use crate::{
    application::link::{Answer, LinkError, Returned, WALK_MINUTES, walk_name},
    domain::link::{Link, LinkReason},
    presentation::graphql::global_id::GlobalId,
};

use super::{Edge, requester::origin};

#[derive(Template)]
#[template(path = "oauth/start.html")]
struct StartTemplate<'a> {
    provider: &'a str,
    account: &'a str,
    slug: &'a str,
    ticket: &'a str,
}

#[derive(Template)]
#[template(path = "oauth/result.html")]
pub(super) struct ResultTemplate<'a> {
    pub(super) succeeded: bool,
    pub(super) title: &'a str,
    pub(super) message: &'a str,
    pub(super) next: &'a str,
}

/// The ticket, in the query of the page and in the body of its form.
#[derive(Deserialize)]
pub(super) struct Ticket {
    #[serde(default)]
    ticket: String,
}

/// What a bank sends back, as pairs. Repeated and unknown parameters are ignored (RFC 6749, section 4.1.2).
pub(super) type CallbackQuery = Vec<(String, String)>;

/// `GET /oauth/pages.css`.
pub(super) async fn stylesheet() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=3600")], include_str!("../../../templates/oauth/pages.css"))
        .into_response()
}

/// `GET /oauth/{provider}/start`: asks whether to go on, and for whom.
pub(super) async fn start_page(State(edge): State<Edge>, Path(slug): Path<String>, query: Result<Query<Ticket>, QueryRejection>) -> Response {
    let Ok(Query(Ticket { ticket })) = query else { return failure(&LinkError::UnknownTicket) };
    let ticket = SecretString::from(ticket);
    match edge.application.links.start_page(&slug, &ticket).await {
        Ok(start) => html(
            StatusCode::OK,
            &StartTemplate { provider: &start.provider, account: &start.account, slug: &slug, ticket: ticket.expose_secret() },
            Forms::Bank,
        ),
        Err(refused) => failure(&refused),
    }
}

/// `POST /oauth/{provider}/start`: uses the ticket up, binds this browser by a cookie, goes on to the bank.
pub(super) async fn start(
    State(edge): State<Edge>,
    Path(slug): Path<String>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    form: Result<Form<Ticket>, FormRejection>,
) -> Response {
    let Ok(Form(Ticket { ticket })) = form else { return failure(&LinkError::UnknownTicket) };
    if is_cross_site(&headers, &edge) {
        return failure(&LinkError::UnknownTicket);
    }
    let origin = origin(&headers, Some(peer));
    // A browser that hangs up cancels nothing: the ticket works once only.
    let application = edge.application.clone();
    let work = super::trace::carry(async move { application.links.start(&slug, &ticket.into(), origin).await });
    match tokio::spawn(work).await {
        Ok(Ok(departure)) => {
            let cookie = cookie(&edge, &departure.walk, departure.cookie.expose_secret(), Duration::minutes(WALK_MINUTES));
            redirect(departure.bank_url.expose_secret(), Some(&cookie))
        }
        Ok(Err(refused)) => failure(&refused),
        Err(_) => failure(&LinkError::Unexpected(anyhow::anyhow!("leaving for a bank panicked"))),
    }
}

/// `GET /oauth/{provider}/callback`: the bank sends the browser back.
pub(super) async fn callback(
    State(edge): State<Edge>,
    Path(slug): Path<String>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Query(query): Query<CallbackQuery>,
) -> Response {
    // What is empty was left out (RFC 6749, section 3.1).
    let given = |name: &str| query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty());
    let (state, code) = (given("state"), given("code"));
    let walk = state.map(|state| walk_name(&state.into())).unwrap_or_default();
    let answer = Answer {
        state: state.map(SecretString::from),
        code: code.map(SecretString::from),
        error: given("error").map(str::to_owned),
        issuer: given("iss").map(str::to_owned),
        cookie: cookie_value(&headers, &cookie_name(&edge, &walk)),
    };
    let origin = origin(&headers, Some(peer));
    // A browser that hangs up cancels nothing: the code can be exchanged once only.
    let links = edge.application.clone();
    let work = super::trace::carry(async move { links.links.callback(&slug, answer, origin).await });
    let Ok(returned) = tokio::spawn(work).await else { return failure(&LinkError::Unexpected(anyhow::anyhow!("the callback panicked"))) };
    let gone = cookie(&edge, &walk, "", Duration::ZERO);
    match returned {
        Err(refused) | Ok(Returned { return_url: None, result: Err(refused), .. }) => failure(&refused),
        Ok(Returned { return_url: Some(return_url), result, .. }) => match frontend_url(&return_url, &result, state, code) {
            Some(url) => redirect(url.as_str(), Some(&gone)),
            None => failure(&LinkError::ReturnUrlNotAllowed),
        },
        Ok(Returned { return_url: None, result: Ok(_), provider }) => {
            let title = format!("{provider} is linked");
            let page = ResultTemplate {
                succeeded: true,
                title: &title,
                message: "Your accounts and transactions are on their way.",
                next: "You can close this window and go back to your app.",
            };
            with_cookie(html(StatusCode::OK, &page, Forms::None), &gone)
        }
    }
}

/// The frontend's page, told how it ended; told state and code only where it must complete the link itself.
fn frontend_url(return_url: &str, result: &Result<Link, LinkError>, state: Option<&str>, code: Option<&str>) -> Option<Url> {
    let mut url = Url::parse(return_url).ok()?;
    let mut query = url.query_pairs_mut();
    match result {
        Err(LinkError::Unexpected(cause)) => {
            super::graphql::fault(cause);
            query.append_pair("status", "failed").append_pair("reason", "internal");
        }
        Ok(link) => {
            query.append_pair("status", "active").append_pair("link", &GlobalId::from(link.id).to_string());
        }
        Err(LinkError::OtherBrowser) => {
            query.append_pair("status", "confirm");
            for (name, value) in [("state", state), ("code", code)] {
                query.extend_pairs(value.map(|value| (name, value)));
            }
        }
        Err(refused) => {
            query.append_pair("status", "failed").append_pair("reason", crate::domain::failure::Reason::reason(refused));
        }
    }
    drop(query);
    Some(url)
}

fn failure(refused: &LinkError) -> Response {
    let (status, title, message) = match refused {
        LinkError::UnknownTicket => (StatusCode::GONE, "This link has run out", "It was used before, or it is older than ten minutes."),
        LinkError::UnknownState
        | LinkError::UnknownProvider
        | LinkError::UnavailableProvider
        | LinkError::OtherMethod
        | LinkError::OtherProvider
        | LinkError::Unreadable(_)
        | LinkError::KeyRefused
        | LinkError::TokenRefused
        | LinkError::Unanswered(_)
        | LinkError::NotFound
        | LinkError::NotRelinkable
        | LinkError::LinkedByHand
        | LinkError::ProviderRests(_)
        | LinkError::InvalidName(_) => {
            (StatusCode::BAD_REQUEST, "This answer belongs to no request of ours", "Nothing was linked. The address may have been cut off on the way.")
        }
        LinkError::SpentState => (StatusCode::CONFLICT, "This answer was used before", "Nothing was changed by opening it again."),
        LinkError::Undecided => {
            (StatusCode::CONFLICT, "This answer was used before", "Nothing has come of it yet. If the link does not work in a minute, begin once more.")
        }
        LinkError::OtherBrowser | LinkError::Failed(LinkReason::WrongBrowser) => (
            StatusCode::FORBIDDEN,
            "This is not the browser you started in",
            "For your safety nothing was linked: the bank's answer counts only in the browser that left for the bank.",
        ),
        LinkError::Unlinked => (StatusCode::CONFLICT, "This link was taken away", "It was unlinked while the bank was asked. Nothing was linked."),
        LinkError::Failed(reason) => (StatusCode::OK, "Nothing was linked", reason.explanation()),
        LinkError::ReturnUrlNotAllowed | LinkError::Denied(_) => (StatusCode::FORBIDDEN, "Nothing was linked", "This server does not allow what was asked."),
        LinkError::Unexpected(cause) => {
            super::graphql::fault(cause);
            (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side", "Nothing was linked. The server's log says more.")
        }
    };
    let page = ResultTemplate { succeeded: false, title, message, next: "Go back to your app and start linking again." };
    html(status, &page, Forms::None)
}

/// Whether another site's page sent this form: it would take a person past the page that names the account. Browsers say where a POST
/// comes from; what is no browser says nothing, and has no person to mislead.
fn is_cross_site(headers: &HeaderMap, edge: &Edge) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let foreign_origin = text("origin").is_some_and(|origin| origin != edge.public_url);
    let foreign_site = text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    foreign_origin || foreign_site
}

/// One cookie a walk, so that two banks can be linked side by side. `__Host-` binds a cookie to this host and to https; browsers refuse
/// the prefix without Secure.
fn cookie_name(edge: &Edge, walk: &str) -> String {
    format!("{}dashtam-link-{walk}", if edge.secure_cookies() { "__Host-" } else { "" })
}

fn cookie<'a>(edge: &Edge, walk: &str, value: &'a str, max_age: Duration) -> Cookie<'a> {
    Cookie::build((cookie_name(edge, walk), value)).path("/").http_only(true).same_site(SameSite::Lax).secure(edge.secure_cookies()).max_age(max_age).build()
}

fn cookie_value(headers: &HeaderMap, name: &str) -> Option<SecretString> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(Cookie::split_parse);
    cookies.flatten().find(|cookie| cookie.name() == name).map(|cookie| SecretString::from(cookie.value()))
}

fn redirect(location: &str, cookie: Option<&Cookie<'_>>) -> Response {
    let Ok(location) = HeaderValue::from_str(location) else { return failure(&LinkError::UnknownState) };
    let response = (StatusCode::SEE_OTHER, [(header::LOCATION, location), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]).into_response();
    match cookie {
        Some(cookie) => with_cookie(response, cookie),
        None => response,
    }
}

fn with_cookie(mut response: Response, cookie: &Cookie<'_>) -> Response {
    if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// Where the forms of a page lead.
#[derive(Clone, Copy)]
pub(super) enum Forms {
    /// It has none.
    None,
    /// To us.
    Here,
    /// To us and on to a bank. Chromium holds redirects after a form to `form-action`, and banks are many and their hosts are theirs.
    Bank,
}

/// A page of ours; every source but its own style stays shut.
pub(super) fn html(status: StatusCode, page: &impl Template, forms: Forms) -> Response {
    let policy = match forms {
        Forms::None => "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        Forms::Here => "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        Forms::Bank => "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self' http: https:; frame-ancestors 'none'",
    };
    // With no-referrer a browser says `Origin: null` even to us, and our own form could not be told from a foreign one.
    let referrer = match forms {
        Forms::None => "no-referrer",
        Forms::Here | Forms::Bank => "strict-origin",
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, referrer),
    ];
    match page.render() {
        Ok(body) => (status, headers, body).into_response(),
        Err(broken) => {
            tracing::error!(error = %broken, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
