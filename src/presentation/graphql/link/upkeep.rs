//! What becomes of a link, in the graph: its name, going to the bank once more, taking it away.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::{
    application::{
        access::Resource,
        link::{Relink, RenameLink, Unlink},
    },
    domain::audit::Act,
    presentation::graphql::{
        ContextExt,
        error::{Fault, UserError, outcome},
        global_id::id_or_nothing,
        guard::Allow,
        scalar::{DateTime, WebUrl},
    },
};

use super::{LinkNode, web_url};

/// Giving a link a name.
#[derive(InputObject)]
pub struct RenameLinkInput {
    /// One of one's own links.
    link_id: ID,
    /// What to call it, 1 to 100 characters; null, or left out, takes the name away.
    alias: Option<String>,
}

/// Linking a link once more.
#[derive(InputObject)]
pub struct RelinkInput {
    /// One of one's own links.
    link_id: ID,
    /// Where the browser goes afterwards, as for `beginLink`.
    return_url: Option<String>,
}

/// Taking a link away.
#[derive(InputObject)]
pub struct UnlinkInput {
    /// One of one's own links.
    link_id: ID,
    /// Whether what came through it stays: accounts, closed from now on, with their transactions and balances. With false all of it is removed
    /// and cannot be brought back.
    keep_data: bool,
}

/// The link with its name, or why it has not got it.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Links))]
pub struct RenameLinkPayload {
    /// The link; null when it was not renamed.
    link: Option<LinkNode>,
    /// Why it was not renamed; empty when it was.
    user_errors: Vec<UserError>,
}

/// The way to the bank once more, or why there is none.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Links))]
pub struct RelinkPayload {
    /// The link, as it is until the user has agreed at the bank; null when there is no way.
    link: Option<LinkNode>,
    /// Where to send the browser: a page of this server that names the account and leads on to the bank. Works once, for ten minutes.
    authorization_url: Option<WebUrl>,
    /// The bank's own page, for frontends that complete the link themselves; null without a `returnUrl`.
    provider_authorization_url: Option<WebUrl>,
    /// When both stop working; null when there is no way.
    expires_at: Option<DateTime>,
    /// Why there is no way; empty when there is one.
    user_errors: Vec<UserError>,
}

/// The link that was taken away, or why it was not.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Links))]
pub struct UnlinkPayload {
    /// The link, unlinked; null when it was not.
    link: Option<LinkNode>,
    /// Why it was not unlinked; empty when it was.
    user_errors: Vec<UserError>,
}

/// Changes links there are.
#[derive(Default)]
pub struct LinkUpkeepMutation;

#[Object(serial)]
impl LinkUpkeepMutation {
    /// Gives a link a name, or takes it away.
    #[graphql(guard = Allow::attempt(Act::RenameLink))]
    async fn rename_link(&self, ctx: &Context<'_>, #[graphql(desc = "Which link, and its name.")] input: RenameLinkInput) -> Result<RenameLinkPayload, Fault> {
        let request = ctx.of_request()?;
        let command = RenameLink { requester: request.requester.clone(), link: id_or_nothing(&input.link_id), alias: input.alias };
        let (link, user_errors) = outcome(request.application.links.rename(command).await)?;
        Ok(RenameLinkPayload { link: link.map(|link| LinkNode(Arc::new(link))), user_errors })
    }

    /// Starts linking a link once more, wherever it stands: send the browser to `authorizationUrl`. When the user has agreed at the bank the
    /// link is active, its accounts have the ids they had, and a sync follows by itself. Until then the link stays as it is; one that works
    /// goes on working, so a consent can be renewed before it ends.
    #[graphql(guard = Allow::attempt(Act::Relink))]
    async fn relink(&self, ctx: &Context<'_>, #[graphql(desc = "Which link.")] input: RelinkInput) -> Result<RelinkPayload, Fault> {
        let request = ctx.of_request()?;
        let command = Relink { requester: request.requester.clone(), link: id_or_nothing(&input.link_id), return_url: input.return_url };
        let (begun, user_errors) = outcome(request.application.links.relink(command).await)?;
        let Some(begun) = begun else {
            return Ok(RelinkPayload { link: None, authorization_url: None, provider_authorization_url: None, expires_at: None, user_errors });
        };
        Ok(RelinkPayload {
            link: Some(LinkNode(Arc::new(begun.link))),
            authorization_url: Some(web_url(&begun.authorization_url)?),
            provider_authorization_url: begun.provider_authorization_url.as_ref().map(web_url).transpose()?,
            expires_at: Some(DateTime(begun.expires_at)),
            user_errors,
        })
    }

    /// Takes a link away: what the bank handed out is wiped, the consent is withdrawn, the bank is told if it can be, and nothing is fetched
    /// any more. With `keepData` accounts and history stay to be read; a link that was unlinked so can be unlinked once more without it.
    #[graphql(guard = Allow::attempt(Act::Unlink))]
    async fn unlink(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which link, and what becomes of its data.")] input: UnlinkInput,
    ) -> Result<UnlinkPayload, Fault> {
        let request = ctx.of_request()?;
        let command = Unlink { requester: request.requester.clone(), link: id_or_nothing(&input.link_id), keep_data: input.keep_data };
        let (link, user_errors) = outcome(request.application.links.unlink(command).await)?;
        Ok(UnlinkPayload { link: link.map(|link| LinkNode(Arc::new(link))), user_errors })
    }
}
