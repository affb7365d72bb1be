//! Rate limits at the edge: routes that are charged as a whole, and what every answer of a limited route says in its headers.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    extract::{FromRequestParts as _, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::{
    application::rate_limit::{Demand, Limited},
    domain::rate_limit::Standing,
};

use super::{Edge, graphql::fault, problem::Problem, requester::Caller};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What a request learned of its limits on the way.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    standing: Option<Standing>,
    /// Seconds to wait, when nothing of the request ran.
    retry_after: Option<u32>,
}

tokio::task_local! {
    static TOLD: Arc<Mutex<Told>>;
}

/// Notes how the buckets of the current request stand, and whether it was refused: its answer will say so. Nothing outside of one.
pub fn tell(standings: &[Standing], retry_after: Option<u32>) {
    let told = Told { standing: Standing::tightest(standings), retry_after };
    // Outside of a limited route there is nobody to tell.
    let _nobody = TOLD.try_with(|place| *place.lock().unwrap_or_else(PoisonError::into_inner) = told);
}

/// Says what was told on the way to an answer, and answers 429 when nothing ran.
pub(super) async fn told(request: Request, next: Next) -> Response {
    let place = Arc::new(Mutex::new(Told::default()));
    let mut response = TOLD.scope(place.clone(), next.run(request)).await;
    let Told { standing, retry_after } = *place.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(standing) = standing {
        write(&mut response, &standing);
    }
    if let Some(seconds) = retry_after {
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Charges a request as one write, before anything of it happens.
pub(super) async fn write_once(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let (mut parts, body) = request.into_parts();
    let caller = match Caller::from_request_parts(&mut parts, &edge).await {
        Ok(caller) => caller,
        Err(problem) => return problem.at(&path).into_response(),
    };
    match edge.application.rates.admit(&caller.requester, &[Demand::Write]).await {
        Ok(admission) => {
            let mut response = next.run(Request::from_parts(parts, body)).await;
            if let Some(standing) = Standing::tightest(&admission.standings) {
                write(&mut response, &standing);
            }
            response
        }
        Err(Limited::Exceeded(standing)) => {
            let detail = format!("Too many requests lately. Try again in {} seconds.", standing.enough_in);
            let mut response = Problem::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", "Too many requests", &detail).at(&path).into_response();
            write(&mut response, &standing);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(standing.enough_in));
            response
        }
        // A route is charged one token, and every bucket holds that.
        Err(limited @ Limited::TooLarge { .. }) => fault(&anyhow::anyhow!("{limited}")).at(&path).into_response(),
        Err(Limited::Unexpected(cause)) => fault(&cause).at(&path).into_response(),
    }
}

fn write(response: &mut Response, standing: &Standing) {
    for (name, number) in [(LIMIT, standing.capacity), (REMAINING, standing.remaining), (RESET, standing.full_in)] {
        response.headers_mut().insert(name, HeaderValue::from(number));
    }
}
