//! Rate limits in the graph: a document is charged before it runs, and told what it cost.

use async_graphql::{Context, Object, Response, ServerError, SimpleObject, Value, Variables, indexmap::IndexMap, parser::types::ExecutableDocument};

use crate::{
    application::{
        access::Requester,
        rate_limit::{Admission, Demand, Limited},
    },
    domain::time::Timestamp,
    presentation::http::rate_limit::tell,
};

use super::{
    Answer, ContextExt, Graph,
    completion::operation_of,
    cost::{actual, demands},
    error::{self, Code, Fault},
    guard::Public,
    scalar::DateTime,
};

/// What a document was charged, and what is left.
#[derive(Debug, Clone, Copy)]
pub struct Price {
    /// How many points there are at most.
    pub limit: u32,
    /// How many were charged.
    pub cost: u32,
    /// How many are left.
    pub remaining: u32,
    /// When all of them are back.
    pub reset_at: Timestamp,
}

/// A document that was admitted.
pub(super) struct Admitted {
    admission: Admission,
    pub(super) price: Price,
}

impl Graph {
    /// Charges a document for what it wants, before any of it runs.
    pub(super) async fn admit(
        &self,
        document: &ExecutableDocument,
        name: Option<&str>,
        variables: &Variables,
        requester: &Requester,
    ) -> Result<Admitted, ServerError> {
        let rates = &self.application.rates;
        let demands = demands(document, operation_of(document, name), variables, &self.lists);
        let cost = demands.iter().map(|demand| if let Demand::Points(points) = demand { *points } else { 0 }).sum();
        let now = rates.clock.now();
        match rates.admit(requester, &demands).await {
            Ok(admission) => {
                let points = admission.points();
                let full_in = chrono::Duration::seconds(points.map_or(0, |points| points.full_in.into()));
                let (limit, remaining) = points.map_or((rates.points(), rates.points()), |points| (points.capacity, points.remaining));
                tell(&admission.standings, None);
                Ok(Admitted { admission, price: Price { limit, cost, remaining, reset_at: now.plus(full_in) } })
            }
            Err(limited) => Err(refused(&limited)),
        }
    }

    /// Refuses a document that cannot be read or is too large, for a point: looking at it cost something.
    pub(super) async fn refuse(&self, why: ServerError, requester: &Requester) -> Answer {
        let refusal = match self.application.rates.admit(requester, &[Demand::Points(1)]).await {
            Ok(admission) => {
                tell(&admission.standings, None);
                why
            }
            Err(limited) => refused(&limited),
        };
        Answer::Refused(vec![refusal])
    }

    /// Gives back what an answer did not cost, and writes into it what it did.
    pub(super) fn settle(&self, mut admitted: Admitted, document: &ExecutableDocument, name: Option<&str>, response: Response) -> Response {
        let requested = admitted.price.cost;
        let actual = operation_of(document, name).map_or(1, |operation| actual(document, operation, &response.data));
        self.application.rates.give_back_points(&mut admitted.admission, requested.saturating_sub(actual));
        tell(&admitted.admission.standings, None);
        let cost = [("requested", requested), ("actual", actual)].map(|(key, points)| (async_graphql::Name::new(key), Value::from(points)));
        response.extension("cost", Value::Object(IndexMap::from_iter(cost)))
    }

    /// Gives back what a document was charged that never ran.
    pub(super) fn settle_unused(&self, mut admitted: Admitted) {
        self.application.rates.give_back_unused(&mut admitted.admission);
        tell(&admitted.admission.standings, None);
    }
}

fn refused(limited: &Limited) -> ServerError {
    match limited {
        Limited::Exceeded(standing) => {
            tell(&[*standing], Some(standing.enough_in));
            let mut error = error::refusal(Code::RateLimited, &limited.to_string());
            let extensions = error.extensions.get_or_insert_default();
            extensions.set("retryAfter", standing.enough_in);
            extensions.set("limit", standing.limit.as_str().to_ascii_uppercase());
            error
        }
        Limited::TooLarge { .. } => error::refusal(Code::QueryTooComplex, &limited.to_string()),
        Limited::Unexpected(cause) => error::unexpected(cause),
    }
}

/// Points are what documents cost: a tenth for each object the answer can hold, and one for the document.
#[derive(SimpleObject)]
#[graphql(serial, guard = Public("it is about the request itself"))]
pub struct RateLimit {
    /// How many points there are at most. They are the user's, or the address' when nobody is signed in.
    limit: u32,
    /// How many this document was charged. What its answer did not need is given back afterwards; `extensions.cost` says how much it was.
    cost: u32,
    /// How many are left.
    remaining: u32,
    /// When all of them are back.
    reset_at: DateTime,
}

/// Queries about rate limits.
#[derive(Default)]
pub struct RateLimitQuery;

#[Object]
impl RateLimitQuery {
    /// What this document costs, and how many points are left.
    #[graphql(guard = Public("it is about the request itself"))]
    #[expect(clippy::unused_async, reason = "the library takes async resolvers only")]
    async fn rate_limit(&self, ctx: &Context<'_>) -> Result<RateLimit, Fault> {
        let Price { limit, cost, remaining, reset_at } = ctx.of_request()?.price;
        Ok(RateLimit { limit, cost, remaining, reset_at: DateTime(reset_at) })
    }
}
