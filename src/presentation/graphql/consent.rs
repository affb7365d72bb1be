//! Consents in the graph: what somebody agreed to here.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use crate::{
    application::access::Resource,
    domain::{consent::Consent, page::CreatedKey},
};

use super::{ContextExt, error::Fault, global_id::GlobalId, guard::Allow, link::LinkNode, page::connection, scalar::DateTime};

/// One consent, as the graph shows it.
#[derive(Clone)]
pub struct ConsentNode(pub Arc<Consent>);

impl ConsentNode {
    pub(crate) fn key(&self) -> CreatedKey {
        CreatedKey { created_at: self.0.given_at, id: self.0.id.0 }
    }
}

/// A user's consent that a provider is read for them, as they gave it at the provider.
#[Object(name = "LinkConsent", serial, guard = Allow::read(Resource::Profile))]
impl ConsentNode {
    /// The provider's slug.
    async fn provider(&self) -> &str {
        &self.0.provider
    }

    /// The id of the link it was given for, whether that is still there or not.
    async fn link_id(&self) -> ID {
        GlobalId::from(self.0.link).to_id()
    }

    /// The link it was given for; null when that is gone.
    #[graphql(guard = Allow::read(Resource::Links))]
    async fn link(&self, ctx: &Context<'_>) -> Result<Option<LinkNode>, Fault> {
        Ok(ctx.of_request()?.loaders.link(self.0.link).await?.map(LinkNode))
    }

    /// When it was given.
    async fn given_at(&self) -> DateTime {
        DateTime(self.0.given_at)
    }

    /// When it ends by itself; null when the provider does not say.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(DateTime)
    }

    /// When it was withdrawn here; null while it was not.
    async fn withdrawn_at(&self) -> Option<DateTime> {
        self.0.withdrawn_at.map(DateTime)
    }
}

connection!(
    /// A page of consents.
    LinkConsentConnection,
    /// A consent in a page.
    LinkConsentEdge,
    ConsentNode,
    CreatedKey,
    Profile
);
