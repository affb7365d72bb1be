//! Rate limits: which buckets a request is charged to, before anything of it happens and before anything is written.
//!
//! What is charged together is charged all or nothing. Whose bucket it is comes from what was verified: the session's user, the session of a
//! refresh token that is known, the address of the peer. A header or a token that was not verified names nobody.

use std::{net::IpAddr, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::{
    id::LinkId,
    link::LinkReader,
    rate_limit::{Allowances, Charge, Limit, Standing, Subject, UNITS},
    session::SessionReader,
    time::Clock,
};

use super::{
    access::{Actor, Requester},
    ports::{Meter, RateLimiter},
    session::selector_of,
};

/// What a request wants.
#[derive(Debug, Clone)]
pub enum Demand {
    /// To sign in.
    SignIn,
    /// To register.
    Register,
    /// To have a mail sent that confirms or resets.
    Mail,
    /// To renew tokens, by this refresh token.
    Refresh(Option<SecretString>),
    /// To link.
    Link,
    /// To have a link synced.
    Sync(Option<LinkId>),
    /// To change something else.
    Write,
    /// To subscribe.
    Subscribe,
    /// To have a document answered that costs so many points.
    Points(u32),
}

/// What was admitted.
#[derive(Debug, Clone, Default)]
pub struct Admission {
    charges: Vec<Charge>,
    /// How the buckets stand; empty when limits are off.
    pub standings: Vec<Standing>,
}

impl Admission {
    /// How the bucket of points stands.
    pub fn points(&self) -> Option<Standing> {
        self.standings.iter().copied().find(|standing| standing.limit == Limit::Query)
    }
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum Limited {
    /// Too much lately.
    #[error("too many requests; try again in {} seconds", .0.enough_in)]
    Exceeded(Standing),
    /// More than there will ever be.
    #[error("the document costs {cost} points, and there are never more than {capacity}; ask for smaller pages or fewer levels of them")]
    TooLarge {
        /// What it costs.
        cost: u32,
        /// What there is at most.
        capacity: u32,
    },
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

/// Charges requests.
pub struct RateLimits {
    /// Keeps the buckets.
    pub limiter: Arc<dyn RateLimiter>,
    /// How large they are.
    pub allowances: Allowances,
    /// Whether anything is limited.
    pub enabled: bool,
    /// Tells the session of a refresh token.
    pub sessions: Arc<dyn SessionReader>,
    /// Tells the provider of a link.
    pub links: Arc<dyn LinkReader>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Counts refusals.
    pub meter: Arc<dyn Meter>,
}

impl RateLimits {
    /// How many points there are at most.
    pub fn points(&self) -> u32 {
        self.allowances.of(Limit::Query).capacity
    }

    /// Charges everything that is wanted, or refuses and charges nothing.
    pub async fn admit(&self, requester: &Requester, demands: &[Demand]) -> Result<Admission, Limited> {
        if !self.enabled || demands.is_empty() {
            return Ok(Admission::default());
        }
        let mut charges: Vec<Charge> = Vec::new();
        for demand in demands {
            for (limit, subject, cost) in self.due(requester, demand).await? {
                match charges.iter_mut().find(|charge| charge.limit == limit && charge.subject == subject) {
                    Some(charge) => charge.cost = charge.cost.saturating_add(cost),
                    None => charges.push(Charge { limit, subject, allowance: self.allowances.of(limit), cost }),
                }
            }
        }
        let of_points = charges.iter().find(|charge| charge.limit == Limit::Query && charge.cost > charge.allowance.capacity);
        if let Some(charge) = of_points {
            return Err(Limited::TooLarge { cost: charge.cost, capacity: charge.allowance.capacity });
        }
        let verdict = self.limiter.charge(&charges).await;
        match verdict.refusal() {
            Some(standing) => {
                tracing::debug!(limit = standing.limit.as_str(), "a request was refused: too many lately");
                self.meter.limited(standing.limit.as_str());
                Err(Limited::Exceeded(standing))
            }
            None => Ok(Admission { charges, standings: verdict.standings }),
        }
    }

    /// Gives back points that an admitted document did not need, behind the back of its answer.
    pub fn give_back_points(&self, admission: &mut Admission, points: u32) {
        self.give_back(admission, |charge| if charge.limit == Limit::Query { points } else { 0 });
    }

    /// Gives back what an admitted document was charged that never ran, but for one point: looking at it cost something.
    pub fn give_back_unused(&self, admission: &mut Admission) {
        self.give_back(admission, |charge| if charge.limit == Limit::Query { charge.cost.saturating_sub(1) } else { charge.cost });
    }

    fn give_back(&self, admission: &mut Admission, of: impl Fn(&Charge) -> u32) {
        let mut returned = Vec::new();
        for (charge, standing) in admission.charges.iter().zip(&mut admission.standings) {
            let cost = of(charge).min(charge.cost);
            if cost > 0 {
                *standing = charge.standing(i64::from(standing.remaining.saturating_add(cost).min(standing.capacity)) * UNITS);
                returned.push(Charge { cost, ..charge.clone() });
            }
        }
        if !returned.is_empty() {
            let limiter = self.limiter.clone();
            tokio::spawn(async move { limiter.give_back(&returned).await });
        }
    }

    async fn due(&self, requester: &Requester, demand: &Demand) -> anyhow::Result<Vec<(Limit, Subject, u32)>> {
        let network = || requester.origin.ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok()).map_or(Subject::Everyone, Subject::network);
        let user = match requester.actor {
            Actor::User { id, .. } => Some(id),
            // What a browser holds, and who works on this machine, is no proof of a session.
            Actor::Nobody | Actor::Browser { .. } | Actor::CommandLine { .. } | Actor::Worker { .. } | Actor::Job => None,
        };
        let somebody = || user.map_or_else(network, Subject::User);
        let write = || (Limit::Write, somebody(), 1);
        Ok(match demand {
            Demand::SignIn => vec![(Limit::SignIn, network(), 1)],
            Demand::Register => vec![(Limit::Register, network(), 1)],
            Demand::Mail => vec![(Limit::Mail, network(), 1)],
            Demand::Refresh(token) => {
                let known = match token.as_ref().and_then(|token| selector_of(token.expose_secret())) {
                    Some(selector) => self.sessions.find_any_token(selector).await?,
                    None => None,
                };
                vec![(Limit::Refresh, known.map_or_else(network, |token| Subject::Session(token.session)), 1)]
            }
            Demand::Link => vec![(Limit::Link, somebody(), 1), write()],
            Demand::Sync(link) => {
                let found = match (user, link) {
                    (Some(user), Some(link)) => self.links.find_many(user, &[*link]).await?.pop().map(|link| (user, link.provider)),
                    _ => None,
                };
                let at = found.map(|(user, provider)| (Limit::Sync, Subject::UserAt(user, provider), 1));
                at.into_iter().chain([write()]).collect()
            }
            Demand::Write => vec![write()],
            Demand::Subscribe => vec![(Limit::Subscription, somebody(), 1)],
            Demand::Points(points) => vec![(Limit::Query, somebody(), *points)],
        })
    }
}
