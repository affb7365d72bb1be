//! Linking by what a user brings from a provider by hand: a key, or a setup token.
//!
//! Whatever can be refused without the provider is refused first. Then the provider is asked, before a connection to the database is taken,
//! and what it hands out is sealed and committed with its link before anything else is tried: a setup token is spent by then. A provider
//! that refuses leaves nothing but the attempt on the trail; a link that was to be linked once more stays as it is.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::{
    application::{
        access::Requester,
        ports::{Credentials, FinancialProvider, Pasted, ProviderFault},
    },
    domain::{
        audit::{Act, ResourceKind},
        id::LinkId,
        link::Link,
        name,
        provider::LinkMethod,
        time::Timestamp,
    },
};

use super::{LinkCommands, LinkError, activation::Target};

/// The longest key, secret or setup token, in bytes.
const LONGEST: usize = 4096;

/// How long a provider may take to say whether it takes a key; less than a request may take.
const KEY_PATIENCE: Duration = Duration::from_secs(25);

/// Linking by what a user brings.
pub struct LinkByHand {
    /// Who asks.
    pub requester: Requester,
    /// The provider's slug.
    pub provider: String,
    /// What they bring, as it was typed.
    pub pasted: Pasted,
    /// What to call the link; `None` leaves it as it is.
    pub alias: Option<String>,
    /// The link that is linked once more; `None` makes one.
    pub link: Option<LinkId>,
}

/// What a user may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
    /// A key.
    Key,
    /// What proves it.
    Secret,
    /// A setup token.
    SetupToken,
}

impl LinkCommands {
    /// Links a provider, or links a link once more, by a key or a setup token. The first sync follows by itself.
    pub async fn link_by_hand(&self, command: LinkByHand) -> Result<Link, LinkError> {
        let (act, method) = match &command.pasted {
            Pasted::ApiKey { .. } => (Act::LinkWithApiKey, LinkMethod::ApiKey),
            Pasted::SetupToken(_) => (Act::LinkWithSetupToken, LinkMethod::SetupToken),
        };
        let attempt = self.journal.attempt(&command.requester, act).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, act)?;
                let known = match command.link {
                    Some(id) => Some(self.links.find_many(owner, &[id]).await?.pop().ok_or(LinkError::NotFound)?),
                    None => None,
                };
                if let Some(link) = &known {
                    attempt.upon(ResourceKind::Link, link.id.0);
                }
                let adapter = self.adapter(&command.provider, method)?.as_ref();
                if known.as_ref().is_some_and(|link| link.provider != command.provider) {
                    return Err(LinkError::OtherProvider);
                }
                let alias = command.alias.map(|typed| name::read(&typed)).transpose()?;
                let pasted = read(&command.pasted)?;
                let credentials = connected(adapter, &pasted, self.clock.now()).await.map_err(|fault| refusal(&pasted, fault))?;
                let is_new = known.is_none();
                let link = known.unwrap_or_else(|| Link::begin(LinkId(self.randomness.id()), owner, &command.provider, self.clock.now()));
                let link = Link { alias: alias.or_else(|| link.alias.clone()), ..link };
                let target = if is_new { Target::New(&link) } else { Target::Again(&link) };
                self.activate(&attempt, adapter, target, &credentials).await
            })
            .await
    }
}

/// What was brought, without the space that comes along when something is copied.
fn read(pasted: &Pasted) -> Result<Pasted, LinkError> {
    let read = |text: &SecretString, what| {
        let text = text.expose_secret().trim_ascii();
        let is_text = (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_text { Ok(SecretString::from(text)) } else { Err(LinkError::Unreadable(what)) }
    };
    Ok(match pasted {
        Pasted::ApiKey { key, secret } => Pasted::ApiKey { key: read(key, Brought::Key)?, secret: read(secret, Brought::Secret)? },
        Pasted::SetupToken(token) => Pasted::SetupToken(read(token, Brought::SetupToken)?),
    })
}

/// A key can be tried again, so whoever waits is told in time that its provider does not answer. A setup token is spent by being tried: that is
/// waited for, also when nobody waits any more.
async fn connected(adapter: &dyn FinancialProvider, pasted: &Pasted, now: Timestamp) -> Result<Credentials, ProviderFault> {
    let connecting = adapter.connect(pasted, now);
    match pasted {
        Pasted::ApiKey { .. } => tokio::time::timeout(KEY_PATIENCE, connecting).await.unwrap_or(Err(ProviderFault::Unreachable)),
        Pasted::SetupToken(_) => connecting.await,
    }
}

fn refusal(pasted: &Pasted, fault: ProviderFault) -> LinkError {
    match (fault, pasted) {
        (ProviderFault::Refused, Pasted::ApiKey { .. }) => LinkError::KeyRefused,
        (ProviderFault::Refused, Pasted::SetupToken(_)) => LinkError::TokenRefused,
        (fault, _) => LinkError::Unanswered(fault),
    }
}
