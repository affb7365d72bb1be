//! Coming back from the bank: every way it can end.
//!
//! The order matters. A state is looked up, then spent and committed before the bank is asked for tokens, so that of two answers with
//! one state only one reaches the bank. Whatever goes wrong after that leaves the link failed with its reason, no credential, account
//! or transaction, and the attempt on the trail. A link that works when it goes wrong, since its consent was to be renewed, goes on.

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::{
    application::{
        access::{Actor, Origin, Requester},
        audit::Attempt,
        ports::{Credentials, ProviderFault, Work},
    },
    domain::{
        audit::{Act, ResourceKind},
        link::{Authorization, Link, LinkReason, LinkStatus},
    },
};

use super::{LinkCommands, LinkError, activation::Target, digest, door};

/// What a bank's redirect carries (RFC 6749 section 4.1.2, RFC 9207).
#[derive(Default)]
pub struct Answer {
    /// `state`.
    pub state: Option<SecretString>,
    /// `code`.
    pub code: Option<SecretString>,
    /// `error`.
    pub error: Option<String>,
    /// `iss`.
    pub issuer: Option<String>,
    /// The cookie our start page set.
    pub cookie: Option<SecretString>,
}

/// Where the browser goes after a callback.
pub struct Returned {
    /// The provider's name for people.
    pub provider: String,
    /// The frontend's page, when `beginLink` named one.
    pub return_url: Option<String>,
    /// The link, or why there is none.
    pub result: Result<Link, LinkError>,
}

/// Completing a link without our callback page.
pub struct CompleteLink {
    /// Who asks; only the user who began may.
    pub requester: Requester,
    /// As the bank sent it.
    pub state: SecretString,
    /// As the bank sent it.
    pub code: SecretString,
}

/// By what the one who brings an answer is known to be the one who began.
enum Proof<'a> {
    Cookie(Option<&'a SecretString>),
    User,
}

impl LinkCommands {
    /// The bank sent a browser back.
    pub async fn callback(&self, provider: &str, answer: Answer, origin: Origin) -> Result<Returned, LinkError> {
        let name = self.catalogue.entry(provider).map_or_else(|| provider.to_owned(), |entry| entry.manifest.name.to_owned());
        let authorization = match &answer.state {
            Some(state) => self.links.find_any_by_state(&digest(state)).await?,
            None => None,
        };
        let actor = authorization.as_ref().map_or(Actor::Nobody, |walk| Actor::Browser { of: walk.user });
        let attempt = self.journal.attempt(&Requester { actor, origin }, Act::CompleteLink).await?;
        let return_url = authorization.as_ref().and_then(|walk| walk.return_url.clone());
        let result = attempt
            .settle(async {
                let authorization = authorization.ok_or(LinkError::UnknownState)?;
                attempt.upon(ResourceKind::Link, authorization.link.0);
                self.permit_owner(&authorization, Act::CompleteLink).await?;
                if authorization.provider != provider {
                    return Err(self.turn_away(&attempt, &authorization, LinkReason::WrongIssuer).await?);
                }
                self.conclude(&attempt, &authorization, &answer, Proof::Cookie(answer.cookie.as_ref())).await
            })
            .await;
        Ok(Returned { provider: name, return_url, result })
    }

