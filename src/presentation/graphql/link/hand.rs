//! Linking by a key or a setup token, in the graph.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::{
    application::{access::Resource, link::LinkByHand, ports::Pasted},
    domain::audit::Act,
    presentation::graphql::{
        ContextExt,
        error::{Fault, UserError, outcome},
        global_id::id_or_nothing,
        guard::Allow,
    },
};

use super::LinkNode;

/// Linking a provider by a key that was made there.
#[derive(InputObject)]
pub struct LinkWithApiKeyInput {
    /// The provider's slug; one whose `linkMethod` is `API_KEY`.
    provider: String,
    /// The key, as the provider shows it.
    key: String,
    /// The secret that belongs to it. It is kept encrypted and never shown again.
    secret: String,
    /// What to call the link, 1 to 100 characters.
    alias: Option<String>,
    /// One of one's own links to this provider, to link it once more with this key: its accounts keep their ids. Left out, a new link is made.
    link_id: Option<ID>,
}

/// Linking a provider by a setup token.
#[derive(InputObject)]
pub struct LinkWithSetupTokenInput {
    /// The provider's slug; one whose `linkMethod` is `SETUP_TOKEN`.
    provider: String,
    /// The token, as the provider shows it. It works once; what it is exchanged for is kept encrypted and never shown.
    setup_token: String,
    /// What to call the link, 1 to 100 characters.
    alias: Option<String>,
    /// One of one's own links to this provider, to link it once more with this token: its accounts keep their ids. Left out, a new link is
    /// made.
    link_id: Option<ID>,
}

/// The link, or why there is none.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Links))]
pub struct LinkWithApiKeyPayload {
    /// The link, active; null when the provider was not linked.
    link: Option<LinkNode>,
    /// Why the provider was not linked; empty when it was.
    user_errors: Vec<UserError>,
}

/// The link, or why there is none.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Links))]
pub struct LinkWithSetupTokenPayload {
    /// The link, active; null when the provider was not linked.
    link: Option<LinkNode>,
    /// Why the provider was not linked; empty when it was.
    user_errors: Vec<UserError>,
}

/// Links providers that browsers are not sent to.
#[derive(Default)]
pub struct LinkByHandMutation;

#[Object(serial)]
impl LinkByHandMutation {
    /// Links a provider by a key that was made there, or links a link once more. The provider is asked whether it takes the key; nothing is kept
    /// of one that it refuses. The first sync follows by itself.
    #[graphql(guard = Allow::attempt(Act::LinkWithApiKey))]
    async fn link_with_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to link, and the key.")] input: LinkWithApiKeyInput,
    ) -> Result<LinkWithApiKeyPayload, Fault> {
        let pasted = Pasted::ApiKey { key: input.key.into(), secret: input.secret.into() };
        let (link, user_errors) = by_hand(ctx, input.provider, pasted, input.alias, input.link_id).await?;
        Ok(LinkWithApiKeyPayload { link, user_errors })
    }

    /// Links a provider by a setup token, or links a link once more. A token works once: when the answer is lost, look at the links before another
    /// one is fetched. The first sync follows by itself.
    #[graphql(guard = Allow::attempt(Act::LinkWithSetupToken))]
    async fn link_with_setup_token(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to link, and the token.")] input: LinkWithSetupTokenInput,
    ) -> Result<LinkWithSetupTokenPayload, Fault> {
        let pasted = Pasted::SetupToken(input.setup_token.into());
        let (link, user_errors) = by_hand(ctx, input.provider, pasted, input.alias, input.link_id).await?;
        Ok(LinkWithSetupTokenPayload { link, user_errors })
    }
}

async fn by_hand(
    ctx: &Context<'_>,
    provider: String,
    pasted: Pasted,
    alias: Option<String>,
    link: Option<ID>,
) -> Result<(Option<LinkNode>, Vec<UserError>), Fault> {
    let request = ctx.of_request()?;
    let link = link.map(|id| id_or_nothing(&id));
    let command = LinkByHand { requester: request.requester.clone(), provider, pasted, alias, link };
    let (link, user_errors) = outcome(request.application.links.link_by_hand(command).await)?;
    Ok((link.map(|link| LinkNode(Arc::new(link))), user_errors))
}