    /// A frontend caught the redirect itself. An answer that belongs to another user is spent, so that it cannot be tried on.
    pub async fn complete(&self, command: CompleteLink) -> Result<Link, LinkError> {
        let attempt = self.journal.attempt(&command.requester, Act::CompleteLink).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::CompleteLink)?;
                let answer = Answer { state: Some(command.state), code: Some(command.code), ..Answer::default() };
                let hash = answer.state.as_ref().map(digest).unwrap_or_default();
                let authorization = self.links.find_any_by_state(&hash).await?.ok_or(LinkError::UnknownState)?;
                if authorization.user != owner {
                    return match self.turn_away(&attempt, &authorization, LinkReason::WrongUser).await {
                        Ok(_) | Err(LinkError::SpentState) => Err(LinkError::UnknownState),
                        Err(failure) => Err(failure),
                    };
                }
                // Only now: whoever brings what is another's does not learn from their own trail whose it is.
                attempt.upon(ResourceKind::Link, authorization.link.0);
                self.conclude(&attempt, &authorization, &answer, Proof::User).await
            })
            .await
    }

    /// Whoever began may have become somebody who may not. The walk stays as it is, and runs out.
    pub(super) async fn permit_owner(&self, authorization: &Authorization, act: Act) -> Result<(), LinkError> {
        let owner = self.users.find(authorization.user).await?.filter(|user| user.is_active).ok_or(LinkError::UnknownState)?;
        Ok(self.access.permit_role(owner.role, act)?)
    }

    async fn conclude(&self, attempt: &Attempt, authorization: &Authorization, answer: &Answer, proof: Proof<'_>) -> Result<Link, LinkError> {
        let provider = self.catalogue.linkable(&authorization.provider).ok_or(LinkError::UnknownProvider)?;
        let door = door(provider.as_ref())?;
        if authorization.spent_at.is_some() {
            let link = self.links.find_many(authorization.user, &[authorization.link]).await?.pop();
            let is_undecided = link.is_some_and(|link| link.status == LinkStatus::Pending);
            return Err(if is_undecided { LinkError::Undecided } else { LinkError::SpentState });
        }
        if let Some(reason) = self.refusal(authorization, answer, door.issuer().as_deref()) {
            return Err(self.turn_away(attempt, authorization, reason).await?);
        }
        if let Proof::Cookie(cookie) = proof
            && !is_bound(authorization, cookie)
        {
            if authorization.return_url.is_some() {
                return Err(LinkError::OtherBrowser);
            }
            return Err(self.turn_away(attempt, authorization, LinkReason::WrongBrowser).await?);
        }
        let Some(code) = answer.code.as_ref().filter(|code| !code.expose_secret().trim().is_empty()) else {
            return Err(self.turn_away(attempt, authorization, LinkReason::MissingCode).await?);
        };
        let mut work = self.store.begin(attempt).await?;
        if !work.links().spend_authorization(authorization.id, self.clock.now()).await? {
            return Err(LinkError::SpentState);
        }
        work.checkpoint().await?;
        match door.exchange(code.expose_secret(), &self.walk(authorization)?, self.clock.now()).await {
            Ok(tokens) => self.activate(attempt, provider.as_ref(), Target::Walk(authorization), &Credentials::Oauth(tokens)).await,
            Err(fault) => {
                let mut work = self.store.begin(attempt).await?;
                work.accounts().take_turn(authorization.user).await?;
                Err(fail(work, authorization, fault_reason(fault)).await?)
            }
        }
    }

    /// What of the answer alone says that there will be no link.
    fn refusal(&self, authorization: &Authorization, answer: &Answer, issuer: Option<&str>) -> Option<LinkReason> {
        let foreign_issuer = answer.issuer.as_deref().is_some_and(|given| issuer.is_some_and(|own| own != given));
        if self.clock.now() >= authorization.expires_at {
            Some(LinkReason::TimedOut)
        } else if foreign_issuer {
            Some(LinkReason::WrongIssuer)
        } else {
            answer.error.as_deref().map(|error| if error == "access_denied" { LinkReason::AccessDenied } else { LinkReason::ProviderError })
        }
    }

    /// Spends the state and fails the link, in one commit with FAILED. Answers the error to report. A state that somebody else has spent
    /// meanwhile is theirs, and so is the link.
    async fn turn_away(&self, attempt: &Attempt, authorization: &Authorization, reason: LinkReason) -> Result<LinkError, LinkError> {
        let mut work = self.store.begin(attempt).await?;
        work.accounts().take_turn(authorization.user).await?;
        if !work.links().spend_authorization(authorization.id, self.clock.now()).await? {
            return Err(LinkError::SpentState);
        }
        fail(work, authorization, reason).await
    }
}

/// Fails the link of a state that this attempt has spent, in one commit with FAILED, while another walk of the same link waits its turn.
/// Answers the error to report.
async fn fail(mut work: Box<dyn Work>, authorization: &Authorization, reason: LinkReason) -> Result<LinkError, LinkError> {
    if let Some(mut link) = work.links().find(authorization.user, authorization.link).await?
        && link.fail(reason).is_ok()
    {
        work.links().save(&link).await?;
    }
    work.refuse(&LinkError::Failed(reason)).await?;
    Ok(LinkError::Failed(reason))
}

fn is_bound(authorization: &Authorization, cookie: Option<&SecretString>) -> bool {
    match (&authorization.cookie_hash, cookie) {
        (Some(expected), Some(cookie)) => bool::from(digest(cookie).ct_eq(expected)),
        _ => false,
    }
}

pub(super) fn fault_reason(fault: ProviderFault) -> LinkReason {
    match fault {
        ProviderFault::Unreachable | ProviderFault::Unavailable { .. } => LinkReason::ProviderUnreachable,
        ProviderFault::ServerError | ProviderFault::Unpaid => LinkReason::ProviderError,
        ProviderFault::RateLimited { .. } => LinkReason::RateLimited,
        ProviderFault::Refused => LinkReason::ExchangeRefused,
        ProviderFault::AppRefused => LinkReason::AppRejected,
        ProviderFault::Malformed => LinkReason::MalformedAnswer,
        ProviderFault::Incomplete => LinkReason::IncompleteAnswer,
    }
}
